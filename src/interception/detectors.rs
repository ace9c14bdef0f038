//! Detectors: contact details and numbers that no list can hold, recognised by their form and checked.
//!
//! Digits and letters count in any style: ①, １, 壹, 一, 𝟏, ¹; with spaces, dashes or pictures between. What looks like
//! a number people mean otherwise is none: a price, an order number, a date, a run inside a longer number.
//! Strict rather than complete: a wrong detection embarrasses, a missed one is one of many.
//!
//! Not for: what follows from a detection (the policy says), nor for images: a QR code is known by the link in it.
//! Invariants: spans are whole grapheme clusters of the original text, in order and apart from each other; a text
//! without enough letters and digits is left after one pass over it.

mod checks;
mod contacts;
mod gate;
mod glyphs;
mod hosts;
mod numbers;

use super::audience::Speaker;
use super::fold::foldings;
use super::mask::widen;
use crate::event::{Level, Verdict, Via};
use gate::may_detect;
use glyphs::Glyph;
use numbers::Numbers;

/// The wordlist that detections are hits of; a policy that names its lists has detectors only if it names this one.
pub const DETECTORS: &str = "detectors";

/// What was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    // In the order of precedence: of two that overlap the earlier stays.
    /// A link into a group.
    Invite,
    /// A link that QR codes of people and payments hold.
    Qr,
    /// A resident identity number with its check digit.
    ResidentId,
    /// A bank card number with its check digit.
    BankCard,
    /// A WeChat id after a word for WeChat.
    WechatId,
    /// A QQ number after a word for QQ.
    QqId,
    /// An e-mail address.
    Email,
    /// A web address.
    Url,
    /// An IPv4 address.
    Ipv4,
    /// A Chinese mobile number.
    Mobile,
    /// A Chinese landline number with its area code, or a service number.
    Landline,
}

impl Kind {
    /// Every kind, in the order of precedence.
    pub(super) const ALL: [Self; 11] = [
        Self::Invite,
        Self::Qr,
        Self::ResidentId,
        Self::BankCard,
        Self::WechatId,
        Self::QqId,
        Self::Email,
        Self::Url,
        Self::Ipv4,
        Self::Mobile,
        Self::Landline,
    ];

    /// Returns the category of its hits; their term, too, since what matched is stored nowhere.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Qr => "qr",
            Self::ResidentId => "resident_id",
            Self::BankCard => "bank_card",
            Self::WechatId => "wechat_id",
            Self::QqId => "qq_id",
            Self::Email => "email",
            Self::Url => "url",
            Self::Ipv4 => "ipv4",
            Self::Mobile => "mobile",
            Self::Landline => "landline",
        }
    }

    /// Returns its level, and the verdict where that does not follow from the level.
    ///
    /// Ways out of the group are looked at, but for those that staff show: giving the shop's is their work. Numbers that
    /// harm their owner are hidden. Phones and addresses are counted: they are given all day.
    pub(super) fn default_rule(self, speaker: Speaker) -> (Level, Option<Verdict>) {
        match self {
            Self::Invite | Self::Qr | Self::WechatId | Self::QqId => {
                (Level::Medium, (speaker == Speaker::Staff).then_some(Verdict::Pass))
            }
            Self::ResidentId | Self::BankCard => (Level::Medium, Some(Verdict::Mask)),
            Self::Email | Self::Url | Self::Ipv4 | Self::Mobile | Self::Landline => {
                (Level::Low, Some(Verdict::Pass))
            }
        }
    }
}

/// Something recognised in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Detection {
    /// What.
    pub(super) kind: Kind,
    /// Bytes of the original text, half-open, whole grapheme clusters.
    pub(super) span: [usize; 2],
    /// By which foldings.
    pub(super) via: Vec<Via>,
    /// How sure it is, in percent.
    pub(super) confidence: u8,
    /// What may be shown and stored of it: `138****5678`.
    pub(super) masked: String,
    /// Where it leads, for a link.
    pub(super) leads: Option<Leads>,
}

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leads {
    /// The host, in lower case.
    pub(super) host: String,
    /// Its dots or letters were not written plainly, so that clients read something else or nothing.
    pub(super) is_disguised: bool,
    /// Nothing else can be meant: it has a scheme, or a domain that is no word. `jia.wei.xin` may also be pinyin.
    pub(super) is_certain: bool,
}

