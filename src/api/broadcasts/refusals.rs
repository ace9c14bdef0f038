//! What is wrong with a broadcast, as a problem that names the field.

use crate::api::error::{ApiError, Code};
use crate::broadcasts::{AudienceError, BroadcastError};
use crate::event::FieldError;
use crate::outbox::OutboxError;

/// Says a broadcast's refusal in the words of the API.
pub(in crate::api) fn refused(error: BroadcastError) -> ApiError {
    let field = |pointer: &str, code: &str, detail: String| {
        ApiError::fields(vec![FieldError::new(pointer, code, detail)])
    };
    match error {
        BroadcastError::NotFound => ApiError::not_found("broadcast"),
        BroadcastError::NoAudience => ApiError::not_found("audience"),
        BroadcastError::Text(error) => field("/text", "template", error.to_string()),
        BroadcastError::Length { .. } | BroadcastError::PlatformLength { .. } => {
            field("/text", "length", error.to_string())
        }
        BroadcastError::Content { pointer, code, detail } => field(&pointer, code, detail),
        BroadcastError::CannotShow { .. } => field("/content", "unsupported", error.to_string()),
        BroadcastError::Unsaid { code, detail } => field("", code, detail),
        BroadcastError::Unsayable { .. } => field("/audience", "unsayable", error.to_string()),
        BroadcastError::NeedsConfirmation => field("/group", "unsupported", error.to_string()),
        BroadcastError::Blocked(hits) => ApiError::blocked(hits),
        BroadcastError::Audience(error) => {
            let code = match error {
                AudienceError::Empty => "empty",
                AudienceError::TooMany { .. } => "too_many",
                AudienceError::TooDeep => "too_deep",
                AudienceError::Days { .. } | AudienceError::Size => "range",
                AudienceError::Cycle(_) => "cycle",
                AudienceError::Unknown { .. } => "not_found",
            };
            field("/audience", code, error.to_string())
        }
        BroadcastError::Schedule(error) => {
            field(&format!("/schedule/{}", error.pointer()), "schedule", error.to_string())
        }
        BroadcastError::Repeat(error) => field("/repeat", "repeat", error.to_string()),
        BroadcastError::Importance => field("/importance", "range", error.to_string()),
        BroadcastError::Canary(error) => field("/canary", "canary", error.to_string()),
        BroadcastError::Variant(error) => field("/variants", "variants", error.to_string()),
        BroadcastError::VariantText { at, source } => {
            let detail = source.to_string();
            if let BroadcastError::Blocked(hits) = *source {
                ApiError::blocked(hits)
            } else {
                field(&format!("/variants/{at}/text"), "variants", detail)
            }
        }
        BroadcastError::Expired => field("/expires_at", "past", error.to_string()),
        BroadcastError::TooMany(_)
        | BroadcastError::TooManyDrafts(_)
        | BroadcastError::TooManyAudiences(_) => ApiError::new(Code::LimitReached, error.to_string()),
        BroadcastError::OwnWork => ApiError::new(Code::Forbidden, error.to_string()),
        BroadcastError::State(_)
        | BroadcastError::NoDraft(_)
        | BroadcastError::CannotUndo { .. }
        | BroadcastError::BeingUndone(_)
        | BroadcastError::NoList
        | BroadcastError::AudienceInUse(_) => ApiError::new(Code::Conflict, error.to_string()),
        BroadcastError::KeyTaken => ApiError::new(Code::InProgress, error.to_string()),
        BroadcastError::Storage { source, .. } => source.into(),
        BroadcastError::Outbox(error) => outbox_refused(error),
    }
}

pub(in crate::api) fn outbox_refused(error: OutboxError) -> ApiError {
    match error {
        OutboxError::Storage { source, .. } => source.into(),
        OutboxError::Holds(error) => ApiError::internal(&error),
    }
}
