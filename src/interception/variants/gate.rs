//! The gate in front of the lattice: where in a text a term of three characters and more may stand in disguise.
//!
//! *By sound*, over the classes that the exact stage has read already: at every class three bits say whether the last three
//! syllables belong to a term; where they do, the term's fourth syllable is asked for too, if it has one. Where two ordinary
//! characters are the parts of another (力口 for 加), which the exact stage says, that one is heard. *By mark*
//! (`gate/marks.rs`): a word of letters, a picture or a bare radical, looked for in the text itself where a class or a
//! skipped character says that there is one.
//!
//! Not exact, unlike `filter`: neighbours that changed places are not looked for, and a character's second reading in the
//! text may be missed. `strict` goes without it.

mod marks;

use std::ops::Range;
use std::sync::LazyLock;

use super::sound::SOUNDS;
use crate::interception::filter::frequency;
pub(in crate::interception) use marks::is_telling_picture;
pub(super) use marks::prepare;
pub(super) use marks::{Marks, marks};
use marks::{begins_slang, is_mark};

/// Syllables of a run.
const RUN: usize = 3;

/// Classes asked for before what was found is looked at.
const BLOCK: usize = 64;

/// The answer to the first question of a block.
const FIRST: u64 = 1 << (BLOCK - 1);

const SOUND_BITS: u32 = 9;
/// The lower bits of a cell: a syllable; 0 for what is looked through.
const SOUND: u16 = (1 << SOUND_BITS) - 1;
/// The sound of all characters without a reading.
const UNREAD: u16 = SOUND;
const RUN_MASK: u32 = (1 << (3 * SOUND_BITS)) - 1;
/// In a cell: the text has to be looked at for words of letters and bare radicals.
const MARK: u16 = 1 << 15;

/// Three bits for each run: 128 KiB.
const RUN_WORDS: usize = 1 << 14;

/// Which runs of neighbours may belong to a term in disguise.
#[derive(Debug)]
pub(super) struct Gate {
    /// By class: the usual reading's syllable, and [`MARK`]. As many as there can be: no length is asked for.
    sounds: Box<[u16; 1 << 16]>,
    runs: Box<[u64; RUN_WORDS]>,
    /// Bucket `b` has the entries from `buckets[b]` up to `buckets[b + 1]`.
    buckets: Box<[u32]>,
    entries: Box<[Entry]>,
}

/// A sound and the classes it is read from.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// 0 for none.
    sound: u16,
    first: usize,
    last: usize,
}

/// Where to look for one term.
#[derive(Clone, Copy, Debug)]
struct Entry {
    run: u32,
    pattern: u32,
    /// The sound after the run, or before it where it is the term's end; 0 where the term is the run.
    beside: u16,
    before: u8,
    after: u8,
}

/// A run of a term's sounds that stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    /// Index of the term's pattern.
    pub(super) pattern: u32,
    /// First class of the run.
    pub(super) first: usize,
    /// Last class of the run.
    pub(super) last: usize,
    /// Sounds of the term before the run.
    pub(super) before: u8,
    /// Sounds of the term after the run.
    pub(super) after: u8,
}

