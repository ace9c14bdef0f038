//! What is wrong with a wordlist: terms that cannot match, match twice, or match what ordinary people write.
//!
//! Compiling a ruleset reports the first kind and goes on; [`common_terms`] needs a sample of ordinary messages.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::policy::Policy;
use super::resolve::Verdicted;
use super::ruleset::Ruleset;
use super::{Audience, Scratch};

/// A term that hits more than this many of 10,000 ordinary messages is a problem.
pub const PER_10K_MAX: usize = 10;

/// One thing wrong with one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// The list.
    pub wordlist: String,
    /// Line of its file, from 1; 0 where there is no file.
    pub line: u32,
    /// The term or allow phrase.
    pub text: String,
    /// What is wrong.
    #[serde(flatten)]
    pub kind: ProblemKind,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum ProblemKind {
    /// Longer than the configured limit: left out.
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// Only characters that are skipped: left out.
    Vanished,
    /// One folded character that was written with others, or one letter or digit: left out.
    OneClass,
    /// One ideograph: kept, because someone may mean it, but it will hit much.
    OneCharacter,
    /// Folds to the same as an earlier line of the list: left out.
    Duplicate {
        /// The earlier line.
        line: u32,
        /// Its text.
        of: String,
    },
    /// An allow phrase equals it: it never counts.
    Allowed {
        /// The list the phrase is from.
        by: String,
    },
    /// An allow phrase that holds no term of any list: it does nothing.
    Idle,
    /// A rule's pattern holds no literal to wait for: it runs on every message.
    AlwaysRuns,
    /// Hits ordinary messages.
    Common {
        /// Messages of the sample that it hits.
        messages: usize,
        /// Messages in the sample.
        of: usize,
    },
}

impl ProblemKind {
    /// Says what to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            ProblemKind::TooLong { .. } => "list a shorter part of it",
            ProblemKind::Vanished => "remove it: signs and spaces are skipped when matching",
            ProblemKind::OneClass => "remove it, or list the whole word it stands for",
            ProblemKind::OneCharacter => "list words that hold it instead",
            ProblemKind::Duplicate { .. } => "remove one of the two",
            ProblemKind::Allowed { .. } => "remove the term or the allow phrase",
            ProblemKind::Idle => "remove it, or check its spelling",
            ProblemKind::AlwaysRuns => "give it a word that every match holds, or see what it costs",
            ProblemKind::Common { .. } => "make it longer, or add allow phrases",
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProblemKind::TooLong { bytes_max } => write!(f, "longer than {bytes_max} bytes"),
            ProblemKind::Vanished => f.write_str("nothing is left of it after folding"),
            ProblemKind::OneClass => f.write_str("a single letter is left of it after folding"),
            ProblemKind::OneCharacter => f.write_str("a single character"),
            ProblemKind::Duplicate { line, of } => write!(f, "the same as line {line} `{of}` after folding"),
            ProblemKind::Allowed { by } => write!(f, "an allow phrase of `{by}` equals it"),
            ProblemKind::Idle => f.write_str("an allow phrase that holds no term"),
            ProblemKind::AlwaysRuns => f.write_str("a pattern without a literal: it runs on every message"),
            ProblemKind::Common { messages, of } => write!(f, "hits {messages} of {of} ordinary messages"),
        }
    }
}

/// Finds terms that hit more than [`PER_10K_MAX`] of 10,000 messages of a sample. Verdicts do not matter. Messages are
/// those of a customer of nowhere: compile lists that are for others with [`WordlistSource::unrestricted`].
///
/// [`WordlistSource::unrestricted`]: super::WordlistSource::unrestricted
pub fn common_terms<'a>(
    ruleset: &Ruleset,
    policy: &Policy,
    sample: impl Iterator<Item = &'a str>,
) -> Vec<Problem> {
    let mut scratch = Scratch::default();
    let mut messages_by_term: HashMap<usize, usize> = HashMap::new();
    let mut terms = Vec::new();
    let mut of = 0;
    for text in sample {
        of += 1;
        if !ruleset.examine(text, policy, &Audience::default(), &mut scratch) {
            continue;
        }
        let hits = scratch.resolved.iter();
        let counted = hits.filter(|r| matches!(r.outcome, Verdicted::Counted | Verdicted::Covered));
        terms.extend(counted.map(|r| r.term).filter(|term| !ruleset.is_part(*term)));
        terms.sort_unstable();
        terms.dedup();
        for term in terms.drain(..) {
            *messages_by_term.entry(term).or_default() += 1;
        }
    }
    let mut common: Vec<_> =
        messages_by_term.into_iter().filter(|(_, messages)| messages * 10_000 > PER_10K_MAX * of).collect();
    common.sort_unstable_by_key(|(term, messages)| (std::cmp::Reverse(*messages), *term));
    let problem = |(term, messages)| {
        let listed = ruleset.listed(term);
        Problem {
            wordlist: listed.wordlist.to_owned(),
            line: listed.line,
            text: listed.shown().into_owned(),
            kind: ProblemKind::Common { messages, of },
        }
    };
    common.into_iter().map(problem).collect()
}
