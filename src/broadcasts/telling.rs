//! Tells endpoints where a broadcast stands, when that changes, and writes to the audit log what it does by itself.
//!
//! What people decide is told in the commit that decides it. The rest of its state is computed, so whoever looks at it
//! notices a change, within a moment. What the state rests on was committed before: that a broadcast is finished is told
//! after the last of its targets. After a start it is told once more; the ledger drops what was told last.

use super::{Active, BroadcastError, Broadcasts, Counts, State, put, storage_error};
use crate::broadcasts::record::Broadcast;
use crate::storage::{AuditEntry, Change, StatusChange};

/// Where a broadcast stands, to be told.
pub(super) fn standing(broadcast: &Broadcast, counts: &Counts, at_ms: i64) -> Vec<StatusChange> {
    let state = broadcast.state(counts, at_ms);
    vec![StatusChange::broadcast(broadcast.id.as_str(), state.as_str(), at_ms)]
}

/// Returns what a broadcast has done by itself since its state was last noted. Layer: pure core.
fn moves(noted: Option<State>, state: State) -> &'static [&'static str] {
    use State::{
        Canary, Cancelled, Draft, Expanding, Finished, Paused, Recurring, Running, Scheduled, Stopped,
        Submitted,
    };
    match (noted, state) {
        (Some(Finished), Finished) => &[],
        (Some(Scheduled), Finished) => &["start", "finish"],
        (_, Finished) => &["finish"],
        (Some(Scheduled), Expanding | Canary | Running) => &["start"],
        (Some(Finished), Expanding | Canary | Running) => &["reopen"],
        (
            _,
            Draft | Recurring | Submitted | Scheduled | Expanding | Canary | Running | Paused | Stopped
            | Cancelled,
        ) => &[],
    }
}

fn by_house(broadcast: &Broadcast, verb: &str, at_ms: i64, detail: &serde_json::Value) -> AuditEntry {
    AuditEntry::by_house(at_ms, verb, "broadcast", broadcast.id.as_str()).at(&broadcast.place).with(detail)
}

/// Says that a finished broadcast goes on, since some of its targets are tried again.
pub(super) fn reopened(broadcast: &Broadcast, at_ms: i64) -> AuditEntry {
    by_house(broadcast, "reopen", at_ms, &serde_json::json!({"from": State::Finished, "to": broadcast.noted}))
}

impl Broadcasts {
    /// Tells where it stands, if that is news.
    pub(super) async fn tell(&self, active: &mut Active, counts: &Counts) -> Result<(), BroadcastError> {
        let at_ms = self.parts.clock.now_ms();
        let state = active.broadcast.state(counts, at_ms);
        let noted = active.broadcast.noted;
        let moves = moves(noted, state);
        if active.told == Some(state) && moves.is_empty() {
            return Ok(());
        }
        let told = standing(&active.broadcast, counts, at_ms);
        if moves.is_empty() {
            let change = Change { at_ms, told, ..Change::default() };
            self.parts.storage.apply(change).await.map_err(storage_error("tell"))?;
        } else {
            // With the state in one commit: what is in the log stands in the broadcast, so that a restart does not tell it anew.
            let changed = Broadcast { noted: Some(state), ..active.broadcast.clone() };
            let detail = serde_json::json!({"from": noted, "to": state, "counts": counts});
            let audit = moves.iter().map(|verb| by_house(&changed, verb, at_ms, &detail)).collect();
            let writes = vec![put(&changed, Some(active.version))];
            let change = Change { at_ms, writes, audit, told, ..Change::default() };
            self.commit(active, changed, change).await?;
        }
        active.told = Some(state);
        Ok(())
    }
}
