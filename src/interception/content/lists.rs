//! The lists of content rules, checked and put in order when they are read: a list that exists can be used.
//!
//! Not for: what follows from an entry. Invariant: each is sorted, without repeats, and within its cap.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::address::host_of;
use crate::event::Verdict;

/// Most names in one list of domains or appids.
pub const NAMES_MAX: usize = 10_000;
/// Most hashes of one list.
pub const HASHES_MAX: usize = 100_000;
/// Most content types of one rule.
pub const TYPES_MAX: usize = 100;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 253;

/// Names below which anybody may register one: as an entry they would stand for half the country.
const SHARED_SUFFIXES: &[&str] = &["ac", "co", "com", "edu", "gov", "mil", "net", "org"];

/// Why a list cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ListError {
    /// Not a domain.
    #[error("`{0}` is no domain; write it like `example.com`, without scheme, port or path")]
    Domain(String),
    /// Too much at once.
    #[error("`{0}` is a suffix that everybody shares; name the domains below it")]
    Suffix(String),
    /// Not a SHA-256.
    #[error("`{0}` is no SHA-256: 64 hexadecimal digits")]
    Hash(String),
    /// Not an id or a content type.
    #[error("`{0}` is no name: 1 to {NAME_BYTES_MAX} bytes without white space")]
    Name(String),
    /// Too long a list.
    #[error("has {count} entries, {max} at most")]
    Count {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

fn counted(count: usize, max: usize) -> Result<(), ListError> {
    if count > max { Err(ListError::Count { count, max }) } else { Ok(()) }
}

/// Repeats an entry in an error, as far as it helps.
fn shown(entry: &str) -> String {
    entry.chars().take(80).collect()
}

/// Domains, each with everything below it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
#[schema(value_type = Vec<String>)]
pub struct DomainList(Vec<String>);

impl TryFrom<Vec<String>> for DomainList {
    type Error = ListError;

    fn try_from(entries: Vec<String>) -> Result<Self, ListError> {
        counted(entries.len(), NAMES_MAX)?;
        let mut domains = entries.iter().map(|entry| domain(entry)).collect::<Result<Vec<_>, _>>()?;
        domains.sort_unstable();
        domains.dedup();
        Ok(Self(domains))
    }
}

impl From<DomainList> for Vec<String> {
    fn from(list: DomainList) -> Self {
        list.0
    }
}

impl DomainList {
    /// Says whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the longest listed domain that `host` is or lies below, whole labels only.
    pub(super) fn above(&self, host: &str) -> Option<&str> {
        let mut suffix = Some(host);
        while let Some(name) = suffix {
            if let Ok(at) = self.0.binary_search_by(|listed| listed.as_str().cmp(name)) {
                return self.0.get(at).map(String::as_str);
            }
            suffix = name.split_once('.').map(|(_, above)| above);
        }
        None
    }
}

/// Reads an entry as the hosts of addresses are read.
fn domain(entry: &str) -> Result<String, ListError> {
    let refused = || ListError::Domain(shown(entry));
    let bare = entry.trim();
    let bare = bare.strip_prefix("*.").or_else(|| bare.strip_prefix('.')).unwrap_or(bare);
    if bare.contains(['/', ':', '@', '?', '#', '*', ' ']) {
        return Err(refused());
    }
    let (name, _) = host_of(bare).ok_or_else(refused)?;
    let shared = match name.split_once('.') {
        None => true,
        Some((first, tld)) => SHARED_SUFFIXES.contains(&first) && tld.len() == 2,
    };
    if name.len() > NAME_BYTES_MAX {
        Err(refused())
    } else if shared {
        Err(ListError::Suffix(shown(entry)))
    } else {
        Ok(name)
    }
}

/// Ids as the platform spells them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
#[schema(value_type = Vec<String>)]
pub struct IdList(Vec<String>);

impl TryFrom<Vec<String>> for IdList {
    type Error = ListError;

    fn try_from(mut entries: Vec<String>) -> Result<Self, ListError> {
        counted(entries.len(), NAMES_MAX)?;
        if let Some(entry) = entries.iter().find(|entry| !is_name(entry)) {
            return Err(ListError::Name(shown(entry)));
        }
        entries.sort_unstable();
        entries.dedup();
        Ok(Self(entries))
    }
}

impl From<IdList> for Vec<String> {
    fn from(list: IdList) -> Self {
        list.0
    }
}

impl IdList {
    /// Says whether the id is listed.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.binary_search_by(|listed| listed.as_str().cmp(id)).is_ok()
    }
}

/// SHA-256 digests of files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
#[schema(value_type = Vec<String>)]
pub struct HashList(Vec<[u8; 32]>);

impl TryFrom<Vec<String>> for HashList {
    type Error = ListError;

    fn try_from(entries: Vec<String>) -> Result<Self, ListError> {
        counted(entries.len(), HASHES_MAX)?;
        let read = |entry: &String| digest(entry).ok_or_else(|| ListError::Hash(shown(entry)));
        let mut digests = entries.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        digests.sort_unstable();
        digests.dedup();
        Ok(Self(digests))
    }
}

impl From<HashList> for Vec<String> {
    fn from(list: HashList) -> Self {
        list.0.iter().map(hex).collect()
    }
}

impl HashList {
    /// Returns the listed digest that `written` is, in lower case.
    pub(super) fn find(&self, written: &str) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let digest = digest(written)?;
        self.0.binary_search(&digest).is_ok().then(|| hex(&digest))
    }
}

fn digest(written: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = written
        .trim()
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let mut digest = [0; 32];
    if digits.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(digest)
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        _ = write!(text, "{byte:02x}"); // a `String` takes everything
        text
    })
}

/// What follows from content types and kinds of attachments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "BTreeMap<String, Verdict>", into = "BTreeMap<String, Verdict>")]
#[schema(value_type = BTreeMap<String, Verdict>)]
pub struct TypeVerdicts(BTreeMap<String, Verdict>);

impl TryFrom<BTreeMap<String, Verdict>> for TypeVerdicts {
    type Error = ListError;

    fn try_from(types: BTreeMap<String, Verdict>) -> Result<Self, ListError> {
        counted(types.len(), TYPES_MAX)?;
        match types.keys().find(|name| !is_name(name)) {
            Some(name) => Err(ListError::Name(shown(name))),
            None => {
                Ok(Self(types.into_iter().map(|(name, verdict)| (name.to_lowercase(), verdict)).collect()))
            }
        }
    }
}

impl From<TypeVerdicts> for BTreeMap<String, Verdict> {
    fn from(types: TypeVerdicts) -> Self {
        types.0
    }
}

impl TypeVerdicts {
    /// Says whether no type is named.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns what follows from a type, in any case.
    pub(super) fn of(&self, kind: &str) -> Option<(&str, Verdict)> {
        let found = match self.0.get_key_value(kind) {
            Some(found) => Some(found),
            None => self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)),
        };
        found.map(|(name, verdict)| (name.as_str(), *verdict))
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}
