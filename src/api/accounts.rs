//! `/v1/accounts`: one configured credential on a platform each.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::body::{Answer, Path, Precondition, Query, Strict, not_modified};
use super::error::{ApiError, ApiResult};
use super::moment;
use super::page::{self, Page, PageQuery};
use super::protection;
use super::state::Cx;
use crate::connectors::{AccountSpec as ConnectorSpec, Capabilities, Secret as ConnectorSecret};
use crate::directory::{Account, AccountSpec, AccountSpecIn};
use crate::event::{AccountId, FieldError};
use crate::outbox::Deliverers as _;

/// An account, without its secrets.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AccountView {
    /// Its name in addresses and events.
    id: String,
    /// Which connector.
    platform: String,
    /// Name for people.
    name: String,
    /// The brand it belongs to.
    brand: Option<String>,
    /// The policy of its groups that name none.
    policy: Option<String>,
    /// Takes and sends nothing.
    disabled: bool,
    /// In the connector's words.
    #[schema(value_type = Object)]
    settings: Value,
    /// What is known of its secrets; they themselves are never shown.
    secrets: Vec<SecretView>,
    /// Its own limits.
    limits: Vec<String>,
    /// Limits of each of its groups.
    group_limits: Vec<String>,
    /// Ids of the members we speak through in its groups.
    own_members: Vec<String>,
    /// The limits that hold: its own, or its platform's; null when it is not connected.
    limits_in_force: Option<LimitsView>,
    /// What the platform can do; null when the account is not connected.
    capabilities: Option<Capabilities>,
    /// Whether somebody watches it; null when it is not connected.
    protection: Option<protection::ProtectionView>,
}

/// The limits that hold for an account.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct LimitsView {
    /// On everything through it.
    limits: Vec<String>,
    /// On each of its groups that is in none of the classes.
    group_limits: Vec<String>,
    /// On groups of a kind of their own: `@robot group:window:20/m`.
    class_limits: Vec<String>,
}

/// What is known of a secret.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SecretView {
    /// By which it is kept when the account is written again.
    id: String,
    /// What for, in the connector's words.
    name: String,
    /// Its last characters.
    #[schema(example = "…9f2k")]
    hint: String,
    /// When it was written.
    created_at: String,
    /// From then on it is not used.
    expires_at: Option<String>,
}

fn view(cx: &Cx, account: &Account) -> AccountView {
    let record = &account.record;
    let id = account.id.as_str();
    let connectors = cx.connectors();
    AccountView {
        id: id.to_owned(),
        platform: record.platform.clone(),
        name: record.name.clone(),
        brand: record.brand.as_ref().map(ToString::to_string),
        policy: record.policy.clone(),
        disabled: record.disabled,
        settings: record.settings.clone(),
        secrets: record
            .secrets
            .iter()
            .map(|secret| SecretView {
                id: secret.id.clone(),
                name: secret.name.clone(),
                hint: secret.hint.clone(),
                created_at: moment::show(secret.created_ms),
                expires_at: secret.expires_ms.map(moment::show),
            })
            .collect(),
        limits: record.limits.clone(),
        group_limits: record.group_limits.clone(),
        own_members: record.own_members.clone(),
        limits_in_force: connectors.route(&account.id).map(|route| LimitsView {
            limits: route.limits.limits.iter().map(ToString::to_string).collect(),
            group_limits: route.limits.group_limits.iter().map(ToString::to_string).collect(),
            class_limits: route.limits.texts().into_iter().filter(|text| text.starts_with('@')).collect(),
        }),
        capabilities: connectors.capabilities(id),
        protection: protection::view(cx, &account.id),
    }
}

/// Lists accounts 列出账号
#[utoipa::path(
    get, path = "/v1/accounts", tag = "directory", operation_id = "listAccounts", params(PageQuery),
    responses((status = 200, description = "The accounts of the scope, by id", body = Page<AccountView>)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<PageQuery>) -> ApiResult<Answer<Page<AccountView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let accounts = cx.directory().accounts_in(cx.scope());
    let rest = accounts
        .into_iter()
        .filter(|account| after.as_deref().is_none_or(|after| account.id.as_str() > after));
    let page = Page::of(rest.take(limit + 1).collect(), limit, |account| account.id.to_string());
    Ok(Answer::ok(page.map(|account| view(&cx, &account))))
}

/// Shows an account 查看账号
#[utoipa::path(
    get, path = "/v1/accounts/{account}", tag = "directory", operation_id = "getAccount",
    params(("account" = String, Path, description = "Its id")),
    responses((status = 200, description = "The account, with its version as `ETag`", body = AccountView)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>, precondition: Precondition) -> ApiResult<Response> {
    let account = cx.directory().account_in(cx.scope(), &id)?;
    if precondition.knows(account.version) {
        return Ok(not_modified(account.version));
    }
    Ok(Answer::ok(view(&cx, &account)).version(account.version).into_response())
}

/// Makes or replaces an account 新建或修改账号
///
/// Secrets are encrypted at once and never shown again. Leave `secrets` out to keep them all; to change one key without
/// an interruption, send the new one by `value` and the old one by `id` with an `expires_at`.
#[utoipa::path(
    put, path = "/v1/accounts/{account}", tag = "directory", operation_id = "putAccount",
    params(("account" = String, Path, description = "Its id: 1 to 64 of A-Z a-z 0-9 - _ .")),
    request_body = AccountSpecIn,
    responses(
        (status = 200, description = "Replaced", body = AccountView),
        (status = 201, description = "Made", body = AccountView),
    ),
)]
pub(super) async fn put(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
    Strict(spec): Strict<AccountSpecIn>,
) -> ApiResult<Answer<AccountView>> {
    let account = AccountId::parse(&id).map_err(|_| ApiError::not_found("account"))?;
    let connectors = cx.connectors();
    let check = |spec: &AccountSpec| {
        let built = connectors.build(&connector_spec(spec));
        built.map(|_| ()).map_err(|error| {
            let pointer = format!("/{}", error.path.replace(['.', '['], "/").replace(']', ""));
            vec![FieldError::new(pointer, "refused", error.reason)]
        })
    };
    let written = cx.directory().put_account(cx.actor(), &account, spec, precondition.expect(), check).await;
    let written = written.map_err(|error| precondition.explain(error))?;
    cx.house().reload_accounts().await;
    let account = cx.directory().account_in(cx.scope(), &id)?;
    Ok(Answer::written(written.created, view(&cx, &account)).version(written.version))
}

/// Removes an account 删除账号
#[utoipa::path(
    delete, path = "/v1/accounts/{account}", tag = "directory", operation_id = "deleteAccount",
    params(("account" = String, Path, description = "Its id")),
    responses((status = 204, description = "Removed"), (status = 409, description = "Groups are declared in it")),
)]
pub(super) async fn delete(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    cx.directory().delete_account(cx.actor(), &id).await?;
    cx.house().reload_accounts().await;
    Ok(StatusCode::NO_CONTENT)
}

/// Says an account in the words of connectors: neither they nor the directory may know the other.
pub fn connector_spec(spec: &AccountSpec) -> ConnectorSpec {
    ConnectorSpec {
        id: spec.id.clone(),
        platform: spec.platform.clone(),
        settings: spec.settings.clone(),
        secrets: spec.secrets.iter().map(|s| ConnectorSecret::new(s.name.clone(), s.expose())).collect(),
        limits: spec.limits.clone(),
        group_limits: spec.group_limits.clone(),
    }
}
