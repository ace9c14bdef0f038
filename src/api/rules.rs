//! `/v1/wordlists`, `/v1/policies`, `/v1/replies`, `/v1/welcomes`: what operators add to the files of the configuration.
//!
//! These belong to everybody: whoever may read sees them, only an unlimited scope changes them. A write is stored, all
//! rules are compiled anew and put in force; what cannot be compiled with the rest is taken back and refused.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};

use super::body::{Answer, Path, Precondition, Query, Strict, not_modified};
use super::error::{ApiError, ApiResult};
use super::moment;
use super::page::{self, Page, PageQuery};
use super::state::Cx;
use crate::directory::plain_id;
use crate::event::FieldError;
use crate::interception::{ListSummary, Policy, WordlistSource};
use crate::storage::{AuditEntry, Change, Document, DocumentKind, Write};
use crate::{replies, welcomes};

/// A rule under its id.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RuleView {
    /// Its id.
    id: String,
    /// When it was written.
    updated_at: String,
    /// What was written.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    body: Map<String, Value>,
}

fn view(document: &Document) -> RuleView {
    RuleView {
        id: document.id.clone(),
        updated_at: moment::show(document.updated_ms),
        body: serde_json::from_str(&document.body).unwrap_or_default(), // it was checked when it was written
    }
}

async fn list(cx: &Cx, kind: DocumentKind, query: PageQuery) -> ApiResult<Answer<Page<RuleView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after = page::decode(query.cursor.as_deref())?;
    let documents = cx.shared_documents(kind, after, limit + 1).await?;
    let page = Page::of(documents, limit, |document| document.id.clone());
    Ok(Answer::ok(page.map(|document| view(&document))))
}

async fn get(cx: &Cx, kind: DocumentKind, id: &str, precondition: Precondition) -> ApiResult<Response> {
    let document = cx.shared_document(kind, id).await?;
    if precondition.knows(document.version) {
        return Ok(not_modified(document.version));
    }
    Ok(Answer::ok(view(&document)).version(document.version).into_response())
}

/// Writes a rule and puts it in force; takes it back when the rules cannot be used with it.
pub(super) async fn put(
    cx: &Cx,
    kind: DocumentKind,
    id: String,
    precondition: Precondition,
    mut body: Map<String, Value>,
) -> ApiResult<Answer<RuleView>> {
    require_everything(cx, kind)?;
    plain_id(&id).map_err(|detail| ApiError::fields(vec![FieldError::new("/id", "form", detail)]))?;
    if matches!(kind, DocumentKind::Wordlist | DocumentKind::Policy) {
        // They know themselves by name; here the address is the name.
        let given = body.insert("name".to_owned(), Value::String(id.clone()));
        if given.is_some_and(|given| given != *id) {
            let detail = "must be the id of the address, or left out";
            return Err(ApiError::fields(vec![FieldError::new("/name", "form", detail)]));
        }
    }
    let value = Value::Object(body);
    cx.house().check(kind, &id, &value).map_err(ApiError::fields)?;
    let before = cx.storage().document(kind, &id).await?;
    let text = value.to_string();
    let verb = if before.is_some() { "update" } else { "create" };
    let write = |body: String, expect| Write::Put { kind, id: id.clone(), body, expect };
    let written = commit(cx, write(text.clone(), precondition.expect()), kind, &id, verb).await;
    let version = written.map_err(|error| precondition.explain(error))?;
    if let Err(reason) = cx.house().reload_rules().await {
        let back = match &before {
            Some(before) => write(before.body.clone(), Some(version)),
            None => Write::Delete { kind, id: id.clone() },
        };
        commit(cx, back, kind, &id, "take_back").await?;
        let detail = format!("cannot be used together with the other rules: {reason}");
        return Err(ApiError::fields(vec![FieldError::new("", "unusable", detail)]));
    }
    let document = Document { kind, id, version, body: text, updated_ms: cx.now_ms() };
    Ok(Answer::written(before.is_none(), view(&document)).version(version))
}

