//! Figures of the visible groups: what rows of days add up to, within the caller's scope.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;
use roaring::RoaringTreemap;

use super::crowd::{is_customer, member};
use crate::api::error::{ApiError, ApiResult, Code};
use crate::api::state::Cx;
use crate::directory::{GroupContext, GroupFilter, GroupFound};
use crate::statistics::coverage::{Covered, Shown, Sight, Sighted, WHOLE};
use crate::statistics::days::{DAY_MS, day_of};
use crate::statistics::definitions::Counters;
use crate::statistics::figures::hidden::{self, Hidden};
use crate::statistics::figures::presence::Moves;
use crate::statistics::figures::{Cuts, Figures, Group, person};
use crate::storage::{Storage, StorageError};

/// Makes the stretches of a zone; as many for every zone.
pub(in crate::api) type CutsOf<'a> = dyn Fn(&GroupContext) -> Cuts + Send + Sync + 'a;

/// Under which heading a group's figures go; nothing leaves it out.
pub(in crate::api) type HeadingOf = dyn Fn(&GroupFound) -> Vec<String> + Send + Sync;

/// Of which groups.
pub(in crate::api) enum Groups {
    /// Of the visible ones, those that pass.
    Filter(GroupFilter),
    /// Of one that was found to be visible.
    One(GroupFound),
}

/// Which figures.
pub(in crate::api) struct Wanted {
    /// Of which groups.
    pub(in crate::api) groups: Groups,
    /// Over which stretches.
    pub(in crate::api) cuts: Box<CutsOf<'static>>,
    /// Apart for each of these.
    pub(in crate::api) heading: Option<Box<HeadingOf>>,
    /// With who is in the groups at the end of each stretch.
    pub(in crate::api) with_members: bool,
}

/// The figures of one heading.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct Column {
    /// Groups.
    pub(in crate::api) groups: u64,
    /// In how many of them what is said can be seen.
    pub(in crate::api) coverage: Covered,
    /// The same of each stretch.
    pub(in crate::api) covered: Vec<Covered>,
    /// Of these, groups where something was said or somebody came or went.
    pub(in crate::api) stirred: u64,
    /// One for each stretch.
    pub(in crate::api) cells: Vec<Figures>,
    /// Customers at the end of each stretch, counted in each group, where asked for.
    pub(in crate::api) members: Vec<u64>,
    /// Customers at the end of the last one, counted once.
    pub(in crate::api) people: Option<RoaringTreemap>,
}

impl Column {
    /// Adds all stretches up.
    pub(in crate::api) fn sum(&self) -> Figures {
        let mut sum = Figures::default();
        for cell in &self.cells {
            sum.add(cell);
        }
        sum
    }

    fn add(&mut self, group: OfGroup) {
        self.groups += 1;
        self.coverage.add(group.sighted);
        self.stirred += u64::from(group.is_stirred);
        if self.cells.is_empty() {
            self.cells = vec![Figures::default(); group.cells.len()];
            self.members = vec![0; group.members.len()];
            self.covered = vec![Covered::default(); group.cells.len()];
        }
        for (covered, sighted) in self.covered.iter_mut().zip(&group.by_cell) {
            covered.add(*sighted);
        }
        for (sum, cell) in self.cells.iter_mut().zip(&group.cells) {
            sum.add(cell);
        }
        for (sum, members) in self.members.iter_mut().zip(&group.members) {
            *sum += members;
        }
        if let Some(people) = group.people {
            *self.people.get_or_insert_default() |= people;
        }
    }
}

/// The figures of many groups.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct ScopedFigures {
    /// When they were read.
    pub(in crate::api) as_of_ms: i64,
    /// All of them.
    pub(in crate::api) all: Column,
    /// By heading.
    pub(in crate::api) by: BTreeMap<String, Column>,
    /// The sums of each group where something happened.
    pub(in crate::api) each: Vec<Each>,
}

impl ScopedFigures {
    /// Says which parts and which of their stretches are left out, because too few people stand behind them.
    pub(in crate::api) fn hidden(&self, minimum: u64) -> Hidden {
        let wholes: Vec<u64> = self.by.values().map(|column| column.sum().people_behind()).collect();
        let people = |column: &Column| column.cells.iter().map(Figures::people_behind).collect();
        let cells: Vec<Vec<u64>> = self.by.values().map(people).collect();
        hidden::table(&wholes, &cells, minimum)
    }
}

