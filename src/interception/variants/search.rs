//! Walks the lattice of a text through the trie of terms, and says of each term that is reached how it was disguised.
//!
//! Invariant: the work for one text is bounded by [`STEPS_MAX`].

use super::Variants;
use super::lattice::{ANY, CODE_ANY, CODE_INITIALS, Edge, How, Lattice};
use super::shape::SHAPES;
use super::sound::{SOUNDS, Sounds};
use super::trie::Node;
use super::words::is_abbreviation;

/// Most steps through trie and lattice for one text; what lies beyond is not found.
pub(super) const STEPS_MAX: usize = 400_000;

/// Longest way: longer terms are found as written only.
pub(super) const WAY_MAX: usize = 24;

/// The disguises of one hit, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disguises(u16);

impl Disguises {
    pub(super) const HOMOPHONE: Self = Self(1);
    pub(super) const DIALECT: Self = Self(1 << 1);
    pub(super) const PINYIN: Self = Self(1 << 2);
    pub(super) const INITIALS: Self = Self(1 << 3);
    pub(super) const SPLIT: Self = Self(1 << 4);
    pub(super) const SHAPE: Self = Self(1 << 5);
    pub(super) const PICTURE: Self = Self(1 << 6);
    pub(super) const LEET: Self = Self(1 << 7);
    pub(super) const SWAPPED: Self = Self(1 << 8);
    pub(super) const REPEAT: Self = Self(1 << 9);
    pub(super) const SLANG: Self = Self(1 << 10);
    pub(super) const DIGIT: Self = Self(1 << 11);
    pub(super) const ANY: Self = Self(1 << 12);
    pub(super) const FILLED: Self = Self(1 << 13);

    /// Says whether any of `other` is among them.
    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Says whether there is none.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns how many kinds there are.
    pub(super) fn kinds(self) -> u32 {
        self.0.count_ones()
    }
}

/// A term that was reached, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disguised {
    /// Index of the pattern.
    pub(crate) pattern: u32,
    /// Spots it covers, half-open.
    pub(super) spots: [u16; 2],
    /// Bytes of the original text.
    pub(crate) span: [usize; 2],
    /// How it was disguised.
    pub(super) disguises: Disguises,
    /// Characters of the term that are not as listed.
    pub(super) altered: u8,
    /// Characters of the term that only their first letter stands for.
    pub(super) initials: u8,
    /// The text is an abbreviation that everybody writes.
    pub(super) abbreviates: bool,
    /// Characters of the term.
    pub(super) length: u8,
    /// Pieces of the text, in spots, with how each was disguised.
    pub(super) pieces: Vec<([u16; 2], Disguises)>,
}

/// Room to walk in.
#[derive(Debug, Default)]
pub(super) struct Walk {
    way: Vec<Edge>,
    steps: usize,
}

impl Walk {
    /// Finds every term that begins at one of the spots `starts`.
    pub(super) fn find(
        &mut self,
        variants: &Variants,
        lattice: &Lattice,
        starts: impl Iterator<Item = usize>,
        found: &mut Vec<Disguised>,
    ) {
        self.steps = 0;
        for start in starts {
            if !lattice.cuts_word(start) {
                self.way.clear();
                self.go(variants, lattice, 0, start, found);
            }
            if self.steps > STEPS_MAX {
                return;
            }
        }
    }

    fn go(
        &mut self,
        variants: &Variants,
        lattice: &Lattice,
        node: Node,
        at: usize,
        found: &mut Vec<Disguised>,
    ) {
        self.steps += 1;
        if self.way.len() >= WAY_MAX || self.steps > STEPS_MAX {
            return;
        }
        if !self.way.is_empty() && lattice.is_optional(at) {
            self.go(variants, lattice, node, at + 1, found);
        }
        for edge in lattice.edges(at) {
            if edge.code == CODE_INITIALS {
                for (code, child) in variants.trie.edges(node) {
                    if variants.may_begin(code, edge.meant) {
                        self.step(variants, lattice, child, edge, found);
                    }
                }
            } else if edge.code == CODE_ANY {
                // Of a term that begins with any picture too little would be left.
                if !self.way.is_empty() && self.way.iter().all(|edge| edge.code != CODE_ANY) {
                    for (_, child) in variants.trie.edges(node) {
                        self.step(variants, lattice, child, edge, found);
                    }
                }
            } else if let Some(child) = variants.trie.child(node, edge.code) {
                self.step(variants, lattice, child, edge, found);
            }
        }
    }

    fn step(
        &mut self,
        variants: &Variants,
        lattice: &Lattice,
        child: Node,
        edge: &Edge,
        found: &mut Vec<Disguised>,
    ) {
        self.way.push(*edge);
        if edge.to == edge.past && !lattice.cuts_word(usize::from(edge.past)) {
            for pattern in variants.trie.ends(child) {
                if let Some(disguised) = variants.unmask(lattice, *pattern, &self.way) {
                    keep(found, disguised);
                }
            }
        }
        self.go(variants, lattice, child, usize::from(edge.to), found);
        self.way.pop();
    }
}

/// Of several ways to the same term over the same spots the least disguised one stays.
fn keep(found: &mut Vec<Disguised>, new: Disguised) {
    let same = |old: &&mut Disguised| old.pattern == new.pattern && old.spots[0] == new.spots[0];
    match found.iter_mut().rev().take(64).find(same) {
        Some(old) if (new.altered, new.disguises.kinds()) < (old.altered, old.disguises.kinds()) => {
            *old = new;
        }
        Some(_) => {}
        None => found.push(new),
    }
}

