//! `POST /v1/moderate`: judges a text with no effect.

use serde::{Deserialize, Serialize};

use super::body::{Answer, Strict};
use super::error::{ApiError, ApiResult};
use super::intake::AttachmentDocument;
use super::state::Cx;
use crate::event::{FieldError, Hit, Message, Verdict};
use crate::interception::{Audience, Explanation, Scratch, Speaker};

/// Most attachments of a message that is tried.
const ATTACHMENTS_MAX: usize = 20;

/// A message to be judged.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ModerateIn {
    /// The text. Not stored, not logged.
    #[schema(example = "加薇·信领优惠")]
    text: String,
    /// A policy by itself; when left out the group's, or the default one where no group is given.
    #[serde(default)]
    #[schema(example = "standard")]
    policy: Option<String>,
    /// The account of `group`.
    #[serde(default)]
    #[schema(example = "demo")]
    account: Option<String>,
    /// Judge as in this group: by its policy and by the wordlists that are for it.
    #[serde(default)]
    #[schema(example = "g-1")]
    group: Option<String>,
    /// Whose message it would be; `own` is what we send ourselves.
    #[serde(default)]
    role: Speaker,
    /// What kind of message it would be, in the platform's words.
    #[serde(default)]
    content_type: Option<String>,
    /// What would go with it; at most 20.
    #[serde(default)]
    attachments: Vec<AttachmentDocument>,
    /// The text it would quote.
    #[serde(default)]
    quote: Option<String>,
    /// It would be forwarded.
    #[serde(default)]
    forwarded: bool,
    /// Also show the hits that did not count, and why.
    #[serde(default)]
    explain: bool,
}

/// The verdict about a text.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Moderated {
    /// The decision.
    verdict: Verdict,
    /// Which ruleset decided.
    ruleset: String,
    /// Which policy decided; null when members of this role are not judged.
    policy: Option<String>,
    /// Every hit that counted.
    hits: Vec<Hit>,
    /// Hits of wordlists that are not in force here yet: counted apart, without effect.
    shadow_hits: Vec<Hit>,
    /// The text with the hits replaced, when the verdict is `mask`.
    masked: Option<String>,
    /// With `explain`: everything that was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

/// Judges a text without effect 判定文本
#[utoipa::path(
    post, path = "/v1/moderate", tag = "moderation", operation_id = "moderate",
    request_body = ModerateIn,
    responses((status = 200, description = "The verdict", body = Moderated)),
)]
pub(super) async fn moderate(cx: Cx, Strict(asked): Strict<ModerateIn>) -> ApiResult<Answer<Moderated>> {
    check_text(&cx, &asked.text)?;
    check_text(&cx, asked.quote.as_deref().unwrap_or_default())?;
    if asked.attachments.len() > ATTACHMENTS_MAX {
        let detail = format!("has {} of them, at most {ATTACHMENTS_MAX}", asked.attachments.len());
        return Err(ApiError::fields(vec![FieldError::new("/attachments", "too_many", detail)]));
    }
    let rules = cx.rules();
    if let Some(name) = asked.policy.as_deref().filter(|name| rules.words.policy(name).is_none()) {
        let detail = format!("there is no policy `{name}`; see GET /v1/rulesets");
        return Err(ApiError::fields(vec![FieldError::new("/policy", "not_found", detail)]));
    }
    let context = match (&asked.account, &asked.group) {
        (Some(account), Some(group)) => Some(cx.directory().group_in(cx.scope(), account, group)?),
        (None, None) => None,
        (Some(_), None) => return Err(incomplete("/group", "name the group too")),
        (None, Some(_)) => return Err(incomplete("/account", "name the account of the group too")),
    };
    let now_ms = cx.now_ms();
    // A long text takes milliseconds: too long for a worker that others wait for.
    let judged = tokio::task::spawn_blocking(move || {
        let effective = context.as_ref().map(|context| context.effective_policy(rules.words.policy_book()));
        let policy = match (&effective, &asked.policy) {
            (Some(effective), None) => effective.for_speaker(asked.role),
            (Some(_) | None, policy) => rules.policy(policy.as_deref(), asked.role),
        };
        let group = asked.group.as_deref().unwrap_or_default();
        let audience = match &context {
            Some(context) => Audience { now_ms, ..context.audience(group, asked.role) },
            None => Audience { speaker: asked.role, now_ms, ..Audience::default() },
        };
        let message = Message {
            text: asked.text.into(),
            content_type: asked.content_type.map(Into::into),
            attachments: asked.attachments.into_iter().map(AttachmentDocument::into_attachment).collect(),
            quote: asked.quote.map(Into::into),
            forwarded: asked.forwarded,
            mentions: Vec::new(),
        };
        let judge = |policy| rules.words.judge_message(&message, policy, &audience, &mut Scratch::default());
        let judgement = policy.map(judge).unwrap_or_default();
        let explained = policy.filter(|_| asked.explain);
        Moderated {
            verdict: judgement.verdict,
            ruleset: rules.words.version().to_owned(),
            policy: policy.map(|policy| policy.name.clone()),
            hits: judgement.hits.into_iter().map(|judged| judged.hit).collect(),
            shadow_hits: judgement.shadow.into_iter().map(|judged| judged.hit).collect(),
            masked: judgement.masked,
            explanation: explained.map(|policy| rules.words.explain_message(&message, policy, &audience)),
        }
    });
    Ok(Answer::ok(judged.await.map_err(|error| ApiError::internal(&error))?))
}

/// Refuses a text that is too long to be tried.
pub(super) fn check_text(cx: &Cx, text: &str) -> ApiResult<()> {
    let max = cx.config().moderate_text_bytes_max;
    if text.len() <= max {
        return Ok(());
    }
    let detail = format!("has {} bytes, at most {max}", text.len());
    Err(ApiError::fields(vec![FieldError::new("/text", "too_long", detail)]))
}

fn incomplete(pointer: &str, detail: &str) -> ApiError {
    ApiError::fields(vec![FieldError::new(pointer, "required", detail)])
}
