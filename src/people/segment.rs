//! Segments: which members of which groups are meant. Layer: pure core.
//!
//! A question has three answers, as for audiences: yes, no, and "nobody knows" where what it rests on cannot be seen. Not
//! knowing stays not knowing under `not`; only a yes is in the segment. Customers who are in the group now are meant,
//! unless the expression itself says something of roles or of presence.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::rule::{Facts, LOOKBACK_DAYS, Sight};
use super::scores::Scores;
use crate::event::{BrandId, GroupName, Place, Places, RegionId, Role, Scope, ShopId};
use crate::reach::Range;

/// How deep expressions are put together at most.
const DEPTH_MAX: usize = 8;
/// Most names, parts counted, of one expression.
const NAMES_MAX: usize = 1_000;
/// Most segments of an installation.
pub const SEGMENTS_MAX: usize = 500;

/// Who is meant. Written `"all"`, or `{"tags": ["vip"]}`, `{"silent_days": 14}`, `{"joined_days": {"max": 7}}`,
/// `{"recency": {"min": 4}}`; and put together: `{"every": [{"shops": ["s-1"]}, {"not": {"tags": ["vip"]}}]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// Everybody.
    All,
    /// Members with any of these tags, given by hand, by import or by a rule.
    Tags(BTreeSet<String>),
    /// Members of these roles.
    Roles(BTreeSet<Role>),
    /// In the group now, or not any more.
    Present(bool),
    /// Members of these groups, as `account/group`.
    #[schema(value_type = Vec<String>)]
    Groups(BTreeSet<GroupName>),
    /// Members of groups of these shops.
    #[schema(value_type = Vec<String>)]
    Shops(BTreeSet<ShopId>),
    /// Members of groups of these regions.
    #[schema(value_type = Vec<String>)]
    Regions(BTreeSet<RegionId>),
    /// Members of groups of these brands.
    #[schema(value_type = Vec<String>)]
    Brands(BTreeSet<BrandId>),
    /// Spoke in the group in so many last days, today among them.
    SpokeDays(u16),
    /// Is there and said nothing in so many last days, all of which they were there.
    SilentDays(u16),
    /// Came so many days ago.
    JoinedDays(Range),
    /// Said so many messages in the group, ever.
    Messages(Range),
    /// Score of how lately they spoke: 1 to 5.
    Recency(Range),
    /// Score of on how many days they spoke: 1 to 5.
    Frequency(Range),
    /// Score of their imported value: 1 to 5.
    Monetary(Range),
    /// Members whom any of these holds.
    #[schema(no_recursion)]
    Any(Vec<Segment>),
    /// Members whom each of these holds.
    #[schema(no_recursion)]
    Every(Vec<Segment>),
    /// Members whom this does not hold.
    #[schema(no_recursion)]
    Not(Box<Segment>),
}

/// A member of a group, as far as segments ask.
pub struct Who<'a> {
    /// Which group.
    pub group: &'a GroupName,
    /// Where it belongs.
    pub place: &'a Place,
    /// What can be seen of it.
    pub sight: Sight,
    /// What they did.
    pub facts: &'a Facts,
    /// Messages they said there.
    pub messages: u64,
    /// Whether they have a tag; `None`: nobody knows.
    pub tag: &'a dyn Fn(&str) -> Option<bool>,
    /// Their scores, where asked for.
    pub scores: Scores,
}

/// What must be read to answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// So many days back.
    pub days: u16,
    /// These tags.
    pub tags: BTreeSet<String>,
    /// Scores.
    pub scores: bool,
}

impl Segment {
    /// Says whether a member is in it; `None`: nobody knows.
    pub fn holds(&self, who: &Who<'_>) -> Option<bool> {
        let mut asks = (false, false);
        self.asks(&mut asks);
        if (!asks.0 && who.facts.role != Role::Customer) || (!asks.1 && !who.facts.present) {
            return Some(false);
        }
        self.is(who)
    }

