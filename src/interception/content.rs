//! Content rules (内容规则): what a message carries beside its own words. Its type, the domains it leads to, the mini
//! programs it opens, that it was forwarded, what it quotes, how its cards are titled, which files it brings.
//!
//! A hit of theirs is a hit like any other: wordlist [`WORDLIST`], the kind of rule as category, the rule's value as term
//! (`*` where everything that is not listed was meant), the bytes of the text as span, and `[0, 0]` where it is not in the
//! text. Terms found in a quote or a title keep their wordlist; in a quote their category is `quoted`.
//!
//! Not for: what a picture shows. Invariants: what can be masked is in the text; elsewhere
//! `mask` means `review`. A rule that says `pass` makes no hit.

mod address;
mod lists;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::audience::Audience;
use super::policy::Policy;
use super::ruleset::{Ruleset, term_id};
use super::{JudgedHit, Judgement, Scratch, detectors, mask};
use crate::event::{Attachment, Hit, Level, Message, Verdict};
use address::Address;

pub use lists::{DomainList, HASHES_MAX, HashList, IdList, ListError, NAMES_MAX, TYPES_MAX, TypeVerdicts};

/// The wordlist that hits of content rules name.
pub const WORDLIST: &str = "content";

/// The term of a hit on what no list names.
const UNLISTED: &str = "*";

/// What follows from what a message carries beside its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContentPolicy {
    /// By content type and kind of attachment.
    pub types: TypeRule,
    /// By the domain of addresses, in the text and in attachments.
    pub domains: DomainRule,
    /// By the application id of mini programs.
    pub appids: AppidRule,
    /// Verdict on forwarded messages.
    pub forwarded: Verdict,
    /// How quoted text is judged.
    pub quoted: AsideRule,
    /// How titles of attachments are judged.
    pub titles: AsideRule,
    /// By the digest of files.
    pub hashes: HashRule,
    /// How customers' display names are judged: when they join, their profiles too, and with `same` with each message.
    pub names: AsideRule,
}

impl Default for ContentPolicy {
    fn default() -> Self {
        Self {
            types: TypeRule::default(),
            domains: DomainRule::default(),
            appids: AppidRule::default(),
            forwarded: Verdict::Pass,
            quoted: AsideRule::Off,
            titles: AsideRule::Same,
            hashes: HashRule::default(),
            names: AsideRule::Review,
        }
    }
}

/// What follows from content types and kinds of attachments (`image`, `link`, `miniprogram`, `card`, `file`, `voice`, …).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TypeRule {
    /// Verdict of each type.
    pub verdicts: TypeVerdicts,
    /// Verdict of every other type but `text`. With `block`, only the types listed with `pass` may come in.
    pub others: Verdict,
}

/// What follows from the domain an address leads to. The longest listed domain decides; at equal length `block` does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DomainRule {
    /// Domains that pass, with all below them: the shops' own.
    pub allow: DomainList,
    /// Domains that do not, with all below them.
    pub block: DomainList,
    /// Verdict on those.
    pub blocked: Verdict,
    /// Verdict on domains of neither list.
    pub others: Verdict,
}

impl Default for DomainRule {
    fn default() -> Self {
        let (allow, block) = (DomainList::default(), DomainList::default());
        Self { allow, block, blocked: Verdict::Block, others: Verdict::Pass }
    }
}

/// What follows from the mini program an attachment opens; `block` goes before `allow`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AppidRule {
    /// Application ids that pass.
    pub allow: IdList,
    /// Application ids that do not.
    pub block: IdList,
    /// Verdict on those.
    pub blocked: Verdict,
    /// Verdict on ids of neither list.
    pub others: Verdict,
}

impl Default for AppidRule {
    fn default() -> Self {
        let (allow, block) = (IdList::default(), IdList::default());
        Self { allow, block, blocked: Verdict::Block, others: Verdict::Pass }
    }
}

/// What follows from files that are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HashRule {
    /// SHA-256 digests, in hexadecimal.
    pub block: HashList,
    /// Verdict on those files.
    pub verdict: Verdict,
}

impl Default for HashRule {
    fn default() -> Self {
        Self { block: HashList::default(), verdict: Verdict::Block }
    }
}

