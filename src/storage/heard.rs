//! Words of groups' days: what a stretch of listening adds, and what is kept of it.

use crate::statistics::words::Said;

/// What was said in a group on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordsHeard {
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// The day in the group's own zone, counted from the epoch.
    pub day: u32,
    /// The words.
    pub said: Said,
}

/// How many messages of a day were looked at for words, over all groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WordsShare {
    /// Messages that were looked at.
    pub counted: u64,
    /// Messages that there was no room for.
    pub missed: u64,
}

impl WordsShare {
    /// Adds another's numbers.
    pub fn add(&mut self, other: WordsShare) {
        self.counted += other.counted;
        self.missed += other.missed;
    }
}
