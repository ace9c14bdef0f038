//! What refusals teach: a platform's "too often" halves a level's rate at once, and time gives it back bit by bit.
//!
//! Halving fast and regaining slowly finds a limit nobody told us of without running against it all the time. Calls that
//! were under way when the rate was halved say nothing new, so a burst of refusals counts once.
//!
//! Not for: how long a platform wants silence (the level's `not_before`). Layer: pure core.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::outbox::limit::{Limit, LimitKind};
use crate::outbox::limiter::{Micros, WHOLE, micros};

/// How fast a rate is regained, and how low it may fall.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Learning {
    /// How long after a refusal, and from then on how often, a little of the rate is given back.
    #[serde(with = "crate::units::duration")]
    pub regain_every: Duration,
    /// How much each time, in percent of the configured rate.
    pub regain_percent: u8,
    /// The rate never falls below so many percent of the configured one.
    pub rate_percent_min: u8,
}

impl Default for Learning {
    fn default() -> Self {
        Self { regain_every: Duration::from_mins(1), regain_percent: 5, rate_percent_min: 5 }
    }
}

/// A rate that was halved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Brake {
    /// What it was halved to, in thousandths of the configured rate.
    pub(super) share: u16,
    /// When.
    pub(super) since: Micros,
}

impl Brake {
    /// Returns the brake after a refusal of a call that began at `started`; `None` when it says nothing new.
    pub(super) fn after_refusal(
        before: Option<Self>,
        now: Micros,
        started: Micros,
        learning: &Learning,
    ) -> Option<Self> {
        if before.is_some_and(|brake| started < brake.since) {
            return None;
        }
        let share = before.map_or(WHOLE, |brake| brake.at(now, learning));
        let least = u16::from(learning.rate_percent_min.clamp(1, 100)) * (WHOLE / 100);
        Some(Self { share: (share / 2).max(least), since: now })
    }

    /// Returns the share at a time, in thousandths.
    pub(super) fn at(&self, now: Micros, learning: &Learning) -> u16 {
        let steps = (now - self.since).max(0) / micros(learning.regain_every).max(1);
        let step = Micros::from(learning.regain_percent.clamp(1, 100)) * Micros::from(WHOLE / 100);
        let share = Micros::from(self.share).saturating_add(steps.saturating_mul(step));
        u16::try_from(share).unwrap_or(WHOLE).min(WHOLE)
    }
}

/// How much was sent lately, where no rate is configured.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recent {
    span: Micros,
    now: u32,
    before: u32,
}

/// What "lately" is.
const RECENT_SPAN: Duration = Duration::from_secs(10);

impl Recent {
    /// Counts a call.
    pub(super) fn count(&mut self, now: Micros, weight: NonZeroU32) {
        self.go_to(now);
        self.now = self.now.saturating_add(weight.get());
    }

    fn go_to(&mut self, now: Micros) {
        let span = now.div_euclid(micros(RECENT_SPAN));
        if span != self.span {
            self.before = if span == self.span + 1 { self.now } else { 0 };
            self.now = 0;
            self.span = span;
        }
    }

    /// Returns what was sent as the limit that it seems to have exceeded; `None` if nothing was.
    pub(super) fn as_limit(&self, now: Micros) -> Option<Limit> {
        let mut recent = *self;
        recent.go_to(now);
        let quantity = NonZeroU32::new(recent.now.max(recent.before))?;
        let kind = LimitKind::Window { quantity, period: RECENT_SPAN };
        Some(Limit { kind, local: false, calls: false, headroom: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Micros = 60_000_000;

    #[test]
    fn a_rate_is_halved_at_once_and_regained_bit_by_bit() {
        let learning = Learning::default();
        let brake = Brake::after_refusal(None, MINUTE, MINUTE, &learning).unwrap();
        for (minutes, share) in [(1, 500), (2, 550), (3, 600), (10, 950), (11, 1000), (500, 1000)] {
            assert_eq!(brake.at(minutes * MINUTE, &learning), share, "after {minutes} minutes");
        }
        assert_eq!(brake.at(0, &learning), 500, "a clock that shows less than before gives nothing back");
        let again = Brake::after_refusal(Some(brake), 3 * MINUTE, 3 * MINUTE, &learning).unwrap();
        assert_eq!(again.share, 300, "half of what it was then");
    }

    #[test]
    fn a_burst_of_refusals_counts_once_and_the_rate_has_a_floor() {
        let learning = Learning::default();
        let mut brake = Brake::after_refusal(None, MINUTE, 0, &learning).unwrap();
        assert!(Brake::after_refusal(Some(brake), MINUTE + 5, MINUTE - 5, &learning).is_none());
        for second in 1..20 {
            let at = MINUTE + second * 1_000_000;
            brake = Brake::after_refusal(Some(brake), at, at, &learning).unwrap();
        }
        assert_eq!(brake.share, 50);
    }

    #[test]
    fn what_was_sent_lately_is_the_limit_that_was_exceeded() {
        let mut recent = Recent::default();
        assert_eq!(recent.as_limit(0), None);
        for n in 0..30 {
            recent.count(MINUTE + n * 100_000, NonZeroU32::MIN);
        }
        let text = |at| recent.as_limit(at).map(|limit| limit.to_string());
        assert_eq!(text(MINUTE + 3_000_000).as_deref(), Some("window:30/10s"));
        assert_eq!(text(MINUTE + 11_000_000).as_deref(), Some("window:30/10s"), "the span before counts too");
        assert_eq!(text(MINUTE + 30_000_000), None);
    }
}
