//! Tags and values of members: by hand, and by import.

use std::collections::BTreeSet;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::lines::{Body, Wanted};
use crate::api::body::{Path, Query};
use crate::api::error::{ApiError, ApiResult, Code};
use crate::api::ndjson::{Answers, ImportLine};
use crate::api::state::Cx;
use crate::event::FieldError;
use crate::people::marks::{Edit, TAGS_MAX};
use crate::people::rule::check_tag;
use crate::storage::AuditEntry;

fn checked(tag: &str) -> ApiResult<()> {
    check_tag(tag).map_err(|detail| ApiError::fields(vec![FieldError::new("/tags", "form", detail)]))
}

/// Gives a member a tag 打标签
///
/// The tag belongs to the member in all groups of the account. At most 30 a member.
#[utoipa::path(
    put, path = "/v1/members/{account}/{member}/tags/{tag}", tag = "people", operation_id = "putMemberTag",
    params(
        ("account" = String, Path, description = "Their account"),
        ("member" = String, Path, description = "The platform's id"),
        ("tag" = String, Path, description = "The tag"),
    ),
    responses((status = 204, description = "They have it"), (status = 409, description = "They have as many as may be")),
)]
pub(in crate::api) async fn put(
    cx: Cx,
    Path((account, member, tag)): Path<(String, String, String)>,
) -> ApiResult<StatusCode> {
    let edit = Edit::Add(BTreeSet::from([tag.clone()]));
    cx.tag(account, member, tag, edit, "tag").await
}

/// Takes a tag from a member 移除标签
#[utoipa::path(
    delete, path = "/v1/members/{account}/{member}/tags/{tag}", tag = "people", operation_id = "deleteMemberTag",
    params(
        ("account" = String, Path, description = "Their account"),
        ("member" = String, Path, description = "The platform's id"),
        ("tag" = String, Path, description = "The tag"),
    ),
    responses((status = 204, description = "They do not have it; tags by rule stay")),
)]
pub(in crate::api) async fn delete(
    cx: Cx,
    Path((account, member, tag)): Path<(String, String, String)>,
) -> ApiResult<StatusCode> {
    let edit = Edit::Remove(tag.clone());
    cx.tag(account, member, tag, edit, "untag").await
}

impl Cx {
    async fn tag(
        &self,
        account: String,
        member: String,
        tag: String,
        edit: Edit,
        verb: &str,
    ) -> ApiResult<StatusCode> {
        let seats = self.seats(&account, &member).await?;
        checked(&tag)?;
        let place = seats.first().map(|(group, _)| group.place.clone()).unwrap_or_default();
        let id = format!("{account}/{member}");
        let audit = AuditEntry::by(self.actor(), self.now_ms(), verb, "member", &id).at(&place);
        let done =
            self.people().edit(vec![(account, member, edit)], audit.with(&json!({"tag": tag}))).await?;
        match done.into_iter().next() {
            Some(Err(why)) => Err(ApiError::new(Code::LimitReached, why)),
            Some(Ok(_)) | None => Ok(StatusCode::NO_CONTENT),
        }
    }
}

/// How tags are taken in.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct TagsQuery {
    /// What becomes of the tags they had before.
    #[serde(default)]
    #[param(inline)]
    mode: Mode,
}

/// What becomes of the tags they had before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// They stay.
    #[default]
    Add,
    /// They go.
    Replace,
}

/// Tags for a member.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct TagLine {
    /// Their account.
    account: String,
    /// The platform's id of them.
    member: String,
    /// The tags.
    tags: BTreeSet<String>,
}

/// Imports tags 批量导入标签
///
/// One member a line: NDJSON with `account`, `member` and `tags`, or CSV with these columns, several tags apart by `;`. Other
/// columns are not read. Every line gets an answer of its own; wrong lines do not hold up the others.
#[utoipa::path(
    post, path = "/v1/members/tags", tag = "people", operation_id = "importMemberTags", params(TagsQuery),
    request_body(content((TagLine = "application/x-ndjson"), (String = "text/csv"))),
    responses((status = 200, description = "One answer a line", body = ImportLine, content_type = "application/x-ndjson")),
)]
pub(in crate::api) async fn import(cx: Cx, Query(query): Query<TagsQuery>, body: Body) -> ApiResult<Answers> {
    let wanted = |account: String, member: String, tags: BTreeSet<String>| -> ApiResult<Wanted> {
        tags.iter().try_for_each(|tag| checked(tag))?;
        if tags.len() > TAGS_MAX {
            let detail = format!("{} tags, a member has at most {TAGS_MAX}", tags.len());
            return Err(ApiError::fields(vec![FieldError::new("/tags", "too_many", detail)]));
        }
        let edit = match query.mode {
            Mode::Add => Edit::Add(tags),
            Mode::Replace => Edit::Replace(tags),
        };
        Ok((account, member, edit))
    };
    let of_cells = |account: &str, member: &str, tags: &str| {
        let tags = tags.split([';', '；']).map(str::trim).filter(|tag| !tag.is_empty());
        wanted(account.to_owned(), member.to_owned(), tags.map(str::to_owned).collect())
    };
    let lines = body.read("tags", of_cells, |line: TagLine| wanted(line.account, line.member, line.tags))?;
    cx.edit_members(lines, "member_tags").await
}

