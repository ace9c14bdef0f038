//! Compiling: reads lists into patterns, numbers their characters, builds filter and automaton.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::standing::{ListEntry, TermEntry};
use super::{CompileError, Kind, ListKind, ListSummary, ListedTerm, Phrase, Ruleset, shown, term_id};
use crate::interception::Config;
use crate::interception::audience::Speaker;
use crate::interception::encode::{Alphabet, CLASS_MAX};
use crate::interception::exact::Anchored;
use crate::interception::filter::{Rarity, frequency};
use crate::interception::fold::fold_into;
use crate::interception::life::Life;
use crate::interception::lint::{Problem, ProblemKind};
use crate::interception::policy::PolicyBook;
use crate::interception::rules::Rules;
use crate::interception::variants::{Variants, apart, is_telling_picture, told_apart};
use crate::interception::wordlist::WordlistSource;

/// Collects lists into patterns; a pattern is a folded text that terms and phrases of several lists may share.
pub(super) struct Reader<'c> {
    config: &'c Config,
    patterns: HashMap<Box<str>, Pattern>,
    lists: Vec<ListSummary>,
    entries: Vec<ListEntry>,
    /// By where the text of the term begins, ascending.
    own: Vec<(u32, TermEntry)>,
    kinds: Vec<Kind>,
    kind_of: HashMap<(u16, Box<str>), u16>,
    /// With their patterns.
    terms: Vec<(u32, ListedTerm)>,
    phrases: Vec<Phrase>,
    texts: String,
    problems: Vec<Problem>,
    folded: String,
}

/// What is known of a folded text.
#[derive(Clone, Copy)]
struct Pattern {
    index: u32,
    /// The last list that lists it as a term, and in which place of `terms`.
    term: Option<(u16, usize)>,
    /// The last list that allows it.
    allowed_by: Option<u16>,
}

impl<'c> Reader<'c> {
    pub(super) fn new(config: &'c Config) -> Self {
        Self {
            config,
            patterns: HashMap::new(),
            lists: Vec::new(),
            entries: Vec::new(),
            own: Vec::new(),
            kinds: Vec::new(),
            kind_of: HashMap::new(),
            terms: Vec::new(),
            phrases: Vec::new(),
            texts: String::new(),
            problems: Vec::new(),
            folded: String::new(),
        }
    }

    pub(super) fn read(&mut self, list: u16, source: &WordlistSource) -> Result<(), CompileError> {
        let (terms_before, phrases_before) = (self.terms.len(), self.phrases.len());
        let is_draft = source.life == Life::Draft;
        for term in source.terms.iter().filter(|_| !is_draft) {
            let before = self.terms.len();
            if let Some(kind) =
                self.read_term(list, source, &term.text, term.category.as_deref(), term.line)?
            {
                self.problem(source, term.line, &term.text, kind);
            }
            if let Some((_, kept)) = self.terms.get(before)
                && let Some(entry) = TermEntry::of(term)
            {
                self.own.push((kept.text_from, entry));
            }
        }
        for phrase in source.allow.iter().filter(|_| !is_draft) {
            if let Some(kind) = self.read_phrase(list, &phrase.text) {
                self.problem(source, phrase.line, &phrase.text, kind);
            }
        }
        self.lists.push(ListSummary {
            name: source.name.clone(),
            kind: ListKind::Wordlist,
            origin: source.origin,
            masked: source.masked,
            terms: self.terms.len() - terms_before,
            allow: self.phrases.len() - phrases_before,
            life: source.life.clone(),
            scope: source.scope.clone(),
            roles: source.roles,
            valid_from: source.valid_from,
            valid_until: source.valid_until,
        });
        self.entries.push(ListEntry::of(source));
        Ok(())
    }

    fn read_term(
        &mut self,
        list: u16,
        source: &WordlistSource,
        text: &str,
        category: Option<&str>,
        line: u32,
    ) -> Result<Option<ProblemKind>, CompileError> {
        if let Some(kind) = self.fold(text) {
            return Ok(Some(kind));
        }
        let mut letters = self.folded.chars();
        let one = letters.next().filter(|_| letters.next().is_none());
        if let Some(letter) = one
            && (letter < '\u{2E80}' || text.chars().nth(1).is_some())
        {
            return Ok(Some(ProblemKind::OneClass));
        }
        let kind = self.kind(list, source, category.unwrap_or(&source.category))?;
        let next = self.terms.len();
        let pattern = self.pattern();
        if let Some((same, earlier)) = pattern.term
            && same == list
        {
            return Ok(Some(self.duplicate_of(earlier)));
        }
        pattern.term = Some((list, next));
        let pattern = pattern.index;
        let (text_from, text_bytes) = self.keep_text(text);
        self.terms.push((pattern, ListedTerm { text_from, line, text_bytes, kind }));
        Ok(one.is_some().then_some(ProblemKind::OneCharacter))
    }

