//! What alerts are told.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::Own;

/// Longest subject, part of a place or person, in bytes.
pub const NAME_BYTES_MAX: usize = 400;
/// Longest explanation in one language, in bytes; the rest is cut off.
pub const TEXT_BYTES_MAX: usize = 500;

/// What an alert is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertKind)]
pub enum Kind {
    /// Many customers leave.
    LeaveSurge,
    /// Rules hit more often than usual.
    HitSpike,
    /// Negative words.
    NegativeWords,
    /// Nobody speaks any more.
    DeadGroup,
    /// Hardly anybody fits in.
    GroupNearlyFull,
    /// A platform tells us nothing any more: not protected.
    SilentCallback,
    /// Sends fail.
    SendFailures,
    /// Sends wait for a person.
    UnconfirmedSends,
    /// Questions without an answer.
    UnansweredQuestions,
    /// A rule hits more or less often than it should.
    RuleOutOfBand,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 10] = [
        Kind::LeaveSurge,
        Kind::HitSpike,
        Kind::NegativeWords,
        Kind::DeadGroup,
        Kind::GroupNearlyFull,
        Kind::SilentCallback,
        Kind::SendFailures,
        Kind::UnconfirmedSends,
        Kind::UnansweredQuestions,
        Kind::RuleOutOfBand,
    ];

    /// Returns the word of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::LeaveSurge => "leave_surge",
            Kind::HitSpike => "hit_spike",
            Kind::NegativeWords => "negative_words",
            Kind::DeadGroup => "dead_group",
            Kind::GroupNearlyFull => "group_nearly_full",
            Kind::SilentCallback => "silent_callback",
            Kind::SendFailures => "send_failures",
            Kind::UnconfirmedSends => "unconfirmed_sends",
            Kind::UnansweredQuestions => "unanswered_questions",
            Kind::RuleOutOfBand => "rule_out_of_band",
        }
    }
}

/// One fact: a key has one alert at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// What it is about.
    pub kind: Kind,
    /// What it happened to: a group, an account, a rule.
    pub subject: Arc<str>,
}

/// Where it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// The account, if it is one account's; of a storm, that of its first.
    pub account: Option<String>,
    /// The group, if it is one group's.
    pub group: Option<String>,
    /// The brand, if known.
    pub brand: Option<String>,
    /// The region, if known.
    pub region: Option<String>,
    /// The shop, if known.
    pub shop: Option<String>,
}

/// Why it is an alert, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

/// Whether there is something to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// There is.
    Raised,
    /// There is not, or no more.
    Cleared,
}

/// A look at one fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Which.
    pub key: Key,
    /// What was found.
    pub condition: Condition,
    /// How bad it is: more is worse.
    pub value: u64,
    /// Why, for people.
    pub explanation: Explanation,
    /// Where.
    pub place: Place,
    /// How its alert lives, where not as all others do.
    pub own: Option<Arc<Own>>,
    /// When it was looked, in milliseconds since the epoch. The same key at the same time is the same look.
    pub at_ms: i64,
}

/// What alerts are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Something was looked at.
    Observed(Observed),
    /// A person knows of an alert and sees to it.
    Acknowledge {
        /// Which.
        number: u64,
        /// Who.
        by: String,
        /// When, in milliseconds since the epoch.
        at_ms: i64,
    },
    /// A person is to see to an alert.
    Assign {
        /// Which.
        number: u64,
        /// Who.
        to: String,
        /// When, in milliseconds since the epoch.
        at_ms: i64,
    },
    /// Time goes by.
    Tick,
}

impl Observed {
    /// Says whether it can be remembered as it is: names are identities, so none is cut.
    pub(super) fn fits(&self) -> bool {
        let Self { key, condition: _, value: _, explanation: _, place, own: _, at_ms: _ } = self;
        let Place { account, group, brand, region, shop } = place;
        let place = [account, group, brand, region, shop].map(Option::as_deref);
        let names = place.into_iter().chain([Some(&*key.subject)]);
        names.flatten().all(is_name)
    }
}

impl Explanation {
    pub(super) fn cut(mut self) -> Self {
        for text in [&mut self.zh, &mut self.en] {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        }
        self
    }
}

pub(super) fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
}
