//! What is wrong with one field of something a person or program sent us.

use serde::{Deserialize, Serialize};

/// One problem of one field, as RFC 9457 bodies list them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Which field, as a JSON Pointer (RFC 6901): `/variables/name`; empty for the whole.
    pub pointer: String,
    /// A stable word: `required`, `too_long`, `unknown_field`, `not_found`, ….
    pub code: String,
    /// In words: what was expected, and what to do.
    pub detail: String,
}

impl FieldError {
    /// Makes one.
    pub fn new(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.to_owned(), detail: detail.into() }
    }
}

/// Returns a key as one escaped part of a JSON Pointer, with its slash.
pub fn pointer_part(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}
