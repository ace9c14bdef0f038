//! `/v1/statistics` and a group's own numbers. What each word counts is in `statistics::definitions`.

use std::cmp::Reverse;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Query};
use super::error::{ApiError, ApiResult};
use super::moment;
use super::state::Cx;
use crate::directory::GroupFilter;
use crate::event::HOUR_MS;
use crate::storage::{CountRow, Counters, CountsQuery};

/// Groups in the answer of `/v1/statistics`, unless asked for otherwise.
const TOP_DEFAULT: usize = 10;
const TOP_MAX: usize = 100;

/// By what a group's numbers are summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    /// By hour (UTC).
    Hour,
    /// By day, in the group's own time zone.
    #[default]
    Day,
}

/// Which time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupStatisticsQuery {
    /// By what they are summed.
    #[serde(default)]
    #[param(inline)]
    by: By,
    /// From, inclusive: RFC 3339, or a date in the group's zone. 7 days or 24 hours back when left out.
    #[serde(default)]
    #[param(example = "2026-11-22")]
    from: Option<String>,
    /// Until, exclusive: RFC 3339, or a date in the group's zone. Now when left out.
    #[serde(default)]
    until: Option<String>,
}

/// A group's numbers.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct GroupStatistics {
    /// Its account.
    account: String,
    /// Its id there.
    group: String,
    /// The zone of its days.
    time_zone: Option<String>,
    /// When they were read; everything acknowledged before is in them.
    as_of: String,
    /// One row for each hour or day, also where nothing happened.
    rows: Vec<StatisticsRow>,
    /// Their sum.
    totals: Counters,
}

/// The numbers of one hour or day.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub(super) struct StatisticsRow {
    /// Its start.
    start: String,
    /// The numbers.
    #[serde(flatten)]
    counters: Counters,
    /// A late-arriving event changed it after it had ended.
    revised: bool,
}

/// Shows a group's numbers 群数据
#[utoipa::path(
    get, path = "/v1/groups/{account}/{group}/statistics", tag = "statistics", operation_id = "getGroupStatistics",
    params(
        ("account" = String, Path, description = "Its account"),
        ("group" = String, Path, description = "Its id there"),
        GroupStatisticsQuery,
    ),
    responses((status = 200, description = "Its numbers by hour or day", body = GroupStatistics)),
)]
pub(super) async fn of_group(
    cx: Cx,
    Path((account, group)): Path<(String, String)>,
    Query(query): Query<GroupStatisticsQuery>,
) -> ApiResult<Answer<GroupStatistics>> {
    let context = cx.directory().group_in(cx.scope(), &account, &group)?;
    let zone = context.time_zone.clone();
    let starts = starts(&query, &zone, cx.now_ms(), cx.config().statistics_rows_max)?;
    let (from_ms, until_ms) = (starts[0], starts[starts.len() - 1]);
    let query = CountsQuery { account: account.clone(), group: group.clone(), from_ms, until_ms };
    let (as_of_ms, hours) = cx.counts(query).await?;
    let rows = rows(&starts, &hours);
    let mut totals = Counters::default();
    for hour in &hours {
        totals.add(&hour.counters);
    }
    let time_zone = zone.iana_name().map(str::to_owned);
    let as_of = moment::show(as_of_ms);
    Ok(Answer::ok(GroupStatistics { account, group, time_zone, as_of, rows, totals }))
}

/// Moves a time within a zone.
type Move = fn(i64, &TimeZone) -> i64;

