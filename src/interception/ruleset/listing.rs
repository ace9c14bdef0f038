//! What a ruleset has, for whoever asks: its lists in numbers, a term as it was listed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::interception::audience::{ListScope, Roles, Speaker, moment};
use crate::interception::detectors::{self, DETECTORS};
use crate::interception::life::Life;
use crate::interception::mask;
use crate::interception::wordlist::Origin;

/// What hits can be hits of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// Listed terms.
    #[default]
    Wordlist,
    /// Rules: terms together, over several messages, patterns.
    RuleSet,
    /// Contact details and numbers, recognised by their form.
    Detectors,
}

/// A wordlist of a ruleset, or what else has hits, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ListSummary {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub kind: ListKind,
    /// Where it is kept.
    pub origin: Origin,
    /// Whether its terms are shown only by their first character.
    #[serde(default)]
    pub masked: bool,
    /// Terms that can match; of a set of rules its rules, of the detectors what they know.
    pub terms: usize,
    /// Allow phrases that can match.
    pub allow: usize,
    /// In which state of its life it is.
    pub life: Life,
    /// Which groups it applies to.
    pub scope: ListScope,
    /// Whose texts it applies to; everyone's when empty.
    #[schema(value_type = Vec<Speaker>)]
    pub roles: Roles,
    /// From then on (RFC 3339).
    #[serde(with = "moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_from: Option<i64>,
    /// Before then (RFC 3339).
    #[serde(with = "moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<i64>,
}

/// A term as listed.
#[derive(Clone, Copy, Debug)]
pub(in crate::interception) struct Listed<'r> {
    pub(in crate::interception) wordlist: &'r str,
    pub(in crate::interception) category: &'r str,
    pub(in crate::interception) text: &'r str,
    pub(in crate::interception) line: u32,
    pub(in crate::interception) masked: bool,
}

impl<'r> Listed<'r> {
    /// Returns the term as it may be displayed.
    pub(in crate::interception) fn shown(&self) -> Cow<'r, str> {
        shown(self.text, self.masked)
    }
}

/// Returns a term or an allow phrase as it may be displayed.
pub fn shown(text: &str, masked: bool) -> Cow<'_, str> {
    if masked { Cow::Owned(mask::hint(text)) } else { Cow::Borrowed(text) }
}

impl ListSummary {
    /// The detectors, which are in every ruleset.
    pub(super) fn detectors() -> Self {
        Self {
            name: DETECTORS.to_owned(),
            kind: ListKind::Detectors,
            origin: Origin::Shipped,
            masked: false,
            terms: detectors::Kind::ALL.len(),
            allow: 0,
            life: Life::Live,
            scope: ListScope::default(),
            roles: Roles::default(),
            valid_from: None,
            valid_until: None,
        }
    }
}
