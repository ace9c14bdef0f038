//! Writes sealed texts in batches, in a task of its own: an acknowledgement never waits for them.

use tokio::sync::mpsc;

use super::Waiting;
use crate::storage::{EvidenceRoom, EvidenceRow, SharedStorage};
use crate::tasks::Tasks;
use crate::telemetry::metrics::{self, EvidenceLoss};

/// Rows of one commit.
const BATCH_MAX: usize = 256;

/// The writing side of the evidence store; ends with its tasks, after what waits was written.
pub struct Writer {
    waiting: mpsc::Receiver<Waiting>,
    storage: SharedStorage,
    room: EvidenceRoom,
}

impl Writer {
    pub(super) fn new(waiting: mpsc::Receiver<Waiting>, storage: SharedStorage, room: EvidenceRoom) -> Self {
        Self { waiting, storage, room }
    }

    /// Writes until the tasks stop.
    pub async fn run(mut self, tasks: Tasks) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let read = tokio::select! {
                read = self.waiting.recv_many(&mut batch, BATCH_MAX) => read,
                () = tasks.stopping() => break,
            };
            if read == 0 {
                return;
            }
            self.write(&mut batch).await;
        }
        self.waiting.close();
        while self.waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
            self.write(&mut batch).await;
        }
    }

    async fn write(&self, batch: &mut Vec<Waiting>) {
        let (mut rows, mut flushed) = (Vec::new(), Vec::new());
        for one in batch.drain(..) {
            match one {
                Waiting::Row(row) => rows.push(*row),
                Waiting::Flush(done) => flushed.push(done),
            }
        }
        if !rows.is_empty() {
            self.store(rows).await;
        }
        for done in flushed {
            _ = done.send(()); // whoever asked may have gone
        }
    }

    async fn store(&self, rows: Vec<EvidenceRow>) {
        let count = rows.len() as u64;
        let kinds: Vec<_> = rows.iter().map(|row| row.kind).collect();
        match self.storage.evidence_keep(rows, self.room).await {
            Ok(stored) => {
                // Which of them were refused is not told; the sums are right.
                for kind in kinds.into_iter().skip(usize::try_from(stored.refused).unwrap_or(usize::MAX)) {
                    metrics::evidence::kept(kind);
                }
                metrics::evidence::dropped(EvidenceLoss::Room, stored.refused);
                metrics::evidence::held(stored.totals.rows, stored.totals.bytes);
            }
            Err(error) => {
                tracing::error!(%error, texts = count, "keep evidence; these texts are lost");
                metrics::evidence::dropped(EvidenceLoss::Storage, count);
            }
        }
    }
}
