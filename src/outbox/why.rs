//! "Why is this one not sent yet": one question, answered by whoever knows, in bounded time.
//!
//! Holds are looked up, the rest is the account's runner's to tell. Not for: what people decided about a broadcast
//! (`broadcasts`), nor the words for it (the API).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::delivery::Delivery;
use super::holds::Hold;
pub use super::pacer::ShortOf;
use super::rows::{queued_of, row_of};
use super::runner::Command;
use super::{Outbox, OutboxError, pending_in_journal, storage_error};
use crate::event::{AccountId, DeliveryId};
use crate::storage::{DeliveryFilter, DeliveryRow, DeliveryState};

/// How long a runner may take to answer. It does within a millisecond, unless the machine is at its end.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// One thing that must come about before a delivery leaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Wait {
    /// Somebody stopped it.
    Held(Box<Hold>),
    /// The account does not exist or is disabled.
    NoConnector,
    /// Another gateway owns the account.
    Fenced,
    /// The ledger fails, and what cannot be recorded is not sent.
    LedgerFailed {
        /// When it is tried again; `None`: now.
        until_ms: Option<i64>,
    },
    /// The gateway looks how much of the limits was spent before it started.
    ReadingPastCalls,
    /// The platform does not answer.
    CircuitOpen {
        /// When one call is tried; `None`: it is under way.
        until_ms: Option<i64>,
    },
    /// As many calls as may be are under way.
    CallsUnderWay {
        /// How many.
        max: usize,
    },
    /// The gateway stops.
    Stopping,
    /// The last call was refused for now.
    Retry {
        /// When it is tried again.
        until_ms: i64,
    },
    /// A limit has no room.
    Limit {
        /// Whose.
        level: ShortOf,
        /// Which, as it is configured; `None`: the platform asked for silence.
        limit: Option<String>,
        /// From when on it has; `None`: when a call has ended.
        until_ms: Option<i64>,
    },
    /// Something else is being said in its group.
    SameGroup,
    /// What was said before it in its group is tried again first.
    InOrder,
    /// Others go first.
    Turn {
        /// How many of its priority, or of its broadcast.
        ahead: usize,
    },
    /// It lies in the ledger and is read when those before it have left.
    NotRead,
    /// It is being called.
    Calling,
    /// What is about to be done with it, or was done, is being written down.
    Recording,
    /// Nobody knows whether it was sent; the platform is being asked.
    Asking {
        /// When the next time; `None`: now.
        until_ms: Option<i64>,
    },
    /// Nobody knows whether it was sent, and the platform cannot say: a person must.
    Person,
    /// The account's lane did not answer in time.
    Busy,
}

impl Outbox {
    /// Says what a delivery waits for, what weighs most first; nothing when it has its result.
    pub async fn why(&self, row: &DeliveryRow) -> Vec<Wait> {
        let attempts_max = self.shared.config.retry.attempts_max;
        // A text is not needed to know what it waits for.
        let Ok(queued) = queued_of(row, Some(""), attempts_max, 0, 0) else { return Vec::new() };
        let delivery = queued.delivery;
        match row.state {
            DeliveryState::Pending => {
                let holds = self.holds().all_stopping(&delivery);
                let held = holds.into_iter().map(|hold| Wait::Held(Box::new(hold)));
                let mut waits: Vec<Wait> = held.collect();
                waits.extend(self.ask(&delivery).await.unwrap_or_else(|| vec![Wait::Busy]));
                waits
            }
            DeliveryState::Sending => self.ask(&delivery).await.unwrap_or_else(|| vec![Wait::Busy]),
            DeliveryState::Uncertain => {
                let asking = |wait: &Wait| matches!(wait, Wait::Asking { .. });
                let told = self.ask(&delivery).await.unwrap_or_default().into_iter().find(asking);
                vec![told.unwrap_or(Wait::Person)]
            }
            DeliveryState::AwaitingConfirmation
            | DeliveryState::Sent
            | DeliveryState::Failed
            | DeliveryState::Cancelled
            | DeliveryState::Expired => Vec::new(),
        }
    }

    async fn ask(&self, delivery: &Arc<Delivery>) -> Option<Vec<Wait>> {
        let (answer, told) = oneshot::channel();
        let asked = async {
            self.tell(&self.runner(&delivery.account), Command::Why(Arc::clone(delivery), answer)).await;
            told.await.ok()
        };
        tokio::time::timeout(ANSWER_WITHIN, asked).await.ok()?
    }

    /// Returns a delivery: its row in the ledger, or, of what an event asked for and was not called yet, the row it will
    /// have.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryRow>, OutboxError> {
        let storage = &self.shared.storage;
        let filter =
            DeliveryFilter { id: Some(id.as_str().to_owned()), limit: 1, ..DeliveryFilter::default() };
        let rows = storage.deliveries(filter).await.map_err(storage_error("look a delivery up"))?;
        if let Some(row) = rows.into_iter().next() {
            return Ok(Some(row));
        }
        let now_ms = self.shared.clock.now_ms();
        let waiting = |delivery: &Delivery| row_of(delivery, None, DeliveryState::Pending, now_ms);
        for runner in self.running() {
            let (answer, found) = oneshot::channel();
            let asked = async {
                self.tell(&runner, Command::Find(id.clone(), answer)).await;
                found.await.ok().flatten()
            };
            if let Ok(Some(delivery)) = tokio::time::timeout(ANSWER_WITHIN, asked).await {
                return Ok(Some(waiting(&delivery)));
            }
        }
        // What did not fit in memory.
        let pending =
            pending_in_journal(storage, now_ms).await.map_err(storage_error("read pending sends"))?;
        Ok(pending.iter().find(|delivery| delivery.id == *id).map(waiting))
    }

    /// Asks no more about an uncertain delivery whose fate a person has declared, and sends it if it is pending now.
    pub async fn declared(&self, account: &AccountId, id: &DeliveryId) {
        let (done, answer) = oneshot::channel();
        self.tell(&self.runner(account), Command::LetGo(id.clone(), done)).await;
        _ = answer.await; // a runner that is gone asks nobody
        self.look_through([account]).await;
    }
}