    /// Notes whether it says something of roles, and of presence.
    fn asks(&self, asks: &mut (bool, bool)) {
        asks.0 |= matches!(self, Segment::Roles(_));
        asks.1 |= matches!(self, Segment::Present(_));
        self.parts().iter().for_each(|part| part.asks(asks));
    }

    fn is(&self, who: &Who<'_>) -> Option<bool> {
        let (facts, today) = (who.facts, who.sight.today);
        let scored = |range: &Range, score: Option<u8>| score.map(|score| range.holds(u64::from(score)));
        match self {
            Segment::All
            | Segment::Groups(_)
            | Segment::Shops(_)
            | Segment::Regions(_)
            | Segment::Brands(_) => self.is_in(who.group, who.place),
            Segment::Tags(tags) => joined(tags.iter(), true, |tag| (who.tag)(tag)),
            Segment::Roles(roles) => Some(roles.contains(&facts.role)),
            Segment::Present(present) => Some(facts.present == *present),
            Segment::SpokeDays(days) => {
                who.sight.seen.then(|| facts.days_spoken(today - i32::from(*days) + 1, today) > 0)
            }
            Segment::SilentDays(days) => facts.is_silent(*days, &who.sight),
            Segment::JoinedDays(range) => facts
                .joined_day
                .map(|joined| range.holds(u64::try_from(today.saturating_sub(joined)).unwrap_or(0))),
            Segment::Messages(range) => who.sight.seen.then(|| range.holds(who.messages)),
            Segment::Recency(range) => scored(range, who.scores.recency),
            Segment::Frequency(range) => scored(range, who.scores.frequency),
            Segment::Monetary(range) => scored(range, who.scores.monetary),
            Segment::Any(parts) => joined(parts.iter(), true, |part| part.is(who)),
            Segment::Every(parts) => joined(parts.iter(), false, |part| part.is(who)),
            Segment::Not(part) => part.is(who).map(|is| !is),
        }
    }

    /// Says whether a group can have members of it, as far as its name and place tell.
    pub fn may_be_in(&self, group: &GroupName, place: &Place) -> bool {
        self.is_in(group, place) != Some(false)
    }

    fn is_in(&self, group: &GroupName, place: &Place) -> Option<bool> {
        match self {
            Segment::All => Some(true),
            Segment::Groups(groups) => Some(groups.contains(group)),
            Segment::Shops(shops) => Some(place.shop.as_ref().is_some_and(|id| shops.contains(id))),
            Segment::Regions(all) => Some(place.region.as_ref().is_some_and(|id| all.contains(id))),
            Segment::Brands(brands) => Some(place.brand.as_ref().is_some_and(|id| brands.contains(id))),
            Segment::Any(parts) => joined(parts.iter(), true, |part| part.is_in(group, place)),
            Segment::Every(parts) => joined(parts.iter(), false, |part| part.is_in(group, place)),
            Segment::Not(part) => part.is_in(group, place).map(|is| !is),
            Segment::Tags(_)
            | Segment::Roles(_)
            | Segment::Present(_)
            | Segment::SpokeDays(_)
            | Segment::SilentDays(_)
            | Segment::JoinedDays(_)
            | Segment::Messages(_)
            | Segment::Recency(_)
            | Segment::Frequency(_)
            | Segment::Monetary(_) => None,
        }
    }

    fn parts(&self) -> &[Segment] {
        match self {
            Segment::Any(parts) | Segment::Every(parts) => parts,
            Segment::Not(part) => std::slice::from_ref(&**part),
            Segment::All
            | Segment::Tags(_)
            | Segment::Roles(_)
            | Segment::Present(_)
            | Segment::Groups(_)
            | Segment::Shops(_)
            | Segment::Regions(_)
            | Segment::Brands(_)
            | Segment::SpokeDays(_)
            | Segment::SilentDays(_)
            | Segment::JoinedDays(_)
            | Segment::Messages(_)
            | Segment::Recency(_)
            | Segment::Frequency(_)
            | Segment::Monetary(_) => &[],
        }
    }

