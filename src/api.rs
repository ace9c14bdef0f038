//! The HTTP API for people's tools: everything but the two hot routes, which `ingest` serves.
//!
//! A request goes through [`envelope`] (ids, errors, metric), then through the guard of its route (who, how many, which
//! right), then to a handler: extract, call one domain function, render. All routes stand in [`router`]; conventions are
//! in `docs/API.md`; the OpenAPI document is made from the handlers.
//!
//! Invariants: a handler reaches data only through [`state::Cx`], which needs a caller; what is outside the caller's
//! scope is answered exactly like what does not exist; every write leaves its audit entry in the same commit.

mod accounts;
mod administration;
mod alert_rules;
mod alert_terms;
mod alerts;
mod audiences;
mod audit;
mod body;
mod broadcasts;
mod cases;
mod checks;
mod conduct;
mod deliveries;
mod duty;
mod endpoints;
mod envelope;
mod error;
mod evidence;
mod group_life;
mod group_policy;
mod groups;
mod guard;
mod holds;
mod idempotency;
mod intake;
mod interception;
mod journeys;
mod kicks;
mod letters;
mod members;
mod moderate;
mod moment;
mod ndjson;
mod notices;
mod openapi;
mod operators;
mod outbound;
mod page;
mod places;
mod platform_numbers;
pub mod ports;
mod promises;
mod protection;
mod questions;
mod removals;
mod replays;
mod replies;
mod reports;
mod results;
mod reviews;
mod router;
mod rules;
mod rulesets;
mod scoped;
mod sheet;
mod state;
mod statistics;
mod stream;
mod templates;
#[cfg(test)]
mod tests;
mod tokens;
mod variables;
mod verdicts;
mod wordlist_life;
mod wordlist_numbers;

use std::time::Duration;

use serde::Deserialize;

pub use accounts::connector_spec;
pub use error::{ApiError, Code, Problem};
pub(crate) use members::group_of;
pub use openapi::document;
pub use ports::{Draft, House, Reloaded};
pub use router::{local_router, router};
pub use state::{App, Parts};

/// Limits of the API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bytes of a JSON body, decoded.
    #[serde(deserialize_with = "crate::units::de_size")]
    pub body_bytes_max: usize,
    /// Bytes of an NDJSON import, decoded.
    #[serde(deserialize_with = "crate::units::de_size")]
    pub import_bytes_max: usize,
    /// Lines of an NDJSON import.
    pub import_lines_max: usize,
    /// Bytes of a text that `POST /v1/moderate` judges.
    #[serde(deserialize_with = "crate::units::de_size")]
    pub moderate_text_bytes_max: usize,
    /// Time a client has to send a body.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub body_timeout: Duration,
    /// Rows of a page when the client names no number.
    pub page_rows_default: usize,
    /// Most rows of a page.
    pub page_rows_max: usize,
    /// Most rows of a statistics answer.
    pub statistics_rows_max: usize,
    /// Most days of groups that one question about figures looks at: its groups times the days it asks for.
    pub statistics_group_days_max: u64,
    /// Streams that may be open at a time.
    pub streams_max: usize,
    /// Most dead letters that one request tries again.
    pub replay_rows_max: usize,
    /// How long an answer is kept under its `Idempotency-Key`.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub idempotency_ttl: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            body_bytes_max: 1 << 20,
            import_bytes_max: 32 << 20,
            import_lines_max: 50_000,
            moderate_text_bytes_max: 64 << 10,
            body_timeout: Duration::from_secs(15),
            page_rows_default: 100,
            page_rows_max: 1_000,
            statistics_rows_max: 1_000,
            statistics_group_days_max: 3_000_000,
            streams_max: 64,
            replay_rows_max: 100_000,
            idempotency_ttl: Duration::from_hours(24),
        }
    }
}
