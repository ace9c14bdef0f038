//! The journal's file: the sink behind the queue, and reading it back.
//!
//! Positions are given here, without gaps in what was committed; they only grow, also over pruning. Each partition's
//! sequence numbers have no gaps at all. A block is a stretch of [`BLOCK_ROWS`] rows with the hours it may hold.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{fault, signed, unsigned};
use crate::event::Partition;
use crate::storage::queue::{Group, SLOTS, Sink, SinkError};
use crate::storage::{JournalRow, StorageError, codec, pass};

/// Rows of a block.
const BLOCK_ROWS: u64 = 4096;

/// What a lease on one node covers: everything.
const LEASE_PART: i64 = -1;

const INSERT: &str = "INSERT INTO journal (pos, part, seq, epoch, bucket_min, bucket_max, n, payload)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// The writing side. Lives on the journal's thread.
#[derive(Debug)]
pub(super) struct JournalSink {
    conn: Connection,
    marks: Marks,
}

/// What must go back to its former value when a commit fails.
#[derive(Clone, Debug)]
struct Marks {
    last: u64,
    seqs: Vec<u64>,
    block: Option<Block>,
}

/// A stretch of the journal and the hours in it.
#[derive(Clone, Copy, Debug)]
struct Block {
    first: u64,
    rows: u64,
    oldest: u32,
    newest: u32,
}

impl JournalSink {
    /// Takes over the file: finds the last numbers and checks the rows since the last block.
    ///
    /// A commit that was cut off is no row: SQLite drops it by the checksums of its log. So a row here whose checksum
    /// differs is damage, never a torn tail, and is reported.
    pub(super) fn open(conn: Connection) -> Result<Self, StorageError> {
        let mut marks = Marks { last: 0, seqs: vec![0; SLOTS], block: None };
        let last_block: u64 = conn
            .query_row("SELECT COALESCE(MAX(last_pos), 0) FROM block", [], |row| row.get(0).map(unsigned))
            .map_err(fault("open the journal"))?;
        marks.last = last_block;
        {
            let mut heads = conn.prepare("SELECT part, seq FROM head").map_err(fault("open the journal"))?;
            let rows = heads
                .query_map([], |row| Ok((row.get::<_, u16>(0)?, row.get(1).map(unsigned)?)))
                .map_err(fault("open the journal"))?;
            for head in rows {
                let (part, seq) = head.map_err(fault("open the journal"))?;
                if let Some(slot) = marks.seqs.get_mut(usize::from(part)) {
                    *slot = seq;
                }
            }
        }
        scan(&conn, Range { after: last_block, ..Range::ALL }, &mut |row, bucket_max| {
            codec::records(&row.payload).map_err(|e| pass::unreadable(row.position, row.partition, &e))?;
            marks.seqs[usize::from(row.partition.0).min(SLOTS - 1)] = row.seq;
            marks.add(row.position, bucket_max);
            Ok(())
        })?;
        Ok(Self { conn, marks })
    }

    /// The connection, for what else lives in the file.
    pub(super) fn conn(&mut self) -> &mut Connection {
        &mut self.conn
    }

    /// Raises the epoch for a new owner.
    pub(super) fn lease(&mut self, node: &str) -> Result<u64, StorageError> {
        self.conn
            .query_row(
                "INSERT INTO lease VALUES ('journal', ?1, ?2, 1)
                 ON CONFLICT DO UPDATE SET owner = excluded.owner, epoch = epoch + 1 RETURNING epoch",
                params![LEASE_PART, node],
                |row| row.get(0).map(unsigned),
            )
            .map_err(fault("lease"))
    }

