//! What an account's lane looks like from outside: for the API, the metrics and a person in a hurry.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::Runner;
use crate::outbox::breaker::Circuit;
use crate::outbox::delivery::Priority;
use crate::outbox::lanes::Depth;
use crate::outbox::limit::Limit;
use crate::outbox::limiter::{Micros, WHOLE};
use crate::outbox::pacer::Scope;

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
    /// Spent share of the fullest limit of an application that it shares with other accounts, 0 to 1.
    pub app_saturation: f64,
    /// Spent share of the fullest limit of a company that it shares with other accounts, 0 to 1.
    pub corp_saturation: f64,
    /// The account's limits as configured and as observed, and those of groups that differ.
    pub limits: Vec<ObservedLimit>,
}

/// One limit as it was configured and as the platform seems to keep it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ObservedLimit {
    /// `account`, `group`, or the name of what is shared (`corp=acme`).
    pub level: String,
    /// The group, where it is about one.
    pub group: Option<String>,
    /// As configured; null where none is and the platform refused all the same.
    pub configured: Option<String>,
    /// What is used now: head-room and what refusals taught are taken off.
    pub observed: String,
    /// The share of the configured rate that is used since refusals, 0 to 1; 1 when the platform never refused.
    pub share: f64,
    /// When the platform last said "too often", in milliseconds since the epoch, while its rate is not regained.
    pub refused_ms: Option<i64>,
}

/// Most groups listed with what refusals taught about them.
const GROUPS_LISTED_MAX: usize = 50;

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
        let shared = self.shared_saturation(now);
        let most =
            |scope| shared.iter().filter(|(of, _)| *of == scope).map(|(_, share)| *share).fold(0.0, f64::max);
        let status = AccountStatus {
            account: self.account.as_str().to_owned(),
            platform: self.route.as_ref().map_or("", |route| route.platform).to_owned(),
            connected: self.route.is_some(),
            stopped: self.stopped_by(),
            urgent,
            normal,
            bulk,
            resolving: self.resolving.len() + self.resolving_now.len(),
            overflow: self.handle.overflow.load(Ordering::Relaxed),
            circuit: self.breaker.circuit(),
            account_saturation,
            group_saturation,
            app_saturation: most(Scope::App),
            corp_saturation: most(Scope::Corp),
            limits: self.observed_limits(now),
        };
        *self.handle.status.lock() = status;
    }

    fn shared_saturation(&self, now: Micros) -> Vec<(Scope, f64)> {
        match &self.pacer {
            Some(pacer) if !pacer.limits().shared.is_empty() => {
                self.shared.book.with(|commons| pacer.shared_saturation(now, commons))
            }
            Some(_) | None => Vec::new(),
        }
    }

    fn observed_limits(&mut self, now: Micros) -> Vec<ObservedLimit> {
        let Some(pacer) = &mut self.pacer else { return Vec::new() };
        let (limits, share) = pacer.account_limits(now);
        let lesson = pacer.account_lesson();
        let learned = self.learned.as_ref().filter(|_| lesson.is_some());
        let refused_ms = learned.and_then(super::learned::Learned::account_refused_ms);
        let taught = lesson.and_then(|lesson| lesson.limit);
        let mut observed: Vec<_> = limits
            .iter()
            .map(|limit| {
                let configured = (taught != Some(*limit)).then_some(limit);
                observe("account".to_owned(), None, configured, limit, share, refused_ms)
            })
            .collect();
        for shared in &pacer.limits().shared {
            let limit = |limit| observe(shared.name.to_string(), None, Some(limit), limit, WHOLE, None);
            observed.extend(shared.limits.iter().map(limit));
        }
        for (group, at_ms) in self.learned.iter().flat_map(super::learned::Learned::groups) {
            let share = pacer.group_share(now, self.lanes.group_no(group));
            if share == WHOLE || observed.len() >= limits.len() + GROUPS_LISTED_MAX {
                continue;
            }
            let class = pacer.limits().class_of(group);
            for limit in pacer.limits().of_groups(class) {
                let group = Some(group.to_owned());
                observed.push(observe("group".to_owned(), group, Some(limit), limit, share, Some(at_ms)));
            }
        }
        observed
    }

    fn stopped_by(&self) -> Option<&'static str> {
        if self.route.is_none() {
            Some("no_connector")
        } else if self.ledger.is_fenced() {
            Some("fenced")
        } else if self.ledger.is_in_trouble() {
            Some("ledger_failed")
        } else if self.pacer.is_none() || self.is_outdated {
            Some("reading_past_calls")
        } else if self.breaker.circuit() == Circuit::Open {
            Some("circuit_open")
        } else {
            None
        }
    }
}

fn observe(
    level: String,
    group: Option<String>,
    configured: Option<&Limit>,
    limit: &Limit,
    share: u16,
    refused_ms: Option<i64>,
) -> ObservedLimit {
    // Calls at the same time are no rate, and refusals teach nothing about them.
    let is_rate = !limit.period().is_zero();
    let share = if is_rate { share } else { WHOLE };
    ObservedLimit {
        level,
        group,
        configured: configured.map(ToString::to_string),
        observed: limit.slowed_to(share).to_string(),
        share: f64::from(share) / f64::from(WHOLE),
        refused_ms: refused_ms.filter(|_| is_rate),
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
    /// Returns the lowest share of a configured rate that is used at a level since refusals.
    pub fn least_share(&self, level: &str) -> f64 {
        self.limits.iter().filter(|limit| limit.level == level).map(|limit| limit.share).fold(1.0, f64::min)
    }

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
