//! What the sandbox was asked to do: a ring that forgets its oldest entries.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::Serialize;

use crate::event::{AccountId, ActionKind, DeliveryId};
use crate::outbox::delivery::Resolution;

/// One thing the sandbox was asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SandboxSend {
    /// Counts all that was ever recorded, from 1: where to go on reading.
    pub seq: u64,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Through which account.
    pub account: AccountId,
    /// Which delivery.
    pub delivery: DeliveryId,
    /// Which attempt of it, from 1.
    pub attempt: u32,
    /// To which group; empty for a one-to-one welcome.
    pub group: String,
    /// About or to which member.
    pub member: Option<String>,
    /// `broadcast`, `reply`, `welcome`, … or an action's kind.
    pub kind: String,
    /// The text, where something was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The action, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionKind>,
    /// The message it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// The record of all sandbox accounts: a ring that forgets its oldest entries.
#[derive(Debug)]
pub struct SandboxLog {
    sends_max: usize,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    sends: VecDeque<SandboxSend>,
    recorded: u64,
}

impl SandboxLog {
    /// Makes an empty record of at most `sends_max` entries.
    pub fn new(sends_max: usize) -> Self {
        Self { sends_max, ring: Mutex::default() }
    }

    /// Returns up to `limit` entries after `seq`, oldest first. A gap in the numbers is what was forgotten.
    pub fn recent(&self, after: u64, limit: usize) -> Vec<SandboxSend> {
        let ring = self.ring.lock();
        let first = ring.sends.partition_point(|send| send.seq <= after);
        ring.sends.range(first..).take(limit).cloned().collect()
    }

    /// Returns how much was ever recorded: the `seq` of the newest entry.
    pub fn recorded(&self) -> u64 {
        self.ring.lock().recorded
    }

    pub(super) fn record(&self, mut send: SandboxSend) -> u64 {
        let mut ring = self.ring.lock();
        ring.recorded += 1;
        send.seq = ring.recorded;
        ring.sends.push_back(send);
        if ring.sends.len() > self.sends_max {
            ring.sends.pop_front();
        }
        ring.recorded
    }

    pub(super) fn resolve(&self, delivery: &DeliveryId) -> Resolution {
        let ring = self.ring.lock();
        if ring.sends.iter().any(|send| send.delivery == *delivery) {
            Resolution::Sent
        } else if ring.recorded == ring.sends.len() as u64 {
            // Nothing was forgotten, and a record is the only thing a send to the sandbox ever leaves.
            Resolution::NotSent
        } else {
            Resolution::Unknown
        }
    }
}
