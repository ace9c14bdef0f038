//! Rulesets: wordlists and policies compiled into one immutable whole that is swapped as one.
//!
//! Compiling 60,000 terms takes a few tenths of a second: never on the hot path.
//! Invariant: every term that is kept has at least one folded character, and its pattern's anchor is in the filter.

mod handover;
mod reader;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;
use thiserror::Error;

use super::Config;
use super::encode::{Alphabet, CLASS_MAX};
use super::exact::{ExactStage, Found};
use super::filter::Filter;
use super::fold::fold_into;
use super::lint::Problem;
use super::mask;
use super::policy::{Decision, POLICY_DEFAULT, Policy, PolicyError, StaffRule, Strictness};
use super::variants::{Disguised, Ordinary, Room, Variants};
use super::wordlist::{Origin, WordlistSource, is_name};
use crate::event::{Level, Role};
use reader::Reader;

/// Why sources cannot be compiled at all. What concerns one line is a [`Problem`] instead.
#[derive(Debug, Error)]
pub enum CompileError {
    /// A limit of the configuration.
    #[error("{count} {what}, {max} at most (`interception.{key}`)")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The configuration key of the limit.
        key: &'static str,
        /// How many there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// More different characters than can be numbered.
    #[error("the terms hold {0} different characters, {CLASS_MAX} at most")]
    Alphabet(usize),
    /// More categories than can be numbered.
    #[error("more than 65,535 categories over all wordlists")]
    Categories,
    /// A wordlist without a proper name.
    #[error("wordlist `{0}`: a name is 1 to 64 bytes without white space")]
    WordlistName(String),
    /// Two wordlists of one name.
    #[error("wordlist `{0}` is given twice")]
    WordlistTwice(String),
    /// A policy that cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The automaton cannot be built.
    #[error("build the automaton")]
    Automaton(#[from] aho_corasick::BuildError),
}

/// A wordlist of a ruleset, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ListSummary {
    /// Its name.
    pub name: String,
    /// Where it is kept.
    pub origin: Origin,
    /// Whether its terms are shown only by their first character.
    #[serde(default)]
    pub masked: bool,
    /// Terms that can match.
    pub terms: usize,
    /// Allow phrases that can match.
    pub allow: usize,
}

/// Everything a text is judged by. Immutable; a verdict names its [`Ruleset::version`].
#[derive(Debug)]
pub struct Ruleset {
    version: String,
    config: Config,
    lists: Vec<ListSummary>,
    /// Pairs of list and category.
    kinds: Vec<Kind>,
    /// By pattern.
    terms: Vec<ListedTerm>,
    /// Pattern `p` has the terms from `terms_from[p]` up to `terms_from[p + 1]`.
    terms_from: Vec<u32>,
    /// By pattern.
    phrases: Vec<Phrase>,
    /// Indices of terms by their id.
    by_id: Vec<u32>,
    /// All terms and phrases as written, end to end.
    texts: String,
    alphabet: Alphabet,
    filter: Filter,
    exact: Box<dyn ExactStage>,
    variants: Variants,
    policies: BTreeMap<String, Policy>,
}

#[derive(Debug)]
struct Kind {
    list: u16,
    category: Box<str>,
    level: Level,
}

#[derive(Clone, Copy, Debug)]
struct ListedTerm {
    text_from: u32,
    line: u32,
    text_bytes: u16,
    kind: u16,
}

#[derive(Clone, Copy, Debug)]
struct Phrase {
    pattern: u32,
    text_from: u32,
    text_bytes: u16,
    list: u16,
}

/// A term as listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed<'r> {
    pub(super) wordlist: &'r str,
    pub(super) category: &'r str,
    pub(super) text: &'r str,
    pub(super) line: u32,
    pub(super) masked: bool,
}

impl<'r> Listed<'r> {
    /// Returns the term as it may be displayed.
    pub(super) fn shown(&self) -> Cow<'r, str> {
        shown(self.text, self.masked)
    }
}

/// Returns a term or an allow phrase as it may be displayed.
pub(super) fn shown(text: &str, masked: bool) -> Cow<'_, str> {
    if masked { Cow::Owned(mask::hint(text)) } else { Cow::Borrowed(text) }
}

