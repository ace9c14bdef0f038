//! What the answers about duties have in common.

use serde::Serialize;

use super::moment;
use crate::duties::Failure;

/// What a platform refused.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct FailureView {
    /// When.
    at: String,
    /// The platform's code or ours.
    code: String,
    /// In plain Chinese: what to do.
    zh: String,
    /// The same in English.
    en: String,
}

impl From<Failure> for FailureView {
    fn from(failure: Failure) -> Self {
        let Failure { at_ms, code, zh, en } = failure;
        Self { at: moment::show(at_ms), code, zh, en }
    }
}
