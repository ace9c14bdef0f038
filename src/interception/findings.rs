//! Findings: hits that are no occurrence of one listed term. Detections, rules, and terms that a member split over
//! several messages.
//!
//! They go through the same policies and allow phrases as listed terms, and out as the same hits.
//! Not for: recognising (`detectors`), the logic of rules (`rules`).

use super::audience::{Audience, Speaker};
use super::detectors::{DETECTORS, Detection, Kind, detect};
use super::exact::Found;
use super::fold::{Unit, fold_into, units_into};
use super::mask::widen;
use super::policy::{Decision, Policy, Strictness};
use super::resolve::{Verdicted, check_allowed};
use super::rules::{Body, Occurrence, Recent, Said, SpeakerKey, met};
use super::ruleset::{Judging, Ruleset, term_id};
use super::{JudgedHit, Scratch};
use crate::event::{Hit, Via};

/// Characters that the first of several messages may hold before the term that is split over them: 请加 / 微信.
const LEAD_CHARS_MAX: usize = 2;

/// Where a member's last messages are to be found.
#[derive(Clone, Copy, Debug)]
pub struct Earlier<'r> {
    /// The last messages.
    pub recent: &'r Recent,
    /// Whose.
    pub speaker: SpeakerKey,
    /// Now, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Detector(Kind),
    /// With its number.
    Rule(u32),
    /// A listed term, with its index, that began in an earlier message.
    Split(usize),
}

/// One finding, judged.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) what: What,
    /// Bytes of the original text, half-open, whole grapheme clusters.
    pub(super) span: [usize; 2],
    pub(super) decision: Decision,
    pub(super) outcome: Verdicted,
    via: Vec<Via>,
    confidence: u8,
    masked: Option<String>,
}

/// Room to work in, kept by the caller.
#[derive(Debug, Default)]
pub(super) struct FindingRoom {
    pub(super) detecting: super::detectors::Room,
    pub(super) detections: Vec<Detection>,
    /// Terms of rules that were seen and count.
    seen: Vec<Occurrence>,
    /// Terms and literals of rules that stand there, counting or not.
    gates: Vec<u32>,
    folded: String,
}

/// Looks for contact details and numbers; false when there are none, or the policy has no detectors.
pub(super) fn find_details(text: &str, policy: &Policy, room: &mut FindingRoom) -> bool {
    room.detections.clear();
    if policy.applies(DETECTORS) {
        detect(text, &mut room.detecting, &mut room.detections);
    }
    !room.detections.is_empty()
}

/// Looks for addresses where [`find_details`] did not, as the policy has no detectors: no word is spelled in them.
pub(super) fn find_addresses(text: &str, policy: &Policy, room: &mut FindingRoom) {
    if !policy.applies(DETECTORS) {
        detect(text, &mut room.detecting, &mut room.detections);
    }
}

impl Ruleset {
    /// Writes all findings over what `scratch.findings` held, and takes the terms of rules out of the listed hits.
    /// `scratch.detections`, `found`, `units`, `allowed` and `resolved` are those of this text.
    pub(super) fn add_findings(
        &self,
        text: &str,
        policy: &Policy,
        audience: &Audience<'_>,
        earlier: Option<Earlier<'_>>,
        scratch: &mut Scratch,
    ) {
        scratch.findings.clear();
        scratch.room.seen.clear();
        scratch.room.gates.clear();
        add_detections(policy, audience.speaker, scratch);
        if !self.rules().is_empty() {
            self.take_parts(scratch);
        }
        if let Some(earlier) = earlier
            && (self.rules().look_back() || policy.strictness == Some(Strictness::Strict))
        {
            self.add_split(text, (policy, audience), earlier, scratch);
        }
        if !self.rules().is_empty() {
            self.add_rules(text, policy, earlier, scratch);
        }
        scratch.findings.sort_by_key(|finding| finding.span);
    }

