//! `/v1/wordlists`, `/v1/rule-sets`, `/v1/policies`, `/v1/synonyms`, `/v1/replies`, `/v1/welcomes`, `/v1/journeys`: what operators add to the files of the configuration.
//!
//! These belong to everybody: whoever may read sees them (a wordlist that is for some groups only: whoever may see
//! something it is for), only an unlimited scope changes them. A write is compiled with all other rules, stored with the
//! version it makes, and put in force; what cannot be compiled with the rest is refused.

pub(super) mod effect;
pub(super) mod import;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::body::{Answer, Path, Precondition, Query, Strict, not_modified};
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::page::{self, Page, PageQuery};
use super::state::Cx;
use crate::directory::plain_id;
use crate::event::FieldError;
use crate::interception::{Policy, RuleSource, WordlistSource};
use crate::rulesets::{Author, Edit, Proposal, REASON_CHARS_MAX, Refused, RuleKind};
use crate::storage::{AuditEntry, Document};
use crate::{journeys, replies, welcomes};

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

/// Why something is changed, for those who read the versions later. In the query, since a header cannot hold Chinese and a
/// removal has no body.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Why {
    /// Why, in words; at most 500 characters. Stands in the version and in the audit log.
    #[serde(default)]
    reason: String,
    /// What to do about groups that have no value for a variable of a reply or a welcome.
    #[serde(default)]
    #[param(inline)]
    missing: Missing,
}

/// What becomes of a text whose variables have no value in some groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Missing {
    /// It is refused, and the groups are named.
    #[default]
    Refuse,
    /// In those groups it is not said.
    Allow,
}

impl Why {
    /// Returns the words, checked.
    pub(super) fn checked(&self) -> ApiResult<&str> {
        check_reason(&self.reason)?;
        Ok(&self.reason)
    }

    /// Says why, for a change that comes of another.
    pub(super) fn of(reason: String) -> Self {
        Self { reason, missing: Missing::default() }
    }
}

/// Checks the words for a change.
pub(super) fn check_reason(reason: &str) -> ApiResult<()> {
    if reason.chars().count() <= REASON_CHARS_MAX && !reason.chars().any(char::is_control) {
        return Ok(());
    }
    let detail = format!("at most {REASON_CHARS_MAX} characters, on one line");
    Err(ApiError::fields(vec![FieldError::new("/reason", "too_long", detail)]))
}

/// Checks the words for what nobody may do without saying why.
pub(super) fn needed_reason(reason: &str) -> ApiResult<()> {
    check_reason(reason)?;
    if reason.trim().is_empty() {
        let detail = "say why, for those who look later (请写明原因)";
        return Err(ApiError::fields(vec![FieldError::new("/reason", "required", detail)]));
    }
    Ok(())
}

async fn list(cx: &Cx, kind: RuleKind, query: PageQuery) -> ApiResult<Answer<Page<RuleView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after = page::decode(query.cursor.as_deref())?;
    let documents = cx.shared_documents(kind.document(), after, limit + 1).await?;
    let page = Page::of(documents, limit, |document| document.id.clone());
    Ok(Answer::ok(page.map(|document| view(&document))))
}

async fn get(cx: &Cx, kind: RuleKind, id: &str, precondition: Precondition) -> ApiResult<Response> {
    let document = cx.shared_document(kind.document(), id).await?;
    if precondition.knows(document.version) {
        return Ok(not_modified(document.version));
    }
    Ok(Answer::ok(view(&document)).version(document.version).into_response())
}

