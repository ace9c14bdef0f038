//! `/v1/replays`: a draft tried on the text history before it goes live.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::body::{Answer, Path, Strict};
use super::error::{ApiError, ApiResult, Code};
use super::evidence::refused;
use super::moment;
use super::outbound::fresh_id;
use super::ports::Draft;
use super::state::Cx;
use crate::directory::GroupContext;
use crate::event::{FieldError, GroupName, HOUR_MS};
use crate::evidence::replay::{
    self, GroupSight, JudgedGroup, Question, Replay, ReplayOutcome, Sides, State, VisibleGroup,
};
use crate::interception::{Audience, EffectivePolicy, PolicyBook, Speaker};
use crate::storage::AuditEntry;

/// Longest time a replay reaches back, in hours.
const HOURS_MAX: u16 = 168;

/// Most groups that one replay names.
const GROUPS_MAX: usize = 1_000;

/// What is to be tried, and on what.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayIn {
    /// The draft: a wordlist, a set of rules, a policy, or several of them.
    draft: Draft,
    /// Judge by this policy, of the draft or in force, instead of each group's own.
    #[serde(default)]
    policy: Option<String>,
    /// Only these groups, as `account/group`; all of the scope when left out.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    groups: Vec<GroupName>,
    /// How far back, in hours.
    #[serde(default = "day")]
    #[schema(minimum = 1, maximum = 168, default = 24)]
    hours: u16,
    /// How many examples.
    #[serde(default = "ten")]
    #[schema(default = 10)]
    examples: usize,
}

fn day() -> u16 {
    24
}

fn ten() -> usize {
    10
}

/// How a replay stands.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Standing {
    /// It runs.
    Running,
    /// It is done.
    Done,
    /// It gave no result.
    Failed,
}

/// A draft tried on the history.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ReplayView {
    /// Its id. A restart of the gateway forgets replays: ask again.
    id: String,
    /// When it began.
    began_at: String,
    /// How it stands.
    state: Standing,
    /// Messages judged so far.
    progress: u64,
    /// What the draft would have done, once it is done.
    outcome: Option<ReplayOutcome>,
    /// Why there is no result.
    error: Option<String>,
}

fn view(replay: &Replay) -> ReplayView {
    let (state, outcome, error) = match replay.state() {
        State::Running => (Standing::Running, None, None),
        State::Done(outcome) => (Standing::Done, Some(ReplayOutcome::clone(&outcome)), None),
        State::Failed(reason) => (Standing::Failed, None, Some(reason)),
    };
    ReplayView {
        id: replay.id.clone(),
        began_at: moment::show(replay.began_ms),
        state,
        progress: replay.progress(),
        outcome,
        error,
    }
}

/// Tries a draft on the text history 用历史消息试运行草稿
///
/// Every message of the history is judged by the rules in force and by the draft; the answer says what differs, with
/// examples. Needs `evidence.history` and policies with `history: true`; without a history, reviewed and blocked texts
/// that are kept are all it can be tried on. A small history is answered at once, a large one with `202`. One entry in the
/// audit log stands for all texts that are read.
#[utoipa::path(
    post, path = "/v1/replays", tag = "reviews", operation_id = "createReplay",
    request_body = ReplayIn,
    responses(
        (status = 200, description = "The result", body = ReplayView),
        (status = 202, description = "It runs; `Location` shows how far it is", body = ReplayView),
        (status = 409, description = "No texts are kept, or as many replays run as may"),
    ),
)]
pub(super) async fn create(cx: Cx, Strict(asked): Strict<ReplayIn>) -> ApiResult<Response> {
    check(&cx, &asked)?;
    let ReplayIn { draft, policy, groups, hours, examples } = asked;
    let compiled = cx.house().compile_draft(draft).await.map_err(|reason| {
        let detail = format!("cannot be used together with the other rules: {reason}");
        ApiError::fields(vec![FieldError::new("/draft", "unusable", detail)])
    })?;
    if let Some(name) = policy.as_deref().filter(|name| compiled.policy(name).is_none()) {
        let detail = format!("there is no policy `{name}`, neither in force nor in the draft");
        return Err(ApiError::fields(vec![FieldError::new("/policy", "not_found", detail)]));
    }
    let limits = cx.evidence().config();
    let question = Question {
        since_ms: cx.now_ms().saturating_sub(i64::from(hours) * HOUR_MS),
        groups: groups.iter().map(|g| (g.account.to_string(), g.group.to_string())).collect(),
        visible: cx.visible_groups(),
        messages_max: limits.replay_messages_max,
        examples_max: examples.min(limits.replay_examples_max),
    };
    let patience = limits.replay_wait;
    let sides = Sides { present: cx.rules(), draft: compiled, policy, now_ms: cx.now_ms() };
    let detail = json!({"hours": hours, "groups": groups.len(), "examples": question.examples_max});
    let replay = cx.replay(sides, question, &detail).await?;
    replay.wait(patience).await;
    let is_running = matches!(replay.state(), State::Running);
    Ok(if is_running {
        Answer::accepted(format!("/v1/replays/{}", replay.id), view(&replay)).into_response()
    } else {
        Answer::ok(view(&replay)).into_response()
    })
}

