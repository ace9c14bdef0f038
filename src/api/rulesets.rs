//! `/v1/rulesets`: what every message is judged by, which versions there were, and the way back.
//!
//! They belong to everybody, like the documents they are made of: whoever may read sees them, only an unlimited scope goes
//! back.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Precondition, Query, Strict, not_modified};
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::page::{self, Page, PageQuery};
use super::rules::{check_reason, require_everything};
use super::state::Cx;
use crate::interception::{ListSummary, shown};
use crate::rulesets::{
    self, Author, Changed, Entries, Head, LoadError, Record, Refused, Return, RuleKind, number_of, version_of,
};

/// The rules in force.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RulesetView {
    /// Stands in every verdict.
    version: String,
    /// Since when it is in force.
    since: Option<String>,
    /// Who made it.
    author: Option<Author>,
    /// Why, in words.
    reason: String,
    /// What hits can be of, with where it is kept: wordlists, sets of rules, the detectors.
    wordlists: Vec<ListSummary>,
    /// Names of its policies, built-in ones too.
    policies: Vec<String>,
    /// Terms that can match.
    terms: usize,
    /// Memory of the compiled wordlists, in bytes.
    memory_bytes: usize,
    /// Why the files of wordlists are not in force as they are now; null when they are.
    last_error: Option<LoadError>,
}

/// Shows the rules in force 当前规则集
#[utoipa::path(
    get, path = "/v1/rulesets", tag = "rules", operation_id = "getRuleset",
    responses((status = 200, description = "What every message is judged by now; its number is the `ETag`", body = RulesetView)),
)]
pub(super) async fn current(cx: Cx, precondition: Precondition) -> ApiResult<Response> {
    let rules = cx.rules();
    let version = rules.words.version();
    let number = number_of(version).unwrap_or(0);
    let last_error = cx.house().rules_trouble();
    if precondition.knows(number) && last_error.is_none() {
        return Ok(not_modified(number));
    }
    let record = rulesets::record(&**cx.storage(), number).await?;
    let lists = rules.words.listing();
    let view = RulesetView {
        version: version.to_owned(),
        since: record.as_ref().map(|record| moment::show(record.at_ms)),
        author: record.as_ref().map(|record| record.author.clone()),
        reason: record.map(|record| record.reason).unwrap_or_default(),
        wordlists: lists.filter(|list| cx.sees_list(&list.scope)).collect(),
        policies: rules.words.policies().map(|policy| policy.name.clone()).collect(),
        terms: rules.words.terms(),
        memory_bytes: rules.words.memory_bytes(),
        last_error,
    };
    Ok(Answer::ok(view).version(number).into_response())
}

/// One version of the rules.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct VersionView {
    /// As it stands in verdicts.
    version: String,
    /// Every message is judged by it now.
    in_force: bool,
    /// Since when it was.
    at: String,
    /// Who made it.
    author: Author,
    /// Why, in words.
    reason: String,
    /// The version before; null for the first.
    parent: Option<String>,
    /// The version whose documents it put back.
    restores: Option<String>,
    /// Whether one can go back to it: what the documents were is still kept.
    can_restore: bool,
    /// What is different from the version before; wordlists for groups outside the scope are left out.
    changes: Vec<Changed>,
}

fn view(cx: &Cx, record: Record, head: &Head) -> VersionView {
    let mut changes = record.changes;
    changes.retain(|change| change.scopes.iter().all(|scope| cx.sees_list(scope)));
    hide_masked(cx, &mut changes);
    VersionView {
        version: version_of(record.number),
        in_force: record.number == head.number,
        at: moment::show(record.at_ms),
        author: record.author,
        reason: record.reason,
        parent: record.parent.map(version_of),
        restores: record.restores.map(version_of),
        can_restore: head.can_restore(record.number),
        changes,
    }
}

/// A list that was masked then is told so already; here are those that became so later.
fn hide_masked(cx: &Cx, changes: &mut [Changed]) {
    let rules = cx.rules();
    let is_masked = |name: &str| rules.words.wordlists().iter().any(|list| list.masked && list.name == name);
    let lists =
        changes.iter_mut().filter(|change| change.kind == RuleKind::Wordlist && is_masked(&change.id));
    for Changed { terms, allow, .. } in lists {
        for Entries { added_first, removed_first, .. } in terms.iter_mut().chain(allow) {
            for text in added_first.iter_mut().chain(removed_first) {
                *text = shown(text, true).into_owned();
            }
        }
    }
}

