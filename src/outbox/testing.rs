//! Support for tests of sending: a ledger in memory that fails when told to, and a platform that writes down every call.
//!
//! Both run on tokio's time, which the tests pause: a day of sending takes milliseconds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::delivery::{Deliver, Delivery, Outcome, Payload, Resolution};
use super::limit::AccountLimits;
use super::{Config, Deliverers, Outbox, Parts, Route};
use crate::clock::Clock;
use crate::event::{
    AccountId, EventKey, EventType, Fact, GroupName, Head, Partition, Place, Places, RegionId, Role,
    SendFact, ShopId, Status, Verdict,
};
use crate::storage::*;
use crate::tasks::Tasks;

/// The time every test starts at.
pub(crate) const START_MS: i64 = 1_700_000_000_000;

type DeliveryKey = (String, u32, String);

#[derive(Clone, Default)]
struct Tables {
    deliveries: BTreeMap<DeliveryKey, DeliveryRow>,
    by_id: BTreeMap<String, DeliveryKey>,
    attempts: BTreeMap<(String, u32), (String, AttemptRow)>,
    documents: BTreeMap<(&'static str, String), Document>,
    idempotency: BTreeMap<String, IdempotencyRecord>,
    audit: Vec<AuditEntry>,
    journal: Vec<PendingSend>,
}

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
        Arc::new(Self { tables, latency: self.latency, read_latency: self.read_latency, ..Self::default() })
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

    async fn commit(&self) {
        tokio::time::sleep(self.latency).await;
    }
}

impl Tables {
    fn add(&mut self, row: DeliveryRow) {
        self.by_id.insert(row.id.clone(), key(&row));
        self.deliveries.entry(key(&row)).or_insert(row);
    }

    fn by_id(&mut self, id: &str) -> Option<&mut DeliveryRow> {
        self.deliveries.get_mut(self.by_id.get(id)?)
    }

    /// Rows that may pass a filter: one by id, or those from its cursor or broadcast on.
    fn rows<'a>(
        &'a self,
        filter: &'a DeliveryFilter,
    ) -> Box<dyn Iterator<Item = &'a DeliveryRow> + Send + 'a> {
        if let Some(id) = &filter.id {
            return Box::new(self.by_id.get(id).and_then(|key| self.deliveries.get(key)).into_iter());
        }
        let from = filter.after.clone().or_else(|| Some((filter.broadcast.clone()?, 0, String::new())));
        Box::new(self.deliveries.range(from.unwrap_or_default()..).map(|(_, row)| row))
    }
}

fn key(row: &DeliveryRow) -> DeliveryKey {
    (row.broadcast.clone(), row.target, row.id.clone())
}

