//! Reading the projection.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{fault, signed, unsigned, words};
use crate::event::{EventKey, Partition};
use crate::statistics::fold::{NEVER_MS, hour_of};
use crate::storage::{
    CaseMessage, CasePlace, CaseRow, GroupRow, HitRow, LateRow, ListCountRow, MemberRow, OutcomeRow,
    PendingSend, StateRow, StorageError, pass,
};

const GROUP: &str = "account, grp, name, owner, first_ms, last_ms, members, dismissed";

/// Returns unexpired state. Kinds of a newer version are left out: nobody here could use them.
pub(super) fn states(conn: &Connection, now_ms: i64) -> Result<Vec<StateRow>, StorageError> {
    let rows: Vec<Option<StateRow>> = conn
        .prepare_cached("SELECT part, kind, key, value, expires_ms FROM state WHERE expires_ms > ?1")
        .and_then(|mut query| {
            query
                .query_map([now_ms], |row| {
                    let Some(kind) = words::state_kind_from(row.get(1)?) else { return Ok(None) };
                    Ok(Some(StateRow {
                        partition: Partition(row.get(0)?),
                        kind,
                        key: row.get(2)?,
                        value: row.get(3)?,
                        expires_ms: row.get(4)?,
                    }))
                })?
                .collect()
        })
        .map_err(fault("read states"))?;
    Ok(rows.into_iter().flatten().collect())
}

/// Returns unexpired sends from rows after `floor`, oldest first.
pub(super) fn pending(conn: &Connection, floor: u64, now_ms: i64) -> Result<Vec<PendingSend>, StorageError> {
    let mut query = conn
        .prepare_cached(
            "SELECT pos, payload FROM pending WHERE expires_ms > ?1 AND pos > ?2 ORDER BY pos, nth",
        )
        .map_err(fault("read pending sends"))?;
    let mut rows = query.query(params![now_ms, signed(floor)]).map_err(fault("read pending sends"))?;
    let mut sends = Vec::new();
    while let Some(row) = rows.next().map_err(fault("read pending sends"))? {
        let position = row.get(0).map(unsigned).map_err(fault("read pending sends"))?;
        let payload: Vec<u8> = row.get(1).map_err(fault("read pending sends"))?;
        sends.extend(pass::pending_send(position, &payload)?);
    }
    Ok(sends)
}

/// Of what was never seen (only late events, only on a list of those who are away) both ends are 0.
fn seen(first_ms: i64, last_ms: i64) -> (i64, i64) {
    if first_ms > last_ms { (0, 0) } else { (first_ms, last_ms) }
}

fn told(at_ms: i64) -> Option<i64> {
    (at_ms != NEVER_MS).then_some(at_ms)
}

fn group_row(row: &Row<'_>) -> Result<GroupRow, rusqlite::Error> {
    let (first_ms, last_ms) = seen(row.get(4)?, row.get(5)?);
    Ok(GroupRow {
        account: row.get(0)?,
        group: row.get(1)?,
        name: row.get(2)?,
        owner: row.get(3)?,
        first_ms,
        last_ms,
        members: row.get(6).map(unsigned)?,
        dismissed: row.get(7)?,
    })
}

/// Returns groups after a cursor.
pub(super) fn groups(
    conn: &Connection,
    after: Option<&(String, String)>,
    limit: usize,
) -> Result<Vec<GroupRow>, StorageError> {
    let (account, group) = after.map_or(("", ""), |(account, group)| (account.as_str(), group.as_str()));
    conn.prepare_cached(&format!(
        "SELECT {GROUP} FROM grp WHERE (account, grp) > (?1, ?2) ORDER BY account, grp LIMIT ?3"
    ))
    .and_then(|mut query| query.query_map(params![account, group, super::limit(limit)], group_row)?.collect())
    .map_err(fault("read groups"))
}

/// Returns one group.
pub(super) fn group(conn: &Connection, account: &str, group: &str) -> Result<Option<GroupRow>, StorageError> {
    conn.prepare_cached(&format!("SELECT {GROUP} FROM grp WHERE account = ?1 AND grp = ?2"))
        .and_then(|mut query| query.query_row(params![account, group], group_row).optional())
        .map_err(fault("read a group"))
}

/// Returns every wordlist's hits over whole hours that begin in the range.
pub(super) fn list_counts(
    conn: &Connection,
    from_ms: i64,
    until_ms: i64,
) -> Result<Vec<ListCountRow>, StorageError> {
    if until_ms <= from_ms {
        return Ok(Vec::new());
    }
    conn.prepare_cached(
        "SELECT wordlist, SUM(hits), SUM(shadow_hits) FROM list_count WHERE hour BETWEEN ?1 AND ?2
         GROUP BY wordlist ORDER BY wordlist",
    )
    .and_then(|mut query| {
        query
            .query_map(params![hour_of(from_ms), hour_of(until_ms - 1)], |row| {
                Ok(ListCountRow {
                    wordlist: row.get(0)?,
                    hits: row.get(1).map(unsigned)?,
                    shadow_hits: row.get(2).map(unsigned)?,
                })
            })?
            .collect()
    })
    .map_err(fault("read hits by wordlist"))
}

