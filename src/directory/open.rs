//! Reading the directory at start, and working out what hangs together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use jiff::tz::TimeZone;
use parking_lot::RwLock;
use serde::de::DeserializeOwned;

use super::account::{Account, AccountRecord, DEMO_ACCOUNT, SANDBOX_PLATFORM};
use super::chosen::Choices;
use super::group::{GroupContext, GroupRecord, Seen, SeenGroup};
use super::shop::{Shop, ShopRecord, Stored};
use super::{Config, Directory, DirectoryError, Keyring, Room};
use crate::clock::Clock;
use crate::event::{
    AccountId, Actor, BrandId, FieldError, GroupName, OperatorId, Place, Places, RegionId, Scope, ShopId,
};
use crate::storage::{Document, DocumentKind, GroupRow, SharedStorage, StorageError};

/// Documents or groups read in one go.
const LOAD_PAGE: usize = 1_000;

impl Directory {
    /// Reads everything, makes the account `demo` when there is no account at all, and seals anew what an old key holds.
    ///
    /// # Errors
    /// When storage fails, holds what this version cannot read, or the default time zone is unknown.
    pub async fn open(
        storage: SharedStorage,
        clock: Clock,
        config: Config,
        keys: Keyring,
    ) -> Result<Self, DirectoryError> {
        let time_zone = TimeZone::get(&config.time_zone).map_err(|_| {
            let detail = format!("`{}` is no IANA time zone", config.time_zone);
            DirectoryError::Invalid(vec![FieldError::new("/directory/time_zone", "form", detail)])
        })?;
        let directory = Self {
            storage,
            clock,
            config,
            keys,
            time_zone,
            rooms: ArcSwap::from_pointee(HashMap::new()),
            brands: RwLock::new(BTreeMap::new()),
            regions: RwLock::new(BTreeMap::new()),
            shops: RwLock::new(BTreeMap::new()),
            choices: Choices::default(),
            groups: AtomicUsize::new(0),
            changing: tokio::sync::Mutex::new(()),
        };
        directory.load_places().await?;
        directory.load_accounts().await?;
        directory.load_groups().await?;
        Ok(directory)
    }

    async fn load_places(&self) -> Result<(), DirectoryError> {
        for document in self.documents(DocumentKind::Brand).await? {
            let id = BrandId::parse(&document.id).map_err(|error| unreadable(&document, &error))?;
            self.brands.write().insert(id, Arc::new(read(&document)?));
        }
        for document in self.documents(DocumentKind::Region).await? {
            let id = RegionId::parse(&document.id).map_err(|error| unreadable(&document, &error))?;
            self.regions.write().insert(id, Arc::new(read(&document)?));
        }
        for document in self.documents(DocumentKind::Shop).await? {
            let id = ShopId::parse(&document.id).map_err(|error| unreadable(&document, &error))?;
            let shop = self.shop_of(id.clone(), read(&document)?);
            self.shops.write().insert(id, Arc::new(shop));
        }
        Ok(())
    }

    async fn load_accounts(&self) -> Result<(), DirectoryError> {
        let documents = self.documents(DocumentKind::Account).await?;
        if documents.is_empty() {
            return self.make_demo_account().await;
        }
        for document in documents {
            let id = AccountId::parse(&document.id).map_err(|error| unreadable(&document, &error))?;
            let stored: Stored<AccountRecord> = read(&document)?;
            self.install_account(&id, stored);
        }
        self.seal_anew().await
    }

    async fn make_demo_account(&self) -> Result<(), DirectoryError> {
        let operator = OperatorId::parse("menshen").expect("a constant, tested");
        let actor = Actor { operator, token: None, scope: Scope::everything() };
        let spec = super::AccountSpecIn {
            platform: SANDBOX_PLATFORM.to_owned(),
            name: Some("Demo (records what it is asked to do)".to_owned()),
            brand: None,
            policy: None,
            disabled: false,
            settings: serde_json::Map::new(),
            secrets: None,
            limits: Vec::new(),
            group_limits: Vec::new(),
            own_members: Vec::new(),
        };
        let id = AccountId::parse(DEMO_ACCOUNT).expect("a constant, tested");
        self.put_account(&actor, &id, spec, Some(0), |_| Ok(())).await.map(|_| ())
    }

    async fn load_groups(&self) -> Result<(), DirectoryError> {
        let mut after: Option<(String, String)> = None;
        loop {
            let storage = Arc::clone(&self.storage);
            let cursor = after.clone();
            let page = tokio::task::spawn_blocking(move || storage.groups(cursor, LOAD_PAGE)).await;
            let page: Vec<GroupRow> = page.map_err(|error| StorageError::Failed {
                operation: "read groups",
                source: Box::new(error),
            })??;
            for row in &page {
                let told = SeenGroup { name: row.name.as_deref(), owner: row.owner.as_deref() };
                self.see_told(&row.account, &row.group, told);
            }
            if page.len() < LOAD_PAGE {
                break;
            }
            after = page.last().map(|row| (row.account.clone(), row.group.clone()));
        }
        for document in self.documents(DocumentKind::Group).await? {
            let name = GroupName::parse(&document.id)
                .ok_or_else(|| unreadable(&document, &"its id is not `account/group`"))?;
            let stored: Stored<GroupRecord> = read(&document)?;
            self.install_group(&name, Some(Arc::new(stored)));
        }
        Ok(())
    }

