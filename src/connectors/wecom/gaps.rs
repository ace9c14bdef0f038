//! Closes gaps: what callbacks told out of order, or half of, is kept durably until the group was read.
//!
//! A group is settled in rounds: changes that follow one after the other from where we stand are counted without a
//! reading; for the rest the group is read and compared (`roster`). Whatever interferes makes a step fail and the next
//! round begin; a repeat is known by its id. What is pending is forgotten only after everything it led to is committed, so
//! a crash at any point leaves it to the next start.

use std::borrow::Cow;
use std::collections::HashSet;

use super::error::ApiError;
use super::groups::Read;
use super::roster::{self, Outlook, Pending, Plan, View};
use super::sync::WecomRosters;
use crate::connectors::offers::{EventSink, KnownRoster, PlatformError, Retry, SinkError, StateError, Taken};
use crate::event::{GroupEvent, Role, RosterStep, What};

/// Tries to bring one group's events through before it is left for later.
const ROUNDS_MAX: usize = 10;
/// Most events handed over in one go: they wait for one commit.
const TAKE_MAX: usize = 256;
/// Changes read from the state in one go, and most of one group that are settled together.
const PENDING_MAX: usize = 1_000;
/// The mark of no version: that of one between two others, which no reading and no callback can name.
const NOWHERE: u64 = u64::MAX;
/// What the keys of what is pending begin with.
const PREFIX: &str = "gap/";

/// The step of an event that says "something changed" and not what: it never follows, so it becomes a gap, and the group
/// is read. The one way by which a callback, which does no I/O, can ask for that durably.
pub(super) fn read_step() -> RosterStep {
    RosterStep { from: Some(NOWHERE), to: NOWHERE }
}

/// The step of an event that names the version a roster must have reached, and not the way there: taken, and without any
/// effect on the roster, when we have read that version already; else a gap.
pub(super) fn reached_step(version: &str) -> RosterStep {
    let mark = RosterStep::mark(version);
    RosterStep { from: Some(mark), to: mark }
}

/// What settling a group came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// What we know is what the platform says.
    pub(super) done: bool,
    /// The earliest change that no callback told, in milliseconds since the epoch.
    pub(super) untold_ms: Option<i64>,
    /// Joins found by comparing.
    pub(super) joins: u64,
    /// Leaves found by comparing.
    pub(super) leaves: u64,
    /// Members taken over.
    pub(super) adopted: u64,
}

