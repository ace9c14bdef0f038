//! A reply rule as operators write it, and what is checked of it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::guard::{ANSWERS_MAX, ANSWERS_WINDOW_MAX};
use super::matching;
use crate::event::{BrandId, RegionId, ShopId};
use crate::hours::Window;
use crate::interception::{self, moment};
use crate::reach::Plan;
use crate::template::{Template, TemplateError};

/// How keywords must stand in the message. The order is that of the answers: an earlier kind goes before a later one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MatchKind {
    /// The whole message is one of the keywords.
    Exact,
    /// Every keyword stands in the message.
    AllOf,
    /// Every keyword stands in the message, with at most `within` characters between the first and the last.
    Near,
    /// One of the keywords, read as regular expressions over the folded text, matches.
    Regex,
    /// The message begins with one of the keywords.
    StartsWith,
    /// One of the keywords stands anywhere in the message.
    #[default]
    Contains,
}

/// Whether a rule speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It answers.
    #[default]
    Live,
    /// It is counted how often it would have answered; it says nothing and stands in nobody's way.
    Shadow,
    /// In its places nothing is said about its topic; its keywords and texts play no part.
    Silent,
}

/// When a rule answers with `text`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum BusinessHours {
    /// `"shop"`: while the group's shop is open. A shop whose hours nobody wrote down counts as open.
    Shop(ShopHours),
    /// In these hours, in the group's own time zone.
    Windows(Vec<Window>),
}

/// The word for the opening hours of the group's shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShopHours {
    /// See [`BusinessHours::Shop`].
    Shop,
}

/// One rule, as operators write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// What asks the rule. A keyword that stands in a list of synonyms stands for all of that list.
    #[schema(required = true)]
    pub keywords: Vec<String>,
    /// How they must stand.
    #[serde(rename = "match")]
    pub match_kind: MatchKind,
    /// With `near`: most folded characters between the first and the last keyword.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<usize>,
    /// Only when the message mentions us or a staff member of the group by @.
    pub only_mentioned: bool,
    /// What is answered; may hold variables such as `{shop.hours}`.
    #[schema(required = true)]
    pub text: String,
    /// Further answers: a group hears them in turn.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<String>,
    /// When it answers; always when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<BusinessHours>,
    /// What is answered outside `hours`; nothing when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_text: Option<String>,
    /// It hands the member's talk over to staff: they are told, whatever keeps the rule silent, and no rule answers the member
    /// in the group for `replies.hand_over_quiet`.
    pub hand_over: bool,
    /// Among rules that were asked alike, the greater goes first.
    pub priority: i32,
    /// How long the rule is silent in a group after it answered there, in seconds.
    pub cooldown_s: u64,
    /// How long the rule is silent towards a member it answered, in seconds.
    pub cooldown_member_s: u64,
    /// How long every rule is silent in a group after this one answered there, in seconds.
    pub cooldown_group_s: u64,
    /// From then on it answers (RFC 3339, or a day for its midnight in China).
    #[serde(with = "moment", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_from: Option<i64>,
    /// From then on it no longer answers (RFC 3339, or a day for its midnight in China).
    #[serde(with = "moment", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<i64>,
    /// In groups of these brands. Brands, regions and shops add up; all empty for everywhere.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub brands: BTreeSet<BrandId>,
    /// In groups of these regions.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub regions: BTreeSet<RegionId>,
    /// In groups of these shops.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub shops: BTreeSet<ShopId>,
    /// Only in groups with one of these tags; empty for all.
    pub tags: BTreeSet<String>,
    /// What it is about. Of the rules of one topic only the closest takes part in a group: a shop's own before its
    /// region's, before its brand's, before everybody's; with a tag before without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Whether it speaks.
    pub mode: Mode,
    /// Switched off without being deleted.
    pub enabled: bool,
    /// When it was written; the gateway sets it. Among rules that were asked alike the newer goes first.
    #[serde(with = "moment", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub written_at: Option<i64>,
}

