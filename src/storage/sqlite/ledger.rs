//! The ledger's writing thread: everything that waits is written in one commit, each change in its own savepoint.
//!
//! A change that fails (a conflict) takes only itself back; the others of its commit are not harmed. Nobody is answered
//! before the commit is done. What is forgotten with time is removed here, a little after each commit, by the times that
//! the changes themselves carry.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};

use super::fault;
use crate::clock::Stopwatch;
use crate::event::HOUR_MS;
use crate::storage::config::ms;
use crate::storage::{Config, StorageError};
use crate::telemetry::metrics;

/// Changes of one commit, so that the first of them does not wait too long.
const BATCH_MAX: usize = 512;

/// Rows removed by retention after one commit.
const SWEEP_ROWS: usize = 2000;

/// One change: what it does, and how its caller hears of it.
trait Job: Send {
    /// Does it; an error undoes it.
    fn run(&mut self, conn: &Connection) -> bool;

    /// Tells the caller, after the commit.
    fn finish(self: Box<Self>, committed: Result<(), &str>);
}

struct Change<T, F> {
    work: Option<F>,
    result: Option<Result<T, StorageError>>,
    reply: oneshot::Sender<Result<T, StorageError>>,
}

impl<T, F> Job for Change<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StorageError> + Send,
{
    fn run(&mut self, conn: &Connection) -> bool {
        self.result = self.work.take().map(|work| work(conn));
        matches!(self.result, Some(Ok(_)))
    }

    fn finish(self: Box<Self>, committed: Result<(), &str>) {
        let result = match (self.result, committed) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Ok(_)) | None, Err(error)) => Err(StorageError::failed("commit to the ledger", error)),
            (None, Ok(())) => Err(StorageError::Closed),
        };
        _ = self.reply.send(result); // whoever asked may have gone
    }
}

/// The ledger's writing side.
pub(super) struct Ledger {
    jobs: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The latest time a change carried: the retention's clock.
    now_ms: Arc<AtomicI64>,
}

impl Ledger {
    /// Starts the writing thread.
    pub(super) fn start(conn: Connection, config: &Config) -> Result<Self, StorageError> {
        let (jobs, waiting) = mpsc::channel(config.ledger_queue_max.max(1));
        let now_ms = Arc::new(AtomicI64::new(0));
        let sweep = Sweep { config: config.clone(), now_ms: Arc::clone(&now_ms), swept_hour: 0 };
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || run(&conn, waiting, sweep))
            .map_err(|e| StorageError::failed("start the ledger thread", e))?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)), now_ms })
    }

    /// Writes; returns when it is committed. When the caller goes away, it may be written all the same.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let jobs = self.jobs.lock().clone().ok_or(StorageError::Closed)?;
        let (reply, wait) = oneshot::channel();
        let job = Change { work: Some(work), result: None, reply };
        jobs.send(Box::new(job)).await.map_err(|_| StorageError::Closed)?;
        drop(jobs);
        wait.await.map_err(|_| StorageError::Closed)?
    }

    /// Moves the retention's clock.
    pub(super) fn seen(&self, now_ms: i64) {
        self.now_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// Writes what waits and ends the thread. Blocking.
    pub(super) fn stop(&self) {
        drop(self.jobs.lock().take());
        if let Some(thread) = self.thread.lock().take() {
            _ = thread.join(); // a panic was reported by its hook
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ledger")
    }
}

fn run(conn: &Connection, mut waiting: mpsc::Receiver<Box<dyn Job>>, mut sweep: Sweep) {
    let mut batch: Vec<Box<dyn Job>> = Vec::new();
    while let Some(first) = waiting.blocking_recv() {
        batch.push(first);
        while batch.len() < BATCH_MAX
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        let watch = Stopwatch::start();
        let committed = commit(conn, &mut batch);
        match &committed {
            Ok(()) => metrics::storage_commit("ledger", watch.elapsed()),
            Err(error) => {
                metrics::storage_commit_failure("ledger");
                tracing::error!(%error, changes = batch.len(), "ledger commit failed");
            }
        }
        for job in batch.drain(..) {
            job.finish(committed.as_ref().map_err(String::as_str).copied());
        }
        sweep.step(conn);
    }
    // What the log still holds goes into the file, so that a copied file is whole.
    if let Err(error) = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the ledger's log was not folded into its file; it will be at the next start");
    }
}

fn commit(conn: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), String> {
    let all = (|| {
        conn.execute_batch("BEGIN IMMEDIATE")?;
        for job in batch.iter_mut() {
            conn.prepare_cached("SAVEPOINT one")?.execute([])?;
            if !job.run(conn) {
                conn.prepare_cached("ROLLBACK TO one")?.execute([])?;
            }
            conn.prepare_cached("RELEASE one")?.execute([])?;
        }
        conn.execute_batch("COMMIT")
    })();
    all.map_err(|error: rusqlite::Error| {
        if !conn.is_autocommit() {
            _ = conn.execute_batch("ROLLBACK"); // SQLite has usually done it itself
        }
        error.to_string()
    })
}

/// Removes what is old enough, a little at a time.
struct Sweep {
    config: Config,
    now_ms: Arc<AtomicI64>,
    swept_hour: i64,
}

impl Sweep {
    fn step(&mut self, conn: &Connection) {
        let now_ms = self.now_ms.load(Ordering::Relaxed);
        let hour = now_ms / HOUR_MS;
        if hour <= self.swept_hour {
            return;
        }
        match sweep(conn, &self.config, now_ms) {
            Ok(more) if more >= SWEEP_ROWS => {} // the rest after the next commit
            Ok(_) => self.swept_hour = hour,
            Err(error) => {
                self.swept_hour = hour;
                tracing::warn!(%error, "old ledger rows were not removed; tried again in an hour");
            }
        }
    }
}

fn sweep(conn: &Connection, config: &Config, now_ms: i64) -> Result<usize, StorageError> {
    let limit = i64::try_from(SWEEP_ROWS).unwrap_or(i64::MAX);
    let before = |kept| now_ms.saturating_sub(ms(kept));
    let remove = |sql: &str, before_ms: i64| -> Result<usize, StorageError> {
        conn.prepare_cached(sql)
            .and_then(|mut delete| delete.execute(params![before_ms, limit]))
            .map_err(fault("remove old ledger rows"))
    };
    // A call without an end is never forgotten: its delivery is not settled.
    let attempts = remove(
        "DELETE FROM attempt WHERE rowid IN (SELECT rowid FROM attempt ORDER BY rowid LIMIT ?2) AND ended_ms < ?1",
        before(config.attempts_keep),
    )?;
    let finished = remove(
        "DELETE FROM delivery WHERE rowid IN (SELECT rowid FROM delivery WHERE updated_ms < ?1 AND broadcast = ''
         AND state IN ('sent', 'cancelled', 'expired') LIMIT ?2)",
        before(config.deliveries_keep),
    )?;
    let dead = remove(
        "DELETE FROM delivery WHERE rowid IN (SELECT rowid FROM delivery WHERE updated_ms < ?1 AND broadcast = ''
         AND state = 'failed' LIMIT ?2)",
        before(config.dead_letters_keep),
    )?;
    let answers = remove(
        "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE expires_ms < ?1 LIMIT ?2)",
        now_ms,
    )?;
    Ok(attempts.max(finished).max(dead).max(answers))
}
