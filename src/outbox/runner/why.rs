//! Why a delivery has not left yet, as far as its runner knows: the account first, then the delivery's own place.
//!
//! Looks only: asking changes nothing that is sent. A question costs one look through what is in memory, which is bounded.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::Runner;
use crate::event::DeliveryId;
use crate::outbox::breaker::{Circuit, Gate};
use crate::outbox::delivery::{Delivery, Priority};
use crate::outbox::lanes::Spot;
use crate::outbox::limiter::Micros;
use crate::outbox::pacer::{GroupNo, Wish};
use crate::outbox::why::Wait;

impl Runner {
    /// Says what must come about before a delivery leaves, the account's reasons first; holds aside, which everybody can
    /// look up.
    pub(super) fn why(&mut self, delivery: &Delivery) -> Vec<Wait> {
        let (now, id) = (self.now(), &delivery.id);
        if let Some((number, _)) = self.calls.iter().find(|(_, call)| call.queued.delivery.id == *id) {
            let is_called = !self.ledger.waits_for_intent(*number);
            return vec![if is_called { Wait::Calling } else { Wait::Recording }];
        }
        if self.resolving_now.contains_key(id) {
            return vec![Wait::Asking { until_ms: None }];
        }
        let later = self.resolving.iter().find(|(_, (queued, _))| queued.delivery.id == *id);
        if let Some(((at, _), _)) = later {
            return vec![Wait::Asking { until_ms: Some(self.wall_ms(*at)) }];
        }
        let mut waits = self.account_waits(now);
        if self.held.iter().any(|queued| queued.delivery.id == *id) {
            return waits;
        }
        match self.lanes.spot(id) {
            Some(Spot::Later(due)) => waits.push(Wait::Retry { until_ms: self.wall_ms(due) }),
            Some(Spot::BehindCall) => waits.push(Wait::SameGroup),
            Some(Spot::BehindRetry) => waits.push(Wait::InOrder),
            Some(Spot::Lent) => waits.push(Wait::Recording),
            Some(Spot::Asleep) => waits.extend(self.limit_wait(now, delivery)),
            Some(Spot::Ready { ahead }) => {
                waits.extend(self.limit_wait(now, delivery));
                waits.push(Wait::Turn { ahead });
            }
            None => {
                waits.extend(self.limit_wait(now, delivery));
                waits.push(Wait::NotRead);
            }
        }
        waits
    }

    /// Looks for a delivery in memory: what an event asked for is in the ledger only once it is called.
    pub(super) fn find(&self, id: &DeliveryId) -> Option<Arc<Delivery>> {
        let called = self.calls.values().map(|call| &call.queued);
        let all = called.chain(&self.held).chain(self.lanes.all());
        all.map(|queued| &queued.delivery).find(|delivery| delivery.id == *id).cloned()
    }

    /// What stops everything of the account.
    fn account_waits(&mut self, now: Micros) -> Vec<Wait> {
        let mut waits = Vec::new();
        if self.is_parking {
            waits.push(Wait::Stopping);
        }
        if self.ledger.is_fenced() {
            waits.push(Wait::Fenced);
        } else if self.ledger.is_in_trouble() {
            waits.push(Wait::LedgerFailed { until_ms: self.ledger.retry_at().map(|at| self.wall_ms(at)) });
        }
        if self.route.is_none() {
            waits.push(Wait::NoConnector);
        } else if self.pacer.is_none() {
            waits.push(Wait::ReadingPastCalls);
        }
        if self.breaker.circuit() != Circuit::Closed
            && let Gate::Shut(until) = self.breaker.gate(now)
        {
            waits.push(Wait::CircuitOpen { until_ms: until.map(|at| self.wall_ms(at)) });
        }
        let max = self.shared.config.in_flight_max;
        if self.calls.len() >= max {
            waits.push(Wait::CallsUnderWay { max });
        }
        waits
    }

    /// Which limit has no room for it, if one has none.
    fn limit_wait(&mut self, now: Micros, delivery: &Delivery) -> Option<Wait> {
        let (pacer, route) = (self.pacer.as_mut()?, self.route.as_ref()?);
        let cost = NonZeroU32::new(route.deliver.cost(delivery)).unwrap_or(NonZeroU32::MIN);
        let class = route.limits.class_of(&delivery.group);
        // A group that nothing was sent to has spent nothing.
        let group = self.lanes.known_group(&delivery.group).unwrap_or(GroupNo(u32::MAX));
        let wish = Wish { group, class, cost, is_urgent: delivery.priority == Priority::Urgent };
        let short = self.shared.book.with(|commons| pacer.shortage(now, wish, commons))?;
        let until_ms = short.until.map(|at| self.wall_ms(at));
        Some(Wait::Limit { level: short.level, limit: short.limit.map(|limit| limit.to_string()), until_ms })
    }
}
