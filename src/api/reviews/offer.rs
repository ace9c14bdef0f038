//! `GET /v1/reviews/{review}/offer`: which allow phrase would have kept the message from being held up, and what else it
//! would let through.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde::Serialize;
use serde_json::json;

use super::deciding::allowed_with;
use crate::api::body::{Answer, Path};
use crate::api::error::{ApiError, ApiResult, Code};
use crate::api::evidence::refused;
use crate::api::ports::Draft;
use crate::api::replays::GroupInContext;
use crate::api::state::Cx;
use crate::event::{HOUR_MS, Hit, Verdict};
use crate::evidence::replay::{self, GroupSides, JudgedGroup, Question, Sides, VisibleGroup};
use crate::evidence::{History, Kept};
use crate::interception::{Audience, Scratch, Speaker, shop_talk};
use crate::pipeline::Rules;
use crate::storage::AuditEntry;

/// How far back the effect is looked for.
const HISTORY_MS: i64 = 24 * HOUR_MS;

/// Messages of the history that each phrase is tried on at most.
const MESSAGES_MAX: usize = 20_000;

/// Allow phrases for a review.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct OfferView {
    /// The hit they are for: the first that counts today; null when nothing would hit.
    hit: Option<Hit>,
    /// The verdict today.
    verdict: Verdict,
    /// Phrases, the narrowest first; none when the message is nothing but the term.
    phrases: Vec<PhraseView>,
    /// What to know about them, in plain Chinese.
    zh: &'static str,
    /// The same in English.
    en: &'static str,
}

/// One allow phrase and what it would do.
#[derive(Serialize, utoipa::ToSchema)]
struct PhraseView {
    /// The phrase, to be sent as `allow_phrase`.
    phrase: String,
    /// With it this hit does not count. If not: the policy leaves the wordlist of allowed phrases out.
    prevents: bool,
    /// The verdict about this message with the phrase; other hits may remain.
    verdict: Verdict,
    /// On the last 24 hours of the history in the groups of the scope; null where no history is kept.
    history: Option<EffectView>,
    /// On the built-in sample of ordinary shop talk.
    sample: EffectView,
}

/// What a phrase changes on some messages.
#[derive(Serialize, utoipa::ToSchema)]
struct EffectView {
    /// Messages looked at.
    messages: u64,
    /// Of these with another verdict.
    changed: u64,
    /// There were more messages than one phrase is tried on.
    truncated: bool,
}

const OFFER: (&str, &str) = (
    "先看它还会放过多少消息，再随 approve 一起提交 allow_phrase。",
    "See what else a phrase lets through, then send it as `allow_phrase` with `approve`.",
);

const NONE: (&str, &str) = (
    "没有可放行的短语：现在已不命中，或句子里只有这个词；可改词表或策略。",
    "There is no phrase to allow: nothing hits today, or the sentence is nothing but the term; change the list or the policy.",
);

