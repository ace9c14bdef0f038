//! `/v1/welcome-templates/todo`: in which groups an owner still has to pick a template.
//!
//! Only the owner can switch a template on, in the client, and the platform does not tell whether they did. So a person
//! says it, and this list says who said so and when: never more.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::field;
use crate::api::body::{Answer, Path, Query, Strict};
use crate::api::error::{ApiError, ApiResult, Code};
use crate::api::idempotency::Keyed;
use crate::api::page::{self, Page};
use crate::api::scoped::GroupSeen;
use crate::api::state::Cx;
use crate::api::{moment, notices, outbound};
use crate::directory::GroupFilter;
use crate::duties::Stored;
use crate::duties::templates::{Adoption, Template, planned, templates};
use crate::event::AccountId;
use crate::notices::{NewNotice, Notice, Recipient};
use crate::outbox::delivery::Content;
use crate::storage::{AuditEntry, Change, DocumentKind, Write};

/// Groups looked at in one go, and how often before a page is given back short.
const SCAN_GROUPS: usize = 1_000;
const SCANS_MAX: usize = 50;

/// One group with a template planned.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TodoView {
    /// Its account.
    account: String,
    /// The platform's id of it.
    group: String,
    /// Its name.
    name: Option<String>,
    /// Who has to pick the template; null when the owner is not known.
    owner: Option<String>,
    /// The template that is meant for it.
    template: String,
    /// Whether somebody said that it is done.
    standing: Todo,
    /// Who said so.
    marked_by: Option<String>,
    /// When they said so.
    marked_at: Option<String>,
    /// In plain Chinese: what is known, and what to do.
    zh: String,
    /// The same in English.
    en: String,
}

/// Whether somebody said that a template is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Todo {
    /// Nobody did.
    ToDo,
    /// Somebody did.
    Done,
}

/// Where the owner clicks.
const CLICKS_ZH: &str = "在手机客户端打开该群的群设置 → 入群欢迎语 → 选择模板";
/// See [`CLICKS_ZH`].
const CLICKS_EN: &str =
    "opens the group's settings in the mobile client, welcome message, and picks the template";

fn todo_view(seen: &GroupSeen, template: &Stored<Template>, mark: Option<Adoption>) -> TodoView {
    // A mark about another template says nothing about this one.
    let mark = mark.filter(|mark| mark.template == template.id);
    let (zh, en) = match &mark {
        Some(mark) => (
            format!("{} 确认已选用；平台不告诉我们现在是否仍在用。", mark.by),
            format!("{} said it is picked; the platform does not tell whether it still is.", mark.by),
        ),
        None => (
            format!("还没有人确认已选用。请群主{CLICKS_ZH}“{}”。", template.id),
            format!("Nobody said it is picked: the owner {CLICKS_EN} \"{}\".", template.id),
        ),
    };
    TodoView {
        account: seen.account.clone(),
        group: seen.group.clone(),
        name: seen.name().map(str::to_owned),
        owner: seen.owner().map(str::to_owned),
        template: template.id.clone(),
        standing: if mark.is_some() { Todo::Done } else { Todo::ToDo },
        marked_at: mark.as_ref().map(|mark| moment::show(mark.at_ms)),
        marked_by: mark.map(|mark| mark.by),
        zh,
        en,
    }
}

/// Which groups.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TodoQuery {
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
    /// Of this owner.
    #[serde(default)]
    owner: Option<String>,
    /// Only those.
    #[serde(default)]
    #[param(inline)]
    standing: Option<Todo>,
}

/// Lists what owners have to do 群主待办：启用入群欢迎语
///
/// One row for each group of the scope that a template is meant for. Whether it is done is known only by being told.
#[utoipa::path(
    get, path = "/v1/welcome-templates/todo", tag = "welcome-templates", operation_id = "listWelcomeTodo", params(TodoQuery),
    responses((status = 200, description = "Groups with a template planned, by account and group", body = Page<TodoView>)),
)]
pub(crate) async fn list(cx: Cx, Query(query): Query<TodoQuery>) -> ApiResult<Answer<Page<TodoView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after = page::decode(query.cursor.as_deref())?;
    let (items, next) = scan(&cx, &query, after, limit).await?;
    Ok(Answer::ok(Page { items, next_cursor: next.map(|next| page::encode(&next)) }))
}

type Position = (String, String);

/// Looks through the groups of the scope for those that the query is about.
async fn scan(
    cx: &Cx,
    query: &TodoQuery,
    mut after: Option<Position>,
    limit: usize,
) -> ApiResult<(Vec<TodoView>, Option<Position>)> {
    let templates = templates(&**cx.storage()).await?;
    let mut items = Vec::new();
    if templates.is_empty() {
        return Ok((items, None));
    }
    for _ in 0..SCANS_MAX {
        let filter = GroupFilter { account: query.account.clone(), ..GroupFilter::default() };
        let groups = cx.groups(filter, after.clone(), SCAN_GROUPS).await?;
        let is_last = groups.len() < SCAN_GROUPS;
        for seen in groups {
            let place = (seen.account.clone(), seen.group.clone());
            if let Some(view) = row(cx, query, &templates, &seen).await? {
                if items.len() == limit {
                    return Ok((items, after));
                }
                items.push(view);
            }
            after = Some(place);
        }
        if is_last {
            return Ok((items, None));
        }
    }
    Ok((items, after))
}

