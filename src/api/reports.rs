//! `/v1/reports/daily`: what happened in a region on a day, as a page for people and as a sheet.

use axum::response::{Html, IntoResponse as _, Response};
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Deserialize;

use super::body::Query;
use super::error::{ApiError, ApiResult};
use super::results::Format;
use super::scoped::figures::{Column, Groups, ScopedFigures, Wanted};
use super::state::Cx;
use super::statistics::cuts::{Stretches, date_of, midnight};
use super::statistics::export::Export;
use super::statistics::row::OutcomeTold;
use super::statistics::words;
use crate::directory::{GroupFilter, GroupFound};
use crate::report::{self, Day, Language, Line, Outcome, Report};
use crate::statistics::days::{DAY_MS, Facet};
use crate::statistics::figures::crowd::Window;
use crate::statistics::figures::outcomes::outcomes;
use crate::statistics::figures::waited;
use crate::statistics::figures::{Figures, hidden};

/// Days that a page shows.
const DAYS: i64 = 14;
/// Days that the heat map is of.
const HEAT_DAYS: i64 = 28;
/// Who has been in a group for so long without a message is silent.
const SILENT_MS: i64 = 14 * DAY_MS;
/// Groups that are listed as the liveliest, and as the quietest.
const LISTED: usize = 10;
/// Words that are listed.
const WORDS: usize = 15;
/// Shops that are listed; of more, the largest.
const SHOPS_MAX: usize = 200;

/// How it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    /// A page that needs nothing else.
    #[default]
    Html,
    /// A line for each group.
    Csv,
}

/// Of what, and how.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReportQuery {
    /// Only groups of this region; all that the token sees when left out.
    #[serde(default)]
    region: Option<String>,
    /// The day, in each group's own zone. Yesterday when left out.
    #[serde(default)]
    #[param(example = "2026-11-28")]
    date: Option<String>,
    /// In Chinese or English.
    #[serde(default)]
    #[param(inline)]
    lang: Language,
    /// A page or a sheet.
    #[serde(default)]
    #[param(inline)]
    format: Form,
}

/// Shows what happened in a region on a day 群日报
#[utoipa::path(
    get, path = "/v1/reports/daily", tag = "statistics", operation_id = "getDailyReport", params(ReportQuery),
    responses((status = 200, description = "The report", content(
        (String = "text/html"), (String = "text/csv"),
    ))),
)]
pub(super) async fn daily(cx: Cx, Query(query): Query<ReportQuery>) -> ApiResult<Response> {
    let zone = cx.directory().time_zone().clone();
    let today = date_of(cx.now_ms(), &zone);
    let date = match &query.date {
        None => today.yesterday().unwrap_or(today),
        Some(text) => text.parse::<Date>().map_err(|_| {
            ApiError::unreadable("", "query", "the query: `date` must be a day like 2026-11-28")
        })?,
    };
    let filter = GroupFilter { region: query.region.clone(), ..GroupFilter::default() };
    if query.format == Form::Csv {
        let stretches = Stretches::Dates(vec![date, date.tomorrow().unwrap_or(date)]);
        let name = format!("report-{}-{date}", query.region.as_deref().unwrap_or("all"));
        return Export::new(cx, filter, stretches, Format::Csv).send(&name).await;
    }
    let report = cx.report(filter, date).await?;
    Ok(Html(report::render(&report, query.lang)).into_response())
}

impl Cx {
    /// Gathers what a page tells.
    async fn report(&self, filter: GroupFilter, date: Date) -> ApiResult<Report> {
        let zone = self.directory().time_zone().clone();
        let day = |days: i64| date.checked_add(days.days()).unwrap_or(date);
        let window = Window {
            from_ms: midnight(date, &zone),
            until_ms: midnight(day(1), &zone),
            silent_ms: SILENT_MS,
        };
        let days = Stretches::Dates((1 - DAYS..=1).map(day).collect());
        let by_shop = |group: &GroupFound| {
            let shop = group.context.variable("shop.name").map(str::to_owned);
            shop.or_else(|| group.context.place.shop.as_ref().map(ToString::to_string)).into_iter().collect()
        };
        let figures = self.report_figures(&filter, days, by_shop).await?;
        let one_day = Stretches::Dates(vec![date, day(1)]);
        let by_group = |group: &GroupFound| vec![group.context.name().unwrap_or(&group.group).to_owned()];
        let groups = self.report_figures(&filter, one_day, by_group).await?;
        let crowd = self.crowd(filter.clone(), window).await?;
        let heat = self.heat(filter.clone(), midnight(day(1 - HEAT_DAYS), &zone), window.until_ms).await?;
        let words = self.rising_words(filter.clone(), date).await?;
        let (all, last) = (&figures.all, usize::try_from(DAYS - 1).unwrap_or_default());
        let (crowd, seen) = (crowd.found, crowd.coverage);
        let minimum = self.statistics_config().breakdown_minimum;
        let mut shops = lines(&figures, last, minimum);
        shops.sort_by_key(|line| std::cmp::Reverse(line.day.map(|day| day.members)));
        shops.truncate(SHOPS_MAX);
        let (top, bottom) = ends(lines(&groups, 0, minimum));
        let at = jiff::Timestamp::from_millisecond(figures.as_of_ms).unwrap_or_default().to_zoned(zone);
        Ok(Report {
            region: filter.region.as_deref().map(|region| self.region_name(region)),
            date: date.to_string(),
            as_of: at.strftime("%Y-%m-%d %H:%M").to_string(),
            groups: all.groups,
            seen: all.coverage.groups,
            dark_since: all
                .coverage
                .unavailable_since
                .map(|since| since.to_zoned(at.time_zone().clone()).strftime("%Y-%m-%d %H:%M").to_string()),
            today: told(all, last),
            week_before: told(all, last.saturating_sub(7)),
            days: (0..=last)
                .map(|nth| {
                    (day(i64::try_from(nth).unwrap_or_default() + 1 - DAYS).to_string(), told(all, nth))
                })
                .collect(),
            heat: seen.known(0).map(|_| heat.found.week),
            people: crowd.at_until.len(),
            new_people: crowd.new_people().len(),
            lost_people: crowd.lost().len(),
            silent: seen.known(crowd.silent().len()),
            dormant: seen.known(crowd.dormant),
            shops,
            top,
            bottom,
            outcomes: results(all, last),
            words: words::words(&words, WORDS).unwrap_or_default().into_iter().map(Into::into).collect(),
        })
    }

