//! The log of state changes for subscribers. Deliveries get into it by triggers, in whatever way they change.

use rusqlite::{Connection, OptionalExtension, params};

use super::{fault, signed, unsigned};
use crate::storage::{StatusChange, StatusSpan, StorageError, Subject};

/// Rows removed in one commit.
const FORGET_ROWS: i64 = 10_000;

/// Triggers, since deliveries change in many ways and none may be forgotten. Calls under way, their retries, and what
/// carries targets are not told.
const LISTEN: &str = "
CREATE TRIGGER IF NOT EXISTS delivery_moved AFTER UPDATE OF state ON delivery
WHEN new.state <> old.state AND new.state <> 'sending' AND (new.state <> 'pending' OR old.state <> 'sending')
  AND new.target < 2147483648
BEGIN
  INSERT INTO status_change (at_ms, subject, id, broadcast, target, account, grp, kind, state, attempts, code, platform_id)
  VALUES (new.updated_ms, 'delivery', new.id, new.broadcast, new.target, new.account, new.grp, new.kind, new.state,
    new.attempts, new.code, new.platform_id);
END;
CREATE TRIGGER IF NOT EXISTS delivery_ended AFTER INSERT ON delivery
WHEN new.state NOT IN ('pending', 'sending') AND new.target < 2147483648
BEGIN
  INSERT INTO status_change (at_ms, subject, id, broadcast, target, account, grp, kind, state, attempts, code, platform_id)
  VALUES (new.updated_ms, 'delivery', new.id, new.broadcast, new.target, new.account, new.grp, new.kind, new.state,
    new.attempts, new.code, new.platform_id);
END;
";

const FALL_SILENT: &str = "
DROP TRIGGER IF EXISTS delivery_moved;
DROP TRIGGER IF EXISTS delivery_ended;
";

/// Listens to deliveries while there is an endpoint to be told, in the commit that writes or removes one: triggers cost
/// every send, also when they have nothing to do.
pub(super) fn listen(conn: &Connection) -> Result<(), StorageError> {
    conn.query_row("SELECT EXISTS (SELECT 1 FROM document WHERE kind = 'endpoint')", [], |row| row.get(0))
        .and_then(|listens: bool| conn.execute_batch(if listens { LISTEN } else { FALL_SILENT }))
        .map_err(fault("listen to deliveries"))
}

/// Writes where broadcasts stand, if the same was not told last, and what else happened.
pub(super) fn tell(conn: &Connection, changes: &[StatusChange]) -> Result<(), StorageError> {
    for change in changes {
        conn.prepare_cached(
            "INSERT INTO status_change (at_ms, subject, id, broadcast, target, account, grp, kind, state, attempts, code,
             platform_id, context)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 WHERE ?14 OR ?9 IS NOT
             (SELECT state FROM status_change WHERE subject = 'broadcast' AND id = ?3 ORDER BY seq DESC LIMIT 1)",
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
                change.platform_id,
                change.context,
                !change.subject.stands()
            ])
        })
        .map_err(fault("write a state change"))?;
    }
    Ok(())
}

/// Returns changes after a number, in order.
pub(super) fn after(conn: &Connection, seq: u64, limit: usize) -> Result<Vec<StatusChange>, StorageError> {
    conn.prepare_cached(
        "SELECT seq, at_ms, subject, id, broadcast, target, account, grp, kind, state, attempts, code, platform_id,
         context FROM status_change WHERE seq > ?1 ORDER BY seq LIMIT ?2",
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
                context: row.get(13)?,
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

/// Returns the number of the first change since a time.
pub(super) fn since(conn: &Connection, from_ms: i64) -> Result<u64, StorageError> {
    let first: Option<u64> = conn
        .prepare_cached("SELECT seq FROM status_change WHERE at_ms >= ?1 ORDER BY seq LIMIT 1")
        .and_then(|mut query| query.query_row([from_ms], |row| row.get(0).map(unsigned)).optional())
        .map_err(fault("read state changes"))?;
    match first {
        Some(first) => Ok(first),
        None => Ok(span(conn)?.last + 1),
    }
}

/// Removes changes up to a number, the oldest first; returns how many.
pub(super) fn forget(conn: &Connection, through: u64) -> Result<u64, StorageError> {
    conn.prepare_cached(
        "DELETE FROM status_change WHERE seq IN
         (SELECT seq FROM status_change WHERE seq <= ?1 ORDER BY seq LIMIT ?2)",
    )
    .and_then(|mut delete| delete.execute(params![signed(through), FORGET_ROWS]))
    .map(|removed| removed as u64)
    .map_err(fault("remove state changes"))
}

/// After a restore: what is in the log is older than what endpoints were told since. It begins anew, with numbers that the
/// lost ledger cannot have reached.
pub(super) fn begin_anew(conn: &Connection, now_ms: i64) -> Result<(), StorageError> {
    // A number a microsecond is more than any ledger writes; a second restore is later, so higher again.
    let floor = span(conn)?.last.max(unsigned(now_ms.saturating_mul(1_000)));
    conn.execute("DELETE FROM status_change", [])
        .and_then(|_| conn.execute("DELETE FROM sqlite_sequence WHERE name = 'status_change'", []))
        .and_then(|_| {
            conn.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('status_change', ?1)", [signed(floor)])
        })
        .and_then(|_| {
            conn.execute(
                "UPDATE document SET body = json_set(body, '$.position', ?1, '$.told', ?1), version = version + 1
                 WHERE kind = 'follower' AND id LIKE 'endpoint:%'",
                [signed(floor)],
            )
        })
        .map(|_| ())
        .map_err(fault("restore"))
}
