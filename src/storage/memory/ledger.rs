//! The ledger as maps.

use std::collections::BTreeMap;

use crate::event::partition_of;
use crate::storage::{
    AttemptRow, AuditEntry, AuditFilter, CallRow, CalledOff, Carried, Change, DeliveryFilter, DeliveryRow,
    DeliveryState, Document, DocumentKind, INTERRUPTED, INTERRUPTED_DETAIL, IdempotencyRecord, Intent,
    MASS_SENDS_FROM, MASS_TARGET, Moved, Settlement, StatusChange, StorageError, Write,
};

/// Everything in the ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct LedgerData {
    pub(super) documents: BTreeMap<(&'static str, String), Document>,
    audit: Vec<AuditEntry>,
    answers: BTreeMap<String, IdempotencyRecord>,
    pub(super) deliveries: BTreeMap<String, DeliveryRow>,
    /// State changes that are kept, and the number of the last there ever was.
    pub(super) told: Vec<StatusChange>,
    pub(super) told_last: u64,
    /// Where broadcasts stand, until the commit.
    pub(super) telling: Vec<StatusChange>,
    attempts: BTreeMap<(String, u32), (String, AttemptRow)>,
    /// What they came to.
    outcomes: BTreeMap<(String, u32), Settlement>,
}

impl LedgerData {
    /// Makes a change; on an error the caller throws this copy away.
    pub(super) fn apply(&mut self, change: &Change) -> Result<Vec<u64>, StorageError> {
        if let Some(record) = &change.idempotency {
            if self.answers.get(&record.key).is_some_and(|known| known.expires_ms > change.at_ms) {
                return Err(StorageError::Conflict { what: format!("idempotency key {}", record.key) });
            }
            self.answers.insert(record.key.clone(), record.clone());
        }
        let mut versions = Vec::new();
        for write in &change.writes {
            versions.push(self.write(write, change.at_ms)?);
        }
        self.add(&change.deliveries);
        self.say(&change.said);
        self.call_off(&change.called_off, change.at_ms);
        self.carry(&change.carried);
        self.relocate(&change.moved, change.at_ms)?;
        self.telling.extend(change.told.iter().cloned());
        for entry in &change.audit {
            self.audit.push(AuditEntry { seq: self.audit.len() as u64 + 1, ..entry.clone() });
        }
        Ok(versions)
    }

    fn write(&mut self, write: &Write, at_ms: i64) -> Result<u64, StorageError> {
        match write {
            Write::Delete { kind, id } => {
                self.documents.remove(&(kind.as_str(), id.clone()));
                Ok(0)
            }
            Write::Put { kind, id, body, expect } => {
                let key = (kind.as_str(), id.clone());
                let now = self.documents.get(&key).map_or(0, |document| document.version);
                if expect.is_some_and(|expect| expect != now) {
                    return Err(StorageError::Conflict { what: format!("{} {id}", kind.as_str()) });
                }
                let document = Document {
                    kind: *kind,
                    id: id.clone(),
                    version: now + 1,
                    body: body.clone(),
                    updated_ms: at_ms,
                };
                self.documents.insert(key, document);
                Ok(now + 1)
            }
        }
    }

    pub(super) fn document(&self, kind: DocumentKind, id: &str) -> Option<Document> {
        self.documents.get(&(kind.as_str(), id.to_owned())).cloned()
    }

    pub(super) fn documents(&self, kind: DocumentKind, after: Option<&str>, limit: usize) -> Vec<Document> {
        let all = self.documents.values().filter(|document| document.kind == kind);
        let rest = all.filter(|document| after.is_none_or(|after| document.id.as_str() > after));
        rest.take(all_if_zero(limit)).cloned().collect()
    }

    pub(super) fn idempotency(&self, key: &str) -> Option<IdempotencyRecord> {
        self.answers.get(key).cloned()
    }

    pub(super) fn audit(&self, filter: &AuditFilter) -> Vec<AuditEntry> {
        let matching = |entry: &&AuditEntry| {
            filter.before.is_none_or(|before| entry.seq < before)
                && filter.object.as_ref().is_none_or(|object| entry.object == *object)
                && filter.id.as_ref().is_none_or(|id| entry.id == *id)
        };
        self.audit.iter().rev().filter(matching).take(all_if_zero(filter.limit)).cloned().collect()
    }

