//! `/v1/statistics/export`: every group's numbers as a file, CSV for people, NDJSON for programs.
//!
//! Written as it is read, group by group, so a file of any size costs the memory of one page; `after` goes on where one
//! broke off.

use axum::response::Response;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::cuts::{Asked, By, Stretches};
use super::row::{FigureRow, OutcomeTold};
use crate::api::body::Query;
use crate::api::error::{ApiError, ApiResult};
use crate::api::moment;
use crate::api::results::{Format, stream_file, write_ndjson, write_table};
use crate::api::scoped::figures::{Groups, Wanted};
use crate::api::state::Cx;
use crate::directory::{GroupFilter, GroupFound};

/// Rows that are read and written at once, about.
const PAGE_ROWS: usize = 2_000;

/// Which groups and time, and how.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ExportQuery {
    /// `csv` or `ndjson`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// A row for each hour, or for each day, week or month of the group's own zone.
    #[serde(default)]
    #[param(inline)]
    by: By,
    /// From, inclusive: RFC 3339, or a date in the default zone. 24 hours, 7 days, 4 weeks or 3 months back when left out.
    #[serde(default)]
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// Until, exclusive: RFC 3339, or a date in the default zone. Now when left out.
    #[serde(default)]
    until: Option<String>,
    /// Go on after this group: `account/group`, the last one of a file that broke off.
    #[serde(default)]
    #[param(example = "demo/g-1")]
    after: Option<String>,
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

/// The numbers of a group in one stretch of time.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct ExportRow {
    /// Account.
    account: String,
    /// Group.
    group: String,
    /// The group's name.
    group_name: String,
    /// Shop.
    shop: String,
    /// Region.
    region: String,
    /// Brand.
    brand: String,
    /// Start of the hour, day, week or month.
    start: String,
    /// The numbers.
    #[serde(flatten)]
    figures: FigureRow,
}

/// Exports every group's numbers 导出群数据
///
/// By account and group, and within a group by time. In a CSV, cells that a spreadsheet would take for a formula have an
/// apostrophe in front (`'=…`); what cannot be seen is empty.
#[utoipa::path(
    get, path = "/v1/statistics/export", tag = "statistics", operation_id = "exportStatistics", params(ExportQuery),
    responses((status = 200, description = "The groups of the scope", content(
        (String = "text/csv"), (ExportRow = "application/x-ndjson"),
    ))),
)]
pub(in crate::api) async fn export(cx: Cx, Query(query): Query<ExportQuery>) -> ApiResult<Response> {
    let zone = cx.directory().time_zone().clone();
    let asked = Asked { from: query.from.as_deref(), until: query.until.as_deref() };
    let stretches = asked.cut(query.by, &zone, cx.now_ms(), cx.config().statistics_rows_max)?;
    let after = query.after.as_deref().map(|after| {
        let pair = after.split_once('/').map(|(account, group)| (account.to_owned(), group.to_owned()));
        pair.ok_or_else(|| ApiError::unreadable("", "query", "the query: `after` must be like account/group"))
    });
    let ExportQuery { account, shop, region, brand, tag, platform, format, .. } = query;
    let filter = GroupFilter { account, shop, region, brand, tag, platform };
    let export = Export { after: after.transpose()?, ..Export::new(cx, filter, stretches, format) };
    export.send("statistics").await
}

/// A file under way.
pub(in crate::api) struct Export {
    cx: Cx,
    filter: GroupFilter,
    stretches: Stretches,
    format: Format,
    after: Option<(String, String)>,
    is_first: bool,
}

impl Export {
    /// Begins a file with the first group.
    pub(in crate::api) fn new(cx: Cx, filter: GroupFilter, stretches: Stretches, format: Format) -> Self {
        Self { cx, filter, stretches, format, after: None, is_first: true }
    }

    /// Sends it, page by page.
    pub(in crate::api) async fn send(self, name: &str) -> ApiResult<Response> {
        let format = self.format;
        stream_file(self, Self::next, format, name).await
    }

