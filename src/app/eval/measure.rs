//! Measures a ruleset: what of cloaked terms it finds, and what of ordinary talk it disturbs.
//!
//! Not for: making cloaks (`cloak.rs`) or printing (`report.rs`). Nothing here reads a file or a clock.

use std::collections::{BTreeMap, HashSet};

use aho_corasick::AhoCorasick;

use super::carrier::embed;
use super::chance::Chance;
use super::class::Class;
use super::cloak::cloak;
use crate::event::{Verdict, Via};
use crate::interception::{Audience, Judgement, Policy, Ruleset, Scratch, WordlistSource, fold_into};

/// Columns of [`Recall::by_length`]: terms of two, three, four, and of more characters.
pub const LENGTHS: usize = 4;

/// Longest term that is cloaked, in characters.
const TERM_CHARS_MAX: usize = 12;

/// What is measured.
#[derive(Debug)]
pub struct Setting<'a> {
    /// Under which policies, from the mildest.
    pub policies: Vec<&'a Policy>,
    /// Which numbers are drawn.
    pub seed: u64,
    /// Cases of each class.
    pub per_class: usize,
    /// Examples kept of each kind.
    pub examples: usize,
}

/// Found ones of a number of cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Cases.
    pub cases: u32,
    /// Cases with any hit.
    pub any: u32,
    /// Cases whose hits name the very term.
    pub right: u32,
}

/// What was found of one class under one policy.
#[derive(Clone, Debug)]
pub struct Recall {
    /// The class.
    pub class: Class,
    /// The policy.
    pub policy: String,
    /// Over all terms.
    pub found: Found,
    /// By the length of the term.
    pub by_length: [Found; LENGTHS],
    /// Terms and the cloaks without any hit.
    pub missed: Vec<(String, String)>,
}

/// What became of ordinary talk under one policy.
#[derive(Clone, Debug, Default)]
pub struct Disturbance {
    /// The policy.
    pub policy: String,
    /// Messages judged.
    pub messages: u32,
    /// Messages with a hit, whatever follows from it.
    pub hit: u32,
    /// Of these, messages whose hits are all by variants.
    pub by_variants: u32,
    /// Messages that hold a term as written, by plain substring search.
    pub substring: u32,
    /// Messages hit by variants that hold no term as written: what variants add.
    pub added: u32,
    /// Messages that would be masked or blocked.
    pub stopped: u32,
    /// Messages that would go to a person.
    pub reviewed: u32,
    /// Terms by the number of messages they hit, the most first, with what of a message matched.
    pub worst: Vec<Offender>,
}

/// A term that hits ordinary talk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offender {
    /// The term.
    pub term: String,
    /// Messages it hit.
    pub messages: u32,
    /// Of these, by a variant.
    pub by_variants: u32,
    /// The first match.
    pub matched: String,
}

/// All of an evaluation.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// By class, then policy.
    pub recalls: Vec<Recall>,
    /// By policy.
    pub disturbances: Vec<Disturbance>,
}

/// Runs the whole evaluation; `step` is told of each class or policy that is done.
pub fn evaluate(
    ruleset: &Ruleset,
    lists: &[WordlistSource],
    clean: &[&str],
    setting: &Setting<'_>,
    mut step: impl FnMut(),
) -> Evaluation {
    let terms = terms_of(lists);
    let mut scratch = Scratch::default();
    let mut evaluation = Evaluation::default();
    let substring = substring_search(&terms);
    for policy in &setting.policies {
        let found = disturb(ruleset, policy, clean, substring.as_ref(), setting, &mut scratch);
        evaluation.disturbances.push(found);
        step();
    }
    let carriers = carriers(ruleset, clean, setting, &mut scratch);
    for class in Class::all() {
        evaluation.recalls.extend(recall(ruleset, class, &terms, &carriers, setting, &mut scratch));
        step();
    }
    evaluation
}

/// Returns the terms, each once, in the order of the lists.
fn terms_of(lists: &[WordlistSource]) -> Vec<&str> {
    let mut seen = HashSet::new();
    let terms = lists.iter().flat_map(|list| &list.terms).map(|term| term.text.as_str());
    terms.filter(|term| seen.insert(*term)).collect()
}

/// What a filter without any folding but that of case would do.
fn substring_search(terms: &[&str]) -> Option<AhoCorasick> {
    AhoCorasick::builder().ascii_case_insensitive(true).build(terms).ok()
}

/// Returns messages without any hit, so that a hit is the cloaked term's.
fn carriers<'c>(
    ruleset: &Ruleset,
    clean: &[&'c str],
    setting: &Setting<'_>,
    scratch: &mut Scratch,
) -> Vec<&'c str> {
    let is_clean = |line: &&&str| {
        setting.policies.iter().all(|p| ruleset.judge(line, p, &Audience::default(), scratch).hits.is_empty())
    };
    clean.iter().filter(is_clean).copied().collect()
}

