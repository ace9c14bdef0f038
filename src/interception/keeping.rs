//! What a policy says of keeping original text: which messages, for how long. Nothing, unless it says so.
//!
//! Not for: keeping it (that is `evidence`), nor whether the gateway may keep anything (that is its configuration).

use serde::{Deserialize, Serialize};

use crate::event::EvidenceKind;

/// Longest life of a kept text, in days.
const DAYS_MAX: u16 = 90;
/// Longest text history, in hours.
const HISTORY_HOURS_MAX: u16 = 168;

/// Which original texts are kept under a policy, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keeping {
    /// Of `reviewed`, `blocked` and `reported` messages and of a `question` that no rule answers; empty for none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<EvidenceKind>,
    /// Days they are kept, 1 to 90; the configuration's `evidence.life` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u16>,
    /// Also keep every message for a short time, so that drafts can be tried on them; needs `evidence.history`.
    #[serde(skip_serializing_if = "is_false")]
    pub history: bool,
    /// Hours that history reaches back, 1 to 168; the configuration's `evidence.history_life` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_hours: Option<u16>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Keeping {
    /// Says whether nothing is kept.
    pub fn is_nothing(&self) -> bool {
        self.keep.is_empty() && !self.history
    }

    /// Says whether texts of a kind are kept.
    pub fn keeps(&self, kind: EvidenceKind) -> bool {
        match kind {
            EvidenceKind::History => self.history,
            EvidenceKind::Reviewed
            | EvidenceKind::Blocked
            | EvidenceKind::Reported
            | EvidenceKind::Question => self.keep.contains(&kind),
        }
    }

    /// Checks what types cannot; says what would be right.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.keep.contains(&EvidenceKind::History) {
            return Err(
                "`keep` takes `reviewed`, `blocked`, `reported` and `question`; for all messages say `history: true`",
            );
        }
        if self.days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
            return Err("`days` must be 1 to 90");
        }
        if self.history_hours.is_some_and(|hours| !(1..=HISTORY_HOURS_MAX).contains(&hours)) {
            return Err("`history_hours` must be 1 to 168");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_unless_the_policy_says_so() {
        let none = Keeping::default();
        assert!(none.is_nothing() && EvidenceKind::ALL.into_iter().all(|kind| !none.keeps(kind)));
        let some: Keeping = serde_json::from_str(r#"{"keep":["blocked"],"days":3}"#).unwrap();
        assert!(some.keeps(EvidenceKind::Blocked) && !some.keeps(EvidenceKind::History));
        assert_eq!(some.check(), Ok(()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            r#"{"keep":["history"]}"#,
            r#"{"days":0}"#,
            r#"{"days":91}"#,
            r#"{"history":true,"history_hours":169}"#,
        ] {
            assert!(serde_json::from_str::<Keeping>(wrong).unwrap().check().is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<Keeping>(r#"{"keep":["everything"]}"#).is_err());
    }
}
