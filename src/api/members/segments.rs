//! `/v1/segments`: members under a name, and who they are within the caller's scope.
//!
//! A segment is seen and used by who sees the place of whoever wrote it. Whom it comes to is worked out whenever somebody
//! asks, among the groups they see.

mod listing;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

pub(in crate::api) use listing::{__path_export, __path_members, __path_numbers, export, members, numbers};

use super::refused;
use crate::api::body::{Answer, Path, Precondition, Query, Strict, not_modified};
use crate::api::error::{ApiError, ApiResult, Code};
use crate::api::moment;
use crate::api::page::{self, Page, PageQuery};
use crate::api::state::Cx;
use crate::broadcasts::SegmentUser;
use crate::directory::plain_id;
use crate::event::{FieldError, Place};
use crate::people::segment::Segment;
use crate::people::{PeopleError, SavedSegment, Stored};
use crate::storage::DocumentKind;

/// What somebody wants to keep.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewSegment {
    /// For people.
    #[serde(default)]
    title: String,
    /// Who is meant.
    segment: Segment,
}

/// A segment.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct SegmentView {
    /// Its id.
    id: String,
    /// For people.
    title: String,
    /// Who is meant.
    segment: Segment,
    /// Where it belongs.
    place: Place,
    /// Who wrote it last.
    written_by: String,
    /// When.
    updated_at: String,
}

fn view(stored: Stored<SavedSegment>) -> SegmentView {
    let Stored { id, updated_ms, is: SavedSegment { title, segment, place, written_by }, .. } = stored;
    let (written_by, updated_at) = (written_by.to_string(), moment::show(updated_ms));
    SegmentView { id, title, segment, place, written_by, updated_at }
}

/// Users that are named; of others only how many they are is told.
const USERS_NAMED: usize = 5;

impl Cx {
    /// Returns what asks about a segment.
    async fn users_of_segment(&self, id: &str) -> ApiResult<Vec<SegmentUser>> {
        let rules = self.rules();
        let (kind, place) = (DocumentKind::Journey, Place::default());
        let journeys = rules.journeys.of_segment(id);
        let mut users: Vec<SegmentUser> =
            journeys.map(|id| SegmentUser { kind, id: id.to_owned(), place: place.clone() }).collect();
        users.extend(self.broadcasts().users_of_segment(id).await.map_err(crate::api::broadcasts::refused)?);
        Ok(users)
    }

    /// Says in words what asks about a segment: by name what the caller may see. Journeys are seen by everybody.
    fn names_of(&self, users: &[SegmentUser]) -> String {
        let is_visible =
            |user: &&SegmentUser| user.kind == DocumentKind::Journey || self.scope().covers(&user.place);
        let name = |user: &SegmentUser| format!("{} `{}`", user.kind.as_str(), user.id);
        let mut names: Vec<String> = users.iter().filter(is_visible).take(USERS_NAMED).map(name).collect();
        let others = users.len() - names.len();
        if others > 0 {
            names.push(format!("{others} more"));
        }
        format!("it is used by {}", names.join(", "))
    }

    /// Returns a segment that the caller may see.
    pub(in crate::api) fn segment(&self, id: &str) -> ApiResult<Stored<SavedSegment>> {
        let stored = self.people().segment(id).filter(|stored| self.scope().covers(&stored.is.place));
        stored.ok_or_else(|| ApiError::not_found("segment"))
    }
}

/// Lists segments 列出人群
#[utoipa::path(
    get, path = "/v1/segments", tag = "people", operation_id = "listSegments", params(PageQuery),
    responses((status = 200, description = "The segments of the scope, by id", body = Page<SegmentView>)),
)]
pub(in crate::api) async fn list(
    cx: Cx,
    Query(query): Query<PageQuery>,
) -> ApiResult<Answer<Page<SegmentView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let mut segments = cx.people().segments(cx.actor());
    segments.retain(|stored| after.as_ref().is_none_or(|after| stored.id > *after));
    segments.truncate(limit + 1);
    Ok(Answer::ok(Page::of(segments, limit, |stored| stored.id.clone()).map(view)))
}

