//! `/v1/kicks`: who is to be kept out of groups. Nothing is done before somebody has seen who would be hit.

use std::collections::BTreeSet;

use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Strict};
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::outbound::fresh_id;
use super::removals::{RemovalPreview, left};
use super::reviews::deciding::check_reason;
use super::state::Cx;
use crate::event::{FieldError, check_id};
use crate::fleet::cases::Done;
use crate::fleet::kicks::{Kick, KickError, MEMBERS_MAX};
use crate::fleet::removals::{Order, Who};
use crate::reach::Plan;

/// A kick list.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct KickView {
    /// Its id.
    id: String,
    /// Its account.
    account: String,
    /// The platform's ids of the members.
    members: Vec<String>,
    /// From which groups; everything empty: from all of the account.
    #[serde(rename = "where")]
    plan: Plan,
    /// Until when.
    until: String,
    /// Why.
    reason: String,
    /// The operator.
    by: String,
    /// Since when.
    at: String,
}

/// All kick lists.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct KickLists {
    /// In the order of their ids.
    items: Vec<KickView>,
}

/// Who is to be kept out.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KickIn {
    /// The account.
    #[schema(example = "demo")]
    account: String,
    /// The platform's ids of the members, 1,000 at most.
    members: BTreeSet<String>,
    /// From which groups; from all of the account when left out.
    #[serde(default, rename = "where")]
    plan: Plan,
    /// Until when (RFC 3339).
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Why, in words; no message text.
    reason: String,
    /// `would_remove` of the preview. Left out: nothing is done, and the answer is the preview.
    #[serde(default)]
    confirm: Option<usize>,
}

/// Who would be hit, or was.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct KickPreview {
    /// The list; null while it is a preview.
    kick: Option<String>,
    /// Who of them is in groups now.
    #[serde(flatten)]
    removals: RemovalPreview,
    /// What was done about those who are in groups now; null in a preview.
    done: Option<Done>,
    /// What to do next, in plain Chinese.
    zh: String,
    /// The same in English.
    en: String,
}

/// Lists kick lists 黑名单
#[utoipa::path(
    get, path = "/v1/kicks", tag = "moderation", operation_id = "listKicks",
    responses((status = 200, description = "Those in force", body = KickLists)),
)]
pub(super) async fn list(cx: Cx) -> ApiResult<Answer<KickLists>> {
    // A list names members of every group: whoever sees a part of them sees none.
    let kicks = if cx.scope().is_everything() { cx.kicks().all().await? } else { Vec::new() };
    let items = kicks.into_iter().map(|kick| KickView {
        id: kick.id,
        account: kick.account,
        members: kick.members.into_iter().collect(),
        plan: kick.plan,
        until: moment::show(kick.until_ms),
        reason: kick.reason,
        by: kick.by,
        at: moment::show(kick.at_ms),
    });
    Ok(Answer::ok(KickLists { items: items.collect() }))
}

