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
//! All tenants share one ruleset: `audience.rs` says whom a list reaches, `life.rs` whether its hits count yet.
//!
//! `ruleset.rs` compiles lists into the immutable [`Ruleset`] that all this runs on, `lint.rs` says what is wrong
//! with a list, `explain.rs` shows every hit and why it counted or not, `pushdown.rs` plans what a platform itself is to
//! stop in what staff send.
//!
//! Not for: deciding what a platform does (`pipeline`), reading files (`app`), storing anything. A word list cannot
//! see intent; what it cannot judge goes to `review`.
//! Invariants: spans are whole grapheme clusters of the original text; a clean message allocates nothing.

mod audience;
mod encode;
mod exact;
mod explain;
mod filter;
mod fold;
mod life;
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

pub use audience::{Audience, ListScope, Roles, Speaker};
pub use explain::{ExplainedHit, Explanation};
pub use fold::fold_into;
pub use life::{Life, Stage};
pub use lint::{PER_10K_MAX, Problem, ProblemKind, common_terms};
pub use policy::{
    Assigned, CategoryRule, EffectivePolicy, Layer, LayerKind, LevelVerdicts, POLICY_DEFAULT, Part, Policy,
    PolicyBook, PolicyError, PolicyExplanation, PolicyOrigin, PushDown, StaffRule, Strictness, WordlistRule,
};
pub use resolve::Outcome;
pub use ruleset::{CompileError, ListSummary, Ruleset, TrialCounts};
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
    /// Policy under all that are chosen for a group and what it belongs to.
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
    allowed_apart: Vec<resolve::Allowed>,
    standings: Vec<Option<ruleset::ListStanding>>,
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
    /// Hits of lists that are not in force here, by position, at most [`Config::hits_max`]: for counting only.
    pub shadow: Vec<JudgedHit>,
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
    pub fn judge(
        &self,
        text: &str,
        policy: &Policy,
        audience: &Audience<'_>,
        scratch: &mut Scratch,
    ) -> Judgement {
        if !self.may_hit(text) || !self.examine(text, policy, audience, scratch) {
            return Judgement::default();
        }
        let in_force = |r: &&resolve::Resolved| r.is_in_force();
        let verdicts = scratch.resolved.iter().filter(in_force).map(resolve::Resolved::verdict);
        let verdict = verdicts.max().unwrap_or_default();
        let masked = (verdict == Verdict::Mask).then(|| {
            scratch.spans.clear();
            let to_mask = scratch.resolved.iter().filter(in_force);
            scratch.spans.extend(to_mask.filter(|r| r.verdict() == Verdict::Mask).map(|r| r.span));
            mask::mask(text, &mut scratch.spans)
        });
        let shadow = self.told(text, scratch, resolve::Resolved::is_apart);
        let hits = self.told(text, scratch, resolve::Resolved::is_in_force);
        Judgement { verdict, hits, masked, shadow }
    }

    /// Returns the hits that pass, by position; the most severe where there are too many.
    fn told(
        &self,
        text: &str,
        scratch: &mut Scratch,
        passes: fn(&resolve::Resolved) -> bool,
    ) -> Vec<JudgedHit> {
        let Scratch { resolved, units, term_units, .. } = scratch;
        let mut told: Vec<_> = resolved.iter().filter(|r| passes(r)).collect();
        if told.len() > self.config().hits_max {
            told.sort_by_key(|r| std::cmp::Reverse(r.verdict()));
            told.truncate(self.config().hits_max);
            told.sort_by_key(|r| r.place());
        }
        told.into_iter().map(|r| self.hit(text, r, units, term_units)).collect()
    }

    /// Runs the stages behind the filter; false when nothing was found at all.
    fn examine(&self, text: &str, policy: &Policy, audience: &Audience<'_>, scratch: &mut Scratch) -> bool {
        self.find(text, &mut scratch.classes, &mut scratch.bytes, &mut scratch.found);
        if scratch.found.is_empty() {
            return false;
        }
        fold::units_into(text, &mut scratch.units);
        resolve::resolve(self, text, policy, audience, scratch);
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
