//! Links: web addresses, and which of them lead into a group or to a person.

use super::{Host, has_sure_domain, read_host, read_label, starts_word};
use crate::interception::detectors::glyphs::Glyph;
use crate::interception::detectors::{Candidate, Kind, Leads};

/// Hosts and beginnings of paths that lead into a group.
const INVITES: &[(&str, &str)] = &[
    ("weixin.qq.com", "/g/"),
    ("work.weixin.qq.com", "/gm/"),
    ("work.weixin.qq.com", "/join"),
    ("qm.qq.com", "/q/"),
    ("qm.qq.com", "/cgi-bin/qm/qr"),
    ("jq.qq.com", ""),
    ("qun.qq.com", ""),
    ("t.me", "/"),
    ("telegram.me", "/"),
    ("chat.whatsapp.com", "/"),
    ("discord.gg", "/"),
    ("discord.com", "/invite/"),
    ("line.me", "/ti/g"),
    ("line.me", "/r/ti/g"),
    ("qr.dingtalk.com", ""),
    ("applink.feishu.cn", "/client/chat"),
];

/// Hosts and beginnings of paths that QR codes of people, accounts and payments hold.
const CODES: &[(&str, &str)] = &[
    ("u.wechat.com", ""),
    ("weixin.qq.com", "/r/"),
    ("work.weixin.qq.com", "/ca/"),
    ("work.weixin.qq.com", "/kfid/"),
    ("wework.qpic.cn", ""),
    ("qr.alipay.com", ""),
    ("qianbao.qq.com", ""),
    ("i.qianbao.qq.com", ""),
    ("payapp.weixin.qq.com", ""),
    ("wa.me", "/"),
    ("line.me", "/ti/p"),
    ("line.me", "/r/ti/p"),
];

/// Longest link, in characters.
const LINK_GLYPHS_MAX: usize = 2_048;

/// Finds a link that begins at a glyph.
pub(super) fn find(glyphs: &[Glyph], at: usize) -> Option<Candidate> {
    if !starts_word(glyphs, at) {
        return None;
    }
    let after_scheme = read_scheme(glyphs, at);
    if let Some((host_at, true)) = after_scheme {
        let end = read_path(glyphs, host_at);
        let masked = "wxp://…".to_owned();
        return (end > host_at + 3).then_some(Candidate::new(Kind::Qr, [at, end], 100, masked));
    }
    let host = match after_scheme {
        Some((host_at, _)) => read_host(glyphs, host_at).or_else(|| read_any_host(glyphs, host_at))?,
        None => read_host(glyphs, at).filter(|host| ends_name(glyphs, host))?,
    };
    let end = read_path(glyphs, read_port(glyphs, host.end)).max(host.end);
    let path: String = glyphs.iter().take(end).skip(host.end).map(|glyph| glyph.plain).collect();
    let kind = kind_of(&host.name, &path);
    let confidence = match (after_scheme.is_some(), host.disguised) {
        (_, false) => 100,
        (true, true) => 95,
        (false, true) => 85,
    };
    let masked = if path.is_empty() { host.name.clone() } else { format!("{}/…", host.name) };
    let is_certain = after_scheme.is_some() || has_sure_domain(&host.name) || is_known(&host.name);
    let leads = Some(Leads { host: host.name, is_disguised: host.disguised, is_certain });
    Some(Candidate { kind, glyphs: [at, end], confidence, masked, leads })
}

/// Says whether a host is one of those with a meaning of their own.
pub(super) fn is_known(host: &str) -> bool {
    INVITES.iter().chain(CODES).any(|(known, _)| host == *known)
}

fn kind_of(host: &str, path: &str) -> Kind {
    let host = host.strip_prefix("www.").unwrap_or(host);
    let fits = |(known, beginning): &(&str, &str)| host == *known && path.starts_with(beginning);
    if INVITES.iter().any(fits) {
        Kind::Invite
    } else if CODES.iter().any(fits) {
        Kind::Qr
    } else {
        Kind::Url
    }
}

/// Reads `http://` and its kin, also `hxxp` and with spaces; true for WeChat's scheme of payment codes.
fn read_scheme(glyphs: &[Glyph], at: usize) -> Option<(usize, bool)> {
    let (word, mut end, _) = read_label(glyphs, at)?;
    let is_payment = word == "wxp";
    if !is_payment && !matches!(word.as_str(), "http" | "https" | "hxxp" | "hxxps" | "httpx" | "ftp") {
        return None;
    }
    for sign in [':', '/', '/'] {
        let spaces = glyphs.iter().skip(end).take_while(|glyph| glyph.is_space()).take(2).count();
        glyphs.get(end + spaces).filter(|glyph| glyph.plain == sign)?;
        end += spaces + 1;
    }
    let spaces = glyphs.iter().skip(end).take_while(|glyph| glyph.is_space()).take(2).count();
    Some((end + spaces, is_payment))
}

/// Reads a host after a scheme: any labels with plain dots will do.
fn read_any_host(glyphs: &[Glyph], at: usize) -> Option<Host> {
    let in_host = |glyph: &&Glyph| glyph.is_alnum() || matches!(glyph.plain, '.' | '-');
    let mut name: String =
        glyphs.iter().skip(at).take_while(in_host).take(255).map(|glyph| glyph.plain).collect();
    let whole = name.trim_end_matches(['.', '-']).len();
    name.truncate(whole);
    // All of it is ASCII: one glyph a byte.
    (name.contains('.') && !name.starts_with('.')).then(|| Host {
        end: at + name.len(),
        name,
        disguised: false,
    })
}

/// A bare name is whole: no letter, digit or @ goes on where it ends.
fn ends_name(glyphs: &[Glyph], host: &Host) -> bool {
    glyphs.get(host.end).is_none_or(|next| !next.is_alnum() && !matches!(next.plain, '@' | '_' | '-'))
}

fn read_port(glyphs: &[Glyph], at: usize) -> usize {
    let digits = glyphs.iter().skip(at + 1).take_while(|glyph| glyph.is_alnum() && glyph.is_digit()).count();
    let is_port = glyphs.get(at).is_some_and(|glyph| glyph.plain == ':') && (1..=5).contains(&digits);
    if is_port { at + 1 + digits } else { at }
}

/// Reads a path and query up to white space or a word; signs of the sentence around are left out.
fn read_path(glyphs: &[Glyph], at: usize) -> usize {
    let slash = |glyph: &Glyph| matches!(glyph.plain, '/' | '?') && glyph.is_sign();
    let goes_on = |glyph: &&Glyph| {
        glyph.is_alnum()
            || glyph.original.is_ascii() && glyph.is_sign() && !matches!(glyph.plain, '\n' | '"' | '<' | '>')
    };
    let begins = glyphs.get(at).is_some_and(|glyph| {
        slash(glyph) || at.checked_sub(1).and_then(|b| glyphs.get(b)).is_some_and(slash)
    });
    if !begins {
        return at;
    }
    let first = usize::from(glyphs.get(at).is_some_and(|glyph| !glyph.original.is_ascii()));
    let length = first + glyphs.iter().skip(at + first).take(LINK_GLYPHS_MAX).take_while(goes_on).count();
    let path = glyphs.get(at..at + length).unwrap_or_default();
    let trailing = path
        .iter()
        .rev()
        .take_while(|glyph| matches!(glyph.plain, '.' | ',' | ')' | ']' | '!' | '?' | ';' | ':' | '\''))
        .count();
    at + length - trailing
}
