//! The gateway's housekeeping: folding the journal, sealing and forgetting, pruning.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::dedupe;
use crate::evidence::Evidence;
use crate::ingest::Partitions;
use crate::reviews::Reviews;
use crate::storage::SharedStorage;
use crate::tasks::Tasks;

/// How often the journal is folded into the projection.
const PROJECT_EVERY: Duration = Duration::from_secs(1);
/// How often dedupe hours are sealed and expired memory is dropped.
const TIDY_EVERY: Duration = Duration::from_mins(1);
/// How often kept texts are looked at whose time is over, and old reviews.
const FORGET_EVERY: Duration = Duration::from_mins(1);
/// How often old journal rows are removed.
const PRUNE_EVERY: Duration = Duration::from_mins(10);

/// Folds the journal every second, and once more at the end.
pub(super) async fn project(storage: SharedStorage, tasks: Tasks) {
    loop {
        let stop = tokio::select! {
            () = tokio::time::sleep(PROJECT_EVERY) => false,
            () = tasks.stopping() => true,
        };
        let storage = storage.clone();
        match tokio::task::spawn_blocking(move || storage.project()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "fold the journal; tried again in a second"),
            Err(_) => return, // the runtime is going down
        }
        if stop {
            return;
        }
    }
}

/// Seals and forgets what partitions hold.
pub(super) async fn tidy(partitions: Partitions, config: dedupe::Config, tasks: Tasks) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TIDY_EVERY) => partitions.tidy(&config).await,
            () = tasks.stopping() => return,
        }
    }
}

/// Erases kept texts whose time is over, and closes and forgets old reviews.
pub(super) async fn forget(evidence: Arc<Evidence>, reviews: Arc<Reviews>, tasks: Tasks) {
    loop {
        match evidence.prune().await {
            Ok(0) => {}
            Ok(texts) => tracing::info!(texts, "kept texts erased: their time is over"),
            Err(error) => tracing::error!(%error, "erase kept texts; tried again in a minute"),
        }
        if let Err(error) = reviews.tidy().await {
            tracing::warn!(%error, "tidy the review queue; tried again in a minute");
        }
        tokio::select! {
            () = tokio::time::sleep(FORGET_EVERY) => {}
            () = tasks.stopping() => return,
        }
    }
}

/// Removes journal rows older than the dedupe window that every follower has passed.
pub(super) async fn prune(
    storage: SharedStorage,
    config: dedupe::Config,
    followed: Vec<watch::Receiver<u64>>,
    clock: Clock,
    tasks: Tasks,
) {
    let window_ms = i64::try_from(config.window.as_millis()).unwrap_or(i64::MAX);
    loop {
        tokio::select! {
            () = tokio::time::sleep(PRUNE_EVERY) => {}
            () = tasks.stopping() => return,
        }
        let oldest = dedupe::bucket_of(clock.now_ms() - window_ms);
        let position = followed.iter().map(|passed| *passed.borrow()).min().unwrap_or(0);
        match storage.prune(oldest, position).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "old journal rows removed"),
            Err(error) => tracing::warn!(%error, "remove old journal rows; tried again later"),
        }
    }
}
