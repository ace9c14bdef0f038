//! Durations and sizes as people write them in the configuration: `30s`, `500ms`, `64MiB`.
//!
//! Not for: what a limit of sends looks like (`20/m`; that grammar is `outbox::limit`).
//! Invariant: what is printed here is read back to the same value. Layer: a tool, imports nothing of ours, so that every
//! module's `Config` may use it.
//!
//! ```
//! use std::time::Duration;
//!
//! #[derive(serde::Deserialize, serde::Serialize)]
//! struct Config {
//!     #[serde(with = "menshen::units::duration")]
//!     window: Duration,
//!     #[serde(with = "menshen::units::size")]
//!     body_bytes_max: usize,
//! }
//!
//! let config: Config = toml::from_str("window = '72h'\nbody_bytes_max = '4MiB'")?;
//! assert_eq!(config.window, Duration::from_secs(72 * 3600));
//! assert_eq!(config.body_bytes_max, 4 * 1024 * 1024);
//! # Ok::<(), toml::de::Error>(())
//! ```

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, Visitor};
use thiserror::Error as ThisError;

/// What a duration looks like, for messages.
pub const DURATION_FORM: &str =
    "a whole number with a unit: ms, s, m, h or d, like \"30s\", \"500ms\", \"72h\"";

/// What a size looks like, for messages.
pub const SIZE_FORM: &str =
    "a whole number of bytes, or one with a unit: B, KB, MB, GB, KiB, MiB or GiB, like \"64MiB\"";

/// Duration units in milliseconds, largest first.
const DURATION_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Size units in bytes; the binary ones first, since they are what [`format_size`] prefers.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Why a text is no duration or size.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum UnitError {
    /// Not of the form.
    #[error("`{text}` is no {what}: write {form}")]
    Form {
        /// What was written.
        text: String,
        /// `duration` or `size`.
        what: &'static str,
        /// What to write instead.
        form: &'static str,
    },
    /// Too large to count.
    #[error("`{text}` is too large a {what}")]
    Large {
        /// What was written.
        text: String,
        /// `duration` or `size`.
        what: &'static str,
    },
}

/// Reads a duration: [`DURATION_FORM`].
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let ms = parse(text, "duration", DURATION_FORM, &DURATION_UNITS)?;
    Ok(Duration::from_millis(ms))
}

/// Reads a size in bytes: [`SIZE_FORM`].
pub fn parse_size(text: &str) -> Result<usize, UnitError> {
    let bytes = match text.trim().parse::<u64>() {
        Ok(bytes) => bytes,
        Err(_) => parse(text, "size", SIZE_FORM, &SIZE_UNITS)?,
    };
    usize::try_from(bytes).map_err(|_| UnitError::Large { text: text.to_owned(), what: "size" })
}

/// Writes a duration in the largest unit that loses nothing (below a millisecond is cut off).
pub fn format_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".to_owned();
    }
    format_with(ms, &DURATION_UNITS)
}

/// Writes a size in the largest unit that loses nothing.
pub fn format_size(bytes: usize) -> String {
    if bytes == 0 {
        return "0B".to_owned();
    }
    format_with(u64::try_from(bytes).unwrap_or(u64::MAX), &SIZE_UNITS)
}

/// Reads a duration, for `#[serde(deserialize_with = "crate::units::de_duration")]`.
pub fn de_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Text;
    impl Visitor<'_> for Text {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(DURATION_FORM)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
            parse_duration(text).map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Text)
}

/// Reads a size, for `#[serde(deserialize_with = "crate::units::de_size")]`.
pub fn de_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    struct TextOrNumber;
    impl Visitor<'_> for TextOrNumber {
        type Value = usize;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(SIZE_FORM)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<usize, E> {
            parse_size(text).map_err(E::custom)
        }

        fn visit_u64<E: Error>(self, bytes: u64) -> Result<usize, E> {
            usize::try_from(bytes)
                .map_err(|_| E::custom(UnitError::Large { text: bytes.to_string(), what: "size" }))
        }

        fn visit_i64<E: Error>(self, bytes: i64) -> Result<usize, E> {
            usize::try_from(bytes).map_err(|_| {
                E::custom(UnitError::Form { text: bytes.to_string(), what: "size", form: SIZE_FORM })
            })
        }
    }
    deserializer.deserialize_any(TextOrNumber)
}

