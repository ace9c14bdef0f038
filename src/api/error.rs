//! Every error of the API: a status, a stable code, and words that say what to do next (RFC 9457).
//!
//! Handlers return [`ApiError`]; `envelope` writes the body, since only it knows the request's ids.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::access::{AccessError, POLICY};
use crate::directory::DirectoryError;
use crate::event::{FieldError, Hit};
use crate::storage::StorageError;

macro_rules! codes {
    ($($name:ident $code:literal $status:ident $title:literal $means:literal,)*) => {
        /// What went wrong; the spelling is the problem's `code` and the end of its `type`. Never renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the table gives each its meaning, also for the API document")]
        pub enum Code {
            $($name,)*
        }

        impl Code {
            /// All of them, in the order of the API document.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// Returns the spelling.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// Returns the HTTP status.
            pub fn status(self) -> StatusCode {
                match self { $(Code::$name => StatusCode::$status,)* }
            }

            /// Returns the title: the same for every problem of this code.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// Returns when it happens, for the API document.
            pub fn means(self) -> &'static str {
                match self { $(Code::$name => $means,)* }
            }
        }
    };
}

codes! {
    InvalidRequest "invalid_request" BAD_REQUEST "The request cannot be read"
        "not JSON, a field of the wrong type, a field or query parameter that does not exist, a bad cursor",
    KeyRequired "idempotency_key_required" BAD_REQUEST "An Idempotency-Key is required"
        "the route has an effect that must not happen twice, and no key was sent",
    Unauthorized "unauthorized" UNAUTHORIZED "Who are you?"
        "no token, or one that is unknown, revoked, expired or whose operator is disabled",
    Forbidden "forbidden" FORBIDDEN "The token may not do this"
        "the token lacks the right that the route needs, or would hand on more than it has",
    NotFound "not_found" NOT_FOUND "There is no such thing"
        "no such route or object, or one outside the token's scope",
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "The route has no such method"
        "the `Allow` header lists the methods there are",
    Slow "body_too_slow" REQUEST_TIMEOUT "The body did not arrive in time"
        "the client stalled; send it again",
    Conflict "conflict" CONFLICT "It cannot be done now"
        "the object is in use, in another state, or somebody else changed it meanwhile",
    LimitReached "limit_reached" CONFLICT "There are as many as may be"
        "a limit of the configuration, named in the detail",
    InProgress "request_in_progress" CONFLICT "The first request with this key is still running"
        "wait for `Retry-After`, then send the same request again",
    Precondition "precondition_failed" PRECONDITION_FAILED "It was changed meanwhile"
        "`If-Match` or `If-None-Match` does not hold; read it again",
    TooLarge "body_too_large" PAYLOAD_TOO_LARGE "The body is too large"
        "the cap is in the detail; send it in smaller parts",
    ContentType "content_type" UNSUPPORTED_MEDIA_TYPE "The body's type is not understood"
        "send what the route asks for: `application/json` or `application/x-ndjson`, plain or gzip",
    InvalidFields "invalid_fields" UNPROCESSABLE_ENTITY "Fields have values that cannot be"
        "`errors` lists every field with a JSON Pointer, a code and words",
    KeyReused "idempotency_key_reused" UNPROCESSABLE_ENTITY "The key belongs to another request"
        "the same `Idempotency-Key` came with another method, path or body",
    TextBlocked "text_blocked" UNPROCESSABLE_ENTITY "The text was refused by interception"
        "our own text has listed terms whose verdict is `block`; `hits` lists them",
    QuotaExceeded "quota_exceeded" TOO_MANY_REQUESTS "The token has used up its requests"
        "wait for `Retry-After`; nothing was done",
    Internal "internal" INTERNAL_SERVER_ERROR "A mistake of ours"
        "the log has the cause under this `trace_id`",
    NotReady "not_ready" SERVICE_UNAVAILABLE "The gateway cannot take this now"
        "storage does not answer, or the gateway drains; nothing was done, send it again after `Retry-After`",
}

impl Code {
    /// Returns the problem's `type`.
    pub fn urn(self) -> String {
        if self == Code::QuotaExceeded {
            // Registered with IANA; a client that knows the standard knows this one.
            return "https://iana.org/assignments/http-problem-types#quota-exceeded".to_owned();
        }
        format!("urn:problem:menshen:{}", self.as_str())
    }
}

/// A refused request.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// What went wrong.
    pub code: Code,
    /// In words: what to do next. No message text, no secrets.
    pub detail: String,
    /// Fields that are wrong.
    pub errors: Vec<FieldError>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// Further members of the problem, such as `hits`.
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// For the log only: what lies behind a `5xx`.
    pub cause: Option<String>,
}

