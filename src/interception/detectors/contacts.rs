//! WeChat ids and QQ numbers: known only by the word before them.
//!
//! An id alone is a word like any other. 微信, vx, 加v, 扣扣 and their kin, then little but a colon or 号, then an id of
//! the platform's form: that is one. The less the word says, the more must stand between (v： but not v).

use super::checks::mobile;
use super::glyphs::Glyph;
use super::numbers::Numbers;
use super::{Candidate, Kind, masked};

/// How much the word before an id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strength {
    /// It only sounds like the platform: what follows must be announced and hold a digit.
    Sound,
    /// It may be anything: a colon or 号 must follow.
    Letter,
    /// It names the platform.
    Named,
    /// It asks to be added there.
    Asking,
}

use Strength::{Asking, Letter, Named, Sound};

/// Words before an id; at one place the first that fits counts.
const TRIGGERS: &[(&str, Kind, Strength)] = &[
    ("加我微信", Kind::WechatId, Asking),
    ("加微信", Kind::WechatId, Asking),
    ("加我vx", Kind::WechatId, Asking),
    ("加我wx", Kind::WechatId, Asking),
    ("加我v", Kind::WechatId, Asking),
    ("加我微", Kind::WechatId, Asking),
    ("加我薇", Kind::WechatId, Asking),
    ("加vx", Kind::WechatId, Asking),
    ("加wx", Kind::WechatId, Asking),
    ("加微", Kind::WechatId, Asking),
    ("加薇", Kind::WechatId, Asking),
    ("加威", Kind::WechatId, Asking),
    ("加维", Kind::WechatId, Asking),
    ("加v", Kind::WechatId, Asking),
    ("+vx", Kind::WechatId, Asking),
    ("+wx", Kind::WechatId, Asking),
    ("+微", Kind::WechatId, Asking),
    ("+薇", Kind::WechatId, Asking),
    ("+威", Kind::WechatId, Asking),
    ("+v", Kind::WechatId, Asking),
    ("wechat", Kind::WechatId, Named),
    ("weixin", Kind::WechatId, Named),
    ("绿泡泡", Kind::WechatId, Named),
    ("微信", Kind::WechatId, Named),
    ("薇信", Kind::WechatId, Named),
    ("微芯", Kind::WechatId, Named),
    ("薇芯", Kind::WechatId, Named),
    ("威信", Kind::WechatId, Named),
    ("维信", Kind::WechatId, Named),
    ("徽信", Kind::WechatId, Named),
    ("微❤", Kind::WechatId, Named),
    ("薇❤", Kind::WechatId, Named),
    ("威❤", Kind::WechatId, Named),
    ("v信", Kind::WechatId, Named),
    ("v❤", Kind::WechatId, Named),
    ("vx", Kind::WechatId, Named),
    ("wx", Kind::WechatId, Named),
    ("卫星", Kind::WechatId, Sound),
    ("绿色软件", Kind::WechatId, Sound),
    ("v", Kind::WechatId, Letter),
    ("薇", Kind::WechatId, Letter),
    ("微", Kind::WechatId, Letter),
    ("威", Kind::WechatId, Letter),
    ("加卫星", Kind::WechatId, Asking),
    ("+卫星", Kind::WechatId, Asking),
    ("加我qq", Kind::QqId, Asking),
    ("加qq", Kind::QqId, Asking),
    ("加扣扣", Kind::QqId, Asking),
    ("加企鹅", Kind::QqId, Asking),
    ("加我q", Kind::QqId, Asking),
    ("加q", Kind::QqId, Asking),
    ("+qq", Kind::QqId, Asking),
    ("+q", Kind::QqId, Asking),
    ("qq", Kind::QqId, Named),
    ("扣扣", Kind::QqId, Named),
    ("扣裙", Kind::QqId, Letter),
    ("扣群", Kind::QqId, Named),
    ("扣q", Kind::QqId, Named),
    ("企鹅", Kind::QqId, Named),
    ("🐧", Kind::QqId, Named),
    ("群号", Kind::QqId, Named),
    ("q群", Kind::QqId, Named),
    ("q裙", Kind::QqId, Named),
    ("加群", Kind::QqId, Letter),
    ("加裙", Kind::QqId, Letter),
    ("进群", Kind::QqId, Letter),
    ("进裙", Kind::QqId, Letter),
    ("球球", Kind::QqId, Letter),
    ("秋秋", Kind::QqId, Letter),
    ("q", Kind::QqId, Letter),
];

