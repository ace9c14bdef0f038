//! By which stretches of time figures are told: hours, or days, weeks and months of a group's own zone.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;

use crate::api::error::{ApiError, ApiResult};
use crate::api::moment;
use crate::event::HOUR_MS;
use crate::statistics::figures::Cuts;

/// By what figures are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum By {
    /// By hour (UTC).
    Hour,
    /// By day, in the group's own time zone.
    #[default]
    Day,
    /// By week from Monday, in the group's own time zone.
    Week,
    /// By month, in the group's own time zone.
    Month,
}

/// Stretches before they are put into a zone: the same days everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) enum Stretches {
    /// From one moment to the next.
    Moments(Vec<i64>),
    /// From one local midnight to the next.
    Dates(Vec<Date>),
}

impl Stretches {
    /// Returns them in a zone.
    pub(in crate::api) fn in_zone(&self, zone: &TimeZone) -> Cuts {
        Cuts::new(match self {
            Stretches::Moments(moments) => moments.clone(),
            Stretches::Dates(dates) => dates.iter().map(|date| midnight(*date, zone)).collect(),
        })
    }

    /// Returns how many there are.
    pub(in crate::api) fn len(&self) -> usize {
        match self {
            Stretches::Moments(moments) => moments.len(),
            Stretches::Dates(dates) => dates.len(),
        }
        .saturating_sub(1)
    }
}

/// A range of time as a query gives it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::api) struct Asked<'a> {
    pub(in crate::api) from: Option<&'a str>,
    pub(in crate::api) until: Option<&'a str>,
}

impl Asked<'_> {
    /// Reads both ends; `back_ms` before the end where no beginning was given.
    ///
    /// # Errors
    /// Names the parameter.
    pub(in crate::api) fn read(self, zone: &TimeZone, now_ms: i64, back_ms: i64) -> ApiResult<(i64, i64)> {
        let read = |name, text: Option<&str>| text.map(|text| moment::read(name, text, zone)).transpose();
        let until_ms = read("until", self.until)?.unwrap_or(now_ms + 1);
        let from_ms = read("from", self.from)?.unwrap_or(until_ms - 1 - back_ms);
        if from_ms >= until_ms {
            return Err(ApiError::unreadable("", "query", "the query: `from` must be before `until`"));
        }
        Ok((from_ms, until_ms))
    }

    /// Cuts the range; whole stretches, so that the first may begin before it and the last end after it.
    ///
    /// # Errors
    /// Names the parameter; when there are more than `rows_max`.
    pub(in crate::api) fn cut(
        self,
        by: By,
        zone: &TimeZone,
        now_ms: i64,
        rows_max: usize,
    ) -> ApiResult<Stretches> {
        let back_ms = match by {
            By::Hour => 23 * HOUR_MS,
            By::Day => 6 * 24 * HOUR_MS,
            By::Week => 3 * 7 * 24 * HOUR_MS,
            By::Month => 61 * 24 * HOUR_MS,
        };
        let (from_ms, until_ms) = self.read(zone, now_ms, back_ms)?;
        let too_many = || {
            let detail = format!("the query: more than {rows_max} rows; ask for less at a time, or by day");
            ApiError::unreadable("", "query", detail)
        };
        if by == By::Hour {
            let first_ms = moment::hour_of(from_ms);
            let hours = usize::try_from((until_ms - first_ms + HOUR_MS - 1) / HOUR_MS).unwrap_or(usize::MAX);
            if hours > rows_max {
                return Err(too_many());
            }
            let starts = (0..=i64::try_from(hours).unwrap_or_default()).map(|nth| first_ms + nth * HOUR_MS);
            return Ok(Stretches::Moments(starts.collect()));
        }
        let (mut date, last) = (start_of(by, date_of(from_ms, zone)), date_of(until_ms - 1, zone));
        let mut dates = vec![date];
        while date <= last {
            date = next(by, date);
            dates.push(date);
            if dates.len() > rows_max + 1 {
                return Err(too_many());
            }
        }
        Ok(Stretches::Dates(dates))
    }
}

/// Returns the local day of a moment.
pub(in crate::api) fn date_of(at_ms: i64, zone: &TimeZone) -> Date {
    let time = Timestamp::from_millisecond(at_ms).unwrap_or_default();
    time.to_zoned(zone.clone()).date()
}

/// Returns when a local day begins.
pub(in crate::api) fn midnight(date: Date, zone: &TimeZone) -> i64 {
    date.to_zoned(zone.clone()).map_or(i64::MAX / 2, |time| time.timestamp().as_millisecond())
}

fn start_of(by: By, date: Date) -> Date {
    match by {
        By::Hour | By::Day => date,
        By::Week => {
            let back = date.weekday().since(Weekday::Monday);
            date.checked_sub(i64::from(back).days()).unwrap_or(date)
        }
        By::Month => date.first_of_month(),
    }
}

fn next(by: By, date: Date) -> Date {
    let step = match by {
        By::Hour | By::Day => 1.day(),
        By::Week => 1.week(),
        By::Month => 1.month(),
    };
    date.checked_add(step).unwrap_or(Date::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(by: By, from: &str, until: &str, zone: &str) -> Cuts {
        let zone = TimeZone::get(zone).unwrap();
        let asked = Asked { from: Some(from), until: Some(until) };
        asked.cut(by, &zone, 0, 100).unwrap().in_zone(&zone)
    }

    fn shown(cuts: &Cuts) -> Vec<String> {
        cuts.starts().iter().chain([&cuts.range().end]).map(|start| moment::show(*start)).collect()
    }

    #[test]
    fn days_of_a_change_of_clocks_have_23_and_25_hours() {
        let spring = cut(By::Day, "2026-03-28", "2026-03-30", "Europe/Berlin");
        assert_eq!(shown(&spring), ["2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]);
        let autumn = cut(By::Day, "2026-10-25", "2026-10-26", "Europe/Berlin");
        assert_eq!(shown(&autumn), ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]);
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let weeks = cut(By::Week, "2026-11-25", "2026-12-01", "Asia/Shanghai");
        assert_eq!(shown(&weeks), ["2026-11-22T16:00:00Z", "2026-11-29T16:00:00Z", "2026-12-06T16:00:00Z"]);
        let months = cut(By::Month, "2026-01-31", "2026-02-02", "UTC");
        assert_eq!(shown(&months), ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"]);
    }

    #[test]
    fn rows_are_bounded_and_times_in_order() {
        let utc = TimeZone::UTC;
        let asked = |from, until| Asked { from: Some(from), until: Some(until) };
        assert_eq!(asked("2026-11-22", "2026-11-23").cut(By::Hour, &utc, 0, 24).unwrap().len(), 24);
        assert!(asked("2026-11-22", "2026-11-23").cut(By::Hour, &utc, 0, 23).is_err());
        assert!(asked("2026-11-22", "2026-11-25").cut(By::Day, &utc, 0, 2).is_err());
        assert!(asked("2026-11-22", "2026-11-22").cut(By::Hour, &utc, 0, 24).is_err());
        assert_eq!(Asked::default().cut(By::Day, &utc, 1_795_312_800_000, 24).unwrap().len(), 7);
    }
}
