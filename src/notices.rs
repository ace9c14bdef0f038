//! Notices (通知): one thing said now, to one group or to some of the staff: an alert, a case, a reminder.
//!
//! Accepting one is one commit: its deliveries, its audit entry, the answer to repeat for the request's key. From there it
//! goes through the outbox like everything we say: limits, stops, retries, uncertain, dead letters. It is judged by
//! interception first, as a broadcast is.
//!
//! Not for: many groups (`broadcasts`), answers to events (`replies`, `welcomes`), nor what a platform can show: the API
//! asks the connector before. A notice has no document of its own: its deliveries are all there is, and they are forgotten
//! with them.

mod check;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::broadcasts::TextJudge;
use crate::clock::Clock;
use crate::event::{AccountId, Actor, DeliveryId, GroupId, Hit, IdError, Place};
use crate::outbox::delivery::{Content, Delivery, Payload, Priority};
use crate::outbox::{Outbox, row_of};
use crate::storage::{
    AuditEntry, Change, DeliveryFilter, DeliveryRow, DeliveryState, IdempotencyRecord, SharedStorage,
    StorageError,
};

/// Limits of this module.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Longest words of one notice, in bytes of UTF-8.
    #[serde(with = "crate::units::size")]
    pub text_bytes_max: usize,
    /// Largest picture, recording, film or file, in bytes.
    #[serde(with = "crate::units::size")]
    pub media_bytes_max: usize,
    /// Most staff of one notice: each is a delivery of its own.
    pub staff_max: usize,
    /// Largest sum of all its deliveries in the ledger, in bytes.
    #[serde(with = "crate::units::size")]
    pub total_bytes_max: usize,
    /// A notice that could not be sent within this time is not sent.
    #[serde(with = "crate::units::duration")]
    pub expiry: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            text_bytes_max: 4 * 1024,
            media_bytes_max: 700 * 1024,
            staff_max: 200,
            total_bytes_max: 8 * 1024 * 1024,
            expiry: Duration::from_hours(24),
        }
    }
}

/// To whom. Written `{"group": "…"}` or `{"staff": ["…"]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// One group.
    #[schema(value_type = String)]
    Group(GroupId),
    /// These members of staff, one to one.
    Staff(BTreeSet<String>),
}

/// What is to be said.
#[derive(Clone, Debug)]
pub struct NewNotice {
    /// `ntc_…`, never used before.
    pub id: String,
    /// Through which account.
    pub account: AccountId,
    /// To whom.
    pub to: Recipient,
    /// What.
    pub content: Content,
    /// Where it belongs, for the audit log.
    pub place: Place,
}

/// A notice and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its id.
    pub id: String,
    /// Through which account.
    pub account: AccountId,
    /// The group; empty for staff.
    pub group: String,
    /// One for the group, or one for each member of staff.
    pub deliveries: Vec<NoticeDelivery>,
}

/// How far one delivery of a notice is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeDelivery {
    /// The member of staff, where it is to one.
    pub staff: Option<String>,
    /// Its row in the ledger.
    pub row: DeliveryRow,
}

/// Why a notice was not accepted.
#[derive(Debug, Error)]
pub enum NoticeError {
    /// A field cannot be as it is.
    #[error("{pointer}: {detail}")]
    Field {
        /// Which, as a JSON Pointer.
        pointer: &'static str,
        /// Stable.
        code: &'static str,
        /// In words.
        detail: String,
    },
    /// Its words may not be said.
    #[error("the notice is blocked by {} listed terms", .0.len())]
    Blocked(Vec<Hit>),
    /// The request's key was used meanwhile.
    #[error("the idempotency key was used by another request meanwhile")]
    KeyTaken,
    /// Storage failed.
    #[error("{operation} a notice")]
    Storage {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: StorageError,
    },
}

/// What notices are made of.
pub struct Parts {
    /// The ledger.
    pub storage: SharedStorage,
    /// The way out.
    pub outbox: Arc<Outbox>,
    /// What may be said.
    pub judge: Arc<dyn TextJudge>,
    /// The time.
    pub clock: Clock,
    /// Limits.
    pub config: Config,
}

/// All notices. One per gateway.
pub struct Notices {
    parts: Parts,
}

/// What deliveries of notices are called, also for stops and metrics.
pub const KIND: &str = "notice";

impl Notices {
    /// Reads nothing: what is pending is in the ledger, and the outbox finds it.
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Says whether words may be said by us at all.
    ///
    /// # Errors
    /// With the terms that block them.
    pub fn judge(&self, words: &str) -> Result<(), Vec<Hit>> {
        self.parts.judge.judge(words)
    }

