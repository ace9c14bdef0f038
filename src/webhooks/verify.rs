//! Verifying what we receive, over its raw bytes, before anything is decoded.
//!
//! The tolerance only bounds how long a captured request stays valid. That a request within it is not counted twice is
//! the work of event ids (`dedupe`); that an id does not come to mean something else, of [`super::Memory`].

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, VerifyKey};

/// Most signature entries looked at. A sender in rotation has two or three; each `v1a` costs a curve operation, so an
/// unbounded list would be a way to keep us busy.
const ENTRIES_MAX: usize = 16;
/// Longest `webhook-id` accepted, in bytes.
const ID_BYTES_MAX: usize = 256;
/// Most digits of a timestamp: enough until the year 33658.
const TIMESTAMP_DIGITS_MAX: usize = 12;

/// Why a request is not believed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum VerifyError {
    /// A header is not there.
    #[error("header `{0}` is missing")]
    MissingHeader(&'static str),
    /// The id is empty, too long, or has a full stop or a character that is not visible ASCII.
    #[error("header `webhook-id` is not 1 to 256 visible ASCII characters without a full stop")]
    BadId,
    /// The timestamp is not a whole number of seconds.
    #[error("header `webhook-timestamp` is not a whole number of Unix seconds")]
    BadTimestamp,
    /// Signed longer ago than the tolerance allows.
    #[error("signed {age_s} s ago, {tolerance_s} s at most; is the sender's clock right?")]
    TooOld {
        /// How long ago, in seconds.
        age_s: i64,
        /// What is allowed, in seconds.
        tolerance_s: i64,
    },
    /// Signed further in the future than the tolerance allows.
    #[error("signed {ahead_s} s in the future, {tolerance_s} s at most; is the sender's clock right?")]
    TooNew {
        /// How far ahead, in seconds.
        ahead_s: i64,
        /// What is allowed, in seconds.
        tolerance_s: i64,
    },
    /// No entry fits any of our keys.
    #[error("no signature fits; compare the secret, and see that the raw body is signed")]
    BadSignature,
}

impl VerifyError {
    /// Returns the stable code for answers.
    pub fn code(&self) -> &'static str {
        match self {
            VerifyError::MissingHeader(_) => "missing_header",
            VerifyError::BadId => "bad_id",
            VerifyError::BadTimestamp => "bad_timestamp",
            VerifyError::TooOld { .. } => "too_old",
            VerifyError::TooNew { .. } => "too_new",
            VerifyError::BadSignature => "bad_signature",
        }
    }
}

/// A request that came from somebody who has one of our keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<'a> {
    /// Its id: the same when the sender tries again.
    pub id: &'a str,
    /// When this attempt was signed, in Unix seconds.
    pub timestamp_s: i64,
}

