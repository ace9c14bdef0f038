//! The gate in front of the lattice: where in a text a term of three characters and more may stand in disguise.
//!
//! Two streams are asked at every character, by its sound and by itself, whether a run of neighbours belongs to a term;
//! the runs of the second are without order, so that neighbours may have changed places. Pictures and bare radicals,
//! which ordinary messages rarely hold, are looked at without asking, and words of letters where they may be pinyin,
//! slang or first letters.
//!
//! Not exact, unlike `filter`: a character's second reading in the text may be missed. `strict` goes without it.

use hashbrown::HashSet;

use super::lattice::SYLLABLE_LETTERS_MAX;
use super::shape::drawn_like;
use super::sound::{SOUNDS, Syllable};
use super::words::WORDS;
use crate::interception::fold::{CELLS, Folded, fold};

/// 256 KiB of bits for each stream.
const WORDS_OF_BITS: usize = 1 << 15;

/// Shortest term that is gated.
const RUN: usize = 3;

/// Cell of what is looked through.
const SKIP: u32 = u32::MAX;
/// Cell of what is looked at without asking.
const TELLING: u32 = u32::MAX - 1;
/// Cell of the letter `a`; the others follow.
const LETTERS: u32 = u32::MAX - 64;

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
    /// By scalar: the usual reading's syllable in the upper half, the character itself in the lower.
    cells: Box<[u32]>,
    by_sound: Bits,
    by_itself: Bits,
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
        let mut gate =
            Self { cells, by_sound: Bits::new(), by_itself: Bits::new(), initials: HashSet::new() };
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
            let sound = self.cell(*c) >> 16;
            if let Some(count) = frequency.get_mut(sound as usize) {
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
                self.by_sound.set(run.iter().fold(0, |run, sound| run << 16 | *sound));
            }
        }
        let mut letters: Vec<u64> = term.iter().map(|c| u64::from(own(*c))).collect();
        letters.dedup();
        // A swap over the edge of one window lies within the other, or within neither.
        for window in letters.windows(RUN.min(letters.len())).take(2) {
            self.by_itself.set(window.iter().fold(0, |sum, letter| sum.wrapping_add(scatter(*letter))));
        }
        if term.len() >= INITIALS_MIN {
            let first = |c: &char| SOUNDS.readings(*c).next().map(|s| SOUNDS.spelling(s).chars().next());
            let initials: Option<String> = term.iter().map(|c| first(c).flatten()).collect();
            self.initials.extend(initials.map(String::into_boxed_str));
        }
    }

    #[inline]
    fn cell(&self, c: char) -> u32 {
        self.cells.get(c as usize).copied().unwrap_or(SKIP)
    }

    /// Writes the byte offsets at which a run ends over what `at` held.
    pub(super) fn find(&self, text: &str, at: &mut Vec<usize>) {
        at.clear();
        let (mut sounds, mut last) = (0_u64, SKIP);
        let mut letters = [0_u64; RUN];
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
            sounds = sounds << 16 | u64::from(cell >> 16);
            letters = [letters[1], letters[2], scatter(u64::from(cell & 0xFFFF))];
            let sum = letters[0].wrapping_add(letters[1]).wrapping_add(letters[2]);
            if self.by_sound.has(sounds) || self.by_sound.has(sounds & TRIPLE) || self.by_itself.has(sum) {
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
        self.cells.len() * size_of::<u32>() + 2 * WORDS_OF_BITS * size_of::<u64>()
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
    fn push(&mut self, letter: u32, offset: usize) {
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

const TRIPLE: u64 = 0xFFFF_FFFF_FFFF;

/// A number without order: what is added up must not be small.
#[inline]
fn scatter(letter: u64) -> u64 {
    let spread = letter.wrapping_add(1).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    spread ^ spread >> 29
}

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
    0x8000 | u16::try_from(u32::from(c) % 0x7F00).unwrap_or(0)
}

/// The lower half of a scalar: what it shares with another is weeded out behind the gate.
fn own(c: char) -> u16 {
    u16::try_from(u32::from(c) & 0xFFFF).unwrap_or(0)
}

fn cell_of(c: char) -> u32 {
    if RADICALS.contains(c) {
        return TELLING;
    }
    let folded = match fold(c) {
        Folded::One(folded) => folded,
        Folded::Skip if !WORDS.is_picture(c) => return SKIP,
        Folded::Skip | Folded::Several(_) => return TELLING,
    };
    if folded.is_ascii_lowercase() {
        return LETTERS + (u32::from(folded) - u32::from('a'));
    }
    if RADICALS.contains(folded) || (folded < '\u{2E80}' && drawn_like(folded).is_some()) {
        return TELLING;
    }
    // A digit sounds like its name.
    let name = folded.to_digit(10).and_then(|digit| "零一二三四五六七八九".chars().nth(digit as usize));
    let sound = SOUNDS.readings(name.unwrap_or(folded)).next().unwrap_or_else(|| unread(folded));
    u32::from(sound) << 16 | u32::from(own(folded))
}

/// A set of runs that may seem to hold more than was put in: four bits of one word each.
#[derive(Debug)]
struct Bits(Box<[u64]>);

impl Bits {
    fn new() -> Self {
        Self(vec![0; WORDS_OF_BITS].into_boxed_slice())
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
        (usize::try_from(hash >> 49).unwrap_or(0), bits)
    }
}
