//! Hands texts that are to be kept to the evidence store. Never waits: the acknowledgement does not depend on it.

use super::Ingest;
use crate::event::GroupEvent;
use crate::evidence::{Kept, Original};
use crate::pipeline::Decision;

impl Ingest {
    /// Keeps the text of a message whose decision says so.
    pub(super) fn keep(&self, event: &GroupEvent<'_>, decision: &Decision<'_>) {
        let (Some(keep), Some(effects)) = (decision.evidence, &decision.effects) else { return };
        let Some(message) = event.what.message() else { return };
        self.evidence.keep(&Original {
            key: effects.head.key,
            account: &event.account,
            group: &event.group,
            member: event.member.as_deref(),
            at_ms: effects.head.at_ms,
            kind: keep.kind,
            expires_ms: keep.expires_ms,
            kept: Kept::judged(&message.text, event.role, &decision.answer),
        });
    }
}
