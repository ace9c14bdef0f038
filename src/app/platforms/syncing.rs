//! Reads every group of an account: at the start, on request, after a lapse, and every so often.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::around::{Around, DutyError};
use super::silence;
use crate::clock::Stopwatch;
use crate::connectors::offers::SyncProgress;
use crate::telemetry::metrics::{self, Success};

/// Where a sync is asked for, and how far it is. At most one runs at a time.
#[derive(Debug, Default)]
pub(super) struct Desk {
    state: Mutex<DeskState>,
    asked: Notify,
}

#[derive(Clone, Debug, Default)]
struct DeskState {
    is_asked: bool,
    running: Option<Running>,
    last: Option<Finished>,
}

/// A sync under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) began_ms: i64,
    pub(super) progress: SyncProgress,
}

/// A sync that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) began_ms: i64,
    pub(super) ended_ms: i64,
    pub(super) progress: SyncProgress,
    /// Why it ended early: code, in Chinese, in English.
    pub(super) error: Option<(String, String, String)>,
}

/// How the desk stands: whether a sync waits, what runs, what ran last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) is_queued: bool,
    pub(super) running: Option<Running>,
    pub(super) last: Option<Finished>,
}

impl Desk {
    /// Asks for a sync. One that runs was begun before whatever this one is asked for, so another follows it.
    pub(super) fn ask(&self) {
        self.state.lock().is_asked = true;
        self.asked.notify_one();
    }

    /// Asks for a sync unless one runs or waits.
    pub(super) fn ask_if_idle(&self) {
        if !self.is_busy() {
            self.ask();
        }
    }

    /// Says whether a sync runs or waits.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state.lock();
        state.is_asked || state.running.is_some()
    }

    pub(super) fn standing(&self) -> Standing {
        let state = self.state.lock().clone();
        Standing { is_queued: state.is_asked, running: state.running, last: state.last }
    }

    fn begin(&self, now_ms: i64) {
        let mut state = self.state.lock();
        state.is_asked = false;
        state.running = Some(Running { began_ms: now_ms, progress: SyncProgress::default() });
    }

    fn report(&self, progress: SyncProgress) {
        if let Some(running) = &mut self.state.lock().running {
            running.progress = progress;
        }
    }

    fn end(&self, now_ms: i64, error: Option<(String, String, String)>) -> Finished {
        let mut state = self.state.lock();
        let Running { began_ms, progress } = state.running.take().unwrap_or_default();
        let finished = Finished { began_ms, ended_ms: now_ms, progress, error };
        state.last = Some(finished.clone());
        finished
    }

    /// The sync that ran is no more: its connector was replaced.
    pub(super) fn broken_off(&self) {
        self.state.lock().running = None;
    }
}

/// When everything is read again after some groups could not be.
const AGAIN_AFTER: Duration = Duration::from_mins(10);

/// Reads every group, again and again.
pub(super) async fn run(around: Arc<Around>) {
    let Some(rosters) = around.connector.rosters() else { return };
    let mut tries = 0;
    loop {
        around.desk.begin(around.now_ms());
        let watch = Stopwatch::start();
        let report = |progress| around.desk.report(progress);
        let done = rosters.sync(&*around.parts.sink, &report).await;
        let error = done.as_ref().err().map(|e| (e.code.clone(), e.zh.clone(), e.en.clone()));
        let finished = around.desk.end(around.now_ms(), error);
        let done = match done {
            Ok(done) if done.failed == 0 => silence::reconciled(&around).await,
            Ok(_) => Ok(()),
            Err(error) => Err(DutyError::Platform(error)),
        };
        let outcome = if done.is_ok() { Success::Ok } else { Success::Failed };
        metrics::roster_synced(watch.elapsed(), outcome, finished.progress.failed);
        let wait = match done {
            Ok(()) => {
                let SyncProgress { read, failed, joins, leaves, adopted, .. } = finished.progress;
                tracing::info!(account.id = %around.account, read, failed, joins, leaves, adopted, "rosters compared");
                tries = 0;
                // What could not be read is tried again one by one; that nothing is missing only a whole reading says.
                if failed == 0 { around.parts.config.sync_every } else { AGAIN_AFTER }
            }
            Err(error) => {
                tries += 1;
                around.failed("sync", tries - 1, &error)
            }
        };
        tokio::select! {
            () = around.desk.asked.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_one_runs_and_one_waits() {
        let desk = Desk::default();
        desk.ask_if_idle();
        assert!(desk.standing().is_queued && desk.is_busy());
        desk.begin(5);
        desk.ask_if_idle();
        assert!(!desk.standing().is_queued, "the one that runs will do");
        desk.ask();
        assert!(desk.standing().is_queued, "this one asks for what happened since");
        desk.report(SyncProgress { read: 3, ..SyncProgress::default() });
        assert_eq!(desk.end(9, None).progress.read, 3);
        assert_eq!(desk.standing().last.map(|last| (last.began_ms, last.ended_ms)), Some((5, 9)));
        assert!(desk.is_busy());
    }
}
