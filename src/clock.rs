//! The only place that reads a clock. The core gets `now` as an argument; the edges get a [`Clock`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, from the system or from a test's hand. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System { start: Instant, ahead_ms: i64 },
    Manual(Arc<AtomicI64>),
    Tokio { start: tokio::time::Instant, start_ms: i64 },
}

impl Clock {
    /// Reads the system's clock.
    pub fn system() -> Self {
        Self::system_ahead(Duration::ZERO)
    }

    /// Reads the system's clock and adds this: for rehearsals, in which hours pass between two starts.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn system_ahead(ahead: Duration) -> Self {
        Self(Source::System { start: Instant::now(), ahead_ms: millis(ahead) })
    }

    /// Starts at `now_ms` and follows tokio's time, which a test may pause.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn tokio(now_ms: i64) -> Self {
        Self(Source::Tokio { start: tokio::time::Instant::now(), start_ms: now_ms })
    }

    /// Stands at `now_ms` until moved.
    pub fn manual(now_ms: i64) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(now_ms))))
    }

    /// Returns the time in milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        match &self.0 {
            Source::System { ahead_ms, .. } => system_ms().saturating_add(*ahead_ms),
            Source::Manual(now) => now.load(Ordering::SeqCst),
            Source::Tokio { start, start_ms } => start_ms + millis(start.elapsed()),
        }
    }

    /// Returns microseconds since some moment before the first call, on a clock that is never set: for limits and
    /// waits, which must not jump when somebody corrects the wall clock. Clones agree.
    pub fn steady_us(&self) -> i64 {
        let since = match &self.0 {
            Source::System { start, .. } => start.elapsed(),
            Source::Manual(now) => {
                Duration::from_millis(u64::try_from(now.load(Ordering::SeqCst)).unwrap_or(0))
            }
            Source::Tokio { start, .. } => start.elapsed(),
        };
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    /// Moves a manual clock forward; the system's is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(millis(by), Ordering::SeqCst);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::System { .. } => f.write_str("Clock::system"),
            Source::Tokio { .. } => f.write_str("Clock::tokio"),
            Source::Manual(now) => write!(f, "Clock::manual({})", now.load(Ordering::SeqCst)),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn system_ms() -> i64 {
    // A clock before 1970 is a broken machine; 0 makes every event "in the future" and refuses it visibly.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Measures how long something took; never decides anything.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
