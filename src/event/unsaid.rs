//! What does not count after all: messages that were never seen or taken back, hits that were wrong.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A message of the event's member that does not count as activity, or does again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsaidFact {
    /// The hour it was said in, counted from the epoch.
    pub hour: u32,
    /// By whom it was taken away.
    pub by: UnsaidBy,
    /// It counts again: a person found that the verdict was wrong.
    pub undone: bool,
}

/// Hits that a person found to be wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverturnedFact<'a> {
    /// The hour the message was said in, counted from the epoch.
    pub hour: u32,
    /// Their wordlists, each as often as it hit.
    #[serde(borrow)]
    pub wordlists: Vec<Cow<'a, str>>,
}

/// By whom a message was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnsaidBy {
    /// By us: blocked before members saw it.
    Us,
    /// By a member on the platform.
    Member,
}
