//! A text as detectors see it: letters, digits of any style, words, signs and spaces, each with its place.
//!
//! Invisible characters and combining marks (so also the frame of a keycap) are not glyphs.

use crate::interception::fold::{Folded, fold, is_invisible};

/// One character as a detector sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glyph {
    /// Byte offset of the original character.
    pub(super) start: usize,
    /// Byte offset of its end.
    pub(super) end: usize,
    /// As written.
    pub(super) original: char,
    /// Plain: a digit 0 to 9, a lower-case letter, a folded character of a word, a half-width sign.
    pub(super) plain: char,
    kind: GlyphKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GlyphKind {
    Digit,
    /// A digit written as 一 or 壹: in ordinary Chinese also a word.
    Ideograph,
    Letter,
    Word,
    Space,
    Sign,
}

impl Glyph {
    /// A digit in any style.
    pub(super) fn is_digit(&self) -> bool {
        matches!(self.kind, GlyphKind::Digit | GlyphKind::Ideograph)
    }

    /// A digit written as 一 or 壹.
    pub(super) fn is_ideograph(&self) -> bool {
        self.kind == GlyphKind::Ideograph
    }

    /// A Latin letter.
    pub(super) fn is_letter(&self) -> bool {
        self.kind == GlyphKind::Letter
    }

    /// A Latin letter, or a digit that is not written as an ideograph.
    pub(super) fn is_alnum(&self) -> bool {
        matches!(self.kind, GlyphKind::Letter | GlyphKind::Digit)
    }

    /// A character of a word that is not Latin.
    pub(super) fn is_word(&self) -> bool {
        self.kind == GlyphKind::Word
    }

    /// White space, but no line break.
    pub(super) fn is_space(&self) -> bool {
        self.kind == GlyphKind::Space
    }

    /// Punctuation, a symbol, a picture or a line break.
    pub(super) fn is_sign(&self) -> bool {
        self.kind == GlyphKind::Sign
    }
}

/// Writes the glyphs of `text` over what `out` held.
pub(super) fn read(text: &str, out: &mut Vec<Glyph>) {
    out.clear();
    for (start, original) in text.char_indices() {
        if is_invisible(original) {
            continue;
        }
        let end = start + original.len_utf8();
        let glyph = |plain, kind| Glyph { start, end, original, plain, kind };
        if let Some(digit) = digit_of_ideograph(original) {
            out.push(glyph(digit, GlyphKind::Ideograph));
            continue;
        }
        match fold(original) {
            Folded::One(folded) => out.push(glyph(folded, kind_of(folded))),
            Folded::Several(folded) => out.extend(folded.chars().map(|c| glyph(c, kind_of(c)))),
            Folded::Skip if is_break(original) => out.push(glyph('\n', GlyphKind::Sign)),
            Folded::Skip if original.is_whitespace() => out.push(glyph(' ', GlyphKind::Space)),
            Folded::Skip => out.push(glyph(plain_sign(original), GlyphKind::Sign)),
        }
    }
}

fn kind_of(folded: char) -> GlyphKind {
    if folded.is_ascii_digit() {
        GlyphKind::Digit
    } else if folded.is_ascii_alphabetic() {
        GlyphKind::Letter
    } else {
        GlyphKind::Word
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// Half-width signs for full-width ones, and one dash for all dashes.
fn plain_sign(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '｡' => '。',
        '￥' => '¥',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '﹣' | 'ー' | 'ｰ' => '-',
        '➕' | '﹢' => '+',
        '﹫' => '@',
        '∶' | '﹕' => ':',
        '﹒' | '․' => '.',
        _ => c,
    }
}

/// Returns the digit that an ideograph is another way of writing.
pub(super) fn digit_of_ideograph(c: char) -> Option<char> {
    Some(match c {
        '零' | '〇' | '○' | '◯' => '0',
        '一' | '壹' | '弌' | '壱' | '幺' => '1',
        '二' | '贰' | '貳' | '弍' | '弐' => '2',
        '三' | '叁' | '參' | '叄' | '弎' | '参' => '3',
        '四' | '肆' => '4',
        '五' | '伍' => '5',
        '六' | '陆' | '陸' => '6',
        '七' | '柒' => '7',
        '八' | '捌' => '8',
        '九' | '玖' => '9',
        _ => return None,
    })
}
