//! Limits and lives of kept texts, each with its unit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::pipeline::KeepingLimits;
use crate::storage::EvidenceRoom;

/// What may be kept; every key stands in `config/menshen.toml` under `[evidence]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Original texts may be kept where a policy says so.
    pub enabled: bool,
    /// Policies may also keep a short history of everything said.
    pub history: bool,
    /// How long a text is kept, where its policy names no days.
    #[serde(with = "crate::units::duration")]
    pub life: Duration,
    /// How far a history reaches back, where its policy names no hours.
    #[serde(with = "crate::units::duration")]
    pub history_life: Duration,
    /// Most texts kept at once.
    pub rows_max: u64,
    /// Most bytes of sealed texts, their rows included.
    #[serde(with = "crate::units::size")]
    pub bytes_max: usize,
    /// Most texts in the history of one group.
    pub group_history_max: u32,
    /// Sealed texts waiting to be written.
    pub queue_max: usize,
    /// Messages that one replay judges at most.
    pub replay_messages_max: usize,
    /// Examples that one replay shows at most.
    pub replay_examples_max: usize,
    /// Replays that run at once.
    pub replays_running_max: usize,
    /// Replays remembered with their results, in memory.
    pub replays_kept_max: usize,
    /// How long a request waits for its replay before it is told to come back.
    #[serde(with = "crate::units::duration")]
    pub replay_wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: false,
            history: false,
            life: Duration::from_hours(7 * 24),
            history_life: Duration::from_hours(24),
            rows_max: 2_000_000,
            bytes_max: 1 << 30,
            group_history_max: 2_000,
            queue_max: 4_096,
            replay_messages_max: 200_000,
            replay_examples_max: 50,
            replays_running_max: 1,
            replays_kept_max: 16,
            replay_wait: Duration::from_secs(2),
        }
    }
}

impl Config {
    /// Returns what the pipeline must know of it.
    pub fn limits(&self) -> KeepingLimits {
        KeepingLimits {
            enabled: self.enabled,
            history: self.history,
            life: self.life,
            history_life: self.history_life,
        }
    }

    /// Returns what storage must know of it.
    pub(super) fn room(&self) -> EvidenceRoom {
        EvidenceRoom {
            rows_max: self.rows_max,
            bytes_max: self.bytes_max as u64,
            group_history_max: self.group_history_max,
        }
    }
}
