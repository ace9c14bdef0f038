//! `/v1/broadcasts/{broadcast}/results`: every target of a broadcast as a file, CSV for people, NDJSON for programs.
//!
//! Written as it is read, so a file of any size costs the memory of one page. When storage fails half-way the connection
//! is broken off, so that nobody takes the beginning for the whole.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use csv::Terminator;
use futures_util::stream;
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};

use super::body::{Path, Query};
use super::broadcasts::refused;
use super::error::{ApiError, ApiResult};
use super::moment;
use super::state::Cx;
use crate::event::BroadcastId;
use crate::storage::{DeliveryRow, DeliveryState};

/// Targets read and written at once.
pub(super) const PAGE: usize = 1_000;

/// How the file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// For spreadsheets: UTF-8 with a mark in front, without which they take Chinese for something else.
    #[default]
    Csv,
    /// One JSON object a line, exactly as things are called.
    Ndjson,
}

/// Which targets, and how.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ResultsQuery {
    /// `csv` or `ndjson`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// Only in this state.
    #[serde(default)]
    #[param(inline)]
    state: Option<DeliveryState>,
}

/// One target with its result.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ResultRow {
    /// Its number in the broadcast.
    target: u32,
    /// Account.
    account: String,
    /// Group.
    group: String,
    /// The group's name.
    group_name: String,
    /// Shop.
    shop: String,
    /// The shop's name.
    shop_name: String,
    /// Region.
    region: String,
    /// Brand.
    brand: String,
    /// Where it stands.
    state: &'static str,
    /// The last answer's code.
    code: String,
    /// The last answer in words.
    detail: String,
    /// Calls made.
    attempts: u32,
    /// The platform's id of the message or the task.
    platform_id: String,
    /// When it changed: of one that is sent, when it was.
    updated_at: String,
    /// Not tried again before.
    due_at: String,
    /// Pointless after.
    expires_at: String,
    /// The delivery's id.
    delivery: String,
    /// At which levels of limits its calls count: `demo @robot app=shop corp=acme`; empty when the account is not connected.
    lane: String,
}

/// Exports the result of every target 导出群发结果
///
/// In a CSV, cells that a spreadsheet would take for a formula have an apostrophe in front (`'=…`).
#[utoipa::path(
    get, path = "/v1/broadcasts/{broadcast}/results", tag = "broadcasts", operation_id = "exportResults",
    params(("broadcast" = String, Path, description = "Its id"), ResultsQuery),
    responses((status = 200, description = "The targets of the scope, by number", content(
        (String = "text/csv"), (ResultRow = "application/x-ndjson"),
    ))),
)]
pub(super) async fn export(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<ResultsQuery>,
) -> ApiResult<Response> {
    let broadcast = cx.broadcast(&id).await?;
    let name = broadcast.id.to_string();
    let export = Export {
        cx,
        broadcast: broadcast.id,
        states: query.state.into_iter().collect(),
        format: query.format,
        after: Place::Start,
    };
    stream_file(export, Export::next, query.format, &name).await
}

/// Sends a file page by page as it is written. The first page is made before the answer begins: what fails there is an error
/// like any other; what fails later breaks the connection off.
pub(super) async fn stream_file<S, F>(
    start: S,
    next: fn(S) -> F,
    format: Format,
    name: &str,
) -> ApiResult<Response>
where
    S: Send + 'static,
    F: Future<Output = ApiResult<Option<(Bytes, Option<S>)>>> + Send + 'static,
{
    let (first, rest) = next(start).await?.unwrap_or_default();
    let rest = stream::try_unfold(rest, move |rest| async move {
        let Some(export) = rest else { return Ok::<_, ApiError>(None) };
        next(export).await
    });
    let rest = futures_util::StreamExt::map(rest, |page| {
        page.map_err(|error| {
            tracing::warn!(error = error.detail, "an export broke off");
            std::io::Error::other(error.detail)
        })
    });
    let pages = futures_util::StreamExt::chain(stream::iter([Ok::<_, std::io::Error>(first)]), rest);
    let (kind, ending) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
        Format::Ndjson => ("application/x-ndjson", "ndjson"),
    };
    let mut response = Body::from_stream(pages).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let file = HeaderValue::from_str(&format!("attachment; filename=\"{name}.{ending}\""));
    if let Ok(file) = file {
        headers.insert(header::CONTENT_DISPOSITION, file);
    }
    Ok(response)
}

/// An export under way.
struct Export {
    cx: Cx,
    broadcast: BroadcastId,
    states: Vec<DeliveryState>,
    format: Format,
    after: Place,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    After(u32),
}

