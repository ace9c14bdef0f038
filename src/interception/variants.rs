//! Variants: terms in disguise. Another character of the same sound or look, pinyin, first letters, parts written apart,
//! pictures, slang, digits, neighbours that changed places, and any mixture of these.
//!
//! | file | does |
//! |---|---|
//! | `sound.rs` | readings of characters; codes under which terms are searched |
//! | `shape.rs` | look-alikes, parts of characters, letters of other alphabets |
//! | `words.rs` | what pictures and slang are read as |
//! | `gate.rs` | where it is worth looking |
//! | `worth.rs` | not even there, where a few comparisons tell |
//! | `window.rs` | how much of the text around |
//! | `lattice.rs` | all ways to read a text |
//! | `trie.rs` | terms by their codes |
//! | `search.rs` | the lattice walked through the trie; how each term was disguised |
//! | `alike.rs` | everyday words that sound like a term, for whoever chooses terms |
//! | `ordinary.rs` | whether an ordinary writer would have written that: what makes all this affordable |
//!
//! Not for: separators and spellings that any reader calls the same (`fold`), and terms as listed (`exact`).

mod alike;
mod gate;
mod lattice;
mod ordinary;
mod search;
mod shape;
mod sound;
mod trie;
mod window;
mod words;
mod worth;

use std::ops::Range;

use hashbrown::HashMap;

use super::encode::Classes;
use super::exact::Found;
use super::fold::{Folded, Unit, fold, units_into};
use super::policy::Strictness;
use crate::event::Via;
pub(super) use gate::is_telling_picture;
use gate::{Gate, Marks, Open, marks};
use lattice::Lattice;
use search::{Disguises, WAY_MAX, Walk};
use shape::SHAPES;
use sound::{CODE_LETTERS, Code, SOUNDS, characters};
use trie::Trie;
use window::Window;
use worth::is_worthwhile;

pub(super) use alike::everyday_word;
pub(super) use ordinary::{CONTEXT, Ordinary, crosses_words, cuts_word, words};
pub(super) use search::Disguised;
pub(super) use shape::apart;

/// Shortest term, in characters, that is looked for in disguise under `standard`.
const STANDARD_CHARS_MIN: u8 = 3;

/// Lists the folded characters that are told apart though no term holds them: for their sound, or as marks.
pub(super) fn told_apart() -> impl Iterator<Item = char> {
    let spoken = |c: &char| SOUNDS.readings(*c).next().is_some() && fold(*c) == Folded::One(*c);
    marks().chain('0'..='9').chain(characters().filter(spoken))
}

/// Loads what is needed only once a text gives reason for it.
pub(super) fn prepare() {
    gate::prepare();
    ordinary::prepare();
}

/// Highest confidence in a disguise, in percent: 100 is for what is written as listed.
const CONFIDENCE_MAX: u8 = 99;

/// Spellings of one term: characters with several readings multiply.
const SPELLINGS_MAX: usize = 6;

/// All terms that are looked for in disguise.
#[derive(Debug, Default)]
pub(super) struct Variants {
    trie: Trie,
    /// Characters of pattern `p` stand from `chars_from[p]` up to `chars_from[p + 1]`; none where it is not looked for.
    chars_from: Vec<u32>,
    chars: Vec<char>,
    /// By character of a text: codes of terms' characters that look like it.
    looks: HashMap<char, Box<[Code]>>,
    /// By code: the letters its syllables begin with, as bits.
    initials: Vec<u32>,
    gate: Option<Gate>,
    marks: Marks,
    /// Patterns that are two parts of a character, with the character.
    apart: Vec<(u32, char)>,
}

/// Room to work in.
#[derive(Debug, Default)]
pub(super) struct Room {
    lattice: Lattice,
    walk: Walk,
    /// Where the gate opened.
    open: Vec<Open>,
    /// Where marks stand, in bytes.
    marks: Vec<usize>,
    /// What to read.
    windows: Vec<Window>,
    /// The same in spots, and where what is looked for may begin.
    ranges: Vec<Range<usize>>,
    starts: Vec<Range<usize>>,
    pub(super) found: Vec<Disguised>,
}

