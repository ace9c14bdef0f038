//! Phones: mobile numbers, landlines with an area code, service numbers.

use super::{Joint, Numbers, OTHER_NUMBER, Piece, Window, before, holds, text_of};
use crate::interception::detectors::checks::{area_code, mobile};
use crate::interception::detectors::glyphs::Glyph;
use crate::interception::detectors::{Candidate, Kind, masked};

/// Before a number that is a phone's.
const PHONE: &[&str] = &[
    "电话", "手机", "联系", "致电", "拨打", "热线", "座机", "客服", "号码", "同号", "来电", "打我", "找我",
    "tel", "phone", "mobile", "微信", "加v", "加我",
];

/// Letters that may touch a phone: they say what it is for.
const PHONE_LETTERS: &[&str] =
    &["v", "w", "vx", "wx", "q", "qq", "t", "tel", "p", "phone", "mob", "mobile", "wechat", "weixin"];

/// Digits of a landline with its area code, and of a service number.
const LANDLINE_MIN: usize = 10;
const LANDLINE_MAX: usize = 12;

/// Finds a mobile number that begins with a piece.
pub(super) fn find_mobile(glyphs: &[Glyph], numbers: &Numbers, first: usize) -> Option<Candidate> {
    let start = numbers.pieces.get(first)?.from;
    let code = first.checked_sub(1).and_then(|index| numbers.pieces.get(index)).filter(|code| {
        let joint = numbers.pieces.get(first).map_or(Joint::Apart, |piece| piece.joint);
        matches!(numbers.digits.get(code.from..code.to), Some([8, 6] | [0, 0, 8, 6]))
            && matches!(joint, Joint::Gap | Joint::Hyphen | Joint::Soft)
    });
    let Some(code) = code else { return find(glyphs, numbers, first, start, None) };
    let code_at = *numbers.at.get(code.from)?;
    find(glyphs, numbers, first, start, Some(plus_before(glyphs, code_at).unwrap_or(code_at)))
}

/// Finds a mobile number that begins at digit `start`, after a country code in the same piece.
pub(super) fn find_mobile_after(
    glyphs: &[Glyph],
    numbers: &Numbers,
    first: usize,
    (start, code_at): (usize, usize),
) -> Option<Candidate> {
    find(glyphs, numbers, first, start, Some(code_at))
}

/// Returns the first digit after a country code that a piece begins with, and the glyph where the code begins. A bare
/// 86 is none: order numbers begin so too.
pub(super) fn country_code(glyphs: &[Glyph], numbers: &Numbers, piece: &Piece) -> Option<(usize, usize)> {
    let at = *numbers.at.get(piece.from)?;
    match numbers.digits.get(piece.from..piece.to)? {
        [8, 6, _, ..] => Some((piece.from + 2, plus_before(glyphs, at)?)),
        [0, 0, 8, 6, _, ..] => Some((piece.from + 4, at)),
        _ => None,
    }
}

fn plus_before(glyphs: &[Glyph], at: usize) -> Option<usize> {
    let before = at.checked_sub(1)?;
    glyphs.get(before).filter(|glyph| glyph.plain == '+').map(|_| before)
}

/// `code`: the glyph where a country code begins, which counts as a part of the number.
fn find(
    glyphs: &[Glyph],
    numbers: &Numbers,
    first: usize,
    start: usize,
    code: Option<usize>,
) -> Option<Candidate> {
    let window = numbers.windows(first, start, 11).last()?;
    let digits = numbers.digits(window);
    if !mobile(digits) {
        return None;
    }
    let [from, to] = numbers.glyphs(window)?;
    let context = before(glyphs, from);
    let groups = numbers.groups(window);
    let hidden = numbers.joints(window).all(|joint| matches!(joint, Joint::Odd | Joint::Soft));
    let confidence = match groups.as_slice() {
        [11] | [3, 4, 4] => 100,
        [3, 8] | [7, 4] | [3, 2, 2, 2, 2] => 90,
        _ if groups.iter().all(|length| *length == 1) => 90,
        _ if hidden => 80,
        _ if holds(&context, PHONE) => 80,
        _ => return None,
    };
    let listed = numbers.joints(window).any(|joint| joint == Joint::List);
    if listed && groups.iter().any(|length| *length != 1) {
        return None;
    }
    let standing = matches!(groups.as_slice(), [11] | [3, 4, 4]);
    let alone = match code {
        // What stands before a country code is no part of the number; what follows must not be either.
        Some(_) => numbers.stands_alone(Window { first: window.end - 1, ..window }, true) || standing,
        None => numbers.stands_alone(window, standing),
    };
    if !alone || !is_phone_here(glyphs, &context, from, to) {
        return None;
    }
    let masked = masked(&text_of(digits), 3, 4);
    Some(Candidate::new(Kind::Mobile, [code.unwrap_or(from), to], confidence, masked))
}

