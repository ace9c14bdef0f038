//! What does not count as activity after all: a message that members never saw, or that its writer took back.

use std::borrow::Cow;

use super::{Arrival, Decision, PartitionState, Setting};
use crate::dedupe;
use crate::event::{EventKey, Fact, GroupEvent, OverturnedFact, Role, UnsaidBy, UnsaidFact, Verdict, What};

impl<'e> Decision<'e> {
    /// Notes that a verdict was wrong: what members never saw counts as activity all the same.
    pub(super) fn overturn(
        &mut self,
        setting: &Setting<'_>,
        said_ms: i64,
        blocked: bool,
        wordlists: &'e [Cow<'_, str>],
    ) {
        let hour = dedupe::bucket_of(said_ms);
        if blocked && setting.can_withhold {
            self.fact(|| Fact::Unsaid(UnsaidFact { hour, by: UnsaidBy::Us, undone: true }));
        }
        if !wordlists.is_empty() {
            let wordlists = wordlists.iter().map(|list| Cow::Borrowed(&**list)).collect();
            self.fact(|| Fact::Overturned(OverturnedFact { hour, wordlists }));
        }
    }

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
            | What::SegmentRead(_)
            | What::Pardoned { .. }
            | What::Expelled { .. }
            | What::Overturned { .. } => return,
        };
        if let Some(hour) = hour {
            self.fact(|| Fact::Unsaid(UnsaidFact { hour, by, undone: false }));
        }
    }
}