async fn head(cx: &Cx) -> ApiResult<Head> {
    Ok(rulesets::head(&**cx.storage()).await?.unwrap_or_default())
}

/// Lists the versions of the rules 规则版本记录
#[utoipa::path(
    get, path = "/v1/rulesets/versions", tag = "rules", operation_id = "listRulesets", params(PageQuery),
    description = "Who changed what, when and why. The newest first; `rulesets.versions_max` are kept.",
    responses((status = 200, description = "The newest first", body = Page<VersionView>)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<PageQuery>) -> ApiResult<Answer<Page<VersionView>>> {
    let limit = cx.page_rows(query.limit)?;
    let head = head(&cx).await?;
    let before = page::decode(query.cursor.as_deref())?.unwrap_or(head.number + 1);
    let records = rulesets::page(&**cx.storage(), before, limit + 1).await?;
    let page = Page::of(records, limit, |record| record.number);
    Ok(Answer::ok(page.map(|record| view(&cx, record, &head))))
}

/// Shows a version of the rules 查看规则版本
#[utoipa::path(
    get, path = "/v1/rulesets/{version}", tag = "rules", operation_id = "getRulesetVersion",
    params(("version" = String, Path, description = "As it stands in verdicts, like `r-12`")),
    responses((status = 200, description = "With what is different from the version before", body = VersionView)),
)]
pub(super) async fn get(cx: Cx, Path(version): Path<String>) -> ApiResult<Answer<VersionView>> {
    let number = number_of(&version).ok_or_else(no_version)?;
    let record = rulesets::record(&**cx.storage(), number).await?.ok_or_else(no_version)?;
    Ok(Answer::ok(view(&cx, record, &head(&cx).await?)))
}

/// Why one goes back.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackIn {
    /// In words; at most 500 characters.
    #[serde(default)]
    reason: String,
}

/// Goes back to a version of the rules 回滚规则
#[utoipa::path(
    post, path = "/v1/rulesets/{version}/rollback", tag = "rules", operation_id = "rollBackRuleset",
    description = "Puts all wordlists, sets of rules, policies, replies and welcomes of the API back to what they were then, as a new version, \
        in force when this answers. Files stay as they are. `If-Match` with the number in force refuses when somebody \
        changed something meanwhile. Only an unlimited scope may.",
    params(("version" = String, Path, description = "As it stands in verdicts, like `r-12`")),
    request_body = RollbackIn,
    responses(
        (status = 200, description = "The version in force now: a new one, or the same when nothing was different", body = VersionView),
        (status = 409, description = "It cannot be used with the files as they are now, or what it held is not kept any more"),
    ),
)]
pub(super) async fn roll_back(
    cx: Cx,
    Path(version): Path<String>,
    precondition: Precondition,
    Strict(asked): Strict<RollbackIn>,
) -> ApiResult<Answer<VersionView>> {
    require_everything(&cx, "version")?;
    let to = number_of(&version).ok_or_else(no_version)?;
    check_reason(&asked.reason)?;
    let back = Return { to, expect: precondition.expect(), actor: cx.actor().clone(), reason: asked.reason };
    let accepted = cx.house().roll_back_rules(back).await.map_err(|refused| {
        if let Refused::Unusable(reason) = refused {
            ApiError::new(Code::Conflict, format!("cannot be used with the files as they are now: {reason}"))
        } else {
            refused.into()
        }
    })?;
    let record = rulesets::record(&**cx.storage(), accepted.number).await?.ok_or_else(no_version)?;
    Ok(Answer::ok(view(&cx, record, &head(&cx).await?)).version(accepted.number))
}

fn no_version() -> ApiError {
    ApiError::not_found("version")
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unusable(_) | Refused::NotKept(_) | Refused::NoSuchMove(_) => {
                Self::new(Code::Conflict, refused.to_string())
            }
            Refused::NoSuchVersion(_) => no_version(),
            Refused::NoSuchList => Self::not_found("wordlist"),
            Refused::Stale(_) => Self::new(Code::Precondition, refused.to_string()),
            Refused::Storage(error) => error.into(),
            Refused::Stopping => Self::new(Code::NotReady, refused.to_string()),
        }
    }
}
