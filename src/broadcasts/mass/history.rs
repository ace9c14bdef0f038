//! How long an owner takes to confirm, and what that lets us say about the finish. Layer: pure core.

use serde::{Deserialize, Serialize};

/// An owner's latest delays between a task and its confirmation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct History {
    /// In seconds, oldest first.
    delays_s: Vec<u32>,
}

impl History {
    /// Takes one more in and forgets the oldest above `max`.
    pub(super) fn add(&mut self, delay_ms: i64, max: usize) {
        let delay_s = u32::try_from(delay_ms.max(0) / 1000).unwrap_or(u32::MAX);
        self.delays_s.push(delay_s);
        let too_many = self.delays_s.len().saturating_sub(max.max(1));
        self.delays_s.drain(..too_many);
    }

    /// Returns the median and the ninetieth percentile, in milliseconds; `None` without any.
    pub(super) fn usual_ms(&self) -> Option<(i64, i64)> {
        let mut sorted = self.delays_s.clone();
        sorted.sort_unstable();
        // The least delay that at least so many percent are not above.
        let rank = |percent: usize| (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        let at = |percent| sorted.get(rank(percent)).map(|delay_s| i64::from(*delay_s) * 1000);
        at(50).zip(at(90))
    }
}

/// Returns the range in which the last of these owners has probably confirmed: each as the time its task was created and
/// its owner's usual delays. `None` when there is none, or one of them has no history: then nobody can say.
pub(super) fn finish(
    waiting: impl Iterator<Item = (i64, Option<(i64, i64)>)>,
    now_ms: i64,
) -> Option<(i64, i64)> {
    let mut range = None;
    for (created_ms, usual) in waiting {
        let (median, most) = usual?;
        let (from, to) = range.unwrap_or((now_ms, now_ms));
        range = Some((from.max(created_ms + median), to.max(created_ms + most)));
    }
    range
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(delays_s: &[i64]) -> History {
        let mut history = History::default();
        for delay_s in delays_s {
            history.add(delay_s * 1000, 10);
        }
        history
    }

    #[test]
    fn percentiles_are_delays_that_happened() {
        for (delays_s, usual) in [
            (vec![], None),
            (vec![60], Some((60_000, 60_000))),
            (vec![300, 100], Some((100_000, 300_000))),
            (vec![5, 1, 4, 2, 3, 9, 8, 7, 6, 10], Some((5_000, 9_000))),
            // The oldest ten are forgotten.
            ((0..20).collect(), Some((14_000, 18_000))),
            (vec![-5], Some((0, 0))),
        ] {
            assert_eq!(history(&delays_s).usual_ms(), usual, "{delays_s:?}");
        }
    }

    #[test]
    fn the_last_owner_decides_and_one_without_history_makes_it_unknown() {
        let some = [(0, Some((10, 20))), (5, Some((1, 90)))];
        assert_eq!(finish(some.into_iter(), 0), Some((10, 95)));
        assert_eq!(finish(some.into_iter(), 50), Some((50, 95)), "what is overdue comes from now on");
        assert_eq!(finish([(0, Some((10, 20))), (0, None)].into_iter(), 0), None);
        assert_eq!(finish(std::iter::empty(), 0), None);
    }
}
