//! Who spoke, came and went: a row for each group and day.

use rusqlite::{OptionalExtension, Transaction, params};

use super::settled::Settled;
use crate::statistics::days::{self, DayError, Same, View};
use crate::statistics::fold::{Delta, GroupRecord};
use crate::storage::StorageError;
use crate::storage::sqlite::fault;

/// Adds what the stretch holds to its rows. `numbers` are those of the members.
pub(super) fn merge(
    tx: &Transaction<'_>,
    delta: &Delta,
    groups: &[(i64, GroupRecord)],
    numbers: &[Option<u64>],
) -> Result<(), StorageError> {
    let prepare = |sql| tx.prepare_cached(sql).map_err(fault("write groups' days"));
    let mut settled = Settled::read(tx).map_err(fault("read groups' days"))?;
    let mut open = (
        prepare("SELECT spoke, moved, counted FROM day WHERE day = ?1 AND grp = ?2")?,
        prepare("INSERT OR REPLACE INTO day (day, grp, spoke, moved, counted) VALUES (?1, ?2, ?3, ?4, ?5)")?,
    );
    let mut past = (
        prepare("SELECT spoke, moved, counted FROM past WHERE day = ?1 AND grp = ?2")?,
        prepare("INSERT OR REPLACE INTO past (day, grp, spoke, moved, counted) VALUES (?1, ?2, ?3, ?4, ?5)")?,
    );
    let group = |index: u32| groups[index as usize].0;
    let number = |member: u32| numbers.get(member as usize).copied().flatten();
    for ((day, group), news) in delta.days(group, number) {
        let is_past = settled.has(day, group);
        if is_past {
            settled.reach_back(tx, day).map_err(fault("write a group's day"))?;
        }
        let (find, write) = if is_past { &mut past } else { &mut open };
        let known = find
            .query_row(params![day, group], |row| viewed(row, None, |view| days::decode(&view)))
            .optional()
            .map_err(fault("read a group's day"))?;
        let mut row = known.transpose().map_err(|e| unreadable(day, group, &e))?.unwrap_or_default();
        row.add(news);
        let row = days::encode(&row);
        write
            .execute(params![day, group, row.spoke, row.moved, row.counted])
            .map_err(fault("write a group's day"))?;
    }
    Ok(())
}

/// Looks at a row of the table where it lies.
pub(in crate::storage::sqlite) fn viewed<T>(
    row: &rusqlite::Row<'_>,
    same: Option<&Same>,
    look: impl FnOnce(View<'_>) -> T,
) -> Result<T, rusqlite::Error> {
    let part = |column: usize| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_blob()?);
    Ok(look(View { spoke: part(0)?, moved: part(1)?, counted: part(2)?, same }))
}

/// Names the row that cannot be read.
pub(in crate::storage::sqlite) fn unreadable(day: u32, group: i64, why: &DayError) -> StorageError {
    StorageError::unreadable(format!("state.db: day {day} of group {group}"), why.to_string())
}
