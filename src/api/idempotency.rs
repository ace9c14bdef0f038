//! `Idempotency-Key`: the same request again gets the same answer, and its effect happens once.
//!
//! The key is written in the same commit as the effect, so a crash leaves both or neither. Only answers with an effect
//! are kept: a refusal may be tried again under the same key. Keys of running requests are held in memory.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::body;
use super::error::{ApiError, ApiResult, Code};
use super::state::{App, Cx};
use crate::storage::IdempotencyRecord;
use crate::telemetry::metrics;

const KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key, in characters.
const KEY_CHARS_MAX: usize = 255;

/// A JSON body with the request's key. A repeat never becomes one: it is answered while it is read.
pub(super) struct Keyed<T> {
    /// The key, where one was sent.
    pub key: Option<Key>,
    /// The body.
    pub value: T,
    /// Marks the key as running until the handler is done, for as long as the handler's argument lives.
    _running: Option<Running>,
}

/// A key and what the request was.
#[derive(Clone, Debug)]
pub(super) struct Key {
    full: String,
    fingerprint: String,
    expires_ms: i64,
}

impl Key {
    /// Makes an id that is always the same for this key.
    pub(super) fn id(&self, prefix: &str) -> String {
        let id: String = fingerprint("id", &self.full, "", b"").chars().take(24).collect();
        format!("{prefix}{id}")
    }

    /// Makes what is to be stored with the effect.
    pub(super) fn record(self, status: StatusCode, answer: &impl Serialize) -> IdempotencyRecord {
        IdempotencyRecord {
            key: self.full,
            fingerprint: self.fingerprint,
            status: status.as_u16(),
            body: serde_json::to_string(answer).unwrap_or_default(), // our own views: strings and numbers
            expires_ms: self.expires_ms,
        }
    }
}

impl<T> Keyed<T> {
    /// Returns the key, or refuses a request without one.
    ///
    /// # Errors
    /// 400, saying what to send.
    pub(super) fn require(&mut self) -> ApiResult<Key> {
        self.key.take().ok_or_else(|| {
            let detail = "send `Idempotency-Key: <a new UUID>`, and the same one when you repeat the request";
            ApiError::new(Code::KeyRequired, detail)
        })
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Keyed<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let cx = Cx::from_request_parts(&mut parts, app).await.map_err(IntoResponse::into_response)?;
        let request = Request::from_parts(parts, body);
        match read(&cx, request, app).await {
            Ok(read) => read,
            Err(error) => Err(error.into_response()),
        }
    }
}

async fn read<T: DeserializeOwned>(
    cx: &Cx,
    request: Request,
    app: &App,
) -> ApiResult<Result<Keyed<T>, Response>> {
    body::check_type(request.headers(), &["application/json"])?;
    let given = key_of(request.headers())?;
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let bytes = body::read(request, app.body_bytes_max(), app.body_timeout()).await?;
    let Some(given) = given else {
        return Ok(Ok(Keyed { key: None, value: body::parse(&bytes)?, _running: None }));
    };
    let ttl_ms = i64::try_from(cx.config().idempotency_ttl.as_millis()).unwrap_or(i64::MAX);
    let key = Key {
        full: format!("{} {method} {} {given}", cx.actor().operator, uri.path()),
        fingerprint: fingerprint(method.as_str(), uri.path(), uri.query().unwrap_or_default(), &bytes),
        expires_ms: cx.now_ms().saturating_add(ttl_ms),
    };
    let running = Running::begin(cx, &key.full)?;
    let stored = cx.storage().idempotency(&key.full).await?;
    if let Some(stored) = stored.filter(|stored| stored.expires_ms > cx.now_ms()) {
        return replay(&stored, &key).map(Err);
    }
    Ok(Ok(Keyed { value: body::parse(&bytes)?, key: Some(key), _running: Some(running) }))
}

fn replay(stored: &IdempotencyRecord, key: &Key) -> ApiResult<Response> {
    if stored.fingerprint != key.fingerprint {
        let detail = "this key was sent with another method, path or body; take a new one for a new request";
        return Err(ApiError::new(Code::KeyReused, detail));
    }
    metrics::idempotency_replayed();
    let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    let mut response = (status, stored.body.clone()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Reads the key: a Structured Field String, or the bare text that most clients send.
fn key_of(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let Some(value) = headers.get(KEY_HEADER) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let key =
        quoted.map_or_else(|| text.to_owned(), |inner| inner.replace("\\\"", "\"").replace("\\\\", "\\"));
    let visible = key.chars().all(|c| c.is_ascii_graphic());
    if key.is_empty() || key.len() > KEY_CHARS_MAX || !visible {
        let detail = format!("`Idempotency-Key` must be 1 to {KEY_CHARS_MAX} visible ASCII characters");
        return Err(ApiError::new(Code::InvalidRequest, detail));
    }
    Ok(Some(key))
}

/// SHA-256 over method, path, sorted query and raw body, in hex.
fn fingerprint(method: &str, path: &str, query: &str, body: &[u8]) -> String {
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    let mut hash = Sha256::new();
    for part in [method.as_bytes(), path.as_bytes(), pairs.join("&").as_bytes(), body] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let hash: [u8; 32] = hash.finalize().into();
    let (high, low) = hash.split_at(16);
    let number = |half: &[u8]| half.iter().fold(0_u128, |all, byte| all << 8 | u128::from(*byte));
    format!("{:032x}{:032x}", number(high), number(low))
}

/// A key whose request is running; forgotten when dropped.
struct Running {
    cx: Cx,
    key: Arc<str>,
}

impl Running {
    fn begin(cx: &Cx, key: &str) -> ApiResult<Self> {
        if !cx.running().lock().insert(key.to_owned()) {
            let detail = "the first request with this key is still running; send it again in a second";
            return Err(ApiError::new(Code::InProgress, detail).after(Duration::from_secs(1)));
        }
        Ok(Self { cx: cx.clone(), key: Arc::from(key) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cx.running().lock().remove(&*self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &str) -> ApiResult<Option<String>> {
        let mut headers = HeaderMap::new();
        headers.insert(KEY_HEADER, HeaderValue::from_str(value).unwrap());
        key_of(&headers)
    }

    #[test]
    fn a_key_is_read_quoted_and_bare() {
        let uuid = "8e03978e-40d5-43e8-bc93-6894a57f9324";
        assert_eq!(key(&format!("\"{uuid}\"")).unwrap().as_deref(), Some(uuid));
        assert_eq!(key(uuid).unwrap().as_deref(), Some(uuid));
        assert_eq!(key("order-77").unwrap().as_deref(), Some("order-77"));
        assert_eq!(key_of(&HeaderMap::new()).unwrap(), None);
        for bad in ["", "\"\"", "a b", &"x".repeat(256)] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fingerprint_knows_the_request_but_not_the_order_of_its_query() {
        let one = fingerprint("POST", "/v1/a", "x=1&y=2", b"{}");
        assert_eq!(one, fingerprint("POST", "/v1/a", "y=2&x=1", b"{}"));
        assert_eq!(one.len(), 64);
        for other in [
            fingerprint("PUT", "/v1/a", "x=1&y=2", b"{}"),
            fingerprint("POST", "/v1/b", "x=1&y=2", b"{}"),
            fingerprint("POST", "/v1/a", "x=1", b"{}"),
            fingerprint("POST", "/v1/a", "x=1&y=2", b"{ }"),
        ] {
            assert_ne!(one, other);
        }
    }
}
