//! Storage in memory, on a disk that fails when told to. For tests and simulations.
//!
//! [`Disk`] is what survives: open it again after dropping the storage and everything committed is there. [`Faults`] is
//! the hand on the disk. The queue, the record format and the folds are those of every other implementation.
//!
//! Not for: production (nothing is written), nor for speed (changes of the ledger copy it).

mod disk;
mod evidence;
mod ledger;
mod state;
mod status;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::queue::Queue;
use super::{
    Append, AttemptRow, AuditEntry, AuditFilter, BoxFuture, CallRow, CaseMessage, CasePlace, CaseRow, Change,
    Config, CountRow, CountsQuery, DayError, DeliveryFilter, DeliveryRow, DeliveryState, Document,
    DocumentKind, GroupRow, HitRow, IdempotencyRecord, Intent, JournalRow, LateRow, ListCountRow, MemberRow,
    OutcomeRow, PendingSend, Projected, Receipt, SealedHour, Seat, Settlement, SharedStorage, StateRow,
    StatusChange, StatusSpan, Storage, StorageError, Totals, View, WordsHeard, WordsShare, WordsVisit, codec,
    pass,
};
use crate::dedupe::Filter;
use crate::event::{EventKey, Partition};
use disk::{Data, MemorySink};
use ledger::LedgerData;

pub use disk::{Disk, Faults};

/// Storage on a [`Disk`]. Dropping it commits what waits and frees the disk.
#[derive(Debug)]
struct Memory {
    journal: Queue<MemorySink>,
    disk: Disk,
    config: Config,
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.journal.stop();
        self.disk.in_use.store(false, Ordering::SeqCst);
    }
}

/// Opens a disk.
///
/// # Errors
/// `Locked` while another storage has it; `Unreadable` when its last row was torn.
pub fn open(disk: &Disk, config: &Config) -> Result<SharedStorage, StorageError> {
    if disk.in_use.swap(true, Ordering::SeqCst) {
        return Err(StorageError::Locked("in memory".to_owned()));
    }
    let opened = check_tail(disk).and_then(|()| Queue::start(MemorySink::new(disk), config.clone()));
    match opened {
        Ok(journal) => Ok(Arc::new(Memory { journal, disk: disk.clone(), config: config.clone() })),
        Err(error) => {
            disk.in_use.store(false, Ordering::SeqCst);
            Err(error)
        }
    }
}

fn check_tail(disk: &Disk) -> Result<(), StorageError> {
    let data = disk.data.lock();
    let Some(row) = data.journal.last() else { return Ok(()) };
    codec::records(&row.row.payload)
        .map(|_| ())
        .map_err(|e| pass::unreadable(row.row.position, row.row.partition, &e))
}

impl Memory {
    /// Changes the ledger, all or nothing.
    fn change<T>(
        &self,
        work: impl FnOnce(&mut LedgerData, &Data) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if self.journal.is_stopped() {
            return Err(StorageError::Closed);
        }
        if self.disk.faults.ledger_fails() {
            return Err(StorageError::failed("commit to the ledger", "the disk was told to fail"));
        }
        let mut data = self.disk.data.lock();
        let mut next = data.ledger.clone();
        let result = work(&mut next, &data)?;
        next.tell(&data.ledger);
        data.ledger = next;
        Ok(result)
    }
}

#[async_trait]
impl Storage for Memory {
    async fn lease(&self, _node: &str) -> Result<u64, StorageError> {
        self.journal.run(MemorySink::lease).await
    }

    fn dedupe_secret(&self) -> [u8; 16] {
        self.disk.secret
    }

    fn append(&self, append: Append<'_>) -> Result<Receipt, StorageError> {
        self.journal.append(&append)
    }

    async fn reset(&self, partition: Partition) -> Result<(), StorageError> {
        self.journal.reset(partition).await
    }

    fn tail(
        &self,
        after: u64,
        rows_max: usize,
        visit: &mut dyn FnMut(JournalRow),
    ) -> Result<u64, StorageError> {
        let rows: Vec<JournalRow> = {
            let data = self.disk.data.lock();
            data.rows_after(after).take(rows_max).map(|stored| stored.row.clone()).collect()
        };
        let mut last = after;
        for row in rows {
            last = row.position;
            visit(row);
        }
        Ok(last)
    }

