//! What is usual in a group and over all groups at an hour of the week, from storage's hourly counters.

use std::collections::{BTreeMap, HashMap};

use crate::alerts::Parts;
use crate::alerts::baseline::{Past, Usual, Week};
use crate::alerts::windows::Watched;
use crate::event::{HOUR_MS, RegionId};
use crate::storage::{Counters, CountsQuery, StorageError, Totals};

/// Ranges that are remembered, each for its hour.
pub(crate) const REMEMBERED_MAX: usize = 10_000;
/// Hours of which the sums over all groups are remembered.
pub(crate) const HOURS_MAX: usize = 2_000;
/// Weeks that are looked back.
pub(super) const WEEKS: i64 = 8;
const WEEK_HOURS: i64 = 7 * 24;
/// Hours over all groups that stand in while the weeks are too few.
const ALL_HOURS: i64 = 80;

/// An account's times in which nobody watched it, as from and until.
type Silences = HashMap<String, Vec<(i64, i64)>>;

/// What is usual, as far as somebody asked within the hour.
#[derive(Debug, Default)]
pub(crate) struct Usuals {
    hour: i64,
    of: HashMap<(String, String, Watched, u32), Option<Usual>>,
    all: HashMap<(Watched, u32), Option<Usual>>,
    /// Leaves and hits over all groups, by hours since the epoch that are over.
    sums: BTreeMap<i64, [u64; 2]>,
    silences: Silences,
    /// Leaves and hits of the groups in which anything happened at the same hour a week ago, each with its region.
    peers: Option<Vec<(Option<RegionId>, [u64; 2])>>,
}

impl Usuals {
    /// Takes in when nobody watched which account.
    pub(super) fn know_silences(&mut self, silences: Silences) {
        self.silences = silences;
    }

    /// Says what is usual in a group at the hour of a moment. Blocking.
    pub(super) fn of_group(
        &mut self,
        parts: &Parts,
        (account, group): (&str, &str),
        watched: Watched,
        at_ms: i64,
        window_min: u32,
    ) -> Result<Option<Usual>, StorageError> {
        let hour = self.turn(at_ms);
        let key = (account.to_owned(), group.to_owned(), watched, window_min);
        if let Some(known) = self.of.get(&key) {
            return Ok(*known);
        }
        let from = hour - WEEKS * WEEK_HOURS - 1;
        // What happens now is no past: neither this hour nor the one before.
        let until = hour - 1;
        let (account, group) = (account.to_owned(), group.to_owned());
        let known = parts.storage.group(&account, &group)?.map_or(i64::MAX, |row| row.first_ms);
        let (from_ms, until_ms) = (from * HOUR_MS, until * HOUR_MS);
        let query = CountsQuery { account, group, from_ms, until_ms };
        let rows = parts.storage.counts(&query)?;
        let counts: HashMap<i64, u64> = rows
            .iter()
            .map(|row| (row.start_ms.div_euclid(HOUR_MS), value(watched, &row.counters)))
            .collect();
        // The first hour may have begun before the group was known. What rests on text is known from the first message on.
        let since = match watched {
            Watched::Leaves => known.div_euclid(HOUR_MS).saturating_add(1),
            Watched::Hits | Watched::Negative => rows
                .iter()
                .find(|row| row.counters.messages > 0)
                .map_or(i64::MAX, |row| row.start_ms.div_euclid(HOUR_MS).saturating_add(1)),
        };
        let silences = self.silences.get(&query.account).map(Vec::as_slice).unwrap_or_default();
        let count = |hour: i64| {
            let is_known = (since.max(from)..until).contains(&hour) && !touches(silences, hour);
            is_known.then(|| counts.get(&hour).copied().unwrap_or(0))
        };
        let mut usual = usual(hour, from..until, count, window_min);
        if usual.is_none() {
            let region = parts.around.group(&query.account, &query.group).place.region;
            let peers = self.peers(parts, hour - WEEK_HOURS, watched, region.as_ref())?;
            usual = Usual::of(&Past { peers: &peers, ..Past::default() }, window_min);
        }
        if self.of.len() < REMEMBERED_MAX {
            self.of.insert(key, usual);
        }
        Ok(usual)
    }

