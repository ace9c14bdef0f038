//! How many of those who joined together are still there, and still speak (留存).

use std::collections::BTreeSet;

use hashbrown::HashMap;
use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Cuts, person};
use crate::event::{HOUR_MS, Role};
use crate::statistics::days::{DAY_MS, DayError, Move, View};

/// After how many days is looked, and over how many days up to then somebody must have spoken.
pub const DAYS: [(i64, i64); 3] = [(1, 1), (7, 7), (30, 7)];

/// One of those who joined.
#[derive(Debug)]
struct Joiner {
    stretch: usize,
    joined_ms: i64,
    joined: Date,
    zone: TimeZone,
    moves: Vec<(i64, u32, bool)>,
    spoke: BTreeSet<Date>,
    /// In a group all the time, as far as is known.
    stays: bool,
}

/// What became of them after some days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct After {
    /// Of whom so many days have passed.
    pub of: u64,
    /// Still in one of the groups.
    pub there: u64,
    /// Still speaking.
    pub speaking: u64,
}

/// Those who joined in one stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cohort {
    /// How many.
    pub people: u64,
    /// After each of [`DAYS`].
    pub after: [After; 3],
}

/// Everybody who joined, counted once: with their first joining of the time looked at.
#[derive(Debug, Default)]
pub struct Joiners {
    by: HashMap<u64, Joiner>,
}

/// A group of the question.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// Its number in the question.
    pub group: u32,
    /// Its account's.
    pub account: u32,
    /// Its zone.
    pub zone: &'a TimeZone,
    /// The stretches in its zone.
    pub cuts: &'a Cuts,
}

impl Joiners {
    /// Finds who joined when; every row of every group, before any is added.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn find(&mut self, place: &Place<'_>, day: u32, row: &View<'_>) -> Result<(), DayError> {
        row.moved(&mut |(of_day, who, kind)| {
            let at_ms = i64::from(day) * DAY_MS + i64::from(of_day);
            let is_join = kind == Move::Joined && who.role == Role::Customer;
            let Some(stretch) = place.cuts.index(at_ms).filter(|_| is_join) else { return };
            let key = person(place.account, who.number);
            if self.by.get(&key).is_none_or(|known| at_ms < known.joined_ms) {
                let joiner = Joiner {
                    stretch,
                    joined_ms: at_ms,
                    joined: date_of(at_ms, place.zone),
                    zone: place.zone.clone(),
                    moves: Vec::new(),
                    spoke: BTreeSet::new(),
                    stays: false,
                };
                self.by.insert(key, joiner);
            }
        })
    }

    /// Adds a day's row of a group.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn add(&mut self, place: &Place<'_>, day: u32, row: &View<'_>) -> Result<(), DayError> {
        let start_ms = i64::from(day) * DAY_MS;
        row.moved(&mut |(of_day, who, kind)| {
            let at_ms = start_ms + i64::from(of_day);
            if let Some(joiner) = self.by.get_mut(&person(place.account, who.number)) {
                joiner.moves.push((at_ms, place.group, kind.is_in()));
            }
        })?;
        let dates: [Date; 24] = std::array::from_fn(|hour| {
            date_of(start_ms + i64::try_from(hour).unwrap_or_default() * HOUR_MS, place.zone)
        });
        row.spoke(&mut |who, hour, spoke| {
            if spoke.is_active()
                && let Some(joiner) = self.by.get_mut(&person(place.account, who.number))
                && let Some(date) = dates.get(usize::from(hour))
            {
                joiner.spoke.insert(*date);
            }
        })
    }

    /// Adds a member who is in a group now: whoever never moved there has been there all the time.
    pub fn stays(&mut self, place: &Place<'_>, number: u64) {
        if let Some(joiner) = self.by.get_mut(&person(place.account, number)) {
            joiner.stays |= !joiner.moves.iter().any(|(_, group, _)| *group == place.group);
        }
    }

    /// Says what became of them, stretch by stretch.
    pub fn cohorts(&self, stretches: usize, now_ms: i64) -> Vec<Cohort> {
        let mut cohorts = vec![Cohort::default(); stretches];
        for joiner in self.by.values() {
            let Some(cohort) = cohorts.get_mut(joiner.stretch) else { continue };
            cohort.people += 1;
            for (after, (days, over)) in cohort.after.iter_mut().zip(DAYS) {
                let Ok(last) = joiner.joined.checked_add(days.days()) else { continue };
                let Some(end_ms) = midnight_after(last, &joiner.zone).filter(|end_ms| *end_ms <= now_ms)
                else {
                    continue;
                };
                let first = last.checked_sub((over - 1).days()).unwrap_or(last);
                after.of += 1;
                after.there += u64::from(joiner.is_in(end_ms));
                after.speaking += u64::from(joiner.spoke.range(first..=last).next().is_some());
            }
        }
        cohorts
    }
}

