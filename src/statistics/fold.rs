//! The fold from effects to numbers: what a stretch of the journal changes, gathered in memory, then merged into rows.
//!
//! Not for: storing the rows, or reading the journal. Invariants: the same stretch gives the same difference; merging
//! differences of consecutive stretches gives what one long stretch would have given, wherever it was cut.

mod days;
mod delta;
pub mod facets;
mod latest;
mod merge;
mod roster;
#[cfg(test)]
mod tests;

use crate::event::{
    CaseFact, Effects, EventType, Fact, HOUR_MS, Head, HitFact, OutcomeFact, Partition, Role, SightedFact,
    StateFact, Status, UnsaidBy, UnsaidFact, Verdict,
};
use crate::statistics::definitions::Counters;

use delta::{GroupName, GroupRef};

pub use delta::{
    CaseDelta, CaseMessage, CountDelta, Delta, GroupDelta, HitDelta, Join, LateDelta, ListCount, MemberDelta,
    MoveDelta, OutcomeSum, Place, Sighting, StateDelta,
};
pub use latest::Latest;
pub use merge::{GroupRecord, MemberRecord, NEVER_MS, Numbered, Register, identify, introduce, same};

/// Returns the hour of a time, counted from the epoch; a time before 1970 is in hour 0.
pub fn hour_of(at_ms: i64) -> u32 {
    u32::try_from(at_ms.div_euclid(HOUR_MS).max(0)).unwrap_or(u32::MAX)
}

