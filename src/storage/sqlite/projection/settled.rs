//! Days that are over lie group by group.
//!
//! A day under way is written beside the same day of all other groups (`day`), so that a fold touches few pages. Who asks,
//! asks about many days of a group: once a week is over its rows are moved to where a group's days follow each other
//! (`past`). Invariant: [`Settled::has`] alone says in which of the two a row is, and moving is part of folding: a
//! function of the journal.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::statistics::days::day_of;
use crate::storage::StorageError;
use crate::storage::sqlite::fault;

/// Days that are moved together.
const WEEK: u32 = 7;
/// Days after which a week is taken to be over; what comes later still is written where the row is then.
const GRACE: u32 = 2;
/// Groups moved in one transaction, and transactions after a fold: others wait meanwhile.
const GROUPS: i64 = 500;
const STEPS: usize = 10;

/// Which rows were moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::storage::sqlite) struct Settled {
    /// No moved row is of a day before.
    pub(in crate::storage::sqlite) first: u32,
    /// Rows of days before it were moved.
    until: u32,
    /// Rows of days before it are being moved.
    next: u32,
    /// Of these, those of groups before it were.
    done: i64,
}

impl Settled {
    pub(in crate::storage::sqlite) fn read(conn: &Connection) -> Result<Self, rusqlite::Error> {
        conn.prepare_cached("SELECT first, until, next, done FROM settled")?.query_row([], |row| {
            Ok(Self { first: row.get(0)?, until: row.get(1)?, next: row.get(2)?, done: row.get(3)? })
        })
    }

    /// Returns the day before which a group's rows were moved.
    pub(in crate::storage::sqlite) fn until(&self, group: i64) -> u32 {
        if group < self.done { self.next.max(self.until) } else { self.until }
    }

    /// Returns the last day of which rows can have been moved.
    pub(in crate::storage::sqlite) fn last(&self) -> Option<u32> {
        self.next.max(self.until).checked_sub(1)
    }

    /// Says whether the row of a day and group was moved.
    pub(in crate::storage::sqlite) fn has(&self, day: u32, group: i64) -> bool {
        day < self.until(group)
    }

    /// A row of this day is written among those moved.
    pub(super) fn reach_back(&mut self, tx: &Transaction<'_>, day: u32) -> Result<(), rusqlite::Error> {
        if day < self.first {
            self.first = day;
            tx.execute("UPDATE settled SET first = ?1", [day])?;
        }
        Ok(())
    }
}

/// Moves some of what is over; the rest after later folds.
pub(super) fn settle(conn: &mut Connection, arrived_ms: i64) -> Result<(), StorageError> {
    let failed = fault("move days that are over");
    let ripe = day_of(arrived_ms).saturating_sub(GRACE) / WEEK * WEEK;
    for _ in 0..STEPS {
        let tx = conn.transaction().map_err(&failed)?;
        if !step(&tx, ripe).map_err(&failed)? {
            return Ok(());
        }
        tx.commit().map_err(&failed)?;
    }
    Ok(())
}

/// Moves the rows of some groups; says whether there were any to move.
fn step(tx: &Transaction<'_>, ripe: u32) -> Result<bool, rusqlite::Error> {
    let settled = Settled::read(tx)?;
    let next = if settled.next > settled.until { settled.next } else { ripe };
    if next <= settled.until {
        return Ok(false);
    }
    let (from, to) = (settled.done, settled.done + GROUPS);
    let (mut day, mut first) = (0_u32, settled.first);
    let mut later = tx.prepare_cached("SELECT MIN(day) FROM day WHERE day >= ?1")?;
    let mut write = tx.prepare_cached(
        "INSERT INTO past SELECT grp, day, spoke, moved, counted FROM day WHERE day = ?1 AND grp >= ?2 AND grp < ?3",
    )?;
    let mut remove = tx.prepare_cached("DELETE FROM day WHERE day = ?1 AND grp >= ?2 AND grp < ?3")?;
    while let Some(found) =
        later.query_row([day], |row| row.get::<_, Option<u32>>(0))?.filter(|day| *day < next)
    {
        if write.execute(params![found, from, to])? > 0 {
            first = first.min(found);
            remove.execute(params![found, from, to])?;
        }
        day = found + 1;
    }
    let last: Option<i64> =
        tx.query_row("SELECT MAX(no) FROM grp", [], |row| row.get(0)).optional()?.flatten();
    let (until, done) = if last.is_none_or(|last| last < to) { (next, 0) } else { (settled.until, to) };
    tx.prepare_cached("UPDATE settled SET first = ?1, until = ?2, next = ?3, done = ?4")?
        .execute(params![first, until, next, done])?;
    Ok(true)
}
