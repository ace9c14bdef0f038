//! `/v1/outbound`, `/v1/holds`, `/v1/dead-letters`, `/v1/sandbox/sends`: what goes out, and what keeps it from going out.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Query};
use super::broadcasts::{Replayed, outbox_refused};
use super::error::{ApiError, ApiResult, Code};
use super::idempotency::Keyed;
use super::moment;
use super::page::{self, Page};
use super::rules::check_reason;
use super::state::Cx;
use crate::connectors::sandbox::SandboxSend;
use crate::event::FieldError;
use crate::outbox::holds::{Hold, HoldError, HoldKind, HoldScope};
use crate::outbox::{AccountStatus, LetterFilter};
use crate::storage::{AuditEntry, Change, DeliveryRow};

/// A stop of outbound acts.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct HoldView {
    /// Its id.
    id: String,
    /// Which acts; empty for all.
    kinds: Vec<HoldKind>,
    /// Where: `all`, `account:NAME`, `brand:NAME`, `region:NAME`, `shop:NAME`, `group:ACCOUNT/GROUP`, `tag:NAME` or
    /// `broadcast:ID`.
    scope: String,
    /// Why.
    reason: String,
    /// The operator, or `menshen` when a platform's answer asked for it.
    by: String,
    /// Since when.
    at: String,
    /// Until when; null until it is lifted.
    until: Option<String>,
}

fn hold_view(hold: Hold) -> HoldView {
    HoldView {
        id: hold.id,
        kinds: hold.kinds,
        scope: hold.scope.to_string(),
        reason: hold.reason,
        by: hold.by,
        at: moment::show(hold.at_ms),
        until: hold.until_ms.map(moment::show),
    }
}

/// What goes out, and what keeps it from going out.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Outbound {
    /// Each account's lane, as of a moment ago.
    accounts: Vec<AccountStatus>,
    /// The stops in force.
    holds: Vec<HoldView>,
}

/// Shows what goes out 外发状态
#[utoipa::path(
    get, path = "/v1/outbound", tag = "outbound", operation_id = "getOutbound",
    responses((status = 200, description = "Lanes of the accounts and stops of the scope", body = Outbound)),
)]
pub(super) async fn status(cx: Cx) -> Answer<Outbound> {
    let holds = cx.holds().await.into_iter().map(hold_view).collect();
    Answer::ok(Outbound { accounts: cx.lanes(), holds })
}

/// What is to be stopped.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StopIn {
    /// Only this kind of acts; all when left out.
    #[serde(default)]
    kind: Option<HoldKind>,
    /// Where: `all`, `account:NAME`, `brand:NAME`, `region:NAME`, `shop:NAME`, `group:ACCOUNT/GROUP`, `tag:NAME`,
    /// `broadcast:ID`; `all` when left out. A tag may be anywhere, so it takes an unlimited scope.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "region:east")]
    scope: Option<HoldScope>,
    /// Why, for people.
    #[serde(default)]
    reason: String,
    /// Until when (RFC 3339); until it is lifted when left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<jiff::Timestamp>,
    /// Instead of `until`: for how long.
    #[serde(default, rename = "for")]
    #[schema(example = "2h")]
    lasting: Option<String>,
}

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

/// Stops outbound acts 一键停发
///
/// In force when this answers, and over restarts. Calls already made to a platform cannot be taken back. With the right
/// `broadcasts:write` what lies wholly in the scope can be stopped; everything, and tags, take `admin`. A tag that no group
/// has is refused.
#[utoipa::path(
    post, path = "/v1/outbound/stop", tag = "outbound", operation_id = "stopOutbound",
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key makes no second hold")),
    request_body = StopIn,
    responses((status = 201, description = "In force; lift it with `DELETE /v1/holds/{hold}`", body = HoldView)),
)]
pub(super) async fn stop(cx: Cx, asked: Keyed<StopIn>) -> ApiResult<Answer<HoldView>> {
    let StopIn { kind, scope, reason, until, lasting } = asked.value;
    let scope = scope.unwrap_or(HoldScope::All);
    let mut errors = Vec::new();
    errors.extend(cx.may_stop(&scope).await?);
    if reason.chars().count() > REASON_CHARS_MAX {
        errors.push(FieldError::new("/reason", "too_long", format!("at most {REASON_CHARS_MAX} characters")));
    }
    let mut until_ms = until.map(jiff::Timestamp::as_millisecond);
    match lasting.as_deref().map(crate::units::parse_duration) {
        None => {}
        Some(Ok(_)) if until_ms.is_some() => {
            errors.push(FieldError::new("/for", "form", "say either `until` or `for`"));
        }
        Some(Ok(time)) => {
            let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
            until_ms = Some(cx.now_ms().saturating_add(ms));
        }
        Some(Err(error)) => errors.push(FieldError::new("/for", "form", error.to_string())),
    }
    if until_ms.is_some_and(|until_ms| until_ms <= cx.now_ms()) {
        errors.push(FieldError::new("/until", "past", "is in the past"));
    }
    if !errors.is_empty() {
        return Err(ApiError::fields(errors));
    }
    // A stop is set before it is written, so the key cannot lie in its commit; instead the key makes the id, and the same
    // id is the same hold.
    let id = asked.key.map_or_else(|| fresh_id("hld_"), |key| key.id("hld_"));
    let hold = Hold {
        id: id.clone(),
        kinds: kind.into_iter().collect(),
        scope,
        reason,
        by: cx.actor().operator.to_string(),
        at_ms: cx.now_ms(),
        until_ms,
    };
    let audit =
        AuditEntry::by(cx.actor(), cx.now_ms(), "stop", "hold", &id).at(&cx.place_of_hold(&hold.scope).await);
    let audit = audit.with(&hold);
    cx.outbox().holds().set(&hold, audit).await.map_err(|error| hold_refused(&error))?;
    Ok(Answer::created(format!("/v1/holds/{id}"), hold_view(hold)))
}

