//! Standard Webhooks signatures, checked from the specification and not with the sender's code.
//!
//! Only the symmetric `v1` form: it is the one every receiver has.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// How far a timestamp may be from now, either way, in seconds.
const TOLERANCE_S: u64 = 300;

/// The key of an endpoint; `Debug` does not show it.
#[derive(Clone)]
pub struct Secret {
    key: Vec<u8>,
}

/// Says why a secret or a signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not `whsec_` and base64.
    #[error("a secret is `whsec_` followed by base64")]
    Secret,
    /// One of the three headers is missing or unreadable.
    #[error("a webhook header is missing or malformed")]
    Headers,
    /// The timestamp is too far from now.
    #[error("the timestamp is outside the tolerance of 300 s")]
    Timestamp,
    /// No entry matches.
    #[error("no signature matches")]
    Mismatch,
}

impl FromStr for Secret {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let encoded = text.strip_prefix("whsec_").ok_or(SignatureError::Secret)?;
        let key = STANDARD.decode(encoded).map_err(|_| SignatureError::Secret)?;
        if key.is_empty() { Err(SignatureError::Secret) } else { Ok(Self { key }) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The three headers as they came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    pub(super) id: &'a str,
    pub(super) timestamp: &'a str,
    pub(super) signature: &'a str,
}

impl Secret {
    /// Makes the signature entry of a message, as a sender would.
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        format!("v1,{}", STANDARD.encode(self.mac(id, &timestamp.to_string(), body).finalize().into_bytes()))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            <Hmac<Sha256> as Mac>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}

/// Accepts when any entry matches any secret: both sides may be in the middle of a rotation.
pub(super) fn verify(
    secrets: &[Secret],
    signed: Signed<'_>,
    body: &[u8],
    now_s: u64,
) -> Result<(), SignatureError> {
    let timestamp: u64 = signed.timestamp.parse().map_err(|_| SignatureError::Headers)?;
    if timestamp.abs_diff(now_s) > TOLERANCE_S {
        return Err(SignatureError::Timestamp);
    }
    let entries = signed.signature.split(' ').filter_map(|entry| entry.strip_prefix("v1,"));
    for claimed in entries.filter_map(|encoded| STANDARD.decode(encoded).ok()) {
        for secret in secrets {
            if secret.mac(signed.id, signed.timestamp, body).verify_slice(&claimed).is_ok() {
                return Ok(());
            }
        }
    }
    Err(SignatureError::Mismatch)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's own reference libraries; a published test key.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn check(signature: &str, timestamp: &str, now_s: u64) -> Result<(), SignatureError> {
        let signed = Signed { id: ID, timestamp, signature };
        verify(&[SECRET.parse().expect("a secret")], signed, BODY, now_s)
    }

    #[test]
    fn the_published_vector_verifies() {
        let secret: Secret = SECRET.parse().expect("a secret");
        assert_eq!(secret.sign(ID, 1_614_265_330, BODY), SIGNATURE);
        assert_eq!(check(SIGNATURE, "1614265330", 1_614_265_330), Ok(()));
        assert_eq!(check(SIGNATURE, "1614265330", 1_614_265_630), Ok(()));
    }

    #[test]
    fn malformed_entries_are_skipped_and_wrong_ones_refused() {
        let many = format!("v1 v1,%% v2,abc v1a,zzz {SIGNATURE}");
        assert_eq!(check(&many, "1614265330", 1_614_265_330), Ok(()));
        for (signature, timestamp, now_s, error) in [
            ("v1,AAAA", "1614265330", 1_614_265_330, SignatureError::Mismatch),
            ("", "1614265330", 1_614_265_330, SignatureError::Mismatch),
            (SIGNATURE, "1614265331", 1_614_265_330, SignatureError::Mismatch),
            (SIGNATURE, "1614265330", 1_614_265_631, SignatureError::Timestamp),
            (SIGNATURE, "soon", 1_614_265_330, SignatureError::Headers),
        ] {
            assert_eq!(check(signature, timestamp, now_s), Err(error), "{signature} {timestamp} {now_s}");
        }
    }

    #[test]
    fn secrets_need_the_prefix_and_are_not_shown() {
        for text in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_%%%"] {
            assert!(text.parse::<Secret>().is_err(), "{text}");
        }
        assert_eq!(format!("{:?}", SECRET.parse::<Secret>().expect("a secret")), "Secret(…)");
    }
}
