//! What the runner writes: intents before calls, outcomes after them, each kind one commit at a time for all that waits.
//!
//! While a commit fails, nothing new is permitted and the same outcomes are offered again: sends fail closed.

use std::sync::Arc;

use super::feed::Standing;
use super::{Call, Done, Runner};
use crate::outbox::gate::Opens;
use crate::outbox::lanes::{QueueKey, Queued};
use crate::outbox::limiter::{Micros, micros};
use crate::outbox::rows::row_of;
use crate::storage::{DeliveryRow, DeliveryState, Intent, Settlement, StorageError};

/// Queues in front of the ledger.
#[derive(Default)]
pub(super) struct Ledger {
    /// Calls whose intent is not written yet.
    pub(super) waiting: Vec<u64>,
    /// Calls whose intent is being written.
    intending: Vec<u64>,
    /// Outcomes that are not written yet.
    outcomes: Vec<Outcome>,
    /// Outcomes that are being written.
    settling: Vec<Outcome>,
    is_settling: bool,
    /// The ledger failed: nothing is sent; it is tried again then.
    trouble: Option<Micros>,
    /// Another owner took over: nothing is sent any more.
    is_fenced: bool,
    /// Moving average of the time an intent's commit takes, and when the one under way began.
    commit_time: Micros,
    intend_began: Micros,
    /// A batch met a conflict: one at a time until one gets through, so that a single one cannot hold the others up.
    one_by_one: bool,
}

/// A slow disk must not have us hold slots long before their time.
const LEAD_MAX: Micros = 50_000;

/// Something to be written, and what follows when it is.
struct Outcome {
    record: Record,
    then: Settled,
}

#[derive(Clone)]
enum Record {
    /// Of a delivery the ledger knows.
    Settlement(Settlement),
    /// Of one it has never seen.
    Row(DeliveryRow),
}

/// What follows when an outcome is written.
pub(super) enum Settled {
    /// It leaves memory.
    Gone(crate::event::DeliveryId),
    /// It is tried again; its queue has waited for that, if it is named.
    Again(Queued, Option<QueueKey>),
    /// The platform is asked about it.
    Ask(Queued),
}

impl Ledger {
    pub(super) fn is_in_trouble(&self) -> bool {
        self.trouble.is_some() || self.is_fenced
    }

    /// Returns how long before its call an intent should be on its way.
    pub(super) fn lead(&self) -> Micros {
        self.commit_time.min(LEAD_MAX)
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.is_fenced
    }

    /// Returns when it is tried again, unless that is under way.
    pub(super) fn retry_at(&self) -> Option<Micros> {
        self.trouble.filter(|_| !self.is_settling)
    }

    /// Ends a trouble whose time is over when there is nothing to be written that could tell: the next intent will.
    pub(super) fn hope(&mut self, now: Micros) {
        if self.backlog() == 0 && self.trouble.is_some_and(|until| until <= now) {
            self.trouble = None;
        }
    }

    /// Says whether a permitted call's intent is not committed yet.
    pub(super) fn waits_for_intent(&self, number: u64) -> bool {
        self.waiting.contains(&number) || self.intending.contains(&number)
    }

    /// Returns how many outcomes wait to be written.
    pub(super) fn backlog(&self) -> usize {
        self.outcomes.len() + self.settling.len()
    }

    pub(super) fn is_still(&self) -> bool {
        self.backlog() == 0
    }
}

impl Runner {
    /// Writes the intents of all calls that were permitted, if no other such commit is under way.
    pub(super) fn start_intend(&mut self) {
        if !self.ledger.intending.is_empty() || self.ledger.waiting.is_empty() || self.ledger.is_in_trouble()
        {
            return;
        }
        // The last look before the intent: a hold or a pause since the permit still counts.
        let waiting = std::mem::take(&mut self.ledger.waiting);
        let (mut intents, now_ms) = (Vec::with_capacity(waiting.len()), self.now_ms());
        for (place, number) in waiting.iter().copied().enumerate() {
            if self.ledger.one_by_one && !intents.is_empty() {
                self.ledger.waiting.extend(waiting.iter().skip(place));
                break;
            }
            let Some(call) = self.calls.get(&number) else { continue };
            if self.may_be_called(&call.queued) {
                intents.push(self.intent_of(call, now_ms));
                self.ledger.intending.push(number);
            } else {
                self.give_back(number);
            }
        }
        if !intents.is_empty() {
            self.ledger.intend_began = self.now();
            let storage = self.shared.storage.clone();
            self.work.spawn(async move { Done::Intended(storage.intend(intents).await) });
        }
    }

    fn may_be_called(&self, queued: &Queued) -> bool {
        self.standing_of(queued) == Standing::Running
            && self.shared.holds.stopping(&queued.delivery).is_none()
            && self.gate(&queued.delivery) == Opens::Now
    }

    fn intent_of(&self, call: &Call, now_ms: i64) -> Intent {
        let queued = &call.queued;
        let attempt = queued.attempts + 1;
        let text = self.text_of(queued);
        let row = row_of(&queued.delivery, text.as_deref(), DeliveryState::Sending, now_ms);
        Intent {
            delivery: DeliveryRow { attempts: attempt, ..row },
            attempt,
            at_ms: now_ms,
            cost: call.permit.cost().get(),
            epoch: self.shared.epoch,
        }
    }

