//! `/v1/statistics/words`: the fastest-rising words of a day (热词).

use std::future::{Ready, ready};

use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::cuts::date_of;
use super::row::share;
use crate::api::body::{Answer, Query};
use crate::api::error::{ApiError, ApiResult, Code};
use crate::api::moment;
use crate::api::results::{Format, stream_file, write_ndjson, write_table};
use crate::api::scoped::words::ScopedWords;
use crate::api::state::Cx;
use crate::directory::GroupFilter;
use crate::report;
use crate::statistics::coverage::Covered;
use crate::statistics::words::Risen;

const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 200;
const OFF: &str = "words are not counted: set `statistics.words = true` and restart";

/// How it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum Form {
    /// One answer.
    #[default]
    Json,
    /// For spreadsheets.
    Csv,
    /// One JSON object a word.
    Ndjson,
}

/// Of which day and groups.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct WordsQuery {
    /// The day, in each group's own zone; today when left out.
    #[serde(default)]
    #[param(example = "2026-11-28")]
    day: Option<String>,
    /// How many words.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200, default = 20)]
    limit: Option<usize>,
    /// One answer, or only the words as a file.
    #[serde(default)]
    #[param(inline)]
    format: Form,
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

/// The fastest-rising words of a day.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct RisingWords {
    /// When they were read; what was said in the last minute or so is not in them.
    as_of: String,
    /// The day.
    day: String,
    /// The day is not over: words may still rise.
    is_running: bool,
    /// Messages of customers that were looked at in these groups; null where none can be seen.
    messages: Option<u64>,
    /// Customers who wrote them, each counted once.
    speakers: Option<u64>,
    /// How much of what was said that day was looked at, over all groups of the house.
    share: LookedAt,
    /// Days before that are known, of at most 7; with fewer than 4 nothing can be said to rise.
    days_before: usize,
    /// So many different customers must have said a word.
    people_min: u64,
    /// The words, those that rose fastest first; null where nothing can be seen or too few days are known.
    items: Option<Vec<RisingWord>>,
    /// In how many of the groups what is said can be seen 数据覆盖.
    coverage: Covered,
}

/// How much of what was said was looked at.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct LookedAt {
    /// Messages that were looked at.
    counted: u64,
    /// Messages that there was no room for: `statistics.words_messages_per_second_max`.
    missed: u64,
    /// The share that was looked at, 0 to 1; null where nothing was said.
    part: Option<f64>,
}

/// A word that more people say than usual.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct RisingWord {
    /// The word, as it folds: lower case, simplified.
    word: String,
    /// Customers who said it that day, each counted once.
    people: u64,
    /// So few are usual, by the days before.
    usual_low: u64,
    /// So many are usual.
    usual_high: u64,
    /// How far it is above what is expected, in standard deviations of the days before.
    score: f64,
    /// The same in Chinese.
    zh: String,
    /// The same in English.
    en: String,
}

impl From<RisingWord> for report::Word {
    fn from(RisingWord { word, people, usual_low, usual_high, .. }: RisingWord) -> Self {
        Self { word, people, usual: (usual_low, usual_high) }
    }
}

