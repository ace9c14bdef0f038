//! Closed dedupe hours: sorted ids of 16 bytes in one blob per partition and hour.
//!
//! A lookup halves the blob in place instead of reading it: an hour of one partition is a few pages.

use rusqlite::{Connection, params};

use super::{fault, signed, unsigned};
use crate::event::{EventKey, Partition};
use crate::storage::{SealedHour, StorageError};

const KEY_BYTES: usize = 16;

/// Partition and hour in one number: the blob is opened by it without a search.
fn hour_id(partition: Partition, bucket: u32) -> i64 {
    (i64::from(partition.0) << 32) | i64::from(bucket)
}

/// Stores an hour, replacing an earlier version of it. `ids` must be sorted.
pub(super) fn seal(conn: &Connection, hour: &SealedHour, ids: &[EventKey]) -> Result<(), StorageError> {
    let mut blob = Vec::with_capacity(ids.len() * KEY_BYTES);
    for id in ids {
        blob.extend_from_slice(&id.0.to_be_bytes());
    }
    conn.prepare_cached("INSERT OR REPLACE INTO sealed_ids VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
        .and_then(|mut insert| {
            insert.execute(params![
                hour_id(hour.partition, hour.bucket),
                hour.partition.0,
                hour.bucket,
                signed(hour.upto_seq),
                hour.ids,
                hour.filter,
                blob
            ])
        })
        .map_err(fault("seal an hour"))?;
    Ok(())
}

/// Returns all sealed hours without their ids.
pub(super) fn all(conn: &Connection) -> Result<Vec<SealedHour>, StorageError> {
    conn.prepare_cached("SELECT part, bucket, upto_seq, n, filter FROM sealed_ids ORDER BY hour_id")
        .and_then(|mut query| {
            query
                .query_map([], |row| {
                    Ok(SealedHour {
                        partition: Partition(row.get(0)?),
                        bucket: row.get(1)?,
                        upto_seq: row.get(2).map(unsigned)?,
                        ids: row.get(3)?,
                        filter: row.get(4)?,
                    })
                })?
                .collect()
        })
        .map_err(fault("read sealed hours"))
}

/// Says whether an hour holds an id; an hour that was never sealed holds none.
pub(super) fn contains(
    conn: &Connection,
    partition: Partition,
    bucket: u32,
    key: EventKey,
) -> Result<bool, StorageError> {
    let blob = match conn.blob_open("main", "sealed_ids", "ids", hour_id(partition, bucket), true) {
        Ok(blob) => blob,
        Err(error) if no_such_row(&error) => return Ok(false),
        Err(error) => return Err(fault("read a sealed hour")(error)),
    };
    let (mut low, mut high) = (0, blob.len() / KEY_BYTES);
    let mut found = [0_u8; KEY_BYTES];
    while low < high {
        let middle = low + (high - low) / 2;
        blob.read_at_exact(&mut found, middle * KEY_BYTES).map_err(fault("read a sealed hour"))?;
        match EventKey(u128::from_be_bytes(found)).cmp(&key) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Equal => return Ok(true),
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    Ok(false)
}

/// Removes hours before `bucket`.
pub(super) fn prune(conn: &Connection, bucket: u32) -> Result<(), StorageError> {
    conn.execute("DELETE FROM sealed_ids WHERE bucket < ?1", [bucket]).map_err(fault("prune sealed hours"))?;
    Ok(())
}

/// SQLite reports a missing row of a blob as a plain error with only words to tell it by.
fn no_such_row(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|e| e.code == rusqlite::ErrorCode::Unknown && e.extended_code == rusqlite::ffi::SQLITE_ERROR)
}