impl Delta {
    /// Says whether nothing was gathered.
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Returns how much was gathered, in events; a list of many members weighs as much as that many events.
    pub fn weight(&self) -> u64 {
        self.events.max(self.members.len() as u64)
    }

    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        let Delta {
            groups,
            members,
            sightings,
            spoke,
            moved,
            facets,
            counts,
            hits,
            lists,
            outcomes,
            states,
            cases,
            case_messages,
            lates,
            events,
            arrived_ms_max,
            group_index,
            member_index,
        } = self;
        groups.clear();
        members.clear();
        sightings.clear();
        spoke.clear();
        moved.clear();
        facets.clear();
        counts.clear();
        hits.clear();
        lists.clear();
        outcomes.clear();
        states.clear();
        cases.clear();
        case_messages.clear();
        lates.clear();
        group_index.clear();
        member_index.clear();
        *events = 0;
        *arrived_ms_max = 0;
    }

    /// Folds in one event.
    pub fn add(&mut self, place: Place, effects: &Effects<'_>) {
        let head = &effects.head;
        self.events += 1;
        self.arrived_ms_max = self.arrived_ms_max.max(head.arrived_ms);
        if head.status == Status::Late {
            return self.add_late(place, head);
        }
        let group = (!head.group.is_empty()).then(|| self.group(place.partition, head));
        if let Some(group) = group {
            self.count(group, effects);
            self.sight(group, effects);
            self.facets(group, effects);
            self.speak(group, effects);
        }
        let mut hits = 0;
        for fact in &effects.facts {
            if let Some(group) = group {
                self.of_group(group, effects, fact);
            }
            match fact {
                Fact::Hit(hit) => {
                    self.count_list(head, hit, ListCount { hits: 1, shadow_hits: 0 });
                    if let Some(group) = group {
                        self.hits.push(hit_delta(group, place, hits, head, hit));
                        hits += 1;
                    }
                }
                Fact::ShadowHit(hit) => self.count_list(head, hit, ListCount { hits: 0, shadow_hits: 1 }),
                Fact::State(state) => self.state(place.partition, state),
                Fact::Sighted(seen) => self.case_messages.push(case_message(seen)),
                Fact::Case(case) => self.case(case),
                Fact::Group(_)
                | Fact::Outcome(_)
                | Fact::Roster(_)
                | Fact::Unsaid(_)
                | Fact::Member(_)
                | Fact::Action(_)
                | Fact::Send(_)
                | Fact::Attach(_)
                | Fact::Contact(_)
                | Fact::Consent(_)
                | Fact::Revision(_)
                | Fact::Review(_)
                | Fact::Kick(_)
                | Fact::Silence(_)
                | Fact::Evidence(_)
                | Fact::ContactEnd(_)
                | Fact::Tags(_)
                | Fact::Judged(_)
                | Fact::Held(_)
                | Fact::Content(_)
                | Fact::Overturned(_)
                | Fact::Answered(_)
                | Fact::Carried(_)
                | Fact::Talk(_)
                | Fact::HandOver(_)
                | Fact::CaseSize(_)
                | Fact::Traits(_)
                | Fact::LateVerdict(_) => {}
            }
        }
    }

    /// Folds in what a fact says of the group itself.
    fn of_group(&mut self, group: u32, effects: &Effects<'_>, fact: &Fact<'_>) {
        let head = &effects.head;
        if let Fact::Group(change) = fact {
            let delta = &mut self.groups[group as usize];
            latest(&mut delta.name, head.at_ms, change.name.as_deref());
            latest(&mut delta.owner, head.at_ms, change.owner.as_deref());
            if delta.dismissed.is_none_or(|(at, _)| at <= head.at_ms) {
                delta.dismissed = Some((head.at_ms, change.dismissed));
            }
        } else if let Fact::Outcome(outcome) = fact {
            self.credit(group, head, outcome);
        } else if let Fact::Roster(roster) = fact {
            self.list(group, effects, roster);
        } else if let Fact::Unsaid(unsaid) = fact {
            self.unsay(group, head, *unsaid);
        }
    }

    fn add_late(&mut self, place: Place, head: &Head<'_>) {
        if head.group.is_empty() {
            return;
        }
        let group = self.group_index(place.partition, head);
        let hour = hour_of(head.arrived_ms);
        self.count_in(group, hour).counters.late += 1;
        self.lates.push(LateDelta {
            group,
            place,
            key: head.key,
            at_ms: head.at_ms,
            arrived_ms: head.arrived_ms,
            member: head.member.as_deref().unwrap_or_default().to_owned(),
            what: head.what,
        });
    }

    fn group(&mut self, partition: Partition, head: &Head<'_>) -> u32 {
        let index = self.group_index(partition, head);
        widen(&mut self.groups[index as usize].seen, head.at_ms);
        index
    }

    fn group_index(&mut self, partition: Partition, head: &Head<'_>) -> u32 {
        let name = GroupRef(&head.account, &head.group);
        if let Some(index) = self.group_index.get(&name) {
            return *index;
        }
        let index = u32::try_from(self.groups.len()).expect("a stretch is bounded far below this");
        let (account, group) = (head.account.to_string(), head.group.to_string());
        self.group_index.insert(GroupName(account.clone(), group.clone()), index);
        self.groups.push(GroupDelta {
            partition,
            account,
            group,
            seen: None,
            name: None,
            owner: None,
            dismissed: None,
            hours: (u32::MAX, 0),
        });
        index
    }

    fn count_in(&mut self, group: u32, hour: u32) -> &mut CountDelta {
        self.touch(group, hour);
        self.counts.entry((group, hour)).or_default()
    }

    /// Notes that something is kept of a group's hour.
    fn touch(&mut self, group: u32, hour: u32) {
        let hours = &mut self.groups[group as usize].hours;
        *hours = (hours.0.min(hour), hours.1.max(hour));
    }

    fn count(&mut self, group: u32, effects: &Effects<'_>) {
        let counters = counters_of(effects);
        if counters == Counters::default() && !effects.head.revised {
            return;
        }
        let count = self.count_in(group, hour_of(effects.head.at_ms));
        count.counters.add(&counters);
        count.revised |= effects.head.revised;
    }

    /// The latest report of a case is the one that holds; its last sighting never goes back.
    fn case(&mut self, case: &CaseFact<'_>) {
        let before_ms = self.cases.get(&*case.id).map_or(i64::MIN, |before| before.last_ms);
        let delta = case_delta(case);
        let last_ms = delta.last_ms.max(before_ms);
        self.cases.insert(case.id.to_string(), CaseDelta { last_ms, ..delta });
    }

    /// Counts what does not count as activity after all in the hour in which it was said.
    fn unsay(&mut self, group: u32, head: &Head<'_>, unsaid: UnsaidFact) {
        if head.role != Role::Customer {
            return;
        }
        let count = self.count_in(group, unsaid.hour);
        count.revised |= unsaid.hour < hour_of(head.arrived_ms);
        let number = match (unsaid.undone, unsaid.by) {
            (true, _) => &mut count.counters.restored,
            (false, UnsaidBy::Us) => &mut count.counters.withheld,
            (false, UnsaidBy::Member) => &mut count.counters.recalled,
        };
        *number += 1;
    }

    fn count_list(&mut self, head: &Head<'_>, hit: &HitFact<'_>, count: ListCount) {
        let key = (hit.wordlist.to_string(), hour_of(head.at_ms));
        self.lists.entry(key).or_default().add(count);
    }

    /// Credits a result to the broadcast it names; one that names none belongs to no broadcast's numbers.
    fn credit(&mut self, group: u32, head: &Head<'_>, outcome: &OutcomeFact<'_>) {
        let Some(broadcast) = &outcome.broadcast else { return };
        let value_micros = facets::micros_of(outcome.value);
        let sum = OutcomeSum { count: 1, value_micros, last_ms: head.at_ms };
        let key = (group, broadcast.to_string(), outcome.kind.to_string());
        self.outcomes.entry(key).or_default().add(sum);
    }

    fn state(&mut self, partition: Partition, state: &StateFact<'_>) {
        let value = state.value.as_deref().map(<[u8]>::to_vec);
        self.states.insert(
            (partition, state.kind, state.key.to_string()),
            StateDelta { value, expires_ms: state.expires_ms },
        );
    }
}

