//! One row of the review queue, as it lies in the ledger. No original text.

use serde::{Deserialize, Serialize};

use crate::event::{
    Effects, EvidenceFact, Fact, HeldFact, HitFact, JudgedFact, Level, ReviewFact, Verdict, Via,
};
use crate::storage::{Document, StorageError};

/// Why a person should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewKind {
    /// A verdict said so.
    Verdict,
    /// A member does not agree with what was decided.
    Appeal,
}

/// How a review stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// It waits.
    #[default]
    Open,
    /// A person found nothing wrong with the message.
    Approved,
    /// A person agreed with the rules.
    Denied,
    /// Nobody looked in time, or too many waited.
    Lapsed,
}

/// A row of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// `rv_` and the time it was opened.
    pub id: String,
    /// Why.
    pub kind: ReviewKind,
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// Whose message it is, where known.
    pub member: Option<String>,
    /// The message's id as its sender gave it; of an appeal only where it is about one.
    pub event: Option<String>,
    /// What asked for a person: `policy`, `late_verdict`, `join_wave`, or a step that could not be taken, like
    /// `ladder:remove:over_budget`. Of an appeal nothing.
    #[serde(default)]
    pub because: Vec<String>,
    /// When the message was sent; of an appeal about an unknown message: when it was opened.
    pub at_ms: i64,
    /// When the row was made.
    pub opened_ms: i64,
    /// What was decided; unknown for some appeals.
    pub verdict: Option<Verdict>,
    /// By which ruleset.
    pub ruleset: Option<String>,
    /// By which policy.
    pub policy: Option<String>,
    /// What was found, as far as it is known.
    pub hits: Vec<ReviewHit>,
    /// Where the text is kept, if it was to be kept.
    pub evidence: Option<EvidenceRef>,
    /// Of an appeal: why, in the words of whoever brought it.
    pub reason: Option<String>,
    /// How it ended.
    pub closed: Option<Closed>,
}

/// A hit of a reviewed message: never its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewHit {
    /// Wordlist.
    pub wordlist: String,
    /// Category.
    pub category: String,
    /// Level; unknown in the hit index.
    pub level: Option<Level>,
    /// Stable id of the term, in hex: 16 digits.
    pub term: String,
    /// Where, in bytes of the text, half-open.
    pub span: [u32; 2],
    /// By which foldings.
    pub via: Vec<Via>,
}

/// Where a text is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRef {
    /// Its id.
    pub id: String,
    /// When it is erased.
    pub expires_ms: i64,
}

/// How a review ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// With which state.
    pub state: ReviewState,
    /// The operator; `menshen` for what lapsed.
    pub by: String,
    /// When.
    pub at_ms: i64,
    /// Why, in their words.
    pub reason: String,
}

impl Review {
    /// Returns how it stands.
    pub fn state(&self) -> ReviewState {
        self.closed.as_ref().map_or(ReviewState::Open, |closed| closed.state)
    }

    /// Makes the row of an event that a person should look at; `None` for any other. Depends on the journal alone, so
    /// that it is the same however often it is made.
    pub fn of(effects: &Effects<'_>) -> Option<Self> {
        let head = &effects.head;
        let (mut hits, mut evidence, mut judged) = (Vec::new(), None, None);
        let (mut because, mut event) = (Vec::new(), None);
        for fact in &effects.facts {
            if let Fact::Review(ReviewFact { rule }) = fact {
                because.push(rule.to_string());
            } else if let Fact::Held(HeldFact { of }) = fact {
                event = Some(of.to_string());
            } else if let Fact::Hit(hit) = fact {
                hits.push(ReviewHit::of(hit));
            } else if let Fact::Evidence(EvidenceFact { id, expires_ms }) = fact {
                evidence = Some(EvidenceRef { id: id.to_string(), expires_ms: *expires_ms });
            } else if let Fact::Judged(JudgedFact { ruleset, policy }) = fact {
                judged = Some((ruleset.to_string(), policy.to_string()));
            }
        }
        if because.is_empty() {
            return None;
        }
        let (ruleset, policy) = judged.unzip();
        Some(Self {
            id: id_at(head.arrived_ms, head.key.0),
            kind: ReviewKind::Verdict,
            account: head.account.to_string(),
            group: head.group.to_string(),
            member: head.member.as_ref().map(ToString::to_string),
            event,
            because,
            at_ms: head.at_ms,
            opened_ms: head.arrived_ms,
            verdict: Some(head.verdict),
            ruleset,
            policy: policy.filter(|policy| !policy.is_empty()),
            hits,
            evidence,
            reason: None,
            closed: None,
        })
    }
}

impl ReviewHit {
    fn of(hit: &HitFact<'_>) -> Self {
        Self {
            wordlist: hit.wordlist.to_string(),
            category: hit.category.to_string(),
            level: Some(hit.level),
            term: format!("{:016x}", hit.term),
            span: [hit.span.0, hit.span.1],
            via: hit.via.clone(),
        }
    }

    /// Returns the stable id of the term.
    pub fn term_id(&self) -> u64 {
        u64::from_str_radix(&self.term, 16).unwrap_or(0)
    }
}

/// Makes an id that sorts by time: what came first is first.
pub fn id_at(ms: i64, unique: u128) -> String {
    format!("rv_{:012x}{:016x}", ms.max(0), unique >> 64)
}

/// Reads a row back.
pub(super) fn read(document: &Document) -> Result<Review, StorageError> {
    serde_json::from_str(&document.body).map_err(|error| StorageError::Unreadable {
        what: format!("review {}", document.id),
        detail: error.to_string(),
    })
}
