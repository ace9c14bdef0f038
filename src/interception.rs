//! Interception (敏感词拦截): judges a text against wordlists under a policy.
//!
//! A text goes through, in this order:
//!
//! | stage | file | does |
//! |---|---|---|
//! | encode | `encode.rs` over `fold.rs` | folds spelling: width, case, style, traditional, separators; numbers what is left |
//! | filter | `filter.rs` | tells the few places where a term may be, in most messages none; never misses one |
//! | exact | `exact.rs` | looks there: every occurrence of every term, overlapping ones too |
//! | resolve | `resolve.rs` | gaps, boundaries, allow phrases, nested hits; back to the original text |
//! | detectors | `detectors.rs` | contact details and numbers that no list can hold, by their form |
//! | rules | `rules.rs`, `findings.rs` | terms together, over several messages; patterns |
//! | policy | `policy.rs` | what follows from each surviving hit; the most severe decides |
//!
//! All tenants share one ruleset: `audience.rs` says whom a list reaches, `life.rs` whether its hits count yet.
//! `content.rs` judges what a message carries beside its text: types, domains, mini programs, quotes, titles, files.
//!
//! `ruleset.rs` compiles lists into the immutable [`Ruleset`] that all this runs on, `lint.rs` says what is wrong
//! with a list, `explain.rs` shows every hit and why it counted or not, `pushdown.rs` plans what a platform itself is to
//! stop in what staff send. `search.rs` lends encode, filter and exact stage to whoever has words of its own to find (`replies`).
//!
//! Not for: deciding what a platform does (`pipeline`), reading files (`app`), storing anything. A word list cannot
//! see intent; what it cannot judge goes to `review`.
//! Invariants: spans are whole grapheme clusters of the original text; a clean message allocates nothing.

mod audience;
pub mod content;
mod detectors;
mod encode;
mod exact;
mod explain;
mod filter;
mod findings;
mod fold;
mod keeping;
mod life;
mod lint;
mod mask;
mod offer;
mod policy;
pub mod pushdown;
mod resolve;
mod rules;
mod ruleset;
mod search;
mod variants;
mod wordlist;

use std::hash::Hasher;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use siphasher::sip::SipHasher13;

pub use audience::{Audience, ListScope, Roles, Speaker, moment};
pub use detectors::DETECTORS;
pub use explain::{ExplainedHit, Explanation};
pub use findings::Earlier;
pub use fold::fold_into;
pub use keeping::Keeping;
pub use life::{Life, Stage};
pub use lint::{PER_10K_MAX, Problem, ProblemKind, common_terms, shadowed_terms, sounding_ordinary};
pub use policy::{
    Assigned, CategoryRule, EffectivePolicy, Layer, LayerKind, LevelVerdicts, POLICY_DEFAULT, Part, Policy,
    PolicyBook, PolicyError, PolicyExplanation, PolicyOrigin, PushDown, StaffRule, Strictness, WordlistRule,
};
pub use resolve::Outcome;
pub use rules::{
    Across, Near, Recent, Rule, RuleError, RuleParseError, RuleSource, Said, SpeakerKey, compile_pattern,
};
pub use ruleset::{CompileError, ListKind, ListSummary, PatternRule, Ruleset, Sources, TrialCounts, shown};
pub use search::Search;
pub use wordlist::{
    AllowPhrase, CATEGORY_DEFAULT, NAME_BYTES_MAX, Origin, ParseError, Term, WordlistSource, shipped,
    shop_talk,
};

use crate::event::{Hit, Verdict};
use crate::near::CHARS_MIN;

/// Takes folded text apart into words; `visit` is told each with the dictionary's tag for its kind (`n`, `v`, …; `x` where it
/// is not known). The dictionary is loaded when it is first asked.
pub fn words(folded: &str, visit: &mut dyn FnMut(&str, &str)) {
    variants::words(folded, visit);
}

