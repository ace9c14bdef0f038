//! Times at the edge: RFC 3339 in UTC outward, RFC 3339 or a local date inward, milliseconds inside.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::error::{ApiError, ApiResult};
use crate::event::HOUR_MS;

/// Writes a time as RFC 3339 in UTC.
pub(super) fn show(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |time| time.to_string())
}

/// Writes a time that 0 stands for "never" in.
pub(super) fn show_set(ms: i64) -> Option<String> {
    (ms > 0).then(|| show(ms))
}

/// Reads `2026-11-22T10:00:00+08:00`, or the beginning of the day `2026-11-22` in a zone.
///
/// # Errors
/// Names the query parameter.
pub(super) fn read(name: &str, text: &str, zone: &TimeZone) -> ApiResult<i64> {
    // An unescaped `+` of a query reads as a space; no time has one.
    if let Ok(time) = text.replace(' ', "+").parse::<Timestamp>() {
        return Ok(time.as_millisecond());
    }
    let day = text.parse::<Date>().ok().and_then(|date| date.to_zoned(zone.clone()).ok());
    day.map(|day| day.timestamp().as_millisecond()).ok_or_else(|| {
        let detail = format!("the query: `{name}` must be like 2026-11-22T10:00:00+08:00 or 2026-11-22");
        ApiError::unreadable("", "query", detail)
    })
}

/// Returns the start of the hour that a time is in.
pub(super) fn hour_of(ms: i64) -> i64 {
    ms.div_euclid(HOUR_MS) * HOUR_MS
}

/// Returns the start of the local day that a time is in.
pub(super) fn day_of(ms: i64, zone: &TimeZone) -> i64 {
    let start = Timestamp::from_millisecond(ms).ok().map(|time| time.to_zoned(zone.clone()));
    start.and_then(|time| time.start_of_day().ok()).map_or(ms, |day| day.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_local() {
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        let start = read("from", "2026-11-22", &shanghai).unwrap();
        assert_eq!(show(start), "2026-11-21T16:00:00Z");
        assert_eq!(day_of(start + 5 * HOUR_MS, &shanghai), start);
    }

    #[test]
    fn a_time_is_read_in_both_forms() {
        let utc = TimeZone::UTC;
        assert_eq!(read("from", "2026-11-22T10:00:00+08:00", &utc).unwrap(), 1_795_312_800_000);
        assert_eq!(show(1_795_312_800_000), "2026-11-22T02:00:00Z");
        assert!(read("from", "yesterday", &utc).is_err());
        assert_eq!(hour_of(-1), -HOUR_MS);
        assert_eq!(show_set(0), None);
    }
}
