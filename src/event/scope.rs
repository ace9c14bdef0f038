//! Where something belongs, and what someone may see of it: the two halves of every scope check.
//!
//! Not for: who someone is (that is `access`) or which shop a group has (that is `directory`). Pure.
//! Invariant: an empty scope sees nothing, and a scope limited by another never sees more than either.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AccountId, BrandId, GroupId, OperatorId, RegionId, ShopId, TokenId};

/// Where something belongs. What is assigned to no shop, region or brand is seen by the unlimited scope alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The brand, if known.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub brand: Option<BrandId>,
    /// The region, if known.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub region: Option<RegionId>,
    /// The shop, if known.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub shop: Option<ShopId>,
}

impl Place {
    /// Says whether it is assigned to nothing.
    pub fn is_nowhere(&self) -> bool {
        self.brand.is_none() && self.region.is_none() && self.shop.is_none()
    }

    /// Returns `brand/region/shop`, each part possibly empty: the form of the audit log.
    pub fn path(&self) -> String {
        format!(
            "{}/{}/{}",
            self.brand.as_ref().map_or("", BrandId::as_str),
            self.region.as_ref().map_or("", RegionId::as_str),
            self.shop.as_ref().map_or("", ShopId::as_str)
        )
    }

    /// Reads what [`Place::path`] wrote; anything else is nowhere.
    pub fn of_path(path: &str) -> Self {
        let mut parts = path.splitn(3, '/');
        let mut next = || parts.next().unwrap_or("");
        Self {
            brand: BrandId::parse(next()).ok(),
            region: RegionId::parse(next()).ok(),
            shop: ShopId::parse(next()).ok(),
        }
    }
}

/// A group by its full name, written `account/group`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName {
    /// Its account.
    pub account: AccountId,
    /// The platform's id of it.
    pub group: GroupId,
}

impl GroupName {
    /// Reads `account/group`; the group's own id may hold further slashes.
    pub fn parse(text: &str) -> Option<Self> {
        let (account, group) = text.split_once('/')?;
        Some(Self { account: AccountId::parse(account).ok()?, group: GroupId::parse(group).ok()? })
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.group)
    }
}

impl Serialize for GroupName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GroupName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("write a group as `account/group`"))
    }
}

/// Which brands, regions, shops and groups someone may see and act on.
///
/// Written `{"all": true}`, or as lists: `{"regions": ["east"], "groups": ["demo/g-7"]}`; a list adds to the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    /// Everything, also what belongs nowhere.
    #[serde(skip_serializing_if = "is_false")]
    pub all: bool,
    /// Everything of these brands.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub brands: BTreeSet<BrandId>,
    /// Everything of these regions.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub regions: BTreeSet<RegionId>,
    /// Everything of these shops.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub shops: BTreeSet<ShopId>,
    /// These groups, as `account/group`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub groups: BTreeSet<GroupName>,
    /// A second scope that must cover as well: a token's scope inside its operator's.
    #[serde(skip)]
    limit: Option<Arc<Scope>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Scope {
    /// Sees everything.
    pub fn everything() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Sees what both this and `outer` see.
    #[must_use]
    pub fn limited_to(mut self, outer: Arc<Scope>) -> Self {
        self.limit = Some(outer);
        self
    }

    /// Says whether nothing at all limits it.
    pub fn is_everything(&self) -> bool {
        self.all && self.limit.as_ref().is_none_or(|limit| limit.is_everything())
    }

    /// Returns how many names it lists.
    pub fn names(&self) -> usize {
        self.brands.len() + self.regions.len() + self.shops.len() + self.groups.len()
    }

    /// Says whether something at `place` may be seen.
    pub fn covers(&self, place: &Place) -> bool {
        self.covers_alone(place) && self.limit.as_ref().is_none_or(|limit| limit.covers(place))
    }

    /// Says whether a group at `place` may be seen: by its place, or because it is listed itself.
    pub fn covers_group(&self, account: &str, group: &str, place: &Place) -> bool {
        let listed =
            || self.groups.iter().any(|g| g.account.as_str() == account && g.group.as_str() == group);
        (self.covers_alone(place) || listed())
            && self.limit.as_ref().is_none_or(|limit| limit.covers_group(account, group, place))
    }

    fn covers_alone(&self, place: &Place) -> bool {
        self.all
            || place.shop.as_ref().is_some_and(|shop| self.shops.contains(shop))
            || place.region.as_ref().is_some_and(|region| self.regions.contains(region))
            || place.brand.as_ref().is_some_and(|brand| self.brands.contains(brand))
    }

    /// Returns this scope and every one that limits it, each without a limit: to be kept where a scope outlives its
    /// request. Something is covered when each of them covers it.
    pub fn layers(&self) -> Vec<Scope> {
        let mut layers = self.limit.as_ref().map_or_else(Vec::new, |limit| limit.layers());
        layers.push(Scope { limit: None, ..self.clone() });
        layers
    }

    /// Returns the place of the one brand, region or shop that the scope consists of, if it does.
    pub fn only_place(&self, places: &dyn Places) -> Option<Place> {
        if self.all || self.names() != 1 {
            return self.limit.as_ref().filter(|_| self.all).and_then(|limit| limit.only_place(places));
        }
        let brand = self.brands.first().map(|id| Place { brand: Some(id.clone()), ..Place::default() });
        let region = || self.regions.first().map(|id| places.region_place(id));
        let shop = || self.shops.first().map(|id| places.shop_place(id));
        brand.or_else(region).or_else(shop)
    }

    /// Says whether everything this names is covered by `outer`, as far as `places` knows.
    pub fn is_within(&self, outer: &Scope, places: &dyn Places) -> bool {
        if outer.is_everything() {
            return true;
        }
        let brand = |id: &BrandId| outer.covers(&Place { brand: Some(id.clone()), ..Place::default() });
        let group =
            |g: &GroupName| outer.covers_group(g.account.as_str(), g.group.as_str(), &places.group_place(g));
        !self.all
            && self.brands.iter().all(brand)
            && self.regions.iter().all(|id| outer.covers(&places.region_place(id)))
            && self.shops.iter().all(|id| outer.covers(&places.shop_place(id)))
            && self.groups.iter().all(group)
    }
}

