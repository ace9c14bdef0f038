//! `POST /v1/verdicts`: somebody else's verdict on a message that was answered already.

use serde::Deserialize;

use super::body::{Answer, Strict};
use super::error::{ApiError, ApiResult, Code};
use super::state::Cx;
use crate::event::{self, Asked, FieldError, GroupEvent, Opinion, Role, Verdict};
use crate::ingest::events::Source;

/// A verdict on an earlier message.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerdictIn {
    /// The account the message came through.
    #[schema(example = "demo", max_length = 128)]
    account: String,
    /// Its group.
    #[schema(example = "g-7", max_length = 128)]
    group: String,
    /// Its event id.
    #[schema(example = "e-1", max_length = 128)]
    of: String,
    /// The event id of the message itself, where `of` is an edit: what is withdrawn.
    #[serde(default)]
    #[schema(max_length = 128)]
    message: Option<String>,
    /// Who said it, so that the hit names them.
    #[serde(default)]
    #[schema(example = "u-3", max_length = 128)]
    member: Option<String>,
    /// Their role.
    #[serde(default)]
    role: Role,
    /// What it deserves.
    verdict: LateVerdict,
    /// Why: at most 16 words of your own, each of 1 to 64 bytes.
    #[serde(default)]
    #[schema(example = json!(["qr_code"]))]
    labels: Vec<String>,
    /// How sure you are, in percent.
    #[serde(default = "certain")]
    #[schema(minimum = 0, maximum = 100, default = 100)]
    confidence: u8,
    /// Who you are: one source has one verdict on a message, a second one is a repeat.
    #[schema(example = "ocr", max_length = 64)]
    source: String,
}

/// What was said already cannot be masked.
#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum LateVerdict {
    /// Nothing to do.
    Pass,
    /// A person should look.
    Review,
    /// To be withdrawn where the platform can, and for a person to look at.
    Block,
}

fn certain() -> u8 {
    100
}

/// Brings a late verdict 补报判定
///
/// For programs that judge messages on their own: picture readers, classifiers. The verdict goes through the pipeline once:
/// its labels are hits of the group (wordlist `verdict`), `review` and `block` are for a person to look at, and `block`
/// also withdraws the message where the platform can. A repeat answers `"status": "duplicate"`.
#[utoipa::path(
    post, path = "/v1/verdicts", tag = "moderation", operation_id = "postVerdict",
    request_body = VerdictIn,
    responses((status = 200, description = "What follows, after it is durable", body = event::Answer)),
)]
pub(super) async fn create(cx: Cx, Strict(said): Strict<VerdictIn>) -> ApiResult<Answer<event::Answer>> {
    check(&said)?;
    cx.directory().group_in(cx.scope(), &said.account, &said.group)?;
    let event = event_of(said);
    let taken = cx.ingest().take(Source::Token(cx.caller()), std::iter::once(Ok(event))).await;
    match taken.map(|results| results.into_iter().next()) {
        Ok(Some(Ok(answer))) => Ok(Answer::ok(answer)),
        Ok(Some(Err(refusal))) | Err(refusal) => Err(ApiError::new(Code::NotReady, refusal.detail)),
        Ok(None) => Err(ApiError::internal(&"one verdict had no result")),
    }
}

fn check(said: &VerdictIn) -> ApiResult<()> {
    let mut errors = Vec::new();
    let ids = [
        ("/account", Some(&said.account)),
        ("/group", Some(&said.group)),
        ("/of", Some(&said.of)),
        ("/message", said.message.as_ref()),
        ("/member", said.member.as_ref()),
    ];
    for (pointer, id) in ids {
        if let Some(Err(error)) = id.map(|id| event::check_id(id)) {
            errors.push(FieldError::new(pointer, "form", error.to_string()));
        }
    }
    if !Opinion::is_name(&said.source) {
        errors.push(FieldError::new("/source", "form", "must be one word of 1 to 64 bytes"));
    } else if said.source == Opinion::HOOK {
        errors.push(FieldError::new("/source", "refused", "is the name of the verdict hook; take another"));
    }
    if said.labels.len() > Opinion::LABELS_MAX {
        let detail = format!("has {} entries, {} at most", said.labels.len(), Opinion::LABELS_MAX);
        errors.push(FieldError::new("/labels", "too_many", detail));
    }
    if let Some(nth) = said.labels.iter().position(|label| !Opinion::is_name(label)) {
        errors.push(FieldError::new(format!("/labels/{nth}"), "form", "must be one word of 1 to 64 bytes"));
    }
    if said.confidence > 100 {
        errors.push(FieldError::new("/confidence", "invalid", "is a percentage: 0 to 100"));
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::fields(errors)) }
}

fn event_of(said: VerdictIn) -> GroupEvent<'static> {
    let asked = Asked {
        account: said.account,
        group: said.group,
        message: said.message.unwrap_or_else(|| said.of.clone()),
        event: said.of,
        member: said.member,
        role: said.role,
    };
    asked.late(Opinion {
        verdict: match said.verdict {
            LateVerdict::Pass => Verdict::Pass,
            LateVerdict::Review => Verdict::Review,
            LateVerdict::Block => Verdict::Block,
        },
        labels: said.labels.into_iter().map(Into::into).collect(),
        confidence: said.confidence,
        source: said.source.into(),
        latency_ms: None,
    })
}