/// The starts of all rows, and the end of the last one.
fn starts(
    query: &GroupStatisticsQuery,
    zone: &TimeZone,
    now_ms: i64,
    rows_max: usize,
) -> ApiResult<Vec<i64>> {
    let read =
        |name, text: &Option<String>| text.as_deref().map(|text| moment::read(name, text, zone)).transpose();
    let (start_of, next, back): (Move, Move, i64) = match query.by {
        By::Hour => (|ms, _| moment::hour_of(ms), |ms, _| ms + HOUR_MS, 23 * HOUR_MS),
        By::Day => (moment::day_of, |ms, zone| moment::day_after(ms, 1, zone), 6 * 24 * HOUR_MS),
    };
    let until_ms = read("until", &query.until)?.unwrap_or(now_ms + 1);
    let from_ms = read("from", &query.from)?.unwrap_or(until_ms - 1 - back);
    if from_ms >= until_ms {
        return Err(ApiError::unreadable("", "query", "the query: `from` must be before `until`"));
    }
    let mut starts = vec![start_of(from_ms, zone)];
    let mut end = next(starts[0], zone);
    while end < until_ms {
        if starts.len() >= rows_max {
            let detail = format!("the query: more than {rows_max} rows; ask for less at a time, or by day");
            return Err(ApiError::unreadable("", "query", detail));
        }
        starts.push(end);
        end = next(end, zone);
    }
    starts.push(end);
    Ok(starts)
}

/// Sums hours into the rows they start in. Zones that are off by half an hour share an hour between two days; it goes to
/// the day in which it starts.
fn rows(starts: &[i64], hours: &[CountRow]) -> Vec<StatisticsRow> {
    let mut rows: Vec<_> = starts[..starts.len() - 1]
        .iter()
        .map(|start| StatisticsRow {
            start: moment::show(*start),
            counters: Counters::default(),
            revised: false,
        })
        .collect();
    for hour in hours {
        // The row before the first start after the hour's own.
        let Some(index) = starts.partition_point(|start| *start <= hour.start_ms).checked_sub(1) else {
            continue;
        };
        let Some(row) = rows.get_mut(index) else { continue };
        row.counters.add(&hour.counters);
        row.revised |= hour.revised;
    }
    rows
}

/// Which time and groups.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatisticsQuery {
    /// From, inclusive: RFC 3339, or a date in the default zone; whole hours. 24 hours back when left out.
    #[serde(default)]
    #[param(example = "2026-11-22")]
    from: Option<String>,
    /// Until, exclusive: RFC 3339, or a date in the default zone. Now when left out.
    #[serde(default)]
    until: Option<String>,
    /// How many groups are listed.
    #[serde(default)]
    #[param(minimum = 0, maximum = 100, default = 10)]
    top: Option<usize>,
    /// By which number they are chosen.
    #[serde(default)]
    #[param(inline)]
    sort: Sort,
    /// Only groups of this account.
    #[serde(default)]
    account: Option<String>,
    /// Only groups of this shop.
    #[serde(default)]
    shop: Option<String>,
    /// Only groups of this region.
    #[serde(default)]
    region: Option<String>,
    /// Only groups of this brand.
    #[serde(default)]
    brand: Option<String>,
    /// Only groups with this tag.
    #[serde(default)]
    tag: Option<String>,
}

/// By which number groups are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sort {
    #[default]
    Messages,
    Joins,
    Leaves,
    Hits,
    Blocked,
}

impl Sort {
    fn of(self, counters: &Counters) -> u64 {
        match self {
            Sort::Messages => counters.messages,
            Sort::Joins => counters.joins,
            Sort::Leaves => counters.leaves,
            Sort::Hits => counters.hits,
            Sort::Blocked => counters.blocked,
        }
    }
}

/// Numbers over many groups.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Statistics {
    /// When they were read; everything acknowledged before is in them.
    as_of: String,
    /// From, inclusive.
    from: String,
    /// Until, exclusive.
    until: String,
    /// Groups of the scope and filter, also those where nothing happened.
    groups: usize,
    /// Of these, groups where something happened.
    active_groups: usize,
    /// Their sum.
    totals: Counters,
    /// The groups with the largest numbers.
    top: Vec<TopGroup>,
}

/// One group of many.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TopGroup {
    /// Its account.
    account: String,
    /// Its id there.
    group: String,
    /// Its name, where known.
    name: Option<String>,
    /// Its shop.
    shop: Option<String>,
    /// Its numbers.
    #[serde(flatten)]
    counters: Counters,
}