/// The first characters of the triggers.
const FIRST: [char; 19] = [
    '加', '+', 'w', 'v', 'q', '微', '薇', '威', '维', '徽', '绿', '扣', '企', '🐧', '群', '球', '秋', '卫',
    '进',
];

/// Characters before 扣裙 that make it a skirt with buttons.
const BUTTONS: &str = "纽钮排按暗盘铜领";

/// Characters of words that may stand between the trigger and the id.
const BETWEEN: &str = "号帐账码是为我的搜加同名叫群裙";

/// Most glyphs between the trigger and the id.
const BETWEEN_MAX: usize = 8;

/// Beginnings of words that stand after 微信 without being an id.
const NO_IDS: &[&str] = &[
    "wechat", "weixin", "android", "iphone", "ipad", "ios", "mac", "windows", "win", "version", "ver",
    "huawei", "xiaomi", "redmi", "honor", "oppo", "vivo", "official", "store", "http", "pay", "model", "vip",
    "app",
];

/// Lengths of a WeChat id, and of a number that may be one or a QQ number.
const WECHAT_CHARS: std::ops::RangeInclusive<usize> = 6..=20;
const NUMBER_MIN: usize = 5;
const NUMBER_MAX: usize = 11;

/// What stands between a trigger and an id.
#[derive(Clone, Copy, Debug)]
struct Lead {
    /// The glyph where the id would begin.
    id_at: usize,
    /// A colon, 号, 是 or `id`: an id must follow.
    announced: bool,
    /// The trigger asks to be added.
    asking: bool,
}

/// Adds every id.
pub(super) fn find(glyphs: &[Glyph], numbers: &Numbers, out: &mut Vec<Candidate>) {
    let mut at = 0;
    while at < glyphs.len() {
        let Some((kind, strength, end)) = trigger_at(glyphs, at) else {
            at += 1;
            continue;
        };
        let (id_at, announced) = read_between(glyphs, end, strength);
        let lead = Lead { id_at, announced, asking: strength == Asking };
        let found = if kind == Kind::QqId {
            find_qq(glyphs, numbers, lead, strength)
        } else if glyphs.get(id_at).is_some_and(Glyph::is_letter) {
            find_wechat(glyphs, lead, strength, end)
        } else {
            find_wechat_number(glyphs, numbers, lead, strength)
        };
        at = end;
        out.extend(found);
    }
}

fn trigger_at(glyphs: &[Glyph], at: usize) -> Option<(Kind, Strength, usize)> {
    let first = glyphs.get(at)?.plain;
    if !FIRST.contains(&first) {
        return None;
    }
    let touches = |index: Option<usize>| index.and_then(|i| glyphs.get(i)).is_some_and(Glyph::is_letter);
    for (word, kind, strength) in TRIGGERS.iter().filter(|(word, ..)| word.starts_with(first)) {
        let Some(end) = word_at(glyphs, at, word) else { continue };
        let cut_left = glyphs.get(at).is_some_and(Glyph::is_letter)
            && (touches(at.checked_sub(1)) || is_address_sign(glyphs, at.checked_sub(1)));
        let latin_end = end.checked_sub(1).and_then(|last| glyphs.get(last)).is_some_and(Glyph::is_letter);
        // 加vabc123: the id begins right where the word ends.
        let cut_right = latin_end && *strength != Asking && touches(Some(end));
        let is_skirt = *word == "扣裙"
            && at.checked_sub(1).and_then(|b| glyphs.get(b)).is_some_and(|b| BUTTONS.contains(b.plain));
        if !cut_left && !cut_right && !is_skirt {
            return Some((*kind, *strength, end));
        }
    }
    None
}