/// Whoever knows where regions, shops and groups belong; what it does not know is nowhere.
pub trait Places: Send + Sync {
    /// The brand of a region, and the region itself.
    fn region_place(&self, region: &RegionId) -> Place;
    /// The region and brand of a shop, and the shop itself.
    fn shop_place(&self, shop: &ShopId) -> Place;
    /// Where a group's shop is.
    fn group_place(&self, group: &GroupName) -> Place;
    /// Whether a group has a tag; who knows no tags says no.
    fn has_tag(&self, _group: &GroupName, _tag: &str) -> bool {
        false
    }
}

/// Who asks: whose name stands in the audit log, and what they may see.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The person.
    pub operator: OperatorId,
    /// The credential they used; `None` for the command line on the data directory.
    pub token: Option<TokenId>,
    /// What they may see and act on.
    pub scope: Scope,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(json: &str) -> Scope {
        serde_json::from_str(json).unwrap()
    }

    fn east() -> Place {
        Place::of_path("acme/east/s-1")
    }

    #[test]
    fn a_scope_covers_what_it_names_and_nothing_else() {
        let table = [
            (r#"{"all":true}"#, true),
            (r#"{"brands":["acme"]}"#, true),
            (r#"{"regions":["east"]}"#, true),
            (r#"{"shops":["s-1"]}"#, true),
            (r#"{"groups":["demo/g-1"]}"#, true),
            (r#"{"brands":["other"],"regions":["west"],"shops":["s-2"],"groups":["demo/g-2"]}"#, false),
            (r#"{"groups":["other/g-1"]}"#, false),
            ("{}", false),
        ];
        for (json, expect) in table {
            assert_eq!(scope(json).covers_group("demo", "g-1", &east()), expect, "{json}");
        }
    }

    #[test]
    fn what_belongs_nowhere_is_seen_by_the_unlimited_scope_alone() {
        assert!(Scope::everything().covers(&Place::default()));
        assert!(!scope(r#"{"brands":["acme"],"regions":["east"]}"#).covers(&Place::default()));
    }

    #[test]
    fn a_limited_scope_never_sees_more_than_either() {
        let west = Arc::new(scope(r#"{"regions":["west"]}"#));
        assert!(!Scope::everything().limited_to(Arc::clone(&west)).covers(&east()));
        assert!(!Scope::everything().limited_to(west).is_everything());
        let by_region = Arc::new(scope(r#"{"regions":["east"]}"#));
        let group = scope(r#"{"groups":["demo/g-1"]}"#).limited_to(by_region);
        assert!(group.covers_group("demo", "g-1", &east()));
        assert!(!group.covers(&east()));
    }

    struct Book;
    impl Places for Book {
        fn region_place(&self, region: &RegionId) -> Place {
            Place { region: Some(region.clone()), ..Place::of_path("acme//") }
        }
        fn shop_place(&self, _: &ShopId) -> Place {
            east()
        }
        fn group_place(&self, _: &GroupName) -> Place {
            east()
        }
    }

    #[test]
    fn nobody_hands_on_more_than_they_have() {
        let table = [
            (r#"{"regions":["east"]}"#, r#"{"brands":["acme"]}"#, true),
            (r#"{"shops":["s-1"],"groups":["demo/g-1"]}"#, r#"{"regions":["east"]}"#, true),
            (r#"{"brands":["acme"]}"#, r#"{"regions":["east"]}"#, false),
            (r#"{"regions":["west"]}"#, r#"{"regions":["east"]}"#, false),
            (r#"{"all":true}"#, r#"{"brands":["acme"]}"#, false),
            ("{}", "{}", true),
        ];
        for (inner, outer, expect) in table {
            assert_eq!(scope(inner).is_within(&scope(outer), &Book), expect, "{inner} in {outer}");
        }
    }

    #[test]
    fn a_place_survives_the_audit_log() {
        for path in ["acme/east/s-1", "acme//", "//", "/east/"] {
            assert_eq!(Place::of_path(path).path(), path);
        }
    }
}
