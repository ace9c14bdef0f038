//! From a message to its words: what may count as one, and what never does.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::interception;

/// Characters of a message that are looked at; adverts and copied articles go on after that.
const CHARS_MAX: usize = 500;
/// Characters of a Chinese word.
const LENGTH: std::ops::RangeInclusive<usize> = 2..=8;
/// Letters of a word in Latin letters.
const LETTERS: std::ops::RangeInclusive<usize> = 3..=20;
/// Characters between the brackets of a picture written out, such as `[微笑]`.
const FACE_MAX: usize = 6;
/// Most own words; each is looked for in every message.
const OWN_MAX: usize = 20_000;
/// Longest own word in characters.
const OWN_CHARS_MAX: usize = 20;
/// A name of so many characters is made of nothing but the name.
const NAME_CHARS: usize = 4;

/// Kinds of words, by the first letter of the dictionary's tag, that say nothing about what is talked of: conjunctions,
/// adverbs, interjections, numbers, sounds, prepositions, measures, pronouns, particles.
const EMPTY: [char; 12] = ['c', 'd', 'e', 'h', 'k', 'm', 'o', 'p', 'q', 'r', 'u', 'y'];

/// What numbers are written with.
const NUMERALS: &str = "〇零一二三四五六七八九十百千万亿两幺壹贰叁肆伍陆柒捌玖拾佰仟";

/// Words that are a brand's own, such as what a product is called: whole, whatever the dictionary makes of them.
#[derive(Debug, Default)]
pub struct Own {
    found: Option<AhoCorasick>,
}

impl Own {
    /// Takes them; those that could be no word are left out.
    pub fn new<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut folded = String::new();
        let mut kept = BTreeSet::new();
        for word in words {
            interception::fold_into(word, &mut folded);
            if (2..=OWN_CHARS_MAX).contains(&folded.chars().count()) && !folded.contains(char::is_numeric) {
                kept.insert(folded.clone());
            }
        }
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::LeftmostLongest);
        let found = (!kept.is_empty()).then(|| builder.build(kept.iter().take(OWN_MAX)).ok()).flatten();
        Self { found }
    }
}

/// Adds the words of a message, as they fold: 優惠券 and 优惠券 are one.
pub fn words_of(text: &str, own: &Own, found: &mut BTreeSet<Box<str>>) {
    let chars: Vec<char> = text.chars().take(CHARS_MAX).map(half_width).collect();
    let mut rest = chars.as_slice();
    let mut run = String::new();
    while let Some(first) = rest.first().copied() {
        let length = if first == '@' {
            length(rest, |c| !c.is_whitespace())
        } else if let Some(face) = face(rest) {
            face
        } else if first.is_ascii_graphic() {
            let length = length(rest, char::is_ascii_graphic);
            letters(rest.get(..length).unwrap_or_default(), found);
            length
        } else if first.is_alphanumeric() {
            let length = length(rest, |c| !c.is_ascii() && c.is_alphanumeric());
            run.clear();
            run.extend(rest.iter().take(length));
            script(&run, own, found);
            length
        } else {
            1
        };
        rest = rest.get(length.max(1)..).unwrap_or_default();
    }
}

/// Says whether a word is what somebody is called, or a part of a short name: both folded.
pub fn is_of_name(word: &str, name: &str) -> bool {
    word == name || (name.chars().count() <= NAME_CHARS && name.contains(word))
}

fn length(chars: &[char], of: impl Fn(&char) -> bool) -> usize {
    chars.iter().take_while(|c| of(c)).count()
}

fn half_width(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        _ => c,
    }
}

/// Returns the length of a picture written out at the beginning.
fn face(chars: &[char]) -> Option<usize> {
    let inside = chars.strip_prefix(&['['])?.iter().take(FACE_MAX + 1).position(|c| *c == ']')?;
    Some(inside + 2)
}

/// A run of Latin letters and signs is a word where it is letters only: links, numbers and ids are not.
fn letters(run: &[char], found: &mut BTreeSet<Box<str>>) {
    let is_sign = |c: &char| c.is_ascii_punctuation();
    let first = length(run, is_sign);
    let last = run.len() - run.iter().rev().take_while(|c| is_sign(c)).count();
    let Some(word) = run.get(first..last) else { return };
    if LETTERS.contains(&word.len()) && word.iter().all(char::is_ascii_alphabetic) {
        let word: String = word.iter().map(char::to_ascii_lowercase).collect();
        found.insert(word.into());
    }
}

fn script(run: &str, own: &Own, found: &mut BTreeSet<Box<str>>) {
    let mut folded = String::new();
    interception::fold_into(run, &mut folded);
    let mut at = 0;
    if let Some(own) = &own.found {
        for hit in own.find_iter(&folded) {
            cut(folded.get(at..hit.start()).unwrap_or_default(), found);
            found.insert(folded.get(hit.range()).unwrap_or_default().into());
            at = hit.end();
        }
    }
    cut(folded.get(at..).unwrap_or_default(), found);
}

fn cut(folded: &str, found: &mut BTreeSet<Box<str>>) {
    interception::words(folded, &mut |word, tag| {
        let is_empty = tag.starts_with(EMPTY) || word.chars().all(|c| NUMERALS.contains(c));
        if !is_empty && LENGTH.contains(&word.chars().count()) && !word.contains(char::is_numeric) {
            found.insert(word.into());
        }
    });
}
