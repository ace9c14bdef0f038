//! Tags by rule, kept in memory and made anew only where something changed.
//!
//! Invariant: what is kept of a group was made of all that happened in it up to the position, with the rules in force, on
//! the group's day. Whatever happens in a group throws its tags away; the task that follows the journal, or whoever asks
//! first, makes them again. How many are kept is limited (`people.rule_tags_max`): beyond it a group's tags are made
//! whenever they are asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;

use super::reading::GroupPeople;
use super::rule::Rule;

/// The tags of a group's members that one rule gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Given {
    /// Members who have it, in order.
    yes: Vec<Box<str>>,
    /// Customers of whom nobody knows, in order.
    unknown: Vec<Box<str>>,
}

/// The tags of a group's members that rules gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupTags {
    /// Which rules these are: their version.
    rules: u64,
    /// The group's day.
    today: i32,
    /// By tag, in order of rules; several rules may give the same.
    given: Vec<(String, Given)>,
}

impl GroupTags {
    /// Makes them.
    pub fn of(rules: &[Rule], version: u64, people: &GroupPeople) -> Self {
        let given = rules.iter().map(|rule| {
            let mut given = Given::default();
            for member in &people.members {
                match rule.when.holds(&member.facts, &people.sight) {
                    Some(true) => given.yes.push(member.member.as_str().into()),
                    Some(false) => {}
                    None => given.unknown.push(member.member.as_str().into()),
                }
            }
            (rule.tag.clone(), given)
        });
        Self { rules: version, today: people.sight.today, given: given.collect() }
    }

    /// Says whether a member has a tag by rule; `None`: nobody knows.
    pub fn has(&self, member: &str, tag: &str) -> Option<bool> {
        let contains = |all: &[Box<str>]| all.binary_search_by(|other| (**other).cmp(member)).is_ok();
        let mut has = Some(false);
        for (_, given) in self.given.iter().filter(|(other, _)| other == tag) {
            if contains(&given.yes) {
                return Some(true);
            }
            if contains(&given.unknown) {
                has = None;
            }
        }
        has
    }

    /// Returns the tags that a member has by rule, and those of which nobody knows.
    pub fn tags_of(&self, member: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut has, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        for tag in self.given.iter().map(|(tag, _)| tag) {
            match self.has(member, tag) {
                Some(true) => has.insert(tag.clone()),
                Some(false) => false,
                None => unknown.insert(tag.clone()),
            };
        }
        (has, unknown)
    }

    fn is_fresh(&self, rules: u64, today: i32) -> bool {
        self.rules == rules && self.today == today
    }

    fn weight(&self) -> usize {
        1 + self.given.iter().map(|(_, given)| given.yes.len() + given.unknown.len()).sum::<usize>()
    }
}

/// A group by account and id.
pub type Key = (String, String);

/// What is kept of all groups.
#[derive(Debug)]
pub struct Kept {
    groups: HashMap<Key, Arc<GroupTags>>,
    weight: usize,
    weight_max: usize,
    /// Groups where something happened since their tags were made.
    changed: BTreeSet<Key>,
    /// Up to where the journal was followed.
    position: u64,
}

impl Kept {
    /// Begins with nothing, at a position.
    pub fn new(position: u64, weight_max: usize) -> Self {
        Self { groups: HashMap::new(), weight: 0, weight_max, changed: BTreeSet::new(), position }
    }

    /// Returns up to where the journal was followed.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Something happened in these groups up to a position.
    pub fn happened(&mut self, groups: impl IntoIterator<Item = Key>, position: u64) {
        for group in groups {
            if let Some(gone) = self.groups.remove(&group) {
                self.weight -= gone.weight();
                self.changed.insert(group);
            }
        }
        self.position = self.position.max(position);
    }

    /// Too much happened to be followed: begins anew at a position.
    pub fn skip_to(&mut self, position: u64) {
        *self = Self::new(position, self.weight_max);
    }

    /// Returns a group's tags if they are good for these rules and this day.
    pub fn get(&self, group: &Key, rules: u64, today: i32) -> Option<&Arc<GroupTags>> {
        self.groups.get(group).filter(|tags| tags.is_fresh(rules, today))
    }

    /// Keeps a group's tags that were made of what had happened up to a position; says whether there was room. What
    /// happened meanwhile makes them stale.
    pub fn put(&mut self, group: Key, tags: Arc<GroupTags>, position: u64) -> bool {
        if position != self.position {
            return true;
        }
        let before = self.groups.get(&group).map_or(0, |tags| tags.weight());
        let weight = self.weight - before + tags.weight();
        if weight > self.weight_max {
            return false;
        }
        self.weight = weight;
        self.changed.remove(&group);
        self.groups.insert(group, tags);
        true
    }

    /// Takes some groups whose tags are to be made again.
    pub fn take_changed(&mut self, most: usize) -> Vec<Key> {
        let taken: Vec<Key> = self.changed.iter().take(most).cloned().collect();
        for group in &taken {
            self.changed.remove(group);
        }
        taken
    }

    /// Returns how many members' tags are kept.
    pub fn weight(&self) -> usize {
        self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::reading::Member;
    use crate::people::rule::{Facts, Sight};

    fn people(spoke: &[(&str, i32)], seen: bool) -> GroupPeople {
        let member = |(id, day): &(&str, i32)| Member {
            member: (*id).to_owned(),
            facts: Facts { present: true, spoke_days: vec![*day], ..Facts::default() },
            ..Member::default()
        };
        let sight = Sight { today: 100, seen, hits_since: 0 };
        GroupPeople { sight, members: spoke.iter().map(member).collect() }
    }

    #[test]
    fn what_happens_throws_away_only_that_group_and_room_is_limited() {
        let rule: Rule =
            serde_json::from_str(r#"{"tag": "t", "when": {"spoke": {"days_min": 1, "within_days": 3}}}"#)
                .unwrap();
        let key = |group: &str| ("demo".to_owned(), group.to_owned());
        let tags =
            Arc::new(GroupTags::of(std::slice::from_ref(&rule), 1, &people(&[("a", 99), ("b", 50)], true)));
        assert_eq!(
            (tags.has("a", "t"), tags.has("b", "t"), tags.has("a", "u")),
            (Some(true), Some(false), Some(false))
        );
        let blind = GroupTags::of(&[rule], 1, &people(&[("a", 99)], false));
        assert_eq!(blind.has("a", "t"), None);
        let mut kept = Kept::new(7, 5);
        assert!(kept.put(key("one"), tags.clone(), 7) && kept.put(key("two"), tags.clone(), 7));
        assert!(!kept.put(key("three"), tags.clone(), 7), "there is no room for a third");
        assert!(kept.get(&key("one"), 1, 100).is_some());
        assert!(kept.get(&key("one"), 2, 100).is_none() && kept.get(&key("one"), 1, 101).is_none());
        kept.happened([key("one"), key("unknown")], 9);
        assert!(kept.get(&key("one"), 1, 100).is_none() && kept.get(&key("two"), 1, 100).is_some());
        assert_eq!((kept.take_changed(10), kept.weight()), (vec![key("one")], 2));
        assert!(kept.put(key("one"), tags, 7), "stale tags are not kept, and that is no lack of room");
        assert!(kept.get(&key("one"), 1, 100).is_none());
    }
}
