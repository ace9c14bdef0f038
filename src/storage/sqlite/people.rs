//! Reading what is kept of groups' days: who spoke, came and went, and what was counted.

use std::ops::{Range, RangeInclusive};

use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::projection::days::{unreadable, viewed};
use super::projection::settled::Settled;
use super::{fault, unsigned, words};
use crate::event::HOUR_MS;
use crate::statistics::days::{DayError, Facet, Same, View};
use crate::statistics::definitions::Counters;
use crate::statistics::fold::{self, NEVER_MS, hour_of};
use crate::storage::{CountRow, CountsQuery, Seat, StorageError, Totals};

/// Groups no further apart than this are read in one go: reading past a few costs less than looking for each.
const STEP_MAX: i64 = 8;

/// Of groups: number in the tables, index in the question, days in which it has rows.
type Known = (i64, usize, RangeInclusive<u32>);

/// What looks at a row: index of the group, day, row.
type Visit<'a> = dyn FnMut(usize, u32, &View<'_>) -> Result<(), DayError> + 'a;

/// Visits groups' days, each group's in order.
pub(super) fn days(
    conn: &Connection,
    groups: &[(String, String)],
    range: Range<u32>,
    visit: &mut Visit<'_>,
) -> Result<(), StorageError> {
    // A row that is moved meanwhile must be met once.
    let tx = conn.unchecked_transaction().map_err(fault("read groups' days"))?;
    let mut known = numbers(&tx, groups).map_err(fault("find groups"))?;
    known.sort_unstable_by_key(|(number, ..)| *number);
    let same = same_people(&tx, groups).map_err(fault("read who is the same"))?;
    let settled = Settled::read(&tx).map_err(fault("read groups' days"))?;
    let mut look = |row: &Row<'_>, number, day, index: usize| {
        let same = same.get(&groups[index].0).filter(|same| !same.is_empty());
        viewed(row, same, |view| visit(index, day, &view))
            .map_err(fault("read groups' days"))?
            .map_err(|e| unreadable(day, number, &e))
    };
    past_days(&tx, &known, &settled, &range, &mut look)?;
    open_days(&tx, &known, range, &mut look)
}

type Look<'a> = dyn FnMut(&Row<'_>, i64, u32, usize) -> Result<(), StorageError> + 'a;

fn past_days(
    conn: &Connection,
    known: &[Known],
    settled: &Settled,
    range: &Range<u32>,
    look: &mut Look<'_>,
) -> Result<(), StorageError> {
    let failed = fault("read groups' days");
    let mut find = conn
        .prepare_cached(
            "SELECT spoke, moved, counted, day FROM past WHERE grp = ?1 AND day >= ?2 AND day < ?3",
        )
        .map_err(&failed)?;
    for (number, index, kept) in known {
        let from = range.start.max(settled.first).max(*kept.start());
        let until = range.end.min(settled.until(*number)).min(kept.end().saturating_add(1));
        if from >= until {
            continue;
        }
        let mut rows = find.query(params![number, from, until]).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            look(row, *number, row.get(3).map_err(&failed)?, *index)?;
        }
    }
    Ok(())
}

fn open_days(
    conn: &Connection,
    known: &[Known],
    range: Range<u32>,
    look: &mut Look<'_>,
) -> Result<(), StorageError> {
    let failed = fault("read groups' days");
    let mut find = conn
        .prepare_cached("SELECT spoke, moved, counted, grp FROM day WHERE day = ?1 AND grp BETWEEN ?2 AND ?3")
        .map_err(&failed)?;
    let runs: Vec<_> = known.chunk_by(|(one, ..), (next, ..)| next - one <= STEP_MAX).collect();
    for day in open(conn, range)? {
        for run in &runs {
            let ends = run.first().zip(run.last());
            let Some(((first, ..), (last, ..))) =
                ends.filter(|_| run.iter().any(|(.., kept)| kept.contains(&day)))
            else {
                continue;
            };
            let mut rows = find.query(params![day, first, last]).map_err(&failed)?;
            let mut ahead = run.iter().peekable();
            while let Some(row) = rows.next().map_err(&failed)? {
                let number: i64 = row.get(3).map_err(&failed)?;
                while ahead.next_if(|(known, ..)| *known < number).is_some() {}
                while let Some((_, index, _)) = ahead.next_if(|(known, ..)| *known == number) {
                    look(row, number, day, *index)?;
                }
            }
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
    let range = hours.start / 24..hours.end.div_ceil(24);
    // Of a group that was moved its days are sought; of the others all rows of these days are read.
    let mut query = conn
        .prepare_cached(
            "SELECT day, grp, counted FROM day WHERE day >= ?1 AND day < ?2
             UNION ALL SELECT past.day, past.grp, past.counted FROM grp CROSS JOIN past
             WHERE past.grp = grp.no AND past.day >= ?1 AND past.day < ?2",
        )
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
    let settled = Settled::read(conn).map_err(fault("read groups' days"))?;
    let open = open(conn, range.clone())?;
    let last_past = settled.last().filter(|last| settled.first <= *last);
    let past = last_past.map_or(0..0, |last| range.start.max(settled.first)..range.end.min(last + 1));
    Ok(match (past.is_empty(), open.is_empty()) {
        (true, _) => open,
        (false, true) => past,
        (false, false) => past.start.min(open.start)..past.end.max(open.end),
    })
}

/// Returns which days of a range can have rows that were not moved.
fn open(conn: &Connection, range: Range<u32>) -> Result<Range<u32>, StorageError> {
    let ends = conn
        // Two questions: asked as one, the whole table is read.
        .prepare_cached("SELECT (SELECT MIN(day) FROM day), (SELECT MAX(day) FROM day)")
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
fn numbers(conn: &Connection, groups: &[(String, String)]) -> Result<Vec<Known>, rusqlite::Error> {
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
    let mut overall = conn.prepare_cached("SELECT number, person FROM overall WHERE account = ?1")?;
    for (account, _) in groups {
        if same.contains_key(account) {
            continue;
        }
        let pair = |row: &Row<'_>| Ok((row.get(0).map(unsigned)?, row.get(1).map(unsigned)?));
        let mut pairs: Same = find.query_map([account], pair)?.collect::<Result<_, _>>()?;
        let known = overall.query_map([account], pair)?.collect::<Result<Vec<_>, _>>()?;
        fold::same(&mut pairs, known);
        same.insert(account.clone(), pairs);
    }
    Ok(same)
}
