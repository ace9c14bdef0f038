//! Names for members that tell nobody who they are: the same for the same member of an account, everywhere in this
//! installation, and of no use outside it.

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of a pseudonym; as hex it is twice as long.
const BYTES: usize = 12;

/// Makes pseudonyms with the installation's key.
#[derive(Clone)]
pub struct Pseudonyms(Hmac<Sha256>);

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonyms")
    }
}

impl Pseudonyms {
    /// Makes the key for pseudonyms of the installation's secret.
    pub(super) fn new(secret: &[u8; 16]) -> Self {
        let mut mac = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        mac.update(b"menshen pseudonyms of members 1\0");
        Self(mac)
    }

    /// Returns a member's.
    pub fn of(&self, account: &str, member: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(account.as_bytes());
        mac.update(b"/"); // in no account's id
        mac.update(member.as_bytes());
        let mut name = String::from("p_");
        for byte in mac.finalize().into_bytes().iter().take(BYTES) {
            _ = write!(name, "{byte:02x}"); // a String takes everything
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_the_same_for_the_same_member_and_key_only() {
        let names = Pseudonyms::new(&[7; 16]);
        assert_eq!(names.of("demo", "m-1"), names.of("demo", "m-1"));
        assert_ne!(names.of("demo", "m-1"), names.of("demo", "m-2"));
        assert_ne!(names.of("demo", "m-1"), Pseudonyms::new(&[8; 16]).of("demo", "m-1"));
        assert!(!names.of("demo", "m-1").contains("m-1"));
    }
}
