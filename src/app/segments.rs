//! Reads who is in the segments that journeys ask about, and tells the groups' partitions what changed.
//!
//! A group is looked at when something happened in it, when tags of its members were changed by hand, once a quarter of an
//! hour, since days begin somewhere, and when journeys, rules for tags or the segments themselves were changed. Nothing is
//! remembered here that must not be lost: what partitions have heard stands in their state, and after a start every group
//! is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hashbrown::HashMap;

use crate::api::group_of;
use crate::clock::Clock;
use crate::connectors::{Connectors, EventSink};
use crate::directory::{Directory, GroupContext, GroupFilter};
use crate::event::{EventType, GroupEvent, GroupName, Newcomer, Role, RosterStep, Scope, SegmentRead, What};
use crate::ingest::Ingest;
use crate::journeys::Crowd;
use crate::people::reading::{GROUPS_TOGETHER, GroupOf};
use crate::people::segment::Segment;
use crate::people::{Asked, People};
use crate::pipeline::Rules;
use crate::storage::{SharedStorage, StorageError, visit_effects};
use crate::tasks::Tasks;
use crate::telemetry::metrics;

/// Between two rounds while groups still wait.
const PAUSE: Duration = Duration::from_millis(100);
/// Journal rows read in one go.
const ROWS_TOGETHER: usize = 2_000;
/// Behind so many rows it is cheaper to look at every group.
const ROWS_BEHIND_MAX: u64 = 200_000;

/// What the watching of segments works with.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) people: Arc<People>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) connectors: Arc<Connectors>,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    pub(crate) storage: SharedStorage,
    pub(crate) clock: Clock,
}

/// A group by account and id.
type Key = (String, String);

/// By what every group is out of date when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Season {
    journeys: Vec<(Box<str>, i64)>,
    definitions: BTreeMap<String, u64>,
    tags: (u64, i64),
}

/// What is still to be looked at.
#[derive(Default)]
pub(crate) struct Looking {
    /// Up to where the journal was followed.
    position: u64,
    waiting: BTreeSet<Key>,
    /// The last group of the round before: the next begins behind it, so that none waits for ever.
    after: Option<Key>,
    season: Option<Season>,
}

/// A segment that journeys ask about.
struct Wanted {
    segment: Segment,
    definition: u64,
    /// When it was written: whoever joined a group since has not been in it before.
    since_ms: i64,
}

/// Who of a group is in a segment.
#[derive(Default)]
struct Found {
    members: Vec<u64>,
    unknown: Vec<u64>,
    /// The same with their ids, names, and when they joined.
    ids: Vec<(String, Option<String>, Option<i64>)>,
}

