//! `/v1/statistics` and a group's own numbers. What each word counts: `statistics::definitions`, docs/STATISTICS.md.

pub(super) mod compare;
pub(super) mod cuts;
pub(super) mod definitions;
pub(super) mod export;
pub(super) mod fatigue;
pub(super) mod people;
pub(super) mod row;
pub(super) mod words;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Query};
use super::error::ApiResult;
use super::moment;
use super::scoped::figures::{Column, Each, Groups, ScopedFigures, Wanted};
use super::state::Cx;
use crate::directory::{GroupContext, GroupFilter, GroupFound};
use crate::event::HOUR_MS;
use crate::statistics::definitions::Counters;
use crate::statistics::figures::{Cuts, hidden};
use cuts::{Asked, By, Stretches};
use row::FigureRow;

/// Groups in the answer of `/v1/statistics`, unless asked for otherwise.
const TOP_DEFAULT: usize = 10;
const TOP_MAX: usize = 100;

/// Which time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupStatisticsQuery {
    /// By what they are summed.
    #[serde(default)]
    #[param(inline)]
    by: By,
    /// From, inclusive: RFC 3339, or a date in the group's zone. 24 hours, 7 days, 4 weeks or 3 months back when left out.
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
    /// One row for each hour, day, week or month, also where nothing happened.
    rows: Vec<StatisticsRow>,
    /// All of it; who spoke on several days is counted once.
    totals: FigureRow,
}

/// The numbers of one stretch of time.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub(super) struct StatisticsRow {
    /// Its start.
    start: String,
    /// The numbers; not there where they are withheld.
    #[serde(flatten)]
    figures: Option<FigureRow>,
    /// Too few people stand behind them, or behind others that could be worked out with them 人数太少，不显示.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    withheld_for_privacy: bool,
}

/// Shows a group's numbers 群数据
#[utoipa::path(
    get, path = "/v1/groups/{account}/{group}/statistics", tag = "statistics", operation_id = "getGroupStatistics",
    params(
        ("account" = String, Path, description = "Its account"),
        ("group" = String, Path, description = "Its id there"),
        GroupStatisticsQuery,
    ),
    responses((status = 200, description = "Its numbers by hour, day, week or month", body = GroupStatistics)),
)]
pub(super) async fn of_group(
    cx: Cx,
    Path((account, group)): Path<(String, String)>,
    Query(query): Query<GroupStatisticsQuery>,
) -> ApiResult<Answer<GroupStatistics>> {
    let context = cx.directory().group_in(cx.scope(), &account, &group)?;
    let zone = context.time_zone.clone();
    let asked = Asked { from: query.from.as_deref(), until: query.until.as_deref() };
    let stretches = asked.cut(query.by, &zone, cx.now_ms(), cx.config().statistics_rows_max)?;
    let found = GroupFound { group: group.as_str().into(), context };
    let cut = stretches.clone();
    let wanted = Wanted {
        groups: Groups::One(found),
        cuts: Box::new(move |context| cut.in_zone(&context.time_zone)),
        heading: None,
        with_members: true,
    };
    let figures = cx.figures(wanted).await?;
    let time_zone = zone.iana_name().map(str::to_owned);
    let as_of = moment::show(figures.as_of_ms);
    let rows = rows(&figures.all, &stretches.in_zone(&zone), &[]);
    let totals = total(&figures.all);
    Ok(Answer::ok(GroupStatistics { account, group, time_zone, as_of, rows, totals }))
}

fn rows(column: &Column, cuts: &Cuts, hidden: &[bool]) -> Vec<StatisticsRow> {
    let tell = |(nth, start): (usize, &i64)| {
        let withheld_for_privacy = hidden.get(nth).copied().unwrap_or_default();
        let told = || match column.cells.get(nth).zip(column.covered.get(nth)) {
            Some((cell, covered)) => FigureRow::new(cell, column.members.get(nth).copied(), *covered),
            None => FigureRow::default(),
        };
        let figures = (!withheld_for_privacy).then(told);
        StatisticsRow { start: moment::show(*start), figures, withheld_for_privacy }
    };
    cuts.starts().iter().enumerate().map(tell).collect()
}

fn total(column: &Column) -> FigureRow {
    FigureRow::new(&column.sum(), column.members.last().copied(), column.coverage)
}

/// Which time and groups.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
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
    /// With a row for each hour, or for each day, week or month of the groups' own zones.
    #[serde(default)]
    #[param(inline)]
    by: Option<By>,
    /// With the same apart for each shop, region, brand, tag, platform, account or group.
    #[serde(default)]
    #[param(inline)]
    split: Option<Split>,
    /// With who is in the groups: `members` and `people`. Looks at every member.
    #[serde(default)]
    members: bool,
    /// How many groups are listed.
    #[serde(default)]
    #[param(minimum = 0, maximum = 100, default = 10)]
    top: Option<usize>,
    /// By which number they are chosen.
    #[serde(default)]
    #[param(inline)]
    sort: Sort,
    /// List those with the smallest numbers, not the largest.
    #[serde(default)]
    bottom: bool,
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
    /// Only groups on this platform.
    #[serde(default)]
    platform: Option<String>,
}

/// Apart by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Split {
    Shop,
    Region,
    Brand,
    /// A group with several tags counts with each of them.
    Tag,
    Platform,
    Account,
    Group,
}

