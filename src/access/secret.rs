//! The form of a token: `msh_<id>_<secret>`. The id is public; of the secret only a hash is kept.
//!
//! SHA-256 without salt or stretching is enough: the secret has 256 random bits, so there is nothing to guess.

use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Every token begins so; secret scanners look for it.
pub const PREFIX: &str = "msh_";
const ID_CHARS: usize = 12;
/// 43 characters of 62 hold 256 bits.
const SECRET_CHARS: usize = 43;
const SECRET_ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A token in full; shown to its maker once. `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret {
    id: String,
    secret: String,
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSecret({PREFIX}{}_…)", self.id)
    }
}

impl TokenSecret {
    /// Makes a new one from the system's randomness.
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        Ok(Self { id: random(ID_ALPHABET, ID_CHARS)?, secret: random(SECRET_ALPHABET, SECRET_CHARS)? })
    }

    /// Returns the public part.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the whole token, for the one time it is shown.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, self.secret)
    }

    /// Returns what is kept of the secret.
    pub(super) fn hash(&self) -> SecretHash {
        SecretHash::of(&self.secret)
    }
}

/// Draws characters without bias: bytes past the last whole multiple of the alphabet are drawn again.
fn random(alphabet: &[u8], chars: usize) -> Result<String, getrandom::Error> {
    let usable = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(chars);
    let mut bytes = [0_u8; 64];
    while text.len() < chars {
        getrandom::fill(&mut bytes)?;
        let drawn = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < usable);
        text.extend(drawn.take(chars - text.len()).map(|byte| char::from(alphabet[byte % alphabet.len()])));
    }
    Ok(text)
}

/// SHA-256 of a token's secret; equal only in constant time.
#[derive(Clone, Copy, Debug)]
pub(super) struct SecretHash([u8; 32]);

impl SecretHash {
    pub(super) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    pub(super) fn matches(self, secret: &str) -> bool {
        self.0.ct_eq(&Self::of(secret).0).into()
    }

    pub(super) fn to_hex(self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
            hex
        })
    }

    pub(super) fn of_hex(hex: &str) -> Option<Self> {
        let digits: Vec<u8> =
            hex.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        (digits.len() == 64).then(|| bytes.try_into().ok().map(Self)).flatten()
    }
}

/// Splits a presented token into id and secret; `None` when it has not the form of one.
pub(super) fn split(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    (id.len() == ID_CHARS && secret.len() == SECRET_CHARS).then_some((id, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_its_hash_fits_only_itself() {
        let token = TokenSecret::generate().unwrap();
        let text = token.expose();
        let (id, secret) = split(&text).unwrap();
        assert_eq!(id, token.id());
        assert!(token.hash().matches(secret));
        assert!(SecretHash::of_hex(&token.hash().to_hex()).unwrap().matches(secret));
        let other = TokenSecret::generate().unwrap();
        assert_ne!(other, token);
        assert!(!other.hash().matches(secret));
        assert!(!format!("{token:?}").contains(secret));
    }

    #[test]
    fn what_is_not_a_token_is_told_apart_before_any_hashing() {
        for text in ["", "msh_", "msh__", "msh_abc_def", "Bearer msh_000000000000_x", "msk_000000000000_x"] {
            assert_eq!(split(text), None, "{text}");
        }
        assert!(SecretHash::of_hex("zz").is_none());
        assert!(SecretHash::of_hex(&"0".repeat(63)).is_none());
    }
}