impl Watch {
    /// Watches until the tasks stop.
    pub(crate) async fn run(self, tasks: Tasks) {
        let mut looking = Looking::default();
        loop {
            let more = match self.round(&mut looking).await {
                Ok(more) => more,
                Err(error) => {
                    tracing::error!(%error, "read who is in the segments of journeys; tried again");
                    false
                }
            };
            let pause = if more { PAUSE } else { self.people.rule_tags_every() };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = tasks.stopping() => return,
            }
        }
    }

    /// Looks at some of the groups that wait; says whether others still do.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub(crate) async fn round(&self, looking: &mut Looking) -> Result<bool, StorageError> {
        let (watch, mut taken) = (self.clone(), std::mem::take(looking));
        let looked = tokio::task::spawn_blocking(move || {
            let events = watch.look(&mut taken);
            (taken, events)
        });
        let Ok((taken, events)) = looked.await else { return Ok(false) }; // the runtime is going down
        *looking = taken;
        let events = events.inspect_err(|_| looking.season = None)?;
        let told: Vec<Key> =
            events.iter().map(|event| (event.account.to_string(), event.group.to_string())).collect();
        if !events.is_empty()
            && let Err(error) = EventSink::take(&*self.ingest, events).await
        {
            tracing::warn!(%error, "journeys could not hear who is in their segments; tried again");
            looking.waiting.extend(told);
        }
        metrics::people::segment_groups_waiting(looking.waiting.len());
        Ok(!looking.waiting.is_empty())
    }

    /// Finds what partitions have not heard yet. Blocking.
    fn look(&self, looking: &mut Looking) -> Result<Vec<GroupEvent<'static>>, StorageError> {
        let (rules, now_ms) = (self.rules.load_full(), self.clock.now_ms());
        let wanted = self.wanted(&rules);
        self.follow(looking, wanted.is_empty())?;
        let season = Season {
            journeys: rules.journeys.versions(),
            definitions: wanted.iter().map(|(id, wanted)| (id.clone(), wanted.definition)).collect(),
            tags: self.people.season(),
        };
        let mut events = Vec::new();
        if looking.season.as_ref() != Some(&season) {
            events.extend(self.forgotten(&rules, now_ms));
            looking.season = Some(season);
            if !wanted.is_empty() {
                looking.waiting.extend(self.every_group());
            }
        }
        if wanted.is_empty() {
            looking.waiting.clear();
        }
        let keys = looking.take(self.people.segment_groups_max());
        for some in keys.chunks(GROUPS_TOGETHER) {
            match self.look_at(&rules, &wanted, some, now_ms) {
                Ok((news, again)) => {
                    events.extend(news);
                    looking.waiting.extend(again);
                }
                Err(error) => {
                    looking.waiting.extend(keys);
                    return Err(error);
                }
            }
        }
        Ok(events)
    }

    /// Returns the segments that journeys ask about and that can be answered by a look at one group.
    fn wanted(&self, rules: &Rules) -> BTreeMap<String, Wanted> {
        let wanted = rules.journeys.segments().into_iter().filter_map(|id| {
            let stored = self.people.segment(id)?;
            let segment = stored.is.segment;
            let definition = RosterStep::mark(&serde_json::to_string(&segment).unwrap_or_default());
            let wanted = Wanted { definition, since_ms: stored.updated_ms, segment };
            (!wanted.segment.needs().scores).then(|| (id.to_owned(), wanted))
        });
        wanted.collect()
    }

    /// Notes the groups in which something happened that segments may rest on.
    fn follow(&self, looking: &mut Looking, is_idle: bool) -> Result<(), StorageError> {
        let head = self.storage.head_position()?;
        let (touched, is_all) = self.people.take_touched();
        // Nobody asks, or every group is going to be looked at.
        if is_idle || looking.season.is_none() {
            looking.position = head;
            return Ok(());
        }
        if is_all || head.saturating_sub(looking.position) > ROWS_BEHIND_MAX {
            (looking.position, looking.season) = (head, None);
        }
        while looking.position < head {
            let (from, waiting, mut damaged) = (looking.position, &mut looking.waiting, None);
            looking.position = self.storage.tail(from, ROWS_TOGETHER, &mut |row| {
                let visited = visit_effects(&row, |effects| {
                    // What was told here comes back this way, too.
                    if effects.head.what != EventType::Due {
                        waiting.insert((effects.head.account.to_string(), effects.head.group.to_string()));
                    }
                });
                damaged = visited.err().or_else(|| damaged.take());
            })?;
            if let Some(error) = damaged {
                return Err(error);
            }
            if looking.position == from {
                break;
            }
        }
        if !touched.is_empty() {
            self.storage.project()?;
        }
        for (account, members) in touched {
            let groups = self.storage.memberships(&account, &members)?;
            looking.waiting.extend(groups.into_iter().map(|(group, _)| (account.clone(), group)));
        }
        Ok(())
    }

    fn every_group(&self) -> impl Iterator<Item = Key> + use<> {
        let all = self.directory.groups_in(&Scope::everything(), &GroupFilter::default(), None, usize::MAX);
        all.into_iter().map(|found| (found.context.account.id.to_string(), found.group.to_string()))
    }

    fn context(&self, account: &str, group: &str) -> Option<Arc<GroupContext>> {
        self.directory.group_in(&Scope::everything(), account, group).ok()
    }

    /// Makes an event of everything that partitions remember of segments about which no journey asks any more: a journey
    /// that asks again next year must not begin for whoever came in meanwhile.
    fn forgotten(&self, rules: &Rules, now_ms: i64) -> Vec<GroupEvent<'static>> {
        let over = self.ingest.crowds_where(|account, group, segment| {
            let context = self.context(account, group);
            context.is_some_and(|at| !rules.journeys.segments_at(&at.place, at.tags()).contains(segment))
        });
        let read = |segment| SegmentRead { segment, is_over: true, ..SegmentRead::default() };
        over.into_iter()
            .map(|(account, group, segment)| event(&(account, group), read(segment.into()), now_ms))
            .collect()
    }

    /// Looks at some groups; returns what is news, and the groups that are to be looked at again.
    fn look_at(
        &self,
        rules: &Rules,
        wanted: &BTreeMap<String, Wanted>,
        keys: &[Key],
        now_ms: i64,
    ) -> Result<(Vec<GroupEvent<'static>>, Vec<Key>), StorageError> {
        let contexts: Vec<(&Key, Arc<GroupContext>)> =
            keys.iter().filter_map(|key| Some((key, self.context(&key.0, &key.1)?))).collect();
        let (mut events, mut again) = (Vec::new(), Vec::new());
        for (id, wanted) in wanted {
            let asks =
                |at: &GroupContext| rules.journeys.segments_at(&at.place, at.tags()).contains(id.as_str());
            let groups = contexts.iter().filter(|(_, at)| asks(at));
            let groups: Vec<GroupOf> =
                groups.filter_map(|((_, group), at)| group_of(&self.connectors, group, at)).collect();
            for (name, found) in self.find(&wanted.segment, &groups, now_ms)? {
                let key = (name.account.to_string(), name.group.to_string());
                // A partition that is out of service is asked again when it is back.
                let Ok(heard) = self.ingest.crowd(&key.0, &key.1, id) else {
                    again.push(key);
                    continue;
                };
                let (read, put_off) =
                    found.news(id, wanted, heard.as_ref(), self.people.segment_entries_max());
                if put_off > 0 {
                    metrics::people::segment_entries_put_off(put_off);
                    again.push(key.clone());
                }
                events.extend(read.map(|read| event(&key, read, now_ms)));
            }
        }
        Ok((events, again))
    }

    /// Finds who of each group is in a segment.
    fn find(
        &self,
        segment: &Segment,
        groups: &[GroupOf],
        now_ms: i64,
    ) -> Result<HashMap<GroupName, Found>, StorageError> {
        let mut found: HashMap<GroupName, Found> =
            groups.iter().map(|group| (group.name.clone(), Found::default())).collect();
        let asked = Asked { segment, groups, tally: None, full: false };
        self.people.survey(&asked, now_ms, &mut |seen| {
            let member = seen.member;
            // Nobody speaks to who is not there.
            if let Some(found) = found.get_mut(&seen.group.name).filter(|_| member.facts.present) {
                let mark = RosterStep::mark(&member.member);
                match seen.is {
                    Some(true) => {
                        let is_erased = seen.mark.as_ref().is_some_and(|mark| mark.erased_ms.is_some());
                        let name = member.name.clone().filter(|_| !is_erased);
                        found.members.push(mark);
                        found.ids.push((member.member.clone(), name, member.joined_ms));
                    }
                    None => found.unknown.push(mark),
                    Some(false) => {}
                }
            }
            true
        })?;
        Ok(found)
    }
}

