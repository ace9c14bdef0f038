//! Tells endpoints where a broadcast stands, when that changes.
//!
//! What people decide is told in the commit that decides it. The rest of its state is computed, so whoever looks at it
//! notices a change, within a moment. What the state rests on was committed before: that a broadcast is finished is told
//! after the last of its targets. After a start it is told once more; the ledger drops what was told last.

use super::{Active, BroadcastError, Broadcasts, Counts, storage_error};
use crate::broadcasts::record::Broadcast;
use crate::storage::{Change, StatusChange};

/// Where a broadcast stands, to be told.
pub(super) fn standing(broadcast: &Broadcast, counts: &Counts, at_ms: i64) -> Vec<StatusChange> {
    let state = broadcast.state(counts, at_ms);
    vec![StatusChange::broadcast(broadcast.id.as_str(), state.as_str(), at_ms)]
}

impl Broadcasts {
    /// Tells where it stands, if that is news.
    pub(super) async fn tell(&self, active: &mut Active, counts: &Counts) -> Result<(), BroadcastError> {
        let at_ms = self.parts.clock.now_ms();
        let state = active.broadcast.state(counts, at_ms);
        if active.told == Some(state) {
            return Ok(());
        }
        let told = standing(&active.broadcast, counts, at_ms);
        let change = Change { at_ms, told, ..Change::default() };
        self.parts.storage.apply(change).await.map_err(storage_error("tell"))?;
        active.told = Some(state);
        Ok(())
    }
}