    pub(super) fn add(&mut self, rows: &[DeliveryRow]) {
        for row in rows {
            self.deliveries.entry(row.id.clone()).or_insert_with(|| row.clone());
        }
    }

    fn say(&mut self, said: &[DeliveryRow]) {
        for new in said {
            if let Some(row) = self.deliveries.get_mut(&new.id).filter(|row| row.is_unsaid()) {
                row.say(new);
            }
        }
    }

    fn call_off(&mut self, targets: &[CalledOff], now_ms: i64) {
        for target in targets {
            let row = self.deliveries.get_mut(&target.id);
            if let Some(row) = row.filter(|row| row.state == DeliveryState::Pending && row.carrier == 0) {
                (row.state, row.updated_ms) = (DeliveryState::Cancelled, now_ms);
                row.code.clone_from(&target.code);
                row.detail.clone_from(&target.detail);
            }
        }
    }

    pub(super) fn targets_of_groups(
        &self,
        account: &str,
        groups: &[String],
        since_ms: i64,
    ) -> Vec<DeliveryRow> {
        let mut rows: Vec<_> = self
            .deliveries
            .values()
            .filter(|row| row.account == account && groups.contains(&row.group))
            .filter(|row| row.counts_for_its_group() && row.updated_ms >= since_ms)
            .cloned()
            .collect();
        let place = |row: &DeliveryRow| groups.iter().position(|group| *group == row.group);
        rows.sort_by_cached_key(|row| (place(row), row.broadcast.clone(), row.target, row.id.clone()));
        rows
    }

    pub(super) fn received(
        &self,
        groups: &[(String, String)],
        range: std::ops::Range<i64>,
    ) -> Vec<(usize, i64)> {
        let is_received = |row: &&DeliveryRow| {
            row.counts_for_its_group() && row.state == DeliveryState::Sent && range.contains(&row.updated_ms)
        };
        let place = |row: &DeliveryRow| {
            groups.iter().position(|(account, group)| *account == row.account && *group == row.group)
        };
        let received = self.deliveries.values().filter(is_received);
        received.filter_map(|row| Some((place(row)?, row.updated_ms))).collect()
    }

    fn carry(&mut self, carried: &[Carried]) {
        for one in carried {
            let Some(row) = self.deliveries.get_mut(&one.id) else { continue };
            let changes = row.state != one.state || row.carrier != one.carrier;
            if changes && row.carrier == one.from && one.sources(&row.kind).contains(&row.state) {
                row.state = one.state;
                row.carrier = one.carrier;
                row.updated_ms = one.at_ms;
                row.code.clone_from(&one.code);
                row.detail.clone_from(&one.detail);
                row.platform_id.clone_from(&one.platform_id);
            }
        }
    }

    fn relocate(&mut self, moved: &[Moved], at_ms: i64) -> Result<(), StorageError> {
        for one in moved {
            let row = self.deliveries.get_mut(&one.id).filter(|row| row.state == one.from);
            let row = row.ok_or_else(|| StorageError::Conflict { what: format!("delivery {}", one.id) })?;
            (row.state, row.updated_ms, row.due_ms) = (one.to, at_ms, 0);
            row.code.clone_from(&one.code);
            row.detail.clone_from(&one.detail);
            row.platform_id = one.platform_id.clone().unwrap_or_else(|| row.platform_id.clone());
            row.carrier = if one.to == DeliveryState::Pending { 0 } else { row.carrier };
        }
        Ok(())
    }

    pub(super) fn calls(&self, delivery: &str) -> Vec<CallRow> {
        let of = self.attempts.iter().filter(|((id, _), _)| id == delivery);
        let row = |((id, attempt), (_, row)): (&(String, u32), &(String, AttemptRow))| {
            let settled = self.outcomes.get(&(id.clone(), *attempt));
            CallRow {
                attempt: *attempt,
                started_ms: row.started_ms,
                ended_ms: row.ended_ms,
                cost: row.cost,
                outcome: settled.map(|settled| settled.state),
                code: settled.map(|settled| settled.code.clone()).unwrap_or_default(),
                detail: settled.map(|settled| settled.detail.clone()).unwrap_or_default(),
                platform_id: settled.and_then(|settled| settled.platform_id.clone()).unwrap_or_default(),
            }
        };
        of.map(row).collect()
    }

