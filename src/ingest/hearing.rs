//! Hands what customers say to whoever counts words. Never waits, and keeps nothing.

use super::Ingest;
use crate::directory::GroupContext;
use crate::event::{GroupEvent, Role, Status, Verdict, What};
use crate::pipeline::Decision;
use crate::statistics::listener::Place;

impl Ingest {
    /// Lets a customer's new message be counted, as members see it; what was blocked is no topic.
    pub(super) fn hear(&self, group: &GroupContext, event: &GroupEvent<'_>, decision: &Decision<'_>) {
        let What::Message(message) = &event.what else { return };
        let (answer, Some(member)) = (&decision.answer, event.member.as_deref()) else { return };
        if event.role != Role::Customer
            || answer.status != Status::Counted
            || answer.verdict == Verdict::Block
        {
            return;
        }
        let place = Place {
            account: &event.account,
            group: &event.group,
            zone: &group.time_zone,
            member,
            at_ms: decision
                .effects
                .as_ref()
                .map_or_else(|| self.clock.now_ms(), |effects| effects.head.at_ms),
        };
        self.listener.hear(&place, answer.masked.as_deref().unwrap_or(&message.text));
    }
}
