//! Which hosts an address leads to: finds `http(s)://…` and `www.…` in a text, and reads the host as clients do.
//!
//! What a client opens and what a reader sees may differ (`brand.cn@evil.com`, `brand.cn／@evil.com`, `evil。com`), and
//! clients differ among each other. So an address has *readings*: as far as plain characters go, which is what chat
//! clients make clickable in Chinese text, and as the URL standard (WHATWG) reads the whole. Both are judged. What people
//! read and type themselves (without scheme and `www`, spaced, 点 for a dot) is recognised by the detectors and judged too.
//!
//! Not for: what follows the host.
//! Invariants: spans are whole grapheme clusters of the text; work grows linearly with the text, whatever it holds.

use percent_encoding::percent_decode_str;
use url::Host;

use crate::interception::detectors::{Detection, Room, detect};
use crate::interception::mask;

/// Longest host that is read, in bytes as written: a name has 253 at most, and IDNA costs time.
const HOST_BYTES_MAX: usize = 256;

/// Top-level domains in Chinese characters, so that `brand.cn快来` is not taken for a name below `cn快来`.
const HAN_TLDS: &[&str] = &[
    "世界",
    "中信",
    "中国",
    "中國",
    "中文网",
    "企业",
    "佛山",
    "信息",
    "健康",
    "八卦",
    "公司",
    "公益",
    "台湾",
    "台灣",
    "商城",
    "商店",
    "商标",
    "嘉里",
    "在线",
    "大拿",
    "天主教",
    "娱乐",
    "家電",
    "广东",
    "微博",
    "慈善",
    "我爱你",
    "手机",
    "招聘",
    "政务",
    "政府",
    "新加坡",
    "新闻",
    "时尚",
    "書籍",
    "机构",
    "淡马锡",
    "游戏",
    "澳門",
    "点看",
    "电讯盈科",
    "移动",
    "组织机构",
    "网址",
    "网店",
    "网站",
    "网络",
    "联通",
    "谷歌",
    "购物",
    "通販",
    "集团",
    "食品",
    "餐厅",
    "香格里拉",
    "香港",
];

/// An address and where it may lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Every host it may lead to: lower case, ASCII (punycode), without a final dot; an IP address in its usual form.
    pub(super) hosts: Vec<String>,
    /// A reading is no host at all; `hosts` then also holds what looks like one in it.
    pub(super) is_unreadable: bool,
    /// It stands inside another address, as what that one leads on to.
    pub(super) is_nested: bool,
    /// Where it stands, in bytes of the text.
    pub(super) span: [usize; 2],
}

/// Calls `visit` for each address in a text, in order: those that clients open, and those that the detectors recognise
/// although no client would.
pub(super) fn each_read(text: &str, room: &mut Room, visit: &mut dyn FnMut(Address)) {
    let (mut addresses, mut detections) = (Vec::new(), Vec::new());
    each_in(text, &mut |address| addresses.push(address));
    detect(text, room, &mut detections);
    for Detection { span, leads, .. } in detections {
        let Some(leads) = leads else { continue };
        let meets = |address: &&mut Address| address.span[0] < span[1] && span[0] < address.span[1];
        let Some(address) = addresses.iter_mut().find(meets) else {
            addresses.push(Address { hosts: vec![leads.host], is_unreadable: false, is_nested: false, span });
            continue;
        };
        // Written plainly, it is what clients read; a name in `brand.cn@evil.com` that they do not is none.
        if leads.is_disguised && !address.hosts.contains(&leads.host) {
            address.hosts.push(leads.host);
            address.span = [address.span[0].min(span[0]), address.span[1].max(span[1])];
        }
    }
    addresses.sort_by_key(|address| address.span);
    addresses.into_iter().for_each(visit);
}

/// Calls `visit` for each address in a text that clients open, in order.
pub(super) fn each_in(text: &str, visit: &mut dyn FnMut(Address)) {
    let mut at = 0;
    let mut outer_end = 0;
    let mut run = Run::default();
    while let Some((start, authority)) = next_marker(text, at) {
        let soft_end = soft_end(text, authority);
        let end = path_end(text, soft_end);
        run.reach(text, authority);
        let mut address = Address {
            hosts: Vec::new(),
            is_unreadable: false,
            is_nested: start < outer_end,
            span: mask::widen(text, [start, end]),
        };
        address.read_soft(part(text, authority, soft_end));
        if run.end > soft_end {
            address.read_whole(run.host(text, authority));
        }
        if address.is_unreadable || !address.hosts.is_empty() {
            visit(address);
            outer_end = outer_end.max(end);
        }
        at = soft_end;
    }
}

