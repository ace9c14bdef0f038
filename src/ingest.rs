//! The way in: bytes become authenticated events, events become effects, effects become durable, then we answer.
//!
//! [`server`] speaks HTTP, [`events`] and [`callback`] are the two hot routes, [`batch`] takes bodies apart,
//! [`partitions`] drives the pipeline. Order of refusal: connection, bytes in memory, token, work permit; only then is
//! anything decoded.

pub mod batch;
pub mod body;
pub mod callback;
pub mod events;
pub mod load;
pub mod partitions;
pub mod reply;
pub mod server;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use partitions::Partitions;

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