fn is_address_sign(glyphs: &[Glyph], at: Option<usize>) -> bool {
    at.and_then(|at| glyphs.get(at)).is_some_and(|glyph| matches!(glyph.plain, '@' | '.' | '/' | '_' | '-'))
}

/// Latin words from so many letters on are read with digits for letters: w3ixin. Of shorter ones too little would be left.
const LEET_LETTERS_MIN: usize = 6;

/// Matches a word, with at most one sign or space between its characters; returns where it ends.
fn word_at(glyphs: &[Glyph], at: usize, word: &str) -> Option<usize> {
    let leet = word.is_ascii() && word.len() >= LEET_LETTERS_MIN;
    let spells = |glyph: &Glyph, c: char| glyph.plain == c || leet && letter_of_digit(glyph.plain) == Some(c);
    let mut end = at;
    for (index, c) in word.chars().enumerate() {
        let here = glyphs.get(end)?;
        if !spells(here, c) && index > 0 && (here.is_space() || here.is_sign() && here.plain != '\n') {
            end += 1;
        }
        spells(glyphs.get(end)?, c).then_some(())?;
        end += 1;
    }
    Some(end)
}

fn letter_of_digit(digit: char) -> Option<char> {
    match digit {
        '1' => Some('i'),
        '3' => Some('e'),
        '4' => Some('a'),
        _ => None,
    }
}

/// Looks through what may stand before an id.
fn read_between(glyphs: &[Glyph], from: usize, strength: Strength) -> (usize, bool) {
    let (mut at, mut announced) = (from, false);
    let in_word =
        |at: usize| glyphs.get(at).is_some_and(|next| next.is_word() && BETWEEN.contains(next.plain));
    while at < from + BETWEEN_MAX
        && let Some(glyph) = glyphs.get(at)
    {
        if glyph.is_word() {
            if !BETWEEN.contains(glyph.plain) {
                break;
            }
            announced |= matches!(glyph.plain, '号' | '是' | '为');
        } else if glyph.plain == '+' && strength == Sound {
            // 绿色软件 ➕ abc123 says what to do with it.
            announced = true;
        } else if glyph.plain == '.' && in_word(at + 1) {
            // 徽.信.号：a dot inside the word.
        } else if glyph.is_sign() {
            if matches!(
                glyph.plain,
                '/' | '@' | '.' | '。' | '!' | '?' | '%' | '¥' | '$' | '、' | '+' | '*' | '_'
            ) {
                break;
            }
            announced |= matches!(glyph.plain, ':' | '=');
        } else if glyph.is_letter() {
            let word: String =
                glyphs.iter().skip(at).take_while(|g| g.is_alnum()).take(3).map(|g| g.plain).collect();
            if word != "id" {
                break;
            }
            announced = true;
            at += 1;
        } else if glyph.is_digit() {
            break;
        }
        at += 1;
    }
    (at, announced)
}

fn find_wechat(glyphs: &[Glyph], lead: Lead, strength: Strength, trigger_end: usize) -> Option<Candidate> {
    let (id, end) = read_id(glyphs, lead.id_at)?;
    let marked = id.bytes().any(|b| b.is_ascii_digit() || b == b'_');
    // 加vabc123: nothing tells the letters of the word from those of the id.
    let touching = lead.id_at == trigger_end
        && trigger_end.checked_sub(1).and_then(|last| glyphs.get(last)).is_some_and(Glyph::is_letter);
    let said = match strength {
        Sound => lead.announced && id.bytes().any(|b| b.is_ascii_digit()),
        Letter => lead.announced,
        Named => lead.announced || marked && !touching,
        Asking => lead.announced || marked,
    };
    let is_word = NO_IDS.iter().any(|word| id.starts_with(word)) || touching && id.starts_with("ip");
    // A host or a mailbox goes on with these.
    let goes_on = glyphs.get(end).is_some_and(|next| matches!(next.plain, '@' | '/'))
        || glyphs.get(end).is_some_and(|next| next.plain == '.')
            && glyphs.get(end + 1).is_some_and(Glyph::is_letter);
    if !WECHAT_CHARS.contains(&id.len()) || !said || is_word || goes_on {
        return None;
    }
    let confidence = if lead.announced || lead.asking { 95 } else { 85 };
    let masked = masked(&id, 2, 1);
    Some(Candidate::new(Kind::WechatId, [lead.id_at, end], confidence, masked))
}

