//! A draft tried on the history: what would it have done? Judged beside the rules in force, message by message.
//!
//! Not for: compiling drafts (`app`), nor for whom groups are visible (`api` says so by a function).
//! Invariants: runs off the async workers, bounded in messages and examples; results live in memory only, and an erasure
//! forgets them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;

use super::{Config, History, Opened};
use crate::event::{Hit, Role, Verdict};
use crate::interception::{
    Audience, EffectivePolicy, Judgement, Policy, PolicyBook, Ruleset, Scratch, Speaker,
};
use crate::pipeline::Rules;
use crate::storage::{EvidenceQuery, StorageError};

/// Texts opened in one go.
const PAGE: usize = 500;

/// Groups named in a result: those with the most changes.
const GROUPS_MAX: usize = 100;

/// The rules in force and the draft, side by side.
pub struct Sides {
    /// In force.
    pub present: Arc<Rules>,
    /// The draft, compiled with everything else that is in force.
    pub draft: Ruleset,
    /// Judge both by this policy instead of each group's own.
    pub policy: Option<String>,
    /// When it is tried, in milliseconds since the epoch: terms that are in force at that time count.
    pub now_ms: i64,
}

/// What the texts of one group are judged by on either side. A group that is gone is judged by the default policy.
pub struct GroupSides {
    group: Option<VisibleGroup>,
    present: Option<Arc<EffectivePolicy>>,
    draft: Option<Arc<EffectivePolicy>>,
}

impl Sides {
    /// Works out the policies of a group, once for all its texts.
    pub fn of_group(&self, group: Option<VisibleGroup>) -> GroupSides {
        let own = group.as_ref().filter(|_| self.policy.is_none());
        let effective = |ruleset: &Ruleset| own.map(|group| group.effective_policy(ruleset.policy_book()));
        let (present, draft) = (effective(&self.present.words), effective(&self.draft));
        GroupSides { group, present, draft }
    }

    /// Judges a text of a group by both: first the rules in force, then the draft.
    pub fn judge(
        &self,
        of: &GroupSides,
        role: Role,
        text: &str,
        scratch: &mut Scratch,
    ) -> (Judgement, Judgement) {
        let speaker = Speaker::from(role);
        let audience = match &of.group {
            Some(group) => Audience { now_ms: self.now_ms, ..group.audience(speaker) },
            None => Audience { speaker, now_ms: self.now_ms, ..Audience::default() },
        };
        let mut by = |ruleset: &Ruleset, effective: &Option<Arc<EffectivePolicy>>| {
            let policy = match effective {
                Some(effective) => effective.for_speaker(speaker),
                None => self.policy(ruleset, speaker),
            };
            policy.map(|policy| ruleset.judge(text, policy, &audience, scratch)).unwrap_or_default()
        };
        (by(&self.present.words, &of.present), by(&self.draft, &of.draft))
    }

    /// The same choice as [`Rules::policy`] makes, in either ruleset.
    fn policy<'r>(&self, ruleset: &'r Ruleset, speaker: Speaker) -> Option<&'r Policy> {
        let name = self.policy.as_deref().filter(|name| ruleset.policy(name).is_some());
        ruleset.policy_for(name.unwrap_or(&self.present.limits.policy), speaker)
    }
}

/// Which messages.
pub struct Question {
    /// Said then or later.
    pub since_ms: i64,
    /// Only these groups; all visible ones when empty.
    pub groups: Vec<(String, String)>,
    /// What is to be known of a group, by account and group; `None` hides it.
    pub visible: GroupSight,
    /// Messages at most.
    pub messages_max: usize,
    /// Examples at most.
    pub examples_max: usize,
}

/// Says what is to be known of a group, by account and group.
pub type GroupSight = Box<dyn Fn(&str, &str) -> Option<VisibleGroup> + Send>;

/// A group whose messages may be read.
pub type VisibleGroup = Arc<dyn JudgedGroup>;

/// What a group's messages are judged by.
pub trait JudgedGroup: Send + Sync {
    /// Returns its policy, all layers together, under a ruleset's policies.
    fn effective_policy(&self, book: &Arc<PolicyBook>) -> Arc<EffectivePolicy>;

    /// Returns whom a text in it is judged for; the time is left out.
    fn audience(&self, speaker: Speaker) -> Audience<'_>;
}

