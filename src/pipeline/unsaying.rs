//! What does not count as activity after all: a message that members never saw, or that its writer took back.

use super::{Arrival, Decision, PartitionState, Setting};
use crate::dedupe;
use crate::event::{EventKey, Fact, GroupEvent, Role, UnsaidBy, UnsaidFact, Verdict, What};

impl Decision<'_> {
    /// Notes a message that is not shown, and one that is taken back: in the hour it was said.
    pub(super) fn unsay(
        &mut self,
        state: &PartitionState,
        setting: &Setting<'_>,
        event: &GroupEvent<'_>,
        arrival: &Arrival,
    ) {
        if event.role == Role::Bot {
            return;
        }
        let (hour, by) = match &event.what {
            What::Message(_) if self.answer.verdict == Verdict::Block && setting.can_withhold => {
                let at_ms = event.at_ms.unwrap_or(arrival.now_ms);
                (Some(dedupe::bucket_of(at_ms)), UnsaidBy::Us)
            }
            What::MessageRecalled { of: Some(of) } => {
                let key = EventKey::of(&arrival.secret, &event.account, &event.group, of);
                (state.dedupe.hour_of(key), UnsaidBy::Member)
            }
            What::Message(_)
            | What::MessageEdited { .. }
            | What::MessageRecalled { .. }
            | What::MemberJoined { .. }
            | What::MemberLeft { .. }
            | What::ContactAdded { .. }
            | What::GroupCreated(_)
            | What::GroupUpdated(_)
            | What::OwnerChanged(_)
            | What::GroupDismissed
            | What::ConsentChanged { .. }
            | What::Outcome { .. }
            | What::RosterRead(_)
            | What::Silence { .. }
            | What::ContactRemoved { .. }
            | What::TagsChanged { .. }
            | What::LateVerdict { .. }
            | What::Due
            | What::Pardoned { .. }
            | What::Expelled { .. } => return,
        };
        if let Some(hour) = hour {
            self.fact(|| Fact::Unsaid(UnsaidFact { hour, by, undone: false }));
        }
    }
}
