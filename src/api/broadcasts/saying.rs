//! What a broadcast would come to, before anything of it is sent, and tests of it to one group.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::refused;
use crate::api::body::{Answer, Path, Query, Strict};
use crate::api::error::ApiResult;
use crate::api::outbound::fresh_id;
use crate::api::state::Cx;
use crate::broadcasts::{Asked, Audience, Preview};
use crate::event::{AccountId, GroupName};
use crate::outbox::delivery::{Content, Priority};

/// What is to be looked at.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct PreviewIn {
    /// To whom.
    audience: Audience,
    /// But not to these.
    #[serde(default)]
    exclude: Option<Audience>,
    /// Only groups of this account.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    account: Option<AccountId>,
    /// The text; without text and content the audience is only counted.
    #[serde(default)]
    text: String,
    /// The content.
    #[serde(default)]
    content: Option<Content>,
    /// What this group would be told, as `account/group`; else the first of the audience.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    group: Option<GroupName>,
}

/// Looks at a broadcast without sending 预览群发
///
/// Counts the audience. With a text or a content also says which groups cannot be told and why (`checked`), and shows for
/// one group word by word what its platform would be sent (`shown`), written by the code that sends.
#[utoipa::path(
    post, path = "/v1/broadcasts/preview", tag = "broadcasts", operation_id = "previewBroadcast",
    request_body = PreviewIn,
    responses((status = 200, description = "What it would come to", body = Preview)),
)]
pub(in crate::api) async fn preview(cx: Cx, Strict(asked): Strict<PreviewIn>) -> ApiResult<Answer<Preview>> {
    let PreviewIn { audience, exclude, account, text, content, group } = asked;
    let asked = Asked { audience, exclude, account, text, content, group };
    let preview = cx.broadcasts().preview_of_new(cx.actor(), asked).await.map_err(refused)?;
    Ok(Answer::ok(preview))
}

/// Which group.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct GroupQuery {
    /// As `account/group`; else the first of the audience.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    group: Option<GroupName>,
}

/// Looks at a broadcast that is written down 预览已写好的群发
///
/// As `POST /v1/broadcasts/preview`, with today's groups and values.
#[utoipa::path(
    get, path = "/v1/broadcasts/{broadcast}/preview", tag = "broadcasts", operation_id = "getPreview",
    params(("broadcast" = String, Path, description = "Its id"), GroupQuery),
    responses((status = 200, description = "What it would come to", body = Preview)),
)]
pub(in crate::api) async fn show(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<GroupQuery>,
) -> ApiResult<Answer<Preview>> {
    let broadcast = cx.broadcast(&id).await?;
    let preview = cx.broadcasts().preview_of(cx.actor(), &broadcast, query.group).await.map_err(refused)?;
    Ok(Answer::ok(preview))
}

/// Where it is tried.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct TestIn {
    /// The group, as `account/group`.
    #[schema(value_type = String)]
    group: GroupName,
    /// Before everything else, as a moderation action; else as a reply.
    #[serde(default)]
    urgent: bool,
}

/// A test that is on its way.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct TestView {
    /// The group.
    group: String,
    /// Its result stands at `/v1/notices/{notice}`.
    notice: String,
}

/// Tries a broadcast on one group 试发到一个群
///
/// Sent at once, within the platform's limits, in whatever state the broadcast is; it is none of its targets, and the audit
/// log says `test`. Each call sends one. Its result is found as a notice (`Location`). Where a person must confirm what is
/// sent nothing can be tried: the preview shows it.
#[utoipa::path(
    post, path = "/v1/broadcasts/{broadcast}/test", tag = "broadcasts", operation_id = "testBroadcast",
    params(("broadcast" = String, Path, description = "Its id")), request_body = TestIn,
    responses((status = 202, description = "It is on its way; `Location` shows how far", body = TestView)),
)]
pub(in crate::api) async fn test(
    cx: Cx,
    Path(id): Path<String>,
    Strict(asked): Strict<TestIn>,
) -> ApiResult<Response> {
    let broadcast = cx.broadcast(&id).await?;
    let notice = fresh_id("ntc_");
    let priority = if asked.urgent { Priority::Urgent } else { Priority::Normal };
    let sent = cx.broadcasts().test(cx.actor(), &broadcast, &asked.group, &notice, priority).await;
    sent.map_err(refused)?;
    let view = TestView { group: asked.group.to_string(), notice: notice.clone() };
    Ok(Answer::accepted(format!("/v1/notices/{notice}"), view).into_response())
}
