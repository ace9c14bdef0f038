//! Stops of outbound acts: "no broadcasts in region 华东 until I say so". In force the moment they are set, and over
//! restarts.
//!
//! A hold is a rule with a match, not a mark on deliveries, so it is set in one step however much is queued, and catches
//! what comes later. Looked at when a delivery is promoted and again right before its intent is written.
//!
//! Not for: pausing one broadcast (that is its own state). Setting a hold fails open for nobody: it is in force in memory
//! before it is written, and stays so if writing fails (the caller is told that it would not survive a restart).

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use tokio::sync::watch;

use super::delivery::{Delivery, Payload};
use crate::clock::Clock;
use crate::event::{AccountId, BrandId, BroadcastId, GroupId, GroupName, IdError, Places, RegionId, ShopId};
use crate::storage::{
    AuditEntry, Change, DocumentKind, MASS_SEND, MASS_TARGET, SharedStorage, StorageError, Write,
};
use crate::telemetry::metrics;

/// One stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hold {
    /// `hld_…`.
    pub id: String,
    /// Which acts; empty for all.
    #[serde(default)]
    pub kinds: Vec<HoldKind>,
    /// Where: `all`, `region:NAME`, ….
    #[schema(value_type = String)]
    pub scope: HoldScope,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
    /// The operator, or `menshen` when a platform's answer asked for it.
    pub by: String,
    /// Since when, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Until when; `None` until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
}

/// A kind of outbound act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldKind {
    /// Targets of broadcasts.
    Broadcast,
    /// Answers to keywords.
    Reply,
    /// Greetings.
    Welcome,
    /// Later steps of a journey.
    Journey,
    /// Warnings to members.
    Warning,
    /// What a group or staff are told.
    Notice,
    /// Recall, warn, mute, remove.
    Action,
}

impl HoldKind {
    /// Returns the kind of a delivery; what is not said in words is an action.
    pub fn of(delivery: &Delivery) -> Self {
        match delivery.kind.as_str() {
            "broadcast" | "edit" | MASS_SEND | MASS_TARGET => HoldKind::Broadcast,
            "reply" => HoldKind::Reply,
            "welcome" => HoldKind::Welcome,
            "journey" => HoldKind::Journey,
            "warning" => HoldKind::Warning,
            "notice" => HoldKind::Notice,
            _action => HoldKind::Action,
        }
    }

    /// Returns the metric label.
    pub fn counted_as(self) -> &'static str {
        match self {
            HoldKind::Broadcast => "broadcast",
            HoldKind::Reply => "reply",
            HoldKind::Welcome => "welcome",
            HoldKind::Journey => "journey",
            HoldKind::Warning => "warning",
            HoldKind::Notice => "notice",
            HoldKind::Action => "action",
        }
    }
}

/// Where a hold is in force. Written `all`, `account:NAME`, `brand:NAME`, `region:NAME`, `shop:NAME`, `group:ACCOUNT/GROUP`,
/// `tag:NAME` or `broadcast:ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldScope {
    /// Everywhere.
    All,
    /// Through one account.
    Account(AccountId),
    /// In the groups of one brand.
    Brand(BrandId),
    /// In the groups of one region.
    Region(RegionId),
    /// In the groups of one shop.
    Shop(ShopId),
    /// In one group.
    Group(GroupName),
    /// In the groups that have a tag, now or later.
    Tag(String),
    /// The targets of one broadcast.
    Broadcast(BroadcastId),
}

/// A text is no scope of a hold.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "write a scope as all, account:NAME, brand:NAME, region:NAME, shop:NAME, group:ACCOUNT/GROUP, tag:NAME or broadcast:ID"
)]
pub struct HoldScopeError;

impl FromStr for HoldScope {
    type Err = HoldScopeError;

    fn from_str(text: &str) -> Result<Self, HoldScopeError> {
        if text == "all" {
            return Ok(HoldScope::All);
        }
        let (kind, name) = text.split_once(':').ok_or(HoldScopeError)?;
        let bad = |_: IdError| HoldScopeError;
        match kind {
            "account" => AccountId::parse(name).map(HoldScope::Account).map_err(bad),
            "brand" => BrandId::parse(name).map(HoldScope::Brand).map_err(bad),
            "region" => RegionId::parse(name).map(HoldScope::Region).map_err(bad),
            "shop" => ShopId::parse(name).map(HoldScope::Shop).map_err(bad),
            "group" => GroupName::parse(name).map(HoldScope::Group).ok_or(HoldScopeError),
            "broadcast" => BroadcastId::parse(name).map(HoldScope::Broadcast).map_err(bad),
            "tag" if !name.trim().is_empty() && !name.chars().any(char::is_control) => {
                Ok(HoldScope::Tag(name.to_owned()))
            }
            _unknown => Err(HoldScopeError),
        }
    }
}

