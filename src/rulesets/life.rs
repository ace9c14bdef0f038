//! The way of a wordlist from draft to live: which moves there are, when a roll-out is halted, what is written about it.
//!
//! The list's own `life` says where it is; a list that is kept in a file cannot be written, so what holds instead stands in
//! its life record, as long as the file says what it said then.

use serde::{Deserialize, Serialize};

use super::Author;
use crate::interception::{Life, Stage, TrialCounts};

/// How a list came to its state: one document a list, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifeRecord {
    /// Who moved it.
    pub author: Author,
    /// Why, in words.
    pub reason: String,
    /// When.
    pub at_ms: i64,
    /// Where it was moved to.
    pub to: Life,
    /// Of a list that is kept in a file: what the file said then. As soon as it says something else, that holds.
    #[serde(default)]
    pub of: Option<Life>,
    /// What was counted when its roll-out was halted; `None` when a person moved it.
    #[serde(default)]
    pub halted: Option<TrialCounts>,
}

/// Says why a list cannot be moved; `None` when it can.
///
/// Back is always possible, and so is shadow to live for whoever needs no stages.
pub fn refusal(from: &Life, to: &Life) -> Option<&'static str> {
    match (from, to) {
        (Life::Draft, Life::Staged(_) | Life::Live) => {
            Some("a draft goes into `shadow` first, so that somebody sees what it hits")
        }
        (Life::Draft, Life::Draft | Life::Shadow)
        | (
            Life::Shadow | Life::Staged(_) | Life::Live,
            Life::Draft | Life::Shadow | Life::Staged(_) | Life::Live,
        ) => None,
    }
}

/// How often a list hit, in 10,000 messages; `None` before the first message.
pub fn hits_per_10k(hit: u64, messages: u64) -> Option<f64> {
    (messages > 0).then(|| as_f64(hit) * 10_000.0 / as_f64(messages))
}

/// What a look at a roll-out comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing can be said yet.
    Early,
    /// As expected: the next window begins.
    Expected,
    /// More or fewer hits than expected.
    Outside,
}

/// Says what a window of messages comes to. Too many hits are too many before the window is full: once there are more than
/// a full one may have, no further message can mend it.
pub fn look(stage: &Stage, messages: u64, hit: u64, messages_min: u64) -> Look {
    let per_10k = |bound: u32, of: u64| u128::from(bound) * u128::from(of);
    let hits = u128::from(hit) * 10_000;
    if hits > per_10k(stage.hits_per_10k_max, messages.max(messages_min)) {
        Look::Outside
    } else if messages < messages_min {
        Look::Early
    } else if hits < per_10k(stage.hits_per_10k_min, messages) {
        Look::Outside
    } else {
        Look::Expected
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people; past 2^53 the last digit does not matter")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_seen_in_shadow_before_it_has_an_effect() {
        let staged = || Life::Staged(Stage { share_percent: 5, hits_per_10k_max: 9, ..Stage::default() });
        let all = || [Life::Draft, Life::Shadow, staged(), Life::Live];
        for (from, reached) in all().into_iter().zip([
            [true, true, false, false],
            [true, true, true, true],
            [true, true, true, true],
            [true, true, true, true],
        ]) {
            assert_eq!(all().map(|to| refusal(&from, &to).is_none()), reached, "{from:?}");
        }
    }

    #[test]
    fn a_roll_out_is_halted_outside_its_band_and_early_when_it_hits_too_much() {
        let stage = Stage { hits_per_10k_min: 2, hits_per_10k_max: 5, ..Stage::default() };
        for (messages, hit, expect) in [
            (0, 0, Look::Early),
            (1, 1, Look::Early),
            (9_999, 5, Look::Early),
            (100, 6, Look::Outside),
            (10_000, 5, Look::Expected),
            (10_000, 6, Look::Outside),
            (10_000, 2, Look::Expected),
            (10_000, 1, Look::Outside),
            (40_000, 20, Look::Expected),
            (40_000, 21, Look::Outside),
            (u64::MAX, u64::MAX, Look::Outside),
        ] {
            assert_eq!(look(&stage, messages, hit, 10_000), expect, "{hit} of {messages}");
        }
        let anything = Stage { hits_per_10k_max: u32::MAX, ..Stage::default() };
        assert_eq!(look(&anything, u64::MAX, u64::MAX, 1), Look::Expected);
        assert_eq!((hits_per_10k(0, 0), hits_per_10k(3, 20_000)), (None, Some(1.5)));
    }
}
