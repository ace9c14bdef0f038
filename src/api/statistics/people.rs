//! `/v1/statistics/people`, `/v1/statistics/retention`, `/v1/statistics/heatmap`: people counted once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cuts::{Asked, By};
use crate::api::body::{Answer, Query};
use crate::api::error::{ApiError, ApiResult};
use crate::api::moment;
use crate::api::state::Cx;
use crate::directory::GroupFilter;
use crate::statistics::coverage::Covered;
use crate::statistics::days::DAY_MS;
use crate::statistics::figures::crowd::{Crowd, Window};
use crate::statistics::figures::hidden;
use crate::statistics::figures::retention::{After, DAYS};

/// Days without a message after which a member is silent, unless asked for otherwise.
const SILENT_DAYS: i64 = 14;
const SILENT_DAYS_MAX: i64 = 366;

/// Which people.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct PeopleQuery {
    /// From, inclusive: RFC 3339, or a date in the default zone. 7 days back when left out.
    #[serde(default)]
    #[param(example = "2026-11-22")]
    from: Option<String>,
    /// Until, exclusive: RFC 3339, or a date in the default zone. Now when left out.
    #[serde(default)]
    until: Option<String>,
    /// Who has been in a group for so many days without a message is silent.
    #[serde(default)]
    #[param(minimum = 1, maximum = 366, default = 14)]
    silent_days: Option<i64>,
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

/// People over many groups, each counted once. What each number means: `/v1/statistics/definitions`.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Headcount {
    /// When they were read; everything acknowledged before is in them.
    as_of: String,
    /// From, inclusive.
    from: String,
    /// Until, exclusive.
    until: String,
    /// Customers in any of the groups at the end 客户人数.
    people: u64,
    /// Of these, customers in at least two of the groups 同时在多个群.
    in_several_groups: u64,
    /// Customers at the end, counted in each group 客户成员数.
    members: u64,
    /// Staff in any of the groups at the end 员工人数.
    staff: u64,
    /// Customers who first appeared in any of the groups in that time 新客户.
    new_people: u64,
    /// Customers who were in a group at the beginning and are in none at the end 流失客户.
    lost_people: u64,
    /// Leaves of customers against the mean of members at both ends 流失率.
    churn: Option<f64>,
    /// Customers who spoke 活跃客户.
    active_members: Option<u64>,
    /// Customers who spoke in as long a time before 上期活跃客户.
    active_before: Option<u64>,
    /// Customers who spoke in both 两期都活跃.
    overlap: Option<u64>,
    /// Customers in a group for long without a message 沉默成员.
    silent_members: Option<u64>,
    /// Groups without a customer's message in 7 days 沉睡群.
    dormant_groups: Option<u64>,
    /// In how many of the groups what is said can be seen 数据覆盖.
    coverage: Covered,
}

/// Shows who the people of many groups are, each counted once 人数（去重）
#[utoipa::path(
    get, path = "/v1/statistics/people", tag = "statistics", operation_id = "getPeopleStatistics", params(PeopleQuery),
    responses((status = 200, description = "People, counted once over all groups", body = Headcount)),
)]
pub(in crate::api) async fn people(cx: Cx, Query(query): Query<PeopleQuery>) -> ApiResult<Answer<Headcount>> {
    let zone = cx.directory().time_zone().clone();
    let asked = Asked { from: query.from.as_deref(), until: query.until.as_deref() };
    let (from_ms, until_ms) = asked.read(&zone, cx.now_ms(), 7 * DAY_MS)?;
    let silent = query.silent_days.unwrap_or(SILENT_DAYS);
    if !(1..=SILENT_DAYS_MAX).contains(&silent) {
        let detail = format!("the query: `silent_days` must be from 1 to {SILENT_DAYS_MAX}");
        return Err(ApiError::unreadable("", "query", detail));
    }
    let window = Window { from_ms, until_ms, silent_ms: silent * DAY_MS };
    let PeopleQuery { account, shop, region, brand, tag, platform, .. } = query;
    let filter = GroupFilter { account, shop, region, brand, tag, platform };
    let scoped = cx.crowd(filter, window).await?;
    Ok(Answer::ok(told(&scoped.found, window, scoped.coverage, scoped.as_of_ms)))
}

fn told(crowd: &Crowd, window: Window, coverage: Covered, as_of_ms: i64) -> Headcount {
    let seen = |number| coverage.known(number);
    Headcount {
        as_of: moment::show(as_of_ms),
        from: moment::show(window.from_ms),
        until: moment::show(window.until_ms),
        people: crowd.at_until.len(),
        in_several_groups: crowd.in_several.len(),
        members: crowd.members_until,
        staff: crowd.staff.len(),
        new_people: crowd.new_people().len(),
        lost_people: crowd.lost().len(),
        churn: crowd.churn(),
        active_members: seen(crowd.active.len()),
        active_before: seen(crowd.active_before.len()),
        overlap: seen(crowd.active.intersection_len(&crowd.active_before)),
        silent_members: seen(crowd.silent().len()),
        dormant_groups: seen(crowd.dormant),
        coverage,
    }
}

/// Which cohorts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct RetentionQuery {
    /// Who joined on the same day, in the same week or month is looked at together.
    #[serde(default)]
    #[param(inline)]
    by: By,
    /// From, inclusive: RFC 3339, or a date in the default zone. 7 days, 4 weeks or 3 months back when left out.
    #[serde(default)]
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// Until, exclusive: RFC 3339, or a date in the default zone. Now when left out.
    #[serde(default)]
    until: Option<String>,
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

