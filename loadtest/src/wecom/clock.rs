//! The simulator's time: the wall's, a hand-driven one, or a faster one.
//!
//! Every rule of the simulated platform (token lives, windows, codes, days) reads this clock and no other. Only what happens
//! on a real wire (deadlines of callbacks, scripted delays) passes in real time.
//! Not for: measuring how long something took.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What time it is in the simulated world. Clones tell the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    base: Base,
    /// What was added by hand, in milliseconds.
    ahead_ms: Arc<AtomicU64>,
}

#[derive(Debug, Clone, Copy)]
enum Base {
    Real,
    Manual { start_ms: u64 },
    Scaled { began: Instant, start_ms: u64, factor: f64 },
}

impl Clock {
    /// The wall's time, plus whatever [`Self::advance`] added.
    pub fn real() -> Self {
        Self::over(Base::Real)
    }

    /// Stands still at a second since 1970 until [`Self::advance`] moves it.
    pub fn manual(start_s: u64) -> Self {
        Self::over(Base::Manual { start_ms: start_s * 1_000 })
    }

    /// Starts at the wall's time and runs `factor` times as fast. A caller who lives in real time finds windows and lives
    /// that much shorter, and the times in callbacks ahead of its own.
    pub fn scaled(factor: f64) -> Self {
        Self::over(Base::Scaled { began: Instant::now(), start_ms: wall_ms(), factor })
    }

    fn over(base: Base) -> Self {
        Self { base, ahead_ms: Arc::new(AtomicU64::new(0)) }
    }

    /// Moves time forward for all clones.
    pub fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(millis(by), Ordering::SeqCst);
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        let base = match self.base {
            Base::Real => wall_ms(),
            Base::Manual { start_ms } => start_ms,
            Base::Scaled { began, start_ms, factor } => start_ms + millis(began.elapsed().mul_f64(factor)),
        };
        base + self.ahead_ms.load(Ordering::SeqCst)
    }
}

fn wall_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A duration in whole milliseconds.
pub(crate) fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds by which the platform's days are ahead of UTC.
const DAY_SHIFT_S: u64 = 8 * 3_600;
const DAY_S: u64 = 86_400;

/// The number of the platform's day (UTC+8) that a second since 1970 falls into.
pub(crate) fn day_of(second: u64) -> u32 {
    u32::try_from((second + DAY_SHIFT_S) / DAY_S).unwrap_or(u32::MAX)
}

/// The second at which a day (UTC+8) begins.
pub(crate) fn day_start_s(day: u32) -> u64 {
    (u64::from(day) * DAY_S).saturating_sub(DAY_SHIFT_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_by_hand_and_for_all_clones() {
        let clock = Clock::manual(1_767_225_600);
        let other = clock.clone();
        assert_eq!(clock.now_ms(), 1_767_225_600_000);
        other.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now_ms(), 1_767_225_601_500);
    }

    #[test]
    fn days_begin_at_midnight_in_china() {
        // 2026-01-01T00:00:00+08:00 is 2025-12-31T16:00:00Z.
        let midnight = 1_767_196_800;
        assert_eq!(day_of(midnight), day_of(midnight - 1) + 1);
        assert_eq!(day_of(midnight), day_of(midnight + 86_399));
        assert_eq!(day_start_s(day_of(midnight + 5)), midnight);
    }
}
