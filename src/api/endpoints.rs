//! `/v1/endpoints`: programs that are told of state changes (status webhooks).
//!
//! They hear of everything, so only whoever may see everything looks after them.

use std::collections::BTreeSet;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Precondition, Strict, not_modified};
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::state::Cx;
use crate::storage::Subject;
use crate::subscriptions::{Endpoint, NewEndpoint, Standing, SubscriptionError};

/// Who is told what.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointIn {
    /// For people.
    #[serde(default)]
    name: String,
    /// Where calls go.
    #[schema(example = "https://example.com/menshen")]
    url: String,
    /// What they want to hear of; everything when left out.
    #[serde(default)]
    subjects: BTreeSet<Subject>,
    /// Which states: `sent`, `failed`, `finished`, …; all when left out.
    #[serde(default)]
    states: BTreeSet<String>,
    /// They are told.
    #[serde(default = "yes")]
    enabled: bool,
    /// Signs calls (`whsec_…` or `whsk_…`). When left out the first time, one is made and shown once. A new one replaces the
    /// former, which signs as well for `subscriptions.secret_grace`.
    #[serde(default)]
    secret: Option<String>,
}

fn yes() -> bool {
    true
}

/// An endpoint and how far it is.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct EndpointView {
    /// Its id.
    id: String,
    /// For people.
    name: String,
    /// Where calls go.
    url: String,
    /// What they want to hear of; empty: everything.
    subjects: BTreeSet<Subject>,
    /// Which states; empty: all.
    states: BTreeSet<String>,
    /// They are told.
    enabled: bool,
    /// Who made it.
    created_by: String,
    /// Up to which change it was told (`seq`).
    position: u64,
    /// Changes that were forgotten before it could be told.
    missed: u64,
    /// When a call last arrived, since the gateway started.
    told_at: Option<String>,
    /// Since when none does.
    failing_since: Option<String>,
    /// What the last one that did not came to.
    error: Option<String>,
    /// The secret, only when it was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

fn view(id: String, endpoint: Endpoint, standing: Standing, secret: Option<String>) -> EndpointView {
    EndpointView {
        id,
        name: endpoint.name,
        url: endpoint.url,
        subjects: endpoint.subjects,
        states: endpoint.states,
        enabled: endpoint.enabled,
        created_by: endpoint.created_by,
        position: standing.position,
        missed: standing.missed,
        told_at: standing.told_ms.map(moment::show),
        failing_since: standing.failing_since_ms.map(moment::show),
        error: standing.error,
        secret,
    }
}

/// All endpoints.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct EndpointList {
    /// By id.
    items: Vec<EndpointView>,
}

/// Lists who is told of state changes 列出状态推送地址
#[utoipa::path(
    get, path = "/v1/endpoints", tag = "endpoints", operation_id = "listEndpoints",
    responses((status = 200, description = "All, for whoever may see everything", body = EndpointList)),
)]
pub(super) async fn list(cx: Cx) -> Answer<EndpointList> {
    let all = if cx.scope().is_everything() { cx.subscriptions().list() } else { Vec::new() };
    let items = all.into_iter().map(|(id, endpoint, _, standing)| view(id, endpoint, standing, None));
    Answer::ok(EndpointList { items: items.collect() })
}

/// Shows who is told, and how far they are 查看状态推送
#[utoipa::path(
    get, path = "/v1/endpoints/{endpoint}", tag = "endpoints", operation_id = "getEndpoint",
    params(("endpoint" = String, Path, description = "Its id")),
    responses((status = 200, description = "The endpoint", body = EndpointView)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>, precondition: Precondition) -> ApiResult<Response> {
    let (version, view) = cx.endpoint(&id, None)?;
    if precondition.knows(version) {
        return Ok(not_modified(version));
    }
    Ok(Answer::ok(view).version(version).into_response())
}

/// Has a program told of state changes 设置状态推送
///
/// Standard Webhooks: signed, at least once, in order within a broadcast. Each call tells many changes, each with its own
/// `seq`. A new endpoint hears of what happens from now on.
#[utoipa::path(
    put, path = "/v1/endpoints/{endpoint}", tag = "endpoints", operation_id = "putEndpoint",
    params(("endpoint" = String, Path, description = "1 to 20 of `a-z 0-9 -`")), request_body = EndpointIn,
    responses(
        (status = 200, description = "It was changed", body = EndpointView),
        (status = 201, description = "It was made", body = EndpointView),
    ),
)]
pub(super) async fn put(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
    Strict(asked): Strict<EndpointIn>,
) -> ApiResult<Response> {
    if !cx.scope().is_everything() {
        return Err(ApiError::not_found("endpoint"));
    }
    let EndpointIn { name, url, subjects, states, enabled, secret } = asked;
    let new = NewEndpoint { name, url, subjects, states, enabled, secret };
    let written = cx.subscriptions().put(cx.actor(), &id, new, precondition.expect()).await;
    let (version, fresh) = written.map_err(|error| precondition.explain(refused(error)))?;
    let (_, view) = cx.endpoint(&id, fresh)?;
    Ok(Answer::written(version == 1, view).version(version).into_response())
}

/// Tells a program nothing more 删除状态推送
#[utoipa::path(
    delete, path = "/v1/endpoints/{endpoint}", tag = "endpoints", operation_id = "deleteEndpoint",
    params(("endpoint" = String, Path, description = "Its id")),
    responses((status = 204, description = "It is told nothing more")),
)]
pub(super) async fn delete(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    if !cx.scope().is_everything() {
        return Err(ApiError::not_found("endpoint"));
    }
    cx.subscriptions().delete(cx.actor(), &id).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

fn refused(error: SubscriptionError) -> ApiError {
    match error {
        SubscriptionError::Field(field) => ApiError::fields(vec![field]),
        SubscriptionError::NotFound => ApiError::not_found("endpoint"),
        SubscriptionError::TooMany(_) => ApiError::new(Code::LimitReached, error.to_string()),
        SubscriptionError::Key(error) => ApiError::internal(&error),
        SubscriptionError::Storage(error) => error.into(),
    }
}

impl Cx {
    fn endpoint(&self, id: &str, secret: Option<String>) -> ApiResult<(u64, EndpointView)> {
        let all = if self.scope().is_everything() { self.subscriptions().list() } else { Vec::new() };
        let found = all.into_iter().find(|(known, ..)| known == id);
        let (id, endpoint, version, standing) = found.ok_or_else(|| ApiError::not_found("endpoint"))?;
        Ok((version, view(id, endpoint, standing, secret)))
    }
}
