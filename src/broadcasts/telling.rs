//! Tells endpoints where a broadcast stands, when that changes.
//!
//! Its state is computed, so whoever looks at it notices a change: a command at once, the watch within a moment. What the
//! state rests on was committed before, so its targets' changes are told before it. After a start it is told once more:
//! nobody knows whether it was.

use super::{Active, Broadcasts, Counts};
use crate::storage::{Change, StatusChange};

impl Broadcasts {
    /// Tells where it stands, if that is news. What fails is told at the next look.
    pub(super) async fn tell(&self, active: &mut Active, counts: &Counts) {
        let broadcast = &active.broadcast;
        let at_ms = self.parts.clock.now_ms();
        let state = broadcast.state(counts, at_ms);
        if active.told == Some(state) {
            return;
        }
        let told = vec![StatusChange::broadcast(broadcast.id.as_str(), state.as_str(), at_ms)];
        match self.parts.storage.apply(Change { at_ms, told, ..Change::default() }).await {
            Ok(_) => active.told = Some(state),
            Err(error) => {
                tracing::warn!(broadcast.id = %broadcast.id, %error, "tell where a broadcast stands");
            }
        }
    }
}
