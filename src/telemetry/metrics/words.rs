//! Facts about words that are counted.

use super::labels::{Value, WordsLoss};
use super::names::Metric;
use super::{add, set, wide};

/// Messages were looked at for words.
pub fn counted(messages: u64) {
    add(Metric::WordsMessages, 0, messages);
}

/// Messages were not looked at.
pub fn missed(why: WordsLoss, messages: u64) {
    add(Metric::WordsMissed, why.place(), messages);
}

/// Words had no room in their group's day.
pub fn dropped(words: u64) {
    add(Metric::WordsDropped, 0, words);
}

/// Words that are kept take so many bytes.
pub fn held(bytes: u64) {
    set(Metric::WordsBytes, 0, wide(bytes));
}
