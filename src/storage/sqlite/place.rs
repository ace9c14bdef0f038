//! A data directory as a place: its lock, and what was made once for it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::{fault, unsigned};
use crate::storage::StorageError;

/// Name of the file whose lock keeps a second process out.
pub(super) const LOCK: &str = "lock";

/// Takes the directory for this process.
pub(super) fn lock(dir: &Path) -> Result<File, StorageError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| StorageError::failed("make the data directory", e))?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(dir.join(LOCK))
        .map_err(|e| StorageError::failed("open the lock file of the data directory", e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::Locked(dir.display().to_string())),
        Err(TryLockError::Error(e)) => Err(StorageError::failed("lock the data directory", e)),
    }
}

/// Returns the directory's secret, made the first time.
pub(super) fn secret(journal: &Connection) -> Result<[u8; 16], StorageError> {
    let known: Option<[u8; 16]> = journal
        .query_row("SELECT value FROM meta WHERE key = 'dedupe_secret'", [], |row| row.get(0))
        .optional()
        .map_err(fault("open the journal"))?;
    if let Some(secret) = known {
        return Ok(secret);
    }
    let mut secret = [0; 16];
    getrandom::fill(&mut secret)
        .map_err(|e| StorageError::failed("ask the system for randomness", e.to_string()))?;
    journal
        .execute("INSERT INTO meta VALUES ('dedupe_secret', ?1)", [secret])
        .map_err(fault("open the journal"))?;
    Ok(secret)
}

/// Returns up to which row sends asked for are not made: they are from before a restored backup.
pub(super) fn sends_floor(journal: &Connection) -> Result<u64, StorageError> {
    journal
        .query_row("SELECT value FROM meta WHERE key = 'sends_floor'", [], |row| row.get(0).map(unsigned))
        .optional()
        .map(Option::unwrap_or_default)
        .map_err(fault("open the journal"))
}
