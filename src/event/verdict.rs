//! What we decide about a message, and the answer to whoever brought it.

use serde::{Deserialize, Serialize};

/// The decision about a text; ordered from mild to severe.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing to do.
    #[default]
    Pass,
    /// Shown with the hit replaced.
    Mask,
    /// A person should look.
    Review,
    /// Refused, or withdrawn where the platform allows it.
    Block,
}

/// How serious a category is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth counting.
    Low,
    /// Worth a look.
    Medium,
    /// Worth stopping.
    High,
}

/// By which folding a hit matched, beyond the literal text.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Upper and lower case.
    Case,
    /// Full and half width.
    Width,
    /// Styled letters and digits (①, 𝐀).
    Style,
    /// Traditional and simplified characters.
    Traditional,
    /// Separators between the characters.
    Gap,
    /// Another character of the same sound.
    Homophone,
    /// Typed in pinyin.
    Pinyin,
    /// Components written apart (拆字).
    Split,
    /// Another character of the same look.
    Shape,
    /// A picture for a word.
    Emoji,
    /// First letters of the syllables.
    Initials,
    /// Digits and signs for letters (v1p).
    Leet,
    /// Two neighbours changed places.
    Swapped,
    /// A character written several times.
    Repeat,
}

impl Via {
    /// Says whether it leads to other words than the listed one, so that a hit by it may be a mistake; foldings of the
    /// same characters and what stands between them do not.
    pub fn is_variant(self) -> bool {
        match self {
            Via::Case | Via::Width | Via::Style | Via::Traditional | Via::Gap | Via::Repeat => false,
            Via::Homophone
            | Via::Pinyin
            | Via::Split
            | Via::Shape
            | Via::Emoji
            | Via::Initials
            | Via::Leet
            | Via::Swapped => true,
        }
    }
}

/// One listed term found in a text, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hit {
    /// The wordlist the term is from.
    pub wordlist: String,
    /// Its category.
    pub category: String,
    /// How serious the category is.
    pub level: Level,
    /// The term as listed.
    pub term: String,
    /// The part of the original text that matched. Echoed to the caller, stored nowhere.
    pub matched: String,
    /// Where, in bytes of the original text, half-open.
    pub span: [usize; 2],
    /// By which foldings it matched; empty for a literal hit.
    pub via: Vec<Via>,
    /// How sure it is that the term was meant, in percent: 100 for all that any reader would call the same word.
    #[serde(default = "certain")]
    pub confidence: u8,
}

fn certain() -> u8 {
    100
}

/// What is asked of a platform because of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Withdraw the message.
    Recall,
    /// Tell the member to stop.
    Warn,
    /// Keep the member from speaking for a time.
    Mute,
    /// Take the member out of the group. Irreversible: budgeted.
    Remove,
    /// Let the member speak again.
    Unmute,
    /// Forget what the member did: a person says so. Nothing is asked of the platform.
    Pardon,
}

impl ActionKind {
    /// Returns the word of it, as deliveries name it.
    pub fn as_str(self) -> &'static str {
        match self {
            ActionKind::Recall => "recall",
            ActionKind::Warn => "warn",
            ActionKind::Mute => "mute",
            ActionKind::Remove => "remove",
            ActionKind::Unmute => "unmute",
            ActionKind::Pardon => "pardon",
        }
    }
}

/// One action in the answer to the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Action {
    /// What is asked.
    pub kind: ActionKind,
    /// `queued`, or `unsupported` where the platform cannot do it.
    pub state: String,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// New, and now part of the numbers.
    #[default]
    Counted,
    /// Seen before: judged again, no effect.
    Duplicate,
    /// Older than the dedupe window: recorded apart.
    Late,
}

/// The answer to one event, in the shape of `POST /v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Answer {
    /// The event's id.
    pub id: String,
    /// The decision.
    pub verdict: Verdict,
    /// Which ruleset decided.
    pub ruleset: String,
    /// What became of the event.
    pub status: Status,
    /// Every surviving hit.
    pub hits: Vec<Hit>,
    /// What is asked of the platform.
    pub actions: Vec<Action>,
    /// The text with the hits replaced, when the verdict is `mask`.
    pub masked: Option<String>,
}
