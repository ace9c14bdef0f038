//! Background work with a name: a task that panics or ends early is counted, logged and takes the process to drain.
//!
//! Not for: work that belongs to one request.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tracing::Instrument;

use crate::telemetry::metrics;

/// Spawns tasks and tells them when to stop. Cheap to clone; dropping clones stops nothing.
#[derive(Clone, Debug)]
pub struct Tasks {
    stop: watch::Receiver<bool>,
    failed: mpsc::Sender<&'static str>,
}

/// Held by the composition root: stops the tasks, hears of failures.
#[derive(Debug)]
pub struct TasksOwner {
    stop: watch::Sender<bool>,
    failed: mpsc::Receiver<&'static str>,
}

/// Makes the pair.
pub fn tasks() -> (Tasks, TasksOwner) {
    let (stop_tx, stop) = watch::channel(false);
    let (failed, failed_rx) = mpsc::channel(16);
    (Tasks { stop, failed }, TasksOwner { stop: stop_tx, failed: failed_rx })
}

impl TasksOwner {
    /// Tells every task to stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for a task to fail; returns its name. Cancel safe.
    pub async fn failure(&mut self) -> &'static str {
        match self.failed.recv().await {
            Some(name) => name,
            None => std::future::pending().await,
        }
    }
}

impl Tasks {
    /// Runs `work` in the background under `name`.
    pub fn spawn<F>(&self, name: &'static str, work: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let failed = self.failed.clone();
        let span = tracing::info_span!("task", task.name = name);
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        tokio::spawn(
            async move {
                let mut inner = JoinSet::new();
                inner.spawn(work.in_current_span());
                if let Some(Err(error)) = inner.join_next().await
                    && error.is_panic()
                {
                    tracing::error!(task.name = name, "task panicked; the gateway drains");
                    metrics::task_panicked();
                    _ = failed.try_send(name); // a full queue means the drain has begun
                }
            }
            .instrument(span),
        )
    }

    /// Resolves when the tasks are told to stop. Cancel safe.
    pub async fn stopping(&self) {
        let mut stop = self.stop.clone();
        _ = stop.wait_for(|stop| *stop).await; // an error means the owner is gone: stop as well
    }

    /// Says whether the tasks were told to stop.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }
}

/// Tasks for a unit test: nobody stops them, nobody hears of failures.
pub fn detached() -> (Tasks, Arc<TasksOwner>) {
    let (tasks, owner) = tasks();
    (tasks, Arc::new(owner))
}
