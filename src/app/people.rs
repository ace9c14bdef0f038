//! Keeps tags by rule up to date: where something happened, and everywhere once a quarter of an hour, since days begin
//! somewhere. Whoever asks meanwhile does not wait for it: they make what they ask for.

use std::sync::Arc;

use crate::api::group_of;
use crate::clock::Clock;
use crate::connectors::Connectors;
use crate::directory::{Directory, GroupFilter};
use crate::event::Scope;
use crate::people::People;
use crate::people::reading::GROUPS_TOGETHER;
use crate::storage::StorageError;
use crate::tasks::Tasks;

/// What the keeping of tags works with.
#[derive(Clone)]
pub(crate) struct Keeper {
    pub(crate) people: Arc<People>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) connectors: Arc<Connectors>,
    pub(crate) clock: Clock,
}

impl Keeper {
    /// Works until the tasks stop.
    pub(crate) async fn run(self, tasks: Tasks) {
        let mut swept = None;
        loop {
            let (keeper, before) = (self.clone(), swept);
            match tokio::task::spawn_blocking(move || keeper.step(before)).await {
                Ok(Ok(now)) => swept = Some(now),
                Ok(Err(error)) => tracing::error!(%error, "make tags by rule anew; tried again"),
                Err(_) => return, // the runtime is going down
            }
            tokio::select! {
                () = tokio::time::sleep(self.people.rule_tags_every()) => {}
                () = tasks.stopping() => return,
            }
        }
    }

    /// Makes tags where something happened, and everywhere if it is time.
    fn step(&self, swept: Option<(u64, i64)>) -> Result<(u64, i64), StorageError> {
        let season = self.people.season();
        let now_ms = self.clock.now_ms();
        loop {
            let changed = self.people.changed()?;
            let is_last = changed.len() < GROUPS_TOGETHER;
            let groups = changed.iter().filter_map(|(account, group)| {
                let context = self.directory.group_in(&Scope::everything(), account, group).ok()?;
                group_of(&self.connectors, group, &context)
            });
            self.people.tags(&groups.collect::<Vec<_>>(), now_ms)?;
            if is_last {
                break;
            }
        }
        if swept != Some(season) && !self.people.rules().rules().is_empty() {
            let all =
                self.directory.groups_in(&Scope::everything(), &GroupFilter::default(), None, usize::MAX);
            let groups =
                all.iter().filter_map(|found| group_of(&self.connectors, &found.group, &found.context));
            for some in groups.collect::<Vec<_>>().chunks(GROUPS_TOGETHER) {
                self.people.tags(some, now_ms)?;
            }
        }
        Ok(season)
    }
}
