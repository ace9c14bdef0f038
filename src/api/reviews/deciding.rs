//! `POST /v1/reviews/{review}/decision`: a person's word, once, with the allow phrase that they accept.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{ReviewView, view};
use crate::access::Right;
use crate::api::body::{Answer, Path, Precondition, Strict};
use crate::api::error::{ApiError, ApiResult, Code};
use crate::api::rules::{self, Why};
use crate::api::state::Cx;
use crate::event::{FieldError, GroupEvent, Role, Verdict, What};
use crate::ingest::events::Source;
use crate::interception::{WordlistSource, fold_into};
use crate::reviews::{Closed, Review, ReviewState};
use crate::rulesets::RuleKind;
use crate::storage::DocumentKind;

/// What a person decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum ReviewDecision {
    /// Nothing is wrong with the message.
    Approve,
    /// The rules are right.
    Deny,
}

/// A decision.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct DecisionIn {
    /// What.
    decision: ReviewDecision,
    /// Why, in words; no message text.
    reason: String,
    /// With `approve`: this phrase is to be allowed from now on. Needs the right `rules:write` and the whole scope.
    #[serde(default)]
    allow_phrase: Option<String>,
}

/// What came of a decision.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct DecisionView {
    /// The review as it stands now.
    review: ReviewView,
    /// What the decision does to the message, and what it cannot do, in plain Chinese.
    zh: &'static str,
    /// The same in English.
    en: &'static str,
    /// What became of the allow phrase.
    allow_phrase: Option<AllowedView>,
}

/// What became of an allow phrase.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct AllowedView {
    /// The phrase.
    phrase: String,
    /// The wordlist it is in.
    wordlist: String,
    /// It is in force.
    in_force: bool,
    /// Why it is not.
    reason: Option<String>,
}

/// Approves or denies 复核：通过或驳回
///
/// Once: a review that was closed is `409`. The decision stands in the audit log. What a platform has withdrawn cannot be
/// put back by it: the answer says so.
#[utoipa::path(
    post, path = "/v1/reviews/{review}/decision", tag = "reviews", operation_id = "decideReview",
    params(("review" = String, Path, description = "Its id")),
    request_body = DecisionIn,
    responses(
        (status = 200, description = "Decided", body = DecisionView),
        (status = 409, description = "It was closed before"),
    ),
)]
pub(in crate::api) async fn decide(
    cx: Cx,
    Path(id): Path<String>,
    Strict(asked): Strict<DecisionIn>,
) -> ApiResult<Answer<DecisionView>> {
    let review = cx.review(&id).await?;
    let reason = check_reason(&cx, &asked.reason)?;
    if let Some(phrase) = &asked.allow_phrase {
        check_phrase(&cx, asked.decision, phrase)?;
    }
    if let Some(closed) = &review.closed {
        return Err(closed_before(closed));
    }
    let state = match asked.decision {
        ReviewDecision::Approve => ReviewState::Approved,
        ReviewDecision::Deny => ReviewState::Denied,
    };
    let closed = Closed { state, by: cx.actor().operator.to_string(), at_ms: cx.now_ms(), reason };
    let place = cx.place_of_group(&review.account, &review.group);
    if state == ReviewState::Approved {
        cx.overturn(&review).await?;
    }
    // Decided first: of two people who decide at the same time, only the one who was first adds a phrase.
    let review = cx.reviews().close(cx.actor(), review, closed, &place).await?;
    let (zh, en) = effect(&review);
    let allow_phrase = match asked.allow_phrase {
        Some(phrase) => Some(allow(&cx, &format!("review {}", review.id), phrase.trim().to_owned()).await),
        None => None,
    };
    let (rules, now_ms) = (cx.rules(), cx.now_ms());
    let review = view(&cx, &rules, review, now_ms).await?;
    Ok(Answer::ok(DecisionView { review, zh, en, allow_phrase }))
}

impl Cx {
    /// Lets the numbers know that a verdict was wrong; of one review once, however often it is asked.
    async fn overturn(&self, review: &Review) -> ApiResult<()> {
        let Some(member) = review.member.clone().filter(|_| !review.group.is_empty()) else { return Ok(()) };
        let wordlists: Vec<_> = review.hits.iter().map(|hit| hit.wordlist.clone().into()).collect();
        let blocked = review.verdict == Some(Verdict::Block);
        if wordlists.is_empty() && !blocked {
            return Ok(());
        }
        let (account, group, of) = (review.account.clone(), review.group.clone(), member.clone());
        let seat = self.blocking(move |storage| storage.member(&account, &group, &of)).await?;
        let event = GroupEvent {
            id: format!("overturned-{}", review.id).into(),
            account: review.account.clone().into(),
            group: review.group.clone().into(),
            member: Some(member.into()),
            name: None,
            role: seat.map_or(Role::Customer, |seat| seat.role),
            at_ms: None,
            step: None,
            what: What::Overturned { said_ms: review.at_ms, blocked, wordlists },
        };
        let not_ready = |detail: String| ApiError::new(Code::NotReady, detail);
        let taken = self.ingest().take(Source::Token(self.caller()), std::iter::once(Ok(event))).await;
        for result in taken.map_err(|refusal| not_ready(refusal.detail))? {
            result.map_err(|refusal| not_ready(refusal.detail))?;
        }
        Ok(())
    }
}

