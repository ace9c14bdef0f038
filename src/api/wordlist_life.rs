//! `/v1/wordlists/{wordlist}/life`: where a wordlist is on its way from draft to live, and moving it.
//!
//! For every wordlist, wherever it is kept: one in a file or in the binary is moved without touching the file.

use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Strict};
use super::error::{ApiError, ApiResult};
use super::moment;
use super::rules::{check_reason, require_everything};
use super::state::Cx;
use crate::event::FieldError;
use crate::interception::{Life, ListKind, ListSummary, Origin, Stage, TrialCounts};
use crate::rulesets::{self, Author, Move, Refused, hits_per_10k};

/// Where a wordlist is on its way.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct LifeView {
    /// Its name.
    wordlist: String,
    /// Where it is kept.
    origin: Origin,
    /// `draft`, `shadow`, `staged`, `live`; `upcoming` before its `valid_from`, `expired` from its `valid_until` on.
    state: &'static str,
    /// The same as it is written, with the stage.
    life: Life,
    /// Since when it is there; null when it was written so, not moved.
    since: Option<String>,
    /// Who moved it there.
    author: Option<Author>,
    /// Why.
    reason: Option<String>,
    /// What was counted when its roll-out was halted; null when it was not.
    halted: Option<TrialCounts>,
    /// In `shadow` and `staged`: what was counted since it was changed, or since the start of the gateway.
    counts: Option<TrialCounts>,
    /// Hits in 10,000 messages where it is in force.
    hits_per_10k: Option<f64>,
    /// Hits in 10,000 messages where it is only counted.
    hits_per_10k_apart: Option<f64>,
    /// What is expected where it is in force; null but for `staged`.
    expected: Option<Expected>,
}

/// Hits in 10,000 messages that are as expected.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Expected {
    /// Fewest.
    min: u32,
    /// Most.
    max: u32,
    /// So many messages are waited for before it is held against them.
    messages_min: u64,
}

/// Shows where a wordlist is on its way 词库所处阶段
#[utoipa::path(
    get, path = "/v1/wordlists/{wordlist}/life", tag = "rules", operation_id = "getWordlistLife",
    params(("wordlist" = String, Path, description = "Its name")),
    responses((status = 200, description = "Its state and what was counted in it", body = LifeView)),
)]
pub(super) async fn get(cx: Cx, Path(name): Path<String>) -> ApiResult<Answer<LifeView>> {
    Ok(Answer::ok(view(&cx, &name).await?))
}

/// Where a wordlist is to go.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveIn {
    /// `"draft"`, `"shadow"`, `{"staged": {…}}` or `"live"`.
    life: Life,
    /// Why, in words; at most 500 characters.
    #[serde(default)]
    reason: String,
}

/// Moves a wordlist to another state 词库试运行、灰度、生效
#[utoipa::path(
    post, path = "/v1/wordlists/{wordlist}/life", tag = "rules", operation_id = "moveWordlist",
    description = "In force when this answers, as a version of the rules. A draft goes into `shadow` first; back is always possible. \
        A list in stages goes back into `shadow` by itself when it hits more or less than expected. Only an unlimited scope may.",
    params(("wordlist" = String, Path, description = "Its name")),
    request_body = MoveIn,
    responses(
        (status = 200, description = "Where it is now", body = LifeView),
        (status = 409, description = "There is no way from its state to that one"),
    ),
)]
pub(super) async fn move_to(
    cx: Cx,
    Path(name): Path<String>,
    Strict(asked): Strict<MoveIn>,
) -> ApiResult<Answer<LifeView>> {
    require_everything(&cx, "wordlist")?;
    check_reason(&asked.reason)?;
    let wanted = Move { list: name.clone(), to: asked.life, actor: cx.actor().clone(), reason: asked.reason };
    cx.house().move_wordlist(wanted).await.map_err(|refused| {
        if let Refused::Unusable(reason) = refused {
            ApiError::fields(vec![FieldError::new("/life", "unusable", reason)])
        } else {
            refused.into()
        }
    })?;
    Ok(Answer::ok(view(&cx, &name).await?))
}

async fn view(cx: &Cx, name: &str) -> ApiResult<LifeView> {
    let rules = cx.rules();
    // Rules hold as soon as they are written.
    let mut lists = rules.words.wordlists().iter().filter(|list| list.kind == ListKind::Wordlist);
    let list = lists.find(|list| list.name == name);
    let list =
        list.filter(|list| cx.sees_list(&list.scope)).ok_or_else(|| ApiError::not_found("wordlist"))?;
    let record = rulesets::life_record(&**cx.storage(), name).await?;
    // One that was written over since says nothing any more.
    let record = record.filter(|record| record.to == list.life);
    let counts = rules.words.trials().find(|(on_trial, _)| on_trial.name == name).map(|(_, counts)| counts);
    let rate = |of: fn(&TrialCounts) -> (u64, u64)| {
        let (hit, messages) = of(counts.as_ref()?);
        hits_per_10k(hit, messages)
    };
    Ok(LifeView {
        wordlist: list.name.clone(),
        origin: list.origin,
        state: state(list, cx.now_ms()),
        life: list.life.clone(),
        since: record.as_ref().map(|record| moment::show(record.at_ms)),
        author: record.as_ref().map(|record| record.author.clone()),
        reason: record.as_ref().map(|record| record.reason.clone()),
        halted: record.and_then(|record| record.halted),
        counts,
        hits_per_10k: rate(|counts| (counts.hit, counts.messages)),
        hits_per_10k_apart: rate(|counts| (counts.hit_apart, counts.messages_apart)),
        expected: stage(&list.life).map(|stage| Expected {
            min: stage.hits_per_10k_min,
            max: stage.hits_per_10k_max,
            messages_min: cx.house().rollout_messages_min(),
        }),
    })
}

fn stage(life: &Life) -> Option<&Stage> {
    match life {
        Life::Staged(stage) => Some(stage),
        Life::Draft | Life::Shadow | Life::Live => None,
    }
}

fn state(list: &ListSummary, now_ms: i64) -> &'static str {
    match (list.valid_from, list.valid_until) {
        (_, Some(until)) if until <= now_ms => "expired",
        (Some(from), _) if now_ms < from => "upcoming",
        _ => list.life.name(),
    }
}
