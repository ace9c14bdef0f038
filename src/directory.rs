//! Who is who: accounts and their secrets, brands, regions, shops, groups.
//!
//! Not for: members (the projection has them), nor for who may see what (`access`; here a [`Scope`] is only applied).
//!
//! Invariants: the ledger is written before memory changes, one change at a time; what is outside a scope is answered
//! exactly like what does not exist; a [`GroupContext`] is never half new.
//!
//! [`Directory::context`] is on the hot path: one load and two look-ups by borrowed keys, no allocation, no I/O.
//! A group nobody declared costs its key and one pointer: all such groups of an account share one context.

mod account;
mod chosen;
mod group;
mod keys;
mod limits;
mod open;
mod shop;
mod values;
mod write;
mod write_account;
mod write_group;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use jiff::tz::TimeZone;
use parking_lot::RwLock;
use thiserror::Error;

use crate::clock::Clock;
use crate::event::{BrandId, FieldError, GroupName, Place, Places, RegionId, Scope, ShopId};
use crate::storage::{SharedStorage, StorageError};

pub use account::{
    Account, AccountRecord, AccountSpec, AccountSpecIn, DEMO_ACCOUNT, SANDBOX_PLATFORM, SealedSecret, Secret,
    SecretIn,
};
pub use chosen::ChosenPolicy;
pub use group::{GroupContext, GroupFilter, GroupFound, GroupRecord, SeenGroup};
pub use keys::{KeyError, Keyring, Sealed, SealedBytes};
pub use limits::{Config, KeyText, plain_id};
pub use shop::{BrandRecord, OpeningHours, RegionRecord, Shop, ShopRecord, ShopState, Stored};
pub use values::VariableChanges;
pub use write::Written;

/// Why the directory did not do as asked.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// Not there, or outside the scope: which of the two is not told.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// Fields are wrong.
    #[error("the request has invalid fields")]
    Invalid(Vec<FieldError>),
    /// Something still belongs to it.
    #[error("{what} still has {by}; move or remove them first")]
    InUse {
        /// What is to be removed.
        what: &'static str,
        /// What belongs to it.
        by: &'static str,
    },
    /// A limit of the configuration.
    #[error("there are {max} {what} already, the most that `directory.{key}` allows")]
    TooMany {
        /// What there is too many of.
        what: &'static str,
        /// The limit.
        max: usize,
        /// Its configuration key.
        key: &'static str,
    },
    /// The key of secrets.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Storage failed, or somebody else's write came first.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// An account with its groups.
struct Room {
    account: Arc<Account>,
    /// The context of every group nobody declared and of which nobody told anything.
    plain: Arc<GroupContext>,
    /// By the platform's id; lives on when the account is written again.
    groups: Arc<DashMap<Box<str>, Arc<GroupContext>>>,
}

/// The directory. One per process; owns what is in memory, storage owns the truth.
pub struct Directory {
    storage: SharedStorage,
    clock: Clock,
    config: Config,
    keys: Keyring,
    time_zone: TimeZone,
    /// By account; replaced whole when an account changes.
    rooms: ArcSwap<HashMap<Box<str>, Arc<Room>>>,
    brands: RwLock<BTreeMap<BrandId, Arc<Stored<BrandRecord>>>>,
    regions: RwLock<BTreeMap<RegionId, Arc<Stored<RegionRecord>>>>,
    shops: RwLock<BTreeMap<ShopId, Arc<Shop>>>,
    choices: chosen::Choices,
    /// Groups in all rooms.
    groups: AtomicUsize,
    /// One change at a time, so that memory follows the order of the commits.
    changing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.groups.load(Ordering::Relaxed);
        write!(f, "Directory({} accounts, {groups} groups)", self.rooms.load().len())
    }
}

// === impl Directory: looking up ===

impl Directory {
    /// Returns what is known of a group; `None` when the account is unknown. A group never heard of gets the account's
    /// plain context. No I/O, no allocation.
    pub fn context(&self, account: &str, group: &str) -> Option<Arc<GroupContext>> {
        let rooms = self.rooms.load();
        let room = rooms.get(account)?;
        let Some(known) = room.groups.get(group) else { return Some(Arc::clone(&room.plain)) };
        Some(Arc::clone(known.value()))
    }

