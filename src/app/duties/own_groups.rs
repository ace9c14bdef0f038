//! Keeps groups of our own what people want them to be.

use std::collections::BTreeSet;

use super::{Round, Turn};
use crate::connectors::offers::{OwnGroups, PlatformError};
use crate::duties::Stored;
use crate::duties::own_groups::{OwnGroup, OwnGroupState};
use crate::storage::StorageError;

impl Turn<'_> {
    /// Makes and changes groups of our own.
    pub(super) async fn own_groups(&self, round: &Round) -> Result<(), StorageError> {
        let Some(groups) = self.connector.own_groups() else { return Ok(()) };
        for wanted in &round.own_groups {
            let Some((account, id)) = wanted.id.split_once('/') else { continue };
            if account != self.account.as_str() {
                continue;
            }
            let key = OwnGroupState::id(account, id);
            let mut state: OwnGroupState = self.state(&key).await?;
            let is_new = state.version != wanted.version;
            if !(is_new || self.is_due(state.compared_ms, state.failure.is_some())) {
                continue;
            }
            let before = state.clone();
            state.compared_ms = self.now_ms;
            state.version = wanted.version;
            state.failure = None;
            let done = match state.made_ms {
                None => self.make(groups, id, wanted, &mut state).await,
                Some(_) => {
                    self.adjust(groups, id, wanted, !is_new && before.failure.is_none(), &mut state).await
                }
            };
            if let Err(error) = done {
                state.failure = Some(self.failure(&error));
            }
            self.save(&key, &state).await?;
        }
        Ok(())
    }

    async fn make(
        &self,
        groups: &dyn OwnGroups,
        id: &str,
        wanted: &Stored<OwnGroup>,
        state: &mut OwnGroupState,
    ) -> Result<(), PlatformError> {
        let OwnGroup { name, owner, staff } = &wanted.value;
        let staff: Vec<String> = staff.iter().cloned().collect();
        match groups.create(name, Some(owner), &staff, Some(id)).await {
            Ok(_) => {
                state.made_ms = Some(self.now_ms);
                Ok(())
            }
            // It may be there: the answer to making it was lost, or its note. Then it is ours to change.
            Err(error) => match groups.get(id).await {
                Ok(_) => {
                    state.made_ms = Some(self.now_ms);
                    self.adjust(groups, id, wanted, false, state).await
                }
                Err(_) => Err(error),
            },
        }
    }

    async fn adjust(
        &self,
        groups: &dyn OwnGroups,
        id: &str,
        wanted: &Stored<OwnGroup>,
        is_comparison: bool,
        state: &mut OwnGroupState,
    ) -> Result<(), PlatformError> {
        let OwnGroup { name, owner, staff } = &wanted.value;
        let (name_there, owner_there, staff_there) = groups.get(id).await?;
        let there: BTreeSet<String> = staff_there.into_iter().collect();
        let add: Vec<String> = staff.difference(&there).cloned().collect();
        let remove: Vec<String> = there.difference(staff).cloned().collect();
        let new_name = Some(name.as_str()).filter(|name| *name != name_there);
        let new_owner = Some(owner.as_str()).filter(|owner| *owner != owner_there);
        if add.is_empty() && remove.is_empty() && new_name.is_none() && new_owner.is_none() {
            return Ok(());
        }
        if is_comparison {
            state.drift_ms = Some(self.now_ms);
        }
        groups.update(id, new_name, new_owner, &add, &remove).await
    }
}