fn passes(row: &DeliveryRow, filter: &DeliveryFilter) -> bool {
    filter.broadcast.as_ref().is_none_or(|broadcast| *broadcast == row.broadcast)
        && filter.account.as_ref().is_none_or(|account| *account == row.account)
        && filter.id.as_ref().is_none_or(|id| *id == row.id)
        && (filter.states.is_empty() || filter.states.contains(&row.state))
        && filter.after.as_ref().is_none_or(|after| key(row) > *after)
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
        for row in change.deliveries {
            next.add(row);
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
            moved += 1;
        }
        Ok(moved)
    }

    async fn delivery_counts(&self, broadcast: &str) -> Result<Vec<(DeliveryState, u64)>, StorageError> {
        let mut counts: Vec<(DeliveryState, u64)> = Vec::new();
        for row in self.tables.lock().deliveries.values().filter(|row| row.broadcast == broadcast) {
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
            if let Some((_, attempt)) = tables.attempts.get_mut(&(settled.id.clone(), settled.attempt)) {
                attempt.ended_ms = Some(settled.at_ms);
            }
            let row = tables.by_id(&settled.id);
            if let Some(row) = row.filter(|row| row.attempts == settled.attempt) {
                row.state = settled.state;
                row.due_ms = settled.due_ms;
                row.code = settled.code;
                row.detail = settled.detail;
            }
        }
        Ok(())
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
            row.state == DeliveryState::Uncertain
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

    fn pending_sends(&self, now_ms: i64) -> Result<Vec<PendingSend>, StorageError> {
        let alive = |pending: &&PendingSend| match &pending.fact {
            Fact::Send(send) => send.expires_ms == 0 || send.expires_ms > now_ms,
            _ => true,
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
        unreachable!("sending does not project")
    }

    fn states(&self, _: i64) -> Result<Vec<StateRow>, StorageError> {
        unreachable!("sending reads no small state")
    }

    fn groups(&self, _: Option<(String, String)>, _: usize) -> Result<Vec<GroupRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn group(&self, _: &str, _: &str) -> Result<Option<GroupRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn counts(&self, _: &CountsQuery) -> Result<Vec<CountRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn totals(&self, _: i64, _: i64) -> Result<Vec<Totals>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn members(&self, _: &str, _: &str, _: Option<String>, _: usize) -> Result<Vec<MemberRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn hits(&self, _: &str, _: &str, _: usize) -> Result<Vec<HitRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn lates(&self, _: &str, _: &str, _: usize) -> Result<Vec<LateRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    fn cases(&self, _: usize) -> Result<Vec<CaseRow>, StorageError> {
        unreachable!("sending reads no projection")
    }

    async fn backup(&self, _: &Path) -> Result<(), StorageError> {
        unreachable!("sending makes no backups")
    }
}

/// One call as the platform saw it, in milliseconds since the start of the test's clock.
#[derive(Clone, Debug)]
pub(crate) struct SeenCall {
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) text: String,
    pub(crate) attempt: u32,
    pub(crate) started_ms: i64,
    pub(crate) ended_ms: Option<i64>,
}

type Script = dyn Fn(&Delivery, u32) -> Outcome + Send + Sync;

/// A platform that writes down what it was asked to do.
pub(crate) struct Platform {
    clock: Clock,
    round_trip: Duration,
    script: Box<Script>,
    resolution: Resolution,
    calls: Mutex<Vec<SeenCall>>,
    questions: AtomicUsize,
}

impl Platform {
    /// Takes everything after `round_trip`.
    pub(crate) fn new(clock: &Clock, round_trip: Duration) -> Self {
        Self {
            clock: clock.clone(),
            round_trip,
            script: Box::new(|_, _| Outcome::Sent { platform_id: None }),
            resolution: Resolution::Unknown,
            calls: Mutex::default(),
            questions: AtomicUsize::new(0),
        }
    }

    pub(crate) fn answering(
        mut self,
        script: impl Fn(&Delivery, u32) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        self.script = Box::new(script);
        self
    }

    pub(crate) fn resolving(mut self, resolution: Resolution) -> Self {
        self.resolution = resolution;
        self
    }

    pub(crate) fn calls(&self) -> Vec<SeenCall> {
        self.calls.lock().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.lock().len()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.calls.lock().iter().map(|call| call.id.clone()).collect()
    }

