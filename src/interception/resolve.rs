//! From occurrences in folded text to hits in the original, and which of them count.
//!
//! Separators are a property of the hit, not of the text: 加·微·信 is one writer hiding a word, 加。微信 is two
//! sentences. Rules, in this order: the wordlist applies; gaps are small; Latin and digits end where words end;
//! no allow phrase covers the hit; no longer hit of the same list and category covers it.
//! A long mild hit never hides a short severe one: covering is only within one category.

mod sentences;
mod tell;

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use super::detectors::Detection;
use super::exact::Found;
use super::fold::{Unit, is_invisible, is_sentence_end};
use super::mask::widen;
use super::policy::{Decision, Policy, Strictness};
use super::ruleset::{Judging, ListStanding, Ruleset};
use super::variants::{CONTEXT, Disguised, Room, crosses_words};
use super::{Audience, Scratch};
use crate::event::Verdict;
use sentences::check_sentences;

/// Terms up to this many folded characters are found without gaps only: two neighbours meet by chance.
const SHORT_TERM: usize = 2;

/// All gaps of a hit together are at most this many times as long as the term.
const GAP_TOTAL_FACTOR: usize = 2;

/// The same under `strict`.
const GAP_TOTAL_FACTOR_STRICT: usize = 4;

/// Whether a hit counted, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It counts.
    Counted,
    /// Cancelled: there is too much between its characters.
    Gap,
    /// Cancelled: a sentence ends inside it.
    Sentence,
    /// Cancelled: it is part of a longer Latin word or number.
    Boundary,
    /// Cancelled by an allow phrase.
    Allowed {
        /// The list the phrase is from.
        wordlist: String,
        /// The phrase.
        phrase: String,
    },
    /// Cancelled: an ordinary writer would have written that.
    Ordinary,
    /// Left out: a longer hit of the same list and category covers it.
    Covered,
}

/// [`Outcome`] without the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdicted {
    Counted,
    Gap,
    Sentence,
    Boundary,
    /// With the index of the allow phrase.
    Allowed(usize),
    Ordinary,
    Covered,
}

/// One occurrence of one term, judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolved {
    /// Index of the term.
    pub(super) term: usize,
    /// Positions in the folded text, half-open.
    pub(super) units: [usize; 2],
    /// Bytes of the original text, half-open, whole grapheme clusters.
    pub(super) span: [usize; 2],
    /// What the policy says of it.
    pub(super) decision: Decision,
    /// It matched only as a variant: the folded text is not the term's.
    pub(super) is_variant: bool,
    /// Whether it counts.
    pub(super) outcome: Verdicted,
    /// Index of what was found in disguise; `None` for a term as listed.
    pub(super) disguised: Option<usize>,
}

impl Resolved {
    /// Returns what follows if it counts.
    pub(super) fn verdict(&self) -> Verdict {
        if self.is_variant { self.decision.variant_verdict } else { self.decision.verdict }
    }

    /// Says whether it is only counted apart.
    pub(super) fn is_apart(&self) -> bool {
        self.outcome == Verdicted::Counted && self.decision.is_shadow
    }

    /// Says whether it counts and is not only counted apart.
    pub(super) fn is_in_force(&self) -> bool {
        self.outcome == Verdicted::Counted && !self.decision.is_shadow
    }

    /// Orders hits for the reader: by position, the longer first.
    pub(super) fn place(&self) -> (usize, Reverse<usize>, Option<usize>, usize) {
        (self.units[0], Reverse(self.units[1]), self.disguised, self.term)
    }
}

/// Where an allow phrase stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed {
    start: usize,
    /// Of all phrases that start here or before: the farthest end, and whose it is.
    end: usize,
    phrase: usize,
}

