//! From the lanes to a permitted call: what stops a delivery, in the order of what costs least to ask.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::{Call, Forecast, Runner};
use crate::outbox::breaker::Gate;
use crate::outbox::delivery::{Delivery, Priority};
use crate::outbox::gate::Opens;
use crate::outbox::lanes::{QueueKey, Queued};
use crate::outbox::limiter::Micros;
use crate::outbox::pacer::{Decision, Scope, Wish};
use crate::storage::DeliveryState;
use crate::telemetry::metrics::{self, LimitLevel};

/// Whether dispatching goes on with the next delivery.
#[derive(PartialEq, Eq)]
enum Next {
    Goes,
    /// Nothing of this urgency can go now.
    Waits,
    Stops,
}

/// What waits for its turn where accounts share a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waits {
    urgent: bool,
    others: bool,
}

/// Urgent calls may be under way beside as many others as there may be: one more for each of so many.
const URGENT_BESIDE: usize = 16;

impl Runner {
    /// Permits calls until something says wait.
    pub(super) fn dispatch(&mut self, now: Micros) {
        self.wake_at = None;
        let waits = self.dispatch_all(now);
        self.rest(waits);
    }

    /// Leaves its place to others wherever it does not wait for one.
    pub(super) fn rest(&mut self, waits: Waits) {
        let before = std::mem::replace(&mut self.waits, waits);
        if (before.urgent && !waits.urgent) || (before.others && !waits.others) {
            self.shared.book.with(|commons| commons.rest(self.number, waits.urgent, waits.others));
        }
    }

    fn dispatch_all(&mut self, now: Micros) -> Waits {
        let mut waits = Waits::default();
        if self.route.is_none() || self.pacer.is_none() || self.is_outdated || self.ledger.is_in_trouble() {
            return waits;
        }
        let in_flight_max = self.shared.config.in_flight_max;
        let mut only_urgent = false;
        loop {
            // A call whose outcome is not written yet is under way for the ledger: a crash now makes it uncertain.
            let under_way = self.calls.len() + self.ledger.backlog();
            if under_way >= in_flight_max + in_flight_max / URGENT_BESIDE {
                return waits;
            }
            only_urgent |= under_way >= in_flight_max;
            let canary = match self.breaker.gate(now) {
                Gate::Open => false,
                Gate::Canary => true,
                Gate::Shut(until) => {
                    self.wake_at = until;
                    return waits;
                }
            };
            let offered = if only_urgent { self.lanes.offer_urgent() } else { self.lanes.offer() };
            let Some((key, head)) = offered else { return waits };
            let delivery = Arc::clone(&head.delivery);
            if delivery.expires_ms != 0 && delivery.expires_ms <= self.shared.clock.now_ms() {
                self.finish_head(key, DeliveryState::Expired, "expired", "its time had passed");
            } else if self.shared.holds.stopping(&delivery).is_some() {
                if let Some(queued) = self.lanes.take(key) {
                    self.lanes.call_ended(key);
                    self.hold(queued);
                }
            } else if self.gate(&delivery) != Opens::Now {
                if let Some(queued) = self.lanes.take(key) {
                    self.lanes.call_ended(key);
                    self.shut_out(&queued.delivery);
                }
            } else {
                let is_urgent = delivery.priority == Priority::Urgent;
                match self.ask_pacer(now, key, &delivery, canary, &mut waits) {
                    Next::Goes => {}
                    // What is reserved for urgent calls, or who goes first between accounts, may still let those through.
                    Next::Waits if !is_urgent => only_urgent = true,
                    Next::Waits | Next::Stops => return waits,
                }
            }
        }
    }

