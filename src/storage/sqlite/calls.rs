//! What people are told of single deliveries, and what they decide about them.

use rusqlite::{Connection, params};

use super::deliveries::state;
use super::{fault, unsigned};
use crate::storage::{CallRow, Moved, StorageError};

/// Returns the calls made for a delivery, in order.
pub(super) fn of(conn: &Connection, delivery: &str) -> Result<Vec<CallRow>, StorageError> {
    conn.prepare_cached(
        "SELECT attempt, started_ms, ended_ms, cost, outcome, code, detail, platform_id FROM attempt
         WHERE delivery = ?1 ORDER BY attempt",
    )
    .and_then(|mut query| {
        let rows = query.query_map([delivery], |row| {
            let is_known = !row.get_ref(4)?.as_str()?.is_empty();
            Ok(CallRow {
                attempt: row.get(0)?,
                started_ms: row.get(1)?,
                ended_ms: row.get(2)?,
                cost: row.get(3)?,
                outcome: if is_known { Some(state(row, 4)?) } else { None },
                code: row.get(5)?,
                detail: row.get(6)?,
                platform_id: row.get(7)?,
            })
        })?;
        rows.collect()
    })
    .map_err(fault("read the calls of a delivery"))
}

/// Returns how many pending targets of an account come before one of their broadcast.
pub(super) fn targets_before(
    conn: &Connection,
    broadcast: &str,
    account: &str,
    target: u32,
) -> Result<u64, StorageError> {
    conn.prepare_cached(
        "SELECT COUNT(*) FROM delivery WHERE broadcast = ?1 AND broadcast <> '' AND state = 'pending' AND target < ?2
         AND account = ?3",
    )
    .and_then(|mut query| query.query_row(params![broadcast, target, account], |row| row.get(0).map(unsigned)))
    .map_err(fault("count the targets before one"))
}

/// Moves deliveries as a person decided.
pub(super) fn relocate(conn: &Connection, moved: &[Moved], at_ms: i64) -> Result<(), StorageError> {
    for one in moved {
        let changed = conn
            .prepare_cached(
                "UPDATE delivery SET state = ?3, code = ?4, detail = ?5, updated_ms = ?6, due_ms = 0,
                 platform_id = coalesce(?7, platform_id),
                 carrier = CASE ?3 WHEN 'pending' THEN 0 ELSE carrier END WHERE id = ?1 AND state = ?2",
            )
            .and_then(|mut update| {
                update.execute(params![
                    one.id,
                    one.from.as_str(),
                    one.to.as_str(),
                    one.code,
                    one.detail,
                    at_ms,
                    one.platform_id
                ])
            })
            .map_err(fault("move a delivery"))?;
        if changed == 0 {
            return Err(StorageError::Conflict { what: format!("delivery {}", one.id) });
        }
    }
    Ok(())
}
