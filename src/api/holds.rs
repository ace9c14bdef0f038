//! Who may see, set and lift which hold.

use super::state::Cx;
use crate::event::{Place, Places as _};
use crate::outbox::holds::{Hold, HoldScope};

impl Cx {
    /// Returns the stops that are in force for what the caller sees: their own, and those of everything.
    pub(super) async fn holds(&self) -> Vec<Hold> {
        let mut visible = Vec::new();
        for hold in self.outbox().holds().list() {
            if hold.scope == HoldScope::All || self.covers_hold(&hold.scope).await {
                visible.push(hold);
            }
        }
        visible
    }

    /// Says whether the caller may stop and resume there. What does not exist is nowhere.
    pub(super) async fn covers_hold(&self, scope: &HoldScope) -> bool {
        let (own, directory) = (self.scope(), self.directory());
        match scope {
            // Groups anywhere may have a tag.
            HoldScope::All | HoldScope::Tag(_) => own.is_everything(),
            HoldScope::Account(account) => directory.account_in(own, account.as_str()).is_ok(),
            HoldScope::Brand(brand) => directory.brand_in(own, brand.as_str()).is_ok(),
            HoldScope::Region(region) => directory.region_in(own, region.as_str()).is_ok(),
            HoldScope::Shop(shop) => directory.shop_in(own, shop.as_str()).is_ok(),
            HoldScope::Group(name) => {
                directory.group_in(own, name.account.as_str(), name.group.as_str()).is_ok()
            }
            HoldScope::Broadcast(id) => self.broadcast(id.as_str()).await.is_ok(),
        }
    }

    /// Returns where a stop belongs, for the audit log.
    pub(super) async fn place_of_hold(&self, scope: &HoldScope) -> Place {
        let directory = self.directory();
        match scope {
            HoldScope::All | HoldScope::Tag(_) => Place::default(),
            HoldScope::Account(account) => {
                directory.account(account.as_str()).map(|account| account.place.clone()).unwrap_or_default()
            }
            HoldScope::Brand(brand) => Place { brand: Some(brand.clone()), ..Place::default() },
            HoldScope::Region(region) => directory.region_place(region),
            HoldScope::Shop(shop) => directory.shop_place(shop),
            HoldScope::Group(name) => directory.group_place(name),
            HoldScope::Broadcast(id) => {
                let broadcast = self.broadcast(id.as_str()).await;
                broadcast.map(|broadcast| broadcast.place).unwrap_or_default()
            }
        }
    }
}
