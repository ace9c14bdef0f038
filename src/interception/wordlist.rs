//! Wordlists before they are compiled, and the packs that ship in the binary. The file format is in `wordlist/file.rs`.
//!
//! Not for: reading files (`app` does), folding or compiling.

mod file;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::audience::{ListScope, Roles, Speaker, moment};
use super::life::Life;
use super::policy::Strictness;
use crate::event::{Level, Verdict};

/// The category of terms in a list that names none.
pub const CATEGORY_DEFAULT: &str = "listed";

/// Longest name of a wordlist, category or policy, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// Where a wordlist is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// In the binary.
    Shipped,
    /// In a file: read-only in the console.
    File,
    /// Added through the API.
    #[default]
    Api,
}

/// A wordlist as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WordlistSource {
    /// Unique among the lists of a ruleset.
    pub name: String,
    /// Where it is kept.
    #[serde(default)]
    pub origin: Origin,
    /// Category of terms that name none.
    #[serde(default = "category_default")]
    pub category: String,
    /// Level of categories that `categories` does not name.
    #[serde(default = "level_default")]
    pub level: Level,
    /// Levels by category.
    #[serde(default)]
    pub categories: BTreeMap<String, Level>,
    /// Whether its terms and allow phrases are shown only by their first character, outside the list itself.
    #[serde(default)]
    pub masked: bool,
    /// Which groups it applies to; everyone when left out.
    #[serde(default, skip_serializing_if = "ListScope::is_everyone")]
    pub scope: ListScope,
    /// Whose texts it applies to; everyone's when left out.
    #[serde(default, skip_serializing_if = "Roles::is_empty")]
    #[schema(value_type = Vec<Speaker>)]
    pub roles: Roles,
    /// From then on it applies (RFC 3339, or a day for its midnight in China).
    #[serde(default, with = "moment", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_from: Option<i64>,
    /// From then on it no longer applies (RFC 3339, or a day for its midnight in China).
    #[serde(default, with = "moment", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<i64>,
    /// Which disguises count, where the policy says nothing of the list or its categories; the policy's when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strictness: Option<Strictness>,
    /// What follows from its hits, where the policy says nothing of the list or its categories; what the policy says of
    /// their level when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// In which state of its life it is; `live` when left out.
    #[serde(default)]
    pub life: Life,
    /// The listed words.
    #[serde(default)]
    pub terms: Vec<Term>,
    /// Allow phrases: a hit of any list of the same policy that lies within one is cancelled.
    #[serde(default)]
    pub allow: Vec<AllowPhrase>,
}

/// One listed word. What it says of itself goes before what its list and the policy say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// As written.
    pub text: String,
    /// Its category, where it is not the list's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Its level, where it is not its category's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// What follows from a hit of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Which groups of the list's it applies to.
    #[serde(default, skip_serializing_if = "ListScope::is_everyone")]
    pub scope: ListScope,
    /// Whose texts of the list's it applies to.
    #[serde(default, skip_serializing_if = "Roles::is_empty")]
    #[schema(value_type = Vec<Speaker>)]
    pub roles: Roles,
    /// From then on it applies.
    #[serde(default, with = "moment", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_from: Option<i64>,
    /// From then on it no longer applies.
    #[serde(default, with = "moment", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<i64>,
    /// Line of the file, from 1; 0 where there is no file.
    #[serde(default)]
    pub line: u32,
}

/// One phrase that is ordinary although it holds a listed word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowPhrase {
    /// As written.
    pub text: String,
    /// Line of the file, from 1; 0 where there is no file.
    #[serde(default)]
    pub line: u32,
}

/// Why a wordlist file cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// Line of the file, from 1.
    pub line: u32,
    /// What is wrong and what would be right.
    pub reason: String,
}

fn category_default() -> String {
    CATEGORY_DEFAULT.to_owned()
}

fn level_default() -> Level {
    Level::High
}

impl WordlistSource {
    /// Makes an empty list.
    pub fn new(name: impl Into<String>, origin: Origin) -> Self {
        Self {
            name: name.into(),
            origin,
            category: category_default(),
            level: level_default(),
            categories: BTreeMap::new(),
            masked: false,
            scope: ListScope::default(),
            roles: Roles::default(),
            valid_from: None,
            valid_until: None,
            strictness: None,
            verdict: None,
            life: Life::default(),
            terms: Vec::new(),
            allow: Vec::new(),
        }
    }

    /// Returns the level of a category.
    pub fn level_of(&self, category: &str) -> Level {
        self.categories.get(category).copied().unwrap_or(self.level)
    }

