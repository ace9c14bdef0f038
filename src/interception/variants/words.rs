//! What pictures and slang are read as: tables of our own.

use hashbrown::{HashMap, HashSet};
use std::sync::LazyLock;

use super::lattice::is_pictograph;
use crate::interception::fold::fold_into;

/// Both tables; built once per process.
pub(super) static WORDS: LazyLock<Words> = LazyLock::new(Words::build);

/// Longest slang in characters.
pub(super) const SLANG_CHARS_MAX: usize = 3;

/// Pictures and slang with their readings.
pub(super) struct Words {
    pictures: HashMap<char, Vec<Box<str>>>,
    slang: HashMap<Box<str>, Vec<Box<str>>>,
    beginnings: HashSet<char>,
    /// First characters of all slang, letters included.
    firsts: HashSet<char>,
    /// Second characters of slang that begins with an ideograph.
    seconds: HashSet<char>,
}

impl Words {
    fn build() -> Self {
        let pictures = entries(include_str!("tables/pictures.txt"));
        let pictures = pictures
            .filter_map(|(picture, read)| Some((picture.chars().next()?, with_chars(read))))
            .collect();
        let slang: HashMap<Box<str>, _> =
            entries(include_str!("tables/slang.txt")).map(|(text, read)| (text.into(), read)).collect();
        let words = || slang.keys().filter(|text| !text.is_ascii() && text.chars().nth(1).is_some());
        let beginnings = words().filter_map(|text| text.chars().next()).collect();
        let seconds = words().filter_map(|text| text.chars().nth(1)).collect();
        let firsts = slang.keys().filter_map(|text| text.chars().next()).collect();
        Self { pictures, slang, beginnings, firsts, seconds }
    }

    /// Returns what a picture may be read as, folded.
    #[inline]
    pub(super) fn of_picture(&self, picture: char) -> &[Box<str>] {
        self.pictures.get(&picture).map(Vec::as_slice).unwrap_or_default()
    }

    /// Says whether a character is a picture that may stand for something.
    pub(super) fn is_picture(&self, c: char) -> bool {
        is_pictograph(c) || self.pictures.contains_key(&c)
    }

    /// Says whether slang begins with an ideograph.
    pub(super) fn begins_slang(&self, c: char) -> bool {
        self.beginnings.contains(&c)
    }

    /// Says whether slang of any kind begins with a folded character.
    pub(super) fn begins_any_slang(&self, c: char) -> bool {
        self.firsts.contains(&c)
    }

    /// Says whether slang that begins with an ideograph goes on with this folded character.
    pub(super) fn goes_on_slang(&self, c: char) -> bool {
        self.seconds.contains(&c)
    }

    /// Lists the ideographs that slang begins with.
    pub(super) fn beginnings(&self) -> impl Iterator<Item = char> {
        self.beginnings.iter().copied()
    }

    /// Returns what a folded text stands for.
    pub(super) fn of_slang(&self, text: &str) -> &[Box<str>] {
        self.slang.get(text).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Says whether letters are a word or an abbreviation that ordinary people write.
pub(super) fn is_abbreviation(letters: impl Iterator<Item = char>) -> bool {
    let letters: String = letters.collect();
    ABBREVIATIONS.binary_search(&letters.as_str()).is_ok()
}

static ABBREVIATIONS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let table = include_str!("tables/abbreviations.txt");
    let mut words: Vec<_> =
        table.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect();
    words.sort_unstable();
    words
});

/// Characters that many names hold and that no picture is meant for.
const IDLE: &str = "子色的头儿一不小大上下中点老人";

/// A picture is also read as one character of its name: a shark for 鲨, a hospital for 医.
fn with_chars(mut read: Vec<Box<str>>) -> Vec<Box<str>> {
    for word in 0..read.len() {
        let chars: Vec<char> = read.get(word).into_iter().flat_map(|word| word.chars()).collect();
        for c in chars.iter().filter(|c| chars.len() > 1 && !c.is_ascii() && !IDLE.contains(**c)) {
            let own: Box<str> = c.encode_utf8(&mut [0; 4]).into();
            if !read.contains(&own) {
                read.push(own);
            }
        }
    }
    read
}

fn entries(table: &'static str) -> impl Iterator<Item = (&'static str, Vec<Box<str>>)> {
    table.lines().filter(|line| !line.starts_with("# ")).filter_map(|line| {
        let mut words = line.split(' ');
        let head = words.next()?;
        let read = words.map(|word| {
            let mut folded = String::new();
            fold_into(word, &mut folded);
            folded.into_boxed_str()
        });
        Some((head, read.collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_read_as_something() {
        let words = &*WORDS;
        for (picture, read) in &words.pictures {
            assert!(!read.is_empty() && read.iter().all(|word| !word.is_empty()), "{picture}");
        }
        for (text, read) in &words.slang {
            assert!(!read.is_empty() && text.chars().count() <= SLANG_CHARS_MAX, "{text}");
        }
        for (picture, word) in
            [('➕', "加"), ('❤', "心"), ('❤', "信"), ('🐧', "qq"), ('💊', "药"), ('+', "加")]
        {
            assert!(words.of_picture(picture).iter().any(|read| **read == *word), "{picture}");
        }
        assert_eq!(words.of_slang("扣扣"), ["qq".into()]);
    }
}