/// Writes a rule and puts it in force; takes it back when the rules cannot be used with it.
pub(super) async fn put(
    cx: &Cx,
    kind: RuleKind,
    id: String,
    precondition: Precondition,
    why: Why,
    mut body: Map<String, Value>,
) -> ApiResult<Answer<RuleView>> {
    require_everything(cx, kind.document().as_str())?;
    plain_id(&id).map_err(|detail| ApiError::fields(vec![FieldError::new("/id", "form", detail)]))?;
    if matches!(kind, RuleKind::Wordlist | RuleKind::RuleSet | RuleKind::Policy) {
        // They know themselves by name; here the address is the name.
        let given = body.insert("name".to_owned(), Value::String(id.clone()));
        if given.is_some_and(|given| given != *id) {
            let detail = "must be the id of the address, or left out";
            return Err(ApiError::fields(vec![FieldError::new("/name", "form", detail)]));
        }
    }
    let value = stamped(cx, kind, body);
    cx.house().check(kind.document(), &id, &value).await.map_err(ApiError::fields)?;
    super::replies::refuse_blocked(cx, kind, &value)?;
    super::journeys::refuse_segments(cx, kind, &value)?;
    if why.missing == Missing::Refuse {
        super::replies::refuse_missing(cx, kind, &value).await?;
    }
    let is_new = cx.storage().document(kind.document(), &id).await?.is_none();
    let verb = if is_new { "create" } else { "update" };
    let body = value.to_string();
    let edit = Edit { kind, id: id.clone(), body: Some(body.clone()), expect: precondition.expect() };
    let changed = change(cx, edit, verb, why).await?;
    let version = changed.map_err(|refused| {
        if let Refused::Unusable(reason) = refused {
            let detail = format!("cannot be used together with the other rules: {reason}");
            ApiError::fields(vec![FieldError::new("", "unusable", detail)])
        } else {
            precondition.explain(refused)
        }
    })?;
    let document = Document { kind: kind.document(), id, version, body, updated_ms: cx.now_ms() };
    Ok(Answer::written(is_new, view(&document)).version(version))
}

/// Notes when a reply rule or a journey was written: among rules that are asked alike the newer goes first, and of a
/// journey it is the version that members under way are held against.
fn stamped(cx: &Cx, kind: RuleKind, mut body: Map<String, Value>) -> Value {
    if matches!(kind, RuleKind::Reply | RuleKind::Journey) {
        body.insert("written_at".to_owned(), Value::String(moment::show(cx.now_ms())));
    }
    Value::Object(body)
}