/// Offers allow phrases 建议放行短语
///
/// Reads the kept text: that stands in the audit log first. Each phrase is tried on this message, on the history and on a
/// sample of ordinary talk.
#[utoipa::path(
    get, path = "/v1/reviews/{review}/offer", tag = "reviews", operation_id = "offerAllowPhrases",
    params(("review" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "Up to three phrases", body = OfferView),
        (status = 409, description = "The text is not kept"),
    ),
)]
pub(in crate::api) async fn offer(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<OfferView>> {
    let review = cx.review(&id).await?;
    let found = match &review.evidence {
        Some(evidence) => cx.find_evidence(&evidence.id).await?,
        None => None,
    };
    let found = found.ok_or_else(|| {
        let detail = "the text is not kept, so nothing can be offered; GET /v1/reviews/{review} says why";
        ApiError::new(Code::Conflict, detail)
    })?;
    let kept = Arc::new(cx.open_evidence(&found, "offer").await?);
    let context = cx.directory().context(&review.account, &review.group);
    let group = context.map(|context| GroupInContext::of(context, &review.group));
    let (rules, now_ms) = (cx.rules(), cx.now_ms());
    let (hit, verdict, phrases) = {
        let (rules, kept, group) = (Arc::clone(&rules), Arc::clone(&kept), group.clone());
        off_workers(move || pieces(&rules, &kept, group.as_deref(), now_ms)).await?
    };
    let mut views = Vec::new();
    if let Some(hit) = &hit {
        for phrase in phrases {
            views.push(try_phrase(&cx, &rules, &kept, group.clone(), hit, phrase).await?);
        }
    }
    let (zh, en) = if views.is_empty() { NONE } else { OFFER };
    Ok(Answer::ok(OfferView { hit, verdict, phrases: views, zh, en }))
}

/// Judges the text by today's rules and cuts pieces around the first hit.
fn pieces(
    rules: &Rules,
    kept: &Kept,
    group: Option<&dyn JudgedGroup>,
    now_ms: i64,
) -> (Option<Hit>, Verdict, Vec<String>) {
    let (words, speaker) = (&rules.words, Speaker::from(kept.role));
    let effective = group.map(|group| group.effective_policy(words.policy_book()));
    let policy = match &effective {
        Some(effective) => effective.for_speaker(speaker),
        None => rules.policy(None, speaker),
    };
    let Some(policy) = policy else { return (None, Verdict::Pass, Vec::new()) };
    let audience = match group {
        Some(group) => Audience { now_ms, ..group.audience(speaker) },
        None => Audience { speaker, now_ms, ..Audience::default() },
    };
    let judgement = words.judge(&kept.text, policy, &audience, &mut Scratch::default());
    let hit = judgement.hits.into_iter().next().map(|judged| judged.hit);
    let phrases = hit.as_ref().map(|hit| words.allow_phrases(&kept.text, hit.span, policy, &audience));
    (hit, judgement.verdict, phrases.unwrap_or_default())
}

async fn try_phrase(
    cx: &Cx,
    rules: &Arc<Rules>,
    kept: &Arc<Kept>,
    group: Option<VisibleGroup>,
    hit: &Hit,
    phrase: String,
) -> ApiResult<PhraseView> {
    let list = allowed_with(cx, &cx.reviews().config().allow_wordlist, &phrase).await?;
    let draft = Draft { wordlist: Some(list), ..Draft::default() };
    let draft = cx.house().compile_draft(draft).await.map_err(|reason| ApiError::internal(&reason))?;
    let sides = Sides { present: Arc::clone(rules), draft, policy: None, now_ms: cx.now_ms() };
    let history = if cx.evidence().keeps_history() {
        let audit = AuditEntry::by(cx.actor(), cx.now_ms(), "read", "evidence", "history")
            .with(&json!({"purpose": "offer", "hours": 24}));
        Some(cx.evidence().history(audit).await.map_err(refused)?)
    } else {
        None
    };
    let question = Question {
        since_ms: cx.now_ms().saturating_sub(HISTORY_MS),
        groups: Vec::new(),
        visible: cx.visible_groups(),
        messages_max: MESSAGES_MAX,
        examples_max: 0,
    };
    let (kept, hit) = (Arc::clone(kept), hit.clone());
    let tried = move || {
        let by = sides.of_group(group);
        let (_, after) = sides.judge(&by, kept.role, &kept.text, &mut Scratch::default());
        let remains =
            |other: &Hit| other.span == hit.span && other.term == hit.term && other.wordlist == hit.wordlist;
        let prevents = !after.hits.iter().any(|judged| remains(&judged.hit));
        let sample = on_sample(&sides, &by);
        let history = history.map(|history| on_history(&history, &sides, &question)).transpose();
        history.map(|history| PhraseView { phrase, prevents, verdict: after.verdict, history, sample })
    };
    Ok(off_workers(tried).await??)
}

fn on_history(
    history: &History,
    sides: &Sides,
    question: &Question,
) -> Result<EffectView, crate::storage::StorageError> {
    let outcome = replay::run(history, sides, question, &AtomicU64::new(0))?;
    Ok(EffectView { messages: outcome.messages, changed: outcome.changed, truncated: outcome.truncated })
}

fn on_sample(sides: &Sides, by: &GroupSides) -> EffectView {
    let mut effect = EffectView { messages: 0, changed: 0, truncated: false };
    let mut scratch = Scratch::default();
    for text in shop_talk() {
        let (before, after) = sides.judge(by, crate::event::Role::Customer, text, &mut scratch);
        effect.messages += 1;
        effect.changed += u64::from(before.verdict != after.verdict);
    }
    effect
}

async fn off_workers<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> ApiResult<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ApiError::internal(&error))
}