/// Checks the words of a decision or an appeal.
pub(in crate::api) fn check_reason(cx: &Cx, reason: &str) -> ApiResult<String> {
    let (reason, chars_max) = (reason.trim(), cx.reviews().config().reason_chars_max);
    let field =
        |code: &str, detail: String| Err(ApiError::fields(vec![FieldError::new("/reason", code, detail)]));
    match reason.chars().count() {
        0 => field("required", "say why, in a few words".to_owned()),
        chars if chars > chars_max => {
            field("too_long", format!("has {chars} characters, at most {chars_max}"))
        }
        _ => Ok(reason.to_owned()),
    }
}

fn check_phrase(cx: &Cx, decision: ReviewDecision, phrase: &str) -> ApiResult<()> {
    let field = |code: &str, detail: &str| {
        Err(ApiError::fields(vec![FieldError::new("/allow_phrase", code, detail)]))
    };
    if decision == ReviewDecision::Deny {
        return field("invalid", "goes with `approve` only");
    }
    may_allow(cx, phrase)
}

/// Checks that the caller may allow a phrase, and that it is one.
pub(in crate::api) fn may_allow(cx: &Cx, phrase: &str) -> ApiResult<()> {
    let field = |code: &str, detail: &str| {
        Err(ApiError::fields(vec![FieldError::new("/allow_phrase", code, detail)]))
    };
    if !cx.caller().may(Right::RulesWrite) || !cx.scope().is_everything() {
        let detail = "an allow phrase is a rule for everybody: it needs `rules:write` and the whole scope";
        return Err(ApiError::new(Code::Forbidden, detail));
    }
    let mut folded = String::new();
    fold_into(phrase, &mut folded);
    if folded.chars().count() < 2 {
        return field("length", "has fewer than two characters that count");
    }
    Ok(())
}

fn closed_before(closed: &Closed) -> ApiError {
    let state = match closed.state {
        ReviewState::Approved => "approved",
        ReviewState::Denied => "denied",
        ReviewState::Lapsed | ReviewState::Open => "lapsed",
    };
    ApiError::new(Code::Conflict, format!("it was closed before: {state} by {}", closed.by))
}

/// What a decision does to the message itself: nothing that the platform has done can be undone by it.
fn effect(review: &Review) -> (&'static str, &'static str) {
    match (review.state(), review.verdict) {
        (ReviewState::Approved, Some(Verdict::Block)) => (
            "已记录。已撤回或拦下的消息无法恢复，需要成员重新发送。",
            "Noted. A message that was withdrawn or held back cannot be put back: its sender has to send it again.",
        ),
        (ReviewState::Approved, Some(Verdict::Mask)) => (
            "已记录。已替换的内容无法恢复原样。",
            "Noted. What was shown with words replaced cannot be restored.",
        ),
        (ReviewState::Approved, _) => (
            "已记录。消息没有因为待复核而被撤回，无需恢复。",
            "Noted. A message under review stays where it is: there is nothing to restore.",
        ),
        (ReviewState::Denied, Some(Verdict::Review)) => (
            "已记录。本决定不会撤回消息：请群主或管理员在平台上处理。",
            "Noted. This does not withdraw the message: the group's owner or an admin can, on the platform.",
        ),
        (ReviewState::Denied | ReviewState::Lapsed | ReviewState::Open, _) => {
            ("已记录，原判定不变。", "Noted: what was decided stands.")
        }
    }
}

/// Puts a phrase into the wordlist of allowed ones, the same way as `PUT /v1/wordlists/{wordlist}`.
pub(in crate::api) async fn allow(cx: &Cx, why: &str, phrase: String) -> AllowedView {
    let wordlist = cx.reviews().config().allow_wordlist.clone();
    let written = write_phrase(cx, why, &wordlist, &phrase).await;
    let reason = written.err().map(|error| error.detail);
    AllowedView { phrase, wordlist, in_force: reason.is_none(), reason }
}

async fn write_phrase(cx: &Cx, why: &str, wordlist: &str, phrase: &str) -> ApiResult<()> {
    let (mut body, version) = allowed(cx, wordlist).await?;
    let entry = json!({"text": phrase});
    match body.entry("allow").or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(all) if all.iter().any(|one| one["text"] == phrase) => return Ok(()),
        Value::Array(all) => all.push(entry),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            *other = Value::Array(vec![entry]);
        }
    }
    let at = Precondition::at(version);
    let why = Why::of(why.to_owned());
    rules::put(cx, RuleKind::Wordlist, wordlist.to_owned(), at, why, body).await.map(drop)
}

/// Returns the wordlist of allowed phrases as it was written, and its version; an empty one and 0 when there is none.
async fn allowed(cx: &Cx, wordlist: &str) -> ApiResult<(Map<String, Value>, u64)> {
    let document = cx.storage().document(DocumentKind::Wordlist, wordlist).await?;
    Ok(match document {
        Some(document) => (serde_json::from_str(&document.body).unwrap_or_default(), document.version),
        None => (Map::new(), 0),
    })
}

/// Returns the same list with one phrase more, to be tried.
pub(super) async fn allowed_with(cx: &Cx, wordlist: &str, phrase: &str) -> ApiResult<WordlistSource> {
    let (mut body, _) = allowed(cx, wordlist).await?;
    body.insert("name".to_owned(), wordlist.into());
    let mut list: WordlistSource =
        serde_json::from_value(Value::Object(body)).map_err(|error| ApiError::internal(&error))?;
    list.allow.push(crate::interception::AllowPhrase { text: phrase.to_owned(), line: 0 });
    Ok(list)
}
