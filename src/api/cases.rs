//! `/v1/cases`: the same advert in many groups, all of its messages, and one decision about them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Query, Strict};
use super::error::{ApiError, ApiResult, Code};
use super::groups::LimitQuery;
use super::moment;
use super::page::{self, Page, PageQuery};
use super::reviews::deciding::check_reason;
use super::state::Cx;
use crate::event::{Alike, EventKey, FieldError, Verdict};
use crate::fleet::cases::{CaseAct, CaseError, Decided, Done, place_of};
use crate::storage::{CaseMessage, CasePlace, CaseRow};

/// Cases that are looked through for one.
const CASES_READ: usize = 10_000;

/// The same advert in many groups.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CaseView {
    /// Its id.
    id: String,
    /// How it stands.
    state: CaseState,
    /// Keyed hash of what it was first known by, in hex; the text itself is not kept.
    fingerprint: String,
    /// The groups of the scope it was seen in, as `account/group`.
    groups: Vec<String>,
    /// First sighting.
    first_at: String,
    /// Last sighting that made it notably larger.
    last_at: String,
}

/// How a case stands.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum CaseState {
    /// It waits for a person.
    Open,
    /// Its messages are withdrawn, later copies too.
    Withdrawn,
    /// A person found nothing wrong with it.
    Dismissed,
}

impl CaseState {
    fn of(decided: Option<&Decided>) -> Self {
        match decided.map(|decided| decided.act) {
            None => CaseState::Open,
            Some(CaseAct::Withdraw) => CaseState::Withdrawn,
            Some(CaseAct::Dismiss) => CaseState::Dismissed,
        }
    }
}

/// The latest cases.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Cases {
    /// Newest first.
    items: Vec<CaseView>,
}

/// A case with what it holds.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CaseDetail {
    /// The case.
    #[serde(flatten)]
    case: CaseView,
    /// Its messages in the groups of the scope.
    messages: u64,
    /// Its authors there, once for each group.
    members: u64,
    /// Messages by what they belong to it: `text`, `near`, `link`, `contact`, `file`.
    by: BTreeMap<&'static str, u64>,
    /// The id of a kept text of it, to be read at `/v1/evidence/{evidence}`; null where no policy keeps one.
    evidence: Option<String>,
    /// The decision.
    decision: Option<DecidedView>,
}

/// A decision.
#[derive(Serialize, utoipa::ToSchema)]
struct DecidedView {
    /// What.
    act: CaseAct,
    /// Its authors were to be taken out too.
    remove_members: bool,
    /// The operator.
    by: String,
    /// When.
    at: String,
    /// Why, in their words.
    reason: String,
}

/// A message of a case.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CaseMessageView {
    /// Account.
    account: String,
    /// Group.
    group: String,
    /// Who said it.
    member: Option<String>,
    /// The event's id; null where it was not noted.
    event: Option<String>,
    /// When it arrived.
    at: String,
    /// By what it belongs to the case.
    by: Alike,
    /// What was decided about it when it came.
    verdict: Verdict,
}

/// Lists cases 跨群重复内容
#[utoipa::path(
    get, path = "/v1/cases", tag = "moderation", operation_id = "listCases", params(LimitQuery),
    responses((status = 200, description = "Cases with a group of the scope, newest first", body = Cases)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<LimitQuery>) -> ApiResult<Answer<Cases>> {
    let limit = cx.page_rows(query.limit)?;
    let cases = cx.cases(limit).await?;
    Ok(Answer::ok(Cases { items: cases.into_iter().map(|case| view(&cx, case)).collect() }))
}

fn view(cx: &Cx, case: CaseRow) -> CaseView {
    CaseView {
        state: CaseState::of(cx.fleet().decided(&case.id).as_ref()),
        id: case.id,
        fingerprint: format!("{:016x}", case.fingerprint),
        groups: case.groups.into_iter().map(|(account, group)| format!("{account}/{group}")).collect(),
        first_at: moment::show(case.first_ms),
        last_at: moment::show(case.last_ms),
    }
}

/// Shows a case 查看跨群重复内容
#[utoipa::path(
    get, path = "/v1/cases/{case}", tag = "moderation", operation_id = "getCase",
    params(("case" = String, Path, description = "Its id")),
    responses((status = 200, description = "With counts of what it holds in the scope", body = CaseDetail)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<CaseDetail>> {
    let case = cx.case(&id).await?;
    let contents = cx.fleet().contents(&id, |account, group| cx.covers_group(account, group)).await?;
    let decision = cx.fleet().decided(&id).map(|decided| DecidedView {
        act: decided.act,
        remove_members: decided.removes,
        by: decided.by,
        at: moment::show(decided.at_ms),
        reason: decided.reason,
    });
    Ok(Answer::ok(CaseDetail {
        case: view(&cx, case),
        messages: contents.messages,
        members: contents.members.len() as u64,
        by: contents.by,
        evidence: cx.kept_text(&id).await?,
        decision,
    }))
}

/// Lists the messages of a case 重复内容的每条消息
#[utoipa::path(
    get, path = "/v1/cases/{case}/messages", tag = "moderation", operation_id = "listCaseMessages",
    params(("case" = String, Path, description = "Its id"), PageQuery),
    responses((status = 200, description = "Messages in groups of the scope, in the order they came", body = Page<CaseMessageView>)),
)]
pub(super) async fn messages(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> ApiResult<Answer<Page<CaseMessageView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: Option<CasePlace> = page::decode(query.cursor.as_deref())?;
    cx.case(&id).await?;
    let read = cx.fleet().page(&id, after, limit + 1).await?;
    let next = if read.len() > limit { read.get(limit - 1).map(place_of) } else { None };
    let seen =
        read.into_iter().take(limit).filter(|message| cx.covers_group(&message.account, &message.group));
    let items = seen.map(message_view).collect();
    Ok(Answer::ok(Page { items, next_cursor: next.map(|next| page::encode(&next)) }))
}

