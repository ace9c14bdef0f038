//! How long an owner takes to confirm, and what that lets us say about the finish. Who never confirmed takes as long as we
//! wait: a task is over when it is called off, so no range goes past that. Of an owner without a past the others' is taken,
//! or a guess, and how many of those there are is told beside the range. Layer: pure core.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The delay of who did not confirm.
pub(super) const NEVER: i64 = i64::MAX;

/// A task whose confirmation is waited for.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) created_ms: i64,
    /// It is called off then.
    pub(super) until_ms: i64,
    /// Its owner's past delays in seconds, or what is taken for them; never empty.
    pub(super) delays_s: Arc<[u32]>,
}

/// What is taken for an owner's past where nobody's is known, in seconds. Nothing was measured yet, so it promises little: half
/// have confirmed by the first reminder (`remind_after`, 2 h), most within a day, and one of ten never does, which makes the
/// late end of a range over many such owners the time at which their tasks are called off.
const GUESS_S: [u32; 10] = [300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600, 86_400, u32::MAX];

/// Fewer delays than this say less than the guess does: a day's worth of one diligent owner is nobody else's past.
const KNOWN_MIN: usize = 10;

/// Delays that stand for the past of all owners: as many as an owner's own (`history_max`), evenly taken from all.
const KNOWN_MAX: usize = 32;

/// Returns what is taken for the past of an owner who has none: that of the others, or a guess where they have little.
pub(super) fn taken_for_unknown<'a>(known: impl Iterator<Item = &'a [u32]>) -> Arc<[u32]> {
    let mut all: Vec<u32> = known.flatten().copied().collect();
    if all.len() < KNOWN_MIN {
        return GUESS_S.into();
    }
    all.sort_unstable();
    let parts = all.len().min(KNOWN_MAX);
    (0..parts).filter_map(|part| all.get((2 * part + 1) * all.len() / (2 * parts))).copied().collect()
}

/// An owner's latest delays between a task and its confirmation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct History {
    /// In seconds, oldest first.
    delays_s: Vec<u32>,
}

impl History {
    /// Takes one more in and forgets the oldest above `max`. [`NEVER`] for an owner who did not confirm, however long that
    /// time was waited: the next wait may be another one.
    pub(super) fn add(&mut self, delay_ms: i64, max: usize) {
        let delay_s = u32::try_from(delay_ms.max(0) / 1000).unwrap_or(u32::MAX);
        self.delays_s.push(delay_s);
        let too_many = self.delays_s.len().saturating_sub(max.max(1));
        self.delays_s.drain(..too_many);
    }

    /// Returns the delays, in seconds; `None` without any.
    pub(super) fn delays_s(self) -> Option<Arc<[u32]>> {
        (!self.delays_s.is_empty()).then(|| self.delays_s.into())
    }
}

