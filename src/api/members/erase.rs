//! Erases somebody: what they are called, what people wrote on them, texts that are kept of them. Counts stay: they rest on
//! numbers, which name nobody.

use serde::Serialize;
use serde_json::json;

use crate::api::body::{Answer, Path};
use crate::api::error::{ApiError, ApiResult, Code};
use crate::api::evidence::refused;
use crate::api::state::Cx;
use crate::people::marks::Edit;
use crate::storage::{AuditEntry, EvidenceOf};

/// What was erased.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct ErasedMember {
    /// Kept texts that are gone.
    texts: u64,
    /// Groups in which their name is gone.
    names: u64,
    /// Tags that are gone.
    tags: usize,
    /// Whether a value is gone.
    value: bool,
}

/// Erases a member 删除成员信息
///
/// Their name, tags, value, and the texts that are kept of them in groups of the scope. Their name is not shown any more, also
/// when the platform tells it again. Every figure stays as it is: figures rest on counts and on numbers that name nobody. The
/// journal forgets with its own time (`dedupe.window`); backups keep what they held.
#[utoipa::path(
    delete, path = "/v1/members/{account}/{member}", tag = "people", operation_id = "eraseMember",
    params(("account" = String, Path, description = "Their account"), ("member" = String, Path, description = "The platform's id")),
    responses((status = 200, description = "What was erased", body = ErasedMember)),
)]
pub(in crate::api) async fn erase(
    cx: Cx,
    Path((account, member)): Path<(String, String)>,
) -> ApiResult<Answer<ErasedMember>> {
    let seats = cx.seats(&account, &member).await?;
    let place = seats.first().map(|(group, _)| group.place.clone()).unwrap_or_default();
    let id = format!("{account}/{member}");
    let entry = |what: &str| AuditEntry::by(cx.actor(), cx.now_ms(), "erase", what, &id).at(&place);
    let groups = cx.evidence().groups(&account, Some(&member)).await.map_err(refused)?;
    let of = groups.into_iter().filter(|group| cx.covers_group(&account, group)).map(|group| EvidenceOf {
        account: account.clone(),
        group,
        member: Some(member.clone()),
    });
    let texts = cx.evidence().erase(of.collect(), entry("evidence")).await.map_err(refused)?;
    let mark = cx.people().mark(&account, &member).unwrap_or_default();
    let (tags, value) = (mark.tags.len(), mark.value_micros.is_some());
    let audit = entry("member").with(&json!({"texts": texts, "tags": tags, "value": value}));
    let edit = Edit::Erase(cx.now_ms());
    for done in cx.people().edit(vec![(account.clone(), member.clone(), edit)], audit).await? {
        done.map_err(|why| ApiError::new(Code::LimitReached, why))?;
    }
    let names = cx.blocking(move |storage| storage.forget_names(&account, &member)).await?;
    Ok(Answer::ok(ErasedMember { texts, names, tags, value }))
}
