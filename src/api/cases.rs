//! `/v1/cases`: the same advert in many groups, all of its messages, and one decision about them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Query, Strict};
use super::error::{ApiError, ApiResult, Code};
use super::groups::LimitQuery;
use super::moment;
use super::page::{self, Page, PageQuery};
use super::removals::{self, RemovalGroup, RemovalPreview};
use super::reviews::deciding::check_reason;
use super::state::Cx;
use crate::event::{Alike, EventKey, FieldError, Verdict};
use crate::fleet::cases::{CaseAct, CaseError, Decided, Done, place_of};
use crate::fleet::removals::{Order, Who};
use crate::storage::{AuditEntry, CaseMessage, CasePlace, CaseRow, Change};

/// Groups that a case names.
const GROUPS_SHOWN_MAX: usize = 1_000;

/// The same advert in many groups.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CaseView {
    /// Its id.
    id: String,
    /// How it stands.
    state: CaseState,
    /// Keyed hash of what it was first known by, in hex; the text itself is not kept.
    fingerprint: String,
    /// The groups of the scope it was seen in, as `account/group`; a thousand at most.
    groups: Vec<String>,
    /// How many they are, now.
    group_count: usize,
    /// First sighting.
    first_at: String,
    /// Its latest message, in any group.
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
    /// Its messages in the groups of the scope, now.
    messages: u64,
    /// Its authors there, each counted once however many groups they are in.
    members: u64,
    /// Messages by what they belong to it: `text`, `near`, `link`, `contact`, `file`.
    by: BTreeMap<&'static str, u64>,
    /// The id of a kept text of it, to be read at `/v1/evidence/{evidence}`; null where no policy keeps one.
    evidence: Option<String>,
    /// What `remove_members` would come to, in the groups of the scope.
    removals: RemovalPreview,
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
    /// The act that stood before, where it was decided anew.
    replaces: Option<CaseAct>,
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
        group_count: case.groups.len(),
        groups: case
            .groups
            .into_iter()
            .take(GROUPS_SHOWN_MAX)
            .map(|(account, group)| format!("{account}/{group}"))
            .collect(),
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
        replaces: decided.replaces,
    });
    Ok(Answer::ok(CaseDetail {
        case: view(&cx, case),
        messages: contents.messages,
        members: contents.people() as u64,
        removals: cx.removals(Order::CASE, contents.members.iter()),
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
    /// To decide anew: the act that stands now. What it would still have done is not done any more.
    #[serde(default)]
    replaces: Option<CaseAct>,
    /// With `dismiss` and `replaces`: pardon whoever the case has taken out, in every group of it.
    #[serde(default)]
    pardon_members: bool,
}

/// What came of a decision.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CaseDecisionView {
    /// What is done and what cannot be.
    #[serde(flatten)]
    done: Done,
    /// What is undone of the decision that stood before, and what can be; null where there was none.
    undone: Option<UndoneView>,
    /// What to do next, in plain Chinese.
    zh: String,
    /// The same in English.
    en: String,
}

/// What becomes of those whom a case had taken out.
#[derive(Serialize, utoipa::ToSchema)]
struct UndoneView {
    /// Members it had taken out who were not pardoned before, once for each group.
    members: usize,
    /// They are pardoned now.
    pardoned: bool,
    /// Where they were; the first hundred groups. No program puts them back: the owners have to invite them.
    groups: Vec<RemovalGroup>,
}

/// Decides a case 一次处理所有群
///
/// For every group of it: the caller's scope must hold them all. Later copies follow by themselves. Deciding anew takes the act
/// that stands in `replaces`: from then on nothing more follows from it.
#[utoipa::path(
    post, path = "/v1/cases/{case}/decision", tag = "moderation", operation_id = "decideCase",
    params(("case" = String, Path, description = "Its id")),
    request_body = CaseDecisionIn,
    responses(
        (status = 200, description = "Decided", body = CaseDecisionView),
        (status = 409, description = "It was decided before; the answer says how it stands"),
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
    check_members(&asked, contents.people() as u64)?;
    let field = |detail: &str| ApiError::fields(vec![FieldError::new("/pardon_members", "invalid", detail)]);
    if asked.pardon_members && (asked.act != CaseAct::Dismiss || asked.replaces.is_none()) {
        return Err(field("goes with `dismiss` and `replaces` only"));
    }
    let decided = Decided {
        act: asked.act,
        removes: asked.remove_members,
        by: cx.actor().operator.to_string(),
        at_ms: cx.now_ms(),
        reason,
        replaces: asked.replaces,
        round: 0,
    };
    let done = cx.fleet().decide(cx.actor(), &id, decided).await.map_err(refused)?;
    let undone = match asked.replaces {
        Some(_) if asked.act == CaseAct::Dismiss => {
            Some(cx.undo(&id, &contents.members, asked.pardon_members).await?)
        }
        Some(_) | None => None,
    };
    let (zh, en) = next(asked.act, &done, undone.as_ref());
    Ok(Answer::ok(CaseDecisionView { done, undone, zh, en }))
}

fn refused(error: CaseError) -> ApiError {
    let conflict = |detail: String| ApiError::new(Code::Conflict, detail);
    match error {
        CaseError::Stands(Some(act)) => {
            let act = match act {
                CaseAct::Withdraw => "withdraw",
                CaseAct::Dismiss => "dismiss",
            };
            conflict(format!(
                "the case was decided before; to decide it anew, send `\"replaces\": \"{act}\"`"
            ))
        }
        CaseError::Stands(None) => {
            conflict("nobody has decided the case yet: leave `replaces` out".to_owned())
        }
        CaseError::Storage(error) => error.into(),
    }
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

fn next(act: CaseAct, done: &Done, undone: Option<&UndoneView>) -> (String, String) {
    let (zh, en) = match act {
        CaseAct::Withdraw => {
            ("已处理，之后的同类消息会自动照办。", "Done; later copies follow by themselves.")
        }
        CaseAct::Dismiss => {
            ("已处理，之后的同类消息只记录，不再打扰。", "Done; later copies are listed and left alone.")
        }
    };
    let (mut zh, mut en) = (zh.to_owned(), en.to_owned());
    if let Some(undone) = undone {
        zh.push_str("尚未执行的撤回已取消；已撤回的消息无法恢复。");
        en.push_str(" Withdrawals not begun are called off; what was withdrawn cannot be put back.");
        let members = undone.members;
        if members > 0 && undone.pardoned {
            _ = write!(zh, "已撤销 {members} 人次的移出记录，请群主重新邀请（见 groups）。");
            _ = write!(en, " {members} removals are pardoned: ask the owners to invite them (`groups`).");
        } else if members > 0 {
            _ = write!(zh, "此前按本案移出 {members} 人次；如属误判，请带上 pardon_members 再提交一次。");
            _ = write!(
                en,
                " The case had taken out {members}: where that was wrong, send `pardon_members`, too."
            );
        }
    }
    let left = done.not_withdrawn + done.not_removed;
    if left > 0 {
        _ = write!(zh, "有 {left} 项平台不支持由程序处理，请群主在平台上处理（见消息列表）。");
        _ = write!(
            en,
            " {left} of them no program can do on their platform: ask the owners (see the messages)."
        );
    }
    let (zh_left, en_left) = removals::left(done);
    (zh + &zh_left, en + &en_left)
}

impl Cx {
    /// Finds, and pardons where that is wanted, whoever a case has taken out.
    async fn undo(&self, case: &str, authors: &BTreeSet<Who>, pardons: bool) -> ApiResult<UndoneView> {
        let who: Vec<Who> = self.ingest().expelled_by(case, authors.iter()).into_iter().cloned().collect();
        if pardons && !who.is_empty() {
            self.forgive(&who).await?;
            let audit = AuditEntry::by(self.actor(), self.now_ms(), "pardon", "case", case);
            let audit = vec![audit.with(&serde_json::json!({"members": who.len()}))];
            self.storage().apply(Change { at_ms: self.now_ms(), audit, ..Change::default() }).await?;
        }
        Ok(UndoneView { members: who.len(), pardoned: pardons, groups: removals::by_group(who.iter()) })
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
