//! Which rules a message asks: every keyword of every rule in one search, one pass over the folded message.
//!
//! Keywords and messages meet folded, as in interception. A pattern is looked at only when one of the literals that every
//! match of it holds was seen.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use regex::Regex;

use super::rule::{MatchKind, Mode, Rule, RuleError, SynonymList};
use crate::interception::{self, CompileError, Search, compile_pattern, fold_into};

pub(super) fn folded(text: &str) -> String {
    let mut out = String::new();
    fold_into(text, &mut out);
    out
}

/// Compiles a keyword that is a regular expression; returns it and the literals of which every match holds one.
pub(super) fn pattern(
    keyword: &str,
    words: &interception::Config,
) -> Result<(Regex, Vec<String>), RuleError> {
    let wrong = |reason: String| RuleError::Pattern { keyword: keyword.to_owned(), reason };
    let (regex, gates) = compile_pattern(keyword, words).map_err(wrong)?;
    if gates.is_empty() {
        let reason = "every match must hold a word that is always the same: two letters or digits, or one Chinese \
                      character; without one it would have to be tried on every message";
        return Err(wrong(reason.to_owned()));
    }
    Ok((regex, gates))
}

/// Lists of words that stand for each other, folded: each word with all of its list.
#[derive(Clone, Debug, Default)]
pub struct Synonyms(HashMap<String, BTreeSet<String>>);

impl Synonyms {
    /// Takes lists of words. A word in two lists stands for both.
    pub fn of<'w>(lists: impl IntoIterator<Item = &'w SynonymList>) -> Self {
        let mut this = Self::default();
        for list in lists {
            let words: BTreeSet<String> = list.words.iter().map(|word| folded(word)).collect();
            for word in &words {
                this.0.entry(word.clone()).or_default().extend(words.iter().cloned());
            }
        }
        this
    }

    fn of_keyword(&self, keyword: &str) -> Vec<String> {
        let folded = folded(keyword);
        match self.0.get(&folded) {
            Some(words) => words.iter().cloned().collect(),
            None => vec![folded],
        }
    }
}

/// What a string is for.
#[derive(Clone, Copy, Debug)]
struct Use {
    rule: u32,
    /// Which keyword of the rule.
    keyword: u32,
}

/// What one rule still asks when its strings were seen.
#[derive(Debug)]
enum Condition {
    Exact,
    StartsWith,
    Contains,
    /// Each of so many keywords, with at most so many characters between.
    All {
        keywords: u32,
        within: usize,
    },
    /// By keyword.
    Regex(Vec<Regex>),
}

/// All keywords, compiled.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    search: Option<Search>,
    /// By string.
    uses: Vec<Vec<Use>>,
    /// By rule.
    conditions: Vec<Condition>,
}

/// A rule that a message asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) rule: usize,
    /// Which of its keywords; the longest that stands there.
    pub(super) keyword: usize,
    /// Its length in folded characters; of all of them where all must be there.
    pub(super) chars: usize,
}

/// Places looked at in one message; past them only keywords that were not seen yet. What repeats itself so often is no
/// question, and nobody may make us work for long.
const SEEN_MAX: usize = 4_096;

#[derive(Debug)]
struct Seen {
    keyword: usize,
    at: Range<usize>,
}

impl Matcher {
    /// Adds a rule; its number is how many were added before. Built when all are there.
    pub(super) fn add(
        &mut self,
        rule: &Rule,
        strings: &mut Strings,
        synonyms: &Synonyms,
        words: &interception::Config,
    ) -> Result<usize, RuleError> {
        let number = self.conditions.len();
        let id = u32::try_from(number).unwrap_or(u32::MAX);
        let mut used = 0;
        let mut regexes = Vec::new();
        let keywords = if rule.mode == Mode::Silent { &[][..] } else { &rule.keywords };
        for (i, keyword) in keywords.iter().enumerate() {
            let held = if rule.match_kind == MatchKind::Regex {
                let (regex, gates) = pattern(keyword, words)?;
                regexes.push(regex);
                gates
            } else {
                synonyms.of_keyword(keyword)
            };
            used += held.len();
            for string in held {
                strings.add(string, Use { rule: id, keyword: u32::try_from(i).unwrap_or(u32::MAX) });
            }
        }
        let keywords = u32::try_from(keywords.len()).unwrap_or(u32::MAX);
        self.conditions.push(match rule.match_kind {
            MatchKind::Exact => Condition::Exact,
            MatchKind::StartsWith => Condition::StartsWith,
            MatchKind::Contains => Condition::Contains,
            MatchKind::AllOf => Condition::All { keywords, within: usize::MAX },
            MatchKind::Near => Condition::All { keywords, within: rule.within.unwrap_or(0) },
            MatchKind::Regex => Condition::Regex(regexes),
        });
        Ok(used)
    }

    pub(super) fn build(&mut self, strings: Strings) -> Result<(), CompileError> {
        if !strings.list.is_empty() {
            self.search = Some(Search::new(&strings.list)?);
        }
        self.uses = strings.uses;
        Ok(())
    }