impl Joiner {
    fn is_in(&self, at_ms: i64) -> bool {
        let (mut last, mut next): (HashMap<u32, _>, HashMap<u32, _>) = (HashMap::new(), HashMap::new());
        for (moved_ms, group, is_in) in &self.moves {
            let moved = (*moved_ms, *is_in);
            if *moved_ms < at_ms {
                let entry = last.entry(*group).or_insert(moved);
                *entry = if moved.0 >= entry.0 { moved } else { *entry };
            } else {
                let entry = next.entry(*group).or_insert(moved);
                *entry = if moved.0 < entry.0 { moved } else { *entry };
            }
        }
        // Who leaves later a group that they were never told to come to was there.
        next.retain(|group, _| !last.contains_key(group));
        self.stays || last.values().any(|(_, is_in)| *is_in) || next.values().any(|(_, is_in)| !*is_in)
    }
}

fn date_of(at_ms: i64, zone: &TimeZone) -> Date {
    Timestamp::from_millisecond(at_ms).unwrap_or_default().to_zoned(zone.clone()).date()
}

fn midnight_after(date: Date, zone: &TimeZone) -> Option<i64> {
    let next = date.tomorrow().ok()?;
    next.to_zoned(zone.clone()).ok().map(|time| time.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::days::{Day, Person, Spoke, encode};

    /// 2026-11-02T00:00:00+08:00.
    const START_MS: i64 = 1_793_548_800_000;

    #[test]
    fn who_stays_and_who_speaks_after_days_of_the_groups_own_zone() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let cuts = Cuts::new(vec![START_MS, START_MS + DAY_MS]);
        let place = Place { group: 0, account: 0, zone: &zone, cuts: &cuts };
        let person = |number| Person { number, role: Role::Customer };
        let mut rows: std::collections::BTreeMap<u32, Day> = std::collections::BTreeMap::new();
        let mut moved = |number, at_ms: i64, kind| {
            let of_day = u32::try_from(at_ms.rem_euclid(DAY_MS)).unwrap();
            let day = rows.entry(u32::try_from(at_ms / DAY_MS).unwrap()).or_default();
            day.moved.push((of_day, person(number), kind));
        };
        for number in 0..4 {
            moved(number, START_MS + 10 * HOUR_MS, Move::Joined);
        }
        moved(1, START_MS + 30 * HOUR_MS, Move::Left); // on day 1
        moved(2, START_MS + 5 * DAY_MS, Move::Left); // on day 5
        let spoken = START_MS + DAY_MS + 20 * HOUR_MS; // on day 1, in the evening
        let day = rows.entry(u32::try_from(spoken / DAY_MS).unwrap()).or_default();
        let hour = u8::try_from(spoken / HOUR_MS % 24).unwrap();
        day.spoke.insert((person(3), hour), Spoke { said: 1, unsaid: 0 });
        let mut joiners = Joiners::default();
        for pass in [Joiners::find, Joiners::add] {
            for (day, row) in &rows {
                let row = encode(row);
                let view = View { spoke: &row.spoke, moved: &row.moved, counted: &row.counted, same: None };
                pass(&mut joiners, &place, *day, &view).unwrap();
            }
        }
        let cohorts = joiners.cohorts(1, START_MS + 20 * DAY_MS);
        assert_eq!(cohorts[0].people, 4);
        assert_eq!(cohorts[0].after[0], After { of: 4, there: 3, speaking: 1 });
        assert_eq!(cohorts[0].after[1], After { of: 4, there: 2, speaking: 1 });
        assert_eq!(cohorts[0].after[2], After::default(), "thirty days have not passed");
    }

    #[test]
    fn what_a_person_does_in_several_groups_on_one_day_counts_in_whatever_order_groups_come() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let cuts = Cuts::new(vec![START_MS, START_MS + DAY_MS, START_MS + 2 * DAY_MS]);
        let person = Person { number: 7, role: Role::Customer };
        let at = |hours: i64| {
            let at_ms = START_MS + hours * HOUR_MS;
            (u32::try_from(at_ms / DAY_MS).unwrap(), u32::try_from(at_ms.rem_euclid(DAY_MS)).unwrap())
        };
        // Joined two groups around midnight, the later one comes first; spoke in it after midnight; left one on day 2.
        let (day, evening) = at(23);
        let (same, after_midnight) = at(25);
        assert_eq!(day, same, "one UTC day holds both");
        let hour = u8::try_from(after_midnight / 3_600_000).unwrap();
        let spoke = Spoke { said: 1, unsaid: 0 };
        let first = Day {
            moved: vec![(after_midnight, person, Move::Joined)],
            spoke: [((person, hour), spoke)].into(),
            ..Day::default()
        };
        let second = Day { moved: vec![(evening, person, Move::Joined)], ..Day::default() };
        let only_spoke = Day { spoke: [((person, hour), spoke)].into(), ..Day::default() };
        for rows in [[first.clone(), second.clone()], [second.clone(), first], [only_spoke, second]] {
            let mut joiners = Joiners::default();
            for pass in [Joiners::find, Joiners::add] {
                for (group, row) in (0..).zip(&rows) {
                    let place = Place { group, account: 0, zone: &zone, cuts: &cuts };
                    let row = encode(row);
                    let view =
                        View { spoke: &row.spoke, moved: &row.moved, counted: &row.counted, same: None };
                    pass(&mut joiners, &place, day, &view).unwrap();
                }
            }
            let cohorts = joiners.cohorts(2, START_MS + 5 * DAY_MS);
            assert_eq!((cohorts[0].people, cohorts[1].people), (1, 0));
            assert_eq!(cohorts[0].after[0], After { of: 1, there: 1, speaking: 1 });
        }
    }

    #[test]
    fn who_leaves_later_a_group_they_never_joined_was_there() {
        let cuts = Cuts::new(vec![START_MS, START_MS + DAY_MS]);
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let person = Person { number: 7, role: Role::Customer };
        let mut joiners = Joiners::default();
        let moves = [
            (0, 8, Move::Joined),
            (0, 9, Move::Left), // and goes on in a group where they were seen talking only
            (1, 60, Move::Left),
        ];
        for pass in [Joiners::find, Joiners::add] {
            for (group, hours, kind) in moves {
                let at_ms = START_MS + hours * HOUR_MS;
                let of_day = u32::try_from(at_ms.rem_euclid(DAY_MS)).unwrap();
                let row = encode(&Day { moved: vec![(of_day, person, kind)], ..Day::default() });
                let view = View { spoke: &row.spoke, moved: &row.moved, counted: &row.counted, same: None };
                let place = Place { group, account: 0, zone: &zone, cuts: &cuts };
                pass(&mut joiners, &place, u32::try_from(at_ms / DAY_MS).unwrap(), &view).unwrap();
            }
        }
        let cohorts = joiners.cohorts(1, START_MS + 20 * DAY_MS);
        assert_eq!(cohorts[0].after.map(|after| after.there), [1, 0, 0]);
    }
}