impl Detection {
    /// Returns its level, and the verdict where that does not follow from the level: what holds where the policy says
    /// nothing of it.
    ///
    /// Our own sends may show WeCom's and Weixin's own pages, as staff may show any: the shop's service desk, its code,
    /// its articles and its channel are there.
    pub(super) fn default_rule(&self, speaker: Speaker) -> (Level, Option<Verdict>) {
        let (level, verdict) = self.kind.default_rule(speaker);
        let is_shown = speaker == Speaker::Own && self.leads.as_ref().is_some_and(Leads::is_official);
        (level, if is_shown { Some(Verdict::Pass) } else { verdict })
    }

    /// Says whether it is an address of the net, whose letters spell no word of the text around.
    pub(super) fn is_address(&self) -> bool {
        self.kind == Kind::Email || self.leads.as_ref().is_some_and(|leads| leads.is_certain)
    }
}

impl Leads {
    /// Says whether it is a page of WeCom or Weixin; not their payment codes, which say nothing of who is paid.
    fn is_official(&self) -> bool {
        let is_below =
            self.host.strip_suffix("weixin.qq.com").is_some_and(|b| b.is_empty() || b.ends_with('.'));
        self.host == "wework.qpic.cn" || is_below && self.host != "payapp.weixin.qq.com"
    }
}

/// Before the span is widened and the text compared: positions of glyphs.
#[derive(Clone, Debug)]
struct Candidate {
    kind: Kind,
    /// Glyphs, half-open.
    glyphs: [usize; 2],
    confidence: u8,
    masked: String,
    leads: Option<Leads>,
}

impl Candidate {
    /// Makes one that is no link.
    fn new(kind: Kind, glyphs: [usize; 2], confidence: u8, masked: String) -> Self {
        Self { kind, glyphs, confidence, masked, leads: None }
    }
}

/// Room to work in, kept by the caller.
#[derive(Debug, Default)]
pub(super) struct Room {
    glyphs: Vec<Glyph>,
    numbers: Numbers,
    candidates: Vec<Candidate>,
}

/// Writes what is recognised in `text` over what `out` held.
pub(super) fn detect(text: &str, room: &mut Room, out: &mut Vec<Detection>) {
    out.clear();
    if !may_detect(text) {
        return;
    }
    glyphs::read(text, &mut room.glyphs);
    room.numbers.read(&room.glyphs);
    room.candidates.clear();
    hosts::find(&room.glyphs, &mut room.candidates);
    contacts::find(&room.glyphs, &room.numbers, &mut room.candidates);
    numbers::find(&room.glyphs, &room.numbers, &mut room.candidates);

    room.candidates.sort_by_key(|c| (c.kind, std::cmp::Reverse(c.glyphs[1] - c.glyphs[0])));
    for candidate in &room.candidates {
        let Some(matched) = room.glyphs.get(candidate.glyphs[0]..candidate.glyphs[1]) else { continue };
        let (Some(first), Some(last)) = (matched.first(), matched.last()) else { continue };
        let span = widen(text, [first.start, last.end]);
        if out.iter().any(|other| other.span[0] < span[1] && span[0] < other.span[1]) {
            continue;
        }
        out.push(Detection {
            kind: candidate.kind,
            span,
            via: via(matched),
            confidence: candidate.confidence,
            masked: candidate.masked.clone(),
            leads: candidate.leads.clone(),
        });
    }
    out.sort_unstable_by_key(|detection| detection.span);
}

/// Case is no disguise of an address or a number.
fn via(matched: &[Glyph]) -> Vec<Via> {
    let mut all = Vec::new();
    for glyph in matched {
        if glyph.is_ideograph() {
            all.push(Via::Style);
        } else if glyph.is_alnum() {
            all.extend(foldings(glyph.original).filter(|via| *via != Via::Case));
        } else if glyph.is_space() || (!glyph.original.is_ascii() && !glyph.is_word()) {
            all.push(Via::Gap);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Hides all but the first and the last characters of a value: at most two thirds of it can be seen.
fn masked(value: &str, first: usize, last: usize) -> String {
    let length = value.chars().count();
    let (first, last) = if first + last > length * 2 / 3 { (length / 3, length / 3) } else { (first, last) };
    let hidden = length - first - last;
    let mut out: String = value.chars().take(first).collect();
    out.extend(std::iter::repeat_n('*', hidden));
    out.extend(value.chars().skip(first + hidden));
    out
}

#[cfg(test)]
mod tests;
