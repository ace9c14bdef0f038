//! Words of groups' days.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{fault, signed, unsigned};
use crate::statistics::words::{Said, WordsError};
use crate::storage::{StorageError, WordsHeard, WordsShare, WordsVisit};

/// Adds words to groups' days.
pub(super) fn add(
    tx: &Transaction<'_>,
    heard: Vec<WordsHeard>,
    shares: &[(u32, WordsShare)],
    words_max: usize,
) -> Result<u64, StorageError> {
    let failed = fault("write words");
    let mut number =
        tx.prepare_cached("SELECT no FROM grp WHERE account = ?1 AND grp = ?2").map_err(&failed)?;
    let mut find =
        tx.prepare_cached("SELECT words FROM said WHERE day = ?1 AND grp = ?2").map_err(&failed)?;
    let mut write = tx.prepare_cached("INSERT OR REPLACE INTO said VALUES (?1, ?2, ?3)").map_err(&failed)?;
    let mut lost = 0;
    for WordsHeard { account, group, day, said } in heard {
        let known: Option<i64> =
            number.query_row([&account, &group], |row| row.get(0)).optional().map_err(&failed)?;
        let Some(known) = known else { continue };
        let row: Option<Vec<u8>> =
            find.query_row(params![day, known], |row| row.get(0)).optional().map_err(&failed)?;
        let mut kept =
            Said::decode(row.as_deref().unwrap_or_default()).map_err(|e| unreadable(day, known, &e))?;
        lost += kept.add(said, words_max);
        write.execute(params![day, known, kept.encode()]).map_err(&failed)?;
    }
    let mut count = tx
        .prepare_cached(
            "INSERT INTO said_day VALUES (?1, ?2, ?3) ON CONFLICT (day) DO UPDATE
             SET counted = counted + excluded.counted, missed = missed + excluded.missed",
        )
        .map_err(&failed)?;
    for (day, share) in shares {
        count.execute(params![day, signed(share.counted), signed(share.missed)]).map_err(&failed)?;
    }
    Ok(lost)
}

/// Visits the words of groups on a day.
pub(super) fn visit(
    conn: &Connection,
    groups: &[(String, String)],
    day: u32,
    visit: &mut WordsVisit<'_>,
) -> Result<(), StorageError> {
    let failed = fault("read words");
    let mut find = conn
        .prepare_cached(
            "SELECT said.grp, words FROM said WHERE day = ?1
             AND said.grp = (SELECT no FROM grp WHERE account = ?2 AND grp = ?3)",
        )
        .map_err(&failed)?;
    for (index, (account, group)) in groups.iter().enumerate() {
        let seen = find.query_row(params![day, account, group], |row| {
            let words = row.get_ref(1)?.as_blob()?;
            Ok((row.get::<_, i64>(0)?, visit(index, words)))
        });
        if let Some((group, Err(error))) = seen.optional().map_err(&failed)? {
            return Err(unreadable(day, group, &error));
        }
    }
    Ok(())
}

/// Returns how many messages of a day were looked at.
pub(super) fn share(conn: &Connection, day: u32) -> Result<WordsShare, StorageError> {
    let share = conn
        .prepare_cached("SELECT counted, missed FROM said_day WHERE day = ?1")
        .and_then(|mut query| {
            let share = query.query_row([day], |row| {
                Ok(WordsShare { counted: row.get(0).map(unsigned)?, missed: row.get(1).map(unsigned)? })
            });
            share.optional()
        })
        .map_err(fault("read words"))?;
    Ok(share.unwrap_or_default())
}

/// Forgets days that are too old or too many; returns the bytes that are left.
pub(super) fn sweep(tx: &Transaction<'_>, first: u32, bytes_max: u64) -> Result<u64, StorageError> {
    let failed = fault("forget words");
    let mut sizes = tx
        .prepare_cached(
            "SELECT day, SUM(LENGTH(words)) FROM said WHERE day >= ?1 GROUP BY day ORDER BY day DESC",
        )
        .map_err(&failed)?;
    let days = sizes.query_map([first], |row| Ok((row.get::<_, u32>(0)?, row.get(1).map(unsigned)?)));
    let days = days.map_err(&failed)?.collect::<Result<Vec<(u32, u64)>, _>>().map_err(&failed)?;
    let (mut first, mut held) = (first, 0);
    for (day, bytes) in days {
        // The latest day stays, whatever it takes: its size is bounded by the groups.
        if held > 0 && held + bytes > bytes_max {
            first = first.max(day + 1);
            break;
        }
        held += bytes;
    }
    tx.execute("DELETE FROM said WHERE day < ?1", [first]).map_err(&failed)?;
    tx.execute("DELETE FROM said_day WHERE day < ?1", [first]).map_err(&failed)?;
    Ok(held)
}

fn unreadable(day: u32, group: i64, why: &WordsError) -> StorageError {
    StorageError::unreadable(format!("state.db: words of day {day} of group {group}"), why.to_string())
}
