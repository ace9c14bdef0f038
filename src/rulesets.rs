//! Versions of everything that decides (规则版本): who changed what and why, and the way back.
//!
//! Every change of a wordlist, set of rules, policy, reply or welcome makes a version with the next number; a verdict names it. A version
//! is a record (author, reason, difference to the version before), and beside it what its documents were before: going back
//! is undoing from the newest version down. Both are written in the commit of the change itself, so they cannot disagree
//! with what is in force, and numbers go on over restarts.
//!
//! Not for: compiling and swapping (`app::rules` does, under one lock), nor for files: they are versions too, but what they
//! held before is kept by whoever keeps the files.
//! Bounded: [`Config::versions_max`] records, [`Config::undo_bytes_max`] of former documents; the oldest go first.

mod diff;
mod history;
mod life;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::event::Actor;
use crate::interception::{Life, ListScope, Origin};
use crate::storage::{AuditEntry, DocumentKind, StorageError};

pub use diff::{document_change, rule_set_change, wordlist_change};
pub use history::{Draft, Former, Head, Next, Sums, head, life_record, page, record, undo};
pub use life::{LifeRecord, Look, hits_per_10k, look, refusal};

/// Longest reason for a change, in characters.
pub const REASON_CHARS_MAX: usize = 500;

/// Limits of versions, and how files of wordlists are followed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Most versions whose record is kept; at least 1.
    pub versions_max: usize,
    /// Most bytes of former documents, all versions together: how far back one can go.
    #[serde(with = "crate::units::size")]
    pub undo_bytes_max: usize,
    /// Most terms that a difference names, of each document; the rest is counted.
    pub terms_listed_max: usize,
    /// How long files must be left alone before they are read again.
    #[serde(with = "crate::units::duration")]
    pub settle: Duration,
    /// How often files are looked at without being told of a change.
    #[serde(with = "crate::units::duration")]
    pub look_every: Duration,
    /// Fewest messages after which a staged list is held against the hits that were expected of it.
    pub rollout_messages_min: u64,
    /// How often that is looked at.
    #[serde(with = "crate::units::duration")]
    pub rollout_look_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            versions_max: 1_000,
            undo_bytes_max: 64 << 20,
            terms_listed_max: 20,
            settle: Duration::from_millis(300),
            look_every: Duration::from_mins(1),
            rollout_messages_min: 10_000,
            rollout_look_every: Duration::from_secs(5),
        }
    }
}

/// What a version is made of.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// Terms and allow phrases.
    Wordlist,
    /// Which wordlists apply, and what follows.
    Policy,
    /// A keyword answer.
    Reply,
    /// A greeting.
    Welcome,
    /// How a wordlist came to its state, and what holds instead of what its file says.
    WordlistLife,
    /// Rules: terms together, over several messages, patterns.
    RuleSet,
    /// Words that stand for each other in the keywords of replies.
    Synonyms,
    /// What members hear on the days after they joined.
    Journey,
}

impl RuleKind {
    /// Every kind.
    pub const ALL: [RuleKind; 8] = [
        RuleKind::Wordlist,
        RuleKind::Policy,
        RuleKind::Reply,
        RuleKind::Welcome,
        RuleKind::WordlistLife,
        RuleKind::RuleSet,
        RuleKind::Synonyms,
        RuleKind::Journey,
    ];

    /// Returns the kind of its documents.
    pub fn document(self) -> DocumentKind {
        match self {
            RuleKind::Wordlist => DocumentKind::Wordlist,
            RuleKind::Policy => DocumentKind::Policy,
            RuleKind::Reply => DocumentKind::Reply,
            RuleKind::Welcome => DocumentKind::Welcome,
            RuleKind::WordlistLife => DocumentKind::WordlistLife,
            RuleKind::RuleSet => DocumentKind::RuleSet,
            RuleKind::Synonyms => DocumentKind::Synonyms,
            RuleKind::Journey => DocumentKind::Journey,
        }
    }
}

/// Who made a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Author {
    /// A person, through a token or on the gateway's own machine.
    Operator {
        /// Their id.
        operator: String,
        /// The token they used; null on the gateway's own machine.
        token: Option<String>,
    },
    /// Files of wordlists that were changed.
    File,
    /// The gateway itself.
    System,
}

impl Author {
    /// Returns the author of what this actor does.
    pub fn of(actor: &Actor) -> Self {
        Self::Operator {
            operator: actor.operator.as_str().to_owned(),
            token: actor.token.as_ref().map(|token| token.as_str().to_owned()),
        }
    }
}

/// What happened to one document or file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was not there before.
    Created,
    /// It was there before.
    Updated,
    /// It is not there any more.
    Deleted,
}

/// How a set of terms, allow phrases or rules differs from the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Entries {
    /// How many are new. One that is written otherwise (another category, say) counts as removed and added.
    pub added: usize,
    /// How many are gone.
    pub removed: usize,
    /// The first of the new ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added_first: Vec<String>,
    /// The first of those that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_first: Vec<String>,
}

