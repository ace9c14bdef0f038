//! Brings what was put off to its moment: greetings of those who joined together, steps of journeys, ends of mutes.
//!
//! What waits, and until when, stands in the partitions' durable state; here an event is made of each group's moment that
//! has come, and the pipeline decides what follows. The id of a greeting is its moment, so a second look at it is a repeat.
//! Of journeys many members may wait for one moment and not all are taken in one go, so there each look has an id of its
//! own: that nobody is told twice rests on the state, where whoever was told stands a step further.

use std::time::Duration;

use super::Ingest;
use crate::conduct::ladder::Record;
use crate::connectors::EventSink;
use crate::event::{GroupEvent, Role, RosterStep, StateKind, What};
use crate::journeys::{Glance, Instance, Journeys};
use crate::pipeline::Small;
use crate::tasks::Tasks;

/// How often it is looked for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is taken of each kind and partition in one look; the rest follows in the next.
const DUE_MAX: usize = 200;

/// Versions of the journeys for which every member stands where they should; `None` before the first look.
#[derive(Default)]
struct Settled(Option<Vec<(Box<str>, i64)>>);

impl Ingest {
    /// Looks for what is due until the gateway stops. Cancel safe: what was not taken is found again.
    pub async fn watch_due(&self, tasks: Tasks) {
        let mut settled = Settled::default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = tasks.stopping() => return,
            }
            let mut events = self.due();
            events.extend(self.rewritten(&mut settled));
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
        let due = self.partitions.each_state(|state| {
            let bursts = state.small.due(StateKind::Burst, now_ms).take(DUE_MAX);
            let bursts = bursts.filter_map(|(group, at_ms)| event(group, format!("due-burst-{at_ms}")));
            // Of an account that is gone nothing can be decided, and it must stand in nobody's way.
            let steps = state.small.due(StateKind::Journey, now_ms).filter(|(group, _)| self.knows(group));
            let steps = steps.take(DUE_MAX);
            let steps =
                steps.filter_map(|(group, at_ms)| event(group, format!("due-journey-{at_ms}-{now_ms}")));
            let mutes = state.small.due(StateKind::Ladder, now_ms).filter(|(group, _)| self.knows(group));
            let mutes = mutes.flat_map(|(group, _)| ends_of_mutes(&state.small, group, now_ms)).take(DUE_MAX);
            bursts.chain(steps).chain(mutes).collect::<Vec<_>>()
        });
        due.into_iter().flatten().collect()
    }

    /// After journeys were changed: looks once at everybody under way, for those whose next step would now come earlier
    /// than their moment, or whose journey is gone.
    fn rewritten(&self, settled: &mut Settled) -> Vec<GroupEvent<'static>> {
        let (rules, now_ms) = (self.rules.load_full(), self.clock.now_ms());
        let versions = rules.journeys.versions();
        if settled.0.as_ref() == Some(&versions) {
            return Vec::new();
        }
        let window = rules.limits.journeys.together_window;
        let groups = self.partitions.each_state(|state| {
            let groups = state.small.groups(StateKind::Journey).filter(|group| {
                self.knows(group) && self.stands_wrong(&rules.journeys, window, &state.small, group, now_ms)
            });
            let groups = groups.take(DUE_MAX);
            groups.filter_map(|group| event(group, format!("due-rewritten-{now_ms}"))).collect::<Vec<_>>()
        });
        let events: Vec<_> = groups.into_iter().flatten().collect();
        if events.is_empty() {
            settled.0 = Some(versions);
        }
        events
    }

    fn stands_wrong(
        &self,
        journeys: &Journeys,
        window: Duration,
        small: &Small,
        group: &str,
        now_ms: i64,
    ) -> bool {
        let Some(context) = parts(group).and_then(|(account, group)| self.directory.context(account, group))
        else {
            return false;
        };
        small.of_group(StateKind::Journey, group, None, now_ms).any(|(_, value)| {
            let Some(glance) = Glance::of(value) else { return false };
            let Some(journey) = journeys.get(glance.journey) else { return true };
            if journey.version_ms == glance.version_ms {
                return false;
            }
            let Some(instance) = Instance::from_bytes(value) else { return true };
            journey.next(&instance).is_none_or(|step| {
                journey.moment(step, instance.started_ms, &context.time_zone, window) < instance.due_ms
            })
        })
    }

    fn knows(&self, group: &str) -> bool {
        parts(group).is_some_and(|(account, group)| self.directory.context(account, group).is_some())
    }
}

/// Makes an event of each member of a group who may speak again: what is asked of the platform names the member.
fn ends_of_mutes(small: &Small, group: &str, now_ms: i64) -> Vec<GroupEvent<'static>> {
    let records = small.of_group(StateKind::Ladder, group, None, now_ms);
    let over = records.filter_map(|(member, value)| {
        let due_ms = Record::due(value).filter(|due_ms| *due_ms <= now_ms)?;
        let id = format!("due-mute-{due_ms}-{:016x}", RosterStep::mark(member));
        Some(GroupEvent { member: Some(member.to_owned().into()), ..event(group, id)? })
    });
    over.take(DUE_MAX).collect()
}

/// Takes the key of a group apart into its account and its id.
fn parts(group: &str) -> Option<(&str, &str)> {
    group.split_once('\u{1f}')
}

fn event(group: &str, id: String) -> Option<GroupEvent<'static>> {
    let (account, group) = parts(group)?;
    Some(GroupEvent {
        id: id.into(),
        account: account.to_owned().into(),
        group: group.to_owned().into(),
        member: None,
        name: None,
        role: Role::Bot,
        at_ms: None,
        step: None,
        what: What::Due,
    })
}

#[cfg(test)]
mod tests;