    fn replay(
        &self,
        bucket_min: u32,
        visit: &mut dyn FnMut(JournalRow) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let rows: Vec<JournalRow> = {
            let data = self.disk.data.lock();
            let late_enough = data.journal.iter().filter(|stored| stored.bucket_max >= bucket_min);
            late_enough.map(|stored| stored.row.clone()).collect()
        };
        rows.into_iter().try_for_each(visit)
    }

    fn head_position(&self) -> Result<u64, StorageError> {
        Ok(self.disk.data.lock().last_position)
    }

    fn seal(
        &self,
        partition: Partition,
        epoch: u64,
        before: u32,
        hours: Vec<(u32, Vec<EventKey>)>,
    ) -> BoxFuture<Result<(), StorageError>> {
        self.journal.run_for(partition, move |sink| sink.seal(partition, epoch, before, &hours))
    }

    fn sealed(&self, partition: Partition) -> Result<Vec<SealedHour>, StorageError> {
        let data = self.disk.data.lock();
        let hours = data.sealed.range((partition, 0)..=(partition, u32::MAX));
        Ok(hours
            .map(|((_, bucket), ids)| SealedHour {
                partition,
                bucket: *bucket,
                ids: u32::try_from(ids.len()).unwrap_or(u32::MAX),
                filter: Filter::build(ids).to_bytes(),
            })
            .collect())
    }

    fn sealed_before(&self, partition: Partition) -> Result<Option<u32>, StorageError> {
        Ok(self.disk.data.lock().sealed_before.get(&partition).copied())
    }

    fn sealed_contains(
        &self,
        partition: Partition,
        bucket: u32,
        key: EventKey,
    ) -> Result<bool, StorageError> {
        let data = self.disk.data.lock();
        Ok(data.sealed.get(&(partition, bucket)).is_some_and(|ids| ids.binary_search(&key).is_ok()))
    }

    async fn prune(&self, bucket: u32, position: u64) -> Result<u64, StorageError> {
        self.journal.run(move |sink| sink.prune(bucket, position)).await
    }

    fn project(&self) -> Result<Projected, StorageError> {
        let mut data = self.disk.data.lock();
        let mut events = 0;
        loop {
            let mut next = pass::Pass::default();
            let after = data.state.position;
            for stored in data.rows_after(after) {
                let row = &stored.row;
                next.add(row.position, row.partition, row.seq, &row.payload)?;
                if next.delta.events >= self.config.projection_events_max as u64 {
                    break;
                }
            }
            if next.position == 0 {
                return Ok(Projected { position: data.state.position, events });
            }
            events += next.delta.events;
            data.state.apply(next);
        }
    }

    fn states(&self, now_ms: i64) -> Result<Vec<StateRow>, StorageError> {
        Ok(self.disk.data.lock().state.states(now_ms))
    }

    fn pending_sends(&self, now_ms: i64) -> Result<Vec<PendingSend>, StorageError> {
        self.disk.data.lock().state.pending(now_ms)
    }

    fn groups(&self, after: Option<(String, String)>, limit: usize) -> Result<Vec<GroupRow>, StorageError> {
        Ok(self.disk.data.lock().state.groups(after.as_ref(), limit))
    }

    fn group(&self, account: &str, group: &str) -> Result<Option<GroupRow>, StorageError> {
        Ok(self.disk.data.lock().state.group(account, group))
    }

    fn counts(&self, query: &CountsQuery) -> Result<Vec<CountRow>, StorageError> {
        Ok(self.disk.data.lock().state.counts(query))
    }

    fn totals(&self, from_ms: i64, until_ms: i64) -> Result<Vec<Totals>, StorageError> {
        Ok(self.disk.data.lock().state.totals(from_ms, until_ms))
    }

