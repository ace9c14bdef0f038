//! From text to class codes: one number per folded character that some term of the ruleset holds.
//!
//! Not for: what two spellings have in common (`fold`).

use std::collections::HashMap;

use super::fold::{CELLS, Folded, fold};

/// The class of a folded character that is in no term.
pub(super) const CLASS_NONE: u16 = 0;
/// The class cell of a character that is skipped.
pub(super) const CLASS_SKIP: u16 = 0xFFFF;
/// The class cell of a character that folds to several.
pub(super) const CLASS_SEVERAL: u16 = 0xFFFE;
/// The largest class: below the surrogates, so that classes can be written as UTF-8.
pub(super) const CLASS_MAX: u16 = 0xD7FF;

/// The classes of one ruleset: one number per folded character that some term holds, for every spelling of it.
///
/// 256 KiB: fold, alphabet and skip flag in one load.
#[derive(Debug)]
pub(super) struct Alphabet {
    cells: Box<[u16; CELLS]>,
    above: HashMap<char, u16>,
}

impl Alphabet {
    /// What it occupies, but for rare ideographs.
    pub(super) const MEMORY_BYTES: usize = CELLS * size_of::<u16>();

    /// Numbers the folded characters of `letters` from 1 in their order.
    ///
    /// `letters` holds at most [`CLASS_MAX`] characters, each folded and once.
    pub(super) fn new(letters: &[char]) -> Self {
        let mut class_of = vec![CLASS_NONE; CELLS].into_boxed_slice();
        let mut above = HashMap::new();
        for (letter, class) in letters.iter().zip(1..=CLASS_MAX) {
            match class_of.get_mut(*letter as usize) {
                Some(cell) => *cell = class,
                None => _ = above.insert(*letter, class),
            }
        }
        let mut cells = vec![CLASS_SKIP; CELLS].into_boxed_slice();
        for (cell, value) in (0..).zip(cells.iter_mut()) {
            *value = match char::from_u32(cell).map_or(Folded::Skip, fold) {
                Folded::Skip => CLASS_SKIP,
                Folded::One(c) if (c as usize) < CELLS => class_of[c as usize],
                Folded::One(_) | Folded::Several(_) => CLASS_SEVERAL,
            };
        }
        let cells = cells.try_into().expect("the table was made with this length");
        Self { cells, above }
    }

    /// Returns the cell of a scalar; [`CLASS_SEVERAL`] sends the caller to the slow way.
    #[inline]
    pub(super) fn cell(&self, c: char) -> u16 {
        self.cells.get(c as usize).copied().unwrap_or(CLASS_SEVERAL)
    }

    /// Writes the classes of `text` over what `out` held.
    pub(super) fn encode(&self, text: &str, out: &mut Vec<u16>) {
        out.clear();
        for c in text.chars() {
            match self.cell(c) {
                CLASS_SKIP => {}
                CLASS_SEVERAL => self.encode_aside(c, out),
                class => out.push(class),
            }
        }
    }

    #[cold]
    fn encode_aside(&self, c: char, out: &mut Vec<u16>) {
        match fold(c) {
            Folded::Skip => {}
            Folded::One(folded) => out.push(self.class(folded)),
            Folded::Several(folded) => out.extend(folded.chars().map(|c| self.class(c))),
        }
    }

    /// Returns the class of a folded character.
    pub(super) fn class(&self, folded: char) -> u16 {
        match self.cells.get(folded as usize) {
            Some(class) => *class,
            None => self.above.get(&folded).copied().unwrap_or(CLASS_NONE),
        }
    }
}
