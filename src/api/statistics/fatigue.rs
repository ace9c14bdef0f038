//! `/v1/statistics/fatigue`: what another broadcast still brings, by how many a group has had lately.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::body::{Answer, Query};
use crate::api::broadcasts::refused;
use crate::api::error::{ApiError, ApiResult};
use crate::api::moment;
use crate::api::state::Cx;
use crate::broadcasts::{Difference, Sample, change};
use crate::event::HOUR_MS;
use crate::statistics::days::{DAY_MS, day_of};
use crate::statistics::figures::fatigue::{Change, RECENT_MAX, changes};
use crate::storage::CountsQuery;

const DAYS_DEFAULT: i64 = 28;
const DAYS_MAX: i64 = 92;
const HOURS_DEFAULT: i64 = 24;
const HOURS_MAX: i64 = 24 * 7;
/// Weeks before the first send that say what is usual.
const USUAL_MS: i64 = 28 * DAY_MS;

/// Over which time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct FatigueQuery {
    /// Broadcasts of so many days up to now.
    #[serde(default)]
    #[param(minimum = 1, maximum = 92, default = 28)]
    days: Option<i64>,
    /// What follows a send within so many hours.
    #[serde(default)]
    #[param(minimum = 1, maximum = 168, default = 24)]
    hours: Option<i64>,
}

/// What another broadcast still brings.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Fatigue {
    /// When it was read.
    as_of: String,
    /// Broadcasts since then.
    from: String,
    /// By how many broadcasts a group had in the seven days before.
    rows: Vec<FatigueRow>,
}

/// Sends to groups that had as many lately.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct FatigueRow {
    /// Broadcasts in the seven days before; 5 stands for 5 and more.
    recent: usize,
    /// Sends that could be compared with what is usual in their group.
    sends: u64,
    /// Customers' messages after a send, less what is usual then, with its interval; null with fewer than 30 sends where they
    /// can be seen.
    messages: Option<Difference>,
    /// Leaves after a send, less what is usual then; null with fewer than 30 sends.
    leaves: Option<Difference>,
}

/// Shows what another broadcast still brings, by how many a group has had 群发疲劳
#[utoipa::path(
    get, path = "/v1/statistics/fatigue", tag = "statistics", operation_id = "getFatigue", params(FatigueQuery),
    responses((status = 200, description = "By recent broadcasts", body = Fatigue)),
)]
pub(in crate::api) async fn get(cx: Cx, Query(query): Query<FatigueQuery>) -> ApiResult<Answer<Fatigue>> {
    let within = |name: &str, asked: Option<i64>, default: i64, max: i64| match asked.unwrap_or(default) {
        asked if (1..=max).contains(&asked) => Ok(asked),
        _ => Err(ApiError::unreadable("", "query", format!("the query: `{name}` must be from 1 to {max}"))),
    };
    let days = within("days", query.days, DAYS_DEFAULT, DAYS_MAX)?;
    let hours = within("hours", query.hours, HOURS_DEFAULT, HOURS_MAX)?;
    let now_ms = cx.now_ms();
    let since_ms = now_ms - days * DAY_MS;
    let sends = cx.broadcasts().sends(cx.actor(), since_ms - 7 * DAY_MS).await.map_err(refused)?;
    let sends: Vec<_> =
        sends.into_iter().filter(|((account, group), _)| cx.covers_group(account, group)).collect();
    let looked = day_of(since_ms - USUAL_MS)..day_of(now_ms) + 1;
    cx.check_group_days(sends.len(), looked).await?;
    let is_seen: Vec<bool> = sends
        .iter()
        .map(|((account, group), _)| {
            let can = cx.connectors().capabilities_of(account, group);
            can.is_some_and(|can| can.gives_message_text)
        })
        .collect();
    let found = cx.blocking(move |storage| {
        storage.project()?;
        let mut found = Vec::new();
        for (((account, group), mut times), is_seen) in sends.into_iter().zip(is_seen) {
            times.sort_unstable();
            let known_ms = storage.group(&account, &group)?.map_or(i64::MAX, |row| row.first_ms);
            let (from_ms, until_ms) = (since_ms - USUAL_MS - DAY_MS, now_ms + 1);
            let counts = storage.counts(&CountsQuery { account, group, from_ms, until_ms })?;
            let counts: Vec<_> = counts.iter().map(|row| (row.start_ms, row.counters)).collect();
            let of_group = changes(&times, &counts, since_ms, hours * HOUR_MS, known_ms);
            found.extend(of_group.into_iter().map(|change| (is_seen, change)));
        }
        Ok(found)
    });
    let rows = rows(&found.await?);
    Ok(Answer::ok(Fatigue { as_of: moment::show(now_ms), from: moment::show(since_ms), rows }))
}

fn rows(found: &[(bool, Change)]) -> Vec<FatigueRow> {
    let mut by: BTreeMap<usize, (Sample, Sample)> = BTreeMap::new();
    for (is_seen, change) in found {
        let (messages, leaves) = by.entry(change.recent).or_default();
        leaves.add(change.leaves);
        if *is_seen {
            messages.add(change.messages);
        }
    }
    let row = |recent: usize| {
        let (messages, leaves) = by.get(&recent).copied().unwrap_or_default();
        FatigueRow { recent, sends: leaves.groups, messages: change(&messages), leaves: change(&leaves) }
    };
    (0..=RECENT_MAX).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_null_and_a_few_sends_say_nothing() {
        let change = |recent, messages| Change { recent, messages, leaves: 1.0 };
        let many = (0..40).map(|nth| (nth % 2 == 0, change(1, 3.0)));
        let blind = (0..40).map(|_| (false, change(2, 0.0)));
        let rows = rows(&many.chain(blind).collect::<Vec<_>>());
        assert_eq!((rows[1].sends, rows[1].messages.is_some()), (40, false), "only twenty are seen");
        assert!(rows[1].leaves.is_some_and(|leaves| (leaves.mean - 1.0).abs() < 1e-9));
        assert_eq!((rows[2].sends, rows[2].messages), (40, None));
        assert_eq!(rows[0].sends, 0);
    }
}
