//! Knows which events were seen, exactly, for the dedupe window.
//!
//! Ids are bucketed by the hour the event happened in, so that a repeat lands where its first copy lies. Recent hours
//! are exact sets in memory; older ones are *sealed*: sorted on disk, here only a filter and a small overlay of ids
//! that came after the sealing. A filter's "maybe" is settled by the caller, who may read the disk; answers are exact.
//!
//! Pure: no I/O, no clock. Late repeats (older than the window) are not recognised; they are recorded apart anyway.

mod filter;

use std::collections::BTreeMap;
use std::time::Duration;

use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

use crate::event::{EventKey, HOUR_MS};

pub use filter::{Filter, FilterError};

/// Limits of the dedupe memory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How far back a repeat is recognised; an older event is `late`.
    #[serde(with = "crate::units::duration")]
    pub window: Duration,
    /// An event further in the future than this is refused: its sender's clock is wrong.
    #[serde(with = "crate::units::duration")]
    pub future_max: Duration,
    /// Ids a partition keeps exact in memory; with more, its oldest hours are sealed early.
    pub exact_ids_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { window: Duration::from_hours(72), future_max: Duration::from_mins(5), exact_ids_max: 100_000 }
    }
}

/// What is known of an event id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Not seen in the window.
    New,
    /// Seen.
    Seen,
    /// Perhaps on disk in one of these sealed hours: the caller must look.
    Ask(Vec<u32>),
}

/// The ids one partition has seen.
#[derive(Debug, Default)]
pub struct Dedupe {
    exact: BTreeMap<u32, HashSet<EventKey>>,
    sealed: BTreeMap<u32, Sealed>,
    exact_ids: usize,
}

#[derive(Debug)]
struct Sealed {
    filter: Filter,
    overlay: HashSet<EventKey>,
}

/// Returns the bucket of a time: whole hours since the epoch.
pub fn bucket_of(at_ms: i64) -> u32 {
    u32::try_from(at_ms.div_euclid(HOUR_MS).max(0)).unwrap_or(u32::MAX)
}

impl Dedupe {
    /// Looks an id up: in the hour it happened, or in every hour when the sender gave no time.
    pub fn lookup(&self, key: EventKey, bucket: Option<u32>) -> Lookup {
        let mut ask = Vec::new();
        let seen = if let Some(bucket) = bucket {
            self.seen_in(bucket, key, &mut ask)
        } else {
            let buckets: Vec<u32> = self.exact.keys().chain(self.sealed.keys()).copied().collect();
            buckets.into_iter().any(|bucket| self.seen_in(bucket, key, &mut ask))
        };
        match (seen, ask.is_empty()) {
            (true, _) => Lookup::Seen,
            (false, true) => Lookup::New,
            (false, false) => Lookup::Ask(ask),
        }
    }

    /// Returns the hour of a seen event, the newest where there are several; of a sealed hour as far as its filter knows.
    pub fn hour_of(&self, key: EventKey) -> Option<u32> {
        let exact = self.exact.iter().rev().find(|(_, ids)| ids.contains(&key)).map(|(hour, _)| *hour);
        let holds = |sealed: &Sealed| sealed.overlay.contains(&key) || sealed.filter.may_contain(key);
        exact.or_else(|| self.sealed.iter().rev().find(|(_, sealed)| holds(sealed)).map(|(hour, _)| *hour))
    }

    fn seen_in(&self, bucket: u32, key: EventKey, ask: &mut Vec<u32>) -> bool {
        if self.exact.get(&bucket).is_some_and(|ids| ids.contains(&key)) {
            return true;
        }
        let Some(sealed) = self.sealed.get(&bucket) else { return false };
        if sealed.overlay.contains(&key) {
            return true;
        }
        if sealed.filter.may_contain(key) {
            ask.push(bucket);
        }
        false
    }

    /// Remembers an id. Idempotent.
    pub fn insert(&mut self, key: EventKey, bucket: u32) {
        if let Some(sealed) = self.sealed.get_mut(&bucket) {
            self.exact_ids += usize::from(sealed.overlay.insert(key));
        } else {
            self.exact_ids += usize::from(self.exact.entry(bucket).or_default().insert(key));
        }
    }

    /// Takes in a sealed hour found on disk at start. Call before replaying the rows that follow it.
    pub fn insert_sealed(&mut self, bucket: u32, filter: Filter) {
        self.sealed.insert(bucket, Sealed { filter, overlay: HashSet::new() });
    }

    /// Returns the ids of hours to be sealed now: those before `recent`, and with too many ids in memory all but the
    /// newest. They stay exact until [`Dedupe::finish_seal`].
    pub fn begin_seal(&self, recent: u32, config: &Config) -> Vec<(u32, Vec<EventKey>)> {
        let newest = self.exact.keys().next_back().copied().unwrap_or(recent);
        let before = if self.exact_ids > config.exact_ids_max { newest.max(recent) } else { recent };
        let exact = self.exact.range(..before).map(|(bucket, ids)| (*bucket, ids));
        let overlays = self.sealed.range(..before).map(|(bucket, sealed)| (*bucket, &sealed.overlay));
        exact.chain(overlays).filter(|(_, ids)| !ids.is_empty()).map(|(b, ids)| (b, sorted(ids))).collect()
    }