fn message_view(message: CaseMessage) -> CaseMessageView {
    let told = |text: String| Some(text).filter(|text| !text.is_empty());
    CaseMessageView {
        account: message.account,
        group: message.group,
        member: told(message.member),
        event: told(message.of),
        at: moment::show(message.at_ms),
        by: message.by,
        verdict: message.verdict,
    }
}

/// A decision about a case.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseDecisionIn {
    /// What.
    act: CaseAct,
    /// With `withdraw`: take its authors out too, as far as the removals of the hour go.
    #[serde(default)]
    remove_members: bool,
    /// With `remove_members`: how many members the case shows, so that nobody takes out more than they have seen.
    #[serde(default)]
    confirm_members: Option<u64>,
    /// Why, in words; no message text.
    reason: String,
}

/// What came of a decision.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CaseDecisionView {
    /// What is done and what cannot be.
    #[serde(flatten)]
    done: Done,
    /// What to do next, in plain Chinese.
    zh: String,
    /// The same in English.
    en: String,
}

/// Decides a case 一次处理所有群
///
/// Once, for every group of it: the caller's scope must hold them all. Later copies follow by themselves.
#[utoipa::path(
    post, path = "/v1/cases/{case}/decision", tag = "moderation", operation_id = "decideCase",
    params(("case" = String, Path, description = "Its id")),
    request_body = CaseDecisionIn,
    responses(
        (status = 200, description = "Decided", body = CaseDecisionView),
        (status = 409, description = "It was decided before"),
    ),
)]
pub(super) async fn decide(
    cx: Cx,
    Path(id): Path<String>,
    Strict(asked): Strict<CaseDecisionIn>,
) -> ApiResult<Answer<CaseDecisionView>> {
    cx.case(&id).await?;
    let reason = check_reason(&cx, &asked.reason)?;
    let contents = cx.fleet().contents(&id, |_, _| true).await?;
    if !contents.groups.iter().all(|(account, group)| cx.covers_group(account, group)) {
        let detail =
            "the case reaches into groups outside of your scope: somebody who sees all of them has to decide";
        return Err(ApiError::new(Code::Forbidden, detail));
    }
    check_members(&asked, contents.members.len() as u64)?;
    let decided = Decided {
        act: asked.act,
        removes: asked.remove_members,
        by: cx.actor().operator.to_string(),
        at_ms: cx.now_ms(),
        reason,
    };
    let done = cx.fleet().decide(cx.actor(), &id, decided).await.map_err(|error| match error {
        CaseError::Before => ApiError::new(Code::Conflict, "the case was decided before"),
        CaseError::Storage(error) => error.into(),
    })?;
    let (zh, en) = next(&done);
    Ok(Answer::ok(CaseDecisionView { done, zh, en }))
}

fn check_members(asked: &CaseDecisionIn, members: u64) -> ApiResult<()> {
    let field = |pointer: &str, code: &str, detail: String| {
        Err(ApiError::fields(vec![FieldError::new(pointer, code, detail)]))
    };
    if !asked.remove_members {
        return Ok(());
    }
    if asked.act == CaseAct::Dismiss {
        return field("/remove_members", "invalid", "goes with `withdraw` only".to_owned());
    }
    if asked.confirm_members != Some(members) {
        let detail = format!(
            "the case has {members} members; look at them, then send `\"confirm_members\": {members}`"
        );
        return field("/confirm_members", "confirm", detail);
    }
    Ok(())
}

fn next(done: &Done) -> (String, String) {
    let (mut zh, mut en) = (
        "已处理，之后的同类消息会自动照办。".to_owned(),
        "Done; later copies follow by themselves.".to_owned(),
    );
    let left = done.not_withdrawn + done.not_removed;
    if left > 0 {
        _ = write!(zh, "有 {left} 项平台不支持由程序处理，请群主在平台上处理（见消息列表）。");
        _ = write!(
            en,
            " {left} of them no program can do on their platform: ask the owners (see the messages)."
        );
    }
    if done.over_budget > 0 {
        _ = write!(zh, "本小时移出名额已用完，{} 人未移出。", done.over_budget);
        _ = write!(en, " The removals of this hour are used up: {} members stay.", done.over_budget);
    }
    (zh, en)
}

impl Cx {
    /// Returns a case with a visible group.
    async fn case(&self, id: &str) -> ApiResult<CaseRow> {
        let cases = self.cases(CASES_READ).await?;
        cases.into_iter().find(|case| case.id == id).ok_or_else(|| ApiError::not_found("case"))
    }

    /// Returns the id of a text of a case that is kept, in a visible group.
    async fn kept_text(&self, case: &str) -> ApiResult<Option<String>> {
        let secret = self.storage().dedupe_secret();
        for message in self.fleet().page(case, None, 50).await? {
            if message.of.is_empty() || !self.covers_group(&message.account, &message.group) {
                continue;
            }
            let id = EventKey::of(&secret, &message.account, &message.group, &message.of).evidence();
            if self.find_evidence(&id).await?.is_some() {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}