impl Looking {
    /// Takes some of the groups that wait, going round.
    fn take(&mut self, most: usize) -> Vec<Key> {
        let behind = self.after.take().map_or(Bound::Unbounded, Bound::Excluded);
        let first: Vec<Key> = self.waiting.range((behind, Bound::Unbounded)).take(most).cloned().collect();
        let rest = self.waiting.iter().take(most - first.len());
        let mut keys: Vec<Key> = first.iter().chain(rest).cloned().collect();
        keys.dedup();
        for key in &keys {
            self.waiting.remove(key);
        }
        self.after = keys.last().cloned();
        keys
    }
}

impl Found {
    /// Returns what a partition has not heard, and how many who came in it hears next time, as there are too many.
    fn news(
        mut self,
        id: &str,
        wanted: &Wanted,
        heard: Option<&Crowd>,
        most: usize,
    ) -> (Option<SegmentRead<'static>>, usize) {
        let same = heard.filter(|heard| heard.definition == wanted.definition);
        let came_in = |member: &str, joined_ms: Option<i64>| match same {
            Some(heard) => heard.has(RosterStep::mark(member)) == Some(false),
            // Who was in it when it was looked at for the first time has not come in.
            None => joined_ms.is_some_and(|joined_ms| joined_ms >= wanted.since_ms),
        };
        self.ids.retain(|(member, _, joined_ms)| came_in(member, *joined_ms));
        let put_off = self.ids.split_off(self.ids.len().min(most));
        let left_out: BTreeSet<u64> = put_off.iter().map(|(member, ..)| RosterStep::mark(member)).collect();
        self.members.retain(|mark| !left_out.contains(mark));
        self.members.sort_unstable();
        self.unknown.sort_unstable();
        let is_news = same.is_none_or(|heard| heard.members != self.members || heard.unknown != self.unknown);
        let newcomer = |(member, name, _): (String, Option<String>, _)| Newcomer {
            member: member.into(),
            name: name.map(Into::into),
        };
        let read = is_news.then(|| SegmentRead {
            segment: id.to_owned().into(),
            definition: wanted.definition,
            members: self.members,
            unknown: self.unknown,
            came: self.ids.into_iter().map(newcomer).collect(),
            is_over: false,
        });
        (read, put_off.len())
    }
}

fn event((account, group): &Key, read: SegmentRead<'static>, now_ms: i64) -> GroupEvent<'static> {
    GroupEvent {
        // Each look at something new has an id of its own: that nobody begins twice rests on the partition's state.
        id: format!("segment-{now_ms}-{:016x}", RosterStep::mark(&format!("{read:?}"))).into(),
        account: account.clone().into(),
        group: group.clone().into(),
        member: None,
        name: None,
        role: Role::Bot,
        at_ms: None,
        step: None,
        what: What::SegmentRead(read),
    }
}

#[cfg(test)]
mod tests;