/// Shows the fastest-rising words of a day 热词
///
/// Counted by people, without keeping what was said. A word is shown when enough different customers of the groups asked
/// about said it, and more than the seven days before make likely. In a CSV, cells that a spreadsheet would take for a
/// formula have an apostrophe in front.
#[utoipa::path(
    get, path = "/v1/statistics/words", tag = "statistics", operation_id = "getRisingWords", params(WordsQuery),
    responses((status = 200, description = "The words, those that rose fastest first", content(
        (RisingWords = "application/json"), (String = "text/csv"), (RisingWord = "application/x-ndjson"),
    ))),
)]
pub(in crate::api) async fn get(cx: Cx, Query(query): Query<WordsQuery>) -> ApiResult<Response> {
    if !cx.statistics_config().words {
        return Err(ApiError::new(Code::Conflict, OFF));
    }
    let today = date_of(cx.now_ms(), cx.directory().time_zone());
    let date = match &query.day {
        None => today,
        Some(text) => text.parse::<Date>().map_err(|_| {
            ApiError::unreadable("", "query", "the query: `day` must be a day like 2026-11-28")
        })?,
    };
    let limit @ 1..=LIMIT_MAX = query.limit.unwrap_or(LIMIT_DEFAULT) else {
        let detail = format!("the query: `limit` must be from 1 to {LIMIT_MAX}");
        return Err(ApiError::unreadable("", "query", detail));
    };
    let WordsQuery { account, shop, region, brand, tag, platform, format, .. } = query;
    let filter = GroupFilter { account, shop, region, brand, tag, platform };
    let found = cx.rising_words(filter, date).await?;
    let items = words(&found, limit);
    let format = match format {
        Form::Csv => Format::Csv,
        Form::Ndjson => Format::Ndjson,
        Form::Json => {
            let people_min = cx.statistics_config().words_people_min;
            return Ok(Answer::ok(told(&found, items, date, date >= today, people_min)).into_response());
        }
    };
    let page = Page { items: items.unwrap_or_default(), format };
    stream_file(page, Page::write, format, &format!("words-{date}")).await
}

/// A page of a file, and what comes after it.
type Written = ApiResult<Option<(Bytes, Option<Page>)>>;

/// A file of one page.
struct Page {
    items: Vec<RisingWord>,
    format: Format,
}

impl Page {
    fn write(self) -> Ready<Written> {
        ready(self.written().map(|bytes| Some((bytes, None))))
    }

    fn written(self) -> ApiResult<Bytes> {
        let written = match self.format {
            Format::Csv => write_table(COLUMNS, self.items.iter().map(cells), true),
            Format::Ndjson => write_ndjson(&self.items),
        };
        Ok(written.map_err(|error| ApiError::internal(&error))?.into())
    }
}

const COLUMNS: [&str; 5] = ["word", "people", "usual_low", "usual_high", "score"];

fn cells(word: &RisingWord) -> [String; 5] {
    let RisingWord { word, people, usual_low, usual_high, score, .. } = word;
    [word.clone(), people.to_string(), usual_low.to_string(), usual_high.to_string(), score.to_string()]
}

/// Returns the words of a day that may be told; `None` where nothing can be seen or said.
pub(in crate::api) fn words(found: &ScopedWords, limit: usize) -> Option<Vec<RisingWord>> {
    found.coverage.known(0)?;
    Some(found.risen.as_ref()?.iter().take(limit).map(word).collect())
}

fn told(
    found: &ScopedWords,
    items: Option<Vec<RisingWord>>,
    date: Date,
    is_running: bool,
    people_min: u64,
) -> RisingWords {
    let (counted, missed) = (found.share.counted, found.share.missed);
    RisingWords {
        as_of: moment::show(found.as_of_ms),
        day: date.to_string(),
        is_running,
        messages: found.coverage.known(found.messages),
        speakers: found.coverage.known(found.speakers),
        share: LookedAt { counted, missed, part: share(counted, counted + missed) },
        days_before: found.days_before,
        people_min,
        items,
        coverage: found.coverage,
    }
}

fn word(risen: &Risen) -> RisingWord {
    let Risen { word, people, usual, score } = risen;
    let (low, high) = (usual.low, usual.high);
    let (mut zh, mut en) =
        (format!("{people} 人说到，平时 {low}–{high} 人"), format!("{people} people, usual {low}–{high}"));
    if low == high {
        (zh, en) = (format!("{people} 人说到，平时 {low} 人"), format!("{people} people, usual {low}"));
    }
    let (word, score) = (word.to_string(), (score * 10.0).round() / 10.0);
    RisingWord { word, people: *people, usual_low: low, usual_high: high, score, zh, en }
}
