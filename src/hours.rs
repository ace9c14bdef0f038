//! Hours of a day, as people write them. Layer: pure core.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::{DateTime, Time};
use serde::{Deserialize, Serialize};

use crate::event::Day;

/// From a time of day until another; over midnight when the second is the earlier. Written `21:00-09:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    pub(crate) from: Time,
    /// `00:00` for the end of the day.
    pub(crate) until: Time,
}

impl Hours {
    /// The whole day.
    pub const ALL_DAY: Self = Self { from: Time::midnight(), until: Time::midnight() };

    /// Says whether it ends on the day after it began.
    pub fn span_midnight(self) -> bool {
        self.until <= self.from
    }

    /// Says whether a time of day lies within them.
    pub fn contain(self, time: Time) -> bool {
        if self.span_midnight() {
            self.from <= time || time < self.until
        } else {
            self.from <= time && time < self.until
        }
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mistake = || format!("`{text}` are no hours: write them like \"21:00-09:00\"");
        let time = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            match (hour.parse().ok()?, minute.parse().ok()?) {
                (24, 0) => Some(Time::midnight()),
                (hour, minute) => Time::new(hour, minute, 0, 0).ok(),
            }
        };
        let (from, until) = text.split_once('-').ok_or_else(mistake)?;
        let (from, until) = time(from).zip(time(until)).ok_or_else(mistake)?;
        let hours = Self { from, until };
        if from == until && hours != Self::ALL_DAY { Err(mistake()) } else { Ok(hours) }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until } = self;
        let end = if *until == Time::midnight() { 24 } else { until.hour() };
        write!(f, "{:02}:{:02}-{end:02}:{:02}", from.hour(), from.minute(), until.minute())
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.to_string()
    }
}

/// Hours on some days of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// On which days it opens; every day when left out.
    #[serde(default = "Day::every")]
    pub days: Vec<Day>,
    /// Like `09:00-21:30`; `22:00-02:00` ends on the day after.
    #[schema(value_type = String, example = "09:00-21:30")]
    pub hours: Hours,
}

impl Window {
    /// Says whether a local moment lies within it. The hours after midnight belong to the day on which it opened.
    pub fn contains(&self, at: DateTime) -> bool {
        let (today, time) = (at.date(), at.time());
        let is_morning_after = self.hours.span_midnight() && time < self.hours.until;
        let began = if is_morning_after { today.saturating_sub(1.day()) } else { today };
        self.hours.contain(time) && self.days.iter().any(|day| day.weekday() == began.weekday())
    }
}

/// Hours in which people are left alone. Written as [`Hours`] are; empty for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QuietHours(pub(crate) Option<Hours>);

impl QuietHours {
    /// From nine in the evening until nine in the morning.
    pub fn night() -> Self {
        Self(Some(Hours { from: Time::constant(21, 0, 0, 0), until: Time::constant(9, 0, 0, 0) }))
    }

    /// Says whether a time of day lies within them.
    pub fn contain(self, time: Time) -> bool {
        self.0.is_some_and(|hours| hours.contain(time))
    }
}

impl QuietHours {
    /// Returns when those around a local moment end; `None` outside of them.
    pub fn end_after(self, at: DateTime) -> Option<DateTime> {
        let hours = self.0.filter(|hours| hours.contain(at.time()))?;
        let is_evening = hours.span_midnight() && at.time() >= hours.from;
        let day = if is_evening { at.date().saturating_add(1.day()) } else { at.date() };
        Some(day.to_datetime(hours.until))
    }
}

impl TryFrom<String> for QuietHours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.parse().map(|hours| Self(Some(hours))).map_err(|error| format!("{error}, or \"\" for none"))
    }
}

impl From<QuietHours> for String {
    fn from(quiet: QuietHours) -> Self {
        quiet.0.map(|hours| hours.to_string()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_may_span_midnight() {
        let time = |text: &str| text.parse::<Time>().unwrap();
        for (hours, inside, outside) in [
            ("21:00-09:00", ["21:00", "03:00", "08:59"], ["20:59", "09:00", "12:00"]),
            ("12:00-13:30", ["12:00", "13:00", "13:29"], ["11:59", "13:30", "00:00"]),
            ("18:00-24:00", ["18:00", "23:59", "20:00"], ["17:59", "00:00", "09:00"]),
        ] {
            let hours: Hours = hours.parse().unwrap();
            assert!(inside.iter().all(|text| hours.contain(time(text))), "{hours}");
            assert!(!outside.iter().any(|text| hours.contain(time(text))), "{hours}");
        }
        assert!(Hours::ALL_DAY.contain(time("00:00")) && Hours::ALL_DAY.contain(time("23:59")));
    }

    #[test]
    fn hours_are_read_back_as_they_are_written() {
        for text in ["21:00-09:00", "00:00-07:05", "18:30-24:00", "00:00-24:00", ""] {
            let quiet = QuietHours::try_from(text.to_owned()).unwrap();
            assert_eq!(String::from(quiet), text);
        }
        for text in ["21:00", "25:00-09:00", "24:30-09:00", "9-10", "09:00-09:00", "a:b-c:d"] {
            assert!(QuietHours::try_from(text.to_owned()).unwrap_err().contains("21:00-09:00"), "{text}");
        }
    }
}
