//! A ledger in memory with the latencies of a disk, on tokio's time, that fails when told to.
//!
//! `storage::memory` answers at once; what the runner must get right is what happens while a commit or a read is under
//! way. Only what sending uses is here.

mod evidence;
mod numbers;
mod tables;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::event::{EventKey, Fact, Partition};
use crate::storage::*;
use numbers::Numbers;
use tables::{Tables, passes};

/// The ledger's part of storage, and what the journal still asks for.
#[derive(Default)]
pub(crate) struct TestLedger {
    tables: Mutex<Tables>,
    pub(crate) fails_to_intend: AtomicBool,
    pub(crate) fails_to_settle: AtomicBool,
    pub(crate) fails_to_apply: AtomicBool,
    pub(crate) intend_commits: AtomicUsize,
    pub(crate) conflicts: AtomicUsize,
    pub(crate) latency: Duration,
    pub(crate) read_latency: Duration,
    pub(crate) numbers: Mutex<Numbers>,
}

fn broken() -> StorageError {
    StorageError::Failed { operation: "commit", source: "the test said so".into() }
}

impl TestLedger {
    pub(crate) fn slow_to_read() -> Arc<Self> {
        let (latency, read_latency) = (Duration::from_millis(1), Duration::from_millis(50));
        Arc::new(Self { latency, read_latency, ..Self::default() })
    }

    pub(crate) fn new() -> Arc<Self> {
        let (latency, read_latency) = (Duration::from_millis(2), Duration::from_millis(1));
        Arc::new(Self { latency, read_latency, ..Self::default() })
    }

    /// What a crash now would leave on the disk. Whoever uses the old one writes into the void.
    pub(crate) fn after_crash(&self) -> Arc<Self> {
        let tables = Mutex::new(self.tables.lock().clone());
        let numbers = Mutex::new(self.numbers.lock().clone());
        let (latency, read_latency) = (self.latency, self.read_latency);
        Arc::new(Self { tables, latency, read_latency, numbers, ..Self::default() })
    }

    pub(crate) fn journal(&self, pending: PendingSend) {
        self.tables.lock().journal.push(pending);
    }

    pub(crate) fn states(&self) -> BTreeMap<&'static str, usize> {
        let mut states = BTreeMap::new();
        for row in self.tables.lock().deliveries.values() {
            *states.entry(row.state.as_str()).or_default() += 1;
        }
        states
    }

    pub(crate) fn count(&self, state: DeliveryState) -> usize {
        self.tables.lock().deliveries.values().filter(|row| row.state == state).count()
    }

    pub(crate) fn rows(&self) -> Vec<DeliveryRow> {
        self.tables.lock().deliveries.values().cloned().collect()
    }

    pub(crate) fn audit_verbs(&self) -> Vec<String> {
        self.tables.lock().audit.iter().map(|entry| entry.verb.clone()).collect()
    }

    /// What the latest entry with this verb says.
    pub(crate) fn audit_detail(&self, verb: &str) -> String {
        let audit = &self.tables.lock().audit;
        audit.iter().rfind(|entry| entry.verb == verb).map(|entry| entry.detail.clone()).unwrap_or_default()
    }

    async fn commit(&self) {
        tokio::time::sleep(self.latency).await;
    }
}

