//! Who was told of an alert and who sees to it: the same for one fact and for a storm.

use serde::{Deserialize, Serialize};

use super::config::{Config, Step, gap_ms, millis};
use super::notice::{Acknowledged, Assigned};

/// Whether people were told that it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Told {
    /// Nobody is: a storm is told of instead.
    #[default]
    No,
    /// They will be: the place among held notices.
    Held((i64, u64)),
    /// They were.
    Yes,
}

/// Who was told and who sees to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Care {
    pub(super) told: Told,
    /// Steps that were taken.
    pub(super) steps: usize,
    /// When the next one is due. It moves on by the time that does not count, so that nobody is passed over who had no time
    /// to answer: acknowledged, in quiet hours, while the gateway was down.
    next_ms: i64,
    pub(super) acknowledged: Option<Acknowledged>,
    pub(super) assigned: Option<Assigned>,
}

impl Care {
    /// People are told now.
    pub(super) fn tell(&mut self, steps: &[Step], now_ms: i64) {
        self.told = Told::Yes;
        let from_ms = self.acknowledged.as_ref().map_or(now_ms, |known| known.until_ms.max(now_ms));
        self.next_ms = from_ms.saturating_add(gap_ms(steps, self.steps));
    }

    /// A step is taken now.
    pub(super) fn step(&mut self, steps: &[Step], now_ms: i64) {
        self.steps += 1;
        self.next_ms = now_ms.saturating_add(gap_ms(steps, self.steps));
    }

    /// The next step waits.
    pub(super) fn wait(&mut self, until_ms: i64) {
        self.next_ms = until_ms;
    }

    /// Says when the next step is due, if there is one.
    pub(super) fn due_ms(&self, steps: &[Step]) -> Option<i64> {
        let is_told = match self.told {
            Told::Yes => true,
            Told::No | Told::Held(_) => false,
        };
        let until_ms = self.acknowledged.as_ref().map_or(i64::MIN, |acknowledged| acknowledged.until_ms);
        (is_told && self.steps < steps.len()).then(|| self.next_ms.max(until_ms))
    }

    /// Notes that somebody knows of it; says whether that is news.
    pub(super) fn acknowledge(&mut self, config: &Config, by: String, at_ms: i64) -> bool {
        if self.acknowledged.as_ref().is_some_and(|known| known.at_ms >= at_ms) {
            return false;
        }
        let until_ms = at_ms.saturating_add(millis(config.ack_lasts));
        let from_ms = self.acknowledged.as_ref().map_or(at_ms, |before| before.until_ms.max(at_ms));
        self.next_ms = self.next_ms.saturating_add(until_ms.saturating_sub(from_ms).max(0));
        self.acknowledged = Some(Acknowledged { by, at_ms, until_ms });
        true
    }

    /// Notes who is to see to it; says whether that is somebody new.
    pub(super) fn assign(&mut self, to: &str, at_ms: i64) -> bool {
        if self.assigned.as_ref().is_some_and(|known| known.at_ms >= at_ms) {
            return false;
        }
        let is_new = self.assigned.as_ref().is_none_or(|known| known.to != to);
        self.assigned = Some(Assigned { to: to.to_owned(), at_ms });
        is_new
    }
}