/// A group as the directory knows it.
pub(super) struct GroupInContext {
    context: Arc<GroupContext>,
    group: String,
}

impl GroupInContext {
    /// Keeps a group's id with its context, which does not hold it.
    pub(super) fn of(context: Arc<GroupContext>, group: &str) -> VisibleGroup {
        Arc::new(Self { context, group: group.to_owned() })
    }
}

impl JudgedGroup for GroupInContext {
    fn effective_policy(&self, book: &Arc<PolicyBook>) -> Arc<EffectivePolicy> {
        self.context.effective_policy(book)
    }

    fn audience(&self, speaker: Speaker) -> Audience<'_> {
        self.context.audience(&self.group, speaker)
    }
}

/// Shows a replay 查看试运行结果
#[utoipa::path(
    get, path = "/v1/replays/{replay}", tag = "reviews", operation_id = "getReplay",
    params(("replay" = String, Path, description = "Its id")),
    responses((status = 200, description = "How far it is, and its result", body = ReplayView)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<ReplayView>> {
    let replay = cx.evidence().replays().get(&id, cx.actor().operator.as_str());
    let replay =
        replay.filter(|replay| cx.sees_replay(replay)).ok_or_else(|| ApiError::not_found("replay"))?;
    Ok(Answer::ok(view(&replay)))
}

fn check(cx: &Cx, asked: &ReplayIn) -> ApiResult<()> {
    let field = |pointer: &str, code: &str, detail: String| {
        Err(ApiError::fields(vec![FieldError::new(pointer, code, detail)]))
    };
    if asked.draft == Draft::default() {
        let detail = "holds neither a `wordlist` nor a `rule_set` nor a `policy`";
        return field("/draft", "required", detail.to_owned());
    }
    if !(1..=HOURS_MAX).contains(&asked.hours) {
        return field("/hours", "invalid", format!("must be 1 to {HOURS_MAX}"));
    }
    if asked.groups.len() > GROUPS_MAX {
        return field("/groups", "too_many", format!("names more than {GROUPS_MAX}; leave it out for all"));
    }
    let hidden = |group: &&GroupName| !cx.covers_group(group.account.as_str(), group.group.as_str());
    if let Some(group) = asked.groups.iter().find(hidden) {
        return field("/groups", "not_found", format!("no such group `{group}`"));
    }
    Ok(())
}

impl Cx {
    /// Returns what says of a group whether it is visible and by which policy it is judged.
    pub(super) fn visible_groups(&self) -> GroupSight {
        let (directory, scope) = (Arc::clone(self.directory()), self.scope().clone());
        Box::new(move |account, group| {
            let context = directory.context(account, group)?;
            let covered = scope.covers_group(account, group, &context.place);
            covered.then(|| GroupInContext::of(context, group))
        })
    }

    /// Starts a replay once the audit log says who reads the history.
    async fn replay(
        &self,
        sides: Sides,
        question: Question,
        detail: &serde_json::Value,
    ) -> ApiResult<Arc<Replay>> {
        let id = fresh_id("rpl_");
        let audit = AuditEntry::by(self.actor(), self.now_ms(), "read", "evidence", &id).with(detail);
        let history = self.evidence().history(audit).await.map_err(refused)?;
        let work = move |progress: &std::sync::atomic::AtomicU64| {
            replay::run(&history, &sides, &question, progress).map_err(|error| error.to_string())
        };
        let operator = self.actor().operator.as_str();
        let started = self.evidence().replays().start(id, operator, self.now_ms(), work);
        started.ok_or_else(|| {
            let detail =
                "as many replays run as `evidence.replays_running_max` allows; try again in a moment";
            ApiError::new(Code::LimitReached, detail).after(Duration::from_secs(5))
        })
    }

    /// Says whether all that a result shows lies within the scope: the same person may ask with a narrower token.
    fn sees_replay(&self, replay: &Replay) -> bool {
        match replay.state() {
            State::Running | State::Failed(_) => true,
            State::Done(outcome) => {
                outcome.groups.iter().all(|group| self.covers_group(&group.account, &group.group))
                    && outcome.examples.iter().all(|one| self.covers_group(&one.account, &one.group))
            }
        }
    }
}
