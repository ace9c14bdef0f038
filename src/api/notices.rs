//! `/v1/notices`: one thing said now, to one group or to some of the staff.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path};
use super::error::{ApiError, ApiResult, Code};
use super::idempotency::Keyed;
use super::moment;
use super::state::Cx;
use crate::connectors::{Connector, ContentType};
use crate::event::{AccountId, FieldError, Place};
use crate::notices::{NewNotice, Notice, NoticeError, Recipient};
use crate::outbox::delivery::Content;
use crate::storage::DeliveryState;

/// What is to be said.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoticeIn {
    /// Through which account.
    #[schema(value_type = String)]
    account: AccountId,
    /// To whom: one group, or some of the staff one to one.
    to: Recipient,
    /// What.
    content: Content,
}

/// A notice and how far it is.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct NoticeView {
    /// Its id.
    id: String,
    /// Through which account.
    account: String,
    /// The group; null for staff.
    group: Option<String>,
    /// Deliveries that have no result yet.
    waiting: usize,
    /// One for the group, or one for each member of staff.
    deliveries: Vec<NoticeDeliveryView>,
}

/// How far one delivery of a notice is.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct NoticeDeliveryView {
    /// Its id.
    delivery: String,
    /// The member of staff, where it is to one.
    staff: Option<String>,
    /// Where it stands.
    state: DeliveryState,
    /// Calls made.
    attempts: u32,
    /// The last answer's code.
    code: Option<String>,
    /// The last answer in words.
    detail: Option<String>,
    /// When it changed.
    updated_at: String,
}

pub(super) fn view(notice: &Notice) -> NoticeView {
    let deliveries = notice.deliveries.iter().map(|delivery| {
        let (staff, row) = (delivery.staff.clone(), delivery.row.clone());
        NoticeDeliveryView {
            delivery: row.id,
            staff,
            state: row.state,
            attempts: row.attempts,
            code: Some(row.code).filter(|code| !code.is_empty()),
            detail: Some(row.detail).filter(|detail| !detail.is_empty()),
            updated_at: moment::show(row.updated_ms),
        }
    });
    let deliveries: Vec<_> = deliveries.collect();
    let open = [DeliveryState::Pending, DeliveryState::Sending, DeliveryState::Uncertain];
    NoticeView {
        id: notice.id.clone(),
        account: notice.account.to_string(),
        group: Some(notice.group.clone()).filter(|group| !group.is_empty()),
        waiting: deliveries.iter().filter(|delivery| open.contains(&delivery.state)).count(),
        deliveries,
    }
}

/// Tells a group or staff something 发通知
///
/// For alerts, cases and reminders: accepted in one commit and sent at once, within the platform's limits. The words are
/// judged first: with the verdict `block` it is refused and `hits` says why. A group is one that a program may speak in;
/// `GET /v1/groups/{account}/{group}/promises` says whether.
#[utoipa::path(
    post, path = "/v1/notices", tag = "notices", operation_id = "createNotice",
    params(("Idempotency-Key" = String, Header, description = "A new UUID; the same one when the request is repeated")),
    request_body = NoticeIn,
    responses(
        (status = 202, description = "Accepted; `Location` shows how far it is", body = NoticeView),
        (status = 409, description = "The first request with this key is still running"),
    ),
)]
pub(super) async fn create(cx: Cx, mut asked: Keyed<NoticeIn>) -> ApiResult<Response> {
    let key = asked.require()?;
    let NoticeIn { account, to, content } = asked.value;
    let place = cx.place_of_recipient(&account, &to)?;
    let connector = cx.connectors().get(account.as_str());
    let connector = connector.ok_or_else(|| field("/account", "refused", "is not connected"))?;
    check(&*connector, &to, &content)?;
    let new = NewNotice { id: super::outbound::fresh_id("ntc_"), account, to, content, place };
    let record = |notice: &Notice| Some(key.record(StatusCode::ACCEPTED, &view(notice)));
    let notice = cx.notices().send(cx.actor(), new, record).await.map_err(refused)?;
    let location = format!("/v1/notices/{}", notice.id);
    Ok(Answer::accepted(location, view(&notice)).into_response())
}