/// Makes an id that was never used before.
pub(super) fn fresh_id(prefix: &str) -> String {
    let mut random = [0_u8; 12];
    // Without randomness two holds might share an id, and then the second replaces the first: both stop something.
    _ = getrandom::fill(&mut random);
    random.iter().fold(prefix.to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

fn hold_refused(error: &HoldError) -> ApiError {
    match error {
        HoldError::Unknown(_) => ApiError::not_found("hold"),
        HoldError::NotDurable(_) | HoldError::NotLifted(_) => {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            ApiError { cause, ..ApiError::new(Code::NotReady, error.to_string()) }
        }
        HoldError::Unreadable(_) => ApiError::internal(error),
    }
}

/// The stops in force.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct HoldList {
    /// Oldest first.
    items: Vec<HoldView>,
}

/// Lists stops 列出停发
#[utoipa::path(
    get, path = "/v1/holds", tag = "outbound", operation_id = "listHolds",
    responses((status = 200, description = "The stops of the scope that are in force", body = HoldList)),
)]
pub(super) async fn holds(cx: Cx) -> Answer<HoldList> {
    Answer::ok(HoldList { items: cx.holds().await.into_iter().map(hold_view).collect() })
}

/// Why a stop is lifted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LiftQuery {
    /// Why, in words; at most 500 characters. Stands in the audit log.
    #[serde(default)]
    reason: String,
}

/// Lifts a stop 恢复外发
///
/// Without the right `admin` only one's own.
#[utoipa::path(
    delete, path = "/v1/holds/{hold}", tag = "outbound", operation_id = "liftHold",
    params(("hold" = String, Path, description = "Its id"), LiftQuery),
    responses((status = 204, description = "What it held goes on")),
)]
pub(super) async fn lift(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<LiftQuery>,
) -> ApiResult<StatusCode> {
    check_reason(&query.reason)?;
    let held = cx.holds().await.into_iter().find(|hold| hold.id == id);
    let held = held.ok_or_else(|| ApiError::not_found("hold"))?;
    // A stop of everything is shown to everybody and lifted only by those who could set it.
    if !cx.may_lift(&held).await? {
        return Err(ApiError::not_found("hold"));
    }
    let audit =
        AuditEntry::by(cx.actor(), cx.now_ms(), "lift", "hold", &id).at(&cx.place_of_hold(&held.scope).await);
    let audit = audit.with(&serde_json::json!({"reason": query.reason, "hold": held}));
    cx.outbox().holds().lift(&id, audit).await.map_err(|error| hold_refused(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// A delivery that was given up.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct DeadLetter {
    /// Its id.
    id: String,
    /// `broadcast`, `reply`, `welcome`, … or an action's kind.
    kind: String,
    /// The broadcast it is a target of.
    broadcast: Option<String>,
    /// Account.
    account: String,
    /// Group.
    group: String,
    /// Calls made.
    attempts: u32,
    /// The last answer's code.
    code: String,
    /// The last answer in words.
    detail: String,
    /// When it was given up.
    failed_at: String,
}

fn dead_letter(row: DeliveryRow) -> DeadLetter {
    DeadLetter {
        id: row.id,
        kind: row.kind,
        broadcast: Some(row.broadcast).filter(|broadcast| !broadcast.is_empty()),
        account: row.account,
        group: row.group,
        attempts: row.attempts,
        code: row.code,
        detail: row.detail,
        failed_at: moment::show(row.updated_ms),
    }
}

/// Which dead letters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeadLetterQuery {
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Rows of a page; a page may be shorter and still have a next one.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Of this account.
    #[serde(default)]
    account: Option<String>,
    /// Of this broadcast.
    #[serde(default)]
    broadcast: Option<String>,
    /// To this group.
    #[serde(default)]
    group: Option<String>,
    /// Of this kind.
    #[serde(default)]
    kind: Option<String>,
    /// Given up with this code.
    #[serde(default)]
    code: Option<String>,
}

/// Lists deliveries that were given up 死信
#[utoipa::path(
    get, path = "/v1/dead-letters", tag = "outbound", operation_id = "listDeadLetters", params(DeadLetterQuery),
    responses((status = 200, description = "Dead letters of the scope", body = Page<DeadLetter>)),
)]
pub(super) async fn dead_letters(
    cx: Cx,
    Query(query): Query<DeadLetterQuery>,
) -> ApiResult<Answer<Page<DeadLetter>>> {
    let limit = cx.page_rows(query.limit)?;
    let after = page::decode(query.cursor.as_deref())?;
    let filter = LetterFilter {
        account: query.account,
        broadcast: query.broadcast,
        group: query.group,
        kind: query.kind,
        code: query.code,
        ..LetterFilter::default()
    };
    let rows = cx.outbox().dead_letters(filter, after, limit + 1).await.map_err(outbox_refused)?;
    let page = Page::of(rows, limit, |row| (row.broadcast.clone(), row.target, row.id.clone()));
    let visible = |row: &DeliveryRow| cx.covers_group(&row.account, &row.group);
    let items = page.items.into_iter().filter(visible).map(dead_letter).collect();
    Ok(Answer::ok(Page { items, next_cursor: page.next_cursor }))
}

