//! What every answer has: `X-Request-Id`, a problem body when it is an error, its metric, a log line when it is ours.
//!
//! Also turns the plain refusals of the router (unknown route, method, oversized body) into problems.

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::error::{ApiError, Code, Problem};
use crate::clock::Stopwatch;
use crate::telemetry::metrics;

/// The header that names a request, ours and the client's.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id we echo.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// The ids of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestIds {
    /// The client's own when it is a valid one, else ours.
    pub request: String,
    /// From `traceparent`, else the request's.
    pub trace: String,
}

impl RequestIds {
    fn of(headers: &HeaderMap) -> Self {
        let given =
            headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| is_request_id(id));
        let request = given.map_or_else(fresh, str::to_owned);
        let traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        let trace = traceparent.and_then(trace_id).map_or_else(|| request.clone(), str::to_owned);
        Self { request, trace }
    }
}

fn is_request_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.chars().all(plain)
}

fn fresh() -> String {
    let mut random = [0_u8; 16];
    // Without randomness the id is not unique; that costs a line of a log, not a request.
    _ = getrandom::fill(&mut random);
    format!("req_{:032x}", u128::from_be_bytes(random))
}

/// Returns the trace id of a valid `traceparent` (W3C trace context).
fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.splitn(5, '-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let nonzero = |text: &str| text.bytes().any(|b| b != b'0');
    let whole = version != "00" || parts.next().is_none();
    (hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2) && whole)
        .then_some(trace)
        .filter(|trace| nonzero(trace) && nonzero(parent))
}

/// Wraps every route and the fallback.
pub(super) async fn envelope(mut request: Request, next: Next) -> Response {
    let watch = Stopwatch::start();
    let ids = RequestIds::of(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    request.extensions_mut().insert(ids.clone());
    let mut response = next.run(request).await;
    if response.status().is_client_error() || response.status().is_server_error() {
        response = as_problem(response, &ids, &method, route.as_deref());
    }
    if let Ok(id) = HeaderValue::from_str(&ids.request) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let route = route.as_deref().unwrap_or("unmatched");
    metrics::request_finished(route, &method, response.status().as_u16(), watch.elapsed());
    response
}

fn as_problem(response: Response, ids: &RequestIds, method: &Method, route: Option<&str>) -> Response {
    let (mut parts, _) = response.into_parts();
    let error = parts.extensions.remove::<ApiError>().unwrap_or_else(|| plain(parts.status));
    if let Some(cause) = &error.cause {
        tracing::error!(
            trace_id = ids.trace, request.id = ids.request, http.method = %method, http.route = route,
            code = error.code.as_str(), cause, "request failed"
        );
    }
    let body = serde_json::to_vec(&Problem::of(&error, &ids.trace)).unwrap_or_default(); // only strings and numbers
    let kind = HeaderValue::from_static("application/problem+json");
    parts.status = error.code.status();
    parts.headers.insert(header::CONTENT_TYPE, kind);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

/// The problem behind a refusal that did not come from a handler.
fn plain(status: StatusCode) -> ApiError {
    match status {
        StatusCode::NOT_FOUND => ApiError::new(Code::NotFound, "no such route; see /docs"),
        StatusCode::METHOD_NOT_ALLOWED => {
            ApiError::new(Code::MethodNotAllowed, "this route has other methods; see the Allow header")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::TooLarge, "send it in smaller parts"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ApiError::new(Code::ContentType, "send `Content-Type: application/json`")
        }
        status if status.is_client_error() => {
            ApiError::new(Code::InvalidRequest, "the request cannot be read")
        }
        status => ApiError::internal(&format!("a plain {status} left a handler")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_is_read_as_the_standard_says() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let table = [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", false),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", true),
            ("", false),
        ];
        for (header, valid) in table {
            assert_eq!(trace_id(header), valid.then_some(id), "{header}");
        }
    }

    #[test]
    fn a_clients_request_id_is_echoed_only_when_harmless() {
        for (id, good) in
            [("abc-1.2_3", true), ("", false), ("a b", false), ("<script>", false), (&"x".repeat(65), false)]
        {
            assert_eq!(is_request_id(id), good, "{id}");
        }
        assert!(is_request_id(&fresh()));
    }
}
