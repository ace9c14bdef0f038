//! The log of state changes for subscribers. Deliveries get into it by triggers, in whatever way they change.

use rusqlite::{Connection, params};

use super::{fault, signed, unsigned};
use crate::storage::{StatusChange, StatusSpan, StorageError, Subject};

/// Rows removed in one commit.
const FORGET_ROWS: i64 = 10_000;

/// Writes what is no delivery's change, if anybody is to be told.
pub(super) fn tell(conn: &Connection, changes: &[StatusChange]) -> Result<(), StorageError> {
    for change in changes {
        conn.prepare_cached(
            "INSERT INTO status_change (at_ms, subject, id, broadcast, target, account, grp, kind, state, attempts, code,
             platform_id)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
             WHERE EXISTS (SELECT 1 FROM document WHERE kind = 'endpoint')",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                change.at_ms,
                change.subject.as_str(),
                change.id,
                change.broadcast,
                change.target,
                change.account,
                change.group,
                change.kind,
                change.state,
                change.attempts,
                change.code,
                change.platform_id
            ])
        })
        .map_err(fault("write a state change"))?;
    }
    Ok(())
}

/// Returns changes after a number, in order.
pub(super) fn after(conn: &Connection, seq: u64, limit: usize) -> Result<Vec<StatusChange>, StorageError> {
    conn.prepare_cached(
        "SELECT seq, at_ms, subject, id, broadcast, target, account, grp, kind, state, attempts, code, platform_id
         FROM status_change WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )
    .and_then(|mut query| {
        let rows = query.query_map(params![signed(seq), super::limit(limit)], |row| {
            Ok(StatusChange {
                seq: row.get(0).map(unsigned)?,
                at_ms: row.get(1)?,
                subject: Subject::parse(row.get_ref(2)?.as_str()?).unwrap_or(Subject::Delivery),
                id: row.get(3)?,
                broadcast: row.get(4)?,
                target: row.get(5)?,
                account: row.get(6)?,
                group: row.get(7)?,
                kind: row.get(8)?,
                state: row.get(9)?,
                attempts: row.get(10)?,
                code: row.get(11)?,
                platform_id: row.get(12)?,
            })
        })?;
        rows.collect()
    })
    .map_err(fault("read state changes"))
}

/// Returns which changes are kept.
pub(super) fn span(conn: &Connection) -> Result<StatusSpan, StorageError> {
    conn.prepare_cached(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'status_change'), 0),
         (SELECT min(seq) FROM status_change)",
    )
    .and_then(|mut query| {
        query.query_row([], |row| {
            let last: u64 = row.get(0).map(unsigned)?;
            let first: Option<i64> = row.get(1)?;
            Ok(StatusSpan { first: first.map_or(last + 1, unsigned), last })
        })
    })
    .map_err(fault("read state changes"))
}

/// Removes changes up to a number, and those that are older than a time; returns how many.
pub(super) fn forget(conn: &Connection, through: u64, before_ms: i64) -> Result<u64, StorageError> {
    conn.prepare_cached(
        "DELETE FROM status_change WHERE seq IN (SELECT seq FROM status_change ORDER BY seq LIMIT ?3)
         AND (seq <= ?1 OR at_ms < ?2)",
    )
    .and_then(|mut delete| delete.execute(params![signed(through), before_ms, FORGET_ROWS]))
    .map(|removed| removed as u64)
    .map_err(fault("remove state changes"))
}
