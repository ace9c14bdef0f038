//! Values for texts, changed for many shops or groups in one commit, and nothing else of them.

use std::collections::{BTreeMap, HashMap};

use super::write::Written;
use super::{Directory, DirectoryError, GroupRecord, ShopRecord};
use crate::event::{Actor, GroupName, ShopId};

/// New values by name; `None` removes one.
pub type VariableChanges = BTreeMap<String, Option<String>>;

type Results = Vec<Result<Written, DirectoryError>>;

fn change(variables: &mut BTreeMap<String, String>, changes: VariableChanges) {
    for (name, value) in changes {
        match value {
            Some(value) => _ = variables.insert(name, value),
            None => _ = variables.remove(&name),
        }
    }
}

/// Puts the results of what could be written where they belong.
fn merged(found: Vec<Result<(), DirectoryError>>, written: Results) -> Results {
    let mut written = written.into_iter();
    let nothing = || Err(DirectoryError::NotFound("record"));
    found.into_iter().map(|found| found.and_then(|()| written.next().unwrap_or_else(nothing))).collect()
}

impl Directory {
    /// Changes values of shops in one commit; a wrong line is refused alone. A shop named twice takes both changes.
    ///
    /// # Errors
    /// Storage's, when nothing was written.
    pub async fn change_shops(
        &self,
        actor: &Actor,
        changes: Vec<(ShopId, VariableChanges)>,
    ) -> Result<Results, DirectoryError> {
        let _one_at_a_time = self.changing.lock().await;
        let (mut latest, mut records) = (HashMap::<ShopId, ShopRecord>::new(), Vec::new());
        let mut found = Vec::with_capacity(changes.len());
        for (id, changes) in changes {
            let before = match latest.get(&id) {
                Some(record) => Ok(record.clone()),
                None => self.shop_in(&actor.scope, id.as_str()).map(|shop| shop.record.clone()),
            };
            found.push(before.map(|mut record| {
                change(&mut record.variables, changes);
                latest.insert(id.clone(), record.clone());
                records.push((id, record));
            }));
        }
        Ok(merged(found, self.write_shops(actor, records, None).await?))
    }

    /// Changes values of groups in one commit; a wrong line is refused alone. A group named twice takes both changes.
    ///
    /// # Errors
    /// Storage's, when nothing was written.
    pub async fn change_groups(
        &self,
        actor: &Actor,
        changes: Vec<(GroupName, VariableChanges)>,
    ) -> Result<Results, DirectoryError> {
        let _one_at_a_time = self.changing.lock().await;
        let (mut latest, mut records) = (HashMap::<GroupName, GroupRecord>::new(), Vec::new());
        let mut found = Vec::with_capacity(changes.len());
        for (name, changes) in changes {
            let before = match latest.get(&name) {
                Some(record) => Ok(record.clone()),
                None => self
                    .group_in(&actor.scope, name.account.as_str(), name.group.as_str())
                    .map(|group| group.declared.as_ref().map(|d| d.record.clone()).unwrap_or_default()),
            };
            found.push(before.map(|mut record| {
                change(&mut record.variables, changes);
                latest.insert(name.clone(), record.clone());
                records.push((name, record));
            }));
        }
        Ok(merged(found, self.write_groups(actor, records, None).await?))
    }
}