    /// Drops from memory what is now on disk; what came meanwhile stays, as overlay.
    pub fn finish_seal(&mut self, bucket: u32, filter: Filter, ids: &[EventKey]) {
        let mut left = self.exact.remove(&bucket).unwrap_or_default();
        if let Some(sealed) = self.sealed.remove(&bucket) {
            left.extend(sealed.overlay);
        }
        let before = left.len();
        for id in ids {
            left.remove(id);
        }
        self.exact_ids = self.exact_ids.saturating_sub(before - left.len());
        self.sealed.insert(bucket, Sealed { filter, overlay: left });
    }

    /// Forgets hours before `oldest`, the first of the window.
    pub fn forget_before(&mut self, oldest: u32) {
        let exact = self.exact.split_off(&oldest);
        let sealed = self.sealed.split_off(&oldest);
        let gone: usize = std::mem::replace(&mut self.exact, exact).values().map(HashSet::len).sum::<usize>()
            + std::mem::replace(&mut self.sealed, sealed).values().map(|s| s.overlay.len()).sum::<usize>();
        self.exact_ids = self.exact_ids.saturating_sub(gone);
    }

    /// Returns how many ids are held exactly in memory.
    pub fn exact_ids(&self) -> usize {
        self.exact_ids
    }
}

fn sorted(ids: &HashSet<EventKey>) -> Vec<EventKey> {
    let mut ids: Vec<EventKey> = ids.iter().copied().collect();
    ids.sort_unstable();
    ids
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Event { id: u8, bucket: u32, timeless: bool },
        Seal { recent: u32 },
        SealInterrupted { recent: u32, id: u8, bucket: u32 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let event = (any::<u8>(), 0u32..6, any::<bool>()).prop_map(|(id, bucket, timeless)| Step::Event {
            id,
            bucket,
            timeless,
        });
        let seal = (0u32..6).prop_map(|recent| Step::Seal { recent });
        let interrupted = (0u32..6, any::<u8>(), 0u32..6)
            .prop_map(|(recent, id, bucket)| Step::SealInterrupted { recent, id, bucket });
        proptest::collection::vec(prop_oneof![6 => event, 1 => seal, 1 => interrupted], 1..200)
    }

    /// The oracle is one plain set of (bucket, id); `disk` stands for what storage would hold.
    #[derive(Default)]
    struct House {
        dedupe: Dedupe,
        disk: HashMap<u32, BTreeSet<EventKey>>,
        oracle: BTreeSet<(u32, EventKey)>,
    }

    impl House {
        fn event(&mut self, key: EventKey, bucket: u32, timeless: bool) {
            let seen = match self.dedupe.lookup(key, (!timeless).then_some(bucket)) {
                Lookup::New => false,
                Lookup::Seen => true,
                Lookup::Ask(buckets) => buckets.iter().any(|b| self.disk[b].contains(&key)),
            };
            let expected = if timeless {
                self.oracle.iter().any(|(_, k)| *k == key)
            } else {
                self.oracle.contains(&(bucket, key))
            };
            assert_eq!(seen, expected, "{key:?} in {bucket}");
            if !seen {
                self.dedupe.insert(key, bucket);
                self.oracle.insert((bucket, key));
            }
        }

        fn seal(&mut self, recent: u32, meanwhile: Option<(EventKey, u32)>) {
            let hours = self.dedupe.begin_seal(recent, &Config::default());
            if let Some((key, bucket)) = meanwhile {
                self.event(key, bucket, false);
            }
            for (bucket, ids) in hours {
                let disk = self.disk.entry(bucket).or_default();
                disk.extend(&ids);
                let all: Vec<EventKey> = disk.iter().copied().collect();
                self.dedupe.finish_seal(bucket, Filter::build(&all), &ids);
            }
        }
    }

    proptest! {
        #[test]
        fn sealing_never_changes_an_answer(steps in steps()) {
            let mut house = House::default();
            let key = |id: u8| EventKey(u128::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834));
            for step in steps {
                match step {
                    Step::Event { id, bucket, timeless } => house.event(key(id), bucket, timeless),
                    Step::Seal { recent } => house.seal(recent, None),
                    Step::SealInterrupted { recent, id, bucket } => {
                        house.seal(recent, Some((key(id), bucket)));
                    }
                }
            }
            let in_memory: usize = house.dedupe.exact.values().map(HashSet::len).sum::<usize>()
                + house.dedupe.sealed.values().map(|s| s.overlay.len()).sum::<usize>();
            prop_assert_eq!(house.dedupe.exact_ids(), in_memory);
        }
    }

    #[test]
    fn forgotten_hours_are_new_again() {
        let mut dedupe = Dedupe::default();
        dedupe.insert(EventKey(1), 5);
        dedupe.insert(EventKey(2), 7);
        dedupe.forget_before(7);
        assert_eq!(dedupe.lookup(EventKey(1), Some(5)), Lookup::New);
        assert_eq!(dedupe.lookup(EventKey(2), Some(7)), Lookup::Seen);
        assert_eq!(dedupe.exact_ids(), 1);
    }

    #[test]
    fn too_many_ids_seal_all_but_the_newest_hour() {
        let mut dedupe = Dedupe::default();
        for n in 0..10 {
            dedupe.insert(EventKey(n), u32::try_from(n).unwrap() / 4);
        }
        let config = Config { exact_ids_max: 5, ..Config::default() };
        let hours: Vec<u32> = dedupe.begin_seal(0, &config).into_iter().map(|(bucket, _)| bucket).collect();
        assert_eq!(hours, [0, 1]);
    }
}
