//! To whom a broadcast goes. Layer: pure core; which groups there are comes in through a trait.
//!
//! A question about a group has three answers: yes, no, and "nobody knows" where it asks for a number that is not counted.
//! Not knowing stays not knowing however audiences are put together, also under `not`; only a yes is reached. So a group
//! whose talk the gateway cannot see is never taken for a silent one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Config;
use super::book::{Figures, GroupEntry};
use crate::event::{AccountId, BrandId, GroupName, Place, Places, RegionId, Scope, ShopId};
use crate::reach::Range;

/// Who is to be reached. Written `"all"`, or `{"tags": ["vip"]}`, `{"shops": [..]}`, `{"regions": [..]}`, `{"brands": [..]}`,
/// `{"platforms": ["wecom"]}`, `{"accounts": [..]}`, `{"groups": ["demo/g-7"]}`, `{"silent_days": 7}`, `{"active_days": 7}`,
/// `{"size": {"min": 50}}`, `{"segment": {"id": "silent", "members_min": 5}}`, `{"saved": "vip-east"}`; and put together:
/// `{"every": [{"regions": ["east"]}, {"not": {"tags": ["vip"]}}]}`.
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
    /// Groups on these platforms: `wecom`, `webhook`, ….
    Platforms(BTreeSet<String>),
    /// Groups of these accounts.
    #[schema(value_type = Vec<String>)]
    Accounts(BTreeSet<AccountId>),
    /// These groups, as `account/group`.
    #[schema(value_type = Vec<String>)]
    Groups(BTreeSet<GroupName>),
    /// Groups in which no customer said anything in so many last days. Only where the gateway sees what is said, and has
    /// known the group for as long.
    SilentDays(u16),
    /// Groups in which a customer said something in so many last days.
    ActiveDays(u16),
    /// Groups with so many members, as far as joins, leaves and messages tell.
    Size(Range),
    /// Groups with enough members of a segment.
    Segment(OfSegment),
    /// Groups of a saved audience, by its name.
    Saved(String),
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

/// How many members of a segment a group has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfSegment {
    /// The segment's id.
    pub id: String,
    /// At least so many members of the group are in it.
    #[serde(default = "one")]
    pub members_min: u64,
}

fn one() -> u64 {
    1
}

/// How deep audiences are put together at most; and over how many saved ones one may lead to another.
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
    /// Not a number of days that can be asked for.
    #[error("{days} days: 1 to {max} are allowed (`broadcasts.activity_days_max`)")]
    Days {
        /// How many were asked for.
        days: u16,
        /// How many may be.
        max: u16,
    },
    /// No number of members is in it.
    #[error("`size` needs a `min`, a `max`, or both with `min` the smaller")]
    Size,
    /// A saved audience leads back to itself.
    #[error("the saved audience `{0}` leads back to itself")]
    Cycle(String),
    /// It does not exist or may not be reached: which of the two is not told.
    #[error("no such {kind}: `{id}`")]
    Unknown {
        /// `shop`, `region`, `brand`, `group`, `segment` or `audience`.
        kind: &'static str,
        /// Which.
        id: String,
    },
}

impl Audience {
    /// Says whether it wants a group; `None`: nobody knows.
    pub fn wants(&self, group: &dyn GroupEntry, figures: &Figures) -> Option<bool> {
        let place = group.place();
        match self {
            Audience::All => Some(true),
            Audience::Tags(tags) => Some(tags.iter().any(|tag| group.has_tag(tag))),
            Audience::Shops(shops) => Some(place.shop.as_ref().is_some_and(|shop| shops.contains(shop))),
            Audience::Regions(all) => Some(place.region.as_ref().is_some_and(|region| all.contains(region))),
            Audience::Brands(brands) => {
                Some(place.brand.as_ref().is_some_and(|brand| brands.contains(brand)))
            }
            Audience::Platforms(platforms) => Some(platforms.contains(group.platform())),
            Audience::Accounts(accounts) => Some(accounts.contains(&group.name().account)),
            Audience::Groups(groups) => Some(groups.contains(group.name())),
            Audience::SilentDays(days) => figures.spoke.get(days).map(|spoke| !spoke),
            Audience::ActiveDays(days) => figures.spoke.get(days).copied(),
            Audience::Size(size) => figures.members.map(|members| size.holds(members)),
            Audience::Segment(of) => figures.segments.get(&of.id).and_then(|counted| {
                let surely = counted.members >= of.members_min;
                let perhaps = counted.members + counted.unknown >= of.members_min;
                if surely { Some(true) } else { (!perhaps).then_some(false) }
            }),
            // What was saved is put in its place before a group is asked about.
            Audience::Saved(_) => None,
            Audience::Any(parts) => joined(parts, true, |part| part.wants(group, figures)),
            Audience::Every(parts) => joined(parts, false, |part| part.wants(group, figures)),
            Audience::Not(part) => part.wants(group, figures).map(|wants| !wants),
        }
    }

