//! `/v1/audiences`: audiences under a name, used in broadcasts, to leave groups out, or as bars for every broadcast.

mod lines;

use std::collections::BTreeSet;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Precondition, Query, Strict, not_modified};
use super::broadcasts::refused;
use super::error::{ApiError, ApiResult};
use super::moment;
use super::ndjson::{Answers, ImportLine, ImportStatus};
use super::page::{self, Page, PageQuery};
use super::state::Cx;
use crate::broadcasts::{Audience, BroadcastError, ListMode, NewAudience, Saved};
use crate::directory::plain_id;
use crate::event::{FieldError, Place};
use crate::storage::StorageError;
use lines::{GroupLine, Table};

/// A saved audience.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AudienceView {
    /// Its name.
    id: String,
    /// For people.
    title: String,
    /// To whom.
    audience: Audience,
    /// No broadcast goes to these groups.
    do_not_send: bool,
    /// Where it belongs.
    place: Place,
    /// Who wrote it last.
    written_by: String,
    /// When.
    updated_at: String,
}

fn view(saved: Saved) -> AudienceView {
    AudienceView {
        id: saved.id,
        title: saved.is.title,
        audience: saved.is.audience,
        do_not_send: saved.is.do_not_send,
        place: saved.is.place,
        written_by: saved.is.written_by.to_string(),
        updated_at: moment::show(saved.updated_ms),
    }
}

/// A saved audience in a list.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AudienceRow {
    /// Its name.
    id: String,
    /// For people.
    title: String,
    /// Its form, in words: an audience may list thousands of groups.
    summary: String,
    /// No broadcast goes to these groups.
    do_not_send: bool,
    /// Who wrote it last.
    written_by: String,
    /// When.
    updated_at: String,
}

fn row(saved: Saved) -> AudienceRow {
    AudienceRow {
        id: saved.id,
        title: saved.is.title,
        summary: saved.is.audience.summary(),
        do_not_send: saved.is.do_not_send,
        written_by: saved.is.written_by.to_string(),
        updated_at: moment::show(saved.updated_ms),
    }
}

/// Lists saved audiences 列出受众
#[utoipa::path(
    get, path = "/v1/audiences", tag = "broadcasts", operation_id = "listAudiences", params(PageQuery),
    responses((status = 200, description = "The saved audiences of the scope, by name", body = Page<AudienceRow>)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<PageQuery>) -> ApiResult<Answer<Page<AudienceRow>>> {
    let limit = cx.page_rows(query.limit)?;
    let after = page::decode(query.cursor.as_deref())?;
    let saved = cx.broadcasts().audiences(cx.actor(), after, limit + 1).await.map_err(refused)?;
    Ok(Answer::ok(Page::of(saved, limit, |saved| saved.id.clone()).map(row)))
}

/// Shows a saved audience 查看受众
#[utoipa::path(
    get, path = "/v1/audiences/{audience}", tag = "broadcasts", operation_id = "getAudience",
    params(("audience" = String, Path, description = "Its name")),
    responses((status = 200, description = "The audience, with its version as `ETag`", body = AudienceView)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>, precondition: Precondition) -> ApiResult<Response> {
    let saved = cx.broadcasts().audience(cx.actor(), &id).await.map_err(refused)?;
    let version = saved.version;
    if precondition.knows(version) {
        return Ok(not_modified(version));
    }
    Ok(Answer::ok(view(saved)).version(version).into_response())
}

fn check_id(id: &str) -> ApiResult<()> {
    plain_id(id).map_err(|detail| ApiError::fields(vec![FieldError::new("/id", "form", detail)]))
}

fn changed_meanwhile(precondition: Precondition, error: BroadcastError) -> ApiError {
    if let BroadcastError::Storage { source: conflict @ StorageError::Conflict { .. }, .. } = error {
        return precondition.explain(conflict);
    }
    refused(error)
}

