//! Decides when the next request is sent, and when there is none: closed loop, or open loop at a rate.
//!
//! In the open loop every request has an *intended* start that does not depend on how the server keeps up. Latency is
//! measured from there, so a stall is charged to every request it delayed and not to the one that happened to be in flight
//! (coordinated omission). In the closed loop a connection intends its next request when the last one was answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The timer of the runtime ticks in milliseconds and rounds up: the last stretch is waited for by yielding instead.
const TIMER_GRAIN: Duration = Duration::from_micros(1_200);

/// When to stop sending.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After so many events.
    Count(u64),
    /// After so long.
    Elapsed(Duration),
}

/// Shared by all connections: hands out the requests of a run.
#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    /// `None` is the closed loop.
    interval: Option<Duration>,
    batch: u64,
    until: Until,
    taken: AtomicU64,
}

/// One request to be made now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) intended: Instant,
    pub(super) events: u64,
}

impl Pace {
    /// Starts the clock. `rate` is in events a second; `None` is the closed loop.
    pub(super) fn start(rate: Option<f64>, batch: u64, until: Until) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "batches are small")]
        let interval = rate.map(|rate| Duration::from_secs_f64(batch as f64 / rate));
        Self { start: Instant::now(), interval, batch, until, taken: AtomicU64::new(0) }
    }

    /// Waits for the next request's time; `None` when the run is over. Dropping the future skips that request.
    pub(super) async fn next(&self) -> Option<Slot> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let events = match self.until {
            Until::Count(count) => count.saturating_sub(number * self.batch).min(self.batch),
            Until::Elapsed(_) => self.batch,
        };
        let intended = match self.interval {
            Some(interval) => self.start + interval.mul_f64(as_f64(number)),
            None => Instant::now(),
        };
        let over = matches!(self.until, Until::Elapsed(length) if intended >= self.start + length);
        if events == 0 || over {
            return None;
        }
        self.wait_for(intended).await;
        Some(Slot { intended, events })
    }

    async fn wait_for(&self, intended: Instant) {
        if let Some(early) = intended.checked_sub(TIMER_GRAIN).filter(|early| *early > Instant::now()) {
            sleep_until(early).await;
        }
        while Instant::now() < intended {
            tokio::task::yield_now().await;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no run sends 2^52 requests")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_count_is_handed_out_to_the_last_event() {
        let pace = Pace::start(None, 100, Until::Count(250));
        let mut sizes = Vec::new();
        while let Some(slot) = pace.next().await {
            sizes.push(slot.events);
        }
        assert_eq!(sizes, [100, 100, 50]);
    }

    #[tokio::test]
    async fn an_open_loop_keeps_its_schedule_whoever_is_late() {
        let pace = Pace::start(Some(10_000.0), 10, Until::Count(30));
        let (a, b, c) = (pace.next().await, pace.next().await, pace.next().await);
        let starts: Vec<_> = [a, b, c].into_iter().flatten().map(|slot| slot.intended - pace.start).collect();
        assert_eq!(starts, [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(2)]);
    }
}
