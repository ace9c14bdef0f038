//! Who is under way on a journey: read from the partitions' state, for people.

use super::Ingest;
use super::partitions::TakeError;
use crate::event::{StateKind, partition_of};
use crate::journeys::{Crowd, Glance, Instance};

impl Ingest {
    /// Returns who is under way in a group, by member and after one; the group's own journey has an empty member.
    ///
    /// # Errors
    /// When the group's partition is out of service.
    pub fn travellers(
        &self,
        account: &str,
        group: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Instance)>, TakeError> {
        let (key, now_ms) = ([account, group].join("\u{1f}"), self.clock.now_ms());
        self.partitions.with_state(partition_of(account, group), |state| {
            let all = state.small.of_group(StateKind::Journey, &key, after, now_ms);
            let under_way =
                all.filter_map(|(member, value)| Some((member.to_owned(), Instance::from_bytes(value)?)));
            under_way.take(limit).collect()
        })
    }

    /// Returns who of a group is in a segment, as journeys heard it last; `None` when they never did.
    ///
    /// # Errors
    /// When the group's partition is out of service.
    pub fn crowd(&self, account: &str, group: &str, segment: &str) -> Result<Option<Crowd>, TakeError> {
        self.partitions.with_state(partition_of(account, group), |state| state.crowd(account, group, segment))
    }

    /// Returns account, group and segment of what is remembered for journeys of segments, where `is_wanted` says so.
    pub fn crowds_where(
        &self,
        is_wanted: impl Fn(&str, &str, &str) -> bool,
    ) -> Vec<(String, String, String)> {
        let keys = self.partitions.each_state(|state| {
            let entries = state.small.entries(StateKind::Segment);
            entries.map(|(key, _)| key.into_owned()).collect::<Vec<_>>()
        });
        let parts = keys.iter().flatten().filter_map(|key| {
            let mut parts = key.split('\u{1f}');
            Some((parts.next()?, parts.next()?, parts.next()?))
        });
        let wanted = parts.filter(|(account, group, segment)| is_wanted(account, group, segment));
        wanted.map(|(account, group, segment)| (account.into(), group.into(), segment.into())).collect()
    }

    /// Counts who is under way on a journey, in all groups. Looks at everybody: off the async workers.
    pub async fn travellers_of(&self, journey: &str) -> u64 {
        let (partitions, journey) = (self.partitions.clone(), journey.to_owned());
        let counted = tokio::task::spawn_blocking(move || {
            let each = partitions.each_state(|state| {
                let all = state.small.entries(StateKind::Journey).filter_map(|(_, value)| Glance::of(value));
                all.filter(|glance| glance.journey == journey).count()
            });
            each.into_iter().sum::<usize>()
        });
        counted.await.map_or(0, |count| u64::try_from(count).unwrap_or(u64::MAX))
    }
}
