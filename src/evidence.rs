//! The evidence store (证据库): the one place for members' original text. Sealed, short-lived, every reading audited.
//!
//! [`Evidence::keep`] seals a text and hands it to a bounded queue; [`Writer`] stores what waits. A text that cannot be
//! kept is counted and lost: nobody waits for it, least of all an acknowledgement. [`replay`] tries drafts on the
//! history.
//!
//! Not for: deciding which texts are kept (`pipeline`), nor who may see them (`api` asks for the scope first).
//! Invariants: plain text leaves this module only after an audit entry was committed; a row opens only as what it was
//! sealed as (its identity is associated data); without keys nothing is kept.

mod config;
pub mod replay;
mod seal;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::directory::{KeyError, Keyring};
use crate::event::EvidenceKind;
use crate::storage::{
    AuditEntry, Change, EvidenceOf, EvidenceQuery, EvidenceRow, SharedStorage, StorageError,
};
use crate::telemetry::metrics::{self, EvidenceLoss};

pub use config::Config;
pub use seal::{Kept, KeptHit, Original};
pub use writer::Writer;

/// Why evidence was not given.
#[derive(Debug, Error)]
pub enum EvidenceError {
    /// Nothing is kept.
    #[error("{}", REMEDY)]
    Off,
    /// Sealed with a key that is gone, or damaged.
    #[error("open a kept text")]
    Key(#[from] KeyError),
    /// What was sealed cannot be read.
    #[error("a kept text is of a newer version")]
    Unreadable,
    /// Storage failed: also when the audit entry could not be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What to do where nothing is kept.
pub const REMEDY: &str = "no original text is kept: make a key (`openssl rand -base64 32 > /etc/menshen/key`, mode 0600), \
     name the file in `directory.key_file`, set `evidence.enabled = true` and restart";

/// What waits for the writer.
#[derive(Debug)]
enum Waiting {
    Row(Box<EvidenceRow>),
    /// Everything before it is stored when this is answered.
    Flush(oneshot::Sender<()>),
}

/// The evidence store of one gateway. Owns the keys; dropping it ends the writer's queue.
pub struct Evidence {
    keys: Option<Arc<Keyring>>,
    storage: SharedStorage,
    clock: Clock,
    config: Config,
    queue: mpsc::Sender<Waiting>,
    replays: replay::Replays,
}

/// A row that is there; its text is still sealed.
#[derive(Clone, Debug)]
pub struct Found(EvidenceRow);

impl Found {
    /// Its account and group, which decide who may read it.
    pub fn group(&self) -> (&str, &str) {
        (&self.0.account, &self.0.group)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Who said it.
    pub fn member(&self) -> Option<&str> {
        Some(self.0.member.as_str()).filter(|member| !member.is_empty())
    }

    /// When it was said.
    pub fn at_ms(&self) -> i64 {
        self.0.at_ms
    }

    /// What it is kept for.
    pub fn kind(&self) -> EvidenceKind {
        self.0.kind
    }

    /// When it is erased.
    pub fn expires_ms(&self) -> i64 {
        self.0.expires_ms
    }
}

/// A text of the history, opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Where and when it was said.
    pub found: Found,
    /// What was said.
    pub kept: Kept,
}

/// The right to read the history, given for one audit entry.
pub struct History {
    keys: Arc<Keyring>,
    storage: SharedStorage,
    now_ms: i64,
}

impl std::fmt::Debug for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evidence").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Evidence {
    /// Makes the store and its writer; without keys nothing is kept.
    pub fn new(
        keys: Option<Keyring>,
        storage: SharedStorage,
        clock: Clock,
        config: Config,
    ) -> (Arc<Self>, Writer) {
        let (queue, waiting) = mpsc::channel(config.queue_max.max(1));
        let writer = Writer::new(waiting, storage.clone(), config.room());
        let keys = keys.filter(|_| config.enabled).map(Arc::new);
        let replays = replay::Replays::new(&config);
        (Arc::new(Self { keys, storage, clock, config, queue, replays }), writer)
    }

    /// Says whether texts are kept at all.
    pub fn is_on(&self) -> bool {
        self.keys.is_some()
    }

    /// Says whether policies may keep a history.
    pub fn keeps_history(&self) -> bool {
        self.is_on() && self.config.history
    }

    /// Returns the limits.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns drafts that are being tried.
    pub fn replays(&self) -> &replay::Replays {
        &self.replays
    }

    /// Seals a text and hands it to the writer. Never waits: what cannot be taken is counted and lost.
    pub fn keep(&self, original: &Original<'_>) {
        let Some(keys) = &self.keys else { return };
        match original.seal(keys) {
            Ok(row) => {
                if self.queue.try_send(Waiting::Row(Box::new(row))).is_err() {
                    metrics::evidence::dropped(EvidenceLoss::Queue, 1);
                }
            }
            Err(error) => {
                tracing::error!(%error, "seal a text; it is not kept");
                metrics::evidence::dropped(EvidenceLoss::Key, 1);
            }
        }
    }

    /// Waits until what was handed over before is stored, or was lost.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Waiting::Flush(done)).await.is_ok() {
            _ = wait.await; // the writer has ended: nothing waits any more
        }
    }

    /// Finds a text without opening it.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn find(&self, id: &str) -> Result<Option<Found>, EvidenceError> {
        let (storage, id, now_ms) = (self.storage.clone(), id.to_owned(), self.clock.now_ms());
        let found = blocking(move || storage.evidence_row(&id, now_ms)).await?;
        Ok(found.map(Found))
    }

    /// Opens a text once `audit` says so durably.
    ///
    /// # Errors
    /// When the audit entry cannot be written, then nothing is opened; or when it does not open.
    pub async fn open(&self, found: &Found, audit: AuditEntry) -> Result<Kept, EvidenceError> {
        let keys = self.keys.as_ref().ok_or(EvidenceError::Off)?;
        self.audited(audit).await?;
        seal::open(keys, &found.0)
    }

    /// Gives the right to read the history once `audit` says so durably.
    ///
    /// # Errors
    /// When nothing is kept, or the audit entry cannot be written.
    pub async fn history(&self, audit: AuditEntry) -> Result<History, EvidenceError> {
        let keys = self.keys.clone().ok_or(EvidenceError::Off)?;
        self.audited(audit).await?;
        Ok(History { keys, storage: self.storage.clone(), now_ms: self.clock.now_ms() })
    }

    /// Returns the groups of an account in which something of a member (or of anybody) is kept.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn groups(&self, account: &str, member: Option<&str>) -> Result<Vec<String>, EvidenceError> {
        self.flush().await; // what waits belongs to them too
        let (storage, account) = (self.storage.clone(), account.to_owned());
        let member = member.map(str::to_owned);
        Ok(blocking(move || storage.evidence_groups(&account, member.as_deref())).await?)
    }

    /// Erases texts, also those that wait for the writer and those in the results of replays; returns how many rows went.
    ///
    /// # Errors
    /// When storage fails: then nothing was erased.
    pub async fn erase(&self, what: Vec<EvidenceOf>, audit: AuditEntry) -> Result<u64, EvidenceError> {
        self.audited(audit).await?;
        self.flush().await;
        self.replays.forget();
        Ok(self.storage.evidence_erase(what).await?)
    }

    /// Removes what has expired.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn prune(&self) -> Result<u64, StorageError> {
        let (gone, left) = self.storage.evidence_prune(self.clock.now_ms()).await?;
        metrics::evidence::held(left.rows, left.bytes);
        Ok(gone)
    }

    async fn audited(&self, entry: AuditEntry) -> Result<(), StorageError> {
        let change = Change { at_ms: entry.at_ms, audit: vec![entry], ..Change::default() };
        self.storage.apply(change).await.map(drop)
    }
}

impl History {
    /// Opens a page of texts after `query.after`; also returns where to go on (`None` at the end) and how many did not
    /// open. Blocking.
    ///
    /// # Errors
    /// When storage fails.
    pub fn page(&self, query: &EvidenceQuery) -> Result<(Vec<Opened>, Option<u64>, u64), StorageError> {
        let query = EvidenceQuery { now_ms: self.now_ms, ..query.clone() };
        let rows = self.storage.evidence_page(&query)?;
        let next = rows.last().filter(|_| rows.len() >= query.limit).map(|row| row.seq);
        let mut unreadable = 0;
        let mut opened = Vec::with_capacity(rows.len());
        for row in rows {
            match seal::open(&self.keys, &row) {
                Ok(kept) => opened.push(Opened { found: Found(row), kept }),
                Err(_) => unreadable += 1, // a key that is gone: the count says so
            }
        }
        Ok((opened, next, unreadable))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StorageError::Failed { operation: "read evidence", source: Box::new(error) }),
    }
}
