//! Interception (敏感词拦截): judges a text against wordlists under a policy.
//!
//! A text goes through, in this order:
//!
//! | stage | file | does |
//! |---|---|---|
//! | encode | `encode.rs` over `fold.rs` | folds spelling: width, case, style, traditional, separators; numbers what is left |
//! | filter | `filter.rs` | lets most clean messages stop at once; never misses a hit |
//! | exact | `exact.rs` | finds every occurrence of every term, overlapping ones too |
//! | resolve | `resolve.rs` | gaps, boundaries, allow phrases, nested hits; back to the original text |
//! | policy | `policy.rs` | what follows from each surviving hit; the most severe decides |
//!
//! `content.rs` judges what a message carries beside its text: types, domains, mini programs, quotes, titles, files.
//!
//! `ruleset.rs` compiles lists into the immutable [`Ruleset`] that all this runs on, `lint.rs` says what is wrong
//! with a list, `explain.rs` shows every hit and why it counted or not, `pushdown.rs` plans what a platform itself is to
//! stop in what staff send.
//!
//! Not for: deciding what a platform does (`pipeline`), reading files (`app`), storing anything. A word list cannot
//! see intent; what it cannot judge goes to `review`.
//! Invariants: spans are whole grapheme clusters of the original text; a clean message allocates nothing.

pub mod content;
mod encode;
mod exact;
mod explain;
mod filter;
mod fold;
mod lint;
mod mask;
mod policy;
pub mod pushdown;
mod resolve;
mod ruleset;
mod wordlist;

use std::hash::Hasher;
use std::path::PathBuf;

use serde::Deserialize;
use siphasher::sip::SipHasher13;

pub use explain::{ExplainedHit, Explanation};
pub use fold::fold_into;
pub use lint::{PER_10K_MAX, Problem, ProblemKind, common_terms};
pub use policy::{
    CategoryRule, LevelVerdicts, POLICY_DEFAULT, Policy, PolicyError, PushDown, StaffRule, Strictness,
};
pub use resolve::Outcome;
pub use ruleset::{CompileError, ListSummary, Ruleset};
pub use wordlist::{
    AllowPhrase, CATEGORY_DEFAULT, NAME_BYTES_MAX, Origin, ParseError, Term, WordlistSource, shipped,
    shop_talk,
};

use crate::event::{Hit, Verdict};

/// Limits of wordlists and of matching.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directory whose `*.txt` files replace the shipped wordlists; empty means the shipped ones.
    pub wordlists_dir: PathBuf,
    /// Policy of groups that have none of their own.
    pub policy: String,
    /// Most wordlists in a ruleset; at most 65,535.
    pub wordlists_max: usize,
    /// Most terms and allow phrases in a ruleset, all lists together; at most 4 million.
    pub terms_max: usize,
    /// Longest term or allow phrase in bytes; longer ones are left out and reported. At most 65,535.
    pub term_bytes_max: usize,
    /// Most policies beside the built-in ones.
    pub policies_max: usize,
    /// Most skipped characters between two neighbours of a hit that still is one.
    pub gap_chars_max: usize,
    /// Most hits reported for one message; the verdict always follows from all.
    pub hits_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            wordlists_dir: PathBuf::new(),
            policy: POLICY_DEFAULT.to_owned(),
            wordlists_max: 256,
            terms_max: 500_000,
            term_bytes_max: 256,
            policies_max: 256,
            gap_chars_max: 4,
            hits_max: 64,
        }
    }
}

/// Room to work in, kept by the caller and used for one text after another. Holds nothing of the last text that
/// the next one can see.
#[derive(Debug, Default)]
pub struct Scratch {
    classes: Vec<u16>,
    bytes: Vec<u8>,
    found: Vec<exact::Found>,
    units: Vec<fold::Unit>,
    term_units: Vec<fold::Unit>,
    allowed: Vec<resolve::Allowed>,
    resolved: Vec<resolve::Resolved>,
    spans: Vec<[usize; 2]>,
}

/// What was found in a text and what follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The most severe verdict of all surviving hits.
    pub verdict: Verdict,
    /// The surviving hits by position, at most [`Config::hits_max`]: the most severe ones.
    pub hits: Vec<JudgedHit>,
    /// The text with masked hits replaced, when the verdict is [`Verdict::Mask`].
    pub masked: Option<String>,
}

/// A hit and the stable id of its term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedHit {
    /// The hit as told to the caller.
    pub hit: Hit,
    /// A hash of the wordlist's name and the folded term: what may be stored (see [`Ruleset::term`]).
    pub term_id: u64,
}

impl Ruleset {
    /// Judges a text. A text without hits allocates nothing, once `scratch` has grown to its size.
    pub fn judge(&self, text: &str, policy: &Policy, scratch: &mut Scratch) -> Judgement {
        if !self.may_hit(text) || !self.examine(text, policy, scratch) {
            return Judgement::default();
        }
        let counted = |r: &&resolve::Resolved| r.outcome == resolve::Verdicted::Counted;
        let verdict =
            scratch.resolved.iter().filter(counted).map(|r| r.decision.verdict).max().unwrap_or_default();
        let masked = (verdict == Verdict::Mask).then(|| {
            scratch.spans.clear();
            let to_mask = scratch.resolved.iter().filter(counted);
            scratch.spans.extend(to_mask.filter(|r| r.decision.verdict == Verdict::Mask).map(|r| r.span));
            mask::mask(text, &mut scratch.spans)
        });
        scratch.resolved.retain(|r| r.outcome == resolve::Verdicted::Counted);
        if scratch.resolved.len() > self.config().hits_max {
            scratch.resolved.sort_by_key(|r| std::cmp::Reverse(r.decision.verdict));
            scratch.resolved.truncate(self.config().hits_max);
            scratch.resolved.sort_by_key(resolve::Resolved::place);
        }
        let hits = scratch
            .resolved
            .iter()
            .map(|r| self.hit(text, r, &scratch.units, &mut scratch.term_units))
            .collect();
        Judgement { verdict, hits, masked }
    }

    /// Runs the stages behind the filter; false when nothing was found at all.
    fn examine(&self, text: &str, policy: &Policy, scratch: &mut Scratch) -> bool {
        self.find(text, &mut scratch.classes, &mut scratch.bytes, &mut scratch.found);
        if scratch.found.is_empty() {
            return false;
        }
        fold::units_into(text, &mut scratch.units);
        resolve::resolve(self, text, policy, scratch);
        true
    }
}

/// Keyed hash of a folded text (see [`fold_into`]), to recognise the same message in many groups; `None` below
/// eight characters, which different people write on their own.
pub fn fingerprint(folded: &str, secret: &[u8; 16]) -> Option<u64> {
    folded.chars().nth(7)?;
    let mut hasher = SipHasher13::new_with_key(secret);
    hasher.write(folded.as_bytes());
    Some(hasher.finish())
}

#[cfg(test)]
mod tests;