/// Saves an audience 保存受众
///
/// Used as `{"saved": "NAME"}` wherever an audience stands. A broadcast goes to the groups it comes to when it is submitted;
/// changing it later changes nothing of that. With `do_not_send` no broadcast goes to its groups, whoever sends it.
#[utoipa::path(
    put, path = "/v1/audiences/{audience}", tag = "broadcasts", operation_id = "putAudience",
    params(("audience" = String, Path, description = "Its name")), request_body = NewAudience,
    responses(
        (status = 200, description = "Replaced", body = AudienceView),
        (status = 201, description = "New", body = AudienceView),
    ),
)]
pub(super) async fn put(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
    Strict(new): Strict<NewAudience>,
) -> ApiResult<Answer<AudienceView>> {
    check_id(&id)?;
    let written = cx.broadcasts().put_audience(cx.actor(), &id, new, precondition.expect()).await;
    let (is_new, saved) = written.map_err(|error| changed_meanwhile(precondition, error))?;
    let version = saved.version;
    Ok(Answer::written(is_new, view(saved)).version(version))
}

/// Removes a saved audience 删除受众
#[utoipa::path(
    delete, path = "/v1/audiences/{audience}", tag = "broadcasts", operation_id = "deleteAudience",
    params(("audience" = String, Path, description = "Its name")),
    responses(
        (status = 204, description = "Removed"),
        (status = 409, description = "Another saved audience uses it"),
    ),
)]
pub(super) async fn delete(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    cx.broadcasts().delete_audience(cx.actor(), &id).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// How a list is taken in.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportQuery {
    /// What becomes of the groups it held before.
    #[serde(default)]
    #[param(inline)]
    mode: ListMode,
}

/// Saves a list of groups as an audience 导入群名单
///
/// One group a line: NDJSON with `account` and `group`, or CSV in UTF-8 (with or without a byte order mark) whose first line
/// names its columns, `account` and `group` among them; other columns are not read. Every line gets an answer of its own;
/// wrong lines do not hold up the others. Title and `do_not_send` stay as they are.
#[utoipa::path(
    put, path = "/v1/audiences/{audience}/groups", tag = "broadcasts", operation_id = "importAudience",
    params(("audience" = String, Path, description = "Its name"), ImportQuery),
    request_body(content(
        (GroupLine = "application/x-ndjson"),
        (String = "text/csv"),
    )),
    responses((status = 200, description = "One answer a line", body = ImportLine, content_type = "application/x-ndjson")),
)]
pub(super) async fn import(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<ImportQuery>,
    Table(lines): Table,
) -> ApiResult<Answers> {
    check_id(&id)?;
    let max = cx.broadcasts().audience_names_max();
    let mut groups = BTreeSet::new();
    let mut read = Vec::with_capacity(lines.len());
    for (line, name) in lines {
        let name = name.and_then(|name| {
            // What is not there is told like what is outside the scope.
            cx.directory().group_in(cx.scope(), name.account.as_str(), name.group.as_str())?;
            if groups.len() >= max && !groups.contains(&name) {
                let detail = format!("the list holds {max} groups already (`broadcasts.audience_names_max`)");
                return Err(ApiError::fields(vec![FieldError::new("", "too_many", detail)]));
            }
            groups.insert(name.clone());
            Ok(name)
        });
        read.push((line, name));
    }
    let mut held = if groups.is_empty() {
        BTreeSet::new() // nothing could be taken: what is there stays
    } else {
        cx.broadcasts().put_groups(cx.actor(), &id, groups, query.mode).await.map_err(refused)?.1
    };
    let mut answers = Answers::default();
    for (line, name) in read {
        let answer = match name {
            Ok(name) => {
                let text = name.to_string();
                let status = if held.insert(name) { ImportStatus::Created } else { ImportStatus::Updated };
                ImportLine::taken(line, text, status)
            }
            Err(error) => ImportLine::refused(line, None, error),
        };
        answers.line(&answer)?;
    }
    Ok(answers)
}
