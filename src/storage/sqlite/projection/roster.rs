//! Members of groups and the dense numbers of people.

use rusqlite::{CachedStatement, OptionalExtension, Row, Transaction, params};

use crate::statistics::fold::{
    Delta, GroupRecord, MemberDelta, MemberRecord, NEVER_MS, Numbered, Register, identify, introduce,
};
use crate::storage::sqlite::{signed, unsigned, words};

const MEMBER_COLUMNS: &str = "name, name_ms, role, present, changed_ms, first_ms, last_ms, messages, joined_ms, inviter, scene, channel, union_id, number";

/// Merges the members, in the order of the table so that neighbours share a page. Returns the number of each member's
/// person; nothing of who is only named and not known.
pub(super) fn merge(
    tx: &Transaction<'_>,
    delta: &Delta,
    groups: &mut [(i64, GroupRecord)],
) -> Result<Vec<Option<u64>>, rusqlite::Error> {
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
         name_ms = CASE WHEN ?7 IS NOT NULL THEN MAX(name_ms, ?8) ELSE name_ms END,
         number = COALESCE(number, (SELECT number FROM person WHERE account = ?9 AND identity = 'm:' || ?2))
         WHERE grp = ?1 AND member = ?2 RETURNING number",
    )?;
    let mut numbers = vec![None; delta.members.len()];
    let mut others = vec![true; delta.members.len()];
    for index in order {
        let member = &delta.members[index];
        if !(member.change.is_empty() && member.union_id.is_none()) {
            continue;
        }
        let name = member.name.as_ref().map(|(_, name)| name);
        let name_ms = member.name.as_ref().map_or(NEVER_MS, |(at_ms, _)| *at_ms);
        let values = params![
            groups[member.group as usize].0,
            member.member,
            member.seen.0,
            member.seen.1,
            words::role(member.role),
            signed(member.messages),
            name,
            name_ms,
            delta.groups[member.group as usize].account
        ];
        let known = talked.query_row(values, |row| row.get::<_, Option<i64>>(0)).optional()?;
        others[index] = known.is_none() && member.is_sighted;
        numbers[index] = known.flatten().map(unsigned);
    }
    newcomers(tx, delta, groups, &others, &mut numbers)?;
    Ok(numbers)
}

/// Gives numbers to people, and merges members who came, went or are new.
fn newcomers(
    tx: &Transaction<'_>,
    delta: &Delta,
    groups: &mut [(i64, GroupRecord)],
    others: &[bool],
    numbers: &mut [Option<u64>],
) -> Result<(), rusqlite::Error> {
    let mut people = People::new(tx)?;
    let account = |member: &MemberDelta| &delta.groups[member.group as usize].account;
    for sighting in &delta.sightings {
        // A known member who only talked has a number already.
        if sighting.union_id.is_some() || others[sighting.member as usize] {
            let member = &delta.members[sighting.member as usize];
            introduce(&mut people, account(member), &member.member, sighting.union_id.as_deref())?;
        }
    }
    let mut find =
        tx.prepare_cached(&format!("SELECT {MEMBER_COLUMNS} FROM member WHERE grp = ?1 AND member = ?2"))?;
    let mut write = tx.prepare_cached(&format!(
        "INSERT OR REPLACE INTO member (grp, member, {MEMBER_COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
    ))?;
    for (index, member) in delta.members.iter().enumerate().filter(|(index, _)| others[*index]) {
        let numbered = people.find(account(member), &format!("m:{}", member.member))?;
        numbers[index] = numbered.map(|numbered| numbered.number);
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
            m.union_id,
            numbers[index].map(signed)
        ])?;
        group.members = group.members.saturating_add(u64::from(m.present)).saturating_sub(u64::from(was));
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

/// Tells who members are, by identities from outside; says of each whether that is who they are.
pub(super) fn tell(
    tx: &Transaction<'_>,
    account: &str,
    members: &[(String, String)],
) -> Result<Vec<bool>, rusqlite::Error> {
    let mut people = People::new(tx)?;
    members.iter().map(|(member, identity)| identify(&mut people, account, member, identity)).collect()
}

/// The dense numbers of people, in the tables `person`, `account`, `same_person` and `overall`.
struct People<'tx> {
    find: CachedStatement<'tx>,
    next: CachedStatement<'tx>,
    set: CachedStatement<'tx>,
    same: CachedStatement<'tx>,
    elsewhere: CachedStatement<'tx>,
    overall: CachedStatement<'tx>,
    set_overall: CachedStatement<'tx>,
}

impl<'tx> People<'tx> {
    fn new(tx: &'tx Transaction<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            find: tx
                .prepare_cached("SELECT number, bound FROM person WHERE account = ?1 AND identity = ?2")?,
            next: tx.prepare_cached(
                "INSERT INTO account VALUES (?1, 1) ON CONFLICT DO UPDATE SET people = people + 1
                 RETURNING people - 1",
            )?,
            set: tx.prepare_cached("INSERT OR REPLACE INTO person VALUES (?1, ?2, ?3, ?4)")?,
            same: tx.prepare_cached("INSERT OR REPLACE INTO same_person VALUES (?1, ?2, ?3)")?,
            // The index holds union ids only, and is used where the question says so.
            elsewhere: tx.prepare_cached(
                "SELECT account, number FROM person WHERE identity = ?2 AND identity >= 'u:' AND identity < 'u;'
                 AND account <> ?1 LIMIT 1",
            )?,
            overall: tx.prepare_cached("SELECT person FROM overall WHERE account = ?1 AND number = ?2")?,
            set_overall: tx.prepare_cached("INSERT OR REPLACE INTO overall VALUES (?1, ?2, ?3)")?,
        })
    }
}

impl Register for People<'_> {
    type Error = rusqlite::Error;

    fn find(&mut self, account: &str, identity: &str) -> Result<Option<Numbered>, rusqlite::Error> {
        let numbered =
            |row: &Row<'_>| Ok(Numbered { number: row.get(0).map(unsigned)?, is_bound: row.get(1)? });
        self.find.query_row([account, identity], numbered).optional()
    }

    fn next(&mut self, account: &str) -> Result<u64, rusqlite::Error> {
        self.next.query_row([account], |row| row.get(0).map(unsigned))
    }

    fn set(&mut self, account: &str, identity: &str, numbered: Numbered) -> Result<(), rusqlite::Error> {
        let Numbered { number, is_bound } = numbered;
        self.set.execute(params![account, identity, signed(number), is_bound]).map(|_| ())
    }

    fn same(&mut self, account: &str, number: u64, person: u64) -> Result<(), rusqlite::Error> {
        self.same.execute(params![account, signed(number), signed(person)]).map(|_| ())
    }

    fn elsewhere(&mut self, account: &str, identity: &str) -> Result<Option<(String, u64)>, rusqlite::Error> {
        let found = |row: &Row<'_>| Ok((row.get(0)?, row.get(1).map(unsigned)?));
        self.elsewhere.query_row([account, identity], found).optional()
    }

    fn overall(&mut self, account: &str, number: u64) -> Result<Option<u64>, rusqlite::Error> {
        self.overall.query_row(params![account, signed(number)], |row| row.get(0).map(unsigned)).optional()
    }

    fn set_overall(&mut self, account: &str, number: u64, overall: u64) -> Result<(), rusqlite::Error> {
        self.set_overall.execute(params![account, signed(number), signed(overall)]).map(|_| ())
    }
}