    pub(super) fn targets_before(&self, broadcast: &str, account: &str, target: u32) -> u64 {
        let before = |row: &&DeliveryRow| {
            row.broadcast == broadcast
                && row.account == account
                && row.state == DeliveryState::Pending
                && row.target < target
        };
        self.deliveries.values().filter(before).count() as u64
    }

    pub(super) fn mass_received(&self, account: &str, since_ms: i64) -> Vec<(String, u64)> {
        let received = |row: &&DeliveryRow| {
            row.account == account
                && row.kind == MASS_TARGET
                && row.state == DeliveryState::Sent
                && row.updated_ms >= since_ms
        };
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for row in self.deliveries.values().filter(received) {
            *counts.entry(row.group.clone()).or_default() += 1;
        }
        counts.into_iter().collect()
    }

    fn matching(&self, filter: &DeliveryFilter) -> Vec<&DeliveryRow> {
        let key = |row: &DeliveryRow| (row.broadcast.clone(), row.target, row.id.clone());
        let mut rows: Vec<_> = self
            .deliveries
            .values()
            .filter(|row| filter.id.as_ref().is_none_or(|id| row.id == *id))
            .filter(|row| filter.broadcast.as_ref().is_none_or(|broadcast| row.broadcast == *broadcast))
            .filter(|row| filter.account.as_ref().is_none_or(|account| row.account == *account))
            .filter(|row| filter.group.as_ref().is_none_or(|group| row.group == *group))
            .filter(|row| filter.kinds.contains(&row.kind))
            .filter(|row| filter.kind.as_ref().is_none_or(|kind| row.kind == *kind))
            .filter(|row| filter.code.as_ref().is_none_or(|code| row.code == *code))
            .filter(|row| filter.from_ms.is_none_or(|from_ms| row.updated_ms >= from_ms))
            .filter(|row| filter.until_ms.is_none_or(|until_ms| row.updated_ms < until_ms))
            .filter(|row| filter.carrier.is_none_or(|carrier| row.carrier == carrier))
            .filter(|row| filter.unsaid.is_none_or(|unsaid| row.is_unsaid() == unsaid))
            .filter(|row| filter.states.is_empty() || filter.states.contains(&row.state))
            .filter(|row| filter.after.as_ref().is_none_or(|after| key(row) > *after))
            .collect();
        rows.sort_by_key(|row| key(row));
        rows.truncate(all_if_zero(filter.limit));
        rows
    }

    pub(super) fn deliveries(&self, filter: &DeliveryFilter) -> Vec<DeliveryRow> {
        self.matching(filter).into_iter().cloned().collect()
    }

    pub(super) fn change_state(&mut self, filter: &DeliveryFilter, to: DeliveryState, now_ms: i64) -> u64 {
        let ids: Vec<String> = self.matching(filter).into_iter().map(|row| row.id.clone()).collect();
        for id in &ids {
            if let Some(row) = self.deliveries.get_mut(id) {
                row.state = to;
                row.carrier = if to == DeliveryState::Pending { 0 } else { row.carrier };
                row.updated_ms = now_ms;
            }
        }
        ids.len() as u64
    }

    pub(super) fn counts(&self, broadcast: &str) -> Vec<(DeliveryState, u64)> {
        let mut counts = BTreeMap::new();
        for row in
            self.deliveries.values().filter(|row| row.broadcast == broadcast && row.target < MASS_SENDS_FROM)
        {
            *counts.entry(row.state).or_default() += 1;
        }
        counts.into_iter().collect()
    }