    /// Like [`Directory::context`], and remembers a group at its first sight. Says nothing to the ledger: at start the
    /// projection tells of such groups again.
    pub fn see(&self, account: &str, group: &str) -> Option<Arc<GroupContext>> {
        let rooms = self.rooms.load();
        let room = rooms.get(account)?;
        if let Some(known) = room.groups.get(group) {
            return Some(Arc::clone(known.value()));
        }
        // Past the limit a group is still judged and counted; it only does not appear in lists.
        if !group.is_empty() && self.groups.load(Ordering::Relaxed) < self.config.groups_max {
            room.groups.entry(Box::from(group)).or_insert_with(|| {
                self.groups.fetch_add(1, Ordering::Relaxed);
                Arc::clone(&room.plain)
            });
        }
        Some(Arc::clone(&room.plain))
    }

    /// Notes what the platform tells of a group: its name, its owner.
    pub fn see_told(&self, account: &str, group: &str, told: SeenGroup<'_>) {
        let Some(known) = self.see(account, group) else { return };
        if known.seen.holds(told) {
            return;
        }
        let rooms = self.rooms.load();
        let Some(room) = rooms.get(account) else { return };
        let Some(mut slot) = room.groups.get_mut(group) else { return };
        let mut context = GroupContext::clone(&slot);
        context.seen.take(told);
        *slot = Arc::new(context);
    }

    /// Returns the shop that a staff member runs, as its manager before as its deputy; one in business before a closed
    /// one. Looks at every shop: for events that are rare, such as new contacts.
    pub fn shop_run_by(&self, staff: &str) -> Option<Arc<Shop>> {
        let shops = self.shops.read();
        let rank = |shop: &Shop| {
            let is = |person: &Option<String>| person.as_deref() == Some(staff);
            let runs = is(&shop.record.manager) || is(&shop.record.deputy);
            runs.then(|| (shop.record.state == ShopState::Closed, !is(&shop.record.manager)))
        };
        let ranked = shops.values().filter_map(|shop| Some((rank(shop)?, shop)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, shop)| Arc::clone(shop))
    }

    /// Returns an account, for those who work for it (connectors, ingest).
    pub fn account(&self, account: &str) -> Option<Arc<Account>> {
        self.rooms.load().get(account).map(|room| Arc::clone(&room.account))
    }

    /// Returns all accounts by id, for those who work for them.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        let mut accounts: Vec<_> = self.rooms.load().values().map(|room| Arc::clone(&room.account)).collect();
        accounts.sort_by(|a, b| a.id.cmp(&b.id));
        accounts
    }

    /// Returns a shop, for those who work for its groups.
    pub fn shop(&self, shop: &str) -> Option<Arc<Shop>> {
        self.shops.read().get(&ShopId::parse(shop).ok()?).cloned()
    }

    /// Returns the time zone of whoever names none.
    pub fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }

    /// Returns the limits it works under.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

// === impl Directory: looking up within a scope ===

impl Directory {
    /// Returns an account that the scope covers.
    ///
    /// # Errors
    /// `NotFound`, also when outside the scope; so all below.
    pub fn account_in(&self, scope: &Scope, account: &str) -> Result<Arc<Account>, DirectoryError> {
        let found = self.account(account).filter(|account| scope.covers(&account.place));
        found.ok_or(DirectoryError::NotFound("account"))
    }

    /// Returns the accounts that the scope covers, by id.
    pub fn accounts_in(&self, scope: &Scope) -> Vec<Arc<Account>> {
        self.accounts().into_iter().filter(|account| scope.covers(&account.place)).collect()
    }

    /// Returns brands that the scope covers, by id, after a cursor.
    pub fn brands_in(
        &self,
        scope: &Scope,
        after: &str,
        limit: usize,
    ) -> Vec<(BrandId, Arc<Stored<BrandRecord>>)> {
        let brands = self.brands.read();
        let seen = brands.iter().filter(|(id, _)| id.as_str() > after && scope.covers(&brand_place(id)));
        seen.take(limit).map(|(id, stored)| (id.clone(), Arc::clone(stored))).collect()
    }

