//! `/v1/operators`: people, what they may do and where.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Precondition, Query, Strict, not_modified};
use super::error::{ApiError, ApiResult};
use super::page::{self, Page, PageQuery};
use super::state::Cx;
use crate::access::{Operator, Rights};
use crate::directory::plain_id;
use crate::event::{FieldError, OperatorId, Scope};

/// A person.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct OperatorView {
    /// Their id.
    id: String,
    /// Name for people.
    name: String,
    /// What they may do.
    rights: Rights,
    /// What they may see and act on.
    scope: Scope,
    /// None of their tokens works.
    disabled: bool,
}

/// What is asked when an operator is written.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OperatorIn {
    /// Name for people.
    name: String,
    /// What they may do.
    rights: Rights,
    /// What they may see and act on.
    scope: Scope,
    /// None of their tokens works.
    #[serde(default)]
    disabled: bool,
}

fn view(id: &str, operator: &Operator) -> OperatorView {
    OperatorView {
        id: id.to_owned(),
        name: operator.name.clone(),
        rights: operator.rights,
        scope: operator.scope.clone(),
        disabled: operator.disabled,
    }
}

/// Lists operators 列出操作员
#[utoipa::path(
    get, path = "/v1/operators", tag = "access", operation_id = "listOperators", params(PageQuery),
    responses((status = 200, description = "Operators within the caller's scope, by id", body = Page<OperatorView>)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<PageQuery>) -> ApiResult<Answer<Page<OperatorView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let operators = cx.access().operators(cx.caller(), &**cx.directory()).into_iter();
    let rest = operators.filter(|(id, _)| after.as_deref().is_none_or(|after| id.as_str() > after));
    let page = Page::of(rest.take(limit + 1).collect(), limit, |(id, _)| id.to_string());
    Ok(Answer::ok(page.map(|(id, stored)| view(id.as_str(), &stored.record))))
}

/// Shows an operator 查看操作员
#[utoipa::path(
    get, path = "/v1/operators/{operator}", tag = "access", operation_id = "getOperator",
    params(("operator" = String, Path, description = "Their id")),
    responses((status = 200, description = "The operator", body = OperatorView)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>, precondition: Precondition) -> ApiResult<Response> {
    let stored = cx.access().operator(cx.caller(), &id, &**cx.directory())?;
    if precondition.knows(stored.version) {
        return Ok(not_modified(stored.version));
    }
    Ok(Answer::ok(view(&id, &stored.record)).version(stored.version).into_response())
}

/// Makes or replaces an operator 新建或修改操作员
///
/// Nobody can give rights or a scope that they do not have themselves. A smaller scope cuts all tokens of the operator at
/// once.
#[utoipa::path(
    put, path = "/v1/operators/{operator}", tag = "access", operation_id = "putOperator",
    params(("operator" = String, Path, description = "Their id: 1 to 64 of A-Z a-z 0-9 - _ .")),
    request_body = OperatorIn,
    responses(
        (status = 200, description = "Replaced", body = OperatorView),
        (status = 201, description = "Made", body = OperatorView),
    ),
)]
pub(super) async fn put(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
    Strict(spec): Strict<OperatorIn>,
) -> ApiResult<Answer<OperatorView>> {
    plain_id(&id).map_err(|detail| ApiError::fields(vec![FieldError::new("/id", "form", detail)]))?;
    let operator = OperatorId::parse(&id).map_err(|_| ApiError::not_found("operator"))?;
    let spec = Operator { name: spec.name, rights: spec.rights, scope: spec.scope, disabled: spec.disabled };
    let places = &**cx.directory();
    let written = cx.access().put_operator(cx.caller(), &operator, spec, precondition.expect(), places).await;
    let stored = written.map_err(|error| precondition.explain(error))?;
    Ok(Answer::written(stored.version == 1, view(&id, &stored.record)).version(stored.version))
}

/// Removes an operator with all their tokens 删除操作员及其令牌
#[utoipa::path(
    delete, path = "/v1/operators/{operator}", tag = "access", operation_id = "deleteOperator",
    params(("operator" = String, Path, description = "Their id")),
    responses((status = 204, description = "Removed"), (status = 409, description = "The last administrator")),
)]
pub(super) async fn delete(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    cx.access().delete_operator(cx.caller(), &id, &**cx.directory()).await?;
    Ok(StatusCode::NO_CONTENT)
}