/// Words that stand for each other in keywords.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SynonymList {
    /// Two at least.
    pub words: Vec<String>,
}

impl SynonymList {
    /// Checks a list as it comes from outside.
    ///
    /// # Errors
    /// Names what is wrong with it.
    pub fn check(&self, config: &Config) -> Result<(), RuleError> {
        many("words", self.words.len(), config.keywords_max)?;
        if self.words.len() < 2 {
            return Err(RuleError::Together("words: name two at least"));
        }
        match self.words.iter().find(|word| matching::folded(word).is_empty()) {
            Some(word) => Err(RuleError::Keyword(word.clone())),
            None => Ok(()),
        }
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            keywords: Vec::new(),
            match_kind: MatchKind::default(),
            within: None,
            only_mentioned: false,
            text: String::new(),
            variants: Vec::new(),
            hours: None,
            closed_text: None,
            hand_over: false,
            priority: 0,
            cooldown_s: 60,
            cooldown_member_s: 0,
            cooldown_group_s: 0,
            valid_from: None,
            valid_until: None,
            brands: BTreeSet::new(),
            regions: BTreeSet::new(),
            shops: BTreeSet::new(),
            tags: BTreeSet::new(),
            topic: None,
            mode: Mode::default(),
            enabled: true,
            written_at: None,
        }
    }
}

/// Limits of reply rules.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Rules in all.
    pub rules_max: usize,
    /// Keywords of one rule, its synonyms counted.
    pub keywords_max: usize,
    /// Texts of one rule.
    pub variants_max: usize,
    /// Longest answer, in bytes.
    pub text_bytes_max: usize,
    /// Longest silence after an answer.
    #[serde(with = "crate::units::duration")]
    pub cooldown_max: Duration,
    /// Staff members are answered too.
    pub answer_staff: bool,
    /// Answers that one member may get in one group within the window; after that something is amiss, such as another
    /// program that answers us; 0 for any number.
    #[serde(deserialize_with = "answers_max")]
    pub member_answers_max: usize,
    /// The window.
    #[serde(serialize_with = "crate::units::duration::serialize", deserialize_with = "answers_window")]
    pub member_answers_window: Duration,
    /// How long no rule answers a member whose talk was handed over to staff.
    #[serde(with = "crate::units::duration")]
    pub hand_over_quiet: Duration,
    /// An answer that could not be sent within this time is not sent: it would puzzle the group.
    #[serde(with = "crate::units::duration")]
    pub expiry: Duration,
}

fn answers_max<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let max = usize::deserialize(from)?;
    if max > ANSWERS_MAX {
        return Err(D::Error::custom(format!("{max}: no more than the last {ANSWERS_MAX} are remembered")));
    }
    Ok(max)
}

fn answers_window<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let window = crate::units::de_duration(from)?;
    if window > ANSWERS_WINDOW_MAX {
        return Err(D::Error::custom("longer than an hour: answers are not remembered for longer"));
    }
    Ok(window)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rules_max: 5_000,
            keywords_max: 200,
            variants_max: 10,
            text_bytes_max: 4_000,
            cooldown_max: Duration::from_hours(7 * 24),
            answer_staff: false,
            member_answers_max: 6,
            member_answers_window: Duration::from_mins(10),
            hand_over_quiet: Duration::from_mins(30),
            expiry: Duration::from_mins(5),
        }
    }
}

/// Why a rule cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No keyword is left after folding.
    #[error("keyword `{0}` has nothing to match: it is only spaces or signs")]
    Keyword(String),
    /// A regular expression.
    #[error("keyword `{keyword}`: {reason}")]
    Pattern {
        /// As it was written.
        keyword: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// More than allowed.
    #[error("{what}: {count}, at most {max}")]
    Many {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many may be.
        max: usize,
    },
    /// Fields that do not go together.
    #[error("{0}")]
    Together(&'static str),
    /// A text's variables.
    #[error("{field}: {error}")]
    Text {
        /// Which text.
        field: String,
        /// What is wrong with it.
        error: TemplateError,
    },
}

/// The texts of a rule, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    /// Said in turn; one at least.
    pub(super) open: Vec<Template>,
    /// Outside the hours.
    pub(super) closed: Option<Template>,
}

