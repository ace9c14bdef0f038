//! The projection as maps: the same differences and merges as everywhere, only the tables are simpler.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ops::Range;

use super::ledger::all_if_zero;
use crate::event::{HOUR_MS, Partition, StateKind};
use crate::statistics::days::{self, Day, DayError, Same, View};
use crate::statistics::fold::{
    self, CaseDelta, CaseMessage, CountDelta, Delta, GroupRecord, HitDelta, LateDelta, ListCount,
    MemberRecord, NEVER_MS, Numbered, OutcomeSum, Register, StateDelta, hour_of, introduce,
};
use crate::statistics::words::Said;
use crate::storage::pass::{self, Kept, Pass};
use crate::storage::{
    CasePlace, CaseRow, CountRow, CountsQuery, GroupRow, HitRow, LateRow, ListCountRow, MemberRow,
    OutcomeRow, PendingSend, Seat, StateRow, StorageError, Totals, WordsHeard, WordsShare, WordsVisit,
};

type GroupName = (String, String);

/// The projection up to `position`.
#[derive(Debug, Default)]
pub(super) struct StateData {
    pub(super) position: u64,
    groups: BTreeMap<GroupName, GroupRecord>,
    members: BTreeMap<(GroupName, String), MemberRecord>,
    people: People,
    days: BTreeMap<(u32, GroupName), Day>,
    counts: BTreeMap<(GroupName, u32), CountDelta>,
    hits: BTreeMap<GroupName, Vec<HitDelta>>,
    lists: BTreeMap<(String, u32), ListCount>,
    outcomes: BTreeMap<(String, GroupName, String), OutcomeSum>,
    lates: BTreeMap<GroupName, Vec<LateDelta>>,
    states: Vec<((Partition, StateKind, String), StateDelta)>,
    cases: BTreeMap<String, CaseDelta>,
    case_messages: BTreeMap<(String, CasePlace), CaseMessage>,
    sends: Vec<Kept>,
    heard: Heard,
}

#[derive(Debug, Default)]
struct People {
    numbers: BTreeMap<(String, String), Numbered>,
    same: BTreeMap<(String, u64), u64>,
    next: BTreeMap<String, u64>,
    overall: BTreeMap<(String, u64), u64>,
}

impl People {
    /// Returns who is whom in an account.
    fn same_in(&self, account: &str) -> Same {
        let of = |all: &BTreeMap<(String, u64), u64>| -> Vec<(u64, u64)> {
            let pairs = all.iter().filter(|((of, _), _)| of == account);
            pairs.map(|((_, number), person)| (*number, *person)).collect()
        };
        let mut same: Same = of(&self.same).into_iter().collect();
        fold::same(&mut same, of(&self.overall));
        same
    }
}

impl Register for People {
    type Error = Infallible;

    fn find(&mut self, account: &str, identity: &str) -> Result<Option<Numbered>, Infallible> {
        Ok(self.numbers.get(&(account.to_owned(), identity.to_owned())).copied())
    }

    fn next(&mut self, account: &str) -> Result<u64, Infallible> {
        let next = self.next.entry(account.to_owned()).or_default();
        *next += 1;
        Ok(*next - 1)
    }

    fn set(&mut self, account: &str, identity: &str, numbered: Numbered) -> Result<(), Infallible> {
        self.numbers.insert((account.to_owned(), identity.to_owned()), numbered);
        Ok(())
    }

    fn same(&mut self, account: &str, number: u64, person: u64) -> Result<(), Infallible> {
        self.same.insert((account.to_owned(), number), person);
        Ok(())
    }

    fn elsewhere(&mut self, account: &str, identity: &str) -> Result<Option<(String, u64)>, Infallible> {
        let mut known = self.numbers.iter().filter(|((of, known), _)| of != account && known == identity);
        Ok(known.next().map(|((of, _), numbered)| (of.clone(), numbered.number)))
    }

    fn overall(&mut self, account: &str, number: u64) -> Result<Option<u64>, Infallible> {
        Ok(self.overall.get(&(account.to_owned(), number)).copied())
    }

    fn set_overall(&mut self, account: &str, number: u64, overall: u64) -> Result<(), Infallible> {
        self.overall.insert((account.to_owned(), number), overall);
        Ok(())
    }
}