impl Gate {
    /// Takes folded terms by their patterns, and the folded characters of all classes from 1 on.
    pub(super) fn new<'t>(terms: impl Iterator<Item = &'t [char]>, letters: &[char]) -> Self {
        let mut sounds = vec![UNREAD; 1 << 16];
        for (cell, letter) in sounds.iter_mut().skip(1).zip(letters) {
            *cell = cell_of(*letter);
        }
        let mut entries = Vec::new();
        for (pattern, term) in (0..).zip(terms).filter(|(_, term)| term.len() >= RUN) {
            for mut sounds in readings(term) {
                sounds.dedup();
                entries.extend(Entry::new(pattern, &sounds, &EXPECTED));
            }
        }
        let mut runs = vec![0; RUN_WORDS];
        for entry in &entries {
            let (word, bits) = slot(entry.run);
            runs[word] |= bits;
        }
        let (buckets, entries) = into_buckets(entries);
        let fixed = "made with this length";
        Self {
            sounds: sounds.into_boxed_slice().try_into().expect(fixed),
            runs: runs.into_boxed_slice().try_into().expect(fixed),
            buckets,
            entries,
        }
    }

    /// Writes every run that stands in a text over what `open` held. Says whether some class is a mark.
    pub(super) fn find(&self, classes: &[u16], open: &mut Vec<Open>) -> bool {
        open.clear();
        let (mut run, mut seen) = (0, 0);
        for (block, from) in classes.chunks(BLOCK).zip((0..).step_by(BLOCK)) {
            // As in `filter`: no branch to guess.
            let mut found = 0_u64;
            for class in block {
                let cell = self.sounds[usize::from(*class)];
                seen |= cell;
                let sound = u32::from(cell & SOUND);
                // No run holds a sound and itself again, nor what is looked through: there it stays what it was.
                let goes_on = sound != 0 && sound != run & u32::from(SOUND);
                run = if goes_on { (run << SOUND_BITS | sound) & RUN_MASK } else { run };
                // Where three sounds are asked for at once, hardly any answer is wrong: each costs a branch that nothing
                // could guess.
                let (word, bits) = slot(run);
                found = found << 1 | (u64::from(goes_on) & u64::from(self.runs[word] & bits == bits));
            }
            found <<= BLOCK - block.len();
            while found != 0 {
                let at = found.leading_zeros();
                found &= !(FIRST >> at);
                self.look_closer(classes, from + at as usize, open);
            }
        }
        seen & MARK != 0
    }

    /// Adds the runs around two classes that stand for one character: 力口 for 加.
    pub(super) fn find_apart(&self, classes: &[u16], parts: Range<usize>, whole: char, open: &mut Vec<Open>) {
        // It may be a part of the run or the sound beside it.
        const SIDE: usize = RUN + 1;
        let mut heard = [Heard::default(); 2 * SIDE + 1];
        let (left, right) = heard.split_at_mut(SIDE);
        let [here, right @ ..] = right else { return };
        *here = Heard { sound: cell_of(whole) & SOUND, first: parts.start, last: parts.end - 1 };
        let sound = here.sound;
        self.hear(classes, (0..parts.start).rev(), sound, left.iter_mut().rev());
        self.hear(classes, parts.end..classes.len(), sound, right.iter_mut());
        heard.windows(RUN + 2).for_each(|run| self.look_up(run, open));
    }

    fn look_closer(&self, classes: &[u16], at: usize, open: &mut Vec<Open>) {
        let mut heard = [Heard::default(); RUN + 2];
        let (left, right) = heard.split_at_mut(RUN + 1);
        self.hear(classes, (0..=at).rev(), 0, left.iter_mut().rev());
        self.hear(classes, at + 1..classes.len(), self.sound_at(classes, at), right.iter_mut());
        self.look_up(&heard, open);
    }

    /// Adds the terms whose run stands between a sound before and one after it.
    fn look_up(&self, heard: &[Heard], open: &mut Vec<Open>) {
        let [before, run @ .., after] = heard else { return };
        let ([first, .., last], true) = (run, run.iter().all(|heard| heard.sound != 0)) else { return };
        let run = run.iter().fold(0, |run, heard| run << SOUND_BITS | u32::from(heard.sound));
        let bucket = bucket_of(run, self.buckets.len() - 1);
        let from = |bucket: usize| self.buckets.get(bucket).map_or(0, |from| *from as usize);
        let entries = self.entries.get(from(bucket)..from(bucket + 1)).unwrap_or_default();
        let stands = |entry: &&Entry| {
            let beside = if entry.after > 0 { after.sound } else { before.sound };
            entry.run == run && (entry.beside == 0 || entry.beside == beside)
        };
        open.extend(entries.iter().filter(stands).map(|entry| Open {
            pattern: entry.pattern,
            first: first.first,
            last: last.last,
            before: entry.before,
            after: entry.after,
        }));
    }

    /// Writes sounds and where they stand until something has none; repeats are one, and some are looked through.
    fn hear<'p>(
        &self,
        classes: &[u16],
        through: impl Iterator<Item = usize>,
        mut last: u16,
        mut places: impl Iterator<Item = &'p mut Heard>,
    ) {
        for at in through {
            let sound = self.sound_at(classes, at);
            if sound == UNREAD {
                return;
            }
            if sound != 0 && sound != last {
                let Some(place) = places.next() else { return };
                *place = Heard { sound, first: at, last: at };
                last = sound;
            }
        }
    }

    fn sound_at(&self, classes: &[u16], at: usize) -> u16 {
        classes.get(at).map_or(0, |class| self.sounds[usize::from(*class)] & SOUND)
    }

    /// Returns the bytes it occupies.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.sounds)
            + size_of_val(&*self.runs)
            + size_of_val(&*self.buckets)
            + size_of_val(&*self.entries)
    }
}

