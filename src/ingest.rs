//! The way in: bytes become authenticated events, events become effects, effects become durable, then we answer.
//!
//! [`server`] speaks HTTP, [`events`] and [`callback`] are the two hot routes, [`batch`] takes bodies apart,
//! [`partitions`] drives the pipeline; `asking` meets the verdict hook; `sink` takes what
//! connectors find out by themselves, `due` what was put off until now, `expelling` whom a person takes out; `punished` shows
//! what members did; `hearing` lets words be counted, `tallying` what happens by region. Order of refusal: connection, bytes in memory, token, work permit; only then is
//! anything decoded.

mod asking;
pub mod batch;
pub mod body;
pub mod callback;
mod due;
pub mod events;
mod expelling;
mod hearing;
mod keeping;
pub mod load;
pub mod partitions;
mod punished;
pub mod reply;
pub mod server;
mod sink;
mod tallying;
#[cfg(test)]
mod testing;
mod travelling;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::access::Access;
use crate::clock::Clock;
use crate::conduct::budget::Spent;
use crate::connectors::Connectors;
use crate::directory::Directory;
use crate::event::json::ParseLimits;
use crate::evidence::Evidence;
use crate::fleet::kicks::Kicks;
use crate::hook::Hook;
use crate::outbox::Outbox;
use crate::pipeline::Rules;
use crate::statistics::listener::Listener;
use crate::tasks::Tasks;

pub use partitions::Partitions;
pub use punished::Allowance;

/// Limits of the way in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Open connections; above it new ones are closed at once.
    pub connections_max: usize,
    /// Requests that may be worked on at once; above it the answer is 503.
    pub in_flight_max: usize,
    /// Bytes of all request bodies in memory at once; above it the answer is 503.
    #[serde(with = "crate::units::size")]
    pub in_flight_bytes_max: usize,
    /// Bytes of one body as sent.
    #[serde(with = "crate::units::size")]
    pub body_bytes_max: usize,
    /// Bytes of one body after gzip is undone.
    #[serde(with = "crate::units::size")]
    pub decoded_bytes_max: usize,
    /// Bytes of one NDJSON line, or of one element of an array.
    #[serde(with = "crate::units::size")]
    pub line_bytes_max: usize,
    /// Bytes of one message's text.
    #[serde(with = "crate::units::size")]
    pub text_bytes_max: usize,
    /// Events of one request.
    pub batch_events_max: usize,
    /// Time a client has to send its request's headers.
    #[serde(with = "crate::units::duration")]
    pub header_timeout: Duration,
    /// Time a client has to send its request's body.
    #[serde(with = "crate::units::duration")]
    pub body_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            in_flight_max: 1_024,
            in_flight_bytes_max: 256 << 20,
            body_bytes_max: 8 << 20,
            decoded_bytes_max: 32 << 20,
            line_bytes_max: 64 << 10,
            text_bytes_max: 16 << 10,
            batch_events_max: 10_000,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(15),
        }
    }
}

/// Everything the two hot routes need. One per process.
pub struct Ingest {
    config: Config,
    parse_limits: ParseLimits,
    /// Value of the `RateLimit-Policy` header.
    policy_header: HeaderValue,
    /// Requests that may be worked on at once.
    permits: Semaphore,
    /// Bytes that all bodies may take at once.
    memory: Semaphore,
    partitions: Partitions,
    rules: Arc<ArcSwap<Rules>>,
    access: Arc<Access>,
    directory: Arc<Directory>,
    connectors: Arc<Connectors>,
    outbox: Arc<Outbox>,
    evidence: Arc<Evidence>,
    hook: Option<Hook>,
    kicks: Arc<Kicks>,
    listener: Arc<Listener>,
    /// What ladders have spent of their budgets.
    spent: Mutex<Spent>,
    clock: Clock,
    tasks: Tasks,
}

/// What [`Ingest::new`] connects.
pub struct Parts {
    /// The partitions of this node.
    pub partitions: Partitions,
    /// What decides; swapped whole.
    pub rules: Arc<ArcSwap<Rules>>,
    /// Who may bring events.
    pub access: Arc<Access>,
    /// Accounts, shops, groups.
    pub directory: Arc<Directory>,
    /// Platforms.
    pub connectors: Arc<Connectors>,
    /// Where sends go after the commit.
    pub outbox: Arc<Outbox>,
    /// Where texts go that are to be kept.
    pub evidence: Arc<Evidence>,
    /// Who else judges messages.
    pub hook: Option<Hook>,
    /// Who is kept out of groups.
    pub kicks: Arc<Kicks>,
    /// Who counts words.
    pub listener: Arc<Listener>,
    /// Time.
    pub clock: Clock,
    /// Background work.
    pub tasks: Tasks,
}

impl Ingest {
    /// Connects the way in.
    pub fn new(config: Config, parts: Parts) -> Self {
        let policy = parts.access.request_policy();
        Self {
            parse_limits: parse_limits(&config),
            policy_header: HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("\"requests\"")),
            permits: Semaphore::new(config.in_flight_max),
            memory: Semaphore::new(config.in_flight_bytes_max.min(Semaphore::MAX_PERMITS)),
            spent: Mutex::new(punished::spent(&parts.partitions)),
            partitions: parts.partitions,
            rules: parts.rules,
            access: parts.access,
            directory: parts.directory,
            connectors: parts.connectors,
            outbox: parts.outbox,
            evidence: parts.evidence,
            hook: parts.hook,
            kicks: parts.kicks,
            listener: parts.listener,
            clock: parts.clock,
            tasks: parts.tasks,
            config,
        }
    }
}

/// The limits both doors hold events to: ours, and the connectors' for callbacks.
pub fn parse_limits(config: &Config) -> ParseLimits {
    ParseLimits { text_bytes_max: config.text_bytes_max, ..ParseLimits::default() }
}
