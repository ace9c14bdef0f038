//! Who may see, set and lift which hold.

use super::error::{ApiError, Code};
use super::state::Cx;
use crate::access::Right;
use crate::directory::GroupFilter;
use crate::event::{FieldError, Place, Places as _, Scope};
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

    /// Refuses a stop where the caller may not set one. Whoever sends in a scope may stop what lies wholly in it; everything,
    /// and tags, which may be anywhere, take the right `admin`.
    ///
    /// # Errors
    /// With 403 where the right is missing, else what is wrong with the scope.
    pub(super) async fn may_stop(&self, scope: &HoldScope) -> Result<Option<FieldError>, ApiError> {
        let is_admin = self.caller().may(Right::Admin);
        if !is_admin && matches!(scope, HoldScope::All | HoldScope::Tag(_)) {
            let detail = "to stop everything or a tag takes the right `admin`; with `broadcasts:write` stop an account, a \
                          brand, a region, a shop, a group or a broadcast of your scope";
            return Err(ApiError::new(Code::Forbidden, detail));
        }
        if !self.covers_hold(scope).await {
            let detail = "there is no such thing in your scope";
            return Ok(Some(FieldError::new("/scope", "not_found", detail)));
        }
        let HoldScope::Tag(tag) = scope else { return Ok(None) };
        let filter = GroupFilter { tag: Some(tag.clone()), ..GroupFilter::default() };
        let nobody = self.directory().groups_in(&Scope::everything(), &filter, None, 1).is_empty();
        let detail = format!("no group has the tag `{tag}`: 0 groups would be stopped (没有群带这个标签)");
        Ok(nobody.then(|| FieldError::new("/scope", "not_found", detail)))
    }

    /// Says whether the caller may lift a stop: an admin where they could set it, others what they set themselves.
    pub(super) async fn may_lift(&self, hold: &Hold) -> Result<bool, ApiError> {
        if !self.covers_hold(&hold.scope).await {
            return Ok(false);
        }
        if self.caller().may(Right::Admin) || hold.by == self.actor().operator.as_str() {
            return Ok(true);
        }
        let detail = format!("`{}` set it: they lift it, or somebody with the right `admin`", hold.by);
        Err(ApiError::new(Code::Forbidden, detail))
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