#[async_trait]
impl Storage for TestLedger {
    async fn apply(&self, change: Change) -> Result<Vec<u64>, StorageError> {
        self.commit().await;
        if self.fails_to_apply.load(Ordering::SeqCst) {
            return Err(broken());
        }
        let mut tables = self.tables.lock();
        let mut next = tables.clone();
        if let Some(record) = change.idempotency
            && next.idempotency.insert(record.key.clone(), record.clone()).is_some()
        {
            return Err(StorageError::Conflict { what: record.key });
        }
        let mut versions = Vec::new();
        for write in change.writes {
            match write {
                Write::Put { kind, id, body, expect } => {
                    let place = (kind.as_str(), id.clone());
                    let version = next.documents.get(&place).map_or(0, |document| document.version);
                    if expect.is_some_and(|expect| expect != version) {
                        return Err(StorageError::Conflict { what: id });
                    }
                    versions.push(version + 1);
                    let updated_ms = change.at_ms;
                    next.documents
                        .insert(place, Document { kind, id, version: version + 1, body, updated_ms });
                }
                Write::Delete { kind, id } => drop(next.documents.remove(&(kind.as_str(), id))),
            }
        }
        next.audit.extend(change.audit);
        for told in change.told {
            if next.told.iter().rfind(|last| last.id == told.id).is_none_or(|last| last.state != told.state) {
                next.told.push(told);
            }
        }
        for row in change.deliveries {
            next.add(row);
        }
        for new in change.said {
            if let Some(row) = next.by_id(&new.id).filter(|row| row.is_unsaid()) {
                row.say(&new);
            }
        }
        for target in change.called_off {
            let row = next.by_id(&target.id);
            if let Some(row) = row.filter(|row| row.state == DeliveryState::Pending && row.carrier == 0) {
                (row.state, row.updated_ms) = (DeliveryState::Cancelled, change.at_ms);
                (row.code, row.detail) = (target.code, target.detail);
            }
        }
        for one in change.carried {
            next.carry(one);
        }
        for one in change.moved {
            let row = next.by_id(&one.id).filter(|row| row.state == one.from);
            let Some(row) = row else { return Err(StorageError::Conflict { what: one.id }) };
            (row.state, row.code, row.detail, row.due_ms) = (one.to, one.code, one.detail, 0);
            row.updated_ms = change.at_ms;
        }
        *tables = next;
        Ok(versions)
    }

    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>, StorageError> {
        Ok(self.tables.lock().documents.get(&(kind.as_str(), id.to_owned())).cloned())
    }

