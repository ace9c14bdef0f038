//! What the journal holds of messages that may be the same advert in many groups.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Verdict;
use super::fact::borrowed;
use crate::near::Sketch;

/// By what a customer's message is known again in other groups: never what it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraitsFact<'a> {
    /// The platform's id of the message: what an action is about.
    #[serde(borrow)]
    pub of: Cow<'a, str>,
    /// Of its folded text, where that is long enough.
    pub sketch: Option<Sketch>,
    /// Where it leads and what it brings.
    pub marks: Vec<Mark>,
}

/// Something by which different texts are the same advert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// What.
    pub kind: MarkKind,
    /// Its keyed hash.
    pub hash: u64,
}

/// What a mark is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// An address without its query.
    Link,
    /// A way to reach somebody outside of the group.
    Contact,
    /// The digest of a file.
    File,
}

/// A message that belongs to a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SightedFact<'a> {
    /// The case.
    #[serde(borrow)]
    pub case: Cow<'a, str>,
    /// Account of the message.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// Its group.
    #[serde(borrow)]
    pub group: Cow<'a, str>,
    /// Who said it.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub member: Option<Cow<'a, str>>,
    /// The platform's id of it, where it was noted.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub of: Option<Cow<'a, str>>,
    /// When it arrived.
    pub at_ms: i64,
    /// By what it belongs to the case.
    pub by: Alike,
    /// What was decided about it.
    pub verdict: Verdict,
}

/// How large a case was when it was opened, or when it had grown so much that people are told again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseSizeFact<'a> {
    /// The case.
    #[serde(borrow)]
    pub case: Cow<'a, str>,
    /// It was opened just now.
    pub is_new: bool,
    /// Groups it was seen in.
    pub groups: u32,
    /// Members who wrote it, each counted once.
    pub members: u32,
    /// Messages listed.
    pub messages: u32,
    /// The same by what they belong to it.
    pub by: Vec<(Alike, u32)>,
    /// First sighting.
    pub first_ms: i64,
    /// Last sighting.
    pub last_ms: i64,
}

/// By what a message is like another.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Alike {
    /// The same folded text.
    Text,
    /// Nearly the same.
    Near,
    /// The same address.
    Link,
    /// The same contact.
    Contact,
    /// The same file.
    File,
}

impl Alike {
    /// Returns the word of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Alike::Text => "text",
            Alike::Near => "near",
            Alike::Link => "link",
            Alike::Contact => "contact",
            Alike::File => "file",
        }
    }
}
