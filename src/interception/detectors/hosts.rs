//! Addresses of the net: links (into groups, of people, of any kind), e-mail, IPv4; with the dot written as 点 or 。,
//! spaces around it, `hxxp` for the scheme.
//!
//! A bare name needs a top-level domain of the lists here; a disguised dot needs one of the few that are no words.

mod ipv4;
mod links;

use super::glyphs::Glyph;
use super::{Candidate, Kind, masked};

/// Domains under which bare names are taken for links.
const DOMAINS: &[&str] = &[
    "app", "asia", "biz", "cc", "cloud", "club", "cn", "co", "com", "de", "edu", "fun", "gg", "gov", "group",
    "hk", "icu", "im", "info", "ink", "io", "jp", "kr", "link", "live", "ltd", "me", "mobi", "net", "online",
    "org", "pro", "pub", "ru", "shop", "site", "so", "space", "store", "tech", "to", "top", "tv", "tw", "uk",
    "us", "vip", "wang", "website", "win", "work", "ws", "xin", "xyz",
];

/// Domains that are no words: a name before one is a link even where the dot is disguised.
const DOMAINS_SURE: &[&str] = &["cc", "cn", "com", "icu", "net", "org", "top", "xyz"];

/// Hosts of mailboxes: before one of these, spaces and words for @ are looked through.
const MAILBOXES: &[&str] = &[
    "126.com",
    "139.com",
    "163.com",
    "189.cn",
    "aliyun.com",
    "foxmail.com",
    "gmail.com",
    "hotmail.com",
    "icloud.com",
    "live.com",
    "outlook.com",
    "qq.com",
    "sina.cn",
    "sina.com",
    "sohu.com",
    "vip.qq.com",
    "yahoo.com",
    "yeah.net",
];

/// Most labels of a host and most characters of a label: those of DNS, shortened to what people write.
const LABELS_MAX: usize = 6;
const LABEL_CHARS_MAX: usize = 63;

/// A host read from glyphs.
#[derive(Debug)]
struct Host {
    name: String,
    /// One past its last glyph.
    end: usize,
    /// Dots or letters were not written plainly.
    disguised: bool,
}

/// Adds every address.
pub(super) fn find(glyphs: &[Glyph], out: &mut Vec<Candidate>) {
    let mut at = 0;
    while at < glyphs.len() {
        // Every address begins with a word that goes on with a sign, a space or a word for a dot or an @.
        let rest = glyphs.get(at..).unwrap_or_default();
        let word = rest.iter().take_while(|glyph| glyph.is_alnum()).count();
        let after = rest.get(word);
        if word == 0 || after.is_none_or(|after| after.is_word() && !matches!(after.plain, '点' | '艾')) {
            at += word.max(1);
            continue;
        }
        let found =
            find_email(glyphs, at).or_else(|| links::find(glyphs, at)).or_else(|| ipv4::find(glyphs, at));
        at = found.as_ref().map_or(at + 1, |candidate| candidate.glyphs[1].max(at + 1));
        out.extend(found);
    }
}

/// Says whether a label may begin here: no letter or digit of the same word stands before.
fn starts_word(glyphs: &[Glyph], at: usize) -> bool {
    glyphs.get(at).is_some_and(Glyph::is_alnum)
        && at.checked_sub(1).and_then(|before| glyphs.get(before)).is_none_or(|before| {
            !before.is_alnum() && !matches!(before.plain, '@' | '.' | '_' | '/') && (before.plain != '-')
        })
}

/// Reads a host with a known domain; the longest one that begins here.
fn read_host(glyphs: &[Glyph], at: usize) -> Option<Host> {
    let mut labels: Vec<String> = Vec::new();
    let (mut end, mut disguised) = (at, false);
    let mut best = None;
    for _ in 0..LABELS_MAX {
        let (label, after, spaced) = read_label(glyphs, end)?;
        disguised |= spaced;
        let domain = label.as_str();
        let sure = DOMAINS_SURE.contains(&domain);
        let name = labels.iter().map(String::as_str).chain([domain]).collect::<Vec<_>>().join(".");
        let known = sure || !disguised && DOMAINS.contains(&domain) || links::is_known(&name);
        if known && is_name(&labels, sure) {
            best = Some(Host { name, end: after, disguised });
        }
        labels.push(label);
        let Some((next, plain)) = read_dot(glyphs, after) else { return best };
        if !glyphs.get(next).is_some_and(Glyph::is_alnum) {
            return best;
        }
        (disguised, end) = (disguised || !plain, next);
    }
    best
}

/// Says whether a name lies below a domain that is no word.
fn has_sure_domain(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|domain| DOMAINS_SURE.contains(&domain))
}

/// The labels before a domain: at least one, with a letter unless the domain is a sure one (163.com).
fn is_name(labels: &[String], sure: bool) -> bool {
    let letters = labels.iter().any(|label| label.bytes().any(|b| b.is_ascii_alphabetic()));
    !labels.is_empty() && (letters || sure && labels.iter().all(|label| label.len() > 1))
}

