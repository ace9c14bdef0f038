//! `/v1/endpoints`: programs that are told of state changes (status webhooks).
//!
//! They hear of everything, so only whoever may see everything looks after them.

use std::collections::BTreeSet;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Precondition, Strict, not_modified};
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::state::Cx;
use crate::alerts;
use crate::broadcasts::State;
use crate::event::FieldError;
use crate::storage::{DeliveryState, Subject};
use crate::subscriptions::{Endpoint, From, NewEndpoint, Standing, SubscriptionError};

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
    /// Which states: `sent`, `failed`, `finished`, …; all when left out. Not `sending`: calls under way are not told.
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

impl EndpointIn {
    fn read(self) -> ApiResult<NewEndpoint> {
        let Self { name, url, subjects, states, enabled, secret } = self;
        if let Some(word) = states.iter().find(|word| !is_told(word)) {
            let detail = format!("has `{word}`, which is no state that anything is told to be in");
            return Err(ApiError::fields(vec![FieldError::new("/states", "unknown", detail)]));
        }
        Ok(NewEndpoint { name, url, subjects, states, enabled, secret })
    }
}

/// A word that stands in calls.
fn is_told(word: &str) -> bool {
    let of_broadcast =
        State::deserialize(IntoDeserializer::<serde::de::value::Error>::into_deserializer(word));
    of_broadcast.is_ok()
        || DeliveryState::parse(word).is_some_and(|state| state != DeliveryState::Sending)
        || alerts::STATES.contains(&word)
        || alerts::desk::STATES.contains(&word)
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
    /// Why they are not, if nobody decided so: the receiver answered `410 Gone`. A `PUT` begins again.
    disabled_because: Option<String>,
    /// Who made it.
    created_by: String,
    /// Up to which change it was told (`seq`), or need not be.
    position: u64,
    /// Changes it was not told of yet, with those it does not want to hear of.
    waiting: u64,
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

fn view(
    id: String,
    endpoint: Endpoint,
    standing: Standing,
    last: u64,
    secret: Option<String>,
) -> EndpointView {
    EndpointView {
        id,
        name: endpoint.name,
        url: endpoint.url,
        subjects: endpoint.subjects,
        states: endpoint.states,
        enabled: endpoint.enabled,
        disabled_because: endpoint.disabled_because,
        created_by: endpoint.created_by,
        position: standing.position,
        waiting: last.saturating_sub(standing.position),
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
pub(super) async fn list(cx: Cx) -> ApiResult<Answer<EndpointList>> {
    let all = if cx.scope().is_everything() { cx.subscriptions().list() } else { Vec::new() };
    let last = cx.subscriptions().last().await?;
    let items = all.into_iter().map(|(id, endpoint, _, standing)| view(id, endpoint, standing, last, None));
    Ok(Answer::ok(EndpointList { items: items.collect() }))
}

/// Shows who is told, and how far they are 查看状态推送
#[utoipa::path(
    get, path = "/v1/endpoints/{endpoint}", tag = "endpoints", operation_id = "getEndpoint",
    params(("endpoint" = String, Path, description = "Its id")),
    responses((status = 200, description = "The endpoint", body = EndpointView)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>, precondition: Precondition) -> ApiResult<Response> {
    let (version, view) = cx.endpoint(&id, None).await?;
    if precondition.knows(version) {
        return Ok(not_modified(version));
    }
    Ok(Answer::ok(view).version(version).into_response())
}

/// Has a program told of state changes 设置状态推送
///
/// Standard Webhooks: signed, at least once, in order. Each call tells many changes, each with its own `seq`. A new endpoint
/// hears of what happens from now on.
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
    cx.looks_after_endpoints()?;
    let written = cx.subscriptions().put(cx.actor(), &id, asked.read()?, precondition.expect()).await;
    let (version, fresh) = written.map_err(|error| precondition.explain(refused(error)))?;
    let (_, view) = cx.endpoint(&id, fresh).await?;
    Ok(Answer::written(version == 1, view).version(version).into_response())
}

/// Tells a program nothing more 删除状态推送
#[utoipa::path(
    delete, path = "/v1/endpoints/{endpoint}", tag = "endpoints", operation_id = "deleteEndpoint",
    params(("endpoint" = String, Path, description = "Its id")),
    responses((status = 204, description = "It is told nothing more")),
)]
pub(super) async fn delete(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    cx.looks_after_endpoints()?;
    cx.subscriptions().delete(cx.actor(), &id).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A fresh secret.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct FreshSecret {
    /// Signs calls from now on; shown only now.
    secret: String,
}

/// Replaces the secret of calls 更换推送密钥
///
/// The former one signs as well for `subscriptions.secret_grace`, so that the receiver has time to learn the new one.
#[utoipa::path(
    post, path = "/v1/endpoints/{endpoint}/rotate", tag = "endpoints", operation_id = "rotateEndpointSecret",
    params(("endpoint" = String, Path, description = "Its id")),
    responses((status = 200, description = "The new secret", body = FreshSecret)),
)]
pub(super) async fn rotate(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<FreshSecret>> {
    cx.looks_after_endpoints()?;
    let secret = cx.subscriptions().rotate(cx.actor(), &id).await.map_err(refused)?;
    Ok(Answer::ok(FreshSecret { secret }))
}

/// From where to tell again: one of the two.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayIn {
    /// From the first change since this time.
    #[serde(default)]
    #[schema(example = "2026-11-22T10:00:00+08:00")]
    from: Option<String>,
    /// From the change after this `seq`.
    #[serde(default)]
    after: Option<u64>,
}

