//! Compiling rules: checks them, and gives every term and literal a number that the automaton's finds wake them by.

use std::collections::HashMap;

use super::logic::Logic;
use super::pattern::{self, Pattern};
use super::{Across, Rule, RuleError, RuleSource};
use crate::event::{Level, Verdict};
use crate::interception::Config;
use crate::interception::fold::fold_into;
use crate::interception::ruleset::term_id;
use crate::interception::wordlist::{CATEGORY_DEFAULT, Term, WordlistSource, is_name};

/// What is wrong with a rule.
#[derive(Debug)]
struct Fault {
    field: &'static str,
    reason: String,
}

/// Most terms of one rule.
const TERMS_MAX: usize = 100;

/// All rules of a ruleset.
#[derive(Debug, Default)]
pub(in crate::interception) struct Rules {
    sets: Vec<Box<str>>,
    compiled: Vec<CompiledRule>,
    /// By part: the rules that its being seen wakes.
    wakes: Vec<Vec<u32>>,
    /// Patterns without a gate.
    always: Vec<u32>,
    /// By part: its stable id.
    ids: Vec<u64>,
    /// The first wordlist that is made of parts.
    lists_from: usize,
    /// By term of the ruleset from the first that is a part on.
    part_of: HashMap<u32, u32>,
    /// Some rule looks over several messages.
    looks_back: bool,
}

/// One rule, ready.
#[derive(Debug)]
pub(in crate::interception) struct CompiledRule {
    set: u32,
    pub(in crate::interception) id: Box<str>,
    pub(in crate::interception) category: Box<str>,
    pub(in crate::interception) level: Level,
    pub(in crate::interception) verdict: Option<Verdict>,
    pub(in crate::interception) body: Body,
}

/// What a rule asks for.
#[derive(Debug)]
pub(in crate::interception) enum Body {
    /// Terms.
    Terms { logic: Logic, across: Option<Across> },
    /// A pattern.
    Pattern(Pattern),
}

/// The texts that the automaton must know, by set, and the numbers they got.
#[derive(Debug, Default)]
struct Parts {
    number_of: HashMap<(u32, Box<str>), u32>,
    texts: Vec<(u32, String)>,
}

impl Parts {
    /// Numbers a term of a set by its folded form.
    fn number(&mut self, set: u32, text: &str) -> u32 {
        let mut folded = String::new();
        fold_into(text, &mut folded);
        let next = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        let texts = &mut self.texts;
        *self.number_of.entry((set, Box::from(folded))).or_insert_with(|| {
            texts.push((set, text.to_owned()));
            next
        })
    }
}

impl Rules {
    /// Compiles sets of rules, and makes of each a wordlist of the terms and literals that the automaton must find. The
    /// lists stand after `lists_from` others; [`Self::number_terms`] must follow when their terms have numbers.
    ///
    /// # Errors
    /// At the first rule that cannot be used, with the field to change.
    pub(in crate::interception) fn compile(
        sources: &[RuleSource],
        lists_from: usize,
        config: &Config,
    ) -> Result<(Self, Vec<WordlistSource>), RuleError> {
        let mut rules = Self { lists_from, ..Self::default() };
        let mut parts = Parts::default();
        for (set, source) in (0..).zip(sources) {
            rules.sets.push(Box::from(source.name.as_str()));
            for (index, rule) in source.rules.iter().enumerate() {
                let checked = check(rule, source.has_before(index, &rule.id), config);
                let added = checked.and_then(|()| rules.add(set, rule, &mut parts, config));
                added.map_err(|fault| fault.of(index, rule))?;
            }
        }
        rules.ids = parts
            .texts
            .iter()
            .map(|(set, text)| {
                let mut folded = String::new();
                fold_into(text, &mut folded);
                term_id(rules.set_name(*set), folded.chars())
            })
            .collect();
        let lists = (0..).zip(sources).map(|(set, source)| WordlistSource {
            category: CATEGORY_DEFAULT.to_owned(),
            level: Level::Low,
            terms: parts
                .texts
                .iter()
                .filter(|(of, _)| *of == set)
                .map(|(_, text)| Term { text: text.clone(), ..Term::default() })
                .collect(),
            ..WordlistSource::new(source.name.as_str(), source.origin)
        });
        let lists = lists.collect();
        Ok((rules, lists))
    }