/// Reads letters, digits and dashes; or single letters with a space between each (c o m). Says whether it was so.
fn read_label(glyphs: &[Glyph], at: usize) -> Option<(String, usize, bool)> {
    let in_label = |glyph: &Glyph| glyph.is_alnum() || glyph.plain == '-';
    let mut label: String = glyphs
        .iter()
        .skip(at)
        .take_while(|glyph| in_label(glyph))
        .take(LABEL_CHARS_MAX + 1)
        .map(|glyph| glyph.plain)
        .collect();
    let mut end = at + label.chars().count();
    if label.is_empty() || label.len() > LABEL_CHARS_MAX || label.starts_with('-') {
        return None;
    }
    if label.len() > 1 {
        return Some((label, end, false));
    }
    let mut spaced = false;
    while let Some([space, letter]) = glyphs.get(end..end + 2)
        && space.is_space()
        && letter.is_alnum()
        && !glyphs.get(end + 2).is_some_and(in_label)
        && label.len() < LABEL_CHARS_MAX
    {
        label.push(letter.plain);
        end += 2;
        spaced = true;
    }
    Some((label, end, spaced))
}

/// Reads a dot in any form; returns where it ends and whether it was a plain one.
fn read_dot(glyphs: &[Glyph], at: usize) -> Option<(usize, bool)> {
    let plain_at = |at: usize| glyphs.get(at).map(|glyph| glyph.plain);
    if plain_at(at) == Some('.') && glyphs.get(at + 1).is_some_and(Glyph::is_alnum) {
        return Some((at + 1, true));
    }
    let skip = |mut at: usize| {
        let from = at;
        while at < from + 2
            && matches!(plain_at(at), Some(' ' | '(' | ')' | '[' | ']' | '【' | '】' | '{' | '}'))
        {
            at += 1;
        }
        at
    };
    let dot = skip(at);
    match plain_at(dot)? {
        '.' | '。' | '点' | '·' | '•' | '●' => Some((skip(dot + 1), false)),
        // A comma for a dot has no space after it.
        ',' if dot == at && glyphs.get(at + 1).is_some_and(Glyph::is_letter) => Some((at + 1, false)),
        'd' if dot > at => {
            let word: String = glyphs.iter().skip(dot).take(3).map(|glyph| glyph.plain).collect();
            let after = skip(dot + 3);
            (word == "dot" && after > dot + 3).then_some((after, false))
        }
        _ => None,
    }
}

/// Finds an e-mail address whose mailbox begins at a glyph.
fn find_email(glyphs: &[Glyph], at: usize) -> Option<Candidate> {
    if !starts_word(glyphs, at) {
        return None;
    }
    let in_name = |glyph: &&Glyph| glyph.is_alnum() || matches!(glyph.plain, '.' | '_' | '-' | '+' | '%');
    let length = glyphs.iter().skip(at).take_while(in_name).count();
    let mailbox: String = glyphs.iter().skip(at).take(length).map(|glyph| glyph.plain).collect();
    let (host_at, plain) = read_at(glyphs, at + length)?;
    let host = read_host(glyphs, host_at)?;
    let known = MAILBOXES.contains(&host.name.as_str());
    if mailbox.len() > 64 || !plain && !known {
        return None;
    }
    let confidence = if plain && !host.disguised { 100 } else { 90 };
    let masked = format!("{}@{}", masked(&mailbox, 1, 0), host.name);
    Some(Candidate::new(Kind::Email, [at, host.end], confidence, masked))
}

/// Reads an @ or a word for it; says whether it was plain.
fn read_at(glyphs: &[Glyph], at: usize) -> Option<(usize, bool)> {
    let plain_at = |at: usize| glyphs.get(at).map(|glyph| glyph.plain);
    if plain_at(at)? == '@' && glyphs.get(at + 1).is_some_and(Glyph::is_alnum) {
        return Some((at + 1, true));
    }
    let is_filler = |at: usize| matches!(plain_at(at), Some(' ' | '(' | ')' | '[' | ']' | '【' | '】' | '#'));
    let mut end = at;
    while end < at + 2 && is_filler(end) {
        end += 1;
    }
    end = match (plain_at(end)?, plain_at(end + 1)) {
        ('@', _) => end + 1,
        ('艾', Some('特')) => end + 2,
        ('a', Some('t')) if end > at && is_filler(end + 2) => end + 2,
        _ => return None,
    };
    let from = end;
    while end < from + 2 && is_filler(end) {
        end += 1;
    }
    glyphs.get(end).is_some_and(Glyph::is_alnum).then_some((end, false))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::interception::detectors::glyphs;

    /// Looks at every glyph, whatever stands there.
    fn find_everywhere(glyphs: &[Glyph]) -> Vec<Candidate> {
        let (mut at, mut out) = (0, Vec::new());
        while at < glyphs.len() {
            let found =
                find_email(glyphs, at).or_else(|| links::find(glyphs, at)).or_else(|| ipv4::find(glyphs, at));
            at = found.as_ref().map_or(at + 1, |candidate| candidate.glyphs[1].max(at + 1));
            out.extend(found);
        }
        out
    }

    proptest! {
        #[test]
        fn no_address_is_passed_over(pieces in prop::collection::vec(prop::sample::select(vec![
            "a", "b7", "qq", "com", "c o m", "http", "hxxps", "://", ".", "点", "。", "·", ",", " ", "(", ")", "dot", "@", "艾特",
            "10", "1.2.3.4", "８", "一", "加", "好", "-", "_", "/x", ":80", "t.me", "\n",
        ]), 0..12)) {
            let (mut read, mut found) = (Vec::new(), Vec::new());
            glyphs::read(&pieces.concat(), &mut read);
            find(&read, &mut found);
            let told = |all: &[Candidate]| all.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>();
            prop_assert_eq!(told(&found), told(&find_everywhere(&read)));
        }
    }
}
