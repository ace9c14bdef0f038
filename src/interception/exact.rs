//! The exact stage: every occurrence of every pattern in a stream of classes, overlapping ones too.
//!
//! Behind a trait, because its first form, aho-corasick over bytes, is to be replaced by an automaton over classes
//! and then stays as the oracle that the new one is tested against.

use std::fmt::Debug;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};

/// One occurrence of a pattern, in positions of the class stream, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    /// First class.
    pub(super) start: usize,
    /// One past the last class.
    pub(super) end: usize,
    /// Index of the pattern.
    pub(super) pattern: usize,
}

/// Finds patterns of classes.
pub(super) trait ExactStage: Debug + Send + Sync {
    /// Writes every occurrence over what `found` held, in order of their ends. `bytes` is room to work in.
    fn find(&self, classes: &[u16], bytes: &mut Vec<u8>, found: &mut Vec<Found>);

    /// Returns the bytes it occupies.
    fn memory_bytes(&self) -> usize;
}

/// The `aho-corasick` crate's contiguous NFA over classes written as UTF-8.
///
/// UTF-8 synchronises itself, so no pattern is found across the middle of a class; and as classes are numbered from
/// the most frequent, the common ones take one byte where their characters took three.
/// Never the DFA: hundreds of megabytes for a Chinese lexicon, and slower.
#[derive(Debug)]
pub(super) struct AhoStage {
    automaton: AhoCorasick,
    /// Classes of each pattern.
    lengths: Box<[u16]>,
}

impl AhoStage {
    /// Builds the automaton; a pattern's index is its position.
    ///
    /// # Errors
    /// When the patterns are more than the automaton can number.
    pub(super) fn new(patterns: &[Vec<u16>]) -> Result<Self, BuildError> {
        let mut texts = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let mut text = Vec::with_capacity(pattern.len() * 2);
            write_classes(pattern, &mut text);
            texts.push(text);
        }
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::Standard)
            // Two dense levels, the default, take 3 MB more for a Chinese lexicon and are no faster.
            .dense_depth(1)
            .build(&texts)?;
        let lengths = patterns.iter().map(|p| u16::try_from(p.len()).unwrap_or(u16::MAX)).collect();
        Ok(Self { automaton, lengths })
    }
}

impl ExactStage for AhoStage {
    fn find(&self, classes: &[u16], bytes: &mut Vec<u8>, found: &mut Vec<Found>) {
        found.clear();
        bytes.clear();
        write_classes(classes, bytes);
        // Matches come in order of their ends, so one walk over the stream turns byte offsets into positions.
        let (mut position, mut offset) = (0, 0);
        for hit in self.automaton.find_overlapping_iter(bytes.as_slice()) {
            while offset < hit.end() {
                offset += width(classes.get(position).copied().unwrap_or(0));
                position += 1;
            }
            let pattern = hit.pattern().as_usize();
            let length = usize::from(self.lengths.get(pattern).copied().unwrap_or(0));
            found.push(Found { start: position - length, end: position, pattern });
        }
    }

    fn memory_bytes(&self) -> usize {
        self.automaton.memory_usage() + self.lengths.len() * size_of::<u16>()
    }
}

fn width(class: u16) -> usize {
    match class {
        0..=0x7F => 1,
        0x80..=0x7FF => 2,
        0x800.. => 3,
    }
}

fn write_classes(classes: &[u16], out: &mut Vec<u8>) {
    let low = |class: u16| 0x80 | u8::try_from(class & 0x3F).unwrap_or(0);
    let byte = |lead: u16, class: u16| u8::try_from(lead | class).unwrap_or(u8::MAX);
    for class in classes.iter().copied() {
        match class {
            0..=0x7F => out.push(byte(0, class)),
            0x80..=0x7FF => out.extend([byte(0xC0, class >> 6), low(class)]),
            0x800.. => out.extend([byte(0xE0, class >> 12), low(class >> 6), low(class)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(patterns: &[Vec<u16>], classes: &[u16]) -> Vec<Found> {
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

    proptest! {
        #[test]
        fn finds_what_a_naive_search_finds(
            patterns in prop::collection::vec(prop::collection::vec(prop::sample::select(
                vec![1_u16, 2, 0x7F, 0x80, 0x81, 0x7FF, 0x800, 0x801, 0xD7FF]), 1..4), 0..12),
            classes in prop::collection::vec(prop::sample::select(
                vec![0_u16, 1, 2, 0x7F, 0x80, 0x81, 0x7FF, 0x800, 0x801, 0xD7FF]), 0..40),
        ) {
            let stage = AhoStage::new(&patterns).unwrap();
            let (mut bytes, mut found) = (Vec::new(), Vec::new());
            stage.find(&classes, &mut bytes, &mut found);
            found.sort();
            prop_assert_eq!(found, naive(&patterns, &classes));
        }
    }
}
