//! The ways to read a text: from each character to the next ones, by sound, by look, as pinyin, as a picture.
//!
//! Spots are the characters of the text that may carry meaning; an edge goes from a spot to a later one and says under
//! which [`Code`] what lies between may be found. Whether a term is really meant is asked when one is found (`search`).
//! Not for: searching. Invariant: every edge leads to a later spot, or into a chain that does.

use hashbrown::HashMap;
use std::ops::Range;

use super::shape::{PARTS_MAX, SHAPES, drawn_like};
use super::sound::{CODE_DIGITS, CODE_LETTERS, Code, SOUNDS, Sounds};
use super::words::{SLANG_CHARS_MAX, WORDS};
use crate::interception::fold::{Folded, fold, is_invisible};

/// Longest text, in spots, that is read in other ways; what comes after is not.
pub(super) const SPOTS_MAX: usize = 8_192;

/// A character written more often than this in a row is no longer one character repeated.
const REPEATS_MAX: usize = 4;

/// Strokes that folding looks through, and the long mark of kana that is drawn like one.
const STROKES: [char; 7] = ['丶', '丨', '丿', '灬', '亅', 'ー', 'ｰ'];

/// Longest pinyin syllable in letters (zhuang, shuang, chuang).
pub(super) const SYLLABLE_LETTERS_MAX: usize = 6;

/// The code of a letter that begins a syllable.
pub(super) const CODE_INITIALS: Code = 0x7E00;

/// The code of a picture for whatever character would stand there.
pub(super) const CODE_ANY: Code = 0x7E01;

/// What such a picture means.
pub(super) const ANY: char = '\0';

/// How an edge reads the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// A character: as itself, or as one that sounds or looks like it.
    Char,
    /// A letter of another alphabet, drawn like this one.
    Drawn,
    /// A syllable in letters.
    Pinyin,
    /// The first letter of a syllable.
    Initial,
    /// Two or three parts of a character.
    Split,
    /// A picture.
    Picture,
    /// Slang.
    Slang,
    /// A digit for a character of its sound, or the other way round.
    Digit,
    /// A digit for a letter.
    Leet,
    /// One of two neighbours that changed places.
    Swapped,
}

/// One way to read what lies between two spots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    /// Where it leads.
    pub(super) to: u16,
    /// What is read.
    pub(super) code: Code,
    /// How it is read.
    pub(super) how: How,
    /// The character that is read; for [`How::Pinyin`] the syllable's number, for [`How::Initial`] the letter.
    pub(super) meant: char,
    /// First spot that is read.
    pub(super) first: u16,
    /// One past the last spot that is read.
    pub(super) past: u16,
    /// The character stands there several times.
    pub(super) repeat: bool,
    /// The next edge from the same spot.
    next: u32,
}

/// A character of the text that may carry meaning.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of one character, and none follows from the others"
)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// First byte of the original.
    pub(super) start: u32,
    /// One past the last.
    pub(super) end: u32,
    /// The folded character, or the picture.
    pub(super) c: char,
    /// It is a picture or a stroke, no character of a text.
    pub(super) picture: bool,
    /// It may be looked through: a picture, half a flag, or a filler.
    pub(super) optional: bool,
    /// It is a letter that follows a letter.
    pub(super) goes_on: bool,
    /// Something that is looked through stands before it.
    pub(super) after_gap: bool,
}

/// The ways through one text. Reused from text to text.
#[derive(Debug, Default)]
pub(super) struct Lattice {
    pub(super) spots: Vec<Spot>,
    /// First edge of each spot, and of each place inside a chain behind them.
    heads: Vec<u32>,
    edges: Vec<Edge>,
    slang: String,
}

const NONE: u32 = u32::MAX;

