//! Words that were handed to a platform to be stopped in what staff send, and how that stands.

use serde::{Deserialize, Serialize};

use super::Failure;
use crate::interception::pushdown::{Drift, Handed, LeftOut};
use crate::storage::{DocumentKind, Storage, StorageError};

/// Words shown that do not fit; the number is always the whole one.
pub const LEFT_OUT_SHOWN_MAX: usize = 1_000;

/// How an account stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffWords {
    /// Digest of what was wanted when it was compared last.
    pub wanted: u64,
    /// Rules as they are on the platform, as far as we know.
    pub handed: Vec<Handed>,
    /// Words that do not fit, sorted, at most [`LEFT_OUT_SHOWN_MAX`].
    pub left_out: Vec<LeftOut>,
    /// How many words do not fit.
    pub left_out_words: usize,
    /// Rules there that are not ours.
    pub foreign_rules: usize,
    /// When it was compared last.
    pub compared_ms: i64,
    /// When something was changed last.
    pub changed_ms: i64,
    /// What somebody else changed, when it was last noticed.
    pub last_drift: Option<DriftSeen>,
    /// What the platform refused the last time, by rule; empty for the whole.
    pub failures: Vec<(String, Failure)>,
}

/// What somebody else changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DriftSeen {
    /// When it was noticed, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What.
    pub rules: Vec<Drift>,
}

impl StaffWords {
    /// Returns how many words the platform has.
    pub fn words(&self) -> usize {
        self.handed.iter().map(|handed| handed.rule.words.len()).sum()
    }

    /// Returns the id of an account's document.
    pub fn id(account: &str) -> String {
        format!("{account}/staff_words")
    }

    /// Reads how an account stands; as if nothing had been done when there is nothing.
    ///
    /// # Errors
    /// When storage fails or a newer version wrote it.
    pub async fn of(storage: &dyn Storage, account: &str) -> Result<Self, StorageError> {
        let stored = super::read(storage, DocumentKind::Pushed, &Self::id(account)).await?;
        Ok(stored.map(|stored| stored.value).unwrap_or_default())
    }

    /// Writes it.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn save(&self, storage: &dyn Storage, account: &str, now_ms: i64) -> Result<(), StorageError> {
        let key = (DocumentKind::Pushed, Self::id(account));
        super::write(storage, now_ms, (key.0, &key.1), self, None, Vec::new()).await.map(drop)
    }
}
