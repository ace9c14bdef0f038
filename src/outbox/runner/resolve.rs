//! Uncertain deliveries: sent or not, nobody knows. The platform is asked, with growing delays; if nobody can say, the
//! delivery stays uncertain for a person to look at, and is never sent again blindly.

use std::sync::Arc;
use std::time::Duration;

use super::ledger::Settled;
use super::{Done, Runner};
use crate::event::DeliveryId;
use crate::outbox::delivery::Resolution;
use crate::outbox::lanes::Queued;
use crate::outbox::limiter::{Micros, micros};
use crate::storage::{DeliveryState, Settlement};

/// The code of what a person must look at: the platform could not say.
pub const UNRESOLVED: &str = "unresolved";

/// Longest time between two questions that the platform could not be asked.
const PAUSE_MAX: Duration = Duration::from_mins(5);

/// How often a delivery was asked about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// And nobody could say.
    unknown: u32,
    /// And the platform could not be asked: that says nothing, so it leaves nothing to a person.
    not_asked: u32,
}

/// What is to follow when the platform has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// Whatever it says.
    Open,
    /// A person has decided: only that it was sent still counts.
    LetGo,
}

impl Runner {
    /// Queues deliveries to be asked about.
    pub(super) fn resolve_later(&mut self, uncertain: Vec<Queued>) {
        for queued in uncertain {
            self.ask_later(queued, Asked::default());
        }
    }

    fn ask_later(&mut self, queued: Queued, tries: Asked) {
        let after = |times: u32| micros(self.shared.config.resolve_after).saturating_mul(1 << times.min(16));
        let known = after(tries.unknown);
        let delay = after(tries.unknown.saturating_add(tries.not_asked)).min(micros(PAUSE_MAX)).max(known);
        self.serial += 1;
        self.resolving.insert((self.now().saturating_add(delay), self.serial), (queued, tries));
    }

    /// Returns when the next question is due, if it could be asked then.
    pub(super) fn resolve_at(&self) -> Option<Micros> {
        let free =
            self.resolving_now.len() < self.shared.config.resolve_in_flight_max && self.route.is_some();
        self.resolving.first_key_value().filter(|_| free).map(|((at, _), _)| *at)
    }

    pub(super) fn start_resolving(&mut self, now: Micros) {
        while self.resolve_at().is_some_and(|at| at <= now) {
            let Some((_, (queued, tries))) = self.resolving.pop_first() else { return };
            let Some(route) = &self.route else { return };
            let deliver = Arc::clone(&route.deliver);
            let timeout = self.shared.config.call_timeout;
            self.resolving_now.insert(queued.delivery.id.clone(), Asking::Open);
            self.work.spawn(async move {
                let asked = tokio::time::timeout(timeout, deliver.resolve(&queued.delivery)).await;
                Done::Resolved { queued, tries, resolution: asked.unwrap_or(Resolution::Unknown) }
            });
        }
    }

    /// Asks no more about a delivery: a person has decided what became of it.
    pub(super) fn let_go(&mut self, id: &DeliveryId) {
        self.resolving.retain(|_, (queued, _)| queued.delivery.id != *id);
        if let Some(asking) = self.resolving_now.get_mut(id) {
            *asking = Asking::LetGo;
        }
        self.forget(id);
    }

    pub(super) fn resolved(&mut self, mut queued: Queued, tries: Asked, resolution: Resolution) {
        let asked = self.resolving_now.remove(&queued.delivery.id);
        let is_there = matches!(resolution, Resolution::Sent | Resolution::Awaiting { .. });
        if asked == Some(Asking::LetGo) && !is_there {
            return;
        }
        let mut platform_id = None;
        let mut code = "resolved";
        let (state, detail) = match resolution {
            Resolution::Sent => (DeliveryState::Sent, "the platform has it"),
            Resolution::Awaiting { platform_id: task } => {
                platform_id = Some(task);
                (DeliveryState::AwaitingConfirmation, "the platform has it; a person must confirm it there")
            }
            Resolution::NotSent => (DeliveryState::Pending, "the platform has not got it"),
            Resolution::SafeToRepeat => (DeliveryState::Pending, "the platform recognises a repeat"),
            Resolution::NotAsked => {
                self.ask_later(queued, Asked { not_asked: tries.not_asked.saturating_add(1), ..tries });
                return;
            }
            Resolution::Unknown => {
                let unknown = tries.unknown + 1;
                if unknown < self.shared.config.resolve_tries_max {
                    self.ask_later(queued, Asked { unknown, not_asked: 0 });
                    return;
                }
                tracing::warn!(delivery.id = %queued.delivery.id, account.id = %self.account,
                    "nobody knows whether this was sent; a person must look");
                code = UNRESOLVED;
                (DeliveryState::Uncertain, "the platform cannot say whether it has it; a person must")
            }
        };
        let settlement = Settlement {
            id: queued.delivery.id.as_str().to_owned(),
            attempt: queued.attempts,
            at_ms: self.now_ms(),
            state,
            due_ms: 0,
            code: code.to_owned(),
            detail: detail.to_owned(),
            platform_id,
        };
        let then = if state == DeliveryState::Pending {
            queued.due = self.now();
            Settled::Again(queued, None)
        } else {
            Settled::Gone(queued.delivery.id.clone())
        };
        self.settle(settlement, then);
    }
}
