//! To whom a broadcast goes. Layer: pure core; which groups there are comes in through a trait.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::event::{AccountId, BrandId, GroupName, Hit, Place, Places, RegionId, Scope, ShopId};
use crate::storage::StorageError;

/// Who is to be reached. Written `"all"`, or `{"tags": ["vip"]}`, `{"shops": [..]}`, `{"regions": [..]}`, `{"brands": [..]}`,
/// `{"accounts": [..]}`, `{"groups": ["demo/g-7"]}`; and put together: `{"every": [{"regions": ["east"]}, {"not": {"tags": ["vip"]}}]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Every group within the creator's scope.
    All,
    /// Groups with any of these tags.
    Tags(BTreeSet<String>),
    /// Groups of these shops.
    #[schema(value_type = Vec<String>)]
    Shops(BTreeSet<ShopId>),
    /// Groups of these regions.
    #[schema(value_type = Vec<String>)]
    Regions(BTreeSet<RegionId>),
    /// Groups of these brands.
    #[schema(value_type = Vec<String>)]
    Brands(BTreeSet<BrandId>),
    /// Groups of these accounts.
    #[schema(value_type = Vec<String>)]
    Accounts(BTreeSet<AccountId>),
    /// These groups, as `account/group`.
    #[schema(value_type = Vec<String>)]
    Groups(BTreeSet<GroupName>),
    /// Groups that any of these holds.
    #[schema(no_recursion)]
    Any(Vec<Audience>),
    /// Groups that each of these holds.
    #[schema(no_recursion)]
    Every(Vec<Audience>),
    /// Groups that this does not hold.
    #[schema(no_recursion)]
    Not(Box<Audience>),
}

/// How deep audiences are put together at most.
const DEPTH_MAX: usize = 8;

/// Why an audience cannot be reached.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AudienceError {
    /// Nobody in it.
    #[error("reaches no group")]
    Empty,
    /// Too long a list.
    #[error("names {names}, at most {max} are allowed (`broadcasts.audience_names_max`)")]
    TooMany {
        /// How many it names.
        names: usize,
        /// How many it may name.
        max: usize,
    },
    /// Put together too deeply.
    #[error("is put together more than {DEPTH_MAX} deep")]
    TooDeep,
    /// It does not exist or may not be reached: which of the two is not told.
    #[error("no such {kind}: `{id}`")]
    Unknown {
        /// `shop`, `region`, `brand` or `group`.
        kind: &'static str,
        /// Which.
        id: String,
    },
}

/// A group, as far as a broadcast must know it.
pub trait GroupEntry: Send + Sync {
    /// Returns its full name.
    fn name(&self) -> &GroupName;
    /// Returns where it belongs.
    fn place(&self) -> &Place;
    /// Says whether it has a tag.
    fn has_tag(&self, tag: &str) -> bool;
    /// Returns the staff member who owns it on the platform.
    fn owner(&self) -> Option<&str>;
    /// Returns the value of a variable such as `shop.name`.
    fn value(&self, variable: &str) -> Option<&str>;
}

/// Knows the groups; the directory does.
pub trait GroupBook: Send + Sync {
    /// Returns groups (of one account, if named) after a cursor in order of [`GroupName`], at most `limit`. Groups that
    /// are gone are left out.
    fn groups_after(
        &self,
        account: Option<&AccountId>,
        after: Option<&GroupName>,
        limit: usize,
    ) -> Vec<Box<dyn GroupEntry>>;

    /// Returns who owns the groups of an account on the platform, by group, as far as it is known. Blocking.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn owners(&self, account: &AccountId) -> Result<HashMap<String, String>, StorageError>;

    /// Returns one group.
    fn group(&self, name: &GroupName) -> Option<Box<dyn GroupEntry>>;
}

/// Judges what we are about to say ourselves; interception does.
pub trait TextJudge: Send + Sync {
    /// Passes, or says which terms block the text.
    ///
    /// # Errors
    /// With the hits.
    fn judge(&self, text: &str) -> Result<(), Vec<Hit>>;
}