    pub(super) fn intended(&mut self, result: Result<(), StorageError>) {
        let calls = std::mem::take(&mut self.ledger.intending);
        match result {
            Ok(()) => {
                let took = self.now() - self.ledger.intend_began;
                self.ledger.commit_time += (took - self.ledger.commit_time) / 8;
                self.ledger.one_by_one = false;
                for number in calls {
                    self.start_call(number);
                }
            }
            Err(StorageError::Conflict { what }) => {
                // The ledger knows better than memory what became of it; the feed will bring back what is still pending.
                if let [only] = calls.as_slice() {
                    tracing::warn!(account.id = %self.account, conflict = what, "a delivery was changed behind the runner");
                    if let Some(queued) = self.take_back(*only) {
                        self.forget(&queued.delivery.id);
                    }
                } else {
                    self.ledger.one_by_one = true;
                    self.give_back_all(calls);
                }
            }
            Err(error) => {
                self.give_back_all(calls);
                self.ledger_failed("intend", &error);
            }
        }
    }

    /// Undoes a permit whose call was not made.
    fn take_back(&mut self, number: u64) -> Option<Queued> {
        let Call { queued, key, permit, canary } = self.calls.remove(&number)?;
        if let Some(pacer) = &mut self.pacer {
            self.shared.book.with(|commons| pacer.cancel(permit, commons));
        }
        if canary {
            self.breaker.canary_cancelled();
        }
        self.lanes.call_ended(key);
        Some(queued)
    }

    /// Undoes a permit and puts its delivery where it belongs now.
    fn give_back(&mut self, number: u64) {
        if let Some(queued) = self.take_back(number) {
            self.again(queued);
        }
    }

    /// Undoes every permit whose intent is not written yet: the runner parks.
    pub(super) fn give_back_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.ledger.waiting);
        self.give_back_all(waiting);
    }

    fn give_back_all(&mut self, numbers: Vec<u64>) {
        // Backwards, since each goes to the front of its queue.
        for number in numbers.into_iter().rev() {
            self.give_back(number);
        }
    }

    /// Puts a delivery back in its lane, or leaves it to the ledger if its broadcast does not run.
    pub(super) fn again(&mut self, queued: Queued) {
        if self.shared.holds.stopping(&queued.delivery).is_some() {
            return self.hold(queued);
        }
        match self.standing_of(&queued) {
            Standing::Running => self.lanes.put_back(self.now(), queued),
            Standing::Paused => self.forget(&queued.delivery.id),
            Standing::Cancelled => {
                self.finish(&queued, DeliveryState::Cancelled, "cancelled", "the broadcast was cancelled");
            }
        }
    }

    /// Records the end of a delivery's life without a call.
    pub(super) fn finish(&mut self, queued: &Queued, state: DeliveryState, code: &str, detail: &str) {
        let now_ms = self.now_ms();
        let record = if queued.in_ledger {
            Record::Settlement(Settlement {
                id: queued.delivery.id.as_str().to_owned(),
                attempt: queued.attempts,
                at_ms: now_ms,
                state,
                due_ms: 0,
                code: code.to_owned(),
                detail: detail.to_owned(),
                platform_id: None,
            })
        } else {
            let row = row_of(&queued.delivery, None, state, now_ms);
            Record::Row(DeliveryRow { code: code.to_owned(), detail: detail.to_owned(), ..row })
        };
        if state == DeliveryState::Failed {
            crate::telemetry::metrics::dead_letters(1);
        }
        self.ledger.outcomes.push(Outcome { record, then: Settled::Gone(queued.delivery.id.clone()) });
    }

    /// Records the outcome of a call.
    pub(super) fn settle(&mut self, settlement: Settlement, then: Settled) {
        self.ledger.outcomes.push(Outcome { record: Record::Settlement(settlement), then });
    }

    /// Writes all outcomes there are, if no other such commit is under way.
    pub(super) fn start_settle(&mut self, now: Micros) {
        let wait = self.ledger.trouble.is_some_and(|until| until > now);
        if self.ledger.is_settling || wait {
            return;
        }
        let fresh = std::mem::take(&mut self.ledger.outcomes);
        self.ledger.settling.extend(fresh);
        if self.ledger.settling.is_empty() {
            return;
        }
        self.ledger.is_settling = true;
        let records: Vec<_> = self.ledger.settling.iter().map(|outcome| outcome.record.clone()).collect();
        let storage = Arc::clone(&self.shared.storage);
        self.work.spawn(async move {
            let (mut rows, mut settlements) = (Vec::new(), Vec::new());
            for record in records {
                match record {
                    Record::Settlement(settlement) => settlements.push(settlement),
                    Record::Row(row) => rows.push(row),
                }
            }
            if !rows.is_empty()
                && let Err(error) = storage.deliveries_add(rows).await
            {
                return Done::Settled(Err(error));
            }
            if settlements.is_empty() {
                return Done::Settled(Ok(()));
            }
            Done::Settled(storage.settle(settlements).await)
        });
    }

    pub(super) fn settled(&mut self, result: Result<(), StorageError>) {
        self.ledger.is_settling = false;
        if let Err(error) = result {
            return self.ledger_failed("settle", &error);
        }
        self.ledger.trouble = None;
        for outcome in std::mem::take(&mut self.ledger.settling) {
            match outcome.then {
                Settled::Gone(id) => self.forget(&id),
                Settled::Again(queued, queue) => {
                    self.again(queued);
                    if let Some(queue) = queue {
                        self.lanes.call_ended(queue);
                    }
                }
                Settled::Ask(queued) => self.resolve_later(vec![queued]),
            }
        }
    }

    pub(super) fn ledger_failed(&mut self, operation: &'static str, error: &StorageError) {
        if let StorageError::Fenced(_) = error {
            self.ledger.is_fenced = true;
        }
        if self.ledger.trouble.is_none() {
            tracing::error!(account.id = %self.account, operation, %error, "the ledger failed; nothing is sent");
        }
        self.ledger.trouble = Some(self.now() + micros(self.shared.config.ledger_retry));
    }
}
