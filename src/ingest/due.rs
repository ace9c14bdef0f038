//! Brings what was put off to its moment: greetings of those who joined together, ends of mutes.
//!
//! What waits, and until when, stands in the partitions' durable state; here an event is made of each moment that has come,
//! and the pipeline decides what follows. Its id is the moment, so a second look at the same moment is a repeat.

use std::time::Duration;

use super::Ingest;
use crate::connectors::EventSink;
use crate::event::{GroupEvent, Role, RosterStep, StateKind, What};
use crate::tasks::Tasks;

/// How often it is looked for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is taken of one partition in one look; the rest follows in the next.
const DUE_MAX: usize = 200;

impl Ingest {
    /// Looks for what is due until the gateway stops. Cancel safe: what was not taken is found again.
    pub async fn watch_due(&self, tasks: Tasks) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = tasks.stopping() => return,
            }
            let events = self.due();
            if events.is_empty() {
                continue;
            }
            if let Err(error) = EventSink::take(self, events).await {
                tracing::warn!(%error, "what is due could not be decided; tried again");
            }
        }
    }

    fn due(&self) -> Vec<GroupEvent<'static>> {
        let now_ms = self.clock.now_ms();
        let due = self
            .partitions
            .each_state(|state| state.small.due(now_ms).take(DUE_MAX).filter_map(event).collect::<Vec<_>>());
        due.into_iter().flatten().collect()
    }
}

fn event((kind, key, at_ms): (StateKind, &str, i64)) -> Option<GroupEvent<'static>> {
    let mut place = key.splitn(3, '\u{1f}').map(str::to_owned);
    let (account, group, member) = (place.next()?, place.next()?, place.next());
    // Of two members whose moment is the same each has an event.
    let whose =
        member.as_ref().map(|member| format!("-{:016x}", RosterStep::mark(member))).unwrap_or_default();
    Some(GroupEvent {
        id: format!("due-{kind:?}-{at_ms}{whose}").to_lowercase().into(),
        account: account.into(),
        group: group.into(),
        member: member.map(Into::into),
        name: None,
        role: Role::Bot,
        at_ms: None,
        step: None,
        what: What::Due,
    })
}