    /// Removes old rows of the first block that has any, starting after `after`; returns how many went and where to go
    /// on, or `None` when nothing is left to look at.
    pub(super) fn prune_step(
        &mut self,
        bucket: u32,
        upto: u64,
        after: u64,
    ) -> Result<(u64, Option<u64>), StorageError> {
        // The last row stays: the next position follows from it.
        let upto = upto.min(self.marks.last.saturating_sub(1));
        let next = self
            .conn
            .query_row(
                "SELECT first_pos, last_pos FROM block WHERE first_pos > ?1 AND first_pos <= ?2 AND oldest < ?3
                 ORDER BY first_pos LIMIT 1",
                params![signed(after), signed(upto), bucket],
                |row| Ok((row.get(0).map(unsigned)?, row.get(1).map(unsigned)?)),
            )
            .optional()
            .map_err(fault("prune the journal"))?;
        // Rows after the last block are looked at as one more block, which has no row in the table yet.
        let open_from = self.marks.block.map_or(self.marks.last + 1, |block| block.first);
        let (first, last) = match next {
            Some((first, last)) => (first, last.min(upto)),
            None if open_from > after && open_from <= upto => (open_from, upto),
            None => return Ok((0, None)),
        };
        let tx = self.conn.transaction().map_err(fault("prune the journal"))?;
        let (low, high) = (signed(first), signed(last));
        tx.execute(
            "INSERT INTO head SELECT part, MAX(seq) FROM journal
             WHERE pos BETWEEN ?1 AND ?2 AND bucket_max < ?3 GROUP BY part
             ON CONFLICT DO UPDATE SET seq = MAX(seq, excluded.seq)",
            params![low, high, bucket],
        )
        .map_err(fault("prune the journal"))?;
        let pruned: Option<i64> = tx
            .query_row(
                "SELECT MAX(pos) FROM journal WHERE pos BETWEEN ?1 AND ?2 AND bucket_max < ?3",
                params![low, high, bucket],
                |row| row.get(0),
            )
            .map_err(fault("prune the journal"))?;
        let gone = tx
            .execute(
                "DELETE FROM journal WHERE pos BETWEEN ?1 AND ?2 AND bucket_max < ?3",
                params![low, high, bucket],
            )
            .map_err(fault("prune the journal"))?;
        if let Some(pruned) = pruned {
            tx.execute(
                "INSERT INTO meta VALUES ('pruned', ?1) ON CONFLICT DO UPDATE SET value = MAX(value, excluded.value)",
                params![pruned],
            )
            .map_err(fault("prune the journal"))?;
        }
        tx.execute(
            "UPDATE block SET oldest = MAX(oldest, ?3) WHERE first_pos = ?1 AND last_pos = ?2",
            params![low, high, bucket],
        )
        .map_err(fault("prune the journal"))?;
        tx.execute(
            "DELETE FROM block WHERE last_pos <= ?2 AND first_pos >= ?1 AND last_pos < ?3
             AND NOT EXISTS (SELECT 1 FROM journal WHERE pos BETWEEN first_pos AND last_pos)",
            params![low, high, signed(open_from)],
        )
        .map_err(fault("prune the journal"))?;
        tx.commit().map_err(fault("prune the journal"))?;
        Ok((gone as u64, Some(first)))
    }
}

impl Marks {
    fn add(&mut self, position: u64, bucket_max: u32) {
        self.last = position;
        let block = self.block.get_or_insert(Block { first: position, rows: 0, oldest: u32::MAX, newest: 0 });
        block.rows += 1;
        block.oldest = block.oldest.min(bucket_max);
        block.newest = block.newest.max(bucket_max);
    }
}

impl Sink for JournalSink {
    fn commit(&mut self, group: &mut Group) -> Result<Vec<Partition>, SinkError> {
        let before = self.marks.clone();
        match write(&mut self.conn, &mut self.marks, group) {
            Ok(fenced) => Ok(fenced),
            Err(error) => {
                self.marks = before;
                Err(error)
            }
        }
    }
}

fn write(conn: &mut Connection, marks: &mut Marks, group: &mut Group) -> Result<Vec<Partition>, SinkError> {
    // Dropping the transaction on any way out rolls it back.
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sink_error)?;
    let epoch = epoch(&tx).map_err(sink_error)?;
    let mut fenced = Vec::new();
    {
        let mut insert = tx.prepare_cached(INSERT).map_err(sink_error)?;
        group.each(|partition, slot| {
            if Some(slot.epoch) != epoch {
                fenced.push(partition);
                return Ok(());
            }
            codec::finish_row(&mut slot.row);
            let position = marks.last + 1;
            let seq = &mut marks.seqs[usize::from(partition.0)];
            *seq += 1;
            insert
                .execute(params![
                    signed(position),
                    partition.0,
                    signed(*seq),
                    signed(slot.epoch),
                    slot.bucket_min,
                    slot.bucket_max,
                    slot.events,
                    slot.row
                ])
                .map_err(sink_error)?;
            marks.add(position, slot.bucket_max);
            Ok(())
        })?;
    }
    if marks.block.is_some_and(|block| block.rows >= BLOCK_ROWS) {
        finish_block(&tx, marks).map_err(sink_error)?;
    }
    tx.commit().map_err(sink_error)?;
    Ok(fenced)
}

/// Returns the owner's epoch; `None` when nobody has taken a lease yet.
pub(super) fn epoch(conn: &Connection) -> Result<Option<u64>, rusqlite::Error> {
    conn.prepare_cached("SELECT epoch FROM lease WHERE kind = 'journal' AND part = ?1")?
        .query_row(params![LEASE_PART], |row| row.get(0).map(unsigned))
        .optional()
}

