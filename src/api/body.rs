//! Bodies in and out: strict JSON with the path of what is wrong, NDJSON for imports, gzip undone under a cap.

use std::io::Read as _;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::error::{ApiError, ApiResult, Code};
use super::state::App;
use crate::event::pointer_part;

/// A JSON body; a field that does not exist is refused with its path.
#[derive(Debug)]
pub(super) struct Strict<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Strict<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        check_type(request.headers(), &["application/json"])?;
        // A list of terms is as long as an import.
        let is_list = request.uri().path().starts_with("/v1/wordlists/");
        let max = if is_list { app.import_bytes_max() } else { app.body_bytes_max() };
        let body = read(request, max.max(app.body_bytes_max()), app.body_timeout()).await?;
        parse(&body).map(Self)
    }
}

/// The lines of an NDJSON body that are not blank, with their numbers from 1.
#[derive(Debug)]
pub(super) struct Lines(pub Vec<(usize, Bytes)>);

impl FromRequest<App> for Lines {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        check_type(request.headers(), &["application/x-ndjson", "application/ndjson"])?;
        let body = read(request, app.import_bytes_max(), app.body_timeout()).await?;
        let mut lines = Vec::new();
        let mut start = 0;
        for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
            if !line.trim_ascii().is_empty() {
                lines.push((index + 1, body.slice(start..start + line.len())));
            }
            start += line.len() + 1;
        }
        if lines.len() > app.import_lines_max() {
            let detail = format!("{} lines, at most {}", lines.len(), app.import_lines_max());
            return Err(ApiError::new(Code::TooLarge, detail));
        }
        Ok(Self(lines))
    }
}

/// The query of a URL; a parameter that does not exist is refused.
#[derive(Debug)]
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|rejection| {
            let detail = rejection.body_text();
            let detail = detail.strip_prefix("Failed to deserialize query string: ").unwrap_or(&detail);
            ApiError::unreadable("", "query", format!("the query: {detail}"))
        })
    }
}

/// The parts of a path, percent-decoded. Unreadable ones do not exist.
#[derive(Debug)]
pub(super) struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|_| ApiError::not_found("object"))
    }
}

/// Refuses another content type than the route takes.
pub(super) fn check_type(headers: &HeaderMap, wanted: &[&str]) -> ApiResult<()> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = given.split(';').next().unwrap_or_default().trim();
    if wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(given)) {
        return Ok(());
    }
    let detail = format!("send `Content-Type: {}`, not `{given}`", wanted[0]);
    Err(ApiError::new(Code::ContentType, detail))
}

/// Reads a body into memory: bounded in bytes and in time, gzip undone.
pub(super) async fn read(request: Request, bytes_max: usize, timeout: Duration) -> ApiResult<Bytes> {
    let gzip = match request.headers().get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => false,
        Some(name) if name.eq_ignore_ascii_case(b"gzip") => true,
        Some(_) => return Err(ApiError::new(Code::ContentType, "`Content-Encoding` must be gzip or absent")),
    };
    let too_large = || ApiError::new(Code::TooLarge, format!("the body has more than {bytes_max} bytes"));
    let body = Limited::new(request.into_body(), bytes_max).collect();
    let body = match tokio::time::timeout(timeout, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
        Ok(Err(_)) => {
            return Err(ApiError::new(Code::InvalidRequest, "the body ended before its announced length"));
        }
        Err(_) => return Err(ApiError::new(Code::Slow, "send the body without stalling")),
    };
    if !gzip {
        return Ok(body);
    }
    let mut plain = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let whole = flate2::read::GzDecoder::new(&*body).take(limit).read_to_end(&mut plain);
    if plain.len() > bytes_max {
        return Err(too_large());
    }
    match whole {
        Ok(_) => Ok(plain.into()),
        Err(_) => Err(ApiError::new(Code::InvalidRequest, "the body is not whole gzip")),
    }
}

/// Reads JSON strictly.
///
/// # Errors
/// Names the field by a JSON Pointer, or the place where the syntax broke.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> ApiResult<T> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path: String = error.path().iter().map(pointer).collect();
        let error = error.into_inner();
        let said = error.to_string();
        let bare = said.rsplit_once(" at line ").map_or(said.as_str(), |(words, _)| words);
        if error.classify() != serde_json::error::Category::Data {
            let (line, column) = (error.line(), error.column());
            let detail = format!("the body is no whole JSON: {bare} (line {line}, column {column})");
            return ApiError::unreadable("", "syntax", detail);
        }
        let code = match bare {
            _ if bare.starts_with("unknown field") => "unknown_field",
            _ if bare.starts_with("missing field") => "required",
            _ if bare.starts_with("invalid type") => "type",
            _ => "form",
        };
        ApiError::unreadable(path, code, bare.to_owned())
    })?;
    json.end().map_err(|_| ApiError::unreadable("", "syntax", "one JSON value is expected, more follows"))?;
    Ok(value)
}