impl Lattice {
    /// Reads what the spots of these windows may be; `looks` gives the codes of terms' characters that look like one of the text.
    pub(super) fn read(
        &mut self,
        text: &str,
        looks: Option<&HashMap<char, Box<[Code]>>>,
        windows: &[Range<usize>],
    ) {
        self.heads.clear();
        self.heads.resize(self.spots.len() + 1, NONE);
        self.edges.clear();
        let sounds = &*SOUNDS;
        for at in windows.iter().cloned().flatten() {
            let Some(spot) = self.spots.get(at).copied() else { continue };
            if spot.picture {
                for word in WORDS.of_picture(spot.c) {
                    self.chain(sounds, at, at + 1, word, How::Picture);
                }
                if is_pictograph(spot.c) {
                    self.add(at, at + 1, CODE_ANY, How::Picture, ANY);
                }
                self.read_parts(sounds, at);
                if let Some(like) = drawn_like(spot.c) {
                    self.add(at, at + 1, sounds.codes(like).next().unwrap_or(0), How::Drawn, like);
                }
                continue;
            }
            self.read_char(sounds, looks, at, spot.c);
            if WORDS.begins_any_slang(spot.c) {
                self.read_slang(sounds, at);
            }
            self.read_parts(sounds, at);
            self.read_swapped(sounds, at);
            if spot.c.is_ascii_lowercase() {
                self.read_letters(sounds, at, spot.c);
            } else {
                self.read_digit(sounds, at, spot.c);
            }
            if let Some(letter) = Self::drawn(text, spot) {
                self.add(at, at + 1, sounds.codes(letter).next().unwrap_or(0), How::Drawn, letter);
            }
        }
    }

    /// Finds the spots of a part of a text, given in bytes.
    pub(super) fn read_spots(&mut self, text: &str, part: Range<usize>) {
        self.spots.clear();
        let mut gap = false;
        for (at, original) in text.get(part.clone()).unwrap_or_default().char_indices() {
            if self.spots.len() >= SPOTS_MAX {
                return;
            }
            let at = part.start + at;
            let (start, end) = (offset(at), offset(at + original.len_utf8()));
            let mut add = |c: char, picture: bool| {
                let letter = |c: char| c.is_ascii_lowercase();
                let goes_on = letter(c)
                    && !gap
                    && self.spots.last().is_some_and(|s| letter(s.c) && (s.end == start || s.end == end));
                let optional = picture || is_half_flag(original) || is_filler(original);
                self.spots.push(Spot { start, end, c, picture, optional, goes_on, after_gap: gap });
                gap = false;
            };
            match fold(original) {
                Folded::One(folded) => add(folded, false),
                Folded::Several(folded) => folded.chars().for_each(|c| add(c, false)),
                // A stroke may be a part of a character, and a picture a word; both are also looked through.
                Folded::Skip if STROKES.contains(&original) || WORDS.is_picture(original) => {
                    add(original, true);
                }
                Folded::Skip => gap |= !is_invisible(original),
            }
        }
    }

    /// A character that may be a part of another, written plainly.
    fn part_at(&self, at: usize) -> Option<char> {
        let spot = self.spots.get(at).filter(|spot| !spot.picture || STROKES.contains(&spot.c))?;
        SHAPES.part(spot.c)
    }

    fn char_at(&self, at: usize) -> Option<char> {
        self.spots.get(at).filter(|spot| !spot.picture).map(|spot| spot.c)
    }

    fn read_char(&mut self, sounds: &Sounds, looks: Option<&HashMap<char, Box<[Code]>>>, at: usize, c: char) {
        let mut past = at + 1;
        while past <= at + REPEATS_MAX && self.char_at(past) == Some(c) {
            past += 1;
        }
        for code in sounds.codes(c) {
            self.add(at, at + 1, code, How::Char, c);
            for to in at + 2..=past {
                self.add(at, to, code, How::Char, c);
            }
        }
        for code in looks.and_then(|looks| looks.get(&c)).map(AsRef::as_ref).unwrap_or_default() {
            if sounds.codes(c).all(|own| own != *code) {
                self.add(at, at + 1, *code, How::Char, c);
            }
        }
    }

