//! Whether a message's text is to be kept: a decision, as a value. Sealing and storing it is the caller's.
//!
//! Invariant: nothing is kept that the policy does not name, and nothing at all unless the configuration allows it.

use std::borrow::Cow;
use std::time::Duration;

use super::{Decision, Limits, Setting, millis};
use crate::event::{EvidenceFact, EvidenceKind, Fact, GroupEvent, Role, Verdict};
use crate::interception::Keeping;

const DAY_MS: i64 = 24 * crate::event::HOUR_MS;

/// What the configuration allows to be kept; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepingLimits {
    /// Texts may be kept at all.
    pub enabled: bool,
    /// Also those of a policy's history.
    pub history: bool,
    /// How long, where a policy names no days.
    pub life: Duration,
    /// How far the history reaches back, where a policy names no hours.
    pub history_life: Duration,
}

impl KeepingLimits {
    /// Returns when a text of this kind that is kept now is erased.
    pub fn expires_ms(&self, keeping: &Keeping, kind: EvidenceKind, now_ms: i64) -> i64 {
        let life_ms = match kind {
            EvidenceKind::History => keeping
                .history_hours
                .map_or(millis(self.history_life), |hours| i64::from(hours) * crate::event::HOUR_MS),
            EvidenceKind::Reviewed
            | EvidenceKind::Blocked
            | EvidenceKind::Reported
            | EvidenceKind::Question => {
                keeping.days.map_or(millis(self.life), |days| i64::from(days) * DAY_MS)
            }
        };
        now_ms.saturating_add(life_ms)
    }
}

/// A text that is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// What for.
    pub kind: EvidenceKind,
    /// When it is erased.
    pub expires_ms: i64,
}

impl Decision<'_> {
    /// Decides whether the text is kept, once the verdict stands. What was held up leaves a fact, so that a review can
    /// say that its text should have been there; the history leaves none, since it would be one for each message, nor do
    /// questions, whose texts are found by the event.
    pub(super) fn keep(&mut self, limits: &Limits, setting: &Setting<'_>, event: &GroupEvent<'_>) {
        let (limits, all_questions) = (&limits.evidence, limits.questions.keep_text);
        let Some(policy) = setting.policy.filter(|_| limits.enabled) else { return };
        if event.what.message().is_none_or(|message| message.text.is_empty()) || event.role == Role::Bot {
            return;
        }
        let nothing = Keeping::default();
        let keeping = policy.evidence.as_ref().unwrap_or(&nothing);
        let held_up = match self.answer.verdict {
            Verdict::Review => Some(EvidenceKind::Reviewed),
            Verdict::Block => Some(EvidenceKind::Blocked),
            Verdict::Pass | Verdict::Mask => None,
        };
        let held_up = held_up.filter(|kind| keeping.keeps(*kind));
        let history = (limits.history && keeping.history).then_some(EvidenceKind::History);
        let question = (all_questions || keeping.keeps(EvidenceKind::Question)) && self.is_question();
        let kind = held_up.or(question.then_some(EvidenceKind::Question)).or(history);
        let (Some(kind), Some(effects)) = (kind, &mut self.effects) else { return };
        let expires_ms = limits.expires_ms(keeping, kind, effects.head.arrived_ms);
        if held_up.is_some() {
            let id = Cow::Owned(effects.head.key.evidence());
            effects.facts.push(Fact::Evidence(EvidenceFact { id, expires_ms }));
        }
        self.evidence = Some(Keep { kind, expires_ms });
    }
}
