//! Policies: which wordlists apply, and what follows from a hit of each category.
//!
//! A policy is plain, serialisable and edited by operators; it knows lists and categories by name, so it outlives
//! any ruleset. The verdict about a text is the most severe verdict of its surviving hits.
//!
//! `policy/inherit.rs` lays policies of brand, region, shop, tags and group over each other, `policy/book.rs` keeps all
//! of a ruleset, `policy/written.rs` reads and writes what has more than one form.

mod book;
mod inherit;
mod written;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use book::{PolicyBook, PolicyExplanation};
pub use inherit::{Assigned, EffectivePolicy, Layer, LayerKind, Part, PolicyOrigin};
use written::{strictness_if, strictness_of};

use super::content::ContentPolicy;
use super::keeping::Keeping;
use super::wordlist::{NAME_BYTES_MAX, is_name};
use crate::conduct::ladder::Ladder;
use crate::event::{Level, Verdict};
use crate::template::Template;

/// The name of the policy that applies where none is chosen.
pub const POLICY_DEFAULT: &str = "standard";

/// What follows from a hit where no policy says otherwise.
const LEVELS: LevelVerdicts =
    LevelVerdicts { low: Some(Verdict::Pass), medium: Some(Verdict::Review), high: Some(Verdict::Block) };

/// The severest verdict on a variant where no policy says otherwise.
const VARIANT_VERDICT_MAX: Verdict = Verdict::Review;

/// Which wordlists apply and what follows from a hit. What is left out is inherited (see `policy/inherit.rs`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Unique among policies.
    pub name: String,
    /// The wordlists that apply, each as its name or with what the policy says of it; empty means all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wordlists: Option<Vec<WordlistRule>>,
    /// What follows from a hit, by its level.
    #[serde(default, skip_serializing_if = "LevelVerdicts::is_empty")]
    pub levels: LevelVerdicts,
    /// Exceptions by category.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<String, CategoryRule>,
    /// Which disguises count, where a category or a list says nothing else. `"strict": true` of earlier versions is
    /// read too.
    #[serde(
        default,
        alias = "strict",
        deserialize_with = "strictness_of",
        skip_serializing_if = "Option::is_none"
    )]
    pub strictness: Option<Strictness>,
    /// The severest verdict on a hit that matched only as a variant (another sound, another look, …): such a hit may
    /// be a mistake, so by default nothing that cannot be taken back follows from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant_verdict_max: Option<Verdict>,
    /// A two-character term as written counts only where ordinary words do not explain its characters: not in
    /// 研究生命 for 生命. Off by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_words: Option<bool>,
    /// Sounds that dialects merge count as one (n and l, zh and z, in and ing) where the strictness is `strict`. On by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialects: Option<bool>,
    /// How messages of staff are treated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staff: Option<StaffRule>,
    /// Groups with one of these tags are judged by it. A tag has one policy.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// Platforms that are to stop, in what staff send, the terms that this policy would (the ones it would block are
    /// stopped, those it would mask or review are warned about). Not inherited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub push_down: Vec<PushDown>,
    /// Which original texts are kept, and for how long; none unless said so here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Keeping>,
    /// What follows from what a message carries beside its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentPolicy>,
    /// What follows when a customer's messages are held up again and again; nothing unless said here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Ladder>,
}

/// A wordlist that applies. Written as its name, or as an object with what else the policy says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, utoipa::ToSchema)]
pub struct WordlistRule {
    /// The list.
    pub name: String,
    /// Another strictness than the policy's.
    pub strictness: Option<Strictness>,
    /// Other verdicts than the policy's, by level.
    pub levels: LevelVerdicts,
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

/// What follows from a hit, by its level; what is left out is inherited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LevelVerdicts {
    /// For [`Level::Low`]; `pass` where nothing says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<Verdict>,
    /// For [`Level::Medium`]; `review` where nothing says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<Verdict>,
    /// For [`Level::High`]; `block` where nothing says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<Verdict>,
}

impl LevelVerdicts {
    /// Says all three.
    pub fn of(low: Verdict, medium: Verdict, high: Verdict) -> Self {
        Self { low: Some(low), medium: Some(medium), high: Some(high) }
    }

    /// Says whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn at(self, level: Level) -> Option<Verdict> {
        match level {
            Level::Low => self.low,
            Level::Medium => self.medium,
            Level::High => self.high,
        }
    }
}

/// What a policy says about one category; what it leaves out follows from the list and the level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryRule {
    /// Another level than the list gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Another verdict than the level gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Another strictness than the policy's. `"strict": true` of earlier versions is read too.
    #[serde(
        default,
        alias = "strict",
        deserialize_with = "strictness_if",
        skip_serializing_if = "Option::is_none"
    )]
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
    /// What follows where any reader would call it the same word.
    pub(super) verdict: Verdict,
    /// What follows where it matched only as a variant.
    pub(super) variant_verdict: Verdict,
    /// Which disguises count.
    pub(super) strictness: Strictness,
    /// A two-character term must be a word of its own.
    pub(super) whole_words: bool,
    /// Sounds that dialects merge count as one.
    pub(super) dialects: bool,
    /// Counted apart, without effect.
    pub(super) is_shadow: bool,
}

/// What is said of the hits of one list, beside what is said of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ListRule {
    pub(super) strictness: Option<Strictness>,
    /// By the policy.
    pub(super) levels: LevelVerdicts,
    /// By the list itself.
    pub(super) verdict: Option<Verdict>,
}

