//! An endpoint as the ledger has it, how far it is, and what it may be.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::SubscriptionError;
use crate::directory::Sealed;
use crate::event::FieldError;
use crate::storage::{DocumentKind, StatusChange, StorageError, Subject, Write};
use crate::webhooks::SignKey;
use crate::webhooks::address::parse_url;

/// Longest id, so that a call's id fits its header.
const ID_BYTES_MAX: usize = 20;

/// Somebody who is told, as the ledger has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// For people.
    pub name: String,
    /// Where calls go.
    pub url: String,
    /// What they want to hear of; empty: everything.
    pub subjects: BTreeSet<Subject>,
    /// Which states; empty: all.
    pub states: BTreeSet<String>,
    /// They are told.
    pub enabled: bool,
    /// Why they are not, if nobody decided so.
    pub disabled_because: Option<String>,
    /// Sign calls; the newest first.
    pub(super) secrets: Vec<Secret>,
    /// Who made it.
    pub created_by: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Secret {
    pub(super) sealed: Sealed,
    /// It signs until then; `None`: it is the current one.
    pub(super) until_ms: Option<i64>,
}

impl Endpoint {
    pub(super) fn wants(&self, change: &StatusChange) -> bool {
        (self.subjects.is_empty() || self.subjects.contains(&change.subject))
            && (self.states.is_empty() || self.states.contains(&change.state))
    }

    pub(super) fn write(&self, id: &str, expect: Option<u64>) -> Write {
        let body = serde_json::to_string(self).expect("an endpoint holds nothing that JSON cannot say");
        Write::Put { kind: DocumentKind::Endpoint, id: id.to_owned(), body, expect }
    }

    pub(super) fn read(id: &str, body: &str) -> Result<Self, StorageError> {
        serde_json::from_str(body).map_err(|error| StorageError::Unreadable {
            what: format!("endpoint `{id}`"),
            detail: error.to_string(),
        })
    }
}

/// What somebody wants to be told.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// For people.
    pub name: String,
    /// Where calls go.
    pub url: String,
    /// What they want to hear of; empty: everything.
    pub subjects: BTreeSet<Subject>,
    /// Which states; empty: all.
    pub states: BTreeSet<String>,
    /// They are told.
    pub enabled: bool,
    /// Signs calls; `None`: the one there is, or a fresh one.
    pub secret: Option<String>,
}

impl NewEndpoint {
    /// Refuses what cannot be.
    pub(super) fn check(&self, id: &str) -> Result<(), SubscriptionError> {
        let field = |pointer: &str, code: &str, detail: String| {
            Err(SubscriptionError::Field(FieldError::new(pointer, code, detail)))
        };
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(is_plain) {
            return Err(SubscriptionError::NotFound);
        }
        if let Err(error) = parse_url(&self.url) {
            return field("/url", "form", error.to_string());
        }
        if self.name.chars().count() > 100 {
            return field("/name", "too_long", "at most 100 characters".to_owned());
        }
        if let Some(Err(error)) = self.secret.as_deref().map(SignKey::parse) {
            return field("/secret", "form", error.to_string());
        }
        Ok(())
    }
}

/// How far an endpoint is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Up to which change it was told, or need not be.
    pub position: u64,
    /// Changes that were forgotten before it could be told.
    pub missed: u64,
    /// When a call last arrived.
    pub told_ms: Option<i64>,
    /// Since when none does.
    pub failing_since_ms: Option<i64>,
    /// What the last one that did not came to.
    pub error: Option<String>,
    /// Up to which change the last call told.
    pub(super) told: u64,
    /// How often it was told again from an earlier change.
    pub(super) round: u32,
    /// The position that is stored.
    pub(super) saved: u64,
}

/// What is stored of [`Standing`]; a restore of a backup sets `position` and `told`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    position: u64,
    told: u64,
    missed: u64,
    round: u32,
}

/// The document that says how far an endpoint is.
pub(super) fn position_id(id: &str) -> String {
    format!("endpoint:{id}")
}

impl Standing {
    /// One that has been told everything up to a change.
    pub(super) fn at(position: u64) -> Self {
        Self { position, told: position, saved: position, ..Self::default() }
    }

    pub(super) fn read(body: &str) -> Self {
        let stored: Stored = serde_json::from_str(body).unwrap_or_default();
        let Stored { position, told, missed, round } = stored;
        Self { position, told, missed, round, saved: position, ..Self::default() }
    }

    pub(super) fn write(&self, id: &str) -> Write {
        let Self { position, told, missed, round, .. } = *self;
        let stored = Stored { position, told, missed, round };
        let body = serde_json::to_string(&stored).unwrap_or_default(); // numbers: cannot fail
        Write::Put { kind: DocumentKind::Follower, id: position_id(id), body, expect: None }
    }

    /// Counts what is not kept any more: everything before `first`. What is `under_way` was read in time.
    pub(super) fn forget(&mut self, first: u64, under_way: u64) -> u64 {
        let kept_from = first.saturating_sub(1);
        let lost = kept_from.saturating_sub(self.position.max(under_way));
        if lost > 0 {
            self.missed += lost;
            self.position = kept_from;
        }
        lost
    }
}
