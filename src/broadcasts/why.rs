//! What a target waits for because of its broadcast: what people decided, and what they must still do.
//!
//! Not for: limits, holds and turns (`outbox`).

use super::mass::Record;
use super::{Broadcast, BroadcastError, Broadcasts, Control, storage_error};
use crate::outbox::gate::Opens;
use crate::storage::{DeliveryFilter, DeliveryRow, DeliveryState, DocumentKind, MASS_SEND, MASS_TARGET};

/// One thing that must come about first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetWait {
    /// The broadcast is a draft.
    Draft,
    /// Somebody else must approve it.
    Approval,
    /// Its time has not come.
    Scheduled {
        /// When it does.
        until_ms: i64,
    },
    /// It is sent in certain hours, or spread over them.
    Hours {
        /// When its hour comes.
        until_ms: i64,
    },
    /// Its hours never open again: somebody must change them.
    NoHours,
    /// Other groups are tried first.
    Canary {
        /// Until when those are watched, once all of them have their result.
        until_ms: Option<i64>,
    },
    /// Somebody paused it.
    Paused {
        /// Why, in their words.
        reason: String,
    },
    /// It stopped by itself as its first groups went badly: somebody must look.
    Stopped {
        /// What was seen.
        reason: String,
    },
    /// It was cancelled: the target is about to be called off.
    Cancelled,
    /// Targets of its owner are being put together into a task.
    Bundling,
    /// Its task must be made first.
    Task(Box<DeliveryRow>),
    /// A person must confirm it on the platform.
    Confirmation {
        /// Who.
        owner: String,
        /// The platform's id of the task.
        task: String,
        /// Since when they could have.
        since_ms: i64,
        /// When they were reminded.
        reminded_ms: Vec<i64>,
    },
}

impl Broadcasts {
    /// Says what a target waits for because of its broadcast.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn target_waits(
        &self,
        broadcast: &Broadcast,
        row: &DeliveryRow,
    ) -> Result<Vec<TargetWait>, BroadcastError> {
        if row.state == DeliveryState::AwaitingConfirmation {
            return Ok(vec![self.confirmation_wait(broadcast, row).await?]);
        }
        if row.state != DeliveryState::Pending {
            return Ok(Vec::new());
        }
        let now_ms = self.parts.clock.now_ms();
        let mut waits = match broadcast.control {
            Control::Draft => vec![TargetWait::Draft],
            Control::Submitted => vec![TargetWait::Approval],
            Control::Paused => vec![TargetWait::Paused { reason: broadcast.reason.clone() }],
            Control::Stopped => vec![TargetWait::Stopped { reason: broadcast.reason.clone() }],
            Control::Cancelled => vec![TargetWait::Cancelled],
            Control::Running if broadcast.starts_ms > now_ms => Vec::new(),
            Control::Running => {
                let mut waits = self.bundle_waits(broadcast, row).await?;
                waits.extend(self.gate_wait(broadcast, row));
                return Ok(waits);
            }
        };
        if broadcast.starts_ms > now_ms {
            waits.push(TargetWait::Scheduled { until_ms: broadcast.starts_ms });
        }
        Ok(waits)
    }

    /// Says what its gate holds it back for: hours that are not open yet, or a canary that is still being watched.
    fn gate_wait(&self, broadcast: &Broadcast, row: &DeliveryRow) -> Option<TargetWait> {
        let delivery = crate::outbox::target_of(row, Some(&broadcast.text)).ok()?;
        let now_ms = self.parts.clock.now_ms();
        match self.gate_of(broadcast)?.opens(&delivery, now_ms) {
            Opens::Now => None,
            Opens::At(until_ms) => Some(TargetWait::Hours { until_ms }),
            Opens::Undecided => {
                let hours = self.times_of(broadcast).map(|times| times.opens(&delivery, now_ms));
                let until_ms = broadcast.watched_until_ms();
                let canary = TargetWait::Canary { until_ms };
                Some(if hours == Some(Opens::Undecided) { TargetWait::NoHours } else { canary })
            }
        }
    }

    async fn bundle_waits(
        &self,
        broadcast: &Broadcast,
        row: &DeliveryRow,
    ) -> Result<Vec<TargetWait>, BroadcastError> {
        if row.kind != MASS_TARGET {
            return Ok(Vec::new());
        }
        let carrier = self.carrier_of(broadcast, row).await?;
        Ok(vec![carrier.map_or(TargetWait::Bundling, |carrier| TargetWait::Task(Box::new(carrier)))])
    }

    /// Returns the mass send that carries a target.
    async fn carrier_of(
        &self,
        broadcast: &Broadcast,
        row: &DeliveryRow,
    ) -> Result<Option<DeliveryRow>, BroadcastError> {
        if row.carrier == 0 {
            return Ok(None);
        }
        let id = broadcast.id.delivery(row.carrier).as_str().to_owned();
        let filter = DeliveryFilter { id: Some(id), limit: 1, ..DeliveryFilter::default() };
        let rows = self.parts.storage.deliveries(filter).await.map_err(storage_error("read a task"))?;
        Ok(rows.into_iter().next())
    }

    async fn confirmation_wait(
        &self,
        broadcast: &Broadcast,
        row: &DeliveryRow,
    ) -> Result<TargetWait, BroadcastError> {
        let carrier =
            if row.kind == MASS_SEND { Some(row.clone()) } else { self.carrier_of(broadcast, row).await? };
        let Some(carrier) = carrier else {
            // Not bundled: the platform itself says who must confirm.
            return Ok(TargetWait::Confirmation {
                owner: String::new(),
                task: row.platform_id.clone(),
                since_ms: row.updated_ms,
                reminded_ms: Vec::new(),
            });
        };
        let (owner, _) = super::mass::contents(&carrier).unwrap_or_default();
        let id = super::mass::record_id(&broadcast.id, carrier.target);
        let document = self.parts.storage.document(DocumentKind::MassTask, &id).await;
        let document = document.map_err(storage_error("read a task"))?;
        let record: Record = document
            .map(|document| super::mass::read(&id, &document.body))
            .transpose()
            .map_err(storage_error("read a task"))?
            .unwrap_or_default();
        Ok(TargetWait::Confirmation {
            owner,
            task: carrier.platform_id,
            since_ms: carrier.updated_ms,
            reminded_ms: record.reminded_ms,
        })
    }
}
