//! `/v1/groups/{account}/{group}/statistics/comparison`: a group against last week and against groups of its kind.

use serde::{Deserialize, Serialize};

use super::cuts::{Stretches, date_of};
use crate::api::body::{Answer, Path, Query};
use crate::api::error::{ApiError, ApiResult};
use crate::api::moment;
use crate::api::scoped::figures::{Column, Groups, Wanted};
use crate::api::state::Cx;
use crate::directory::{GroupFilter, GroupFound};
use crate::statistics::figures::waited;
use jiff::ToSpan as _;

const DAYS_DEFAULT: i64 = 7;
const DAYS_MAX: i64 = 92;

/// With which groups one is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum Among {
    /// Of the same region.
    #[default]
    Region,
    /// Of the same brand.
    Brand,
    /// With half to twice as many members, in any region.
    Size,
}

/// Over which time, and with whom.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ComparisonQuery {
    /// So many days up to today, against as many before.
    #[serde(default)]
    #[param(minimum = 1, maximum = 92, default = 7)]
    days: Option<i64>,
    /// With which groups.
    #[serde(default)]
    #[param(inline)]
    among: Among,
}

/// A group against its own past and against others.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Comparison {
    /// Its account.
    account: String,
    /// Its id there.
    group: String,
    /// When the numbers were read.
    as_of: String,
    /// The days looked at, from and until.
    from: String,
    /// See `from`.
    until: String,
    /// With which groups.
    among: Among,
    /// How many of them there are, itself among them.
    peers: usize,
    /// Number by number.
    measures: Vec<Compared>,
}

/// One number.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Compared {
    /// Its name, as in `/v1/statistics/definitions`.
    #[schema(example = "active_members")]
    measure: &'static str,
    /// In these days; null where it cannot be seen.
    value: Option<f64>,
    /// In as many days before.
    before: Option<f64>,
    /// From then to now, in percent; null where there was nothing before.
    change_percent: Option<f64>,
    /// How many of a hundred groups of its kind have less (half of those with as much counted in).
    percentile: Option<f64>,
    /// What the group in the middle has.
    median: Option<f64>,
}

/// Compares a group with its own past and with groups of its kind 对比
#[utoipa::path(
    get, path = "/v1/groups/{account}/{group}/statistics/comparison", tag = "statistics",
    operation_id = "compareGroup",
    params(
        ("account" = String, Path, description = "Its account"),
        ("group" = String, Path, description = "Its id there"),
        ComparisonQuery,
    ),
    responses((status = 200, description = "Number by number", body = Comparison)),
)]
pub(in crate::api) async fn get(
    cx: Cx,
    Path((account, group)): Path<(String, String)>,
    Query(query): Query<ComparisonQuery>,
) -> ApiResult<Answer<Comparison>> {
    let context = cx.directory().group_in(cx.scope(), &account, &group)?;
    let days = query.days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) {
        let detail = format!("the query: `days` must be from 1 to {DAYS_MAX}");
        return Err(ApiError::unreadable("", "query", detail));
    }
    let place = &context.place;
    let own = |value: Option<String>| {
        value.ok_or_else(|| {
            let detail = "the query: the group has no such place to be compared within; try `among=size`";
            ApiError::unreadable("", "query", detail)
        })
    };
    let filter = match query.among {
        Among::Region => {
            let region = own(place.region.as_ref().map(ToString::to_string))?;
            GroupFilter { region: Some(region), ..GroupFilter::default() }
        }
        Among::Brand => {
            let brand = own(place.brand.as_ref().map(ToString::to_string))?;
            GroupFilter { brand: Some(brand), ..GroupFilter::default() }
        }
        Among::Size => GroupFilter::default(),
    };
    let today = date_of(cx.now_ms(), &context.time_zone);
    let ago = |days: i64| today.checked_sub((days - 1).days()).unwrap_or(today);
    let end = today.tomorrow().unwrap_or(today);
    let stretches = Stretches::Dates(vec![ago(2 * days), ago(days), end]);
    let cut = stretches.clone();
    let wanted = Wanted {
        groups: Groups::Filter(filter),
        cuts: Box::new(move |context| cut.in_zone(&context.time_zone)),
        heading: Some(Box::new(|group: &GroupFound| {
            vec![heading(group.context.account.id.as_str(), &group.group)]
        })),
        with_members: true,
    };
    let figures = cx.figures(wanted).await?;
    let name = heading(&account, &group);
    let Some(this) = figures.by.get(&name) else { return Err(ApiError::not_found("group")) };
    let size = members(this, 1);
    let is_peer = |column: &&Column| {
        query.among != Among::Size || (members(column, 1) * 2.0 >= size && members(column, 1) <= size * 2.0)
    };
    let peers: Vec<&Column> = figures.by.values().filter(is_peer).collect();
    let range = stretches.in_zone(&context.time_zone);
    let measures = MEASURES.iter().map(|(measure, read)| compared(measure, *read, this, &peers));
    Ok(Answer::ok(Comparison {
        account,
        group,
        as_of: moment::show(figures.as_of_ms),
        from: range.starts().get(1).map(|start| moment::show(*start)).unwrap_or_default(),
        until: moment::show(range.range().end),
        among: query.among,
        peers: peers.len(),
        measures: measures.collect(),
    }))
}

