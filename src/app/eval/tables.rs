//! What the generator knows of characters: sounds, forms, parts, looks, pictures.
//!
//! Each table is a file under `tables/` whose header says where it is from. None shares its source with the engine's own
//! tables: a generator that knew only what the engine knows would measure nothing.

use std::collections::HashMap;
use std::sync::LazyLock;

type Forms = HashMap<char, Vec<char>>;

/// Emoji for a word.
#[derive(Debug)]
pub(super) struct Pictures {
    /// The word is the emoji's name or in it; else the name only ends so, or the word is another keyword.
    pub(super) named: bool,
    /// The emoji, the oldest first.
    pub(super) emoji: Vec<&'static str>,
}

/// All tables.
#[derive(Debug)]
pub(super) struct Tables {
    readings: HashMap<char, &'static str>,
    sounds: HashMap<&'static str, Vec<char>>,
    words: HashMap<&'static str, Vec<&'static str>>,
    /// Traditional forms of simplified characters; the character itself first where it may stay.
    pub(super) traditional: Forms,
    /// Variant forms 异体字.
    pub(super) variants: Forms,
    /// Characters that look alike.
    pub(super) looks: Forms,
    /// Characters of other blocks that look the same.
    pub(super) confusables: Forms,
    /// The ways of writing the parts of a character, each two or three characters.
    pub(super) parts: HashMap<char, Vec<&'static str>>,
    pictures: HashMap<&'static str, Pictures>,
    /// Emoji named by one character, by its sound.
    sounding: HashMap<&'static str, Vec<&'static str>>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::read);

/// Longest word in [`Tables`] that has a reading of its own.
const WORD_CHARS_MAX: usize = 4;

/// Says whether a character is a Chinese one.
pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{323AF}')
}

impl Tables {
    /// Returns the tables, read at first use.
    pub(super) fn get() -> &'static Self {
        &TABLES
    }

    fn read() -> Self {
        let sounds: HashMap<_, Vec<char>> = rows(include_str!("tables/readings.txt"))
            .map(|(sound, row)| (sound, row.chars().collect()))
            .collect();
        let readings: HashMap<_, _> =
            sounds.iter().flat_map(|(sound, chars)| chars.iter().map(|c| (*c, *sound))).collect();
        let words = rows(include_str!("tables/words.txt"))
            .map(|(word, row)| (word, row.split(' ').collect()))
            .collect();
        let parts = rows(include_str!("tables/parts.txt"))
            .filter_map(|(whole, ways)| Some((whole.chars().next()?, ways.split(' ').collect())))
            .collect();
        let pictures: HashMap<_, _> = rows(include_str!("tables/pictures.txt"))
            .filter_map(|(word, row)| {
                let (grade, emoji) = row.split_once('\t')?;
                Some((word, Pictures { named: grade == "=", emoji: emoji.split(' ').collect() }))
            })
            .collect();
        let sounding = sounding(&pictures, &readings);
        Self {
            readings,
            sounds,
            words,
            traditional: forms(include_str!("tables/traditional.txt")),
            variants: forms(include_str!("tables/variants.txt")),
            looks: forms(include_str!("tables/looks.txt")),
            confusables: forms(include_str!("tables/confusables.txt")),
            parts,
            pictures,
            sounding,
        }
    }

    /// Returns the syllable of each character as it is read in this text; `None` where it has none.
    pub(super) fn syllables(&self, text: &[char]) -> Vec<Option<&'static str>> {
        let mut syllables: Vec<_> = text.iter().map(|c| self.readings.get(c).copied()).collect();
        let mut at = 0;
        while at < text.len() {
            let word = (2..=WORD_CHARS_MAX).rev().find_map(|length| {
                let word: String = text.get(at..at + length)?.iter().collect();
                self.words.get(word.as_str())
            });
            let Some(word) = word else {
                at += 1;
                continue;
            };
            for (place, syllable) in syllables.iter_mut().skip(at).zip(word) {
                *place = Some(syllable);
            }
            at += word.len();
        }
        syllables
    }

    /// Returns the characters that are usually read so, the commonest first.
    pub(super) fn of_sound(&self, syllable: &str) -> &[char] {
        self.sounds.get(syllable).map_or(&[], Vec::as_slice)
    }

    /// Returns the emoji for a word.
    pub(super) fn pictures_of(&self, word: &str) -> Option<&Pictures> {
        self.pictures.get(word)
    }

    /// Returns emoji whose name of one character is read so.
    pub(super) fn pictures_of_sound(&self, syllable: &str) -> &[&'static str] {
        self.sounding.get(syllable).map_or(&[], Vec::as_slice)
    }
}

fn sounding(
    pictures: &HashMap<&'static str, Pictures>,
    readings: &HashMap<char, &'static str>,
) -> HashMap<&'static str, Vec<&'static str>> {
    // In the order of the characters: that of a hash map differs from run to run.
    let mut named: Vec<_> = pictures.iter().filter(|(_, p)| p.named).collect();
    named.sort_by_key(|(word, _)| **word);
    let mut sounding: HashMap<_, Vec<_>> = HashMap::new();
    for (word, pictures) in named {
        let mut chars = word.chars();
        let (Some(c), None) = (chars.next(), chars.next()) else { continue };
        if let (Some(syllable), Some(emoji)) = (readings.get(&c), pictures.emoji.first()) {
            sounding.entry(*syllable).or_default().push(*emoji);
        }
    }
    sounding
}

fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().filter(|line| !line.starts_with("# ")).filter_map(|line| line.split_once('\t'))
}

fn forms(table: &'static str) -> Forms {
    rows(table).filter_map(|(c, row)| Some((c.chars().next()?, row.chars().collect()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_read_to_its_end() {
        let tables = Tables::get();
        let lines = |table: &str| table.lines().filter(|l| !l.starts_with("# ")).count();
        assert_eq!(tables.sounds.len(), lines(include_str!("tables/readings.txt")));
        assert_eq!(tables.words.len(), lines(include_str!("tables/words.txt")));
        assert_eq!(tables.parts.len(), lines(include_str!("tables/parts.txt")));
        assert_eq!(tables.looks.len(), lines(include_str!("tables/looks.txt")));
        assert_eq!(tables.traditional.len(), lines(include_str!("tables/traditional.txt")));
        assert_eq!(tables.variants.len(), lines(include_str!("tables/variants.txt")));
        assert_eq!(tables.confusables.len(), lines(include_str!("tables/confusables.txt")));
        assert_eq!(tables.pictures.len(), lines(include_str!("tables/pictures.txt")));
    }

    #[test]
    fn a_character_is_read_as_its_word_says() {
        let read = |text: &str| {
            let chars: Vec<_> = text.chars().collect();
            let syllables = Tables::get().syllables(&chars);
            syllables.into_iter().map(|s| s.unwrap_or("-")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(read("行"), "xing");
        assert_eq!(read("银行卡"), "yin hang ka");
        assert_eq!(read("加QQ女"), "jia - - nv");
    }

    #[test]
    fn every_form_differs_from_its_character() {
        let tables = Tables::get();
        for forms in [&tables.variants, &tables.looks, &tables.confusables] {
            for (c, others) in forms {
                assert!(!others.is_empty() && !others.contains(c), "{c}");
            }
        }
        for (c, others) in &tables.traditional {
            assert!(others.iter().any(|other| other != c), "{c}");
        }
        for (c, ways) in &tables.parts {
            assert!(ways.iter().all(|way| (2..=3).contains(&way.chars().count())), "{c}");
        }
    }
}
