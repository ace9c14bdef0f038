//! How many mass messages one customer, or one customer group, receives: at most as many in a natural month as it has days, or
//! what the corp's administrator chose instead. Natural days, weeks and months are the platform's, in UTC+8.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::wecom::clock::day_of;

/// Targets counted; past this number nobody new receives anything, as if they were at their cap.
pub const COUNTED_MAX: usize = 6_000_000;

/// The cap in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// As many a natural month as it has days.
    #[default]
    DaysOfMonth,
    /// Seven a natural week, from Monday on.
    SevenPerWeek,
    /// One a natural day.
    OnePerDay,
    /// Four a natural month, as older pages have it.
    FourPerMonth,
}

impl Cap {
    /// The period a day belongs to, and how many fit into it.
    fn period(self, day: u32) -> (u32, u32) {
        let (month, days) = month_of(day);
        match self {
            Self::DaysOfMonth => (month, days),
            // Day 0, the first of January 1970, was a Thursday.
            Self::SevenPerWeek => ((day + 3) / 7, 7),
            Self::OnePerDay => (day, 1),
            Self::FourPerMonth => (month, 4),
        }
    }
}

/// The number of the month (12 a year) that a day since 1970 lies in, and how many days it has.
fn month_of(day: u32) -> (u32, u32) {
    let (mut year, mut rest) = (1970, day);
    let is_leap =
        |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while rest >= 365 + u32::from(is_leap(year)) {
        rest -= 365 + u32::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u32::from(is_leap(year));
    let mut month = year * 12;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < days {
            return (month, days);
        }
        rest -= days;
        month += 1;
    }
    (month, 31)
}

/// What everybody has received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Period and count by target.
    counts: HashMap<u64, (u32, u32)>,
}

impl Received {
    /// Whether a target can receive another one at a moment.
    pub(crate) fn has_room(&self, target: u64, cap: Cap, now_ms: u64) -> bool {
        let (period, most) = cap.period(day_of(now_ms / 1_000));
        match self.counts.get(&target) {
            Some(&(counted, count)) => counted != period || count < most,
            None => self.counts.len() < COUNTED_MAX,
        }
    }

    /// Counts a message, when the target can receive it.
    pub(crate) fn take(&mut self, target: u64, cap: Cap, now_ms: u64) -> bool {
        if !self.has_room(target, cap, now_ms) {
            return false;
        }
        let (period, _) = cap.period(day_of(now_ms / 1_000));
        let entry = self.counts.entry(target).or_insert((period, 0));
        if entry.0 != period {
            *entry = (period, 0);
        }
        entry.1 += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;
    /// 2026-02-01T00:00:00+08:00, a Sunday.
    const FEBRUARY: u64 = 1_769_875_200_000;

    fn taken(received: &mut Received, cap: Cap, now_ms: u64, tries: usize) -> usize {
        (0..tries).filter(|_| received.take(1, cap, now_ms)).count()
    }

    #[test]
    fn a_month_has_room_for_its_days() {
        let mut received = Received::default();
        assert_eq!(taken(&mut received, Cap::DaysOfMonth, FEBRUARY - 1, 40), 31, "January");
        assert_eq!(taken(&mut received, Cap::DaysOfMonth, FEBRUARY, 40), 28);
        assert_eq!(taken(&mut received, Cap::DaysOfMonth, FEBRUARY + 28 * DAY_MS - 1, 1), 0);
        assert_eq!(taken(&mut received, Cap::DaysOfMonth, FEBRUARY + 28 * DAY_MS, 40), 31, "March");
        assert!(received.has_room(2, Cap::DaysOfMonth, FEBRUARY));
    }

    #[test]
    fn leap_years_have_a_long_february() {
        for (day, days) in
            [(58, 28), (59, 31), (11_016, 29), (19_782, 29), (20_484, 31), (20_485, 28), (20_512, 28)]
        {
            assert_eq!(month_of(day).1, days, "{day}");
        }
    }

    #[test]
    fn weeks_begin_on_monday_and_days_at_midnight() {
        let mut received = Received::default();
        assert_eq!(taken(&mut received, Cap::SevenPerWeek, FEBRUARY, 9), 7);
        assert_eq!(taken(&mut received, Cap::SevenPerWeek, FEBRUARY + DAY_MS - 1, 9), 0);
        assert_eq!(taken(&mut received, Cap::SevenPerWeek, FEBRUARY + DAY_MS, 9), 7, "Monday");
        assert_eq!(taken(&mut received, Cap::SevenPerWeek, FEBRUARY + 7 * DAY_MS, 9), 0, "next Sunday");
        let mut received = Received::default();
        assert_eq!(taken(&mut received, Cap::OnePerDay, FEBRUARY, 3), 1);
        assert_eq!(taken(&mut received, Cap::OnePerDay, FEBRUARY + DAY_MS - 1, 3), 0);
        assert_eq!(taken(&mut received, Cap::OnePerDay, FEBRUARY + DAY_MS, 3), 1);
        assert_eq!(taken(&mut Received::default(), Cap::FourPerMonth, FEBRUARY, 9), 4);
    }
}