impl Variants {
    /// Says how a way through the text spells a term; `None` when it does not, or does so as listed.
    fn unmask(&self, lattice: &Lattice, pattern: u32, way: &[Edge]) -> Option<Disguised> {
        let term = self.term(pattern);
        if term.len() != way.len() {
            return None;
        }
        let sounds = &*SOUNDS;
        // Most ways spell another term of that sound, or the term as listed: that is known before anything is written.
        let mut as_listed = true;
        for (edge, listed) in way.iter().zip(term) {
            as_listed &= reads(sounds, edge, *listed)?.is_empty();
        }
        let unbroken = || way.windows(2).all(|pair| pair[0].past == pair[1].first);
        if as_listed && way.iter().all(|edge| !edge.repeat) && unbroken() {
            return None;
        }
        let mut disguises = Disguises::default();
        let (mut altered, mut initials) = (0, 0);
        let mut pieces: Vec<([u16; 2], Disguises)> = Vec::with_capacity(way.len());
        for (edge, listed) in way.iter().zip(term) {
            let mut how = reads(sounds, edge, *listed)?;
            let alters = how;
            altered += u8::from(!how.is_empty());
            initials += u8::from(how.has(Disguises::INITIALS));
            if edge.repeat {
                how = how.and(Disguises::REPEAT);
            }
            disguises = disguises.and(how);
            let piece = [edge.first, edge.past];
            match pieces.last_mut() {
                Some((last, disguises)) if *last == piece => *disguises = disguises.and(alters),
                Some(_) | None => pieces.push((piece, alters)),
            }
        }
        if disguises.is_empty() {
            // What plain matching does not look through, half a flag, was looked through.
            disguises = Disguises::FILLED;
        }
        if disguises.has(Disguises::PICTURE) && repeats_picture(lattice, way) {
            return None;
        }
        if disguises.has(Disguises::ANY)
            && (altered > 1 || way.last().is_some_and(|last| last.code == CODE_ANY) && term.len() < 5)
        {
            return None;
        }
        let spots = [way.first()?.first, way.last()?.past];
        let first = lattice.spots.get(usize::from(spots[0]))?;
        let last = lattice.spots.get(usize::from(spots[1]).checked_sub(1)?)?;
        let span = [first.start as usize, last.end as usize];
        let length = u8::try_from(term.len()).unwrap_or(u8::MAX);
        let abbreviates = usize::from(initials) == term.len() && {
            let letters = lattice.spots.get(usize::from(spots[0])..usize::from(spots[1])).unwrap_or_default();
            is_abbreviation(letters.iter().map(|spot| spot.c))
        };
        Some(Disguised { pattern, spots, span, disguises, altered, initials, abbreviates, length, pieces })
    }
}

/// Says whether one picture stands in two places: a writer who repeats it decorates.
fn repeats_picture(lattice: &Lattice, way: &[Edge]) -> bool {
    let drawn = |edge: &Edge| lattice.spots.get(usize::from(edge.first)).map(|spot| spot.c);
    let pictures = || way.iter().filter(|edge| edge.how == How::Picture);
    pictures().any(|edge| pictures().any(|other| edge.first < other.first && drawn(edge) == drawn(other)))
}

/// Says how an edge stands for a character of a term: by no disguise when it is that character.
fn reads(sounds: &Sounds, edge: &Edge, listed: char) -> Option<Disguises> {
    let meant = edge.meant;
    let same = meant == listed;
    let sound = || match () {
        () if same => Some(Disguises::default()),
        () if sounds.alike(meant, listed) => Some(Disguises::HOMOPHONE),
        () if sounds.merged_alike(meant, listed) => Some(Disguises::HOMOPHONE.and(Disguises::DIALECT)),
        () => None,
    };
    match edge.how {
        How::Char => sound().or_else(|| SHAPES.are_alike(meant, listed).then_some(Disguises::SHAPE)),
        How::Drawn => same.then_some(Disguises::SHAPE),
        How::Pinyin => {
            let syllable = u16::try_from(u32::from(meant)).ok()?;
            let exact = sounds.readings(listed).any(|reading| reading == syllable);
            let merged =
                || sounds.readings(listed).any(|reading| sounds.code(reading) == sounds.code(syllable));
            match () {
                () if exact => Some(Disguises::PINYIN),
                () if merged() => Some(Disguises::PINYIN.and(Disguises::DIALECT)),
                () => None,
            }
        }
        How::Initial => {
            let mut readings = sounds.readings(listed);
            readings.any(|reading| sounds.spelling(reading).starts_with(meant)).then_some(Disguises::INITIALS)
        }
        How::Split => same.then_some(Disguises::SPLIT),
        How::Picture if meant == ANY => Some(Disguises::PICTURE.and(Disguises::ANY)),
        How::Picture => sound().map(|how| how.and(Disguises::PICTURE)),
        How::Slang => sound().map(|how| how.and(Disguises::SLANG)),
        How::Digit => sound().map(|how| how.and(Disguises::DIGIT)),
        How::Leet => same.then_some(Disguises::LEET),
        How::Swapped => same.then_some(Disguises::SWAPPED),
    }
}
