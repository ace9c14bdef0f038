//! The review queue (复核队列): what waits for a person, who decided, and why.
//!
//! A verdict `review` becomes a row by [`follower`], which reads the journal: row and reading position are one commit, so
//! each is queued exactly once whatever crashes. A member's appeal becomes a row by [`Reviews::appeal`]. Open rows and
//! closed ones are documents of two kinds: closing is a move in one commit with its audit entry, so nothing is decided
//! twice.
//!
//! Not for: original text (that is `evidence`; a row has at most the id of it), nor for who may see a row (`api`).
//! Invariants: ids begin with the time, so that a page is in the order of arrival; open rows are bounded: the oldest
//! lapse, which is written down and counted.

pub mod follower;
mod record;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::event::Actor;
use crate::storage::{
    AuditEntry, Change, Document, DocumentKind, IdempotencyRecord, SharedStorage, StorageError, Write,
};
use crate::telemetry::metrics;

pub use record::{Closed, EvidenceRef, Review, ReviewHit, ReviewKind, ReviewState, id_at};

/// Documents read at once.
const PAGE: usize = 500;

/// Limits of this module.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Most open reviews; beyond it the oldest lapse.
    pub open_max: usize,
    /// Open reviews older than this lapse.
    #[serde(with = "crate::units::duration")]
    pub lapse_after: Duration,
    /// How long closed reviews are listed, counted from when they were opened.
    #[serde(with = "crate::units::duration")]
    pub keep: Duration,
    /// Longest reason of a decision or an appeal, in characters.
    pub reason_chars_max: usize,
    /// The wordlist that allow phrases accepted in reviews go to; made when there is none.
    pub allow_wordlist: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            open_max: 50_000,
            lapse_after: Duration::from_hours(30 * 24),
            keep: Duration::from_hours(180 * 24),
            reason_chars_max: 500,
            allow_wordlist: "allowed".to_owned(),
        }
    }
}

/// The review queue of one gateway.
pub struct Reviews {
    storage: SharedStorage,
    clock: Clock,
    config: Config,
    /// How many are open.
    open: AtomicUsize,
}

impl std::fmt::Debug for Reviews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reviews({} open)", self.open.load(Ordering::Relaxed))
    }
}