/// Limits of wordlists and of matching.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directory whose `*.txt` files replace the shipped wordlists and whose `*.toml` files are sets of rules; empty
    /// means the shipped lists and no rules.
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
    /// Terms are also looked for in disguise, where the policy is not `relaxed`. Without it a ruleset compiles in a
    /// third of the time and takes a third of the memory.
    pub variants: bool,
    /// Most hits reported for one message; the verdict always follows from all.
    pub hits_max: usize,
    /// Most rules in a ruleset, all sets together.
    pub rules_max: usize,
    /// Largest compiled pattern of a rule, in bytes.
    #[serde(with = "crate::units::size")]
    pub regex_bytes_max: usize,
    /// Most memory a pattern may keep while it matches, in bytes, for each thread that matches.
    #[serde(with = "crate::units::size")]
    pub regex_cache_bytes_max: usize,
    /// Most members whose last messages are kept, in each partition.
    pub recent_members_max: usize,
    /// Most messages kept of one member in one group.
    pub recent_messages_max: usize,
    /// Longest message whose text is kept, in folded characters.
    pub recent_chars_max: usize,
    /// Most memory for what members said last, in bytes, in each partition.
    #[serde(with = "crate::units::size")]
    pub recent_bytes_max: usize,
    /// How long it is kept.
    #[serde(with = "crate::units::duration")]
    pub recent_expiry: Duration,
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
            variants: true,
            hits_max: 64,
            rules_max: 1_000,
            regex_bytes_max: 1 << 20,
            regex_cache_bytes_max: 2 << 20,
            recent_members_max: 1_000,
            recent_messages_max: 7,
            recent_chars_max: 32,
            recent_bytes_max: 256 << 10,
            recent_expiry: Duration::from_mins(2),
        }
    }
}

/// Room to work in, kept by the caller and used for one text after another. Holds nothing of the last text that
/// the next one can see.
#[derive(Debug, Default)]
pub struct Scratch {
    classes: encode::Classes,
    found: Vec<exact::Found>,
    units: Vec<fold::Unit>,
    term_units: Vec<fold::Unit>,
    allowed: Vec<resolve::Allowed>,
    allowed_apart: Vec<resolve::Allowed>,
    standings: Vec<Option<ruleset::ListStanding>>,
    resolved: Vec<resolve::Resolved>,
    disguised: variants::Room,
    spans: Vec<[usize; 2]>,
    room: findings::FindingRoom,
    findings: Vec<findings::Finding>,
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
    /// What may be shown and stored of what a detector matched, which is nobody else's business: `138****5678`.
    pub masked: Option<String>,
}

impl Ruleset {
    /// Judges a text by itself. A text without hits allocates nothing, once `scratch` has grown to its size.
    pub fn judge(
        &self,
        text: &str,
        policy: &Policy,
        audience: &Audience<'_>,
        scratch: &mut Scratch,
    ) -> Judgement {
        self.judge_after(text, policy, audience, None, scratch)
    }

    /// Judges a text after what its member said before, where rules or the policy ask for that.
    pub fn judge_after(
        &self,
        text: &str,
        policy: &Policy,
        audience: &Audience<'_>,
        earlier: Option<Earlier<'_>>,
        scratch: &mut Scratch,
    ) -> Judgement {
        if !self.look(text, policy, audience, earlier, scratch) {
            return Judgement::default();
        }
        scratch.findings.retain(|finding| finding.outcome == resolve::Verdicted::Counted);
        let in_force = scratch.resolved.iter().filter(|hit| hit.is_in_force());
        let listed = in_force.map(|hit| (hit.span, hit.verdict()));
        let found = scratch.findings.iter().map(|finding| (finding.span, finding.decision.verdict));
        let mut verdicts: Vec<_> = listed.chain(found).collect();
        let verdict = verdicts.iter().map(|(_, verdict)| *verdict).max().unwrap_or_default();
        let masked = (verdict == Verdict::Mask).then(|| {
            scratch.spans.clear();
            verdicts.retain(|(_, verdict)| *verdict == Verdict::Mask);
            scratch.spans.extend(verdicts.iter().map(|(span, _)| *span));
            mask::mask(text, &mut scratch.spans)
        });
        let shadow = self.told(text, scratch, resolve::Resolved::is_apart);
        let mut hits = self.told(text, scratch, resolve::Resolved::is_in_force);
        self.tell_findings(text, &scratch.findings, &mut hits);
        Judgement { verdict, hits, masked, shadow }
    }