/// Reads letters, digits, `_` and `-`; or single characters with a space between each.
fn read_id(glyphs: &[Glyph], at: usize) -> Option<(String, usize)> {
    let in_id = |glyph: &Glyph| glyph.is_alnum() || matches!(glyph.plain, '_' | '-');
    let id: String = glyphs
        .iter()
        .skip(at)
        .take_while(|glyph| in_id(glyph))
        .take(WECHAT_CHARS.end() + 1)
        .map(|glyph| glyph.plain)
        .collect();
    let mut end = at + id.len();
    if id.len() != 1 {
        let id = id.trim_end_matches(['-', '_']);
        return (!id.is_empty()).then(|| (id.to_owned(), at + id.len()));
    }
    let mut id = id;
    while let Some([space, next]) = glyphs.get(end..end + 2)
        && space.is_space()
        && in_id(next)
        && !glyphs.get(end + 2).is_some_and(in_id)
        && id.len() <= *WECHAT_CHARS.end()
    {
        id.push(next.plain);
        end += 2;
    }
    Some((id, end))
}

fn find_wechat_number(
    glyphs: &[Glyph],
    numbers: &Numbers,
    lead: Lead,
    strength: Strength,
) -> Option<Candidate> {
    let (value, end) = numbers.number_at(lead.id_at, NUMBER_MIN + 2, NUMBER_MAX)?;
    let said = lead.announced || lead.asking;
    let fits = if mobile(&value) { said || strength == Named } else { said && !is_amount(glyphs, end) };
    if !fits || value.len() == NUMBER_MAX && !mobile(&value) {
        return None;
    }
    Some(number(Kind::WechatId, &value, [lead.id_at, end], 90))
}

fn find_qq(glyphs: &[Glyph], numbers: &Numbers, lead: Lead, strength: Strength) -> Option<Candidate> {
    let (value, end) = numbers.number_at(lead.id_at, NUMBER_MIN, NUMBER_MAX)?;
    let said = lead.announced || lead.asking;
    let fits = said || strength == Named && !is_day(&value);
    if !fits || value.first() == Some(&0) || mobile(&value) || is_amount(glyphs, end) {
        return None;
    }
    Some(number(Kind::QqId, &value, [lead.id_at, end], if said { 95 } else { 85 }))
}

fn number(kind: Kind, value: &[u8], glyphs: [usize; 2], confidence: u8) -> Candidate {
    let text: String = value.iter().map(|digit| char::from(b'0' + digit)).collect();
    let masked = if value.len() == NUMBER_MAX { masked(&text, 3, 4) } else { masked(&text, 2, 2) };
    Candidate::new(kind, glyphs, confidence, masked)
}

/// 20261127 is a day.
fn is_day(value: &[u8]) -> bool {
    matches!(value, [2, 0, _, _, 0 | 1, _, 0..=3, _])
}

/// A unit follows: money or a count.
fn is_amount(glyphs: &[Glyph], end: usize) -> bool {
    glyphs.get(end).is_some_and(|next| {
        matches!(
            next.plain,
            '元' | '块' | '%' | '个' | '人' | '分' | '万' | '份' | '名' | '位' | '件' | '单' | '积' | '@'
        ) || next.is_letter()
            || next.plain == '.' && glyphs.get(end + 1).is_some_and(Glyph::is_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trigger_is_looked_for() {
        for (word, ..) in TRIGGERS {
            assert!(word.chars().next().is_some_and(|c| FIRST.contains(&c)), "{word}");
        }
        // At one place the first that fits counts, so no word stands before a longer one that begins with it.
        for (index, (word, ..)) in TRIGGERS.iter().enumerate() {
            let hidden = TRIGGERS.iter().skip(index + 1).find(|(later, ..)| later.starts_with(word));
            assert_eq!(hidden, None, "{word}");
        }
    }
}