/// What is said of the hits of one term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TermRule {
    pub(super) level: Option<Level>,
    pub(super) verdict: Option<Verdict>,
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
    /// Two policies for the groups of one tag.
    #[error("policies `{policy}` and `{other}` both have the tag `{tag}`; a tag has one policy")]
    Tag {
        /// The policy.
        policy: String,
        /// The other one.
        other: String,
        /// The tag.
        tag: String,
    },
    /// What it says of keeping texts makes no sense.
    #[error("policy `{policy}`: evidence: {reason}")]
    Evidence {
        /// The policy.
        policy: String,
        /// What is wrong and what would be right.
        reason: &'static str,
    },
    /// Its ladder makes no sense.
    #[error("policy `{policy}`: ladder: {reason}")]
    Ladder {
        /// The policy.
        policy: String,
        /// What is wrong and what would be right.
        reason: String,
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
        let levels = LevelVerdicts::of(Verdict::Pass, Verdict::Pass, Verdict::Mask);
        Self::preset("relaxed", levels, Strictness::Relaxed)
    }

    /// High hits are blocked, medium ones reviewed, low ones counted.
    pub fn standard() -> Self {
        Self::preset(POLICY_DEFAULT, LEVELS, Strictness::Standard)
    }

    /// For our own broadcasts and for groups under attack: low hits are reviewed, the rest is blocked, and
    /// separators are looked through without limit.
    pub fn strict() -> Self {
        let levels = LevelVerdicts::of(Verdict::Review, Verdict::Block, Verdict::Block);
        Self::preset("strict", levels, Strictness::Strict)
    }

    /// Returns the built-in policies.
    pub fn presets() -> [Self; 3] {
        [Self::relaxed(), Self::standard(), Self::strict()]
    }

    fn preset(name: &str, levels: LevelVerdicts, strictness: Strictness) -> Self {
        Self { name: name.to_owned(), levels, strictness: Some(strictness), ..Self::default() }
    }

    /// Returns the highest strictness that any part of it names.
    pub(super) fn strictness_max(&self) -> Strictness {
        let categories = self.categories.values().filter_map(|rule| rule.strictness);
        let lists = self.wordlists.iter().flatten().filter_map(|rule| rule.strictness);
        categories.chain(lists).fold(self.strictness.unwrap_or_default(), Strictness::max)
    }

    /// Returns what the policy says of a wordlist; `None` where it does not apply.
    pub(super) fn wordlist(&self, name: &str) -> Option<ListRule> {
        let rules = self.wordlists.as_deref().unwrap_or_default();
        if rules.is_empty() {
            return Some(ListRule::default());
        }
        let rule = rules.iter().find(|rule| rule.name == name)?;
        Some(ListRule { strictness: rule.strictness, levels: rule.levels, verdict: None })
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// At the first name that is none.
    pub fn check(&self) -> Result<(), PolicyError> {
        let lists = self.wordlists.iter().flatten().map(|rule| &rule.name);
        let mut names =
            std::iter::once(&self.name).chain(lists).chain(self.categories.keys()).chain(&self.tags);
        match names.find(|name| !is_name(name)) {
            Some(name) => Err(PolicyError::Name { policy: self.name.clone(), name: name.clone() }),
            None => {
                self.check_push_down().and_then(|()| self.check_evidence()).and_then(|()| self.check_ladder())
            }
        }
    }

    fn check_ladder(&self) -> Result<(), PolicyError> {
        let Some(ladder) = &self.ladder else { return Ok(()) };
        let wrong = |reason| PolicyError::Ladder { policy: self.name.clone(), reason };
        ladder.check().map_err(wrong)?;
        for (nth, step) in ladder.steps.iter().enumerate() {
            let text = step.text.as_deref().unwrap_or_default();
            Template::parse(text).map_err(|error| wrong(format!("`steps[{nth}].text`: {error}")))?;
        }
        Ok(())
    }

    fn check_evidence(&self) -> Result<(), PolicyError> {
        let wrong = |reason| PolicyError::Evidence { policy: self.name.clone(), reason };
        self.evidence.as_ref().map_or(Ok(()), Keeping::check).map_err(wrong)
    }

    fn check_push_down(&self) -> Result<(), PolicyError> {
        if self.push_down.is_empty() {
            return Ok(());
        }
        let wrong = |reason| Err(PolicyError::PushDown { policy: self.name.clone(), reason });
        if self.staff == Some(StaffRule::Exempt) {
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

    /// Decides about what no term entry speaks of: a detection, a rule. `None` where the policy leaves the list out.
    pub(super) fn decide_for(&self, list: &str, category: &str, level: Level) -> Option<Decision> {
        let rule = self.wordlist(list)?;
        Some(self.decide(category, level, rule, TermRule::default()))
    }

    /// Says whether the list applies.
    pub(super) fn applies(&self, list: &str) -> bool {
        self.wordlist(list).is_some()
    }

    /// Decides about a hit of a list that applies. What names the hit most exactly decides: the term itself, then the
    /// policy's word on its category, then on its list, then the list's own, then the policy's on everything.
    pub(super) fn decide(&self, category: &str, level: Level, list: ListRule, own: TermRule) -> Decision {
        let rule = self.categories.get(category).copied().unwrap_or_default();
        let level = own.level.or(rule.level).unwrap_or(level);
        let by_list = || list.levels.at(level).or(list.verdict);
        let by_level = || self.levels.at(level).or(LEVELS.at(level));
        let verdict = own.verdict.or(rule.verdict).or_else(by_list).or_else(by_level).unwrap_or_default();
        let strictness = rule.strictness.or(list.strictness).or(self.strictness).unwrap_or_default();
        Decision {
            level,
            verdict,
            variant_verdict: verdict.min(self.variant_verdict_max.unwrap_or(VARIANT_VERDICT_MAX)),
            strictness,
            whole_words: self.whole_words.unwrap_or(false),
            dialects: self.dialects.unwrap_or(true),
            is_shadow: false,
        }
    }
}

#[cfg(test)]
mod tests;
