//! Another trick for each character, as in 加➕薇❤信 of those who know that they are filtered.

use super::{Chance, Tables, looks, pictures, sounds};

#[derive(Clone, Copy, Debug)]
enum Trick {
    Keep,
    Form,
    Homophone,
    Pinyin,
    Parts,
    Look,
    Picture,
    Sound,
    Gap,
}

const TRICKS: [Trick; 9] = [
    Trick::Homophone,
    Trick::Picture,
    Trick::Pinyin,
    Trick::Parts,
    Trick::Look,
    Trick::Form,
    Trick::Sound,
    Trick::Gap,
    Trick::Keep,
];

/// Least different tricks that make a mixture.
const TRICKS_MIN: usize = 2;

/// Draws a trick for each character; no two the same as long as there are others.
pub(super) fn mixed(tables: &Tables, chars: &[char], chance: &mut Chance) -> Option<String> {
    let syllables = tables.syllables(chars);
    let mut text = String::new();
    let mut done = 0;
    let mut waiting: Vec<Trick> = Vec::new();
    for (c, syllable) in chars.iter().zip(syllables) {
        if waiting.len() < TRICKS.len() {
            let mut more = TRICKS;
            chance.shuffle(&mut more);
            waiting.extend(more);
        }
        let played = waiting
            .iter()
            .enumerate()
            .find_map(|(at, trick)| Some((at, play(*trick, tables, *c, syllable, chance)?)));
        let Some((at, written)) = played else {
            text.push(*c);
            continue;
        };
        done += usize::from(!matches!(waiting.remove(at), Trick::Keep));
        text.push_str(&written);
    }
    (done >= TRICKS_MIN).then_some(text)
}

fn play(
    trick: Trick,
    tables: &Tables,
    c: char,
    syllable: Option<&str>,
    chance: &mut Chance,
) -> Option<String> {
    match trick {
        Trick::Keep => Some(c.to_string()),
        Trick::Form => tables.traditional.get(&c)?.iter().find(|form| **form != c).map(char::to_string),
        Trick::Homophone => sounds::homophone(tables, c, syllable?, chance),
        Trick::Pinyin => syllable.map(str::to_owned),
        Trick::Parts => looks::parts(tables, c, chance),
        Trick::Look => looks::look(tables, c, chance),
        Trick::Picture => pictures::of(tables, &c.to_string(), chance),
        Trick::Sound => pictures::by_sound(tables, syllable?, chance),
        Trick::Gap => Some(format!("{c}{}", chance.pick(&["·", "-", " ", "*", "～", "\u{200B}"])?)),
    }
}
