//! Groups: what was declared of one, and what the hot path needs to know of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::chosen::{Chosen, brand_of};
use super::limits::Checker;
use super::shop::{Shop, ShopRecord, Stored};
use crate::event::{BrandId, Kin, Place, RegionId, Scope, ShopId};
use crate::interception::{Audience, EffectivePolicy, PolicyBook, Speaker};

/// What people declare of a group; all of it is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupRecord {
    /// Name for people; the platform's when left out.
    pub name: Option<String>,
    /// The staff member who owns it on the platform; as the platform tells when left out.
    pub owner: Option<String>,
    /// Words to choose audiences and rules by; kept sorted, each once.
    pub tags: Vec<String>,
    /// The policy its messages are judged by, over those of everything it belongs to.
    pub policy: Option<String>,
    /// The shop it belongs to; decides who may see it.
    #[schema(value_type = Option<String>)]
    pub shop: Option<ShopId>,
    /// IANA name; the shop's when left out.
    pub time_zone: Option<String>,
    /// Values for texts, before those of the shop.
    pub variables: BTreeMap<String, String>,
}

impl GroupRecord {
    /// Sorts the tags, so that two ways of writing the same are the same.
    pub(super) fn normalise(&mut self) {
        self.tags.sort_unstable();
        self.tags.dedup();
    }

    pub(super) fn check(&self, checker: &mut Checker<'_>) {
        for (pointer, text) in [("/name", &self.name), ("/owner", &self.owner)] {
            if let Some(text) = text {
                checker.name(pointer, text);
            }
        }
        checker.policy(self.policy.as_deref());
        checker.tags(&self.tags);
        checker.time_zone(self.time_zone.as_deref());
        checker.variables(&self.variables);
    }
}

/// A group with everything worked out: immutable, shared, replaced whole when something changes.
#[derive(Clone, Debug)]
pub struct GroupContext {
    /// Its account.
    pub account: Arc<Account>,
    /// Its shop, if it was assigned to one.
    pub shop: Option<Arc<Shop>>,
    /// Where it belongs, by its shop.
    pub place: Place,
    /// Its own time zone, its shop's, or the default.
    pub time_zone: TimeZone,
    /// What was declared, if anything.
    pub declared: Option<Arc<Stored<GroupRecord>>>,
    /// What the platform told.
    pub(super) seen: Seen,
    /// The policies chosen for it and for what it belongs to.
    pub(super) chosen: Arc<Chosen>,
}

/// What a platform tells of a group; `None` says nothing about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenGroup<'a> {
    /// Its name.
    pub name: Option<&'a str>,
    /// The staff member who owns it.
    pub owner: Option<&'a str>,
}

/// What the platform last told of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    name: Option<Arc<str>>,
    owner: Option<Arc<str>>,
}

impl Seen {
    /// Says whether nothing was ever told.
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && self.owner.is_none()
    }

    /// Says whether something told is known already.
    pub(super) fn holds(&self, told: SeenGroup<'_>) -> bool {
        told.name.is_none_or(|name| self.name.as_deref() == Some(name))
            && told.owner.is_none_or(|owner| self.owner.as_deref() == Some(owner))
    }

    pub(super) fn take(&mut self, told: SeenGroup<'_>) {
        if let Some(name) = told.name {
            self.name = Some(Arc::from(name));
        }
        if let Some(owner) = told.owner {
            self.owner = Some(Arc::from(owner));
        }
    }
}

static NO_VARIABLES: BTreeMap<String, String> = BTreeMap::new();

impl GroupContext {
    /// Returns the declared name, or the platform's.
    pub fn name(&self) -> Option<&str> {
        let declared = self.declared.as_ref().and_then(|d| d.record.name.as_deref());
        declared.or(self.seen.name.as_deref())
    }

    /// Returns the declared owner, or the platform's.
    pub fn owner(&self) -> Option<&str> {
        let declared = self.declared.as_ref().and_then(|d| d.record.owner.as_deref());
        declared.or(self.seen.owner.as_deref())
    }

