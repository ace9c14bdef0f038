//! The rules of a ruleset: their terms among its terms, and what their patterns cost.

use super::{ListKind, Ruleset};
use crate::interception::lint::{Problem, ProblemKind};
use crate::interception::rules::{Body, Rules};

/// A rule that is a pattern, for measuring: the core has no clock.
#[derive(Clone, Copy, Debug)]
pub struct PatternRule<'r> {
    /// The set.
    pub set: &'r str,
    /// The rule.
    pub id: &'r str,
    /// It holds no literal to wait for: it runs on every message.
    pub always_runs: bool,
    regex: &'r regex::Regex,
}

impl PatternRule<'_> {
    /// Counts the matches in a folded text (see [`fold_into`]).
    pub fn matches(&self, folded: &str) -> usize {
        self.regex.find_iter(folded).count()
    }
}

impl Ruleset {
    /// Returns every rule that is a pattern.
    pub fn patterns(&self) -> impl Iterator<Item = PatternRule<'_>> {
        self.rules.all().filter_map(|(set, rule, always_runs)| match &rule.body {
            Body::Pattern(pattern) => {
                Some(PatternRule { set, id: &rule.id, always_runs, regex: &pattern.regex })
            }
            Body::Terms { .. } => None,
        })
    }

    /// Tells the rules which terms are theirs.
    pub(super) fn take_rules(&mut self, rules: Rules) {
        self.rules = rules;
        for (list, known) in (0..).zip(&mut self.lists) {
            if self.rules.owns_list(list) {
                known.kind = ListKind::RuleSet;
                known.terms = self.rules.all().filter(|(set, ..)| *set == known.name).count();
            }
        }
        let parts = (0..self.terms()).filter(|term| self.is_part(*term));
        let numbered: Vec<(u32, u64)> =
            parts.filter_map(|term| Some((u32::try_from(term).ok()?, self.id_of(term)))).collect();
        self.rules.number_terms(numbered.into_iter());
    }

    /// Says whether a term is there for a rule: it is no hit by itself.
    pub(in crate::interception) fn is_part(&self, term: usize) -> bool {
        self.rules.owns_list(self.kinds[usize::from(self.kind_of(term))].list)
    }

    pub(super) fn slow_patterns(&self) -> impl Iterator<Item = Problem> {
        self.patterns().filter(|pattern| pattern.always_runs).map(|pattern| Problem {
            wordlist: pattern.set.to_owned(),
            line: 0,
            text: pattern.id.to_owned(),
            kind: ProblemKind::AlwaysRuns,
        })
    }
}
