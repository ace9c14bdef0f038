//! By sound: other characters of the same reading, pinyin, initials.

use super::{Chance, Extent, Tables, han_count, substitute};

/// Characters of one sound that come to everyone's mind.
const USUAL: usize = 6;

/// Writes characters of the same sound.
pub(super) fn homophones(
    tables: &Tables,
    chars: &[char],
    extent: Extent,
    chance: &mut Chance,
) -> Option<String> {
    let syllables = tables.syllables(chars);
    substitute(chars, extent, chance, |at, chance| {
        homophone(tables, *chars.get(at)?, syllables.get(at)?.as_ref()?, chance)
    })
}

/// Draws another character of a sound.
pub(super) fn homophone(tables: &Tables, c: char, syllable: &str, chance: &mut Chance) -> Option<String> {
    // The traditional form of a character is another class.
    let same =
        |other: char| other == c || tables.traditional.get(&other).is_some_and(|forms| forms.contains(&c));
    let others: Vec<char> = tables.of_sound(syllable).iter().copied().filter(|other| !same(*other)).collect();
    chance.pick_usual(&others, USUAL).map(char::to_string)
}

/// Writes every character in pinyin, with something between.
pub(super) fn pinyin_spaced(tables: &Tables, chars: &[char], chance: &mut Chance) -> Option<String> {
    let pieces = [" ", " ", " ", " ", " ", "  ", "-", "'", ".", "·", "_", "\u{3000}"];
    let between = *chance.pick(&pieces)?;
    Some(spelled(tables, chars, chance)?.join(between))
}

/// Writes every character in pinyin, run together.
pub(super) fn pinyin_joined(tables: &Tables, chars: &[char], chance: &mut Chance) -> Option<String> {
    Some(spelled(tables, chars, chance)?.concat())
}

/// The syllables of a term whose every character is a Chinese one; letters stay.
fn spelled(tables: &Tables, chars: &[char], chance: &mut Chance) -> Option<Vec<String>> {
    if han_count(chars) < 2 {
        return None;
    }
    let case = chance.below(5);
    let syllables = tables.syllables(chars);
    let spell = |(at, c): (usize, &char)| -> Option<String> {
        let syllable = match syllables.get(at).copied().flatten() {
            Some(syllable) => syllable.to_owned(),
            None if c.is_ascii_alphanumeric() => c.to_string(),
            None => return None,
        };
        Some(match case {
            0 => syllable.to_uppercase(),
            1 => capital(&syllable),
            2.. => syllable,
        })
    };
    chars.iter().enumerate().map(spell).collect()
}

fn capital(syllable: &str) -> String {
    let mut chars = syllable.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

/// Writes some characters in pinyin and leaves at least one.
pub(super) fn pinyin_mixed(tables: &Tables, chars: &[char], chance: &mut Chance) -> Option<String> {
    if han_count(chars) < 2 {
        return None;
    }
    let syllables = tables.syllables(chars);
    let extent = if chars.len() > 2 && chance.percent(40) { Extent::Half } else { Extent::One };
    substitute(chars, extent, chance, |at, _| syllables.get(at)?.map(str::to_owned))
}

/// Writes the first letter of every syllable.
pub(super) fn initials(tables: &Tables, chars: &[char], chance: &mut Chance) -> Option<String> {
    let lower: String = spelled(tables, chars, chance)?
        .iter()
        .filter_map(|s| s.chars().next())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    Some(if chance.percent(40) { lower.to_uppercase() } else { lower })
}