impl Audience {
    /// Says whether it wants a group.
    pub fn wants(&self, group: &dyn GroupEntry) -> bool {
        match self {
            Audience::All => true,
            Audience::Tags(tags) => tags.iter().any(|tag| group.has_tag(tag)),
            Audience::Shops(shops) => group.place().shop.as_ref().is_some_and(|shop| shops.contains(shop)),
            Audience::Regions(regions) => {
                group.place().region.as_ref().is_some_and(|region| regions.contains(region))
            }
            Audience::Brands(brands) => {
                group.place().brand.as_ref().is_some_and(|brand| brands.contains(brand))
            }
            Audience::Accounts(accounts) => accounts.contains(&group.name().account),
            Audience::Groups(groups) => groups.contains(group.name()),
            Audience::Any(parts) => parts.iter().any(|part| part.wants(group)),
            Audience::Every(parts) => parts.iter().all(|part| part.wants(group)),
            Audience::Not(part) => !part.wants(group),
        }
    }

    /// Returns its kind and how many names it lists, for the audit log.
    pub fn summary(&self) -> String {
        let all = |parts: &[Self]| parts.iter().map(Self::summary).collect::<Vec<_>>().join(", ");
        match self {
            Audience::All => "all".to_owned(),
            Audience::Tags(tags) => format!("{} tags", tags.len()),
            Audience::Shops(shops) => format!("{} shops", shops.len()),
            Audience::Regions(regions) => format!("{} regions", regions.len()),
            Audience::Brands(brands) => format!("{} brands", brands.len()),
            Audience::Accounts(accounts) => format!("{} accounts", accounts.len()),
            Audience::Groups(groups) => format!("{} groups", groups.len()),
            Audience::Any(parts) => format!("any of ({})", all(parts)),
            Audience::Every(parts) => format!("every of ({})", all(parts)),
            Audience::Not(part) => format!("not ({})", part.summary()),
        }
    }

    /// Refuses lists that are empty, too long, or name what `scope` does not cover.
    pub(super) fn check(&self, scope: &Scope, places: &dyn Places, max: usize) -> Result<(), AudienceError> {
        let mut names = 0;
        self.check_part(scope, places, DEPTH_MAX, &mut names)?;
        if names > max { Err(AudienceError::TooMany { names, max }) } else { Ok(()) }
    }

    fn check_part(
        &self,
        scope: &Scope,
        places: &dyn Places,
        depth: usize,
        names: &mut usize,
    ) -> Result<(), AudienceError> {
        let covers = |place: Place| scope.covers(&place);
        let covers_group =
            |g: &GroupName| scope.covers_group(g.account.as_str(), g.group.as_str(), &places.group_place(g));
        let parts = match self {
            Audience::All => return Ok(()),
            Audience::Tags(tags) => return listed("tag", tags, names, |_| true),
            Audience::Accounts(accounts) => return listed("account", accounts, names, |_| true),
            Audience::Shops(shops) => {
                return listed("shop", shops, names, |id| covers(places.shop_place(id)));
            }
            Audience::Regions(regions) => {
                return listed("region", regions, names, |id| covers(places.region_place(id)));
            }
            Audience::Brands(brands) => return listed("brand", brands, names, |id| covers(brand_place(id))),
            Audience::Groups(groups) => return listed("group", groups, names, covers_group),
            Audience::Any(parts) | Audience::Every(parts) => parts.as_slice(),
            Audience::Not(part) => std::slice::from_ref(&**part),
        };
        if parts.is_empty() {
            return Err(AudienceError::Empty);
        }
        let depth = depth.checked_sub(1).ok_or(AudienceError::TooDeep)?;
        *names += parts.len();
        parts.iter().try_for_each(|part| part.check_part(scope, places, depth, names))
    }