impl fmt::Display for HoldScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HoldScope::All => f.write_str("all"),
            HoldScope::Account(id) => write!(f, "account:{id}"),
            HoldScope::Brand(id) => write!(f, "brand:{id}"),
            HoldScope::Region(id) => write!(f, "region:{id}"),
            HoldScope::Shop(id) => write!(f, "shop:{id}"),
            HoldScope::Group(name) => write!(f, "group:{name}"),
            HoldScope::Tag(tag) => write!(f, "tag:{tag}"),
            HoldScope::Broadcast(id) => write!(f, "broadcast:{id}"),
        }
    }
}

impl Serialize for HoldScope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HoldScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Hold {
    /// Says whether the hold stops a delivery now. A group without a place is in no brand, region or shop.
    pub fn stops(&self, delivery: &Delivery, places: &dyn Places, now_ms: i64) -> bool {
        self.is_active(now_ms)
            && (self.kinds.is_empty() || self.kinds.contains(&HoldKind::of(delivery)))
            && self.covers(delivery, places)
    }

    /// Says whether the hold is in force now.
    pub fn is_active(&self, now_ms: i64) -> bool {
        self.until_ms.is_none_or(|until| now_ms < until)
    }

    fn covers(&self, delivery: &Delivery, places: &dyn Places) -> bool {
        match &delivery.payload {
            // One call for all of them: what may not reach one waits with it.
            Payload::MassSend { targets, .. } => {
                targets.iter().any(|(_, group)| self.covers_group(delivery, group, places))
            }
            Payload::Text { .. }
            | Payload::Content { .. }
            | Payload::Edit { .. }
            | Payload::Action { .. } => self.covers_group(delivery, &delivery.group, places),
        }
    }

    fn covers_group(&self, delivery: &Delivery, group: &str, places: &dyn Places) -> bool {
        let broadcast = delivery.broadcast.as_ref().map(|(id, _)| id);
        if let Some(covers) = self.covers_all(&delivery.account, broadcast) {
            return covers;
        }
        let name = GroupId::parse(group).ok();
        let name = name.map(|group| GroupName { account: delivery.account.clone(), group });
        name.is_some_and(|name| self.covers_name(&name, places))
    }

    /// Says whether it covers everything of a broadcast through an account; `None` when that depends on the group.
    fn covers_all(&self, account: &AccountId, broadcast: Option<&BroadcastId>) -> Option<bool> {
        match &self.scope {
            HoldScope::All => Some(true),
            HoldScope::Account(held) => Some(held == account),
            HoldScope::Broadcast(held) => Some(broadcast == Some(held)),
            HoldScope::Brand(_)
            | HoldScope::Region(_)
            | HoldScope::Shop(_)
            | HoldScope::Group(_)
            | HoldScope::Tag(_) => None,
        }
    }

    /// Says whether it covers a group because of what the group is.
    fn covers_name(&self, name: &GroupName, places: &dyn Places) -> bool {
        let place = || places.group_place(name);
        match &self.scope {
            HoldScope::Brand(brand) => place().brand.as_ref() == Some(brand),
            HoldScope::Region(region) => place().region.as_ref() == Some(region),
            HoldScope::Shop(shop) => place().shop.as_ref() == Some(shop),
            HoldScope::Group(held) => held == name,
            HoldScope::Tag(tag) => places.has_tag(name, tag),
            HoldScope::All | HoldScope::Account(_) | HoldScope::Broadcast(_) => false,
        }
    }

    fn lets_go(&self) -> LetsGo {
        self.until_ms.map_or_else(|| LetsGo::Never(self.id.clone()), LetsGo::At)
    }
}

