//! What subscribers are told: state changes and what staff should hear of, numbered in the order in which they were
//! committed.
//!
//! A change is written in the commit that makes it; one of a delivery only while there is an endpoint to be told. Calls under
//! way and retries are none: what is told is where something came to stand. Numbers have no gap: what is rolled back takes its number
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
    /// A member of a group.
    Member,
    /// A member's talk with us in a group.
    Conversation,
    /// A question of a customer.
    Question,
    /// The same advert in many groups.
    Case,
    /// Something that is not as it should be, until it is again.
    Alert,
}

impl Subject {
    /// All of them, in the order of this page.
    pub const ALL: [Subject; 7] = [
        Subject::Delivery,
        Subject::Broadcast,
        Subject::Member,
        Subject::Conversation,
        Subject::Question,
        Subject::Case,
        Subject::Alert,
    ];

    /// Returns the spelling on disk and in what is told.
    pub fn as_str(self) -> &'static str {
        match self {
            Subject::Delivery => "delivery",
            Subject::Broadcast => "broadcast",
            Subject::Member => "member",
            Subject::Conversation => "conversation",
            Subject::Question => "question",
            Subject::Case => "case",
            Subject::Alert => "alert",
        }
    }

    /// Says whether it stands in one state after another, so that being told the same again is no news. Of the others each
    /// change is told once, by whoever writes it.
    pub fn stands(self) -> bool {
        match self {
            Subject::Delivery | Subject::Broadcast => true,
            Subject::Member | Subject::Conversation | Subject::Question | Subject::Case | Subject::Alert => {
                false
            }
        }
    }

    /// Reads the spelling on disk.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.as_str() == word)
    }
}

/// The state that a case is told to be in when a person has decided about it.
pub const CASE_DECIDED: &str = "decided";

/// One change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// Its number; 0 until stored. Numbers are never used again.
    pub seq: u64,
    /// When.
    pub at_ms: i64,
    /// What changed.
    pub subject: Subject,
    /// The delivery's id, the broadcast's, or that of what happened.
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
    /// What else staff should know, as a JSON object of ids and counts; empty for none.
    pub context: String,
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
            context: String::new(),
        }
    }

    /// Something happened of which staff should hear; told once, under its own id.
    pub fn happened(
        subject: Subject,
        state: &str,
        id: String,
        at_ms: i64,
        (account, group): (&str, &str),
        context: &serde_json::Value,
    ) -> Self {
        Self {
            subject,
            id,
            broadcast: String::new(),
            account: account.to_owned(),
            group: group.to_owned(),
            context: context.to_string(),
            ..Self::broadcast("", state, at_ms)
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
