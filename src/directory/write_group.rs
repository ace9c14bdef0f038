//! Declaring groups, one or many in a commit.

use std::sync::Arc;

use super::limits::Checker;
use super::shop::Stored;
use super::write::{Accepted, Written, check_room};
use super::{Directory, DirectoryError, GroupRecord};
use crate::event::{Actor, GroupName, Place, Places as _};
use crate::storage::DocumentKind;

impl Directory {
    /// Declares a group.
    ///
    /// # Errors
    /// See [`DirectoryError`]; `expect` that does not hold is a storage conflict.
    pub async fn put_group(
        &self,
        actor: &Actor,
        name: &GroupName,
        record: GroupRecord,
        expect: Option<u64>,
    ) -> Result<Written, DirectoryError> {
        let mut results = self.put_groups(actor, vec![(name.clone(), record)], expect).await?;
        results.pop().expect("one result for each group")
    }

    /// Declares groups in one commit; a wrong one is refused alone.
    ///
    /// # Errors
    /// Storage's, when nothing was written.
    pub async fn put_groups(
        &self,
        actor: &Actor,
        groups: Vec<(GroupName, GroupRecord)>,
        expect: Option<u64>,
    ) -> Result<Vec<Result<Written, DirectoryError>>, DirectoryError> {
        let _one_at_a_time = self.changing.lock().await;
        self.write_groups(actor, groups, expect).await
    }

    /// The part that whoever changes one after the other holds the lock for.
    pub(super) async fn write_groups(
        &self,
        actor: &Actor,
        mut groups: Vec<(GroupName, GroupRecord)>,
        expect: Option<u64>,
    ) -> Result<Vec<Result<Written, DirectoryError>>, DirectoryError> {
        for (_, record) in &mut groups {
            record.normalise();
        }
        let mut new = 0;
        let mut checked = Vec::with_capacity(groups.len());
        for (name, record) in &groups {
            let result = self.check_group(actor, name, record, new);
            new += usize::from(matches!(&result, Ok(accepted) if accepted.created));
            checked.push(result);
        }
        let good: Vec<_> = checked.iter().filter_map(|result| result.as_ref().ok()).collect();
        let mut versions = self.commit(actor, &good, expect).await?.into_iter();
        let mut results = Vec::with_capacity(groups.len());
        for (result, (name, record)) in checked.into_iter().zip(&groups) {
            results.push(result.map(|accepted| {
                let version = versions.next().unwrap_or(0);
                self.install_group(name, Some(Arc::new(Stored { version, record: record.clone() })));
                Written { version, created: accepted.created }
            }));
        }
        Ok(results)
    }

    fn check_group<'r>(
        &self,
        actor: &Actor,
        name: &GroupName,
        record: &'r GroupRecord,
        new: usize,
    ) -> Result<Accepted<'r, GroupRecord>, DirectoryError> {
        let (account, group) = (name.account.as_str(), name.group.as_str());
        let before = self.known(account, group);
        // A group that belongs nowhere yet is outside every limited scope, seen or not: nobody can claim it, and
        // nobody learns whether it exists.
        let place_now = before.as_ref().map_or_else(Place::default, |context| context.place.clone());
        if !actor.scope.covers_group(account, group, &place_now) {
            return Err(DirectoryError::NotFound("group"));
        }
        let mut checker = Checker::new(&self.config);
        if self.account(account).is_none() {
            let detail = format!("no account `{account}`; make it with PUT /v1/accounts/{account}");
            checker.refuse("/account", "not_found", detail);
        }
        record.check(&mut checker);
        let declared = before.as_ref().and_then(|context| context.declared.as_ref());
        let unchanged = declared.is_some_and(|stored| stored.record.shop == record.shop);
        let place = record.shop.as_ref().map_or_else(Place::default, |shop| self.shop_place(shop));
        if record.shop.is_some() && (place.is_nowhere() || !(unchanged || actor.scope.covers(&place))) {
            checker.refuse("/shop", "not_found", "no such shop");
        } else if !actor.scope.covers_group(account, group, &place) {
            checker.refuse("/shop", "outside_scope", "name a shop of your own scope");
        }
        checker.finish().map_err(DirectoryError::Invalid)?;
        let created = declared.is_none();
        let count = self.groups.load(std::sync::atomic::Ordering::Relaxed) + new;
        check_room(before.is_none(), count, self.config.groups_max, "groups", "groups_max")?;
        Ok(Accepted { kind: DocumentKind::Group, id: name.to_string(), record, place, created })
    }

    /// Forgets what was declared of a group; what was seen of it stays.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn delete_group(
        &self,
        actor: &Actor,
        account: &str,
        group: &str,
    ) -> Result<(), DirectoryError> {
        let _one_at_a_time = self.changing.lock().await;
        let context = self.group_in(&actor.scope, account, group)?;
        let name =
            GroupName::parse(&format!("{account}/{group}")).ok_or(DirectoryError::NotFound("group"))?;
        if context.declared.is_none() {
            return Err(DirectoryError::NotFound("declaration of this group"));
        }
        self.remove(actor, DocumentKind::Group, &name.to_string(), &context.place).await?;
        self.install_group(&name, None);
        Ok(())
    }
}
