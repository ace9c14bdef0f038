//! Whether accounts are protected, and `/v1/accounts/{account}/sync`: the reading of every group.

use serde::Serialize;

use super::body::{Answer, Path};
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::ports::{self, Syncs};
use super::state::Cx;
use crate::connectors::SyncProgress;
use crate::event::AccountId;

/// Whether somebody watches an account.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ProtectionView {
    /// What happens at the account reaches us, and what it means is known.
    protected: bool,
    /// Since when not.
    since: Option<String>,
    /// Why not, the earliest first.
    causes: Vec<CauseView>,
    /// Groups that are still to be read because a callback left something open.
    groups_left: u64,
    /// When every group was read last.
    synced_at: Option<String>,
}

/// Why an account is not protected.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CauseView {
    /// `down`, `trouble` or `untold`.
    #[schema(example = "down")]
    code: &'static str,
    /// Since when.
    since: String,
    /// In plain Chinese.
    zh: String,
    /// The same in English.
    en: String,
}

/// Shows whether an account is protected; null when it is not connected.
pub(super) fn view(cx: &Cx, account: &AccountId) -> Option<ProtectionView> {
    let protection = cx.platforms().protection(account.as_str())?;
    let cause = |lapse: ports::Lapse| CauseView {
        code: lapse.code,
        since: moment::show(lapse.since_ms),
        zh: lapse.zh,
        en: lapse.en,
    };
    Some(ProtectionView {
        protected: protection.since_ms.is_none(),
        since: protection.since_ms.map(moment::show),
        causes: protection.lapses.into_iter().map(cause).collect(),
        groups_left: protection.groups_left,
        synced_at: protection.synced_ms.map(moment::show),
    })
}

/// The reading of every group: the one under way, else the last one.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SyncView {
    /// `queued`, `running`, `done`, `failed`, or `idle` when there was none yet.
    #[schema(example = "running")]
    state: &'static str,
    /// When it began.
    began_at: Option<String>,
    /// When it ended.
    ended_at: Option<String>,
    /// How far it is.
    progress: Option<SyncProgress>,
    /// Why it ended early.
    error: Option<SyncErrorView>,
}

/// Why a sync ended early.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SyncErrorView {
    /// The platform's code or ours.
    code: String,
    /// In plain Chinese: what to do.
    zh: String,
    /// The same in English.
    en: String,
}

fn sync_view(syncs: Syncs) -> SyncView {
    if let Some((began_ms, progress)) = syncs.running {
        return SyncView {
            state: "running",
            began_at: Some(moment::show(began_ms)),
            ended_at: None,
            progress: Some(progress),
            error: None,
        };
    }
    let Some(last) = syncs.last.filter(|_| !syncs.is_queued) else {
        let state = if syncs.is_queued { "queued" } else { "idle" };
        return SyncView { state, began_at: None, ended_at: None, progress: None, error: None };
    };
    SyncView {
        state: if last.error.is_none() { "done" } else { "failed" },
        began_at: Some(moment::show(last.began_ms)),
        ended_at: Some(moment::show(last.ended_ms)),
        progress: Some(last.progress),
        error: last.error.map(|(code, zh, en)| SyncErrorView { code, zh, en }),
    }
}

fn no_rosters() -> ApiError {
    ApiError::new(Code::Conflict, "the account's platform has no rosters to read, or it is not connected")
}

/// Shows how far the reading of every group is 查看群成员核对进度
#[utoipa::path(
    get, path = "/v1/accounts/{account}/sync", tag = "directory", operation_id = "getSync",
    params(("account" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "What runs and what ran last", body = SyncView),
        (status = 409, description = "The platform has no rosters"),
    ),
)]
pub(super) async fn get_sync(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<SyncView>> {
    cx.directory().account_in(cx.scope(), &id)?;
    Ok(Answer::ok(sync_view(cx.platforms().sync(&id).ok_or_else(no_rosters)?)))
}

/// Reads every group again 立即核对全部群成员
///
/// It happens by itself at every start, after a silence and every so often; at most one runs at a time, and asking again
/// while one runs changes nothing.
#[utoipa::path(
    post, path = "/v1/accounts/{account}/sync", tag = "directory", operation_id = "startSync",
    params(("account" = String, Path, description = "Its id")),
    responses(
        (status = 202, description = "It begins, or is under way", body = SyncView),
        (status = 409, description = "The platform has no rosters"),
    ),
)]
pub(super) async fn start_sync(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<SyncView>> {
    cx.directory().account_in(cx.scope(), &id)?;
    let syncs = cx.platforms().start_sync(&id).ok_or_else(no_rosters)?;
    Ok(Answer::accepted(format!("/v1/accounts/{id}/sync"), sync_view(syncs)))
}