/// Returns what was credited to a broadcast, by group and kind.
pub(super) fn outcomes(conn: &Connection, broadcast: &str) -> Result<Vec<OutcomeRow>, StorageError> {
    conn.prepare_cached(
        "SELECT grp.account, grp.grp, kind, count, value_micros FROM outcome JOIN grp ON grp.no = outcome.grp
         WHERE broadcast = ?1 ORDER BY grp.account, grp.grp, kind",
    )
    .and_then(|mut query| {
        query
            .query_map([broadcast], |row| {
                Ok(OutcomeRow {
                    account: row.get(0)?,
                    group: row.get(1)?,
                    kind: row.get(2)?,
                    count: row.get(3).map(unsigned)?,
                    value_micros: row.get(4)?,
                })
            })?
            .collect()
    })
    .map_err(fault("read outcomes"))
}

/// Returns members after a cursor.
pub(super) fn members(
    conn: &Connection,
    account: &str,
    group: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<MemberRow>, StorageError> {
    conn.prepare_cached(&format!("{MEMBER} AND member > ?3 ORDER BY member LIMIT ?4"))
        .and_then(|mut query| {
            let after = after.unwrap_or_default();
            query.query_map(params![account, group, after, super::limit(limit)], member_row)?.collect()
        })
        .map_err(fault("read members"))
}

/// Returns one member of a group.
pub(super) fn member(
    conn: &Connection,
    account: &str,
    group: &str,
    member: &str,
) -> Result<Option<MemberRow>, StorageError> {
    conn.prepare_cached(&format!("{MEMBER} AND member = ?3"))
        .and_then(|mut query| query.query_row([account, group, member], member_row).optional())
        .map_err(fault("read a member"))
}

/// Members of a group.
const MEMBER: &str =
    "SELECT member, (SELECT number FROM person WHERE account = ?1 AND identity = 'm:' || member), name, role,
 present, first_ms, last_ms, messages, inviter, scene, channel, union_id, joined_ms FROM member
 WHERE grp = (SELECT no FROM grp WHERE account = ?1 AND grp = ?2)";

fn member_row(row: &Row<'_>) -> Result<MemberRow, rusqlite::Error> {
    let (first_ms, last_ms) = seen(row.get(5)?, row.get(6)?);
    Ok(MemberRow {
        member: row.get(0)?,
        number: row.get(1).map(unsigned)?,
        name: row.get(2)?,
        role: words::role_from(row.get(3)?),
        present: row.get(4)?,
        first_ms,
        last_ms,
        messages: row.get(7).map(unsigned)?,
        inviter: row.get(8)?,
        scene: row.get(9)?,
        channel: row.get(10)?,
        union_id: row.get(11)?,
        joined_ms: row.get(12).map(told)?,
    })
}

/// Returns a group's hits, newest first.
pub(super) fn hits(
    conn: &Connection,
    account: &str,
    group: &str,
    limit: usize,
) -> Result<Vec<HitRow>, StorageError> {
    conn.prepare_cached(
        "SELECT at_ms, member, wordlist, category, term, span_from, span_to, via FROM hit
         WHERE grp = (SELECT no FROM grp WHERE account = ?1 AND grp = ?2) ORDER BY pos DESC, idx DESC, nth DESC LIMIT ?3",
    )
    .and_then(|mut query| {
        query
            .query_map(params![account, group, super::limit(limit)], |row| {
                Ok(HitRow {
                    at_ms: row.get(0)?,
                    member: row.get(1)?,
                    wordlist: row.get(2)?,
                    category: row.get(3)?,
                    term: row.get(4).map(unsigned)?,
                    span: (row.get(5)?, row.get(6)?),
                    via: words::read(7, row.get_ref(7)?.as_str()?)?,
                })
            })?
            .collect()
    })
    .map_err(fault("read hits"))
}

/// Returns a group's late events, newest first.
pub(super) fn lates(
    conn: &Connection,
    account: &str,
    group: &str,
    limit: usize,
) -> Result<Vec<LateRow>, StorageError> {
    conn.prepare_cached(
        "SELECT key, at_ms, arrived_ms, member, what FROM late
         WHERE grp = (SELECT no FROM grp WHERE account = ?1 AND grp = ?2) ORDER BY pos DESC, idx DESC LIMIT ?3",
    )
    .and_then(|mut query| {
        query
            .query_map(params![account, group, super::limit(limit)], |row| {
                Ok(LateRow {
                    key: EventKey(u128::from_be_bytes(row.get(0)?)),
                    at_ms: row.get(1)?,
                    arrived_ms: row.get(2)?,
                    member: row.get(3)?,
                    what: words::read(4, row.get_ref(4)?.as_str()?)?,
                })
            })?
            .collect()
    })
    .map_err(fault("read late events"))
}

/// Returns in which groups of an account some members are now. A look at all members: people ask for it, rarely.
pub(super) fn memberships(
    conn: &Connection,
    account: &str,
    members: &[String],
) -> Result<Vec<(String, String)>, StorageError> {
    let members = serde_json::to_string(members).expect("strings are JSON");
    conn.prepare_cached(
        // In this order: a look at every group of a large account would take a hundred times as long.
        "SELECT grp.grp, member FROM json_each(?2) AS wanted
         CROSS JOIN member INDEXED BY member_by_id ON member.member = wanted.value
         CROSS JOIN grp ON grp.no = member.grp
         WHERE account = ?1 AND present GROUP BY grp.grp, member ORDER BY grp.grp, member",
    )
    .and_then(|mut query| {
        query.query_map(params![account, members], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    })
    .map_err(fault("read who is where"))
}

/// Returns the groups that a member is or was in.
pub(super) fn groups_of(conn: &Connection, account: &str, member: &str) -> Result<Vec<String>, StorageError> {
    conn.prepare_cached(
        "SELECT grp.grp FROM member INDEXED BY member_by_id CROSS JOIN grp ON grp.no = member.grp
         WHERE member = ?2 AND account = ?1 ORDER BY grp.grp",
    )
    .and_then(|mut query| query.query_map([account, member], |row| row.get(0))?.collect())
    .map_err(fault("read where a member is"))
}

/// Returns messages of a case after a place, in the order of their arrival.
pub(super) fn case_messages(
    conn: &Connection,
    case: &str,
    after: Option<CasePlace>,
    limit: usize,
) -> Result<Vec<CaseMessage>, StorageError> {
    let (at_ms, account, group, id) =
        after.unwrap_or_else(|| (i64::MIN, String::new(), String::new(), String::new()));
    conn.prepare_cached(
        "SELECT at_ms, account, grp, id, member, alike, verdict FROM case_message
         WHERE fleet_case = ?1 AND (at_ms, account, grp, id) > (?2, ?3, ?4, ?5)
         ORDER BY at_ms, account, grp, id LIMIT ?6",
    )
    .and_then(|mut query| {
        query
            .query_map(params![case, at_ms, account, group, id, super::limit(limit)], |row| {
                Ok(CaseMessage {
                    case: case.to_owned(),
                    at_ms: row.get(0)?,
                    account: row.get(1)?,
                    group: row.get(2)?,
                    of: row.get(3)?,
                    member: row.get(4)?,
                    by: words::read(5, row.get_ref(5)?.as_str()?)?,
                    verdict: words::read(6, row.get_ref(6)?.as_str()?)?,
                })
            })?
            .collect()
    })
    .map_err(fault("read a case's messages"))
}

/// Returns cases, newest first.
pub(super) fn cases(conn: &Connection, limit: usize) -> Result<Vec<CaseRow>, StorageError> {
    let cases: Result<Vec<CaseRow>, rusqlite::Error> = conn
        .prepare_cached(&format!("{CASE} ORDER BY last_ms DESC, id LIMIT ?1"))
        .and_then(|mut query| query.query_map([super::limit(limit)], case_row)?.collect());
    cases
        .and_then(|cases| cases.into_iter().map(|case| with_groups(conn, case)).collect())
        .map_err(fault("read cases"))
}

/// Returns one case.
pub(super) fn case(conn: &Connection, id: &str) -> Result<Option<CaseRow>, StorageError> {
    conn.prepare_cached(&format!("{CASE} WHERE id = ?1"))
        .and_then(|mut query| query.query_row([id], case_row).optional())
        .and_then(|case| case.map(|case| with_groups(conn, case)).transpose())
        .map_err(fault("read a case"))
}

/// Cases, with the groups they were last reported with.
const CASE: &str = "SELECT id, fingerprint, groups, first_ms, last_ms FROM fleet_case";

fn case_row(row: &Row<'_>) -> Result<CaseRow, rusqlite::Error> {
    Ok(CaseRow {
        id: row.get(0)?,
        fingerprint: row.get(1).map(unsigned)?,
        groups: words::read(2, row.get_ref(2)?.as_str()?)?,
        first_ms: row.get(3)?,
        last_ms: row.get(4)?,
    })
}

/// Fills in the groups of all messages; a case of an older version has none listed.
fn with_groups(conn: &Connection, mut case: CaseRow) -> Result<CaseRow, rusqlite::Error> {
    let mut query = conn.prepare_cached(
        "SELECT DISTINCT account, grp FROM case_message WHERE fleet_case = ?1 ORDER BY account, grp",
    )?;
    let groups: Vec<(String, String)> =
        query.query_map([&case.id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    if !groups.is_empty() {
        case.groups = groups;
    }
    Ok(case)
}
