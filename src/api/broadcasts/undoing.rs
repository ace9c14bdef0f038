//! Taking back what was sent, and putting it right.

use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::{BroadcastView, answer_of, refused};
use crate::api::body::{Path, Strict};
use crate::api::error::ApiResult;
use crate::api::rules::needed_reason;
use crate::api::state::Cx;
use crate::broadcasts::{Undo, Undoing};

/// What a broadcast takes back or puts right.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct UndoesView {
    /// The broadcast whose messages it is about.
    broadcast: String,
    /// What is done about them.
    how: Undo,
}

pub(super) fn view(undoing: &Undoing) -> UndoesView {
    UndoesView { broadcast: undoing.of.to_string(), how: undoing.how }
}

/// Why something is taken back.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct RecallIn {
    /// In words; stands in the audit log.
    #[schema(example = "价格写错了")]
    reason: String,
}

/// What is said instead, and why.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct CorrectIn {
    /// The right text; may hold variables.
    #[schema(example = "更正：会员日是本周六，凭会员码到店领取小礼品")]
    text: String,
    /// In words; stands in the audit log.
    #[schema(example = "日期写错了")]
    reason: String,
}

/// Takes back what was sent 撤回群发
///
/// What is still being sent is called off first. Then a broadcast of its own withdraws it group by group, under the same
/// limits; `undoes` says of which. Every target that was sent has its result there, also `cannot_recall` where the platform
/// cannot (on WeCom nothing can be taken out of a group: an owner does it in the client) and `not_sure` where nobody knows
/// whether it was sent. It needs nobody's approval and waits for no hours. Tasks that no owner has confirmed are withdrawn by
/// the cancellation itself, which holds also when nothing that was sent can be taken back and this is refused.
#[utoipa::path(
    post, path = "/v1/broadcasts/{broadcast}/recall", tag = "broadcasts", operation_id = "recallBroadcast",
    params(("broadcast" = String, Path, description = "Its id")), request_body = RecallIn,
    responses(
        (status = 202, description = "It is being withdrawn; `Location` shows its progress", body = BroadcastView),
        (status = 409, description = "Nothing of it was sent, no platform can, or it is being undone already"),
    ),
)]
pub(in crate::api) async fn recall(
    cx: Cx,
    Path(id): Path<String>,
    Strict(asked): Strict<RecallIn>,
) -> ApiResult<Response> {
    undo(&cx, &id, None, &asked.reason).await
}

/// Changes what was sent 更正群发
///
/// As a recall, but another text is put in the place of what was said. It is judged first, and approved by somebody else
/// where a broadcast to as many groups would be.
#[utoipa::path(
    post, path = "/v1/broadcasts/{broadcast}/correct", tag = "broadcasts", operation_id = "correctBroadcast",
    params(("broadcast" = String, Path, description = "Its id")), request_body = CorrectIn,
    responses(
        (status = 202, description = "It is being changed; `Location` shows its progress", body = BroadcastView),
        (status = 409, description = "Nothing of it was sent, no platform can, or it is being undone already"),
    ),
)]
pub(in crate::api) async fn correct(
    cx: Cx,
    Path(id): Path<String>,
    Strict(asked): Strict<CorrectIn>,
) -> ApiResult<Response> {
    undo(&cx, &id, Some(asked.text), &asked.reason).await
}

async fn undo(cx: &Cx, id: &str, text: Option<String>, reason: &str) -> ApiResult<Response> {
    needed_reason(reason)?;
    let broadcast = cx.broadcast(id).await?;
    let new = cx.broadcasts().undo(cx.actor(), &broadcast.id, text, reason).await.map_err(refused)?;
    Ok(answer_of(cx, &new))
}
