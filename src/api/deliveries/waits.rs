//! What a delivery waits for: what its broadcast, its holds, its account and its limits say, put together.

use serde::Serialize;

use super::words::{self, Said, Words};
use crate::api::error::ApiResult;
use crate::api::moment;
use crate::api::state::Cx;
use crate::broadcasts::TargetWait;
use crate::outbox::why::{ShortOf, Wait};
use crate::storage::{DeliveryRow, MASS_SEND};

/// One thing that must come about before a delivery is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct WaitView {
    /// A stable word: `held`, `draft`, `approval`, `scheduled`, `hours`, `no_hours`, `canary`, `paused`, `stopped`, `cancelled`,
    /// `bundling`, `task`, `confirmation`,
    /// `no_connector`, `fenced`, `ledger_failed`, `reading_past_calls`, `circuit_open`, `calls_under_way`, `stopping`, `retry`,
    /// `limit`, `same_group`, `in_order`, `turn`, `not_read`, `calling`, `recording`, `asking`, `person`, `busy`.
    pub(super) why: &'static str,
    /// Until when, where that is known.
    pub(super) until: Option<String>,
    /// Who decided it, or who must do something.
    pub(super) by: Option<String>,
    /// Why, in their words.
    pub(super) reason: Option<String>,
    /// The hold: lift it with `DELETE /v1/holds/{hold}`.
    pub(super) hold: Option<String>,
    /// Where the hold is in force.
    pub(super) scope: Option<String>,
    /// Whose limit: `account`, `class`, `group`, `app`, `corp`.
    pub(super) level: Option<&'static str>,
    /// Which limit, as it is configured; null when the platform asked for silence.
    pub(super) limit: Option<String>,
    /// The platform's id of the task that must be confirmed, or the delivery of the task that must be made first.
    pub(super) task: Option<String>,
    /// When they were reminded.
    pub(super) reminded_at: Vec<String>,
    /// In words.
    #[serde(flatten)]
    pub(super) words: Words,
}

/// All that is known of a delivery's waiting.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) waits: Vec<WaitView>,
    pub(super) ahead: Option<u64>,
    pub(super) expected_ms: Option<i64>,
}

/// Finds out what a delivery waits for.
pub(super) async fn of(cx: &Cx, row: &DeliveryRow) -> ApiResult<Told> {
    let zone = cx.directory().context(&row.account, &row.group).map(|context| context.time_zone.clone());
    let said = Said { zone: &zone.unwrap_or_else(|| cx.directory().time_zone().clone()) };
    let of_broadcast = cx.target_waits(row).await?;
    let is_paused = of_broadcast.iter().any(|wait| matches!(wait, TargetWait::Paused { .. }));
    let paused_by = if is_paused { cx.paused_by(&row.broadcast).await? } else { None };
    // Once its task must be made or confirmed, the task's own reasons are those of the target.
    let carrier = of_broadcast
        .iter()
        .find_map(|wait| if let TargetWait::Task(carrier) = wait { Some((**carrier).clone()) } else { None });
    let mut waits: Vec<WaitView> =
        of_broadcast.iter().map(|wait| of_target(wait, paused_by.as_deref(), &said)).collect();
    let is_bundled_later = of_broadcast.contains(&TargetWait::Bundling);
    let asked = carrier.as_ref().unwrap_or(row);
    let mut of_outbox = cx.outbox().why(asked).await;
    if is_bundled_later {
        of_outbox.retain(|wait| matches!(wait, Wait::Held(_)));
    }
    let runs = waits.iter().all(|wait| wait.why == "task");
    if !runs {
        // What is not to be sent yet has no turn: only what would keep it afterwards is worth telling.
        let passes = |wait: &Wait| {
            matches!(wait, Wait::NotRead | Wait::Turn { .. } | Wait::Limit { .. } | Wait::ReadingPastCalls)
        };
        of_outbox.retain(|wait| !passes(wait));
    }
    let ahead = ahead_of(cx, asked, &of_outbox).await?;
    let expected_ms = if runs { expected(cx, asked, &of_outbox, ahead).await } else { None };
    // Somebody's word weighs more than a limit's.
    let at = of_outbox.iter().filter(|wait| matches!(wait, Wait::Held(_))).count();
    let views: Vec<_> = of_outbox.iter().map(|wait| of_lane(wait, &said)).collect();
    let (held, rest) = views.split_at(at);
    waits.splice(0..0, held.iter().cloned());
    waits.extend(rest.iter().cloned());
    Ok(Told { waits, ahead, expected_ms })
}

async fn ahead_of(cx: &Cx, row: &DeliveryRow, waits: &[Wait]) -> ApiResult<Option<u64>> {
    for wait in waits {
        if let Wait::Turn { ahead } = wait {
            return Ok(u64::try_from(*ahead).ok());
        }
        if *wait == Wait::NotRead && !row.broadcast.is_empty() && row.kind != MASS_SEND {
            let before = cx.storage().targets_before(&row.broadcast, &row.account, row.target).await?;
            return Ok(Some(before));
        }
    }
    Ok(None)
}

