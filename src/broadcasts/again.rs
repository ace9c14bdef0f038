//! Trying chosen targets of a broadcast again.
//!
//! The broadcast opens again in the commit of the first targets that are moved, so a crash leaves neither a closed
//! broadcast with pending targets nor an open one without.

use super::{Broadcast, BroadcastError, Broadcasts, put, state, storage_error, telling};
use crate::event::{Actor, BroadcastId};
use crate::storage::{AuditEntry, Change, DeliveryState, Moved, StorageError};

/// Targets moved in one commit.
const CHUNK: usize = 500;

impl Broadcasts {
    /// Says how many of these failed targets (id and code) could be tried again: all of them, or it is refused.
    ///
    /// # Errors
    /// When the broadcast was cancelled, or the actor may not see it.
    pub async fn would_replay(
        &self,
        actor: &Actor,
        id: &BroadcastId,
        targets: &[(String, String)],
    ) -> Result<u64, BroadcastError> {
        state::may_replay(self.get(actor, id).await?.control)?;
        Ok(u64::try_from(targets.len()).unwrap_or(u64::MAX))
    }

    /// Gives failed targets (id and code) all their attempts again; returns how many. One that is not failed any more is
    /// left alone. `by` says for the audit log by what they were chosen.
    ///
    /// # Errors
    /// When the broadcast was cancelled, or the actor may not see it.
    pub async fn replay_targets(
        &self,
        actor: &Actor,
        id: &BroadcastId,
        targets: &[(String, String)],
        by: &serde_json::Value,
    ) -> Result<u64, BroadcastError> {
        let slot = self.slot(actor, id).await?;
        let mut active = slot.lock().await;
        state::may_replay(active.broadcast.control)?;
        let mut replayed = 0;
        for chunk in targets.chunks(CHUNK) {
            let moved: Vec<Moved> = chunk.iter().map(again).collect();
            let mut changed = Broadcast { closed: false, ..active.broadcast.clone() };
            changed.mass.bundled = false;
            changed.mass.closing = None;
            let now_ms = self.parts.clock.now_ms();
            let audit = AuditEntry::by(actor, now_ms, "replay", "broadcast", id.as_str())
                .at(&changed.place)
                .with(&serde_json::json!({"targets": moved.len(), "filter": by}));
            let reopened = changed.reopens().then(|| telling::reopened(&changed, now_ms));
            let audit: Vec<_> = [Some(audit), reopened].into_iter().flatten().collect();
            let count = u64::try_from(moved.len()).unwrap_or(u64::MAX);
            let change = |version: u64, moved: Vec<Moved>| Change {
                at_ms: now_ms,
                writes: vec![put(&changed, Some(version))],
                audit: audit.clone(),
                moved,
                ..Change::default()
            };
            let all = change(active.version, moved);
            match self.commit(&mut active, changed.clone(), all).await {
                Ok(()) => replayed += count,
                // Somebody moved one of them: the broadcast opens, and the others go one by one.
                Err(BroadcastError::Storage { source: StorageError::Conflict { .. }, .. }) => {
                    let opened = change(active.version, Vec::new());
                    self.commit(&mut active, changed.clone(), opened).await?;
                    replayed += self.one_by_one(chunk).await?;
                }
                Err(error) => return Err(error),
            }
        }
        self.feed_due(&mut active).await;
        self.parts.outbox.look_through(active.broadcast.expansion.all_accounts()).await;
        active.replan();
        drop(active);
        self.active.lock().insert(id.clone(), slot);
        self.expand.notify_one();
        Ok(replayed)
    }

    async fn one_by_one(&self, targets: &[(String, String)]) -> Result<u64, BroadcastError> {
        let mut replayed = 0;
        for target in targets {
            let at_ms = self.parts.clock.now_ms();
            let change = Change { at_ms, moved: vec![again(target)], ..Change::default() };
            match self.parts.storage.apply(change).await {
                Ok(_) => replayed += 1,
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(storage_error("replay")(error)),
            }
        }
        Ok(replayed)
    }
}

fn again((id, code): &(String, String)) -> Moved {
    Moved {
        id: id.clone(),
        from: DeliveryState::Failed,
        to: DeliveryState::Pending,
        code: code.clone(),
        detail: "tried again".to_owned(),
        platform_id: None,
    }
}
