//! What a reading of a group's roster means: the events that bring what we know to what the platform says.
//!
//! Pure. A reading is believed when it cannot be one that lags behind; then each join and leave comes out once: told by a
//! callback where one came (its own id, time and scene), inferred where none did, dated honestly. What is new to us as a
//! whole, or too old to be counted, is taken over without being counted.
//!
//! Invariant: the events are chained, each from the mark the one before left; the last leaves the mark of what was read. So
//! whatever happens between the reading and the commit, or in the middle of the commit, makes a gap and is read again.

mod emit;
mod links;
mod pending;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use crate::connectors::offers::KnownRoster;
use crate::event::{GroupEvent, Role, RosterMember, RosterStep};

use emit::Chain;
use links::Age;

pub(crate) use links::follow;
pub(crate) use pending::{Change, Pending};

/// How far apart a callback's time and the reading's `join_time` may be and still mean the same joining.
const JOIN_TIME_SLACK_MS: i64 = 1_000;

/// An event that would get too old on its way to the commit is treated as too old at once.
const WINDOW_MARGIN_MS: i64 = 10 * 60 * 1_000;

/// A version that we went through before and that is read for this many times the patience is believed: versions may be
/// made from the members alone, so that one who came and went leaves the version there was before.
const RETURN_PATIENCES: i64 = 10;

/// A group's roster by the platform.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// The platform's version of the list.
    pub(crate) version: String,
    /// Who is there.
    pub(crate) members: Vec<RosterMember<'static>>,
    /// The group's owner.
    pub(crate) owner: Option<String>,
    /// The group's name.
    pub(crate) name: Option<String>,
}

/// What a reading is judged by.
#[derive(Clone, Debug)]
pub(crate) struct View<'a> {
    /// The account.
    pub(crate) account: &'a str,
    /// The group.
    pub(crate) group: &'a str,
    /// What we know. Read after the reading was made, or before: the chain notices what happens in between.
    pub(crate) known: &'a KnownRoster,
    /// What callbacks told and nobody has counted.
    pub(crate) pending: &'a [Pending],
    /// Ids that turned out to be counted already.
    pub(crate) counted: &'a HashSet<String>,
    /// Details of members who joined since are handed on, in milliseconds since the epoch: a callback tells but the id.
    pub(crate) details_since_ms: i64,
    /// Now.
    pub(crate) now_ms: i64,
    /// Longest time that a reading lags behind a change, or a callback.
    pub(crate) patience: Duration,
    /// Events older than this are not counted any more.
    pub(crate) window: Duration,
}

/// What a reading comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outlook {
    /// It may lag behind, or a callback may be on its way: read again later.
    Wait,
    /// These events bring what we know to what was read, and settle everything pending.
    Settled(Plan),
}

/// The events of a reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// In order.
    pub(crate) events: Vec<GroupEvent<'static>>,
    /// Joins found by comparing.
    pub(crate) joins: u64,
    /// Leaves found by comparing.
    pub(crate) leaves: u64,
    /// Members taken over without being counted.
    pub(crate) adopted: u64,
}

/// Says what a reading means.
pub(crate) fn settle(view: &View<'_>, reading: &Reading) -> Outlook {
    let pending: Vec<Pending> =
        view.pending.iter().filter(|change| !view.counted.contains(&change.id)).cloned().collect();
    let compared = Compared::new(view, reading, &pending);
    if compared.is_doubtful() {
        return Outlook::Wait;
    }
    compared.plan().map_or(Outlook::Wait, Outlook::Settled)
}

/// Makes the events of changes that follow one after the other from where we stand: no reading is needed for them.
pub(crate) fn told(
    account: &str,
    group: &str,
    pending: &[Pending],
    chain: &[usize],
) -> Vec<GroupEvent<'static>> {
    let event = |change: &Pending| {
        let step = RosterStep { from: Some(change.from), to: change.to };
        change.event(account, group, step, None)
    };
    chain.iter().filter_map(|index| event(&pending[*index])).collect()
}

/// A reading beside what we know.
struct Compared<'a> {
    view: &'a View<'a>,
    reading: &'a Reading,
    pending: &'a [Pending],
    ages: Vec<Age>,
    /// Mark of the version that was read.
    read: u64,
    /// Who we believe there.
    here: HashMap<&'a str, Role>,
    /// Who is there.
    there: HashMap<&'a str, &'a RosterMember<'static>>,
    /// Changes that follow the version that was read.
    after: Vec<usize>,
    /// The others, in order.
    until: Vec<usize>,
}

