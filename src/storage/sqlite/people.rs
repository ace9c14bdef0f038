//! Reading what is kept of groups' days: who spoke, came and went, and what was counted.

use std::ops::{Range, RangeInclusive};

use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::projection::days::{unreadable, viewed};
use super::{fault, unsigned, words};
use crate::event::HOUR_MS;
use crate::statistics::days::{DayError, Facet, Same, View};
use crate::statistics::definitions::Counters;
use crate::statistics::fold::{NEVER_MS, hour_of};
use crate::storage::{CountRow, CountsQuery, Seat, StorageError, Totals};

/// Visits groups' days, day by day as the table has them.
pub(super) fn days(
    conn: &Connection,
    groups: &[(String, String)],
    range: Range<u32>,
    visit: &mut dyn FnMut(usize, u32, &View<'_>) -> Result<(), DayError>,
) -> Result<(), StorageError> {
    let mut known = numbers(conn, groups).map_err(fault("find groups"))?;
    known.sort_unstable_by_key(|(number, ..)| *number);
    let same = same_people(conn, groups).map_err(fault("read who is the same"))?;
    let mut find = conn
        .prepare_cached("SELECT spoke, moved, counted FROM day WHERE day = ?1 AND grp = ?2")
        .map_err(fault("read groups' days"))?;
    for day in held(conn, range)? {
        for (number, index, kept) in &known {
            if !kept.contains(&day) {
                continue;
            }
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

/// Visits the members of groups.
pub(super) fn rosters(
    conn: &Connection,
    groups: &[(String, String)],
    visit: &mut dyn FnMut(usize, Seat<'_>),
) -> Result<(), StorageError> {
    let failed = fault("read members");
    let mut known = numbers(conn, groups).map_err(&failed)?;
    known.sort_unstable_by_key(|(number, ..)| *number);
    let same = same_people(conn, groups).map_err(&failed)?;
    let mut find = conn
        .prepare_cached(
            "SELECT member, name, number, role, present, first_ms, last_ms, messages, joined_ms FROM member
             WHERE grp = ?1 AND number IS NOT NULL",
        )
        .map_err(&failed)?;
    for (group, index, _) in known {
        let same = same.get(&groups[index].0);
        let mut rows = find.query([group]).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            seat(row, same, &mut |seat| visit(index, seat)).map_err(&failed)?;
        }
    }
    Ok(())
}

fn seat(row: &Row<'_>, same: Option<&Same>, visit: &mut dyn FnMut(Seat<'_>)) -> Result<(), rusqlite::Error> {
    let number = row.get(2).map(unsigned)?;
    visit(Seat {
        member: row.get_ref(0)?.as_str()?,
        name: row.get_ref(1)?.as_str_or_null()?,
        number: same.and_then(|same| same.get(&number)).copied().unwrap_or(number),
        role: words::role_from(row.get(3)?),
        present: row.get(4)?,
        first_ms: row.get(5)?,
        last_ms: row.get(6)?,
        messages: row.get(7).map(unsigned)?,
        joined_ms: Some(row.get(8)?).filter(|joined_ms| *joined_ms > NEVER_MS),
    });
    Ok(())
}

/// Returns counters of a group by hour.
pub(super) fn counts(conn: &Connection, query: &CountsQuery) -> Result<Vec<CountRow>, StorageError> {
    let Some(hours) = hours(query.from_ms, query.until_ms) else { return Ok(Vec::new()) };
    let groups = [(query.account.clone(), query.group.clone())];
    let mut rows = Vec::new();
    days(conn, &groups, hours.start / 24..hours.end.div_ceil(24), &mut |_, day, view| {
        for (hour, (counters, revised)) in view.counters()? {
            let hour = day * 24 + u32::from(hour);
            if hours.contains(&hour) {
                rows.push(CountRow { start_ms: i64::from(hour) * HOUR_MS, revised, counters });
            }
        }
        Ok(())
    })?;
    Ok(rows)
}

/// Returns every group's sum over whole hours that begin in the range.
pub(super) fn totals(conn: &Connection, from_ms: i64, until_ms: i64) -> Result<Vec<Totals>, StorageError> {
    let Some(hours) = hours(from_ms, until_ms) else { return Ok(Vec::new()) };
    let mut sums: HashMap<i64, Counters> = HashMap::new();
    let range = held(conn, hours.start / 24..hours.end.div_ceil(24))?;
    let mut query = conn
        .prepare_cached("SELECT day, grp, counted FROM day WHERE day >= ?1 AND day < ?2")
        .map_err(fault("read totals"))?;
    let mut rows = query.query(params![range.start, range.end]).map_err(fault("read totals"))?;
    while let Some(row) = rows.next().map_err(fault("read totals"))? {
        let (day, group): (u32, i64) =
            (row.get(0).map_err(fault("read totals"))?, row.get(1).map_err(fault("read totals"))?);
        let counted = row.get_ref(2).map_err(fault("read totals"))?;
        let counted = counted.as_blob().map_err(|e| StorageError::failed("read totals", e))?;
        let view = View { spoke: &[], moved: &[], counted, same: None };
        let sum = |facet, hour: u8, count| {
            if let Facet::Counter(counter) = facet
                && hours.contains(&(day * 24 + u32::from(hour)))
            {
                *sums.entry(group).or_default().part_mut(counter) += count;
            }
        };
        view.counted(&mut { sum }).map_err(|e| unreadable(day, group, &e))?;
    }
    let mut find =
        conn.prepare_cached("SELECT account, grp FROM grp WHERE no = ?1").map_err(fault("read totals"))?;
    let named = sums.into_iter().map(|(group, counters)| {
        find.query_row([group], |row| Ok(Totals { account: row.get(0)?, group: row.get(1)?, counters }))
    });
    named.collect::<Result<_, _>>().map_err(fault("read totals"))
}

/// Returns the whole hours that begin in a range.
fn hours(from_ms: i64, until_ms: i64) -> Option<Range<u32>> {
    (until_ms > from_ms).then(|| hour_of(from_ms)..hour_of(until_ms - 1).saturating_add(1))
}

/// Returns which days of a range can have rows.
pub(super) fn held(conn: &Connection, range: Range<u32>) -> Result<Range<u32>, StorageError> {
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

/// Returns the numbers of groups in the tables, which of the groups asked for they are, and in which days they have rows.
fn numbers(
    conn: &Connection,
    groups: &[(String, String)],
) -> Result<Vec<(i64, usize, RangeInclusive<u32>)>, rusqlite::Error> {
    let mut find =
        conn.prepare_cached("SELECT no, hour_min, hour_max FROM grp WHERE account = ?1 AND grp = ?2")?;
    let mut known = Vec::with_capacity(groups.len());
    for (index, (account, group)) in groups.iter().enumerate() {
        let place = |row: &Row<'_>| {
            let (first, last): (u32, u32) = (row.get(1)?, row.get(2)?);
            Ok((row.get(0)?, index, first / 24..=last / 24))
        };
        known.extend(find.query_row([account, group], place).optional()?);
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
