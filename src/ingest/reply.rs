//! What the hot routes answer: verdicts in the caller's shape, refusals as problem details (RFC 9457).

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::event::Answer;

/// Why a request, or one event of it, was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status, when it is about the whole request.
    pub status: StatusCode,
    /// Stable code: the last part of the problem's type, and the metric's `reason`.
    pub code: &'static str,
    /// JSON Pointer of the field it is about; empty for the whole.
    pub pointer: String,
    /// In words; what to do next.
    pub detail: String,
    /// Seconds to wait before trying again.
    pub retry_after_s: Option<u64>,
}

impl Refusal {
    /// A refusal about the whole.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, pointer: String::new(), detail: detail.into(), retry_after_s: None }
    }

    /// Names the field it is about.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = pointer.into();
        self
    }

    /// Asks the caller to wait.
    #[must_use]
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    pub(crate) fn too_large(code: &'static str, what: &str, bytes_max: usize) -> Self {
        let detail = format!("the {what} is larger than {bytes_max} bytes; send it in smaller parts");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, detail)
    }

    pub(crate) fn overloaded(what: &str) -> Self {
        let detail = format!("too many {what} at once; nothing was done, send it again");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).after(1)
    }

    pub(crate) fn slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body did not arrive in time")
    }

    pub(crate) fn aborted() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "body_aborted", "the body ended before its announced length")
    }

    pub(crate) fn encoding() -> Self {
        let detail = "Content-Encoding must be gzip or absent";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoding", detail)
    }

    pub(crate) fn gzip() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "gzip", "the body is not whole gzip")
    }

    pub(crate) fn not_ready(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail).after(1)
    }

    /// Renders it as the answer to a whole request.
    pub fn into_response(self, request_id: &str) -> Response<Bytes> {
        #[derive(Serialize)]
        struct Problem<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
            code: &'a str,
            trace_id: &'a str,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            errors: Vec<Field<'a>>,
        }
        #[derive(Serialize)]
        struct Field<'a> {
            pointer: &'a str,
            code: &'a str,
            detail: &'a str,
        }
        let field = Field { pointer: &self.pointer, code: self.code, detail: &self.detail };
        let bad_input = matches!(self.status.as_u16(), 400 | 422);
        let problem = Problem {
            r#type: format!("urn:problem:menshen:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Refused"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            trace_id: request_id,
            errors: if bad_input { vec![field] } else { Vec::new() },
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default(); // plain strings and a number: cannot fail
        let mut response = json(self.status, "application/problem+json", body);
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The shape a caller sent its events in, and gets its answers in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One object.
    One,
    /// A JSON array.
    Array,
    /// One object a line.
    Ndjson,
}

/// The outcome of one event of a request.
pub type EventResult = Result<Answer, Refusal>;

/// Renders the outcomes in the shape the events came in. `line` counts from 1 (NDJSON) or 0 (array index).
pub fn answers(shape: Shape, results: Vec<(usize, EventResult)>, request_id: &str) -> Response<Bytes> {
    let mut body = Vec::with_capacity(256 * results.len() + 2);
    match shape {
        Shape::One => {
            return match results.into_iter().next() {
                Some((_, Ok(answer))) => {
                    write(&mut body, &answer);
                    json(StatusCode::OK, "application/json", body)
                }
                Some((_, Err(refusal))) => refusal.into_response(request_id),
                None => Refusal::new(StatusCode::BAD_REQUEST, "empty", "the body is empty")
                    .into_response(request_id),
            };
        }
        Shape::Array => {
            body.push(b'[');
            for (nth, (index, result)) in results.iter().enumerate() {
                if nth > 0 {
                    body.push(b',');
                }
                element(&mut body, "index", *index, result);
            }
            body.push(b']');
        }
        Shape::Ndjson => {
            for (line, result) in &results {
                element(&mut body, "line", *line, result);
                body.push(b'\n');
            }
        }
    }
    let kind = if shape == Shape::Ndjson { "application/x-ndjson" } else { "application/json" };
    json(StatusCode::OK, kind, body)
}

fn element(body: &mut Vec<u8>, key: &'static str, at: usize, result: &EventResult) {
    match result {
        Ok(answer) => write(body, answer),
        Err(refusal) => {
            let error = serde_json::json!({
                key: at,
                "error": { "code": refusal.code, "pointer": refusal.pointer, "detail": refusal.detail },
            });
            write(body, &error);
        }
    }
}

fn write<T: Serialize>(body: &mut Vec<u8>, value: &T) {
    let written = serde_json::to_writer(body, value);
    debug_assert!(written.is_ok(), "strings and numbers into a Vec");
}

/// Makes a response with a body of this type.
pub fn json(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
