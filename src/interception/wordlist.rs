//! Wordlists before they are compiled: the file format, and the packs that ship in the binary.
//!
//! A file is UTF-8, one entry a line:
//!
//! ```text
//! # intent: what the list is for, in one line
//! # category: contact high
//! # category: lure medium
//! # masked: true
//! # origin: who wrote it
//! # licence: under which terms
//! !企业微信
//! 加微信
//! 加群领<TAB>lure
//! ```
//!
//! Lines that open with `#` are the header; each `category` line names a category and its level (`low`, `medium`,
//! `high`; `high` where it is missing), and the first one is the default; `masked: true` hides the terms wherever a
//! hit or a problem is shown. A line with `!` is an allow phrase: a hit
//! that lies within it is cancelled. Everything else is a term, alone or with a category after a tab. Since `!` and
//! `#` are skipped when matching, no term ever needs to begin with one. Blank lines are ignored; a list without a
//! header is a list of `listed`, level `high`. Shipped files are sorted by bytes; others need not be.
//!
//! Not for: reading files (`app` does), folding or compiling.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::event::Level;

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
    /// The listed words.
    #[serde(default)]
    pub terms: Vec<Term>,
    /// Allow phrases: a hit of any list of the same policy that lies within one is cancelled.
    #[serde(default)]
    pub allow: Vec<AllowPhrase>,
}

/// One listed word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// As written.
    pub text: String,
    /// Its category, where it is not the list's.
    #[serde(default)]
    pub category: Option<String>,
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
            terms: Vec::new(),
            allow: Vec::new(),
        }
    }

    /// Reads the file format described at the top.
    ///
    /// # Errors
    /// At the first line that can be read in no way.
    pub fn parse(name: impl Into<String>, origin: Origin, text: &str) -> Result<Self, ParseError> {
        let mut list = Self::new(name, origin);
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        for (line, content) in (1..).zip(text.lines()) {
            list.read_line(line, content.trim_end())
                .map_err(|reason| ParseError { line, reason: reason.to_owned() })?;
        }
        Ok(list)
    }

    /// Returns the level of a category.
    pub fn level_of(&self, category: &str) -> Level {
        self.categories.get(category).copied().unwrap_or(self.level)
    }

    fn read_line(&mut self, line: u32, content: &str) -> Result<(), &'static str> {
        if content.is_empty() {
            return Ok(());
        }
        if let Some(header) = content.strip_prefix('#') {
            return self.read_header(header);
        }
        if let Some(phrase) = content.strip_prefix('!') {
            self.allow.push(AllowPhrase { text: phrase.trim().to_owned(), line });
            return Ok(());
        }
        let mut columns = content.split('\t');
        let text = columns.next().unwrap_or_default().trim();
        let category = columns.next().map(|c| c.trim().to_owned());
        if columns.next().is_some() {
            return Err("more than two columns: a line is `term` or `term<TAB>category`");
        }
        if text.is_empty() {
            return Err("no term before the tab");
        }
        if category.as_deref().is_some_and(|c| !is_name(c)) {
            return Err("a category is 1 to 64 bytes without white space");
        }
        self.terms.push(Term { text: text.to_owned(), category, line });
        Ok(())
    }

    fn read_header(&mut self, header: &str) -> Result<(), &'static str> {
        let Some((key, value)) = header.split_once(':') else { return Ok(()) };
        match key.trim() {
            "category" => self.read_category(value),
            "masked" => {
                self.masked = value.trim().parse().map_err(|_| "`# masked:` is `true` or `false`")?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read_category(&mut self, value: &str) -> Result<(), &'static str> {
        let mut words = value.split_whitespace();
        let category = words.next().filter(|c| is_name(c)).ok_or("`# category:` names no category")?;
        let level = match words.next() {
            None | Some("high") => Level::High,
            Some("medium") => Level::Medium,
            Some("low") => Level::Low,
            Some(_) => return Err("a level is `low`, `medium` or `high`"),
        };
        if self.categories.is_empty() {
            category.clone_into(&mut self.category);
        }
        self.categories.insert(category.to_owned(), level);
        Ok(())
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
const PACKS: [(&str, &str); 14] = [
    ("abuse", include_str!("../../wordlists/abuse.txt")),
    ("adlaw", include_str!("../../wordlists/adlaw.txt")),
    ("adult", include_str!("../../wordlists/adult.txt")),
    ("competitor", include_str!("../../wordlists/competitor.txt")),
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

    #[test]
    fn a_file_gives_terms_categories_and_allow_phrases() {
        let text = "\u{FEFF}# intent: a test\n# category: contact high\r\n# category: lure low\n!企业微信\n\n加微信\n加群领\tlure\n";
        let list = WordlistSource::parse("t", Origin::File, text).unwrap();
        assert_eq!(list.category, "contact");
        assert_eq!(list.level_of("lure"), Level::Low);
        assert_eq!(list.level_of("other"), Level::High);
        assert_eq!(list.allow, [AllowPhrase { text: "企业微信".into(), line: 4 }]);
        let terms: Vec<_> =
            list.terms.iter().map(|t| (t.text.as_str(), t.category.as_deref(), t.line)).collect();
        assert_eq!(terms, [("加微信", None, 6), ("加群领", Some("lure"), 7)]);
    }

    #[test]
    fn an_unreadable_line_is_named() {
        for (text, line, part) in [
            ("a\n\tb", 2, "no term"),
            ("a\tb\tc", 1, "two columns"),
            ("# category: x severe", 1, "a level is"),
            ("# category:", 1, "names no category"),
            ("a\tb c", 1, "white space"),
            ("a\n# masked: yes", 2, "`true` or `false`"),
        ] {
            let error = WordlistSource::parse("t", Origin::File, text).unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(error.reason.contains(part), "{text}: {error}");
        }
    }

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
