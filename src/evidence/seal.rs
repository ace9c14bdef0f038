//! A text becomes a sealed row and back. The row's identity is associated data: moved to another member, group or time, it
//! does not open.

use serde::{Deserialize, Serialize};

use super::EvidenceError;
use crate::directory::{KeyError, Keyring, SealedBytes};
use crate::event::{Answer, EventKey, EvidenceKind, Role, Verdict, Via, partition_of};
use crate::storage::EvidenceRow;

/// Between the parts of the associated data; no id holds it.
const SEPARATOR: &str = "\u{1f}";

/// What is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The original text.
    pub text: String,
    /// Whose it was.
    pub role: Role,
    /// What was decided about it.
    pub verdict: Verdict,
    /// By which ruleset.
    pub ruleset: String,
    /// What was found in it.
    pub hits: Vec<KeptHit>,
}

/// A hit in a kept text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeptHit {
    /// Wordlist.
    pub wordlist: String,
    /// The term as listed then.
    pub term: String,
    /// Where, in bytes of the text, half-open.
    pub span: [usize; 2],
    /// By which foldings.
    pub via: Vec<Via>,
}

impl Kept {
    /// Takes a text with what was decided about it.
    pub fn judged(text: &str, role: Role, answer: &Answer) -> Self {
        let hits = answer.hits.iter().map(|hit| KeptHit {
            wordlist: hit.wordlist.clone(),
            term: hit.term.clone(),
            span: hit.span,
            via: hit.via.clone(),
        });
        Self {
            text: text.to_owned(),
            role,
            verdict: answer.verdict,
            ruleset: answer.ruleset.clone(),
            hits: hits.collect(),
        }
    }
}

/// A text that is to be kept.
#[derive(Clone, Debug)]
pub struct Original<'a> {
    /// The event it is from.
    pub key: EventKey,
    /// Its account.
    pub account: &'a str,
    /// Its group.
    pub group: &'a str,
    /// Who said it.
    pub member: Option<&'a str>,
    /// When it was said.
    pub at_ms: i64,
    /// What for.
    pub kind: EvidenceKind,
    /// When it is erased.
    pub expires_ms: i64,
    /// The text.
    pub kept: Kept,
}

impl Original<'_> {
    pub(super) fn seal(&self, keys: &Keyring) -> Result<EvidenceRow, KeyError> {
        let mut row = EvidenceRow {
            seq: 0,
            id: self.key.evidence(),
            partition: partition_of(self.account, self.group),
            account: self.account.to_owned(),
            group: self.group.to_owned(),
            member: self.member.unwrap_or_default().to_owned(),
            at_ms: self.at_ms,
            kind: self.kind,
            key: String::new(),
            nonce: [0; crate::storage::NONCE_BYTES],
            data: Vec::new(),
            expires_ms: self.expires_ms,
        };
        let plain = serde_json::to_vec(&self.kept).expect("strings and numbers are always JSON");
        let sealed = keys.seal_bytes(&identity(&row), &plain)?;
        (row.key, row.nonce, row.data) = (sealed.key, sealed.nonce, sealed.data);
        Ok(row)
    }
}

/// Opens a row. Only this module's callers that have written an audit entry come here.
pub(super) fn open(keys: &Keyring, row: &EvidenceRow) -> Result<Kept, EvidenceError> {
    let sealed = SealedBytes { key: row.key.clone(), nonce: row.nonce, data: row.data.clone() };
    let plain = keys.open_bytes(&identity(row), &sealed)?;
    serde_json::from_slice(&plain).map_err(|_| EvidenceError::Unreadable)
}

/// What a row is: all of it but its position and its sealed part.
fn identity(row: &EvidenceRow) -> String {
    let (at, expires) = (row.at_ms.to_string(), row.expires_ms.to_string());
    ["evidence", &row.id, &row.account, &row.group, &row.member, &at, row.kind.as_str(), &expires]
        .join(SEPARATOR)
}