    /// Accepts a notice in one commit and has it sent. `remember` makes the record of the answer for the request's
    /// idempotency key, if it had one.
    ///
    /// # Errors
    /// Says what is wrong with it, or with which terms it is blocked.
    pub async fn send(
        &self,
        actor: &Actor,
        new: NewNotice,
        remember: impl FnOnce(&Notice) -> Option<IdempotencyRecord>,
    ) -> Result<Notice, NoticeError> {
        let Parts { storage, outbox, clock, config, .. } = &self.parts;
        check::check(&new.to, &new.content, config)?;
        self.judge(&new.content.words()).map_err(NoticeError::Blocked)?;
        let now_ms = clock.now_ms();
        let notice = write(&new, config, now_ms)?;
        let idempotency = remember(&notice);
        let had_key = idempotency.is_some();
        let audit = AuditEntry::by(actor, now_ms, "create", KIND, &notice.id)
            .at(&new.place)
            .with(&serde_json::json!({"account": new.account, "to": new.to}));
        let change = Change {
            at_ms: now_ms,
            audit: vec![audit],
            deliveries: notice.deliveries.iter().map(|delivery| delivery.row.clone()).collect(),
            idempotency,
            ..Change::default()
        };
        storage.apply(change).await.map_err(|source| {
            if had_key && matches!(source, StorageError::Conflict { .. }) {
                NoticeError::KeyTaken
            } else {
                NoticeError::Storage { operation: "accept", source }
            }
        })?;
        outbox.look_again(&new.account).await;
        Ok(notice)
    }

    /// Returns a notice as long as its deliveries are remembered; whether the caller may see it is for them to find out.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn get(&self, id: &str) -> Result<Option<Notice>, NoticeError> {
        let mut found: Option<Notice> = None;
        for number in 0..self.parts.config.staff_max.max(1) {
            let Some(row) = self.row(&delivery_id(id, number)).await? else { break };
            let Ok(delivery) = serde_json::from_str::<Delivery>(&row.body) else { break };
            if delivery.kind != KIND {
                break;
            }
            let notice = found.get_or_insert_with(|| Notice {
                id: id.to_owned(),
                account: delivery.account,
                group: delivery.group,
                deliveries: Vec::new(),
            });
            notice.deliveries.push(NoticeDelivery { staff: delivery.member, row });
        }
        Ok(found)
    }

    async fn row(&self, id: &str) -> Result<Option<DeliveryRow>, NoticeError> {
        let filter = DeliveryFilter { id: Some(id.to_owned()), limit: 1, ..DeliveryFilter::default() };
        let rows = self.parts.storage.deliveries(filter).await;
        let rows = rows.map_err(|source| NoticeError::Storage { operation: "read", source })?;
        Ok(rows.into_iter().next())
    }
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notices").field("config", &self.parts.config).finish_non_exhaustive()
    }
}

fn delivery_id(notice: &str, number: usize) -> String {
    format!("{notice}_{number}")
}

/// Writes a notice as deliveries.
fn write(new: &NewNotice, config: &Config, now_ms: i64) -> Result<Notice, NoticeError> {
    let (group, staff) = match &new.to {
        Recipient::Group(group) => (group.as_str().to_owned(), vec![None]),
        Recipient::Staff(staff) => (String::new(), staff.iter().cloned().map(Some).collect()),
    };
    let expiry_ms = i64::try_from(config.expiry.as_millis()).unwrap_or(i64::MAX);
    let mut deliveries = Vec::with_capacity(staff.len());
    let mut bytes = 0_usize;
    for (number, staff) in staff.into_iter().enumerate() {
        let bad_id = |error: IdError| check::field("/to", "form", error.to_string());
        let delivery = Delivery {
            id: DeliveryId::parse(&delivery_id(&new.id, number)).map_err(bad_id)?,
            account: new.account.clone(),
            group: group.clone(),
            member: staff.clone(),
            kind: KIND.to_owned(),
            rule: String::new(),
            priority: Priority::Normal,
            payload: Payload::Content { content: new.content.clone() },
            broadcast: None,
            expires_ms: now_ms.saturating_add(expiry_ms),
            cost: 1,
        };
        let row = row_of(&delivery, None, DeliveryState::Pending, now_ms);
        bytes = bytes.saturating_add(row.body.len());
        if bytes > config.total_bytes_max {
            let max = config.total_bytes_max;
            let detail =
                format!("needs more than {max} bytes for all its recipients (`notices.total_bytes_max`)");
            return Err(check::field("/to/staff", "too_many", detail));
        }
        deliveries.push(NoticeDelivery { staff, row });
    }
    Ok(Notice { id: new.id.clone(), account: new.account.clone(), group, deliveries })
}

#[cfg(test)]
mod tests;