impl Export {
    /// Writes the next page; `None` in its second part when it was the last.
    async fn next(self) -> ApiResult<Option<(Bytes, Option<Self>)>> {
        let after = match self.after {
            Place::Start => None,
            Place::After(target) => Some(target),
        };
        let broadcasts = self.cx.broadcasts();
        let rows =
            broadcasts.targets(self.cx.actor(), &self.broadcast, self.states.clone(), after, PAGE).await;
        let rows = rows.map_err(refused)?;
        let next = rows.last().filter(|_| rows.len() == PAGE).map(|row| Place::After(row.target));
        let visible = rows.into_iter().filter(|row| self.cx.covers_group(&row.account, &row.group));
        let results: Vec<ResultRow> = visible.map(|row| self.cx.result(row)).collect();
        let written = match self.format {
            Format::Csv => write_csv(&results, self.after == Place::Start),
            Format::Ndjson => write_ndjson(&results),
        };
        let bytes = written.map_err(|error| ApiError::internal(&error))?;
        Ok(Some((bytes.into(), next.map(|after| Self { after, ..self }))))
    }
}

impl Cx {
    fn result(&self, row: DeliveryRow) -> ResultRow {
        let context = self.directory().context(&row.account, &row.group);
        let of = |value: Option<String>| value.unwrap_or_default();
        let (name, shop_name, place) = context
            .map(|context| {
                let own = |variable: &str| context.variable(variable).map(str::to_owned);
                (context.name().map(str::to_owned), own("shop.name"), context.place.clone())
            })
            .unwrap_or_default();
        let lane = self.lane(&row.account, &row.group);
        ResultRow {
            lane: lane.map(|lane| lane.text()).unwrap_or_default(),
            target: row.target,
            group_name: of(name),
            shop: of(place.shop.map(|shop| shop.to_string())),
            shop_name: of(shop_name),
            region: of(place.region.map(|region| region.to_string())),
            brand: of(place.brand.map(|brand| brand.to_string())),
            account: row.account,
            group: row.group,
            state: row.state.as_str(),
            code: row.code,
            detail: row.detail,
            attempts: row.attempts,
            platform_id: row.platform_id,
            updated_at: moment::show(row.updated_ms),
            due_at: of(moment::show_set(row.due_ms)),
            expires_at: of(moment::show_set(row.expires_ms)),
            delivery: row.id,
        }
    }
}

/// The mark by which spreadsheets know UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

const COLUMNS: [&str; 18] = [
    "target",
    "account",
    "group",
    "group_name",
    "shop",
    "shop_name",
    "region",
    "brand",
    "state",
    "code",
    "detail",
    "attempts",
    "platform_id",
    "updated_at",
    "due_at",
    "expires_at",
    "delivery",
    "lane",
];

fn write_csv(rows: &[ResultRow], is_first: bool) -> Result<Vec<u8>, csv::Error> {
    let cells = rows.iter().map(|row| {
        [
            row.target.to_string(),
            row.account.clone(),
            row.group.clone(),
            row.group_name.clone(),
            row.shop.clone(),
            row.shop_name.clone(),
            row.region.clone(),
            row.brand.clone(),
            row.state.to_owned(),
            row.code.clone(),
            row.detail.clone(),
            row.attempts.to_string(),
            row.platform_id.clone(),
            row.updated_at.clone(),
            row.due_at.clone(),
            row.expires_at.clone(),
            row.delivery.clone(),
            row.lane.clone(),
        ]
    });
    write_table(COLUMNS, cells, is_first)
}

/// Writes a table for spreadsheets; the names of its columns go before the first page.
pub(super) fn write_table<const N: usize>(
    columns: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    is_first: bool,
) -> Result<Vec<u8>, csv::Error> {
    let start = if is_first { BOM.to_vec() } else { Vec::new() };
    let mut file = csv::WriterBuilder::new().terminator(Terminator::CRLF).from_writer(start);
    if is_first {
        file.write_record(columns)?;
    }
    for cells in rows {
        file.write_record(cells.iter().map(|cell| plain(cell).into_owned()))?;
    }
    file.into_inner().map_err(|error| error.into_error().into())
}

/// Keeps a spreadsheet from taking a name for a formula: it would run what a stranger called their group.
fn plain(cell: &str) -> std::borrow::Cow<'_, str> {
    const STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    // A number below 0 is no formula.
    if cell.starts_with(STARTS) && cell.parse::<i64>().is_err() {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

pub(super) fn write_ndjson<T: Serialize>(rows: &[T]) -> Result<Vec<u8>, csv::Error> {
    let mut lines = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut lines, row).map_err(std::io::Error::from)?;
        lines.push(b'\n');
    }
    Ok(lines)
}
