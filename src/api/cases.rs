//! `/v1/cases`: the same text in many groups.

use serde::Serialize;

use super::body::{Answer, Query};
use super::error::ApiResult;
use super::groups::LimitQuery;
use super::moment;
use super::state::Cx;

/// The same text in many groups.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CaseView {
    /// Its id.
    id: String,
    /// Keyed hash of the folded text, in hex; the text itself is not kept.
    fingerprint: String,
    /// The groups of the scope it was seen in, as `account/group`.
    groups: Vec<String>,
    /// First sighting.
    first_at: String,
    /// Last sighting.
    last_at: String,
}

/// The latest cases.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Cases {
    /// Newest first.
    items: Vec<CaseView>,
}

/// Lists cases 跨群重复内容
#[utoipa::path(
    get, path = "/v1/cases", tag = "moderation", operation_id = "listCases", params(LimitQuery),
    responses((status = 200, description = "Cases with a group of the scope, newest first", body = Cases)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<LimitQuery>) -> ApiResult<Answer<Cases>> {
    let limit = cx.page_rows(query.limit)?;
    let cases = cx.cases(limit).await?;
    let items = cases.into_iter().map(|case| CaseView {
        id: case.id,
        fingerprint: format!("{:016x}", case.fingerprint),
        groups: case.groups.into_iter().map(|(account, group)| format!("{account}/{group}")).collect(),
        first_at: moment::show(case.first_ms),
        last_at: moment::show(case.last_ms),
    });
    Ok(Answer::ok(Cases { items: items.collect() }))
}
