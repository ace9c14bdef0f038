//! From the lanes to a permitted call: what stops a delivery, in the order of what costs least to ask.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::{Call, Done, Forecast, Runner};
use crate::outbox::breaker::Gate;
use crate::outbox::delivery::Delivery;
use crate::outbox::lanes::{QueueKey, Queued};
use crate::outbox::limit::ClassNo;
use crate::outbox::limiter::Micros;
use crate::outbox::pacer::{Decision, GroupNo, Pacer, PastCall, Scope};
use crate::storage::{AttemptRow, DeliveryState, StorageError};
use crate::telemetry::metrics::{self, LimitLevel};

/// Whether dispatching goes on with the next delivery.
#[derive(PartialEq, Eq)]
enum Next {
    Goes,
    Waits,
}

impl Runner {
    /// Permits calls until something says wait.
    pub(super) fn dispatch(&mut self, now: Micros) {
        self.wake_at = None;
        if self.route.is_none() || self.pacer.is_none() || self.ledger.is_in_trouble() {
            return;
        }
        while self.calls.len() < self.shared.config.in_flight_max
            && self.ledger.backlog() < self.shared.config.in_flight_max.saturating_mul(4)
        {
            let canary = match self.breaker.gate(now) {
                Gate::Open => false,
                Gate::Canary => true,
                Gate::Shut(until) => {
                    self.wake_at = until;
                    return;
                }
            };
            let Some((key, head)) = self.lanes.offer() else { return };
            let delivery = Arc::clone(&head.delivery);
            if delivery.expires_ms != 0 && delivery.expires_ms <= self.shared.clock.now_ms() {
                self.finish_head(key, DeliveryState::Expired, "expired", "its time had passed");
            } else if self.shared.holds.stopping(&delivery).is_some() {
                if let Some(queued) = self.lanes.take(key) {
                    self.lanes.call_ended(key);
                    self.hold(queued);
                }
            } else if self.ask_pacer(now, key, &delivery, canary) == Next::Waits {
                return;
            }
        }
    }

    fn ask_pacer(&mut self, now: Micros, key: QueueKey, delivery: &Delivery, canary: bool) -> Next {
        let (Some(pacer), Some(route)) = (&mut self.pacer, &self.route) else { return Next::Waits };
        let cost = NonZeroU32::new(route.deliver.cost(delivery)).unwrap_or(NonZeroU32::MIN);
        let class = route.limits.class_of(&delivery.group);
        let lead = self.ledger.lead();
        let mut decision = pacer.acquire_in(now, key.group(), class, cost);
        // The intent's commit takes a while: a slot that is free by then is asked for now, so that the commit costs the
        // window nothing. The call itself waits for its moment.
        if let Decision::Wait { until: Some(at), .. } = decision
            && at <= now + lead
        {
            decision = pacer.acquire_in(at, key.group(), class, cost);
        }
        match decision {
            Decision::Granted(permit) => {
                let Some(queued) = self.lanes.take(key) else {
                    pacer.cancel(permit); // it was offered a line above
                    return Next::Goes;
                };
                self.serial += 1;
                self.calls.insert(self.serial, Call { queued, key, permit, canary });
                self.ledger.waiting.push(self.serial);
                if canary {
                    self.breaker.canary_sent();
                    return Next::Waits;
                }
                Next::Goes
            }
            Decision::Wait { scope: Scope::Group, until } => {
                match until {
                    Some(at) => {
                        metrics::limiter_waited(LimitLevel::Group, waited(now, at));
                        self.lanes.wait_until(key, at - lead);
                    }
                    None => self.lanes.wait_for_group(key),
                }
                Next::Goes
            }
            Decision::Wait { scope: Scope::Account, until } => {
                if let Some(at) = until {
                    metrics::limiter_waited(LimitLevel::Account, waited(now, at));
                }
                self.wake_at = until.map(|at| at - lead);
                Next::Waits
            }
            Decision::Never { scope } => {
                let detail = format!("it costs more than a limit of the {} allows at once", scope.as_str());
                self.finish_head(key, DeliveryState::Failed, "cost_above_limit", &detail);
                Next::Goes
            }
        }
    }

    /// Ends the life of a queue's head without a call.
    fn finish_head(&mut self, key: QueueKey, state: DeliveryState, code: &str, detail: &str) {
        let Some(queued) = self.lanes.take(key) else { return };
        self.lanes.call_ended(key);
        self.finish(&queued, state, code, detail);
    }

