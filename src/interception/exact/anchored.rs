//! The exact stage in use: looks at a pattern only where its anchor stands.
//!
//! An automaton reads every class of a candidate and waits for memory at most of them. Here a place costs a bucket,
//! an entry and the pattern itself, three loads that nothing else waits for; most texts have no such place.
//! Patterns that many share an anchor with would be tried one by one at each place: beyond a limit they are left to
//! the automaton, so the work for a text stays in proportion to its length whatever the lists hold.
//! Invariant: every pattern that is not empty has an entry or is in the automaton.

use std::collections::HashMap;

use super::double_array::{DoubleArray, TooManyStates};
use super::{ExactStage, Found};
use crate::interception::filter::{Anchor, Filter, Rarity, hash};

/// Most patterns that may be tried at one place for one anchor.
const CROWD: usize = 16;

/// In place of a pattern: those with this anchor are in the automaton.
const CROWDED: u32 = u32::MAX;

/// Where to look for one pattern.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Bits of the anchor's hash: of runs that share a bucket the others are passed over.
    tag: u16,
    /// The class after the anchor, or the pattern's first where the anchor is its end: of patterns that share an
    /// anchor most are passed over without a look at them.
    beside: u16,
    pattern: u32,
    /// Where its classes begin in `classes`.
    from: u32,
    length: u16,
    /// How many of its classes come after the anchor.
    after: u16,
}

/// Anchors of all patterns, and the patterns to compare.
#[derive(Debug)]
pub(in crate::interception) struct Anchored {
    filter: Filter,
    /// Bucket `b` has the entries from `buckets[b]` up to `buckets[b + 1]`; one more than a power of two.
    buckets: Box<[u32]>,
    entries: Box<[Entry]>,
    /// All patterns end to end.
    classes: Box<[u16]>,
    crowded: Option<Crowded>,
}

/// Patterns that are not worth an entry.
#[derive(Debug)]
struct Crowded {
    automaton: DoubleArray,
    /// Of the automaton's patterns: the indices here.
    patterns: Box<[u32]>,
}

impl Anchored {
    /// Builds the stage; a pattern's index is its position. An empty pattern is never found.
    ///
    /// # Errors
    /// When the patterns hold more classes than can be numbered.
    pub(in crate::interception) fn new(
        patterns: &[Vec<u16>],
        rarity: &Rarity,
    ) -> Result<Self, TooManyStates> {
        let classes = patterns.concat().into_boxed_slice();
        if u32::try_from(classes.len()).is_err() {
            return Err(TooManyStates);
        }
        let mut filter = Filter::new(patterns.len());
        let mut entries = Vec::with_capacity(patterns.len());
        let shared = Shared::count(patterns);
        let (mut crowds, mut crowded) = (HashMap::new(), Vec::new());
        let mut from = 0;
        for (index, pattern) in (0..).zip(patterns) {
            let length = u16::try_from(pattern.len()).map_err(|_| TooManyStates)?;
            let is_full = |anchor: &Anchor| crowds.get(&anchor.run).is_some_and(|crowd| *crowd >= CROWD);
            // The rarest in ordinary text and in patterns, both by magnitude; of equals the last: texts that hold the
            // beginning of a pattern without its end then have no place for it.
            let cost = |anchor: &Anchor| {
                let (expected, shared) = (rarity.cost(*anchor), shared.of(anchor.run));
                (is_full(anchor), expected.checked_ilog2(), shared.checked_ilog2(), anchor.after)
            };
            let anchor = Anchor::of(pattern).min_by_key(cost);
            if let Some(anchor) = anchor {
                let after = u16::try_from(anchor.after).unwrap_or(u16::MAX);
                let next = pattern.get(pattern.len() - anchor.after).or(pattern.first());
                let beside = next.copied().unwrap_or_default();
                let crowd: &mut usize = crowds.entry(anchor.run).or_default();
                *crowd += 1;
                filter.add(anchor);
                let tag = tag(anchor.run);
                let entry = |pattern| (hash(anchor.run), Entry { tag, beside, pattern, from, length, after });
                match *crowd {
                    ..=CROWD => entries.push(entry(index)),
                    CROWD_FULL => entries.push(entry(CROWDED)),
                    _ => {}
                }
                if *crowd > CROWD {
                    crowded.push(index);
                }
            }
            from += u32::from(length);
        }
        let (buckets, entries) = into_buckets(entries);
        let crowded = Crowded::new(patterns, crowded)?;
        Ok(Self { filter, buckets, entries, classes, crowded })
    }