    pub(crate) fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Deliver for Platform {
    async fn deliver(&self, delivery: &Delivery, attempt: u32) -> Outcome {
        let text = match &delivery.payload {
            Payload::Text { text, .. } => text.clone(),
            Payload::Action { action, .. } => format!("{action:?}"),
        };
        let number = {
            let mut calls = self.calls.lock();
            calls.push(SeenCall {
                id: delivery.id.to_string(),
                group: delivery.group.clone(),
                text,
                attempt,
                started_ms: self.clock.now_ms(),
                ended_ms: None,
            });
            calls.len() - 1
        };
        tokio::time::sleep(self.round_trip).await;
        self.calls.lock()[number].ended_ms = Some(self.clock.now_ms());
        (self.script)(delivery, attempt)
    }

    async fn resolve(&self, _: &Delivery) -> Resolution {
        self.questions.fetch_add(1, Ordering::SeqCst);
        self.resolution
    }
}

/// One platform for every account.
pub(crate) struct Everywhere {
    pub(crate) platform: Arc<Platform>,
    pub(crate) limits: Mutex<AccountLimits>,
}

impl Deliverers for Everywhere {
    fn route(&self, _: &AccountId) -> Option<Route> {
        let deliver: Arc<dyn Deliver> = self.platform.clone();
        Some(Route { deliver, platform: "sandbox", limits: self.limits.lock().clone() })
    }
}

/// Groups named `east-…` are in region `east`, and so on; shops likewise.
pub(crate) struct Atlas;

impl Places for Atlas {
    fn region_place(&self, region: &RegionId) -> Place {
        Place::of_path(&format!("acme/{region}/"))
    }
    fn shop_place(&self, shop: &ShopId) -> Place {
        let region = shop.as_str().split('-').next().unwrap_or("").to_owned();
        Place::of_path(&format!("acme/{region}/{shop}"))
    }
    fn group_place(&self, group: &GroupName) -> Place {
        let region = group.group.as_str().split('-').next().unwrap_or("").to_owned();
        Place::of_path(&format!("acme/{region}/{region}-shop"))
    }
}

/// An outbox over a test's ledger and platform.
pub(crate) struct Bench {
    pub(crate) clock: Clock,
    pub(crate) ledger: Arc<TestLedger>,
    pub(crate) platform: Arc<Platform>,
    pub(crate) ways: Arc<Everywhere>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) tasks: Tasks,
    _owner: Arc<crate::tasks::TasksOwner>,
}

pub(crate) fn limits(texts: &[&str]) -> AccountLimits {
    AccountLimits::parse(texts).unwrap()
}

impl Bench {
    pub(crate) async fn start(
        clock: &Clock,
        ledger: &Arc<TestLedger>,
        platform: Platform,
        limits: AccountLimits,
        config: Config,
    ) -> Self {
        let (tasks, owner) = crate::tasks::detached();
        let platform = Arc::new(platform);
        let ways = Arc::new(Everywhere { platform: platform.clone(), limits: Mutex::new(limits) });
        let outbox = Outbox::start(Parts {
            storage: ledger.clone(),
            deliverers: ways.clone(),
            places: Arc::new(Atlas),
            tasks: tasks.clone(),
            clock: clock.clone(),
            config,
            epoch: 1,
            seed: 7,
        });
        let outbox = outbox.await.unwrap();
        Self { clock: clock.clone(), ledger: ledger.clone(), platform, ways, outbox, tasks, _owner: owner }
    }

    /// Lets virtual time pass until a condition holds, for at most ten minutes of it.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..300_000 {
            if condition(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("never happened: {what}; states {:?}, {} calls", self.ledger.states(), self.platform.count());
    }

    pub(crate) async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A reply that an event asked for; the journal knows it.
pub(crate) fn reply(number: u32, group: &str, expires_ms: i64) -> PendingSend {
    let head = Head {
        key: EventKey(u128::from(number)),
        at_ms: START_MS,
        arrived_ms: START_MS,
        account: "demo".into(),
        group: group.to_owned().into(),
        member: Some("u-1".into()),
        name: None,
        role: Role::Customer,
        what: EventType::Message,
        status: Status::Counted,
        verdict: Verdict::Pass,
        revised: false,
        fingerprint: None,
    };
    let send = SendFact {
        index: 0,
        kind: "reply".into(),
        rule: "r-1".into(),
        text: format!("answer {number}").into(),
        welcome_code: None,
        expires_ms,
    };
    PendingSend { head, fact: Fact::Send(send) }
}

pub(crate) fn delivery(pending: &PendingSend) -> Delivery {
    Delivery::caused(&pending.head, &pending.fact).unwrap()
}

/// Judges the calls a platform saw: no window of `period_ms` that starts with a call holds more than `quantity`, counting
/// each call until its end plus the window.
pub(crate) fn audit_window(calls: &[SeenCall], quantity: usize, period_ms: i64) {
    for call in calls {
        let weighs = |other: &&SeenCall| {
            other.started_ms <= call.started_ms
                && other.ended_ms.is_none_or(|ended| ended + period_ms > call.started_ms)
        };
        let spent = calls.iter().filter(weighs).count();
        assert!(spent <= quantity, "{spent} of {quantity} at {} ms", call.started_ms - START_MS);
    }
}
