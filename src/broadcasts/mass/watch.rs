//! The background task: follows mass sends, asks about tasks, reminds, calls off; so many at a time for each account.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::desk::{Desk, Orders, Watched};
use super::job::{Done, Errand, Job, Trouble};
use super::task::{Ending, pause_ms};
use super::{Closing, Config, ms};
use crate::broadcasts::{Broadcast, Broadcasts, Control};
use crate::event::{AccountId, BroadcastId};
use crate::storage::DeliveryState;
use crate::telemetry::metrics;

impl Broadcasts {
    /// Follows confirmations until the gateway stops. A question that is cut short is asked again after the next start.
    pub(in crate::broadcasts) async fn confirm(self: Arc<Self>) {
        let tasks = self.parts.tasks.clone();
        let mut look = tokio::time::interval(self.parts.config.confirmations.look);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut work: JoinSet<Done> = JoinSet::new();
        let mut in_flight: BTreeMap<AccountId, usize> = BTreeMap::new();
        loop {
            tokio::select! {
                biased;
                () = tasks.stopping() => return,
                Some(done) = work.join_next() => match done {
                    Ok(done) => {
                        *in_flight.entry(done.job.task.account.clone()).or_insert(1) -= 1;
                        self.finished(done);
                    }
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_aborted) => return,
                },
                _ = look.tick() => self.follow_all().await,
            }
            for job in self.due(&in_flight) {
                *in_flight.entry(job.task.account.clone()).or_default() += 1;
                let broadcasts = Arc::clone(&self);
                work.spawn(async move { broadcasts.run_job(job).await });
            }
        }
    }

    async fn follow_all(&self) {
        let slots: Vec<_> = self.active.lock().values().map(Arc::clone).collect();
        let now_ms = self.parts.clock.now_ms();
        for slot in slots {
            let broadcast = slot.lock().await.broadcast.clone();
            if broadcast.mass.sends == 0 {
                continue;
            }
            if let Err(error) = self.follow(&broadcast).await {
                tracing::warn!(broadcast.id = %broadcast.id, %error, "follow mass sends"); // the next look does
            }
            if let Some(desk) = self.desks.lock().get_mut(&broadcast.id) {
                desk.orders = orders(&broadcast, now_ms);
                desk.asked.clone_from(&broadcast.mass.remind_asked);
            }
        }
        let desks = self.desks.lock();
        let waiting = desks.values().flat_map(|desk| desk.tasks.values()).filter(|task| task.waits());
        metrics::mass_tasks_waiting(waiting.count());
    }

    /// Returns what is due and may be under way at once, and marks it.
    fn due(&self, in_flight: &BTreeMap<AccountId, usize>) -> Vec<Job> {
        let config = &self.parts.config.confirmations;
        let now_ms = self.parts.clock.now_ms();
        let mut jobs: Vec<Job> = Vec::new();
        let mut started: BTreeMap<AccountId, usize> = in_flight.clone();
        for (broadcast, desk) in &mut *self.desks.lock() {
            let Desk { tasks, orders, asked } = desk;
            for (number, task) in tasks {
                let asked_ms = asked.get(number).copied().unwrap_or(0).max(orders.remind_asked_ms);
                let orders = Orders { remind_asked_ms: asked_ms, ..*orders };
                let running = started.entry(task.account.clone()).or_default();
                if *running >= config.calls_in_flight_max.max(1) {
                    continue;
                }
                let ending = orders.ending.or_else(|| overdue(task, now_ms, config));
                let Some(errand) = errand(task, orders, ending, now_ms, config) else { continue };
                *running += 1;
                task.is_busy = true;
                let (broadcast, number) = (broadcast.clone(), *number);
                jobs.push(Job { broadcast, number, errand, ending, task: task.clone() });
            }
        }
        jobs
    }

    fn finished(&self, done: Done) {
        let Done { job, outcome } = done;
        let config = &self.parts.config.confirmations;
        let now_ms = self.parts.clock.now_ms();
        let mut task = job.task;
        task.is_busy = false;
        let asked_wait = match &outcome {
            Ok(()) => None,
            Err(trouble) => {
                let (broadcast, errand) = (&job.broadcast, job.errand);
                tracing::warn!(broadcast.id = %broadcast, account.id = %task.account, ?errand, error = %trouble,
                    "a mass send's task was not followed; it is tried again");
                match trouble {
                    Trouble::Platform(error) => error.wait.map(ms),
                    Trouble::Storage(_) => None,
                }
            }
        };
        match job.errand {
            Errand::Poll => {
                task.next_ms = now_ms + pause_ms(task.polls, config).max(asked_wait.unwrap_or(0));
                task.polls = task.polls.saturating_add(1);
            }
            Errand::CallOff if outcome.is_ok() => task.next_ms = now_ms,
            Errand::CallOff => {
                let wait_ms = asked_wait.unwrap_or_else(|| pause_ms(task.polls, config));
                task.not_before_ms = task.not_before_ms.max(now_ms + wait_ms);
                task.next_ms = task.next_ms.max(task.not_before_ms);
                task.polls = task.polls.saturating_add(1);
            }
            Errand::Remind => {}
        }
        // What was not written may have been written after all: the record is read again, and nothing more is asked of
        // the platform for a while.
        let is_stale = matches!(outcome, Err(Trouble::Storage(_)));
        if is_stale {
            task.not_before_ms = now_ms + pause_ms(task.polls, config);
            task.next_ms = task.next_ms.max(task.not_before_ms);
        }
        let mut desks = self.desks.lock();
        if let Some(place) = desks.get_mut(&job.broadcast).and_then(|desk| desk.tasks.get_mut(&job.number)) {
            *place = task;
        }
    }

    /// Says whether every mass send of a broadcast is known to have ended, and if so what is left to tell of them.
    pub(in crate::broadcasts) fn closing(&self, broadcast: &Broadcast) -> Option<Closing> {
        if broadcast.mass.sends == 0 {
            return Some(Closing::default());
        }
        let desks = self.desks.lock();
        let desk = desks.get(&broadcast.id)?;
        let open = |task: &Watched| {
            matches!(
                task.state,
                DeliveryState::Pending
                    | DeliveryState::Sending
                    | DeliveryState::Uncertain
                    | DeliveryState::AwaitingConfirmation
            )
        };
        if desk.tasks.len() < broadcast.mass.sends as usize || desk.tasks.values().any(open) {
            return None;
        }
        let owners = super::view::owners(desk);
        Some(Closing { confirmed: owners.confirmed, reminded: owners.reminded })
    }

    /// Forgets the tasks of a broadcast: it is closed.
    pub(in crate::broadcasts) fn forget(&self, broadcast: &BroadcastId) {
        self.desks.lock().remove(broadcast);
    }
}

