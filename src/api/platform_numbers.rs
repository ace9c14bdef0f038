//! `/v1/statistics/platform`: a platform's own numbers beside ours, with every difference explained.

use std::collections::HashMap;

use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

use super::body::{Answer, Query};
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::state::Cx;
use crate::connectors::PlatformNumbers;
use crate::directory::GroupFilter;
use crate::statistics::platform::{self, Difference, Ours, Theirs};
use crate::storage::{Counters, GroupRow, Storage, StorageError};

/// Milliseconds in one day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Days of one answer.
const DAYS_MAX: i64 = 62;
/// Groups read in one go.
const GROUP_ROWS: usize = 1_000;

/// By what the numbers are summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PlatformBy {
    /// By the platform's day.
    #[default]
    Day,
    /// By owner, over the whole time.
    Owner,
}

/// Which account and time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PlatformQuery {
    /// Which account.
    account: String,
    /// From, inclusive: RFC 3339, or a date in the platform's zone; whole days. 7 days back when left out.
    #[serde(default)]
    #[param(example = "2026-11-22")]
    from: Option<String>,
    /// Until, exclusive: the same. Today when left out: the newest day a platform has is yesterday.
    #[serde(default)]
    to: Option<String>,
    /// By what they are summed.
    #[serde(default)]
    #[param(inline)]
    by: PlatformBy,
}

/// Both sides' numbers.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PlatformStatistics {
    /// The account.
    account: String,
    /// The zone of the platform's days.
    #[schema(example = "UTC+8")]
    zone: &'static str,
    /// From, inclusive.
    from: String,
    /// Until, exclusive.
    to: String,
    /// One row for each day or owner that was imported.
    rows: Vec<PlatformRow>,
}

/// One day or owner.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PlatformRow {
    /// The day's start; null in rows by owner.
    start: Option<String>,
    /// The owner; null in rows by day.
    owner: Option<String>,
    /// Number by number: the platform's, ours, and why they differ.
    numbers: Vec<Difference>,
}

/// Sets the platform's own numbers beside ours 平台口径对照
///
/// Where a number of ours cannot be known it is null, never 0, with the coverage `unavailable`.
#[utoipa::path(
    get, path = "/v1/statistics/platform", tag = "statistics", operation_id = "getPlatformStatistics",
    params(PlatformQuery),
    responses(
        (status = 200, description = "Both sides by day or owner", body = PlatformStatistics),
        (status = 409, description = "The platform has no numbers of its own"),
    ),
)]
pub(super) async fn compare(
    cx: Cx,
    Query(query): Query<PlatformQuery>,
) -> ApiResult<Answer<PlatformStatistics>> {
    let account = cx.directory().account_in(cx.scope(), &query.account)?.id.to_string();
    let (from_ms, to_ms) = days_asked(&query, cx.now_ms())?;
    let shows_text = cx.connectors().capabilities(&account).is_some_and(|can| can.gives_message_text);
    let side = Side { cx: &cx, account: &account, shows_text, groups: known_groups(&cx, &account).await? };
    let rows = match query.by {
        PlatformBy::Day => side.by_day(from_ms, to_ms).await?,
        PlatformBy::Owner => side.by_owner(from_ms, to_ms).await?,
    };
    let (from, to) = (moment::show(from_ms), moment::show(to_ms));
    Ok(Answer::ok(PlatformStatistics { account, zone: "UTC+8", from, to, rows }))
}

/// The platform's zone has no clock changes.
fn zone() -> TimeZone {
    TimeZone::fixed(Offset::constant(8))
}

fn days_asked(query: &PlatformQuery, now_ms: i64) -> ApiResult<(i64, i64)> {
    let zone = zone();
    let read =
        |name, text: &Option<String>| text.as_deref().map(|text| moment::read(name, text, &zone)).transpose();
    let to_ms = moment::day_of(read("to", &query.to)?.unwrap_or(now_ms), &zone);
    let from_ms = moment::day_of(read("from", &query.from)?.unwrap_or(to_ms - 7 * DAY_MS), &zone);
    if from_ms >= to_ms {
        return Err(ApiError::unreadable("", "query", "the query: `from` must be before `to`"));
    }
    if to_ms - from_ms > DAYS_MAX * DAY_MS {
        let detail = format!("the query: more than {DAYS_MAX} days; ask for less at a time");
        return Err(ApiError::unreadable("", "query", detail));
    }
    Ok((from_ms, to_ms))
}

/// Reads the groups we know of an account.
async fn known_groups(cx: &Cx, account: &str) -> ApiResult<Vec<GroupRow>> {
    let account = account.to_owned();
    cx.blocking(move |storage| {
        storage.project()?;
        read_groups(storage, &account)
    })
    .await
}

fn read_groups(storage: &dyn Storage, account: &str) -> Result<Vec<GroupRow>, StorageError> {
    let mut rows: Vec<GroupRow> = Vec::new();
    let mut after = (account.to_owned(), String::new());
    loop {
        let page = storage.groups(Some(after), GROUP_ROWS)?;
        let is_last = page.len() < GROUP_ROWS || page.last().is_some_and(|row| row.account != account);
        rows.extend(page.into_iter().filter(|row| row.account == account));
        let Some(last) = rows.last().filter(|_| !is_last) else { return Ok(rows) };
        after = (account.to_owned(), last.group.clone());
    }
}

