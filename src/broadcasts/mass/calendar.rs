//! The calendar the platform counts by, and the hours in which nobody is reminded. Layer: pure core.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::tz::{self, TimeZone};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::broadcasts::ReceivingCap;

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

/// Hours of the day in which nobody is reminded by itself. Written `21:00-09:00`; empty for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QuietHours(Option<(Time, Time)>);

impl Default for QuietHours {
    fn default() -> Self {
        Self(Some((Time::constant(21, 0, 0, 0), Time::constant(9, 0, 0, 0))))
    }
}

impl QuietHours {
    /// Says whether a moment lies within them.
    pub fn contain(self, at_ms: i64) -> bool {
        let Some((from, until)) = self.0 else { return false };
        let now = Timestamp::from_millisecond(at_ms).unwrap_or_default().to_zoned(zone()).time();
        if from <= until { from <= now && now < until } else { from <= now || now < until }
    }
}

impl FromStr for QuietHours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let mistake = || format!("`{text}` are no hours: write them like \"21:00-09:00\", or \"\" for none");
        let time = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        let (from, until) = text.split_once('-').ok_or_else(mistake)?;
        let hours = time(from.trim()).zip(time(until.trim())).ok_or_else(mistake)?;
        if hours.0 == hours.1 { Err(mistake()) } else { Ok(Self(Some(hours))) }
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some((from, until)) => {
                write!(f, "{:02}:{:02}-{:02}:{:02}", from.hour(), from.minute(), until.hour(), until.minute())
            }
            None => Ok(()),
        }
    }
}

impl TryFrom<String> for QuietHours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<QuietHours> for String {
    fn from(hours: QuietHours) -> Self {
        hours.to_string()
    }
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
    fn quiet_hours_may_span_midnight() {
        let night: QuietHours = "21:00-09:00".parse().unwrap();
        assert_eq!(night, QuietHours::default());
        for (time, quiet) in
            [("20:59", false), ("21:00", true), ("03:00", true), ("08:59", true), ("09:00", false)]
        {
            assert_eq!(night.contain(at(&format!("2026-11-27T{time}:30"))), quiet, "{time}");
        }
        let noon: QuietHours = "12:00-13:30".parse().unwrap();
        assert!(noon.contain(at("2026-11-27T13:00:00")) && !noon.contain(at("2026-11-27T13:30:00")));
        assert!(!"".parse::<QuietHours>().unwrap().contain(at("2026-11-27T03:00:00")));
    }

    #[test]
    fn quiet_hours_are_read_back_as_they_are_written() {
        for text in ["21:00-09:00", "00:00-07:05", ""] {
            assert_eq!(text.parse::<QuietHours>().unwrap().to_string(), text);
        }
        for text in ["21:00", "25:00-09:00", "9-10", "09:00-09:00", "a:b-c:d"] {
            assert!(text.parse::<QuietHours>().unwrap_err().contains("21:00-09:00"), "{text}");
        }
    }
}