/// Both directions for a duration: `#[serde(with = "crate::units::duration")]`.
pub mod duration {
    use std::time::Duration;

    use serde::Serializer;

    pub use super::de_duration as deserialize;

    /// Writes what [`deserialize`] reads.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_duration(*duration))
    }
}

/// Both directions for a size: `#[serde(with = "crate::units::size")]`.
pub mod size {
    use serde::Serializer;

    pub use super::de_size as deserialize;

    /// Writes what [`deserialize`] reads.
    pub fn serialize<S: Serializer>(bytes: &usize, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_size(*bytes))
    }
}

fn parse(
    text: &str,
    what: &'static str,
    form: &'static str,
    units: &[(&str, u64)],
) -> Result<u64, UnitError> {
    let wrong = || UnitError::Form { text: text.to_owned(), what, form };
    let large = || UnitError::Large { text: text.to_owned(), what };
    let trimmed = text.trim();
    let digits_end = trimmed.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (digits, unit) = trimmed.split_at(digits_end);
    if digits.is_empty() {
        return Err(wrong());
    }
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(wrong)?;
    // Only digits are left, so the one way to fail is size.
    let number: u64 = digits.parse().map_err(|_| large())?;
    number.checked_mul(*factor).ok_or_else(large)
}

/// The last unit of every table is 1, so one always divides.
fn format_with(value: u64, units: &[(&str, u64)]) -> String {
    for (name, factor) in units {
        if value.is_multiple_of(*factor) {
            return format!("{}{name}", value / factor);
        }
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize, serde::Serialize)]
    struct Both {
        #[serde(with = "duration")]
        wait: Duration,
        #[serde(with = "size")]
        room: usize,
    }

    fn check_duration(text: &str, expect: Option<u64>) {
        let read = parse_duration(text).ok().map(|d| u64::try_from(d.as_millis()).unwrap());
        assert_eq!(read, expect, "{text:?}");
    }

    fn check_size(text: &str, expect: Option<usize>) {
        assert_eq!(parse_size(text).ok(), expect, "{text:?}");
    }

    #[test]
    fn durations_are_read_as_written() {
        check_duration("500ms", Some(500));
        check_duration("30s", Some(30_000));
        check_duration("5m", Some(300_000));
        check_duration("72h", Some(72 * 3_600_000));
        check_duration("7d", Some(7 * 86_400_000));
        check_duration(" 2 s ", Some(2_000));
        check_duration("0s", Some(0));
        for wrong in
            ["", "30", "s", "-1s", "1.5s", "30sec", "1h30m", "3 weeks", "30S", "三s", "99999999999999999999s"]
        {
            check_duration(wrong, None);
        }
        check_duration("999999999999999999d", None);
    }

    #[test]
    fn sizes_are_read_as_written() {
        check_size("64MiB", Some(64 << 20));
        check_size("10KB", Some(10_000));
        check_size("1 GiB", Some(1 << 30));
        check_size("4096", Some(4096));
        check_size("12B", Some(12));
        for wrong in ["", "MiB", "-1", "64mib", "1.5MiB", "64M", "六MiB", "99999999999999GiB"] {
            check_size(wrong, None);
        }
    }

    #[test]
    fn an_error_names_what_is_accepted() {
        let wrong = parse_duration("30").unwrap_err().to_string();
        assert!(wrong.contains("`30`") && wrong.contains("500ms"), "{wrong}");
        let wrong = toml::from_str::<Both>("wait = 30\nroom = 1").unwrap_err().to_string();
        assert!(wrong.contains("invalid type: integer `30`") && wrong.contains("72h"), "{wrong}");
        let wrong = toml::from_str::<Both>("wait = '1s'\nroom = -1").unwrap_err().to_string();
        assert!(wrong.contains("`-1`") && wrong.contains("MiB"), "{wrong}");
    }

    #[test]
    fn a_size_may_be_a_number() {
        let both: Both = toml::from_str("wait = '1s'\nroom = 4096").unwrap();
        assert_eq!(both.room, 4096);
        assert_eq!(toml::to_string(&both).unwrap(), "wait = \"1s\"\nroom = \"4KiB\"\n");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(ms in 0_u64..u64::MAX / 2, bytes in 0_usize..usize::MAX) {
            let wait = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&format_duration(wait)).unwrap(), wait);
            prop_assert_eq!(parse_size(&format_size(bytes)).unwrap(), bytes);
        }
    }
}