/// Our side of an account.
struct Side<'a> {
    cx: &'a Cx,
    account: &'a str,
    /// Messages are shown to us.
    shows_text: bool,
    groups: Vec<GroupRow>,
}

impl Side<'_> {
    async fn by_day(&self, from_ms: i64, to_ms: i64) -> ApiResult<Vec<PlatformRow>> {
        let days = self.cx.platforms().numbers(self.account, from_ms, to_ms).await;
        let days = days.map_err(not_ready)?.ok_or_else(no_numbers)?;
        let mut rows = Vec::with_capacity(days.len());
        for (day_ms, numbers) in days {
            let ours = self.ours(day_ms, day_ms + DAY_MS, None).await?;
            rows.push(PlatformRow {
                start: Some(moment::show(day_ms)),
                owner: None,
                numbers: platform::compare(&theirs(&numbers), &ours),
            });
        }
        Ok(rows)
    }

    async fn by_owner(&self, from_ms: i64, to_ms: i64) -> ApiResult<Vec<PlatformRow>> {
        let owners = self.cx.platforms().numbers_by_owner(self.account, from_ms, to_ms).await;
        let owners = owners.map_err(not_ready)?.ok_or_else(no_numbers)?;
        let within = self.counts(from_ms, to_ms).await?;
        let since = self.counts(to_ms, i64::MAX / 2).await?;
        let unprotected_ms = self.unprotected_ms(from_ms, to_ms).await?;
        let mut of_owner: HashMap<&str, Vec<&GroupRow>> = HashMap::new();
        for group in &self.groups {
            of_owner.entry(group.owner.as_deref().unwrap_or_default()).or_default().push(group);
        }
        let row = |(owner, numbers): (String, PlatformNumbers)| {
            let groups = of_owner.get(owner.as_str()).map_or(&[][..], Vec::as_slice);
            let ours = self.sum(groups, to_ms, &within, &since, unprotected_ms);
            let numbers = platform::compare(&theirs(&numbers), &ours);
            PlatformRow { start: None, owner: Some(owner), numbers }
        };
        Ok(owners.into_iter().map(row).collect())
    }

    async fn ours(&self, from_ms: i64, to_ms: i64, owner: Option<&str>) -> ApiResult<Ours> {
        let within = self.counts(from_ms, to_ms).await?;
        let since = self.counts(to_ms, i64::MAX / 2).await?;
        let unprotected_ms = self.unprotected_ms(from_ms, to_ms).await?;
        let groups: Vec<&GroupRow> =
            self.groups.iter().filter(|group| owner.is_none() || group.owner.as_deref() == owner).collect();
        Ok(self.sum(&groups, to_ms, &within, &since, unprotected_ms))
    }

    /// Adds groups up, as they stood at `end_ms`.
    fn sum(
        &self,
        groups: &[&GroupRow],
        end_ms: i64,
        within: &HashMap<String, Counters>,
        since: &HashMap<String, Counters>,
        unprotected_ms: i64,
    ) -> Ours {
        let mut ours = Ours { unprotected_ms, ..Ours::default() };
        let (mut messages, mut with_messages) = (0, 0);
        for group in groups.iter().filter(|group| !group.dismissed && group.first_ms < end_ms) {
            ours.groups += 1;
            ours.staff += u64::from(group.owner.is_some());
            let later = since.get(&group.group).copied().unwrap_or_default();
            // Who is there now, without who came since, with who went since.
            ours.members += (group.members + later.leaves).saturating_sub(later.joins);
        }
        for group in groups {
            let counters = within.get(&group.group).copied().unwrap_or_default();
            ours.members_new += counters.joins;
            ours.late += counters.late;
            messages += counters.messages;
            with_messages += u64::from(counters.messages > 0);
        }
        if self.shows_text {
            ours.messages = Some(messages);
            ours.groups_with_messages = Some(with_messages);
        }
        ours
    }

    async fn counts(&self, from_ms: i64, to_ms: i64) -> ApiResult<HashMap<String, Counters>> {
        let filter = GroupFilter { account: Some(self.account.to_owned()), ..GroupFilter::default() };
        let totals = self.cx.totals(filter, from_ms, to_ms).await?;
        Ok(totals.rows.into_iter().map(|(row, _)| (row.group, row.counters)).collect())
    }

    async fn unprotected_ms(&self, from_ms: i64, to_ms: i64) -> ApiResult<i64> {
        let times = self.cx.platforms().unprotected(self.account, from_ms, to_ms).await.map_err(not_ready)?;
        Ok(times.into_iter().map(|(from, to)| to - from).sum())
    }
}

fn theirs(numbers: &PlatformNumbers) -> Theirs {
    Theirs {
        groups: numbers.groups,
        members_new: numbers.members_new,
        members: numbers.members,
        groups_with_messages: numbers.groups_with_messages,
        members_with_messages: numbers.members_with_messages,
        messages: numbers.messages,
    }
}

fn no_numbers() -> ApiError {
    ApiError::new(Code::Conflict, "the account's platform has no numbers of its own, or it is not connected")
}

fn not_ready(cause: String) -> ApiError {
    ApiError {
        cause: Some(cause),
        ..ApiError::new(Code::NotReady, "the imported numbers cannot be read now")
    }
}
