//! From wall time, which the ledger keeps, to the clock that limits count by.
//!
//! A wall clock can be set. Set back, it makes calls of the past look as if they had yet to come: they count as just made.
//! Set forward, it makes them look older than they are, and their slots would come free too soon: so that is noticed by
//! comparing both clocks, remembered, and what was written before is moved by as much.
//!
//! What cannot be noticed: a clock that is set while the gateway does not run. Layer: pure core.

use serde::{Deserialize, Serialize};

use crate::outbox::limit::PERIOD_MAX;
use crate::outbox::limiter::Micros;

/// Both clocks may be read this far apart, and differ by as much either way, without one having been set.
const TOLERANCE_MS: i64 = 20;

/// What went unnoticed between writing a time and reading it: from one side to the other, and a whole millisecond.
const UNNOTICED_MS: i64 = 2 * TOLERANCE_MS + 1;

/// When the wall clock was set forward, and by how much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallSteps {
    steps: Vec<WallStep>,
    /// Wall time less steady time when they last agreed.
    #[serde(skip)]
    apart_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct WallStep {
    /// Wall time when it was noticed: everything written before this may have been written before the step.
    at_ms: i64,
    by_ms: i64,
}

impl WallSteps {
    /// Compares the clocks, the steady one in microseconds. Says whether the wall clock was set forward since the last
    /// time, which is then to be written down.
    pub fn watch(&mut self, steady: Micros, now_ms: i64) -> bool {
        let apart_ms = now_ms.saturating_sub(steady.div_euclid(1000));
        let by_ms = self.apart_ms.map_or(0, |before| apart_ms.saturating_sub(before));
        if self.apart_ms.is_some() && by_ms.abs() <= TOLERANCE_MS {
            return false; // small steps add up until they are noticed
        }
        self.apart_ms = Some(apart_ms);
        if by_ms <= 0 {
            return false;
        }
        let oldest = now_ms.saturating_sub(i64::try_from(PERIOD_MAX.as_millis()).unwrap_or(i64::MAX));
        self.steps.retain(|step| step.at_ms > oldest);
        self.steps.push(WallStep { at_ms: now_ms, by_ms: by_ms.saturating_add(1) });
        true
    }

    /// Returns what the wall clock would have shown then, had it been set right already.
    fn correct(&self, ms: i64) -> i64 {
        let later = self.steps.iter().filter(|step| ms < step.at_ms);
        later.fold(ms, |ms, step| ms.saturating_add(step.by_ms))
    }
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct When {
    /// On the steady one.
    pub now: Micros,
    /// On the wall.
    pub now_ms: i64,
}

impl When {
    /// Converts the start of a call. What lies in the future counts as now.
    pub fn start(self, steps: &WallSteps, ms: i64) -> Micros {
        let ago_ms = self.now_ms.saturating_sub(steps.correct(ms)).max(0);
        self.now.saturating_sub(ago_ms.saturating_mul(1000))
    }

    /// Converts the end of a call, later rather than earlier: the ledger keeps whole milliseconds. An end that nobody knows
    /// counts as now.
    pub fn end(self, steps: &WallSteps, ms: Option<i64>) -> Micros {
        let Some(ms) = ms else { return self.now };
        let ago_ms = self.now_ms.saturating_sub(steps.correct(ms)).saturating_sub(UNNOTICED_MS).max(0);
        self.now.saturating_sub(ago_ms.saturating_mul(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_forward_makes_nothing_older() {
        let mut steps = WallSteps::default();
        assert!(!steps.watch(0, 1_000_000));
        assert!(!steps.watch(5_000_000, 1_005_010), "ten milliseconds are no step");
        assert!(steps.watch(6_000_000, 1_066_000), "a minute is");
        assert!(!steps.watch(7_000_000, 1_067_000));
        let when = When { now: 7_000_000, now_ms: 1_067_000 };
        assert_eq!(when.end(&steps, Some(1_005_000)), 5_042_000, "two seconds ago, not a minute");
        assert_eq!(when.end(&steps, Some(1_066_500)), 6_541_000, "written after it");
        assert_eq!(when.end(&steps, None), 7_000_000);
        assert_eq!(when.start(&steps, 1_067_500), 7_000_000, "what is yet to come is now");
    }

    #[test]
    fn a_clock_set_back_makes_everything_new() {
        let mut steps = WallSteps::default();
        steps.watch(0, 1_000_000);
        assert!(!steps.watch(1_000_000, 901_000), "nothing is to be written down");
        assert!(steps.watch(2_000_000, 1_002_000), "set right again it was set forward");
        let when = When { now: 2_000_000, now_ms: 902_000 };
        assert_eq!(when.end(&steps, Some(1_000_000)), 2_000_000);
    }

    #[test]
    fn a_clock_that_wavers_frees_nothing_too_soon() {
        let mut steps = WallSteps::default();
        steps.watch(0, 1_000_000);
        assert!(!steps.watch(0, 999_981));
        assert!(!steps.watch(0, 1_000_019), "by 38 ms since something was written, by 19 since they agreed");
        let when = When { now: 60_000_000, now_ms: 1_060_019 };
        assert!(when.end(&steps, Some(999_981)) >= 0);
    }

    #[test]
    fn small_steps_add_up_and_old_ones_are_forgotten() {
        let mut steps = WallSteps::default();
        steps.watch(0, 0);
        assert!(!steps.watch(0, 15));
        assert!(steps.watch(0, 30));
        assert_eq!(steps.steps, [WallStep { at_ms: 30, by_ms: 31 }]);
        let day = 86_400_000;
        assert!(steps.watch(40 * day * 1000, 40 * day + 130));
        assert_eq!(steps.steps.len(), 1);
    }
}
