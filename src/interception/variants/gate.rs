//! The gate in front of the lattice: where in a text a term of three characters and more may stand in disguise.
//!
//! At every character the last sounds are asked whether a run of them belongs to a term: first the last two, in a small
//! set that stays in the cache, then the run. Pictures and bare radicals, which ordinary messages rarely hold, are looked
//! at without asking, and words of letters where they may be pinyin, slang or first letters.
//!
//! Not exact, unlike `filter`: neighbours that changed places are not looked for, and a character's second reading in the
//! text may be missed. `strict` goes without it.

use hashbrown::HashSet;

use super::lattice::SYLLABLE_LETTERS_MAX;
use super::shape::drawn_like;
use super::sound::{SOUNDS, Syllable};
use super::words::WORDS;
use crate::interception::fold::{CELLS, Folded, fold};

/// 32 KiB of bits, asked at every character.
const PAIR_WORDS: usize = 1 << 12;

/// 256 KiB of bits, asked only where a pair stands.
const RUN_WORDS: usize = 1 << 15;

/// Shortest term that is gated.
const RUN: usize = 3;

/// Cell of what is looked through.
const SKIP: u16 = 0xFFFF;
/// Cell of what is looked at without asking.
const TELLING: u16 = 0xFFFE;
/// Cell of the letter `a`; the others follow.
const LETTERS: u16 = 0xFF00;

/// Longest word of letters that is looked at.
const WORD_LETTERS_MAX: usize = 48;

/// Shortest word of letters that may be the first letters of a term.
const INITIALS_MIN: usize = 4;

/// Radicals that nobody writes by themselves.
const RADICALS: &str =
    "氵亻讠扌忄纟钅礻衤犭饣艹宀疒辶阝刂攵攴灬罒覀彳冫廴廾凵匚囗夂彡⺮⺼⻊糹訁釒飠氺爫丬尢禸癶";

/// Which runs of neighbours may belong to a term in disguise.
#[derive(Debug)]
pub(super) struct Gate {
    /// By scalar: the usual reading's syllable.
    cells: Box<[u16]>,
    /// The last two sounds of each run.
    pairs: Bits<PAIR_WORDS>,
    runs: Bits<RUN_WORDS>,
    /// First letters of terms.
    initials: HashSet<Box<str>>,
}

impl Gate {
    /// Takes folded terms.
    pub(super) fn new<'t>(terms: impl Iterator<Item = &'t [char]> + Clone) -> Self {
        let mut cells = vec![SKIP; CELLS].into_boxed_slice();
        for (scalar, cell) in (0..).zip(cells.iter_mut()) {
            *cell = char::from_u32(scalar).map_or(SKIP, cell_of);
        }
        let mut gate = Self { cells, pairs: Bits::new(), runs: Bits::new(), initials: HashSet::new() };
        let frequency = gate.frequencies(terms.clone());
        for term in terms.filter(|term| term.len() >= RUN) {
            gate.add(term, &frequency);
        }
        gate
    }

    /// How often terms hold each sound: the less often, the better it tells them apart.
    fn frequencies<'t>(&self, terms: impl Iterator<Item = &'t [char]>) -> Vec<u32> {
        let mut frequency = vec![0_u32; 1 << 16];
        for c in terms.flatten() {
            let sound = self.cell(*c);
            if let Some(count) = frequency.get_mut(usize::from(sound)) {
                *count += 1;
            }
        }
        frequency
    }

    fn add(&mut self, term: &[char], frequency: &[u32]) {
        let of = |sound: u64| frequency.get(usize::try_from(sound).unwrap_or(0)).copied().unwrap_or(0);
        for sounds in readings(term) {
            let mut squeezed = sounds.clone();
            squeezed.dedup();
            let length = squeezed.len().min(RUN + 1);
            let rarest = squeezed
                .windows(length.max(1))
                .min_by_key(|run| run.iter().map(|s| u64::from(of(*s))).sum::<u64>());
            if let Some(run) = rarest {
                let run = run.iter().fold(0, |run, sound| run << 16 | *sound);
                self.pairs.set(run & PAIR);
                self.runs.set(run);
            }
        }
        if term.len() >= INITIALS_MIN {
            let first = |c: &char| SOUNDS.readings(*c).next().map(|s| SOUNDS.spelling(s).chars().next());
            let initials: Option<String> = term.iter().map(|c| first(c).flatten()).collect();
            self.initials.extend(initials.map(String::into_boxed_str));
        }
    }

    #[inline]
    fn cell(&self, c: char) -> u16 {
        self.cells.get(c as usize).copied().unwrap_or(SKIP)
    }

    /// Writes the byte offsets at which a run ends over what `at` held.
    pub(super) fn find(&self, text: &str, at: &mut Vec<usize>) {
        at.clear();
        let (mut sounds, mut last) = (0_u64, SKIP);
        let mut word = Word::default();
        for (offset, c) in text.char_indices() {
            let cell = self.cell(c);
            if cell >= LETTERS {
                match cell {
                    SKIP => {}
                    TELLING => at.push(offset),
                    letter => {
                        word.push(letter - LETTERS, offset);
                        continue;
                    }
                }
            }
            if word.length > 0 {
                self.end_word(&mut word, at);
            }
            if cell >= LETTERS || cell == last {
                continue;
            }
            last = cell;
            sounds = sounds << 16 | u64::from(cell);
            if self.pairs.has(sounds & PAIR) && (self.runs.has(sounds) || self.runs.has(sounds & TRIPLE)) {
                at.push(offset);
            }
        }
        self.end_word(&mut word, at);
    }

    fn end_word(&self, word: &mut Word, at: &mut Vec<usize>) {
        let letters = word.letters.get(..word.length).and_then(|letters| std::str::from_utf8(letters).ok());
        if let Some(letters) = letters.filter(|letters| !letters.is_empty())
            && (!WORDS.of_slang(letters).is_empty() || self.initials.contains(letters) || is_pinyin(letters))
        {
            at.push(word.start);
        }
        *word = Word::default();
    }

    /// Returns the bytes it occupies.
    pub(super) fn memory_bytes(&self) -> usize {
        self.cells.len() * size_of::<u16>() + (PAIR_WORDS + RUN_WORDS) * size_of::<u64>()
    }
}

