//! What the automaton is held against: the `aho-corasick` crate over classes written as bytes, and a naive search.

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};

use super::{ExactStage, Found};

/// The `aho-corasick` crate's contiguous NFA over classes written as three bytes each, the first of which tells it
/// from the others: no pattern is found across the middle of a class.
#[derive(Debug)]
pub(super) struct AhoStage {
    automaton: AhoCorasick,
    lengths: Vec<usize>,
}

impl AhoStage {
    pub(super) fn new(patterns: &[Vec<u16>]) -> Result<Self, BuildError> {
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::Standard)
            .build(patterns.iter().map(|p| bytes(p)))?;
        Ok(Self { automaton, lengths: patterns.iter().map(Vec::len).collect() })
    }
}

impl ExactStage for AhoStage {
    fn find(&self, classes: &[u16], found: &mut Vec<Found>) {
        found.clear();
        for hit in self.automaton.find_overlapping_iter(&bytes(classes)) {
            let (pattern, end) = (hit.pattern().as_usize(), hit.end() / 3);
            found.push(Found { start: end - self.lengths[pattern], end, pattern });
        }
    }

    fn memory_bytes(&self) -> usize {
        self.automaton.memory_usage()
    }
}

fn bytes(classes: &[u16]) -> Vec<u8> {
    let spread = |class: &u16| {
        let [high, low] = class.to_be_bytes();
        // Six bits each behind a lead that only leads have.
        [0xF0 | high >> 4, (high & 0xF) << 2 | low >> 6, low & 0x3F]
    };
    classes.iter().flat_map(spread).collect()
}

pub(super) fn naive(patterns: &[Vec<u16>], classes: &[u16]) -> Vec<Found> {
    let mut all = Vec::new();
    for (pattern, codes) in patterns.iter().enumerate() {
        for start in 0..classes.len() {
            if classes.get(start..start + codes.len()) == Some(codes.as_slice()) {
                all.push(Found { start, end: start + codes.len(), pattern });
            }
        }
    }
    all.sort();
    all
}