    /// Says what must be read to answer.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        self.add_needs(&mut needs);
        needs
    }

    fn add_needs(&self, needs: &mut Needs) {
        match self {
            Segment::Tags(tags) => needs.tags.extend(tags.iter().cloned()),
            Segment::SpokeDays(days) | Segment::SilentDays(days) => needs.days = needs.days.max(*days),
            Segment::Recency(_) | Segment::Frequency(_) => {
                needs.days = LOOKBACK_DAYS;
                needs.scores = true;
            }
            Segment::Monetary(_) => needs.scores = true,
            // Whether messages are shown to us at all is told by the days, too.
            Segment::Messages(_) => needs.days = needs.days.max(1),
            Segment::All
            | Segment::Roles(_)
            | Segment::Present(_)
            | Segment::Groups(_)
            | Segment::Shops(_)
            | Segment::Regions(_)
            | Segment::Brands(_)
            | Segment::JoinedDays(_)
            | Segment::Any(_)
            | Segment::Every(_)
            | Segment::Not(_) => {}
        }
        self.parts().iter().for_each(|part| part.add_needs(needs));
    }

    /// Refuses what cannot be meant, and names that `scope` does not cover.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self, scope: &Scope, places: &dyn Places) -> Result<(), String> {
        let mut names = 0;
        self.check_part(scope, places, DEPTH_MAX, &mut names)?;
        if names > NAMES_MAX {
            return Err(format!("names {names}, at most {NAMES_MAX} are allowed"));
        }
        Ok(())
    }

    fn check_part(
        &self,
        scope: &Scope,
        places: &dyn Places,
        depth: usize,
        names: &mut usize,
    ) -> Result<(), String> {
        let covers = |place: Place| scope.covers(&place);
        match self {
            Segment::Tags(tags) => return listed("tag", tags, names, |_| true),
            Segment::Roles(roles) if roles.is_empty() => return Err("names no role".to_owned()),
            Segment::All | Segment::Present(_) | Segment::Roles(_) => return Ok(()),
            Segment::Shops(all) => return listed("shop", all, names, |id| covers(places.shop_place(id))),
            Segment::Regions(all) => {
                return listed("region", all, names, |id| covers(places.region_place(id)));
            }
            Segment::Brands(all) => {
                let place = |id: &BrandId| Place { brand: Some(id.clone()), ..Place::default() };
                return listed("brand", all, names, |id| covers(place(id)));
            }
            Segment::Groups(all) => {
                let covers = |g: &GroupName| {
                    scope.covers_group(g.account.as_str(), g.group.as_str(), &places.group_place(g))
                };
                return listed("group", all, names, covers);
            }
            Segment::SpokeDays(days) | Segment::SilentDays(days) => {
                let fits = (1..=LOOKBACK_DAYS).contains(days);
                let refused = || format!("{days} days: 1 to {LOOKBACK_DAYS} are possible");
                return fits.then_some(()).ok_or_else(refused);
            }
            Segment::JoinedDays(range) | Segment::Messages(range) => return checked(*range),
            Segment::Recency(range) | Segment::Frequency(range) | Segment::Monetary(range) => {
                let is_score = |score: Option<u64>| score.is_none_or(|score| (1..=5).contains(&score));
                if !is_score(range.min) || !is_score(range.max) {
                    return Err("a score is from 1 to 5".to_owned());
                }
                return checked(*range);
            }
            Segment::Any(_) | Segment::Every(_) | Segment::Not(_) => {}
        }
        let parts = self.parts();
        if parts.is_empty() {
            return Err("`any` and `every` need something in them".to_owned());
        }
        let deep = || format!("is put together more than {DEPTH_MAX} deep");
        let depth = depth.checked_sub(1).ok_or_else(deep)?;
        *names += parts.len();
        parts.iter().try_for_each(|part| part.check_part(scope, places, depth, names))
    }
}

fn checked(range: Range) -> Result<(), String> {
    let refused = || "needs a `min`, a `max`, or both with `min` the smaller".to_owned();
    range.is_possible().then_some(()).ok_or_else(refused)
}

