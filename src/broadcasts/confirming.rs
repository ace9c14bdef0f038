//! Sends that wait for a person: what broadcasts must know of a platform that has them, and what they ask of it.
//!
//! Not for: creating the tasks (the outbox does, as it does every call). Who knows the platforms implements it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::event::AccountId;

/// What holds for a group whose owner must confirm what is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Most groups of one task.
    pub targets_max: usize,
    /// Longest text, in bytes of UTF-8.
    pub text_bytes_max: usize,
    /// How often a group may receive such sends; `None` where the platform does not count.
    pub receiving_cap: Option<ReceivingCap>,
}

/// How often one group may receive mass sends, by the platform's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceivingCap {
    /// As many times a calendar month as it has days.
    DaysOfMonth,
    /// Seven times a calendar week.
    SevenAWeek,
    /// Once a day.
    OnceADay,
}

/// What the platform says of one group of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetResult {
    /// Its owner has not confirmed.
    Unsent,
    /// It arrived.
    Sent,
    /// It will not arrive: `not_a_friend`, `already_received`, `refused`, `cancelled`.
    Failed(&'static str),
}

/// How far a task is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskProgress {
    /// When its owner confirmed, in milliseconds since the epoch.
    pub confirmed_ms: Option<i64>,
    /// Groups the platform told of. One that is missing while others are told was refused when the task was created.
    pub targets: Vec<(String, TargetResult)>,
    /// The platform is still handing the task out: ask again later.
    pub is_dispatching: bool,
}

/// Why the platform did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct TaskError {
    /// The platform's code or ours; `remind_cap` when a person was reminded as often as the platform allows.
    pub code: String,
    /// In words, without message text.
    pub detail: String,
    /// Not before; `None`: with growing delays.
    pub wait: Option<Duration>,
    /// It may have taken effect.
    pub uncertain: bool,
}

/// Knows which groups' owners must confirm, and speaks with their platforms. Every call is bounded in time.
#[async_trait]
pub trait Confirming: Send + Sync {
    /// Returns what holds for a group, if its owner must confirm.
    fn terms(&self, account: &AccountId, group: &str) -> Option<Terms>;

    /// Asks how far a task is.
    ///
    /// # Errors
    /// When the platform cannot be asked.
    async fn progress(&self, account: &AccountId, task: &str, owner: &str)
    -> Result<TaskProgress, TaskError>;

    /// Reminds the owner.
    ///
    /// # Errors
    /// `remind_cap` when the platform's cap is reached.
    async fn remind(&self, account: &AccountId, task: &str) -> Result<(), TaskError>;

    /// Stops what was not sent yet.
    ///
    /// # Errors
    /// When the platform did not.
    async fn cancel(&self, account: &AccountId, task: &str) -> Result<(), TaskError>;
}