impl Split {
    /// Returns under which headings a group goes.
    pub(super) fn headings(self, group: &GroupFound) -> Vec<String> {
        let (context, place) = (&group.context, &group.context.place);
        let one = |value: Option<String>| value.into_iter().collect();
        match self {
            Split::Shop => one(place.shop.as_ref().map(ToString::to_string)),
            Split::Region => one(place.region.as_ref().map(ToString::to_string)),
            Split::Brand => one(place.brand.as_ref().map(ToString::to_string)),
            Split::Tag => context.tags().to_vec(),
            Split::Platform => vec![context.account.record.platform.clone()],
            Split::Account => vec![context.account.id.to_string()],
            Split::Group => vec![format!("{}/{}", context.account.id, group.group)],
        }
    }
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
    groups: u64,
    /// Of these, groups where something happened.
    active_groups: u64,
    /// Customers in the groups at the end, each counted once; null where it was not asked for.
    people: Option<u64>,
    /// All of it; who spoke in several groups or on several days is counted once.
    totals: FigureRow,
    /// One row for each hour, day, week or month, where asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rows: Vec<StatisticsRow>,
    /// The same apart, where asked for; groups that have none of it are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    split: BTreeMap<String, Part>,
    /// The groups with the largest numbers; those behind which fewer people stand than `statistics.breakdown_minimum` are left out.
    top: Vec<TopGroup>,
}

/// One heading of many.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Part {
    /// Groups.
    groups: u64,
    /// Of these, groups where something happened.
    active_groups: u64,
    /// Customers in the groups at the end, each counted once; null where it was not asked for.
    people: Option<u64>,
    /// All of it; null where it is withheld.
    totals: Option<FigureRow>,
    /// Fewer people than `statistics.breakdown_minimum` stand behind it, or behind another part that could be worked out with
    /// it 人数太少，不显示.
    withheld_for_privacy: bool,
    /// One row for each stretch, where asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rows: Vec<StatisticsRow>,
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
    let (now_ms, rows_max) = (cx.now_ms(), cx.config().statistics_rows_max);
    let asked = Asked { from: query.from.as_deref(), until: query.until.as_deref() };
    let stretches = if let Some(by) = query.by {
        asked.cut(by, &zone, now_ms, rows_max)?
    } else {
        let end_ms = moment::hour_of(now_ms) + HOUR_MS;
        let (from_ms, until_ms) = asked.read(&zone, end_ms - 1, 24 * HOUR_MS - 1)?;
        Stretches::Moments(vec![moment::hour_of(from_ms), until_ms])
    };
    let (by, top, sort, bottom) = (query.by, query.top, query.sort, query.bottom);
    let figures = cx.figures(query.wanted(stretches.clone())).await?;
    let cuts = stretches.in_zone(&zone);
    let minimum = cx.statistics_config().breakdown_minimum;
    let hidden = figures.hidden(minimum);
    let ScopedFigures { as_of_ms, all, by: parts, each } = figures;
    let top = listed(shown(each, minimum), sort, bottom, top.unwrap_or(TOP_DEFAULT).min(TOP_MAX));
    let told = |column: &Column, hidden: &[bool]| {
        if by.is_some() { rows(column, &cuts, hidden) } else { Vec::new() }
    };
    let split = parts.into_iter().zip(hidden.parts.iter().zip(&hidden.cells));
    let split = split.map(|((heading, column), (is_withheld, cells))| {
        let is_shown = !is_withheld;
        let part = Part {
            groups: column.groups,
            active_groups: column.stirred,
            people: column.people.as_ref().map(RoaringTreemap::len).filter(|_| is_shown),
            totals: is_shown.then(|| total(&column)),
            withheld_for_privacy: *is_withheld,
            rows: told(&column, cells),
        };
        (heading, part)
    });
    Ok(Answer::ok(Statistics {
        as_of: moment::show(as_of_ms),
        from: moment::show(cuts.range().start),
        until: moment::show(cuts.range().end),
        groups: all.groups,
        active_groups: all.stirred,
        people: all.people.as_ref().map(RoaringTreemap::len),
        totals: total(&all),
        rows: told(&all, &[]),
        split: split.collect(),
        top,
    }))
}

/// Leaves out groups behind whose numbers too few people stand, and those with which they could be worked out.
fn shown(each: Vec<Each>, minimum: u64) -> Vec<Each> {
    let people: Vec<u64> = each.iter().map(|each| each.people).collect();
    let hidden = hidden::line(&people, minimum);
    each.into_iter().zip(hidden).filter(|(_, is_hidden)| !is_hidden).map(|(each, _)| each).collect()
}

/// Returns the groups with the largest or smallest numbers; of equals, those that come first by their names.
fn listed(mut each: Vec<Each>, sort: Sort, bottom: bool, top: usize) -> Vec<TopGroup> {
    each.sort_by_cached_key(|Each { group, counters, .. }| {
        let number = sort.of(counters);
        let rank = if bottom { (number, Reverse(0)) } else { (0, Reverse(number)) };
        (rank, group.context.account.id.to_string(), group.group.clone())
    });
    let told = |Each { group, counters, .. }: Each| TopGroup {
        name: group.context.name().map(str::to_owned),
        shop: group.context.place.shop.as_ref().map(ToString::to_string),
        account: group.context.account.id.to_string(),
        group: group.group.into(),
        counters,
    };
    each.into_iter().take(top).map(told).collect()
}

impl StatisticsQuery {
    fn wanted(self, stretches: Stretches) -> Wanted {
        let StatisticsQuery { account, shop, region, brand, tag, platform, split, members, .. } = self;
        let filter = GroupFilter { account, shop, region, brand, tag, platform };
        let cuts = Box::new(move |context: &GroupContext| stretches.in_zone(&context.time_zone));
        let heading = split.map(|split| Box::new(move |group: &GroupFound| split.headings(group)) as _);
        Wanted { groups: Groups::Filter(filter), cuts, heading, with_members: members }
    }
}