impl Reviews {
    /// Counts what is open.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub async fn open(
        storage: SharedStorage,
        clock: Clock,
        config: Config,
    ) -> Result<Arc<Self>, StorageError> {
        let (mut open, mut after) = (0, None);
        loop {
            let page = storage.documents(DocumentKind::Review, after, PAGE).await?;
            open += page.len();
            after = page.last().map(|document| document.id.clone());
            if page.len() < PAGE {
                break;
            }
        }
        metrics::evidence::reviews_open(open);
        Ok(Arc::new(Self { storage, clock, config, open: AtomicUsize::new(open) }))
    }

    /// Returns the limits.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns one review, open or closed.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub async fn get(&self, id: &str) -> Result<Option<Review>, StorageError> {
        for kind in [DocumentKind::Review, DocumentKind::ReviewClosed] {
            if let Some(document) = self.storage.document(kind, id).await? {
                return record::read(&document).map(Some);
            }
        }
        Ok(None)
    }

    /// Returns open or closed reviews after a cursor, oldest first.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub async fn page(
        &self,
        open: ReviewState,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Review>, StorageError> {
        let kind = match open {
            ReviewState::Open => DocumentKind::Review,
            ReviewState::Approved | ReviewState::Denied | ReviewState::Lapsed => DocumentKind::ReviewClosed,
        };
        let documents = self.storage.documents(kind, after, limit).await?;
        documents.iter().map(record::read).collect()
    }

    /// Queues a member's appeal with its audit entry and the answer to repeat for the request's key.
    ///
    /// # Errors
    /// When storage fails, or the key was used meanwhile.
    pub async fn appeal(
        &self,
        actor: &Actor,
        review: &Review,
        remember: Option<IdempotencyRecord>,
        place: &crate::event::Place,
    ) -> Result<(), StorageError> {
        let audit = AuditEntry::by(actor, review.opened_ms, "appeal", "review", &review.id).at(place);
        let change = Change {
            at_ms: review.opened_ms,
            writes: vec![open_row(review)],
            audit: vec![audit],
            idempotency: remember,
            ..Change::default()
        };
        self.storage.apply(change).await?;
        self.opened(1);
        Ok(())
    }

    /// Closes a review by a person's decision.
    ///
    /// # Errors
    /// `Conflict` when it was closed meanwhile; nothing changed then.
    pub async fn close(
        &self,
        actor: &Actor,
        mut review: Review,
        closed: Closed,
        place: &crate::event::Place,
    ) -> Result<Review, StorageError> {
        let verb = match closed.state {
            ReviewState::Approved => "approve",
            ReviewState::Denied => "deny",
            ReviewState::Lapsed | ReviewState::Open => "close",
        };
        let audit = AuditEntry::by(actor, closed.at_ms, verb, "review", &review.id).at(place).with(
            &serde_json::json!({"account": review.account, "group": review.group, "reason": closed.reason}),
        );
        let at_ms = closed.at_ms;
        review.closed = Some(closed);
        let writes = close_row(&review).into();
        self.storage.apply(Change { at_ms, writes, audit: vec![audit], ..Change::default() }).await?;
        self.shut(1);
        Ok(review)
    }

    /// Lets lapse what waited too long, or is too much, and removes what was closed long ago. Call it every few minutes.
    ///
    /// # Errors
    /// When storage fails; the next call goes on.
    pub async fn tidy(&self) -> Result<(), StorageError> {
        let now_ms = self.clock.now_ms();
        let before = |age: Duration| id_at(now_ms.saturating_sub(millis(age)), 0);
        let lapsed_before = before(self.config.lapse_after);
        loop {
            let oldest = self.storage.documents(DocumentKind::Review, None, PAGE).await?;
            let surplus = self.open.load(Ordering::Relaxed).saturating_sub(self.config.open_max);
            let due: Vec<&Document> = oldest
                .iter()
                .enumerate()
                .filter(|(nth, document)| *nth < surplus || document.id < lapsed_before)
                .map(|(_, document)| document)
                .collect();
            if due.is_empty() || !self.lapse(&due, now_ms).await? {
                break;
            }
        }
        let gone_before = before(self.config.keep);
        loop {
            let oldest = self.storage.documents(DocumentKind::ReviewClosed, None, PAGE).await?;
            let old = oldest.into_iter().take_while(|document| document.id < gone_before);
            let writes: Vec<_> = old
                .map(|document| Write::Delete { kind: DocumentKind::ReviewClosed, id: document.id })
                .collect();
            if writes.is_empty() {
                return Ok(());
            }
            self.storage.apply(Change { at_ms: now_ms, writes, ..Change::default() }).await?;
        }
    }

    /// Says whether they lapsed.
    async fn lapse(&self, due: &[&Document], now_ms: i64) -> Result<bool, StorageError> {
        let mut writes = Vec::new();
        for document in due {
            let mut review = record::read(document)?;
            review.closed = Some(Closed {
                state: ReviewState::Lapsed,
                by: "menshen".to_owned(),
                at_ms: now_ms,
                reason: String::new(),
            });
            writes.extend(close_row(&review));
        }
        match self.storage.apply(Change { at_ms: now_ms, writes, ..Change::default() }).await {
            Ok(_) => {
                self.shut(due.len());
                metrics::evidence::reviews_lapsed(due.len() as u64);
                tracing::warn!(reviews = due.len(), "reviews lapsed: nobody looked at them in time");
                Ok(true)
            }
            // Somebody decided one of them meanwhile; the others are found again next time.
            Err(StorageError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn opened(&self, count: usize) {
        let open = self.open.fetch_add(count, Ordering::Relaxed) + count;
        metrics::evidence::reviews_open(open);
    }

    fn shut(&self, count: usize) {
        let before = self
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| Some(open.saturating_sub(count)));
        metrics::evidence::reviews_open(before.unwrap_or_default().saturating_sub(count));
    }
}

/// Writes an open row that must not be there yet.
fn open_row(review: &Review) -> Write {
    put(DocumentKind::Review, review)
}

/// Moves a row to the closed ones; a conflict when it is there already.
fn close_row(review: &Review) -> [Write; 2] {
    [
        put(DocumentKind::ReviewClosed, review),
        Write::Delete { kind: DocumentKind::Review, id: review.id.clone() },
    ]
}

fn put(kind: DocumentKind, review: &Review) -> Write {
    let body = serde_json::to_string(review).expect("strings and numbers are always JSON");
    Write::Put { kind, id: review.id.clone(), body, expect: Some(0) }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
