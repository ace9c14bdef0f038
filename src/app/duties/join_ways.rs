//! Keeps ways into groups leading into groups with room.

use std::collections::{BTreeMap, BTreeSet};

use super::{Round, Turn, is_gone};
use crate::connectors::offers::{GroupLife, JoinWay as Told};
use crate::duties::Stored;
use crate::duties::join_ways::{JoinWay, JoinWayState, lead};
use crate::event::GroupId;
use crate::storage::{DocumentKind, StorageError};

impl Turn<'_> {
    /// Makes, moves on and removes ways.
    pub(super) async fn join_ways(&self, round: &Round) -> Result<(), StorageError> {
        let Some(life) = self.connector.group_life() else { return Ok(()) };
        let prefix = JoinWayState::prefix(self.account.as_str());
        let states: Vec<Stored<JoinWayState>> =
            crate::duties::all(&*self.duties.storage, DocumentKind::Pushed, &prefix).await?;
        let mut states: BTreeMap<String, JoinWayState> = states
            .into_iter()
            .filter_map(|state| Some((state.id.strip_prefix(&prefix)?.to_owned(), state.value)))
            .collect();
        for way in round.join_ways.iter().filter(|way| way.value.account == *self.account) {
            let state = states.remove(&way.id).unwrap_or_default();
            self.keep_way(life, way, state).await?;
        }
        for (id, state) in states {
            self.close_way(life, &id, state).await?;
        }
        Ok(())
    }

    async fn keep_way(
        &self,
        life: &dyn GroupLife,
        way: &Stored<JoinWay>,
        mut state: JoinWayState,
    ) -> Result<(), StorageError> {
        let is_new = state.version != way.version;
        if is_new {
            state.full.clear();
        } else if state.adding {
            return self.say_lost(&way.id, state).await;
        }
        let all: BTreeSet<GroupId> = way.value.groups.iter().chain(&way.value.prepared).cloned().collect();
        let found = self.nearly_full(&way.value, all.clone()).await?;
        state.full.extend(found);
        let groups = lead(&way.value, &state.full);
        let exhausted = state.full.len() == all.len();
        let was_exhausted = state.exhausted_ms.is_some();
        if exhausted != was_exhausted {
            state.exhausted_ms = exhausted.then_some(self.now_ms);
        }
        let must_tell =
            is_new || state.groups != groups || state.failure.is_some() || state.platform_id.is_none();
        let may_try = state.failure.is_none() || is_new || self.is_due(state.told_ms, true);
        if !(must_tell && may_try) {
            if exhausted != was_exhausted {
                self.save(&JoinWayState::id(self.account.as_str(), &way.id), &state).await?;
            }
            return Ok(());
        }
        state.told_ms = self.now_ms;
        state.version = way.version;
        state.failure = None;
        self.tell_way(life, way, groups, state).await
    }

    async fn tell_way(
        &self,
        life: &dyn GroupLife,
        way: &Stored<JoinWay>,
        groups: Vec<GroupId>,
        mut state: JoinWayState,
    ) -> Result<(), StorageError> {
        let id = JoinWayState::id(self.account.as_str(), &way.id);
        let told = told(way, &groups);
        if let Some(platform_id) = state.platform_id.clone() {
            match life.update_join_way(&platform_id, &told).await {
                Ok(()) => state.groups = groups,
                // Somebody removed it: a new one is made at the next pass, with a new code.
                Err(error) if is_gone(&error) => {
                    (state.platform_id, state.address) = (None, None);
                    state.failure = Some(self.failure(&error));
                }
                Err(error) => state.failure = Some(self.failure(&error)),
            }
            return self.save(&id, &state).await;
        }
        state.adding = true;
        self.save(&id, &state).await?;
        match life.add_join_way(&told).await {
            Ok((platform_id, address)) => {
                (state.platform_id, state.address) = (Some(platform_id), address);
                (state.groups, state.adding) = (groups, false);
            }
            Err(error) => {
                state.adding = error.uncertain;
                state.failure = Some(self.failure(&error));
            }
        }
        self.save(&id, &state).await
    }

    /// Whether it was added nobody knows: it is not added again before a person has looked and writes it again.
    async fn say_lost(&self, way: &str, mut state: JoinWayState) -> Result<(), StorageError> {
        let lost = self.lost();
        if state.failure.as_ref().is_some_and(|failure| failure.code == lost.code) {
            return Ok(());
        }
        state.failure = Some(lost);
        self.save(&JoinWayState::id(self.account.as_str(), way), &state).await
    }

    async fn close_way(
        &self,
        life: &dyn GroupLife,
        way: &str,
        mut state: JoinWayState,
    ) -> Result<(), StorageError> {
        if state.failure.is_some() && !self.is_due(state.told_ms, true) {
            return Ok(());
        }
        let id = JoinWayState::id(self.account.as_str(), way);
        let removed = match &state.platform_id {
            Some(platform_id) => life.remove_join_way(platform_id).await,
            None => Ok(()),
        };
        match removed {
            Err(error) if !is_gone(&error) => {
                state.failure = Some(self.failure(&error));
                state.told_ms = self.now_ms;
                self.save(&id, &state).await
            }
            Ok(()) | Err(_) => self.forget(id).await,
        }
    }

    /// Returns those of the groups that have as many members as a way's groups may.
    async fn nearly_full(
        &self,
        way: &JoinWay,
        groups: BTreeSet<GroupId>,
    ) -> Result<Vec<GroupId>, StorageError> {
        let max = way.members_max.unwrap_or(self.duties.config.group_members_max);
        let (storage, account) = (self.duties.storage.clone(), self.account.clone());
        let count = move || {
            let mut full = Vec::new();
            for group in groups {
                let row = storage.group(account.as_str(), group.as_str())?;
                if row.is_some_and(|row| row.members >= max || row.dismissed) {
                    full.push(group);
                }
            }
            Ok(full)
        };
        let counted = tokio::task::spawn_blocking(count).await;
        counted.map_err(|error| StorageError::failed("count members", error))?
    }
}

fn told(way: &Stored<JoinWay>, groups: &[GroupId]) -> Told {
    let JoinWay { remark, channel, opens_next, .. } = &way.value;
    Told {
        remark: remark.clone(),
        groups: groups.iter().map(ToString::to_string).collect(),
        channel: channel.clone().unwrap_or_else(|| way.id.clone()),
        opens_next: opens_next.is_some(),
        next_name: opens_next.as_ref().map(|next| next.name.clone()).unwrap_or_default(),
        next_number: opens_next.as_ref().map(|next| next.number).unwrap_or_default(),
    }
}
