//! Other spellings: other forms of the same character, and what is put between characters.

use std::collections::HashMap;

use super::Chance;

/// White space.
pub(super) const SPACES: &[&str] = &[" ", " ", " ", "  ", "\u{3000}", "\u{A0}", "\u{2002}", "\u{2009}", "\t"];

/// Punctuation and symbols that people put between characters.
pub(super) const SIGNS: &[&str] = &[
    ".", "-", "_", "*", "/", "|", "~", "+", "=", "#", "@", "&", "^", "'", "\"", "`", ",", ":", ";", "%", "$",
    "!", "(", ")", "[", "]", "<", ">", "\\", "·", "•", "・", "。", "，", "、", "；", "：", "—", "…", "～",
    "《", "》", "【", "】", "「", "」", "（", "）", "★", "☆", "●", "○", "◆", "■", "□", "△", "▲", "→", "※",
    "♪", "♡", "①", "丶", "丨", "灬", "ゞ", "﹏", "✿", "✦", "．", "－", "＿", "／", "＊",
];

/// Emoji that only stand between.
pub(super) const FILLERS: &[&str] = &[
    "😀",
    "🔥",
    "👉",
    "✨",
    "🌟",
    "💥",
    "🎉",
    "👌",
    "😂",
    "🌹",
    "🍀",
    "⭐",
    "🙏",
    "👇",
    "💯",
    "❗️",
    "👩‍👩‍👧",
    "🇨🇳",
    "👍🏻",
];

/// Invisible and combining characters.
pub(super) const INVISIBLE: &[&str] = &[
    "\u{200B}",
    "\u{200C}",
    "\u{200D}",
    "\u{2060}",
    "\u{FEFF}",
    "\u{AD}",
    "\u{FE0F}",
    "\u{FE00}",
    "\u{200E}",
    "\u{200F}",
    "\u{202C}",
    "\u{2063}",
    "\u{180E}",
    "\u{34F}",
    "\u{335}",
    "\u{336}",
    "\u{338}",
    "\u{302}",
    "\u{20DD}",
    "\u{20E3}",
    "\u{61C}",
    "\u{E0020}",
    "\u{115F}",
    "\u{3164}",
];

/// Most pieces between two characters.
const PIECES_MAX: usize = 2;

/// Writes all that have another form in it.
pub(super) fn forms(forms: &HashMap<char, Vec<char>>, chars: &[char], chance: &mut Chance) -> Option<String> {
    let mut changed = false;
    let text = chars
        .iter()
        .map(|c| match forms.get(c).and_then(|forms| chance.pick_usual(forms, 1)) {
            Some(form) => {
                changed |= form != c;
                *form
            }
            None => *c,
        })
        .collect();
    changed.then_some(text)
}

/// Puts pieces between the characters: in all places or in one.
pub(super) fn between(chars: &[char], pieces: &[&str], chance: &mut Chance) -> Option<String> {
    let gaps = chars.len().checked_sub(1).filter(|gaps| *gaps > 0)?;
    let only = chance.percent(40).then(|| chance.below(gaps));
    // Most people use one piece throughout, some another in each place.
    let same = chance.percent(60).then(|| chance.pick(pieces)).flatten();
    let mut text = String::new();
    for (at, c) in chars.iter().enumerate() {
        text.push(*c);
        if at == gaps || only.is_some_and(|only| only != at) {
            continue;
        }
        for _ in 0..=chance.below(PIECES_MAX) {
            text.push_str(same.or_else(|| chance.pick(pieces))?);
        }
    }
    Some(text)
}

/// Writes one character, or every one, two or three times.
pub(super) fn repeated(chars: &[char], chance: &mut Chance) -> Option<String> {
    let only = chance.percent(60).then(|| chance.below(chars.len()));
    let times = 2 + chance.below(2);
    let repeat = |(at, c): (usize, &char)| {
        let times = if only.is_some_and(|only| only != at) { 1 } else { times };
        std::iter::repeat_n(*c, times).collect::<String>()
    };
    (!chars.is_empty()).then(|| chars.iter().enumerate().map(repeat).collect())
}