    /// Returns a brand that the scope covers.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn brand_in(&self, scope: &Scope, id: &str) -> Result<Arc<Stored<BrandRecord>>, DirectoryError> {
        let found = BrandId::parse(id).ok().filter(|id| scope.covers(&brand_place(id)));
        let found = found.and_then(|id| self.brands.read().get(&id).cloned());
        found.ok_or(DirectoryError::NotFound("brand"))
    }

    /// Returns regions that the scope covers, by id, after a cursor.
    pub fn regions_in(
        &self,
        scope: &Scope,
        after: &str,
        limit: usize,
    ) -> Vec<(RegionId, Arc<Stored<RegionRecord>>)> {
        let regions = self.regions.read();
        let seen = regions
            .iter()
            .filter(|(id, stored)| id.as_str() > after && scope.covers(&region_place(id, &stored.record)));
        seen.take(limit).map(|(id, stored)| (id.clone(), Arc::clone(stored))).collect()
    }

    /// Returns a region that the scope covers.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn region_in(&self, scope: &Scope, id: &str) -> Result<Arc<Stored<RegionRecord>>, DirectoryError> {
        let id = RegionId::parse(id).map_err(|_| DirectoryError::NotFound("region"))?;
        let found = self.regions.read().get(&id).cloned();
        let seen = found.filter(|stored| scope.covers(&region_place(&id, &stored.record)));
        seen.ok_or(DirectoryError::NotFound("region"))
    }

    /// Returns shops that the scope covers, by id, after a cursor.
    pub fn shops_in(&self, scope: &Scope, after: &str, limit: usize) -> Vec<Arc<Shop>> {
        let shops = self.shops.read();
        let seen = shops.values().filter(|shop| shop.id.as_str() > after && scope.covers(&shop.place));
        seen.take(limit).cloned().collect()
    }

    /// Returns a shop that the scope covers.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn shop_in(&self, scope: &Scope, id: &str) -> Result<Arc<Shop>, DirectoryError> {
        let found = self.shop(id).filter(|shop| scope.covers(&shop.place));
        found.ok_or(DirectoryError::NotFound("shop"))
    }

    /// Returns a group that was seen or declared and that the scope covers.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn group_in(
        &self,
        scope: &Scope,
        account: &str,
        group: &str,
    ) -> Result<Arc<GroupContext>, DirectoryError> {
        let known = self.known(account, group);
        let seen = known.filter(|context| scope.covers_group(account, group, &context.place));
        seen.ok_or(DirectoryError::NotFound("group"))
    }

    /// Returns groups that the scope covers, by account and group, after a cursor. Looks at every group of an account:
    /// call it off the async workers.
    pub fn groups_in(
        &self,
        scope: &Scope,
        filter: &GroupFilter,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Vec<GroupFound> {
        let mut found = Vec::new();
        for account in self.accounts() {
            let id = account.id.as_str();
            if filter.account.as_deref().is_some_and(|wanted| wanted != id)
                || after.is_some_and(|(account, _)| id < account)
            {
                continue;
            }
            let after = after.filter(|(account, _)| *account == id).map_or("", |(_, group)| group);
            let mut of_account = self.groups_of(id, |group, context| {
                group > after && filter.passes(context) && scope.covers_group(id, group, &context.place)
            });
            of_account.sort_by(|a, b| a.group.cmp(&b.group));
            of_account.truncate(limit - found.len());
            found.append(&mut of_account);
            if found.len() == limit {
                break;
            }
        }
        found
    }

    fn groups_of(
        &self,
        account: &str,
        mut wanted: impl FnMut(&str, &GroupContext) -> bool,
    ) -> Vec<GroupFound> {
        let rooms = self.rooms.load();
        let Some(room) = rooms.get(account) else { return Vec::new() };
        let wanted = room.groups.iter().filter(|entry| wanted(entry.key(), entry.value()));
        wanted
            .map(|entry| GroupFound { group: entry.key().clone(), context: Arc::clone(entry.value()) })
            .collect()
    }

    /// Returns a group only if it was seen or declared.
    fn known(&self, account: &str, group: &str) -> Option<Arc<GroupContext>> {
        let rooms = self.rooms.load();
        let known = rooms.get(account)?.groups.get(group)?;
        Some(Arc::clone(known.value()))
    }
}

impl Places for Directory {
    fn region_place(&self, region: &RegionId) -> Place {
        let stored = self.regions.read().get(region).cloned();
        stored.map_or_else(Place::default, |stored| region_place(region, &stored.record))
    }

    fn shop_place(&self, shop: &ShopId) -> Place {
        self.shops.read().get(shop).map_or_else(Place::default, |shop| shop.place.clone())
    }

    fn group_place(&self, group: &GroupName) -> Place {
        self.known(group.account.as_str(), group.group.as_str())
            .map_or_else(Place::default, |context| context.place.clone())
    }

    fn has_tag(&self, group: &GroupName, tag: &str) -> bool {
        let known = self.known(group.account.as_str(), group.group.as_str());
        known.is_some_and(|context| context.tags().iter().any(|own| own == tag))
    }
}

fn brand_place(brand: &BrandId) -> Place {
    Place { brand: Some(brand.clone()), ..Place::default() }
}

fn region_place(region: &RegionId, record: &RegionRecord) -> Place {
    Place { brand: record.brand.clone(), region: Some(region.clone()), shop: None }
}

#[cfg(test)]
mod tests;