/// Returns until when all of these tasks are confirmed or called off with a chance of one half, and of nine tenths: each at the
/// time it was created and one of its owner's past delays, any of those that are still possible being as probable as the others. The
/// last of four thousand owners takes as long as the slowest ever do, whatever is usual. `None` when there is none.
pub(super) fn finish(waiting: impl Iterator<Item = Waiting>, now_ms: i64) -> Option<(i64, i64)> {
    /// Sums of logarithms of shares that should come to a bound are that close to it.
    const ROUNDING: f64 = 1e-6;
    // At each moment the chance of one task grows from k - 1 of n to k of n: as logarithms, since the chances multiply.
    let (mut steps, mut impossible): (Vec<(i64, bool, f64)>, usize) = (Vec::new(), 0);
    for Waiting { created_ms, until_ms, delays_s } in waiting {
        let end = |delay_s: &u32| until_ms.min(created_ms.saturating_add(i64::from(*delay_s) * 1000));
        let mut ends: Vec<i64> = delays_s.iter().map(end).filter(|end_ms| *end_ms > now_ms).collect();
        if ends.is_empty() {
            ends.push(now_ms); // it took longer than ever: any moment now
        }
        ends.sort_unstable();
        let n = f64::from(u32::try_from(ends.len()).unwrap_or(u32::MAX));
        impossible += 1;
        let grown = |k: u32| if k == 1 { -n.ln() } else { (f64::from(k) / f64::from(k - 1)).ln() };
        steps.extend((1..).zip(ends).map(|(k, end_ms)| (end_ms, k == 1, grown(k))));
    }
    steps.sort_unstable_by_key(|(end_ms, ..)| *end_ms);
    let (mut chance, mut from) = (0.0_f64, None);
    for (end_ms, is_first, grown) in steps {
        impossible -= usize::from(is_first);
        chance += grown;
        if impossible == 0 && chance >= 0.5_f64.ln() - ROUNDING {
            let from = *from.get_or_insert(end_ms);
            if chance >= 0.9_f64.ln() - ROUNDING {
                return Some((from, end_ms));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(delays_s: &[i64]) -> Arc<[u32]> {
        let mut history = History::default();
        for delay_s in delays_s {
            history.add(delay_s * 1000, 10);
        }
        history.delays_s().unwrap()
    }

    fn finish_s(waiting: &[(i64, &[i64])], now_s: i64) -> Option<(i64, i64)> {
        finish_until_s(waiting, i64::MAX / 1000, now_s)
    }

    fn finish_until_s(waiting: &[(i64, &[i64])], until_s: i64, now_s: i64) -> Option<(i64, i64)> {
        let waiting = waiting.iter().map(|(created_s, delays_s)| Waiting {
            created_ms: created_s * 1000,
            until_ms: until_s * 1000,
            delays_s: delays(delays_s),
        });
        finish(waiting, now_s * 1000).map(|(from_ms, to_ms)| (from_ms / 1000, to_ms / 1000))
    }

    #[test]
    fn one_owners_range_is_of_delays_that_happened() {
        for (delays_s, range) in [
            (vec![60], Some((60, 60))),
            (vec![300, 100], Some((100, 300))),
            (vec![5, 1, 4, 2, 3, 9, 8, 7, 6, 10], Some((5, 9))),
            // The oldest ten are forgotten.
            ((0..20).collect(), Some((14, 18))),
            (vec![-5], Some((0, 0))),
        ] {
            assert_eq!(finish_s(&[(0, &delays_s)], -1), range, "{delays_s:?}");
        }
    }

    #[test]
    fn of_many_owners_the_slowest_decides() {
        let usual: &[i64] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 100];
        assert_eq!(finish_s(&[(0, usual)], 0), Some((5, 9)));
        assert_eq!(finish_s(&[(0, usual), (0, usual)], 0), Some((8, 100)), "0.8 * 0.8 is more than half");
        assert_eq!(finish_s(&vec![(0, usual); 4_000], 0), Some((100, 100)));
        assert_eq!(finish_s(&[(0, &[10, 20]), (5, &[1, 90])], 0), Some((20, 95)));
    }

    #[test]
    fn what_has_not_happened_yet_is_left_out() {
        assert_eq!(finish_s(&[(0, &[1, 2, 3, 40, 50])], 10), Some((40, 50)));
        assert_eq!(finish_s(&[(0, &[10, 20])], 50), Some((50, 50)), "what is overdue comes from now on");
        assert_eq!(finish_s(&[], 0), None);
    }

    #[test]
    fn who_never_confirms_takes_until_it_is_called_off() {
        let never = NEVER / 1000;
        assert_eq!(finish_until_s(&[(0, &[never])], 70, 0), Some((70, 70)));
        assert_eq!(finish_until_s(&[(0, &[never])], 700, 0), Some((700, 700)), "another wait, another end");
        assert_eq!(finish_until_s(&[(0, &[10, never])], 70, 0), Some((10, 70)));
        assert_eq!(finish_until_s(&[(0, &[10, 300])], 70, 0), Some((10, 70)), "nor does who would be later");
        assert_eq!(finish_until_s(&[(0, &[10, 20])], 70, 0), Some((10, 20)));
        assert_eq!(finish_until_s(&[(0, &[never])], 70, 80), Some((80, 80)), "overdue: any moment now");
    }

    #[test]
    fn of_who_is_unknown_the_others_past_is_taken_or_a_guess_and_no_range_goes_past_the_end() {
        let guessed = taken_for_unknown([[60_u32, 70].as_slice()].into_iter());
        assert_eq!(*guessed, GUESS_S, "two delays say nothing");
        let waiting = |delays_s: &Arc<[u32]>| Waiting {
            created_ms: 0,
            until_ms: 40 * 3_600_000,
            delays_s: delays_s.clone(),
        };
        let range_of = |delays_s: &Arc<[u32]>, owners: usize| {
            finish((0..owners).map(|_| waiting(delays_s)), 0).map(|(from, to)| (from / 1000, to / 1000))
        };
        assert_eq!(range_of(&guessed, 1), Some((7_200, 86_400)));
        assert_eq!(
            range_of(&guessed, 4_000),
            Some((144_000, 144_000)),
            "some never do: until it is called off"
        );
        let others: Vec<u32> = (1..=100).collect();
        let taken = taken_for_unknown([others.as_slice(), &[101, 102]].into_iter());
        assert_eq!(taken.len(), KNOWN_MAX);
        assert!(taken.is_sorted() && taken[0] <= 3 && taken[KNOWN_MAX - 1] >= 99, "{taken:?}");
        assert_eq!(range_of(&taken, 1).map(|(from, _)| (45..=58).contains(&from)), Some(true));
    }

    /// The product of the shares by the plainest way, at every moment.
    #[test]
    fn the_chance_is_the_product_of_each_owners() {
        let owners: [(i64, &[i64]); 3] = [(0, &[5, 9, 30]), (3, &[1, 1, 20, 21]), (7, &[2, 8, 8, 8, 40])];
        let share = |at_s: i64| -> f64 {
            let of = |(created_s, delays_s): &(i64, &[i64])| {
                let by_then =
                    delays_s.iter().map(|delay_s| u32::from(created_s + *delay_s <= at_s)).sum::<u32>();
                f64::from(by_then) / f64::from(u32::try_from(delays_s.len()).unwrap())
            };
            owners.iter().map(of).product()
        };
        let first = |chance: f64| (0..100).find(|at_s| share(*at_s) >= chance - 1e-9);
        assert_eq!(finish_s(&owners, 0), first(0.5).zip(first(0.9)));
    }
}
