//! When targets may leave: hours and days of the broadcast, quiet hours and closed days of the house, in each group's own
//! zone or one for all; and how targets are spread over what is open. Layer: pure core.
//!
//! Whether a moment is open is asked of the wall clock, so a day of 23 or 25 hours needs no rule of its own. When that
//! changes is found by asking at every moment at which it could: the ends of all hours, midnights, the zone's own changes.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::hours::{QuietHours, Window};

/// Days looked ahead for an opening: a year, and then some for a window on one day of it.
const DAYS_MAX: i64 = 370;

const DAY_MS: i64 = 24 * 3_600_000;

/// Openings that an estimate looks at.
const OPENINGS_MAX: usize = 400;

/// Longest spread, in milliseconds: what is open within it is looked at in one go.
const SPREAD_MAX_MS: i64 = 31 * 24 * 3_600_000;

/// When a broadcast may be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// IANA name of the zone its hours and days are in; each group's own when left out.
    pub time_zone: Option<String>,
    /// Hours in which it is sent; any when empty.
    pub windows: Vec<Window>,
    /// Days on which none of it is sent.
    pub not_on: BTreeSet<Date>,
    /// Its targets leave evenly spread until then; 0 for as fast as the limits allow.
    pub spread_until_ms: i64,
}

/// A schedule is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Nobody knows the zone.
    #[error("time_zone: `{0}` is no IANA time zone; write one like Asia/Shanghai")]
    Zone(String),
    /// Too many windows or days.
    #[error("{field}: {found} are listed, at most {max} are allowed")]
    TooMany {
        /// `windows` or `not_on`.
        field: &'static str,
        /// How many.
        found: usize,
        /// How many may be.
        max: usize,
    },
    /// A window on no day.
    #[error("windows/{0}/days: name a day, or leave `days` out for every day")]
    NoDay(usize),
    /// It never opens.
    #[error("windows: it is never open within a year from its start, quiet hours and closed days considered")]
    NeverOpen,
    /// The end of the spread is not after its start, or nothing is open between, or it is too far away.
    #[error("spread_until: must be at most 31 days after its start, and something must be open between")]
    NoSpread,
}

impl ScheduleError {
    /// Returns where in the schedule the mistake is, as a JSON pointer without its first slash.
    pub fn pointer(&self) -> String {
        match self {
            ScheduleError::Zone(_) => "time_zone".to_owned(),
            ScheduleError::TooMany { field, .. } => (*field).to_owned(),
            ScheduleError::NoDay(at) => format!("windows/{at}/days"),
            ScheduleError::NeverOpen => "windows".to_owned(),
            ScheduleError::NoSpread => "spread_until".to_owned(),
        }
    }
}

const WINDOWS_MAX: usize = 32;
const NOT_ON_MAX: usize = 400;

/// When the house leaves people alone, whatever a broadcast says; in each group's own zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HouseRules {
    /// Hours of every day.
    pub quiet: QuietHours,
    /// Whole days.
    pub closed: BTreeSet<Date>,
}

/// A schedule under the rules of the house.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenTimes<'a> {
    pub(super) schedule: &'a Schedule,
    pub(super) rules: &'a HouseRules,
}

impl Schedule {
    /// Says whether it holds anything back.
    pub(super) fn is_free(&self) -> bool {
        self.windows.is_empty() && self.not_on.is_empty() && self.spread_until_ms == 0
    }

    /// Returns the zone for everybody, if it names one.
    pub(super) fn zone(&self) -> Option<TimeZone> {
        self.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok())
    }

    /// Refuses what makes no sense. `default` is the zone of groups that say nothing.
    pub(super) fn check(
        &self,
        rules: &HouseRules,
        default: &TimeZone,
        begins_ms: i64,
    ) -> Result<(), ScheduleError> {
        if let Some(name) = &self.time_zone {
            TimeZone::get(name).map_err(|_| ScheduleError::Zone(name.clone()))?;
        }
        for (field, found, max) in
            [("windows", self.windows.len(), WINDOWS_MAX), ("not_on", self.not_on.len(), NOT_ON_MAX)]
        {
            if found > max {
                return Err(ScheduleError::TooMany { field, found, max });
            }
        }
        if let Some(at) = self.windows.iter().position(|window| window.days.is_empty()) {
            return Err(ScheduleError::NoDay(at));
        }
        let times = OpenTimes { schedule: self, rules };
        if times.opens(default, begins_ms).is_none() {
            return Err(ScheduleError::NeverOpen);
        }
        let until_ms = self.spread_until_ms;
        let too_long = until_ms.saturating_sub(begins_ms) > SPREAD_MAX_MS;
        if until_ms != 0 && (too_long || times.intervals(default, begins_ms, until_ms).is_empty()) {
            return Err(ScheduleError::NoSpread);
        }
        Ok(())
    }
}

