//! `/v1/tag-rules`: rules by which members of groups get tags.
//!
//! A rule belongs to everybody: it is written by who sees everything, and gives tags in every group.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use super::refused;
use crate::api::body::{Answer, Path, Precondition, Query, Strict, not_modified};
use crate::api::error::{ApiError, ApiResult};
use crate::api::moment;
use crate::api::page::{self, Page, PageQuery};
use crate::api::rules::require_everything;
use crate::api::state::Cx;
use crate::directory::{GroupFilter, plain_id};
use crate::event::FieldError;
use crate::people::rule::{Rule, When};
use crate::people::{PeopleError, Stored};
use crate::statistics::coverage::Covered;

/// A rule for tags.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct TagRuleView {
    /// Its id.
    id: String,
    /// For people.
    title: String,
    /// The tag that follows.
    tag: String,
    /// When it does.
    when: When,
    /// What it rests on: `messages` (that somebody spoke) or `text` (that a wordlist found something).
    rests_on: &'static str,
    /// In how many of the groups of the scope that can be seen; in the others nobody gets the tag, and lists say
    /// `tags_unknown`.
    coverage: Covered,
    /// When it was written.
    updated_at: String,
}

fn view(stored: Stored<Rule>, coverage: Covered) -> TagRuleView {
    let Stored { id, updated_ms, is: Rule { title, tag, when }, .. } = stored;
    let rests_on = if when.reads_hits() { "text" } else { "messages" };
    TagRuleView { id, title, tag, when, rests_on, coverage, updated_at: moment::show(updated_ms) }
}

impl Cx {
    /// Says in how many of the visible groups messages are shown to us.
    async fn messages_seen(&self) -> ApiResult<Covered> {
        self.about_people(|cx| {
            let groups = cx.groups_of(&GroupFilter::default());
            let seen = groups.iter().filter(|group| group.sees).count();
            Ok(Covered::new(seen as u64, groups.len() as u64))
        })
        .await
    }
}

/// Lists rules for tags 列出标签规则
#[utoipa::path(
    get, path = "/v1/tag-rules", tag = "people", operation_id = "listTagRules", params(PageQuery),
    responses((status = 200, description = "The rules, by id", body = Page<TagRuleView>)),
)]
pub(in crate::api) async fn list(
    cx: Cx,
    Query(query): Query<PageQuery>,
) -> ApiResult<Answer<Page<TagRuleView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let (book, coverage) = (cx.people().rules(), cx.messages_seen().await?);
    let rules = book.rules().iter().filter(|stored| after.as_ref().is_none_or(|after| stored.id > *after));
    let page = Page::of(rules.take(limit + 1).cloned().collect(), limit, |stored| stored.id.clone());
    Ok(Answer::ok(page.map(|stored| view(stored, coverage))))
}

/// Shows a rule for tags 查看标签规则
#[utoipa::path(
    get, path = "/v1/tag-rules/{tag_rule}", tag = "people", operation_id = "getTagRule",
    params(("tag_rule" = String, Path, description = "Its id")),
    responses((status = 200, description = "The rule, with its version as `ETag`", body = TagRuleView)),
)]
pub(in crate::api) async fn get(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
) -> ApiResult<Response> {
    let stored = cx.people().rules().get(&id).cloned().ok_or_else(|| ApiError::not_found("tag rule"))?;
    let version = stored.version;
    if precondition.knows(version) {
        return Ok(not_modified(version));
    }
    let coverage = cx.messages_seen().await?;
    Ok(Answer::ok(view(stored, coverage)).version(version).into_response())
}

/// Writes a rule for tags 保存标签规则
///
/// Customers for whom it holds have the tag from the next question on, and lose it when it does not hold any more. At most 50
/// rules. For "asked about prices" let a wordlist find the words (it may stand in a policy with the action `pass`) and name it
/// under `said`: that it found something is kept, the text is not.
#[utoipa::path(
    put, path = "/v1/tag-rules/{tag_rule}", tag = "people", operation_id = "putTagRule",
    params(("tag_rule" = String, Path, description = "Its id")), request_body = Rule,
    responses(
        (status = 200, description = "Replaced", body = TagRuleView),
        (status = 201, description = "New", body = TagRuleView),
    ),
)]
pub(in crate::api) async fn put(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
    Strict(rule): Strict<Rule>,
) -> ApiResult<Answer<TagRuleView>> {
    require_everything(&cx, "tag rule")?;
    let field = |pointer, detail| ApiError::fields(vec![FieldError::new(pointer, "form", detail)]);
    plain_id(&id).map_err(|detail| field("/id", detail))?;
    rule.check().map_err(|(pointer, detail)| field(pointer, detail))?;
    let written = cx.people().put_rule(cx.actor(), &id, rule, precondition.expect()).await;
    let (is_new, stored) = written.map_err(|error| match error {
        PeopleError::Storage(error) => precondition.explain(error),
        full @ PeopleError::Full(_) => refused(full),
    })?;
    let (version, coverage) = (stored.version, cx.messages_seen().await?);
    Ok(Answer::written(is_new, view(stored, coverage)).version(version))
}

/// Removes a rule for tags 删除标签规则
#[utoipa::path(
    delete, path = "/v1/tag-rules/{tag_rule}", tag = "people", operation_id = "deleteTagRule",
    params(("tag_rule" = String, Path, description = "Its id")),
    responses((status = 204, description = "Removed; nobody has its tag by it any more")),
)]
pub(in crate::api) async fn delete(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    require_everything(&cx, "tag rule")?;
    let is_gone = cx.people().delete_rule(cx.actor(), &id).await.map_err(refused)?;
    if is_gone { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found("tag rule")) }
}
