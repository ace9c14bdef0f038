//! Small durable state: cooldowns, bursts, journeys and their kin.
//!
//! Invariant: a function of the writes, in order. What waits for a moment is found without a look at all that waits: of each
//! group only the earliest moment is kept in order, so a million members in journeys cost an entry each and no more.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use crate::event::StateKind;

/// Parts of keys are set apart by this.
const APART: char = '\u{1f}';

/// Small durable state by kind and key; an expired entry is as good as none.
///
/// Entries of some kinds wait for a moment, which their value begins with. Their keys begin with account and group.
#[derive(Debug, Default)]
pub struct Small {
    entries: HashMap<StateKind, HashMap<Box<str>, Entry>>,
    bursts: Waiting,
    journeys: Waiting,
    ladders: Waiting,
}

#[derive(Debug)]
struct Entry {
    value: Box<[u8]>,
    expires_ms: i64,
}

impl Entry {
    /// Returns the moment that its value waits for; `None` when it waits for none.
    fn due(&self) -> Option<i64> {
        let due_ms = i64::from_le_bytes(*self.value.first_chunk()?);
        (due_ms != i64::MAX).then_some(due_ms)
    }
}

impl Small {
    /// Returns the value that holds at `now_ms`.
    pub fn get(&self, kind: StateKind, key: &str, now_ms: i64) -> Option<&[u8]> {
        let entry = match self.waiting(kind) {
            Some(waiting) => waiting.get(key)?,
            None => self.entries.get(&kind)?.get(key)?,
        };
        (entry.expires_ms > now_ms).then_some(&entry.value)
    }

    /// Returns every entry of a kind, expired ones too.
    pub fn entries(&self, kind: StateKind) -> impl Iterator<Item = (Cow<'_, str>, &[u8])> {
        let groups = self.waiting(kind).into_iter().flat_map(|waiting| &waiting.groups);
        let waiting = groups.flat_map(|(name, group)| {
            group.entries.iter().map(move |(rest, entry)| (Cow::Owned([&**name, rest].concat()), entry))
        });
        let entries = self.entries.get(&kind).into_iter().flatten();
        let entries = entries.map(|(key, entry)| (Cow::Borrowed(&**key), entry));
        entries.chain(waiting).map(|(key, entry)| (key, &*entry.value))
    }

    /// Returns what holds at `now_ms` of a kind that waits, in one group (account and group as keys have them), in order of
    /// the rest of the key, after one.
    pub fn of_group<'s>(
        &'s self,
        kind: StateKind,
        group: &str,
        after: Option<&str>,
        now_ms: i64,
    ) -> impl Iterator<Item = (&'s str, &'s [u8])> + use<'s> {
        let from = match after {
            Some(after) => Bound::Excluded(format!("{APART}{after}")),
            None => Bound::Included(APART.to_string()),
        };
        let group = self.waiting(kind).and_then(|waiting| waiting.groups.get(group));
        let entries = group.map(|group| {
            group.entries.range::<str, _>((from.as_ref().map(String::as_str), Bound::Unbounded))
        });
        let current = entries.into_iter().flatten().filter(move |(_, entry)| entry.expires_ms > now_ms);
        current.filter_map(|(rest, entry)| Some((rest.strip_prefix(APART)?, &*entry.value)))
    }

    /// Returns the groups in which something of a kind waits for a moment that has come, the earliest first: account and
    /// group as keys have them, and the earliest moment.
    pub fn due(&self, kind: StateKind, now_ms: i64) -> impl Iterator<Item = (&str, i64)> {
        let waiting = self.waiting(kind).into_iter().flat_map(|waiting| &waiting.order);
        waiting.take_while(move |(at_ms, _)| *at_ms <= now_ms).map(|(at_ms, group)| (&**group, *at_ms))
    }

    /// Returns the groups in which something of a kind waits for any moment.
    pub fn groups(&self, kind: StateKind) -> impl Iterator<Item = &str> {
        let groups = self.waiting(kind).into_iter().flat_map(|waiting| &waiting.groups);
        groups.filter(|(_, group)| group.earliest.is_some()).map(|(name, _)| &**name)
    }

    /// Writes a value; `None` removes it.
    pub fn set(&mut self, kind: StateKind, key: &str, value: Option<&[u8]>, expires_ms: i64) {
        let entry = value.map(|value| Entry { value: value.into(), expires_ms });
        if let Some(waiting) = self.waiting_mut(kind) {
            return waiting.set(key, entry);
        }
        let entries = self.entries.entry(kind).or_default();
        match entry {
            Some(entry) => entries.insert(key.into(), entry),
            None => entries.remove(key),
        };
    }

    /// Drops what has expired.
    pub fn sweep(&mut self, now_ms: i64) {
        for entries in self.entries.values_mut() {
            entries.retain(|_, entry| entry.expires_ms > now_ms);
        }
        self.bursts.sweep(now_ms);
        self.journeys.sweep(now_ms);
        self.ladders.sweep(now_ms);
    }

    fn waiting(&self, kind: StateKind) -> Option<&Waiting> {
        match kind {
            StateKind::Burst => Some(&self.bursts),
            StateKind::Journey => Some(&self.journeys),
            StateKind::Ladder => Some(&self.ladders),
            StateKind::Cooldown
            | StateKind::Flood
            | StateKind::Budget
            | StateKind::Case
            | StateKind::Roster
            | StateKind::Asked
            | StateKind::Segment => None,
        }
    }

    fn waiting_mut(&mut self, kind: StateKind) -> Option<&mut Waiting> {
        match kind {
            StateKind::Burst => Some(&mut self.bursts),
            StateKind::Journey => Some(&mut self.journeys),
            StateKind::Ladder => Some(&mut self.ladders),
            StateKind::Cooldown
            | StateKind::Flood
            | StateKind::Budget
            | StateKind::Case
            | StateKind::Roster
            | StateKind::Asked
            | StateKind::Segment => None,
        }
    }
}

