//! Many strings in one pass over a folded text, by the stages that listed terms are found by: for whoever asks messages for
//! words of their own.

use std::ops::Range;

use super::encode::{Alphabet, CLASS_MAX};
use super::exact::{Anchored, ExactStage};
use super::filter::Rarity;
use super::ruleset::{CompileError, number_letters};

/// Strings to be found, compiled.
#[derive(Debug)]
pub struct Search {
    alphabet: Alphabet,
    exact: Anchored,
}

impl Search {
    /// Compiles folded strings. An empty one is never found.
    ///
    /// # Errors
    /// When they hold more different characters than can be numbered, or too many characters.
    pub fn new(strings: &[String]) -> Result<Self, CompileError> {
        let letters = number_letters(strings.iter().map(String::as_str), false);
        if letters.len() > usize::from(CLASS_MAX) {
            return Err(CompileError::Alphabet(letters.len()));
        }
        let alphabet = Alphabet::new(&letters, |_| false);
        let patterns: Vec<_> = strings.iter().map(|string| classes(&alphabet, string)).collect();
        Ok(Self { exact: Anchored::new(&patterns, &Rarity::new(&letters))?, alphabet })
    }

    /// Returns every occurrence in a folded text, overlapping ones too, in order of their ends: which string, and where, in
    /// bytes.
    pub fn find(&self, folded: &str) -> Vec<(usize, Range<usize>)> {
        let mut found = Vec::new();
        self.exact.find(&classes(&self.alphabet, folded), &mut found);
        if found.is_empty() {
            return Vec::new();
        }
        let starts: Vec<usize> = folded.char_indices().map(|(at, _)| at).chain([folded.len()]).collect();
        let byte = |at: usize| starts.get(at).copied().unwrap_or(folded.len());
        found.into_iter().map(|found| (found.pattern, byte(found.start)..byte(found.end))).collect()
    }
}

/// One class a character: nothing is skipped in what is folded already.
fn classes(alphabet: &Alphabet, folded: &str) -> Vec<u16> {
    folded.chars().map(|c| alphabet.class(c)).collect()
}

#[cfg(test)]
mod tests {
    use aho_corasick::AhoCorasick;
    use proptest::prelude::*;

    use super::*;
    use crate::interception::fold_into;

    fn texts(length: Range<usize>) -> impl Strategy<Value = String> {
        let letters = prop::sample::select(
            &['微', '信', '加', 'v', 'V', '1', '①', ' ', '．', 'é', '㎏', '𠮷', '❤'][..],
        );
        prop::collection::vec(letters, length).prop_map(|letters| {
            let mut folded = String::new();
            fold_into(&letters.into_iter().collect::<String>(), &mut folded);
            folded
        })
    }

    proptest! {
        #[test]
        fn it_finds_what_aho_corasick_finds(
            strings in prop::collection::btree_set(texts(1..4), 0..8), text in texts(0..24),
        ) {
            let strings: Vec<String> = strings.into_iter().filter(|string| !string.is_empty()).collect();
            let mut found = Search::new(&strings).unwrap().find(&text);
            let oracle = AhoCorasick::new(&strings).unwrap();
            let hits = oracle.find_overlapping_iter(&text).map(|hit| (hit.pattern().as_usize(), hit.range()));
            let mut expect: Vec<_> = hits.collect();
            for all in [&mut found, &mut expect] {
                all.sort_by_key(|(string, at)| (at.end, at.start, *string));
            }
            prop_assert_eq!(found, expect);
        }
    }
}
