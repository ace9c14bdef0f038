//! Uncertain deliveries for people: which there are, and what a person says became of one.
//!
//! What is declared sent is never sent again; what is declared not sent is sent again with the attempts it has left. The
//! declaration, the state and the audit entry are one commit.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::some;
use crate::api::body::{Answer, Path, Query, Strict};
use crate::api::broadcasts::outbox_refused;
use crate::api::error::{ApiError, ApiResult, Code};
use crate::api::moment;
use crate::api::page::{self, Page};
use crate::api::rules::needed_reason;
use crate::api::state::Cx;
use crate::event::{AccountId, DeliveryId, FieldError, Place};
use crate::outbox::{LetterFilter, UNRESOLVED};
use crate::storage::{
    AuditEntry, Change, DeliveryRow, DeliveryState, MASS_SEND, MASS_SENDS_FROM, MASS_TARGET, Moved,
    StorageError,
};

/// A delivery of which nobody knows whether it was sent.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct UncertainView {
    /// Its id.
    id: String,
    /// `broadcast`, `mass_send`, `reply`, `welcome`, … or an action's kind.
    kind: String,
    /// The broadcast it belongs to.
    broadcast: Option<String>,
    /// Its number in the broadcast.
    target: Option<u32>,
    /// Account.
    account: String,
    /// Group.
    group: Option<String>,
    /// Calls made.
    attempts: u32,
    /// What was seen: its code.
    code: Option<String>,
    /// What was seen, in words.
    detail: Option<String>,
    /// Since when nobody knows.
    since: String,
    /// The platform could not say: a person must. False while it may still be asked.
    needs_person: bool,
}

fn view(row: DeliveryRow) -> UncertainView {
    let is_target = !row.broadcast.is_empty() && row.target < MASS_SENDS_FROM;
    UncertainView {
        needs_person: row.code == UNRESOLVED,
        target: is_target.then_some(row.target),
        broadcast: some(row.broadcast),
        group: some(row.group).filter(|_| row.kind != MASS_SEND),
        kind: row.kind,
        account: row.account,
        attempts: row.attempts,
        code: some(row.code),
        detail: some(row.detail),
        since: moment::show(row.updated_ms),
        id: row.id,
    }
}

/// Which uncertain deliveries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct UncertainQuery {
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Rows of a page; a page may be shorter and still have a next one.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Of this account.
    #[serde(default)]
    account: Option<String>,
    /// Of this broadcast.
    #[serde(default)]
    broadcast: Option<String>,
    /// Of this kind.
    #[serde(default)]
    kind: Option<String>,
    /// To this group.
    #[serde(default)]
    group: Option<String>,
    /// Only those that a person must look at.
    #[serde(default)]
    needs_person: bool,
}

/// Lists deliveries of which nobody knows whether they were sent 不确定是否已发
#[utoipa::path(
    get, path = "/v1/uncertain", tag = "outbound", operation_id = "listUncertain", params(UncertainQuery),
    responses((status = 200, description = "Uncertain deliveries of the scope", body = Page<UncertainView>)),
)]
pub(in crate::api) async fn uncertain(
    cx: Cx,
    Query(query): Query<UncertainQuery>,
) -> ApiResult<Answer<Page<UncertainView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after = page::decode(query.cursor.as_deref())?;
    let filter = LetterFilter {
        account: query.account,
        broadcast: query.broadcast,
        kind: query.kind,
        group: query.group,
        code: query.needs_person.then(|| UNRESOLVED.to_owned()),
        ..LetterFilter::default()
    };
    let rows = cx.outbox().uncertain(filter, after, limit + 1).await.map_err(outbox_refused)?;
    let page = Page::of(rows, limit, |row| (row.broadcast.clone(), row.target, row.id.clone()));
    let items = page.items.into_iter().filter(|row| cx.sees_delivery(row)).map(view).collect();
    Ok(Answer::ok(Page { items, next_cursor: page.next_cursor }))
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum Fate {
    /// It arrived: it is never sent again.
    Sent,
    /// It did not: it is sent again.
    NotSent,
}

