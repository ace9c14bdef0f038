//! How far a broadcast is.

use serde::Serialize;

use super::foresight::{Foresight, NoFinish, Supposed};
use super::state::State;
use super::{Broadcast, BroadcastError, Broadcasts, storage_error};
use crate::event::{Actor, BroadcastId};
use crate::storage::DeliveryState;

/// Targets by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Counts {
    /// Waiting for their turn.
    pub pending: u64,
    /// A call is under way.
    pub sending: u64,
    /// Taken; a person must confirm them on the platform.
    pub awaiting_confirmation: u64,
    /// Taken.
    pub sent: u64,
    /// Given up.
    pub failed: u64,
    /// Sent or not, nobody knows.
    pub uncertain: u64,
    /// Called off.
    pub cancelled: u64,
    /// Their time had passed.
    pub expired: u64,
}

impl Counts {
    /// Adds the numbers of the ledger up.
    pub fn of(counts: &[(DeliveryState, u64)]) -> Self {
        let mut all = Self::default();
        for (state, count) in counts {
            let place = match state {
                DeliveryState::Pending => &mut all.pending,
                DeliveryState::Sending => &mut all.sending,
                DeliveryState::AwaitingConfirmation => &mut all.awaiting_confirmation,
                DeliveryState::Sent => &mut all.sent,
                DeliveryState::Failed => &mut all.failed,
                DeliveryState::Uncertain => &mut all.uncertain,
                DeliveryState::Cancelled => &mut all.cancelled,
                DeliveryState::Expired => &mut all.expired,
            };
            *place += count;
        }
        all
    }

    /// Returns the targets that will still change without anybody doing anything.
    pub fn unfinished(&self) -> u64 {
        self.pending + self.sending + self.awaiting_confirmation
    }
}

/// How far a broadcast is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Progress {
    /// Where it stands.
    pub state: State,
    /// Targets that are written so far.
    pub targets: u64,
    /// Targets it will have, as far as known.
    pub expected: u64,
    /// Targets by state.
    pub counts: Counts,
    /// When it will be done, in milliseconds since the epoch; of one that waits: if it starts when it is to; of a draft: if
    /// it were sent now. `None` when it is not running, or nobody can say.
    pub estimated_finish_ms: Option<i64>,
    /// Why nobody can say.
    pub unknown_finish: Option<NoFinish>,
}

impl Broadcasts {
    /// Returns how far a broadcast is.
    ///
    /// # Errors
    /// When the actor may not see it, or the ledger cannot be read.
    pub async fn progress(&self, actor: &Actor, id: &BroadcastId) -> Result<Progress, BroadcastError> {
        let broadcast = self.get(actor, id).await?;
        self.progress_of(&broadcast).await
    }

    /// Returns how far a broadcast is that was just read.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn progress_of(&self, broadcast: &Broadcast) -> Result<Progress, BroadcastError> {
        let counts = self.counts(&broadcast.id).await?;
        let now_ms = self.parts.clock.now_ms();
        let state = broadcast.state(&counts, now_ms);
        let foresight = match state {
            State::Draft
            | State::Submitted
            | State::Scheduled
            | State::Expanding
            | State::Canary
            | State::Running => self.foresee(broadcast, &counts, &Supposed::default()).await?,
            State::Recurring | State::Paused | State::Stopped | State::Cancelled | State::Finished => {
                Foresight::default()
            }
        };
        let targets = u64::from(broadcast.expansion.targets);
        let expected = broadcast.expected.max(targets);
        let (estimated_finish_ms, unknown_finish) = (foresight.finish_ms, foresight.unknown);
        Ok(Progress { state, targets, expected, counts, estimated_finish_ms, unknown_finish })
    }

    pub(super) async fn counts(&self, id: &BroadcastId) -> Result<Counts, BroadcastError> {
        let counts = self.parts.storage.delivery_counts(id.as_str()).await;
        Ok(Counts::of(&counts.map_err(storage_error("count targets"))?))
    }
}