    /// Returns its tags.
    pub fn tags(&self) -> &[String] {
        self.declared.as_ref().map_or(&[], |d| &d.record.tags)
    }

    /// Returns its own variables; the shop's are in `shop`.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        self.declared.as_ref().map_or(&NO_VARIABLES, |d| &d.record.variables)
    }

    /// Returns the topmost of the policies chosen for it and for what it belongs to, those of its tags left out.
    pub fn policy(&self) -> Option<&str> {
        self.chosen.topmost()
    }

    /// Returns the policy its messages are judged by, all layers together, under a ruleset's policies.
    pub fn effective_policy(&self, book: &Arc<PolicyBook>) -> Arc<EffectivePolicy> {
        self.chosen.effective(book)
    }

    /// Returns whom a text in it is judged for; `group` is its own id, which a shared context does not hold.
    pub fn audience<'a>(&'a self, group: &'a str, speaker: Speaker) -> Audience<'a> {
        Audience {
            speaker,
            account: self.account.id.as_str(),
            group,
            brand: brand_of(&self.account, self.shop.as_deref()).map(BrandId::as_str),
            region: self.place.region.as_ref().map(RegionId::as_str),
            tags: self.tags(),
            now_ms: 0,
        }
    }

    /// Returns what a member is to us.
    pub fn kin(&self, member: &str) -> Kin {
        let shop = self.shop.as_ref().map(|shop| &shop.record);
        let runs = |of: fn(&ShopRecord) -> Option<&str>| shop.and_then(of) == Some(member);
        if self.account.record.own_members.iter().any(|own| own == member) {
            Kin::Ourselves
        } else if self.owner() == Some(member)
            || runs(|shop| shop.manager.as_deref())
            || runs(|shop| shop.deputy.as_deref())
        {
            Kin::Staff
        } else {
            Kin::Other
        }
    }

    /// Says whether a scope covers this group; `group` is its own id, which a shared context does not hold.
    pub fn covered_by(&self, scope: &Scope, group: &str) -> bool {
        scope.covers_group(self.account.id.as_str(), group, &self.place)
    }

    /// Returns the value of a variable of a text (`shop.name`, `group.vars.wifi`); the names are `template`'s.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let (of, field) = name.split_once('.')?;
        match (of, field, &self.shop) {
            ("group", "name", _) => self.name(),
            ("group", "owner", _) => self.owner(),
            ("group", field, _) => self.variables().get(field.strip_prefix("vars.")?).map(String::as_str),
            (_, _, Some(shop)) => shop.variable(name),
            (_, _, None) => None,
        }
    }
}

/// Which groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFilter {
    /// Of this account.
    pub account: Option<String>,
    /// Of this shop.
    pub shop: Option<String>,
    /// Of this region.
    pub region: Option<String>,
    /// Of this brand.
    pub brand: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// On this platform.
    pub platform: Option<String>,
}

impl GroupFilter {
    /// Says whether a group passes (but for the account, which is chosen before).
    pub(super) fn passes(&self, context: &GroupContext) -> bool {
        fn is<T: ToString>(wanted: Option<&String>, value: Option<&T>) -> bool {
            wanted.is_none_or(|wanted| value.is_some_and(|value| value.to_string() == *wanted))
        }
        is(self.shop.as_ref(), context.place.shop.as_ref())
            && is(self.region.as_ref(), context.place.region.as_ref())
            && is(self.brand.as_ref(), context.place.brand.as_ref())
            && self.tag.as_ref().is_none_or(|tag| context.tags().contains(tag))
            && self.platform.as_ref().is_none_or(|platform| context.account.record.platform == *platform)
    }
}

/// A group of a listing.
#[derive(Clone, Debug)]
pub struct GroupFound {
    /// The platform's id of it.
    pub group: Box<str>,
    /// All about it.
    pub context: Arc<GroupContext>,
}