    fn read_phrase(&mut self, list: u16, text: &str) -> Option<ProblemKind> {
        if let Some(kind) = self.fold(text) {
            return Some(kind);
        }
        let pattern = self.pattern();
        if pattern.allowed_by == Some(list) {
            return Some(ProblemKind::Duplicate { line: 0, of: text.to_owned() });
        }
        pattern.allowed_by = Some(list);
        let pattern = pattern.index;
        let (text_from, text_bytes) = self.keep_text(text);
        self.phrases.push(Phrase { pattern, text_from, text_bytes, list });
        None
    }

    /// Folds into `self.folded`; says what keeps the text from being matched.
    fn fold(&mut self, text: &str) -> Option<ProblemKind> {
        let bytes_max = self.config.term_bytes_max.min(usize::from(u16::MAX));
        if text.len() > bytes_max {
            return Some(ProblemKind::TooLong { bytes_max });
        }
        fold_into(text, &mut self.folded);
        self.folded.is_empty().then_some(ProblemKind::Vanished)
    }

    fn pattern(&mut self) -> &mut Pattern {
        let index = u32::try_from(self.patterns.len()).unwrap_or(u32::MAX);
        self.patterns.entry(Box::from(self.folded.as_str())).or_insert(Pattern {
            index,
            term: None,
            allowed_by: None,
        })
    }

    fn kind(&mut self, list: u16, source: &WordlistSource, category: &str) -> Result<u16, CompileError> {
        if let Some(kind) = self.kind_of.get(&(list, Box::from(category))) {
            return Ok(*kind);
        }
        let kind = u16::try_from(self.kinds.len()).map_err(|_| CompileError::Categories)?;
        self.kinds.push(Kind { list, category: Box::from(category), level: source.level_of(category) });
        self.kind_of.insert((list, Box::from(category)), kind);
        Ok(kind)
    }

    fn keep_text(&mut self, text: &str) -> (u32, u16) {
        // `check_limits` and `fold` bound both: 4 million entries, and a length that is limited to 65,535.
        let from = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push_str(text);
        (from, u16::try_from(text.len()).unwrap_or(u16::MAX))
    }

    fn duplicate_of(&self, earlier: usize) -> ProblemKind {
        let (_, term) = &self.terms[earlier];
        let from = term.text_from as usize;
        let of = self.texts.get(from..from + usize::from(term.text_bytes)).unwrap_or_default();
        ProblemKind::Duplicate { line: term.line, of: of.to_owned() }
    }

    fn problem(&mut self, source: &WordlistSource, line: u32, text: &str, mut kind: ProblemKind) {
        if let ProblemKind::Duplicate { of, .. } = &mut kind {
            *of = shown(of, source.masked).into_owned();
        }
        let text = shown(text, source.masked).into_owned();
        self.problems.push(Problem { wordlist: source.name.clone(), line, text, kind });
    }

    /// Finds terms that an allow phrase equals, and phrases that hold no term.
    pub(super) fn report_phrases(&mut self, sources: &[&WordlistSource]) {
        let has_terms = self.lists.iter().map(|list| list.terms > 0).collect::<Vec<_>>();
        let longest = self.patterns.iter().filter(|(_, p)| p.term.is_some()).map(|(f, _)| f.len()).max();
        for source in sources {
            for term in source.terms.iter().filter(|t| t.text.len() <= self.config.term_bytes_max) {
                fold_into(&term.text, &mut self.folded);
                let by = self.patterns.get(self.folded.as_str()).and_then(|p| p.allowed_by);
                if let Some(by) = by {
                    let by = self.lists[usize::from(by)].name.clone();
                    self.problem(source, term.line, &term.text, ProblemKind::Allowed { by });
                }
            }
        }
        for (source, has_terms) in sources.iter().zip(has_terms) {
            for phrase in source.allow.iter().filter(|_| has_terms) {
                if phrase.text.len() > self.config.term_bytes_max {
                    continue;
                }
                fold_into(&phrase.text, &mut self.folded);
                if !self.holds_term(longest.unwrap_or(0)) {
                    self.problem(source, phrase.line, &phrase.text, ProblemKind::Idle);
                }
            }
        }
    }

    fn holds_term(&self, longest: usize) -> bool {
        let ends = || self.folded.char_indices().map(|(at, c)| at + c.len_utf8());
        self.folded.char_indices().any(|(from, _)| {
            ends().filter(|to| *to > from && *to - from <= longest).any(|to| {
                let part = self.folded.get(from..to).unwrap_or_default();
                self.patterns.get(part).is_some_and(|p| p.term.is_some())
            })
        })
    }

    /// Makes patterns, without terms, of the two parts of characters that terms hold; returns them with the characters.
    fn add_apart(&mut self) -> Vec<(u32, char)> {
        let terms = self.patterns.iter().filter(|(_, pattern)| pattern.term.is_some());
        let listed: HashSet<char> = terms.flat_map(|(folded, _)| folded.chars()).collect();
        let mut added = Vec::new();
        for (parts, whole) in apart().filter(|(_, whole)| listed.contains(whole)) {
            self.folded.clear();
            self.folded.extend(parts);
            added.push((self.pattern().index, whole));
        }
        added
    }