    fn add(&mut self, set: u32, rule: &Rule, parts: &mut Parts, config: &Config) -> Result<(), Fault> {
        let index = u32::try_from(self.compiled.len()).unwrap_or(u32::MAX);
        let body = if let Some(text) = &rule.pattern {
            let compiled = pattern::compile(text, config).map_err(|reason| wrong("pattern", reason))?;
            let gates: Vec<u32> = compiled.gates.iter().map(|gate| parts.number(set, gate)).collect();
            if gates.is_empty() {
                self.always.push(index);
            }
            self.wake(&gates, index);
            Body::Pattern(compiled)
        } else {
            self.looks_back |= rule.across.is_some();
            let logic = self.add_terms(set, rule, index, parts);
            Body::Terms { logic, across: rule.across }
        };
        self.compiled.push(CompiledRule {
            set,
            id: Box::from(rule.id.as_str()),
            category: Box::from(rule.category.as_str()),
            level: rule.level,
            verdict: rule.verdict,
            body,
        });
        Ok(())
    }

    fn add_terms(&mut self, set: u32, rule: &Rule, index: u32, parts: &mut Parts) -> Logic {
        let mut numbers = |texts: &[String]| texts.iter().map(|text| parts.number(set, text)).collect();
        let (all, any, none): (Vec<u32>, Vec<u32>, Vec<u32>) =
            (numbers(&rule.all), numbers(&rule.any), numbers(&rule.none));
        // The longest term is the rarest, about. Over several messages any of them may come last.
        let rarest = all.iter().zip(&rule.all).max_by_key(|(_, text)| text.chars().count());
        match rarest {
            Some((part, _)) if rule.across.is_none() => self.wake(&[*part], index),
            Some(_) => self.wake(&[all.as_slice(), any.as_slice()].concat(), index),
            None => self.wake(&any, index),
        }
        Logic { all, any, none, near_chars: rule.near.map(|near| near.chars) }
    }

    fn wake(&mut self, parts: &[u32], rule: u32) {
        for part in parts {
            let part = *part as usize;
            if self.wakes.len() <= part {
                self.wakes.resize_with(part + 1, Vec::new);
            }
            if !self.wakes[part].contains(&rule) {
                self.wakes[part].push(rule);
            }
        }
    }

    /// Learns the numbers that the ruleset gave to the terms: `terms` yields those of the lists made here, with the
    /// stable id of each.
    pub(in crate::interception) fn number_terms(&mut self, terms: impl Iterator<Item = (u32, u64)>) {
        let part_of_id: HashMap<u64, u32> = self.ids.iter().copied().zip(0..).collect();
        self.part_of = terms.filter_map(|(term, id)| part_of_id.get(&id).map(|part| (term, *part))).collect();
    }

    /// Says whether a wordlist, by its number, is made of parts: its terms are no hits by themselves.
    pub(in crate::interception) fn owns_list(&self, list: u16) -> bool {
        usize::from(list) >= self.lists_from && !self.sets.is_empty()
    }

    /// Returns the part that a term of the ruleset is.
    pub(in crate::interception) fn part_of(&self, term: usize) -> Option<u32> {
        self.part_of.get(&u32::try_from(term).ok()?).copied()
    }

    /// Returns the stable id of a part.
    pub(in crate::interception) fn id_of(&self, part: u32) -> u64 {
        self.ids.get(part as usize).copied().unwrap_or_default()
    }

    /// Says whether there are none.
    pub(in crate::interception) fn is_empty(&self) -> bool {
        self.compiled.is_empty()
    }

    /// Says whether some rule looks over several messages.
    pub(in crate::interception) fn look_back(&self) -> bool {
        self.looks_back
    }

    /// Lists the rules to be looked at when these parts were seen, each once.
    pub(in crate::interception) fn woken(&self, parts: impl Iterator<Item = u32>) -> Vec<u32> {
        let wakes = parts.filter_map(|part| self.wakes.get(part as usize)).flatten();
        let mut woken: Vec<u32> = wakes.chain(&self.always).copied().collect();
        woken.sort_unstable();
        woken.dedup();
        woken
    }

    /// Returns a rule and the name of its set.
    pub(in crate::interception) fn rule(&self, index: u32) -> Option<(&str, &CompiledRule)> {
        let rule = self.compiled.get(index as usize)?;
        Some((self.set_name(rule.set), rule))
    }

