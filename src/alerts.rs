//! What staff should hear of (预警): members who leave, who ask for a person, whose questions nobody answers, the same
//! advert in many groups, and what a person has to do because no program did.
//!
//! ```text
//! journal ─ follower ─┬─ what happened, in one commit with how far the journal was read ─► endpoints (`subscriptions`)
//!                     ├─ questions without an answer, kept for the report
//!                     ├─ notices to owners, gathered in the same commit ─ after a while, not at night ─► `notices`
//!                     └─ windows ─ looks ─┐
//! storage, platforms ─ sweeps ─ looks ────┴─► desk (`episode`) ─ one commit ─► endpoints, people, the stream
//! ```
//!
//! What simply happened (a member left) is told once. An alert stands: it opens, is passed up while nobody acknowledges it, and
//! recovers; `watch` looks for them, `baseline` says what is usual, `terms` from when on, `episode` how they live, `desk` keeps
//! and tells them.
//!
//! After a crash the journal is read again from where the last commit stood: nothing is told twice under two numbers, and
//! nothing is left out. Told are ids and counts, never a text; where one is kept, where it can be read.
//!
//! Not for: deciding anything about a message (`pipeline`), reviews (`reviews`), numbers (`statistics`).

pub mod baseline;
pub mod by_hand;
pub mod cases;
pub mod desk;
pub mod episode;
pub mod follower;
mod handovers;
pub mod leaves;
mod owners;
pub mod terms;
#[cfg(test)]
mod tests;
pub mod unanswered;
pub mod watch;
pub mod windows;
pub mod words;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::conduct::by_hand::Todo;
use crate::event::Place;
use crate::hours::QuietHours;
use crate::questions;
use crate::storage::{CASE_DECIDED, SharedStorage, StatusChange, Subject, Write};
use crate::telemetry::metrics::Alert;

/// States of what is told, as endpoints filter by them.
pub const STATES: [&str; 7] = [
    leaves::STATE,
    handovers::STATE,
    unanswered::STATE,
    by_hand::STATE,
    cases::OPENED,
    cases::GROWN,
    CASE_DECIDED,
];

/// How owners are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Leaves and questions that come within this time after the first are one notice.
    #[serde(with = "crate::units::duration")]
    pub batch: Duration,
    /// Hours of the directory's time zone in which no owner is told; what happens meanwhile is told afterwards.
    pub quiet: QuietHours,
    /// Groups that one notice names.
    pub groups_named_max: usize,
    /// Who gets a notice of members who ask for a person.
    pub notify_hand_overs: Notify,
    /// Who gets a notice of questions that nobody answers.
    pub notify_questions: Notify,
    /// Who gets a notice of what a person has to do because no program did.
    pub notify_by_hand: Notify,
    /// When each kind of alert is raised.
    pub kinds: terms::Kinds,
    /// How alerts live.
    pub life: episode::Config,
    /// What is looked at, and who is told.
    pub watch: watch::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            batch: Duration::from_mins(10),
            quiet: QuietHours::night(),
            groups_named_max: 10,
            notify_hand_overs: Notify::Off,
            notify_questions: Notify::Off,
            notify_by_hand: Notify::Owner,
            kinds: terms::Kinds::default(),
            life: episode::Config::default(),
            watch: watch::Config::default(),
        }
    }
}

/// Who gets a notice, besides what endpoints are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    /// Nobody.
    #[default]
    Off,
    /// Whoever owns the group; where nobody told who, the manager of its shop.
    Owner,
}

/// What is known of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Its name for people.
    pub name: Option<String>,
    /// The staff member who owns it, or runs its shop where nobody told who owns it.
    pub owner: Option<String>,
    /// Who runs its shop.
    pub manager: Option<String>,
    /// Who stands in for them.
    pub deputy: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Where it belongs.
    pub place: Place,
}

/// Whether the doors are open at a moment; `None` where nobody knows.
pub type IsOpen = dyn Fn(i64) -> Option<bool>;

