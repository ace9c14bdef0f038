//! The call itself, and what its outcome means for the delivery, the limits, the breaker and the account.

use std::sync::Arc;
use std::time::Duration;

use super::ledger::Settled;
use super::{Call, Done, Runner};
use crate::clock::Stopwatch;
use crate::event::{GroupId, GroupName};
use crate::outbox::delivery::{Decision, Delivery, Outcome, Refusal, RefusalScope};
use crate::outbox::holds::{Hold, HoldScope};
use crate::outbox::limiter::{Micros, micros};
use crate::outbox::pacer::GroupNo;
use crate::outbox::retry::{Judgement, Tries, judge};
use crate::storage::{AuditEntry, DeliveryState, Settlement};
use crate::telemetry::metrics::{self, SendOutcome};

impl Runner {
    /// Makes a call whose intent is committed.
    pub(super) fn start_call(&mut self, number: u64) {
        let Some(call) = self.calls.get(&number) else { return };
        let delivery = Arc::clone(&call.queued.delivery);
        let attempt = call.queued.attempts + 1;
        let deliver = self.route.as_ref().map(|route| Arc::clone(&route.deliver));
        let timeout = self.shared.config.call_timeout;
        let early = Duration::from_micros(u64::try_from(call.permit.from() - self.now()).unwrap_or(0));
        let task = self.work.spawn(async move {
            if !early.is_zero() {
                tokio::time::sleep(early).await;
            }
            let watch = Stopwatch::start();
            let outcome = match deliver {
                Some(deliver) => tokio::time::timeout(timeout, deliver.deliver(&delivery, attempt))
                    .await
                    .unwrap_or_else(|_| Outcome::Uncertain { detail: "no outcome in time".to_owned() }),
                None => no_connector(),
            };
            Done::Called { call: number, outcome, elapsed: watch.elapsed() }
        });
        self.call_tasks.insert(task.id(), number);
    }

    pub(super) fn called(&mut self, number: u64, outcome: &Outcome, elapsed: Duration) {
        let Some(Call { mut queued, key, permit, canary: _ }) = self.calls.remove(&number) else { return };
        let (now, started) = (self.now(), permit.from());
        if let Some(pacer) = &mut self.pacer {
            self.shared.book.with(|commons| pacer.complete(now, permit, commons));
        }
        self.round_trip += (micros(elapsed) - self.round_trip) / 8;
        queued.attempts += 1;
        queued.in_ledger = true;
        let made = queued.attempts.saturating_sub(queued.attempts_before);
        let tries = Tries { made, refreshed: queued.refreshed };
        let mut judged = judge(outcome, tries, &self.shared.config.retry, self.chance.draw());
        let platform = self.route.as_ref().map_or("", |route| route.platform);
        metrics::send_attempt(platform, counted_as(judged.state), elapsed);
        self.breaker.record(now, judged.health);
        self.learn(&judged, &queued.delivery, key.group(), now);
        if let Some(scope) = judged.too_often {
            self.refused(scope, &queued.delivery, key.group(), now, started);
        }
        if judged.state == DeliveryState::Pending
            && self.standing_of(&queued) == super::feed::Standing::Cancelled
        {
            judged.state = DeliveryState::Cancelled;
        }
        queued.refreshed = judged.refresh;
        queued.due = now.saturating_add(micros(judged.delay));
        let settlement = Settlement {
            id: queued.delivery.id.as_str().to_owned(),
            attempt: queued.attempts,
            at_ms: self.now_ms(),
            state: judged.state,
            due_ms: if judged.state == DeliveryState::Pending { self.wall_ms(queued.due) } else { 0 },
            code: judged.code,
            detail: judged.detail,
            platform_id: judged.platform_id,
        };
        let then = match judged.state {
            // The queue goes on only when the retry is back in it, so that replies keep their order.
            DeliveryState::Pending => Settled::Again(queued, Some(key)),
            DeliveryState::Uncertain => {
                metrics::uncertain(1);
                Settled::Ask(queued)
            }
            DeliveryState::Sending
            | DeliveryState::AwaitingConfirmation
            | DeliveryState::Sent
            | DeliveryState::Failed
            | DeliveryState::Cancelled
            | DeliveryState::Expired => Settled::Gone(queued.delivery.id.clone()),
        };
        if settlement.state == DeliveryState::Failed {
            metrics::dead_letters(1);
        }
        if !matches!(then, Settled::Again(..)) {
            self.lanes.call_ended(key);
        }
        self.settle(settlement, then);
    }

    /// Keeps quiet where the platform asked for it, and stops where a person must look.
    fn learn(&mut self, judged: &Judgement, delivery: &Delivery, group: GroupNo, now: Micros) {
        if let (Some((scope, wait)), Some(pacer)) = (judged.silence, &mut self.pacer) {
            let class = pacer.limits().class_of(&delivery.group);
            let until = now.saturating_add(micros(wait));
            match scope {
                RefusalScope::Account => pacer.delay_account(until),
                RefusalScope::Group => pacer.delay_group(group, class, until),
                RefusalScope::Delivery => {}
            }
        }
        let scope = match judged.pause {
            Some(RefusalScope::Account) => HoldScope::Account(self.account.clone()),
            Some(RefusalScope::Group) => match GroupId::parse(&delivery.group) {
                Ok(group) => HoldScope::Group(GroupName { account: self.account.clone(), group }),
                Err(_one_to_one) => HoldScope::Account(self.account.clone()),
            },
            Some(RefusalScope::Delivery) | None => return,
        };
        self.set_hold(scope, &judged.code);
    }

    /// Sets a hold in the platform's name: durable, listed, lifted by a person.
    fn set_hold(&mut self, scope: HoldScope, code: &str) {
        let holds = Arc::clone(&self.shared.holds);
        if holds.list().iter().any(|hold| hold.scope == scope && hold.kinds.is_empty()) {
            return;
        }
        let at_ms = self.now_ms();
        self.serial += 1;
        let hold = Hold {
            id: format!("hld_{at_ms:012x}_{}_{}", self.account, self.serial),
            kinds: Vec::new(),
            scope,
            reason: format!("the platform answered `{code}`: have a look, then lift this hold"),
            by: "menshen".to_owned(),
            at_ms,
            until_ms: None,
        };
        let audit = AuditEntry::by_house(at_ms, "create", "hold", &hold.id).with(&hold);
        tracing::error!(account.id = %self.account, hold.id = hold.id, code, "a platform's answer stopped the lane");
        let placed = holds.place(&hold);
        self.work.spawn(async move {
            if let Err(error) = holds.write(placed, audit).await {
                tracing::error!(%error, "write hold");
            }
            Done::Written
        });
    }
}

fn no_connector() -> Outcome {
    Outcome::Refused(Refusal {
        decision: Decision::Backoff,
        scope: RefusalScope::Account,
        code: "no_connector".to_owned(),
        detail: "the account was removed or disabled".to_owned(),
    })
}

fn counted_as(state: DeliveryState) -> SendOutcome {
    match state {
        DeliveryState::Sent => SendOutcome::Sent,
        DeliveryState::AwaitingConfirmation => SendOutcome::AwaitingConfirmation,
        DeliveryState::Uncertain => SendOutcome::Uncertain,
        DeliveryState::Pending | DeliveryState::Sending => SendOutcome::Retry,
        DeliveryState::Failed | DeliveryState::Cancelled | DeliveryState::Expired => SendOutcome::Dead,
    }
}