/// What became of those who joined.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Retention {
    /// When it was read; everything acknowledged before is in it.
    as_of: String,
    /// One for each day, week or month.
    cohorts: Vec<CohortView>,
    /// In how many of the groups what is said can be seen 数据覆盖.
    coverage: Covered,
}

/// Those who joined in one stretch of time.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct CohortView {
    /// Its start.
    start: String,
    /// Customers who joined then, each counted once; null where it is withheld.
    people: Option<u64>,
    /// They are fewer than `statistics.breakdown_minimum`, or could be worked out with others 人数太少，不显示.
    withheld_for_privacy: bool,
    /// After 1, 7 and 30 days; null where it is withheld.
    after: Option<Vec<AfterView>>,
}

/// What became of them after some days.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct AfterView {
    /// Days after joining.
    days: i64,
    /// Of whom so many days have passed.
    of: u64,
    /// Still in one of the groups 还在群.
    there: u64,
    /// Still speaking 还说话.
    speaking: Option<u64>,
}

/// Shows how many of those who joined together stay and speak 留存
#[utoipa::path(
    get, path = "/v1/statistics/retention", tag = "statistics", operation_id = "getRetention", params(RetentionQuery),
    responses((status = 200, description = "What became of those who joined, by when they did", body = Retention)),
)]
pub(in crate::api) async fn retention(
    cx: Cx,
    Query(query): Query<RetentionQuery>,
) -> ApiResult<Answer<Retention>> {
    let zone = cx.directory().time_zone().clone();
    let asked = Asked { from: query.from.as_deref(), until: query.until.as_deref() };
    if query.by == By::Hour {
        return Err(ApiError::unreadable("", "query", "the query: `by` must be day, week or month"));
    }
    let stretches = asked.cut(query.by, &zone, cx.now_ms(), cx.config().statistics_rows_max)?;
    let RetentionQuery { account, shop, region, brand, tag, platform, .. } = query;
    let filter = GroupFilter { account, shop, region, brand, tag, platform };
    let scoped = cx.retention(filter, stretches.clone()).await?;
    let coverage = scoped.coverage;
    let after = |(after, (days, _)): (&After, (i64, i64))| AfterView {
        days,
        of: after.of,
        there: after.there,
        speaking: coverage.known(after.speaking),
    };
    let cuts = stretches.in_zone(&zone);
    let people: Vec<u64> = scoped.found.iter().map(|cohort| cohort.people).collect();
    let hidden = hidden::line(&people, cx.statistics_config().breakdown_minimum);
    let cohorts = cuts.starts().iter().zip(&scoped.found).zip(hidden);
    let cohorts = cohorts.map(|((start, cohort), withheld_for_privacy)| CohortView {
        start: moment::show(*start),
        people: (!withheld_for_privacy).then_some(cohort.people),
        withheld_for_privacy,
        after: (!withheld_for_privacy).then(|| cohort.after.iter().zip(DAYS).map(after).collect()),
    });
    Ok(Answer::ok(Retention { as_of: moment::show(scoped.as_of_ms), cohorts: cohorts.collect(), coverage }))
}

/// When customers talk.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Heatmap {
    /// When it was read; everything acknowledged before is in it.
    as_of: String,
    /// From, inclusive.
    from: String,
    /// Until, exclusive.
    until: String,
    /// Messages of customers that count, by weekday (Monday first) and hour (0 to 23) of the groups' own zones; null where
    /// none can be seen.
    messages: Option<Vec<Vec<Option<u64>>>>,
    /// Hours are null in which fewer customers than `statistics.breakdown_minimum` talk, or with which such could be worked out
    /// 人数太少，不显示.
    withheld_for_privacy: bool,
    /// In how many of the groups what is said can be seen 数据覆盖.
    coverage: Covered,
}

/// Shows in which hours of the week customers talk 活跃时段
#[utoipa::path(
    get, path = "/v1/statistics/heatmap", tag = "statistics", operation_id = "getHeatmap", params(PeopleQuery),
    responses((status = 200, description = "Messages by weekday and hour", body = Heatmap)),
)]
pub(in crate::api) async fn heatmap(cx: Cx, Query(query): Query<PeopleQuery>) -> ApiResult<Answer<Heatmap>> {
    let zone = cx.directory().time_zone().clone();
    let asked = Asked { from: query.from.as_deref(), until: query.until.as_deref() };
    let four_weeks = i64::try_from(Duration::from_hours(28 * 24).as_millis()).unwrap_or_default();
    let (from_ms, until_ms) = asked.read(&zone, cx.now_ms(), four_weeks)?;
    let PeopleQuery { account, shop, region, brand, tag, platform, .. } = query;
    let filter = GroupFilter { account, shop, region, brand, tag, platform };
    let scoped = cx.heat(filter, from_ms, until_ms).await?;
    Ok(Answer::ok(Heatmap {
        as_of: moment::show(scoped.as_of_ms),
        from: moment::show(from_ms),
        until: moment::show(until_ms),
        messages: scoped.coverage.known(0).map(|_| scoped.found.week),
        withheld_for_privacy: scoped.found.is_withheld,
        coverage: scoped.coverage,
    }))
}