impl Policy {
    /// Says whether a customer's display name is judged with each message, and not only when they join.
    pub fn names_each_message(&self) -> bool {
        rules_of(self).names == AsideRule::Same
    }
}

/// How text beside a message's own is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AsideRule {
    /// Not at all.
    #[default]
    Off,
    /// A person looks at what would have a severer verdict than `pass`.
    Review,
    /// Like the message's own text.
    Same,
}

impl AsideRule {
    /// Returns what follows from a verdict; nothing there can be masked.
    fn of(self, verdict: Verdict) -> Verdict {
        match (self, verdict) {
            (AsideRule::Off, _) | (_, Verdict::Pass) => Verdict::Pass,
            (AsideRule::Review, _) | (AsideRule::Same, Verdict::Mask) => Verdict::Review,
            (AsideRule::Same, severe) => severe,
        }
    }
}

/// What an address is held to be.
struct Held<'p> {
    verdict: Verdict,
    term: &'p str,
    host: String,
}

impl DomainRule {
    /// Says whether any address could make a hit.
    fn is_silent(&self) -> bool {
        self.others == Verdict::Pass && (self.block.is_empty() || self.blocked == Verdict::Pass)
    }

    /// Judges an address by its worst reading; `None` when it passes. One that stands inside another, which every client
    /// opens as the outer one, is held against the block list only.
    fn judge(&self, address: &Address) -> Option<Held<'_>> {
        let others = if address.is_nested { Verdict::Pass } else { self.others };
        let unreadable = address.is_unreadable.then_some((others, UNLISTED, ""));
        let readings = address.hosts.iter().map(|host| {
            let (allowed, blocked) = (self.allow.above(host), self.block.above(host));
            match (allowed, blocked) {
                (allowed, Some(blocked)) if allowed.is_none_or(|name| name.len() <= blocked.len()) => {
                    (self.blocked, blocked, host.as_str())
                }
                (Some(_), _) => (Verdict::Pass, "", host.as_str()),
                (None, _) => (others, UNLISTED, host.as_str()),
            }
        });
        let (verdict, term, host) = readings.chain(unreadable).max_by_key(|(verdict, _, _)| *verdict)?;
        (verdict > Verdict::Pass).then(|| Held { verdict, term, host: host.to_owned() })
    }
}