/// Who a member is.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct IdentityLine {
    /// Their account.
    account: String,
    /// The platform's id of them.
    member: String,
    /// Who they are in whatever account, in your own words: a customer number, or the union id that a platform gives.
    #[schema(max_length = 128)]
    identity: String,
}

/// Longest identity, in bytes.
const IDENTITY_BYTES_MAX: usize = 128;

/// Imports who members are 批量导入身份
///
/// Members of several accounts, on whatever platforms, with the same identity are one person and counted once in all figures
/// from then on, also for the time before; so is who has this text as their union id. What was told of a member first, by the
/// platform or by import, holds: a line that says otherwise is refused. NDJSON with `account`, `member`, `identity`, or CSV with
/// these columns.
#[utoipa::path(
    post, path = "/v1/members/identities", tag = "people", operation_id = "importMemberIdentities",
    request_body(content((IdentityLine = "application/x-ndjson"), (String = "text/csv"))),
    responses((status = 200, description = "One answer a line", body = ImportLine, content_type = "application/x-ndjson")),
)]
pub(in crate::api) async fn import_identities(cx: Cx, body: Body) -> ApiResult<Answers> {
    let wanted = |account: String, member: String, identity: String| -> ApiResult<Wanted> {
        if identity.is_empty()
            || identity.len() > IDENTITY_BYTES_MAX
            || identity.chars().any(char::is_control)
        {
            let detail = format!("must have 1 to {IDENTITY_BYTES_MAX} bytes, on one line");
            return Err(ApiError::fields(vec![FieldError::new("/identity", "form", detail)]));
        }
        Ok((account, member, Edit::Identity(identity)))
    };
    let of_cells = |account: &str, member: &str, identity: &str| {
        wanted(account.to_owned(), member.to_owned(), identity.trim().to_owned())
    };
    let lines = body
        .read("identity", of_cells, |line: IdentityLine| wanted(line.account, line.member, line.identity))?;
    cx.edit_members(lines, "member_identities").await
}

/// A value for a member.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ValueLine {
    /// Their account.
    account: String,
    /// The platform's id of them.
    member: String,
    /// What they are worth, in the brand's unit; null forgets it.
    value: Option<f64>,
}

/// Largest value, either way.
const VALUE_MAX: f64 = 1e12;

fn micros(value: f64) -> ApiResult<i64> {
    if !(-VALUE_MAX..=VALUE_MAX).contains(&value) {
        let detail = format!("must be a number from -{VALUE_MAX:e} to {VALUE_MAX:e}");
        return Err(ApiError::fields(vec![FieldError::new("/value", "range", detail)]));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked above: a million times it is far below 2^63"
    )]
    Ok((value * 1e6).round() as i64)
}

/// Imports values of members 批量导入成员价值
///
/// What somebody bought, from another system: it completes scores of recency and frequency. NDJSON with `account`, `member`,
/// `value`, or CSV with these columns; an empty cell forgets the value.
#[utoipa::path(
    post, path = "/v1/members/values", tag = "people", operation_id = "importMemberValues",
    request_body(content((ValueLine = "application/x-ndjson"), (String = "text/csv"))),
    responses((status = 200, description = "One answer a line", body = ImportLine, content_type = "application/x-ndjson")),
)]
pub(in crate::api) async fn import_values(cx: Cx, body: Body) -> ApiResult<Answers> {
    let wanted = |account: String, member: String, value: Option<f64>| -> ApiResult<Wanted> {
        Ok((account, member, Edit::Value(value.map(micros).transpose()?)))
    };
    let of_cells = |account: &str, member: &str, value: &str| {
        let no_number = |_| {
            let detail = format!("must be a number such as 1299.50, not `{value}`");
            ApiError::fields(vec![FieldError::new("/value", "type", detail)])
        };
        let value = if value.is_empty() { None } else { Some(value.parse().map_err(no_number)?) };
        wanted(account.to_owned(), member.to_owned(), value)
    };
    let lines =
        body.read("value", of_cells, |line: ValueLine| wanted(line.account, line.member, line.value))?;
    cx.edit_members(lines, "member_values").await
}