async fn delete(cx: &Cx, kind: DocumentKind, id: &str) -> ApiResult<StatusCode> {
    require_everything(cx, kind)?;
    let before = cx.shared_document(kind, id).await?;
    commit(cx, Write::Delete { kind, id: id.to_owned() }, kind, id, "delete").await?;
    if let Err(reason) = cx.house().reload_rules().await {
        let back = Write::Put { kind, id: id.to_owned(), body: before.body, expect: Some(0) };
        commit(cx, back, kind, id, "take_back").await?;
        let detail = format!("the other rules cannot do without it: {reason}");
        return Err(ApiError::new(super::Code::Conflict, detail));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// What belongs to everybody is changed by those who see everything; for all others it is not there to be changed.
fn require_everything(cx: &Cx, kind: DocumentKind) -> ApiResult<()> {
    if cx.scope().is_everything() { Ok(()) } else { Err(ApiError::not_found(kind.as_str())) }
}

async fn commit(cx: &Cx, write: Write, kind: DocumentKind, id: &str, verb: &str) -> ApiResult<u64> {
    let at_ms = cx.now_ms();
    let audit = vec![AuditEntry::by(cx.actor(), at_ms, verb, kind.as_str(), id)];
    let change = Change { at_ms, writes: vec![write], audit, ..Change::default() };
    Ok(cx.storage().apply(change).await?.first().copied().unwrap_or(0))
}

macro_rules! documents {
    ($($module:ident: $kind:ident, $body:ty, $list:literal, $one:literal, $name:literal,
       [$list_op:literal, $get_op:literal, $put_op:literal, $delete_op:literal], $many:literal, $word:literal;)*) => {$(
        #[doc = concat!("The routes of ", $list, ".")]
        pub(super) mod $module {
            use super::*;

            /// Lists them.
            #[utoipa::path(
                get, path = $list, tag = "rules", operation_id = $list_op, params(PageQuery),
                summary = concat!("Lists ", $many, " 列出", $word),
                description = concat!("The ", $many, " that were added through the API; those of files stand in `/v1/rulesets`."),
                responses((status = 200, description = "What was added through the API, by id", body = Page<RuleView>)),
            )]
            pub(crate) async fn list(cx: Cx, Query(query): Query<PageQuery>) -> ApiResult<Answer<Page<RuleView>>> {
                super::list(&cx, DocumentKind::$kind, query).await
            }

            /// Shows one.
            #[utoipa::path(
                get, path = $one, tag = "rules", operation_id = $get_op,
                summary = concat!("Shows a ", $name, " 查看", $word), description = "As it was written.",
                params(($name = String, Path, description = "Its id")),
                responses((status = 200, description = "With its version as `ETag`", body = RuleView)),
            )]
            pub(crate) async fn get(cx: Cx, Path(id): Path<String>, precondition: Precondition) -> ApiResult<Response> {
                super::get(&cx, DocumentKind::$kind, &id, precondition).await
            }

            /// Makes or replaces one.
            #[utoipa::path(
                put, path = $one, tag = "rules", operation_id = $put_op,
                summary = concat!("Makes or replaces a ", $name, " 新建或修改", $word),
                description = "In force when this answers. Only an unlimited scope may.",
                params(($name = String, Path, description = "Its id: 1 to 64 of A-Z a-z 0-9 - _ . A `name` in the body is the same, or left out")),
                request_body = $body,
                responses(
                    (status = 200, description = "Replaced", body = RuleView),
                    (status = 201, description = "Made", body = RuleView),
                ),
            )]
            pub(crate) async fn put(
                cx: Cx,
                Path(id): Path<String>,
                precondition: Precondition,
                Strict(body): Strict<Map<String, Value>>,
            ) -> ApiResult<Answer<RuleView>> {
                super::put(&cx, DocumentKind::$kind, id, precondition, body).await
            }

            /// Removes one.
            #[utoipa::path(
                delete, path = $one, tag = "rules", operation_id = $delete_op,
                summary = concat!("Removes a ", $name, " 删除", $word),
                description = "Out of force when this answers. Only an unlimited scope may.",
                params(($name = String, Path, description = "Its id")),
                responses(
                    (status = 204, description = "Removed"),
                    (status = 409, description = "Other rules need it"),
                ),
            )]
            pub(crate) async fn delete(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
                super::delete(&cx, DocumentKind::$kind, &id).await
            }
        }
    )*};
}

documents! {
    wordlists: Wordlist, WordlistSource, "/v1/wordlists", "/v1/wordlists/{wordlist}", "wordlist",
        ["listWordlists", "getWordlist", "putWordlist", "deleteWordlist"], "wordlists", "词库";
    policies: Policy, Policy, "/v1/policies", "/v1/policies/{policy}", "policy",
        ["listPolicies", "getPolicy", "putPolicy", "deletePolicy"], "policies", "策略";
    reply_rules: Reply, replies::Rule, "/v1/replies", "/v1/replies/{reply}", "reply",
        ["listReplies", "getReply", "putReply", "deleteReply"], "replies", "自动回复";
    welcome_rules: Welcome, welcomes::Welcome, "/v1/welcomes", "/v1/welcomes/{welcome}", "welcome",
        ["listWelcomes", "getWelcome", "putWelcome", "deleteWelcome"], "welcomes", "欢迎语";
}

/// The rules in force.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RulesetView {
    /// Stands in every verdict.
    version: String,
    /// Its wordlists with where they are kept.
    wordlists: Vec<ListSummary>,
    /// Names of its policies, built-in ones too.
    policies: Vec<String>,
    /// Terms that can match.
    terms: usize,
    /// Memory of the compiled wordlists, in bytes.
    memory_bytes: usize,
}

/// Shows the rules in force 当前规则集
#[utoipa::path(
    get, path = "/v1/rulesets", tag = "rules", operation_id = "getRuleset",
    responses((status = 200, description = "What every message is judged by now", body = RulesetView)),
)]
pub(super) async fn ruleset(cx: Cx) -> Answer<RulesetView> {
    let rules = cx.rules();
    Answer::ok(RulesetView {
        version: rules.words.version().to_owned(),
        wordlists: rules.words.wordlists().to_vec(),
        policies: rules.words.policies().map(|policy| policy.name.clone()).collect(),
        terms: rules.words.terms(),
        memory_bytes: rules.words.memory_bytes(),
    })
}
