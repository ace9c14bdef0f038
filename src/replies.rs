//! Keyword rules that answer in the group.
//!
//! Rules are tried in their written order: `exact` before `contains`, a longer keyword before a shorter one, then by
//! id. At most one rule answers a message. Keywords and messages meet folded, as in interception.
//! Never answered: programs, blocked messages, repeats, late events.

use std::collections::HashMap;
use std::time::Duration;

use aho_corasick::AhoCorasick;
use serde::{Deserialize, Serialize};

use crate::interception::fold_into;
use crate::template::{Template, TemplateError};

/// How a keyword must stand in the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatchKind {
    /// The whole message is the keyword.
    Exact,
    /// The keyword stands anywhere in the message.
    #[default]
    Contains,
}

/// One rule, as operators write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Any of these asks the rule.
    pub keywords: Vec<String>,
    /// How they must stand.
    #[serde(default, rename = "match")]
    pub match_kind: MatchKind,
    /// What is answered; may hold variables such as `{shop.hours}`.
    pub text: String,
    /// How long the rule is silent in a group after it answered, in seconds.
    #[serde(default = "cooldown_default_s")]
    pub cooldown_s: u64,
    /// Only in groups with one of these tags; empty for all.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Switched off without being deleted.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn cooldown_default_s() -> u64 {
    60
}

fn yes() -> bool {
    true
}

/// Limits of reply rules.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Rules in all.
    pub rules_max: usize,
    /// Keywords of one rule.
    pub keywords_max: usize,
    /// Longest answer, in bytes.
    pub text_bytes_max: usize,
    /// An answer that could not be sent within this time is not sent: it would puzzle the group.
    #[serde(with = "crate::units::duration")]
    pub expiry: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { rules_max: 5_000, keywords_max: 200, text_bytes_max: 4_000, expiry: Duration::from_mins(5) }
    }
}

/// Why a rule cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No keyword is left after folding.
    #[error("keyword `{0}` has nothing to match: it is only spaces or signs")]
    Keyword(String),
    /// More than allowed.
    #[error("{what}: {count}, at most {max}")]
    Many {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many may be.
        max: usize,
    },
    /// The text's variables.
    #[error("text: {0}")]
    Text(#[from] TemplateError),
}

impl Rule {
    /// Checks a rule as it comes from outside.
    ///
    /// # Errors
    /// Names what is wrong with it.
    pub fn check(&self, config: &Config) -> Result<Template, RuleError> {
        many("keywords", self.keywords.len(), config.keywords_max)?;
        many("bytes of text", self.text.len(), config.text_bytes_max)?;
        if self.keywords.is_empty() {
            return Err(RuleError::Keyword(String::new()));
        }
        if let Some(empty) = self.keywords.iter().find(|keyword| folded(keyword).is_empty()) {
            return Err(RuleError::Keyword(empty.clone()));
        }
        Ok(Template::parse(&self.text)?)
    }
}

fn many(what: &'static str, count: usize, max: usize) -> Result<(), RuleError> {
    if count > max { Err(RuleError::Many { what, count, max }) } else { Ok(()) }
}

fn folded(text: &str) -> String {
    let mut out = String::new();
    fold_into(text, &mut out);
    out
}

/// All rules, compiled.
#[derive(Debug, Default)]
pub struct Rules {
    compiled: Vec<Compiled>,
    exact: HashMap<String, Vec<usize>>,
    contains: Option<AhoCorasick>,
    /// Rule of each pattern of `contains`.
    patterns: Vec<usize>,
}

/// One compiled rule.
#[derive(Debug)]
pub struct Compiled {
    /// Its id.
    pub id: Box<str>,
    /// What it answers.
    pub text: Template,
    /// How long it is silent afterwards, in milliseconds.
    pub cooldown_ms: i64,
    tags: Vec<String>,
}

