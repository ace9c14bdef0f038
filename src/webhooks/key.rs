//! The secrets of Standard Webhooks: `whsec_` (shared), `whsk_` (signs) and `whpk_` (verifies).
//!
//! Invariant: no key shows in `Debug`, in an error or in a log.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;

use super::signed_content;

/// Shortest shared secret, in bytes (Standard Webhooks 1.0.0).
const SHARED_BYTES_MIN: usize = 24;
/// Longest shared secret, in bytes (Standard Webhooks 1.0.0).
const SHARED_BYTES_MAX: usize = 64;

/// Why a text is no key; never repeats it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// Not base64 after its prefix.
    #[error("is not base64 after its prefix")]
    Encoding,
    /// A shared secret of the wrong length.
    #[error("holds {0} bytes; a `whsec_` secret has 24 to 64")]
    SharedLength(usize),
    /// A `whsk_` or `whpk_` that is no Ed25519 key.
    #[error(
        "is not an Ed25519 key (`whsk_`: 32-byte seed and 32-byte public key; `whpk_`: 32-byte public key)"
    )]
    Ed25519,
    /// A key for signing where one for verifying is needed.
    #[error("is a signing key; configure its `whpk_` public key here")]
    SigningKeyToVerify,
    /// A key for verifying where one for signing is needed.
    #[error("is a public key and cannot sign; configure the `whsk_` key here")]
    PublicKeyToSign,
}

/// A key that signs what we send.
#[derive(Clone)]
pub struct SignKey(SignKind);

#[derive(Clone)]
enum SignKind {
    Shared(Shared),
    Ed25519(Box<SigningKey>),
}

/// A key that verifies what we receive.
#[derive(Clone)]
pub struct VerifyKey(VerifyKind);

#[derive(Clone)]
enum VerifyKind {
    Shared(Shared),
    Ed25519(Box<VerifyingKey>),
}

/// HMAC-SHA256 with the key already absorbed: two blocks fewer to hash for each message.
#[derive(Clone)]
struct Shared(Hmac<Sha256>);

// === impl SignKey ===

impl SignKey {
    /// Reads `whsec_…` (also without its prefix) or `whsk_…`.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if let Some(public_and_seed) = text.strip_prefix("whsk_") {
            let bytes: [u8; 64] = decode(public_and_seed)?.try_into().map_err(|_| KeyError::Ed25519)?;
            // Fails when the public half is not that of the seed.
            let key = SigningKey::from_keypair_bytes(&bytes).map_err(|_| KeyError::Ed25519)?;
            return Ok(Self(SignKind::Ed25519(Box::new(key))));
        }
        if text.starts_with("whpk_") {
            return Err(KeyError::PublicKeyToSign);
        }
        Shared::parse(text).map(|key| Self(SignKind::Shared(key)))
    }

    /// Signs, giving one entry of the signature header.
    pub(super) fn entry(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        match &self.0 {
            SignKind::Shared(key) => format!("v1,{}", STANDARD.encode(key.mac(id, timestamp, body))),
            SignKind::Ed25519(key) => {
                let mut content = Vec::with_capacity(id.len() + timestamp.len() + body.len() + 2);
                signed_content(id, timestamp, body, |part| content.extend_from_slice(part));
                format!("v1a,{}", STANDARD.encode(key.sign(&content).to_bytes()))
            }
        }
    }
}

impl fmt::Debug for SignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignKey(…)")
    }
}

// === impl VerifyKey ===

impl VerifyKey {
    /// Reads `whsec_…` (also without its prefix) or `whpk_…`.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if let Some(public) = text.strip_prefix("whpk_") {
            let bytes: [u8; 32] = decode(public)?.try_into().map_err(|_| KeyError::Ed25519)?;
            let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Ed25519)?;
            return Ok(Self(VerifyKind::Ed25519(Box::new(key))));
        }
        if text.starts_with("whsk_") {
            return Err(KeyError::SigningKeyToVerify);
        }
        Shared::parse(text).map(|key| Self(VerifyKind::Shared(key)))
    }

    /// Returns the MAC that a `v1` entry must equal; `None` for a public key.
    pub(super) fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<[u8; 32]> {
        match &self.0 {
            VerifyKind::Shared(key) => Some(key.mac(id, timestamp, body)),
            VerifyKind::Ed25519(_) => None,
        }
    }

    /// Checks a decoded `v1a` entry; never true for a shared secret.
    pub(super) fn verifies(&self, id: &str, timestamp: &str, body: &[u8], signature: &[u8]) -> bool {
        let VerifyKind::Ed25519(key) = &self.0 else { return false };
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
        let mut content = Vec::with_capacity(id.len() + timestamp.len() + body.len() + 2);
        signed_content(id, timestamp, body, |part| content.extend_from_slice(part));
        // Strict: refuses keys of small order, with which one signature fits many messages.
        key.verify_strict(&content, &signature).is_ok()
    }
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyKey(…)")
    }
}

// === impl Shared ===

impl Shared {
    fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = decode(text.strip_prefix("whsec_").unwrap_or(text))?;
        if !(SHARED_BYTES_MIN..=SHARED_BYTES_MAX).contains(&bytes.len()) {
            return Err(KeyError::SharedLength(bytes.len()));
        }
        Ok(Self(Hmac::new_from_slice(&bytes).expect("HMAC takes keys of any length")))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        signed_content(id, timestamp, body, |part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

fn decode(text: &str) -> Result<Vec<u8>, KeyError> {
    STANDARD.decode(text).map_err(|_| KeyError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNS: &str =
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    const VERIFIES: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

    #[test]
    fn keys_are_read_by_their_prefix_and_faults_are_named() {
        let check = |text: &str, sign: Option<KeyError>, verify: Option<KeyError>| {
            assert_eq!(SignKey::parse(text).err(), sign, "sign {text}");
            assert_eq!(VerifyKey::parse(text).err(), verify, "verify {text}");
        };
        let both = |text: &str, error: KeyError| check(text, Some(error), Some(error));
        check(SHARED, None, None);
        check(SHARED.strip_prefix("whsec_").unwrap(), None, None);
        check(SIGNS, None, Some(KeyError::SigningKeyToVerify));
        check(VERIFIES, Some(KeyError::PublicKeyToSign), None);
        both("whsec_not base64", KeyError::Encoding);
        both("", KeyError::SharedLength(0));
        both(&format!("whsec_{}", STANDARD.encode([7; 23])), KeyError::SharedLength(23));
        both(&format!("whsec_{}", STANDARD.encode([7; 65])), KeyError::SharedLength(65));
        check(&format!("whsec_{}", STANDARD.encode([7; 64])), None, None);
        assert_eq!(VerifyKey::parse("whpk_AAAA").err(), Some(KeyError::Ed25519));
        let mut mismatched = STANDARD.decode(SIGNS.strip_prefix("whsk_").unwrap()).unwrap();
        mismatched[0] ^= 1;
        let mismatched = format!("whsk_{}", STANDARD.encode(mismatched));
        assert_eq!(SignKey::parse(&mismatched).err(), Some(KeyError::Ed25519));
    }

    #[test]
    fn debug_hides_the_key() {
        for shown in [
            format!("{:?}", SignKey::parse(SHARED).unwrap()),
            format!("{:?}", SignKey::parse(SIGNS).unwrap()),
            format!("{:?}", VerifyKey::parse(SHARED).unwrap()),
            format!("{:?}", VerifyKey::parse(VERIFIES).unwrap()),
        ] {
            assert!(shown.ends_with("Key(…)"), "{shown}");
        }
    }
}