impl Entry {
    /// The rarest run of one reading of a term, without repeats.
    fn new(pattern: u32, sounds: &[u16], expected: &[u64]) -> Option<Self> {
        let of = |sound: u16| expected.get(usize::from(sound)).copied().unwrap_or(0);
        let rarity =
            |(_, run): &(usize, &[u16])| run.iter().map(|sound| of(*sound)).fold(1, u64::saturating_mul);
        let (from, run) = sounds.windows(RUN).enumerate().min_by_key(rarity)?;
        if run.contains(&UNREAD) {
            return None;
        }
        let after = sounds.get(from + RUN);
        let beside = after.or_else(|| sounds.get(from.checked_sub(1)?)).copied().unwrap_or(0);
        let small = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        Some(Self {
            run: run.iter().fold(0, |run, sound| run << SOUND_BITS | u32::from(*sound)),
            pattern,
            beside,
            before: small(from),
            after: small(sounds.len() - from - RUN),
        })
    }
}

fn into_buckets(mut entries: Vec<Entry>) -> (Box<[u32]>, Box<[Entry]>) {
    let count = entries.len().next_power_of_two();
    entries.sort_unstable_by_key(|entry| (bucket_of(entry.run, count), entry.run, entry.pattern));
    let mut buckets = vec![0; count + 1].into_boxed_slice();
    for entry in &entries {
        buckets[bucket_of(entry.run, count) + 1] += 1;
    }
    let mut end = 0;
    for bucket in &mut buckets {
        end += *bucket;
        *bucket = end;
    }
    (buckets, entries.into_boxed_slice())
}

/// Fibonacci hashing: the upper bits of the product depend on all sounds.
#[inline]
fn hash(run: u32) -> u64 {
    u64::from(run).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Three bits of one word: what fewer would let through by mistake costs more than asking for them.
#[inline]
fn slot(run: u32) -> (usize, u64) {
    let hash = hash(run);
    ((hash >> 50) as usize & (RUN_WORDS - 1), BITS[(hash >> 40) as usize & (BITS.len() - 1)])
}

/// Three of 64 bits each, at random. Looked up, as shifting by what is not known before takes longer.
static BITS: [u64; 1 << 10] = {
    let (mut all, mut at, mut random) = ([0; 1 << 10], 0, 1_u64);
    while at < all.len() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all[at] = 1 << (random >> 58) | 1 << (random >> 52 & 63) | 1 << (random >> 46 & 63);
        at += 1;
    }
    all
};

fn bucket_of(run: u32, buckets: usize) -> usize {
    (hash(run) >> 32) as usize & (buckets - 1)
}