/// The numbers of one event that is not late.
fn counters_of(effects: &Effects<'_>) -> Counters {
    let head = &effects.head;
    let person = u64::from(head.role != Role::Bot);
    let mut counters = Counters::default();
    match head.what {
        EventType::Message => {
            counters.messages = person;
            counters.staff_messages = u64::from(head.role == Role::Staff);
        }
        EventType::MemberJoined => counters.joins = person,
        EventType::MemberLeft => counters.leaves = person,
        EventType::MessageEdited
        | EventType::MessageRecalled
        | EventType::ContactAdded
        | EventType::GroupCreated
        | EventType::GroupUpdated
        | EventType::OwnerChanged
        | EventType::GroupDismissed
        | EventType::ConsentChanged
        | EventType::Outcome
        | EventType::RosterRead
        | EventType::Silence
        | EventType::ContactRemoved
        | EventType::TagsChanged
        | EventType::LateVerdict
        | EventType::Due
        | EventType::Pardoned
        | EventType::Expelled
        | EventType::Overturned => {}
    }
    if matches!(head.what, EventType::Message | EventType::MessageEdited) {
        match head.verdict {
            Verdict::Pass => {}
            Verdict::Mask => counters.masked = 1,
            Verdict::Review => counters.reviewed = 1,
            Verdict::Block => counters.blocked = 1,
        }
    }
    for fact in &effects.facts {
        if let Fact::Hit(_) = fact {
            counters.hits += 1;
        } else if let Fact::Send(send) = fact {
            counters.replies += u64::from(send.kind == "reply");
            counters.welcomes += u64::from(send.kind == "welcome");
        } else if let Fact::Attach(attach) = fact {
            // Beside a greeting in a group it is no second one.
            counters.welcomes += u64::from(attach.send.welcome_code.is_some());
        }
    }
    counters
}

/// Whether an event of this kind is a sighting of its member in the group.
fn shows_member(what: EventType) -> bool {
    match what {
        EventType::Message | EventType::MessageEdited | EventType::MemberJoined | EventType::MemberLeft => {
            true
        }
        EventType::MessageRecalled
        | EventType::ContactAdded
        | EventType::GroupCreated
        | EventType::GroupUpdated
        | EventType::OwnerChanged
        | EventType::GroupDismissed
        | EventType::ConsentChanged
        | EventType::Outcome
        | EventType::RosterRead
        | EventType::Silence
        | EventType::ContactRemoved
        | EventType::TagsChanged
        | EventType::LateVerdict
        | EventType::Due
        | EventType::Pardoned
        | EventType::Expelled
        | EventType::Overturned => false,
    }
}

fn hit_delta(group: u32, place: Place, nth: u32, head: &Head<'_>, hit: &HitFact<'_>) -> HitDelta {
    HitDelta {
        group,
        place,
        nth,
        at_ms: head.at_ms,
        member: head.member.as_deref().unwrap_or_default().to_owned(),
        wordlist: hit.wordlist.to_string(),
        category: hit.category.to_string(),
        term: hit.term,
        span: hit.span,
        via: hit.via.clone(),
    }
}

fn case_delta(case: &CaseFact<'_>) -> CaseDelta {
    CaseDelta {
        fingerprint: case.fingerprint,
        groups: case.groups.iter().map(|(account, group)| (account.to_string(), group.to_string())).collect(),
        first_ms: case.first_ms,
        last_ms: case.last_ms,
    }
}

fn case_message(seen: &SightedFact<'_>) -> CaseMessage {
    CaseMessage {
        case: seen.case.to_string(),
        account: seen.account.to_string(),
        group: seen.group.to_string(),
        member: seen.member.as_deref().unwrap_or_default().to_owned(),
        of: seen.of.as_deref().unwrap_or_default().to_owned(),
        at_ms: seen.at_ms,
        by: seen.by,
        verdict: seen.verdict,
    }
}

fn latest(slot: &mut Option<(i64, String)>, at_ms: i64, told: Option<&str>) {
    if let Some(told) = told
        && slot.as_ref().is_none_or(|(at, _)| *at <= at_ms)
    {
        *slot = Some((at_ms, told.to_owned()));
    }
}

fn widen(span: &mut Option<(i64, i64)>, at_ms: i64) {
    *span = Some(span.map_or((at_ms, at_ms), |(first, last)| (first.min(at_ms), last.max(at_ms))));
}