    /// Returns the rules that a folded message asks, each once, in no order.
    pub(super) fn asked(&self, folded: &str) -> Vec<Asked> {
        let Some(search) = &self.search else { return Vec::new() };
        let (mut seen, mut strings): (Vec<(u32, Seen)>, HashSet<_>) = Default::default();
        for (string, at) in search.find(folded) {
            // The first place of a string says all of it, but where it must stand near another.
            let is_first = strings.insert(string);
            if !is_first && seen.len() >= SEEN_MAX {
                continue;
            }
            for of in &self.uses[string] {
                let is_placed = matches!(self.conditions[of.rule as usize], Condition::All { .. });
                if is_first || is_placed {
                    let keyword = of.keyword as usize;
                    seen.push((of.rule, Seen { keyword, at: at.clone() }));
                }
            }
        }
        // Stable: the strings of one rule stay in the order of the text.
        seen.sort_by_key(|(rule, _)| *rule);
        let of_rules = seen.chunk_by(|a, b| a.0 == b.0);
        of_rules.filter_map(|of_rule| self.met(folded, of_rule)).collect()
    }

    fn met(&self, folded: &str, seen: &[(u32, Seen)]) -> Option<Asked> {
        let rule = seen.first()?.0 as usize;
        let spot = |seen: &Seen| Asked { rule, keyword: seen.keyword, chars: chars(folded, &seen.at) };
        let longest = |fits: &dyn Fn(&Range<usize>) -> bool| {
            let fitting = seen.iter().map(|(_, seen)| seen).filter(|seen| fits(&seen.at)).map(&spot);
            fitting.reduce(|best, next| if next.chars > best.chars { next } else { best })
        };
        match &self.conditions[rule] {
            Condition::Exact => longest(&|at| *at == (0..folded.len())),
            Condition::StartsWith => longest(&|at| at.start == 0),
            Condition::Contains => longest(&|_| true),
            Condition::All { keywords, within } => together(folded, seen, *keywords as usize, *within)
                .map(|chars| Asked { rule, keyword: 0, chars }),
            Condition::Regex(regexes) => {
                let gated: BTreeSet<usize> = seen.iter().map(|(_, seen)| seen.keyword).collect();
                let found = gated.into_iter().filter_map(|keyword| {
                    let at = regexes.get(keyword)?.find(folded)?.range();
                    Some(spot(&Seen { keyword, at }))
                });
                found.reduce(|best, next| if next.chars > best.chars { next } else { best })
            }
        }
    }
}

fn chars(folded: &str, at: &Range<usize>) -> usize {
    folded.get(at.clone()).map_or(0, |text| text.chars().count())
}

/// Returns the length in characters of keywords that stand together, one of each; `None` where they do not.
///
/// A window slides over the places in their order: it is let go at its left as soon as what it loses stands further right.
/// Of several that begin at its left the longest is the first: no character of a keyword is between.
fn together(folded: &str, seen: &[(u32, Seen)], keywords: usize, within: usize) -> Option<usize> {
    let mut places: Vec<&Seen> = seen.iter().map(|(_, seen)| seen).collect();
    places.sort_by_key(|seen| (seen.at.start, seen.at.end));
    let mut count = vec![0_u32; keywords];
    let (mut missing, mut left) = (keywords, 0);
    for (right, last) in places.iter().enumerate() {
        let of_last = count.get_mut(last.keyword)?;
        missing -= usize::from(*of_last == 0);
        *of_last += 1;
        while count[places[left].keyword] > 1 {
            count[places[left].keyword] -= 1;
            left += 1;
        }
        let first = &places[left].at;
        let beside = places[left..=right].iter().take_while(|place| place.at.start == first.start);
        let end = beside.map(|place| place.at.end).max().unwrap_or(first.end);
        let between = end.min(last.at.start)..last.at.start;
        if missing == 0 && is_within(folded, &between, within) {
            let mut lengths = vec![0; keywords];
            for place in &places[left..=right] {
                lengths[place.keyword] = chars(folded, &place.at);
            }
            return Some(lengths.iter().sum());
        }
    }
    None
}

fn is_within(folded: &str, between: &Range<usize>, within: usize) -> bool {
    // A character has four bytes at most: what is far too long need not be counted.
    between.len() <= within || (between.len() / 4 <= within && chars(folded, between) <= within)
}

/// The strings while they are collected.
#[derive(Debug, Default)]
pub(super) struct Strings {
    list: Vec<String>,
    uses: Vec<Vec<Use>>,
    known: HashMap<String, usize>,
}

impl Strings {
    /// Returns how many there are.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    fn add(&mut self, string: String, of: Use) {
        if let Some(known) = self.known.get(&string) {
            self.uses[*known].push(of);
            return;
        }
        self.known.insert(string.clone(), self.list.len());
        self.list.push(string);
        self.uses.push(vec![of]);
    }
}
