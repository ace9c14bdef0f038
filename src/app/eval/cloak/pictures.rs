//! By picture: emoji for words, for sounds, and keycaps for digits.

use super::{Chance, Extent, Tables, substitute};

/// Longest word an emoji stands for.
const WORD_CHARS_MAX: usize = 3;

/// Signs of chats that no standard names: written down from use.
const SLANG: &[(&str, &str)] = &[
    ("qq", "🐧"),
    ("微信", "💚"),
    ("支付宝", "💙"),
    ("股票", "📈"),
    ("赚", "💹"),
    ("死", "💀"),
    ("滚", "🌀"),
];

/// Writes an emoji for one word or character that it means.
pub(super) fn meant(tables: &Tables, chars: &[char], chance: &mut Chance) -> Option<String> {
    let mut places: Vec<_> = words(chars)
        .filter_map(|(at, word)| Some((at, word.chars().count(), of(tables, &word, chance)?)))
        .collect();
    chance.shuffle(&mut places);
    let (at, length, emoji) = places.into_iter().next()?;
    let rest =
        |from: usize, to: usize| chars.iter().skip(from).take(to.saturating_sub(from)).collect::<String>();
    Some(rest(0, at) + &emoji + &rest(at + length, chars.len()))
}

/// Writes an emoji for one character, whose name sounds the same.
pub(super) fn sounding(tables: &Tables, chars: &[char], chance: &mut Chance) -> Option<String> {
    let syllables = tables.syllables(chars);
    substitute(chars, Extent::One, chance, |at, chance| {
        by_sound(tables, syllables.get(at)?.as_ref()?, chance)
    })
}

/// Draws an emoji whose name is read so.
pub(super) fn by_sound(tables: &Tables, syllable: &str, chance: &mut Chance) -> Option<String> {
    chance.pick(tables.pictures_of_sound(syllable)).map(|emoji| (*emoji).to_owned())
}

/// Writes an emoji for every character that has one, by meaning or else by sound.
pub(super) fn all(tables: &Tables, chars: &[char], chance: &mut Chance) -> Option<String> {
    let syllables = tables.syllables(chars);
    substitute(chars, Extent::All, chance, |at, chance| {
        let meant = of(tables, &chars.get(at)?.to_string(), chance);
        meant.or_else(|| by_sound(tables, syllables.get(at)?.as_ref()?, chance))
    })
}

/// Draws an emoji for a word.
pub(super) fn of(tables: &Tables, word: &str, chance: &mut Chance) -> Option<String> {
    let lower = word.to_lowercase();
    if let Some((_, emoji)) = SLANG.iter().find(|(slang, _)| *slang == lower) {
        return Some((*emoji).to_owned());
    }
    if let (Some(digit @ ('0'..='9')), 1) = (word.chars().next(), word.len()) {
        return Some(format!("{digit}\u{FE0F}\u{20E3}"));
    }
    let emoji = chance.pick_usual(&tables.pictures_of(word)?.emoji, 1)?;
    // Half of the people leave the selector out.
    Some(if chance.percent(50) { emoji.replace('\u{FE0F}', "") } else { (*emoji).to_owned() })
}

fn words(chars: &[char]) -> impl Iterator<Item = (usize, String)> {
    (1..=WORD_CHARS_MAX)
        .flat_map(move |length| chars.windows(length).map(|word| word.iter().collect()).enumerate())
}
