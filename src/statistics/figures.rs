//! Figures over groups and time: what rows of days add up to.
//!
//! Pure: takes rows and returns figures. Every group is cut at its own zone's midnight, so [`Cuts`] are made for each zone.
//! A person is counted once however many groups and hours they spoke in: people are kept as bitmaps, never as sums.

pub mod crowd;
pub mod fatigue;
pub mod heat;
pub mod hidden;
pub mod outcomes;
pub mod presence;
pub mod retention;
pub mod waited;
pub mod welcomed;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use hashbrown::HashMap;
use roaring::RoaringTreemap;

use super::days::{DAY_MS, DayError, Facet, Move, OVERALL, View, day_of};
use super::definitions::Counters;
use crate::event::{HOUR_MS, Role};

/// Who leaves within this time after joining left early.
pub const EARLY_MS: i64 = DAY_MS;

/// Stretches of time that follow each other, such as the days of a month in one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cuts {
    /// Where each begins; the last is the end. Ascending, at least two.
    starts: Vec<i64>,
}

impl Cuts {
    /// Takes where each begins and where the last ends.
    pub fn new(starts: Vec<i64>) -> Self {
        debug_assert!(starts.len() > 1 && starts.is_sorted(), "stretches follow each other");
        Self { starts }
    }

    /// Returns where each begins.
    pub fn starts(&self) -> &[i64] {
        self.starts.split_last().map_or(&[], |(_, starts)| starts)
    }

    /// Returns where the first begins and the last ends.
    pub fn range(&self) -> Range<i64> {
        let first = self.starts.first().copied().unwrap_or_default();
        first..self.starts.last().copied().unwrap_or(first)
    }

    /// Returns each, from and until.
    pub fn ranges(&self) -> impl Iterator<Item = Range<i64>> {
        self.starts.iter().zip(self.starts.iter().skip(1)).map(|(from, until)| *from..*until)
    }

    /// Returns the UTC days that they touch.
    pub fn days(&self) -> Range<u32> {
        let range = self.range();
        day_of(range.start)..day_of(range.end - 1) + 1
    }

    /// Returns in which of them a time lies.
    pub fn index(&self, at_ms: i64) -> Option<usize> {
        let index = self.starts.partition_point(|start| *start <= at_ms).checked_sub(1)?;
        (index + 1 < self.starts.len()).then_some(index)
    }

    /// Returns in which of them each hour of a UTC day begins.
    fn hours(&self, day: u32) -> [Option<usize>; 24] {
        let start = i64::from(day) * DAY_MS;
        let hour = |hour: usize| start + i64::try_from(hour).unwrap_or_default() * HOUR_MS;
        let (first, last) = (self.index(start), self.index(hour(23)));
        if first == last && first.is_some() {
            return [first; 24];
        }
        std::array::from_fn(|nth| self.index(hour(nth)))
    }
}

/// A person over all accounts: the account's place in the question, and their number there; or the number that they have over
/// all accounts.
pub fn person(account: u32, number: u64) -> u64 {
    if number & OVERALL != 0 {
        return number;
    }
    u64::from(account) << 32 | u64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The figures of some groups in one stretch of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Counters.
    pub counters: Counters,
    /// An hour of it was changed after it had ended.
    pub revised: bool,
    /// Customers who spoke.
    pub active: RoaringTreemap,
    /// Staff who spoke.
    pub active_staff: RoaringTreemap,
    /// Times a customer came.
    pub came: u64,
    /// Times a customer went.
    pub went: u64,
    /// Of these, within a day after coming.
    pub went_early: u64,
    /// Broadcasts that arrived, group by group. They are in the ledger, not in the days.
    pub broadcasts: u64,
    /// What else was counted.
    pub facets: BTreeMap<Facet, u64>,
}

impl Figures {
    /// Returns how many people stand behind them: customers who spoke; where none did, comings and goings.
    pub fn people_behind(&self) -> u64 {
        if self.active.is_empty() { self.came + self.went } else { self.active.len() }
    }

