//! What members did and what it led to, as the partitions remember it; and the budgets that all of them share.

use super::{Ingest, Partitions};
use crate::conduct::budget::{self, Hour, Spent};
use crate::conduct::ladder::Record;
use crate::event::{RegionId, StateKind};
use crate::pipeline::Rules;
use crate::telemetry::metrics;

/// Adds up what partitions had spent before the start.
pub(super) fn spent(partitions: &Partitions) -> Spent {
    let mut spent = Spent::default();
    let parts = partitions.each_state(|state| {
        let entries = state.small.entries(StateKind::Budget);
        entries
            .filter_map(|(key, value)| Some((key.into_owned(), Hour::from_bytes(value)?)))
            .collect::<Vec<_>>()
    });
    for (key, part) in parts.into_iter().flatten() {
        spent.resume(&key, part);
    }
    spent
}

impl Ingest {
    /// Spends one removal, where the hour's budget allows it.
    pub(super) fn spend(&self, rules: &Rules, key: &str) -> bool {
        let max = rules.limits.conduct.removals_per_hour;
        let is_spent = self.spent.lock().try_spend(key, max, self.clock.now_ms());
        if !is_spent {
            let (rule, region) = key.split_once('\u{1f}').unwrap_or((key, ""));
            tracing::warn!(
                rule.id = rule,
                region,
                max,
                "a rule has used up its removals of this hour: a person has to decide"
            );
            metrics::removal_over_budget();
        }
        is_spent
    }

    /// Spends one removal of the hour that no ladder asks for, in the region of a group.
    pub fn spend_removal(&self, rule: &str, account: &str, group: &str) -> bool {
        self.spend(&self.rules.load(), &self.removal_key(rule, account, group))
    }

    /// Adds a removal of that kind that was spent before the start.
    pub fn resume_removal(&self, rule: &str, account: &str, group: &str, at_ms: i64) {
        let key = self.removal_key(rule, account, group);
        self.spent.lock().resume(&key, Hour::default().and_one(at_ms));
    }

    fn removal_key(&self, rule: &str, account: &str, group: &str) -> String {
        let place = self.directory.context(account, group).map(|context| context.place.clone());
        let region = place.as_ref().and_then(|place| place.region.as_ref());
        budget::key(rule, region.map(RegionId::as_str))
    }

    /// Returns what is remembered of a member, by group.
    pub fn records(&self, account: &str, member: &str) -> Vec<(String, Record)> {
        let of_member = |key: &str| {
            let mut parts = key.splitn(3, '\u{1f}');
            let (of, group) = (parts.next()?, parts.next()?);
            (of == account && parts.next()? == member).then(|| group.to_owned())
        };
        let found = self.partitions.each_state(|state| {
            let entries = state.small.entries(StateKind::Ladder);
            entries
                .filter_map(|(key, value)| Some((of_member(&key)?, Record::from_bytes(value)?)))
                .collect::<Vec<_>>()
        });
        let mut found: Vec<_> = found.into_iter().flatten().collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }
}