/// Tries a dead letter again 重发死信
///
/// Targets of a broadcast are tried again together: `POST /v1/broadcasts/{broadcast}/replay`.
#[utoipa::path(
    post, path = "/v1/dead-letters/{delivery}/replay", tag = "outbound", operation_id = "replayDeadLetter",
    params(("delivery" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "It has all its attempts again", body = Replayed),
        (status = 409, description = "It is a target of a broadcast"),
    ),
)]
pub(super) async fn replay(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<Replayed>> {
    let filter = LetterFilter { id: Some(id.clone()), ..LetterFilter::default() };
    let rows = cx.outbox().dead_letters(filter.clone(), None, 1).await.map_err(outbox_refused)?;
    let row = rows.into_iter().find(|row| cx.covers_group(&row.account, &row.group));
    let row = row.ok_or_else(|| ApiError::not_found("dead letter"))?;
    if !row.broadcast.is_empty() {
        let detail = format!("it is a target; use POST /v1/broadcasts/{}/replay", row.broadcast);
        return Err(ApiError::new(Code::Conflict, detail));
    }
    // Written first: who asked is known also when the outbox fails half way.
    let audit = AuditEntry::by(cx.actor(), cx.now_ms(), "replay", "delivery", &id);
    let audit = vec![audit.at(&cx.place_of_group(&row.account, &row.group))];
    cx.storage().apply(Change { at_ms: cx.now_ms(), audit, ..Change::default() }).await?;
    Ok(Replayed::of(cx.outbox().replay(filter).await.map_err(outbox_refused)?))
}

/// One thing the sandbox was asked to do.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SandboxView {
    /// When.
    at: String,
    /// What.
    #[serde(flatten)]
    send: SandboxSend,
}

/// What the sandbox was asked to do.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SandboxList {
    /// Oldest first.
    items: Vec<SandboxView>,
    /// Send it as `after` to go on from here.
    next_after: u64,
}

/// Where to begin.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SandboxQuery {
    /// Only after this `seq`.
    #[serde(default)]
    after: Option<u64>,
    /// Rows.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

/// Shows what the sandbox was asked to do 沙箱记录
#[utoipa::path(
    get, path = "/v1/sandbox/sends", tag = "outbound", operation_id = "listSandboxSends", params(SandboxQuery),
    responses((status = 200, description = "Sends and actions, oldest first; kept in memory only", body = SandboxList)),
)]
pub(super) async fn sandbox(cx: Cx, Query(query): Query<SandboxQuery>) -> ApiResult<Answer<SandboxList>> {
    let limit = cx.page_rows(query.limit)?;
    let after = query.after.unwrap_or(0);
    let sends = cx.connectors().sandbox_log().recent(after, limit);
    let next_after = sends.last().map_or(after, |send| send.seq);
    let visible = sends.into_iter().filter(|send| cx.covers_group(send.account.as_str(), &send.group));
    let items = visible.map(|send| SandboxView { at: moment::show(send.at_ms), send }).collect();
    Ok(Answer::ok(SandboxList { items, next_after }))
}