    fn bucket(&self, run: u64) -> &[Entry] {
        let bucket = bucket_of(hash(run), self.buckets.len() - 1);
        let at = |index: usize| self.buckets.get(index).map_or(0, |at| *at as usize);
        self.entries.get(at(bucket)..at(bucket + 1)).unwrap_or_default()
    }

    /// Compares a pattern with the classes around its anchor.
    fn stands(&self, entry: &Entry, anchor_end: usize, classes: &[u16]) -> Option<Found> {
        let (from, length) = (entry.from as usize, usize::from(entry.length));
        let end = anchor_end + usize::from(entry.after);
        let start = end.checked_sub(length)?;
        let beside = if entry.after > 0 { anchor_end } else { start };
        if classes.get(beside) != Some(&entry.beside) {
            return None;
        }
        let pattern = self.classes.get(from..from + length)?;
        (classes.get(start..end)? == pattern).then_some(Found { start, end, pattern: entry.pattern as usize })
    }
}

/// How many runs of patterns are equal, about.
struct Shared(Vec<u32>);

impl Shared {
    fn count(patterns: &[Vec<u16>]) -> Self {
        let mut shared = Self(vec![0; 1 << 18]);
        for anchor in patterns.iter().flat_map(|pattern| Anchor::of(pattern)) {
            let slot = Self::slot(anchor.run);
            shared.0[slot] += 1;
        }
        shared
    }

    fn of(&self, run: u64) -> u32 {
        self.0[Self::slot(run)]
    }

    fn slot(run: u64) -> usize {
        usize::try_from(hash(run) >> 46).unwrap_or(0)
    }
}

/// The count at which an anchor becomes crowded.
const CROWD_FULL: usize = CROWD + 1;

fn tag(run: u64) -> u16 {
    // The upper half chooses the bucket.
    let [.., high, low] = (hash(run) >> 16).to_be_bytes();
    u16::from_be_bytes([high, low])
}

fn bucket_of(hash: u64, buckets: usize) -> usize {
    usize::try_from(hash >> 40).unwrap_or(0) & (buckets - 1)
}

fn into_buckets(mut entries: Vec<(u64, Entry)>) -> (Box<[u32]>, Box<[Entry]>) {
    let count = entries.len().next_power_of_two();
    entries.sort_by_key(|(hash, _)| bucket_of(*hash, count));
    let mut buckets = vec![0; count + 1].into_boxed_slice();
    for (hash, _) in &entries {
        buckets[bucket_of(*hash, count) + 1] += 1;
    }
    let mut end = 0;
    for bucket in &mut buckets {
        end += *bucket;
        *bucket = end;
    }
    (buckets, entries.into_iter().map(|(_, entry)| entry).collect())
}

impl Crowded {
    fn new(patterns: &[Vec<u16>], crowded: Vec<u32>) -> Result<Option<Self>, TooManyStates> {
        if crowded.is_empty() {
            return Ok(None);
        }
        let own: Vec<Vec<u16>> = crowded.iter().map(|index| patterns[*index as usize].clone()).collect();
        Ok(Some(Self { automaton: DoubleArray::new(&own)?, patterns: crowded.into_boxed_slice() }))
    }

    fn find(&self, classes: &[u16], found: &mut Vec<Found>) {
        let index = |own: usize| self.patterns.get(own).map_or(0, |pattern| *pattern as usize);
        self.automaton.each(classes, |own| found.push(Found { pattern: index(own.pattern), ..own }));
    }
}

impl ExactStage for Anchored {
    fn find(&self, classes: &[u16], found: &mut Vec<Found>) {
        found.clear();
        let mut crowd = false;
        self.filter.places(classes, |end, run| {
            let tag = tag(run);
            for entry in self.bucket(run).iter().filter(|entry| entry.tag == tag) {
                if entry.pattern == CROWDED {
                    crowd = true;
                } else {
                    found.extend(self.stands(entry, end, classes));
                }
            }
        });
        if let Some(crowded) = self.crowded.as_ref().filter(|_| crowd) {
            crowded.find(classes, found);
        }
        found.sort_unstable_by_key(|f| f.end);
    }

    fn memory_bytes(&self) -> usize {
        let crowded = self.crowded.as_ref();
        self.filter.memory_bytes()
            + size_of_val(&*self.buckets)
            + size_of_val(&*self.entries)
            + size_of_val(&*self.classes)
            + crowded.map_or(0, |c| c.automaton.memory_bytes() + size_of_val(&*c.patterns))
    }
}
