//! Changes of brands, regions and shops: checked, committed with their audit entries, then made visible.

use std::sync::Arc;

use serde::Serialize;

use super::limits::{Checker, plain_id};
use super::shop::{BrandRecord, RegionRecord, Shop, ShopRecord, Stored};
use super::{Directory, DirectoryError, brand_place, region_place};
use crate::event::{Actor, BrandId, FieldError, Place, Places as _, RegionId, ShopId};
use crate::storage::{AuditEntry, Change, DocumentKind, StorageError, Write};

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The version it has now.
    pub version: u64,
    /// It was not there before.
    pub created: bool,
}

/// One object of a change that passed its checks.
pub(super) struct Accepted<'a, T> {
    pub(super) kind: DocumentKind,
    pub(super) id: String,
    pub(super) record: &'a T,
    pub(super) place: Place,
    pub(super) created: bool,
}

impl Directory {
    /// Makes or replaces a brand.
    ///
    /// # Errors
    /// See [`DirectoryError`]; `expect` that does not hold is a storage conflict. So all below.
    pub async fn put_brand(
        &self,
        actor: &Actor,
        id: &BrandId,
        record: BrandRecord,
        expect: Option<u64>,
    ) -> Result<Written, DirectoryError> {
        let _one_at_a_time = self.changing.lock().await;
        let place = brand_place(id);
        if !actor.scope.covers(&place) {
            return Err(DirectoryError::NotFound("brand"));
        }
        let mut checker = Checker::new(&self.config);
        checker.id(id.as_str());
        checker.name("/name", &record.name);
        checker.policy(record.policy.as_deref());
        checker.finish().map_err(DirectoryError::Invalid)?;
        let created = !self.brands.read().contains_key(id);
        check_room(created, self.brands.read().len(), self.config.brands_max, "brands", "brands_max")?;
        let kind = DocumentKind::Brand;
        let accepted = Accepted { kind, id: id.to_string(), record: &record, place, created };
        let version = self.commit_one(actor, &accepted, expect).await?;
        self.brands.write().insert(id.clone(), Arc::new(Stored { version, record }));
        self.refresh_shops(|shop| shop.place.brand.as_ref() == Some(id)); // its name stands in texts
        // Groups without a shop are of their account's brand: its policy is theirs.
        for account in self.accounts().iter().filter(|account| account.record.brand.as_ref() == Some(id)) {
            let stored = Stored { version: account.version, record: account.record.clone() };
            self.install_account(&account.id, stored);
        }
        Ok(Written { version, created })
    }