    /// Terms of rules are no hits by themselves.
    fn take_parts(&self, scratch: &mut Scratch) {
        let Scratch { resolved, room, .. } = scratch;
        resolved.retain(|hit| {
            let Some(part) = self.rules().part_of(hit.term) else { return true };
            room.gates.push(part);
            if matches!(hit.outcome, Verdicted::Counted | Verdicted::Covered) {
                room.seen.push(Occurrence { part, units: hit.units });
            }
            false
        });
    }

    fn add_rules(&self, text: &str, policy: &Policy, earlier: Option<Earlier<'_>>, scratch: &mut Scratch) {
        let woken = self.rules().woken(scratch.room.gates.iter().copied());
        if woken.is_empty() {
            return;
        }
        if scratch.units.is_empty() {
            units_into(text, &mut scratch.units);
        }
        let mut folded = std::mem::take(&mut scratch.room.folded);
        folded.clear();
        folded.extend(scratch.units.iter().map(|unit| unit.folded));
        for index in woken {
            let Some((set, rule)) = self.rules().rule(index) else { continue };
            let Some(mut decision) = policy.decide_for(set, &rule.category, rule.level) else { continue };
            if let Some(verdict) = rule.verdict
                && !policy.categories.contains_key(&*rule.category)
            {
                decision.verdict = verdict;
            }
            let places: Vec<[usize; 2]> = match &rule.body {
                Body::Terms { logic, across } => {
                    let seen_before = |part: u32| {
                        let (Some(across), Some(earlier)) = (across, earlier) else { return false };
                        let since_ms = earlier.now_ms.saturating_sub(i64::from(across.seconds) * 1_000);
                        let before: Vec<_> = self.before(earlier).collect();
                        let last = before.iter().rev().take(across.messages - 1);
                        let id = self.rules().id_of(part);
                        last.filter(|(at, _)| *at >= since_ms).any(|(_, said)| said.parts.contains(&id))
                    };
                    met(logic, &scratch.room.seen, &seen_before).into_iter().collect()
                }
                Body::Pattern(pattern) => {
                    let matches = pattern.regex.find_iter(&folded).take(self.config().hits_max);
                    places_of(&folded, matches.map(|found| found.range()))
                }
            };
            for place in places {
                add_rule_hit(text, index, place, decision, scratch);
            }
        }
        scratch.room.folded = folded;
    }

