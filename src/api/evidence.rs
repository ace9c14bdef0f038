//! `/v1/evidence`: original text that is kept, and its erasure. A text is shown once its audit entry is durable.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::body::{Answer, Path, Strict};
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::state::Cx;
use crate::directory::KeyError;
use crate::event::{EvidenceKind, FieldError, Role, Verdict};
use crate::evidence::{EvidenceError, Found, Kept, KeptHit};
use crate::storage::{AuditEntry, EvidenceOf};

/// A kept text.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct EvidenceView {
    /// Its id.
    id: String,
    /// Account.
    account: String,
    /// Group.
    group: String,
    /// Who said it.
    member: Option<String>,
    /// Their role.
    role: Role,
    /// When it was said.
    at: String,
    /// What it is kept for.
    kind: EvidenceKind,
    /// When it is erased.
    expires_at: String,
    /// The original text.
    text: String,
    /// What was decided about it.
    verdict: Verdict,
    /// By which ruleset.
    ruleset: String,
    /// What was found in it.
    hits: Vec<KeptHit>,
}

/// Shows a kept text 查看原文证据
///
/// Every reading is written to the audit log before the text is shown; where that cannot be written, nothing is shown.
#[utoipa::path(
    get, path = "/v1/evidence/{evidence}", tag = "reviews", operation_id = "getEvidence",
    params(("evidence" = String, Path, description = "Its id, as a review tells it")),
    responses(
        (status = 200, description = "The text", body = EvidenceView),
        (status = 409, description = "It was sealed with a key that is not there any more"),
    ),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<EvidenceView>> {
    let found = cx.find_evidence(&id).await?.ok_or_else(|| ApiError::not_found("evidence"))?;
    let kept = cx.open_evidence(&found, "reading").await?;
    let (account, group) = found.group();
    Ok(Answer::ok(EvidenceView {
        id: found.id().to_owned(),
        account: account.to_owned(),
        group: group.to_owned(),
        member: found.member().map(str::to_owned),
        role: kept.role,
        at: moment::show(found.at_ms()),
        kind: found.kind(),
        expires_at: moment::show(found.expires_ms()),
        text: kept.text,
        verdict: kept.verdict,
        ruleset: kept.ruleset,
        hits: kept.hits,
    }))
}

/// Whose texts are to be erased.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EraseIn {
    /// The account.
    #[schema(example = "demo")]
    account: String,
    /// Only this group; every group of the scope when left out.
    #[serde(default)]
    group: Option<String>,
    /// Only this member; everybody of the group when left out.
    #[serde(default)]
    member: Option<String>,
}

/// What was erased.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Erased {
    /// Kept texts that are gone.
    rows: u64,
    /// Groups of the scope that were looked at.
    groups: usize,
}

/// Erases kept texts of a member or a group 删除原文证据
///
/// Also what waits to be written, and every replay in memory. Backups hold no texts. Only groups of the scope.
#[utoipa::path(
    post, path = "/v1/evidence/erase", tag = "reviews", operation_id = "eraseEvidence",
    request_body = EraseIn,
    responses((status = 200, description = "How many texts went", body = Erased)),
)]
pub(super) async fn erase(cx: Cx, Strict(asked): Strict<EraseIn>) -> ApiResult<Answer<Erased>> {
    let EraseIn { account, group, member } = asked;
    let groups = match (&group, &member) {
        (Some(group), _) => {
            if !cx.covers_group(&account, group) {
                return Err(ApiError::not_found("group"));
            }
            vec![group.clone()]
        }
        (None, Some(member)) => {
            let groups = cx.evidence().groups(&account, Some(member)).await.map_err(refused)?;
            groups.into_iter().filter(|group| cx.covers_group(&account, group)).collect()
        }
        (None, None) => {
            let detail = "name a `member`, a `group`, or both";
            return Err(ApiError::fields(vec![FieldError::new("/member", "required", detail)]));
        }
    };
    let what: Vec<_> = groups
        .iter()
        .map(|group| EvidenceOf { account: account.clone(), group: group.clone(), member: member.clone() })
        .collect();
    let place = group.as_deref().map(|group| cx.place_of_group(&account, group)).unwrap_or_default();
    let id = [Some(account.as_str()), group.as_deref(), member.as_deref()];
    let id = id.into_iter().flatten().collect::<Vec<_>>().join("/");
    let audit = AuditEntry::by(cx.actor(), cx.now_ms(), "erase", "evidence", &id)
        .at(&place)
        .with(&json!({"account": account, "group": group, "member": member, "groups": groups.len()}));
    let rows = cx.evidence().erase(what, audit).await.map_err(refused)?;
    Ok(Answer::ok(Erased { rows, groups: groups.len() }))
}

impl Cx {
    /// Finds a kept text of a visible group, without opening it.
    pub(super) async fn find_evidence(&self, id: &str) -> ApiResult<Option<Found>> {
        let found = self.evidence().find(id).await.map_err(refused)?;
        Ok(found.filter(|found| {
            let (account, group) = found.group();
            self.covers_group(account, group)
        }))
    }

    /// Opens a kept text once the audit log says who read it and what for.
    pub(super) async fn open_evidence(&self, found: &Found, purpose: &str) -> ApiResult<Kept> {
        let (account, group) = found.group();
        let audit = AuditEntry::by(self.actor(), self.now_ms(), "read", "evidence", found.id())
            .at(&self.place_of_group(account, group))
            .with(&json!({"account": account, "group": group, "member": found.member(), "purpose": purpose}));
        self.evidence().open(found, audit).await.map_err(refused)
    }
}

/// Says in the words of the API why a text is not given.
pub(super) fn refused(error: EvidenceError) -> ApiError {
    match error {
        EvidenceError::Off => ApiError::new(Code::Conflict, error.to_string()),
        EvidenceError::Key(KeyError::Lost(key)) => {
            let detail = format!(
                "the text was sealed with key {key}; add that line to the file of `directory.key_file` and restart"
            );
            ApiError::new(Code::Conflict, detail)
        }
        EvidenceError::Key(_) | EvidenceError::Unreadable => ApiError::internal(&error),
        EvidenceError::Storage(error) => error.into(),
    }
}