/// Words of groups' days.
#[derive(Debug, Default)]
struct Heard {
    said: BTreeMap<(u32, GroupName), Said>,
    shares: BTreeMap<u32, WordsShare>,
}

impl StateData {
    pub(super) fn words_add(
        &mut self,
        heard: Vec<WordsHeard>,
        shares: &[(u32, WordsShare)],
        words_max: usize,
    ) -> u64 {
        let mut lost = 0;
        for WordsHeard { account, group, day, said } in heard {
            let name = (account, group);
            if self.groups.contains_key(&name) {
                lost += self.heard.said.entry((day, name)).or_default().add(said, words_max);
            }
        }
        for (day, share) in shares {
            self.heard.shares.entry(*day).or_default().add(*share);
        }
        lost
    }

    pub(super) fn words(
        &self,
        groups: &[GroupName],
        day: u32,
        visit: &mut WordsVisit<'_>,
    ) -> Result<(), StorageError> {
        for (index, group) in groups.iter().enumerate() {
            let Some(said) = self.heard.said.get(&(day, group.clone())) else { continue };
            visit(index, &said.encode()).map_err(|e| StorageError::failed("read words", e))?;
        }
        Ok(())
    }

    pub(super) fn words_share(&self, day: u32) -> WordsShare {
        self.heard.shares.get(&day).copied().unwrap_or_default()
    }

    pub(super) fn words_sweep(&mut self, first: u32, bytes_max: u64) -> u64 {
        let mut sizes: BTreeMap<u32, u64> = BTreeMap::new();
        for ((day, _), said) in self.heard.said.iter().filter(|((day, _), _)| *day >= first) {
            *sizes.entry(*day).or_default() += said.encode().len() as u64;
        }
        let (mut first, mut held) = (first, 0);
        for (day, bytes) in sizes.into_iter().rev() {
            if held > 0 && held + bytes > bytes_max {
                first = day + 1;
                break;
            }
            held += bytes;
        }
        self.heard.said.retain(|(day, _), _| *day >= first);
        self.heard.shares.retain(|day, _| *day >= first);
        held
    }

    /// Merges one pass.
    pub(super) fn apply(&mut self, pass: Pass) {
        let Pass { delta, mut sends, position, .. } = pass;
        let name = |index: u32| {
            let group = &delta.groups[index as usize];
            (group.account.clone(), group.group.clone())
        };
        for group in &delta.groups {
            let key = (group.account.clone(), group.group.clone());
            let merged = group.merge(self.groups.remove(&key));
            self.groups.insert(key, merged);
        }
        for member in &delta.members {
            if !member.is_sighted {
                continue;
            }
            let key = (name(member.group), member.member.clone());
            let merged = member.merge(self.members.remove(&key));
            self.members.insert(key, merged);
        }
        self.number(&delta);
        self.add_days(&delta, &name);
        for ((group, hour), count) in &delta.counts {
            let row = self.counts.entry((name(*group), *hour)).or_default();
            row.counters.add(&count.counters);
            row.revised |= count.revised;
        }
        for hit in &delta.hits {
            self.hits.entry(name(hit.group)).or_default().push(hit.clone());
        }
        for (key, count) in &delta.lists {
            self.lists.entry(key.clone()).or_default().add(*count);
        }
        for ((group, broadcast, kind), sum) in &delta.outcomes {
            let key = (broadcast.clone(), name(*group), kind.clone());
            self.outcomes.entry(key).or_default().add(*sum);
        }
        for late in &delta.lates {
            self.lates.entry(name(late.group)).or_default().push(late.clone());
        }
        for (key, state) in &delta.states {
            self.states.retain(|(known, _)| known != key);
            if state.value.is_some() {
                self.states.push((key.clone(), state.clone()));
            }
        }
        for message in delta.case_messages {
            let of = message.clone();
            let place = (of.at_ms, of.account, of.group, of.of);
            self.case_messages.insert((of.case, place), message);
        }
        for (id, case) in &delta.cases {
            let before_ms = self.cases.get(id).map_or(i64::MIN, |before| before.last_ms);
            let last_ms = case.last_ms.max(before_ms);
            self.cases.insert(id.clone(), CaseDelta { last_ms, ..case.clone() });
        }
        for (of, (at_ms, ..)) in self.case_messages.keys() {
            if let Some(case) = self.cases.get_mut(of) {
                case.last_ms = case.last_ms.max(*at_ms);
            }
        }
        self.sends.append(&mut sends);
        self.position = position;
    }