/// What a person found out.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct DeclareIn {
    /// What became of it.
    outcome: Fate,
    /// How they know; stands in the audit log.
    #[schema(example = "群里看到了这条消息")]
    reason: String,
    /// The platform's id of the task, where a `mass_send` is declared sent: its owner's confirmation is followed by it.
    #[serde(default)]
    platform_id: Option<String>,
}

/// Declares an uncertain delivery sent or not sent 人工声明已发或未发
///
/// Needs a look at the group or the platform first: what was declared not sent is sent again.
#[utoipa::path(
    post, path = "/v1/uncertain/{delivery}", tag = "outbound", operation_id = "declareDelivery",
    params(("delivery" = String, Path, description = "Its id")), request_body = DeclareIn,
    responses(
        (status = 204, description = "It stands as declared"),
        (status = 409, description = "It is not uncertain, or not any more"),
    ),
)]
pub(in crate::api) async fn declare(
    cx: Cx,
    Path(id): Path<String>,
    Strict(asked): Strict<DeclareIn>,
) -> ApiResult<StatusCode> {
    let row = cx.delivery(&id).await?;
    let moved = moved(&row, &asked)?;
    let now_ms = cx.now_ms();
    let audit = AuditEntry::by(cx.actor(), now_ms, "declare", "delivery", &row.id)
        .at(&cx.place_of_delivery(&row))
        .with(&serde_json::json!({"outcome": asked.outcome, "reason": asked.reason, "was": row.code}));
    let change = Change { at_ms: now_ms, audit: vec![audit], moved: vec![moved], ..Change::default() };
    cx.storage().apply(change).await.map_err(|error| {
        if matches!(error, StorageError::Conflict { .. }) {
            return ApiError::new(Code::Conflict, "it is not uncertain any more");
        }
        error.into()
    })?;
    if let (Ok(account), Ok(id)) = (AccountId::parse(&row.account), DeliveryId::parse(&row.id)) {
        cx.outbox().declared(&account, &id).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Checks what is declared.
fn moved(row: &DeliveryRow, asked: &DeclareIn) -> ApiResult<Moved> {
    if row.state != DeliveryState::Uncertain {
        let detail = format!("it is {}, not uncertain", row.state.as_str());
        return Err(ApiError::new(Code::Conflict, detail));
    }
    if row.kind == MASS_TARGET {
        let detail = "a task carries it: declare that one (kind `mass_send` of the same broadcast)";
        return Err(ApiError::new(Code::Conflict, detail));
    }
    needed_reason(&asked.reason)?;
    let (to, code) = match asked.outcome {
        Fate::Sent if row.kind == MASS_SEND => (DeliveryState::AwaitingConfirmation, "declared_sent"),
        Fate::Sent => (DeliveryState::Sent, "declared_sent"),
        Fate::NotSent => (DeliveryState::Pending, "declared_not_sent"),
    };
    if to == DeliveryState::AwaitingConfirmation && asked.platform_id.is_none() {
        let detail = "name the platform's id of the task, so that its confirmation can be followed";
        return Err(ApiError::fields(vec![FieldError::new("/platform_id", "required", detail)]));
    }
    Ok(Moved {
        id: row.id.clone(),
        from: DeliveryState::Uncertain,
        to,
        code: code.to_owned(),
        detail: asked.reason.clone(),
        platform_id: asked.platform_id.clone(),
    })
}

impl Cx {
    /// Returns where a delivery belongs, for the audit log.
    pub(in crate::api) fn place_of_delivery(&self, row: &DeliveryRow) -> Place {
        if row.group.is_empty() || row.kind == MASS_SEND {
            let account = self.directory().account(&row.account);
            return account.map(|account| account.place.clone()).unwrap_or_default();
        }
        self.place_of_group(&row.account, &row.group)
    }
}