    /// Adds the findings to the hits that are told; the most severe stay where there are too many.
    fn tell_findings(&self, text: &str, findings: &[findings::Finding], hits: &mut Vec<JudgedHit>) {
        if findings.is_empty() {
            return;
        }
        let room = self.config().hits_max.saturating_sub(hits.len().min(self.config().hits_max / 2));
        let mut told: Vec<_> = findings.iter().collect();
        told.sort_by_key(|finding| std::cmp::Reverse(finding.decision.verdict));
        hits.truncate(self.config().hits_max.saturating_sub(told.len().min(room)));
        hits.extend(told.into_iter().take(room).map(|finding| self.finding_hit(text, finding)));
        hits.sort_by_key(|judged| (judged.hit.span[0], std::cmp::Reverse(judged.hit.span[1])));
    }

    /// Runs every stage that the text gives reason for; false when nothing was found at all.
    fn look(
        &self,
        text: &str,
        policy: &Policy,
        audience: &Audience<'_>,
        earlier: Option<Earlier<'_>>,
        scratch: &mut Scratch,
    ) -> bool {
        findings::find_details(text, policy, &mut scratch.room);
        self.examine(text, policy, audience, scratch);
        self.add_findings(text, policy, audience, earlier, scratch);
        !(scratch.resolved.is_empty() && scratch.findings.is_empty())
    }

    /// Returns the hits that pass, by position; the most severe where there are too many.
    fn told(
        &self,
        text: &str,
        scratch: &mut Scratch,
        passes: fn(&resolve::Resolved) -> bool,
    ) -> Vec<JudgedHit> {
        let Scratch { resolved, units, disguised, term_units, .. } = scratch;
        let mut told: Vec<_> = resolved.iter().filter(|r| passes(r)).collect();
        if told.len() > self.config().hits_max {
            told.sort_by_key(|r| std::cmp::Reverse(r.verdict()));
            told.truncate(self.config().hits_max);
            told.sort_by_key(|r| r.place());
        }
        told.into_iter().map(|r| self.hit(text, r, units, disguised, term_units)).collect()
    }

    /// Runs all stages; false when nothing was found at all.
    fn examine(&self, text: &str, policy: &Policy, audience: &Audience<'_>, scratch: &mut Scratch) -> bool {
        scratch.resolved.clear();
        scratch.allowed.clear();
        scratch.units.clear();
        scratch.disguised.found.clear();
        self.find(text, &mut scratch.classes, &mut scratch.found);
        let strictness = if self.has_variants() { self.strictness_max(policy) } else { Strictness::Relaxed };
        if strictness > Strictness::Relaxed {
            let Scratch { classes, found, units, disguised, .. } = scratch;
            self.find_disguised(text, (classes, found), strictness, units, disguised);
        }
        if scratch.found.is_empty() && scratch.disguised.found.is_empty() {
            return false;
        }
        if scratch.units.is_empty() {
            fold::units_into(text, &mut scratch.units);
        }
        if !scratch.disguised.found.is_empty() {
            findings::find_addresses(text, policy, &mut scratch.room);
        }
        resolve::resolve(self, text, policy, audience, scratch);
        true
    }
}

/// Loads what is needed only when the first term in disguise is weighed: a dictionary of some ten megabytes, a fifth of a
/// second. Without it the first one is judged that much later.
pub fn prepare() {
    variants::prepare();
}

/// Keyed hash of a folded text (see [`fold_into`]), to recognise the same message in many groups; `None` below
/// [`CHARS_MIN`], which different people write on their own: 周末营业时间一样吗 is no advert.
pub fn fingerprint(folded: &str, secret: &[u8; 16]) -> Option<u64> {
    folded.chars().nth(CHARS_MIN - 1)?;
    let mut hasher = SipHasher13::new_with_key(secret);
    hasher.write(folded.as_bytes());
    Some(hasher.finish())
}

#[cfg(test)]
mod tests;