    fn add_days(&mut self, delta: &Delta, name: &dyn Fn(u32) -> GroupName) {
        let days = delta.days(name, |index| {
            let member = &delta.members[index as usize];
            let group = name(member.group);
            let known = self.members.contains_key(&(group.clone(), member.member.clone()));
            let identity = (group.0, format!("m:{}", member.member));
            Some(self.people.numbers.get(&identity).filter(|_| known)?.number)
        });
        for (key, day) in days {
            self.days.entry(key).or_default().add(day);
        }
    }

    pub(super) fn days(
        &self,
        groups: &[GroupName],
        days: Range<u32>,
        visit: &mut dyn FnMut(usize, u32, &View<'_>) -> Result<(), DayError>,
    ) -> Result<(), StorageError> {
        for day in days.start..days.end.min(self.days.keys().next_back().map_or(0, |(day, _)| day + 1)) {
            for (index, group) in groups.iter().enumerate() {
                let Some(kept) = self.days.get(&(day, group.clone())) else { continue };
                let same = self.people.same_in(&group.0);
                let row = days::encode(kept);
                let view =
                    View { spoke: &row.spoke, moved: &row.moved, counted: &row.counted, same: Some(&same) };
                visit(index, day, &view).map_err(|e| StorageError::failed("read a group's day", e))?;
            }
        }
        Ok(())
    }

    pub(super) fn days_held(&self) -> Range<u32> {
        let ends = self.days.keys().next().zip(self.days.keys().next_back());
        ends.map_or(0..0, |((first, _), (last, _))| *first..last + 1)
    }

    pub(super) fn rosters(&self, groups: &[GroupName], visit: &mut dyn FnMut(usize, Seat<'_>)) {
        for (index, group) in groups.iter().enumerate() {
            let same = self.people.same_in(&group.0);
            let of_group = self.members.iter().filter(|((name, _), _)| name == group);
            for ((_, member), record) in of_group {
                let identity = (group.0.clone(), format!("m:{member}"));
                let Some(numbered) = self.people.numbers.get(&identity) else { continue };
                let person = same.get(&numbered.number);
                visit(
                    index,
                    Seat {
                        member,
                        name: record.name.as_deref(),
                        number: person.copied().unwrap_or(numbered.number),
                        role: record.role,
                        present: record.present,
                        first_ms: record.first_ms,
                        last_ms: record.last_ms,
                        messages: record.messages,
                        joined_ms: Some(record.joined_ms).filter(|joined_ms| *joined_ms > NEVER_MS),
                    },
                );
            }
        }
    }

    fn number(&mut self, delta: &Delta) {
        for sighting in &delta.sightings {
            let member = &delta.members[sighting.member as usize];
            let account = &delta.groups[member.group as usize].account;
            let Ok(()) = introduce(&mut self.people, account, &member.member, sighting.union_id.as_deref());
        }
    }

    pub(super) fn states(&self, now_ms: i64) -> Vec<StateRow> {
        let alive = self.states.iter().filter(|(_, state)| state.expires_ms > now_ms);
        alive
            .map(|((partition, kind, key), state)| StateRow {
                partition: *partition,
                kind: *kind,
                key: key.clone(),
                value: state.value.clone().unwrap_or_default(),
                expires_ms: state.expires_ms,
            })
            .collect()
    }

    pub(super) fn pending(&self, now_ms: i64) -> Result<Vec<PendingSend>, StorageError> {
        let mut sends = Vec::new();
        for kept in self.sends.iter().filter(|kept| kept.time_ms > now_ms) {
            sends.extend(pass::pending_send(kept.position, &kept.row)?);
        }
        Ok(sends)
    }

    fn group_row(&self, name: &GroupName, record: &GroupRecord) -> GroupRow {
        let seen = record.first_ms <= record.last_ms;
        let of_group = (name.clone(), String::new())..;
        let members = self.members.range(of_group).take_while(|((group, _), _)| group == name);
        GroupRow {
            account: name.0.clone(),
            group: name.1.clone(),
            name: record.name.clone(),
            owner: record.owner.clone(),
            first_ms: if seen { record.first_ms } else { 0 },
            last_ms: if seen { record.last_ms } else { 0 },
            members: members.filter(|(_, member)| member.present).count() as u64,
            dismissed: record.dismissed,
        }
    }

    pub(super) fn groups(&self, after: Option<&GroupName>, limit: usize) -> Vec<GroupRow> {
        let rest = self.groups.iter().filter(|(name, _)| after.is_none_or(|after| *name > after));
        rest.take(all_if_zero(limit)).map(|(name, record)| self.group_row(name, record)).collect()
    }

    pub(super) fn group(&self, account: &str, group: &str) -> Option<GroupRow> {
        let name = (account.to_owned(), group.to_owned());
        self.groups.get(&name).map(|record| self.group_row(&name, record))
    }

    pub(super) fn counts(&self, query: &CountsQuery) -> Vec<CountRow> {
        if query.until_ms <= query.from_ms {
            return Vec::new();
        }
        let name = (query.account.clone(), query.group.clone());
        let hours = (name.clone(), hour_of(query.from_ms))..=(name, hour_of(query.until_ms - 1));
        let rows = self.counts.range(hours);
        rows.map(|((_, hour), count)| CountRow {
            start_ms: i64::from(*hour) * HOUR_MS,
            revised: count.revised,
            counters: count.counters,
        })
        .collect()
    }

    pub(super) fn totals(&self, from_ms: i64, until_ms: i64) -> Vec<Totals> {
        if until_ms <= from_ms {
            return Vec::new();
        }
        let mut totals: BTreeMap<&GroupName, Totals> = BTreeMap::new();
        for ((name, hour), count) in &self.counts {
            if (hour_of(from_ms)..=hour_of(until_ms - 1)).contains(hour) {
                let total = totals.entry(name).or_insert_with(|| Totals {
                    account: name.0.clone(),
                    group: name.1.clone(),
                    ..Totals::default()
                });
                total.counters.add(&count.counters);
            }
        }
        totals.into_values().collect()
    }

    pub(super) fn list_counts(&self, from_ms: i64, until_ms: i64) -> Vec<ListCountRow> {
        if until_ms <= from_ms {
            return Vec::new();
        }
        let mut sums: BTreeMap<&str, ListCount> = BTreeMap::new();
        for ((wordlist, hour), count) in &self.lists {
            if (hour_of(from_ms)..=hour_of(until_ms - 1)).contains(hour) {
                sums.entry(wordlist).or_default().add(*count);
            }
        }
        let row = |(wordlist, count): (&str, ListCount)| ListCountRow {
            wordlist: wordlist.to_owned(),
            hits: count.hits,
            shadow_hits: count.shadow_hits,
        };
        sums.into_iter().map(row).collect()
    }

    pub(super) fn outcomes(&self, broadcast: &str) -> Vec<OutcomeRow> {
        let own = self.outcomes.iter().filter(|((of, _, _), _)| of == broadcast);
        own.map(|((_, (account, group), kind), sum)| OutcomeRow {
            account: account.clone(),
            group: group.clone(),
            kind: kind.clone(),
            count: sum.count,
            value_micros: sum.value_micros,
        })
        .collect()
    }

    pub(super) fn members(
        &self,
        account: &str,
        group: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<MemberRow> {
        let name = (account.to_owned(), group.to_owned());
        let from = (name.clone(), after.unwrap_or_default().to_owned());
        let rows = self.members.range(from..).take_while(|((of, _), _)| *of == name);
        let rest = rows.filter(|((_, member), _)| after.is_none_or(|after| member.as_str() > after));
        rest.take(all_if_zero(limit))
            .map(|((_, member), record)| self.member_row(account, member, record))
            .collect()
    }

    pub(super) fn member(&self, account: &str, group: &str, member: &str) -> Option<MemberRow> {
        let name = ((account.to_owned(), group.to_owned()), member.to_owned());
        self.members.get(&name).map(|record| self.member_row(account, member, record))
    }

    fn member_row(&self, account: &str, member: &str, record: &MemberRecord) -> MemberRow {
        let person = (account.to_owned(), format!("m:{member}"));
        MemberRow {
            member: member.to_owned(),
            number: self.people.numbers.get(&person).map(|numbered| numbered.number).unwrap_or_default(),
            name: record.name.clone(),
            role: record.role,
            present: record.present,
            first_ms: if record.first_ms > record.last_ms { 0 } else { record.first_ms },
            last_ms: record.last_ms.max(0),
            messages: record.messages,
            inviter: record.inviter.clone(),
            scene: record.scene.clone(),
            channel: record.channel.clone(),
            union_id: record.union_id.clone(),
            joined_ms: (record.joined_ms != NEVER_MS).then_some(record.joined_ms),
        }
    }

    pub(super) fn hits(&self, account: &str, group: &str, limit: usize) -> Vec<HitRow> {
        let hits = self.hits.get(&(account.to_owned(), group.to_owned()));
        let newest = hits.into_iter().flatten().rev().take(all_if_zero(limit));
        newest
            .map(|hit| HitRow {
                at_ms: hit.at_ms,
                member: hit.member.clone(),
                wordlist: hit.wordlist.clone(),
                category: hit.category.clone(),
                term: hit.term,
                span: hit.span,
                via: hit.via.clone(),
            })
            .collect()
    }

    pub(super) fn lates(&self, account: &str, group: &str, limit: usize) -> Vec<LateRow> {
        let lates = self.lates.get(&(account.to_owned(), group.to_owned()));
        let newest = lates.into_iter().flatten().rev().take(all_if_zero(limit));
        newest
            .map(|late| LateRow {
                key: late.key,
                at_ms: late.at_ms,
                arrived_ms: late.arrived_ms,
                member: late.member.clone(),
                what: late.what,
            })
            .collect()
    }

    pub(super) fn forget_names(&mut self, account: &str, member: &str) -> u64 {
        let of_member = self.members.iter_mut().filter(|(((of, _), who), _)| of == account && who == member);
        of_member.filter_map(|(_, record)| record.name.take()).count() as u64
    }

    pub(super) fn groups_of(&self, account: &str, member: &str) -> Vec<String> {
        let of_member = self.members.keys().filter(|((of, _), who)| of == account && who == member);
        of_member.map(|((_, group), _)| group.clone()).collect()
    }

    pub(super) fn identify(&mut self, account: &str, members: &[(String, String)]) -> Vec<bool> {
        let told = members.iter().map(|(member, identity)| {
            let Ok(is) = fold::identify(&mut self.people, account, member, identity);
            is
        });
        told.collect()
    }

    pub(super) fn memberships(&self, account: &str, members: &[String]) -> Vec<(String, String)> {
        let present = self.members.iter().filter(|(((of, _), member), record)| {
            of == account && record.present && members.contains(member)
        });
        present.map(|(((_, group), member), _)| (group.clone(), member.clone())).collect()
    }

    pub(super) fn case_messages(
        &self,
        case: &str,
        after: Option<&CasePlace>,
        limit: usize,
    ) -> Vec<CaseMessage> {
        let of_case = self.case_messages.iter().filter(|((of, _), _)| of == case);
        let later = of_case.filter(|((_, place), _)| after.is_none_or(|after| place > after));
        later.map(|(_, message)| message.clone()).take(all_if_zero(limit)).collect()
    }

    pub(super) fn case(&self, id: &str) -> Option<CaseRow> {
        let case = self.cases.get(id)?;
        let messages = self.case_messages.iter().filter(|((of, _), _)| of == id);
        let groups: BTreeSet<_> =
            messages.map(|(_, message)| (message.account.clone(), message.group.clone())).collect();
        Some(CaseRow {
            id: id.to_owned(),
            fingerprint: case.fingerprint,
            groups: if groups.is_empty() { case.groups.clone() } else { groups.into_iter().collect() },
            first_ms: case.first_ms,
            last_ms: case.last_ms,
        })
    }

    pub(super) fn cases(&self, limit: usize) -> Vec<CaseRow> {
        let mut cases: Vec<_> = self.cases.keys().filter_map(|id| self.case(id)).collect();
        cases.sort_by(|a, b| b.last_ms.cmp(&a.last_ms).then_with(|| a.id.cmp(&b.id)));
        cases.truncate(all_if_zero(limit));
        cases
    }
}
