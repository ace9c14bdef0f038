//! Signing what we send.

use http::{HeaderMap, HeaderValue};
use thiserror::Error;

use super::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, SignKey};

/// Longest `webhook-id` we send, in bytes (ours; the standard only forbids the full stop).
const ID_BYTES_MAX: usize = 64;

/// Why something cannot be signed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SignError {
    /// The id has other characters than `[A-Za-z0-9_-]`, or not 1 to 64 of them.
    #[error("the webhook id is not 1 to 64 of `A-Z a-z 0-9 _ -`")]
    Id,
    /// There is nothing to sign with.
    #[error("there is no key to sign with")]
    NoKey,
}

/// The three headers that make a request trustworthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// For [`HEADER_ID`].
    pub id: String,
    /// For [`HEADER_TIMESTAMP`].
    pub timestamp: String,
    /// For [`HEADER_SIGNATURE`]: one entry a key, in the order of the keys.
    pub signature: String,
}

/// Signs `body` with every key: while keys rotate, the new one comes first and the old one stays for a grace period.
///
/// # Errors
/// See [`SignError`].
pub fn sign(keys: &[SignKey], id: &str, timestamp_s: i64, body: &[u8]) -> Result<Signed, SignError> {
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !is_plain || id.is_empty() || id.len() > ID_BYTES_MAX {
        return Err(SignError::Id);
    }
    if keys.is_empty() {
        return Err(SignError::NoKey);
    }
    let timestamp = timestamp_s.to_string();
    let entries: Vec<String> = keys.iter().map(|key| key.entry(id, &timestamp, body)).collect();
    Ok(Signed { id: id.to_owned(), timestamp, signature: entries.join(" ") })
}

impl Signed {
    /// Writes the three headers.
    pub fn write(&self, headers: &mut HeaderMap) {
        let value = |text: &str| HeaderValue::from_str(text).expect("plain ASCII by construction");
        headers.insert(HEADER_ID, value(&self.id));
        headers.insert(HEADER_TIMESTAMP, value(&self.timestamp));
        headers.insert(HEADER_SIGNATURE, value(&self.signature));
    }
}
