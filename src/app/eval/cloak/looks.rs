//! By look: characters taken apart, characters and letters that look alike.

use super::{Chance, Extent, Tables, substitute};

/// Look-alikes that come to everyone's mind.
const USUAL: usize = 3;

/// Takes characters apart.
pub(super) fn split(tables: &Tables, chars: &[char], extent: Extent, chance: &mut Chance) -> Option<String> {
    substitute(chars, extent, chance, |at, chance| parts(tables, *chars.get(at)?, chance))
}

/// Draws a way of taking a character apart.
pub(super) fn parts(tables: &Tables, c: char, chance: &mut Chance) -> Option<String> {
    chance.pick(tables.parts.get(&c)?).map(|way| (*way).to_owned())
}

/// Takes one character apart and writes its parts from the last to the first.
pub(super) fn split_reversed(tables: &Tables, chars: &[char], chance: &mut Chance) -> Option<String> {
    substitute(chars, Extent::One, chance, |at, chance| {
        Some(parts(tables, *chars.get(at)?, chance)?.chars().rev().collect())
    })
}

/// Writes characters that look alike.
pub(super) fn alike(tables: &Tables, chars: &[char], extent: Extent, chance: &mut Chance) -> Option<String> {
    substitute(chars, extent, chance, |at, chance| look(tables, *chars.get(at)?, chance))
}

/// Draws a character that looks alike.
pub(super) fn look(tables: &Tables, c: char, chance: &mut Chance) -> Option<String> {
    chance.pick_usual(tables.looks.get(&c)?, USUAL).map(char::to_string)
}

/// Writes characters of other blocks that look the same, for all that have one.
pub(super) fn confusable(tables: &Tables, chars: &[char], chance: &mut Chance) -> Option<String> {
    substitute(chars, Extent::All, chance, |at, chance| {
        chance.pick_usual(tables.confusables.get(chars.get(at)?)?, 1).map(char::to_string)
    })
}
