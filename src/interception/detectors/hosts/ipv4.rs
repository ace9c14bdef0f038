//! IPv4 addresses: four numbers with dots; not versions, not numbered headings.

use crate::interception::detectors::glyphs::Glyph;
use crate::interception::detectors::{Candidate, Kind};

/// Before four small numbers that are an address all the same.
const NAMED: &[&str] = &["ip", "地址", "服务器", "网关", "dns"];

/// Before four numbers that are none.
const VERSION: &[&str] = &["版本", "版", "version", "ver", "v", "第", "固件", "系统"];

/// Finds an address that begins at a glyph.
pub(super) fn find(glyphs: &[Glyph], at: usize) -> Option<Candidate> {
    let is_digit = |at: usize| glyphs.get(at).is_some_and(|glyph| glyph.is_digit() && glyph.is_alnum());
    let before = at.checked_sub(1).and_then(|before| glyphs.get(before));
    let inside =
        |b: &Glyph| b.is_digit() || b.is_letter() || matches!(b.plain, '.' | '-' | '·' | '点' | '。');
    if !is_digit(at) || before.is_some_and(inside) {
        return None;
    }
    let mut octets = Vec::with_capacity(4);
    let (mut end, mut plain) = (at, true);
    loop {
        let from = end;
        while is_digit(end) && end < from + 4 {
            end += 1;
        }
        let text: String = glyphs.get(from..end)?.iter().map(|glyph| glyph.plain).collect();
        if text.len() > 1 && text.starts_with('0') {
            return None;
        }
        octets.push(text.parse::<u8>().ok()?);
        if octets.len() == 4 {
            break;
        }
        match glyphs.get(end)?.plain {
            '.' => {}
            '。' | '点' => plain = false,
            _ => return None,
        }
        end += 1;
    }
    let goes_on = glyphs.get(end).is_some_and(|next| {
        next.is_alnum()
            || matches!(next.plain, '.' | '点' | '。' | '·') && is_digit(end + 1)
            || next.plain == '%'
    });
    let context = before_it(glyphs, at);
    let named = NAMED.iter().any(|word| context.contains(word));
    let is_version = VERSION.iter().any(|word| context.ends_with(word));
    // 1.2.3.4 numbers a heading, 10点11点12点13 tells times.
    let large = octets.iter().any(|octet| *octet > 31);
    let likely = if plain { octets.iter().any(|octet| *octet > 9) } else { large };
    if goes_on || is_version || !(named || likely && octets.first() != Some(&0)) {
        return None;
    }
    let masked = format!("{}.{}.*.*", octets.first()?, octets.get(1)?);
    Some(Candidate::new(Kind::Ipv4, [at, end], if plain { 100 } else { 85 }, masked))
}

/// Returns the word before a glyph, with signs between at most.
fn before_it(glyphs: &[Glyph], at: usize) -> String {
    let back = glyphs.get(..at).unwrap_or_default().iter().rev();
    let near = back.skip_while(|glyph| glyph.is_space() || matches!(glyph.plain, ':' | '='));
    let mut near: Vec<char> = near
        .take(8)
        .take_while(|glyph| !glyph.is_sign() && !glyph.is_space())
        .map(|glyph| glyph.plain)
        .collect();
    near.reverse();
    near.into_iter().collect()
}
