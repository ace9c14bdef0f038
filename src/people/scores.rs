//! Recency, frequency and monetary value as scores from 1 to 5: quintiles among customers. Layer: pure core.
//!
//! Among whom: the customers who are now in the groups that are asked for, one for each group they are in. A score is 1 and
//! the fifths of them that come strictly before: equals have equal scores, and 5 is the best. Recency asks for the last
//! day they spoke in the group, frequency on how many of the last 90 days they did, monetary for the imported value; what
//! is not known has no score.

use super::rule::{Facts, LOOKBACK_DAYS, Sight};
use crate::event::Role;

/// Days ago from 0 to the look-back; after them a place for who did not speak in it.
const PLACES: usize = LOOKBACK_DAYS as usize + 2;

/// Scores of a member in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// How lately they spoke.
    pub recency: Option<u8>,
    /// On how many days.
    pub frequency: Option<u8>,
    /// What they are worth.
    pub monetary: Option<u8>,
}

/// Counts among whom scores are given. Bounded by the look-back, but for values: one number each.
#[derive(Clone, Debug)]
pub struct Tally {
    recency: [u64; PLACES],
    frequency: [u64; PLACES],
    values: Vec<i64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { recency: [0; PLACES], frequency: [0; PLACES], values: Vec::new() }
    }
}

fn days_ago(who: &Facts, sight: &Sight) -> usize {
    let last = who.spoke_days.last().map(|last| sight.today.saturating_sub(*last).max(0));
    last.and_then(|ago| usize::try_from(ago).ok()).unwrap_or(PLACES).min(PLACES - 1)
}

fn days_spoken(who: &Facts, sight: &Sight) -> usize {
    who.days_spoken(sight.today - i32::from(LOOKBACK_DAYS) + 1, sight.today).min(PLACES - 1)
}

impl Tally {
    /// Counts a member; staff, bots and who is gone do not count.
    pub fn add(&mut self, who: &Facts, sight: &Sight, value: Option<i64>) {
        if who.role != Role::Customer || !who.present {
            return;
        }
        if sight.seen {
            self.recency[days_ago(who, sight)] += 1;
            self.frequency[days_spoken(who, sight)] += 1;
        }
        self.values.extend(value);
    }

    /// Ends the counting.
    #[must_use]
    pub fn counted(mut self) -> Self {
        self.values.sort_unstable();
        self
    }

    /// Scores a member among those who were counted.
    pub fn scores(&self, who: &Facts, sight: &Sight, value: Option<i64>) -> Scores {
        if who.role != Role::Customer || !who.present {
            return Scores::default();
        }
        let sum = |places: &[u64]| places.iter().sum::<u64>();
        let all = sum(&self.recency);
        let (ago, days) = (days_ago(who, sight), days_spoken(who, sight));
        let worse = |value: i64| self.values.partition_point(|other| *other < value) as u64;
        Scores {
            recency: sight.seen.then(|| fifth(sum(&self.recency[ago + 1..]), all)),
            frequency: sight.seen.then(|| fifth(sum(&self.frequency[..days]), all)),
            monetary: value.map(|value| fifth(worse(value), self.values.len() as u64)),
        }
    }
}

fn fifth(worse: u64, all: u64) -> u8 {
    let fifths = worse.saturating_mul(5).checked_div(all).unwrap_or(0).min(4);
    1 + u8::try_from(fifths).unwrap_or(4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIGHT: Sight = Sight { today: 500, seen: true, hits_since: 0 };

    fn who(ago: &[i32]) -> Facts {
        let mut spoke_days: Vec<i32> = ago.iter().map(|ago| 500 - ago).collect();
        spoke_days.sort_unstable();
        spoke_days.dedup();
        Facts { present: true, spoke_days, ..Facts::default() }
    }

    proptest! {
        #[test]
        fn scores_are_what_ranking_everybody_gives(
            all in prop::collection::vec((prop::collection::vec(0..90_i32, 0..9), prop::option::of(-5..50_i64)), 1..40),
        ) {
            let people: Vec<_> = all.iter().map(|(ago, value)| (who(ago), *value)).collect();
            let mut tally = Tally::default();
            for (who, value) in &people {
                tally.add(who, &SIGHT, *value);
            }
            let tally = tally.counted();
            let last = |who: &Facts| who.spoke_days.last().copied().unwrap_or(i32::MIN);
            let rank = |worse: usize, of: usize| u8::try_from(1 + (5 * worse / of).min(4)).unwrap();
            for (who, value) in &people {
                let scores = tally.scores(who, &SIGHT, *value);
                let later = people.iter().filter(|(other, _)| last(other) < last(who)).count();
                let fewer = people.iter().filter(|(o, _)| o.spoke_days.len() < who.spoke_days.len()).count();
                let values: Vec<i64> = people.iter().filter_map(|(_, value)| *value).collect();
                let less = value.map(|v| rank(values.iter().filter(|o| **o < v).count(), values.len()));
                prop_assert_eq!(scores.recency, Some(rank(later, people.len())));
                prop_assert_eq!(scores.frequency, Some(rank(fewer, people.len())));
                prop_assert_eq!(scores.monetary, less);
            }
        }
    }

    #[test]
    fn who_cannot_be_seen_has_no_score_for_activity() {
        let blind = Sight { seen: false, ..SIGHT };
        let mut tally = Tally::default();
        tally.add(&who(&[]), &blind, Some(7));
        let scores = tally.counted().scores(&who(&[]), &blind, Some(7));
        assert_eq!(scores, Scores { recency: None, frequency: None, monetary: Some(1) });
    }
}