    /// Adds those of other groups or another time.
    pub fn add(&mut self, other: &Figures) {
        self.counters.add(&other.counters);
        self.revised |= other.revised;
        self.active |= &other.active;
        self.active_staff |= &other.active_staff;
        self.came += other.came;
        self.went += other.went;
        self.went_early += other.went_early;
        self.broadcasts += other.broadcasts;
        for (facet, count) in &other.facets {
            let sum = self.facets.entry(facet.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
}

/// One group on its way through its days, oldest first.
#[derive(Debug)]
pub struct Group<'a> {
    cuts: &'a Cuts,
    account: u32,
    /// Who came last when.
    came: HashMap<u64, i64>,
    customers: Spoken,
    staff: Spoken,
}

/// Who spoke in one stretch, until another is looked at: most speak on many days, and are then put into the set once.
#[derive(Debug)]
struct Spoken {
    set: fn(&mut Figures) -> &mut RoaringTreemap,
    cell: usize,
    keys: Vec<u64>,
}

impl Spoken {
    fn new(set: fn(&mut Figures) -> &mut RoaringTreemap) -> Self {
        Self { set, cell: 0, keys: Vec::new() }
    }

    fn add(&mut self, key: u64, cell: usize, cells: &mut [Figures]) {
        if self.cell != cell {
            self.flush(cells);
            self.cell = cell;
        }
        if self.keys.last() != Some(&key) {
            self.keys.push(key);
        }
    }

    fn flush(&mut self, cells: &mut [Figures]) {
        self.keys.sort_unstable();
        self.keys.dedup();
        if let Some(cell) = cells.get_mut(self.cell) {
            (self.set)(cell).extend(self.keys.drain(..));
        }
    }
}

impl<'a> Group<'a> {
    /// Begins with a group of the account that has this place in the question.
    pub fn new(cuts: &'a Cuts, account: u32) -> Self {
        Self {
            cuts,
            account,
            came: HashMap::new(),
            customers: Spoken::new(|figures| &mut figures.active),
            staff: Spoken::new(|figures| &mut figures.active_staff),
        }
    }

    /// Adds a day's row to the figures of each stretch. The day before the first is worth adding: who came then can leave
    /// early on the first.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn add(&mut self, day: u32, row: &View<'_>, cells: &mut [Figures]) -> Result<(), DayError> {
        let hours = self.cuts.hours(day);
        if hours.iter().any(Option::is_some) {
            row.spoke(&mut |who, hour, spoke| {
                let Some(cell) = at(&hours, hour).filter(|_| spoke.is_active()) else { return };
                let key = person(self.account, who.number);
                match who.role {
                    Role::Customer => self.customers.add(key, cell, cells),
                    Role::Staff => self.staff.add(key, cell, cells),
                    Role::Bot => {}
                }
            })?;
            row.counted(&mut |facet, hour, count| {
                let Some(cell) = at(&hours, hour).and_then(|index| cells.get_mut(index)) else { return };
                if let Facet::Counter(counter) = facet {
                    *cell.counters.part_mut(counter) += count;
                } else if facet == Facet::Revised {
                    cell.revised = true;
                } else if !matches!(facet, Facet::Greeted(..)) {
                    // Each greeting is a facet of its own; who was greeted is another question: see `welcomed`.
                    let sum = cell.facets.entry(facet).or_default();
                    *sum = sum.saturating_add(count);
                }
            })?;
        }
        row.moved(&mut |(of_day, who, kind)| {
            if who.role != Role::Customer {
                return;
            }
            let at_ms = i64::from(day) * DAY_MS + i64::from(of_day);
            let cell = self.cuts.index(at_ms).and_then(|index| cells.get_mut(index));
            match kind {
                Move::Joined => {
                    self.came.insert(who.number, at_ms);
                    if let Some(cell) = cell {
                        cell.came += 1;
                    }
                }
                Move::Left => {
                    let came = self.came.remove(&who.number);
                    if let Some(cell) = cell {
                        cell.went += 1;
                        cell.went_early += u64::from(came.is_some_and(|came| at_ms - came < EARLY_MS));
                    }
                }
                // The list says who is there, not who came or went just then.
                Move::Listed | Move::Gone => {}
            }
        })
    }

    /// Ends with the last row.
    pub fn end(mut self, cells: &mut [Figures]) {
        self.customers.flush(cells);
        self.staff.flush(cells);
    }
}

fn at(hours: &[Option<usize>; 24], hour: u8) -> Option<usize> {
    hours.get(usize::from(hour)).copied().flatten()
}
