//! Members of groups and the dense numbers of people.

use rusqlite::{CachedStatement, OptionalExtension, Row, Transaction, params};

use crate::statistics::fold::{Delta, GroupRecord, MemberDelta, MemberRecord, NEVER_MS, Register, introduce};
use crate::storage::sqlite::{signed, unsigned, words};

const MEMBER_COLUMNS: &str = "name, name_ms, role, present, changed_ms, first_ms, last_ms, messages, joined_ms, inviter, scene, channel, union_id";

/// Merges the members, in the order of the table so that neighbours share a page.
pub(super) fn merge(
    tx: &Transaction<'_>,
    delta: &Delta,
    groups: &mut [(i64, GroupRecord)],
) -> Result<(), rusqlite::Error> {
    let key = |index: usize| -> (i64, &str) {
        let member: &MemberDelta = &delta.members[index];
        (groups[member.group as usize].0, &member.member)
    };
    let mut order: Vec<usize> = (0..delta.members.len()).collect();
    order.sort_unstable_by(|a, b| key(*a).cmp(&key(*b)));
    // Most members only talked: one statement that does what `MemberDelta::merge` does for them.
    let mut talked = tx.prepare_cached(
        "UPDATE member SET role = CASE WHEN ?4 >= last_ms THEN ?5 ELSE role END, first_ms = MIN(first_ms, ?3),
         last_ms = MAX(last_ms, ?4), messages = messages + ?6,
         name = CASE WHEN ?7 IS NOT NULL AND ?8 >= name_ms THEN ?7 ELSE name END,
         name_ms = CASE WHEN ?7 IS NOT NULL THEN MAX(name_ms, ?8) ELSE name_ms END WHERE grp = ?1 AND member = ?2",
    )?;
    let mut others = vec![true; delta.members.len()];
    for index in order {
        let member = &delta.members[index];
        if !(member.change.is_empty() && member.union_id.is_none()) {
            continue;
        }
        let name = member.name.as_ref().map(|(_, name)| name);
        let name_ms = member.name.as_ref().map_or(NEVER_MS, |(at_ms, _)| *at_ms);
        let known = talked.execute(params![
            groups[member.group as usize].0,
            member.member,
            member.seen.0,
            member.seen.1,
            words::role(member.role),
            signed(member.messages),
            name,
            name_ms
        ])?;
        others[index] = known == 0;
    }
    newcomers(tx, delta, groups, &others)
}

/// Merges members who came, went or are new, and gives numbers to people.
fn newcomers(
    tx: &Transaction<'_>,
    delta: &Delta,
    groups: &mut [(i64, GroupRecord)],
    others: &[bool],
) -> Result<(), rusqlite::Error> {
    let mut find =
        tx.prepare_cached(&format!("SELECT {MEMBER_COLUMNS} FROM member WHERE grp = ?1 AND member = ?2"))?;
    let mut write = tx.prepare_cached(&format!(
        "INSERT OR REPLACE INTO member (grp, member, {MEMBER_COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    ))?;
    for (member, _) in delta.members.iter().zip(others).filter(|(_, other)| **other) {
        let (no, group) = &mut groups[member.group as usize];
        let no = *no;
        let known = find.query_row(params![no, member.member], member_record).optional()?;
        let was = known.as_ref().is_some_and(|record| record.present);
        let m = member.merge(known);
        write.execute(params![
            no,
            member.member,
            m.name,
            m.name_ms,
            words::role(m.role),
            m.present,
            m.changed_ms,
            m.first_ms,
            m.last_ms,
            signed(m.messages),
            m.joined_ms,
            m.inviter,
            m.scene,
            m.channel,
            m.union_id
        ])?;
        group.members = group.members.saturating_add(u64::from(m.present)).saturating_sub(u64::from(was));
    }
    let mut people = People::new(tx)?;
    for sighting in &delta.sightings {
        // A known member who only talked has a number already.
        if sighting.union_id.is_some() || others[sighting.member as usize] {
            let member = &delta.members[sighting.member as usize];
            let account = &delta.groups[member.group as usize].account;
            introduce(&mut people, account, &member.member, sighting.union_id.as_deref())?;
        }
    }
    Ok(())
}

fn member_record(row: &Row<'_>) -> Result<MemberRecord, rusqlite::Error> {
    Ok(MemberRecord {
        name: row.get(0)?,
        name_ms: row.get(1)?,
        role: words::role_from(row.get(2)?),
        present: row.get(3)?,
        changed_ms: row.get(4)?,
        first_ms: row.get(5)?,
        last_ms: row.get(6)?,
        messages: row.get(7).map(unsigned)?,
        joined_ms: row.get(8)?,
        inviter: row.get(9)?,
        scene: row.get(10)?,
        channel: row.get(11)?,
        union_id: row.get(12)?,
    })
}

/// The dense numbers of people, in the tables `person` and `account`.
struct People<'tx> {
    find: CachedStatement<'tx>,
    next: CachedStatement<'tx>,
    set: CachedStatement<'tx>,
}

impl<'tx> People<'tx> {
    fn new(tx: &'tx Transaction<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            find: tx.prepare_cached("SELECT number FROM person WHERE account = ?1 AND identity = ?2")?,
            next: tx.prepare_cached(
                "INSERT INTO account VALUES (?1, 1) ON CONFLICT DO UPDATE SET people = people + 1
                 RETURNING people - 1",
            )?,
            set: tx.prepare_cached("INSERT OR REPLACE INTO person VALUES (?1, ?2, ?3)")?,
        })
    }
}

impl Register for People<'_> {
    type Error = rusqlite::Error;

    fn find(&mut self, account: &str, identity: &str) -> Result<Option<u64>, rusqlite::Error> {
        self.find.query_row([account, identity], |row| row.get(0).map(unsigned)).optional()
    }

    fn next(&mut self, account: &str) -> Result<u64, rusqlite::Error> {
        self.next.query_row([account], |row| row.get(0).map(unsigned))
    }

    fn set(&mut self, account: &str, identity: &str, number: u64) -> Result<(), rusqlite::Error> {
        self.set.execute(params![account, identity, signed(number)]).map(|_| ())
    }
}