    /// Says what is usual over all groups at the hour of a moment. Blocking.
    pub(super) fn of_all(
        &mut self,
        parts: &Parts,
        watched: Watched,
        at_ms: i64,
        window_min: u32,
    ) -> Result<Option<Usual>, StorageError> {
        let hour = self.turn(at_ms);
        if let Some(known) = self.all.get(&(watched, window_min)) {
            return Ok(*known);
        }
        let past: Vec<i64> = (1..=WEEKS)
            .flat_map(|week| (-1..=1).map(move |near| hour - week * WEEK_HOURS + near))
            .chain(hour - 1 - ALL_HOURS..hour - 1)
            .collect();
        for hour in &past {
            if !self.sums.contains_key(hour) {
                let sum = sum(parts, *hour)?;
                self.sums.insert(*hour, sum);
            }
        }
        while self.sums.len() > HOURS_MAX {
            self.sums.pop_first();
        }
        // Before the first hour in which anything happened there was no gateway.
        let began = self.sums.iter().find(|(_, sum)| **sum != [0, 0]).map_or(i64::MAX, |(hour, _)| *hour);
        let sums = &self.sums;
        let count = |hour: i64| {
            let sum = sums.get(&hour).filter(|_| hour > began)?;
            Some(of_both(watched, *sum))
        };
        let usual = usual(hour, hour - 1 - ALL_HOURS..hour - 1, count, window_min);
        self.all.insert((watched, window_min), usual);
        Ok(usual)
    }

    /// What other groups of the region counted in an hour, those in which anything happened: so it is never too little.
    fn peers(
        &mut self,
        parts: &Parts,
        hour: i64,
        watched: Watched,
        region: Option<&RegionId>,
    ) -> Result<Vec<Option<u64>>, StorageError> {
        if self.peers.is_none() {
            let totals = parts.storage.totals(hour * HOUR_MS, (hour + 1) * HOUR_MS)?;
            let of = |row: Totals| {
                let region = parts.around.group(&row.account, &row.group).place.region;
                (region, [row.counters.leaves, row.counters.hits])
            };
            self.peers = Some(totals.into_iter().map(of).collect());
        }
        let peers = self.peers.iter().flatten().filter(|(of, _)| of.as_ref() == region);
        Ok(peers.map(|(_, counts)| Some(of_both(watched, *counts))).collect())
    }

    /// Forgets what was usual at another hour.
    fn turn(&mut self, at_ms: i64) -> i64 {
        let hour = at_ms.div_euclid(HOUR_MS);
        if self.hour != hour {
            self.hour = hour;
            self.of.clear();
            self.all.clear();
            self.peers = None;
        }
        hour
    }
}

fn usual(
    hour: i64,
    hours: std::ops::Range<i64>,
    count: impl Fn(i64) -> Option<u64>,
    window_min: u32,
) -> Option<Usual> {
    let week = |back: i64| {
        let same = hour - back * WEEK_HOURS;
        Week { before: count(same - 1), same: count(same), after: count(same + 1) }
    };
    let weeks: Vec<Week> = (1..=WEEKS).map(week).collect();
    let hours: Vec<Option<u64>> = hours.map(&count).collect();
    Usual::of(&Past { weeks: &weeks, hours: &hours, peers: &[] }, window_min)
}

fn value(watched: Watched, counters: &Counters) -> u64 {
    match watched {
        Watched::Leaves => counters.leaves,
        Watched::Hits | Watched::Negative => counters.hits,
    }
}

fn of_both(watched: Watched, [leaves, hits]: [u64; 2]) -> u64 {
    match watched {
        Watched::Leaves => leaves,
        Watched::Hits | Watched::Negative => hits,
    }
}

/// Leaves and hits of all groups in an hour.
fn sum(parts: &Parts, hour: i64) -> Result<[u64; 2], StorageError> {
    let totals = parts.storage.totals(hour * HOUR_MS, (hour + 1) * HOUR_MS)?;
    Ok(totals.iter().fold([0, 0], |sum, row| [sum[0] + row.counters.leaves, sum[1] + row.counters.hits]))
}

fn touches(silences: &[(i64, i64)], hour: i64) -> bool {
    silences.iter().any(|(from, until)| *from < (hour + 1) * HOUR_MS && *until > hour * HOUR_MS)
}
