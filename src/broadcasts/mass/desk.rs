//! The tasks of one broadcast in memory, as the ledger has them, and what their changes mean for the targets they carry.
//!
//! The outbox moves a mass send until its task exists or it is given up; from then on only the polls do. So the ledger is
//! read again only while some of them are the outbox's.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::history::History;
use super::task::{Ending, Record};
use crate::broadcasts::{Broadcast, Broadcasts};
use crate::event::{AccountId, BroadcastId};
use crate::outbox::delivery::Payload;
use crate::storage::{
    Carried, Change, DeliveryFilter, DeliveryRow, DeliveryState, DocumentKind, Kinds, MASS_SEND, StorageError,
};
use crate::telemetry::metrics::{self, MassStep};

/// Rows read and settled at once; each may carry as many targets as a platform takes.
const PAGE: usize = 100;

/// The tasks of one broadcast.
#[derive(Debug, Default)]
pub(in crate::broadcasts) struct Desk {
    pub(super) tasks: BTreeMap<u32, Watched>,
    pub(super) orders: Orders,
    /// When somebody asked for the owners of chosen tasks to be reminded.
    pub(super) asked: BTreeMap<u32, i64>,
}

/// What people decided about all tasks of a broadcast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) ending: Option<Ending>,
    pub(super) is_paused: bool,
    pub(super) remind_asked_ms: i64,
}

/// One mass send and its task.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) state: DeliveryState,
    pub(super) account: AccountId,
    pub(super) owner: Arc<str>,
    /// The platform's id; empty while there is no task.
    pub(super) task: String,
    pub(super) created_ms: i64,
    pub(super) record: Record,
    /// The record's version in the ledger.
    pub(super) version: u64,
    /// Its owner's past delays in seconds, if there are any.
    pub(super) usual: Option<Arc<[u32]>>,
    /// Not asked about before.
    pub(super) next_ms: i64,
    pub(super) polls: u32,
    /// Targets that had their result at the last question.
    pub(super) settled: usize,
    /// Neither reminded nor called off before: the platform did not take it.
    pub(super) not_before_ms: i64,
    /// A job is under way.
    pub(super) is_busy: bool,
}

impl Watched {
    pub(super) fn waits(&self) -> bool {
        self.state == DeliveryState::AwaitingConfirmation && self.record.confirmed_ms.is_none()
    }

    fn is_the_outboxs(&self) -> bool {
        matches!(self.state, DeliveryState::Pending | DeliveryState::Sending | DeliveryState::Uncertain)
    }
}

/// Returns the id of a task's record.
pub(in crate::broadcasts) fn record_id(broadcast: &BroadcastId, number: u32) -> String {
    format!("{broadcast}/{number:08x}")
}

/// Returns the id of an owner's history.
pub(super) fn history_id(account: &AccountId, owner: &str) -> String {
    format!("{account}/{owner}")
}

/// Reads whom a mass send asks and what it carries.
pub(in crate::broadcasts) fn contents(row: &DeliveryRow) -> Option<(String, Vec<(u32, String)>)> {
    match serde_json::from_str(&row.body) {
        Ok(Payload::MassSend { sender, targets, .. }) => Some((sender, targets)),
        Ok(_) | Err(_) => None,
    }
}

impl Broadcasts {
    /// Brings memory and targets to where the mass sends are.
    pub(super) async fn follow(&self, broadcast: &Broadcast) -> Result<(), StorageError> {
        let id = &broadcast.id;
        let is_first = {
            let desks = self.desks.lock();
            let desk = desks.get(id);
            let all = desk.is_some_and(|desk| desk.tasks.len() == broadcast.mass.sends as usize);
            if all && desk.is_some_and(|desk| !desk.tasks.values().any(Watched::is_the_outboxs)) {
                return Ok(());
            }
            desk.is_none()
        };
        let mut after = None;
        let mut found = Vec::new();
        loop {
            let filter = DeliveryFilter {
                broadcast: Some(id.to_string()),
                kinds: Kinds::Only(MASS_SEND),
                after,
                limit: PAGE,
                ..DeliveryFilter::default()
            };
            let rows = self.parts.storage.deliveries(filter).await?;
            let full = rows.len() == PAGE;
            after = rows.last().map(|row| (row.broadcast.clone(), row.target, row.id.clone()));
            found.extend(self.follow_rows(id, rows).await?);
            if !full {
                break;
            }
        }
        if !is_first {
            let made =
                found.iter().filter(|(_, watched)| watched.state == DeliveryState::AwaitingConfirmation);
            metrics::mass_tasks(MassStep::Created, made.count() as u64);
        }
        self.desks.lock().entry(id.clone()).or_default().tasks.extend(found);
        Ok(())
    }

