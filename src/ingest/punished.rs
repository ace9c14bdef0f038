//! What members did and what it led to, as the partitions remember it; and the budgets that all of them share.

use std::collections::BTreeMap;

use super::{Ingest, Partitions};
use crate::conduct::budget::{self, Hour, Spent};
use crate::conduct::ladder::Record;
use crate::event::{RegionId, StateKind, partition_of};
use crate::fleet::removals::Who;
use crate::pipeline::{PartitionState, Rules};
use crate::telemetry::metrics;

/// What the hour's budget allows of some removals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Removals left, in the regions they are wanted in.
    pub left: u32,
    /// Wanted beyond it.
    pub over: usize,
}

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

    /// Says what the hour's budget of a rule allows of one removal in each of these groups.
    pub fn removals_left<'w>(
        &self,
        rule: &str,
        wanted: impl Iterator<Item = (&'w str, &'w str)>,
    ) -> Allowance {
        let mut by_region: BTreeMap<String, usize> = BTreeMap::new();
        for (account, group) in wanted {
            let place = self.directory.context(account, group).map(|context| context.place.clone());
            let region = place.as_ref().and_then(|place| place.region.as_ref());
            *by_region.entry(budget::key(rule, region.map(RegionId::as_str))).or_default() += 1;
        }
        let (max, now_ms) = (self.rules.load().limits.conduct.removals_per_hour, self.clock.now_ms());
        let (spent, mut allowance) = (self.spent.lock(), Allowance::default());
        for (key, wanted) in by_region {
            let left = spent.left(&key, max, now_ms);
            allowance.left = allowance.left.saturating_add(left);
            allowance.over += wanted.saturating_sub(usize::try_from(left).unwrap_or(usize::MAX));
        }
        allowance
    }

    /// Returns those of some members who were taken out by a case or a kick list and not pardoned since.
    pub fn expelled_by<'w>(&self, asked: &str, who: impl Iterator<Item = &'w Who>) -> Vec<&'w Who> {
        let is_out = |of: &&Who| {
            let (account, group, member) = (&of.0, &of.1, &of.2);
            let key = [account.as_str(), group, member].join("\u{1f}");
            let now_ms = self.clock.now_ms();
            let look = |state: &PartitionState| {
                let record = state.small.get(StateKind::Ladder, &key, now_ms).and_then(Record::from_bytes);
                record.is_some_and(|record| record.is_expelled_by(asked))
            };
            // One that is out of service is read again from storage in a moment; nobody waits for it here.
            self.partitions.with_state(partition_of(account, group), look).unwrap_or(false)
        };
        who.filter(is_out).collect()
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
