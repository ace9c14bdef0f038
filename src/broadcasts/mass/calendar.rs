//! The calendar the platform counts by, and the hours in which nobody is reminded. Layer: pure core.

use jiff::civil::Date;
use jiff::tz::{self, TimeZone};
use jiff::{Timestamp, ToSpan};

use crate::broadcasts::ReceivingCap;
use crate::hours::QuietHours;

/// China has one zone and no summer time.
fn zone() -> TimeZone {
    TimeZone::fixed(tz::offset(8))
}

fn date_of(at_ms: i64) -> Date {
    Timestamp::from_millisecond(at_ms).unwrap_or_default().to_zoned(zone()).date()
}

fn start_of(date: Date) -> i64 {
    date.to_zoned(zone()).map_or(0, |start| start.timestamp().as_millisecond())
}

/// Returns since when receipts count now, and how many of them a group may have.
pub(super) fn allowance(cap: ReceivingCap, now_ms: i64) -> (i64, u64) {
    let today = date_of(now_ms);
    match cap {
        ReceivingCap::OnceADay => (start_of(today), 1),
        ReceivingCap::SevenAWeek => {
            let since_monday = today.weekday().to_monday_zero_offset();
            (start_of(today.saturating_sub(i64::from(since_monday).days())), 7)
        }
        ReceivingCap::DaysOfMonth => {
            (start_of(today.first_of_month()), u64::try_from(today.days_in_month()).unwrap_or(28))
        }
    }
}

/// Says whether a moment lies within hours in which people are left alone.
pub(super) fn is_quiet(quiet: QuietHours, at_ms: i64) -> bool {
    quiet.contain(Timestamp::from_millisecond(at_ms).unwrap_or_default().to_zoned(zone()).time())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        format!("{text}+08:00").parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn receipts_count_from_the_start_of_the_platforms_period() {
        use ReceivingCap::{DaysOfMonth, OnceADay, SevenAWeek};
        for (cap, now, since, allowed) in [
            (OnceADay, "2026-11-27T00:00:00", "2026-11-27T00:00:00", 1),
            (OnceADay, "2026-11-27T23:59:59", "2026-11-27T00:00:00", 1),
            (SevenAWeek, "2026-11-27T12:00:00", "2026-11-23T00:00:00", 7), // a Friday
            (SevenAWeek, "2026-11-23T00:00:00", "2026-11-23T00:00:00", 7), // a Monday
            (SevenAWeek, "2026-11-22T23:00:00", "2026-11-16T00:00:00", 7), // a Sunday
            (DaysOfMonth, "2026-11-30T23:00:00", "2026-11-01T00:00:00", 30),
            (DaysOfMonth, "2028-02-01T00:00:00", "2028-02-01T00:00:00", 29),
        ] {
            assert_eq!(allowance(cap, at(now)), (at(since), allowed), "{cap:?} at {now}");
        }
    }

    #[test]
    fn hours_are_those_of_the_platforms_zone() {
        for (time, quiet) in [("20:59", false), ("21:00", true), ("08:59", true), ("09:00", false)] {
            let at_ms = at(&format!("2026-11-27T{time}:30"));
            assert_eq!(is_quiet(QuietHours::night(), at_ms), quiet, "{time}");
        }
    }
}