impl Ruleset {
    /// Compiles wordlists and policies; the presets are added where no policy has their name.
    ///
    /// Returns what is wrong with single lines beside the ruleset that does without them.
    ///
    /// # Errors
    /// When a limit is passed or a name is unusable.
    pub fn compile(
        version: impl Into<String>,
        sources: &[WordlistSource],
        policies: Vec<Policy>,
        config: &Config,
    ) -> Result<(Self, Vec<Problem>), CompileError> {
        check_limits(sources, &policies, config)?;
        let policies = collect_policies(policies)?;
        let mut reader = Reader::new(config);
        for (list, source) in (0..).zip(sources) {
            reader.read(list, source)?;
        }
        reader.report_phrases(sources);
        let compiled = reader.finish(version.into(), policies)?;
        Ok(compiled)
    }

    /// Returns the version given at compile time, for example `r-12`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Finds a policy by name; `relaxed`, `standard` and `strict` are always there.
    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies.get(name)
    }

    /// Finds the policy for a member's messages: `name`, or `standard` when there is no such policy, and what it
    /// says about staff. `None` means that the message is not judged.
    pub fn policy_for(&self, name: &str, role: Role) -> Option<&Policy> {
        let policy = self.policy(name).or_else(|| self.policy(POLICY_DEFAULT))?;
        match (role, &policy.staff) {
            (Role::Staff, StaffRule::Exempt) => None,
            (Role::Staff, StaffRule::Policy(other)) => self.policy(other),
            (Role::Staff, StaffRule::Same) | (Role::Customer | Role::Bot, _) => Some(policy),
        }
    }

    /// Returns all policies by name.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.values()
    }

    /// Returns the wordlists in the order they were given.
    pub fn wordlists(&self) -> &[ListSummary] {
        &self.lists
    }

    /// Returns how many terms can match.
    pub fn terms(&self) -> usize {
        self.terms.len()
    }

    /// Finds the wordlist and the term of a stored id; the term of a masked list only by its first character.
    pub fn term(&self, id: u64) -> Option<(&str, Cow<'_, str>)> {
        let at = self.by_id.binary_search_by_key(&id, |index| self.term_id(*index as usize)).ok()?;
        let listed = self.listed(self.by_id.get(at).copied()? as usize);
        Some((listed.wordlist, listed.shown()))
    }

    /// Returns the bytes it occupies, without the fold table that all rulesets share (256 KiB).
    pub fn memory_bytes(&self) -> usize {
        self.exact.memory_bytes()
            + Filter::MEMORY_BYTES
            + Alphabet::MEMORY_BYTES
            + self.texts.capacity()
            + self.terms.capacity() * size_of::<ListedTerm>()
            + (self.terms_from.capacity() + self.by_id.capacity()) * size_of::<u32>()
            + self.phrases.capacity() * size_of::<Phrase>()
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn may_hit(&self, text: &str) -> bool {
        self.filter.may_hit(&self.alphabet, text)
    }

    pub(super) fn find(
        &self,
        text: &str,
        classes: &mut Vec<u16>,
        bytes: &mut Vec<u8>,
        found: &mut Vec<Found>,
    ) {
        self.alphabet.encode(text, classes);
        self.exact.find(classes, bytes, found);
    }

    pub(super) fn find_disguised(&self, text: &str, strictness: Strictness, room: &mut Room) {
        self.variants.find(text, strictness, room);
    }

    pub(super) fn weigh(&self, room: &Room, hit: &Disguised) -> Ordinary {
        self.variants.weigh(room, hit)
    }

    /// Returns what variants occupy beside [`Ruleset::memory_bytes`], without the tables that all rulesets share.
    pub fn variants_memory_bytes(&self) -> usize {
        self.variants.memory_bytes()
    }

    pub(super) fn terms_of(&self, pattern: usize) -> std::ops::Range<usize> {
        let at = |index: usize| self.terms_from.get(index).map_or(self.terms.len(), |from| *from as usize);
        at(pattern)..at(pattern + 1)
    }

    pub(super) fn phrases_of(&self, pattern: usize) -> std::ops::Range<usize> {
        let from = self.phrases.partition_point(|p| (p.pattern as usize) < pattern);
        let to = self.phrases.partition_point(|p| p.pattern as usize <= pattern);
        from..to
    }

    /// Returns the wordlist of an allow phrase, and its text as it may be displayed.
    pub(super) fn phrase(&self, index: usize) -> (&str, Cow<'_, str>) {
        let phrase = &self.phrases[index];
        let list = &self.lists[usize::from(phrase.list)];
        (&list.name, shown(self.text(phrase.text_from, phrase.text_bytes), list.masked))
    }

    /// Not kept: hits are rare, and 60,000 ids are half a megabyte.
    fn term_id(&self, term: usize) -> u64 {
        let listed = self.listed(term);
        let mut folded = String::new();
        fold_into(listed.text, &mut folded);
        term_id(listed.wordlist, folded.chars())
    }

    pub(super) fn kind_of(&self, term: usize) -> u16 {
        self.terms[term].kind
    }

    pub(super) fn listed(&self, term: usize) -> Listed<'_> {
        let term = &self.terms[term];
        let kind = &self.kinds[usize::from(term.kind)];
        let list = &self.lists[usize::from(kind.list)];
        Listed {
            wordlist: &list.name,
            category: &kind.category,
            text: self.text(term.text_from, term.text_bytes),
            line: term.line,
            masked: list.masked,
        }
    }

    pub(super) fn decide(&self, policy: &Policy, term: usize) -> Option<Decision> {
        let kind = &self.kinds[usize::from(self.terms[term].kind)];
        policy.decide(&self.lists[usize::from(kind.list)].name, &kind.category, kind.level)
    }

    fn text(&self, from: u32, bytes: u16) -> &str {
        let from = from as usize;
        self.texts.get(from..from + usize::from(bytes)).unwrap_or_default()
    }
}

