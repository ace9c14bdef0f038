//! What an account's lane looks like from outside: for the API, the metrics and a person in a hurry.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::Runner;
use crate::outbox::breaker::Circuit;
use crate::outbox::delivery::Priority;
use crate::outbox::lanes::Depth;
use crate::outbox::limiter::Micros;

/// One account's lane, as of a moment ago.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct AccountStatus {
    /// The account.
    pub account: String,
    /// Its platform; empty while it has no connector.
    pub platform: String,
    /// It has a connector that takes calls.
    pub connected: bool,
    /// Why nothing is sent at all, if so: `no_connector`, `ledger_failed`, `fenced`, `reading_past_calls`, `circuit_open`.
    pub stopped: Option<&'static str>,
    /// Deliveries in memory, by priority.
    pub urgent: Waiting,
    /// See [`Self::urgent`].
    pub normal: Waiting,
    /// See [`Self::urgent`].
    pub bulk: Waiting,
    /// Deliveries of which nobody knows whether they were sent, and about which the platform is being asked.
    pub resolving: usize,
    /// More waits in the journal than fits.
    pub overflow: bool,
    /// The breaker.
    pub circuit: Circuit,
    /// Spent share of the account's fullest limit, 0 to 1.
    pub account_saturation: f64,
    /// Spent share of the fullest limit of the busiest group, 0 to 1.
    pub group_saturation: f64,
}

/// Deliveries of one priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Waiting {
    /// How many.
    #[serde(flatten)]
    pub depth: Depth,
    /// Stopped by holds (targets of broadcasts wait in the ledger and are not among them).
    pub held: usize,
    /// Calls under way.
    pub in_flight: usize,
    /// How long the oldest that is due has waited, in milliseconds; one that is held ages too.
    pub oldest_due_ms: u64,
}

impl Runner {
    /// Writes the status where others read it.
    pub(super) fn publish_status(&mut self, now: Micros) {
        let age_ms = |due: Micros| u64::try_from((now - due) / 1000).unwrap_or(0);
        let mut waiting = self.lanes.survey().map(|(depth, oldest)| Waiting {
            depth,
            oldest_due_ms: oldest.map_or(0, age_ms),
            ..Waiting::default()
        });
        for queued in &self.held {
            let waiting = &mut waiting[place(queued.delivery.priority)];
            waiting.held += 1;
            waiting.oldest_due_ms = waiting.oldest_due_ms.max(age_ms(queued.due));
        }
        for call in self.calls.values() {
            waiting[place(call.queued.delivery.priority)].in_flight += 1;
        }
        let [urgent, normal, bulk] = waiting;
        let saturation = self.pacer.as_mut().map(|p| (p.account_saturation(now), p.group_saturation(now)));
        let (account_saturation, group_saturation) = saturation.unwrap_or_default();
        let status = AccountStatus {
            account: self.account.as_str().to_owned(),
            platform: self.route.as_ref().map_or("", |route| route.platform).to_owned(),
            connected: self.route.is_some(),
            stopped: self.stopped_by(),
            urgent,
            normal,
            bulk,
            resolving: self.resolving.len() + self.resolving_now,
            overflow: self.handle.overflow.load(Ordering::Relaxed),
            circuit: self.breaker.circuit(),
            account_saturation,
            group_saturation,
        };
        *self.handle.status.lock() = status;
    }

    fn stopped_by(&self) -> Option<&'static str> {
        if self.route.is_none() {
            Some("no_connector")
        } else if self.ledger.is_fenced() {
            Some("fenced")
        } else if self.ledger.is_in_trouble() {
            Some("ledger_failed")
        } else if self.pacer.is_none() {
            Some("reading_past_calls")
        } else if self.breaker.circuit() == Circuit::Open {
            Some("circuit_open")
        } else {
            None
        }
    }
}

fn place(priority: Priority) -> usize {
    match priority {
        Priority::Urgent => 0,
        Priority::Normal => 1,
        Priority::Bulk => 2,
    }
}

impl AccountStatus {
    /// Returns the waiting deliveries of a priority.
    pub fn waiting(&self, priority: Priority) -> Waiting {
        match priority {
            Priority::Urgent => self.urgent,
            Priority::Normal => self.normal,
            Priority::Bulk => self.bulk,
        }
    }
}

impl Waiting {
    /// Returns the age of the oldest that is due.
    pub fn oldest_due(&self) -> Duration {
        Duration::from_millis(self.oldest_due_ms)
    }
}