/// A word of letters as it is read.
struct Word {
    start: usize,
    length: usize,
    letters: [u8; WORD_LETTERS_MAX],
}

impl Default for Word {
    fn default() -> Self {
        Self { start: 0, length: 0, letters: [0; WORD_LETTERS_MAX] }
    }
}

impl Word {
    #[inline]
    fn push(&mut self, letter: u16, offset: usize) {
        if self.length == 0 {
            self.start = offset;
        }
        if let (Some(place), Ok(letter)) = (self.letters.get_mut(self.length), u8::try_from(letter)) {
            *place = b'a' + letter;
            self.length += 1;
        }
    }
}

/// Says whether letters fall into syllables without a rest; one letter says nothing.
fn is_pinyin(letters: &str) -> bool {
    let mut reached = [false; WORD_LETTERS_MAX + 1];
    reached[0] = true;
    for from in 0..letters.len() {
        if !reached[from] {
            continue;
        }
        for to in (from + 1..=letters.len()).take(SYLLABLE_LETTERS_MAX) {
            let syllable = letters.get(from..to).and_then(|part| SOUNDS.syllable(part));
            reached[to] |= syllable.is_some();
        }
    }
    letters.len() > 1 && reached[letters.len()]
}

const PAIR: u64 = 0xFFFF_FFFF;
const TRIPLE: u64 = 0xFFFF_FFFF_FFFF;

/// Every reading of a term as syllables, or as its own characters where they have none; the usual ones first.
fn readings(term: &[char]) -> Vec<Vec<u64>> {
    const READINGS_MAX: usize = 4;
    let sounds = &*SOUNDS;
    let mut all: Vec<Vec<u64>> = vec![Vec::with_capacity(term.len())];
    for c in term {
        let own = |syllable: Syllable| u64::from(syllable);
        let mut here: Vec<u64> = sounds.readings(*c).map(own).collect();
        if here.is_empty() {
            here.push(u64::from(unread(*c)));
        }
        if all.len() * here.len() > READINGS_MAX {
            here.truncate(1);
        }
        let longer = |begun: &Vec<u64>| {
            here.iter().map(|sound| [begun.as_slice(), &[*sound]].concat()).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// The sound of a character without a reading: none of a syllable's.
fn unread(c: char) -> u16 {
    0x8000 | u16::try_from(u32::from(c) % 0x7E00).unwrap_or(0)
}

fn cell_of(c: char) -> u16 {
    if RADICALS.contains(c) {
        return TELLING;
    }
    let folded = match fold(c) {
        Folded::One(folded) => folded,
        // Signs such as + and % are read as words too, but by themselves they tell nothing.
        Folded::Skip if c < '\u{2190}' || ('\u{FF00}'..'\u{1F000}').contains(&c) || !WORDS.is_picture(c) => {
            return SKIP;
        }
        Folded::Skip | Folded::Several(_) => return TELLING,
    };
    if folded.is_ascii_lowercase() {
        return LETTERS + u16::try_from(u32::from(folded) - u32::from('a')).unwrap_or(0);
    }
    if RADICALS.contains(folded) || (folded < '\u{2E80}' && drawn_like(folded).is_some()) {
        return TELLING;
    }
    // A digit sounds like its name.
    let name = folded.to_digit(10).and_then(|digit| "零一二三四五六七八九".chars().nth(digit as usize));
    SOUNDS.readings(name.unwrap_or(folded)).next().unwrap_or_else(|| unread(folded))
}

/// A set of runs that may seem to hold more than was put in: four bits of one word each.
#[derive(Debug)]
struct Bits<const WORDS: usize>(Box<[u64]>);

impl<const WORDS: usize> Bits<WORDS> {
    fn new() -> Self {
        Self(vec![0; WORDS].into_boxed_slice())
    }

    fn set(&mut self, run: u64) {
        let (word, bits) = Self::slot(run);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bits;
        }
    }

    #[inline]
    fn has(&self, run: u64) -> bool {
        let (word, bits) = Self::slot(run);
        self.0.get(word).is_some_and(|word| word & bits == bits)
    }

    #[inline]
    fn slot(run: u64) -> (usize, u64) {
        let hash = run.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bits = (0..4).fold(0, |bits, n| bits | 1 << (hash >> (24 - 6 * n) & 63));
        (usize::try_from(hash >> 40).unwrap_or(0) % WORDS, bits)
    }
}
