//! `/v1/groups`: groups, seen or declared, and their hits. Their members are in [`super::members`].

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Lines, Path, Precondition, Query, Strict, not_modified};
use super::error::{ApiError, ApiResult};
use super::moment;
use super::ndjson::{self, Answers, ImportLine};
use super::page::{self, Page};
use super::scoped::GroupSeen;
use super::state::Cx;
use crate::directory::{GroupFilter, GroupRecord};
use crate::event::{AccountId, GroupId, GroupName, Place, Via};
use crate::storage::HitRow;

/// A group.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct GroupView {
    /// Its account.
    account: String,
    /// The platform's id of it.
    group: String,
    /// The declared name, or the platform's.
    name: Option<String>,
    /// The declared owner, or the platform's.
    owner: Option<String>,
    /// Words to choose audiences and rules by.
    tags: Vec<String>,
    /// The policy its messages are judged by, where one was chosen.
    policy: Option<String>,
    /// Where it belongs.
    place: Place,
    /// IANA name.
    time_zone: Option<String>,
    /// What was declared; null when it was only seen.
    declared: Option<GroupRecord>,
    /// Members in it now, as far as joins and leaves tell; null when nothing ever happened.
    members: Option<u64>,
    /// When something happened first.
    first_event_at: Option<String>,
    /// When something happened last.
    last_event_at: Option<String>,
    /// The platform said it is gone.
    dismissed: bool,
}

fn view(seen: GroupSeen) -> GroupView {
    let (name, owner) = (seen.name().map(str::to_owned), seen.owner().map(str::to_owned));
    let GroupSeen { account, group, context, row } = seen;
    let told = row.as_ref();
    GroupView {
        name,
        owner,
        tags: context.tags().to_vec(),
        policy: context.policy().map(str::to_owned),
        place: context.place.clone(),
        time_zone: context.time_zone.iana_name().map(str::to_owned),
        declared: context.declared.as_ref().map(|declared| declared.record.clone()),
        members: told.map(|row| row.members),
        first_event_at: told.and_then(|row| moment::show_set(row.first_ms)),
        last_event_at: told.and_then(|row| moment::show_set(row.last_ms)),
        dismissed: told.is_some_and(|row| row.dismissed),
        account,
        group,
    }
}

/// Which groups.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupsQuery {
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Rows of a page.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Of this account.
    #[serde(default)]
    account: Option<String>,
    /// Of this shop.
    #[serde(default)]
    shop: Option<String>,
    /// Of this region.
    #[serde(default)]
    region: Option<String>,
    /// Of this brand.
    #[serde(default)]
    brand: Option<String>,
    /// With this tag.
    #[serde(default)]
    tag: Option<String>,
}

/// Lists groups 列出群
#[utoipa::path(
    get, path = "/v1/groups", tag = "groups", operation_id = "listGroups", params(GroupsQuery),
    responses((status = 200, description = "The groups of the scope, by account and group", body = Page<GroupView>)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<GroupsQuery>) -> ApiResult<Answer<Page<GroupView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after = page::decode(query.cursor.as_deref())?;
    let GroupsQuery { account, shop, region, brand, tag, .. } = query;
    let groups = cx
        .groups(GroupFilter { account, shop, region, brand, tag, platform: None }, after, limit + 1)
        .await?;
    let page = Page::of(groups, limit, |seen| (seen.account.clone(), seen.group.clone()));
    Ok(Answer::ok(page.map(view)))
}

/// Shows a group 查看群
#[utoipa::path(
    get, path = "/v1/groups/{account}/{group}", tag = "groups", operation_id = "getGroup",
    params(("account" = String, Path, description = "Its account"), ("group" = String, Path, description = "Its id there")),
    responses((status = 200, description = "The group; declared ones with their version as `ETag`", body = GroupView)),
)]
pub(super) async fn get(
    cx: Cx,
    Path((account, group)): Path<(String, String)>,
    precondition: Precondition,
) -> ApiResult<Response> {
    let seen = cx.group(&account, &group).await?;
    let Some(version) = seen.context.declared.as_ref().map(|declared| declared.version) else {
        return Ok(Answer::ok(view(seen)).into_response());
    };
    if precondition.knows(version) {
        return Ok(not_modified(version));
    }
    Ok(Answer::ok(view(seen)).version(version).into_response())
}

/// Declares a group 登记群
///
/// Groups appear by themselves when something happens in them; declaring one gives it a shop, a name, tags. A token with a
/// limited scope can only declare groups that belong to its scope already.
#[utoipa::path(
    put, path = "/v1/groups/{account}/{group}", tag = "groups", operation_id = "putGroup",
    params(("account" = String, Path, description = "Its account"), ("group" = String, Path, description = "Its id there")),
    request_body = GroupRecord,
    responses(
        (status = 200, description = "Replaced", body = GroupView),
        (status = 201, description = "Declared for the first time", body = GroupView),
    ),
)]
pub(super) async fn put(
    cx: Cx,
    Path((account, group)): Path<(String, String)>,
    precondition: Precondition,
    Strict(record): Strict<GroupRecord>,
) -> ApiResult<Answer<GroupView>> {
    let name = name(&account, &group)?;
    let written = cx.directory().put_group(cx.actor(), &name, record, precondition.expect()).await;
    let written = written.map_err(|error| precondition.explain(error))?;
    let seen = cx.group(&account, &group).await?;
    Ok(Answer::written(written.created, view(seen)).version(written.version))
}