/// Every reading of a term as syllables, the usual ones first; letters and digits of another sound are looked through.
fn readings(term: &[char]) -> Vec<Vec<u16>> {
    const READINGS_MAX: usize = 4;
    let mut all: Vec<Vec<u16>> = vec![Vec::with_capacity(term.len())];
    for c in term {
        let mut here: Vec<u16> = SOUNDS.readings(named(*c)).collect();
        if here.is_empty() {
            match cell_of(*c) & SOUND {
                0 => continue,
                sound => here.push(sound),
            }
        }
        if all.len() * here.len() > READINGS_MAX {
            here.truncate(1);
        }
        let longer = |begun: &Vec<u16>| {
            here.iter().map(|sound| [begun.as_slice(), &[*sound]].concat()).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// A digit sounds like its name.
pub(super) fn named(c: char) -> char {
    c.to_digit(10).and_then(|digit| "零一二三四五六七八九".chars().nth(digit as usize)).unwrap_or(c)
}

fn cell_of(folded: char) -> u16 {
    let sound = SOUNDS.readings(named(folded)).next();
    match () {
        () if begins_slang(folded) => MARK | sound.unwrap_or(UNREAD),
        () if is_mark(folded) => MARK,
        () => sound.unwrap_or(UNREAD),
    }
}

/// How often each sound is expected in ordinary text; only their order matters.
static EXPECTED: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let mut expected = vec![0; 1 << SOUND_BITS];
    for c in ('\u{4E00}'..='\u{9FFF}').chain('0'..='9') {
        if let Some(sum) = SOUNDS.readings(named(c)).next().and_then(|s| expected.get_mut(usize::from(s))) {
            *sum += u64::from(frequency(c));
        }
    }
    expected[usize::from(UNREAD)] = u64::MAX;
    expected
});

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LETTERS: &[char] =
        &['微', '薇', '为', '信', '芯', '心', '加', '家', '行', '航', '药', '要', 'v', '1', '一'];

    fn class_of(c: char) -> u16 {
        LETTERS.iter().position(|letter| *letter == c).map_or(0, |at| u16::try_from(at + 1).unwrap())
    }

    /// The usual readings, without what is looked through and without repeats.
    fn squeezed(text: &[char]) -> Vec<u16> {
        let mut sounds: Vec<u16> =
            text.iter().map(|c| cell_of(*c) & SOUND).filter(|sound| *sound != 0).collect();
        sounds.dedup();
        sounds
    }

    proptest! {
        #[test]
        fn it_opens_for_every_term_that_is_written_in_its_sounds(
            terms in prop::collection::vec(prop::collection::vec(prop::sample::select(LETTERS), 1..7), 1..4),
            text in prop::collection::vec(prop::sample::select(LETTERS), 0..24),
        ) {
            let gate = Gate::new(terms.iter().map(Vec::as_slice), LETTERS);
            let classes: Vec<u16> = text.iter().map(|c| class_of(*c)).collect();
            let mut open = Vec::new();
            let marked = gate.find(&classes, &mut open);
            prop_assert_eq!(marked, text.contains(&'v'));
            let heard = squeezed(&text);
            for (pattern, term) in (0..).zip(&terms) {
                let sought = squeezed(term);
                let stands = sought.len() >= RUN && term.len() >= RUN && heard.windows(sought.len()).any(|part| part == sought);
                let opened: Vec<_> = open.iter().filter(|open| open.pattern == pattern).collect();
                prop_assert!(!stands || !opened.is_empty(), "{:?} in {:?}", term, text);
                for open in opened {
                    // What stands there sounds like a part of the term, of four syllables where it has so many.
                    let run = squeezed(&text[open.first..=open.last]);
                    let read = readings(term).into_iter().map(|mut sounds| { sounds.dedup(); sounds });
                    prop_assert!(read.into_iter().any(|sounds| sounds.windows(RUN).any(|part| part == run)));
                }
            }
        }
    }
}
