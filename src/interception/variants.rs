//! Variants: terms in disguise. Another character of the same sound or look, pinyin, first letters, parts written apart,
//! pictures, slang, digits, neighbours that changed places, and any mixture of these.
//!
//! | file | does |
//! |---|---|
//! | `sound.rs` | readings of characters; codes under which terms are searched |
//! | `shape.rs` | look-alikes, parts of characters, letters of other alphabets |
//! | `words.rs` | what pictures and slang are read as |
//! | `gate.rs` | where it is worth looking |
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
mod words;

use hashbrown::HashMap;

use super::policy::Strictness;
use crate::event::Via;
use gate::Gate;
use lattice::Lattice;
use search::{Disguises, WAY_MAX, Walk};
use shape::SHAPES;
use sound::{CODE_LETTERS, Code, SOUNDS};
use trie::Trie;

pub(super) use alike::everyday_word;
pub(super) use ordinary::{CONTEXT, Ordinary, crosses_words};
pub(super) use search::Disguised;

/// Shortest term, in characters, that is looked for in disguise under `standard`.
const STANDARD_CHARS_MIN: u8 = 3;

/// Spots on either side of an open gate that are read.
const AROUND: usize = 12;

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
}

/// Room to work in.
#[derive(Debug, Default)]
pub(super) struct Room {
    lattice: Lattice,
    walk: Walk,
    /// Where the gate opened, in bytes.
    open: Vec<usize>,
    /// What to read, in spots.
    windows: Vec<std::ops::Range<usize>>,
    pub(super) found: Vec<Disguised>,
}

impl Variants {
    /// Takes folded terms by their patterns; `None` is a pattern without terms.
    pub(super) fn new<'t>(patterns: impl Iterator<Item = Option<&'t str>>) -> Self {
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
        let terms = variants
            .chars_from
            .windows(2)
            .map(|ends| variants.chars.get(ends[0] as usize..ends[1] as usize).unwrap_or_default());
        variants.gate = Some(Gate::new(terms));
        variants
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

    /// Finds every term in disguise and writes it over what `room.found` held.
    pub(super) fn find(&self, text: &str, strictness: Strictness, room: &mut Room) {
        room.found.clear();
        let Some(gate) = self.gate.as_ref().filter(|_| !self.trie.is_empty()) else { return };
        let all = strictness == Strictness::Strict;
        if !all {
            gate.find(text, &mut room.open);
            if room.open.is_empty() {
                return;
            }
        }
        room.lattice.read_spots(text);
        room.windows.clear();
        if all {
            room.windows.push(0..room.lattice.spots.len());
        } else {
            open_windows(&room.lattice, &room.open, &mut room.windows);
        }
        room.lattice.read(text, all.then_some(&self.looks), &room.windows);
        let starts = room.windows.iter().cloned().flatten();
        room.walk.find(self, &room.lattice, starts, &mut room.found);
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

    /// Says whether a strictness counts this disguise at all.
    pub(super) fn counts(&self, strictness: Strictness) -> bool {
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
        weakest + (self.length.saturating_sub(2) * 3).min(12)
    }
}

/// Joins what lies around the places where the gate opened.
fn open_windows(lattice: &Lattice, open: &[usize], windows: &mut Vec<std::ops::Range<usize>>) {
    for at in open {
        let spot = lattice.spots.partition_point(|spot| (spot.end as usize) <= *at);
        let (from, to) = (spot.saturating_sub(AROUND), (spot + AROUND).min(lattice.spots.len()));
        match windows.last_mut() {
            Some(last) if from <= last.end => last.end = to,
            Some(_) | None => windows.push(from..to),
        }
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