    /// Makes it a list that applies to everyone, always: for trying it out.
    #[must_use]
    pub fn unrestricted(mut self) -> Self {
        (self.scope, self.roles, self.life) = (ListScope::default(), Roles::default(), Life::Live);
        (self.valid_from, self.valid_until) = (None, None);
        for term in &mut self.terms {
            (term.scope, term.roles) = (ListScope::default(), Roles::default());
            (term.valid_from, term.valid_until) = (None, None);
        }
        self
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// Says what is wrong and what would be right.
    pub fn check(&self) -> Result<(), String> {
        self.life.check()?;
        let is_backward =
            |from: Option<i64>, until: Option<i64>| from.zip(until).is_some_and(|(f, u)| f >= u);
        if is_backward(self.valid_from, self.valid_until) {
            return Err("`valid_until` is not after `valid_from`".to_owned());
        }
        match self.terms.iter().find(|term| is_backward(term.valid_from, term.valid_until)) {
            Some(term) => Err(format!("term `{}`: `valid_until` is not after `valid_from`", term.text)),
            None => Ok(()),
        }
    }
}

/// Says whether a text can name a wordlist, a category or a policy.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// The packs in the binary, by name. The lists that come empty (`political` and so on) are not among them: a list of
/// the same name may then be made through the API.
const PACKS: [(&str, &str); 15] = [
    ("abuse", include_str!("../../wordlists/abuse.txt")),
    ("adlaw", include_str!("../../wordlists/adlaw.txt")),
    ("adult", include_str!("../../wordlists/adult.txt")),
    ("competitor", include_str!("../../wordlists/competitor.txt")),
    ("complaint", include_str!("../../wordlists/complaint.txt")),
    ("counterfeit", include_str!("../../wordlists/counterfeit.txt")),
    ("diversion", include_str!("../../wordlists/diversion.txt")),
    ("fraud", include_str!("../../wordlists/fraud.txt")),
    ("gambling", include_str!("../../wordlists/gambling.txt")),
    ("illegal", include_str!("../../wordlists/illegal.txt")),
    ("induced", include_str!("../../wordlists/induced.txt")),
    ("invest", include_str!("../../wordlists/invest.txt")),
    ("jobs", include_str!("../../wordlists/jobs.txt")),
    ("loan", include_str!("../../wordlists/loan.txt")),
    ("medical", include_str!("../../wordlists/medical.txt")),
];

/// Returns the packs that ship in the binary.
pub fn shipped() -> Vec<WordlistSource> {
    PACKS
        .into_iter()
        .map(|(name, text)| {
            WordlistSource::parse(name, Origin::Shipped, text).expect("a test reads every shipped pack")
        })
        .collect()
}

/// Ordinary shop talk of our own writing, one message a line: what no list should hit.
pub fn shop_talk() -> impl Iterator<Item = &'static str> {
    include_str!("../../wordlists/samples/shop-talk.txt")
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Terms of a pack: enough to be of use, few enough to be read. The competitor template is filled in by operators.
    fn expected_terms(name: &str) -> std::ops::RangeInclusive<usize> {
        if name == "competitor" { 50..=200 } else { 150..=1_000 }
    }

    #[test]
    fn shipped_packs_are_readable_sorted_and_headed() {
        for (name, text) in PACKS {
            let list = WordlistSource::parse(name, Origin::Shipped, text).unwrap();
            let (terms, expected) = (list.terms.len(), expected_terms(name));
            assert!(expected.contains(&terms), "{name} has {terms} terms, not {expected:?}");
            assert!(!list.allow.is_empty(), "{name} has no allow phrase");
            assert!(!list.masked, "{name}");
            for key in ["# intent: ", "# 用途: ", "# category: ", "# origin: ", "# licence: "] {
                assert!(text.lines().any(|l| l.starts_with(key)), "{name} has no `{key}`");
            }
            let entries: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
            assert!(entries.is_sorted(), "{name} is not sorted by bytes");
            for term in &list.terms {
                let category = term.category.as_deref().unwrap_or(&list.category);
                assert!(list.categories.contains_key(category), "{name}: {category} has no level");
            }
        }
    }

    #[test]
    fn no_term_is_in_two_packs() {
        let mut seen = std::collections::HashMap::new();
        for list in shipped() {
            for term in list.terms {
                let mut folded = String::new();
                crate::interception::fold_into(&term.text, &mut folded);
                if let Some(other) = seen.insert(folded, list.name.clone()) {
                    panic!("`{}` is in {other} and in {}", term.text, list.name);
                }
            }
        }
    }

    #[test]
    fn sensitive_lists_come_empty_and_masked() {
        for (name, text) in [
            ("minors", include_str!("../../wordlists/minors.txt")),
            ("political", include_str!("../../wordlists/political.txt")),
            ("rumour", include_str!("../../wordlists/rumour.txt")),
            ("superstition", include_str!("../../wordlists/superstition.txt")),
            ("terror", include_str!("../../wordlists/terror.txt")),
        ] {
            let list = WordlistSource::parse(name, Origin::File, text).unwrap();
            assert!(list.masked && list.terms.is_empty() && list.allow.is_empty(), "{name}");
            assert_eq!(list.category, name);
            assert!(text.contains("# 用途: ") && text.contains("# intent: "), "{name}");
            assert!(PACKS.iter().all(|(shipped, _)| *shipped != name), "{name}");
        }
    }
}
