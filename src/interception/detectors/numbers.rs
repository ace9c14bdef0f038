//! Numbers: phones, bank cards, resident ids, found as runs of digits that stand for themselves.
//!
//! Digits that touch are a *piece*; pieces with little between them may be one number that somebody spaced out. What
//! is between them, and what stands around, decides whether they are.

mod phones;

use super::checks::{Issuer, issuer, luhn, resident_id};
use super::glyphs::Glyph;
use super::{Candidate, Kind, masked};

/// Most signs between two pieces of one number.
const JOINT_GLYPHS_MAX: usize = 3;

/// Characters before a number in which a word says what it is.
const CONTEXT_CHARS: usize = 12;

/// Before a number that is no phone and no card, whatever it looks like.
const OTHER_NUMBER: &[&str] = &[
    "单号",
    "订单",
    "运单",
    "编号",
    "流水",
    "条码",
    "条形码",
    "货号",
    "款号",
    "券码",
    "券号",
    "税号",
    "序列号",
    "批号",
    "批次",
    "发票",
    "小票号",
    "取件码",
    "核销码",
    "邮编",
    "isbn",
    "sn",
];

/// What stands between a piece and the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    /// Words, a sentence end, too much: two numbers.
    Apart,
    /// Nothing: only the script changes (138一二三四).
    Soft,
    /// White space, brackets, spaced dashes.
    Gap,
    /// One dash.
    Hyphen,
    /// One dot: perhaps a decimal.
    Dot,
    /// What separates the entries of a list.
    List,
    /// Signs that nobody puts into a number but to hide it.
    Odd,
}

/// Digits that touch, in one script.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Digits, half-open.
    pub(super) from: usize,
    pub(super) to: usize,
    ideographs: bool,
    /// To the piece before.
    pub(super) joint: Joint,
}

impl Piece {
    fn len(&self) -> usize {
        self.to - self.from
    }
}

/// The digits of a text.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) digits: Vec<u8>,
    /// The glyph of each digit.
    pub(super) at: Vec<usize>,
    pub(super) pieces: Vec<Piece>,
}

/// Pieces that may be one number.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Pieces, half-open.
    first: usize,
    end: usize,
    /// The first digit: later than the first piece's where a country code is left out.
    start: usize,
}

impl Numbers {
    pub(super) fn read(&mut self, glyphs: &[Glyph]) {
        self.digits.clear();
        self.at.clear();
        self.pieces.clear();
        let mut last: Option<(usize, &Glyph)> = None;
        for (index, glyph) in glyphs.iter().enumerate().filter(|(_, glyph)| glyph.is_digit()) {
            let from = self.digits.len();
            let value = glyph.plain.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
            self.digits.push(value.unwrap_or_default());
            self.at.push(index);
            let touching = last.is_some_and(|(before, other)| {
                before + 1 == index && other.is_ideograph() == glyph.is_ideograph()
            });
            match self.pieces.last_mut() {
                Some(piece) if touching => piece.to += 1,
                Some(_) | None => {
                    let between = last.map_or(Joint::Apart, |(before, _)| joint(glyphs, before, index));
                    let ideographs = glyph.is_ideograph();
                    self.pieces.push(Piece { from, to: from + 1, ideographs, joint: between });
                }
            }
            last = Some((index, glyph));
        }
    }

    /// Returns the glyphs from one digit up to the end of a piece.
    fn glyphs(&self, window: Window) -> Option<[usize; 2]> {
        let last = self.pieces.get(window.end.checked_sub(1)?)?.to.checked_sub(1)?;
        Some([*self.at.get(window.start)?, self.at.get(last)? + 1])
    }

    fn digits(&self, window: Window) -> &[u8] {
        let to = window.end.checked_sub(1).and_then(|last| self.pieces.get(last)).map_or(0, |piece| piece.to);
        self.digits.get(window.start..to).unwrap_or_default()
    }

    /// Returns the lengths of groups: pieces that touch are one.
    fn groups(&self, window: Window) -> Vec<usize> {
        let mut groups = Vec::new();
        for (index, piece) in self.pieces.iter().enumerate().take(window.end).skip(window.first) {
            let from = piece.from.max(window.start);
            match groups.last_mut() {
                Some(group) if index > window.first && piece.joint == Joint::Soft => {
                    *group += piece.to - from;
                }
                Some(_) | None => groups.push(piece.to - from),
            }
        }
        groups
    }

    fn joints(&self, window: Window) -> impl Iterator<Item = Joint> {
        self.pieces.iter().take(window.end).skip(window.first + 1).map(|piece| piece.joint)
    }