/// A group's sums.
#[derive(Clone, Debug)]
pub(in crate::api) struct Each {
    pub(in crate::api) group: GroupFound,
    pub(in crate::api) counters: Counters,
    /// How many people stand behind them.
    pub(in crate::api) people: u64,
}

/// What one group adds.
struct OfGroup {
    /// Of all stretches together.
    sighted: Sighted,
    by_cell: Vec<Sighted>,
    /// Something was said or somebody came or went.
    is_stirred: bool,
    cells: Vec<Figures>,
    members: Vec<u64>,
    people: Option<RoaringTreemap>,
}

/// Groups that are read together: enough that neighbours share pages, few enough to hold.
const BATCH: usize = 500;

impl Cx {
    /// Adds up the visible groups' figures.
    pub(in crate::api) async fn figures(&self, wanted: Wanted) -> ApiResult<ScopedFigures> {
        let as_of_ms = self.now_ms();
        let found = match &wanted.groups {
            Groups::Filter(filter) => self.directory().groups_in(self.scope(), filter, None, usize::MAX),
            Groups::One(group) => vec![group.clone()],
        };
        let range = found.first().map_or(0..0, |group| (wanted.cuts)(&group.context).range());
        let sights = self.sights(&found, range.start - DAY_MS, range.end + DAY_MS).await?;
        let days = found.first().map_or(0..0, |group| (wanted.cuts)(&group.context).days());
        self.check_group_days(found.len(), days).await?;
        self.blocking(move |storage| {
            storage.project()?;
            let accounts = places(&found);
            let mut figures = ScopedFigures { as_of_ms, ..ScopedFigures::default() };
            let dark = Sight::default();
            for batch in found.chunks(BATCH) {
                let of_groups = read(storage, batch, &wanted, &accounts, as_of_ms)?;
                for (group, mut of_group) in batch.iter().zip(of_groups) {
                    let sight = sights.get(group.context.account.id.as_str()).unwrap_or(&dark);
                    of_group.look(sight, &(wanted.cuts)(&group.context));
                    let headings = wanted.heading.as_ref().map_or_else(Vec::new, |heading| heading(group));
                    for heading in headings {
                        figures.by.entry(heading).or_default().add(of_group.share());
                    }
                    let sum = of_group.sum();
                    if sum.counters != Counters::default() {
                        let (counters, people) = (sum.counters, sum.people_behind());
                        figures.each.push(Each { group: group.clone(), counters, people });
                    }
                    figures.all.add(of_group);
                }
            }
            Ok(figures)
        })
        .await
    }

    /// Says of each account when its platform showed what is said; now it does not while it is not connected.
    pub(super) async fn sights(
        &self,
        found: &[GroupFound],
        from_ms: i64,
        until_ms: i64,
    ) -> ApiResult<HashMap<String, Sight>> {
        let mut sights = HashMap::new();
        for group in found {
            let account = group.context.account.id.as_str();
            if !sights.contains_key(account) {
                let sight = self.platforms().sight(account, from_ms, until_ms).await;
                let mut sight = sight.map_err(|cause| ApiError {
                    cause: Some(cause),
                    ..ApiError::new(Code::NotReady, "what could be seen when cannot be read now")
                })?;
                let can = self.connectors().capabilities(account);
                if can.is_some() || sight != Sight::default() {
                    sight.turn(self.now_ms(), can.is_some_and(|can| can.gives_message_text));
                }
                sights.insert(account.to_owned(), sight);
            }
        }
        Ok(sights)
    }
}

impl OfGroup {
    /// Says what could be seen when. Messages that were posted to us are seen, whatever the platform shows.
    fn look(&mut self, sight: &Sight, cuts: &Cuts) {
        let posted = self.cells.iter().any(|cell| cell.counters.messages > 0);
        let over =
            |range: Range<i64>| Some(sight.over(&range)).filter(|found| !posted || found.shown != Shown::Not);
        self.sighted = over(cuts.range()).unwrap_or(WHOLE);
        self.by_cell = cuts.ranges().map(|range| over(range).unwrap_or(WHOLE)).collect();
    }

    fn sum(&self) -> Figures {
        let mut sum = Figures::default();
        self.cells.iter().for_each(|cell| sum.add(cell));
        sum
    }

    fn share(&self) -> Self {
        Self {
            sighted: self.sighted,
            by_cell: self.by_cell.clone(),
            is_stirred: self.is_stirred,
            cells: self.cells.clone(),
            members: self.members.clone(),
            people: self.people.clone(),
        }
    }
}

