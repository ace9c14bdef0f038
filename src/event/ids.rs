//! Identifiers as types: two of them never meet as bare strings in one signature.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is not an identifier.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum IdError {
    /// Nothing between the quotes.
    #[error("is empty")]
    Empty,
    /// Longer than 128 bytes.
    #[error("is {0} bytes long, 128 at most")]
    Long(usize),
    /// A control character or white space at an end.
    #[error("has a control character, or a space at an end")]
    Character,
}

/// Checks an identifier that came from outside.
///
/// # Errors
/// See [`IdError`].
pub(crate) fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > 128 {
        return Err(IdError::Long(text.len()));
    }
    if text.chars().any(char::is_control) || text.trim().len() != text.len() {
        return Err(IdError::Character);
    }
    Ok(())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text and makes it an identifier.
            ///
            /// # Errors
            /// Says why the text is none.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        // A map keyed by the identifier is asked with a plain text: no allocation on the hot path.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// One configured credential on a platform.
    AccountId,
    /// A group, as the platform names it; unique within its account.
    GroupId,
    /// A shop (门店).
    ShopId,
    /// A region: several shops.
    RegionId,
    /// A brand: several regions.
    BrandId,
    /// A person who may sign in.
    OperatorId,
    /// A program's credential.
    TokenId,
    /// One broadcast.
    BroadcastId,
    /// One thing to be sent: the `webhook-id` of its calls, the same over all attempts.
    DeliveryId,
}

/// Number of event partitions. Fixed: the data on disk depends on it.
pub const PARTITIONS: u16 = 256;

/// The partition that holds what the fleet stage decided.
pub const PARTITION_FLEET: Partition = Partition(256);

/// A share of all groups that one owner decides for: `0..PARTITIONS`, or [`PARTITION_FLEET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Partition(pub u16);

/// Returns the partition of a group (for `contact_added`, which has none: of the contact).
///
/// FNV-1a with a final mix: stable over releases and machines, since the data on disk depends on it.
pub fn partition_of(account: &str, group_or_contact: &str) -> Partition {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in account.bytes().chain([0]).chain(group_or_contact.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Partition(u16::try_from(hash >> 56).expect("eight bits fit"))
}

/// The 128-bit keyed hash of (account, group, event id) by which a repeat is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventKey(pub u128);

impl EventKey {
    /// Hashes an event's identity with the data directory's secret.
    pub fn of(secret: &[u8; 16], account: &str, group: &str, id: &str) -> Self {
        use std::hash::Hasher;
        let mut hasher = siphasher::sip128::SipHasher13::new_with_key(secret);
        for part in [account, group, id] {
            hasher.write_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
            hasher.write(part.as_bytes());
        }
        Self(siphasher::sip128::Hasher128::finish128(&hasher).as_u128())
    }

    /// Returns a number that nobody outside can choose.
    pub fn chance(self) -> u16 {
        u16::try_from(self.0 & 0xFFFF).unwrap_or_default()
    }

    /// Derives the stable id of the `index`-th thing this event sends.
    pub fn delivery(self, index: usize) -> DeliveryId {
        DeliveryId(Arc::from(format!("dlv_{:032x}_{index}", self.0)))
    }
}

impl BroadcastId {
    /// Derives the id of one target's delivery.
    pub fn delivery(&self, target: u32) -> DeliveryId {
        DeliveryId(Arc::from(format!("{self}_{target}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_never_move_between_releases() {
        assert_eq!(partition_of("demo", "g-7"), Partition(PARTITION_DEMO_G7));
        let used: std::collections::HashSet<_> =
            (0..10_000).map(|n| partition_of("demo", &format!("g-{n}"))).collect();
        assert_eq!(used.len(), usize::from(PARTITIONS));
    }

    #[test]
    fn an_identity_is_not_confused_across_field_borders() {
        let key = [7; 16];
        assert_ne!(EventKey::of(&key, "a", "bc", "d"), EventKey::of(&key, "ab", "c", "d"));
    }

    /// Written down once from the function itself; a change here means stored data would be read wrongly.
    const PARTITION_DEMO_G7: u16 = 162;
}