/// Names a term for good: the id outlives rulesets and processes, so its key is fixed.
pub(super) fn term_id(wordlist: &str, folded: impl Iterator<Item = char>) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x6D65_6E73_6865_6E21, 0x7465_726D_2D69_6431);
    hasher.write(wordlist.as_bytes());
    hasher.write(&[0xFF]);
    for c in folded {
        hasher.write(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    hasher.finish()
}

fn check_limits(
    sources: &[WordlistSource],
    policies: &[Policy],
    config: &Config,
) -> Result<(), CompileError> {
    let terms = sources.iter().map(|s| s.terms.len() + s.allow.len()).sum();
    for (what, key, count, max) in [
        ("wordlists", "wordlists_max", sources.len(), config.wordlists_max.min(usize::from(u16::MAX))),
        ("terms", "terms_max", terms, config.terms_max.min(4_000_000)),
        ("policies", "policies_max", policies.len(), config.policies_max),
    ] {
        if count > max {
            return Err(CompileError::TooMany { what, key, count, max });
        }
    }
    for (index, source) in sources.iter().enumerate() {
        if !is_name(&source.name) {
            return Err(CompileError::WordlistName(source.name.clone()));
        }
        if sources.iter().take(index).any(|other| other.name == source.name) {
            return Err(CompileError::WordlistTwice(source.name.clone()));
        }
    }
    Ok(())
}

fn collect_policies(given: Vec<Policy>) -> Result<BTreeMap<String, Policy>, PolicyError> {
    let mut policies = BTreeMap::new();
    for policy in given {
        policy.check()?;
        if let Some(twice) = policies.insert(policy.name.clone(), policy) {
            return Err(PolicyError::Twice(twice.name));
        }
    }
    for preset in Policy::presets() {
        policies.entry(preset.name.clone()).or_insert(preset);
    }
    for policy in policies.values() {
        if let StaffRule::Policy(other) = &policy.staff
            && !policies.contains_key(other)
        {
            return Err(PolicyError::StaffPolicy { policy: policy.name.clone(), other: other.clone() });
        }
    }
    Ok(policies)
}