    /// Returns the parts it is put together of.
    fn parts(&self) -> &[Audience] {
        match self {
            Audience::Any(parts) | Audience::Every(parts) => parts,
            Audience::Not(part) => std::slice::from_ref(&**part),
            Audience::All
            | Audience::Tags(_)
            | Audience::Shops(_)
            | Audience::Regions(_)
            | Audience::Brands(_)
            | Audience::Platforms(_)
            | Audience::Accounts(_)
            | Audience::Groups(_)
            | Audience::SilentDays(_)
            | Audience::ActiveDays(_)
            | Audience::Size(_)
            | Audience::Segment(_)
            | Audience::Saved(_) => &[],
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
            Audience::Platforms(platforms) => format!("{} platforms", platforms.len()),
            Audience::Accounts(accounts) => format!("{} accounts", accounts.len()),
            Audience::Groups(groups) => format!("{} groups", groups.len()),
            Audience::SilentDays(days) => format!("silent for {days} days"),
            Audience::ActiveDays(days) => format!("active in {days} days"),
            Audience::Size(Range { min, max }) => match (min, max) {
                (Some(min), Some(max)) => format!("{min} to {max} members"),
                (Some(min), None) => format!("{min} members and more"),
                (None, max) => format!("up to {} members", max.unwrap_or_default()),
            },
            Audience::Segment(of) => format!("{} members of the segment {} and more", of.members_min, of.id),
            Audience::Saved(name) => format!("saved {name}"),
            Audience::Any(parts) => format!("any of ({})", all(parts)),
            Audience::Every(parts) => format!("every of ({})", all(parts)),
            Audience::Not(part) => format!("not ({})", part.summary()),
        }
    }

    /// Refuses lists that are empty, too long, or name what `scope` does not cover. What a saved one names is not looked at.
    pub(super) fn check(
        &self,
        scope: &Scope,
        places: &dyn Places,
        config: &Config,
    ) -> Result<(), AudienceError> {
        let mut names = 0;
        self.check_part(scope, places, config.activity_days_max, DEPTH_MAX, &mut names)?;
        let max = config.audience_names_max;
        if names > max { Err(AudienceError::TooMany { names, max }) } else { Ok(()) }
    }

