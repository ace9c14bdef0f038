//! Counts what happens in groups by region, for dashboards. The figures are in storage; these start at 0 with the process.

use super::Ingest;
use crate::directory::GroupContext;
use crate::event::{EventType, Fact, GroupEvent, RegionId, Role, Status};
use crate::pipeline::Decision;
use crate::telemetry::metrics::regions::{self, Happened};

impl Ingest {
    /// Lets an event that was decided be counted, where counting is apart from deciding.
    pub(super) fn observe(&self, group: &GroupContext, event: &GroupEvent<'_>, decision: &Decision<'_>) {
        self.hear(group, event, decision);
        tally(group, decision);
    }
}

/// Counts an event that counts, in its group's region.
fn tally(group: &GroupContext, decision: &Decision<'_>) {
    let Some(effects) = decision.effects.as_ref() else { return };
    let head = &effects.head;
    if head.status != Status::Counted || head.group.is_empty() {
        return;
    }
    let is = |what: EventType| u64::from(head.what == what && head.role != Role::Bot);
    let mut happened = Happened {
        messages: is(EventType::Message),
        joins: is(EventType::MemberJoined),
        leaves: is(EventType::MemberLeft),
        ..Happened::default()
    };
    for fact in &effects.facts {
        if let Fact::Hit(_) = fact {
            happened.hits += 1;
        } else if let Fact::Talk(talk) = fact {
            happened.questions += u64::from(talk.question.is_some());
        } else if let Fact::Answered(answered) = fact {
            happened.answered += answered.questions.len() as u64;
        }
    }
    regions::happened(group.place.region.as_ref().map(RegionId::as_str), &happened);
}