/// Entries that wait, by group, and the earliest moment of each group.
#[derive(Debug, Default)]
struct Waiting {
    groups: HashMap<Box<str>, Group>,
    order: BTreeSet<(i64, Box<str>)>,
}

/// What waits in one group.
#[derive(Debug, Default)]
struct Group {
    /// By what a key has after account and group: nothing, or [`APART`] and the rest. In order.
    entries: BTreeMap<Box<str>, Entry>,
    /// `None` while nothing waits for a moment.
    earliest: Option<i64>,
}

impl Waiting {
    fn get(&self, key: &str) -> Option<&Entry> {
        let (group, rest) = split(key);
        self.groups.get(group)?.entries.get(rest)
    }

    fn set(&mut self, key: &str, entry: Option<Entry>) {
        let (name, rest) = split(key);
        if entry.is_none() && !self.groups.contains_key(name) {
            return;
        }
        let group = self.groups.entry(name.into()).or_default();
        let due = entry.as_ref().and_then(Entry::due);
        let before = match entry {
            Some(entry) => group.entries.insert(rest.into(), entry),
            None => group.entries.remove(rest),
        };
        let (before, known) = (before.and_then(|before| before.due()), group.earliest);
        if before != due {
            if due.is_some_and(|due_ms| known.is_none_or(|known| due_ms <= known)) {
                group.earliest = due;
            } else if before == known {
                group.earliest = group.look(known);
            }
        }
        let (earliest, is_empty) = (group.earliest, group.entries.is_empty());
        if is_empty {
            self.groups.remove(name);
        }
        if known != earliest {
            if let Some(known) = known {
                self.order.remove(&(known, name.into()));
            }
            self.order.extend(earliest.map(|earliest| (earliest, name.into())));
        }
    }

    fn sweep(&mut self, now_ms: i64) {
        let mut gone = Vec::new();
        for (name, group) in &self.groups {
            let expired = group.entries.iter().filter(|(_, entry)| entry.expires_ms <= now_ms);
            gone.extend(expired.map(|(rest, _)| [&**name, rest].concat()));
        }
        for key in gone {
            self.set(&key, None);
        }
    }
}

impl Group {
    /// Looks for the earliest moment, at most until something waits for one that is known to be the earliest.
    fn look(&self, known: Option<i64>) -> Option<i64> {
        let mut earliest: Option<i64> = None;
        for due_ms in self.entries.values().filter_map(Entry::due) {
            earliest = Some(earliest.map_or(due_ms, |earliest| earliest.min(due_ms)));
            if earliest <= known {
                break;
            }
        }
        earliest
    }
}

/// Splits a key behind account and group.
fn split(key: &str) -> (&str, &str) {
    let end = key.match_indices(APART).nth(1).map_or(key.len(), |(at, _)| at);
    key.split_at_checked(end).unwrap_or((key, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The earliest moment of each group is what a look at everything finds, whatever was written.
        #[test]
        fn what_is_due_is_found_as_by_a_look_at_everything(
            writes in prop::collection::vec((0_u8..3, 0_u8..4, prop::option::of(0_i64..6), 1_i64..9, 0_u8..8), 0..60),
        ) {
            let mut small = Small::default();
            let mut plain: BTreeMap<(u8, u8), (i64, i64)> = BTreeMap::new();
            for (group, member, due, expires, sweep) in writes {
                let key = format!("demo\u{1f}g{group}\u{1f}m{member}");
                // The latest stands for one that waits for nothing.
                let value = due.map(|due| if due == 5 { i64::MAX } else { due }.to_le_bytes());
                small.set(StateKind::Journey, &key, value.as_ref().map(<[u8; 8]>::as_slice), expires);
                match due {
                    Some(due) => plain.insert((group, member), (due, expires)),
                    None => plain.remove(&(group, member)),
                };
                if sweep == 0 {
                    small.sweep(expires);
                    plain.retain(|_, (_, of)| *of > expires);
                }
                for now in 0..5 {
                    let mut earliest = BTreeMap::new();
                    for ((group, _), (due, _)) in plain.iter().filter(|(_, (due, _))| *due <= now) {
                        let known = earliest.entry(format!("demo\u{1f}g{group}")).or_insert(*due);
                        *known = (*known).min(*due);
                    }
                    let found: BTreeMap<String, i64> =
                        small.due(StateKind::Journey, now).map(|(group, at)| (group.to_owned(), at)).collect();
                    prop_assert_eq!(found, earliest);
                }
                let members = small.of_group(StateKind::Journey, "demo\u{1f}g1", Some("m0"), 0);
                let members: Vec<&str> = members.map(|(member, _)| member).collect();
                let expect: Vec<String> = plain.range((1, 1)..(2, 0)).map(|((_, m), _)| format!("m{m}")).collect();
                prop_assert_eq!(members, expect);
            }
        }
    }
}