/// Shows how far a notice is 查看通知
///
/// It is remembered as long as its deliveries (`storage.deliveries_keep`).
#[utoipa::path(
    get, path = "/v1/notices/{notice}", tag = "notices", operation_id = "getNotice",
    params(("notice" = String, Path, description = "Its id")),
    responses((status = 200, description = "The notice", body = NoticeView)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<NoticeView>> {
    let notice = cx.notices().get(&id).await.map_err(refused)?;
    let notice = notice.filter(|notice| cx.sees_notice(notice));
    Ok(Answer::ok(view(&notice.ok_or_else(|| ApiError::not_found("notice"))?)))
}

/// Says before anything is stored what the platform would refuse.
fn check(connector: &dyn Connector, to: &Recipient, content: &Content) -> ApiResult<()> {
    let group = match to {
        Recipient::Group(group) => group.as_str(),
        Recipient::Staff(_) => "",
    };
    let can = connector.capabilities_of(group);
    if !can.can_post_into_group {
        let detail = "the platform lets no program speak there (平台不允许程序在这里说话); its promises say what is possible";
        return Err(field("/to", "unsupported", detail));
    }
    if !can.content_types.contains(&ContentType::of(content)) {
        return Err(field("/content/type", "unsupported", "the platform cannot show this there"));
    }
    let bytes = content.words().len();
    if bytes > can.max_text_bytes {
        let detail = format!("has {bytes} bytes of text; the platform takes {}", can.max_text_bytes);
        return Err(field("/content", "too_long", &detail));
    }
    Ok(())
}

fn field(pointer: &str, code: &str, detail: &str) -> ApiError {
    ApiError::fields(vec![FieldError::new(pointer, code, detail)])
}

/// Says a notice's refusal in the words of the API.
pub(super) fn refused(error: NoticeError) -> ApiError {
    match error {
        NoticeError::Field { pointer, code, detail } => field(pointer, code, &detail),
        NoticeError::Blocked(hits) => ApiError::blocked(hits),
        NoticeError::KeyTaken => ApiError::new(Code::InProgress, error.to_string()),
        NoticeError::Storage { source, .. } => source.into(),
    }
}

impl Cx {
    /// Returns where a notice to these would belong, if the caller may tell them something: a group of the scope; staff
    /// of an account of the scope, or the manager or deputy of a shop of it.
    fn place_of_recipient(&self, account: &AccountId, to: &Recipient) -> ApiResult<Place> {
        let directory = self.directory();
        directory
            .account(account.as_str())
            .ok_or_else(|| field("/account", "not_found", "no such account"))?;
        match to {
            Recipient::Group(group) => {
                let (account, group) = (account.as_str(), group.as_str());
                let place = self.place_of_group(account, group);
                let covered = self.scope().covers_group(account, group, &place);
                covered.then_some(place).ok_or_else(|| field("/to/group", "not_found", "no such group"))
            }
            Recipient::Staff(staff) => {
                if let Ok(account) = directory.account_in(self.scope(), account.as_str()) {
                    return Ok(account.place.clone());
                }
                let places: Option<Vec<Place>> =
                    staff.iter().map(|person| self.place_of_staff(account, person)).collect();
                let first = places.and_then(|places| places.into_iter().next());
                first.ok_or_else(|| {
                    field("/to/staff", "not_found", "names somebody who runs no shop of yours")
                })
            }
        }
    }

    /// Returns the first shop of the scope that somebody runs, of the account's own brand if it has one.
    fn place_of_staff(&self, account: &AccountId, person: &str) -> Option<Place> {
        let brand = self.directory().account(account.as_str())?.place.brand.clone();
        let shops = self.directory().shops_in(self.scope(), "", usize::MAX);
        let runs = |named: &Option<String>| named.as_deref() == Some(person);
        let own = |place: &Place| brand.is_none() || place.brand == brand;
        let shop = shops
            .into_iter()
            .find(|shop| own(&shop.place) && (runs(&shop.record.manager) || runs(&shop.record.deputy)));
        shop.map(|shop| shop.place.clone())
    }

    fn sees_notice(&self, notice: &Notice) -> bool {
        let account = notice.account.as_str();
        if !notice.group.is_empty() {
            return self.covers_group(account, &notice.group);
        }
        self.directory().account_in(self.scope(), account).is_ok()
            || notice.deliveries.iter().all(|delivery| {
                delivery
                    .staff
                    .as_deref()
                    .is_some_and(|person| self.place_of_staff(&notice.account, person).is_some())
            })
    }
}