impl Texts {
    /// Returns all of them.
    pub fn all(&self) -> impl Iterator<Item = &Template> {
        self.open.iter().chain(&self.closed)
    }
}

impl Rule {
    /// Checks a rule as it comes from outside.
    ///
    /// # Errors
    /// Names what is wrong with it.
    pub fn check(&self, config: &Config, words: &interception::Config) -> Result<Texts, RuleError> {
        many("keywords", self.keywords.len(), config.keywords_max)?;
        many("texts", 1 + self.variants.len(), config.variants_max)?;
        for text in std::iter::once(&self.text).chain(&self.variants).chain(&self.closed_text) {
            many("bytes of text", text.len(), config.text_bytes_max)?;
        }
        let longest = self.cooldown_s.max(self.cooldown_member_s).max(self.cooldown_group_s);
        let longest = usize::try_from(longest).unwrap_or(usize::MAX);
        many(
            "seconds of silence",
            longest,
            usize::try_from(config.cooldown_max.as_secs()).unwrap_or(usize::MAX),
        )?;
        if self.keywords.is_empty() && self.mode != Mode::Silent {
            return Err(RuleError::Keyword(String::new()));
        }
        for keyword in &self.keywords {
            if self.match_kind == MatchKind::Regex {
                matching::pattern(keyword, words)?;
            } else if matching::folded(keyword).is_empty() {
                return Err(RuleError::Keyword(keyword.clone()));
            }
        }
        self.check_together()?;
        let read = |field: String, text: &str| {
            Template::parse(text).map_err(|error| RuleError::Text { field, error })
        };
        let mut open = vec![read("text".to_owned(), &self.text)?];
        for (i, text) in self.variants.iter().enumerate() {
            open.push(read(format!("variants[{i}]"), text)?);
        }
        let closed =
            self.closed_text.as_deref().map(|text| read("closed_text".to_owned(), text)).transpose()?;
        Ok(Texts { open, closed })
    }

    fn check_together(&self) -> Result<(), RuleError> {
        let wrong = if self.within.is_some() != (self.match_kind == MatchKind::Near) {
            "within: goes with `match` `near`, which needs it: how many characters may stand between the keywords"
        } else if self.match_kind == MatchKind::Near && self.keywords.len() < 2 {
            "keywords: `near` needs two at least"
        } else if self.closed_text.is_some() && self.hours.is_none() {
            "closed_text: says something outside `hours`, which is missing"
        } else if matches!(&self.hours, Some(BusinessHours::Windows(windows)) if windows.is_empty()) {
            "hours: name one at least, or leave them out for always"
        } else if matches!((self.valid_from, self.valid_until), (Some(from), Some(until)) if from >= until) {
            "valid_until: is not after `valid_from`"
        } else if self.topic.as_deref().is_some_and(|topic| topic.is_empty() || topic.len() > 128) {
            "topic: 1 to 128 bytes"
        } else if self.mode == Mode::Silent && self.topic.is_none() {
            "mode: `silent` needs a `topic`: about what nothing is said"
        } else if self.mode != Mode::Silent && self.text.is_empty() {
            "text: is empty"
        } else {
            return Ok(());
        };
        Err(RuleError::Together(wrong))
    }

    /// Says whether it says something.
    pub fn is_live(&self) -> bool {
        self.enabled && self.mode == Mode::Live
    }

    /// Returns for which groups it is.
    pub fn plan(&self) -> Plan {
        Plan {
            brands: self.brands.clone(),
            regions: self.regions.clone(),
            shops: self.shops.clone(),
            tags: self.tags.clone(),
        }
    }
}

pub(super) fn many(what: &'static str, count: usize, max: usize) -> Result<(), RuleError> {
    if count > max { Err(RuleError::Many { what, count, max }) } else { Ok(()) }
}
