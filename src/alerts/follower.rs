//! Follows the journal and writes down what staff should hear of.
//!
//! What is told, the notices that are gathered and the position up to which the journal was read are one commit. What could
//! not be written is kept and tried again; no more is read meanwhile.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::leaves::Left;
use super::owners::{About, Owners};
use super::{Notify, Parts};
use crate::storage::{Change, DocumentKind, StatusChange, StorageError, Write, visit_effects};
use crate::tasks::Tasks;
use crate::telemetry::metrics::{self, Alert};

/// Journal rows read at once.
const ROWS_MAX: usize = 1_000;
/// How long to wait when the journal's end is reached.
const PAUSE: Duration = Duration::from_millis(200);
/// The position is written at the latest after so many journal rows, so that a start reads no more again.
const UNWRITTEN_ROWS_MAX: u64 = 100_000;
/// Id of the document that holds the position.
const POSITION: &str = "alerts";

/// What the position document says.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    position: u64,
}

/// Something that staff should hear of.
#[derive(Debug)]
struct Found {
    told: StatusChange,
    kind: Alert,
    notify: Notify,
    about: About,
}

/// The follower of one node. Dropped when the gateway stops.
pub struct Follower {
    parts: Arc<Parts>,
    owners: Owners,
    /// Up to where the journal was read.
    position: u64,
    /// The same as it was written last.
    written: u64,
    /// What up to there is not yet written, and what it tells of.
    unwritten: Option<(Change, Vec<Alert>)>,
    passed: tokio::sync::watch::Sender<u64>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Follower(at {})", self.position)
    }
}

impl Follower {
    /// Goes on where the last run stopped; the first time with what happens from now on.
    ///
    /// # Errors
    /// When storage cannot be read or written.
    pub async fn open(parts: Parts) -> Result<Self, StorageError> {
        let head = parts.storage.head_position()?;
        let waiting = parts.storage.documents(DocumentKind::OwnerNotice, None, 0).await?;
        let document = parts.storage.document(DocumentKind::Follower, POSITION).await?;
        let position = match &document {
            // A restored backup may have a ledger that is a moment newer than its journal: what comes after is new.
            Some(document) => read(&document.body)?.min(head),
            None => head,
        };
        if document.is_none() {
            let writes = vec![write(position)];
            parts.storage.apply(Change { writes, ..Change::default() }).await?;
        }
        let (passed, _) = tokio::sync::watch::channel(position);
        let owners = Owners::read(&waiting)?;
        Ok(Self { parts: Arc::new(parts), owners, position, written: position, unwritten: None, passed })
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
                    tracing::error!(%error, "tell staff what happened; tried again in a second");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = tasks.stopping() => {}
            }
        }
    }

    /// Deals with some rows and with what is due; says whether there may be more.
    pub(super) async fn step(&mut self) -> Result<bool, StorageError> {
        let mut more = false;
        if self.unwritten.is_none() {
            let (parts, from) = (Arc::clone(&self.parts), self.position);
            let read = tokio::task::spawn_blocking(move || look(&parts, from)).await;
            let (found, last, head) = read.map_err(|error| StorageError::Failed {
                operation: "follow the journal",
                source: Box::new(error),
            })??;
            more = last != self.position;
            self.position = last;
            if !found.is_empty() || last.saturating_sub(self.written) > UNWRITTEN_ROWS_MAX {
                self.unwritten = Some(self.change(&found));
            }
            metrics::alerts::lag(head.saturating_sub(last));
        }
        self.write().await?;
        self.passed.send_replace(self.position);
        self.owners.tell(&self.parts).await?;
        Ok(more)
    }

    /// Makes what is to be written, once: notices count what they gather.
    fn change(&mut self, found: &[Found]) -> (Change, Vec<Alert>) {
        let now_ms = self.parts.clock.now_ms();
        let mut writes = vec![write(self.position)];
        for found in found.iter().filter(|found| found.notify == Notify::Owner) {
            let (account, group) = (&*found.told.account, &*found.told.group);
            if let Some(owner) = self.parts.around.group(account, group).owner {
                let config = &self.parts.config;
                writes.extend(self.owners.add(found.about, (account, group), &owner, now_ms, config));
            }
        }
        let told = found.iter().map(|found| found.told.clone()).collect();
        let kinds = found.iter().map(|found| found.kind).collect();
        (Change { at_ms: now_ms, writes, told, ..Change::default() }, kinds)
    }

    async fn write(&mut self) -> Result<(), StorageError> {
        let Some((change, kinds)) = &self.unwritten else { return Ok(()) };
        self.parts.storage.apply(change.clone()).await?;
        kinds.iter().copied().for_each(metrics::alerts::told);
        self.unwritten = None;
        self.written = self.position;
        Ok(())
    }
}

/// Reads some rows: what is to be told, up to where, and where the journal ends. Blocking.
fn look(parts: &Parts, from: u64) -> Result<(Vec<Found>, u64, u64), StorageError> {
    let (mut left, mut unreadable) = (Vec::new(), None);
    let last = parts.storage.tail(from, ROWS_MAX, &mut |row| {
        let seen = visit_effects(&row, |effects| left.extend(Left::of(effects, &parts.leaves)));
        unreadable = unreadable.take().or(seen.err());
    })?;
    unreadable.map_or(Ok(()), Err)?;
    if !left.is_empty() {
        parts.storage.project()?; // the roster knows since when they were there
    }
    let mut found = Vec::with_capacity(left.len());
    for left in &left {
        let told = left.told(&parts.storage)?;
        found.push(Found { told, kind: Alert::Left, notify: parts.leaves.notify, about: About::Leaves });
    }
    Ok((found, last, parts.storage.head_position()?))
}

fn write(position: u64) -> Write {
    let body = serde_json::to_string(&Position { position }).expect("a number is always JSON");
    Write::Put { kind: DocumentKind::Follower, id: POSITION.to_owned(), body, expect: None }
}

fn read(body: &str) -> Result<u64, StorageError> {
    let stored: Result<Position, _> = serde_json::from_str(body);
    stored.map(|stored| stored.position).map_err(|error| StorageError::Unreadable {
        what: "the position of the alerts in the journal".to_owned(),
        detail: error.to_string(),
    })
}
