//! What survives a restart, and the hand that breaks it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

use super::evidence::EvidenceData;
use super::ledger::LedgerData;
use super::state::StateData;
use crate::event::{EventKey, Partition};
use crate::storage::queue::{Group, Sink, SinkError};
use crate::storage::{JournalRow, StorageError, codec};

/// What was committed. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct Disk {
    pub(super) data: Arc<Mutex<Data>>,
    pub(super) faults: Arc<Faults>,
    pub(super) in_use: Arc<AtomicBool>,
    pub(super) secret: [u8; 16],
}

impl Disk {
    /// Makes an empty disk; `secret` keys event identities.
    pub fn new(secret: [u8; 16]) -> Self {
        Self { data: Arc::default(), faults: Arc::default(), in_use: Arc::default(), secret }
    }

    /// Returns the hand on the disk.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Cuts the last `bytes` off the last journal row, as a disk without order between writes may.
    pub fn tear_tail(&self, bytes: usize) {
        if let Some(last) = self.data.lock().journal.last_mut() {
            let left = last.row.payload.len().saturating_sub(bytes);
            last.row.payload.truncate(left);
        }
    }
}

/// Faults that a test asks for. All are off at first.
#[derive(Debug, Default)]
pub struct Faults {
    commits: AtomicU64,
    failing: Mutex<BTreeSet<u64>>,
    failing_after_write: Mutex<BTreeSet<u64>>,
    bytes_left: Mutex<Option<usize>>,
    held: Mutex<bool>,
    moved: Condvar,
    ledger_fails: AtomicBool,
}

impl Faults {
    /// Returns how many commits the journal has tried.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// Makes the `number`-th commit of the journal (from 1) fail and store nothing.
    pub fn fail_commit_at(&self, number: u64) {
        self.failing.lock().insert(number);
    }

    /// Makes the `number`-th commit fail after it was written: reported as failed, there after a reload.
    pub fn fail_commit_after_write_at(&self, number: u64) {
        self.failing_after_write.lock().insert(number);
    }

    /// Lets the journal take this many more bytes; `None` for any number.
    pub fn full_disk_after_bytes(&self, bytes: Option<usize>) {
        *self.bytes_left.lock() = bytes;
    }

    /// Holds back every commit, like a disk whose sync does not return.
    pub fn hold_commits(&self) {
        *self.held.lock() = true;
    }

    /// Lets commits go on.
    pub fn release_commits(&self) {
        *self.held.lock() = false;
        self.moved.notify_all();
    }

    /// Makes every change of the ledger fail, or work again.
    pub fn fail_ledger(&self, fails: bool) {
        self.ledger_fails.store(fails, Ordering::SeqCst);
    }

    pub(super) fn ledger_fails(&self) -> bool {
        self.ledger_fails.load(Ordering::SeqCst)
    }

    fn wait(&self) {
        let mut held = self.held.lock();
        while *held {
            self.moved.wait(&mut held);
        }
    }
}

/// Everything on the disk.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) journal: Vec<Stored>,
    pub(super) last_position: u64,
    pub(super) epoch: u64,
    pub(super) seqs: BTreeMap<Partition, u64>,
    pub(super) sealed: BTreeMap<(Partition, u32), Vec<EventKey>>,
    pub(super) sealed_before: BTreeMap<Partition, u32>,
    pub(super) ledger: LedgerData,
    pub(super) state: StateData,
    pub(super) evidence: EvidenceData,
}

/// A journal row and its latest hour.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) row: JournalRow,
    pub(super) bucket_max: u32,
}

impl Data {
    pub(super) fn rows_after(&self, position: u64) -> impl Iterator<Item = &Stored> {
        let from = self.journal.partition_point(|stored| stored.row.position <= position);
        self.journal[from..].iter()
    }
}

/// Returns both, sorted, each id once.
pub(super) fn merge(some: &[EventKey], others: &[EventKey]) -> Vec<EventKey> {
    let all: BTreeSet<EventKey> = some.iter().chain(others).copied().collect();
    all.into_iter().collect()
}

/// The writing side, behind the queue.
#[derive(Debug)]
pub(super) struct MemorySink {
    disk: Disk,
}

impl MemorySink {
    pub(super) fn new(disk: &Disk) -> Self {
        Self { disk: disk.clone() }
    }

    pub(super) fn lease(&mut self) -> u64 {
        let mut data = self.disk.data.lock();
        data.epoch += 1;
        data.epoch
    }

    pub(super) fn seal(
        &mut self,
        partition: Partition,
        epoch: u64,
        before: u32,
        hours: &[(u32, Vec<EventKey>)],
    ) -> Result<(), StorageError> {
        let mut data = self.disk.data.lock();
        if data.epoch != epoch {
            return Err(StorageError::Fenced(partition));
        }
        for (bucket, ids) in hours {
            let stored = data.sealed.entry((partition, *bucket)).or_default();
            *stored = merge(stored, ids);
        }
        let mark = data.sealed_before.entry(partition).or_default();
        *mark = before.max(*mark);
        Ok(())
    }

    pub(super) fn prune(&mut self, bucket: u32, position: u64) -> u64 {
        let mut data = self.disk.data.lock();
        // Like the file: the last row stays.
        let upto = position.min(data.state.position).min(data.last_position.saturating_sub(1));
        let before = data.journal.len();
        data.journal.retain(|stored| stored.row.position > upto || stored.bucket_max >= bucket);
        data.sealed.retain(|(_, sealed), _| *sealed >= bucket);
        (before - data.journal.len()) as u64
    }
}

impl Sink for MemorySink {
    fn commit(&mut self, group: &mut Group) -> Result<Vec<Partition>, SinkError> {
        let faults = &self.disk.faults;
        faults.wait();
        let number = faults.commits.fetch_add(1, Ordering::SeqCst) + 1;
        if faults.failing.lock().remove(&number) {
            return Err(refused("the disk was told to fail"));
        }
        let mut data = self.disk.data.lock();
        let epoch = data.epoch;
        let (mut rows, mut fenced, mut bytes) = (Vec::new(), Vec::new(), 0);
        group.each(|partition, slot| {
            if slot.epoch != epoch || epoch == 0 {
                fenced.push(partition);
                return Ok(());
            }
            codec::finish_row(&mut slot.row);
            bytes += slot.row.len();
            rows.push((partition, slot.row.clone(), slot.bucket_max));
            Ok(())
        })?;
        if let Some(left) = faults.bytes_left.lock().as_mut() {
            *left = left.checked_sub(bytes).ok_or_else(|| refused("the disk is full"))?;
        }
        for (partition, payload, bucket_max) in rows {
            let seq = data.seqs.entry(partition).or_default();
            *seq += 1;
            let seq = *seq;
            data.last_position += 1;
            let row = JournalRow { position: data.last_position, partition, seq, epoch, payload };
            data.journal.push(Stored { row, bucket_max });
        }
        if faults.failing_after_write.lock().remove(&number) {
            return Err(refused("the disk was told to fail after writing"));
        }
        Ok(fenced)
    }
}

fn refused(why: &'static str) -> SinkError {
    SinkError { source: why.into(), fatal: false }
}