/// Why a group could not be settled.
#[derive(Debug)]
pub(super) enum Failure {
    Api(ApiError),
    Sink(SinkError),
    State(StateError),
    /// The house refuses its events, with this code.
    Refused(&'static str),
}

impl Failure {
    /// Says whether it concerns this group alone, so that the others may still go well.
    pub(super) fn is_of_group(&self) -> bool {
        match self {
            Self::Api(error) => !error.is_trouble(),
            Self::Refused(_) => true,
            Self::Sink(_) | Self::State(_) => false,
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<Failure> for PlatformError {
    fn from(failure: Failure) -> Self {
        let ours = |code: &str, detail: String| PlatformError {
            operation: "roster",
            code: code.to_owned(),
            zh: format!("网关自己暂时不能记录群成员变化，会自动重试：{detail}"),
            en: format!("the gateway itself cannot record changes of rosters now and tries again: {detail}"),
            retry: Retry::Backoff,
            uncertain: false,
        };
        match failure {
            Failure::Api(error) => error.into(),
            Failure::Sink(SinkError(detail)) => ours("sink", detail),
            Failure::State(StateError(detail)) => ours("state", detail),
            Failure::Refused(code) => ours(code, "refused".to_owned()),
        }
    }
}

/// What the sink said to events.
#[derive(Debug, Default)]
struct Told {
    /// Ids that were counted before.
    repeats: Vec<String>,
    /// A step did not follow, or nothing was done about what came behind one.
    broken: bool,
    /// The house refuses this for good.
    refused: Option<&'static str>,
    /// How many, from the first on, need no further thought.
    settled: usize,
}

impl WecomRosters {
    /// Keeps what callbacks told and what did not follow from what we know.
    pub(super) async fn keep(&self, events: &[GroupEvent<'_>]) -> Result<(), StateError> {
        let now_ms = self.clock.now_ms();
        let mut writes = Vec::with_capacity(events.len());
        for event in events {
            if let Some(pending) = Pending::of(event, now_ms) {
                let value = serde_json::to_string(&pending).map_err(|error| StateError(error.to_string()))?;
                writes.push((key(&event.group, &pending.id), Some(value)));
            }
        }
        if !writes.is_empty() {
            self.state.put(writes).await?;
        }
        for event in events {
            self.agenda.gap(&event.group, now_ms);
        }
        Ok(())
    }

    /// Finds the gaps that the last run left. Once.
    pub(super) async fn load_gaps(&self) -> Result<(), StateError> {
        let mut loaded = self.loaded.lock().await;
        let mut after: Option<String> = None;
        while !*loaded {
            let page = self.state.list(PREFIX, after.as_deref(), PENDING_MAX).await?;
            for (key, value) in &page {
                if let (Some(group), Ok(pending)) = (group_of(key), serde_json::from_str::<Pending>(value)) {
                    self.agenda.gap(group, pending.heard_ms);
                }
            }
            *loaded = page.len() < PENDING_MAX;
            after = page.into_iter().next_back().map(|(key, _)| key);
        }
        Ok(())
    }

    /// Brings what we know of a group to what the platform says, reading it where it must be or is asked to be.
    pub(super) async fn settle_group(
        &self,
        sink: &dyn EventSink,
        group: &str,
        details_since_ms: Option<i64>,
    ) -> Result<Settled, Failure> {
        let mut counted = HashSet::new();
        let mut sum = Settled::default();
        for _ in 0..ROUNDS_MAX {
            let pending = self.pending(group).await?;
            if self.count_told(sink, group, &pending).await? {
                continue;
            }
            if pending.is_empty() && details_since_ms.is_none() {
                return Ok(Settled { done: true, ..sum });
            }
            let reading = match self.groups.read(group).await? {
                Read::There(reading) => reading,
                Read::Gone => {
                    self.dismissed(sink, group).await?;
                    self.forget(&pending).await?;
                    return Ok(Settled { done: true, ..sum });
                }
            };
            for member in reading.members.iter().filter(|member| member.role == Role::Staff) {
                self.staff.note(&member.member);
            }
            let known = sink.roster(&self.account, group).await?;
            // What asks for a reading and names no version says nothing about one.
            let changes = pending.iter().map(|(_, change)| change).filter(|change| change.to != NOWHERE);
            let changes: Vec<Pending> = changes.cloned().collect();
            self.find_counted(sink, group, &changes, &mut counted).await?;
            let view = self.view(group, &known, &changes, &counted, details_since_ms);
            let Outlook::Settled(plan) = roster::settle(&view, &reading) else { return Ok(sum) };
            let told = self.take(sink, &plan.events).await?;
            sum.add(&plan, &told);
            if let Some(code) = told.refused {
                return Err(Failure::Refused(code));
            }
            if !told.broken && told.repeats.is_empty() {
                self.forget(&pending).await?;
                if pending.len() < PENDING_MAX {
                    return Ok(Settled { done: true, ..sum });
                }
            }
            counted.extend(told.repeats);
        }
        Ok(sum)
    }

    fn view<'a>(
        &'a self,
        group: &'a str,
        known: &'a KnownRoster,
        pending: &'a [Pending],
        counted: &'a HashSet<String>,
        details_since_ms: Option<i64>,
    ) -> View<'a> {
        View {
            account: &self.account,
            group,
            known,
            pending,
            counted,
            details_since_ms: details_since_ms.unwrap_or(i64::MAX),
            now_ms: self.clock.now_ms(),
            patience: self.config.lag_patience,
            window: self.config.window,
        }
    }

    /// Counts changes that follow one after the other from where we stand. Says whether there were any.
    async fn count_told(
        &self,
        sink: &dyn EventSink,
        group: &str,
        pending: &[(String, Pending)],
    ) -> Result<bool, Failure> {
        if pending.is_empty() {
            return Ok(false);
        }
        let known = sink.roster(&self.account, group).await?;
        let Some(head) = known.marks.first() else { return Ok(false) };
        let changes: Vec<Pending> = pending.iter().map(|(_, change)| change.clone()).collect();
        let chain = roster::follow(*head, &changes);
        let events = roster::told(&self.account, group, &changes, &chain);
        let told = self.take(sink, &events).await?;
        let done: Vec<_> = chain.iter().take(told.settled).map(|index| pending[*index].clone()).collect();
        self.forget(&done).await?;
        Ok(!done.is_empty())
    }

    /// Finds out which changes were counted meanwhile: by a plan that was broken off half-way, or since the callback came
    /// once more when it did follow. An event whose step begins nowhere changes nothing, and a repeat is still known as one.
    async fn find_counted(
        &self,
        sink: &dyn EventSink,
        group: &str,
        changes: &[Pending],
        counted: &mut HashSet<String>,
    ) -> Result<(), Failure> {
        let nowhere = |change: &Pending| Pending { from: NOWHERE, to: NOWHERE, ..change.clone() };
        let oldest_ms =
            self.clock.now_ms() - i64::try_from(self.config.window.as_millis()).unwrap_or(i64::MAX);
        let asked: Vec<Pending> = changes.iter().filter(|c| c.at_ms > oldest_ms).map(nowhere).collect();
        let all: Vec<usize> = (0..asked.len()).collect();
        for chunk in roster::told(&self.account, group, &asked, &all).chunks(TAKE_MAX) {
            let results = sink.take(chunk.to_vec()).await?;
            let repeats = chunk.iter().zip(results).filter(|(_, taken)| *taken == Taken::Duplicate);
            counted.extend(repeats.map(|(event, _)| event.id.to_string()));
        }
        Ok(())
    }

    /// Hands events over in order, and stops where one does not follow.
    async fn take(&self, sink: &dyn EventSink, events: &[GroupEvent<'static>]) -> Result<Told, Failure> {
        let mut told = Told::default();
        for chunk in events.chunks(TAKE_MAX) {
            let results = sink.take(chunk.to_vec()).await?;
            for (event, taken) in chunk.iter().zip(results) {
                match taken {
                    Taken::Counted | Taken::Late => {}
                    Taken::Duplicate => told.repeats.push(event.id.to_string()),
                    Taken::Gap => told.broken = true,
                    Taken::Refused(code) => {
                        tracing::warn!(account.id = self.account, group.id = %event.group, code, "refused");
                        told.refused = Some(code);
                    }
                }
                if told.broken {
                    return Ok(told);
                }
                told.settled += 1;
            }
        }
        Ok(told)
    }

    /// What is pending of a group.
    async fn pending(&self, group: &str) -> Result<Vec<(String, Pending)>, StateError> {
        if self.agenda.gap_since(group).is_none() {
            return Ok(Vec::new());
        }
        let page = self.state.list(&format!("{PREFIX}{group}/"), None, PENDING_MAX).await?;
        let read = |(key, value): (String, String)| match serde_json::from_str(&value) {
            Ok(pending) => Some((key, pending)),
            Err(error) => {
                tracing::error!(account.id = self.account, %error, "a pending change cannot be read");
                None
            }
        };
        Ok(page.into_iter().filter_map(read).collect())
    }

    async fn forget(&self, pending: &[(String, Pending)]) -> Result<(), StateError> {
        if pending.is_empty() {
            return Ok(());
        }
        self.state.put(pending.iter().map(|(key, _)| (key.clone(), None)).collect()).await
    }

    /// The platform says that a group is no more.
    async fn dismissed(&self, sink: &dyn EventSink, group: &str) -> Result<(), Failure> {
        let known = sink.roster(&self.account, group).await?;
        if known.group.dismissed || known.marks.is_empty() && known.members.is_empty() {
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        let event = GroupEvent {
            id: Cow::Owned(format!("inferred-dismissed-{now_ms}")),
            account: Cow::Owned(self.account.clone()),
            group: Cow::Owned(group.to_owned()),
            member: None,
            name: None,
            role: Role::Customer,
            at_ms: Some(now_ms),
            step: None,
            what: What::GroupDismissed,
        };
        let told = self.take(sink, &[event]).await?;
        told.refused.map_or(Ok(()), |code| Err(Failure::Refused(code)))
    }
}

impl Settled {
    /// Adds what was taken of a plan. A plan that was broken off is made again without what was taken.
    fn add(&mut self, plan: &Plan, told: &Told) {
        for event in plan.events.iter().take(told.settled) {
            let (joined, left) = (
                matches!(event.what, What::MemberJoined { inferred: true, .. }),
                matches!(event.what, What::MemberLeft { inferred: true, .. }),
            );
            self.joins += u64::from(joined);
            self.leaves += u64::from(left);
            if matches!(event.what, What::RosterRead(_)) {
                self.adopted += plan.adopted;
            }
            if joined || left {
                let at_ms = event.at_ms.unwrap_or(i64::MAX);
                self.untold_ms = Some(self.untold_ms.map_or(at_ms, |untold| untold.min(at_ms)));
            }
        }
    }
}

/// The key of what is pending: an event's id may be as long as a key, so its mark stands for it.
fn key(group: &str, id: &str) -> String {
    format!("{PREFIX}{group}/{:016x}", RosterStep::mark(id))
}

fn group_of(key: &str) -> Option<&str> {
    Some(key.strip_prefix(PREFIX)?.rsplit_once('/')?.0)
}