/// How one document or file differs from the version before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Changed {
    /// What it is.
    pub kind: RuleKind,
    /// Its id, or the name of the wordlist.
    pub id: String,
    /// Where it is kept.
    pub origin: Origin,
    /// What happened to it.
    pub how: How,
    /// Of a wordlist for a part of the groups: which they were before, and which they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<ListScope>,
    /// Of a wordlist: its terms, those of a masked one by their first characters. Null when they are the same, or when
    /// what they were is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Entries>,
    /// Of a wordlist: its allow phrases, as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Entries>,
    /// Of a set of rules: its rules by their ids, as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Entries>,
    /// Other fields that have another value than before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from 1.
    pub number: u64,
    /// Since when it was in force.
    pub at_ms: i64,
    /// Who made it.
    pub author: Author,
    /// Why, in words.
    pub reason: String,
    /// The version before, whether its record is still kept or not; null for the first.
    pub parent: Option<u64>,
    /// The version whose documents it put back.
    pub restores: Option<u64>,
    /// What is different from the version before.
    pub changes: Vec<Changed>,
}

/// Spells the version of a number, as it stands in verdicts.
pub fn version_of(number: u64) -> String {
    format!("r-{number}")
}

/// Reads what [`version_of`] wrote.
pub fn number_of(version: &str) -> Option<u64> {
    let digits = version.strip_prefix("r-")?;
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    (version_of(number) == version).then_some(number)
}

/// One document that is to be written or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Its kind.
    pub kind: RuleKind,
    /// Its id.
    pub id: String,
    /// JSON; `None` to remove it.
    pub body: Option<String>,
    /// The version the document must have now: 0 for "must not exist", `None` for any.
    pub expect: Option<u64>,
}

/// What somebody wants to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Who.
    pub author: Author,
    /// Why, in words; at most [`REASON_CHARS_MAX`] characters.
    pub reason: String,
    /// What; none for files alone.
    pub edits: Vec<Edit>,
    /// The version that the edits put back.
    pub restores: Option<u64>,
    /// Audit entries of the same commit.
    pub audit: Vec<AuditEntry>,
}

impl Proposal {
    /// Begins a proposal that changes nothing yet.
    pub fn by(author: Author, reason: impl Into<String>) -> Self {
        Self { author, reason: reason.into(), edits: Vec::new(), restores: None, audit: Vec::new() }
    }
}

/// Somebody wants to go back.
#[derive(Clone, Debug)]
pub struct Return {
    /// To the documents of this version.
    pub to: u64,
    /// The version that must be in force now; `None` for any.
    pub expect: Option<u64>,
    /// Who.
    pub actor: Actor,
    /// Why, in words.
    pub reason: String,
}

/// Somebody wants a wordlist in another state.
#[derive(Clone, Debug)]
pub struct Move {
    /// Its name.
    pub list: String,
    /// Where it is to be.
    pub to: Life,
    /// Who.
    pub actor: Actor,
    /// Why, in words.
    pub reason: String,
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The version in force now; the one before when nothing was different.
    pub number: u64,
    /// The new version of each edited document, 0 for removed ones.
    pub versions: Vec<u64>,
}

/// Why nothing was changed.
#[derive(Debug, Error)]
pub enum Refused {
    /// The rules cannot be used together; in words for whoever wrote them.
    #[error("{0}")]
    Unusable(String),
    /// There is no such version, or its record is not kept any more.
    #[error("there is no version {} among those that are kept", version_of(*.0))]
    NoSuchVersion(u64),
    /// There is no such wordlist.
    #[error("no such wordlist")]
    NoSuchList,
    /// The wordlist cannot go from the state that it is in to the one that was asked for.
    #[error("{0}")]
    NoSuchMove(&'static str),
    /// What documents were then is not kept any more.
    #[error("what the documents were in {} is not kept any more (`rulesets.undo_bytes_max`)", version_of(*.0))]
    NotKept(u64),
    /// Another version is in force than the one that was to be changed.
    #[error("{} is in force now; read it again", version_of(*.0))]
    Stale(u64),
    /// Nothing was stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The gateway is going down.
    #[error("the gateway is stopping; nothing was changed")]
    Stopping,
}

/// Why the files of wordlists are not in force as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LoadError {
    /// The file, without its directory; null when it is not one file's fault.
    pub file: Option<String>,
    /// The line that cannot be read, from 1.
    pub line: Option<u32>,
    /// What is wrong and what would be right.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_spelling() {
        assert_eq!(number_of(&version_of(12)), Some(12));
        for wrong in ["12", "r-", "r-0", "r-012", "r-+1", "r-1 ", "R-1", "r-99999999999999999999"] {
            assert_eq!(number_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_author_says_what_they_are() {
        let author = Author::Operator { operator: "li".to_owned(), token: None };
        assert_eq!(
            serde_json::to_string(&author).unwrap(),
            r#"{"kind":"operator","operator":"li","token":null}"#
        );
        assert_eq!(serde_json::to_string(&Author::File).unwrap(), r#"{"kind":"file"}"#);
    }
}
