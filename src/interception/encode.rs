//! From text to class codes: one number per folded character that some term of the ruleset holds.
//!
//! Not for: what two spellings have in common (`fold`).

use std::collections::HashMap;

use super::fold::{CELLS, Folded, fold};

/// The class of a folded character that is in no term.
pub(super) const CLASS_NONE: u16 = 0;
/// The class cell of a character that is skipped: no class is as large.
pub(super) const CLASS_SKIP: u16 = 0xFFFD;
/// The class cell of a picture, which is skipped too.
pub(super) const CLASS_PICTURE: u16 = 0xFFFE;
/// The class cell of a character that folds to several.
pub(super) const CLASS_SEVERAL: u16 = 0xFFFF;
/// The largest class.
pub(super) const CLASS_MAX: u16 = 0xFFFC;

/// Scalars that are encoded at once.
const FOUR: usize = 4;

/// Scalars of the first plane, which three bytes can spell.
const PLANE: usize = 1 << 16;

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
    /// `letters` holds at most [`CLASS_MAX`] characters, each folded and once; `is_picture` says which skipped characters
    /// are told of.
    pub(super) fn new(letters: &[char], is_picture: impl Fn(char) -> bool) -> Self {
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
            let scalar = char::from_u32(cell);
            *value = match scalar.map_or(Folded::Skip, fold) {
                Folded::Skip if scalar.is_some_and(&is_picture) => CLASS_PICTURE,
                Folded::Skip => CLASS_SKIP,
                Folded::One(c) if (c as usize) < CELLS => class_of[c as usize],
                Folded::One(_) | Folded::Several(_) => CLASS_SEVERAL,
            };
        }
        let cells = cells.try_into().expect("the table was made with this length");
        Self { cells, above }
    }

    /// Writes the classes of `text` over what `out` held.
    pub(super) fn encode(&self, text: &str, out: &mut Classes) {
        // A scalar has one class at most; what folds to several makes room for the others. Four are written at once.
        if out.room.len() < text.len() + FOUR {
            out.room.resize(text.len() + FOUR, CLASS_NONE);
        }
        let mut rest = text.as_bytes();
        let mut length = 0;
        let mut pictured = false;
        while !rest.is_empty() {
            (length, rest) = self.encode_fours(rest, length, &mut out.room);
            if rest.is_empty() {
                break;
            }
            let cell;
            (cell, rest) = self.next_cell(rest);
            if cell == CLASS_SEVERAL {
                length = self.encode_aside(text, rest.len(), length, &mut out.room);
                continue;
            }
            if let Some(next) = out.room.get_mut(length) {
                *next = cell;
            }
            length += usize::from(cell < CLASS_SKIP);
            pictured |= cell == CLASS_PICTURE;
        }
        (out.length, out.pictured) = (length, pictured);
    }

    /// Writes classes as long as four scalars of three bytes follow each other, which is nearly all of a Chinese text, and
    /// none asks for more than to be written or skipped; returns how many there are then, and the bytes that are left.
    #[inline]
    fn encode_fours<'t>(&self, mut rest: &'t [u8], mut length: usize, room: &mut [u16]) -> (usize, &'t [u8]) {
        let Some(cells) = self.cells.first_chunk::<PLANE>() else { return (length, rest) };
        while let Some((bytes, tail)) = rest.split_first_chunk::<{ 3 * FOUR }>() {
            let [a1, b1, c1, a2, b2, c2, a3, b3, c3, a4, b4, c4] = *bytes;
            // The first bytes of scalars: all that has to be known of a valid text.
            if a1 & a2 & a3 & a4 < 0xE0 || a1 | a2 | a3 | a4 > 0xEF {
                break;
            }
            let cell = |a, b, c| cells[usize::from(scalar_of_three(a, b, c))];
            let four = [cell(a1, b1, c1), cell(a2, b2, c2), cell(a3, b3, c3), cell(a4, b4, c4)];
            let [one, two, three, last] = four;
            if one.max(two).max(three.max(last)) > CLASS_SKIP {
                break;
            }
            let Some(places) = room.get_mut(length..).and_then(<[u16]>::first_chunk_mut::<FOUR>) else {
                break;
            };
            // Written first and kept or not: separators come too irregularly to guess, and a wrong guess costs more.
            let mut kept = 0;
            for cell in four {
                places[kept] = cell;
                kept += usize::from(cell < CLASS_SKIP);
            }
            (length, rest) = (length + kept, tail);
        }
        (length, rest)
    }

    /// Takes the first scalar off the bytes of a `str`, which are whole scalars. By bytes, as `chars` tries the longest
    /// form last, and Chinese is written in three.
    #[inline]
    fn next_cell<'t>(&self, bytes: &'t [u8]) -> (u16, &'t [u8]) {
        let low = |byte: u8| usize::from(byte & 0x3F);
        let (scalar, tail) = match *bytes {
            [a @ 0xE0..=0xEF, b, c, ref tail @ ..] => {
                (usize::from(a & 0xF) << 12 | low(b) << 6 | low(c), tail)
            }
            [a @ 0..=0x7F, ref tail @ ..] => (usize::from(a), tail),
            [a @ 0..=0xDF, b, ref tail @ ..] => (usize::from(a & 0x1F) << 6 | low(b), tail),
            [a, b, c, d, ref tail @ ..] => {
                (usize::from(a & 7) << 18 | low(b) << 12 | low(c) << 6 | low(d), tail)
            }
            _ => return (CLASS_SKIP, &[]),
        };
        (self.cells.get(scalar).copied().unwrap_or(CLASS_SEVERAL), tail)
    }

    /// Writes the classes of the scalar that ends `left` bytes before the text does; returns how many there are then.
    #[cold]
    fn encode_aside(&self, text: &str, left: usize, mut length: usize, room: &mut Vec<u16>) -> usize {
        let mut push = |folded: char| {
            room.push(CLASS_NONE);
            if let Some(next) = room.get_mut(length) {
                *next = self.class(folded);
            }
            length += 1;
        };
        let c = text.get(..text.len() - left).and_then(|read| read.chars().next_back());
        match c.map_or(Folded::Skip, fold) {
            Folded::Skip => {}
            Folded::One(folded) => push(folded),
            Folded::Several(folded) => folded.chars().for_each(push),
        }
        length
    }

    /// Returns the class of a folded character.
    pub(super) fn class(&self, folded: char) -> u16 {
        match self.cells.get(folded as usize) {
            Some(class) => *class,
            None => self.above.get(&folded).copied().unwrap_or(CLASS_NONE),
        }
    }
}

/// Decodes a scalar of three bytes. What marks the bytes as such is subtracted, or shifted out, instead of masked.
#[inline]
fn scalar_of_three(a: u8, b: u8, c: u8) -> u16 {
    const MARKS: u16 = 0x80 << 6 | 0x80;
    (u16::from(a) << 12).wrapping_add(u16::from(b) << 6).wrapping_add(u16::from(c)).wrapping_sub(MARKS)
}

/// The classes of one text, in room that is kept from one text to the next.
#[derive(Debug, Default)]
pub(super) struct Classes {
    /// Longer than the classes: what is behind them is of no text.
    room: Vec<u16>,
    length: usize,
    pictured: bool,
}

impl Classes {
    /// Says whether the text holds pictures.
    pub(super) fn pictured(&self) -> bool {
        self.pictured
    }

    /// Returns the classes.
    pub(super) fn as_slice(&self) -> &[u16] {
        self.room.get(..self.length).unwrap_or_default()
    }
}
