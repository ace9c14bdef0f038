//! Values for texts, for many shops or groups at once: from the sheet that people keep them in, or line by line.
//!
//! Only what a line names is changed; everything else of a shop or group stays as it is.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::header;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::body;
use super::error::{ApiError, ApiResult, Code};
use super::ndjson::{self, Answers, ImportLine};
use super::sheet::{CSV, Sheet, without_mark};
use super::state::{App, Cx};
use crate::directory::VariableChanges;
use crate::event::{AccountId, GroupId, GroupName, ShopId};

const NDJSON: [&str; 2] = ["application/x-ndjson", "application/ndjson"];

/// What a line is about, and what it changes.
type Change = (Vec<String>, VariableChanges);

/// A body of values.
#[derive(Debug)]
pub(super) struct Values {
    body: Bytes,
    is_csv: bool,
    lines_max: usize,
}

impl FromRequest<App> for Values {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        body::check_type(request.headers(), &[CSV, NDJSON[0], NDJSON[1]])?;
        let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_csv = given.is_some_and(|given| given.trim_start().to_ascii_lowercase().starts_with(CSV));
        let body = body::read(request, app.import_bytes_max(), app.body_timeout()).await?;
        Ok(Self { body, is_csv, lines_max: app.import_lines_max() })
    }
}

impl Values {
    /// Reads every line; what it is about stands under `keys`.
    fn lines(&self, keys: &[&str]) -> ApiResult<Vec<(usize, ApiResult<Change>)>> {
        let body = without_mark(&self.body);
        let lines = if self.is_csv { from_csv(body, keys)? } else { from_ndjson(body, keys) };
        if lines.len() > self.lines_max {
            let detail = format!("{} lines, at most {}", lines.len(), self.lines_max);
            return Err(ApiError::new(Code::TooLarge, detail));
        }
        Ok(lines)
    }
}

/// Columns are variables but for the keys; an empty cell changes nothing.
fn from_csv(body: &[u8], keys: &[&str]) -> ApiResult<Vec<(usize, ApiResult<Change>)>> {
    let sheet = Sheet::read(body)?;
    let places: Vec<usize> = keys.iter().map(|key| sheet.column(key)).collect::<ApiResult<_>>()?;
    let columns: Vec<(usize, &str)> = sheet.columns().filter(|(at, _)| !places.contains(at)).collect();
    let read = |row: &super::sheet::Row| {
        let who = places.iter().zip(keys).map(|(at, key)| row.cell(*at, key).map(str::to_owned));
        let who = who.collect::<ApiResult<Vec<_>>>()?;
        let mut changes = BTreeMap::new();
        for (at, name) in &columns {
            let value = row.cell(*at, name)?;
            if !value.is_empty() {
                changes.insert((*name).to_owned(), Some(value.to_owned()));
            }
        }
        Ok((who, changes))
    };
    Ok(sheet.rows.iter().map(|(line, row)| (*line, read(row))).collect())
}

fn from_ndjson(body: &[u8], keys: &[&str]) -> Vec<(usize, ApiResult<Change>)> {
    let lines = body.split(|byte| *byte == b'\n').zip(1..).filter(|(line, _)| !line.trim_ascii().is_empty());
    let read = |line: &[u8]| {
        let mut fields: Map<String, Value> = body::parse(line)?;
        let mut who = Vec::new();
        for key in keys {
            match fields.remove(*key) {
                Some(Value::String(given)) => who.push(given),
                Some(_) => return Err(ApiError::unreadable(format!("/{key}"), "type", "must be a text")),
                None => return Err(ApiError::unreadable(format!("/{key}"), "required", "is missing")),
            }
        }
        let rest = serde_json::to_vec(&fields).unwrap_or_default(); // it was JSON a moment ago
        let VariablesLine { variables } = body::parse(&rest)?;
        Ok((who, variables))
    };
    lines.map(|(line, number)| (number, read(line))).collect()
}

/// A line but for what it is about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariablesLine {
    variables: VariableChanges,
}

/// Values for a shop.
#[derive(Deserialize, utoipa::ToSchema)]
#[expect(dead_code, reason = "only its form is shown; lines are read field by field, to be strict")]
pub(super) struct ShopVariables {
    /// The shop's id.
    id: String,
    /// New values by name; null removes one.
    variables: BTreeMap<String, Option<String>>,
}

/// Values for a group.
#[derive(Deserialize, utoipa::ToSchema)]
#[expect(dead_code, reason = "only its form is shown; lines are read field by field, to be strict")]
pub(super) struct GroupVariables {
    /// Its account.
    account: String,
    /// The platform's id of it.
    group: String,
    /// New values by name; null removes one.
    variables: BTreeMap<String, Option<String>>,
}

/// Sets values for many shops 批量导入门店变量
///
/// From a sheet (`text/csv`: a column `id`, every other column a variable such as `address`, `hours`, `coupon`; an empty cell
/// changes nothing) or line by line (NDJSON). The shops must be there; nothing else of them is changed. Texts say them as
/// `{shop.vars.coupon}`, and from the next message on.
#[utoipa::path(
    post, path = "/v1/shops/variables", tag = "directory", operation_id = "setShopVariables",
    request_body(content(("text/csv"), (ShopVariables = "application/x-ndjson"))),
    responses((status = 200, description = "One answer a line", body = ImportLine, content_type = "application/x-ndjson")),
)]
pub(super) async fn shops(cx: Cx, values: Values) -> ApiResult<Answers> {
    let lines = values.lines(&["id"])?;
    let mut answers = Answers::default();
    for chunk in ndjson::read_chunks(lines, |(mut who, changes)| {
        let id = who.pop().unwrap_or_default();
        let shop = ShopId::parse(&id).map_err(|error| ndjson::bad_id("/id", &error))?;
        Ok((id, (shop, changes)))
    }) {
        let (shops, lines) = chunk.split();
        answers.add(lines, cx.directory().change_shops(cx.actor(), shops).await)?;
    }
    Ok(answers)
}

/// Sets values for many groups 批量导入群变量
///
/// Like `POST /v1/shops/variables`, with the columns `account` and `group`. A group's value goes before its shop's where a text
/// asks for `{group.vars.NAME}`.
#[utoipa::path(
    post, path = "/v1/groups/variables", tag = "groups", operation_id = "setGroupVariables",
    request_body(content(("text/csv"), (GroupVariables = "application/x-ndjson"))),
    responses((status = 200, description = "One answer a line", body = ImportLine, content_type = "application/x-ndjson")),
)]
pub(super) async fn groups(cx: Cx, values: Values) -> ApiResult<Answers> {
    let lines = values.lines(&["account", "group"])?;
    let mut answers = Answers::default();
    for chunk in ndjson::read_chunks(lines, |(mut who, changes)| {
        let group = who.pop().unwrap_or_default();
        let group = GroupId::parse(&group).map_err(|error| ndjson::bad_id("/group", &error))?;
        let account = who.pop().unwrap_or_default();
        let account = AccountId::parse(&account).map_err(|error| ndjson::bad_id("/account", &error))?;
        let name = GroupName { account, group };
        Ok((name.to_string(), (name, changes)))
    }) {
        let (groups, lines) = chunk.split();
        answers.add(lines, cx.directory().change_groups(cx.actor(), groups).await)?;
    }
    Ok(answers)
}
