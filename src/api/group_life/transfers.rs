//! `/v1/transfers`: groups whose owner has left, and giving groups to a new owner.

use std::collections::HashSet;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::field;
use crate::api::body::{Answer, Path, Query};
use crate::api::duty::FailureView;
use crate::api::error::{ApiError, ApiResult};
use crate::api::idempotency::Keyed;
use crate::api::state::Cx;
use crate::api::{moment, outbound};
use crate::directory::GroupContext;
use crate::duties::transfers::{OldOwner, Orphans, Standing, Transfer, TransferState};
use crate::duties::{self, Stored};
use crate::event::{AccountId, GroupId};
use crate::storage::{AuditEntry, Change, DocumentKind, StorageError, Write};

const KIND: DocumentKind = DocumentKind::Transfer;
/// Most groups of one transfer: three days' work at WeCom's limit.
const GROUPS_MAX: usize = 900;

/// A group whose owner has left.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct OrphanView {
    /// Its account.
    account: String,
    /// The platform's id of it.
    group: String,
    /// Its name.
    name: Option<String>,
    /// Who owned it.
    old_owner: Option<String>,
    /// Who should have it: the shop's manager, or their deputy; null when the shop names nobody else.
    suggested_owner: Option<String>,
}

/// How an account's list came about.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct OrphansOfAccount {
    /// The account.
    account: String,
    /// When the platform was asked.
    asked_at: Option<String>,
    /// Why it could not be asked the last time.
    failure: Option<FailureView>,
}

/// Groups whose owner has left.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Worklist {
    /// By account and group.
    items: Vec<OrphanView>,
    /// When each account was asked.
    accounts: Vec<OrphansOfAccount>,
}

/// Which account.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WorklistQuery {
    /// Of this account.
    #[serde(default)]
    account: Option<String>,
}

/// Lists groups whose owner has left 待继承的群
///
/// The groups of the scope, as the platform told when it was last asked, each with who should have it.
#[utoipa::path(
    get, path = "/v1/transfers", tag = "group-life", operation_id = "listOrphans", params(WorklistQuery),
    responses((status = 200, description = "Groups whose owner has left, with a suggestion", body = Worklist)),
)]
pub(crate) async fn worklist(cx: Cx, Query(query): Query<WorklistQuery>) -> ApiResult<Answer<Worklist>> {
    let mut list = Worklist { items: Vec::new(), accounts: Vec::new() };
    for account in cx.directory().accounts() {
        let id = account.id.as_str();
        let is_asked = query.account.as_deref().is_none_or(|asked| asked == id);
        if !is_asked || !cx.offers(id, |connector| connector.group_life().is_some()) {
            continue;
        }
        let orphans = read_state::<Orphans>(&cx, &Orphans::id(id)).await?;
        for (group, old_owner) in orphans.groups.into_iter().filter(|(group, _)| cx.covers_group(id, group)) {
            let context = cx.directory().context(id, &group);
            list.items.push(OrphanView {
                account: id.to_owned(),
                name: context.as_deref().and_then(GroupContext::name).map(str::to_owned),
                suggested_owner: context.as_deref().and_then(|c| suggested(c, old_owner.as_deref())),
                old_owner,
                group,
            });
        }
        if cx.sees_account(id) {
            list.accounts.push(OrphansOfAccount {
                account: id.to_owned(),
                asked_at: moment::show_set(orphans.asked_ms),
                failure: orphans.failure.map(Into::into),
            });
        }
    }
    Ok(Answer::ok(list))
}

/// Who runs the shop, unless it is who has left.
fn suggested(context: &GroupContext, old_owner: Option<&str>) -> Option<String> {
    let shop = &context.shop.as_ref()?.record;
    let people = [shop.manager.as_ref(), shop.deputy.as_ref()];
    people.into_iter().flatten().find(|person| Some(person.as_str()) != old_owner).cloned()
}

async fn read_state<T: serde::de::DeserializeOwned + Default>(cx: &Cx, id: &str) -> Result<T, StorageError> {
    let stored = duties::read(&**cx.storage(), DocumentKind::Pushed, id).await?;
    Ok(stored.map(|stored: Stored<T>| stored.value).unwrap_or_default())
}

/// Groups to be given to a new owner.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransferIn {
    /// Through which account.
    #[schema(value_type = String)]
    account: AccountId,
    /// Which groups, each once, at most 900.
    #[schema(value_type = Vec<String>)]
    groups: Vec<GroupId>,
    /// Who is to have them, by the platform's id.
    new_owner: String,
    /// Where the old owner is.
    old_owner: OldOwner,
}

/// A transfer and how far it is.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TransferView {
    /// Its id.
    id: String,
    /// Through which account.
    account: String,
    /// Who is to have the groups.
    new_owner: String,
    /// Where the old owner is.
    old_owner: OldOwner,
    /// Each group with what became of it.
    groups: Vec<HandoverView>,
    /// Groups whose turn has not come.
    waiting: usize,
    /// When the next ones are tried, if a limit was met.
    goes_on_at: Option<String>,
    /// Who asked.
    created_by: String,
    /// When.
    created_at: String,
}

