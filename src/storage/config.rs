//! Limits and retention of storage, each with its unit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How storage behaves; every key stands in `config/menshen.toml` under `[storage]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long the journal's writer waits for company before a commit. Zero: it takes what gathered during the last one.
    #[serde(with = "crate::units::duration")]
    pub linger: Duration,
    /// Encoded effects waiting for a commit, in bytes; beyond it events are refused.
    #[serde(with = "crate::units::size")]
    pub pending_bytes_max: usize,
    /// Events waiting for a commit; beyond it events are refused.
    pub pending_events_max: usize,
    /// Pages (of 4 KiB) in a write-ahead log before it is copied into its file. Small keeps acknowledgements even.
    pub checkpoint_pages: u32,
    /// Changes waiting for the ledger's writer; beyond it callers wait.
    pub ledger_queue_max: usize,
    /// Reading connections kept open per file.
    pub readers_max: usize,
    /// Events folded into the projection in one transaction.
    pub projection_events_max: usize,
    /// Memory for pages of the projection, in bytes.
    #[serde(with = "crate::units::size")]
    pub projection_cache: usize,
    /// How long calls are remembered for the platforms' limits; longer than the longest window.
    #[serde(with = "crate::units::duration")]
    pub attempts_keep: Duration,
    /// How long finished replies, welcomes and actions are remembered; longer than any of them can wait.
    #[serde(with = "crate::units::duration")]
    pub deliveries_keep: Duration,
    /// How long dead letters can be looked at and replayed.
    #[serde(with = "crate::units::duration")]
    pub dead_letters_keep: Duration,
    /// How long hits and late events are listed.
    #[serde(with = "crate::units::duration")]
    pub hits_keep: Duration,
    /// How long business results, consents, reviews and the like are kept.
    #[serde(with = "crate::units::duration")]
    pub records_keep: Duration,
    /// Whether a commit waits for the disk. Not a key of the configuration: only benches may ask what waiting costs.
    #[serde(skip)]
    pub durability: Durability,
}

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It does: what was acknowledged survives a power cut.
    #[default]
    Full,
    /// It does not: what was acknowledged survives the end of the process only.
    Off,
}

impl Default for Config {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            linger: Duration::ZERO,
            pending_bytes_max: 64 << 20,
            pending_events_max: 200_000,
            checkpoint_pages: 1000,
            ledger_queue_max: 4096,
            readers_max: 4,
            projection_events_max: 65_536,
            projection_cache: 64 << 20,
            attempts_keep: Duration::from_secs(2 * DAY),
            deliveries_keep: Duration::from_secs(7 * DAY),
            dead_letters_keep: Duration::from_secs(30 * DAY),
            hits_keep: Duration::from_secs(90 * DAY),
            records_keep: Duration::from_secs(400 * DAY),
            durability: Durability::Full,
        }
    }
}

/// Returns a duration in whole milliseconds.
pub(super) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