/// Judges every occurrence in `scratch.found`; `scratch.resolved` then holds all hits of lists that apply.
pub(super) fn resolve(
    ruleset: &Ruleset,
    text: &str,
    policy: &Policy,
    audience: &Audience<'_>,
    scratch: &mut Scratch,
) {
    let Scratch { found, units, allowed, allowed_apart, resolved, standings, disguised, room, .. } = scratch;
    let mut judging = Judging::new(policy, audience, standings);
    find_allowed(ruleset, text, &mut judging, found, units, allowed, allowed_apart);
    resolved.clear();
    for found in found.iter() {
        let Some(matched) = units.get(found.start..found.end) else { continue };
        for term in ruleset.terms_of(found.pattern) {
            let Some(decision) = ruleset.decide(&mut judging, term) else { continue };
            let apart = if decision.is_shadow { check_allowed(allowed_apart, found) } else { None };
            let outcome = check_gaps(ruleset, text, matched, decision.strictness)
                .or_else(|| check_sentences(text, units, found))
                .or_else(|| check_boundaries(text, units, found))
                .or_else(|| check_allowed(allowed, found))
                .or(apart)
                .or_else(|| decision.whole_words.then(|| check_words(units, found)).flatten())
                .unwrap_or(Verdicted::Counted);
            let span = match (matched.first(), matched.last()) {
                (Some(first), Some(last)) => widen(text, [first.start, last.end]),
                _ => continue,
            };
            let units = [found.start, found.end];
            let disguised = None;
            resolved.push(Resolved { term, units, span, decision, is_variant: false, outcome, disguised });
        }
    }
    let around = Around { units, allowed, apart: allowed_apart, detections: &room.detections };
    resolve_disguised(ruleset, text, &mut judging, (&around, disguised), resolved);
    drop_covered(ruleset, resolved);
    resolved.sort_unstable_by_key(Resolved::place);
}

/// A two-character term that stands across words of an ordinary text was not written by anybody.
fn check_words(units: &[Unit], found: &Found) -> Option<Verdicted> {
    if found.end - found.start != SHORT_TERM {
        return None;
    }
    let (left, right) = beside(units, found);
    let hit = folded(units, found.start, found.end);
    crosses_words(&left, &hit, &right).then_some(Verdicted::Ordinary)
}

/// Returns the characters on either side of a hit that nothing parts from it.
fn beside(units: &[Unit], found: &Found) -> (String, String) {
    let joined = |left: usize| {
        let (left, right) = (units.get(left), units.get(left + 1));
        left.zip(right).is_some_and(|(left, right)| left.end == right.start && right.folded >= '\u{2E80}')
    };
    let start =
        (0..found.start).rev().take(CONTEXT).take_while(|at| joined(*at)).last().unwrap_or(found.start);
    let end = (found.end..units.len())
        .take(CONTEXT)
        .take_while(|at| joined(at - 1))
        .last()
        .map_or(found.end, |at| at + 1);
    (folded(units, start, found.start), folded(units, found.end, end))
}

fn folded(units: &[Unit], from: usize, to: usize) -> String {
    units.get(from..to).unwrap_or_default().iter().map(|unit| unit.folded).collect()
}

/// What else was seen in a text.
struct Around<'s> {
    units: &'s [Unit],
    allowed: &'s [Allowed],
    /// Of lists that are only counted apart.
    apart: &'s [Allowed],
    detections: &'s [Detection],
}

impl Around<'_> {
    /// `weixin.qq.com` and `service@weixin.com` are spelled as they must be: nobody hid 微信 in them.
    fn check_address(&self, hit: &Disguised) -> Option<Verdicted> {
        let holds = |detection: &Detection| {
            detection.is_address() && detection.span[0] <= hit.span[0] && hit.span[1] <= detection.span[1]
        };
        (hit.is_heard() && self.detections.iter().any(holds)).then_some(Verdicted::Ordinary)
    }
}