/// What became of one group.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct HandoverView {
    /// The group.
    group: String,
    /// Where it stands.
    standing: Standing,
    /// When that was found.
    at: Option<String>,
    /// Why not.
    failure: Option<FailureView>,
}

fn view(id: String, transfer: Transfer, mut state: TransferState) -> TransferView {
    let waiting = state.waiting(&transfer).len();
    let handover = |group: &GroupId| {
        let found = state.groups.remove(group.as_str());
        HandoverView {
            group: group.to_string(),
            standing: found.as_ref().map_or(Standing::Waiting, |found| found.standing),
            at: found.as_ref().map(|found| moment::show(found.at_ms)),
            failure: found.and_then(|found| found.failure).map(Into::into),
        }
    };
    TransferView {
        id,
        account: transfer.account.to_string(),
        groups: transfer.groups.iter().map(handover).collect(),
        waiting,
        goes_on_at: moment::show_set(state.not_before_ms).filter(|_| waiting > 0),
        new_owner: transfer.new_owner,
        old_owner: transfer.owner_left,
        created_by: transfer.created_by.to_string(),
        created_at: moment::show(transfer.created_ms),
    }
}

/// Gives groups to a new owner 移交群
///
/// Accepted in one commit and worked off in the background, within the platform's limit of a day (`duties.transfers_a_day`);
/// what is left follows the next day. Each group has its own result.
#[utoipa::path(
    post, path = "/v1/transfers", tag = "group-life", operation_id = "createTransfer",
    params(("Idempotency-Key" = String, Header, description = "A new UUID; the same one when the request is repeated")),
    request_body = TransferIn,
    responses((status = 202, description = "Accepted; `Location` shows how far it is", body = TransferView)),
)]
pub(crate) async fn create(cx: Cx, mut asked: Keyed<TransferIn>) -> ApiResult<Response> {
    let key = asked.require()?;
    let TransferIn { account, groups, new_owner, old_owner } = asked.value;
    check(&cx, &account, &groups, &new_owner)?;
    let at_ms = cx.now_ms();
    // Ids in order of time; the random part keeps two of the same moment apart.
    let id = outbound::fresh_id(&format!("trf_{at_ms:011x}"));
    let place = groups.first().map(|group| cx.place_of_group(account.as_str(), group.as_str()));
    let transfer = Transfer {
        account,
        groups,
        new_owner,
        owner_left: old_owner,
        created_by: cx.actor().operator.clone(),
        created_ms: at_ms,
    };
    let shown = || view(id.clone(), transfer.clone(), TransferState::default());
    let body = serde_json::to_string(&transfer).map_err(|error| ApiError::internal(&error))?;
    let audit =
        AuditEntry::by(cx.actor(), at_ms, "create", KIND.as_str(), &id).at(&place.unwrap_or_default());
    let detail = serde_json::json!({"groups": transfer.groups.len(), "new_owner": transfer.new_owner});
    let change = Change {
        at_ms,
        writes: vec![Write::Put { kind: KIND, id: id.clone(), body, expect: Some(0) }],
        audit: vec![audit.with(&detail)],
        idempotency: Some(key.record(StatusCode::ACCEPTED, &shown())),
        ..Change::default()
    };
    cx.storage().apply(change).await?;
    cx.house().wake_duties();
    Ok(Answer::accepted(format!("/v1/transfers/{id}"), shown()).into_response())
}

fn check(cx: &Cx, account: &AccountId, groups: &[GroupId], new_owner: &str) -> ApiResult<()> {
    if !cx.offers(account.as_str(), |connector| connector.group_life().is_some()) {
        return Err(field(
            "/account",
            "unsupported",
            "is no connected account whose groups can change hands",
        ));
    }
    if groups.is_empty() || groups.len() > GROUPS_MAX {
        return Err(field(
            "/groups",
            "too_many",
            format!("names {}; 1 to {GROUPS_MAX} are allowed", groups.len()),
        ));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = groups.iter().find(|group| !seen.insert(group.as_str())) {
        return Err(field("/groups", "form", format!("names `{twice}` twice")));
    }
    if new_owner.trim().is_empty() || new_owner.len() > 128 {
        return Err(field("/new_owner", "form", "must be the platform's id of a member of staff"));
    }
    let errors = cx.not_covered(account.as_str(), "/groups", groups);
    if errors.is_empty() { Ok(()) } else { Err(ApiError::fields(errors)) }
}

/// Shows how far a transfer is 查看移交进度
#[utoipa::path(
    get, path = "/v1/transfers/{transfer}", tag = "group-life", operation_id = "getTransfer",
    params(("transfer" = String, Path, description = "Its id")),
    responses((status = 200, description = "The transfer, with a result for each group", body = TransferView)),
)]
pub(crate) async fn get(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<TransferView>> {
    let stored: Option<Stored<Transfer>> = duties::read(&**cx.storage(), KIND, &id).await?;
    let sees = |transfer: &Transfer| cx.covers_groups(transfer.account.as_str(), transfer.groups.iter());
    let stored =
        stored.filter(|stored| sees(&stored.value)).ok_or_else(|| ApiError::not_found("transfer"))?;
    let state = read_state(&cx, &TransferState::id(stored.value.account.as_str(), &id)).await?;
    Ok(Answer::ok(view(id, stored.value, state)))
}
