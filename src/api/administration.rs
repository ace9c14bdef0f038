//! `/v1/admin/reload` and `/v1/backup`.

use serde::{Deserialize, Serialize};

use super::body::{Answer, Strict};
use super::error::{ApiError, ApiResult, Code};
use super::ports::Reloaded;
use super::state::Cx;
use crate::event::FieldError;
use crate::storage::{AuditEntry, Change};

/// Reloads rules, wordlists and limits 重新加载
///
/// What is wrong leaves everything as it was and is said. Only an unlimited scope may.
#[utoipa::path(
    post, path = "/v1/admin/reload", tag = "administration", operation_id = "reload",
    responses(
        (status = 200, description = "In force", body = Reloaded),
        (status = 409, description = "Something is wrong; nothing was changed"),
    ),
)]
pub(super) async fn reload(cx: Cx) -> ApiResult<Answer<Reloaded>> {
    if !cx.scope().is_everything() {
        return Err(ApiError::not_found("route; see /docs"));
    }
    record(&cx, "reload", "configuration", "").await?;
    let reloaded = cx.house().reload_configuration().await;
    reloaded.map(Answer::ok).map_err(|reason| ApiError::new(Code::Conflict, reason))
}

/// Where a copy goes.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BackupIn {
    /// A directory on the gateway's machine that does not exist yet; absolute.
    dir: String,
}

/// A copy that was made.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct BackedUp {
    /// Where it lies.
    dir: String,
}

/// Copies everything durable while running 备份
///
/// Only over the control socket (`menshen backup DIR`): a token must not write to the machine's disk.
#[utoipa::path(
    post, path = "/v1/backup", tag = "administration", operation_id = "backup",
    request_body = BackupIn,
    responses((status = 200, description = "The copy is whole", body = BackedUp)),
)]
pub(super) async fn backup(cx: Cx, Strict(asked): Strict<BackupIn>) -> ApiResult<Answer<BackedUp>> {
    if cx.actor().token.is_some() {
        return Err(ApiError::not_found("route; see /docs"));
    }
    let dir = std::path::Path::new(&asked.dir);
    if !dir.is_absolute() {
        return Err(ApiError::fields(vec![FieldError::new("/dir", "form", "write an absolute path")]));
    }
    record(&cx, "backup", "storage", &asked.dir).await?;
    cx.storage().backup(dir).await.map_err(|error| {
        // Whoever asks has the machine's disk before them: they may hear what it said.
        let cause =
            std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
        ApiError::new(Code::Conflict, format!("{error}{cause}"))
    })?;
    Ok(Answer::ok(BackedUp { dir: asked.dir }))
}

async fn record(cx: &Cx, verb: &str, object: &str, id: &str) -> ApiResult<()> {
    let audit = vec![AuditEntry::by(cx.actor(), cx.now_ms(), verb, object, id)];
    cx.storage().apply(Change { at_ms: cx.now_ms(), audit, ..Change::default() }).await?;
    Ok(())
}