fn finish_block(tx: &Connection, marks: &mut Marks) -> Result<(), rusqlite::Error> {
    let Some(block) = marks.block.take() else { return Ok(()) };
    tx.prepare_cached("INSERT INTO block VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        signed(block.first),
        signed(marks.last),
        block.oldest,
        block.newest
    ])?;
    let mut head = tx.prepare_cached("INSERT OR REPLACE INTO head VALUES (?1, ?2)")?;
    for (part, seq) in marks.seqs.iter().enumerate().filter(|(_, seq)| **seq > 0) {
        head.execute(params![signed(part as u64), signed(*seq)])?;
    }
    Ok(())
}

fn sink_error(error: rusqlite::Error) -> SinkError {
    // After a failed sync the kernel may have dropped the pages and report the next one as done; after damage nothing
    // is certain. A full disk or a busy file is an ordinary failure.
    let fatal = error.sqlite_error().is_some_and(|e| {
        e.extended_code == rusqlite::ffi::SQLITE_IOERR_FSYNC
            || e.extended_code == rusqlite::ffi::SQLITE_IOERR_DIR_FSYNC
            || matches!(e.code, rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    });
    SinkError { source: Box::new(error), fatal }
}

// === reading ===

/// Which rows to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    /// Only after this position.
    pub after: u64,
    /// Only up to this position.
    pub upto: u64,
    /// Only rows whose latest hour is this or later.
    pub bucket_min: u32,
    /// At most.
    pub rows_max: usize,
}

impl Range {
    /// Everything.
    pub(super) const ALL: Self =
        Self { after: 0, upto: i64::MAX.cast_unsigned(), bucket_min: 0, rows_max: usize::MAX };
}

const ROWS: &str = "SELECT pos, part, seq, epoch, bucket_max, payload FROM journal
    WHERE pos > ?1 AND pos <= ?2 AND bucket_max >= ?3 ORDER BY pos LIMIT ?4";

/// Calls `visit` with each row and its latest hour.
pub(super) fn scan(
    conn: &Connection,
    range: Range,
    visit: &mut dyn FnMut(JournalRow, u32) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut query = conn.prepare_cached(ROWS).map_err(fault("read the journal"))?;
    let limit = i64::try_from(range.rows_max).unwrap_or(i64::MAX);
    let mut found = query
        .query(params![signed(range.after), signed(range.upto), range.bucket_min, limit])
        .map_err(fault("read the journal"))?;
    while let Some(row) = found.next().map_err(fault("read the journal"))? {
        let (journal_row, bucket_max) = row_of(row).map_err(fault("read the journal"))?;
        visit(journal_row, bucket_max)?;
    }
    Ok(())
}

/// Calls `visit` for every row that may hold an hour from `bucket_min` on, leaving out blocks that cannot. Each block is
/// its own short reading.
pub(super) fn replay(
    conn: &Connection,
    bucket_min: u32,
    visit: &mut dyn FnMut(JournalRow) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut blocks = conn
        .prepare("SELECT first_pos, last_pos FROM block WHERE newest >= ?1 ORDER BY first_pos")
        .and_then(|mut query| {
            query
                .query_map([bucket_min], |row| Ok((row.get(0).map(unsigned)?, row.get(1).map(unsigned)?)))?
                .collect::<Result<Vec<(u64, u64)>, _>>()
        })
        .map_err(fault("read the journal"))?;
    let last_block: u64 = conn
        .query_row("SELECT COALESCE(MAX(last_pos), 0) FROM block", [], |row| row.get(0).map(unsigned))
        .map_err(fault("read the journal"))?;
    blocks.push((last_block + 1, Range::ALL.upto));
    for (first, last) in blocks {
        let range = Range { after: first - 1, upto: last, bucket_min, rows_max: usize::MAX };
        scan(conn, range, &mut |row, _| visit(row))?;
    }
    Ok(())
}

/// Returns the last position written.
pub(super) fn last_position(conn: &Connection) -> Result<u64, StorageError> {
    conn.prepare_cached("SELECT COALESCE(MAX(pos), 0) FROM journal")
        .and_then(|mut query| query.query_row([], |row| row.get(0).map(unsigned)))
        .map_err(fault("read the journal"))
}

fn row_of(row: &rusqlite::Row<'_>) -> Result<(JournalRow, u32), rusqlite::Error> {
    Ok((
        JournalRow {
            position: unsigned(row.get(0)?),
            partition: Partition(row.get(1)?),
            seq: unsigned(row.get(2)?),
            epoch: unsigned(row.get(3)?),
            payload: row.get(5)?,
        },
        row.get(4)?,
    ))
}