fn orders(broadcast: &Broadcast, now_ms: i64) -> Orders {
    let is_late = broadcast.expires_ms != 0 && broadcast.expires_ms <= now_ms;
    Orders {
        ending: match broadcast.control {
            Control::Cancelled => Some(Ending::Cancelled),
            Control::Draft | Control::Submitted | Control::Running | Control::Paused | Control::Stopped => {
                is_late.then_some(Ending::Expired)
            }
        },
        is_paused: matches!(broadcast.control, Control::Paused | Control::Stopped),
        remind_asked_ms: broadcast.mass.remind_asked_ms,
    }
}

fn overdue(task: &Watched, now_ms: i64, config: &Config) -> Option<Ending> {
    (now_ms - task.created_ms >= ms(config.wait_max)).then_some(Ending::Expired)
}

/// Returns when a task is called off if its owner does not confirm it.
pub(super) fn called_off_at(broadcast: &Broadcast, created_ms: i64, config: &Config) -> i64 {
    let longest = created_ms.saturating_add(ms(config.wait_max));
    if broadcast.expires_ms == 0 { longest } else { longest.min(broadcast.expires_ms) }
}

/// Says what is due for a task.
fn errand(
    task: &Watched,
    orders: Orders,
    ending: Option<Ending>,
    now_ms: i64,
    config: &Config,
) -> Option<Errand> {
    if task.is_busy || task.state != DeliveryState::AwaitingConfirmation {
        return None;
    }
    if now_ms >= task.not_before_ms {
        if ending.is_some() && task.record.called_off_ms.is_none() {
            return Some(Errand::CallOff);
        }
        // While it is paused nobody is pressed, but for those a person asks for.
        let steps = if orders.is_paused { &[] } else { config.remind_after.0.as_slice() };
        let is_due =
            task.record.reminder_is_due(task.created_ms, orders.remind_asked_ms, steps, now_ms, config);
        // Nobody is reminded of what may be confirmed already: a question goes before.
        if ending.is_none() && is_due && task.polls > 0 {
            return Some(Errand::Remind);
        }
    }
    (task.next_ms <= now_ms).then_some(Errand::Poll)
}
