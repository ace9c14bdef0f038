//! The door of every route: who is it, have they requests left, have they the right that the route needs.
//!
//! What a caller may see is not decided here but at each look-up, by their scope.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};

use super::error::{ApiError, Code};
use super::state::App;
use crate::access::{Admission, Caller, POLICY, Right};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What the door of one route knows.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) app: App,
    pub(super) right: Right,
    /// Opens it too.
    pub(super) other: Option<Right>,
}

/// Lets a request in, or answers 401, 403 or 429.
pub(super) async fn guard(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    // The control socket puts a caller there itself: whoever may open it owns the data directory.
    let local = request.extensions().get::<Caller>().cloned();
    let caller = match local.map_or_else(|| authenticate(&door.app, &request), Ok) {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let admission = door.app.access().admit(&caller);
    let mut response = match admission {
        Some(admission) if !admission.admitted => refused(admission).into_response(),
        _ if !caller.may(door.right) && !door.other.is_some_and(|other| caller.may(other)) => {
            let or = door.other.map(|other| format!(" or `{other}`")).unwrap_or_default();
            let detail = format!("the token lacks the right `{}`{or}", door.right);
            ApiError::new(Code::Forbidden, detail).into_response()
        }
        _ => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
    };
    if let Some(admission) = admission {
        rate_limit(&door.app, &mut response, admission);
    }
    response
}

fn authenticate(app: &App, request: &Request) -> Result<Caller, ApiError> {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    app.access().authenticate(given.unwrap_or_default()).map_err(ApiError::from)
}

fn refused(admission: Admission) -> ApiError {
    let detail = "wait, or ask for a higher limit (`access.requests`); events are cheaper in batches";
    ApiError::new(Code::QuotaExceeded, detail).after(std::time::Duration::from_secs(admission.more_in_s))
}

fn rate_limit(app: &App, response: &mut Response, admission: Admission) {
    let headers = response.headers_mut();
    let now = format!("\"{POLICY}\";r={};t={}", admission.remaining, admission.more_in_s);
    for (name, value) in [(RATE_LIMIT_POLICY, app.access().request_policy()), (RATE_LIMIT, now)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