impl<'a> Compared<'a> {
    fn new(view: &'a View<'a>, reading: &'a Reading, pending: &'a [Pending]) -> Self {
        let read = RosterStep::mark(&reading.version);
        let (last_ms, lag_ms) = (view.known.group.last_ms, millis(view.patience));
        let ages = links::ages(&view.known.marks, last_ms, lag_ms, pending);
        let after = follow(read, pending);
        let others: Vec<usize> = (0..pending.len()).filter(|index| !after.contains(index)).collect();
        let until = links::in_order(pending, &others);
        let here = view.known.members.iter().map(|(member, role)| (member.as_str(), *role)).collect();
        let there = reading.members.iter().map(|member| (member.member.as_ref(), member)).collect();
        Self { view, reading, pending, ages, read, here, there, after, until }
    }

    /// Says whether the reading may show an older state than we, or callbacks, know of.
    fn is_doubtful(&self) -> bool {
        let view = self.view;
        let patience_ms = millis(view.patience);
        let fresh = |since_ms: i64| view.now_ms - since_ms < patience_ms;
        let heard_ms = self.pending.iter().map(|change| change.heard_ms).max().unwrap_or(0);
        let latest_ms = heard_ms.max(view.known.group.last_ms);
        let is_new = view.known.marks.first().is_some_and(|head| *head != self.read);
        let on_its_way = |read: &RosterMember<'_>| {
            fresh(read.joined_ms)
                && !self.is_told_to_join(read)
                && (is_new || !self.here.contains_key(read.member.as_ref()))
        };
        if self.reading.members.iter().any(on_its_way) {
            return true; // told by its callback, a joining is greeted
        }
        let unclear = |(change, age): (&Pending, &Age)| *age == Age::Unclear && fresh(change.heard_ms);
        if self.pending.iter().zip(&self.ages).any(unclear) {
            return true; // what comes behind it may tell
        }
        let Some((head, older)) = view.known.marks.split_first() else { return self.contradicts(&fresh) };
        if older.contains(&self.read) {
            return view.now_ms - latest_ms < patience_ms.saturating_mul(RETURN_PATIENCES);
        }
        if self.read == *head {
            let is_behind = |index: &usize| self.is_ahead(*index) && fresh(self.pending[*index].heard_ms);
            return self.until.iter().any(is_behind) || self.contradicts(&fresh);
        }
        let leads_on = self.after.first().is_some_and(|next| self.ages[*next] == Age::Newer);
        let leads_here = |(change, age): (&Pending, &Age)| change.to == self.read && *age == Age::Newer;
        // In the middle of a step that was broken off we may be past a version that a callback names.
        let is_told = !RosterStep::is_between(*head)
            && (leads_on || self.pending.iter().zip(&self.ages).any(leads_here));
        !is_told && fresh(latest_ms) || self.contradicts(&fresh)
    }

    /// Says whether a change leads to a later version than the one that was read.
    fn is_ahead(&self, index: usize) -> bool {
        self.ages[index] == Age::Newer && self.pending[index].to != self.read
    }

    /// Says whether a callback told of the joining that the reading shows.
    fn is_told_to_join(&self, read: &RosterMember<'_>) -> bool {
        let told = self.until.iter().map(|index| &self.pending[*index]);
        told.filter(|change| change.told() == Some((read.member.as_ref(), true)))
            .any(|change| is_known_join(change, Some(read)))
    }

    /// Says whether a callback that came just now tells of somebody what the reading does not show, and nothing says that
    /// the reading is the later of the two.
    fn contradicts(&self, fresh: &dyn Fn(i64) -> bool) -> bool {
        let leads_here = self.leads_here();
        let latest: BTreeMap<&str, (usize, bool)> = self
            .until
            .iter()
            .filter_map(|i| self.pending[*i].told().map(|(who, in_)| (who, (*i, in_))))
            .collect();
        latest.into_iter().any(|(member, (index, joined))| {
            let change = &self.pending[index];
            let shown = match (joined, self.there.get(member)) {
                (true, Some(read)) => read.joined_ms >= change.at_ms - JOIN_TIME_SLACK_MS,
                (false, Some(read)) => read.joined_ms > change.at_ms,
                (true, None) => false,
                (false, None) => true,
            };
            !shown && self.ages[index] == Age::Newer && fresh(change.heard_ms) && !leads_here.contains(&index)
        })
    }

    /// Changes that lead to the version that was read.
    fn leads_here(&self) -> HashSet<usize> {
        let mut versions = HashSet::from([self.read]);
        let mut found = HashSet::new();
        while let Some(next) = (0..self.pending.len())
            .find(|index| !found.contains(index) && versions.contains(&self.pending[*index].to))
        {
            found.insert(next);
            versions.insert(self.pending[next].from);
        }
        found
    }

    /// Returns the events; `None` when they would be guesses that a callback on its way may prove wrong.
    fn plan(&self) -> Option<Plan> {
        let mut chain = Chain::new(self);
        let mut told: BTreeMap<&'a str, Vec<usize>> = BTreeMap::new();
        for index in &self.until {
            if let Some((member, _)) = self.pending[*index].told()
                && !self.is_too_old(self.pending[*index].at_ms)
            {
                told.entry(member).or_default().push(*index);
            }
        }
        let mut believed = self.here.clone();
        if self.view.known.marks.is_empty() {
            believed = self.adopt(&told, &mut chain);
        }
        let everybody: BTreeSet<&str> =
            believed.keys().chain(self.there.keys()).chain(told.keys()).copied().collect();
        for member in everybody {
            let told = told.get(member).map_or(&[][..], Vec::as_slice);
            self.settle_member(member, believed.get(member).copied(), told, &mut chain);
        }
        chain.finish()
    }

    /// The first reading of a group: everybody who was there before the first callback is taken over.
    fn adopt(
        &self,
        told: &BTreeMap<&'a str, Vec<usize>>,
        chain: &mut Chain<'_, 'a>,
    ) -> HashMap<&'a str, Role> {
        let mut found: Vec<RosterMember<'static>> = Vec::new();
        for (member, read) in &self.there {
            if !told.contains_key(member) {
                found.push((*read).clone());
            }
        }
        for (member, told) in told {
            let Some(first) = told.first().map(|index| &self.pending[*index]) else { continue };
            if first.told() == Some((member, false)) {
                // Who left first was there, and who came first was not.
                let read = self.there.get(member).map(|read| (*read).clone());
                found.push(read.unwrap_or_else(|| first.member_before(member)));
            }
        }
        found.sort_by(|a, b| a.member.cmp(&b.member));
        let base: HashMap<&'a str, Role> = self
            .there
            .keys()
            .chain(told.keys())
            .filter_map(|id| Some((*id, found.iter().find(|found| found.member == *id)?.role)))
            .collect();
        let gone = self.here.keys().filter(|member| !base.contains_key(*member));
        chain.first_reading(found, gone.copied().collect());
        base
    }

    /// Walks through what callbacks told of one member, from what we believed to what was read.
    fn settle_member(
        &self,
        member: &'a str,
        believed: Option<Role>,
        told: &[usize],
        chain: &mut Chain<'_, 'a>,
    ) {
        let read = self.there.get(member).copied();
        let role = read.map(|read| read.role).or(believed).unwrap_or_default();
        let mut here = believed.is_some();
        let mut has_come = false; // by one of these callbacks
        let mut told = told.iter().map(|index| (&self.pending[*index], self.ages[*index])).peekable();
        while let Some((change, age)) = told.next() {
            let newer = age == Age::Newer;
            let joined = matches!(change.change, Change::Joined { .. });
            match (joined, here) {
                (true, true) if newer => chain.left_unseen(member, role, change),
                (false, false) if newer => chain.joined_unseen(member, role, change),
                (true, true) => {
                    // Covered by what was read before, but for who came and went before that: the leaving first, so
                    // that they are here whatever happens between the two.
                    let went = told.next_if(|(next, age)| {
                        *age != Age::Newer
                            && matches!(next.change, Change::Left { .. })
                            && !is_known_join(change, read)
                    });
                    if let Some((left, _)) = went {
                        chain.told(left, read);
                        chain.told(change, read);
                    }
                    continue;
                }
                (false, false) => continue,                       // covered
                (false, true) if !newer && !has_come => continue, // here again, and left as was counted then
                (true, false) | (false, true) => {}
            }
            chain.told(change, read);
            here = joined;
            has_come |= joined;
        }
        match (here, read) {
            (true, None) => chain.left(member, role, self.left_before_ms(member)),
            (false, Some(read)) => chain.joined(read),
            (true, Some(read)) => chain.stays(read, believed),
            (false, None) => {}
        }
    }

    /// The latest time at which someone who is not there can have left: when a callback said so that came too late to be
    /// counted, before a callback said that they came back, or now.
    fn left_before_ms(&self, member: &str) -> i64 {
        let times = |among: &[usize], joined: bool| {
            let told = among.iter().map(|index| &self.pending[*index]);
            let told = told.filter(|change| change.told() == Some((member, joined)));
            told.map(|change| change.at_ms).collect::<Vec<_>>()
        };
        let late = times(&self.until, false).into_iter().filter(|at| self.is_too_old(*at)).max();
        let back = times(&self.after, true).into_iter().min();
        late.or(back).unwrap_or(i64::MAX).min(self.view.now_ms)
    }

    /// Says whether something happened too long ago to be counted.
    fn is_too_old(&self, at_ms: i64) -> bool {
        self.view.now_ms - at_ms > millis(self.view.window) - WINDOW_MARGIN_MS
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Says whether an old callback tells of the joining that the reading shows.
fn is_known_join(change: &Pending, read: Option<&RosterMember<'_>>) -> bool {
    read.is_some_and(|read| (read.joined_ms - change.at_ms).abs() <= JOIN_TIME_SLACK_MS)
}