/// When it is probably sent: by the account's limits and those before it, if nothing else keeps it.
async fn expected(cx: &Cx, row: &DeliveryRow, waits: &[Wait], ahead: Option<u64>) -> Option<i64> {
    let mut not_before = 0;
    for wait in waits {
        if let Wait::Limit { until_ms, .. } = wait {
            not_before = not_before.max(until_ms.unwrap_or(0));
        } else if let Wait::Retry { until_ms } = wait {
            not_before = not_before.max(*until_ms);
        } else if !matches!(wait, Wait::Turn { .. } | Wait::NotRead | Wait::CallsUnderWay { .. }) {
            return None; // somebody or something else must come about first
        }
    }
    let calls = ahead.filter(|_| !waits.is_empty())?.saturating_add(1);
    cx.calls_made_ms(&row.account, calls).await.map(|made_ms| made_ms.max(not_before))
}

fn of_target(wait: &TargetWait, paused_by: Option<&str>, said: &Said<'_>) -> WaitView {
    let words = words::of_target(wait, said);
    let view = |why| WaitView { why, words: words.clone(), ..WaitView::default() };
    match wait {
        TargetWait::Draft => view("draft"),
        TargetWait::Approval => view("approval"),
        TargetWait::Scheduled { until_ms } => {
            WaitView { until: Some(moment::show(*until_ms)), ..view("scheduled") }
        }
        TargetWait::Hours { until_ms } => WaitView { until: Some(moment::show(*until_ms)), ..view("hours") },
        TargetWait::NoHours => view("no_hours"),
        TargetWait::Canary { until_ms } => WaitView { until: until_ms.map(moment::show), ..view("canary") },
        TargetWait::Stopped { reason } => WaitView {
            by: Some("menshen".to_owned()),
            reason: super::some(reason.clone()),
            ..view("stopped")
        },
        TargetWait::Paused { reason } => WaitView {
            by: paused_by.map(str::to_owned),
            reason: super::some(reason.clone()),
            ..view("paused")
        },
        TargetWait::Cancelled => view("cancelled"),
        TargetWait::Bundling => view("bundling"),
        TargetWait::Task(carrier) => WaitView { task: Some(carrier.id.clone()), ..view("task") },
        TargetWait::Confirmation { owner, task, since_ms: _, reminded_ms } => WaitView {
            by: super::some(owner.clone()),
            task: super::some(task.clone()),
            reminded_at: reminded_ms.iter().map(|at_ms| moment::show(*at_ms)).collect(),
            ..view("confirmation")
        },
    }
}

fn of_lane(wait: &Wait, said: &Said<'_>) -> WaitView {
    let words = words::of_lane(wait, said);
    let view = |why| WaitView { why, words: words.clone(), ..WaitView::default() };
    let until = |why, until_ms: Option<i64>| WaitView { until: until_ms.map(moment::show), ..view(why) };
    match wait {
        Wait::Held(hold) => WaitView {
            by: Some(hold.by.clone()),
            reason: super::some(hold.reason.clone()),
            hold: Some(hold.id.clone()),
            scope: Some(hold.scope.to_string()),
            ..until("held", hold.until_ms)
        },
        Wait::NoConnector => view("no_connector"),
        Wait::Fenced => view("fenced"),
        Wait::LedgerFailed { until_ms } => until("ledger_failed", *until_ms),
        Wait::ReadingPastCalls => view("reading_past_calls"),
        Wait::CircuitOpen { until_ms } => until("circuit_open", *until_ms),
        Wait::CallsUnderWay { .. } => view("calls_under_way"),
        Wait::Stopping => view("stopping"),
        Wait::Retry { until_ms } => until("retry", Some(*until_ms)),
        Wait::Limit { level, limit, until_ms } => {
            WaitView { level: Some(level_name(*level)), limit: limit.clone(), ..until("limit", *until_ms) }
        }
        Wait::SameGroup => view("same_group"),
        Wait::InOrder => view("in_order"),
        Wait::Turn { .. } => view("turn"),
        Wait::NotRead => view("not_read"),
        Wait::Calling => view("calling"),
        Wait::Recording => view("recording"),
        Wait::Asking { until_ms } => until("asking", *until_ms),
        Wait::Person => view("person"),
        Wait::Busy => view("busy"),
    }
}

fn level_name(level: ShortOf) -> &'static str {
    match level {
        ShortOf::Account => "account",
        ShortOf::Class => "class",
        ShortOf::Group => "group",
        ShortOf::App => "app",
        ShortOf::Corp => "corp",
    }
}