    fn read_slang(&mut self, sounds: &Sounds, at: usize) {
        let mut text = std::mem::take(&mut self.slang);
        text.clear();
        for past in at + 1..=at + SLANG_CHARS_MAX {
            let Some(c) = self.char_at(past - 1) else { break };
            text.push(c);
            for word in WORDS.of_slang(&text) {
                self.chain(sounds, at, past, word, How::Slang);
            }
        }
        self.slang = text;
    }

    fn read_parts(&mut self, sounds: &Sounds, at: usize) {
        let mut parts = ['\0'; PARTS_MAX];
        for length in 1..=PARTS_MAX {
            let Some(c) = self.part_at(at + length - 1) else { break };
            parts[length - 1] = c;
            if length < 2 {
                continue;
            }
            if length == 2 && !SHAPES.may_begin(parts[0], parts[1]) {
                return;
            }
            let mut written = parts;
            let written = &mut written[..length];
            for _ in 0..2 {
                for whole in SHAPES.whole(written) {
                    for code in sounds.codes(*whole) {
                        self.add(at, at + length, code, How::Split, *whole);
                    }
                }
                written.reverse();
            }
        }
    }

    fn read_swapped(&mut self, sounds: &Sounds, at: usize) {
        let (Some(first), Some(second)) = (self.char_at(at), self.char_at(at + 1)) else { return };
        if first == second || first.is_ascii() || second.is_ascii() {
            return;
        }
        let through = self.place();
        for code in sounds.codes(second) {
            self.link(at, through, code, How::Swapped, second, (at, at + 2));
        }
        for code in sounds.codes(first) {
            self.link(through, at + 2, code, How::Swapped, first, (at, at + 2));
        }
    }

    fn read_letters(&mut self, sounds: &Sounds, at: usize, first: char) {
        let mut spelling = [0_u8; SYLLABLE_LETTERS_MAX];
        for length in 1..=SYLLABLE_LETTERS_MAX {
            let place = at + length - 1;
            let letter = self.char_at(place).filter(char::is_ascii_lowercase);
            let goes_on = length == 1 || self.spots.get(place).is_some_and(|spot| spot.goes_on);
            let Some(letter) = letter.filter(|_| goes_on) else { break };
            spelling[length - 1] = u8::try_from(letter).unwrap_or(b'?');
            let spelled = spelling.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
            if let Some(syllable) = spelled.and_then(|spelled| sounds.syllable(spelled)) {
                let meant = char::from_u32(u32::from(syllable)).unwrap_or('\0');
                self.add(at, at + length, sounds.code(syllable), How::Pinyin, meant);
            }
            if length == 1 || (length == 2 && letter == 'h' && "zcs".contains(first)) {
                self.add(at, at + length, CODE_INITIALS, How::Initial, first);
            }
        }
    }

    fn read_digit(&mut self, sounds: &Sounds, at: usize, c: char) {
        const NAMES: &str = "零一二三四五六七八九";
        const LETTERS: [&str; 10] = ["o", "il", "z", "e", "a", "s", "", "t", "b", "g"];
        if let Some(name) = c.to_digit(10).and_then(|digit| NAMES.chars().nth(digit as usize)) {
            for code in sounds.codes(name) {
                self.add(at, at + 1, code, How::Digit, name);
            }
            let letter = |spot: Option<&Spot>| spot.is_some_and(|s| s.c.is_ascii_lowercase());
            if letter(self.spots.get(at + 1))
                || at.checked_sub(1).is_some_and(|before| letter(self.spots.get(before)))
            {
                let letters = c.to_digit(10).and_then(|digit| LETTERS.get(digit as usize));
                for letter in letters.copied().unwrap_or_default().chars() {
                    self.add(at, at + 1, sounds.codes(letter).next().unwrap_or(0), How::Leet, letter);
                }
            }
        } else if let Some(digit) = NAMES.chars().position(|name| name == c) {
            let digit =
                u32::try_from(digit).ok().and_then(|digit| char::from_digit(digit, 10)).unwrap_or('0');
            self.add(at, at + 1, sounds.codes(digit).next().unwrap_or(CODE_DIGITS), How::Digit, digit);
        }
    }