/// Shows numbers over all groups of the scope 总览
#[utoipa::path(
    get, path = "/v1/statistics", tag = "statistics", operation_id = "getStatistics", params(StatisticsQuery),
    responses((status = 200, description = "Totals and the top groups", body = Statistics)),
)]
pub(super) async fn overall(cx: Cx, Query(query): Query<StatisticsQuery>) -> ApiResult<Answer<Statistics>> {
    let zone = cx.directory().time_zone().clone();
    let read =
        |name, text: &Option<String>| text.as_deref().map(|text| moment::read(name, text, &zone)).transpose();
    let until_ms = read("until", &query.until)?.unwrap_or_else(|| moment::hour_of(cx.now_ms()) + HOUR_MS);
    let from_ms = moment::hour_of(read("from", &query.from)?.unwrap_or(until_ms - 24 * HOUR_MS));
    let top = query.top.unwrap_or(TOP_DEFAULT).min(TOP_MAX);
    let StatisticsQuery { sort, account, shop, region, brand, tag, .. } = query;
    let mut totals = cx.totals(GroupFilter { account, shop, region, brand, tag }, from_ms, until_ms).await?;
    let sum = totals.sum();
    let active_groups = totals.rows.len();
    totals.rows.sort_by(|(a, _), (b, _)| {
        let key = |row: &crate::storage::Totals| {
            (Reverse(sort.of(&row.counters)), row.account.clone(), row.group.clone())
        };
        key(a).cmp(&key(b))
    });
    let top = totals.rows.into_iter().take(top).map(|(row, context)| TopGroup {
        name: context.name().map(str::to_owned),
        shop: context.place.shop.as_ref().map(ToString::to_string),
        account: row.account,
        group: row.group,
        counters: row.counters,
    });
    Ok(Answer::ok(Statistics {
        as_of: moment::show(totals.as_of_ms),
        from: moment::show(from_ms),
        until: moment::show(until_ms),
        groups: totals.groups,
        active_groups,
        totals: sum,
        top: top.collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(by: By, from: &str, until: &str) -> GroupStatisticsQuery {
        GroupStatisticsQuery { by, from: Some(from.into()), until: Some(until.into()) }
    }

    fn hour(start: &str, messages: u64) -> CountRow {
        let start_ms = start.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        CountRow { start_ms, revised: messages > 5, counters: Counters { messages, ..Counters::default() } }
    }

    #[test]
    fn hours_fall_into_local_days() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let starts = starts(&query(By::Day, "2026-11-22", "2026-11-24"), &zone, 0, 10).unwrap();
        let hours = [
            hour("2026-11-21T16:00:00Z", 1), // midnight in Shanghai
            hour("2026-11-22T15:00:00Z", 2),
            hour("2026-11-22T16:00:00Z", 7),
        ];
        let rows = rows(&starts, &hours);
        let told: Vec<_> = rows.iter().map(|r| (r.start.as_str(), r.counters.messages, r.revised)).collect();
        assert_eq!(told, [("2026-11-21T16:00:00Z", 3, false), ("2026-11-22T16:00:00Z", 7, true)]);
    }

    #[test]
    fn rows_are_bounded_and_times_in_order() {
        let utc = TimeZone::UTC;
        assert_eq!(starts(&query(By::Hour, "2026-11-22", "2026-11-23"), &utc, 0, 24).unwrap().len(), 25);
        assert!(starts(&query(By::Hour, "2026-11-22", "2026-11-23"), &utc, 0, 23).is_err());
        assert!(starts(&query(By::Hour, "2026-11-22", "2026-11-22"), &utc, 0, 24).is_err());
        let recent = GroupStatisticsQuery { by: By::Day, from: None, until: None };
        assert_eq!(starts(&recent, &utc, 1_795_312_800_000, 24).unwrap().len(), 8);
    }
}