/// Gives every account of the question a place in it, by which people of different accounts are told apart.
pub(in crate::api) fn places(found: &[GroupFound]) -> HashMap<String, u32> {
    let mut places = HashMap::new();
    for group in found {
        let next = u32::try_from(places.len()).unwrap_or(u32::MAX);
        places.entry(group.context.account.id.to_string()).or_insert(next);
    }
    places
}

/// Returns the names of groups as storage knows them.
pub(in crate::api) fn names(found: &[GroupFound]) -> Vec<(String, String)> {
    found.iter().map(|group| (group.context.account.id.to_string(), group.group.to_string())).collect()
}

/// Adds the broadcasts that arrived.
fn receive(
    storage: &dyn Storage,
    names: &[(String, String)],
    cuts: &[Cuts],
    of_groups: &mut [OfGroup],
) -> Result<(), StorageError> {
    let from_ms = cuts.iter().map(|cuts| cuts.range().start).min().unwrap_or_default();
    let until_ms = cuts.iter().map(|cuts| cuts.range().end).max().unwrap_or_default();
    for (group, at_ms) in storage.received(names, from_ms, until_ms)? {
        let (Some(cuts), Some(of_group)) = (cuts.get(group), of_groups.get_mut(group)) else { continue };
        if let Some(cell) = cuts.index(at_ms).and_then(|index| of_group.cells.get_mut(index)) {
            cell.broadcasts += 1;
        }
    }
    Ok(())
}

fn read(
    storage: &dyn Storage,
    batch: &[GroupFound],
    wanted: &Wanted,
    accounts: &HashMap<String, u32>,
    now_ms: i64,
) -> Result<Vec<OfGroup>, StorageError> {
    let contexts: Vec<&Arc<GroupContext>> = batch.iter().map(|group| &group.context).collect();
    let cuts: Vec<Cuts> = contexts.iter().map(|context| (wanted.cuts)(context)).collect();
    let account = |nth: usize| accounts.get(contexts[nth].account.id.as_str()).copied().unwrap_or_default();
    let mut ways: Vec<Group<'_>> =
        cuts.iter().enumerate().map(|(nth, cuts)| Group::new(cuts, account(nth))).collect();
    let mut cells: Vec<Vec<Figures>> =
        cuts.iter().map(|cuts| vec![Figures::default(); cuts.starts().len()]).collect();
    let mut moves = vec![Moves::default(); batch.len()];
    let first = cuts.iter().map(|cuts| cuts.days().start).min().unwrap_or_default();
    let last = cuts.iter().map(|cuts| cuts.days().end).max().unwrap_or_default();
    let last = if wanted.with_members { last.max(day_of(now_ms) + 1) } else { last };
    let names = names(batch);
    storage.days(&names, first.saturating_sub(1)..last, &mut |group, day, row| {
        if wanted.with_members {
            moves[group].add(day, row)?;
        }
        ways[group].add(day, row, &mut cells[group])
    })?;
    ways.into_iter().zip(&mut cells).for_each(|(way, cells)| way.end(cells));
    let mut members: Vec<Vec<u64>> = vec![Vec::new(); batch.len()];
    let mut people: Vec<Option<RoaringTreemap>> = vec![None; batch.len()];
    if wanted.with_members {
        for (nth, cuts) in cuts.iter().enumerate() {
            members[nth] = vec![0; cuts.starts().len()];
            people[nth] = Some(RoaringTreemap::new());
        }
        storage.rosters(&names, &mut |group, seat| {
            if !is_customer(&seat) {
                return;
            }
            let member = member(&seat);
            let range = cuts[group].range();
            let ends = cuts[group].starts().iter().skip(1).copied().chain([range.end]);
            for (count, end_ms) in members[group].iter_mut().zip(ends) {
                *count += u64::from(moves[group].was_in(&member, end_ms.min(now_ms + 1)));
            }
            if let Some(people) = &mut people[group]
                && moves[group].was_in(&member, range.end.min(now_ms + 1))
            {
                people.insert(person(account(group), seat.number));
            }
        })?;
    }
    let groups = cells.into_iter().zip(members).zip(people);
    let mut of_groups: Vec<_> = groups
        .map(|((cells, members), people)| OfGroup {
            sighted: Sighted::default(),
            by_cell: Vec::new(),
            is_stirred: cells.iter().any(|cell| *cell != Figures::default()),
            cells,
            members,
            people,
        })
        .collect();
    receive(storage, &names, &cuts, &mut of_groups)?;
    Ok(of_groups)
}
