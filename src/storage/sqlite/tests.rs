//! The suite over SQLite, and what only files can go through: damage, two processes, older versions.

use std::sync::Weak;

use parking_lot::Condvar;
use tempfile::TempDir;

use super::*;
use crate::event::PARTITION_FLEET;
use crate::storage::conformance::{self, Harness};

struct Dir {
    dir: TempDir,
    open: Mutex<Weak<Sqlite>>,
    gate: Arc<Gate>,
}

/// Something to wait at on the journal's thread.
#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    moved: Condvar,
}

impl Dir {
    /// Runs something between commits, in order with them.
    fn between(&self, work: impl FnOnce(&mut JournalSink) + Send + 'static) {
        let Some(storage) = self.open.lock().upgrade() else { return };
        drop(storage.journal.run_for(PARTITION_FLEET, move |sink| {
            work(sink);
            Ok(())
        }));
    }

    fn pages_max(&self, pages: u32) {
        self.between(move |sink| {
            sink.conn().pragma_update(None, "max_page_count", pages).unwrap();
        });
    }
}

impl Harness for Dir {
    fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), open: Mutex::default(), gate: Arc::default() }
    }

    fn open(&self, config: &Config) -> Result<SharedStorage, StorageError> {
        let storage = Arc::new(Sqlite::open(self.dir.path(), config)?);
        *self.open.lock() = Arc::downgrade(&storage);
        Ok(storage)
    }

    fn fill_disk(&self) {
        self.pages_max(1);
    }

    fn free_disk(&self) {
        self.pages_max(u32::MAX / 2);
    }

    fn hold_commits(&self) {
        *self.gate.closed.lock() = true;
        let gate = Arc::clone(&self.gate);
        self.between(move |_| {
            let mut closed = gate.closed.lock();
            while *closed {
                gate.moved.wait(&mut closed);
            }
        });
    }

    fn go_on(&self) {
        *self.gate.closed.lock() = false;
        self.gate.moved.notify_all();
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        self.go_on();
    }
}

conformance::all!(Dir);