/// Finds a landline or service number that begins with a piece.
pub(super) fn find_landline(glyphs: &[Glyph], numbers: &Numbers, first: usize) -> Option<Candidate> {
    let start = numbers.pieces.get(first)?.from;
    // Most rows of digits are a price or a time: what is around them is not looked at.
    if !matches!(numbers.digits.get(start..)?, [0 | 4 | 8, ..]) {
        return None;
    }
    for window in numbers.windows(first, start, LANDLINE_MAX).collect::<Vec<_>>().into_iter().rev() {
        let digits = numbers.digits(window);
        if digits.len() < LANDLINE_MIN {
            continue;
        }
        let [from, to] = numbers.glyphs(window)?;
        let context = before(glyphs, from);
        let Some(area) = area_of(digits, &numbers.groups(window), holds(&context, PHONE)) else { continue };
        let joints_fit =
            numbers.joints(window).all(|j| matches!(j, Joint::Gap | Joint::Hyphen | Joint::Soft));
        if !joints_fit || !ends_as_landline(numbers, window) || !is_phone_here(glyphs, &context, from, to) {
            continue;
        }
        let masked = masked(&text_of(digits), area, 2);
        return Some(Candidate::new(Kind::Landline, [from, to], 90, masked));
    }
    None
}

/// Returns the length of the area code or service prefix, if digits in these groups are such a number. Without
/// anything after the area code (a barcode looks the same) the words before must say that it is a phone.
fn area_of(digits: &[u8], groups: &[usize], is_named: bool) -> Option<usize> {
    if let [4 | 8, 0, 0, ..] = digits {
        let apart = matches!(groups, [3, 3, 4] | [3, 4, 3] | [3, 7] | [4, 3, 3] | [4, 6]);
        return (digits.len() == 10 && (apart || is_named && groups == [10])).then_some(3);
    }
    let area = area_code(digits)?;
    let local = digits.get(area..)?;
    let length_fits = local.len() == 8 || area == 4 && local.len() == 7;
    if !length_fits || !matches!(local.first(), Some(2..=8)) {
        return None;
    }
    let grouped = match groups {
        [_] => is_named || area == 3,
        [first, rest @ ..] => *first == area && matches!(rest, [7 | 8] | [3 | 4, 4]),
        [] => false,
    };
    grouped.then_some(area)
}

/// An extension may follow; more digits of any other kind may not.
fn ends_as_landline(numbers: &Numbers, window: Window) -> bool {
    let extension = numbers
        .pieces
        .get(window.end)
        .is_some_and(|next| next.joint == Joint::Hyphen && (1..=6).contains(&next.len()));
    if extension {
        return numbers.stands_alone(Window { end: window.first + 1, ..window }, true) || window.first == 0;
    }
    numbers.stands_alone(window, true)
}

/// Says whether what stands around lets the digits be a phone.
fn is_phone_here(glyphs: &[Glyph], context: &str, from: usize, to: usize) -> bool {
    if holds(context, OTHER_NUMBER) && !holds(context, PHONE) {
        return false;
    }
    let left = glyphs.get(..from).unwrap_or_default();
    let letters = left.iter().rev().take_while(|glyph| glyph.is_letter()).count();
    let touching: String = left.iter().skip(from - letters).map(|glyph| glyph.plain).collect();
    if !touching.is_empty() && !PHONE_LETTERS.contains(&touching.as_str()) {
        return false;
    }
    let before_is_money = left.last().is_some_and(|glyph| matches!(glyph.plain, '¥' | '$' | '#' | '€'));
    let after_fits = glyphs.get(to).is_none_or(|next| {
        !matches!(next.plain, '元' | '块' | '%' | '万' | '亿')
            && (!next.is_letter() || "vwqt".contains(next.plain))
    });
    !before_is_money && after_fits
}