/// Judges every term in disguise in the same way, and by whether an ordinary writer would have written it.
fn resolve_disguised(
    ruleset: &Ruleset,
    text: &str,
    judging: &mut Judging<'_>,
    (around, room): (&Around<'_>, &Room),
    resolved: &mut Vec<Resolved>,
) {
    let units = around.units;
    let listed = resolved.len();
    // They stand in order of their ends, so that only those around a hit are asked.
    let longest = resolved.iter().map(|r| r.units[1] - r.units[0]).max().unwrap_or(0);
    for (index, hit) in room.found.iter().enumerate() {
        let mut ordinary = None;
        let start = units.partition_point(|unit| unit.end <= hit.span[0]);
        let end = units.partition_point(|unit| unit.start < hit.span[1]);
        let all = resolved.get(..listed).unwrap_or_default();
        let from = all.partition_point(|r| r.units[1] <= start);
        let to = all.partition_point(|r| r.units[1] < end + longest);
        for term in ruleset.terms_of(hit.pattern as usize) {
            let Some(decision) = ruleset.decide(judging, term) else { continue };
            let as_listed = |r: &Resolved| r.term == term && r.units[0] < end && start < r.units[1];
            if !hit.counts(decision.strictness, decision.dialects)
                || resolved.get(from..to).unwrap_or_default().iter().any(as_listed)
            {
                continue;
            }
            let found = Found { start, end, pattern: hit.pattern as usize };
            let outcome = check_pieces(ruleset, text, room, hit, decision.strictness)
                .or_else(|| check_allowed(around.allowed, &found))
                .or_else(|| decision.is_shadow.then(|| check_allowed(around.apart, &found)).flatten())
                .or_else(|| around.check_address(hit))
                .or_else(|| {
                    let weighed = ordinary.get_or_insert_with(|| ruleset.weigh(room, hit));
                    weighed.is_ordinary(hit, decision.strictness).then_some(Verdicted::Ordinary)
                })
                .unwrap_or(Verdicted::Counted);
            let (units, span) = ([start, end], widen(text, hit.span));
            let disguised = Some(index);
            resolved.push(Resolved { term, units, span, decision, is_variant: true, outcome, disguised });
        }
    }
}

/// [`check_gaps`] for the pieces of a term in disguise.
fn check_pieces(
    ruleset: &Ruleset,
    text: &str,
    room: &Room,
    hit: &Disguised,
    strictness: Strictness,
) -> Option<Verdicted> {
    let short =
        usize::from(hit.length()) <= SHORT_TERM && (strictness != Strictness::Strict || hit.is_common());
    let gap_max = if short { 0 } else { ruleset.config().gap_chars_max };
    // A disguise and a sentence's end in one term are one chance too many.
    check_each_gap(room.gaps(text, hit), usize::from(hit.length()), gap_max, Strictness::Standard)
}

/// Finds allow phrases; those of lists that are only counted apart go into `apart` and cancel nothing else.
fn find_allowed(
    ruleset: &Ruleset,
    text: &str,
    judging: &mut Judging<'_>,
    found: &[Found],
    units: &[Unit],
    allowed: &mut Vec<Allowed>,
    apart: &mut Vec<Allowed>,
) {
    allowed.clear();
    apart.clear();
    for found in found {
        let Some(matched) = units.get(found.start..found.end) else { continue };
        for phrase in ruleset.phrases_of(found.pattern) {
            if check_gaps(ruleset, text, matched, Strictness::Standard).is_some() {
                continue;
            }
            let place = Allowed { start: found.start, end: found.end, phrase };
            match ruleset.phrase_standing(judging, phrase) {
                ListStanding::InForce(_) => allowed.push(place),
                ListStanding::Shadow(_) => apart.push(place),
                ListStanding::Absent => {}
            }
        }
    }
    spread(allowed);
    spread(apart);
}

/// Sorts by position and lets each know the farthest end of all that start before it.
fn spread(allowed: &mut [Allowed]) {
    allowed.sort_unstable_by_key(|a| a.start);
    let mut farthest: Option<Allowed> = None;
    for entry in allowed.iter_mut() {
        if let Some(far) = farthest
            && far.end >= entry.end
        {
            (entry.end, entry.phrase) = (far.end, far.phrase);
        }
        farthest = Some(*entry);
    }
}

/// A phrase that covers the hit cancels it; one that equals the term removes the term.
pub(super) fn check_allowed(allowed: &[Allowed], found: &Found) -> Option<Verdicted> {
    let at_or_before = allowed.partition_point(|a| a.start <= found.start);
    let farthest = allowed.get(at_or_before.checked_sub(1)?)?;
    (farthest.end >= found.end).then_some(Verdicted::Allowed(farthest.phrase))
}

fn check_gaps(ruleset: &Ruleset, text: &str, matched: &[Unit], strictness: Strictness) -> Option<Verdicted> {
    let short = matched.len() <= SHORT_TERM && strictness != Strictness::Strict;
    let gap_max = if short { 0 } else { ruleset.config().gap_chars_max };
    check_each_gap(gaps(text, matched).map(|(gap, _)| gap), matched.len(), gap_max, strictness)
}

fn check_each_gap<'t>(
    gaps: impl Iterator<Item = &'t str>,
    length: usize,
    gap_max: usize,
    strictness: Strictness,
) -> Option<Verdicted> {
    let strict = strictness == Strictness::Strict;
    let factor = if strict { GAP_TOTAL_FACTOR_STRICT } else { GAP_TOTAL_FACTOR };
    let mut total = 0;
    for gap in gaps.filter(|gap| !gap.is_empty()) {
        if !strict && gap.contains(is_sentence_end) {
            return Some(Verdicted::Sentence);
        }
        let skipped = distance(gap);
        total += skipped;
        if skipped > gap_max {
            return Some(Verdicted::Gap);
        }
    }
    (total > factor * length).then_some(Verdicted::Gap)
}

