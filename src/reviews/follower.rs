//! Follows the journal and queues what a person should look at.
//!
//! Rows and the position up to which the journal was read are one commit: after a crash the journal is read again from
//! there, and a row is neither lost nor queued twice. Where nothing is found the position moves in memory only.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Review, Reviews, open_row};
use crate::event::Status;
use crate::storage::{Change, DocumentKind, StorageError, Write, visit_effects};
use crate::tasks::Tasks;
use crate::telemetry::metrics;

/// Journal rows read at once.
const ROWS_MAX: usize = 1_000;
/// How long to wait when the journal's end is reached.
const PAUSE: Duration = Duration::from_millis(200);
/// The position is written at the latest after so many journal rows, so that a start reads no more again.
const UNWRITTEN_ROWS_MAX: u64 = 100_000;
/// Id of the document that holds the position.
const POSITION: &str = "reviews";

/// What the position document says.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Position {
    position: u64,
}

/// The follower of one node. Dropped when the gateway stops.
pub struct Follower {
    reviews: Arc<Reviews>,
    /// Up to where the journal was dealt with.
    position: u64,
    /// The same as it was written last, and that document's version.
    written: (u64, u64),
    passed: tokio::sync::watch::Sender<u64>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Follower(at {})", self.position)
    }
}

impl Follower {
    /// Reads where the last run stopped.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub async fn open(reviews: Arc<Reviews>) -> Result<Self, StorageError> {
        let (position, version) = stored(&reviews).await?;
        // A restored backup may have a ledger that is a moment newer than its journal: what comes after is new.
        let position = position.min(reviews.storage.head_position()?);
        let (passed, _) = tokio::sync::watch::channel(position);
        Ok(Self { reviews, position, written: (position, version), passed })
    }

    /// Returns the position up to which this follower has read.
    pub fn passed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.passed.subscribe()
    }

    /// Follows the journal until the tasks stop.
    pub async fn run(mut self, tasks: Tasks) {
        while !tasks.is_stopping() {
            let pause = match self.step().await {
                Ok(true) => continue,
                Ok(false) => PAUSE,
                Err(error) => {
                    tracing::error!(%error, "queue reviews; tried again in a second");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = tasks.stopping() => {}
            }
        }
    }

    /// Deals with some rows; says whether there may be more.
    pub(super) async fn step(&mut self) -> Result<bool, StorageError> {
        let (storage, from) = (self.reviews.storage.clone(), self.position);
        let read = move || {
            let (mut found, mut unreadable) = (Vec::new(), None);
            let last = storage.tail(from, ROWS_MAX, &mut |row| {
                let seen = visit_effects(&row, |effects| {
                    if effects.head.status == Status::Counted {
                        found.extend(Review::of(effects));
                    }
                });
                unreadable = unreadable.take().or(seen.err());
            })?;
            let head = storage.head_position()?;
            unreadable.map_or(Ok((found, last, head)), Err)
        };
        let (found, last, head) = match tokio::task::spawn_blocking(read).await {
            Ok(read) => read?,
            Err(error) => {
                return Err(StorageError::Failed {
                    operation: "follow the journal",
                    source: Box::new(error),
                });
            }
        };
        let more = last != self.position;
        if !found.is_empty() || last.saturating_sub(self.written.0) > UNWRITTEN_ROWS_MAX {
            self.write(&found, last).await?;
        }
        self.position = last;
        self.passed.send_replace(last);
        metrics::evidence::reviews_lag(head.saturating_sub(last));
        Ok(more)
    }

    async fn write(&mut self, found: &[Review], position: u64) -> Result<(), StorageError> {
        let mut writes = Vec::with_capacity(found.len() + 1);
        for review in found {
            // Only after a commit of which nobody heard is it there.
            if self.reviews.get(&review.id).await?.is_none() {
                writes.push(open_row(review));
            }
        }
        let new = writes.len();
        let body = serde_json::to_string(&Position { position }).expect("a number is always JSON");
        let (kind, id) = (DocumentKind::Follower, POSITION.to_owned());
        writes.push(Write::Put { kind, id, body, expect: Some(self.written.1) });
        let at_ms = self.reviews.clock.now_ms();
        match self.reviews.storage.apply(Change { at_ms, writes, ..Change::default() }).await {
            Ok(versions) => {
                self.written = (position, versions.last().copied().unwrap_or(0));
                self.reviews.opened(new);
                Ok(())
            }
            Err(error) => {
                self.written.1 = stored(&self.reviews).await?.1;
                Err(error)
            }
        }
    }
}

/// Reads the position that was written last and its document's version.
async fn stored(reviews: &Reviews) -> Result<(u64, u64), StorageError> {
    let document = reviews.storage.document(DocumentKind::Follower, POSITION).await?;
    let Some(document) = document else { return Ok((0, 0)) };
    let stored: Position =
        serde_json::from_str(&document.body).map_err(|error| StorageError::Unreadable {
            what: "the position of the review queue in the journal".to_owned(),
            detail: error.to_string(),
        })?;
    Ok((stored.position, document.version))
}
