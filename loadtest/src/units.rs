//! Durations, limits and times as people write them: `30s`, `window:20/m`, `2026-11-22T10:00:00Z`.
//!
//! Not a general parser: only the forms that the command line and the wire use.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

/// Says why a duration or limit could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text is not a number followed by a known unit.
    #[error("`{0}` is not a duration: write a number and a unit, as in 250ms, 30s, 5m, 1h")]
    Duration(String),
    /// The text is not a window limit.
    #[error("`{0}` is not a window limit: write count/period, as in window:500/s, 20/m or 20/30min")]
    Limit(String),
}

/// Reads `250ms`, `30s`, `1.5m`, `1h` or `1d`.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let bad = || UnitError::Duration(text.to_owned());
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| bad())?;
    let seconds = number * unit_seconds(unit).ok_or_else(bad)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" => 0.001,
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        "h" | "hour" => 3_600.0,
        "d" | "day" => 86_400.0,
        _ => return None,
    })
}

/// A promise of the form "never more than `count` in any `window`".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowLimit {
    /// How many may fall into one window.
    pub count: usize,
    /// How long the window is, wherever it is laid.
    pub window: Duration,
    text: String,
}

impl WindowLimit {
    /// Makes a limit from its two numbers; a count of zero becomes one, since nothing could ever be accepted.
    pub fn new(count: usize, window: Duration) -> Self {
        let count = count.max(1);
        Self { count, window, text: format!("window:{count}/{}ms", window.as_millis()) }
    }

    /// The highest steady rate that keeps the limit, in events a second.
    #[expect(clippy::cast_precision_loss, reason = "counts of a limit are far below 2^52")]
    pub fn rate_per_s(&self) -> f64 {
        self.count as f64 / self.window.as_secs_f64()
    }
}

impl FromStr for WindowLimit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || UnitError::Limit(text.to_owned());
        let body = text.strip_prefix("window:").unwrap_or(text);
        let (count, period) = body.split_once('/').ok_or_else(bad)?;
        let count: usize = count.replace([',', '_'], "").parse().map_err(|_| bad())?;
        // `20/m` means one of the unit: the number in front of it may be left out.
        let period = if period.starts_with(|c: char| c.is_ascii_digit()) {
            period.to_owned()
        } else {
            format!("1{period}")
        };
        let window = parse_duration(&period).map_err(|_| bad())?;
        if count == 0 || window.is_zero() {
            return Err(bad());
        }
        Ok(Self { count, window, text: text.to_owned() })
    }
}

impl fmt::Display for WindowLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for WindowLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Writes a time as RFC 3339 in UTC with milliseconds; times before 1970 are shown as 1970.
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, rest) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // The Gregorian calendar repeats every 146,097 days; counting from 1 March puts the leap day at a year's end.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

/// Reads a time that [`rfc3339`] or any other UTC writer (`…Z` or `…+00:00`) made, as seconds since 1970.
pub fn parse_rfc3339_utc(text: &str) -> Option<f64> {
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?;
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (time.next()?.parse::<f64>().ok()?, time.next()?.parse::<f64>().ok()?);
    let second = time.next()?.parse::<f64>().ok()?;
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    let days = i32::try_from(days).ok()?;
    Some(f64::from(days) * 86_400.0 + hour * 3_600.0 + minute * 60.0 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_a_number_and_a_unit() {
        for (text, millis) in [("250ms", 250), ("30s", 30_000), ("1.5m", 90_000), ("1h", 3_600_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1.2.3s", "3 weeks"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_follow_the_grammar_of_the_conventions() {
        let check = |text: &str, count: usize, seconds: u64| {
            let limit: WindowLimit = text.parse().expect(text);
            assert_eq!((limit.count, limit.window), (count, Duration::from_secs(seconds)), "{text}");
        };
        check("20/m", 20, 60);
        check("window:20/min", 20, 60);
        check("20/minute", 20, 60);
        check("10,000/d", 10_000, 86_400);
        check("10_000/day", 10_000, 86_400);
        check("20/30min", 20, 1_800);
        check("window:500/s", 500, 1);
        for text in ["0/s", "10", "10/x", "/s", "10/0s", "10/s,burst=2", "pace:10/s"] {
            assert!(text.parse::<WindowLimit>().is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_written_and_read_back() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_795_255_200, "2026-11-21T10:00:00.000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
            let read = parse_rfc3339_utc(text).expect(text);
            assert!((read - Duration::from_secs(seconds).as_secs_f64()).abs() < 1e-6, "{text}: {read}");
        }
        assert_eq!(parse_rfc3339_utc("yesterday"), None);
    }
}