/// What a draft would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReplayOutcome {
    /// Messages judged.
    pub messages: u64,
    /// Kept texts that did not open, because their key is gone.
    pub unreadable: u64,
    /// There were more messages than one replay judges.
    pub truncated: bool,
    /// Messages whose verdict would have been another.
    pub changed: u64,
    /// Messages that the draft hits and the rules in force do not.
    pub newly_hit: u64,
    /// The other way round.
    pub no_longer_hit: u64,
    /// How verdicts change.
    pub verdicts: Vec<VerdictChange>,
    /// Groups with a change.
    pub groups_changed: u64,
    /// The groups with the most changes, at most 100.
    pub groups: Vec<ReplayGroup>,
    /// Messages that would have been treated differently; the texts are evidence.
    pub examples: Vec<ReplayExample>,
}

/// Messages whose verdict goes from one to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct VerdictChange {
    /// By the rules in force.
    pub from: Verdict,
    /// By the draft.
    pub to: Verdict,
    /// How many.
    pub messages: u64,
}

/// What happens in one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReplayGroup {
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// Messages judged.
    pub messages: u64,
    /// Of these treated differently.
    pub changed: u64,
}

/// One message that would have been treated differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReplayExample {
    /// The evidence.
    pub evidence: String,
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// When it was said, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The original text.
    pub text: String,
    /// By the rules in force.
    pub from: Verdict,
    /// By the draft.
    pub to: Verdict,
    /// What the draft finds in it.
    pub hits: Vec<Hit>,
}

/// Judges the history by both sides. Blocking.
///
/// # Errors
/// When storage fails.
pub fn run(
    history: &History,
    sides: &Sides,
    question: &Question,
    progress: &AtomicU64,
) -> Result<ReplayOutcome, StorageError> {
    let mut run = Run {
        sides,
        question,
        scratch: Scratch::default(),
        seen: BTreeMap::new(),
        verdicts: BTreeMap::new(),
        outcome: ReplayOutcome::default(),
    };
    let all = [None];
    let named: Vec<_> = question.groups.iter().cloned().map(Some).collect();
    for group in if named.is_empty() { &all[..] } else { &named[..] } {
        let mut query = EvidenceQuery {
            group: group.clone(),
            since_ms: question.since_ms,
            limit: PAGE,
            ..EvidenceQuery::default()
        };
        loop {
            let (page, next, unreadable) = history.page(&query)?;
            run.outcome.unreadable += unreadable;
            for opened in &page {
                run.take(opened);
                if run.outcome.truncated {
                    return Ok(run.finish());
                }
            }
            progress.store(run.outcome.messages, Ordering::Relaxed);
            let Some(next) = next else { break };
            query.after = next;
        }
    }
    Ok(run.finish())
}

struct GroupSeen {
    /// `None`: hidden from who asks.
    by: Option<GroupSides>,
    messages: u64,
    changed: u64,
}

struct Run<'q> {
    sides: &'q Sides,
    question: &'q Question,
    scratch: Scratch,
    seen: BTreeMap<(String, String), GroupSeen>,
    verdicts: BTreeMap<(Verdict, Verdict), u64>,
    outcome: ReplayOutcome,
}

impl Run<'_> {
    fn take(&mut self, opened: &Opened) {
        // What somebody brought with an appeal was no message of the group.
        if opened.found.kind() == crate::event::EvidenceKind::Reported {
            return;
        }
        let (account, group) = opened.found.group();
        let seen = self.seen.entry((account.to_owned(), group.to_owned())).or_insert_with(|| GroupSeen {
            by: (self.question.visible)(account, group).map(|group| self.sides.of_group(Some(group))),
            messages: 0,
            changed: 0,
        });
        let Some(by) = &seen.by else { return };
        if self.outcome.messages >= self.question.messages_max as u64 {
            self.outcome.truncated = true;
            return;
        }
        let kept = &opened.kept;
        let (present, draft) = self.sides.judge(by, kept.role, &kept.text, &mut self.scratch);
        self.outcome.messages += 1;
        seen.messages += 1;
        let (newly, no_longer) = match (present.hits.is_empty(), draft.hits.is_empty()) {
            (true, false) => (true, false),
            (false, true) => (false, true),
            (true, true) | (false, false) => (false, false),
        };
        let changed = present.verdict != draft.verdict;
        self.outcome.newly_hit += u64::from(newly);
        self.outcome.no_longer_hit += u64::from(no_longer);
        self.outcome.changed += u64::from(changed);
        if changed {
            *self.verdicts.entry((present.verdict, draft.verdict)).or_default() += 1;
        }
        if !(changed || newly || no_longer) {
            return;
        }
        seen.changed += 1;
        if self.outcome.examples.len() < self.question.examples_max {
            self.outcome.examples.push(ReplayExample {
                evidence: opened.found.id().to_owned(),
                account: account.to_owned(),
                group: group.to_owned(),
                at_ms: opened.found.at_ms(),
                text: kept.text.clone(),
                from: present.verdict,
                to: draft.verdict,
                hits: draft.hits.into_iter().map(|judged| judged.hit).collect(),
            });
        }
    }

    fn finish(mut self) -> ReplayOutcome {
        let change = |((from, to), messages)| VerdictChange { from, to, messages };
        self.outcome.verdicts = self.verdicts.into_iter().map(change).collect();
        let mut groups: Vec<_> = self
            .seen
            .into_iter()
            .filter(|(_, seen)| seen.changed > 0)
            .map(|((account, group), seen)| ReplayGroup {
                account,
                group,
                messages: seen.messages,
                changed: seen.changed,
            })
            .collect();
        self.outcome.groups_changed = groups.len() as u64;
        groups.sort_by_key(|group| std::cmp::Reverse(group.changed));
        groups.truncate(GROUPS_MAX);
        self.outcome.groups = groups;
        self.outcome
    }
}