    /// Yields the windows that begin with piece `first` at digit `start` and hold at most `digits_max` digits.
    fn windows(&self, first: usize, start: usize, digits_max: usize) -> impl Iterator<Item = Window> {
        let rest = self.pieces.iter().enumerate().skip(first);
        rest.take_while(move |(index, piece)| {
            (*index == first || piece.joint != Joint::Apart) && piece.to - start <= digits_max
        })
        .map(move |(index, _)| Window { first, end: index + 1, start })
    }

    /// Reads the number that begins at a glyph: as many of its pieces as make at most `max` digits, standing alone.
    pub(super) fn number_at(&self, glyph: usize, min: usize, max: usize) -> Option<(Vec<u8>, usize)> {
        let digit = self.at.binary_search(&glyph).ok()?;
        let first = self.pieces.iter().position(|piece| piece.from == digit)?;
        let window = self.windows(first, digit, max).last()?;
        let digits = self.digits(window);
        let alone = match self.pieces.get(window.end).map(|next| next.joint) {
            None | Some(Joint::Apart | Joint::List) => true,
            Some(Joint::Soft) => self.groups(window).len() == 1,
            Some(Joint::Gap | Joint::Hyphen | Joint::Dot | Joint::Odd) => false,
        };
        let [_, end] = self.glyphs(window)?;
        (alone && digits.len() >= min).then(|| (digits.to_vec(), end))
    }

    /// Says whether no digits around a window belong to the same number. `standing`: its form alone sets it apart.
    fn stands_alone(&self, window: Window, standing: bool) -> bool {
        let before = window.first.checked_sub(1).and_then(|index| self.pieces.get(index));
        let (Some(first), Some(last)) = (self.pieces.get(window.first), self.pieces.get(window.end - 1))
        else {
            return false;
        };
        let left = match (first.joint, before) {
            (Joint::Apart, _) | (_, None) => true,
            // 买一13812345678: the ideograph is a word.
            (Joint::Soft, Some(before)) => before.ideographs && first.len() > 2,
            (Joint::Gap | Joint::List | Joint::Odd, Some(_)) => standing,
            (Joint::Hyphen, Some(before)) => standing && before.len() == 11,
            (Joint::Dot, Some(_)) => false,
        };
        let right = match self.pieces.get(window.end) {
            None => true,
            Some(next) => match next.joint {
                Joint::Apart => true,
                Joint::Soft => next.ideographs && last.len() > 2,
                Joint::Gap | Joint::List | Joint::Odd => standing,
                Joint::Hyphen => standing && next.len() == 11,
                Joint::Dot => false,
            },
        };
        left && right
    }
}

/// Says how two digits at these glyphs hang together.
fn joint(glyphs: &[Glyph], before: usize, after: usize) -> Joint {
    let between = glyphs.get(before + 1..after).unwrap_or_default();
    if between.len() > JOINT_GLYPHS_MAX {
        return Joint::Apart;
    }
    match between {
        [] => return Joint::Soft,
        [one] if one.plain == '-' => return Joint::Hyphen,
        [one] if one.plain == '.' => return Joint::Dot,
        [..] => {}
    }
    let mut joint = Joint::Gap;
    for glyph in between {
        if glyph.is_space() {
            continue;
        }
        if !glyph.is_sign() {
            return Joint::Apart;
        }
        match glyph.plain {
            '-' | '(' | ')' | '.' => {}
            ',' | '、' | '/' | '|' | ';' | '\\' => joint = Joint::List,
            '\n' | '。' | '!' | '?' | ':' | '%' | '‰' | '$' | '¥' | '€' | '£' | '~' | '#' | '@' | '<'
            | '>' | '"' | '“' | '”' | '℃' | '°' | '×' | '÷' | '=' | '+' | '&' | '《' | '》' | '[' | ']'
            | '【' | '】' => return Joint::Apart,
            _ if joint == Joint::Gap => joint = Joint::Odd,
            _ => {}
        }
    }
    joint
}

/// Adds every phone, bank card and resident id.
pub(super) fn find(glyphs: &[Glyph], numbers: &Numbers, out: &mut Vec<Candidate>) {
    for (first, piece) in numbers.pieces.iter().enumerate() {
        let found = find_resident_id(glyphs, numbers, first)
            .or_else(|| find_bank_card(glyphs, numbers, first))
            .or_else(|| phones::find_mobile(glyphs, numbers, first))
            .or_else(|| phones::find_landline(glyphs, numbers, first));
        out.extend(found);
        // A country code may be written to the number: then the number begins within its piece.
        if let Some(code) = phones::country_code(glyphs, numbers, piece) {
            out.extend(phones::find_mobile_after(glyphs, numbers, first, code));
        }
    }
}

