//! Broadcasts that come again: on days of the week or of the month, at a time of a zone. Layer: pure core.
//!
//! Each time a broadcast of its own is made, with the groups of that day, so every one has its own targets, report and end.
//! A time that the clock jumps over comes right after the jump; one that comes twice is taken once.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::event::Day;

/// When a broadcast comes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// On which days of the week.
    #[serde(default)]
    pub days: Vec<Day>,
    /// On which days of the month; the 31st is the last day where there are fewer.
    #[serde(default)]
    pub dates: Vec<u8>,
    /// At what time of these days.
    #[schema(value_type = String, example = "19:00")]
    pub at: Clock,
    /// IANA name of the zone; the house's own when left out.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// The last day on which it comes.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    pub until: Option<Date>,
}

/// A time of day, written `19:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Clock(Time);

impl TryFrom<String> for Clock {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let time = || {
            let (hour, minute) = text.split_once(':')?;
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        time().map(Self).ok_or_else(|| format!("`{text}` is no time of day; write it like 19:00"))
    }
}

impl From<Clock> for String {
    fn from(clock: Clock) -> Self {
        format!("{:02}:{:02}", clock.0.hour(), clock.0.minute())
    }
}

/// A repetition makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepeatError {
    /// On no day.
    #[error("days: name days of the week, or `dates` of the month")]
    NoDay,
    /// No day of any month.
    #[error("dates: write 1 to 31")]
    Date,
    /// Nobody knows the zone.
    #[error("time_zone: `{0}` is no IANA time zone; write one like Asia/Shanghai")]
    Zone(String),
    /// A moment would hold for one time only.
    #[error(
        "what comes again has neither `expires_at` nor `schedule.spread_until`: they would be moments of one time only"
    )]
    Moment,
    /// It would never come.
    #[error("until: it never comes until then")]
    Never,
}

/// Days looked ahead for the next time: the longest gap is a month's.
const DAYS_MAX: i64 = 63;

impl Repeat {
    /// Refuses what makes no sense.
    pub(super) fn check(&self, default: &TimeZone, now_ms: i64) -> Result<(), RepeatError> {
        if self.days.is_empty() && self.dates.is_empty() {
            return Err(RepeatError::NoDay);
        }
        if self.dates.iter().any(|date| !(1..=31).contains(date)) {
            return Err(RepeatError::Date);
        }
        if let Some(name) = &self.time_zone {
            TimeZone::get(name).map_err(|_| RepeatError::Zone(name.clone()))?;
        }
        self.next_after(default, now_ms).map(|_| ()).ok_or(RepeatError::Never)
    }

    /// Returns the first time after a moment; `None`: there is none any more.
    pub(super) fn next_after(&self, default: &TimeZone, after_ms: i64) -> Option<i64> {
        let named = self.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok());
        let zone = named.unwrap_or_else(|| default.clone());
        let after = Timestamp::from_millisecond(after_ms).ok()?.to_zoned(zone.clone());
        for day in 0..DAYS_MAX {
            let date = after.date().saturating_add(day.days());
            if self.until.is_some_and(|until| date > until) {
                return None;
            }
            if !self.is_on(date) {
                continue;
            }
            let at = zone.to_ambiguous_timestamp(date.to_datetime(self.at.0)).compatible().ok()?;
            if at.as_millisecond() > after_ms {
                return Some(at.as_millisecond());
            }
        }
        None
    }

    fn is_on(&self, date: Date) -> bool {
        let (day, last) = (date.day(), date.days_in_month());
        let falls_on = |wanted: &u8| i8::try_from(*wanted).is_ok_and(|wanted| wanted.min(last) == day);
        self.days.iter().any(|day| day.weekday() == date.weekday()) || self.dates.iter().any(falls_on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeat(json: &str) -> Repeat {
        serde_json::from_str(json).unwrap()
    }

    #[track_caller]
    fn next(json: &str, after: &str, expect: &[&str]) {
        let repeat = repeat(json);
        let mut at = after.parse::<Timestamp>().unwrap().as_millisecond();
        for expect in expect {
            at = repeat.next_after(&TimeZone::get("Asia/Shanghai").unwrap(), at).unwrap();
            assert_eq!(Timestamp::from_millisecond(at).unwrap().to_string(), *expect, "{json}");
        }
    }

    #[test]
    fn it_comes_on_its_days_at_its_time() {
        let friday = r#"{"days": ["fri"], "at": "19:00"}"#;
        next(friday, "2026-11-27T10:59:59Z", &["2026-11-27T11:00:00Z", "2026-12-04T11:00:00Z"]);
        next(friday, "2026-11-27T11:00:00Z", &["2026-12-04T11:00:00Z"]);
        let both = r#"{"days": ["mon"], "dates": [1], "at": "08:30"}"#;
        next(
            both,
            "2026-11-27T00:00:00Z",
            &["2026-11-30T00:30:00Z", "2026-12-01T00:30:00Z", "2026-12-07T00:30:00Z"],
        );
        let last = r#"{"dates": [31], "at": "20:00"}"#;
        next(
            last,
            "2027-01-31T12:00:00Z",
            &["2027-02-28T12:00:00Z", "2027-03-31T12:00:00Z", "2027-04-30T12:00:00Z"],
        );
    }

    #[test]
    fn it_follows_the_wall_clock_through_daylight_saving() {
        let berlin = r#"{"days": ["sun"], "at": "02:30", "time_zone": "Europe/Berlin"}"#;
        // On 2026-03-29 half past two is jumped over; on 2026-10-25 it comes twice and is taken once.
        next(berlin, "2026-03-22T12:00:00Z", &["2026-03-29T01:30:00Z", "2026-04-05T00:30:00Z"]);
        next(berlin, "2026-10-18T12:00:00Z", &["2026-10-25T00:30:00Z", "2026-11-01T01:30:00Z"]);
    }

    #[test]
    fn it_ends_and_what_makes_no_sense_is_refused() {
        let until = repeat(r#"{"days": ["fri"], "at": "19:00", "until": "2026-11-27"}"#);
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        assert_eq!(until.next_after(&zone, at("2026-11-27T11:00:00Z")), None);
        let check = |json: &str| repeat(json).check(&zone, at("2026-11-28T00:00:00Z"));
        assert_eq!(check(r#"{"at": "19:00"}"#), Err(RepeatError::NoDay));
        assert_eq!(check(r#"{"dates": [0], "at": "19:00"}"#), Err(RepeatError::Date));
        assert_eq!(
            check(r#"{"days": ["fri"], "at": "19:00", "time_zone": "X"}"#),
            Err(RepeatError::Zone("X".into()))
        );
        assert_eq!(
            check(r#"{"days": ["fri"], "at": "19:00", "until": "2026-11-28"}"#),
            Err(RepeatError::Never)
        );
        assert!(serde_json::from_str::<Repeat>(r#"{"days": ["fri"], "at": "7 pm"}"#).is_err());
    }
}