/// Why a hold was not set or lifted as asked.
#[derive(Debug, Error)]
pub enum HoldError {
    /// In force, but only in memory.
    #[error("the hold is in force but could not be stored: it would not survive a restart")]
    NotDurable(#[source] StorageError),
    /// Still in force.
    #[error("the hold could not be lifted and stays in force")]
    NotLifted(#[source] StorageError),
    /// No such hold.
    #[error("there is no hold `{0}`")]
    Unknown(String),
    /// What is stored cannot be read.
    #[error("read holds")]
    Unreadable(#[source] StorageError),
}

/// When stops let go of something; the later the greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LetsGo {
    /// Nothing stops it.
    Now,
    /// When the last of those that stop it ends.
    At(i64),
    /// Not before somebody lifts this one.
    Never(String),
}

/// The stops that keep a broadcast's targets through one account back, as of a moment.
#[derive(Clone, Debug)]
pub struct TargetHolds {
    whole: LetsGo,
    some: Vec<Hold>,
}

impl TargetHolds {
    /// Returns when all of its targets are let go of that only the account or the broadcast holds.
    pub fn whole(&self) -> &LetsGo {
        &self.whole
    }

    /// Says whether it depends on the group.
    pub fn depends_on_group(&self) -> bool {
        !self.some.is_empty()
    }

    /// Returns when the target in a group is let go of.
    pub fn of_group(&self, name: &GroupName, places: &dyn Places) -> LetsGo {
        let holds = self.some.iter().filter(|hold| hold.covers_name(name, places)).map(Hold::lets_go);
        holds.fold(self.whole.clone(), Ord::max)
    }
}

/// Knows to whom groups belong; the directory.
pub type SharedPlaces = Arc<dyn Places + Send + Sync>;

/// All holds. Owned by the outbox, which the whole house asks.
pub struct Holds {
    storage: SharedStorage,
    places: SharedPlaces,
    clock: Clock,
    active: ArcSwap<Vec<Hold>>,
    /// Counts changes, so that runners look again.
    changes: watch::Sender<u64>,
}

impl Holds {
    /// Reads the holds there are.
    ///
    /// # Errors
    /// When they cannot be read: then nothing may be sent.
    pub async fn open(storage: SharedStorage, places: SharedPlaces, clock: Clock) -> Result<Self, HoldError> {
        let mut holds = Vec::new();
        let mut after = None;
        loop {
            let page = storage.documents(DocumentKind::Hold, after.clone(), PAGE).await;
            let page = page.map_err(HoldError::Unreadable)?;
            let full = page.len() == PAGE;
            for document in page {
                holds.push(read(&document.id, &document.body).map_err(HoldError::Unreadable)?);
                after = Some(document.id);
            }
            if !full {
                break;
            }
        }
        let (changes, _) = watch::channel(0);
        let holds = Self { storage, places, clock, active: ArcSwap::from_pointee(holds), changes };
        holds.count();
        Ok(holds)
    }

    /// Sets a hold: in force at once, then written with its audit entry.
    ///
    /// # Errors
    /// [`HoldError::NotDurable`] when writing failed; the hold is in force all the same.
    pub async fn set(&self, hold: &Hold, audit: AuditEntry) -> Result<(), HoldError> {
        let placed = self.place(hold);
        self.write(placed, audit).await
    }

    /// Puts a hold in force; it lasts until a restart if [`Self::write`] does not follow.
    pub fn place(&self, hold: &Hold) -> Placed {
        let body = serde_json::to_string(hold).expect("a hold holds nothing that JSON cannot say");
        let placed = Placed { id: hold.id.clone(), body };
        self.swap(|holds| {
            holds.retain(|other| other.id != hold.id);
            holds.push(hold.clone());
        });
        placed
    }

    /// Makes a hold that is in force durable, with its audit entry.
    ///
    /// # Errors
    /// [`HoldError::NotDurable`] when writing failed; the hold stays in force.
    pub async fn write(&self, placed: Placed, audit: AuditEntry) -> Result<(), HoldError> {
        let Placed { id, body } = placed;
        let write = Write::Put { kind: DocumentKind::Hold, id, body, expect: None };
        self.commit(write, audit).await.map_err(HoldError::NotDurable)
    }

    /// Lifts a hold: written with its audit entry, then no longer in force.
    ///
    /// # Errors
    /// When there is no such hold, or writing failed and it stays in force.
    pub async fn lift(&self, id: &str, audit: AuditEntry) -> Result<(), HoldError> {
        if !self.active.load().iter().any(|hold| hold.id == id) {
            return Err(HoldError::Unknown(id.to_owned()));
        }
        let write = Write::Delete { kind: DocumentKind::Hold, id: id.to_owned() };
        self.commit(write, audit).await.map_err(HoldError::NotLifted)?;
        self.swap(|holds| holds.retain(|hold| hold.id != id));
        Ok(())
    }

    /// Returns every hold that is in force.
    pub fn list(&self) -> Vec<Hold> {
        let now_ms = self.clock.now_ms();
        self.active.load().iter().filter(|hold| hold.is_active(now_ms)).cloned().collect()
    }

    /// Returns the id of a hold that stops a delivery now.
    pub fn stopping(&self, delivery: &Delivery) -> Option<String> {
        let holds = self.active.load();
        if holds.is_empty() {
            return None;
        }
        let now_ms = self.clock.now_ms();
        holds.iter().find(|hold| hold.stops(delivery, &*self.places, now_ms)).map(|hold| hold.id.clone())
    }

    /// Returns every hold that stops a delivery now, for people who ask.
    pub fn all_stopping(&self, delivery: &Delivery) -> Vec<Hold> {
        let (holds, now_ms) = (self.active.load(), self.clock.now_ms());
        holds.iter().filter(|hold| hold.stops(delivery, &*self.places, now_ms)).cloned().collect()
    }

    /// Says whether a hold stops every target of a broadcast through an account, wherever it goes.
    pub fn stops_targets(&self, account: &AccountId, broadcast: &BroadcastId) -> bool {
        let now_ms = self.clock.now_ms();
        self.active.load().iter().any(|hold| {
            hold.is_active(now_ms)
                && (hold.kinds.is_empty() || hold.kinds.contains(&HoldKind::Broadcast))
                && hold.covers_all(account, Some(broadcast)) == Some(true)
        })
    }

    /// Returns what stops acts of a kind of a broadcast through an account now, and until when, for an estimate.
    pub fn on_targets(&self, kind: HoldKind, account: &AccountId, broadcast: &BroadcastId) -> TargetHolds {
        let now_ms = self.clock.now_ms();
        let mut holds = TargetHolds { whole: LetsGo::Now, some: Vec::new() };
        for hold in self.active.load().iter().filter(|hold| hold.is_active(now_ms)) {
            if !hold.kinds.is_empty() && !hold.kinds.contains(&kind) {
                continue;
            }
            match hold.covers_all(account, Some(broadcast)) {
                Some(true) => holds.whole = holds.whole.max(hold.lets_go()),
                Some(false) => {}
                None => holds.some.push(hold.clone()),
            }
        }
        holds
    }

    /// Returns when the next of those in force ends by itself.
    pub fn next_end_ms(&self) -> Option<i64> {
        let now_ms = self.clock.now_ms();
        let ends = self.active.load();
        ends.iter().filter(|hold| hold.is_active(now_ms)).filter_map(|hold| hold.until_ms).min()
    }

    /// Returns how many are in force now.
    pub fn active(&self) -> usize {
        let now_ms = self.clock.now_ms();
        self.active.load().iter().filter(|hold| hold.is_active(now_ms)).count()
    }

    /// Hears of changes.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Writes the number of active holds to the metrics.
    pub fn count(&self) {
        metrics::holds_active(self.active());
    }

    fn swap(&self, change: impl Fn(&mut Vec<Hold>)) {
        self.active.rcu(|holds| {
            let mut holds = Vec::clone(holds);
            change(&mut holds);
            holds
        });
        self.changes.send_modify(|changes| *changes += 1);
        self.count();
    }

    async fn commit(&self, write: Write, audit: AuditEntry) -> Result<(), StorageError> {
        let at_ms = self.clock.now_ms();
        let change = Change { at_ms, writes: vec![write], audit: vec![audit], ..Change::default() };
        self.storage.apply(change).await.map(drop)
    }
}

impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holds").field("active", &self.active.load()).finish_non_exhaustive()
    }
}

/// A hold that is in force and not yet durable.
#[derive(Debug)]
#[must_use = "write it, or it is gone after a restart"]
pub struct Placed {
    id: String,
    body: String,
}

const PAGE: usize = 500;

fn read(id: &str, body: &str) -> Result<Hold, StorageError> {
    serde_json::from_str(body)
        .map_err(|error| StorageError::Unreadable { what: format!("hold `{id}`"), detail: error.to_string() })
}
