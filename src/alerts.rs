//! What staff should hear of (预警): members who leave.
//!
//! ```text
//! journal ─ follower ─┬─ what happened, in one commit with how far the journal was read ─► endpoints (`subscriptions`)
//!                     └─ notices to owners, gathered in the same commit ─ after a while, not at night ─► `notices`
//! ```
//!
//! After a crash the journal is read again from where the last commit stood: nothing is told twice under two numbers, and
//! nothing is left out. Told are ids and counts, never a text.
//!
//! Not for: deciding anything about a message (`pipeline`), reviews (`reviews`), numbers (`statistics`).

pub mod follower;
pub mod leaves;
mod owners;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::event::Place;
use crate::hours::QuietHours;
use crate::storage::SharedStorage;

/// States of what is told, as endpoints filter by them.
pub const STATES: [&str; 1] = [leaves::STATE];

/// How owners are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What happens within this time after the first is one notice.
    #[serde(with = "crate::units::duration")]
    pub batch: Duration,
    /// Hours of the directory's time zone in which no owner is told; what happens meanwhile is told afterwards.
    pub quiet: QuietHours,
    /// Groups that one notice names.
    pub groups_named_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { batch: Duration::from_mins(10), quiet: QuietHours::night(), groups_named_max: 10 }
    }
}

/// Who gets a notice, besides what endpoints are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    /// Nobody.
    #[default]
    Off,
    /// Whoever owns the group.
    Owner,
}

/// What is known of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Its name for people.
    pub name: Option<String>,
    /// The staff member who owns it.
    pub owner: Option<String>,
    /// Where it belongs.
    pub place: Place,
}

/// What alerts ask of the directory.
pub trait Surroundings: Send + Sync {
    /// Returns what is known of a group.
    fn group(&self, account: &str, group: &str) -> Around;

    /// Returns the time zone by whose clock owners are left alone.
    fn zone(&self) -> TimeZone;
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

/// Tells staff, one to one.
#[async_trait]
pub trait Teller: Send + Sync {
    /// Accepts a notice under an id; under one that was accepted before it does nothing.
    async fn tell(&self, id: &str, account: &str, staff: &str, text: String) -> Result<(), Untold>;
}

/// What alerts are made of.
pub struct Parts {
    /// Journal, projection and ledger.
    pub storage: SharedStorage,
    /// The time.
    pub clock: Clock,
    /// The directory.
    pub around: Arc<dyn Surroundings>,
    /// The way to staff.
    pub teller: Arc<dyn Teller>,
    /// How owners are told.
    pub config: Config,
    /// Who left.
    pub leaves: leaves::Config,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("config", &self.config).finish_non_exhaustive()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