/// Where a hit of a content rule stands.
#[derive(Clone, Copy)]
enum Site<'m> {
    /// These bytes of the text, which read so.
    Text([usize; 2], &'m str),
    /// Beside the text; this is what matched.
    Beside(&'m str),
}

/// A judgement as it grows.
struct Findings {
    judgement: Judgement,
    hits_max: usize,
}

impl Findings {
    /// Adds a hit of a content rule.
    fn add(&mut self, verdict: Verdict, category: &str, term: &str, site: Site<'_>) {
        let (span, matched, verdict) = match site {
            Site::Text(span, matched) => (span, matched, verdict),
            Site::Beside(matched) => ([0, 0], matched, AsideRule::Same.of(verdict)),
        };
        if verdict == Verdict::Pass {
            return;
        }
        let same = |judged: &JudgedHit| {
            let hit = &judged.hit;
            hit.wordlist == WORDLIST && hit.category == category && hit.term == term && hit.span == span
        };
        self.raise(verdict);
        if self.judgement.hits.iter().any(same) {
            return;
        }
        let hit = Hit {
            wordlist: WORDLIST.to_owned(),
            category: category.to_owned(),
            level: if verdict == Verdict::Block { Level::High } else { Level::Medium },
            term: term.to_owned(),
            matched: matched.to_owned(),
            span,
            via: Vec::new(),
            confidence: 100,
        };
        let id = format!("{category}/{term}");
        self.push(JudgedHit { hit, term_id: term_id(WORDLIST, id.chars()), masked: None });
    }

    fn raise(&mut self, verdict: Verdict) {
        self.judgement.verdict = self.judgement.verdict.max(verdict);
    }

    /// The verdict follows from all hits; the caller is shown so many.
    fn push(&mut self, hit: JudgedHit) {
        if self.judgement.hits.len() < self.hits_max {
            self.judgement.hits.push(hit);
        }
    }
}

/// By what the texts beside a message's own are judged.
struct Aside<'a, 's> {
    policy: &'a Policy,
    rules: &'a ContentPolicy,
    audience: &'a Audience<'a>,
    scratch: &'s mut Scratch,
}

/// Returns what a policy says, or what holds where it says nothing.
fn rules_of(policy: &Policy) -> &ContentPolicy {
    static BUILT_IN: LazyLock<ContentPolicy> = LazyLock::new(ContentPolicy::default);
    policy.content.as_ref().unwrap_or(&BUILT_IN)
}

impl Ruleset {
    /// Judges a whole message by itself: its text, then what it carries beside it.
    pub fn judge_message(
        &self,
        message: &Message<'_>,
        policy: &Policy,
        audience: &Audience<'_>,
        scratch: &mut Scratch,
    ) -> Judgement {
        let judgement = self.judge(&message.text, policy, audience, scratch);
        self.judge_beside(judgement, message, policy, audience, scratch)
    }

    /// Judges what a message carries beside its text, which has this judgement. A message without hits and without
    /// addresses, attachments and quotes costs nothing more.
    pub fn judge_beside(
        &self,
        judgement: Judgement,
        message: &Message<'_>,
        policy: &Policy,
        audience: &Audience<'_>,
        scratch: &mut Scratch,
    ) -> Judgement {
        let rules = rules_of(policy);
        let mut aside = Aside { policy, rules, audience, scratch };
        let mut findings = Findings { judgement, hits_max: self.config().hits_max };
        judge_types(message, &rules.types, &mut findings);
        if !rules.domains.is_silent() {
            judge_addresses(message, &rules.domains, &mut aside.scratch.room.detecting, &mut findings);
        }
        for attachment in &message.attachments {
            judge_attachment(attachment, rules, &mut findings);
            if let Some(title) = &attachment.title {
                self.judge_aside(title, None, rules.titles, &mut aside, &mut findings);
            }
        }
        if message.forwarded {
            findings.add(rules.forwarded, "forwarded", "forwarded", Site::Beside(""));
        }
        if let Some(quote) = &message.quote {
            self.judge_aside(quote, Some("quoted"), rules.quoted, &mut aside, &mut findings);
        }
        let mut judgement = findings.judgement;
        judgement.masked = (judgement.verdict == Verdict::Mask).then(|| {
            // Masked terms may lie inside an address; what is left of it is looked for anew.
            let text = judgement.masked.take().unwrap_or_else(|| message.text.as_ref().to_owned());
            mask_addresses(text, &rules.domains)
        });
        judgement
    }

    /// Judges what a member is called, or says of themselves, beside what they said; hits are of the category that is named.
    pub fn judge_name(
        &self,
        judgement: Judgement,
        (category, text): (&str, &str),
        policy: &Policy,
        audience: &Audience<'_>,
        scratch: &mut Scratch,
    ) -> Judgement {
        let rules = rules_of(policy);
        let mut aside = Aside { policy, rules, audience, scratch };
        let mut findings = Findings { judgement, hits_max: self.config().hits_max };
        self.judge_aside(text, Some(category), rules.names, &mut aside, &mut findings);
        findings.judgement
    }

    /// Judges a text beside the message's own; its hits have no place in the text.
    fn judge_aside(
        &self,
        text: &str,
        category: Option<&str>,
        rule: AsideRule,
        by: &mut Aside<'_, '_>,
        findings: &mut Findings,
    ) {
        if rule == AsideRule::Off || text.is_empty() {
            return;
        }
        let Judgement { verdict, hits, masked: _, shadow } =
            self.judge(text, by.policy, by.audience, by.scratch);
        findings.raise(rule.of(verdict));
        let moved = |mut judged: JudgedHit| {
            judged.hit.span = [0, 0];
            if let Some(category) = category {
                category.clone_into(&mut judged.hit.category);
            }
            judged
        };
        for judged in hits {
            findings.push(moved(judged));
        }
        let room = findings.hits_max.saturating_sub(findings.judgement.shadow.len());
        findings.judgement.shadow.extend(shadow.into_iter().take(room).map(moved));
        if !by.rules.domains.is_silent() {
            address::each_read(text, &mut by.scratch.room.detecting, &mut |address| {
                if let Some(held) = by.rules.domains.judge(&address) {
                    let verdict = rule.of(held.verdict);
                    findings.add(verdict, category.unwrap_or("domain"), held.term, Site::Beside(&held.host));
                }
            });
        }
    }
}

fn judge_types(message: &Message<'_>, rule: &TypeRule, findings: &mut Findings) {
    if rule.verdicts.is_empty() && rule.others == Verdict::Pass {
        return;
    }
    let own = message.content_type.as_deref().unwrap_or("text");
    for kind in std::iter::once(own).chain(message.attachments.iter().map(|attachment| &*attachment.kind)) {
        match rule.verdicts.of(kind) {
            Some((name, verdict)) => findings.add(verdict, "content_type", name, Site::Beside(kind)),
            None if kind.eq_ignore_ascii_case("text") => {}
            None => findings.add(rule.others, "content_type", UNLISTED, Site::Beside(kind)),
        }
    }
}

/// Returns how many addresses a text holds; one inside another's path is part of it.
pub fn links_in(text: &str) -> usize {
    let mut links = 0;
    address::each_in(text, &mut |address| links += usize::from(!address.is_nested));
    links
}

/// Calls `visit` for each address in a text as it is written, without query and fragment; not for those that lead to a
/// domain of `own` and nowhere else.
pub fn each_link(text: &str, own: Option<&DomainList>, mut visit: impl FnMut(&str)) {
    address::each_in(text, &mut |address| {
        let [start, end] = address.span;
        let is_own = own.is_some_and(|own| is_within(own, &address));
        if let Some(link) = text.get(start..end).filter(|_| !address.is_nested && !is_own) {
            visit(without_query(link));
        }
    });
}

/// Says whether an attachment's address leads to a domain of `own` and nowhere else.
pub fn is_own(url: &str, own: Option<&DomainList>) -> bool {
    let (mut addresses, mut within) = (0, 0);
    address::each_of(url, &mut |address| {
        addresses += 1;
        within += usize::from(own.is_some_and(|own| is_within(own, &address)));
    });
    addresses > 0 && addresses == within
}

fn is_within(own: &DomainList, address: &Address) -> bool {
    !address.is_unreadable
        && !address.hosts.is_empty()
        && address.hosts.iter().all(|host| own.above(host).is_some())
}

/// Returns an address as far as its query or fragment.
pub fn without_query(link: &str) -> &str {
    link.split(['?', '#', '？']).next().unwrap_or(link)
}

fn judge_addresses(
    message: &Message<'_>,
    rule: &DomainRule,
    room: &mut detectors::Room,
    findings: &mut Findings,
) {
    address::each_read(&message.text, room, &mut |address| {
        if let Some(held) = rule.judge(&address) {
            let [start, end] = address.span;
            let matched = message.text.get(start..end).unwrap_or_default();
            findings.add(held.verdict, "domain", held.term, Site::Text(address.span, matched));
        }
    });
    for url in message.attachments.iter().filter_map(|attachment| attachment.url.as_deref()) {
        address::each_of(url, &mut |address| {
            if let Some(held) = rule.judge(&address) {
                findings.add(held.verdict, "domain", held.term, Site::Beside(&held.host));
            }
        });
    }
}

fn judge_attachment(attachment: &Attachment<'_>, rules: &ContentPolicy, findings: &mut Findings) {
    if let Some(appid) = attachment.appid.as_deref() {
        let rule = &rules.appids;
        if rule.block.has(appid) {
            findings.add(rule.blocked, "appid", appid, Site::Beside(appid));
        } else if !rule.allow.has(appid) {
            findings.add(rule.others, "appid", UNLISTED, Site::Beside(appid));
        }
    }
    if let Some(digest) = attachment.sha256.as_deref().and_then(|written| rules.hashes.block.find(written)) {
        findings.add(rules.hashes.verdict, "hash", &digest, Site::Beside(&digest));
    }
}

fn mask_addresses(text: String, rule: &DomainRule) -> String {
    let mut spans = Vec::new();
    if !rule.is_silent() {
        address::each_read(&text, &mut detectors::Room::default(), &mut |address| {
            if rule.judge(&address).is_some() {
                spans.push(address.span);
            }
        });
    }
    if spans.is_empty() { text } else { mask::mask(&text, &mut spans) }
}