fn listed<N: std::fmt::Display>(
    kind: &str,
    list: &BTreeSet<N>,
    names: &mut usize,
    covers: impl Fn(&N) -> bool,
) -> Result<(), String> {
    *names += list.len();
    if list.is_empty() {
        return Err(format!("names no {kind}"));
    }
    // What is outside the scope is told like what does not exist.
    list.iter().find(|name| !covers(name)).map_or(Ok(()), |name| Err(format!("no such {kind}: `{name}`")))
}

/// Joins answers: one that `settles` settles it, whatever is not known of the others.
fn joined<T>(
    parts: impl Iterator<Item = T>,
    settles: bool,
    answer: impl Fn(T) -> Option<bool>,
) -> Option<bool> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AccountId, GroupId};

    fn check(json: &str, facts: &Facts, seen: bool, expect: Option<bool>) {
        let segment: Segment = serde_json::from_str(json).unwrap();
        let group =
            GroupName { account: AccountId::parse("demo").unwrap(), group: GroupId::parse("g-1").unwrap() };
        let who = Who {
            group: &group,
            place: &Place::default(),
            sight: Sight { today: 100, seen, hits_since: 0 },
            facts,
            messages: 4,
            tag: &|tag| match tag {
                "vip" => Some(true),
                "maybe" => None,
                _ => Some(false),
            },
            scores: Scores { recency: Some(4), ..Scores::default() },
        };
        assert_eq!(segment.holds(&who), expect, "{json}");
    }

    #[test]
    fn a_member_is_in_a_segment_or_not_or_nobody_knows() {
        let here = Facts { present: true, joined_day: Some(93), spoke_days: vec![95], ..Facts::default() };
        let gone = Facts { present: false, ..here.clone() };
        let staff = Facts { role: Role::Staff, ..here.clone() };
        for (json, expect) in [
            (r#""all""#, Some(true)),
            (r#"{"tags": ["vip", "maybe"]}"#, Some(true)),
            (r#"{"tags": ["none", "maybe"]}"#, None),
            (r#"{"not": {"tags": ["maybe"]}}"#, None),
            (r#"{"not": {"tags": ["none"]}}"#, Some(true)),
            (r#"{"every": [{"tags": ["maybe"]}, {"tags": ["none"]}]}"#, Some(false)),
            (r#"{"spoke_days": 6}"#, Some(true)),
            (r#"{"spoke_days": 5}"#, Some(false)),
            (r#"{"silent_days": 5}"#, Some(true)),
            (r#"{"silent_days": 9}"#, Some(false)),
            (r#"{"joined_days": {"max": 7}}"#, Some(true)),
            (r#"{"joined_days": {"min": 8}}"#, Some(false)),
            (r#"{"messages": {"min": 4}}"#, Some(true)),
            (r#"{"recency": {"min": 4}}"#, Some(true)),
            (r#"{"monetary": {"min": 4}}"#, None),
            (r#"{"present": false}"#, Some(false)),
        ] {
            check(json, &here, true, expect);
        }
        for (json, expect) in [(r#"{"silent_days": 5}"#, None), (r#"{"messages": {"min": 4}}"#, None)] {
            check(json, &here, false, expect);
        }
        let elsewhere = GroupName::parse("demo/g-2").unwrap();
        for (json, expect) in [
            (r#"{"groups": ["demo/g-1"]}"#, false),
            (r#"{"every": [{"groups": ["demo/g-1"]}, {"tags": ["vip"]}]}"#, false),
            (r#"{"any": [{"groups": ["demo/g-1"]}, {"tags": ["vip"]}]}"#, true),
            (r#"{"not": {"groups": ["demo/g-1"]}}"#, true),
        ] {
            let segment: Segment = serde_json::from_str(json).unwrap();
            assert_eq!(segment.may_be_in(&elsewhere, &Place::default()), expect, "{json}");
        }
        check(r#""all""#, &gone, true, Some(false));
        check(r#"{"present": false}"#, &gone, true, Some(true));
        check(r#""all""#, &staff, true, Some(false));
        check(r#"{"roles": ["staff"]}"#, &staff, true, Some(true));
    }
}
