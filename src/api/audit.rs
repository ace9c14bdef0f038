//! `/v1/audit`: who did what to what.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body::{Answer, Query};
use super::error::ApiResult;
use super::moment;
use super::page::{self, Page};
use super::state::Cx;
use crate::event::Place;
use crate::storage::AuditEntry;

/// One entry.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AuditView {
    /// Its position in the log.
    seq: u64,
    /// When.
    at: String,
    /// The person; `local` for the command line on the data directory, `menshen` for the gateway itself.
    operator: String,
    /// The token they used.
    token: Option<String>,
    /// What was done: `create`, `update`, `delete`, `pause`, ….
    verb: String,
    /// The kind of the object.
    object: String,
    /// The object.
    id: String,
    /// What changed; no secrets, no message text.
    #[schema(value_type = Object)]
    detail: Value,
    /// Where the object belongs.
    place: Place,
}

fn view(entry: AuditEntry) -> AuditView {
    AuditView {
        seq: entry.seq,
        at: moment::show(entry.at_ms),
        operator: entry.operator,
        token: Some(entry.token).filter(|token| !token.is_empty()),
        verb: entry.verb,
        object: entry.object,
        id: entry.id,
        detail: serde_json::from_str(&entry.detail).unwrap_or(Value::Null),
        place: Place::of_path(&entry.place),
    }
}

/// Which entries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Rows of a page; a page may be shorter and still have a next one.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Only this kind of object: `token`, `shop`, `broadcast`, ….
    #[serde(default)]
    object: Option<String>,
    /// Only the object with this id.
    #[serde(default)]
    id: Option<String>,
}

/// Reads the audit log, newest first 审计日志
#[utoipa::path(
    get, path = "/v1/audit", tag = "access", operation_id = "listAudit", params(AuditQuery),
    responses((status = 200, description = "Entries within the caller's scope, newest first", body = Page<AuditView>)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<AuditQuery>) -> ApiResult<Answer<Page<AuditView>>> {
    let limit = cx.page_rows(query.limit)?;
    let before: Option<u64> = page::decode(query.cursor.as_deref())?;
    let (entries, next) = cx.audit((query.object, query.id), before, limit).await?;
    let next_cursor = next.map(|before| page::encode(&before));
    Ok(Answer::ok(Page { items: entries.into_iter().map(view).collect(), next_cursor }))
}