    /// Settles the targets of those rows that changed; returns them.
    async fn follow_rows(
        &self,
        broadcast: &BroadcastId,
        rows: Vec<DeliveryRow>,
    ) -> Result<Vec<(u32, Watched)>, StorageError> {
        let known: BTreeMap<u32, DeliveryState> = {
            let desks = self.desks.lock();
            let tasks = desks.get(broadcast).map(|desk| &desk.tasks);
            let state = |row: &DeliveryRow| Some((row.target, tasks?.get(&row.target)?.state));
            rows.iter().filter_map(state).collect()
        };
        let now_ms = self.parts.clock.now_ms();
        let (mut carried, mut found) = (Vec::new(), Vec::new());
        for row in rows.into_iter().filter(|row| known.get(&row.target) != Some(&row.state)) {
            let Some((owner, targets)) = contents(&row) else {
                tracing::error!(delivery.id = row.id, "a mass send cannot be read and is left where it is");
                continue;
            };
            carried
                .extend(targets.iter().filter_map(|(target, _)| follower(broadcast, *target, &row, now_ms)));
            if let Some(watched) = self.watched(broadcast, &row, owner).await? {
                found.push((row.target, watched));
            }
        }
        if !carried.is_empty() {
            let change = Change { at_ms: now_ms, carried, ..Change::default() };
            self.parts.storage.apply(change).await?;
        }
        Ok(found)
    }

    async fn watched(
        &self,
        broadcast: &BroadcastId,
        row: &DeliveryRow,
        owner: String,
    ) -> Result<Option<Watched>, StorageError> {
        let Ok(account) = AccountId::parse(&row.account) else { return Ok(None) };
        let id = record_id(broadcast, row.target);
        let document = self.parts.storage.document(DocumentKind::MassTask, &id).await?;
        let version = document.as_ref().map_or(0, |document| document.version);
        let record = document.map(|document| read(&id, &document.body)).transpose()?.unwrap_or_default();
        let (history, _) = self.history(&account, &owner).await?;
        Ok(Some(Watched {
            state: row.state,
            account,
            owner: owner.into(),
            task: row.platform_id.clone(),
            created_ms: row.updated_ms,
            record,
            version,
            usual: history.delays_s(),
            next_ms: 0,
            polls: 0,
            settled: 0,
            not_before_ms: 0,
            is_busy: false,
        }))
    }

    /// Reads how long an owner took to confirm, with the version it was read in.
    pub(super) async fn history(
        &self,
        account: &AccountId,
        owner: &str,
    ) -> Result<(History, u64), StorageError> {
        let id = history_id(account, owner);
        let Some(document) = self.parts.storage.document(DocumentKind::OwnerHistory, &id).await? else {
            return Ok((History::default(), 0));
        };
        Ok((read(&id, &document.body)?, document.version))
    }
}

pub(in crate::broadcasts) fn read<T: serde::de::DeserializeOwned>(
    id: &str,
    body: &str,
) -> Result<T, StorageError> {
    serde_json::from_str(body).map_err(|error| StorageError::Unreadable {
        what: format!("record `{id}`"),
        detail: error.to_string(),
    })
}

/// Returns what a target comes to because of the mass send that carries it. Results of tasks are the polls' to tell.
fn follower(broadcast: &BroadcastId, target: u32, row: &DeliveryRow, now_ms: i64) -> Option<Carried> {
    let state = match row.state {
        DeliveryState::Sent => return None,
        DeliveryState::Sending => DeliveryState::Pending,
        DeliveryState::Pending
        | DeliveryState::AwaitingConfirmation
        | DeliveryState::Failed
        | DeliveryState::Uncertain
        | DeliveryState::Cancelled
        | DeliveryState::Expired => row.state,
    };
    let says = !matches!(state, DeliveryState::Pending | DeliveryState::AwaitingConfirmation);
    let said = |text: &String| if says { text.clone() } else { String::new() };
    Some(Carried {
        id: broadcast.delivery(target).as_str().to_owned(),
        from: row.target,
        carrier: row.target,
        state,
        at_ms: now_ms,
        code: said(&row.code),
        detail: said(&row.detail),
        platform_id: row.platform_id.clone(),
    })
}