impl OpenTimes<'_> {
    /// Says whether nothing is ever held back by the clock.
    pub(super) fn are_always(&self) -> bool {
        self.schedule.is_free() && *self.rules == HouseRules::default()
    }

    /// Returns the first moment from `from_ms` on at which a group in the zone `own` may be written to; `None`: not within
    /// a year.
    pub(super) fn opens(&self, own: &TimeZone, from_ms: i64) -> Option<i64> {
        self.next(own, from_ms, true)
    }

    /// Returns when so much open time has passed from `from_ms` on; `None`: not for so long that nobody plans for it.
    pub(super) fn after(&self, own: &TimeZone, from_ms: i64, open_ms: i64) -> Option<i64> {
        let (mut at, mut left) = (from_ms, open_ms);
        for _ in 0..OPENINGS_MAX {
            let open = self.next(own, at, true)?;
            let close = self.next(own, open, false).filter(|close| close - open < left);
            let Some(close) = close else { return Some(open + left) };
            left -= close - open;
            at = close;
        }
        None
    }

    /// Returns the open intervals within `[from_ms, until_ms)`, in order.
    pub(super) fn intervals(&self, own: &TimeZone, from_ms: i64, until_ms: i64) -> Vec<(i64, i64)> {
        let mut intervals = Vec::new();
        let mut at = from_ms;
        while let Some(open) = self.next(own, at, true).filter(|open| *open < until_ms) {
            let close = self.next(own, open, false).map_or(until_ms, |close| close.min(until_ms));
            intervals.push((open, close));
            at = close;
        }
        intervals
    }

    fn zone(&self, own: &TimeZone) -> TimeZone {
        self.schedule.zone().unwrap_or_else(|| own.clone())
    }

    /// Returns the first moment from `from_ms` on that is open, or not.
    fn next(&self, own: &TimeZone, from_ms: i64, open: bool) -> Option<i64> {
        let zone = self.zone(own);
        if self.is_open(&zone, own, from_ms) == open {
            return Some(from_ms);
        }
        let today = from_ms - from_ms.rem_euclid(DAY_MS);
        for day in 0..DAYS_MAX {
            // A day of UTC: in some zone it is the day before, in another the day after.
            let (begin, end) = (today + day * DAY_MS, today + (day + 1) * DAY_MS);
            let date = moment(begin).to_zoned(TimeZone::UTC).date();
            let mut moments = BTreeSet::new();
            for date in [date.saturating_sub(1.day()), date, date.saturating_add(1.day())] {
                self.changes_on(&zone, date, &mut moments);
                if own != &zone {
                    self.changes_on(own, date, &mut moments);
                }
            }
            let mut later = moments.range(begin.max(from_ms + 1)..end);
            if let Some(at) = later.find(|at| self.is_open(&zone, own, **at) == open) {
                return Some(*at);
            }
        }
        None
    }

    fn is_open(&self, zone: &TimeZone, own: &TimeZone, at_ms: i64) -> bool {
        let at = moment(at_ms);
        let here = at.to_zoned(zone.clone());
        let there = at.to_zoned(own.clone());
        let today = here.date();
        let Schedule { windows, not_on, .. } = self.schedule;
        (windows.is_empty() || windows.iter().any(|window| window.contains(here.datetime())))
            && !not_on.contains(&today)
            && !self.rules.closed.contains(&there.date())
            && !self.rules.quiet.contain(there.time())
    }

    /// Collects every moment of a day at which something could change in a zone.
    fn changes_on(&self, zone: &TimeZone, date: Date, moments: &mut BTreeSet<i64>) {
        let windows = self.schedule.windows.iter().map(|window| window.hours);
        let ends = windows.chain(self.rules.quiet.0).flat_map(|hours| [hours.from, hours.until]);
        for time in ends.chain([jiff::civil::Time::midnight()]) {
            // A time that comes twice, or is jumped over, stands for both moments it could be.
            let at = zone.to_ambiguous_timestamp(date.to_datetime(time));
            moments.extend(at.earlier().map(Timestamp::as_millisecond).ok());
            moments.extend(at.later().map(Timestamp::as_millisecond).ok());
        }
        let Ok(start) = date.to_zoned(zone.clone()) else { return };
        let day = start.timestamp()..start.timestamp() + (36 * 60).minutes();
        let changes = zone.following(day.start).take_while(|change| change.timestamp() < day.end);
        moments.extend(changes.map(|change| change.timestamp().as_millisecond()));
    }
}

/// Returns the moment at which a share of the open time has passed; `None` when nothing is open.
pub(super) fn at_share(intervals: &[(i64, i64)], share: f64) -> Option<i64> {
    let total: i64 = intervals.iter().map(|(open, close)| close - open).sum();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "milliseconds of a year"
    )]
    let mut left = (total as f64 * share.clamp(0.0, 1.0)) as i64;
    for (open, close) in intervals {
        if left < close - open {
            return Some(open + left);
        }
        left -= close - open;
    }
    intervals.last().map(|(_, close)| close - 1)
}

/// Returns the place of a target among all, 0 to 1: any run of neighbours is spread evenly (multiples of the golden
/// ratio), so that an account whose groups stand together is not sent all at one time.
pub(super) fn share_of(target: u32) -> f64 {
    (f64::from(target) * 0.618_033_988_749_894_9).fract()
}

fn moment(at_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(at_ms).unwrap_or_default()
}

#[cfg(test)]
mod tests;