/// Calls `visit` for the address that an attachment leads to, and for those that its path and query lead on to. All
/// spans are empty.
pub(super) fn each_of(url: &str, visit: &mut dyn FnMut(Address)) {
    // As the standard does; a client that does not would not open it at all.
    let url: String = url.trim().chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect();
    if url.is_empty() {
        return;
    }
    let mut address = Address { hosts: Vec::new(), is_unreadable: false, is_nested: false, span: [0, 0] };
    let authority = match scheme_end(&url, 0, 0) {
        Some(authority) => authority,
        // Another scheme opens another program: no host of ours to judge it by.
        None if url.contains("://") => {
            address.is_unreadable = true;
            0
        }
        None => 0,
    };
    let hard_end = after(&url, authority, is_hard_end);
    if !address.is_unreadable {
        let run = part(&url, authority, hard_end);
        let host = run.rsplit_once('@').map_or(run, |(_, host)| host);
        address.read_soft(part(&url, authority, soft_end(&url, authority)));
        if !address.read(host, Plausible::Always) {
            address.is_unreadable = true;
        }
    }
    visit(address);
    let rest = percent_decode_str(url.get(hard_end..).unwrap_or_default()).decode_utf8_lossy();
    each_in(&rest, &mut |nested| visit(Address { is_nested: true, span: [0, 0], ..nested }));
}

/// Which hosts a reading may yield.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plausible {
    Always,
    /// Only below a top-level domain that there may be: the end of a sentence makes no name.
    BelowTld,
}

impl Address {
    /// Reads plain characters, as chat clients do.
    fn read_soft(&mut self, written: &str) {
        let folded: String = written.chars().map(half).collect();
        let host = folded.rsplit_once('@').map_or(&*folded, |(_, host)| host);
        let host = host.trim_end_matches(['.', '-']);
        // `www.` with nothing behind it is no address.
        if !host.is_empty() && host != "www" && !self.read(host, Plausible::Always) {
            self.is_unreadable = true;
            self.read_pieces(host);
        }
    }

    /// Reads everything up to the path, as the standard does.
    fn read_whole(&mut self, host: Option<&str>) {
        if let Some(host) = host {
            self.read(host, Plausible::BelowTld);
        } else {
            self.is_unreadable = true;
        }
    }

    /// Reads `host:port`; false when it is none.
    fn read(&mut self, host_port: &str, plausible: Plausible) -> bool {
        let host = without_port(host_port);
        if host.len() > HOST_BYTES_MAX {
            return false;
        }
        let Some((name, tld_is_known)) = host_of(host) else { return false };
        if (plausible == Plausible::Always || tld_is_known) && !self.hosts.contains(&name) {
            self.hosts.push(name);
        }
        true
    }

    /// Takes what looks like names out of what is no host: better one too many than none.
    fn read_pieces(&mut self, host: &str) {
        let decoded = percent_decode_str(host).decode_utf8_lossy().to_lowercase();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        for piece in decoded.split(|c| !is_name(c)).map(|piece| piece.trim_matches('.')) {
            if piece.contains('.') && !self.hosts.iter().any(|host| host == piece) {
                self.hosts.push(piece.to_owned());
            }
        }
    }
}

/// Reads a host as the URL standard does, and says whether it lies below a top-level domain that there may be.
pub(super) fn host_of(written: &str) -> Option<(String, bool)> {
    let name = match Host::parse(written).ok()? {
        Host::Domain(name) => name,
        Host::Ipv4(address) => return Some((address.to_string(), true)),
        Host::Ipv6(address) => return Some((format!("[{address}]"), true)),
    };
    let name = name.trim_end_matches('.');
    let tld = name.rsplit('.').next().unwrap_or_default();
    let is_known = if tld.starts_with("xn--") {
        let label = written.trim_end_matches(is_dot).rsplit(is_dot).next().unwrap_or_default();
        label.is_ascii() || HAN_TLDS.contains(&label)
    } else {
        tld.len() >= 2 && tld.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    (!name.is_empty()).then(|| (name.to_owned(), is_known))
}

fn is_dot(c: char) -> bool {
    matches!(c, '.' | '。' | '．' | '｡')
}

/// Cuts off `:port`; a colon inside brackets belongs to an IPv6 address.
fn without_port(host_port: &str) -> &str {
    match host_port.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        Some(_) | None => host_port,
    }
}

/// The stretch up to where the standard ends an authority; the same for all markers inside it, so it is looked for once.
#[derive(Default)]
struct Run {
    end: usize,
    /// Just after its last `@`.
    after_at: Option<usize>,
}