    async fn documents(&self, kind: DocumentKind) -> Result<Vec<Document>, StorageError> {
        let mut documents: Vec<Document> = Vec::new();
        loop {
            let after = documents.last().map(|document| document.id.clone());
            let page = self.storage.documents(kind, after, LOAD_PAGE).await?;
            let last = page.len() < LOAD_PAGE;
            documents.extend(page);
            if last {
                return Ok(documents);
            }
        }
    }

    // === working out what hangs together; each only changes memory ===

    pub(super) fn shop_of(&self, id: ShopId, stored: Stored<ShopRecord>) -> Shop {
        let region = stored.record.region.clone();
        let region = region.as_ref();
        let place = Place { shop: Some(id.clone()), ..self.place_in(region) };
        let time_zone = zone(stored.record.time_zone.as_deref()).unwrap_or_else(|| self.time_zone.clone());
        let record = stored.record;
        let named = region.and_then(|region| self.regions.read().get(region).cloned());
        let region_name = named.as_ref().map(|region| Arc::from(region.record.name.as_str()));
        let brand = place.brand.as_ref().and_then(|brand| self.brands.read().get(brand).cloned());
        let brand_name = brand.map(|brand| Arc::from(brand.record.name.as_str()));
        let hours_text = record.hours_text();
        let version = stored.version;
        Shop { id, place, time_zone, region_name, region: named, brand_name, hours_text, version, record }
    }

    /// The place of something in a region; a region that is not there still names itself.
    pub(super) fn place_in(&self, region: Option<&RegionId>) -> Place {
        let Some(region) = region else { return Place::default() };
        Place { region: Some(region.clone()), ..self.region_place(region) }
    }

    /// Puts an account in, with the groups it had.
    pub(super) fn install_account(&self, id: &AccountId, stored: Stored<AccountRecord>) -> Arc<Account> {
        let place = Place { brand: stored.record.brand.clone(), ..Place::default() };
        let account =
            Arc::new(Account { id: id.clone(), place, version: stored.version, record: stored.record });
        let groups = {
            let rooms = self.rooms.load();
            rooms.get(id.as_str()).map_or_else(|| Arc::new(DashMap::new()), |room| Arc::clone(&room.groups))
        };
        let plain = Arc::new(self.context_of(&account, None, Seen::default()));
        let room = Room { account: Arc::clone(&account), plain, groups };
        let mut rooms = HashMap::clone(&self.rooms.load());
        rooms.insert(Box::from(id.as_str()), Arc::new(room));
        self.rooms.store(Arc::new(rooms));
        self.refresh(|context| context.account.id == *id);
        account
    }

    /// Puts a group in, declared or (with `None`) no longer declared.
    pub(super) fn install_group(&self, name: &GroupName, declared: Option<Arc<Stored<GroupRecord>>>) {
        let rooms = self.rooms.load();
        // A declaration whose account is gone waits in the ledger for the account to come back.
        let Some(room) = rooms.get(name.account.as_str()) else { return };
        let known = self.known(name.account.as_str(), name.group.as_str());
        let seen = known.map(|known| known.seen.clone()).unwrap_or_default();
        let context = if declared.is_none() && seen.is_empty() {
            Arc::clone(&room.plain)
        } else {
            Arc::new(self.context_of(&room.account, declared, seen))
        };
        if room.groups.insert(Box::from(name.group.as_str()), context).is_none() {
            self.groups.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Works out anew every group that `touched` names.
    pub(super) fn refresh(&self, touched: impl Fn(&GroupContext) -> bool) {
        for room in self.rooms.load().values() {
            for mut slot in room.groups.iter_mut() {
                if !touched(&slot) {
                    continue;
                }
                let (declared, seen) = (slot.declared.clone(), slot.seen.clone());
                *slot = if declared.is_none() && seen.is_empty() {
                    Arc::clone(&room.plain)
                } else {
                    Arc::new(self.context_of(&room.account, declared, seen))
                };
            }
        }
    }

    fn context_of(
        &self,
        account: &Arc<Account>,
        declared: Option<Arc<Stored<GroupRecord>>>,
        seen: Seen,
    ) -> GroupContext {
        let record = declared.as_ref().map(|declared| &declared.record);
        let shop = record.and_then(|record| record.shop.as_ref());
        let shop = shop.and_then(|shop| self.shops.read().get(shop).cloned());
        let place = shop.as_ref().map_or_else(Place::default, |shop| shop.place.clone());
        let own_zone = zone(record.and_then(|record| record.time_zone.as_deref()));
        let shop_zone = || shop.as_ref().map(|shop| shop.time_zone.clone());
        let time_zone = own_zone.or_else(shop_zone).unwrap_or_else(|| self.time_zone.clone());
        let chosen = self.choice(account, shop.as_deref(), record);
        GroupContext { account: Arc::clone(account), shop, place, time_zone, declared, seen, chosen }
    }
}

fn zone(name: Option<&str>) -> Option<TimeZone> {
    name.and_then(|name| TimeZone::get(name).ok())
}

fn read<T: DeserializeOwned>(document: &Document) -> Result<Stored<T>, StorageError> {
    let record = serde_json::from_str(&document.body).map_err(|error| unreadable(document, &error))?;
    Ok(Stored { version: document.version, record })
}

fn unreadable(document: &Document, error: &dyn std::fmt::Display) -> StorageError {
    StorageError::Unreadable {
        what: format!("{} {}", document.kind.as_str(), document.id),
        detail: format!("{error}; was it written by a newer version?"),
    }
}