    /// Makes or replaces a region.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn put_region(
        &self,
        actor: &Actor,
        id: &RegionId,
        record: RegionRecord,
        expect: Option<u64>,
    ) -> Result<Written, DirectoryError> {
        let _one_at_a_time = self.changing.lock().await;
        let before = self.regions.read().get(id).cloned();
        let visible = |stored: &Stored<RegionRecord>| actor.scope.covers(&region_place(id, &stored.record));
        if before.as_deref().is_some_and(|stored| !visible(stored)) {
            return Err(DirectoryError::NotFound("region"));
        }
        let mut checker = Checker::new(&self.config);
        checker.id(id.as_str());
        checker.name("/name", &record.name);
        if let Some(manager) = &record.manager {
            checker.name("/manager", manager);
        }
        checker.policy(record.policy.as_deref());
        checker.variables(&record.variables);
        if let Some(brand) = &record.brand {
            let unchanged = before.as_ref().is_some_and(|stored| stored.record.brand == record.brand);
            let there = self.brands.read().contains_key(brand);
            if !there || !(unchanged || actor.scope.covers(&brand_place(brand))) {
                checker.refuse("/brand", "not_found", "no such brand");
            }
        }
        checker.finish().map_err(DirectoryError::Invalid)?;
        let place = region_place(id, &record);
        refuse_outside(actor, &place, "/brand")?;
        let created = before.is_none();
        let (count, max) = (self.regions.read().len(), self.config.regions_max);
        check_room(created, count, max, "regions", "regions_max")?;
        let kind = DocumentKind::Region;
        let accepted = Accepted { kind, id: id.to_string(), record: &record, place, created };
        let version = self.commit_one(actor, &accepted, expect).await?;
        self.regions.write().insert(id.clone(), Arc::new(Stored { version, record }));
        self.refresh_shops(|shop| shop.record.region.as_ref() == Some(id));
        Ok(Written { version, created })
    }

    /// Makes or replaces a shop.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn put_shop(
        &self,
        actor: &Actor,
        id: &ShopId,
        record: ShopRecord,
        expect: Option<u64>,
    ) -> Result<Written, DirectoryError> {
        let mut results = self.put_shops(actor, vec![(id.clone(), record)], expect).await?;
        results.pop().expect("one result for each shop")
    }

    /// Makes or replaces shops in one commit; a wrong one is refused alone.
    ///
    /// # Errors
    /// Storage's, when nothing was written.
    pub async fn put_shops(
        &self,
        actor: &Actor,
        shops: Vec<(ShopId, ShopRecord)>,
        expect: Option<u64>,
    ) -> Result<Vec<Result<Written, DirectoryError>>, DirectoryError> {
        let _one_at_a_time = self.changing.lock().await;
        self.write_shops(actor, shops, expect).await
    }

    /// The part that whoever changes one after the other holds the lock for.
    pub(super) async fn write_shops(
        &self,
        actor: &Actor,
        shops: Vec<(ShopId, ShopRecord)>,
        expect: Option<u64>,
    ) -> Result<Vec<Result<Written, DirectoryError>>, DirectoryError> {
        let mut new = 0;
        let mut checked = Vec::with_capacity(shops.len());
        for (id, record) in &shops {
            let result = self.check_shop(actor, id, record, new);
            new += usize::from(matches!(&result, Ok(accepted) if accepted.created));
            checked.push(result);
        }
        let good: Vec<_> = checked.iter().filter_map(|result| result.as_ref().ok()).collect();
        let mut versions = self.commit(actor, &good, expect).await?.into_iter();
        let mut results = Vec::with_capacity(shops.len());
        let mut changed = std::collections::HashSet::new();
        for (result, (id, record)) in checked.into_iter().zip(&shops) {
            results.push(result.map(|accepted| {
                let version = versions.next().unwrap_or(0);
                let shop = self.shop_of(id.clone(), Stored { version, record: record.clone() });
                self.shops.write().insert(id.clone(), Arc::new(shop));
                changed.insert(id.clone());
                Written { version, created: accepted.created }
            }));
        }
        // One pass over the groups for the whole commit: an import of thousands would else be quadratic.
        let declared_in =
            |context: &super::GroupContext| context.declared.as_ref().and_then(|d| d.record.shop.clone());
        self.refresh(|context| declared_in(context).is_some_and(|shop| changed.contains(&shop)));
        Ok(results)
    }

    fn check_shop<'r>(
        &self,
        actor: &Actor,
        id: &ShopId,
        record: &'r ShopRecord,
        new: usize,
    ) -> Result<Accepted<'r, ShopRecord>, DirectoryError> {
        let before = self.shops.read().get(id).cloned();
        if before.as_ref().is_some_and(|shop| !actor.scope.covers(&shop.place)) {
            return Err(DirectoryError::NotFound("shop"));
        }
        let mut checker = Checker::new(&self.config);
        checker.id(id.as_str());
        record.check(&mut checker);
        if let Some(region) = &record.region {
            let unchanged = before.as_ref().is_some_and(|shop| shop.record.region == record.region);
            let there = self.regions.read().contains_key(region);
            if !there || !(unchanged || actor.scope.covers(&self.region_place(region))) {
                checker.refuse("/region", "not_found", "no such region");
            }
        }
        checker.finish().map_err(DirectoryError::Invalid)?;
        let place = Place { shop: Some(id.clone()), ..self.place_in(record.region.as_ref()) };
        refuse_outside(actor, &place, "/region")?;
        let created = before.is_none();
        let count = self.shops.read().len() + new;
        check_room(created, count, self.config.shops_max, "shops", "shops_max")?;
        Ok(Accepted { kind: DocumentKind::Shop, id: id.to_string(), record, place, created })
    }

    /// Removes a brand that no region or account belongs to.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn delete_brand(&self, actor: &Actor, id: &str) -> Result<(), DirectoryError> {
        let _one_at_a_time = self.changing.lock().await;
        self.brand_in(&actor.scope, id)?;
        let id = BrandId::parse(id).map_err(|_| DirectoryError::NotFound("brand"))?;
        if self.regions.read().values().any(|region| region.record.brand.as_ref() == Some(&id)) {
            return Err(DirectoryError::InUse { what: "the brand", by: "regions" });
        }
        if self.accounts().iter().any(|account| account.record.brand.as_ref() == Some(&id)) {
            return Err(DirectoryError::InUse { what: "the brand", by: "accounts" });
        }
        self.remove(actor, DocumentKind::Brand, id.as_str(), &brand_place(&id)).await?;
        self.brands.write().remove(&id);
        Ok(())
    }

    /// Removes a region that no shop belongs to.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn delete_region(&self, actor: &Actor, id: &str) -> Result<(), DirectoryError> {
        let _one_at_a_time = self.changing.lock().await;
        let stored = self.region_in(&actor.scope, id)?;
        let id = RegionId::parse(id).map_err(|_| DirectoryError::NotFound("region"))?;
        if self.shops.read().values().any(|shop| shop.record.region.as_ref() == Some(&id)) {
            return Err(DirectoryError::InUse { what: "the region", by: "shops" });
        }
        self.remove(actor, DocumentKind::Region, id.as_str(), &region_place(&id, &stored.record)).await?;
        self.regions.write().remove(&id);
        Ok(())
    }

    /// Removes a shop that no group belongs to.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn delete_shop(&self, actor: &Actor, id: &str) -> Result<(), DirectoryError> {
        let _one_at_a_time = self.changing.lock().await;
        let shop = self.shop_in(&actor.scope, id)?;
        let belongs = |_: &str, context: &super::GroupContext| context.place.shop.as_ref() == Some(&shop.id);
        if self.accounts().iter().any(|a| !self.groups_of(a.id.as_str(), belongs).is_empty()) {
            return Err(DirectoryError::InUse { what: "the shop", by: "groups" });
        }
        self.remove(actor, DocumentKind::Shop, shop.id.as_str(), &shop.place).await?;
        self.shops.write().remove(&shop.id);
        Ok(())
    }

    /// Works out anew the shops that `touched` names, and their groups.
    fn refresh_shops(&self, touched: impl Fn(&Shop) -> bool) {
        let mut changed = std::collections::HashSet::new();
        let mut shops = self.shops.write();
        for shop in shops.values_mut().filter(|shop| touched(shop)) {
            changed.insert(shop.id.clone());
            let stored = Stored { version: shop.version, record: shop.record.clone() };
            *shop = Arc::new(self.shop_of(shop.id.clone(), stored));
        }
        drop(shops); // working out a group reads them
        self.refresh(|context| context.shop.as_ref().is_some_and(|shop| changed.contains(&shop.id)));
    }

    // === the commit ===

    async fn commit_one<T: Serialize + Sync>(
        &self,
        actor: &Actor,
        accepted: &Accepted<'_, T>,
        expect: Option<u64>,
    ) -> Result<u64, StorageError> {
        Ok(self.commit(actor, &[accepted], expect).await?.first().copied().unwrap_or(0))
    }

    /// Writes documents with their audit entries; returns a version for each.
    pub(super) async fn commit<T: Serialize + Sync>(
        &self,
        actor: &Actor,
        accepted: &[&Accepted<'_, T>],
        expect: Option<u64>,
    ) -> Result<Vec<u64>, StorageError> {
        if accepted.is_empty() {
            return Ok(Vec::new());
        }
        let at_ms = self.clock.now_ms();
        let mut change = Change { at_ms, ..Change::default() };
        for object in accepted {
            let body = serde_json::to_string(object.record).expect("our own records have string keys only");
            change.writes.push(Write::Put { kind: object.kind, id: object.id.clone(), body, expect });
            let verb = if object.created { "create" } else { "update" };
            let entry = AuditEntry::by(actor, at_ms, verb, object.kind.as_str(), &object.id);
            change.audit.push(entry.at(&object.place).with(object.record));
        }
        self.storage.apply(change).await
    }

    pub(super) async fn remove(
        &self,
        actor: &Actor,
        kind: DocumentKind,
        id: &str,
        place: &Place,
    ) -> Result<(), StorageError> {
        let at_ms = self.clock.now_ms();
        let audit = vec![AuditEntry::by(actor, at_ms, "delete", kind.as_str(), id).at(place)];
        let writes = vec![Write::Delete { kind, id: id.to_owned() }];
        self.storage.apply(Change { at_ms, writes, audit, ..Change::default() }).await.map(|_| ())
    }
}

/// Refuses one more of something when there are as many as may be.
pub(super) fn check_room(
    created: bool,
    count: usize,
    max: usize,
    what: &'static str,
    key: &'static str,
) -> Result<(), DirectoryError> {
    if created && count >= max { Err(DirectoryError::TooMany { what, max, key }) } else { Ok(()) }
}

/// Refuses to put something where the actor could not see it again.
pub(super) fn refuse_outside(actor: &Actor, place: &Place, pointer: &str) -> Result<(), DirectoryError> {
    if actor.scope.covers(place) {
        return Ok(());
    }
    let detail = "name one of your own scope";
    Err(DirectoryError::Invalid(vec![FieldError::new(pointer, "outside_scope", detail)]))
}

/// Says why a text is no id here, as the error of a field.
pub(super) fn check_id(id: &str) -> Result<(), DirectoryError> {
    plain_id(id).map_err(|detail| DirectoryError::Invalid(vec![FieldError::new("/id", "form", detail)]))
}