async fn delete(cx: &Cx, kind: RuleKind, id: &str, why: Why) -> ApiResult<StatusCode> {
    require_everything(cx, kind.document().as_str())?;
    cx.shared_document(kind.document(), id).await?;
    let edit = Edit { kind, id: id.to_owned(), body: None, expect: None };
    let changed = change(cx, edit, "delete", why).await?;
    changed.map_err(|refused| {
        if let Refused::Unusable(reason) = refused {
            ApiError::new(Code::Conflict, format!("the other rules cannot do without it: {reason}"))
        } else {
            refused.into()
        }
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// What belongs to everybody is changed by those who see everything; for all others it is not there to be changed.
pub(super) fn require_everything(cx: &Cx, what: &str) -> ApiResult<()> {
    if cx.scope().is_everything() { Ok(()) } else { Err(ApiError::not_found(what)) }
}

/// Makes one edit; returns the document's new version, or why the rules stay as they are.
async fn change(cx: &Cx, edit: Edit, verb: &str, why: Why) -> ApiResult<Result<u64, Refused>> {
    check_reason(&why.reason)?;
    let kind = edit.kind.document().as_str();
    let mut entry = AuditEntry::by(cx.actor(), cx.now_ms(), verb, kind, &edit.id);
    if !why.reason.is_empty() {
        entry = entry.with(&serde_json::json!({"reason": why.reason}));
    }
    // What is written about the life of a wordlist goes with it.
    let life = (edit.kind == RuleKind::Wordlist && edit.body.is_none()).then(|| Edit {
        kind: RuleKind::WordlistLife,
        id: edit.id.clone(),
        body: None,
        expect: None,
    });
    let edits = std::iter::once(edit).chain(life).collect();
    let proposal = Proposal { edits, audit: vec![entry], ..Proposal::by(Author::of(cx.actor()), why.reason) };
    let changed = cx.house().change_rules(proposal).await;
    Ok(changed.map(|accepted| accepted.versions.first().copied().unwrap_or(0)))
}

macro_rules! documents {
    ($($module:ident: $kind:ident, $body:ty, $list:literal, $one:literal, $name:literal,
       [$list_op:literal, $get_op:literal, $put_op:literal, $delete_op:literal], $many:literal, $single:literal, $word:literal;)*) => {$(
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
                super::list(&cx, RuleKind::$kind, query).await
            }

            /// Shows one.
            #[utoipa::path(
                get, path = $one, tag = "rules", operation_id = $get_op,
                summary = concat!("Shows a ", $single, " 查看", $word), description = "As it was written.",
                params(($name = String, Path, description = "Its id")),
                responses((status = 200, description = "With its version as `ETag`", body = RuleView)),
            )]
            pub(crate) async fn get(cx: Cx, Path(id): Path<String>, precondition: Precondition) -> ApiResult<Response> {
                super::get(&cx, RuleKind::$kind, &id, precondition).await
            }

            /// Makes or replaces one.
            #[utoipa::path(
                put, path = $one, tag = "rules", operation_id = $put_op,
                summary = concat!("Makes or replaces a ", $single, " 新建或修改", $word),
                description = "In force when this answers. Only an unlimited scope may.",
                params(($name = String, Path, description = "Its id: 1 to 64 of A-Z a-z 0-9 - _ . A `name` in the body is the same, or left out"), Why),
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
                Query(why): Query<Why>,
                Strict(body): Strict<Map<String, Value>>,
            ) -> ApiResult<Answer<RuleView>> {
                super::put(&cx, RuleKind::$kind, id, precondition, why, body).await
            }

            /// Removes one.
            #[utoipa::path(
                delete, path = $one, tag = "rules", operation_id = $delete_op,
                summary = concat!("Removes a ", $single, " 删除", $word),
                description = "Out of force when this answers. Only an unlimited scope may.",
                params(($name = String, Path, description = "Its id"), Why),
                responses(
                    (status = 204, description = "Removed"),
                    (status = 409, description = "Other rules need it"),
                ),
            )]
            pub(crate) async fn delete(cx: Cx, Path(id): Path<String>, Query(why): Query<Why>) -> ApiResult<StatusCode> {
                super::delete(&cx, RuleKind::$kind, &id, why).await
            }
        }
    )*};
}

documents! {
    wordlists: Wordlist, WordlistSource, "/v1/wordlists", "/v1/wordlists/{wordlist}", "wordlist",
        ["listWordlists", "getWordlist", "putWordlist", "deleteWordlist"], "wordlists", "wordlist", "词库";
    rule_sets: RuleSet, RuleSource, "/v1/rule-sets", "/v1/rule-sets/{rule_set}", "rule_set",
        ["listRuleSets", "getRuleSet", "putRuleSet", "deleteRuleSet"], "sets of rules", "set of rules", "组合规则";
    policies: Policy, Policy, "/v1/policies", "/v1/policies/{policy}", "policy",
        ["listPolicies", "getPolicy", "putPolicy", "deletePolicy"], "policies", "policy", "策略";
    synonyms: Synonyms, replies::SynonymList, "/v1/synonyms", "/v1/synonyms/{synonyms}", "synonyms",
        ["listSynonyms", "getSynonyms", "putSynonyms", "deleteSynonyms"], "lists of synonyms", "list of synonyms", "同义词";
    reply_rules: Reply, replies::Rule, "/v1/replies", "/v1/replies/{reply}", "reply",
        ["listReplies", "getReply", "putReply", "deleteReply"], "replies", "reply", "自动回复";
    welcome_rules: Welcome, welcomes::Welcome, "/v1/welcomes", "/v1/welcomes/{welcome}", "welcome",
        ["listWelcomes", "getWelcome", "putWelcome", "deleteWelcome"], "welcomes", "welcome", "欢迎语";
    journey_rules: Journey, journeys::Journey, "/v1/journeys", "/v1/journeys/{journey}", "journey",
        ["listJourneys", "getJourney", "putJourney", "deleteJourney"], "journeys", "journey", "旅程";
}