async fn row(
    cx: &Cx,
    query: &TodoQuery,
    templates: &[Stored<Template>],
    seen: &GroupSeen,
) -> ApiResult<Option<TodoView>> {
    let is_gone = seen.row.as_ref().is_some_and(|row| row.dismissed);
    let is_of = query.owner.as_deref().is_none_or(|owner| seen.owner() == Some(owner));
    let template = planned(templates, &seen.account, &seen.context.place, seen.context.tags());
    let Some(template) = template.filter(|_| is_of && !is_gone) else { return Ok(None) };
    let mark = Adoption::of(&**cx.storage(), &seen.account, &seen.group).await?;
    let view = todo_view(seen, template, mark);
    Ok(query.standing.is_none_or(|standing| standing == view.standing).then_some(view))
}

/// Whether it is done.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkIn {
    /// Whether the owner has picked the template.
    standing: Todo,
}

/// Says whether a group's owner has picked the template 标记群主已启用
#[utoipa::path(
    post, path = "/v1/welcome-templates/todo/{account}/{group}", tag = "welcome-templates", operation_id = "markWelcomeTodo",
    params(("account" = String, Path, description = "Its account"), ("group" = String, Path, description = "Its id there")),
    request_body = MarkIn,
    responses(
        (status = 200, description = "Written down", body = TodoView),
        (status = 409, description = "No template is meant for this group"),
    ),
)]
pub(crate) async fn mark(
    cx: Cx,
    Path((account, group)): Path<(String, String)>,
    Strict(asked): Strict<MarkIn>,
) -> ApiResult<Answer<TodoView>> {
    const KIND: DocumentKind = DocumentKind::Adoption;
    let seen = cx.group(&account, &group).await?;
    let templates = templates(&**cx.storage()).await?;
    let template = planned(&templates, &account, &seen.context.place, seen.context.tags());
    let template =
        template.ok_or_else(|| ApiError::new(Code::Conflict, "no template is meant for this group"))?;
    let (id, at_ms) = (Adoption::id(&account, &group), cx.now_ms());
    let mark = Adoption { template: template.id.clone(), at_ms, by: cx.actor().operator.to_string() };
    let mark = Some(mark).filter(|_| asked.standing == Todo::Done);
    let write = match &mark {
        Some(mark) => {
            let body = serde_json::to_string(mark).unwrap_or_default(); // strings and a number
            Write::Put { kind: KIND, id: id.clone(), body, expect: None }
        }
        None => Write::Delete { kind: KIND, id: id.clone() },
    };
    let verb = if mark.is_some() { "mark_done" } else { "mark_to_do" };
    let audit = AuditEntry::by(cx.actor(), at_ms, verb, KIND.as_str(), &id).at(&seen.context.place);
    let audit = vec![audit.with(&serde_json::json!({"template": template.id}))];
    cx.storage().apply(Change { at_ms, writes: vec![write], audit, ..Change::default() }).await?;
    Ok(Answer::ok(todo_view(&seen, template, mark)))
}

/// Whom to remind.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemindIn {
    /// Through which account.
    #[schema(value_type = String)]
    account: AccountId,
    /// Which owner.
    owner: String,
}

/// Groups that a reminder names; the number is always the whole one.
const NAMED_MAX: usize = 10;

/// Reminds an owner of what they have to do 提醒群主
///
/// A notice to the owner, one to one, with their groups (of the caller's scope) in which nobody said that the template is
/// picked.
#[utoipa::path(
    post, path = "/v1/welcome-templates/todo/remind", tag = "welcome-templates", operation_id = "remindWelcomeTodo",
    params(("Idempotency-Key" = String, Header, description = "A new UUID; the same one when the request is repeated")),
    request_body = RemindIn,
    responses(
        (status = 202, description = "Accepted; `Location` shows how far it is", body = notices::NoticeView),
        (status = 409, description = "There is nothing to remind of"),
    ),
)]
pub(crate) async fn remind(cx: Cx, mut asked: Keyed<RemindIn>) -> ApiResult<Response> {
    let key = asked.require()?;
    let RemindIn { account, owner } = asked.value;
    let query = TodoQuery {
        cursor: None,
        limit: None,
        account: Some(account.to_string()),
        owner: Some(owner.clone()),
        standing: Some(Todo::ToDo),
    };
    let (open, _) = scan(&cx, &query, None, cx.config().page_rows_max).await?;
    let Some(first) = open.first() else {
        return Err(ApiError::new(Code::Conflict, "this owner has nothing to do in your groups"));
    };
    let connector = cx.connectors().get(account.as_str());
    if !connector.is_some_and(|connector| connector.capabilities_of("").can_post_into_group) {
        return Err(field("/account", "unsupported", "the platform lets us tell staff nothing one to one"));
    }
    let place = cx.place_of_group(&first.account, &first.group);
    let content = Content::Text { text: reminder(&open), mentions: Vec::new() };
    let to = Recipient::Staff([owner].into());
    let new = NewNotice { id: outbound::fresh_id("ntc_"), account, to, content, place };
    let record = |notice: &Notice| Some(key.record(StatusCode::ACCEPTED, &notices::view(notice)));
    let notice = cx.notices().send(cx.actor(), new, record).await.map_err(notices::refused)?;
    let location = format!("/v1/notices/{}", notice.id);
    Ok(Answer::accepted(location, notices::view(&notice)).into_response())
}

fn reminder(open: &[TodoView]) -> String {
    let mut lines = vec![format!("您有 {} 个群还没有确认启用入群欢迎语：", open.len())];
    lines.extend(open.iter().take(NAMED_MAX).map(|row| {
        let name = row.name.as_deref().unwrap_or(&row.group);
        format!("· {name}：模板“{}”", row.template)
    }));
    if open.len() > NAMED_MAX {
        lines.push(format!("……另有 {} 个群", open.len() - NAMED_MAX));
    }
    lines.push(format!("操作：{CLICKS_ZH}。完成后请告诉运营同事标记。"));
    lines.join("\n")
}
