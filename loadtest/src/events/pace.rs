//! Decides when the next request is sent, and when there is none: closed loop, or open loop at a rate.
//!
//! In the open loop every request has an *intended* start that does not depend on how the server keeps up. Latency is
//! measured from there, so a stall is charged to every request it delayed and not to the one that happened to be in flight
//! (coordinated omission). In the closed loop a connection intends its next request when the last one was answered.
//!
//! The open loop's clock is a thread of its own: the runtime's timer ticks in milliseconds and rounds up, which would be
//! most of the latency of a fast server, and waiting in a busy loop makes the scheduler put the client last on a full machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The clock thread wakes no more often than this, whatever the rate; requests due in between are released together.
const GRAIN: Duration = Duration::from_micros(50);
/// The clock thread looks this often whether anybody still waits for it.
const LOOK: Duration = Duration::from_millis(100);

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
    /// Requests whose time has come, in the open loop.
    due: Semaphore,
}

/// One request to be made now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) intended: Instant,
    pub(super) events: u64,
}

impl Pace {
    /// Starts the clock. `rate` is in events a second; `None` is the closed loop.
    pub(super) fn start(rate: Option<f64>, batch: u64, until: Until) -> Arc<Self> {
        #[expect(clippy::cast_precision_loss, reason = "batches are small")]
        let interval =
            rate.map(|rate| Duration::from_secs_f64(batch as f64 / rate).max(Duration::from_micros(1)));
        let (taken, due) = (AtomicU64::new(0), Semaphore::new(0));
        let pace = Arc::new(Self { start: Instant::now(), interval, batch, until, taken, due });
        if let Some(interval) = interval {
            let weak = Arc::downgrade(&pace);
            std::thread::spawn(move || keep_time(&weak, interval));
        }
        pace
    }

    /// Waits for the next request's time; `None` when the run is over. Dropping the future before its end skips nothing.
    pub(super) async fn next(&self) -> Option<Slot> {
        if self.interval.is_some() {
            self.due.acquire().await.ok()?.forget();
        }
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let intended =
            self.interval.map_or_else(Instant::now, |interval| self.start + times(interval, number));
        let events = match self.until {
            Until::Count(count) => count.saturating_sub(number * self.batch).min(self.batch),
            Until::Elapsed(length) if intended >= self.start + length => 0,
            Until::Elapsed(_) => self.batch,
        };
        (events > 0).then_some(Slot { intended, events })
    }
}

/// Releases requests as their time comes, until the run is over or forgotten. Requests beyond the end are released too: it
/// is [`Pace::next`] that knows the end, and by them every waiting connection learns of it.
fn keep_time(pace: &Weak<Pace>, interval: Duration) {
    sharpen_timer();
    let mut released = 0_u64;
    while let Some(pace) = pace.upgrade() {
        let since = pace.start.elapsed();
        while times(interval, released) <= since {
            pace.due.add_permits(1);
            released += 1;
        }
        let wait = times(interval, released).saturating_sub(pace.start.elapsed());
        drop(pace);
        std::thread::sleep(wait.clamp(GRAIN, LOOK));
    }
}

/// Asks the kernel not to round this thread's sleeps up by its usual 50 us. Best effort: without it starts are a little late,
/// which the report shows as the difference between the two latencies.
fn sharpen_timer() {
    let thread = std::fs::read_link("/proc/thread-self").ok();
    let number = thread.as_deref().and_then(std::path::Path::file_name).and_then(std::ffi::OsStr::to_str);
    if let Some(number) = number {
        _ = std::fs::write(format!("/proc/{number}/timerslack_ns"), "1"); // best effort, see above
    }
}

fn times(interval: Duration, number: u64) -> Duration {
    let nanos = interval.as_nanos().saturating_mul(u128::from(number));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
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