/// What alerts ask of the directory.
pub trait Surroundings: Send + Sync {
    /// Returns what is known of a group.
    fn group(&self, account: &str, group: &str) -> Around;

    /// Returns when a group's shop is open.
    fn hours(&self, account: &str, group: &str) -> Box<IsOpen>;

    /// Returns who runs a region.
    fn region_manager(&self, region: &str) -> Option<String>;

    /// Returns the time zone by whose clock owners are left alone.
    fn zone(&self) -> TimeZone;
}

/// Knows which texts are kept.
#[async_trait]
pub trait Texts: Send + Sync {
    /// Says whether the text with this id is there.
    async fn has(&self, id: &str) -> bool;
}

/// Why an owner was not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untold {
    /// It cannot be said there, now or later.
    Never(String),
    /// These words may not be said: somebody named a group like that.
    Blocked,
    /// Something failed.
    Later(String),
}

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To<'a> {
    /// A member of staff, one to one.
    Staff(&'a str),
    /// A group.
    Group(&'a str),
}

/// Tells staff.
#[async_trait]
pub trait Teller: Send + Sync {
    /// Accepts a notice under an id; under one that was accepted before it does nothing.
    async fn tell(&self, id: &str, account: &str, to: To<'_>, text: String) -> Result<(), Untold>;
}

/// What alerts are made of.
pub struct Parts {
    /// Journal, projection and ledger.
    pub storage: SharedStorage,
    /// The time.
    pub clock: Clock,
    /// The directory.
    pub around: Arc<dyn Surroundings>,
    /// Kept texts.
    pub texts: Arc<dyn Texts>,
    /// The way to staff.
    pub teller: Arc<dyn Teller>,
    /// How owners are told.
    pub config: Config,
    /// Who left.
    pub leaves: leaves::Config,
    /// Questions without an answer.
    pub questions: questions::Config,
    /// Rings for notices that others have written.
    pub bell: Arc<by_hand::Bell>,
    /// Where alerts lie.
    pub desk: Arc<desk::Desk>,
    /// What is known of accounts at this moment.
    pub sights: Arc<dyn watch::Sights>,
    /// How long the journal holds an event at least.
    pub journal_window: Duration,
}

impl Parts {
    fn notify(&self, kind: Alert) -> Notify {
        match kind {
            Alert::Left => self.leaves.notify,
            Alert::HandedOver => self.config.notify_hand_overs,
            Alert::Unanswered => self.config.notify_questions,
            Alert::ByHand => self.config.notify_by_hand,
            Alert::Case => Notify::Off, // it has no owner: many groups have one each
        }
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A message that belongs to what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    /// The event's id as its sender gave it.
    event: String,
    /// Under which its text is kept, if it is.
    evidence: String,
}

/// Something that staff should hear of.
#[derive(Debug)]
struct Found {
    kind: Alert,
    subject: Subject,
    state: &'static str,
    id: String,
    at_ms: i64,
    account: String,
    group: String,
    /// Ids and counts.
    context: Value,
    /// The messages it is about.
    said: Vec<Said>,
    /// What is kept of it; written once.
    document: Option<Write>,
    /// What a person is asked to do.
    todo: Option<Todo>,
}

impl Found {
    /// Writes down what is told: with the messages, and where their texts can be read by those who may.
    async fn told(self, texts: &dyn Texts) -> StatusChange {
        let mut context = self.context;
        if !matches!(self.kind, Alert::Left | Alert::Case) {
            let mut messages = Vec::with_capacity(self.said.len());
            for Said { event, evidence } in &self.said {
                let text = texts.has(evidence).await.then(|| format!("/v1/evidence/{evidence}"));
                messages.push(json!({"event": event, "text": text}));
            }
            context["messages"] = Value::Array(messages);
        }
        let place = (&*self.account, &*self.group);
        StatusChange::happened(self.subject, self.state, self.id, self.at_ms, place, &context)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