fn find_resident_id(glyphs: &[Glyph], numbers: &Numbers, first: usize) -> Option<Candidate> {
    let start = numbers.pieces.get(first)?.from;
    for window in numbers.windows(first, start, 18) {
        let digits = numbers.digits(window);
        let [from, to] = numbers.glyphs(window)?;
        let (to, check) = match digits {
            [.., check] if digits.len() == 18 => (to, *check),
            [..] if digits.len() == 17 => match x_after(glyphs, to) {
                Some(to) => (to, 10),
                None => continue,
            },
            [..] => continue,
        };
        if resident_id(digits.get(..17)?, check)
            && numbers.stands_alone(window, true)
            && !touches_letters(glyphs, from, to)
        {
            let mut value = text_of(digits);
            if check == 10 {
                value.push('X');
            }
            let masked = masked(&value, 3, 2);
            return Some(Candidate::new(Kind::ResidentId, [from, to], 100, masked));
        }
    }
    None
}

/// Returns where the check character X ends, if it stands here, perhaps after a space.
fn x_after(glyphs: &[Glyph], at: usize) -> Option<usize> {
    let spaces = glyphs.iter().skip(at).take_while(|glyph| glyph.is_space()).take(2).count();
    glyphs.get(at + spaces).filter(|glyph| matches!(glyph.plain, 'x' | '×'))?;
    Some(at + spaces + 1)
}

fn find_bank_card(glyphs: &[Glyph], numbers: &Numbers, first: usize) -> Option<Candidate> {
    const BANK: &[&str] = &[
        "卡号",
        "银行",
        "账号",
        "帐号",
        "收款",
        "转账",
        "打款",
        "汇款",
        "信用卡",
        "储蓄卡",
        "工行",
        "建行",
        "农行",
        "招行",
        "中行",
        "开户",
        "户名",
        "bank",
        "card",
    ];
    let start = numbers.pieces.get(first)?.from;
    for window in numbers.windows(first, start, 19) {
        let digits = numbers.digits(window);
        let issuer = issuer(digits);
        if issuer == Issuer::Nobody || !luhn(digits) || !numbers.stands_alone(window, true) {
            continue;
        }
        let [from, to] = numbers.glyphs(window)?;
        let groups = numbers.groups(window);
        let in_fours = groups.len() > 3 && groups.iter().rev().skip(1).all(|length| *length == 4);
        let usual = groups.len() == 1 || in_fours || groups.iter().all(|length| *length == 1);
        let before = before(glyphs, from);
        let named = holds(&before, BANK);
        let likely = issuer == Issuer::UnionPay || in_fours || named;
        // Where the number goes on in groups like its own, a part that passes the check passed it by chance.
        let goes_on = numbers.pieces.get(window.end).is_some_and(|next| next.joint == Joint::Gap && in_fours);
        let ordinary = named || !holds(&before, OTHER_NUMBER);
        if (usual || named) && likely && ordinary && !goes_on && !touches_letters(glyphs, from, to) {
            let masked = masked(&text_of(digits), 4, 4);
            return Some(Candidate::new(Kind::BankCard, [from, to], 95, masked));
        }
    }
    None
}

/// Says whether letters touch the glyphs: then they are part of something else, such as a tracking number.
fn touches_letters(glyphs: &[Glyph], from: usize, to: usize) -> bool {
    let is_letter = |at: usize| glyphs.get(at).is_some_and(Glyph::is_letter);
    from.checked_sub(1).is_some_and(is_letter) || is_letter(to)
}

/// Returns the last letters and words before a glyph, in their order and without signs, back to a clause's end.
fn before(glyphs: &[Glyph], at: usize) -> String {
    let back = glyphs.get(..at).unwrap_or_default().iter().rev();
    let clause = back
        .take_while(|glyph| !glyph.is_digit() && !matches!(glyph.plain, '\n' | '。' | ';' | ',' | '!' | '?'));
    let mut words: Vec<char> = clause
        .filter(|glyph| glyph.is_letter() || glyph.is_word())
        .take(CONTEXT_CHARS)
        .map(|glyph| glyph.plain)
        .collect();
    words.reverse();
    words.into_iter().collect()
}

fn holds(context: &str, words: &[&str]) -> bool {
    words.iter().any(|word| context.contains(word))
}

fn text_of(digits: &[u8]) -> String {
    digits.iter().map(|digit| char::from(b'0' + digit)).collect()
}
