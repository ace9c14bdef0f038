//! Writes a term so that a filter may not see it and a reader still does.
//!
//! Written from what spammers do, without sight of the engine and from other tables than the engine's (see `tables.rs`).
//! A cloak never equals the term; a term that a class cannot change has none.
//! Not for: the sentence around it (`carrier.rs`), nor for judging.

mod looks;
mod mixed;
mod pictures;
mod sounds;
mod spelling;

use super::chance::Chance;
use super::class::Class;
use super::tables::{Tables, is_han};

/// How many characters of a term are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    One,
    Half,
    All,
}

/// Cloaks a term; `None` where the class has nothing to change in it.
pub(super) fn cloak(class: Class, term: &str, chance: &mut Chance) -> Option<String> {
    let tables = Tables::get();
    let chars: Vec<char> = term.chars().collect();
    let cloaked = match class {
        Class::Plain => return Some(term.to_owned()),
        Class::Traditional => spelling::forms(&tables.traditional, &chars, chance),
        Class::Variant => spelling::forms(&tables.variants, &chars, chance),
        Class::Width => spelling::styled(&chars, chance),
        Class::Spaces => spelling::between(&chars, spelling::SPACES, chance),
        Class::Separators => spelling::between(&chars, spelling::SIGNS, chance),
        Class::Fillers => spelling::between(&chars, spelling::FILLERS, chance),
        Class::ZeroWidth => spelling::between(&chars, spelling::INVISIBLE, chance),
        Class::Repeat => spelling::repeated(&chars, chance),
        Class::HomophoneOne => sounds::homophones(tables, &chars, Extent::One, chance),
        Class::HomophoneHalf => sounds::homophones(tables, &chars, Extent::Half, chance),
        Class::HomophoneAll => sounds::homophones(tables, &chars, Extent::All, chance),
        Class::PinyinSpaced => sounds::pinyin_spaced(tables, &chars, chance),
        Class::PinyinJoined => sounds::pinyin_joined(tables, &chars, chance),
        Class::PinyinMixed => sounds::pinyin_mixed(tables, &chars, chance),
        Class::Initials => sounds::initials(tables, &chars, chance),
        Class::SplitOne => looks::split(tables, &chars, Extent::One, chance),
        Class::SplitAll => looks::split(tables, &chars, Extent::All, chance),
        Class::SplitReversed => looks::split_reversed(tables, &chars, chance),
        Class::LookOne => looks::alike(tables, &chars, Extent::One, chance),
        Class::LookAll => looks::alike(tables, &chars, Extent::All, chance),
        Class::Confusable => looks::confusable(tables, &chars, chance),
        Class::Picture => pictures::meant(tables, &chars, chance),
        Class::PictureSound => pictures::sounding(tables, &chars, chance),
        Class::PictureAll => pictures::all(tables, &chars, chance),
        Class::Swapped => spelling::swapped(&chars, chance),
        Class::Leet => spelling::leet(&chars, chance),
        Class::Mixed => mixed::mixed(tables, &chars, chance),
    };
    cloaked.filter(|cloaked| cloaked != term)
}

/// Writes other characters for some of a term: `other` says what for the one at a place. `None` when none can be.
fn substitute(
    chars: &[char],
    extent: Extent,
    chance: &mut Chance,
    mut other: impl FnMut(usize, &mut Chance) -> Option<String>,
) -> Option<String> {
    let mut others: Vec<(usize, String)> =
        (0..chars.len()).filter_map(|at| Some((at, other(at, chance)?))).collect();
    if others.is_empty() {
        return None;
    }
    let wanted = match extent {
        Extent::One => 1,
        Extent::Half => chars.len().div_ceil(2),
        Extent::All => chars.len(),
    };
    chance.shuffle(&mut others);
    others.truncate(wanted);
    let write = |(at, c): (usize, &char)| match others.iter().find(|(place, _)| *place == at) {
        Some((_, other)) => other.clone(),
        None => c.to_string(),
    };
    Some(chars.iter().enumerate().map(write).collect())
}

/// Counts the Chinese characters.
fn han_count(chars: &[char]) -> usize {
    chars.iter().filter(|c| is_han(**c)).count()
}

#[cfg(test)]
mod tests;
