//! How far a broadcast is, and when it will be done.
//!
//! The finish is found by running the account's own limits in virtual time, from where they stand now, over what is left
//! of this broadcast and of the others that take turns with it; the time that takes is then laid over the hours in which
//! the broadcast is open. Not in it: replies that go before, retries, and limits of
//! single groups (a broadcast sends each group one message).

use jiff::tz::TimeZone;
use serde::Serialize;

use super::schedule::OpenTimes;
use super::state::State;
use super::{Broadcast, BroadcastError, Broadcasts, storage_error};
use crate::event::{AccountId, Actor, BroadcastId};
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
    /// When it will be done, in milliseconds since the epoch; of one that waits: if it starts when it is to. `None` when it
    /// is not running, or nobody can say.
    pub estimated_finish_ms: Option<i64>,
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
        // What waits for people has a range of its own.
        let by_people = broadcast.mass.targets > 0 && broadcast.expansion.accounts.is_empty();
        let estimated_finish_ms = match state {
            State::Submitted | State::Scheduled | State::Expanding | State::Canary | State::Running
                if by_people =>
            {
                None
            }
            State::Submitted | State::Scheduled | State::Expanding | State::Canary | State::Running => {
                let needed_ms = self.estimate(broadcast, &counts).await.map(|finish_ms| finish_ms - now_ms);
                let finish_ms =
                    needed_ms.and_then(|needed_ms| self.within_hours(broadcast, now_ms, needed_ms));
                finish_ms.map(|finish_ms| finish_ms + broadcast.watching_ms(now_ms))
            }
            State::Draft
            | State::Recurring
            | State::Paused
            | State::Stopped
            | State::Cancelled
            | State::Finished => None,
        };
        let targets = u64::from(broadcast.expansion.targets);
        let expected = broadcast.expected.max(targets);
        Ok(Progress { state, targets, expected, counts, estimated_finish_ms })
    }

    pub(super) async fn counts(&self, id: &BroadcastId) -> Result<Counts, BroadcastError> {
        let counts = self.parts.storage.delivery_counts(id.as_str()).await;
        Ok(Counts::of(&counts.map_err(storage_error("count targets"))?))
    }

    /// Says when it is over if it needs so long while it is open.
    fn within_hours(&self, broadcast: &Broadcast, now_ms: i64, needed_ms: i64) -> Option<i64> {
        let rules = self.house_rules();
        let times = OpenTimes { schedule: &broadcast.schedule, rules: &rules };
        let begins_ms = broadcast.starts_ms.max(now_ms);
        if times.are_always() {
            return Some(begins_ms + needed_ms);
        }
        // Each group's own zone counts: the last one to open decides.
        let known = broadcast.expansion.zones.iter().filter_map(|name| TimeZone::get(name).ok());
        let zones: Vec<_> = known.chain([self.parts.book.default_time_zone()]).collect();
        let spread_ms = broadcast.schedule.spread_until_ms;
        let over = |zone: &TimeZone| times.after(zone, begins_ms, needed_ms).map(|over| over.max(spread_ms));
        let known = zones.len().saturating_sub(1).max(1); // the default counts where no group's is known yet
        zones.iter().take(known).map(over).try_fold(0, |latest, over| Some(latest.max(over?)))
    }

    async fn estimate(&self, broadcast: &Broadcast, counts: &Counts) -> Option<i64> {
        let written = u64::from(broadcast.expansion.targets);
        let left = counts.pending + counts.sending + broadcast.expected.saturating_sub(written);
        let mut finish = None;
        for (account, share) in shares(broadcast, left) {
            // Broadcasts of one account take turns, so of each other one as much goes first as this one has left.
            let ahead: u64 = self.others_on(&account, &broadcast.id).map(|open| open.min(share)).sum();
            finish = finish.max(Some(self.parts.outbox.finish_ms(&account, share + ahead).await?));
        }
        finish
    }

    /// Returns what other broadcasts have left on an account, as of a moment ago.
    fn others_on(&self, account: &AccountId, but: &BroadcastId) -> impl Iterator<Item = u64> + use<> {
        let slots: Vec<_> =
            self.active.lock().iter().filter(|(id, _)| *id != but).map(|(_, s)| s.clone()).collect();
        let (account, now_ms) = (account.clone(), self.parts.clock.now_ms());
        // One that is just being changed is left out: an estimate does not wait for it.
        slots.into_iter().filter_map(move |slot| {
            let active = slot.try_lock().ok()?;
            let running = active.broadcast.is_due(now_ms);
            running.then(|| shares(&active.broadcast, active.open)).map(|shares| {
                shares.into_iter().filter(|(other, _)| *other == account).map(|(_, share)| share).sum()
            })
        })
    }
}

/// Splits what is left over the accounts as the targets written so far are split; before the first: the only account, if
/// it is known.
fn shares(broadcast: &Broadcast, left: u64) -> Vec<(AccountId, u64)> {
    let written: u64 = broadcast.expansion.accounts.values().map(|targets| u64::from(*targets)).sum();
    if broadcast.mass.targets > 0 {
        // How many of those left go by themselves is not counted apart; more than were written it cannot be.
        let left = left.min(written);
        return split(broadcast, left, written);
    }
    if written == 0 {
        return broadcast.account.iter().map(|account| (account.clone(), left)).collect();
    }
    split(broadcast, left, written)
}

fn split(broadcast: &Broadcast, left: u64, written: u64) -> Vec<(AccountId, u64)> {
    let share = |targets: u32| (left * u64::from(targets)).div_ceil(written.max(1));
    broadcast.expansion.accounts.iter().map(|(account, targets)| (account.clone(), share(*targets))).collect()
}