/// Shows a segment 查看人群
#[utoipa::path(
    get, path = "/v1/segments/{segment}", tag = "people", operation_id = "getSegment",
    params(("segment" = String, Path, description = "Its id")),
    responses((status = 200, description = "The segment, with its version as `ETag`", body = SegmentView)),
)]
pub(in crate::api) async fn get(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
) -> ApiResult<Response> {
    let stored = cx.segment(&id)?;
    let version = stored.version;
    if precondition.knows(version) {
        return Ok(not_modified(version));
    }
    Ok(Answer::ok(view(stored)).version(version).into_response())
}

/// Saves a segment 保存人群
///
/// Customers who are in a group now are meant, unless the expression itself names `roles` or `present`. At most 500 segments. An
/// audience uses one as `{"segment": {"id": "…", "members_min": 5}}`: groups with at least so many members of it.
#[utoipa::path(
    put, path = "/v1/segments/{segment}", tag = "people", operation_id = "putSegment",
    params(("segment" = String, Path, description = "Its id")), request_body = NewSegment,
    responses(
        (status = 200, description = "Replaced", body = SegmentView),
        (status = 201, description = "New", body = SegmentView),
    ),
)]
pub(in crate::api) async fn put(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
    Strict(new): Strict<NewSegment>,
) -> ApiResult<Answer<SegmentView>> {
    if cx.people().segment(&id).is_some() {
        cx.segment(&id)?; // somebody else's is not there to be changed
    }
    let field = |pointer, detail| ApiError::fields(vec![FieldError::new(pointer, "form", detail)]);
    plain_id(&id).map_err(|detail| field("/id", detail))?;
    new.segment.check(cx.scope(), &**cx.directory()).map_err(|detail| field("/segment", detail))?;
    if new.segment.needs().scores && cx.rules().journeys.of_segment(&id).next().is_some() {
        let detail = "journeys ask about it, and scores are fifths among all members of a scope: save it under another id";
        return Err(field("/segment", detail.to_owned()));
    }
    let NewSegment { title, segment } = new;
    let (written_by, place) = (cx.actor().operator.clone(), cx.own_place());
    if !cx.scope().covers(&place) {
        let detail = "would belong nowhere, since your token sees several places: write it with a token of one brand, region or shop, \
                      or of everything（令牌范围包含多个地点，请用单一品牌、大区或门店的令牌保存）";
        return Err(field("/segment", detail.to_owned()));
    }
    let saved = SavedSegment { title, segment, place, written_by };
    let written = cx.people().put_segment(cx.actor(), &id, saved, precondition.expect()).await;
    let (is_new, stored) = written.map_err(|error| match error {
        PeopleError::Storage(error) => precondition.explain(error),
        full @ PeopleError::Full(_) => refused(full),
    })?;
    let version = stored.version;
    Ok(Answer::written(is_new, view(stored)).version(version))
}

/// Removes a segment 删除人群
///
/// Refused while a journey, a saved audience or a broadcast whose targets are not written yet asks about it; the answer names them.
#[utoipa::path(
    delete, path = "/v1/segments/{segment}", tag = "people", operation_id = "deleteSegment",
    params(("segment" = String, Path, description = "Its id")),
    responses(
        (status = 204, description = "Removed"),
        (status = 409, description = "Something asks about it"),
    ),
)]
pub(in crate::api) async fn delete(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    let stored = cx.segment(&id)?;
    let users = cx.users_of_segment(&id).await?;
    if !users.is_empty() {
        let detail = format!(
            "{}: remove the segment from them, or remove them, first（请先从这些旅程、受众或群发中去掉该人群）",
            cx.names_of(&users)
        );
        return Err(ApiError::new(Code::Conflict, detail));
    }
    cx.people().delete_segment(cx.actor(), &id, &stored.is.place).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}