    async fn documents(
        &self,
        kind: DocumentKind,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Document>, StorageError> {
        let tables = self.tables.lock();
        let of_kind = tables.documents.values().filter(|document| document.kind == kind);
        let page = of_kind.filter(|document| after.as_ref().is_none_or(|after| document.id > *after));
        Ok(page.take(limit).cloned().collect())
    }

    async fn idempotency(&self, key: &str) -> Result<Option<IdempotencyRecord>, StorageError> {
        Ok(self.tables.lock().idempotency.get(key).cloned())
    }

    async fn deliveries_add(&self, rows: Vec<DeliveryRow>) -> Result<(), StorageError> {
        self.commit().await;
        let mut tables = self.tables.lock();
        for row in rows {
            tables.add(row);
        }
        Ok(())
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliveryRow>, StorageError> {
        // What is read is stale by the time it arrives, as behind a real reading thread.
        let limit = if filter.limit == 0 { usize::MAX } else { filter.limit };
        let rows: Vec<_> = {
            let tables = self.tables.lock();
            tables.rows(&filter).filter(|row| passes(row, &filter)).take(limit).cloned().collect()
        };
        tokio::time::sleep(self.read_latency).await;
        Ok(rows)
    }

    async fn deliveries_move(
        &self,
        filter: DeliveryFilter,
        to: DeliveryState,
        now_ms: i64,
    ) -> Result<u64, StorageError> {
        self.commit().await;
        let mut moved = 0;
        for row in self.tables.lock().deliveries.values_mut().filter(|row| passes(row, &filter)) {
            row.state = to;
            row.updated_ms = now_ms;
            row.carrier = if to == DeliveryState::Pending { 0 } else { row.carrier };
            moved += 1;
        }
        Ok(moved)
    }

    async fn delivery_counts(&self, broadcast: &str) -> Result<Vec<(DeliveryState, u64)>, StorageError> {
        let mut counts: Vec<(DeliveryState, u64)> = Vec::new();
        let tables = self.tables.lock();
        let is_target = |row: &&DeliveryRow| row.broadcast == broadcast && row.target < MASS_SENDS_FROM;
        for row in tables.deliveries.values().filter(is_target) {
            match counts.iter_mut().find(|(state, _)| *state == row.state) {
                Some((_, count)) => *count += 1,
                None => counts.push((row.state, 1)),
            }
        }
        Ok(counts)
    }

    async fn intend(&self, intents: Vec<Intent>) -> Result<(), StorageError> {
        self.commit().await;
        if self.fails_to_intend.load(Ordering::SeqCst) {
            return Err(broken());
        }
        self.intend_commits.fetch_add(1, Ordering::SeqCst);
        let mut tables = self.tables.lock();
        for intent in intents {
            let row = intent.delivery;
            tables.add(DeliveryRow { state: DeliveryState::Pending, ..row.clone() });
            let Some(stored) = tables.by_id(&row.id) else { unreachable!("added above") };
            if !matches!(stored.state, DeliveryState::Pending | DeliveryState::Uncertain) {
                self.conflicts.fetch_add(1, Ordering::SeqCst);
                return Err(StorageError::Conflict { what: row.id });
            }
            stored.state = DeliveryState::Sending;
            stored.attempts = intent.attempt;
            let attempt = AttemptRow {
                delivery: row.id.clone(),
                group: row.group,
                started_ms: intent.at_ms,
                ended_ms: None,
                cost: intent.cost,
            };
            let again = tables.attempts.insert((row.id, intent.attempt), (row.account, attempt));
            assert!(again.is_none(), "the same attempt twice");
        }
        Ok(())
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StorageError> {
        self.commit().await;
        if self.fails_to_settle.load(Ordering::SeqCst) {
            return Err(broken());
        }
        let mut tables = self.tables.lock();
        for settled in settlements {
            let key = (settled.id.clone(), settled.attempt);
            if let Some((_, attempt)) = tables.attempts.get_mut(&key) {
                attempt.ended_ms.get_or_insert(settled.at_ms);
                tables.outcomes.entry(key).or_insert_with(|| settled.clone());
            }
            let row = tables.by_id(&settled.id);
            let open = [DeliveryState::Pending, DeliveryState::Sending, DeliveryState::Uncertain];
            if let Some(row) = row.filter(|row| row.attempts == settled.attempt && open.contains(&row.state))
            {
                row.state = settled.state;
                row.due_ms = settled.due_ms;
                row.code = settled.code;
                row.detail = settled.detail;
                row.updated_ms = settled.at_ms;
                row.platform_id = settled.platform_id.unwrap_or_else(|| row.platform_id.clone());
            }
        }
        Ok(())
    }

    async fn targets_of_groups(
        &self,
        account: &str,
        groups: Vec<String>,
        since_ms: i64,
    ) -> Result<Vec<DeliveryRow>, StorageError> {
        let tables = self.tables.lock();
        let own =
            tables.deliveries.values().filter(|row| row.account == account && groups.contains(&row.group));
        Ok(own.filter(|row| row.counts_for_its_group() && row.updated_ms >= since_ms).cloned().collect())
    }

    async fn mass_received(&self, account: &str, since_ms: i64) -> Result<Vec<(String, u64)>, StorageError> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let arrived = |row: &&DeliveryRow| {
            row.account == account
                && row.kind == MASS_TARGET
                && row.state == DeliveryState::Sent
                && row.updated_ms >= since_ms
        };
        for row in self.tables.lock().deliveries.values().filter(arrived) {
            *counts.entry(row.group.clone()).or_default() += 1;
        }
        Ok(counts.into_iter().collect())
    }

    async fn recover(&self, now_ms: i64) -> Result<Vec<DeliveryRow>, StorageError> {
        let mut tables = self.tables.lock();
        let Tables { deliveries, attempts, .. } = &mut *tables;
        for row in deliveries.values_mut().filter(|row| row.state == DeliveryState::Sending) {
            row.state = DeliveryState::Uncertain;
            if let Some((_, attempt)) = attempts.get_mut(&(row.id.clone(), row.attempts)) {
                attempt.ended_ms.get_or_insert(now_ms);
            }
        }
        let left = |row: &&DeliveryRow| {
            (row.state == DeliveryState::Uncertain && row.kind != MASS_TARGET)
                || (row.broadcast.is_empty() && row.state == DeliveryState::Pending)
        };
        Ok(deliveries.values().filter(left).cloned().collect())
    }

    async fn attempts_since(&self, account: &str, since_ms: i64) -> Result<Vec<AttemptRow>, StorageError> {
        let tables = self.tables.lock();
        let of_account = tables.attempts.values().filter(|(owner, _)| owner == account);
        let recent = of_account.filter(|(_, row)| row.ended_ms.is_none_or(|ended| ended >= since_ms));
        Ok(recent.map(|(_, row)| row.clone()).collect())
    }

    async fn calls(&self, delivery: &str) -> Result<Vec<CallRow>, StorageError> {
        let tables = self.tables.lock();
        let of = tables.attempts.iter().filter(|((id, _), _)| id == delivery);
        let row = |(key, (_, row)): (&(String, u32), &(String, AttemptRow))| {
            let settled = tables.outcomes.get(key).cloned();
            CallRow {
                attempt: key.1,
                started_ms: row.started_ms,
                ended_ms: row.ended_ms,
                cost: row.cost,
                outcome: settled.as_ref().map(|settled| settled.state),
                code: settled.map(|settled| settled.code).unwrap_or_default(),
                detail: String::new(),
                platform_id: String::new(),
            }
        };
        Ok(of.map(row).collect())
    }

    async fn targets_before(&self, broadcast: &str, account: &str, target: u32) -> Result<u64, StorageError> {
        let tables = self.tables.lock();
        let before = |row: &&DeliveryRow| {
            row.broadcast == broadcast
                && row.account == account
                && row.state == DeliveryState::Pending
                && row.target < target
        };
        Ok(tables.deliveries.values().filter(before).count() as u64)
    }

    fn pending_sends(&self, now_ms: i64) -> Result<Vec<PendingSend>, StorageError> {
        let alive = |pending: &&PendingSend| {
            let expires_ms = if let Fact::Send(send) = &pending.fact { send.expires_ms } else { 0 };
            expires_ms == 0 || expires_ms > now_ms
        };
        Ok(self.tables.lock().journal.iter().filter(alive).cloned().collect())
    }

    async fn audit(&self, _: AuditFilter) -> Result<Vec<AuditEntry>, StorageError> {
        Ok(self.tables.lock().audit.clone())
    }

    async fn lease(&self, _: &str) -> Result<u64, StorageError> {
        Ok(1)
    }

    async fn close(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn dedupe_secret(&self) -> [u8; 16] {
        [0; 16]
    }

    fn append(&self, _: Append<'_>) -> Result<Receipt, StorageError> {
        unreachable!("sending does not append")
    }

    async fn reset(&self, _: Partition) -> Result<(), StorageError> {
        unreachable!("sending does not reset")
    }

    fn tail(&self, _: u64, _: usize, _: &mut dyn FnMut(JournalRow)) -> Result<u64, StorageError> {
        unreachable!("sending does not tail")
    }

    fn replay(
        &self,
        _: u32,
        _: &mut dyn FnMut(JournalRow) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        unreachable!("sending does not replay events")
    }

    fn head_position(&self) -> Result<u64, StorageError> {
        unreachable!("sending does not follow the journal")
    }

    fn seal(
        &self,
        _: Partition,
        _: u64,
        _: u32,
        _: Vec<(u32, Vec<EventKey>)>,
    ) -> BoxFuture<Result<(), StorageError>> {
        unreachable!("sending does not seal")
    }

    fn sealed(&self, _: Partition) -> Result<Vec<SealedHour>, StorageError> {
        unreachable!("sending does not seal")
    }

    fn sealed_before(&self, _: Partition) -> Result<Option<u32>, StorageError> {
        unreachable!("sending does not seal")
    }

    fn sealed_contains(&self, _: Partition, _: u32, _: EventKey) -> Result<bool, StorageError> {
        unreachable!("sending does not seal")
    }

    async fn prune(&self, _: u32, _: u64) -> Result<u64, StorageError> {
        unreachable!("sending does not prune")
    }

    fn project(&self) -> Result<Projected, StorageError> {
        Ok(Projected::default())
    }

    fn states(&self, _: i64) -> Result<Vec<StateRow>, StorageError> {
        unreachable!("sending reads no small state")
    }

    fn groups(&self, _: Option<(String, String)>, _: usize) -> Result<Vec<GroupRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn group(&self, account: &str, group: &str) -> Result<Option<GroupRow>, StorageError> {
        const THIRTY_DAYS: i64 = 30 * 86_400_000;
        let first_ms = self.numbers.lock().known_since_ms.unwrap_or(super::START_MS - THIRTY_DAYS);
        let (account, group) = (account.to_owned(), group.to_owned());
        Ok(Some(GroupRow { account, group, first_ms, ..GroupRow::default() }))
    }

    fn counts(&self, query: &CountsQuery) -> Result<Vec<CountRow>, StorageError> {
        Ok(self.numbers.lock().counts(query))
    }

    fn totals(&self, from_ms: i64, until_ms: i64) -> Result<Vec<Totals>, StorageError> {
        Ok(self.numbers.lock().totals(from_ms, until_ms))
    }

    fn days(
        &self,
        _: &[(String, String)],
        _: std::ops::Range<u32>,
        _: &mut dyn FnMut(usize, u32, &View<'_>) -> Result<(), DayError>,
    ) -> Result<(), StorageError> {
        unreachable!("sending reads no days")
    }

    fn days_held(&self) -> Result<std::ops::Range<u32>, StorageError> {
        unreachable!("sending reads no days")
    }

    fn rosters(
        &self,
        _: &[(String, String)],
        _: &mut dyn FnMut(usize, Seat<'_>),
    ) -> Result<(), StorageError> {
        unreachable!("sending reads no rosters")
    }

    fn forget_names(&self, _: &str, _: &str) -> Result<u64, StorageError> {
        unreachable!("sending forgets nobody")
    }

    fn outcomes(&self, _: &str) -> Result<Vec<OutcomeRow>, StorageError> {
        Ok(self.numbers.lock().outcomes.clone())
    }

    fn received(&self, _: &[(String, String)], _: i64, _: i64) -> Result<Vec<(usize, i64)>, StorageError> {
        unreachable!("sending reads no figures")
    }

    fn words_add(&self, _: Vec<WordsHeard>, _: &[(u32, WordsShare)], _: usize) -> Result<u64, StorageError> {
        unreachable!("sending hears no words")
    }

    fn words(&self, _: &[(String, String)], _: u32, _: &mut WordsVisit<'_>) -> Result<(), StorageError> {
        unreachable!("sending hears no words")
    }

    fn words_share(&self, _: u32) -> Result<WordsShare, StorageError> {
        unreachable!("sending hears no words")
    }

    fn words_sweep(&self, _: u32, _: u64) -> Result<u64, StorageError> {
        unreachable!("sending hears no words")
    }

    fn list_counts(&self, _: i64, _: i64) -> Result<Vec<ListCountRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn members(&self, _: &str, _: &str, _: Option<String>, _: usize) -> Result<Vec<MemberRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn member(&self, _: &str, _: &str, _: &str) -> Result<Option<MemberRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn hits(&self, _: &str, group: &str, _: usize) -> Result<Vec<HitRow>, StorageError> {
        let numbers = self.numbers.lock();
        let own = numbers.hits.iter().filter(|(of, _)| of == group);
        Ok(own.map(|(_, hit)| hit.clone()).collect())
    }

    fn lates(&self, _: &str, _: &str, _: usize) -> Result<Vec<LateRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn groups_of(&self, _: &str, _: &str) -> Result<Vec<String>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn identify(&self, _: &str, _: &[(String, String)]) -> Result<Vec<bool>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn memberships(&self, _: &str, _: &[String]) -> Result<Vec<(String, String)>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn case_messages(
        &self,
        _: &str,
        _: Option<CasePlace>,
        _: usize,
    ) -> Result<Vec<CaseMessage>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn cases(&self, _: usize) -> Result<Vec<CaseRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn case(&self, _: &str) -> Result<Option<CaseRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    async fn status_changes(&self, _: u64, _: usize) -> Result<Vec<StatusChange>, StorageError> {
        Ok(self.tables.lock().told.clone())
    }

    async fn status_span(&self) -> Result<StatusSpan, StorageError> {
        unreachable!("sending tells nobody")
    }

    async fn status_since(&self, _: i64) -> Result<u64, StorageError> {
        unreachable!("sending tells nobody")
    }

    async fn status_forget(&self, _: u64) -> Result<u64, StorageError> {
        unreachable!("sending tells nobody")
    }

    async fn backup(&self, _: &Path) -> Result<(), StorageError> {
        unreachable!("sending makes no backups")
    }
}
