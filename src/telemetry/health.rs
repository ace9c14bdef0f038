//! Whether the process lives, has started, and takes new work: flags that others set and probes read.
//!
//! Not for: checking dependencies from a probe. Whoever owns a dependency sets its check; reading is a lock for some
//! nanoseconds. Invariant: no secrets in any reason, since probes need no authentication.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

/// A loop that has not shown itself for this long is stuck.
const STUCK_AFTER_MS: i64 = 10_000;

/// The state of the process. Cheap to clone; all clones are the same state.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    started: AtomicBool,
    draining: AtomicBool,
    /// 0 until the first beat: a watchdog that nobody feeds bites nobody.
    last_beat_ms: AtomicI64,
    checks: Mutex<BTreeMap<&'static str, Option<String>>>,
    degraded: Mutex<BTreeMap<String, String>>,
}

/// One condition of readiness, owned by whoever can tell. Dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct Check {
    name: &'static str,
    health: Health,
}

/// What `/readyz?verbose` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// New work is taken.
    pub ready: bool,
    /// Storage was recovered and all listeners are bound.
    pub started: bool,
    /// The process is stopping.
    pub draining: bool,
    /// Each condition.
    pub checks: Vec<CheckReport>,
    /// Accounts that do not work while the gateway does; their work queues.
    pub degraded: Vec<Degraded>,
}

/// One condition of readiness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Its name.
    pub name: &'static str,
    /// Whether it holds.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// Something that works badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Degraded {
    /// Account or part.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl Health {
    /// Adds a condition; it does not hold until [`Check::pass`].
    pub fn check(&self, name: &'static str) -> Check {
        self.0.checks.lock().insert(name, Some("starting".to_owned()));
        Check { name, health: self.clone() }
    }

    /// Storage was recovered and all listeners are bound.
    pub fn started(&self) {
        self.0.started.store(true, Ordering::Release);
    }

    /// The process is stopping: readiness is withdrawn and does not come back.
    pub fn draining(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Says whether the process is stopping.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// The watched loop made a round. Once beaten, it must go on.
    pub fn beat(&self, now_ms: i64) {
        self.0.last_beat_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Reports something that works badly, without withdrawing readiness.
    pub fn degrade(&self, name: &str, reason: String) {
        self.0.degraded.lock().insert(name.to_owned(), reason);
    }

    /// Takes a report of [`Health::degrade`] back.
    pub fn recover(&self, name: &str) {
        self.0.degraded.lock().remove(name);
    }

    /// Says whether the process can make progress.
    pub fn is_live(&self, now_ms: i64) -> bool {
        let last = self.0.last_beat_ms.load(Ordering::Relaxed);
        last == 0 || now_ms.saturating_sub(last) <= STUCK_AFTER_MS
    }

    /// Says whether the start is over.
    pub fn is_started(&self) -> bool {
        self.0.started.load(Ordering::Acquire)
    }

    /// Says whether new work is taken.
    pub fn is_ready(&self) -> bool {
        self.is_started() && !self.is_draining() && self.0.checks.lock().values().all(Option::is_none)
    }

    /// Says everything.
    pub fn report(&self) -> Report {
        let checks = self.0.checks.lock();
        let checks = checks.iter().map(|(name, reason)| CheckReport {
            name,
            ready: reason.is_none(),
            reason: reason.clone(),
        });
        let checks: Vec<_> = checks.collect();
        let degraded = self.0.degraded.lock();
        let degraded =
            degraded.iter().map(|(name, reason)| Degraded { name: name.clone(), reason: reason.clone() });
        let (started, draining) = (self.is_started(), self.is_draining());
        let ready = started && !draining && checks.iter().all(|check| check.ready);
        Report { ready, started, draining, checks, degraded: degraded.collect() }
    }
}

impl Check {
    /// The condition holds.
    pub fn pass(&self) {
        self.health.0.checks.lock().insert(self.name, None);
    }

    /// The condition does not hold; `reason` is shown to everybody who may reach the metrics listener.
    pub fn fail(&self, reason: String) {
        self.health.0.checks.lock().insert(self.name, Some(reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_needs_the_start_every_check_and_no_drain() {
        let health = Health::default();
        let storage = health.check("storage");
        let ruleset = health.check("ruleset");
        storage.pass();
        health.started();
        assert!(!health.is_ready(), "the ruleset has not said anything");
        ruleset.pass();
        assert!(health.is_ready());
        storage.fail("commit failed".to_owned());
        assert_eq!(health.report().checks[1].reason.as_deref(), Some("commit failed"));
        assert!(!health.is_ready());
        storage.pass();
        health.draining();
        assert!(!health.is_ready() && !health.report().ready);
    }

    #[test]
    fn a_degraded_account_leaves_the_gateway_ready() {
        let health = Health::default();
        health.started();
        health.degrade("demo", "circuit open".to_owned());
        assert!(health.is_ready());
        assert_eq!(health.report().degraded.len(), 1);
        health.recover("demo");
        assert!(health.report().degraded.is_empty());
    }

    #[test]
    fn a_silent_loop_is_dead_only_if_it_ever_lived() {
        let health = Health::default();
        assert!(health.is_live(i64::MAX));
        health.beat(1_000);
        assert!(health.is_live(1_000 + STUCK_AFTER_MS));
        assert!(!health.is_live(1_001 + STUCK_AFTER_MS));
    }
}
