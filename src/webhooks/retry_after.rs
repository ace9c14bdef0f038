//! `Retry-After` (RFC 9110 §10.2.3): whole seconds, or an HTTP date in any of its three forms.

use std::time::{Duration, UNIX_EPOCH};

/// The longest wait a peer may ask for; more is cut, so that a hostile header cannot park a queue for ever.
pub const WAIT_MAX: Duration = Duration::from_hours(24);

/// Reads the header's value. A past date is no wait; what cannot be read is `None`.
///
/// Fractions of a second are not in the standard but in the wild; they are rounded up.
pub fn parse(value: &str, now_ms: i64) -> Option<Duration> {
    let value = value.trim();
    let wait = if let Some(seconds) = seconds(value) {
        Duration::from_secs(seconds)
    } else {
        let until = httpdate::parse_http_date(value).ok()?;
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
        until.duration_since(now).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(WAIT_MAX))
}

fn seconds(value: &str) -> Option<u64> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    // More digits than fit is a very long wait, which is cut anyway.
    let whole = whole.parse().unwrap_or(u64::MAX);
    let is_whole = fraction.bytes().all(|digit| digit == b'0');
    Some(if is_whole { whole } else { whole.saturating_add(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:07 GMT.
    const NOW_MS: i64 = 784_111_747_000;

    #[test]
    fn every_form_of_the_conventions_table_is_read() {
        let check = |value: &str, wait_s: Option<u64>| {
            assert_eq!(parse(value, NOW_MS), wait_s.map(Duration::from_secs), "{value:?}");
        };
        check("120", Some(120));
        check("0", Some(0));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(30));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(30));
        check("Sun Nov  6 08:49:37 1994", Some(30));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("1.5", Some(2));
        check("2.0", Some(2));
        check(" 7 ", Some(7));
        check("-5", None);
        check("soon", None);
        check("", None);
        check("1.", None);
        check(".5", None);
        check("999999999", Some(86_400));
        check("99999999999999999999999999", Some(86_400));
    }
}