/// Keeps members out 加入黑名单（先预览后确认）
///
/// Without `confirm` it shows who would be hit and does nothing. With it, whoever of them joins or speaks is removed, or put up
/// for review where the platform cannot or the removals of the hour are used up.
#[utoipa::path(
    post, path = "/v1/kicks", tag = "moderation", operation_id = "createKick", request_body = KickIn,
    responses((status = 200, description = "The preview, or what is in force now", body = KickPreview)),
)]
pub(super) async fn create(cx: Cx, Strict(asked): Strict<KickIn>) -> ApiResult<Answer<KickPreview>> {
    if !cx.scope().is_everything() {
        let detail =
            "a kick list holds for every group, so it needs the whole scope: ask somebody who has it";
        return Err(field("/where", "outside_scope", detail.to_owned()));
    }
    let reason = check_reason(&cx, &asked.reason)?;
    check(&cx, &asked)?;
    let who = cx.present(&asked).await?;
    let removals = cx.removals(Order::KICK, who.iter());
    let count = removals.would_remove;
    if asked.confirm.is_some_and(|confirmed| confirmed != count) {
        let detail = format!("{count} would be taken out now; look at the preview again");
        return Err(field("/confirm", "confirm", detail));
    }
    let (zh, en) = removals.words();
    if asked.confirm.is_none() {
        let zh = format!("预览：{zh}确认后请带上 \"confirm\": {count} 再次提交。");
        let en = format!("A preview: {en} Send it again with \"confirm\": {count}.");
        return Ok(Answer::ok(KickPreview { kick: None, removals, done: None, zh, en }));
    }
    let kick = Kick {
        id: fresh_id("kck_"),
        account: asked.account,
        members: asked.members,
        plan: asked.plan,
        until_ms: asked.until.as_millisecond(),
        reason,
        by: cx.actor().operator.to_string(),
        at_ms: cx.now_ms(),
    };
    let order = Order { rule: Order::KICK.to_owned(), asked: kick.id.clone(), at_ms: kick.at_ms, who };
    let id = Some(kick.id.clone());
    cx.kicks().add(cx.actor(), kick, vec![order.write()]).await.map_err(refused)?;
    let mut done = Done::default();
    cx.fleet().expel(order, &mut done).await;
    let (zh, en) = left(&done);
    let zh = format!("已生效：名单上的成员一进群或一发言就会被移出。{zh}");
    let en = format!("In force: whoever is on it is taken out when they join or speak.{en}");
    Ok(Answer::ok(KickPreview { kick: id, removals, done: Some(done), zh, en }))
}

/// Lets members in again 移出黑名单
///
/// Nobody is invited by it: no platform lets a program do that.
#[utoipa::path(
    delete, path = "/v1/kicks/{kick}", tag = "moderation", operation_id = "deleteKick",
    params(("kick" = String, Path, description = "Its id")),
    responses((status = 204, description = "No longer in force")),
)]
pub(super) async fn delete(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    if !cx.scope().is_everything() {
        return Err(ApiError::not_found("kick list"));
    }
    cx.kicks().remove(cx.actor(), &id).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

fn check(cx: &Cx, asked: &KickIn) -> ApiResult<()> {
    let mut errors = Vec::new();
    if cx.directory().account(&asked.account).is_none() {
        errors.push(FieldError::new("/account", "not_found", "no such account"));
    }
    if asked.members.is_empty() || asked.members.len() > MEMBERS_MAX {
        let detail = format!("has {} members; 1 to {MEMBERS_MAX} in one list", asked.members.len());
        errors.push(FieldError::new("/members", "count", detail));
    }
    for (nth, member) in asked.members.iter().enumerate() {
        if let Err(error) = check_id(member) {
            errors.push(FieldError::new(format!("/members/{nth}"), "form", error.to_string()));
        }
    }
    if asked.until.as_millisecond() <= cx.now_ms() {
        errors.push(FieldError::new("/until", "past", "is over already"));
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::fields(errors)) }
}

fn field(pointer: &str, code: &str, detail: String) -> ApiError {
    ApiError::fields(vec![FieldError::new(pointer, code, detail)])
}

fn refused(error: KickError) -> ApiError {
    match error {
        KickError::Unknown => ApiError::not_found("kick list"),
        KickError::TooMany => ApiError::new(Code::Conflict, error.to_string()),
        KickError::Storage(error) => error.into(),
    }
}

impl Cx {
    /// Finds out who of a list is in a group of its place now.
    async fn present(&self, asked: &KickIn) -> ApiResult<Vec<Who>> {
        let (account, members) = (asked.account.clone(), asked.members.iter().cloned().collect::<Vec<_>>());
        let present = self.blocking(move |storage| {
            storage.project()?;
            storage.memberships(&account, &members)
        });
        let is_meant = |group: &str| {
            let context = self.directory().context(&asked.account, group);
            context.is_some_and(|context| asked.plan.fit(&context.place, context.tags()).is_some())
        };
        let present = present.await?.into_iter().filter(|(group, _)| is_meant(group));
        Ok(present.map(|(group, member)| (asked.account.clone(), group, member)).collect())
    }
}