fn recall(
    ruleset: &Ruleset,
    class: Class,
    terms: &[&str],
    carriers: &[&str],
    setting: &Setting<'_>,
    scratch: &mut Scratch,
) -> Vec<Recall> {
    let empty = |policy: &&Policy| Recall {
        class,
        policy: policy.name.clone(),
        found: Found::default(),
        by_length: [Found::default(); LENGTHS],
        missed: Vec::new(),
    };
    let mut recalls: Vec<_> = setting.policies.iter().map(empty).collect();
    for case in cases(class, terms, carriers, setting) {
        for (recall, policy) in recalls.iter_mut().zip(&setting.policies) {
            let judgement = ruleset.judge(&case.message, policy, &Audience::default(), scratch);
            let length = length_of(case.term);
            let (any, right) = (!judgement.hits.is_empty(), names(&judgement, case.term));
            for found in [&mut recall.found, &mut recall.by_length[length]] {
                found.cases += 1;
                found.any += u32::from(any);
                found.right += u32::from(right);
            }
            if !any && recall.missed.len() < setting.examples {
                recall.missed.push((case.term.to_owned(), case.cloaked.clone()));
            }
        }
    }
    recalls
}

struct Case<'t> {
    term: &'t str,
    cloaked: String,
    message: String,
}

/// Makes the cases of a class: the same ones for every policy, as many of each length as there are.
fn cases<'t>(class: Class, terms: &[&'t str], carriers: &[&str], setting: &Setting<'_>) -> Vec<Case<'t>> {
    let mut chance = Chance::new(setting.seed, &[class.name()]);
    let mut terms: Vec<&'t str> = terms.iter().copied().filter(|term| can_be_cloaked(term)).collect();
    chance.shuffle(&mut terms);
    let case = |term: &'t str| -> Option<Case<'t>> {
        // A stream for each term: a term added to a list leaves the cloaks of the others as they were.
        let mut chance = Chance::new(setting.seed, &[class.name(), term]);
        let cloaked = cloak(class, term, &mut chance)?;
        let message = match chance.pick(carriers) {
            Some(carrier) => embed(carrier, &cloaked, &mut chance),
            None => cloaked.clone(),
        };
        Some(Case { term, cloaked, message })
    };
    let mut by_length: [Vec<&'t str>; LENGTHS] = Default::default();
    for term in terms {
        by_length[length_of(term)].push(term);
    }
    let mut waiting = by_length.map(|terms| terms.into_iter().filter_map(case));
    let mut cases = Vec::new();
    loop {
        let before = cases.len();
        cases.extend(waiting.iter_mut().filter_map(Iterator::next));
        if cases.len() == before || cases.len() >= setting.per_class {
            cases.truncate(setting.per_class);
            return cases;
        }
    }
}

/// Terms of one character have no evasion worth the name; host names and whole sentences are not written so.
fn can_be_cloaked(term: &str) -> bool {
    (2..=TERM_CHARS_MAX).contains(&term.chars().count()) && !term.contains(['.', '/'])
}

/// The column of a term.
fn length_of(term: &str) -> usize {
    term.chars().count().saturating_sub(2).min(LENGTHS - 1)
}

/// Says whether a hit is of this very term, however it is spelt in the list.
fn names(judgement: &Judgement, term: &str) -> bool {
    let folded = |text: &str| {
        let mut folded = String::new();
        fold_into(text, &mut folded);
        folded
    };
    let term = folded(term);
    judgement.hits.iter().any(|hit| folded(&hit.hit.term) == term)
}

fn disturb(
    ruleset: &Ruleset,
    policy: &Policy,
    clean: &[&str],
    substring: Option<&AhoCorasick>,
    setting: &Setting<'_>,
    scratch: &mut Scratch,
) -> Disturbance {
    let mut found = Disturbance { policy: policy.name.clone(), ..Disturbance::default() };
    let mut offenders: BTreeMap<String, Offender> = BTreeMap::new();
    for line in clean {
        let judgement = ruleset.judge(line, policy, &Audience::default(), scratch);
        let holds = substring.is_some_and(|search| search.is_match(line));
        found.messages += 1;
        found.substring += u32::from(holds);
        match judgement.verdict {
            Verdict::Pass => {}
            Verdict::Review => found.reviewed += 1,
            Verdict::Mask | Verdict::Block => found.stopped += 1,
        }
        if judgement.hits.is_empty() {
            continue;
        }
        let by_variants = judgement.hits.iter().all(|hit| hit.hit.via.iter().copied().any(Via::is_variant));
        found.hit += 1;
        found.by_variants += u32::from(by_variants);
        found.added += u32::from(by_variants && !holds);
        blame(&judgement, &mut offenders);
    }
    let mut worst: Vec<_> = offenders.into_values().collect();
    worst.sort_by_key(|o| std::cmp::Reverse(o.messages));
    worst.truncate(setting.examples);
    found.worst = worst;
    found
}

fn blame(judgement: &Judgement, offenders: &mut BTreeMap<String, Offender>) {
    let mut seen = HashSet::new();
    for hit in judgement.hits.iter().map(|hit| &hit.hit) {
        if !seen.insert(&hit.term) {
            continue;
        }
        let offender = offenders.entry(hit.term.clone()).or_insert_with(|| Offender {
            term: hit.term.clone(),
            messages: 0,
            by_variants: 0,
            matched: hit.matched.clone(),
        });
        offender.messages += 1;
        offender.by_variants += u32::from(hit.via.iter().copied().any(Via::is_variant));
    }
}

#[cfg(test)]
mod tests;