fn heading(account: &str, group: &str) -> String {
    format!("{account}/{group}")
}

/// Reads a number of one of the two stretches.
type Read = fn(&Column, usize) -> Option<f64>;

const MEASURES: [(&str, Read); 9] = [
    ("members", |column, nth| Some(members(column, nth))),
    ("messages", |column, nth| seen(column, count(column.cells.get(nth)?.counters.messages))),
    ("active_members", |column, nth| seen(column, count(column.cells.get(nth)?.active.len()))),
    ("active_share", |column, nth| {
        seen(column, share(column.cells.get(nth)?.active.len(), members(column, nth))?)
    }),
    ("customer_joins", |column, nth| Some(count(column.cells.get(nth)?.came))),
    ("customer_leaves", |column, nth| Some(count(column.cells.get(nth)?.went))),
    ("early_leaves", |column, nth| Some(count(column.cells.get(nth)?.went_early))),
    ("hits", |column, nth| seen(column, count(column.cells.get(nth)?.counters.hits))),
    ("first_reply_median_seconds", |column, nth| {
        let waited = waited::waited(&column.cells.get(nth)?.facets);
        seen(column, f64::from(waited.median_s?))
    }),
];

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}

fn members(column: &Column, nth: usize) -> f64 {
    count(column.members.get(nth).copied().unwrap_or_default())
}

fn share(of: u64, all: f64) -> Option<f64> {
    (all > 0.0).then(|| count(of) / all)
}

fn seen(column: &Column, value: f64) -> Option<f64> {
    column.coverage.known(0).map(|_| value)
}

fn compared(measure: &'static str, read: Read, this: &Column, peers: &[&Column]) -> Compared {
    let (before, value) = (read(this, 0), read(this, 1));
    let mut values: Vec<f64> = peers.iter().filter_map(|column| read(column, 1)).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.get(values.len().saturating_sub(1) / 2).copied();
    Compared {
        measure,
        value,
        before,
        change_percent: before
            .zip(value)
            .filter(|(before, _)| *before > 0.0)
            .map(|(before, value)| rounded((value - before) / before * 100.0)),
        percentile: value.filter(|_| values.len() > 1).map(|value| percentile(&values, value)),
        median: middle.filter(|_| values.len() > 1),
    }
}

/// `values` ascend.
fn percentile(values: &[f64], value: f64) -> f64 {
    let less = values.partition_point(|other| *other < value);
    let same = values.partition_point(|other| *other <= value) - less;
    rounded((count(less as u64) + count(same as u64) / 2.0) / count(values.len() as u64) * 100.0)
}

fn rounded(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_how_many_of_a_hundred_have_less() {
        let values = [1.0, 2.0, 2.0, 4.0];
        assert!((percentile(&values, 1.0) - 12.5).abs() < 1e-9);
        assert!((percentile(&values, 2.0) - 50.0).abs() < 1e-9);
        assert!((percentile(&values, 4.0) - 87.5).abs() < 1e-9);
    }
}
