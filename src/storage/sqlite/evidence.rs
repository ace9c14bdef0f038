//! Sealed texts in `evidence.db`: written by whoever calls, one at a time; deleted pages are overwritten.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Sqlite, blocking, fault, limit, signed, unsigned};
use crate::event::{EvidenceKind, Partition};
use crate::storage::evidence::ROW_BYTES;
use crate::storage::{
    EvidenceOf, EvidenceQuery, EvidenceRoom, EvidenceRow, EvidenceStore, EvidenceStored, EvidenceTotals,
    StorageError,
};

/// Rows of the history that go at once when room is needed.
const EVICTED_ROWS: u64 = 200;

/// Rows removed in one transaction by pruning, so that writers wait briefly.
const PRUNED_ROWS: u64 = 2_000;

const COLUMNS: &str = "seq, id, part, account, grp, member, at_ms, kind, key_id, nonce, data, expires_ms";

/// The writing connection and what the file holds.
#[derive(Debug)]
pub(super) struct EvidenceFile {
    conn: Connection,
    totals: EvidenceTotals,
}

impl EvidenceFile {
    pub(super) fn open(conn: Connection) -> Result<Self, StorageError> {
        conn.execute_batch("PRAGMA secure_delete = ON").map_err(fault("open the evidence"))?;
        let totals = conn
            .query_row("SELECT COUNT(*), COALESCE(SUM(LENGTH(data)), 0) FROM evidence", [], |row| {
                let (rows, bytes) = (unsigned(row.get(0)?), unsigned(row.get(1)?));
                Ok(EvidenceTotals { rows, bytes: bytes + rows * ROW_BYTES })
            })
            .map_err(fault("open the evidence"))?;
        Ok(Self { conn, totals })
    }

    fn keep(&mut self, rows: &[EvidenceRow], room: EvidenceRoom) -> Result<EvidenceStored, StorageError> {
        let mut totals = self.totals;
        let mut refused = 0;
        let tx = self.conn.transaction().map_err(fault("keep evidence"))?;
        for row in rows {
            if is_there(&tx, &row.id)? {
                continue;
            }
            if !make_room(&tx, &mut totals, row.bytes(), room)? {
                refused += 1;
                continue;
            }
            insert(&tx, row)?;
            totals.rows += 1;
            totals.bytes += row.bytes();
            if row.kind == EvidenceKind::History {
                let oldest = "SELECT seq FROM evidence WHERE account = ?1 AND grp = ?2 AND kind = 'history'
                              ORDER BY at_ms DESC, seq DESC LIMIT -1 OFFSET ?3";
                let keys = params![row.account, row.group, room.group_history_max];
                remove(&tx, &mut totals, oldest, keys)?;
            }
        }
        tx.commit().map_err(fault("keep evidence"))?;
        self.totals = totals;
        Ok(EvidenceStored { refused, totals })
    }

    fn erase(&mut self, what: &[EvidenceOf]) -> Result<u64, StorageError> {
        let mut totals = self.totals;
        let mut gone = 0;
        let tx = self.conn.transaction().map_err(fault("erase evidence"))?;
        for EvidenceOf { account, group, member } in what {
            let rows =
                "SELECT seq FROM evidence WHERE account = ?1 AND grp = ?2 AND (?3 IS NULL OR member = ?3)";
            gone += remove(&tx, &mut totals, rows, params![account, group, member])?;
        }
        tx.commit().map_err(fault("erase evidence"))?;
        self.totals = totals;
        // What was there a moment ago must not lie about in the log. A reader may hold it open; then the next checkpoint
        // overwrites it.
        self.conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(fault("erase evidence"))?;
        Ok(gone)
    }

    /// Removes some expired rows; says whether there may be more.
    fn prune(&mut self, now_ms: i64) -> Result<u64, StorageError> {
        let mut totals = self.totals;
        let tx = self.conn.transaction().map_err(fault("prune evidence"))?;
        let rows = "SELECT seq FROM evidence WHERE expires_ms <= ?1 LIMIT ?2";
        let gone = remove(&tx, &mut totals, rows, params![now_ms, signed(PRUNED_ROWS)])?;
        tx.commit().map_err(fault("prune evidence"))?;
        self.totals = totals;
        Ok(gone)
    }
}

fn is_there(tx: &Transaction<'_>, id: &str) -> Result<bool, StorageError> {
    let found = tx
        .prepare_cached("SELECT 1 FROM evidence WHERE id = ?1")
        .and_then(|mut query| query.query_row([id], |_| Ok(())).optional())
        .map_err(fault("keep evidence"))?;
    Ok(found.is_some())
}