impl ReplayIn {
    fn read(&self) -> ApiResult<From> {
        let wrong = |pointer: &str, code: &str, detail: &str| {
            Err(ApiError::fields(vec![FieldError::new(pointer, code, detail)]))
        };
        match (&self.from, self.after) {
            (Some(from), None) => match from.parse::<Timestamp>() {
                Ok(time) => Ok(From::Time(time.as_millisecond())),
                Err(_) => wrong("/from", "form", "must be like 2026-11-22T10:00:00+08:00"),
            },
            (None, Some(after)) => Ok(From::After(after)),
            (None, None) | (Some(_), Some(_)) => wrong("/from", "one_of", "or `after`: give one of the two"),
        }
    }
}

/// What is told again.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Replaying {
    /// From the change after this `seq` on.
    after: u64,
    /// So many changes, with those it does not want to hear of.
    changes: u64,
    /// Whether all that was asked for is still kept (`subscriptions.keep`, `rows_max`).
    complete: bool,
}

/// Tells a program again what it was told 重新推送
///
/// Every change again with its former `seq`, as far as it is kept. What was not told yet is never left out: an endpoint that
/// is behind stays where it is.
#[utoipa::path(
    post, path = "/v1/endpoints/{endpoint}/replay", tag = "endpoints", operation_id = "replayEndpoint",
    params(("endpoint" = String, Path, description = "Its id")), request_body = ReplayIn,
    responses((status = 200, description = "It is being told", body = Replaying)),
)]
pub(super) async fn replay(
    cx: Cx,
    Path(id): Path<String>,
    Strict(asked): Strict<ReplayIn>,
) -> ApiResult<Answer<Replaying>> {
    cx.looks_after_endpoints()?;
    let again = cx.subscriptions().replay(cx.actor(), &id, asked.read()?).await.map_err(refused)?;
    Ok(Answer::ok(Replaying { after: again.after, changes: again.changes, complete: again.complete }))
}

/// What a call for trying came to.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TriedView {
    /// It arrived: the answer was a `2xx`.
    delivered: bool,
    /// What the receiver answered, if it did.
    status: Option<u16>,
    /// What went wrong.
    error: Option<String>,
    /// How long it took.
    duration_ms: u64,
}

/// Makes one call for trying 试推一次
///
/// A signed `status.test`, now, past the queue, also while the endpoint is not enabled; it is not repeated.
#[utoipa::path(
    post, path = "/v1/endpoints/{endpoint}/test", tag = "endpoints", operation_id = "testEndpoint",
    params(("endpoint" = String, Path, description = "Its id")),
    responses((status = 200, description = "What it came to", body = TriedView)),
)]
pub(super) async fn test(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<TriedView>> {
    cx.looks_after_endpoints()?;
    let tried = cx.subscriptions().test(cx.actor(), &id).await.map_err(refused)?;
    Ok(Answer::ok(TriedView {
        delivered: tried.error.is_none(),
        status: tried.status,
        error: tried.error,
        duration_ms: u64::try_from(tried.took.as_millis()).unwrap_or(u64::MAX),
    }))
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
    /// Refuses whoever may not see everything.
    fn looks_after_endpoints(&self) -> ApiResult<()> {
        if self.scope().is_everything() { Ok(()) } else { Err(ApiError::not_found("endpoint")) }
    }

    async fn endpoint(&self, id: &str, secret: Option<String>) -> ApiResult<(u64, EndpointView)> {
        self.looks_after_endpoints()?;
        let last = self.subscriptions().last().await?;
        let found = self.subscriptions().list().into_iter().find(|(known, ..)| known == id);
        let (id, endpoint, version, standing) = found.ok_or_else(|| ApiError::not_found("endpoint"))?;
        Ok((version, view(id, endpoint, standing, last, secret)))
    }
}