/// Lets two neighbours change places.
pub(super) fn swapped(chars: &[char], chance: &mut Chance) -> Option<String> {
    let mut places: Vec<_> = chars
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair.first() != pair.last())
        .map(|(at, _)| at)
        .collect();
    chance.shuffle(&mut places);
    let at = *places.first()?;
    let mut chars = chars.to_vec();
    chars.swap(at, at + 1);
    Some(chars.into_iter().collect())
}

/// Writes letters and digits in full width, in the other case or styled.
pub(super) fn styled(chars: &[char], chance: &mut Chance) -> Option<String> {
    let style = chance.below(STYLES);
    let mut changed = false;
    let text = chars.iter().map(|c| {
        let styled = style_of(*c, style).or_else(|| style_of(*c, 0));
        changed |= styled.is_some_and(|styled| styled != *c);
        styled.unwrap_or(*c)
    });
    let text = text.collect();
    changed.then_some(text)
}

const STYLES: usize = 12;

/// Writes a letter or digit in one of the styles of Unicode. The blocks hold them in the order of ASCII.
fn style_of(c: char, style: usize) -> Option<char> {
    let from = |first: char, base: u32| char::from_u32(base + (u32::from(c) - u32::from(first)));
    match (style, c) {
        (0, '!'..='~') => from('!', 0xFF01),
        (1, 'a'..='z') => Some(c.to_ascii_uppercase()),
        (1, 'A'..='Z') => Some(c.to_ascii_lowercase()),
        (2, 'a'..='z') => from('a', 0x24D0),
        (2, 'A'..='Z') => from('A', 0x24B6),
        (2 | 3, '1'..='9') => from('1', 0x2460),
        (3, 'a'..='z') => from('a', 0x249C),
        (3, 'A'..='Z') => from('A', 0x1F130),
        (4, 'A'..='Z') => from('A', 0x1D400),
        (4, 'a'..='z') => from('a', 0x1D41A),
        (4, '0'..='9') => from('0', 0x1D7CE),
        (5, 'A'..='Z') => from('A', 0x1D4D0),
        (5, 'a'..='z') => from('a', 0x1D4EA),
        (5, '0'..='9') => from('0', 0x1D7D8),
        (6, 'A'..='Z') => from('A', 0x1D5A0),
        (6, 'a'..='z') => from('a', 0x1D5BA),
        (6, '0'..='9') => from('0', 0x1D7E2),
        (7, 'A'..='Z') => from('A', 0x1D670),
        (7, 'a'..='z') => from('a', 0x1D68A),
        (7, '0'..='9') => from('0', 0x1D7F6),
        (8, 'A'..='Z') => from('A', 0x1F150),
        (8, 'a'..='z') => from('a', 0x1F150),
        (8, '1'..='9') => from('1', 0x2776),
        (9, 'A'..='Z') => from('A', 0x1F170),
        (9, 'a'..='z') => from('a', 0x1F170),
        (9, '1'..='9') => from('1', 0x2488),
        (10, 'A'..='Z') => from('A', 0x1D56C),
        (10, 'a'..='z') => from('a', 0x1D586),
        (10, '4'..='9') => from('4', 0x2074),
        (11, '0'..='9') => from('0', 0x2080),
        // The numbers of cheques (大写).
        (_, '一'..='十') => "一壹二贰三叁四肆五伍六陆七柒八捌九玖十拾"
            .chars()
            .collect::<Vec<_>>()
            .chunks(2)
            .find_map(|pair| (pair.first() == Some(&c)).then(|| pair.last().copied()).flatten()),
        (_, _) => None,
    }
}

/// Writes digits and signs for letters.
pub(super) fn leet(chars: &[char], chance: &mut Chance) -> Option<String> {
    let mut changed = false;
    let text = chars
        .iter()
        .map(|c| {
            let signs: &[char] = match c.to_ascii_lowercase() {
                'a' => &['4', '@'],
                'b' => &['8', '6'],
                'e' => &['3'],
                'g' => &['9', '6'],
                'i' => &['1', '!', '|'],
                'l' => &['1', '|'],
                'o' => &['0'],
                's' => &['5', '$'],
                't' => &['7', '+'],
                'z' => &['2'],
                _ => &[],
            };
            match chance.pick_usual(signs, 1) {
                Some(sign) => {
                    changed = true;
                    *sign
                }
                None => *c,
            }
        })
        .collect();
    changed.then_some(text)
}
