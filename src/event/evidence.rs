//! What original text may be kept for, and under which id.
//!
//! Not for: keeping it (that is `evidence`), nor for how long (that follows from the policy).

use serde::{Deserialize, Serialize};

use super::EventKey;

/// Why original text is kept.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// A person should look at it.
    Reviewed,
    /// It was blocked.
    Blocked,
    /// Somebody brought it with an appeal.
    Reported,
    /// A short history of everything said, for trying drafts on it.
    History,
    /// A customer's question that no rule of ours answers.
    Question,
}

impl EvidenceKind {
    /// All of them, in the order of this page.
    pub const ALL: [EvidenceKind; 5] = [
        EvidenceKind::Reviewed,
        EvidenceKind::Blocked,
        EvidenceKind::Reported,
        EvidenceKind::History,
        EvidenceKind::Question,
    ];

    /// Returns the spelling on disk and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            EvidenceKind::Reviewed => "reviewed",
            EvidenceKind::Blocked => "blocked",
            EvidenceKind::Reported => "reported",
            EvidenceKind::History => "history",
            EvidenceKind::Question => "question",
        }
    }

    /// Reads the spelling on disk and in the API.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl EventKey {
    /// Derives the id under which this event's text is kept, if it is kept.
    pub fn evidence(self) -> String {
        format!("ev_{:032x}", self.0)
    }
}
