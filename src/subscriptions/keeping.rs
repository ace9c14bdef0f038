//! How long changes are kept: for endpoints that do not take them, and for those that want to be told again.
//!
//! The age of a change is that of its number, not the time it tells: a person may have confirmed a task days ago. So it is
//! noted now and then which number was the last.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Live, Subscriptions};
use crate::storage::{Change, DocumentKind, StorageError, Write};
use crate::tasks::Tasks;
use crate::telemetry::metrics;

/// How often what is too old or too much is removed.
const SWEEP: Duration = Duration::from_secs(10);
/// The time that changes are kept is held to one part in so many.
const MARKS: u32 = 64;
/// Without an endpoint so many are kept, for streams that come again.
const STREAM_ROWS: u64 = 10_000;
/// The document with the marks.
const MARKS_ID: &str = "endpoint-marks";

/// Which number was the last at a time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    at_ms: i64,
    last: u64,
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Live {
    /// Counts what is not kept any more.
    pub(super) fn forget(&self, first: u64) {
        let under_way = self.pinned.lock().as_ref().map_or(0, |batch| batch.through);
        let lost = self.standing.lock().forget(first, under_way);
        if lost > 0 {
            metrics::status::missed(lost);
            tracing::warn!(
                endpoint.id = self.id,
                forgotten = lost,
                "state changes were forgotten before they could be told"
            );
        }
    }
}

impl Subscriptions {
    /// Reads the marks of an earlier run.
    pub(super) async fn read_marks(&self) -> Result<(), StorageError> {
        let document = self.parts.storage.document(DocumentKind::Follower, MARKS_ID).await?;
        let marks = document.and_then(|document| serde_json::from_str(&document.body).ok());
        *self.marks.lock() = marks.unwrap_or_default();
        Ok(())
    }

    /// Removes what is too old and what is too much, until the gateway stops.
    pub(super) async fn keep(self: Arc<Self>) {
        let tasks: Tasks = self.parts.tasks.clone();
        loop {
            tokio::select! {
                () = tokio::time::sleep(SWEEP) => {}
                () = tasks.stopping() => return,
            }
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "remove old state changes"); // the next round tries again
            }
        }
    }

    /// Removes what need not be kept, and writes down who passed over what.
    pub(super) async fn sweep(&self) -> Result<(), StorageError> {
        let span = self.parts.storage.status_span().await?;
        let all: Vec<Arc<Live>> = self.live.lock().values().cloned().collect();
        let too_many = span.last.saturating_sub(self.parts.config.rows_max.get());
        let too_old = self.mark(span.last).await?;
        let nobody = if all.is_empty() { span.last.saturating_sub(STREAM_ROWS) } else { 0 };
        let through = too_many.max(too_old).max(nobody);
        if through >= span.first {
            while self.parts.storage.status_forget(through).await? > 0 {}
        }
        let first = span.first.max(through + 1);
        let mut waiting = 0;
        for live in &all {
            live.forget(first);
            self.save(live).await?;
            if live.endpoint.enabled {
                waiting = waiting.max(span.last.saturating_sub(live.standing.lock().position));
            }
        }
        metrics::status::waiting(waiting);
        Ok(())
    }

    /// Notes the last number now and then; returns up to which number changes are too old.
    async fn mark(&self, last: u64) -> Result<u64, StorageError> {
        let now_ms = self.parts.clock.now_ms();
        let keep = self.parts.config.keep;
        let (too_old, fresh) = {
            let mut marks = self.marks.lock();
            let is_old = |mark: &Mark| mark.at_ms <= now_ms.saturating_sub(ms(keep));
            // The newest that is old enough stays: it says how much is.
            while marks.get(1).is_some_and(is_old) {
                marks.pop_front();
            }
            let too_old = marks.front().copied().filter(is_old).map_or(0, |mark| mark.last);
            let is_due = |mark: &Mark| now_ms.saturating_sub(mark.at_ms).saturating_abs() >= ms(keep / MARKS);
            let is_fresh = marks.back().is_none_or(is_due);
            if is_fresh {
                marks.push_back(Mark { at_ms: now_ms, last });
            }
            (too_old, is_fresh.then(|| marks.clone()))
        };
        if let Some(marks) = fresh {
            self.store(vec![write_marks(&marks)]).await?;
        }
        Ok(too_old)
    }

    /// Writes a position down that moved without a call. What is under way is behind it and must not be taken for told.
    async fn save(&self, live: &Live) -> Result<(), StorageError> {
        let _one_at_a_time = self.writing.lock().await;
        let is_current = self.live.lock().get(&live.id).is_some_and(|now| std::ptr::eq(now.as_ref(), live));
        let standing = live.standing.lock().clone();
        if !is_current || standing.saved == standing.position || live.pinned.lock().is_some() {
            return Ok(());
        }
        self.store(vec![standing.write(&live.id)]).await?;
        live.standing.lock().saved = standing.position;
        Ok(())
    }

    pub(super) async fn store(&self, writes: Vec<Write>) -> Result<(), StorageError> {
        let at_ms = self.parts.clock.now_ms();
        self.parts.storage.apply(Change { at_ms, writes, ..Change::default() }).await.map(|_| ())
    }
}

fn write_marks(marks: &VecDeque<Mark>) -> Write {
    let body = serde_json::to_string(marks).unwrap_or_default(); // numbers: cannot fail
    Write::Put { kind: DocumentKind::Follower, id: MARKS_ID.to_owned(), body, expect: None }
}