    /// Yields every rule with its set's name and whether it is a pattern that always runs.
    pub(in crate::interception) fn all(&self) -> impl Iterator<Item = (&str, &CompiledRule, bool)> {
        let rules = (0_u32..).zip(&self.compiled);
        rules.map(|(index, rule)| (self.set_name(rule.set), rule, self.always.contains(&index)))
    }

    fn set_name(&self, set: u32) -> &str {
        self.sets.get(set as usize).map_or("", |name| name)
    }
}

impl RuleSource {
    /// Checks what types cannot. Compiles patterns: milliseconds each.
    ///
    /// # Errors
    /// Names every rule that cannot be used, with the first field to change.
    pub fn check(&self, config: &Config) -> Result<(), Vec<RuleError>> {
        let faults = self.rules.iter().enumerate().filter_map(|(index, rule)| {
            let checked = check(rule, self.has_before(index, &rule.id), config).and_then(|()| {
                let pattern = rule.pattern.as_deref().map(|text| pattern::compile(text, config));
                pattern.transpose().map(drop).map_err(|reason| wrong("pattern", reason))
            });
            checked.err().map(|fault| fault.of(index, rule))
        });
        let faults: Vec<_> = faults.collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    fn has_before(&self, index: usize, id: &str) -> bool {
        self.rules.iter().take(index).any(|other| other.id == id)
    }
}

/// Checks what types cannot.
fn check(rule: &Rule, twice: bool, config: &Config) -> Result<(), Fault> {
    if !is_name(&rule.id) || twice {
        return Err(wrong("id", "1 to 64 bytes without white space, and once in a set"));
    }
    if !is_name(&rule.category) {
        return Err(wrong("category", "1 to 64 bytes without white space"));
    }
    let terms = rule.all.len() + rule.any.len() + rule.none.len();
    if rule.pattern.is_some() {
        let alone = terms == 0 && rule.near.is_none() && rule.across.is_none();
        return if alone { Ok(()) } else { Err(wrong("pattern", "a pattern stands alone, without terms")) };
    }
    if rule.all.is_empty() && rule.any.is_empty() {
        return Err(wrong("all", "name terms here or under `any`, or a `pattern`"));
    }
    if terms > TERMS_MAX {
        return Err(wrong("any", format!("{terms} terms, {TERMS_MAX} at most; make several rules of it")));
    }
    for (field, texts) in [("all", &rule.all), ("any", &rule.any), ("none", &rule.none)] {
        if let Some((text, reason)) = texts.iter().find_map(|text| Some((text, unfit(text, config)?))) {
            return Err(wrong(field, format!("`{text}` {reason}")));
        }
    }
    match (rule.near, rule.across) {
        (Some(_), Some(_)) => Err(wrong("near", "terms of several messages are not near each other")),
        (_, Some(Across { messages, .. })) if !(2..=config.recent_messages_max + 1).contains(&messages) => {
            let max = config.recent_messages_max + 1;
            let reason =
                format!("`messages` is 2 to {max} (`interception.recent_messages_max` and this one)");
            Err(wrong("across", reason))
        }
        (_, Some(Across { seconds, .. })) if u64::from(seconds) > config.recent_expiry.as_secs() => {
            let max = config.recent_expiry.as_secs();
            Err(wrong("across", format!("`seconds` is {max} at most (`interception.recent_expiry`)")))
        }
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

/// Says what keeps a term from being found.
fn unfit(text: &str, config: &Config) -> Option<&'static str> {
    let mut folded = String::new();
    fold_into(text, &mut folded);
    let mut letters = folded.chars();
    match (letters.next(), letters.next()) {
        _ if text.len() > config.term_bytes_max => Some("is longer than `interception.term_bytes_max`"),
        (None, _) => Some("holds only signs and spaces, which are skipped when matching"),
        (Some(one), None) if one < '\u{2E80}' || text.chars().nth(1).is_some() => {
            Some("is a single letter after folding; write the whole word")
        }
        (Some(_), _) => None,
    }
}

fn wrong(field: &'static str, reason: impl Into<String>) -> Fault {
    Fault { field, reason: reason.into() }
}

impl Fault {
    fn of(self, index: usize, rule: &Rule) -> RuleError {
        RuleError { rule: rule.id.clone(), index, field: self.field, reason: self.reason }
    }
}
