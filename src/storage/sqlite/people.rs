//! Reading who spoke, came and went.

use std::ops::Range;

use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::projection::days::{unreadable, viewed};
use super::{fault, unsigned};
use crate::statistics::days::{DayError, Same, View};
use crate::storage::StorageError;

/// Visits groups' days, day by day as the table has them.
pub(super) fn days(
    conn: &Connection,
    groups: &[(String, String)],
    range: Range<u32>,
    visit: &mut dyn FnMut(usize, u32, &View<'_>) -> Result<(), DayError>,
) -> Result<(), StorageError> {
    let mut known = numbers(conn, groups).map_err(fault("find groups"))?;
    known.sort_unstable();
    let same = same_people(conn, groups).map_err(fault("read who is the same"))?;
    let mut find = conn
        .prepare_cached("SELECT spoke, moved, counted FROM day WHERE day = ?1 AND grp = ?2")
        .map_err(fault("read groups' days"))?;
    for day in held(conn, range)? {
        for (number, index) in &known {
            let same = same.get(&groups[*index].0).filter(|same| !same.is_empty());
            find.query_row(params![day, number], |row| viewed(row, same, |view| visit(*index, day, &view)))
                .optional()
                .map_err(fault("read groups' days"))?
                .transpose()
                .map_err(|e| unreadable(day, *number, &e))?;
        }
    }
    Ok(())
}

/// Returns which days of a range can have rows.
fn held(conn: &Connection, range: Range<u32>) -> Result<Range<u32>, StorageError> {
    let ends = conn
        .prepare_cached("SELECT MIN(day), MAX(day) FROM day")
        .and_then(|mut query| {
            query.query_row([], |row| Ok((row.get::<_, Option<u32>>(0)?, row.get::<_, Option<u32>>(1)?)))
        })
        .map_err(fault("read groups' days"))?;
    Ok(match ends {
        (Some(first), Some(last)) => range.start.max(first)..range.end.min(last.saturating_add(1)),
        (_, _) => 0..0,
    })
}

fn numbers(conn: &Connection, groups: &[(String, String)]) -> Result<Vec<(i64, usize)>, rusqlite::Error> {
    let mut find = conn.prepare_cached("SELECT no FROM grp WHERE account = ?1 AND grp = ?2")?;
    let mut known = Vec::with_capacity(groups.len());
    for (index, (account, group)) in groups.iter().enumerate() {
        let number: Option<i64> = find.query_row([account, group], |row| row.get(0)).optional()?;
        known.extend(number.map(|number| (number, index)));
    }
    Ok(known)
}

fn same_people(
    conn: &Connection,
    groups: &[(String, String)],
) -> Result<HashMap<String, Same>, rusqlite::Error> {
    let mut same = HashMap::new();
    let mut find = conn.prepare_cached("SELECT number, person FROM same_person WHERE account = ?1")?;
    for (account, _) in groups {
        if same.contains_key(account) {
            continue;
        }
        let pair = |row: &Row<'_>| Ok((row.get(0).map(unsigned)?, row.get(1).map(unsigned)?));
        let pairs = find.query_map([account], pair)?.collect::<Result<_, _>>()?;
        same.insert(account.clone(), pairs);
    }
    Ok(same)
}
