//! `POST /v1/appeals`: a member does not agree with what was decided about a message.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::deciding::check_reason;
use crate::api::body::Answer;
use crate::api::error::{ApiError, ApiResult};
use crate::api::idempotency::Keyed;
use crate::api::state::Cx;
use crate::directory::GroupContext;
use crate::event::{EventKey, EvidenceKind, FieldError, Role, Verdict};
use crate::evidence::{Found, Kept, Original};
use crate::interception::Speaker;
use crate::reviews::{EvidenceRef, Review, ReviewHit, ReviewKind, id_at};

/// Hits of the member that are shown with an appeal.
const HITS_MAX: usize = 20;

/// Hits of the group that are looked through for them.
const HITS_READ: usize = 500;

/// An appeal.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct AppealIn {
    /// The account.
    #[schema(example = "demo")]
    account: String,
    /// The group.
    #[schema(example = "g-7")]
    group: String,
    /// The event's id, as it was sent to `POST /v1/events`; or `member`.
    #[serde(default)]
    event: Option<String>,
    /// Whose message it is, where the event is not known.
    #[serde(default)]
    member: Option<String>,
    /// The message, as the member says it was. Kept as evidence where the group's policy keeps `reported`, else dropped.
    #[serde(default)]
    text: Option<String>,
    /// Why, in words; no message text.
    reason: String,
}

/// What became of an appeal.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct AppealView {
    /// The review it became.
    review: String,
    /// The given text is kept as evidence.
    text_kept: bool,
}

/// Brings an appeal 成员申诉
///
/// It waits in `/v1/reviews` like a verdict `review`.
#[utoipa::path(
    post, path = "/v1/appeals", tag = "reviews", operation_id = "createAppeal",
    params(("Idempotency-Key" = String, Header, description = "A new UUID; the same one when the request is repeated")),
    request_body = AppealIn,
    responses(
        (status = 201, description = "It waits; `Location` shows it", body = AppealView),
        (status = 409, description = "The first request with this key is still running"),
    ),
)]
pub(in crate::api) async fn create(cx: Cx, mut asked: Keyed<AppealIn>) -> ApiResult<Response> {
    let key = asked.require()?;
    let AppealIn { account, group, event, member, text, reason } = asked.value;
    let context = cx.directory().group_in(cx.scope(), &account, &group)?;
    let reason = check_reason(&cx, &reason)?;
    check(&cx, event.as_deref(), member.as_deref(), text.as_deref())?;
    let (secret, now_ms) = (cx.storage().dedupe_secret(), cx.now_ms());
    let unique = EventKey::of(&secret, &account, &group, &key.id("appeal/"));
    let found = match &event {
        Some(event) => cx.find_evidence(&EventKey::of(&secret, &account, &group, event).evidence()).await?,
        None => None,
    };
    let member = member.or_else(|| found.as_ref()?.member().map(str::to_owned));
    let kept = match (&found, text) {
        (None, Some(text)) => keep(
            &cx,
            &context,
            &Report {
                key: unique,
                account: &account,
                group: &group,
                member: member.as_deref(),
                text,
                now_ms,
            },
        ),
        _ => None,
    };
    let text_kept = kept.is_some();
    let known = |found: &Found| EvidenceRef { id: found.id().to_owned(), expires_ms: found.expires_ms() };
    let review = Review {
        id: id_at(now_ms, unique.0),
        kind: ReviewKind::Appeal,
        at_ms: found.as_ref().map_or(now_ms, Found::at_ms),
        opened_ms: now_ms,
        verdict: found.as_ref().and_then(verdict_of),
        ruleset: None,
        policy: None,
        hits: hits_of(&cx, &account, &group, member.as_deref()).await?,
        evidence: found.as_ref().map(known).or(kept),
        reason: Some(reason),
        closed: None,
        account,
        group,
        member,
        event,
        because: Vec::new(),
    };
    let answer = AppealView { review: review.id.clone(), text_kept };
    let record = key.record(StatusCode::CREATED, &answer);
    cx.reviews().appeal(cx.actor(), &review, Some(record), &context.place).await?;
    Ok(Answer::created(format!("/v1/reviews/{}", review.id), answer).into_response())
}

fn check(cx: &Cx, event: Option<&str>, member: Option<&str>, text: Option<&str>) -> ApiResult<()> {
    let field = |pointer: &str, code: &str, detail: &str| {
        Err(ApiError::fields(vec![FieldError::new(pointer, code, detail)]))
    };
    match (event, member) {
        (None, None) => return field("/event", "required", "name the `event` or the `member`"),
        (Some(event), _) if event.is_empty() || event.len() > crate::event::GroupEvent::ID_BYTES_MAX => {
            return field("/event", "length", "must have 1 to 128 bytes");
        }
        (_, Some(member)) if member.is_empty() || member.len() > crate::event::GroupEvent::ID_BYTES_MAX => {
            return field("/member", "length", "must have 1 to 128 bytes");
        }
        _ => {}
    }
    let bytes_max = cx.config().moderate_text_bytes_max;
    if text.is_some_and(|text| text.len() > bytes_max) {
        return field("/text", "too_long", &format!("has more than {bytes_max} bytes"));
    }
    Ok(())
}

/// A text that somebody brings.
struct Report<'a> {
    key: EventKey,
    account: &'a str,
    group: &'a str,
    member: Option<&'a str>,
    text: String,
    now_ms: i64,
}

/// Keeps a brought text where the group's policy says so.
fn keep(cx: &Cx, context: &GroupContext, report: &Report<'_>) -> Option<EvidenceRef> {
    let rules = cx.rules();
    let (kind, limits) = (EvidenceKind::Reported, cx.evidence().config().limits());
    let effective = context.effective_policy(rules.words.policy_book());
    let keeping = effective.for_speaker(Speaker::Customer)?.evidence.as_ref()?;
    if !cx.evidence().is_on() || !keeping.keeps(kind) {
        return None;
    }
    let expires_ms = limits.expires_ms(keeping, kind, report.now_ms);
    cx.evidence().keep(&Original {
        key: report.key,
        account: report.account,
        group: report.group,
        member: report.member,
        at_ms: report.now_ms,
        kind,
        expires_ms,
        kept: Kept {
            text: report.text.clone(),
            role: Role::Customer,
            // Nobody has judged what somebody brings.
            verdict: Verdict::Pass,
            ruleset: rules.words.version().to_owned(),
            hits: Vec::new(),
        },
    });
    Some(EvidenceRef { id: report.key.evidence(), expires_ms })
}

/// What was decided about a message, as far as the reason for keeping it tells.
fn verdict_of(found: &Found) -> Option<Verdict> {
    match found.kind() {
        EvidenceKind::Reviewed => Some(Verdict::Review),
        EvidenceKind::Blocked => Some(Verdict::Block),
        EvidenceKind::Reported | EvidenceKind::History | EvidenceKind::Question => None,
    }
}

/// Returns the member's latest hits in the group.
async fn hits_of(cx: &Cx, account: &str, group: &str, member: Option<&str>) -> ApiResult<Vec<ReviewHit>> {
    let Some(member) = member else { return Ok(Vec::new()) };
    let hits = cx.hits(account.to_owned(), group.to_owned(), HITS_READ).await?;
    let own = hits.into_iter().filter(|hit| hit.member == member).take(HITS_MAX);
    Ok(own
        .map(|hit| ReviewHit {
            wordlist: hit.wordlist,
            category: hit.category,
            level: None,
            term: format!("{:016x}", hit.term),
            span: [hit.span.0, hit.span.1],
            via: hit.via,
        })
        .collect())
}
