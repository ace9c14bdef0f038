//! Explaining a judgement: every hit, also cancelled ones, and why.
//!
//! Not for the hot path: it runs every stage on every text and allocates freely. It uses the same stages as
//! [`Ruleset::judge`], so the two cannot disagree.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::fold::fold_into;
use super::policy::Policy;
use super::resolve::Outcome;
use super::ruleset::Ruleset;
use super::{Audience, JudgedHit, Judgement, Scratch, mask};
use crate::event::{Hit, Message, Verdict};

/// Everything that was found in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Explanation {
    /// The decision.
    pub verdict: Verdict,
    /// The ruleset that decided.
    pub ruleset: String,
    /// The policy that decided.
    pub policy: String,
    /// The text as it is compared.
    pub folded: String,
    /// Every occurrence of every term of a list that applies, by position.
    pub hits: Vec<ExplainedHit>,
    /// The text with masked hits replaced, when the verdict is `mask`.
    pub masked: Option<String>,
}

/// One occurrence of a term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExplainedHit {
    /// What was found.
    #[serde(flatten)]
    pub hit: Hit,
    /// Stable id of the term.
    pub term_id: u64,
    /// What follows if it counts.
    pub verdict: Verdict,
    /// Its list is not in force here: it is only counted apart.
    #[serde(default)]
    pub shadow: bool,
    /// Whether it counts.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Ruleset {
    /// Shows how a text is judged.
    pub fn explain(&self, text: &str, policy: &Policy, audience: &Audience<'_>) -> Explanation {
        let mut scratch = Scratch::default();
        let mut explanation = Explanation {
            verdict: Verdict::Pass,
            ruleset: self.version().to_owned(),
            policy: policy.name.clone(),
            folded: String::new(),
            hits: Vec::new(),
            masked: None,
        };
        fold_into(text, &mut explanation.folded);
        if !self.look(text, policy, audience, None, &mut scratch) {
            return explanation;
        }
        for resolved in &scratch.resolved {
            let judged =
                self.hit(text, resolved, &scratch.units, &scratch.disguised, &mut scratch.term_units);
            let shadow = resolved.decision.is_shadow;
            explanation.add(judged, resolved.verdict(), shadow, self.outcome(resolved.outcome));
        }
        for finding in &scratch.findings {
            let judged = self.finding_hit(text, finding);
            explanation.add(judged, finding.decision.verdict, false, self.outcome(finding.outcome));
        }
        if !scratch.findings.is_empty() {
            explanation.hits.sort_by_key(|h| (h.hit.span[0], std::cmp::Reverse(h.hit.span[1])));
        }
        if explanation.verdict == Verdict::Mask {
            let masked =
                |h: &&ExplainedHit| h.outcome == Outcome::Counted && h.verdict == Verdict::Mask && !h.shadow;
            let mut spans: Vec<_> = explanation.hits.iter().filter(masked).map(|h| h.hit.span).collect();
            explanation.masked = Some(mask::mask(text, &mut spans));
        }
        explanation
    }
}

impl Ruleset {
    /// Shows how a message is judged: its text, and what it carries beside.
    pub fn explain_message(
        &self,
        message: &Message<'_>,
        policy: &Policy,
        audience: &Audience<'_>,
    ) -> Explanation {
        let mut explanation = self.explain(&message.text, policy, audience);
        let mut scratch = Scratch::default();
        for part in parts(message) {
            let beside = self.judge_beside(Judgement::default(), &part, policy, audience, &mut scratch);
            for judged in beside.hits {
                explanation.add(judged, beside.verdict, false, Outcome::Counted);
            }
            for judged in beside.shadow {
                explanation.add(judged, Verdict::Pass, true, Outcome::Counted);
            }
            explanation.verdict = explanation.verdict.max(beside.verdict);
        }
        explanation.hits.sort_by_key(|h| (h.hit.span[0], std::cmp::Reverse(h.hit.span[1])));
        explanation.masked = (explanation.verdict == Verdict::Mask)
            .then(|| self.judge_message(message, policy, audience, &mut scratch).masked)
            .flatten();
        explanation
    }
}

/// Takes a message apart, so that each hit is shown with the verdict that it alone leads to.
fn parts<'m>(message: &'m Message<'_>) -> Vec<Message<'m>> {
    let text = Cow::Borrowed(message.text.as_ref());
    let content_type = message.content_type.as_deref().map(Cow::Borrowed);
    let mut parts =
        vec![Message { text, ..Message::default() }, Message { content_type, ..Message::default() }];
    parts.extend(
        message
            .attachments
            .iter()
            .map(|attachment| Message { attachments: vec![attachment.clone()], ..Message::default() }),
    );
    if message.forwarded {
        parts.push(Message { forwarded: true, ..Message::default() });
    }
    if let Some(quote) = message.quote.as_deref() {
        parts.push(Message { quote: Some(Cow::Borrowed(quote)), ..Message::default() });
    }
    parts
}

impl Explanation {
    fn add(&mut self, judged: JudgedHit, verdict: Verdict, shadow: bool, outcome: Outcome) {
        let JudgedHit { hit, term_id, .. } = judged;
        if outcome == Outcome::Counted && !shadow {
            self.verdict = self.verdict.max(verdict);
        }
        self.hits.push(ExplainedHit { hit, term_id, verdict, shadow, outcome });
    }
}