    /// Puts a delivery that a hold stops where the lanes do not see it. A target goes back to the ledger, so that a held
    /// broadcast of thousands does not fill the memory.
    pub(super) fn hold(&mut self, queued: Queued) {
        match &queued.delivery.broadcast {
            Some((broadcast, _)) => {
                if let Some(feed) = self.feeds.get_mut(&Some(broadcast.clone())) {
                    feed.skipped();
                }
                self.forget(&queued.delivery.id);
            }
            None => self.held.push(queued),
        }
    }

    /// Looks at everything again that a hold stopped.
    pub(super) fn holds_changed(&mut self) {
        let now = self.now();
        let held = std::mem::take(&mut self.held);
        let (stopped, free): (Vec<_>, Vec<_>) = held.into_iter().partition(|queued| {
            self.shared.holds.stopping(&queued.delivery).is_some() && !self.is_expired(queued)
        });
        self.held = stopped;
        for queued in free.into_iter().rev() {
            self.lanes.put_back(now, queued);
        }
        for feed in self.feeds.values_mut() {
            feed.rescan_skipped();
        }
    }

    pub(super) fn is_expired(&self, queued: &Queued) -> bool {
        let expires_ms = queued.delivery.expires_ms;
        expires_ms != 0 && expires_ms <= self.now_ms()
    }

    pub(super) fn look_up_route(&mut self) {
        self.route = self.shared.deliverers.route(&self.account);
    }

    /// Takes new limits over, once nothing is under way under the old ones.
    pub(super) fn account_changed(&mut self) {
        self.look_up_route();
        let limits = self.route.as_ref().map(|route| &route.limits);
        if let (Some(limits), Some(pacer)) = (limits, &self.pacer)
            && pacer.limits() != limits
        {
            self.pacer = None;
        }
    }

    /// Reads the calls of the past, so that neither a restart nor a new limit means a fresh burst.
    pub(super) fn start_rebuild(&mut self) {
        let Some(route) = &self.route else { return };
        if self.pacer.is_some() || self.rebuilding || !self.is_still() || self.ledger.is_in_trouble() {
            return;
        }
        self.rebuilding = true;
        let memory_ms = i64::try_from(route.limits.memory().as_millis()).unwrap_or(i64::MAX);
        let since_ms = self.now_ms().saturating_sub(memory_ms).saturating_sub(1000);
        let (storage, account) = (self.shared.storage.clone(), self.account.clone());
        self.work
            .spawn(async move { Done::Rebuilt(storage.attempts_since(account.as_str(), since_ms).await) });
    }

    pub(super) fn rebuilt(&mut self, attempts: Result<Vec<AttemptRow>, StorageError>) {
        self.rebuilding = false;
        self.rebuild(attempts);
        self.answer_forecasts();
    }

    fn rebuild(&mut self, attempts: Result<Vec<AttemptRow>, StorageError>) {
        let attempts = match attempts {
            Ok(attempts) => attempts,
            Err(error) => return self.ledger_failed("read attempts", &error),
        };
        let Some(route) = &self.route else { return };
        let mut pacer = Pacer::new(route.limits.clone());
        let (now, now_ms) = (self.now(), self.now_ms());
        let calls = attempts.iter().map(|row| {
            let class = route.limits.class_of(&row.group);
            past_call(self.lanes.group_no(&row.group), class, row, now, now_ms)
        });
        pacer.restore(calls.collect());
        self.pacer = Some(pacer);
    }

    /// Answers everybody who asked: with nothing where the limits or the calls of the past are not known.
    pub(super) fn answer_forecasts(&mut self) {
        for answer in std::mem::take(&mut self.asking) {
            _ = answer.send(self.forecast()); // nobody waits any more: fine
        }
    }

    fn forecast(&self) -> Option<Forecast> {
        Some(Forecast {
            pacer: self.pacer.as_ref()?.without_groups(),
            now: self.now(),
            now_ms: self.now_ms(),
            round_trip: self.round_trip,
            in_flight_max: self.shared.config.in_flight_max,
        })
    }
}

fn waited(now: Micros, until: Micros) -> Duration {
    Duration::from_micros(u64::try_from(until - now).unwrap_or(0))
}

/// Converts an attempt, in wall time, to the runner's clock, which shows `now` at `now_ms`.
///
/// The ledger keeps whole milliseconds, so an end counts one later; an end in the future (the wall clock was set back)
/// or unknown counts as now.
fn past_call(group: GroupNo, class: ClassNo, row: &AttemptRow, now: Micros, now_ms: i64) -> PastCall {
    let at = |ms: i64| now.saturating_sub(now_ms.saturating_sub(ms).saturating_mul(1000)).min(now);
    PastCall {
        group,
        class,
        started: at(row.started_ms),
        ended: row.ended_ms.map_or(now, |ms| at(ms.saturating_add(1))),
        cost: NonZeroU32::new(row.cost).unwrap_or(NonZeroU32::MIN),
    }
}
