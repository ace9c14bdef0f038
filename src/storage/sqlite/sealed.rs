//! Closed dedupe hours: sorted ids of 16 bytes in one blob per partition and hour.
//!
//! A lookup halves the blob in place instead of reading it: an hour of one partition is a few pages.

use rusqlite::{Connection, OptionalExtension, params};

use super::{fault, journal, signed};
use crate::dedupe::Filter;
use crate::event::{EventKey, Partition};
use crate::storage::{SealedHour, StorageError};

const KEY_BYTES: usize = 16;

/// Partition and hour in one number: the blob is opened by it without a search.
fn hour_id(partition: Partition, bucket: u32) -> i64 {
    (i64::from(partition.0) << 32) | i64::from(bucket)
}

/// Files ids of closed hours, merged with what is there, and notes up to where the partition is sealed: one commit.
pub(super) fn seal(
    conn: &mut Connection,
    partition: Partition,
    epoch: u64,
    before: u32,
    hours: &[(u32, Vec<EventKey>)],
) -> Result<(), StorageError> {
    let tx = conn.transaction().map_err(fault("seal hours"))?;
    if journal::epoch(&tx).map_err(fault("seal hours"))? != Some(epoch) {
        return Err(StorageError::Fenced(partition));
    }
    for (bucket, ids) in hours {
        let merged = merge(ids, &stored(&tx, partition, *bucket)?);
        let blob: Vec<u8> = merged.iter().flat_map(|id| id.0.to_be_bytes()).collect();
        tx.prepare_cached("INSERT OR REPLACE INTO sealed_ids VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
            .and_then(|mut insert| {
                insert.execute(params![
                    hour_id(partition, *bucket),
                    partition.0,
                    bucket,
                    signed(merged.len() as u64),
                    Filter::build(&merged).to_bytes(),
                    blob
                ])
            })
            .map_err(fault("seal hours"))?;
    }
    tx.execute(
        "INSERT INTO sealed_before VALUES (?1, ?2) ON CONFLICT DO UPDATE SET bucket = MAX(bucket, excluded.bucket)",
        params![partition.0, before],
    )
    .map_err(fault("seal hours"))?;
    tx.commit().map_err(fault("seal hours"))
}

fn stored(conn: &Connection, partition: Partition, bucket: u32) -> Result<Vec<EventKey>, StorageError> {
    let blob: Option<Vec<u8>> = conn
        .prepare_cached("SELECT ids FROM sealed_ids WHERE hour_id = ?1")
        .and_then(|mut query| query.query_row([hour_id(partition, bucket)], |row| row.get(0)).optional())
        .map_err(fault("read a sealed hour"))?;
    let (ids, _) = blob.as_deref().unwrap_or_default().as_chunks::<KEY_BYTES>();
    Ok(ids.iter().map(|id| EventKey(u128::from_be_bytes(*id))).collect())
}

/// Returns both, sorted, each id once.
fn merge(some: &[EventKey], others: &[EventKey]) -> Vec<EventKey> {
    let mut all = [some, others].concat();
    all.sort_unstable();
    all.dedup();
    all
}

/// Returns the sealed hours of a partition without their ids.
pub(super) fn all(conn: &Connection, partition: Partition) -> Result<Vec<SealedHour>, StorageError> {
    conn.prepare_cached(
        "SELECT bucket, n, filter FROM sealed_ids WHERE hour_id BETWEEN ?1 AND ?2 ORDER BY hour_id",
    )
    .and_then(|mut query| {
        query
            .query_map([hour_id(partition, 0), hour_id(partition, u32::MAX)], |row| {
                Ok(SealedHour { partition, bucket: row.get(0)?, ids: row.get(1)?, filter: row.get(2)? })
            })?
            .collect()
    })
    .map_err(fault("read sealed hours"))
}

/// Returns the hour before which a partition is sealed.
pub(super) fn before(conn: &Connection, partition: Partition) -> Result<Option<u32>, StorageError> {
    conn.prepare_cached("SELECT bucket FROM sealed_before WHERE part = ?1")
        .and_then(|mut query| query.query_row([partition.0], |row| row.get(0)).optional())
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
    conn.execute("DELETE FROM sealed_ids WHERE bucket < ?1", [bucket])
        .map_err(fault("prune sealed hours"))?;
    Ok(())
}

/// SQLite reports a missing row of a blob as a plain error with only words to tell it by.
fn no_such_row(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|e| {
        e.code == rusqlite::ErrorCode::Unknown && e.extended_code == rusqlite::ffi::SQLITE_ERROR
    })
}