impl Variants {
    /// Takes folded terms by their patterns; `None` is a pattern without terms.
    ///
    /// `letters` are the folded characters of all classes from 1 on.
    pub(super) fn new<'t>(patterns: impl Iterator<Item = Option<&'t str>>, letters: &[char]) -> Self {
        let sounds = &*SOUNDS;
        let mut variants = Self { chars_from: vec![0], ..Self::default() };
        let mut spellings = Vec::new();
        for (pattern, term) in (0..).zip(patterns) {
            let sounding = |term: &&str| {
                let spoken = term.chars().filter(|c| sounds.readings(*c).next().is_some()).count();
                spoken > 0 && (2..=WAY_MAX).contains(&term.chars().count())
            };
            if let Some(term) = term.filter(sounding) {
                variants.chars.extend(term.chars());
                spell(term, pattern, &mut spellings);
            }
            variants.chars_from.push(u32::try_from(variants.chars.len()).unwrap_or(u32::MAX));
        }
        variants.trie = Trie::new(spellings);
        variants.looks = looks(&variants.chars);
        variants.initials = initials();
        let patterns = 0..u32::try_from(variants.chars_from.len() - 1).unwrap_or(u32::MAX);
        let terms = || patterns.clone().map(|pattern| variants.term(pattern));
        let mut marks = Marks::default();
        terms().for_each(|term| marks.add(term));
        variants.gate = Some(Gate::new(terms(), letters));
        variants.marks = marks;
        variants
    }

    /// Takes the patterns that are two parts of a character, with the character.
    pub(super) fn take_apart(&mut self, mut apart: Vec<(u32, char)>) {
        apart.sort_unstable();
        self.apart = apart;
    }

    /// Says whether no term is looked for.
    pub(super) fn is_empty(&self) -> bool {
        self.trie.is_empty()
    }

    /// Returns the bytes it occupies, without the tables that all rulesets share.
    pub(super) fn memory_bytes(&self) -> usize {
        let looks = self.looks.values().map(|codes| codes.len() * size_of::<Code>() + 32).sum::<usize>();
        let gate = self.gate.as_ref().map_or(0, Gate::memory_bytes);
        gate + self.trie.memory_bytes()
            + (self.chars.len() + self.chars_from.len() + self.initials.len()) * 4
            + looks
    }

    /// Writes a pattern's folded term.
    pub(super) fn weigh(&self, room: &Room, hit: &Disguised) -> Ordinary {
        room.weigh(hit, &self.term(hit.pattern).iter().collect::<String>())
    }

    fn term(&self, pattern: u32) -> &[char] {
        let at = |index: usize| self.chars_from.get(index).map_or(0, |from| *from as usize);
        self.chars.get(at(pattern as usize)..at(pattern as usize + 1)).unwrap_or_default()
    }

    fn may_begin(&self, code: Code, letter: char) -> bool {
        let bit = 1_u32.checked_shl(u32::from(letter).wrapping_sub(u32::from('a'))).unwrap_or(0);
        self.initials.get(usize::from(code)).is_some_and(|letters| letters & bit != 0)
    }

    /// Finds every term in disguise and writes it over what `room.found` held; `found` are the patterns that stand there
    /// as listed.
    pub(super) fn find(
        &self,
        text: &str,
        (classes, found): (&Classes, &[Found]),
        strictness: Strictness,
        units: &mut Vec<Unit>,
        room: &mut Room,
    ) {
        room.found.clear();
        let Some(gate) = self.gate.as_ref().filter(|_| !self.is_empty()) else { return };
        let all = strictness == Strictness::Strict;
        room.windows.clear();
        if all {
            room.windows.push(Window::all(text));
        } else {
            self.open(gate, text, (classes, found), units, room);
        }
        if room.windows.is_empty() {
            return;
        }
        let read = if all { 0..text.len() } else { Window::with_context(units, &room.windows) };
        room.lattice.read_spots(text, read);
        let spots = &room.lattice.spots;
        let spot = |byte: usize| spots.partition_point(|spot| (spot.start as usize) < byte);
        room.ranges.clear();
        room.starts.clear();
        for window in &room.windows {
            let (from, past) = (spot(window.span.start), spot(window.span.end));
            room.ranges.push(from..past);
            room.starts.push(from..past.min(spot(window.starts_before)));
        }
        room.lattice.read(text, all.then_some(&self.looks), &room.ranges);
        let starts = room.starts.iter().cloned().flatten();
        room.walk.find(self, &room.lattice, starts, &mut room.found);
    }

    /// Writes what is worth reading over what `room.windows` held.
    fn open(
        &self,
        gate: &Gate,
        text: &str,
        (classes, found): (&Classes, &[Found]),
        units: &mut Vec<Unit>,
        room: &mut Room,
    ) {
        let has_marks = gate.find(classes.as_slice(), &mut room.open) | classes.pictured();
        for found in found {
            let from = self.apart.partition_point(|(pattern, _)| (*pattern as usize) < found.pattern);
            let of =
                self.apart.iter().skip(from).take_while(|(pattern, _)| *pattern as usize == found.pattern);
            for (_, whole) in of {
                gate.find_apart(classes.as_slice(), found.start..found.end, *whole, &mut room.open);
            }
        }
        room.marks.clear();
        if has_marks {
            self.marks.find(text, &mut room.marks);
        }
        if room.open.is_empty() && room.marks.is_empty() {
            return;
        }
        if units.is_empty() {
            units_into(text, units);
        }
        room.windows.extend(room.marks.iter().map(|at| Window::of_mark(text, units, *at)));
        window::join(&mut room.windows);
        let marked = room.windows.len();
        for open in &room.open {
            // In a text made to be slow most stand in what is read already, which is much cheaper to know.
            let window = Window::of_run(text, units, open);
            let read = window::covering(room.windows.get(..marked).unwrap_or_default(), &window);
            if !read
                && !room.windows.last().is_some_and(|last| last.covers(&window))
                && is_worthwhile(self.term(open.pattern), units, open, has_marks)
            {
                room.windows.push(window);
            }
        }
        window::join(&mut room.windows);
    }
}