fn name(account: &str, group: &str) -> ApiResult<GroupName> {
    let account = AccountId::parse(account).map_err(|_| ApiError::not_found("account"))?;
    let group = GroupId::parse(group).map_err(|_| ApiError::not_found("group"))?;
    Ok(GroupName { account, group })
}

/// Forgets what was declared of a group 取消登记
#[utoipa::path(
    delete, path = "/v1/groups/{account}/{group}", tag = "groups", operation_id = "deleteGroup",
    params(("account" = String, Path, description = "Its account"), ("group" = String, Path, description = "Its id there")),
    responses((status = 204, description = "Forgotten; what was seen of it stays")),
)]
pub(super) async fn delete(cx: Cx, Path((account, group)): Path<(String, String)>) -> ApiResult<StatusCode> {
    cx.directory().delete_group(cx.actor(), &account, &group).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One line of an import of groups.
#[derive(Deserialize, utoipa::ToSchema)]
#[expect(dead_code, reason = "only its form is shown; lines are read field by field, to be strict")]
pub(super) struct GroupLine {
    /// Its account.
    account: String,
    /// The platform's id of it.
    group: String,
    /// What is declared.
    #[serde(flatten)]
    record: GroupRecord,
}

/// Imports groups 批量登记群
///
/// One group a line, as in `PUT /v1/groups/{account}/{group}` with its `account` and `group`. Every line gets an answer of
/// its own; wrong lines do not hold up the others. Sending the same import again changes nothing.
#[utoipa::path(
    post, path = "/v1/groups", tag = "groups", operation_id = "importGroups",
    request_body(content = GroupLine, content_type = "application/x-ndjson"),
    responses((status = 200, description = "One answer a line", body = ImportLine, content_type = "application/x-ndjson")),
)]
pub(super) async fn import(cx: Cx, Lines(lines): Lines) -> ApiResult<Answers> {
    let read = |line: &[u8]| {
        let ([account, group], record) = ndjson::line::<GroupRecord, 2>(line, ["account", "group"])?;
        let account = AccountId::parse(&account).map_err(|error| ndjson::bad_id("/account", &error))?;
        let group = GroupId::parse(&group).map_err(|error| ndjson::bad_id("/group", &error))?;
        let name = GroupName { account, group };
        Ok((name.to_string(), (name, record)))
    };
    let mut answers = Answers::default();
    for chunk in ndjson::chunks(&lines, read) {
        let (groups, lines) = chunk.split();
        answers.add(lines, cx.directory().put_groups(cx.actor(), groups, None).await)?;
    }
    Ok(answers)
}

/// A hit without the text.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct HitView {
    /// When.
    at: String,
    /// Who.
    member: String,
    /// Wordlist.
    wordlist: String,
    /// Category.
    category: String,
    /// A stable hash of wordlist and term, in hex; the term itself is in the wordlist.
    term: String,
    /// Bytes of the original text, half-open; the text itself is not kept.
    span: [u32; 2],
    /// By which foldings it matched.
    via: Vec<Via>,
}

fn hit_view(row: HitRow) -> HitView {
    HitView {
        at: moment::show(row.at_ms),
        member: row.member,
        wordlist: row.wordlist,
        category: row.category,
        term: format!("{:016x}", row.term),
        span: [row.span.0, row.span.1],
        via: row.via,
    }
}

/// The latest hits of a group.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Hits {
    /// Newest first.
    items: Vec<HitView>,
}

/// How many rows.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LimitQuery {
    /// Rows.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: Option<usize>,
}

/// Shows the latest hits 最近命中
#[utoipa::path(
    get, path = "/v1/groups/{account}/{group}/hits", tag = "groups", operation_id = "listHits",
    params(
        ("account" = String, Path, description = "Its account"),
        ("group" = String, Path, description = "Its id there"),
        LimitQuery,
    ),
    responses((status = 200, description = "The latest hits, newest first", body = Hits)),
)]
pub(super) async fn hits(
    cx: Cx,
    Path((account, group)): Path<(String, String)>,
    Query(query): Query<LimitQuery>,
) -> ApiResult<Answer<Hits>> {
    let limit = cx.page_rows(query.limit)?;
    let hits = cx.hits(account, group, limit).await?;
    Ok(Answer::ok(Hits { items: hits.into_iter().map(hit_view).collect() }))
}
