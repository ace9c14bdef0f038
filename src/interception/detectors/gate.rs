//! The gate in front of the detectors: may a text hold anything for them?
//!
//! Most Chinese chat holds no row of digits and no Latin to speak of, so this one pass is all that it pays. What
//! passes: five digits with little between them; four with dots between; a dot between Latin and something; six letters
//! and digits in all. Anything that a detector recognises has one of these, but for a QQ number of five digits written
//! as ⑩⑪⑫.

use std::sync::LazyLock;

use super::glyphs::digit_of_ideograph;
use crate::interception::fold::{Folded, fold, is_invisible};

/// Most characters from one digit to the next of a row, and from a dot to what stands on either side of it.
const NEAR_CHARS: usize = 4;

/// Digits in a row that may be a number worth a look.
const ROW_MIN: usize = 5;

/// Letters and digits in all that may be an id.
const ALNUM_MIN: usize = 6;

const NONE: u64 = 0;
const DIGIT: u64 = 1;
const LETTER: u64 = 2;
/// A dot, or something that cannot be seen.
const SPECIAL: u64 = 3;

/// Two bits for each scalar of the first plane. 16 KiB, of which a text touches little.
static CLASSES: LazyLock<Box<[u64; 2048]>> = LazyLock::new(|| {
    let mut classes = vec![NONE; 2048].into_boxed_slice();
    for (word, value) in (0..).zip(classes.iter_mut()) {
        for place in 0..32 {
            let class = char::from_u32(word * 32 + place).map_or(NONE, class_of);
            *value |= class << (2 * place);
        }
    }
    classes.try_into().expect("made with this length")
});

fn class_of(c: char) -> u64 {
    if digit_of_ideograph(c).is_some() {
        return DIGIT;
    }
    if is_dot(c) || is_invisible(c) {
        return SPECIAL;
    }
    let of_folded = |folded: char| match folded {
        '0'..='9' => DIGIT,
        'a'..='z' => LETTER,
        _ => NONE,
    };
    match fold(c) {
        Folded::Skip => NONE,
        Folded::One(folded) => of_folded(folded),
        Folded::Several(folded) => folded.chars().map(of_folded).max().unwrap_or(NONE),
    }
}

fn is_dot(c: char) -> bool {
    matches!(c, '.' | '．' | '。' | '｡' | '点' | '點' | '·' | '•' | '●' | '﹒' | '․')
}

/// What has been seen so far; positions count visible characters.
#[derive(Default)]
struct Seen {
    letters: usize,
    digits: usize,
    /// Digits of the present row.
    row: usize,
    digit_at: usize,
    alnum_at: usize,
    /// A dot with a letter or digit before it that waits for one after it.
    dot_at: usize,
    dots_joined: usize,
}

impl Seen {
    fn alnum(&mut self, at: usize) {
        self.alnum_at = at;
        if self.dot_at > 0 && at - self.dot_at <= NEAR_CHARS {
            self.dots_joined += 1;
        }
        self.dot_at = 0;
    }

    fn suffices(&self) -> bool {
        self.row >= ROW_MIN
            || self.dots_joined > 2
            || self.dots_joined > 0 && self.letters > 1
            || self.letters > 0 && self.letters + self.digits >= ALNUM_MIN
    }
}

/// Says whether a detector may recognise something in `text`.
pub(super) fn may_detect(text: &str) -> bool {
    let classes = &**CLASSES;
    let mut seen = Seen::default();
    let mut at = NEAR_CHARS;
    for c in text.chars() {
        at += 1;
        let scalar = c as usize;
        let class = match classes.get(scalar >> 5) {
            Some(word) => word >> (2 * (scalar & 31)) & 3,
            None => class_of(c),
        };
        match class {
            NONE => continue,
            DIGIT => {
                seen.row = if at - seen.digit_at <= NEAR_CHARS { seen.row + 1 } else { 1 };
                (seen.digit_at, seen.digits) = (at, seen.digits + 1);
                seen.alnum(at);
            }
            LETTER => {
                seen.letters += 1;
                seen.alnum(at);
            }
            _ if !is_dot(c) => {
                at -= 1;
                continue;
            }
            _ => {
                if at - seen.alnum_at <= NEAR_CHARS {
                    seen.dot_at = at;
                }
                continue;
            }
        }
        if seen.suffices() {
            return true;
        }
    }
    false
}