impl Room {
    /// Yields what stands between the pieces of a hit.
    pub(super) fn gaps<'t>(&self, text: &'t str, hit: &Disguised) -> impl Iterator<Item = &'t str> {
        let spot = |at: u16| self.lattice.spots.get(usize::from(at));
        let pairs = hit.pieces.iter().zip(hit.pieces.iter().skip(1));
        pairs.map(move |((left, _), (right, _))| {
            let from = left[1].checked_sub(1).and_then(spot).map_or(0, |s| s.end as usize);
            let to = spot(right[0]).map_or(0, |s| s.start as usize);
            text.get(from..to).unwrap_or_default()
        })
    }

    /// Weighs what was found against what an ordinary writer writes.
    pub(super) fn weigh(&self, hit: &Disguised, term: &str) -> Ordinary {
        Ordinary::weigh(&self.lattice, hit, term)
    }
}

impl Disguised {
    /// Returns how many characters the term has.
    pub(super) fn length(&self) -> u8 {
        self.length
    }

    /// Says whether disguises of this kind come about by chance often: then nothing may stand between the characters of a
    /// short term.
    pub(super) fn is_common(&self) -> bool {
        self.disguises.has(Disguises::HOMOPHONE.and(Disguises::SHAPE))
    }

    /// Says whether it was only heard: nothing in it is drawn like the term.
    pub(super) fn is_heard(&self) -> bool {
        let heard =
            Disguises::HOMOPHONE.and(Disguises::PINYIN).and(Disguises::INITIALS).and(Disguises::SLANG);
        self.disguises.has(heard.and(Disguises::DIGIT))
    }

