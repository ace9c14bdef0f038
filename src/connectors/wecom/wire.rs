//! One exchange with WeCom over HTTP: the request's form, and what the answer says in its head.
//!
//! Not for: tokens, limits, repeats (`client`). Invariants: tokens and keys stand in the query only and never in an error;
//! an answer that is not whole is no answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use serde::Deserialize;

use super::api::Api;
use super::errcode;
use super::error::{ApiError, Code};
use crate::clock::Clock;
use crate::webhooks::client::{CallError, HttpClient, Reply};
use crate::webhooks::retry_after;

/// What is sent.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    /// Names and values behind the `?`, without token or key.
    pub(super) query: Vec<(&'static str, String)>,
    /// The body; empty for a `GET`.
    pub(super) body: Bytes,
    /// What the body is.
    pub(super) content_type: HeaderValue,
}

impl Parcel {
    /// Makes one with a query alone.
    pub(super) fn query(query: &[(&'static str, &str)]) -> Self {
        let query = query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { query, ..Self::json(Bytes::new()) }
    }

    /// Makes one with a JSON body.
    pub(super) fn json(body: Bytes) -> Self {
        Self { query: Vec::new(), body, content_type: HeaderValue::from_static("application/json") }
    }
}

/// What every answer has.
#[derive(Deserialize)]
struct Head {
    /// Without it something else than the platform has answered.
    errcode: i64,
    #[serde(default)]
    errmsg: String,
}

/// The way to the platform. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    http: HttpClient,
    /// `https://host`, without a slash at its end.
    base: String,
    clock: Clock,
    reply_bytes_max: usize,
}

impl Wire {
    pub(super) fn new(http: HttpClient, base: String, clock: Clock, reply_bytes_max: usize) -> Self {
        Self { http, base, clock, reply_bytes_max }
    }

    /// Makes one exchange within `time`; returns the body of an answer with `errcode` 0.
    ///
    /// # Errors
    /// See [`Code`]. Of a refusal, the platform's number.
    pub(super) async fn exchange(
        &self,
        api: Api,
        secret: (&str, &str),
        parcel: &Parcel,
        time: Duration,
    ) -> Result<Bytes, ApiError> {
        let error = |code| ApiError::new(api, code);
        if time.is_zero() {
            return Err(error(Code::Connect).with_detail("no time was left for the call"));
        }
        let request = self.request(api, secret, parcel).ok_or_else(|| error(Code::Unreadable))?;
        match self.http.call_within(request, time).await {
            Ok(reply) => self.read(api, &reply),
            Err(CallError::Refused(why)) => Err(error(Code::Ssrf).with_detail(why.to_string())),
            Err(CallError::Connect(why)) => Err(error(Code::Connect).with_detail(why)),
            Err(CallError::Lost(why)) => Err(error(Code::Lost).with_detail(why)),
        }
    }

    fn request(&self, api: Api, secret: (&str, &str), parcel: &Parcel) -> Option<Request<Bytes>> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair(secret.0, secret.1);
        query.extend_pairs(parcel.query.iter().map(|(name, value)| (*name, value.as_str())));
        let uri: Uri = format!("{}/cgi-bin/{}?{}", self.base, api.path(), query.finish()).parse().ok()?;
        let mut request = Request::new(parcel.body.clone());
        *request.method_mut() = api.method();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, parcel.content_type.clone());
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("menshen/", env!("CARGO_PKG_VERSION"))),
        );
        Some(request)
    }

    fn read(&self, api: Api, reply: &Reply) -> Result<Bytes, ApiError> {
        if !reply.status.is_success() {
            let asked = reply.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            let asked = asked.and_then(|value| retry_after::parse(value, self.clock.now_ms()));
            let error = ApiError::new(api, Code::Http(reply.status.as_u16()));
            return Err(asked.map_or(error.clone(), |wait| error.with_wait(wait)));
        }
        // The whole of it must be JSON, else its end is missing: an `errcode` at its beginning is no comfort.
        let head: Head = serde_json::from_slice(&reply.body).map_err(|_| self.unreadable(api, reply))?;
        if head.errcode == errcode::OK {
            return Ok(reply.body.clone());
        }
        Err(ApiError::refused(api, head.errcode, &head.errmsg))
    }

    fn unreadable(&self, api: Api, reply: &Reply) -> ApiError {
        let bytes = reply.body.len();
        let detail = if bytes >= self.reply_bytes_max {
            format!("the answer is longer than `connectors.wecom_reply_bytes_max`, {bytes} bytes")
        } else {
            format!("{bytes} bytes that are no JSON")
        };
        ApiError::new(api, Code::Unreadable).with_detail(detail)
    }
}
