//! Policies: which wordlists apply, and what follows from a hit of each category.
//!
//! A policy is plain, serialisable and edited by operators; it knows lists and categories by name, so it outlives
//! any ruleset. The verdict about a text is the most severe verdict of its surviving hits.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::content::ContentPolicy;
use super::wordlist::{NAME_BYTES_MAX, is_name};
use crate::event::{Level, Verdict};

/// The name of the policy that applies where none is chosen.
pub const POLICY_DEFAULT: &str = "standard";

/// Which wordlists apply and what follows from a hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Unique among policies.
    pub name: String,
    /// The wordlists that apply; empty means all of them.
    #[serde(default)]
    pub wordlists: Vec<String>,
    /// What follows from a hit, by its level.
    #[serde(default)]
    pub levels: LevelVerdicts,
    /// Exceptions by category.
    #[serde(default)]
    pub categories: BTreeMap<String, CategoryRule>,
    /// Which disguises count, where a category says nothing else. `"strict": true` of earlier versions is read too.
    #[serde(default, alias = "strict", deserialize_with = "strictness_of")]
    pub strictness: Strictness,
    /// How messages of staff are treated.
    #[serde(default)]
    pub staff: StaffRule,
    /// Platforms that are to stop, in what staff send, the terms that this policy would (the ones it would block are
    /// stopped, those it would mask or review are warned about).
    #[serde(default)]
    pub push_down: Vec<PushDown>,
    /// What follows from what a message carries beside its words.
    #[serde(default)]
    pub content: ContentPolicy,
}

/// For whom a platform itself stops or warns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushDown {
    /// Through which account.
    pub account: String,
    /// Departments, by the platform's number.
    #[serde(default)]
    pub departments: Vec<u64>,
    /// Members of staff, by the platform's id.
    #[serde(default)]
    pub staff: Vec<String>,
}

/// Most departments, and most members of staff, of one [`PushDown`]: WeCom's.
const PUSH_DOWN_NAMES_MAX: usize = 1_000;

/// What follows from a hit, by its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LevelVerdicts {
    /// For [`Level::Low`].
    pub low: Verdict,
    /// For [`Level::Medium`].
    pub medium: Verdict,
    /// For [`Level::High`].
    pub high: Verdict,
}

impl Default for LevelVerdicts {
    fn default() -> Self {
        Self { low: Verdict::Pass, medium: Verdict::Review, high: Verdict::Block }
    }
}

/// What a policy says about one category; what it leaves out follows from the list and the level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryRule {
    /// Another level than the list gives.
    #[serde(default)]
    pub level: Option<Level>,
    /// Another verdict than the level gives.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// Another strictness than the policy's. `"strict": true` of earlier versions is read too.
    #[serde(default, alias = "strict", deserialize_with = "strictness_if")]
    pub strictness: Option<Strictness>,
}

/// Which disguises of a term count, and how much may stand between its characters.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Strictness {
    /// Foldings and small gaps only.
    Relaxed,
    /// Also disguises of terms of three characters and more.
    #[default]
    Standard,
    /// All disguises, of two-character terms too; gaps also in short terms and across sentences.
    Strict,
}

/// A strictness, or what came before it: whether to be strict.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`relaxed`, `standard` or `strict`")]
enum StrictnessIn {
    Named(Strictness),
    Flag(bool),
}

fn strictness_of<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Strictness, D::Error> {
    Ok(strictness_if(deserializer)?.unwrap_or_default())
}

fn strictness_if<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Strictness>, D::Error> {
    Ok(match Option::<StrictnessIn>::deserialize(deserializer)? {
        Some(StrictnessIn::Named(strictness)) => Some(strictness),
        Some(StrictnessIn::Flag(true)) => Some(Strictness::Strict),
        Some(StrictnessIn::Flag(false)) | None => None,
    })
}

/// How messages of staff are treated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StaffRule {
    /// Like everyone's.
    #[default]
    Same,
    /// Not judged.
    Exempt,
    /// By another policy.
    Policy(String),
}

/// What follows from one hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// The level, after the policy.
    pub(super) level: Level,
    /// What follows.
    pub(super) verdict: Verdict,
    /// Which disguises count.
    pub(super) strictness: Strictness,
}

/// Why a policy cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PolicyError {
    /// The name of the policy, a list or a category.
    #[error("policy `{policy}`: `{name}` is no name: 1 to 64 bytes without white space")]
    Name {
        /// The policy.
        policy: String,
        /// The text that is no name.
        name: String,
    },
    /// Two policies of one name.
    #[error("policy `{0}` is defined twice")]
    Twice(String),
    /// What it hands over to a platform makes no sense.
    #[error("policy `{policy}`: push_down: {reason}")]
    PushDown {
        /// The policy.
        policy: String,
        /// What is wrong and what would be right.
        reason: &'static str,
    },
    /// Staff are sent to a policy that is not there.
    #[error("policy `{policy}`: staff are judged by `{other}`, which does not exist")]
    StaffPolicy {
        /// The policy.
        policy: String,
        /// The one it names.
        other: String,
    },
}

impl Policy {
    /// For groups where little should be held up: high hits are masked, the rest is only counted.
    pub fn relaxed() -> Self {
        let levels = LevelVerdicts { low: Verdict::Pass, medium: Verdict::Pass, high: Verdict::Mask };
        Self::preset("relaxed", levels, Strictness::Relaxed)
    }