fn pointer(segment: &Segment) -> String {
    match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } | Segment::Enum { variant: key } => pointer_part(key),
        Segment::Unknown => String::new(),
    }
}

/// A JSON answer, with its version as `ETag` where it has one.
#[derive(Debug)]
pub(super) struct Answer<T> {
    status: StatusCode,
    version: Option<u64>,
    location: Option<String>,
    body: T,
}

impl<T> Answer<T> {
    /// Answers 200.
    pub(super) fn ok(body: T) -> Self {
        Self { status: StatusCode::OK, version: None, location: None, body }
    }

    /// Answers 201, with where to find it.
    pub(super) fn created(location: String, body: T) -> Self {
        Self { status: StatusCode::CREATED, location: Some(location), ..Self::ok(body) }
    }

    /// Answers 201 when it is new, else 200.
    pub(super) fn written(created: bool, body: T) -> Self {
        let status = if created { StatusCode::CREATED } else { StatusCode::OK };
        Self { status, ..Self::ok(body) }
    }

    /// Answers 202: it was accepted and goes on in the background.
    pub(super) fn accepted(location: String, body: T) -> Self {
        Self { status: StatusCode::ACCEPTED, location: Some(location), ..Self::ok(body) }
    }

    /// Adds the `ETag`.
    #[must_use]
    pub(super) fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let body = match serde_json::to_vec(&self.body) {
            Ok(body) => body,
            Err(error) => return ApiError::internal(&error).into_response(),
        };
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(etag) = self.version.and_then(|v| HeaderValue::from_str(&etag(v)).ok()) {
            headers.insert(header::ETAG, etag);
        }
        if let Some(location) = self.location.and_then(|l| HeaderValue::from_str(&l).ok()) {
            headers.insert(header::LOCATION, location);
        }
        response
    }
}

fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// What a client asks of the version of what it writes or reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Precondition {
    expect: Option<u64>,
    known: Option<u64>,
}

impl<S: Sync> FromRequestParts<S> for Precondition {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let read =
            |name| parts.headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
        let version = |text: &str| {
            let number = text.trim().trim_start_matches("W/").trim_matches('"').parse::<u64>().ok();
            number.filter(|number| *number > 0)
        };
        let stale = || ApiError::new(Code::Precondition, "no version has this ETag; read it again");
        let expect = match read(header::IF_MATCH) {
            None | Some("*") => None,
            Some(text) => Some(version(text).ok_or_else(stale)?),
        };
        let none_match = read(header::IF_NONE_MATCH);
        let expect = if none_match == Some("*") { Some(0) } else { expect };
        Ok(Self { expect, known: none_match.and_then(version) })
    }
}

impl Precondition {
    /// It must be this version now; 0 for "must not exist".
    pub(super) fn at(version: u64) -> Self {
        Self { expect: Some(version), known: None }
    }

    /// The version it must have now: 0 for "must not exist", `None` for any.
    pub(super) fn expect(self) -> Option<u64> {
        self.expect
    }

    /// The client has this version already.
    pub(super) fn knows(self, version: u64) -> bool {
        self.known == Some(version)
    }

    /// Turns a conflict into "changed meanwhile" where the client set a condition.
    pub(super) fn explain(self, error: impl Into<ApiError>) -> ApiError {
        let error = error.into();
        if self.expect.is_some() && error.code == Code::Conflict && error.errors.is_empty() {
            return ApiError { code: Code::Precondition, ..error };
        }
        error
    }
}

/// The answer to a conditional `GET` whose client is up to date.
pub(super) fn not_modified(version: u64) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    if let Ok(etag) = HeaderValue::from_str(&etag(version)) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its form is read")]
    struct Outer {
        name: String,
        #[serde(default)]
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its form is read")]
    struct Inner {
        a: u8,
    }

    #[test]
    fn what_is_wrong_is_named_by_its_pointer() {
        let table = [
            (r#"{"name":"x","list":[{"a":1},{"a":"2"}]}"#, "/list/1/a", "type"),
            (r#"{"name":"x","list":[{"a":1,"b":2}]}"#, "/list/0/b", "unknown_field"),
            (r#"{"name":"x","nmae":"y"}"#, "/nmae", "unknown_field"),
            (r"{}", "", "required"),
            (r#"{"name":"x"} 1"#, "", "syntax"),
            (r#"{"name":"#, "", "syntax"),
        ];
        for (body, pointer, code) in table {
            let error = parse::<Outer>(body.as_bytes()).unwrap_err();
            assert_eq!(
                (error.errors[0].pointer.as_str(), error.errors[0].code.as_str()),
                (pointer, code),
                "{body}"
            );
        }
    }
}
