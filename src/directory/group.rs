//! Groups: what was declared of one, and what the hot path needs to know of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::limits::Checker;
use super::shop::{Shop, Stored};
use crate::event::{Place, ShopId};

/// What people declare of a group; all of it is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupRecord {
    /// Name for people; the platform's when left out.
    pub name: Option<String>,
    /// The staff member who owns it on the platform.
    pub owner: Option<String>,
    /// Words to choose audiences by.
    pub tags: BTreeSet<String>,
    /// The shop it belongs to; decides who may see it.
    #[schema(value_type = Option<String>)]
    pub shop: Option<ShopId>,
    /// IANA name; the shop's when left out.
    pub time_zone: Option<String>,
    /// Values for texts, before those of the shop.
    pub variables: BTreeMap<String, String>,
}

impl GroupRecord {
    pub(super) fn check(&self, checker: &mut Checker<'_>) {
        for (pointer, text) in [("/name", &self.name), ("/owner", &self.owner)] {
            if let Some(text) = text {
                checker.name(pointer, text);
            }
        }
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
    /// The name the platform told.
    pub(super) seen_name: Option<Arc<str>>,
}

static NO_VARIABLES: BTreeMap<String, String> = BTreeMap::new();
static NO_TAGS: LazyLock<BTreeSet<String>> = LazyLock::new(BTreeSet::new);

impl GroupContext {
    /// Returns the declared name, or the platform's.
    pub fn name(&self) -> Option<&str> {
        let declared = self.declared.as_ref().and_then(|d| d.record.name.as_deref());
        declared.or(self.seen_name.as_deref())
    }

    /// Returns the declared owner.
    pub fn owner(&self) -> Option<&str> {
        self.declared.as_ref().and_then(|d| d.record.owner.as_deref())
    }

    /// Returns its tags.
    pub fn tags(&self) -> &BTreeSet<String> {
        self.declared.as_ref().map_or(&NO_TAGS, |d| &d.record.tags)
    }

    /// Returns its own variables; the shop's are in `shop`.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        self.declared.as_ref().map_or(&NO_VARIABLES, |d| &d.record.variables)
    }

    /// Returns a variable of the group, or else of its shop.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let of_shop = || self.shop.as_ref().and_then(|shop| shop.record.variables.get(name));
        self.variables().get(name).or_else(of_shop).map(String::as_str)
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