    fn check_part(
        &self,
        scope: &Scope,
        places: &dyn Places,
        days_max: u16,
        depth: usize,
        names: &mut usize,
    ) -> Result<(), AudienceError> {
        let covers = |place: Place| scope.covers(&place);
        let covers_group =
            |g: &GroupName| scope.covers_group(g.account.as_str(), g.group.as_str(), &places.group_place(g));
        match self {
            Audience::All | Audience::Segment(_) | Audience::Saved(_) => return Ok(()),
            Audience::Tags(tags) => return listed("tag", tags, names, |_| true),
            Audience::Platforms(platforms) => return listed("platform", platforms, names, |_| true),
            Audience::Accounts(accounts) => return listed("account", accounts, names, |_| true),
            Audience::Shops(shops) => {
                return listed("shop", shops, names, |id| covers(places.shop_place(id)));
            }
            Audience::Regions(regions) => {
                return listed("region", regions, names, |id| covers(places.region_place(id)));
            }
            Audience::Brands(brands) => return listed("brand", brands, names, |id| covers(brand_place(id))),
            Audience::Groups(groups) => return listed("group", groups, names, covers_group),
            Audience::SilentDays(days) | Audience::ActiveDays(days) => {
                let (days, max) = (*days, days_max);
                let fits = (1..=max).contains(&days);
                return fits.then_some(()).ok_or(AudienceError::Days { days, max });
            }
            Audience::Size(size) => return size.is_possible().then_some(()).ok_or(AudienceError::Size),
            Audience::Any(_) | Audience::Every(_) | Audience::Not(_) => {}
        }
        let parts = self.parts();
        if parts.is_empty() {
            return Err(AudienceError::Empty);
        }
        let depth = depth.checked_sub(1).ok_or(AudienceError::TooDeep)?;
        *names += parts.len();
        parts.iter().try_for_each(|part| part.check_part(scope, places, days_max, depth, names))
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
            | Audience::Platforms(_)
            | Audience::Accounts(_)
            | Audience::Groups(_)
            | Audience::SilentDays(_)
            | Audience::ActiveDays(_)
            | Audience::Size(_)
            | Audience::Segment(_)
            | Audience::Saved(_)
            | Audience::Any(_)
            | Audience::Not(_) => None,
        }
    }

    /// Adds the names of the saved audiences it leads to at once.
    pub(super) fn saved<'a>(&'a self, into: &mut BTreeSet<&'a str>) {
        if let Audience::Saved(name) = self {
            into.insert(name);
        }
        self.parts().iter().for_each(|part| part.saved(into));
    }

    /// Adds the segments it asks about.
    pub(super) fn segments(&self, into: &mut BTreeSet<String>) {
        if let Audience::Segment(of) = self {
            into.insert(of.id.clone());
        }
        self.parts().iter().for_each(|part| part.segments(into));
    }

    /// Adds the numbers of days it asks about.
    pub(super) fn days(&self, into: &mut BTreeSet<u16>) {
        if let Audience::SilentDays(days) | Audience::ActiveDays(days) = self {
            into.insert(*days);
        }
        self.parts().iter().for_each(|part| part.days(into));
    }

    /// Adds the groups it is to reach by name; those under a `not` are not.
    pub(super) fn listed<'a>(&'a self, into: &mut BTreeSet<&'a GroupName>) {
        if let Audience::Groups(groups) = self {
            into.extend(groups);
        }
        if !matches!(self, Audience::Not(_)) {
            self.parts().iter().for_each(|part| part.listed(into));
        }
    }

    /// Puts what was saved in the place of its name.
    ///
    /// # Errors
    /// When there is none of that name, or it leads back to itself.
    pub(super) fn spelled_out(&self, saved: &BTreeMap<String, Audience>) -> Result<Self, AudienceError> {
        self.spell_out(saved, &mut Vec::new())
    }

    fn spell_out<'a>(
        &'a self,
        saved: &'a BTreeMap<String, Audience>,
        trail: &mut Vec<&'a str>,
    ) -> Result<Self, AudienceError> {
        if let Audience::Saved(name) = self {
            if trail.contains(&name.as_str()) {
                return Err(AudienceError::Cycle(name.clone()));
            }
            if trail.len() == DEPTH_MAX {
                return Err(AudienceError::TooDeep);
            }
            let unknown = || AudienceError::Unknown { kind: "audience", id: name.clone() };
            let meant = saved.get(name).ok_or_else(unknown)?;
            trail.push(name);
            let spelled = meant.spell_out(saved, trail);
            trail.pop();
            return spelled;
        }
        let parts = self.parts().iter().map(|part| part.spell_out(saved, trail));
        let mut parts: Vec<_> = parts.collect::<Result<_, _>>()?;
        Ok(match (self, parts.pop()) {
            (Audience::Not(_), Some(part)) => Audience::Not(Box::new(part)),
            (Audience::Any(_), Some(last)) => Audience::Any(parts.into_iter().chain([last]).collect()),
            (Audience::Every(_), Some(last)) => Audience::Every(parts.into_iter().chain([last]).collect()),
            (plain, _) => plain.clone(),
        })
    }
}

/// Joins the answers of parts: `settles` by any of them settles it, whatever is not known of the others.
fn joined(parts: &[Audience], settles: bool, answer: impl Fn(&Audience) -> Option<bool>) -> Option<bool> {
    let mut joined = Some(!settles);
    for part in parts {
        match answer(part) {
            Some(answer) if answer == settles => return Some(settles),
            Some(_) => {}
            None => joined = None,
        }
    }
    joined
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

#[cfg(test)]
mod tests;
