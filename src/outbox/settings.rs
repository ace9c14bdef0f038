//! Limits of the outbox.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::breaker::BreakerConfig;
use super::lanes::LanesConfig;
use super::pacer::PacingConfig;
use super::retry::RetryConfig;

/// Limits of this module.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Calls of one account under way at once, so that pause means pause; urgent ones may be a sixteenth more.
    pub in_flight_max: usize,
    /// Requests to one account's runner that may wait.
    pub commands_max: usize,
    /// Deliveries read from the ledger at once.
    pub load_rows: usize,
    /// A call that takes longer is uncertain; the last line of defence behind the connector's own time-outs.
    #[serde(with = "crate::units::duration")]
    pub call_timeout: Duration,
    /// How long after an uncertain call the platform is asked about it; doubles from there.
    #[serde(with = "crate::units::duration")]
    pub resolve_after: Duration,
    /// How often it is asked before the delivery is left to a person.
    pub resolve_tries_max: u32,
    /// Such questions of one account under way at once.
    pub resolve_in_flight_max: usize,
    /// How long nothing is sent after the ledger failed; then it is tried again.
    #[serde(with = "crate::units::duration")]
    pub ledger_retry: Duration,
    /// How often depths, ages and expired holds are looked at.
    #[serde(with = "crate::units::duration")]
    pub tick: Duration,
    /// Queues and shares.
    pub lanes: LanesConfig,
    /// What is kept back of limits, and how refusals change them.
    pub pacing: PacingConfig,
    /// Retries.
    pub retry: RetryConfig,
    /// Circuit breaker.
    pub breaker: BreakerConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            in_flight_max: 64,
            commands_max: 1024,
            load_rows: 1000,
            call_timeout: Duration::from_mins(1),
            resolve_after: Duration::from_secs(5),
            resolve_tries_max: 5,
            resolve_in_flight_max: 4,
            ledger_retry: Duration::from_secs(1),
            tick: Duration::from_secs(1),
            lanes: LanesConfig::default(),
            pacing: PacingConfig::default(),
            retry: RetryConfig::default(),
            breaker: BreakerConfig::default(),
        }
    }
}