// === jobs ===

/// How far a replay is.
#[derive(Clone, Debug)]
pub enum State {
    /// It runs.
    Running,
    /// What came out.
    Done(Arc<ReplayOutcome>),
    /// Why nothing came out.
    Failed(String),
}

/// One replay, in memory.
#[derive(Debug)]
pub struct Replay {
    /// `rpl_…`.
    pub id: String,
    /// Who asked: nobody else may see it.
    pub operator: String,
    /// When.
    pub began_ms: i64,
    /// Messages judged so far.
    progress: AtomicU64,
    state: watch::Sender<State>,
}

impl Replay {
    /// Returns how many messages were judged so far.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Returns how far it is.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until it ends, but no longer than this.
    pub async fn wait(&self, patience: Duration) {
        let mut state = self.state.subscribe();
        let ended = state.wait_for(|state| !matches!(state, State::Running));
        _ = tokio::time::timeout(patience, ended).await; // it goes on without us
    }
}

/// The replays of one gateway. A restart forgets them: ask again.
#[derive(Debug)]
pub struct Replays {
    all: Mutex<VecDeque<Arc<Replay>>>,
    running_max: usize,
    kept_max: usize,
}

/// Marks a replay that ended without a word, by a panic, as failed.
struct Ends(Arc<Replay>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.state.send_if_modified(|state| {
            let silent = matches!(state, State::Running);
            if silent {
                *state = State::Failed("it ended without a result; look into the log".to_owned());
            }
            silent
        });
    }
}

impl Replays {
    pub(super) fn new(config: &Config) -> Self {
        let (running_max, kept_max) = (config.replays_running_max.max(1), config.replays_kept_max.max(1));
        Self { all: Mutex::default(), running_max, kept_max }
    }

    /// Starts one off the async workers; `None` when as many run as may.
    pub fn start(
        &self,
        id: String,
        operator: &str,
        began_ms: i64,
        work: impl FnOnce(&AtomicU64) -> Result<ReplayOutcome, String> + Send + 'static,
    ) -> Option<Arc<Replay>> {
        let mut all = self.all.lock();
        if all.iter().filter(|one| matches!(one.state(), State::Running)).count() >= self.running_max {
            return None;
        }
        let replay = Arc::new(Replay {
            id,
            operator: operator.to_owned(),
            began_ms,
            progress: AtomicU64::new(0),
            state: watch::Sender::new(State::Running),
        });
        all.push_back(Arc::clone(&replay));
        while all.len() > self.kept_max.max(self.running_max) {
            all.pop_front();
        }
        drop(all);
        let ends = Ends(Arc::clone(&replay));
        drop(tokio::task::spawn_blocking(move || {
            let state = match work(&ends.0.progress) {
                Ok(outcome) => State::Done(Arc::new(outcome)),
                Err(reason) => State::Failed(reason),
            };
            ends.0.state.send_replace(state);
        }));
        Some(replay)
    }

    /// Returns a replay of this operator.
    pub fn get(&self, id: &str, operator: &str) -> Option<Arc<Replay>> {
        self.all.lock().iter().find(|one| one.id == id && one.operator == operator).cloned()
    }

    /// Forgets everything, also what still runs: its result may hold what was erased.
    pub(super) fn forget(&self) {
        self.all.lock().clear();
    }
}
