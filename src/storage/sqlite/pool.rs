//! Reading connections of one file: opened when needed, kept for the next reader.
//!
//! Readers must be short: a long one keeps the write-ahead log from starting over.

use std::path::PathBuf;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::schema;
use crate::storage::StorageError;

/// Reading connections. Any number may be in use; at most `idle_max` are kept.
#[derive(Debug)]
pub(super) struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    idle_max: usize,
}

impl Pool {
    /// Opens none yet.
    pub(super) fn new(path: PathBuf, idle_max: usize) -> Self {
        Self { path, idle: Mutex::new(Vec::new()), idle_max }
    }

    /// Reads with a connection. Blocking.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let idle = self.idle.lock().pop();
        let mut conn = match idle {
            Some(conn) => conn,
            None => schema::open_reading(&self.path)?,
        };
        let result = work(&mut conn);
        let mut idle = self.idle.lock();
        if result.is_ok() && idle.len() < self.idle_max {
            idle.push(conn);
        }
        result
    }

    /// Closes what is kept.
    pub(super) fn close(&self) {
        self.idle.lock().clear();
    }
}
