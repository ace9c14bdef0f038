//! What someone may do, as a small set.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing a token may be allowed to do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub enum Right {
    /// Bring events.
    #[serde(rename = "events:write")]
    EventsWrite,
    /// Have texts judged without effect.
    #[serde(rename = "moderate")]
    Moderate,
    /// Create, pause, resume and cancel broadcasts; send notices; repeat dead letters.
    #[serde(rename = "broadcasts:write")]
    BroadcastsWrite,
    /// Release broadcasts that wait for a second person.
    #[serde(rename = "broadcasts:approve")]
    BroadcastsApprove,
    /// Change wordlists, policies, replies, welcomes and welcome templates.
    #[serde(rename = "rules:write")]
    RulesWrite,
    /// Read members' original texts that were kept, try drafts on them. Every reading is audited.
    #[serde(rename = "evidence:read")]
    EvidenceRead,
    /// Approve or deny what waits for a person.
    #[serde(rename = "reviews:decide")]
    ReviewsDecide,
    /// Read everything within the scope, but no original texts.
    #[serde(rename = "read")]
    Read,
    /// Accounts, directory, operators, tokens, stopping and resuming outbound acts, owners of groups and ways into them.
    #[serde(rename = "admin")]
    Admin,
    /// Bring verdicts on messages that were answered already.
    #[serde(rename = "verdicts:write")]
    VerdictsWrite,
}

impl Right {
    /// Every right, in the order of this page.
    pub const ALL: [Right; 10] = [
        Right::EventsWrite,
        Right::Moderate,
        Right::BroadcastsWrite,
        Right::BroadcastsApprove,
        Right::RulesWrite,
        Right::EvidenceRead,
        Right::ReviewsDecide,
        Right::Read,
        Right::Admin,
        Right::VerdictsWrite,
    ];

    /// Returns the spelling of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Right::EventsWrite => "events:write",
            Right::Moderate => "moderate",
            Right::BroadcastsWrite => "broadcasts:write",
            Right::BroadcastsApprove => "broadcasts:approve",
            Right::RulesWrite => "rules:write",
            Right::EvidenceRead => "evidence:read",
            Right::ReviewsDecide => "reviews:decide",
            Right::Read => "read",
            Right::Admin => "admin",
            Right::VerdictsWrite => "verdicts:write",
        }
    }

    /// Reads the spelling of the API.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.as_str() == text)
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of rights; written as a list. None implies another.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(from = "Vec<Right>", into = "Vec<Right>")]
#[schema(value_type = Vec<Right>)]
pub struct Rights(u16);

impl Rights {
    /// Every right there is.
    pub fn all() -> Self {
        Right::ALL.into_iter().collect()
    }

    /// Says whether the right is in the set.
    pub fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Says whether nothing is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns what is in both sets.
    #[must_use]
    pub fn and(self, other: Rights) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the first right that `outer` lacks.
    pub fn beyond(self, outer: Rights) -> Option<Right> {
        Vec::from(self).into_iter().find(|right| !outer.has(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

impl From<Vec<Right>> for Rights {
    fn from(rights: Vec<Right>) -> Self {
        rights.into_iter().collect()
    }
}

impl From<Rights> for Vec<Right> {
    fn from(rights: Rights) -> Self {
        Right::ALL.into_iter().filter(|right| rights.has(*right)).collect()
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(Vec::from(*self).iter().map(|right| right.as_str())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spelling_is_read_back_everywhere() {
        for right in Right::ALL {
            assert_eq!(Right::parse(right.as_str()), Some(right));
            assert_eq!(serde_json::to_value(right).unwrap(), right.as_str());
        }
    }

    #[test]
    fn no_right_implies_another() {
        for right in Right::ALL {
            let alone = Rights::from_iter([right]);
            for other in Right::ALL {
                assert_eq!(alone.has(other), right == other);
            }
        }
        assert_eq!(Rights::all().beyond(Rights::from_iter([Right::Read])), Some(Right::EventsWrite));
        assert_eq!(Rights::default().beyond(Rights::default()), None);
    }
}
