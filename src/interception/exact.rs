//! The exact stage: every occurrence of every pattern in a stream of classes, overlapping ones too.
//!
//! Behind a trait, so that the automaton in use can be exchanged and compared with another: `aho-corasick` over
//! bytes is the oracle that tests hold it against.

mod anchored;
mod build;
mod double_array;

use std::fmt::Debug;

pub(super) use anchored::Anchored;
pub(super) use double_array::TooManyStates;

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
    /// Writes every occurrence over what `found` held, in order of their ends.
    fn find(&self, classes: &[u16], found: &mut Vec<Found>);

    /// Returns the bytes it occupies.
    fn memory_bytes(&self) -> usize;
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