impl Rules {
    /// Compiles rules, sorted by id. The first that cannot be used stops all, so that the old set stays.
    ///
    /// # Errors
    /// The rule's id and what is wrong with it.
    pub fn compile(rules: &[(String, Rule)], config: &Config) -> Result<Self, (String, RuleError)> {
        many("reply rules", rules.len(), config.rules_max).map_err(|e| (String::new(), e))?;
        let mut sorted: Vec<&(String, Rule)> = rules.iter().filter(|(_, rule)| rule.enabled).collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut this = Self::default();
        let mut patterns: Vec<String> = Vec::new();
        for (id, rule) in sorted {
            let text = rule.check(config).map_err(|e| (id.clone(), e))?;
            let index = this.compiled.len();
            for keyword in &rule.keywords {
                match rule.match_kind {
                    MatchKind::Exact => this.exact.entry(folded(keyword)).or_default().push(index),
                    MatchKind::Contains => {
                        patterns.push(folded(keyword));
                        this.patterns.push(index);
                    }
                }
            }
            let cooldown_ms = i64::try_from(rule.cooldown_s.saturating_mul(1_000)).unwrap_or(i64::MAX);
            this.compiled.push(Compiled {
                id: id.as_str().into(),
                text,
                cooldown_ms,
                tags: rule.tags.clone(),
            });
        }
        if !patterns.is_empty() {
            let built = AhoCorasick::new(&patterns);
            this.contains = Some(built.map_err(|_| {
                // The automaton's own limit (2^31 states) lies far above `rules_max` × `keywords_max`.
                let (count, max) = (patterns.len(), config.rules_max);
                (String::new(), RuleError::Many { what: "keywords of all rules", count, max })
            })?);
        }
        Ok(this)
    }

    /// Says whether there is nothing to match.
    pub fn is_empty(&self) -> bool {
        self.compiled.is_empty()
    }

    /// Returns the rules that a folded message asks, best first.
    pub fn asked(&self, folded: &str, tags: &[String]) -> Vec<&Compiled> {
        let fits = |index: &usize| {
            let rule = &self.compiled[*index];
            rule.tags.is_empty() || rule.tags.iter().any(|tag| tags.contains(tag))
        };
        let mut found: Vec<usize> = self.exact.get(folded).into_iter().flatten().copied().collect();
        if let Some(automaton) = &self.contains {
            let mut parts: Vec<(usize, usize)> = automaton
                .find_overlapping_iter(folded)
                .map(|hit| (hit.end() - hit.start(), self.patterns[hit.pattern().as_usize()]))
                .collect();
            parts.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            found.extend(parts.into_iter().map(|(_, index)| index));
        }
        found.into_iter().filter(fits).map(|index| &self.compiled[index]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(keywords: &[&str], match_kind: MatchKind, text: &str, tags: &[&str]) -> Rule {
        Rule {
            keywords: keywords.iter().map(ToString::to_string).collect(),
            match_kind,
            text: text.into(),
            cooldown_s: 60,
            tags: tags.iter().map(ToString::to_string).collect(),
            enabled: true,
        }
    }

    fn first(message: &str, tags: &[&str]) -> Option<String> {
        let rules = [
            ("a-hours".into(), rule(&["营业时间", "几点开门"], MatchKind::Contains, "十点", &[])),
            ("b-hours-night".into(), rule(&["晚上营业时间"], MatchKind::Contains, "二十二点", &[])),
            ("c-address".into(), rule(&["地址"], MatchKind::Exact, "人民路一号", &[])),
            ("d-vip".into(), rule(&["优惠"], MatchKind::Contains, "八折", &["vip"])),
        ];
        let rules = Rules::compile(&rules, &Config::default()).unwrap();
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        rules.asked(&folded(message), &tags).first().map(|rule| rule.id.to_string())
    }

    #[test]
    fn the_most_specific_rule_answers() {
        let table: &[(&str, &[&str], Option<&str>)] = &[
            ("请问營業 時間？", &[], Some("a-hours")),
            ("晚上营业时间是", &[], Some("b-hours-night")),
            ("地址", &[], Some("c-address")),
            ("你们地址在哪", &[], None),
            ("有优惠吗", &[], None),
            ("有优惠吗", &["vip"], Some("d-vip")),
            ("早上好", &[], None),
        ];
        for (message, tags, expect) in table {
            assert_eq!(first(message, tags).as_deref(), *expect, "{message}");
        }
    }

    #[test]
    fn a_rule_that_cannot_match_is_refused_by_name() {
        let rules = [("dots".to_owned(), rule(&["……"], MatchKind::Contains, "x", &[]))];
        let (id, error) = Rules::compile(&rules, &Config::default()).unwrap_err();
        assert_eq!((id.as_str(), error), ("dots", RuleError::Keyword("……".into())));
    }
}