    pub(super) fn intend(&mut self, intents: &[Intent], epoch: u64) -> Result<(), StorageError> {
        for intent in intents {
            let delivery = &intent.delivery;
            if epoch > 0 && intent.epoch != epoch {
                return Err(StorageError::Fenced(partition_of(&delivery.account, &delivery.group)));
            }
            let row = self
                .deliveries
                .entry(delivery.id.clone())
                .or_insert_with(|| DeliveryRow { state: DeliveryState::Pending, ..delivery.clone() });
            let waits = matches!(row.state, DeliveryState::Pending | DeliveryState::Uncertain);
            let key = (delivery.id.clone(), intent.attempt);
            if !waits || self.attempts.contains_key(&key) {
                return Err(StorageError::Conflict { what: format!("delivery {}", delivery.id) });
            }
            row.state = DeliveryState::Sending;
            row.attempts = intent.attempt;
            row.updated_ms = intent.at_ms;
            let attempt = AttemptRow {
                delivery: delivery.id.clone(),
                group: delivery.group.clone(),
                started_ms: intent.at_ms,
                ended_ms: None,
                cost: intent.cost,
            };
            self.attempts.insert(key, (delivery.account.clone(), attempt));
        }
        Ok(())
    }

    pub(super) fn settle(&mut self, settlements: &[Settlement]) {
        for settled in settlements {
            let key = (settled.id.clone(), settled.attempt);
            if let Some((_, attempt)) = self.attempts.get_mut(&key) {
                attempt.ended_ms.get_or_insert(settled.at_ms);
                self.outcomes.entry(key).or_insert_with(|| settled.clone());
            }
            let row = self.deliveries.get_mut(&settled.id).filter(|row| {
                use DeliveryState::{Pending, Sending, Uncertain};
                row.attempts == settled.attempt && matches!(row.state, Pending | Sending | Uncertain)
            });
            if let Some(row) = row {
                row.state = settled.state;
                row.due_ms = settled.due_ms;
                row.code.clone_from(&settled.code);
                row.detail.clone_from(&settled.detail);
                row.updated_ms = settled.at_ms;
                if let Some(platform_id) = &settled.platform_id {
                    row.platform_id.clone_from(platform_id);
                }
            }
        }
    }

    pub(super) fn recover(&mut self, now_ms: i64) -> Vec<DeliveryRow> {
        for row in self.deliveries.values_mut().filter(|row| row.state == DeliveryState::Sending) {
            row.state = DeliveryState::Uncertain;
            row.updated_ms = now_ms;
            for (key, (_, attempt)) in
                self.attempts.iter_mut().filter(|((delivery, _), _)| *delivery == row.id)
            {
                attempt.ended_ms.get_or_insert(now_ms);
                self.outcomes.entry(key.clone()).or_insert_with(|| interrupted(key, now_ms));
            }
        }
        let left = |row: &&DeliveryRow| match row.state {
            DeliveryState::Uncertain => row.kind != MASS_TARGET,
            DeliveryState::Pending | DeliveryState::AwaitingConfirmation => row.broadcast.is_empty(),
            DeliveryState::Sending
            | DeliveryState::Sent
            | DeliveryState::Failed
            | DeliveryState::Cancelled
            | DeliveryState::Expired => false,
        };
        let mut rows: Vec<_> = self.deliveries.values().filter(left).cloned().collect();
        rows.sort_by(|a, b| (&a.broadcast, a.target, &a.id).cmp(&(&b.broadcast, b.target, &b.id)));
        rows
    }

    pub(super) fn attempts_since(&self, account: &str, since_ms: i64) -> Vec<AttemptRow> {
        let counts = |attempt: &AttemptRow| attempt.ended_ms.is_none_or(|ended_ms| ended_ms >= since_ms);
        let of = self.attempts.values().filter(|(of, attempt)| of == account && counts(attempt));
        let mut rows: Vec<_> = of.map(|(_, attempt)| attempt.clone()).collect();
        rows.sort_by(|a, b| (a.started_ms, &a.delivery).cmp(&(b.started_ms, &b.delivery)));
        rows
    }
}

fn interrupted((id, attempt): &(String, u32), at_ms: i64) -> Settlement {
    Settlement {
        id: id.clone(),
        attempt: *attempt,
        at_ms,
        state: DeliveryState::Uncertain,
        due_ms: 0,
        code: INTERRUPTED.to_owned(),
        detail: INTERRUPTED_DETAIL.to_owned(),
        platform_id: None,
    }
}

/// A limit of 0 means all.
pub(super) fn all_if_zero(limit: usize) -> usize {
    if limit == 0 { usize::MAX } else { limit }
}