/// Verifies `body` against `headers`: any entry that fits any key is enough.
///
/// # Errors
/// See [`VerifyError`].
pub fn verify<'a>(
    keys: &[VerifyKey],
    headers: &'a HeaderMap,
    body: &[u8],
    now_ms: i64,
    tolerance: Duration,
) -> Result<Verified<'a>, VerifyError> {
    let id = header(headers, HEADER_ID)?.to_str().map_err(|_| VerifyError::BadId)?;
    let timestamp = header(headers, HEADER_TIMESTAMP)?.to_str().map_err(|_| VerifyError::BadTimestamp)?;
    let signatures = header(headers, HEADER_SIGNATURE)?.as_bytes();
    // A full stop in the id would let the same signature be read as another id, time and body.
    let is_plain = id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.');
    if !is_plain || id.is_empty() || id.len() > ID_BYTES_MAX {
        return Err(VerifyError::BadId);
    }
    let timestamp_s = seconds(timestamp).ok_or(VerifyError::BadTimestamp)?;
    check_time(timestamp_s, now_ms, tolerance)?;
    if any_fits(keys, id, timestamp, body, signatures) {
        Ok(Verified { id, timestamp_s })
    } else {
        Err(VerifyError::BadSignature)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a http::HeaderValue, VerifyError> {
    headers.get(name).ok_or(VerifyError::MissingHeader(name))
}

/// Reads digits only: `str::parse` would take a sign as well.
fn seconds(text: &str) -> Option<i64> {
    let is_number =
        (1..=TIMESTAMP_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

fn check_time(timestamp_s: i64, now_ms: i64, tolerance: Duration) -> Result<(), VerifyError> {
    let tolerance_s = i64::try_from(tolerance.as_secs()).unwrap_or(i64::MAX);
    let age_s = now_ms.div_euclid(1_000).saturating_sub(timestamp_s);
    if age_s > tolerance_s {
        return Err(VerifyError::TooOld { age_s, tolerance_s });
    }
    if age_s.saturating_neg() > tolerance_s {
        return Err(VerifyError::TooNew { ahead_s: age_s.saturating_neg(), tolerance_s });
    }
    Ok(())
}

fn any_fits(keys: &[VerifyKey], id: &str, timestamp: &str, body: &[u8], signatures: &[u8]) -> bool {
    let macs: Vec<[u8; 32]> = keys.iter().filter_map(|key| key.mac(id, timestamp, body)).collect();
    let entries = signatures.split(|byte| *byte == b' ').filter(|entry| !entry.is_empty());
    // Malformed entries and versions we do not know are passed over: they must not hide a good one.
    for entry in entries.take(ENTRIES_MAX) {
        let fits = if let Some(mac) = entry.strip_prefix(b"v1,") {
            STANDARD.decode(mac).is_ok_and(|given| macs.iter().any(|ours| bool::from(ours[..].ct_eq(&given))))
        } else if let Some(signature) = entry.strip_prefix(b"v1a,") {
            STANDARD
                .decode(signature)
                .is_ok_and(|given| keys.iter().any(|key| key.verifies(id, timestamp, body, &given)))
        } else {
            false
        };
        if fits {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::{SignKey, sign};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn check(change: impl FnOnce(&mut HeaderMap), expect: Result<i64, &str>) {
        let mut headers = HeaderMap::new();
        sign(&[SignKey::parse(SECRET).unwrap()], "e-1", 1_000, b"body").unwrap().write(&mut headers);
        change(&mut headers);
        let keys = [VerifyKey::parse(SECRET).unwrap()];
        let got = verify(&keys, &headers, b"body", 1_000_999, Duration::from_mins(5));
        assert_eq!(got.as_ref().map(|ok| ok.timestamp_s).map_err(VerifyError::code), expect);
    }

    #[test]
    fn the_id_and_the_time_have_one_reading() {
        check(|_| {}, Ok(1_000));
        let id = |text: &'static str| {
            move |headers: &mut HeaderMap| _ = headers.insert(HEADER_ID, text.parse().unwrap())
        };
        check(id("e.1"), Err("bad_id"));
        check(id(""), Err("bad_id"));
        check(id("e-2"), Err("bad_signature"));
        let time = |text: &'static str| {
            move |headers: &mut HeaderMap| _ = headers.insert(HEADER_TIMESTAMP, text.parse().unwrap())
        };
        for text in ["+1000", "-1", "1e3", "", " 1000", "1000.0", "9999999999999", "９"] {
            check(time(text), Err("bad_timestamp"));
        }
        check(time("699"), Err("too_old"));
        check(time("1301"), Err("too_new"));
        check(time("01000"), Err("bad_signature"));
    }

    #[test]
    fn a_long_list_of_entries_is_cut_off() {
        let good = "v1,";
        check(
            |headers| {
                let entry = headers[HEADER_SIGNATURE].to_str().unwrap().to_owned();
                assert!(entry.starts_with(good));
                let filler = "v1a,AAAA ".repeat(ENTRIES_MAX);
                headers.insert(HEADER_SIGNATURE, format!("{filler}{entry}").parse().unwrap());
            },
            Err("bad_signature"),
        );
    }

    #[test]
    fn without_keys_nothing_is_believed() {
        let mut headers = HeaderMap::new();
        sign(&[SignKey::parse(SECRET).unwrap()], "e-1", 1_000, b"").unwrap().write(&mut headers);
        let got = verify(&[], &headers, b"", 1_000_000, Duration::from_mins(5));
        assert_eq!(got, Err(VerifyError::BadSignature));
    }
}
