//! `/v1/tokens`: credentials of programs. The secret is in the answer to its making and nowhere else.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Query};
use super::error::{ApiError, ApiResult};
use super::idempotency::Keyed;
use super::moment;
use super::page::{self, Page, PageQuery};
use super::state::Cx;
use crate::access::{Rights, Token, TokenSpec};
use crate::event::{FieldError, OperatorId, Scope};

/// A token, without its secret.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TokenView {
    /// Its public id.
    id: String,
    /// Whose.
    operator: String,
    /// What for, in words.
    name: String,
    /// What it may do, if its operator may too.
    rights: Rights,
    /// What it may see and act on, if its operator may too.
    scope: Scope,
    /// When it was made.
    created_at: String,
    /// From then on it is refused.
    expires_at: Option<String>,
    /// When it was used, to about a minute.
    last_used_at: Option<String>,
    /// It is refused by now.
    expired: bool,
}

/// A token just made.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct NewTokenView {
    #[serde(flatten)]
    token: TokenView,
    /// The whole token, to be put into `Authorization: Bearer …`. Shown this once; null in a replayed answer.
    #[schema(example = "msh_8h2k4m6p9r1t_…")]
    secret: Option<String>,
}

/// What is asked when a token is made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenIn {
    /// What for, in words.
    name: String,
    /// Whose; the caller's own when left out.
    #[serde(default)]
    operator: Option<String>,
    /// What it may do; all that caller and operator have in common when left out.
    #[serde(default)]
    rights: Option<Rights>,
    /// What it may see and act on; its operator's scope when left out.
    #[serde(default)]
    scope: Option<Scope>,
    /// From then on it is refused (RFC 3339); never when left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<jiff::Timestamp>,
}

fn view(id: &str, token: &Token, now_ms: i64) -> TokenView {
    TokenView {
        id: id.to_owned(),
        operator: token.operator.to_string(),
        name: token.name.clone(),
        rights: token.rights,
        scope: token.scope.clone(),
        created_at: moment::show(token.created_ms),
        expires_at: token.expires_ms.map(moment::show),
        last_used_at: token.last_used_ms.map(moment::show),
        expired: token.expires_ms.is_some_and(|end| now_ms >= end),
    }
}

/// Lists tokens 列出令牌
#[utoipa::path(
    get, path = "/v1/tokens", tag = "access", operation_id = "listTokens", params(PageQuery),
    responses((status = 200, description = "Tokens of the operators within the caller's scope", body = Page<TokenView>)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<PageQuery>) -> ApiResult<Answer<Page<TokenView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let tokens = cx.access().tokens(cx.caller(), &**cx.directory()).into_iter();
    let rest = tokens.filter(|(id, _)| after.as_deref().is_none_or(|after| id.as_str() > after));
    let page = Page::of(rest.take(limit + 1).collect(), limit, |(id, _)| id.to_string());
    Ok(Answer::ok(page.map(|(id, stored)| view(id.as_str(), &stored.record, cx.now_ms()))))
}

/// Makes a token 新建令牌
///
/// The answer holds the secret, once. Nobody can give rights or a scope that they do not have themselves.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "access", operation_id = "createToken",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless; kept for 24 hours")),
    request_body = TokenIn,
    responses((status = 201, description = "Made", body = NewTokenView)),
)]
pub(super) async fn create(cx: Cx, Keyed { key, value: spec, .. }: Keyed<TokenIn>) -> ApiResult<Response> {
    let operator = spec.operator.as_deref().map(OperatorId::parse).transpose();
    let operator = operator
        .map_err(|error| ApiError::fields(vec![FieldError::new("/operator", "form", error.to_string())]))?;
    let now_ms = cx.now_ms();
    let expires_ms = spec.expires_at.map(jiff::Timestamp::as_millisecond);
    if expires_ms.is_some_and(|end| end <= now_ms) {
        return Err(ApiError::fields(vec![FieldError::new("/expires_at", "past", "is in the past")]));
    }
    let spec = TokenSpec { operator, name: spec.name, rights: spec.rights, scope: spec.scope, expires_ms };
    let places = &**cx.directory();
    let record = |new: &crate::access::NewToken| {
        // The ledger never learns the secret, so a replayed answer cannot tell it.
        let shown = NewTokenView { token: view(new.secret.id(), &new.token.record, now_ms), secret: None };
        key.map(|key| key.record(StatusCode::CREATED, &shown))
    };
    let new = cx.access().create_token(cx.caller(), spec, places, record).await?;
    let id = new.secret.id();
    let shown =
        NewTokenView { token: view(id, &new.token.record, now_ms), secret: Some(new.secret.expose()) };
    Ok(Answer::created(format!("/v1/tokens/{id}"), shown).into_response())
}

/// Takes a token back 吊销令牌
#[utoipa::path(
    delete, path = "/v1/tokens/{token}", tag = "access", operation_id = "revokeToken",
    params(("token" = String, Path, description = "Its public id")),
    responses((status = 204, description = "It works no longer")),
)]
pub(super) async fn revoke(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    cx.access().revoke_token(cx.caller(), &id, &**cx.directory()).await?;
    Ok(StatusCode::NO_CONTENT)
}