    pub(super) fn finish(
        mut self,
        version: String,
        policies: Arc<PolicyBook>,
    ) -> Result<(Ruleset, Vec<Problem>), CompileError> {
        let apart = if self.config.variants { self.add_apart() } else { Vec::new() };
        let mut folded: Vec<(Box<str>, Pattern)> = self.patterns.drain().collect();
        folded.sort_unstable_by_key(|(_, pattern)| pattern.index);
        let letters = number_letters(folded.iter().map(|(text, _)| text.as_ref()), self.config.variants);
        if letters.len() > usize::from(CLASS_MAX) {
            return Err(CompileError::Alphabet(letters.len()));
        }
        let has_variants = self.config.variants;
        let alphabet = Alphabet::new(&letters, |c| has_variants && is_telling_picture(c));
        let encode = |text: &str| text.chars().map(|c| alphabet.class(c)).collect::<Vec<_>>();
        let patterns: Vec<Vec<u16>> = folded.iter().map(|(text, _)| encode(text)).collect();

        let mut variants = if self.config.variants {
            Variants::new(folded.iter().map(|(text, known)| known.term.map(|_| text.as_ref())), &letters)
        } else {
            Variants::default()
        };
        variants.take_apart(apart);
        self.terms.sort_by_key(|(pattern, _)| *pattern);
        self.phrases.sort_by_key(|p| p.pattern);
        let first_of = |p: u32| self.terms.partition_point(|(pattern, _)| *pattern < p);
        let terms_from = (0..=u32::try_from(patterns.len()).unwrap_or(u32::MAX))
            .map(|p| u32::try_from(first_of(p)).unwrap_or(u32::MAX))
            .collect();
        self.texts.shrink_to_fit();
        let mut ruleset = Ruleset {
            version,
            config: self.config.clone(),
            lists: self.lists,
            strictness: self.entries.iter().filter_map(|entry| entry.strictness).max(),
            own_sends_differ: own_sends_differ(&self.entries, &self.own),
            entries: self.entries,
            own: self.own,
            kinds: self.kinds,
            ids: Vec::new(),
            by_id: (0..).take(self.terms.len()).collect(),
            terms: self.terms.into_iter().map(|(_, term)| term).collect(),
            terms_from,
            phrases: self.phrases,
            texts: self.texts,
            exact: Box::new(Anchored::new(&patterns, &Rarity::new(&letters))?),
            variants,
            alphabet,
            policies,
            rules: Rules::default(),
            trials: Vec::new(),
        };
        ruleset.begin_trials();
        let mut text = String::new();
        ruleset.ids = (0..ruleset.terms.len())
            .map(|term| {
                let listed = ruleset.listed(term);
                fold_into(listed.text, &mut text);
                term_id(listed.wordlist, text.chars())
            })
            .collect();
        let ids = &ruleset.ids;
        ruleset.by_id.sort_unstable_by_key(|term| ids[*term as usize]);
        Ok((ruleset, self.problems))
    }
}

/// Orders the folded characters by how often texts and patterns hold them, so that tables by class are read where they
/// were read before; those that are a pattern by themselves last: the filter asks whether a class may be one with a
/// comparison. With variants, characters of no pattern are numbered too: what
/// they sound like counts.
pub(in crate::interception) fn number_letters<'t>(
    folded: impl Iterator<Item = &'t str>,
    with_variants: bool,
) -> Vec<char> {
    let mut counts: HashMap<char, (bool, usize)> = HashMap::new();
    for text in folded {
        let single = text.chars().nth(1).is_none();
        for c in text.chars() {
            let (is_pattern, count) = counts.entry(c).or_default();
            *is_pattern |= single;
            *count += 1;
        }
    }
    if with_variants {
        let room = usize::from(CLASS_MAX).saturating_sub(counts.len());
        let others: Vec<char> = told_apart().filter(|c| !counts.contains_key(c)).take(room).collect();
        counts.extend(others.into_iter().map(|c| (c, (false, 0))));
    }
    let mut letters: Vec<_> = counts.into_iter().collect();
    // Each key once: asking for it at every comparison was half of compiling a small ruleset.
    letters.sort_by_cached_key(|(c, (is_pattern, count))| {
        (*is_pattern, Reverse(frequency(*c)), Reverse(*count), *c)
    });
    letters.into_iter().map(|(c, _)| c).collect()
}

fn own_sends_differ(lists: &[ListEntry], terms: &[(u32, TermEntry)]) -> bool {
    let reaches = lists.iter().map(|list| &list.reach).chain(terms.iter().map(|(_, term)| &term.reach));
    reaches.into_iter().any(|reach| reach.roles.covers(Speaker::Own) && !reach.scope.is_everyone())
        // A roll-out reaches some groups before others.
        || lists.iter().any(|list| list.reach.roles.covers(Speaker::Own) && list.life.is_partial())
}
