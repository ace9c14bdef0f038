//! Rules: what one term cannot say. Several terms together, near each other, over several messages; or a pattern.
//!
//! ```toml
//! [[rule]]
//! id = "rebate-link"
//! category = "lure"
//! level = "medium"
//! all = ["返现"]
//! any = ["链接", "扫码"]
//! none = ["门店"]
//! near = { chars = 20 }
//!
//! [[rule]]
//! id = "add-me"
//! all = ["加", "微信"]
//! across = { messages = 4, seconds = 60 }
//!
//! [[rule]]
//! id = "code"
//! pattern = "口令[a-z0-9]{6,}"
//! ```
//!
//! Terms of rules are patterns of the ruleset's one automaton, found with the same foldings, gaps and disguises as
//! listed terms. A rule is looked at only when its rarest term was seen; a pattern only when one of the literals that
//! every match of it holds was.
//!
//! Not for: what follows from a rule (the policy, unless the rule names a verdict).
//! Invariant: a compiled rule can match; what cannot is refused with the field to change.

mod compile;
mod logic;
mod pattern;
mod recent;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::wordlist::{CATEGORY_DEFAULT, Origin};
use crate::event::{Level, Verdict};

pub(super) use compile::{Body, Rules};
pub(super) use logic::{Occurrence, met};
pub use pattern::compile_pattern;
pub use recent::{Recent, Said, SpeakerKey};

/// A set of rules. Its name stands among the names of wordlists: a policy that names its lists has these rules only if
/// it names the set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSource {
    /// Unique among wordlists and sets of rules.
    #[serde(default)]
    pub name: String,
    /// Where it is kept.
    #[serde(default)]
    pub origin: Origin,
    /// The rules.
    #[serde(default, alias = "rule")]
    pub rules: Vec<Rule>,
}

/// One rule: terms, or a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Unique within the set; hits name it as their term. 1 to 64 bytes without white space.
    pub id: String,
    /// Category of its hits.
    #[serde(default = "category_default")]
    pub category: String,
    /// Level of its hits.
    #[serde(default = "level_default")]
    pub level: Level,
    /// What follows, where that is not what the policy says of the level. A policy's rule for the category goes first.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// Terms that must all be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<String>,
    /// Terms of which one must be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<String>,
    /// Terms of which none may be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub none: Vec<String>,
    /// How near to each other the terms must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<Near>,
    /// Over how many messages of a member the terms may be spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub across: Option<Across>,
    /// A regular expression over the folded text: lower case, simplified, without spaces and signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// How near to each other the terms of a rule must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Near {
    /// Most folded characters from the end of the first term to the beginning of the last.
    pub chars: usize,
}

/// Over how many messages of one member in one group the terms of a rule may be spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Across {
    /// This message and those before it, together; at least 2.
    pub messages: usize,
    /// How old the first may be, in seconds.
    pub seconds: u32,
}

/// Why a rule cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("rule `{rule}`: `{field}`: {reason}")]
pub struct RuleError {
    /// The rule's id.
    pub rule: String,
    /// Its place in the set, from 0.
    pub index: usize,
    /// The field to change.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub reason: String,
}

/// Why a document of rules cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("rules `{name}`: {field}{reason}")]
pub struct RuleParseError {
    /// The set.
    pub name: String,
    /// The path of the field with a colon after it, or nothing where the document as a whole cannot be read.
    pub field: String,
    /// What is wrong.
    pub reason: String,
}

fn category_default() -> String {
    CATEGORY_DEFAULT.to_owned()
}

fn level_default() -> Level {
    Level::High
}

impl RuleSource {
    /// Reads a TOML document: `[[rule]]` as at the top of this file.
    ///
    /// # Errors
    /// With the path of the first field that cannot be read.
    pub fn from_toml(name: &str, origin: Origin, text: &str) -> Result<Self, RuleParseError> {
        let parser = toml::Deserializer::parse(text).map_err(|error| RuleParseError {
            name: name.to_owned(),
            field: String::new(),
            reason: error.to_string(),
        })?;
        Self::read(name, origin, parser)
    }

    /// Reads a JSON document: `{"rules": [{"id": …}]}`.
    ///
    /// # Errors
    /// With the path of the first field that cannot be read.
    pub fn from_json(name: &str, origin: Origin, text: &str) -> Result<Self, RuleParseError> {
        let mut parser = serde_json::Deserializer::from_str(text);
        let read = Self::read(name, origin, &mut parser)?;
        match parser.end() {
            Ok(()) => Ok(read),
            Err(error) => {
                Err(RuleParseError { name: name.to_owned(), field: String::new(), reason: error.to_string() })
            }
        }
    }

    fn read<'de, D>(name: &str, origin: Origin, parser: D) -> Result<Self, RuleParseError>
    where
        D: serde::Deserializer<'de>,
        D::Error: std::fmt::Display,
    {
        let read: Result<Self, _> = serde_path_to_error::deserialize(parser);
        match read {
            Ok(source) => Ok(Self { name: name.to_owned(), origin, ..source }),
            Err(error) => Err(RuleParseError {
                name: name.to_owned(),
                field: format!("`{}`: ", error.path()),
                reason: error.inner().to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