    /// Looks for terms that begin in an earlier message and end in this one.
    ///
    /// Only what was said in pieces counts: each earlier message is a part of the term from end to end, but for a lead
    /// of two characters in the first, and in this one the term ends with a word. 我加 / 微信支付可以吗 is no 加微信.
    fn add_split(
        &self,
        text: &str,
        judge: (&Policy, &Audience<'_>),
        earlier: Earlier<'_>,
        scratch: &mut Scratch,
    ) {
        let chars_max = self.config().recent_chars_max;
        let mut joined = std::mem::take(&mut scratch.room.folded);
        joined.clear();
        let mut starts = Vec::new();
        let mut length = 0;
        for (_, said) in self.before(earlier) {
            if said.folded.is_empty() {
                (length, joined) = (0, String::new());
                starts.clear();
            } else {
                starts.push(length);
                length += said.folded.chars().count();
                joined.push_str(&said.folded);
            }
        }
        let boundary = length;
        if boundary > 0 {
            if scratch.units.is_empty() {
                units_into(text, &mut scratch.units);
            }
            joined.extend(scratch.units.iter().take(chars_max).map(|unit| unit.folded));
            self.find(&joined, &mut scratch.classes, &mut scratch.found);
            if !scratch.found.is_empty() {
                self.keep_split(text, judge, (&joined, &starts, boundary), scratch);
            }
        }
        scratch.room.folded = joined;
    }

    fn keep_split(
        &self,
        text: &str,
        (policy, audience): (&Policy, &Audience<'_>),
        (joined, starts, boundary): (&str, &[usize], usize),
        scratch: &mut Scratch,
    ) {
        let letters: Vec<char> = joined.chars().collect();
        let crosses = |found: &Found| {
            let piece = starts.partition_point(|start| *start <= found.start).checked_sub(1);
            let lead = piece.and_then(|piece| starts.get(piece)).map(|start| found.start - start);
            let ends = letters.get(found.end).is_none_or(char::is_ascii_alphanumeric)
                && !(letters.get(found.end).is_some()
                    && letters.get(found.end - 1).is_some_and(char::is_ascii_alphanumeric));
            found.end > boundary && ends && lead.is_some_and(|lead| lead <= LEAD_CHARS_MAX)
        };
        let across: Vec<Found> =
            scratch.found.iter().filter(|found| found.start < boundary && crosses(found)).copied().collect();
        let is_allowed = |term: &Found| {
            scratch.found.iter().any(|found| {
                found.start <= term.start
                    && term.end <= found.end
                    && self.phrases_of(found.pattern).any(|phrase| policy.applies(self.phrase(phrase).0))
            })
        };
        let across: Vec<Found> = across.into_iter().filter(|found| !is_allowed(found)).collect();
        let mut standings = std::mem::take(&mut scratch.standings);
        let mut judging = Judging::new(policy, audience, &mut standings);
        for found in across {
            let here = [0, found.end - boundary];
            for term in self.terms_of(found.pattern) {
                if let Some(part) = self.rules().part_of(term) {
                    scratch.room.gates.push(part);
                    scratch.room.seen.push(Occurrence { part, units: here });
                } else if let Some(decision) =
                    self.decide(&mut judging, term).filter(|decision| !decision.is_shadow)
                    && decision.strictness == Strictness::Strict
                    && let Some(span) = span_of(text, &scratch.units, here[0], here[1])
                {
                    scratch.findings.push(Finding {
                        what: What::Split(term),
                        span,
                        decision,
                        outcome: Verdicted::Counted,
                        via: vec![Via::Gap],
                        confidence: 90,
                        masked: None,
                    });
                }
            }
        }
        scratch.standings = standings;
    }

    fn before<'r>(&self, earlier: Earlier<'r>) -> impl Iterator<Item = (i64, &'r Said)> + use<'r> {
        earlier.recent.before(earlier.speaker, earlier.now_ms, self.config())
    }

    /// Says whether messages judged by this policy need what their member said before, and should be noted.
    pub fn looks_back(&self, policy: &Policy) -> bool {
        self.rules().look_back() || policy.strictness == Some(Strictness::Strict)
    }

    /// Keeps what a member has just said, within the limits of the configuration.
    pub fn note(&self, recent: &mut Recent, speaker: SpeakerKey, said: Said, now_ms: i64) {
        recent.note(speaker, said, now_ms, self.config());
    }

    /// Returns what to keep of a text that has just been judged with `scratch`.
    pub fn said(&self, text: &str, scratch: &Scratch) -> Said {
        let mut folded = String::new();
        // The longest scalar has four bytes: a longer text need not be folded to see that it is too long.
        if text.len() <= 4 * self.config().recent_chars_max {
            fold_into(text, &mut folded);
        }
        if folded.chars().count() > self.config().recent_chars_max {
            folded.clear();
        }
        let mut parts: Vec<u64> =
            scratch.room.seen.iter().map(|occurrence| self.rules().id_of(occurrence.part)).collect();
        parts.sort_unstable();
        parts.dedup();
        Said { folded: folded.into(), parts: parts.into() }
    }

    /// Tells a finding to the caller.
    pub(super) fn finding_hit(&self, text: &str, finding: &Finding) -> JudgedHit {
        let (wordlist, category, term) = match finding.what {
            What::Detector(kind) => (DETECTORS, kind.name(), kind.name()),
            What::Rule(index) => {
                let known = self.rules().rule(index);
                known.map_or(("", "", ""), |(set, rule)| (set, &*rule.category, &*rule.id))
            }
            What::Split(term) => {
                let listed = self.listed(term);
                (listed.wordlist, listed.category, listed.text)
            }
        };
        let mut folded = term.to_owned();
        if let What::Split(_) = finding.what {
            fold_into(term, &mut folded);
        }
        let hit = Hit {
            wordlist: wordlist.to_owned(),
            category: category.to_owned(),
            level: finding.decision.level,
            term: term.to_owned(),
            matched: text.get(finding.span[0]..finding.span[1]).unwrap_or_default().to_owned(),
            span: finding.span,
            via: finding.via.clone(),
            confidence: finding.confidence,
        };
        JudgedHit { hit, term_id: term_id(wordlist, folded.chars()), masked: finding.masked.clone() }
    }

    /// Finds a detector or rule by the stable id of its hits.
    pub(super) fn named(&self, id: u64) -> Option<(&str, &str)> {
        let detectors = Kind::ALL.into_iter().map(|kind| (DETECTORS, kind.name()));
        let rules = self.rules().all().map(|(set, rule, _)| (set, &*rule.id));
        detectors.chain(rules).find(|(list, term)| term_id(list, term.chars()) == id)
    }
}

/// The default rule of a kind holds where the policy says nothing of its category.
fn decide_detection(policy: &Policy, detection: &Detection, speaker: Speaker) -> Option<Decision> {
    let (level, verdict) = detection.default_rule(speaker);
    let name = detection.kind.name();
    let mut decision = policy.decide_for(DETECTORS, name, level)?;
    if let Some(verdict) = verdict
        && !policy.categories.contains_key(name)
    {
        decision.verdict = verdict;
    }
    Some(decision)
}

fn add_detections(policy: &Policy, speaker: Speaker, scratch: &mut Scratch) {
    let mut detections = std::mem::take(&mut scratch.room.detections);
    for detection in detections.drain(..) {
        let Some(decision) = decide_detection(policy, &detection, speaker) else { continue };
        scratch.findings.push(Finding {
            what: What::Detector(detection.kind),
            span: detection.span,
            decision,
            outcome: outcome(scratch, detection.span),
            via: detection.via,
            confidence: detection.confidence,
            masked: Some(detection.masked),
        });
    }
    scratch.room.detections = detections;
}

fn add_rule_hit(text: &str, rule: u32, [from, to]: [usize; 2], decision: Decision, scratch: &mut Scratch) {
    let Some(span) = span_of(text, &scratch.units, from, to) else { return };
    let outcome = outcome(scratch, span);
    scratch.findings.push(Finding {
        what: What::Rule(rule),
        span,
        decision,
        outcome,
        via: Vec::new(),
        confidence: 100,
        masked: None,
    });
}

/// Whether an allow phrase covers a span.
fn outcome(scratch: &Scratch, span: [usize; 2]) -> Verdicted {
    if scratch.allowed.is_empty() {
        return Verdicted::Counted;
    }
    let start = scratch.units.partition_point(|unit| unit.start < span[0]);
    let end = scratch.units.partition_point(|unit| unit.start < span[1]);
    check_allowed(&scratch.allowed, &Found { start, end, pattern: 0 }).unwrap_or(Verdicted::Counted)
}

fn span_of(text: &str, units: &[Unit], from: usize, to: usize) -> Option<[usize; 2]> {
    let units = units.get(from..to)?;
    Some(widen(text, [units.first()?.start, units.last()?.end]))
}

/// Turns byte ranges of a folded text, in order, into positions of characters.
fn places_of(folded: &str, ranges: impl Iterator<Item = std::ops::Range<usize>>) -> Vec<[usize; 2]> {
    let mut chars = folded.char_indices().enumerate().peekable();
    let length = folded.chars().count();
    let mut position_of = |byte: usize| {
        while let Some((_, (at, _))) = chars.peek()
            && *at < byte
        {
            chars.next();
        }
        chars.peek().map_or(length, |(position, _)| *position)
    };
    ranges.map(|range| [position_of(range.start), position_of(range.end)]).collect()
}