    fn days(
        &self,
        groups: &[(String, String)],
        days: std::ops::Range<u32>,
        visit: &mut dyn FnMut(usize, u32, &View<'_>) -> Result<(), DayError>,
    ) -> Result<(), StorageError> {
        self.disk.data.lock().state.days(groups, days, visit)
    }

    fn days_held(&self) -> Result<std::ops::Range<u32>, StorageError> {
        Ok(self.disk.data.lock().state.days_held())
    }

    fn rosters(
        &self,
        groups: &[(String, String)],
        visit: &mut dyn FnMut(usize, Seat<'_>),
    ) -> Result<(), StorageError> {
        self.disk.data.lock().state.rosters(groups, visit);
        Ok(())
    }

    fn received(
        &self,
        groups: &[(String, String)],
        from_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<(usize, i64)>, StorageError> {
        Ok(self.disk.data.lock().ledger.received(groups, from_ms..until_ms))
    }

    fn words_add(
        &self,
        heard: Vec<WordsHeard>,
        shares: &[(u32, WordsShare)],
        words_max: usize,
    ) -> Result<u64, StorageError> {
        self.project()?;
        Ok(self.disk.data.lock().state.words_add(heard, shares, words_max))
    }

    fn words(
        &self,
        groups: &[(String, String)],
        day: u32,
        visit: &mut WordsVisit<'_>,
    ) -> Result<(), StorageError> {
        self.disk.data.lock().state.words(groups, day, visit)
    }

    fn words_share(&self, day: u32) -> Result<WordsShare, StorageError> {
        Ok(self.disk.data.lock().state.words_share(day))
    }

    fn words_sweep(&self, first: u32, bytes_max: u64) -> Result<u64, StorageError> {
        Ok(self.disk.data.lock().state.words_sweep(first, bytes_max))
    }

    fn list_counts(&self, from_ms: i64, until_ms: i64) -> Result<Vec<ListCountRow>, StorageError> {
        Ok(self.disk.data.lock().state.list_counts(from_ms, until_ms))
    }

    fn outcomes(&self, broadcast: &str) -> Result<Vec<OutcomeRow>, StorageError> {
        Ok(self.disk.data.lock().state.outcomes(broadcast))
    }

    fn members(
        &self,
        account: &str,
        group: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<MemberRow>, StorageError> {
        Ok(self.disk.data.lock().state.members(account, group, after.as_deref(), limit))
    }

    fn member(&self, account: &str, group: &str, member: &str) -> Result<Option<MemberRow>, StorageError> {
        Ok(self.disk.data.lock().state.member(account, group, member))
    }

    fn hits(&self, account: &str, group: &str, limit: usize) -> Result<Vec<HitRow>, StorageError> {
        Ok(self.disk.data.lock().state.hits(account, group, limit))
    }

    fn lates(&self, account: &str, group: &str, limit: usize) -> Result<Vec<LateRow>, StorageError> {
        Ok(self.disk.data.lock().state.lates(account, group, limit))
    }

    fn forget_names(&self, account: &str, member: &str) -> Result<u64, StorageError> {
        self.project()?;
        Ok(self.disk.data.lock().state.forget_names(account, member))
    }

    fn groups_of(&self, account: &str, member: &str) -> Result<Vec<String>, StorageError> {
        Ok(self.disk.data.lock().state.groups_of(account, member))
    }

    fn identify(&self, account: &str, members: &[(String, String)]) -> Result<Vec<bool>, StorageError> {
        self.project()?;
        Ok(self.disk.data.lock().state.identify(account, members))
    }

    fn memberships(&self, account: &str, members: &[String]) -> Result<Vec<(String, String)>, StorageError> {
        Ok(self.disk.data.lock().state.memberships(account, members))
    }

    fn case_messages(
        &self,
        case: &str,
        after: Option<CasePlace>,
        limit: usize,
    ) -> Result<Vec<CaseMessage>, StorageError> {
        Ok(self.disk.data.lock().state.case_messages(case, after.as_ref(), limit))
    }

    fn cases(&self, limit: usize) -> Result<Vec<CaseRow>, StorageError> {
        Ok(self.disk.data.lock().state.cases(limit))
    }

    fn case(&self, id: &str) -> Result<Option<CaseRow>, StorageError> {
        Ok(self.disk.data.lock().state.case(id))
    }

    async fn apply(&self, change: Change) -> Result<Vec<u64>, StorageError> {
        self.change(|ledger, _| ledger.apply(&change))
    }

    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>, StorageError> {
        Ok(self.disk.data.lock().ledger.document(kind, id))
    }

    async fn documents(
        &self,
        kind: DocumentKind,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Document>, StorageError> {
        Ok(self.disk.data.lock().ledger.documents(kind, after.as_deref(), limit))
    }

    async fn idempotency(&self, key: &str) -> Result<Option<IdempotencyRecord>, StorageError> {
        Ok(self.disk.data.lock().ledger.idempotency(key))
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditEntry>, StorageError> {
        Ok(self.disk.data.lock().ledger.audit(&filter))
    }

    async fn deliveries_add(&self, rows: Vec<DeliveryRow>) -> Result<(), StorageError> {
        self.change(|ledger, _| {
            ledger.add(&rows);
            Ok(())
        })
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliveryRow>, StorageError> {
        Ok(self.disk.data.lock().ledger.deliveries(&filter))
    }

    async fn deliveries_move(
        &self,
        filter: DeliveryFilter,
        to: DeliveryState,
        now_ms: i64,
    ) -> Result<u64, StorageError> {
        self.change(|ledger, _| Ok(ledger.change_state(&filter, to, now_ms)))
    }

    async fn delivery_counts(&self, broadcast: &str) -> Result<Vec<(DeliveryState, u64)>, StorageError> {
        Ok(self.disk.data.lock().ledger.counts(broadcast))
    }

    async fn intend(&self, intents: Vec<Intent>) -> Result<(), StorageError> {
        self.change(|ledger, data| ledger.intend(&intents, data.epoch))
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StorageError> {
        self.change(|ledger, _| {
            ledger.settle(&settlements);
            Ok(())
        })
    }

    async fn recover(&self, now_ms: i64) -> Result<Vec<DeliveryRow>, StorageError> {
        self.change(|ledger, _| Ok(ledger.recover(now_ms)))
    }

    async fn mass_received(&self, account: &str, since_ms: i64) -> Result<Vec<(String, u64)>, StorageError> {
        Ok(self.disk.data.lock().ledger.mass_received(account, since_ms))
    }

    async fn targets_of_groups(
        &self,
        account: &str,
        groups: Vec<String>,
        since_ms: i64,
    ) -> Result<Vec<DeliveryRow>, StorageError> {
        Ok(self.disk.data.lock().ledger.targets_of_groups(account, &groups, since_ms))
    }

    async fn attempts_since(&self, account: &str, since_ms: i64) -> Result<Vec<AttemptRow>, StorageError> {
        Ok(self.disk.data.lock().ledger.attempts_since(account, since_ms))
    }

    async fn calls(&self, delivery: &str) -> Result<Vec<CallRow>, StorageError> {
        Ok(self.disk.data.lock().ledger.calls(delivery))
    }

    async fn targets_before(&self, broadcast: &str, account: &str, target: u32) -> Result<u64, StorageError> {
        Ok(self.disk.data.lock().ledger.targets_before(broadcast, account, target))
    }

    async fn status_changes(&self, after: u64, limit: usize) -> Result<Vec<StatusChange>, StorageError> {
        Ok(self.disk.data.lock().ledger.status_changes(after, limit))
    }

    async fn status_span(&self) -> Result<StatusSpan, StorageError> {
        Ok(self.disk.data.lock().ledger.status_span())
    }

    async fn status_since(&self, from_ms: i64) -> Result<u64, StorageError> {
        Ok(self.disk.data.lock().ledger.status_since(from_ms))
    }

    async fn status_forget(&self, through: u64) -> Result<u64, StorageError> {
        self.change(|ledger, _| Ok(ledger.status_forget(through)))
    }

    async fn backup(&self, _to: &Path) -> Result<(), StorageError> {
        Err(StorageError::failed("back up", "storage in memory has no files to copy"))
    }

    async fn close(&self) -> Result<(), StorageError> {
        self.journal.stop();
        Ok(())
    }
}
