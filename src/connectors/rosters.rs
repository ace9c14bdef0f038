//! How rosters are kept true, for every platform that has them: limits and rhythms.
//!
//! Not for: what a platform's roster looks like, nor for driving it; `app` does.

use std::time::Duration;

use serde::Deserialize;

/// Limits and rhythms of rosters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RosterConfig {
    /// How often every group is read, without a reason.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub sync_every: Duration,
    /// How often a few groups are looked at to find out whether callbacks still reach us.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub probe_every: Duration,
    /// Groups looked at each time.
    pub probe_groups: usize,
    /// Groups read at once.
    pub reads_max: usize,
    /// How long callbacks of a group must have been quiet before it is read: a burst makes one reading.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub quiet: Duration,
    /// How long a group whose callbacks never rest waits for its reading at most.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub quiet_max: Duration,
    /// Longest time that the platform's answers lag behind a change, or a callback.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub lag_patience: Duration,
    /// Longest delay between tries to read a group.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub retry_delay_max: Duration,
    /// Groups remembered for a reading of their new members' details; the next sync catches up on the rest.
    pub details_max: usize,
    /// How often it is written down that we are up: what a restart takes as the beginning of the silence.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub heartbeat_every: Duration,
    /// A down time shorter than this is no silence: platforms send a callback again for that long.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub silence_min: Duration,
    /// How often it is looked whether the platform's own numbers of a new day can be imported.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub numbers_every: Duration,
    /// Events older than this do not count: the same as `dedupe.window`, so the composition root sets it.
    #[serde(skip)]
    pub window: Duration,
}

impl Default for RosterConfig {
    fn default() -> Self {
        Self {
            sync_every: Duration::from_hours(24),
            probe_every: Duration::from_mins(5),
            probe_groups: 20,
            reads_max: 16,
            quiet: Duration::from_secs(2),
            quiet_max: Duration::from_secs(20),
            lag_patience: Duration::from_secs(30),
            retry_delay_max: Duration::from_mins(10),
            details_max: 10_000,
            heartbeat_every: Duration::from_secs(10),
            silence_min: Duration::from_secs(15),
            numbers_every: Duration::from_hours(1),
            window: Duration::from_hours(72),
        }
    }
}