    /// High hits are blocked, medium ones reviewed, low ones counted.
    pub fn standard() -> Self {
        Self::preset(POLICY_DEFAULT, LevelVerdicts::default(), Strictness::Standard)
    }

    /// For our own broadcasts and for groups under attack: low hits are reviewed, the rest is blocked, and
    /// separators are looked through without limit.
    pub fn strict() -> Self {
        let levels = LevelVerdicts { low: Verdict::Review, medium: Verdict::Block, high: Verdict::Block };
        Self::preset("strict", levels, Strictness::Strict)
    }

    /// Returns the built-in policies.
    pub fn presets() -> [Self; 3] {
        [Self::relaxed(), Self::standard(), Self::strict()]
    }

    fn preset(name: &str, levels: LevelVerdicts, strictness: Strictness) -> Self {
        Self {
            name: name.to_owned(),
            wordlists: Vec::new(),
            levels,
            categories: BTreeMap::new(),
            strictness,
            staff: StaffRule::Same,
            push_down: Vec::new(),
            content: ContentPolicy::default(),
        }
    }

    /// Says whether the wordlist applies.
    pub fn applies(&self, wordlist: &str) -> bool {
        self.wordlists.is_empty() || self.wordlists.iter().any(|name| name == wordlist)
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// At the first name that is none.
    pub fn check(&self) -> Result<(), PolicyError> {
        let mut names = std::iter::once(&self.name).chain(&self.wordlists).chain(self.categories.keys());
        match names.find(|name| !is_name(name)) {
            Some(name) => Err(PolicyError::Name { policy: self.name.clone(), name: name.clone() }),
            None => self.check_push_down(),
        }
    }

    fn check_push_down(&self) -> Result<(), PolicyError> {
        if self.push_down.is_empty() {
            return Ok(());
        }
        let wrong = |reason| Err(PolicyError::PushDown { policy: self.name.clone(), reason });
        if self.staff == StaffRule::Exempt {
            return wrong("staff are exempt, so it has nothing to hand over");
        }
        for PushDown { account, departments, staff } in &self.push_down {
            if account.is_empty() || account.len() > NAME_BYTES_MAX {
                return wrong("`account` names no account");
            }
            if departments.is_empty() && staff.is_empty() {
                return wrong("name departments or staff: a platform takes no rule for nobody");
            }
            if departments.len() > PUSH_DOWN_NAMES_MAX || staff.len() > PUSH_DOWN_NAMES_MAX {
                return wrong("at most 1,000 departments and 1,000 staff; name departments instead of staff");
            }
            if staff.iter().any(String::is_empty) {
                return wrong("`staff` holds an empty id");
            }
        }
        Ok(())
    }

    /// Decides about a hit; `None` when its wordlist does not apply.
    pub(super) fn decide(&self, wordlist: &str, category: &str, level: Level) -> Option<Decision> {
        if !self.applies(wordlist) {
            return None;
        }
        let rule = self.categories.get(category).copied().unwrap_or_default();
        let level = rule.level.unwrap_or(level);
        let by_level = match level {
            Level::Low => self.levels.low,
            Level::Medium => self.levels.medium,
            Level::High => self.levels.high,
        };
        Some(Decision {
            level,
            verdict: rule.verdict.unwrap_or(by_level),
            strictness: rule.strictness.unwrap_or(self.strictness),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_rule_overrides_the_level_and_the_verdict() {
        let text = r#"
            name = "shops"
            wordlists = ["diversion"]
            staff = "exempt"
            [levels]
            medium = "mask"
            [categories.contact]
            level = "medium"
            [categories.lure]
            verdict = "review"
            strict = true
        "#;
        let policy: Policy = toml::from_str(text).unwrap();
        assert_eq!(policy.staff, StaffRule::Exempt);
        let decide = |list, category| policy.decide(list, category, Level::High);
        assert_eq!(decide("fraud", "contact"), None);
        let contact =
            Decision { level: Level::Medium, verdict: Verdict::Mask, strictness: Strictness::Standard };
        assert_eq!(decide("diversion", "contact"), Some(contact));
        let lure = Decision { level: Level::High, verdict: Verdict::Review, strictness: Strictness::Strict };
        assert_eq!(decide("diversion", "lure"), Some(lure));
        let other =
            Decision { level: Level::High, verdict: Verdict::Block, strictness: Strictness::Standard };
        assert_eq!(decide("diversion", "other"), Some(other));
    }

    #[test]
    fn presets_survive_json_and_are_ordered_by_severity() {
        for preset in Policy::presets() {
            preset.check().unwrap();
            let json = serde_json::to_string(&preset).unwrap();
            assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), preset);
        }
        for level in [Level::Low, Level::Medium, Level::High] {
            let verdicts = Policy::presets().map(|p| p.decide("l", "c", level).unwrap().verdict);
            assert!(verdicts.is_sorted(), "{level:?}: {verdicts:?}");
        }
    }

    #[test]
    fn unknown_fields_and_bad_names_are_refused() {
        assert!(serde_json::from_str::<Policy>(r#"{"name":"a","levls":{}}"#).is_err());
        let policy = Policy { name: "two words".into(), ..Policy::standard() };
        assert!(matches!(policy.check(), Err(PolicyError::Name { .. })));
    }
}