/// What handlers return.
pub(super) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// Makes an error.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            extra: serde_json::Map::new(),
            cause: None,
        }
    }

    /// There is no such thing, or it is outside the scope.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("no such {what}"))
    }

    /// One field is wrong and the whole cannot be read.
    pub fn unreadable(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let error = FieldError::new(pointer, code, detail.clone());
        Self { errors: vec![error], ..Self::new(Code::InvalidRequest, detail) }
    }

    /// Fields have values that cannot be.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] if one.pointer.is_empty() => one.detail.clone(),
            [one] => format!("`{}` {}", one.pointer, one.detail),
            more => format!("{} fields are wrong", more.len()),
        };
        Self { errors, ..Self::new(Code::InvalidFields, detail) }
    }

    /// Our own text has terms that may not be said.
    pub fn blocked(hits: Vec<Hit>) -> Self {
        let detail = format!("{} listed terms block it; reword it, or change the wordlist", hits.len());
        let hits = serde_json::to_value(hits).unwrap_or_default(); // plain strings and numbers
        Self::new(Code::TextBlocked, detail).with("hits", hits)
    }

    /// A mistake of ours; `cause` goes to the log, not to the client.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        let detail = "this should not have happened; look for the trace_id in the log";
        Self { cause: Some(cause.to_string()), ..Self::new(Code::Internal, detail) }
    }

    /// Says when to try again.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds a member to the problem.
    #[must_use]
    pub fn with(mut self, name: &str, value: serde_json::Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Conflict { .. } => Self::new(Code::Conflict, error.to_string()),
            StorageError::Full
            | StorageError::Failed { .. }
            | StorageError::Fenced(_)
            | StorageError::Poisoned(_)
            | StorageError::Closed => {
                let detail = "storage does not take this now; nothing was done, send it again";
                let cause = std::error::Error::source(&error).map_or_else(String::new, |s| format!(": {s}"));
                Self { cause: Some(format!("{error}{cause}")), ..Self::new(Code::NotReady, detail) }
                    .after(Duration::from_secs(1))
            }
            StorageError::Unreadable { .. } | StorageError::Locked(_) => Self::internal(&error),
        }
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Missing | AccessError::Unknown | AccessError::Expired | AccessError::Disabled => {
                Self::new(Code::Unauthorized, error.to_string())
            }
            AccessError::NotFound(what) => Self::not_found(what),
            AccessError::Beyond(_) => Self::new(Code::Forbidden, error.to_string()),
            AccessError::LastAdministrator => Self::new(Code::Conflict, error.to_string()),
            AccessError::Invalid(errors) => Self::fields(errors),
            AccessError::TooMany { .. } => Self::new(Code::LimitReached, error.to_string()),
            AccessError::Randomness => Self::internal(&error),
            AccessError::Storage(error) => error.into(),
        }
    }
}

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::NotFound(what) => Self::not_found(what),
            DirectoryError::Invalid(errors) => Self::fields(errors),
            DirectoryError::InUse { .. } => Self::new(Code::Conflict, error.to_string()),
            DirectoryError::TooMany { .. } => Self::new(Code::LimitReached, error.to_string()),
            DirectoryError::Key(error) => Self::internal(&error),
            DirectoryError::Storage(error) => error.into(),
        }
    }
}

/// The body of an error, as the API document describes it.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// Identifies the kind of problem for ever: `urn:problem:menshen:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here, and what to do next.
    pub detail: String,
    /// The kind in one word.
    pub code: String,
    /// What to look for in the log.
    pub trace_id: String,
    /// Every field that is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// For `quota_exceeded`: which limit.
    #[serde(rename = "violated-policies", default, skip_serializing_if = "Vec::is_empty")]
    pub violated_policies: Vec<String>,
    /// Further members: `hits`, ….
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// Makes the body of an error.
    pub fn of(error: &ApiError, trace_id: &str) -> Self {
        let quota = error.code == Code::QuotaExceeded;
        Self {
            kind: error.code.urn(),
            title: error.code.title().to_owned(),
            status: error.code.status().as_u16(),
            detail: error.detail.clone(),
            code: error.code.as_str().to_owned(),
            trace_id: trace_id.to_owned(),
            errors: error.errors.clone(),
            violated_policies: if quota { vec![POLICY.to_owned()] } else { Vec::new() },
            extra: error.extra.clone(),
        }
    }
}

impl IntoResponse for ApiError {
    /// Leaves the body to `envelope`, which finds the error among the extensions.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.code == Code::Unauthorized {
            let challenge = HeaderValue::from_static("Bearer realm=\"menshen\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_their_urns_stable() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code:?}");
            assert!(code.as_str().chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{code:?}");
        }
        assert_eq!(Code::NotFound.urn(), "urn:problem:menshen:not_found");
    }

    #[test]
    fn a_storage_failure_tells_the_client_nothing_of_the_disk() {
        let source = std::io::Error::other("/var/lib/menshen: no space left");
        let error = StorageError::Failed { operation: "apply", source: Box::new(source) };
        let error = ApiError::from(error);
        assert_eq!(error.code, Code::NotReady);
        assert!(!error.detail.contains("space"));
        assert!(error.cause.unwrap().contains("space"));
    }
}