/// Yields what stands between neighbours, with the right neighbour's index, where anything does.
fn gaps<'t>(text: &'t str, matched: &[Unit]) -> impl Iterator<Item = (&'t str, usize)> {
    let pairs = (1..).zip(matched.iter().zip(matched.iter().skip(1)));
    // Units of one original character (㎏) have no gap: their range is backward.
    let apart = pairs.filter(|(_, (left, right))| left.end < right.start);
    apart.map(|(index, (left, right))| (text.get(left.end..right.start).unwrap_or_default(), index))
}

/// Counts what a reader sees between two characters: nothing of what nobody can see, as that was put there to hide the
/// word, and a picture of five scalars as one.
fn distance(gap: &str) -> usize {
    let mut scalars = gap.chars();
    match (scalars.next(), scalars.next()) {
        (Some(only), None) => usize::from(!is_invisible(only)),
        _ => gap.graphemes(true).filter(|cluster| !cluster.chars().all(is_invisible)).count(),
    }
}

/// Two letters and so many digits are a model: VX380. An id is longer.
const MODEL_DIGITS: std::ops::RangeInclusive<usize> = 2..=4;

/// Says whether a term of two letters is the beginning of a model's name.
fn names_model(units: &[Unit], found: &Found) -> bool {
    let letters = units.get(found.start..found.end).unwrap_or_default();
    let rest = units.get(found.end..).unwrap_or_default();
    let mut end = letters.last().map_or(0, |last| last.end);
    let digits = rest
        .iter()
        .take_while(|unit| {
            let goes_on = unit.start == end && unit.folded.is_ascii_digit() && unit.original.is_ascii();
            end = unit.end;
            goes_on
        })
        .count();
    let goes_on = rest.get(digits).is_some_and(|next| script(next.folded) == Some(Script::Letters));
    letters.len() == 2
        && letters.iter().all(|unit| unit.original.is_ascii_uppercase())
        && MODEL_DIGITS.contains(&digits)
        && !goes_on
}

/// Letters go on with letters and digits with digits: "ass" is not in "class", nor 69 in 695. Only then: 加v信
/// begins right after any Chinese character, and a弹药b holds 弹药.
fn check_boundaries(text: &str, units: &[Unit], found: &Found) -> Option<Verdicted> {
    let touches = |left: usize, right: usize| {
        let (Some(left), Some(right)) = (units.get(left), units.get(right)) else { return false };
        let kind = script(left.folded);
        kind.is_some()
            && kind == script(right.folded)
            && text.get(left.end..right.start).unwrap_or_default().chars().all(is_invisible)
    };
    let before = found.start.checked_sub(1).is_some_and(|left| touches(left, found.start));
    let after = found.end.checked_sub(1).is_some_and(|last| touches(last, found.end));
    (before || after || names_model(units, found)).then_some(Verdicted::Boundary)
}

#[derive(PartialEq, Eq)]
enum Script {
    Letters,
    Digits,
}

fn script(folded: char) -> Option<Script> {
    // Radicals, kana and ideographs begin at U+2E80; the scripts below put spaces between words.
    if folded.is_ascii_digit() {
        Some(Script::Digits)
    } else if folded < '\u{2E80}' && folded.is_alphabetic() {
        Some(Script::Letters)
    } else {
        None
    }
}

/// How many verdicts there are.
const SEVERITIES: usize = Verdict::Block as usize + 1;

/// What follows from a hit must follow without it too, so a milder one covers nothing: 加薇领 does not hide 加v.
fn drop_covered(ruleset: &Ruleset, resolved: &mut [Resolved]) {
    resolved.sort_unstable_by_key(|r| (ruleset.kind_of(r.term), r.units[0], Reverse(r.units[1])));
    // How far the hits of one kind reach so far, by severity.
    let (mut of, mut reach) = (None, [0; SEVERITIES]);
    for hit in resolved.iter_mut().filter(|r| r.outcome == Verdicted::Counted) {
        let kind = Some(ruleset.kind_of(hit.term));
        if of != kind {
            (of, reach) = (kind, [0; SEVERITIES]);
        }
        let severity = hit.verdict() as usize;
        if reach.iter().skip(severity).any(|end| hit.units[1] <= *end) {
            hit.outcome = Verdicted::Covered;
        } else if let Some(end) = reach.get_mut(severity) {
            *end = hit.units[1];
        }
    }
}
