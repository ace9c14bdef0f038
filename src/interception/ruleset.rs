//! Rulesets: wordlists and policies compiled into one immutable whole that is swapped as one.
//!
//! Compiling 60,000 terms takes a few tenths of a second: never on the hot path.
//! Invariant: every term that is kept has at least one folded character, and the exact stage has its pattern.

mod handover;
mod listing;
mod patterns;
mod reader;
mod standing;
mod trials;

use std::borrow::Cow;
use std::hash::Hasher;
use std::sync::Arc;

use siphasher::sip::SipHasher13;
use thiserror::Error;

use super::Config;
use super::audience::Speaker;
use super::detectors::DETECTORS;
use super::encode::{Alphabet, CLASS_MAX, Classes};
use super::exact::{ExactStage, Found, TooManyStates};
use super::fold::Unit;
use super::lint::{Problem, ProblemKind};
use super::policy::{Policy, PolicyBook, PolicyError, Strictness};
use super::rules::{RuleError, RuleSource, Rules};
use super::variants::{Disguised, Ordinary, Room, Variants};
use super::wordlist::{WordlistSource, is_name};
use crate::event::Level;
pub(super) use listing::Listed;
pub use listing::{ListKind, ListSummary, shown};
pub use patterns::PatternRule;
use reader::Reader;
pub(super) use reader::number_letters;
pub(super) use standing::{Judging, ListStanding};
use standing::{ListEntry, TermEntry};
use trials::Trial;
pub use trials::TrialCounts;

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
    /// A wordlist that makes no sense as a whole.
    #[error("wordlist `{name}`: {reason}")]
    Wordlist {
        /// The list.
        name: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A wordlist without a proper name.
    #[error("wordlist `{0}`: a name is 1 to 64 bytes without white space")]
    WordlistName(String),
    /// Two wordlists or sets of rules of one name.
    #[error("`{0}` is given twice: wordlists and sets of rules are told apart by their names")]
    WordlistTwice(String),
    /// A wordlist of the name that detections go by.
    #[error("`{DETECTORS}` is the name of the built-in detectors; call the list something else")]
    WordlistReserved,
    /// A rule that cannot be used.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A policy that cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// More text than can be numbered.
    #[error(transparent)]
    Automaton(#[from] TooManyStates),
}

/// Everything a text is judged by. Immutable; a verdict names its [`Ruleset::version`].
#[derive(Debug)]
pub struct Ruleset {
    version: String,
    config: Config,
    lists: Vec<ListSummary>,
    /// By list: whom it reaches, and how.
    entries: Vec<ListEntry>,
    /// The highest strictness that a list asks for by itself.
    strictness: Option<Strictness>,
    /// Terms that differ from their lists, by where their text begins.
    own: Vec<(u32, TermEntry)>,
    /// Some list or term reaches our own sends in some groups only.
    own_sends_differ: bool,
    /// Pairs of list and category.
    kinds: Vec<Kind>,
    /// By pattern.
    terms: Vec<ListedTerm>,
    /// Pattern `p` has the terms from `terms_from[p]` up to `terms_from[p + 1]`.
    terms_from: Vec<u32>,
    /// By pattern.
    phrases: Vec<Phrase>,
    /// By term: what it is stored as.
    ids: Vec<u64>,
    /// Indices of terms by their id.
    by_id: Vec<u32>,
    /// All terms and phrases as written, end to end.
    texts: String,
    alphabet: Alphabet,
    exact: Box<dyn ExactStage>,
    variants: Variants,
    policies: Arc<PolicyBook>,
    rules: Rules,
    /// What lists on trial came to so far: the one thing in it that changes, and it decides nothing.
    trials: Vec<Trial>,
}

/// What a ruleset is compiled from.
#[derive(Clone, Debug, Default)]
pub struct Sources<'s> {
    /// Wordlists.
    pub wordlists: &'s [WordlistSource],
    /// Sets of rules.
    pub rules: &'s [RuleSource],
    /// Policies; the presets are added where none has their name.
    pub policies: Vec<Policy>,
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
        Self::compile_with(version, Sources { wordlists: sources, policies, ..Sources::default() }, config)
    }

    /// Compiles wordlists, rules and policies as [`Self::compile`] does.
    ///
    /// # Errors
    /// When a limit is passed, a name is unusable or a rule cannot match.
    pub fn compile_with(
        version: impl Into<String>,
        Sources { wordlists, rules, policies }: Sources<'_>,
        config: &Config,
    ) -> Result<(Self, Vec<Problem>), CompileError> {
        let count = rules.iter().map(|set| set.rules.len()).sum();
        if count > config.rules_max {
            return Err(CompileError::TooMany {
                what: "rules",
                key: "rules_max",
                count,
                max: config.rules_max,
            });
        }
        let (rules, parts) = Rules::compile(rules, wordlists.len(), config)?;
        // A set's terms are a wordlist to the automaton; its terms are no hits by themselves.
        let sources: Vec<&WordlistSource> = wordlists.iter().chain(&parts).collect();
        check_limits(&sources, &policies, config)?;
        let policies = Arc::new(PolicyBook::new(policies, &config.policy)?);
        let mut reader = Reader::new(config);
        for (list, source) in (0..).zip(&sources) {
            reader.read(list, source)?;
        }
        reader.report_phrases(&sources);
        let (mut ruleset, mut problems) = reader.finish(version.into(), policies)?;
        ruleset.take_rules(rules);
        // Of the terms of a rule, one character alone is no mistake.
        problems.retain(|problem| wordlists.iter().any(|list| list.name == problem.wordlist));
        problems.retain(|problem| {
            problem.kind != ProblemKind::Idle || !ruleset.allows_disguise(problem, wordlists)
        });
        problems.extend(ruleset.slow_patterns());
        Ok((ruleset, problems))
    }

    /// Says whether the allow phrase of a problem holds a term in disguise: 白家乐超市 holds 百家乐 for whoever listens.
    fn allows_disguise(&self, problem: &Problem, wordlists: &[WordlistSource]) -> bool {
        let (mut units, mut room) = (Vec::new(), Room::default());
        let mut holds = |text: &str| {
            let read = (&Classes::default(), &[][..]);
            self.find_disguised(text, read, Strictness::Strict, &mut units, &mut room);
            !room.found.is_empty()
        };
        let lists = wordlists.iter().filter(|list| list.name == problem.wordlist);
        let mut phrases = lists.flat_map(|list| list.allow.iter().map(move |phrase| (phrase, list.masked)));
        self.has_variants()
            && phrases.any(|(phrase, masked)| {
                phrase.line == problem.line
                    && shown(&phrase.text, masked) == problem.text
                    && holds(&phrase.text)
            })
    }

    /// Returns the version given at compile time, for example `r-12`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Finds a policy by name, over what is built in; `relaxed`, `standard` and `strict` are always there.
    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies.alone(name)
    }

    /// Finds the policy for a speaker's texts: `name`, or `standard` when there is no such policy, and what it
    /// says about staff. `None` means that the text is not judged.
    pub fn policy_for(&self, name: &str, speaker: impl Into<Speaker>) -> Option<&Policy> {
        self.policies.alone_for(name, speaker.into())
    }

    /// Returns all policies by name.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.all()
    }

    /// Says whether our own sends are judged by other lists or terms in some groups than in others.
    pub fn own_sends_differ(&self) -> bool {
        self.own_sends_differ
    }

    /// Returns the book of all policies, to work out a group's and to know when that must be done anew.
    pub fn policy_book(&self) -> &Arc<PolicyBook> {
        &self.policies
    }

    /// Returns the wordlists in the order they were given, then the sets of rules.
    pub fn wordlists(&self) -> &[ListSummary] {
        &self.lists
    }

    /// Returns everything that hits can be of: [`Self::wordlists`] and the detectors.
    pub fn listing(&self) -> impl Iterator<Item = ListSummary> {
        self.lists.iter().cloned().chain([ListSummary::detectors()])
    }

    /// Returns how many terms can match.
    pub fn terms(&self) -> usize {
        self.terms.len()
    }

    /// Finds the wordlist and the term of a stored id, the term of a masked list only by its first character; for a
    /// detector or rule, what its hits name as such.
    pub fn term(&self, id: u64) -> Option<(&str, Cow<'_, str>)> {
        let Ok(at) = self.by_id.binary_search_by_key(&id, |term| self.id_of(*term as usize)) else {
            return self.named(id).map(|(list, name)| (list, Cow::Borrowed(name)));
        };
        let listed = self.listed(self.by_id.get(at).copied()? as usize);
        Some((listed.wordlist, listed.shown()))
    }

    /// Returns the bytes it occupies, without the fold table that all rulesets share (256 KiB).
    pub fn memory_bytes(&self) -> usize {
        self.exact.memory_bytes()
            + Alphabet::MEMORY_BYTES
            + self.texts.capacity()
            + self.terms.capacity() * size_of::<ListedTerm>()
            + (self.terms_from.capacity() + self.by_id.capacity()) * size_of::<u32>()
            + self.ids.capacity() * size_of::<u64>()
            + self.phrases.capacity() * size_of::<Phrase>()
            + self.own.capacity() * size_of::<(u32, TermEntry)>()
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Writes every occurrence of every pattern over what `found` held.
    pub(super) fn find(&self, text: &str, classes: &mut Classes, found: &mut Vec<Found>) {
        self.alphabet.encode(text, classes);
        self.exact.find(classes.as_slice(), found);
    }

    /// Says whether any term is looked for in disguise.
    pub(super) fn has_variants(&self) -> bool {
        !self.variants.is_empty()
    }

    /// Returns the highest strictness that any hit may be judged by.
    pub(super) fn strictness_max(&self, policy: &Policy) -> Strictness {
        self.strictness.unwrap_or(Strictness::Relaxed).max(policy.strictness_max())
    }

    /// Writes every term in disguise over what `room.found` held, and the units of the text into `units` where it had
    /// to be looked at.
    pub(super) fn find_disguised(
        &self,
        text: &str,
        read: (&Classes, &[Found]),
        strictness: Strictness,
        units: &mut Vec<Unit>,
        room: &mut Room,
    ) {
        self.variants.find(text, read, strictness, units, room);
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

    pub(super) fn id_of(&self, term: usize) -> u64 {
        self.ids[term]
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
    sources: &[&WordlistSource],
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
        if source.name == DETECTORS {
            return Err(CompileError::WordlistReserved);
        }
        if sources.iter().take(index).any(|other| other.name == source.name) {
            return Err(CompileError::WordlistTwice(source.name.clone()));
        }
        let wrong = |reason| CompileError::Wordlist { name: source.name.clone(), reason };
        source.check().map_err(wrong)?;
    }
    Ok(())
}