fn insert(tx: &Transaction<'_>, row: &EvidenceRow) -> Result<(), StorageError> {
    tx.prepare_cached(
        "INSERT INTO evidence (id, part, account, grp, member, at_ms, kind, key_id, nonce, data, expires_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )
    .and_then(|mut insert| {
        insert.execute(params![
            row.id,
            row.partition.0,
            row.account,
            row.group,
            row.member,
            row.at_ms,
            row.kind.as_str(),
            row.key,
            row.nonce,
            row.data,
            row.expires_ms
        ])
    })
    .map(drop)
    .map_err(fault("keep evidence"))
}

/// Lets the oldest history go until there is room; says whether there is.
fn make_room(
    tx: &Transaction<'_>,
    totals: &mut EvidenceTotals,
    bytes: u64,
    room: EvidenceRoom,
) -> Result<bool, StorageError> {
    let fits = |totals: &EvidenceTotals| {
        totals.rows < room.rows_max && totals.bytes.saturating_add(bytes) <= room.bytes_max
    };
    while !fits(totals) {
        let oldest = "SELECT seq FROM evidence WHERE kind = 'history' ORDER BY seq LIMIT ?1";
        if remove(tx, totals, oldest, params![signed(EVICTED_ROWS)])? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes the rows that a query selects and takes them off the totals.
fn remove(
    tx: &Transaction<'_>,
    totals: &mut EvidenceTotals,
    selected: &str,
    keys: &[&dyn rusqlite::ToSql],
) -> Result<u64, StorageError> {
    let sql = format!("DELETE FROM evidence WHERE seq IN ({selected}) RETURNING LENGTH(data)");
    let mut gone = 0;
    let mut statement = tx.prepare_cached(&sql).map_err(fault("remove evidence"))?;
    let mut rows = statement.query(keys).map_err(fault("remove evidence"))?;
    while let Some(row) = rows.next().map_err(fault("remove evidence"))? {
        let bytes: i64 = row.get(0).map_err(fault("remove evidence"))?;
        totals.bytes = totals.bytes.saturating_sub(unsigned(bytes) + ROW_BYTES);
        totals.rows = totals.rows.saturating_sub(1);
        gone += 1;
    }
    Ok(gone)
}

fn row_of(row: &Row<'_>) -> rusqlite::Result<EvidenceRow> {
    let kind: String = row.get(7)?;
    Ok(EvidenceRow {
        seq: row.get(0).map(unsigned)?,
        id: row.get(1)?,
        partition: Partition(row.get(2)?),
        account: row.get(3)?,
        group: row.get(4)?,
        member: row.get(5)?,
        at_ms: row.get(6)?,
        // A kind of a newer version is shown as the one that promises least.
        kind: EvidenceKind::parse(&kind).unwrap_or(EvidenceKind::History),
        key: row.get(8)?,
        nonce: row.get(9)?,
        data: row.get(10)?,
        expires_ms: row.get(11)?,
    })
}

impl Sqlite {
    async fn evidence_write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut EvidenceFile) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let file: Arc<Mutex<EvidenceFile>> = Arc::clone(&self.evidence);
        blocking(move || work(&mut file.lock())).await
    }
}

#[async_trait]
impl EvidenceStore for Sqlite {
    async fn evidence_keep(
        &self,
        rows: Vec<EvidenceRow>,
        room: EvidenceRoom,
    ) -> Result<EvidenceStored, StorageError> {
        self.evidence_write(move |file| file.keep(&rows, room)).await
    }

    fn evidence_row(&self, id: &str, now_ms: i64) -> Result<Option<EvidenceRow>, StorageError> {
        self.readers.evidence.read(|conn| {
            conn.prepare_cached(&format!("SELECT {COLUMNS} FROM evidence WHERE id = ?1 AND expires_ms > ?2"))
                .and_then(|mut query| query.query_row(params![id, now_ms], row_of).optional())
                .map_err(fault("read evidence"))
        })
    }

    fn evidence_page(&self, query: &EvidenceQuery) -> Result<Vec<EvidenceRow>, StorageError> {
        let (account, group) = query.group.as_ref().map_or((None, None), |(a, g)| (Some(a), Some(g)));
        self.readers.evidence.read(|conn| {
            conn.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM evidence WHERE seq > ?1 AND at_ms >= ?2 AND expires_ms > ?3
                 AND (?4 IS NULL OR (account = ?4 AND grp = ?5)) ORDER BY seq LIMIT ?6"
            ))
            .and_then(|mut rows| {
                let keys = params![
                    signed(query.after),
                    query.since_ms,
                    query.now_ms,
                    account,
                    group,
                    limit(query.limit)
                ];
                rows.query_map(keys, row_of)?.collect()
            })
            .map_err(fault("read evidence"))
        })
    }

    fn evidence_groups(&self, account: &str, member: Option<&str>) -> Result<Vec<String>, StorageError> {
        self.readers.evidence.read(|conn| {
            conn.prepare_cached(
                "SELECT DISTINCT grp FROM evidence WHERE account = ?1 AND (?2 IS NULL OR member = ?2) ORDER BY grp",
            )
            .and_then(|mut rows| rows.query_map(params![account, member], |row| row.get(0))?.collect())
            .map_err(fault("read evidence"))
        })
    }

    async fn evidence_erase(&self, what: Vec<EvidenceOf>) -> Result<u64, StorageError> {
        self.evidence_write(move |file| file.erase(&what)).await
    }

    async fn evidence_prune(&self, now_ms: i64) -> Result<(u64, EvidenceTotals), StorageError> {
        let mut gone = 0;
        loop {
            let (some, totals) =
                self.evidence_write(move |file| file.prune(now_ms).map(|some| (some, file.totals))).await?;
            gone += some;
            if some < PRUNED_ROWS {
                return Ok((gone, totals));
            }
        }
    }
}
