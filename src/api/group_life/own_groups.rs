//! `/v1/own-groups`: groups of staff that we make and change ourselves.

use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::field;
use crate::api::body::{Answer, Path, Precondition, Strict};
use crate::api::duty::FailureView;
use crate::api::error::{ApiError, ApiResult};
use crate::api::moment;
use crate::api::state::Cx;
use crate::duties::own_groups::{OwnGroup, OwnGroupState};
use crate::duties::{self, Stored};
use crate::storage::{AuditEntry, DocumentKind};

const KIND: DocumentKind = DocumentKind::OwnGroup;
/// What a platform takes: WeCom's.
const ID_CHARS_MAX: usize = 32;
const NAME_CHARS_MAX: usize = 50;
const STAFF_MIN: usize = 2;
const STAFF_MAX: usize = 2_000;

/// A group of our own and how it stands.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct OwnGroupView {
    /// Its account.
    account: String,
    /// Its id there.
    id: String,
    /// What was written.
    #[serde(flatten)]
    group: OwnGroup,
    /// How it stands.
    standing: OwnStanding,
    /// When the platform made it.
    made_at: Option<String>,
    /// When somebody else's change was noticed last; it was undone then.
    changed_elsewhere_at: Option<String>,
    /// What the platform refused the last time.
    failure: Option<FailureView>,
    /// When it was written.
    updated_at: String,
}

/// How a group of our own stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum OwnStanding {
    /// The platform is being told.
    OnItsWay,
    /// It is as written.
    InStep,
    /// The platform refused something.
    Refused,
}

async fn view(cx: &Cx, account: String, id: String, stored: Stored<OwnGroup>) -> ApiResult<OwnGroupView> {
    let key = OwnGroupState::id(&account, &id);
    let state = duties::read(&**cx.storage(), DocumentKind::Pushed, &key).await?;
    let state = state.map(|state: Stored<OwnGroupState>| state.value).unwrap_or_default();
    let standing = match &state.failure {
        Some(_) => OwnStanding::Refused,
        None if state.made_ms.is_some() && state.version == stored.version => OwnStanding::InStep,
        None => OwnStanding::OnItsWay,
    };
    Ok(OwnGroupView {
        account,
        id,
        group: stored.value,
        standing,
        made_at: state.made_ms.map(moment::show),
        changed_elsewhere_at: state.drift_ms.map(moment::show),
        failure: state.failure.map(Into::into),
        updated_at: moment::show(stored.updated_ms),
    })
}

/// Shows a group of our own 查看内部群
#[utoipa::path(
    get, path = "/v1/own-groups/{account}/{id}", tag = "group-life", operation_id = "getOwnGroup",
    params(("account" = String, Path, description = "Its account"), ("id" = String, Path, description = "Its id there")),
    responses((status = 200, description = "With its version as `ETag`", body = OwnGroupView)),
)]
pub(crate) async fn get(cx: Cx, Path((account, id)): Path<(String, String)>) -> ApiResult<Response> {
    if !cx.sees_account(&account) {
        return Err(ApiError::not_found("group of our own"));
    }
    let stored = duties::read(&**cx.storage(), KIND, &OwnGroup::id(&account, &id)).await?;
    let stored: Stored<OwnGroup> = stored.ok_or_else(|| ApiError::not_found("group of our own"))?;
    let version = stored.version;
    Ok(Answer::ok(view(&cx, account, id, stored).await?).version(version).into_response())
}

/// Makes or changes a group of our own 新建或修改内部群
///
/// A group of staff that the account's app makes on the platform; its members are exactly those listed, and what somebody
/// else changes is undone. The platform cannot remove such a group.
#[utoipa::path(
    put, path = "/v1/own-groups/{account}/{id}", tag = "group-life", operation_id = "putOwnGroup",
    params(
        ("account" = String, Path, description = "Its account"),
        ("id" = String, Path, description = "Its id there: 1 to 32 of A-Z a-z 0-9"),
    ),
    request_body = OwnGroup,
    responses(
        (status = 200, description = "Changed", body = OwnGroupView),
        (status = 201, description = "Made", body = OwnGroupView),
    ),
)]
pub(crate) async fn put(
    cx: Cx,
    Path((account, id)): Path<(String, String)>,
    precondition: Precondition,
    Strict(group): Strict<OwnGroup>,
) -> ApiResult<Answer<OwnGroupView>> {
    let place = match cx.directory().account_in(cx.scope(), &account) {
        Ok(account) => account.place.clone(),
        Err(_) => return Err(ApiError::not_found("group of our own")),
    };
    check(&cx, &account, &id, &group)?;
    let key = OwnGroup::id(&account, &id);
    let before: Option<Stored<OwnGroup>> = duties::read(&**cx.storage(), KIND, &key).await?;
    let at_ms = cx.now_ms();
    let verb = if before.is_some() { "update" } else { "create" };
    let detail = serde_json::json!({"name": group.name, "owner": group.owner, "staff": group.staff.len()});
    let audit = AuditEntry::by(cx.actor(), at_ms, verb, KIND.as_str(), &key).at(&place).with(&detail);
    let written =
        duties::write(&**cx.storage(), at_ms, (KIND, &key), &group, precondition.expect(), vec![audit]).await;
    let version = written.map_err(|error| precondition.explain(error))?;
    cx.house().wake_duties();
    let stored = Stored { id: key, version, updated_ms: at_ms, value: group };
    let view = view(&cx, account, id, stored).await?;
    Ok(Answer::written(before.is_none(), view).version(version))
}

fn check(cx: &Cx, account: &str, id: &str, group: &OwnGroup) -> ApiResult<()> {
    if !cx.offers(account, |connector| connector.own_groups().is_some()) {
        return Err(field("/account", "unsupported", "its platform lets us make no groups"));
    }
    if id.is_empty() || id.len() > ID_CHARS_MAX || !id.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(field("/id", "form", format!("must be 1 to {ID_CHARS_MAX} of A-Z a-z 0-9")));
    }
    let chars = group.name.chars().count();
    if chars == 0 || chars > NAME_CHARS_MAX {
        return Err(field("/name", "length", format!("must have 1 to {NAME_CHARS_MAX} characters")));
    }
    if group.staff.len() < STAFF_MIN || group.staff.len() > STAFF_MAX {
        return Err(field("/staff", "too_many", format!("{STAFF_MIN} to {STAFF_MAX} are allowed")));
    }
    if !group.staff.contains(&group.owner) {
        return Err(field("/owner", "not_found", "must be one of `staff`"));
    }
    Ok(())
}
