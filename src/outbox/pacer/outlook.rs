//! When more calls would have ended: an account's limits, run on a copy in virtual time.
//!
//! The copy knows what is kept back for people and for urgent calls, what refusals taught, and what the account shares:
//! there every other account that waits takes as many slots as this one.
//!
//! Not for: groups; each call is taken to go to a group with room. Layer: pure core.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use super::learning::Learning;
use super::level::{Charge, Level};
use crate::outbox::limit::Limit;
use crate::outbox::limiter::{Micros, Room};

/// See the module.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// With what one call of ours charges there.
    levels: Vec<(Level, Charge)>,
    learning: Learning,
    latest: Micros,
}

/// Calls run one by one for an estimate (about 10 ms); what is beyond goes on at the rate found.
const CALLS_SIMULATED_MAX: u64 = 100_000;

impl Outlook {
    /// Takes levels, each with how many other accounts take turns there.
    pub(super) fn new(levels: Vec<(Level, u32)>, learning: Learning, latest: Micros) -> Self {
        let levels = levels.into_iter().map(|(mut level, others)| {
            level.count_weights();
            let most = level.limits().map(Limit::cost_max).min().unwrap_or(u32::MAX);
            let weight = NonZeroU32::new(others.saturating_add(1).min(most)).unwrap_or(NonZeroU32::MIN);
            (level, Charge { weight, is_urgent: false })
        });
        Self { levels: levels.collect(), learning, latest }
    }

    /// Supposes that these were the account's own limits all along: calls of the past (start, end, weight) count by them.
    #[must_use]
    pub fn under(
        mut self,
        limits: &[Limit],
        reserve_percent: u8,
        past: impl IntoIterator<Item = (Micros, Micros, NonZeroU32)>,
    ) -> Self {
        let mut level = Level::new(limits, reserve_percent);
        for (started, ended, weight) in past {
            level.restore(started, ended, weight);
        }
        level.count_weights();
        if let Some((own, _)) = self.levels.first_mut() {
            *own = level;
        }
        self
    }

    /// Says when `calls` more calls of weight 1, each to a group with room, would have ended, when each takes `round_trip`
    /// and at most `in_flight_max` are under way at once.
    pub fn finish_of(mut self, now: Micros, calls: u64, round_trip: Micros, in_flight_max: usize) -> Micros {
        for (level, _) in &mut self.levels {
            level.forget_in_flight(now);
        }
        let simulated = calls.min(CALLS_SIMULATED_MAX);
        let (mut at, mut at_half) = (now.max(self.latest), now);
        let mut ends = VecDeque::new();
        let mut last_end = now;
        // One call more than asked for: its start, against that of the call in the middle, is the steady rate.
        for call in 0..=simulated {
            let Some(start) = self.next_start(at, &mut ends, in_flight_max.max(1)) else {
                return Micros::MAX;
            };
            at = start;
            for (level, charge) in &mut self.levels {
                level.charge(at, *charge);
            }
            ends.push_back(at + round_trip);
            if call < simulated {
                last_end = at + round_trip;
            }
            if call == simulated / 2 {
                at_half = at;
            }
        }
        let span = Micros::try_from((simulated - simulated / 2).max(1)).unwrap_or(Micros::MAX);
        let rest = Micros::try_from(calls - simulated).unwrap_or(Micros::MAX);
        last_end.saturating_add((at - at_half).saturating_mul(rest) / span)
    }

    /// Goes on from `at` until the next call may start, ending calls on the way.
    fn next_start(
        &mut self,
        mut at: Micros,
        ends: &mut VecDeque<Micros>,
        in_flight_max: usize,
    ) -> Option<Micros> {
        loop {
            while ends.pop_front_if(|end| *end <= at).is_some() {
                for (level, charge) in &mut self.levels {
                    level.complete(at, *charge);
                }
            }
            let next_end = ends.front().copied();
            let learning = &self.learning;
            let looks = self.levels.iter_mut().map(|(level, charge)| level.look(at, *charge, learning));
            at = match looks.fold(Room::From(at), Room::max) {
                Room::From(from) if from <= at && ends.len() < in_flight_max => return Some(at),
                Room::From(from) if from > at => next_end.map_or(from, |end| from.min(end)),
                Room::From(_) | Room::AfterCompletion => next_end?,
                Room::Never => return None,
            };
        }
    }
}
