//! Who is under way on a journey: read from the partitions' state, for people.

use super::Ingest;
use super::partitions::TakeError;
use crate::event::{StateKind, partition_of};
use crate::journeys::{Glance, Instance};

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
