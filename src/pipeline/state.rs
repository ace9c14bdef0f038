//! What one partition remembers between events: ids seen, recent message times, small durable state.
//!
//! It is a function of the effects applied to it, in order, and of nothing else: applied when an event is decided,
//! applied again from the journal at start. Only what members said last is not: it lives in memory, for minutes.

mod small;

use crate::conduct::Floods;
use crate::dedupe::{self, Dedupe};
use crate::event::{Effects, Fact, Status};
use crate::interception::Recent;
use crate::questions::Waits;
use crate::replies::Answers;

pub use small::Small;

/// One partition's memory.
#[derive(Debug, Default)]
pub struct PartitionState {
    /// Ids seen.
    pub dedupe: Dedupe,
    /// Recent message times of members.
    pub floods: Floods,
    /// What was said lately, and to whom.
    pub answers: Answers,
    /// Which questions wait for staff.
    pub waits: Waits,
    /// Cooldowns and their kin.
    pub small: Small,
    /// What members said last, for rules over several messages: never written anywhere, empty after a start.
    pub recent: Recent,
}

impl PartitionState {
    /// Takes in what an event caused. Applying the same effects again changes nothing, but for the windows of floods and
    /// answers, which a start fills only once.
    pub fn apply(&mut self, effects: &Effects<'_>) {
        let head = &effects.head;
        if head.status == Status::Counted {
            self.dedupe.insert(head.key, dedupe::bucket_of(head.at_ms));
        }
        self.floods.observe(effects);
        self.answers.observe(effects);
        self.waits.observe(effects);
        for fact in &effects.facts {
            if let Fact::State(state) = fact {
                self.small.set(state.kind, &state.key, state.value.as_deref(), state.expires_ms);
            }
        }
    }

    /// Drops what has expired.
    pub fn sweep(&mut self, now_ms: i64, oldest_bucket: u32) {
        self.dedupe.forget_before(oldest_bucket);
        self.floods.sweep(now_ms);
        self.answers.sweep(now_ms);
        self.waits.sweep(now_ms);
        self.small.sweep(now_ms);
        self.recent.sweep(now_ms);
    }
}