    fn ask_pacer(
        &mut self,
        now: Micros,
        key: QueueKey,
        delivery: &Delivery,
        canary: bool,
        waits: &mut Waits,
    ) -> Next {
        let (Some(pacer), Some(route)) = (&mut self.pacer, &self.route) else { return Next::Stops };
        let cost = NonZeroU32::new(route.deliver.cost(delivery)).unwrap_or(NonZeroU32::MIN);
        let class = route.limits.class_of(&delivery.group);
        let is_urgent = delivery.priority == Priority::Urgent;
        let wish = Wish { group: key.group(), class, cost, is_urgent };
        let lead = self.ledger.lead();
        let decision = self.shared.book.with(|commons| {
            // The intent's commit takes a while: a slot that is free by then is asked for now, so that the commit costs
            // the window nothing. The call itself waits for its moment.
            match pacer.acquire(now, wish, commons) {
                Decision::Wait { until: Some(at), .. } if at <= now + lead => {
                    pacer.acquire(at, wish, commons)
                }
                decision @ (Decision::Granted(_) | Decision::Wait { .. } | Decision::Never { .. }) => {
                    decision
                }
            }
        });
        match decision {
            Decision::Granted(permit) => {
                let Some(queued) = self.lanes.take(key) else {
                    // It was offered a line above.
                    self.shared.book.with(|commons| pacer.cancel(permit, commons));
                    return Next::Goes;
                };
                self.serial += 1;
                self.calls.insert(self.serial, Call { queued, key, permit, canary });
                self.ledger.waiting.push(self.serial);
                if canary {
                    self.breaker.canary_sent();
                    return Next::Stops;
                }
                Next::Goes
            }
            Decision::Wait { scope, until } => {
                if let Some(at) = until {
                    metrics::limiter_waited(counted_as(scope), waited(now, at));
                }
                if matches!(scope, Scope::App | Scope::Corp) {
                    *(if is_urgent { &mut waits.urgent } else { &mut waits.others }) = true;
                }
                self.wait(key, scope, until.map(|at| at - lead))
            }
            Decision::Never { scope } => {
                let detail = format!("it costs more than a limit of the {} allows at once", scope.as_str());
                self.finish_head(key, DeliveryState::Failed, "cost_above_limit", &detail);
                Next::Goes
            }
        }
    }

    /// Notes when a queue's head may go, or when the account may.
    fn wait(&mut self, key: QueueKey, scope: Scope, until: Option<Micros>) -> Next {
        match (scope, until) {
            (Scope::Group, Some(at)) => self.lanes.wait_until(key, at),
            (Scope::Group, None) => self.lanes.wait_for_group(key),
            (Scope::Account | Scope::App | Scope::Corp, at) => {
                self.wake_at = self.wake_at.into_iter().chain(at).min();
                return Next::Waits;
            }
        }
        Next::Goes
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
        let in_ms = |at_ms: i64| at_ms.saturating_sub(self.now_ms()).saturating_mul(1000);
        self.hold_ends = self.shared.holds.next_end_ms().map(|at_ms| now.saturating_add(in_ms(at_ms)));
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

    /// Answers everybody who asked: with nothing where the limits or the calls of the past are not known.
    pub(super) fn answer_forecasts(&mut self) {
        for answer in std::mem::take(&mut self.asking) {
            _ = answer.send(self.forecast()); // nobody waits any more: fine
        }
    }

    /// Of an account that is not connected nobody can say when anything leaves.
    fn forecast(&self) -> Option<Forecast> {
        self.route.as_ref()?;
        let pacer = self.pacer.as_ref()?;
        Some(Forecast {
            outlook: self.shared.book.with(|commons| pacer.outlook(commons)),
            now: self.now(),
            now_ms: self.now_ms(),
            round_trip: self.round_trip,
            in_flight_max: self.shared.config.in_flight_max,
        })
    }
}

/// Returns the label of a level.
pub(super) fn counted_as(scope: Scope) -> LimitLevel {
    match scope {
        Scope::Account => LimitLevel::Account,
        Scope::Group => LimitLevel::Group,
        Scope::App => LimitLevel::App,
        Scope::Corp => LimitLevel::Corp,
    }
}

fn waited(now: Micros, until: Micros) -> Duration {
    Duration::from_micros(u64::try_from(until - now).unwrap_or(0))
}
