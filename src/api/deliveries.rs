//! `/v1/deliveries`, `/v1/uncertain`: one thing that is sent, why it is not sent yet, and what a person says became of it.

pub(super) mod declaring;
mod lane;
mod waits;
mod words;

use serde::Serialize;

use lane::LaneView;
use waits::WaitView;
use words::Words;

use super::body::{Answer, Path};
use super::broadcasts::{outbox_refused, refused};
use super::error::{ApiError, ApiResult};
use super::moment;
use super::state::Cx;
use crate::event::{AccountId, DeliveryId};
use crate::storage::{CallRow, DeliveryRow, DeliveryState, MASS_SEND, MASS_SENDS_FROM};

/// One thing that is sent, with everything that is known of it.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct DeliveryView {
    /// Its id: the `webhook-id` of its calls.
    id: String,
    /// `broadcast`, `mass_target`, `mass_send`, `reply`, `welcome`, `notice`, … or an action's kind.
    kind: String,
    /// The broadcast it belongs to.
    broadcast: Option<String>,
    /// Its number in the broadcast; null for a task that carries targets.
    target: Option<u32>,
    /// Account.
    account: String,
    /// Group; null for what goes to a person.
    group: Option<String>,
    /// At which levels of limits its calls count, those it made and those it will; null when the account is not connected.
    lane: Option<LaneView>,
    /// Who goes first: `urgent`, `normal`, `bulk`.
    priority: String,
    /// Where it stands.
    state: DeliveryState,
    /// In words, for people: what became of it, or what it waits for.
    summary: Words,
    /// What must come about before it is sent, what weighs most first; empty when it has its result.
    waits: Vec<WaitView>,
    /// How many of its broadcast, or of its priority, go before it; null where that says nothing.
    ahead: Option<u64>,
    /// When it is probably sent, if only limits and turns keep it; null when people must do something first.
    expected_at: Option<String>,
    /// Calls made.
    attempts: u32,
    /// The calls that are remembered (`storage.attempts_keep`), in order.
    calls: Vec<CallView>,
    /// The last answer's code.
    code: Option<String>,
    /// The last answer in words.
    detail: Option<String>,
    /// The platform's id of it, or of the task that a person must confirm.
    platform_id: Option<String>,
    /// When it changed.
    updated_at: String,
    /// Pointless after.
    expires_at: Option<String>,
}

/// One call.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CallView {
    /// Which attempt, from 1.
    attempt: u32,
    /// When it began.
    started_at: String,
    /// When it ended; null while it is under way.
    ended_at: Option<String>,
    /// Where the delivery stood after it (`pending`: to be tried again); null while it is under way.
    outcome: Option<DeliveryState>,
    /// The platform's code or ours.
    code: Option<String>,
    /// In words.
    detail: Option<String>,
    /// The platform's id, if it gave one.
    platform_id: Option<String>,
    /// What it cost of the platform's limits.
    cost: u32,
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn call_view(call: CallRow) -> CallView {
    CallView {
        attempt: call.attempt,
        started_at: moment::show(call.started_ms),
        ended_at: call.ended_ms.map(moment::show),
        outcome: call.outcome,
        code: some(call.code),
        detail: some(call.detail),
        platform_id: some(call.platform_id),
        cost: call.cost,
    }
}

/// The priority of a row: that of its body, where it has one of its own.
fn priority_of(row: &DeliveryRow) -> String {
    #[derive(serde::Deserialize)]
    struct Own {
        priority: String,
    }
    let own = || serde_json::from_str::<Own>(&row.body).map(|own| own.priority).ok();
    let own = if row.broadcast.is_empty() { own() } else { None };
    own.unwrap_or_else(|| "bulk".to_owned())
}

/// Says what became of a delivery, and why it is not sent yet 为什么还没发
///
/// Every call with its code and times, what it waits for and until when, who stopped it and why. Works for targets of
/// broadcasts (`delivery` in `/targets`), replies, welcomes, notices and actions.
#[utoipa::path(
    get, path = "/v1/deliveries/{delivery}", tag = "outbound", operation_id = "getDelivery",
    params(("delivery" = String, Path, description = "Its id")),
    responses((status = 200, description = "The delivery", body = DeliveryView)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<DeliveryView>> {
    let row = cx.delivery(&id).await?;
    let calls = cx.storage().calls(&row.id).await?;
    let told = waits::of(&cx, &row).await?;
    let is_target = !row.broadcast.is_empty() && row.target < MASS_SENDS_FROM;
    Ok(Answer::ok(DeliveryView {
        summary: words::summary(&row, &told.waits),
        priority: priority_of(&row),
        lane: cx.lane(&row.account, &row.group),
        target: is_target.then_some(row.target),
        broadcast: some(row.broadcast),
        account: row.account,
        group: some(row.group).filter(|_| row.kind != MASS_SEND),
        kind: row.kind,
        state: row.state,
        waits: told.waits,
        ahead: told.ahead,
        expected_at: told.expected_ms.map(moment::show),
        attempts: row.attempts,
        calls: calls.into_iter().map(call_view).collect(),
        code: some(row.code),
        detail: some(row.detail),
        platform_id: some(row.platform_id),
        updated_at: moment::show(row.updated_ms),
        expires_at: moment::show_set(row.expires_ms),
        id: row.id,
    }))
}

impl Cx {
    /// Returns a delivery of the scope.
    pub(super) async fn delivery(&self, id: &str) -> ApiResult<DeliveryRow> {
        let unknown = || ApiError::not_found("delivery");
        let id = DeliveryId::parse(id).map_err(|_| unknown())?;
        let row = self.outbox().delivery(&id).await.map_err(outbox_refused)?;
        let row = row.filter(|row| self.sees_delivery(row)).ok_or_else(unknown)?;
        if !row.broadcast.is_empty() {
            self.broadcast(&row.broadcast).await.map_err(|_| unknown())?;
        }
        Ok(row)
    }

    /// Says whether a delivery goes to a group of the scope, or to people through an account of it.
    pub(super) fn sees_delivery(&self, row: &DeliveryRow) -> bool {
        if row.group.is_empty() || row.kind == MASS_SEND {
            return self.directory().account_in(self.scope(), &row.account).is_ok();
        }
        self.covers_group(&row.account, &row.group)
    }

    /// Returns what a target waits for because of its broadcast; `None` when it belongs to none.
    async fn target_waits(&self, row: &DeliveryRow) -> ApiResult<Vec<crate::broadcasts::TargetWait>> {
        if row.broadcast.is_empty() {
            return Ok(Vec::new());
        }
        let broadcast = self.broadcast(&row.broadcast).await?;
        self.broadcasts().target_waits(&broadcast, row).await.map_err(refused)
    }

    /// Returns who last paused a broadcast, if that is among the latest entries of the log.
    async fn paused_by(&self, broadcast: &str) -> ApiResult<Option<String>> {
        const ENTRIES: usize = 500;
        let filter = crate::storage::AuditFilter {
            object: Some("broadcast".to_owned()),
            id: Some(broadcast.to_owned()),
            limit: ENTRIES,
            ..crate::storage::AuditFilter::default()
        };
        let entries = self.storage().audit(filter).await?;
        let last = entries.into_iter().find(|entry| entry.verb == "pause");
        Ok(last.map(|entry| entry.operator))
    }

    /// Returns when an account would have made so many more calls.
    async fn calls_made_ms(&self, account: &str, calls: u64) -> Option<i64> {
        self.outbox().finish_ms(&AccountId::parse(account).ok()?, calls).await
    }
}
