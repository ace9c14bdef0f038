//! Mass sends (群发任务): broadcasts to groups whose owner must confirm them on the platform.
//!
//! ```text
//! targets ─ plan ─ mass sends ─ outbox ─ tasks at the platform ─ owners confirm
//!    ▲                                        │ poll, remind, call off
//!    └──────────── results, one commit a task ┘
//! ```
//!
//! Every group keeps its own durable row. When all targets are written they are bundled by owner, text and content; a bundle and
//! the mark on each target it carries are one commit, so a crash neither loses nor doubles one. The outbox makes the calls
//! as it makes all others; what becomes of the tasks is asked here, and each target moves to its result once.
//!
//! Invariants: a reminder is written down before it is made, so that a restart does not make it again; results never go
//! back. Not for: how a platform is asked ([`super::Confirming`]).

mod bundling;
mod calendar;
mod desk;
mod foretold;
mod history;
mod job;
mod plan;
mod survey;
mod task;
mod view;
mod watch;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use survey::Survey;
pub use task::Record;
pub use view::{Chosen, Confirmation, Reminding, TaskRow};

use super::QuietHours;
pub(super) use desk::{Desk, contents, read, record_id};
pub(super) use plan::Step;

/// How people's confirmations are followed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often it is looked what is due.
    #[serde(with = "crate::units::duration")]
    pub look: Duration,
    /// When a new task is asked about for the first time; doubles from there.
    #[serde(with = "crate::units::duration")]
    pub poll_first: Duration,
    /// Longest time between two questions about a task.
    #[serde(with = "crate::units::duration")]
    pub poll_max: Duration,
    /// Most questions, reminders and calls to stop under way at the same time, for each account.
    pub calls_in_flight_max: usize,
    /// When an owner who has not confirmed is reminded, counted from the task's creation.
    pub remind_after: Waits,
    /// Most reminders of a task in any 24 hours.
    pub reminders_max: usize,
    /// Shortest time between two reminders of a task.
    #[serde(with = "crate::units::duration")]
    pub remind_gap: Duration,
    /// When nobody is reminded by itself, by the clock of China.
    pub quiet: QuietHours,
    /// How long an owner may take: then the task is called off and its targets expire.
    #[serde(with = "crate::units::duration")]
    pub wait_max: Duration,
    /// How many of an owner's latest confirmations the estimate rests on.
    pub history_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(1),
            poll_first: Duration::from_secs(10),
            poll_max: Duration::from_mins(10),
            calls_in_flight_max: 4,
            remind_after: Waits(vec![Duration::from_hours(2), Duration::from_hours(6)]),
            reminders_max: 3,
            remind_gap: Duration::from_mins(30),
            quiet: QuietHours::night(),
            wait_max: Duration::from_hours(7 * 24),
            history_max: 32,
        }
    }
}

/// Durations as a list: `["2h", "6h"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Waits(pub Vec<Duration>);

impl TryFrom<Vec<String>> for Waits {
    type Error = crate::units::UnitError;

    fn try_from(texts: Vec<String>) -> Result<Self, Self::Error> {
        texts.iter().map(|text| crate::units::parse_duration(text)).collect::<Result<_, _>>().map(Self)
    }
}

impl From<Waits> for Vec<String> {
    fn from(waits: Waits) -> Self {
        waits.0.into_iter().map(crate::units::format_duration).collect()
    }
}

/// What a broadcast's document remembers of its mass sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mass {
    /// What was found when it was accepted.
    #[serde(default)]
    pub survey: Survey,
    /// Targets that an owner must confirm, as far as they are written.
    #[serde(default)]
    pub targets: u32,
    /// Mass sends made so far; the next one's number.
    #[serde(default)]
    pub sends: u32,
    /// Every target that is written is carried or was refused.
    #[serde(default)]
    pub bundled: bool,
    /// When somebody last asked for everybody to be reminded; 0 for never.
    #[serde(default)]
    pub remind_asked_ms: i64,
    /// When somebody last asked for the owners of chosen tasks to be reminded, by the number of the mass send.
    #[serde(default)]
    pub remind_asked: BTreeMap<u32, i64>,
    /// How it ended, once it is closed.
    #[serde(default)]
    pub closing: Option<Closing>,
}

impl Mass {
    /// Says whether every target that must be confirmed is carried or was refused.
    pub(super) fn is_bundled(&self) -> bool {
        self.targets == 0 || self.bundled
    }
}

/// What is left to tell of a closed broadcast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Owners who confirmed.
    pub confirmed: u64,
    /// Owners who were reminded.
    pub reminded: u64,
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
