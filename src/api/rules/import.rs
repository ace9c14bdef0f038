//! Many rules at once: one line each, one answer each, and one version of the rules for all that could be read.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Missing, Why, check_reason, require_everything, stamped};
use crate::api::body::{Lines, Query};
use crate::api::error::{ApiError, ApiResult};
use crate::api::ndjson::{self, Answers, ImportLine, ImportStatus};
use crate::api::state::Cx;
use crate::directory::plain_id;
use crate::event::FieldError;
use crate::journeys::Journey;
use crate::replies::Rule;
use crate::rulesets::{Author, Edit, Proposal, Refused, RuleKind};
use crate::storage::AuditEntry;
use crate::welcomes::Welcome;

/// One line of an import of replies.
#[derive(Deserialize, utoipa::ToSchema)]
#[expect(dead_code, reason = "only its form is shown; lines are read field by field, to be strict")]
pub(crate) struct ReplyLine {
    /// Its id.
    id: String,
    /// The rule.
    #[serde(flatten)]
    rule: Rule,
}

/// One line of an import of welcomes.
#[derive(Deserialize, utoipa::ToSchema)]
#[expect(dead_code, reason = "only its form is shown; lines are read field by field, to be strict")]
pub(crate) struct WelcomeLine {
    /// Its id.
    id: String,
    /// The welcome.
    #[serde(flatten)]
    welcome: Welcome,
}

/// One line of an import of journeys.
#[derive(Deserialize, utoipa::ToSchema)]
#[expect(dead_code, reason = "only its form is shown; lines are read field by field, to be strict")]
pub(crate) struct JourneyLine {
    /// Its id.
    id: String,
    /// The journey.
    #[serde(flatten)]
    journey: Journey,
}

/// Imports replies 批量导入自动回复
///
/// One reply a line, as in `PUT /v1/replies/{reply}` with its `id`. Every line gets an answer of its own; what can be used is
/// put in force together, as one version of the rules. Only an unlimited scope may.
#[utoipa::path(
    post, path = "/v1/replies", tag = "rules", operation_id = "importReplies", params(Why),
    request_body(content = ReplyLine, content_type = "application/x-ndjson"),
    responses((status = 200, description = "One answer a line", body = ImportLine, content_type = "application/x-ndjson")),
)]
pub(crate) async fn replies(cx: Cx, Query(why): Query<Why>, Lines(lines): Lines) -> ApiResult<Answers> {
    import(&cx, RuleKind::Reply, why, &lines).await
}

/// Imports welcomes 批量导入欢迎语
///
/// One welcome a line, as in `PUT /v1/welcomes/{welcome}` with its `id`; otherwise like `POST /v1/replies`.
#[utoipa::path(
    post, path = "/v1/welcomes", tag = "rules", operation_id = "importWelcomes", params(Why),
    request_body(content = WelcomeLine, content_type = "application/x-ndjson"),
    responses((status = 200, description = "One answer a line", body = ImportLine, content_type = "application/x-ndjson")),
)]
pub(crate) async fn welcomes(cx: Cx, Query(why): Query<Why>, Lines(lines): Lines) -> ApiResult<Answers> {
    import(&cx, RuleKind::Welcome, why, &lines).await
}

/// Imports journeys 批量导入旅程
///
/// One journey a line, as in `PUT /v1/journeys/{journey}` with its `id`; otherwise like `POST /v1/replies`.
#[utoipa::path(
    post, path = "/v1/journeys", tag = "rules", operation_id = "importJourneys", params(Why),
    request_body(content = JourneyLine, content_type = "application/x-ndjson"),
    responses((status = 200, description = "One answer a line", body = ImportLine, content_type = "application/x-ndjson")),
)]
pub(crate) async fn journeys(cx: Cx, Query(why): Query<Why>, Lines(lines): Lines) -> ApiResult<Answers> {
    import(&cx, RuleKind::Journey, why, &lines).await
}

async fn import(cx: &Cx, kind: RuleKind, why: Why, lines: &[(usize, Bytes)]) -> ApiResult<Answers> {
    require_everything(cx, kind.document().as_str())?;
    check_reason(&why.reason)?;
    let (mut answers, mut edits, mut ids) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (number, line) in lines {
        answers.push(match read(cx, kind, why.missing, line, &mut ids).await {
            Ok((edit, status)) => {
                let id = edit.id.clone();
                edits.push(edit);
                ImportLine::taken(*number, id, status)
            }
            Err(error) => ImportLine::refused(*number, None, error),
        });
    }
    if !edits.is_empty() {
        let name = kind.document().as_str();
        let detail = serde_json::json!({"count": edits.len(), "reason": why.reason});
        let entry = AuditEntry::by(cx.actor(), cx.now_ms(), "import", name, "").with(&detail);
        let proposal =
            Proposal { edits, audit: vec![entry], ..Proposal::by(Author::of(cx.actor()), why.reason) };
        cx.house().change_rules(proposal).await.map_err(|refused| {
            if let Refused::Unusable(reason) = refused {
                let detail = format!("nothing was imported: cannot be used together: {reason}");
                ApiError::fields(vec![FieldError::new("", "unusable", detail)])
            } else {
                refused.into()
            }
        })?;
    }
    let mut out = Answers::default();
    answers.iter().try_for_each(|line| out.line(line))?;
    Ok(out)
}

async fn read(
    cx: &Cx,
    kind: RuleKind,
    missing: Missing,
    line: &[u8],
    ids: &mut BTreeSet<String>,
) -> ApiResult<(Edit, ImportStatus)> {
    let ([id], body) = ndjson::line::<Map<String, Value>, 1>(line, ["id"])?;
    plain_id(&id).map_err(|detail| ApiError::fields(vec![FieldError::new("/id", "form", detail)]))?;
    let value = stamped(cx, kind, body);
    cx.house().check(kind.document(), &id, &value).await.map_err(ApiError::fields)?;
    crate::api::journeys::refuse_segments(cx, kind, &value)?;
    if missing == Missing::Refuse {
        crate::api::replies::refuse_missing(cx, kind, &value).await?;
    }
    if !ids.insert(id.clone()) {
        return Err(ApiError::fields(vec![FieldError::new("/id", "twice", "an earlier line has this id")]));
    }
    let is_new = cx.storage().document(kind.document(), &id).await?.is_none();
    let status = if is_new { ImportStatus::Created } else { ImportStatus::Updated };
    Ok((Edit { kind, id, body: Some(value.to_string()), expect: None }, status))
}