    fn drawn(text: &str, spot: Spot) -> Option<char> {
        if spot.c.is_ascii() || ('\u{3400}'..='\u{9FFF}').contains(&spot.c) {
            return None;
        }
        let original = text.get(spot.start as usize..spot.end as usize)?.chars().next()?;
        drawn_like(spot.c).or_else(|| drawn_like(original))
    }

    /// Reads a whole word where one to three characters stand.
    fn chain(&mut self, sounds: &Sounds, at: usize, past: usize, word: &str, how: How) {
        let mut from = at;
        let mut letters = word.chars().peekable();
        while let Some(letter) = letters.next() {
            let to = if letters.peek().is_some() { self.place() } else { past };
            for code in sounds.codes(letter) {
                self.link(from, to, code, how, letter, (at, past));
            }
            from = to;
        }
    }

    /// Makes a place inside a chain.
    fn place(&mut self) -> usize {
        self.heads.push(NONE);
        self.heads.len() - 1
    }

    fn add(&mut self, at: usize, past: usize, code: Code, how: How, meant: char) {
        self.link(at, past, code, how, meant, (at, past));
    }

    fn link(
        &mut self,
        from: usize,
        to: usize,
        code: Code,
        how: How,
        meant: char,
        (first, past): (usize, usize),
    ) {
        let (Ok(to), Ok(first), Ok(past)) = (u16::try_from(to), u16::try_from(first), u16::try_from(past))
        else {
            return;
        };
        let repeat = how == How::Char && past - first > 1;
        let Some(head) = self.heads.get_mut(from) else { return };
        let next = std::mem::replace(head, u32::try_from(self.edges.len()).unwrap_or(NONE));
        self.edges.push(Edge { to, code, how, meant, first, past, repeat, next });
    }

    /// Returns the edges from a spot or a place inside a chain.
    pub(super) fn edges(&self, from: usize) -> impl Iterator<Item = &Edge> {
        let edge = |index: u32| self.edges.get(index as usize);
        let first = self.heads.get(from).copied().and_then(edge);
        std::iter::successors(first, move |last| edge(last.next))
    }

    /// Says whether a spot may be looked through.
    pub(super) fn is_optional(&self, at: usize) -> bool {
        self.spots.get(at).is_some_and(|spot| spot.optional)
    }

    /// Says whether a word of letters goes on over this border, before the spot.
    pub(super) fn cuts_word(&self, at: usize) -> bool {
        self.spots.get(at).is_some_and(|spot| spot.goes_on)
    }
}

/// Two of these make a flag; one by one they are letters.
fn is_half_flag(c: char) -> bool {
    ('\u{1F1E6}'..='\u{1F1FF}').contains(&c)
}

/// Digits in circles and iteration marks of kana: letters to folding, and in Chinese as good as a dot between characters.
fn is_filler(c: char) -> bool {
    matches!(c, '\u{2460}'..='\u{249B}' | '\u{24EA}'..='\u{24FF}' | '\u{2776}'..='\u{2793}')
        || matches!(c, 'ゝ' | 'ゞ' | 'ヽ' | 'ヾ' | '々' | '〻')
}

/// Says whether a character is drawn as a picture.
pub(super) fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{2600}'..='\u{27BF}' | '\u{1F000}'..='\u{1F0FF}' | '\u{1F300}'..='\u{1F3FA}' | '\u{1F400}'..='\u{1FAFF}')
}

/// Texts longer than 4 GiB do not get here.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

const _: () = assert!(CODE_LETTERS < CODE_DIGITS && CODE_DIGITS < CODE_INITIALS);