    async fn report_figures(
        &self,
        filter: &GroupFilter,
        stretches: Stretches,
        heading: impl Fn(&GroupFound) -> Vec<String> + Send + Sync + 'static,
    ) -> ApiResult<ScopedFigures> {
        let wanted = Wanted {
            groups: Groups::Filter(filter.clone()),
            cuts: Box::new(move |context| stretches.in_zone(&context.time_zone)),
            heading: Some(Box::new(heading)),
            with_members: true,
        };
        self.figures(wanted).await
    }

    /// Returns a region's name for people, where the caller sees it.
    fn region_name(&self, region: &str) -> String {
        let found = self.directory().region_in(self.scope(), region);
        found.map_or_else(|_| region.to_owned(), |found| found.record.name.clone())
    }
}

/// Returns a line for each part; those behind which too few people stand on that day have no figures.
fn lines(figures: &ScopedFigures, nth: usize, minimum: u64) -> Vec<Line> {
    let people = |column: &Column| column.cells.get(nth).map_or(0, Figures::people_behind);
    let people: Vec<u64> = figures.by.values().map(people).collect();
    let parts = figures.by.iter().zip(hidden::line(&people, minimum));
    let line = |((name, column), is_hidden): ((&String, &Column), bool)| Line {
        name: name.clone(),
        groups: column.groups,
        day: (!is_hidden).then(|| told(column, nth)),
    };
    parts.map(line).collect()
}

/// Returns the liveliest and the quietest, each once; those where nothing can be seen are in neither.
fn ends(mut lines: Vec<Line>) -> (Vec<Line>, Vec<Line>) {
    let messages = |line: &Line| line.day.and_then(|day| day.messages);
    lines.retain(|line| messages(line).is_some());
    lines.sort_by(|a, b| (messages(b), &a.name).cmp(&(messages(a), &b.name)));
    let rest = lines.split_off(LISTED.min(lines.len()));
    let bottom = rest.into_iter().rev().take(LISTED).collect();
    (lines, bottom)
}

/// Returns business results by kind, those with the most first.
fn results(column: &Column, nth: usize) -> Vec<Outcome> {
    let Some(cell) = column.cells.get(nth) else { return Vec::new() };
    let mut told: Vec<Outcome> = outcomes(&cell.facets)
        .into_iter()
        .map(|(kind, sum)| {
            let OutcomeTold { count, value } = sum.into();
            Outcome { kind: kind.to_owned(), count, value }
        })
        .collect();
    told.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind)));
    told.truncate(LISTED);
    told
}

fn told(column: &Column, nth: usize) -> Day {
    let Some(cell) = column.cells.get(nth) else { return Day::default() };
    let coverage = column.covered.get(nth).copied().unwrap_or_default();
    let questions = cell.facets.get(&Facet::Question).copied().unwrap_or_default();
    Day {
        messages: coverage.known(cell.counters.messages),
        active: coverage.known(cell.active.len()),
        joins: cell.came,
        leaves: cell.went,
        early_leaves: cell.went_early,
        members: column.members.get(nth).copied().unwrap_or_default(),
        broadcasts: cell.broadcasts,
        hits: coverage.known(cell.counters.hits),
        blocked: coverage.known(cell.counters.blocked),
        questions: coverage.known(questions),
        unanswered: coverage.known(questions.saturating_sub(waited::answered(&cell.facets))),
        first_reply_s: waited::waited(&cell.facets).median_s,
    }
}