impl Run {
    fn reach(&mut self, text: &str, authority: usize) {
        if authority < self.end {
            return;
        }
        self.end = after(text, authority, is_hard_end);
        let run = part(text, authority, self.end);
        self.after_at = run.rfind('@').map(|at| authority + at + 1);
    }

    /// The host by the standard; `None` when it is too long to be one and yet something else goes before it.
    fn host<'t>(&self, text: &'t str, authority: usize) -> Option<&'t str> {
        let after_at = self.after_at.filter(|at| *at > authority);
        let host = part(text, after_at.unwrap_or(authority), self.end);
        (host.len() <= HOST_BYTES_MAX || after_at.is_none()).then_some(host)
    }
}

/// Finds the next `http(s)://` or `www.` from `from` on: where it starts, and where its authority does.
fn next_marker(text: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    // Every message is looked through, and most hold neither letter: no character is decoded for them.
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        let is_scheme = match (byte, bytes.get(at + 1..at + 3)) {
            (b'h' | b'H', _) | (0xEF, Some([0xBD, 0x88] | [0xBC, 0xA8])) => true, // ｈ Ｈ
            (b'w' | b'W', _) | (0xEF, Some([0xBD, 0x97] | [0xBC, 0xB7])) => false, // ｗ Ｗ
            _ => continue,
        };
        if is_scheme {
            if let Some(authority) = scheme_end(text, at, 1) {
                return Some((at, authority));
            }
        } else if starts(text, at, "www.").is_some() {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            if !before.is_some_and(is_word) {
                return Some((at, at));
            }
        }
    }
    None
}

/// Returns where the authority begins after `http:` or `https:` and at least `slashes_min` slashes, either way round.
fn scheme_end(text: &str, at: usize, slashes_min: usize) -> Option<usize> {
    let scheme = starts(text, at, "https:").or_else(|| starts(text, at, "http:"))?;
    let end = after(text, scheme, |c| !matches!(half(c), '/' | '\\'));
    let slashes = part(text, scheme, end).chars().count();
    (slashes >= slashes_min).then_some(end)
}

/// Returns where `word` ends when the text goes on with it at `at`, in any case and width.
fn starts(text: &str, at: usize, word: &str) -> Option<usize> {
    let mut rest = text.get(at..)?.chars();
    let mut end = at;
    for expected in word.chars() {
        let c = rest.next()?;
        if half(c).to_ascii_lowercase() != expected {
            return None;
        }
        end += c.len_utf8();
    }
    Some(end)
}

/// Where plain host characters end. An ideographic full stop counts as a dot only when plain characters follow.
fn soft_end(text: &str, from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let mut chars = rest.char_indices().peekable();
    while let Some((offset, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| half(*next));
        let goes_on = match half(c) {
            '.' if is_dot(c) && !c.is_ascii() => next.is_some_and(|next| next.is_ascii_alphanumeric()),
            ':' => next.is_some_and(|next| next.is_ascii_digit()),
            // The last ones are invisible, and dropped by the standard.
            '.' | '-' | '_' | '%' | '@' | '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' => true,
            plain => plain.is_ascii_alphanumeric(),
        };
        if !goes_on {
            return from + offset;
        }
    }
    text.len()
}

/// Where the path and query behind a host end: at the first white space, quotation mark or character beyond ASCII.
fn path_end(text: &str, from: usize) -> usize {
    let starts_path = text
        .get(from..)
        .and_then(|rest| rest.chars().next())
        .is_some_and(|c| matches!(c, '/' | '\\' | '?' | '#'));
    if starts_path {
        after(text, from, |c| !c.is_ascii_graphic() || matches!(c, '"' | '<' | '>' | '`'))
    } else {
        from
    }
}

/// Where the standard ends an authority; white space and brackets end it for everybody who finds one in a text.
fn is_hard_end(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '/' | '\\' | '?' | '#' | '"' | '<' | '>' | '`')
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '@' | '/' | '_')
}

/// Full-width forms as their half-width twins, and both ideographic full stops as dots.
fn half(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '。' | '｡' => '.',
        _ => c,
    }
}

/// The first position from `from` on whose character fulfils `ends`.
fn after(text: &str, from: usize, ends: impl Fn(char) -> bool) -> usize {
    text.get(from..).and_then(|rest| rest.find(ends)).map_or(text.len(), |offset| from + offset)
}

fn part(text: &str, from: usize, to: usize) -> &str {
    text.get(from..to).unwrap_or_default()
}
