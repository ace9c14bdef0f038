//! Operators and tokens as the ledger holds them, and as people ask for them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Rights;
use crate::event::{OperatorId, Scope, TokenId};
use crate::storage::{Document, StorageError};

/// A record with the ledger's version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// Grows with every write; the `ETag`.
    pub version: u64,
    /// The record.
    pub record: T,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Name for people.
    pub name: String,
    /// What they may do.
    pub rights: Rights,
    /// What they may see and act on.
    pub scope: Scope,
    /// None of their tokens works.
    #[serde(default)]
    pub disabled: bool,
}

/// What is asked when an operator is made or changed.
pub type OperatorSpec = Operator;

/// A program's credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Whose.
    pub operator: OperatorId,
    /// What for, in words.
    pub name: String,
    /// What it may do, if its operator may too.
    pub rights: Rights,
    /// What it may see and act on, if its operator may too.
    pub scope: Scope,
    /// SHA-256 of the secret, in hex.
    pub sha256: String,
    /// When it was made.
    pub created_ms: i64,
    /// From then on it is refused.
    pub expires_ms: Option<i64>,
    /// When it was used, to about a minute.
    pub last_used_ms: Option<i64>,
}

/// What is asked when a token is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSpec {
    /// Whose; the caller's own when `None`.
    pub operator: Option<OperatorId>,
    /// What for, in words.
    pub name: String,
    /// What it may do; all the operator's rights when `None`.
    pub rights: Option<Rights>,
    /// What it may see and act on; all the operator's when `None`.
    pub scope: Option<Scope>,
    /// From then on it is refused.
    pub expires_ms: Option<i64>,
}

pub(super) fn read<T: DeserializeOwned>(document: &Document) -> Result<Stored<T>, StorageError> {
    let record = serde_json::from_str(&document.body).map_err(|error| unreadable(document, &error))?;
    Ok(Stored { version: document.version, record })
}

pub(super) fn operator_id(document: &Document) -> Result<OperatorId, StorageError> {
    OperatorId::parse(&document.id).map_err(|error| unreadable(document, &error))
}

pub(super) fn token_id(document: &Document) -> Result<TokenId, StorageError> {
    TokenId::parse(&document.id).map_err(|error| unreadable(document, &error))
}

fn unreadable(document: &Document, error: &dyn std::fmt::Display) -> StorageError {
    StorageError::Unreadable {
        what: format!("{} {}", document.kind.as_str(), document.id),
        detail: format!("{error}; was it written by a newer version?"),
    }
}