    /// Says whether a strictness counts this disguise at all; `dialects`: also where dialects merge sounds.
    pub(super) fn counts(&self, strictness: Strictness, dialects: bool) -> bool {
        if !dialects && self.disguises.has(Disguises::DIALECT) {
            return false;
        }
        let only_repeats = self.altered == 0;
        let letters_min = match strictness {
            Strictness::Relaxed => return false,
            Strictness::Standard => {
                let any = self.disguises.has(Disguises::ANY) && self.length <= STANDARD_CHARS_MIN;
                if self.length < STANDARD_CHARS_MIN || any || self.disguises.has(Disguises::DIALECT) {
                    return false;
                }
                4
            }
            Strictness::Strict if self.length < STANDARD_CHARS_MIN && self.disguises.has(Disguises::ANY) => {
                return false;
            }
            Strictness::Strict => 3,
        };
        only_repeats || self.initials == 0 || self.length >= letters_min && !self.abbreviates
    }

    /// Says by what the term was disguised.
    pub(super) fn via(&self) -> impl Iterator<Item = Via> {
        let disguises = self.disguises;
        let all = [
            (Disguises::HOMOPHONE.and(Disguises::DIGIT), Via::Homophone),
            (Disguises::PINYIN, Via::Pinyin),
            (Disguises::INITIALS.and(Disguises::SLANG), Via::Initials),
            (Disguises::SPLIT, Via::Split),
            (Disguises::SHAPE, Via::Shape),
            (Disguises::PICTURE, Via::Emoji),
            (Disguises::LEET, Via::Leet),
            (Disguises::SWAPPED, Via::Swapped),
            (Disguises::REPEAT, Via::Repeat),
        ];
        all.into_iter().filter_map(move |(bits, via)| disguises.has(bits).then_some(via))
    }

    /// Says how sure it is that the term was meant, in percent.
    pub(super) fn confidence(&self) -> u8 {
        let weakest = [
            (Disguises::INITIALS, 50),
            (Disguises::DIALECT, 55),
            (Disguises::SWAPPED, 60),
            (Disguises::SHAPE, 65),
            (Disguises::DIGIT, 65),
            (Disguises::ANY, 55),
            (Disguises::PICTURE, 70),
            (Disguises::SLANG, 70),
            (Disguises::HOMOPHONE, 75),
            (Disguises::LEET, 80),
            (Disguises::SPLIT, 85),
            (Disguises::PINYIN, 85),
        ];
        let weakest =
            weakest.into_iter().find(|(bits, _)| self.disguises.has(*bits)).map_or(95, |(_, sure)| sure);
        // Two tricks in one term leave less to chance, and so does a longer term.
        (weakest + (self.length.saturating_sub(2) * 3).min(12)).min(CONFIDENCE_MAX)
    }
}

fn spell(term: &str, pattern: u32, out: &mut Vec<(Vec<Code>, u32)>) {
    let sounds = &*SOUNDS;
    let mut spellings = vec![Vec::new()];
    for c in term.chars() {
        let mut codes: Vec<Code> = sounds.codes(c).collect();
        codes.dedup();
        if codes.len() > 1 && spellings.len() * codes.len() > SPELLINGS_MAX {
            codes.truncate(1);
        }
        spellings = spellings
            .iter()
            .flat_map(|begun| codes.iter().map(move |code| begun.iter().chain([code]).copied().collect()))
            .collect();
    }
    out.extend(spellings.into_iter().map(|codes| (codes, pattern)));
}

fn looks(chars: &[char]) -> HashMap<char, Box<[Code]>> {
    let sounds = &*SOUNDS;
    let mut distinct = chars.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let mut looks: HashMap<char, Vec<Code>> = HashMap::new();
    for listed in distinct {
        for like in SHAPES.alike(listed) {
            looks.entry(*like).or_default().extend(sounds.codes(listed));
        }
    }
    let sorted = |mut codes: Vec<Code>| {
        codes.sort_unstable();
        codes.dedup();
        codes.into_boxed_slice()
    };
    looks.into_iter().map(|(c, codes)| (c, sorted(codes))).collect()
}

fn initials() -> Vec<u32> {
    let mut letters = vec![0; usize::from(CODE_LETTERS)];
    for (code, spelling) in SOUNDS.syllables() {
        let first = spelling.bytes().next().unwrap_or(b'a');
        if let Some(bits) = letters.get_mut(usize::from(code)) {
            *bits |= 1_u32.checked_shl(u32::from(first.wrapping_sub(b'a'))).unwrap_or(0);
        }
    }
    letters
}