    /// Writes the next page; `None` in its second part when it was the last.
    async fn next(self) -> ApiResult<Option<(Bytes, Option<Self>)>> {
        let limit = (PAGE_ROWS / self.stretches.len().max(1)).max(1);
        let after = self.after.as_ref().map(|(account, group)| (&**account, &**group));
        let found = self.cx.directory().groups_in(self.cx.scope(), &self.filter, after, limit);
        let next = found.last().filter(|_| found.len() == limit);
        let next = next.map(|last| (last.context.account.id.to_string(), last.group.to_string()));
        let mut rows = Vec::with_capacity(found.len() * self.stretches.len());
        for group in found {
            rows.extend(self.rows(group).await?);
        }
        let written = match self.format {
            Format::Csv => write_table(COLUMNS, rows.iter().map(cells), self.is_first),
            Format::Ndjson => write_ndjson(&rows),
        };
        let bytes = written.map_err(|error| ApiError::internal(&error))?;
        let rest = next.map(|after| Self { after: Some(after), is_first: false, ..self });
        Ok(Some((bytes.into(), rest)))
    }

    async fn rows(&self, group: GroupFound) -> ApiResult<Vec<ExportRow>> {
        let context = group.context.clone();
        let cut = self.stretches.clone();
        let told = |value: Option<String>| value.unwrap_or_default();
        let row = ExportRow {
            account: context.account.id.to_string(),
            group: group.group.to_string(),
            group_name: told(context.name().map(str::to_owned)),
            shop: told(context.place.shop.as_ref().map(ToString::to_string)),
            region: told(context.place.region.as_ref().map(ToString::to_string)),
            brand: told(context.place.brand.as_ref().map(ToString::to_string)),
            start: String::new(),
            figures: FigureRow::default(),
        };
        let wanted = Wanted {
            groups: Groups::One(group),
            cuts: Box::new(move |context| cut.in_zone(&context.time_zone)),
            heading: None,
            with_members: true,
        };
        let column = self.cx.figures(wanted).await?.all;
        let cuts = self.stretches.in_zone(&context.time_zone);
        let cells = column.cells.iter().zip(&column.members).zip(&column.covered);
        let rows = cuts.starts().iter().zip(cells).map(|(start, ((cell, members), covered))| {
            let figures = FigureRow::new(cell, Some(*members), *covered);
            ExportRow { start: moment::show(*start), figures, ..row.clone() }
        });
        Ok(rows.collect())
    }
}

const COLUMNS: [&str; 31] = [
    "account",
    "group",
    "group_name",
    "shop",
    "region",
    "brand",
    "start",
    "messages",
    "staff_messages",
    "withheld",
    "recalled",
    "restored",
    "active_members",
    "customer_joins",
    "customer_leaves",
    "net",
    "early_leaves",
    "members",
    "hits",
    "masked",
    "reviewed",
    "blocked",
    "replies",
    "welcomes",
    "broadcasts",
    "outcomes",
    "outcome_values",
    "questions",
    "unanswered",
    "first_reply_median_seconds",
    "revised",
];

fn cells(row: &ExportRow) -> [String; 31] {
    let figures = &row.figures;
    let seen = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    [
        row.account.clone(),
        row.group.clone(),
        row.group_name.clone(),
        row.shop.clone(),
        row.region.clone(),
        row.brand.clone(),
        row.start.clone(),
        seen(figures.messages),
        seen(figures.staff_messages),
        seen(figures.withheld),
        seen(figures.recalled),
        seen(figures.restored),
        seen(figures.active_members),
        figures.customer_joins.to_string(),
        figures.customer_leaves.to_string(),
        figures.net.to_string(),
        figures.early_leaves.to_string(),
        seen(figures.members),
        seen(figures.hits),
        seen(figures.masked),
        seen(figures.reviewed),
        seen(figures.blocked),
        seen(figures.replies),
        figures.welcomes.to_string(),
        figures.broadcasts.to_string(),
        by_kind(row, |outcome| outcome.count.to_string()),
        by_kind(row, |outcome| outcome.value.to_string()),
        seen(figures.questions),
        seen(figures.unanswered),
        seen(figures.first_reply.median_seconds.map(u64::from)),
        figures.revised.to_string(),
    ]
}

/// Writes the results of each kind into one cell: `click=9; order=3`. How many kinds there are, only the brand knows.
fn by_kind(row: &ExportRow, told: impl Fn(&OutcomeTold) -> String) -> String {
    let kinds = row.figures.outcomes.iter().map(|(kind, outcome)| format!("{kind}={}", told(outcome)));
    kinds.collect::<Vec<_>>().join("; ")
}