    /// Returns the narrowest place that holds it, as far as one name tells; else nowhere, which only those see who see
    /// everything.
    pub(super) fn place(&self, scope: &Scope, places: &dyn Places) -> Place {
        self.named_place(places).or_else(|| scope.only_place(places)).unwrap_or_default()
    }

    fn named_place(&self, places: &dyn Places) -> Option<Place> {
        let only = |mut set: Vec<Place>| if set.len() == 1 { set.pop() } else { None };
        match self {
            Audience::Shops(shops) => only(shops.iter().map(|id| places.shop_place(id)).collect()),
            Audience::Regions(regions) => only(regions.iter().map(|id| places.region_place(id)).collect()),
            Audience::Brands(brands) => only(brands.iter().map(brand_place).collect()),
            // What each must hold, the whole holds.
            Audience::Every(parts) => parts.iter().find_map(|part| part.named_place(places)),
            Audience::All
            | Audience::Tags(_)
            | Audience::Accounts(_)
            | Audience::Groups(_)
            | Audience::Any(_)
            | Audience::Not(_) => None,
        }
    }

    /// Returns the groups that hold all of it, where they are listed.
    fn groups(&self) -> Option<&BTreeSet<GroupName>> {
        match self {
            Audience::Groups(groups) => Some(groups),
            Audience::Every(parts) => parts.iter().find_map(Self::groups),
            Audience::All
            | Audience::Tags(_)
            | Audience::Shops(_)
            | Audience::Regions(_)
            | Audience::Brands(_)
            | Audience::Accounts(_)
            | Audience::Any(_)
            | Audience::Not(_) => None,
        }
    }
}

fn brand_place(brand: &BrandId) -> Place {
    Place { brand: Some(brand.clone()), ..Place::default() }
}

/// Checks a list of names; the first that may not be reached is told.
fn listed<N: std::fmt::Display>(
    kind: &'static str,
    list: &BTreeSet<N>,
    names: &mut usize,
    covers: impl Fn(&N) -> bool,
) -> Result<(), AudienceError> {
    *names += list.len();
    if list.is_empty() {
        return Err(AudienceError::Empty);
    }
    match list.iter().find(|name| !covers(name)) {
        Some(name) => Err(AudienceError::Unknown { kind, id: name.to_string() }),
        None => Ok(()),
    }
}

/// An audience with what limits it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach<'a> {
    pub(super) audience: &'a Audience,
    pub(super) account: Option<&'a AccountId>,
    pub(super) scopes: &'a [Scope],
}

impl Reach<'_> {
    pub(super) fn includes(&self, group: &dyn GroupEntry) -> bool {
        let name = group.name();
        let covers =
            |scope: &Scope| scope.covers_group(name.account.as_str(), name.group.as_str(), group.place());
        self.account.is_none_or(|account| *account == name.account)
            && self.scopes.iter().all(covers)
            && self.audience.wants(group)
    }

    /// Returns the next groups after a cursor, looking at most at `limit`, and how far it looked; `None`: there is no more.
    pub(super) fn next(
        &self,
        book: &dyn GroupBook,
        after: Option<&GroupName>,
        limit: usize,
    ) -> (Vec<Box<dyn GroupEntry>>, Option<GroupName>) {
        // A list of names is walked by itself: a hundred groups of 24,000 need not all be looked at.
        if let Some(names) = self.audience.groups() {
            let from = match after {
                Some(after) => std::ops::Bound::Excluded(after),
                None => std::ops::Bound::Unbounded,
            };
            let looked: Vec<_> = names.range((from, std::ops::Bound::Unbounded)).take(limit).collect();
            let last = if looked.len() < limit { None } else { looked.last().map(|name| (*name).clone()) };
            let groups = looked.into_iter().filter_map(|name| book.group(name));
            return (groups.filter(|group| self.includes(&**group)).collect(), last);
        }
        let mut groups = book.groups_after(self.account, after, limit);
        let last = if groups.len() < limit { None } else { groups.last().map(|group| group.name().clone()) };
        groups.retain(|group| self.includes(&**group));
        (groups, last)
    }
}
