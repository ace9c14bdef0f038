//! What subscribers are told: state changes, numbered in the order in which they were committed.
//!
//! A change is written in the commit that makes it, and only while there is an endpoint to be told. Calls under way and
//! retries are none: what is told is where something came to stand. Numbers have no gap: what is rolled back takes its number
//! back with it. A restored backup goes on with higher ones than the lost ledger can have given out.

use serde::{Deserialize, Serialize};

/// What changed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// One thing that is sent.
    Delivery,
    /// A broadcast.
    Broadcast,
}

impl Subject {
    /// Returns the spelling on disk and in what is told.
    pub fn as_str(self) -> &'static str {
        match self {
            Subject::Delivery => "delivery",
            Subject::Broadcast => "broadcast",
        }
    }

    /// Reads the spelling on disk.
    pub fn parse(word: &str) -> Option<Self> {
        [Subject::Delivery, Subject::Broadcast].into_iter().find(|subject| subject.as_str() == word)
    }
}

/// One change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// Its number; 0 until stored. Numbers are never used again.
    pub seq: u64,
    /// When.
    pub at_ms: i64,
    /// What changed.
    pub subject: Subject,
    /// The delivery's id, or the broadcast's.
    pub id: String,
    /// The broadcast; empty for none.
    pub broadcast: String,
    /// The target's number in its broadcast.
    pub target: u32,
    /// Account; empty for a broadcast.
    pub account: String,
    /// Group.
    pub group: String,
    /// Kind of the delivery.
    pub kind: String,
    /// Where it stands.
    pub state: String,
    /// Calls made.
    pub attempts: u32,
    /// The last answer's code.
    pub code: String,
    /// The platform's id.
    pub platform_id: String,
}

impl StatusChange {
    /// A broadcast came to a state.
    pub fn broadcast(id: &str, state: &str, at_ms: i64) -> Self {
        Self {
            seq: 0,
            at_ms,
            subject: Subject::Broadcast,
            id: id.to_owned(),
            broadcast: id.to_owned(),
            target: 0,
            account: String::new(),
            group: String::new(),
            kind: String::new(),
            state: state.to_owned(),
            attempts: 0,
            code: String::new(),
            platform_id: String::new(),
        }
    }
}

/// Which changes are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusSpan {
    /// The first that is kept; one more than `last` when none is.
    pub first: u64,
    /// The last there ever was.
    pub last: u64,
}
