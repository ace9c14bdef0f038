//! Everyday words that sound like a term: 实践 for 时间. For people who choose terms, not for judging.
//!
//! Bounded: [`WORDS_MAX`] words are looked up for a term, made of the commonest characters of each sound.

use std::cmp::Reverse;
use std::sync::LazyLock;

use hashbrown::HashMap;

use super::ordinary::DICTIONARY;
use super::sound::{SOUNDS, Syllable};

/// A word that the dictionary counts so often is written all the time: 5,000 words.
const WORD_COUNT_MIN: usize = 1_000;

/// Hardly any of those words holds a character that is counted less often by itself.
const CHARACTER_COUNT_MIN: usize = 300;

/// Most words looked up for one term.
const WORDS_MAX: usize = 4_096;

/// Characters by how they are read, the commonest first.
static CHARACTERS: LazyLock<HashMap<Syllable, Vec<char>>> = LazyLock::new(|| {
    let mut by_syllable: HashMap<Syllable, Vec<(usize, char)>> = HashMap::new();
    for c in '\u{4E00}'..='\u{9FFF}' {
        let count = count(c.encode_utf8(&mut [0; 4]));
        if count >= CHARACTER_COUNT_MIN {
            for syllable in SOUNDS.readings(c) {
                by_syllable.entry(syllable).or_default().push((count, c));
            }
        }
    }
    let ordered = |(syllable, mut characters): (Syllable, Vec<(usize, char)>)| {
        characters.sort_unstable_by_key(|(count, c)| (Reverse(*count), *c));
        (syllable, characters.into_iter().map(|(_, c)| c).collect())
    };
    by_syllable.into_iter().map(ordered).collect()
});

/// Returns the commonest everyday word that sounds like a folded term of two or three characters and is another one.
/// `is_listed` says which words are none for this purpose.
pub(in crate::interception) fn everyday_word(term: &str, is_listed: impl Fn(&str) -> bool) -> Option<String> {
    let letters: Vec<char> = term.chars().collect();
    let each_max = match letters.len() {
        2 => 64,
        3 => 16,
        _ => return None,
    };
    let mut words = vec![String::new()];
    for letter in letters {
        let mut alike: Vec<char> = Vec::new();
        for syllable in SOUNDS.readings(letter) {
            alike.extend(CHARACTERS.get(&syllable).into_iter().flatten());
        }
        alike.truncate(each_max);
        alike.sort_unstable();
        alike.dedup();
        words = words
            .iter()
            .flat_map(|begun| alike.iter().map(move |c| [begun, c.encode_utf8(&mut [0; 4]) as &str].concat()))
            .take(WORDS_MAX)
            .collect();
    }
    let everyday = words.into_iter().filter(|word| word != term && !is_listed(word));
    let counted = everyday.map(|word| (count(&word), word)).filter(|(count, _)| *count >= WORD_COUNT_MIN);
    counted.max_by_key(|(count, word)| (*count, Reverse(word.clone()))).map(|(_, word)| word)
}

/// How often the dictionary counts a word; 0 where it does not know it.
fn count(word: &str) -> usize {
    if DICTIONARY.has_word(word) { DICTIONARY.suggest_freq(word) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_one_sound_are_found_when_everybody_writes_them() {
        let nothing = |_: &str| false;
        for (term, expect) in [
            ("食件", Some("时间")),
            ("实践", Some("时间")),
            ("公示", Some("公式")),
            ("时间", Some("事件")),
            ("加微信", None),
            ("vx", None),
            ("微", None),
        ] {
            assert_eq!(everyday_word(term, nothing).as_deref(), expect, "{term}");
        }
        let other = everyday_word("实践", |word| word == "时间");
        assert_ne!(other.as_deref(), Some("时间"));
    }
}
