//! The queue in front of the journal: what waits for the next commit, in order with what must happen between commits.
//!
//! [`Queue::append`] copies into the buffer of the partition in the group that gathers now; the writing thread takes the
//! whole group when its last commit is done. Leases, resets, sealing and pruning go through the same queue, so that they
//! happen after everything appended before them. The database is behind [`Sink`]; all that callers can observe (groups,
//! refusals, poison) is decided here, once for every implementation.
//!
//! Invariants: nothing of a group is acknowledged before its commit; after a failed commit the partitions in it are
//! poisoned, and nothing of them is committed until their reset; an append that is refused leaves nothing behind.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{oneshot, watch};

use super::config::Config;
use super::{Append, BoxFuture, CommitError, Receipt, StorageError, codec};
use crate::clock::Stopwatch;
use crate::event::{PARTITION_FLEET, Partition};
use crate::telemetry::metrics;

#[cfg(test)]
mod tests;

/// All partitions, the fleet's included.
pub(super) const SLOTS: usize = PARTITION_FLEET.0 as usize + 1;

/// A buffer that grew beyond this is given back after its commit.
const BUFFER_KEPT_BYTES: usize = 64 << 10;

/// Groups kept for reuse.
const SPARE_MAX: usize = 4;

/// What writes a group down in one transaction.
pub(super) trait Sink: Send + 'static {
    /// Commits all slots of the group that are not refused; returns those whose epoch is not the owner's (nothing of
    /// them is stored).
    fn commit(&mut self, group: &mut Group) -> Result<Vec<Partition>, SinkError>;
}

/// A commit that did not happen.
#[derive(Debug)]
pub(super) struct SinkError {
    /// What the engine said.
    pub source: Box<dyn std::error::Error + Send + Sync>,
    /// The file's state is unknown (a failed sync): nothing may be written before a restart.
    pub fatal: bool,
}

/// One partition's part of a group.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Room for the row's header, then records.
    pub row: Vec<u8>,
    /// The epoch it was appended under.
    pub epoch: u64,
    /// Something of this group is in it.
    used: bool,
    /// Events in it.
    pub events: u32,
    /// Earliest hour in it.
    pub bucket_min: u32,
    /// Latest hour in it.
    pub bucket_max: u32,
    /// Its partition is poisoned: it must not be written.
    pub refused: bool,
}

/// What is committed together.
#[derive(Debug)]
pub(super) struct Group {
    slots: Vec<Slot>,
    active: Vec<Partition>,
    bytes: usize,
    events: usize,
    outcome: watch::Sender<Option<Arc<Outcome>>>,
}

/// What became of a group.
#[derive(Debug)]
pub(crate) struct Outcome {
    failed: bool,
    refused: Vec<(Partition, CommitError)>,
}

impl Outcome {
    /// Returns what became of one partition's part.
    pub(crate) fn of(&self, partition: Partition) -> Result<(), CommitError> {
        if self.failed {
            return Err(CommitError::Failed);
        }
        match self.refused.iter().find(|(refused, _)| *refused == partition) {
            Some((_, error)) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

impl Group {
    fn new() -> Self {
        let mut slots = Vec::new();
        slots.resize_with(SLOTS, Slot::default);
        Self { slots, active: Vec::new(), bytes: 0, events: 0, outcome: watch::Sender::new(None) }
    }

    /// Calls `write` for each part that may be written, in the order of first arrival.
    pub(super) fn each(
        &mut self,
        mut write: impl FnMut(Partition, &mut Slot) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        for partition in &self.active {
            let slot = &mut self.slots[usize::from(partition.0)];
            if !slot.refused {
                write(*partition, slot)?;
            }
        }
        Ok(())
    }

    fn takes(&self, append: &Append<'_>) -> bool {
        let slot = &self.slots[usize::from(append.partition.0)];
        !slot.used || slot.epoch == append.epoch
    }

    fn add(&mut self, append: &Append<'_>) -> Receipt {
        let slot = &mut self.slots[usize::from(append.partition.0)];
        if !slot.used {
            self.active.push(append.partition);
            codec::start_row(&mut slot.row);
            slot.used = true;
            slot.events = 0;
            slot.epoch = append.epoch;
            slot.bucket_min = append.bucket_min;
            slot.bucket_max = append.bucket_max;
            slot.refused = false;
        }
        slot.row.extend_from_slice(append.payload);
        slot.events += append.events;
        slot.bucket_min = slot.bucket_min.min(append.bucket_min);
        slot.bucket_max = slot.bucket_max.max(append.bucket_max);
        self.bytes += append.payload.len();
        self.events += append.events as usize;
        Receipt { partition: append.partition, outcome: self.outcome.subscribe() }
    }

    fn reuse(&mut self) {
        for partition in self.active.drain(..) {
            let slot = &mut self.slots[usize::from(partition.0)];
            slot.used = false;
            if slot.row.capacity() > BUFFER_KEPT_BYTES {
                slot.row = Vec::new();
            }
        }
        self.bytes = 0;
        self.events = 0;
        self.outcome = watch::Sender::new(None);
    }
}

type BoundTask<S> = Box<dyn FnOnce(Result<&mut S, StorageError>) + Send>;

enum Work<S> {
    Commit(Group),
    Reset(Partition, oneshot::Sender<()>),
    Task(Box<dyn FnOnce(&mut S) + Send>),
    /// For a partition; refused while it is poisoned.
    Bound(Partition, BoundTask<S>),
    Stop,
}

struct State<S> {
    work: VecDeque<Work<S>>,
    spare: Vec<Group>,
    bytes: usize,
    events: usize,
    poisoned: Vec<bool>,
    closed: bool,
    dead: bool,
}

struct Shared<S> {
    state: Mutex<State<S>>,
    arrived: Condvar,
    config: Config,
}

/// The queue and its writing thread. Dropping it commits what waits and ends the thread.
pub(super) struct Queue<S: Sink> {
    shared: Arc<Shared<S>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<S: Sink> Queue<S> {
    /// Starts the writing thread.
    pub(super) fn start(sink: S, config: Config) -> Result<Self, StorageError> {
        let state = State {
            work: VecDeque::new(),
            spare: Vec::new(),
            bytes: 0,
            events: 0,
            poisoned: vec![false; SLOTS],
            closed: false,
            dead: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), arrived: Condvar::new(), config });
        let writer = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(sink))
            .map_err(|e| StorageError::failed("start the journal thread", e))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// See [`super::Storage::append`].
    pub(super) fn append(&self, append: &Append<'_>) -> Result<Receipt, StorageError> {
        let mut state = self.shared.state.lock();
        if state.closed || state.dead {
            return Err(StorageError::Closed);
        }
        if state.poisoned[usize::from(append.partition.0)] {
            return Err(StorageError::Poisoned(append.partition));
        }
        let config = &self.shared.config;
        if state.bytes + append.payload.len() > config.pending_bytes_max
            || state.events + append.events as usize > config.pending_events_max
        {
            return Err(StorageError::Full);
        }
        state.bytes += append.payload.len();
        state.events += append.events as usize;
        if let Some(Work::Commit(group)) = state.work.back_mut()
            && group.takes(append)
        {
            return Ok(group.add(append));
        }
        let mut group = state.spare.pop().unwrap_or_else(Group::new);
        let receipt = group.add(append);
        state.work.push_back(Work::Commit(group));
        drop(state);
        self.shared.arrived.notify_one();
        Ok(receipt)
    }

    /// See [`super::Storage::reset`].
    pub(super) async fn reset(&self, partition: Partition) -> Result<(), StorageError> {
        let (done, wait) = oneshot::channel();
        self.push(Work::Reset(partition, done))?;
        wait.await.map_err(|_| StorageError::Closed)
    }

    /// Runs something on the writing thread, after all that was appended before.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, StorageError> {
        let (done, wait) = oneshot::channel();
        self.push(Work::Task(Box::new(move |sink| {
            _ = done.send(work(sink)); // whoever asked may have gone
        })))?;
        wait.await.map_err(|_| StorageError::Closed)
    }

    /// Runs something for a partition on the writing thread. Queued at once, behind all that was appended before;
    /// refused when one of those appends fails.
    pub(super) fn run_for<T: Send + 'static>(
        &self,
        partition: Partition,
        work: impl FnOnce(&mut S) -> Result<T, StorageError> + Send + 'static,
    ) -> BoxFuture<Result<T, StorageError>> {
        let (done, wait) = oneshot::channel();
        let pushed = self.push(Work::Bound(
            partition,
            Box::new(move |sink| {
                _ = done.send(sink.and_then(work)); // whoever asked may have gone
            }),
        ));
        Box::pin(async move {
            pushed?;
            wait.await.map_err(|_| StorageError::Closed)?
        })
    }

    /// Says whether nothing is taken any longer.
    pub(super) fn is_stopped(&self) -> bool {
        self.shared.state.lock().closed
    }

    /// Commits what waits and ends the thread; returns when it has ended. Blocking.
    pub(super) fn stop(&self) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        state.work.push_back(Work::Stop);
        drop(state);
        self.shared.arrived.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            _ = thread.join(); // a panic was reported by its hook; there is nothing left to end
        }
    }

    fn push(&self, work: Work<S>) -> Result<(), StorageError> {
        let mut state = self.shared.state.lock();
        if state.closed {
            return Err(StorageError::Closed);
        }
        state.work.push_back(work);
        drop(state);
        self.shared.arrived.notify_one();
        Ok(())
    }
}

impl<S: Sink> Drop for Queue<S> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// However the thread ends, also by a panic: nobody waits for it any longer.
struct End<'a, S>(&'a Shared<S>);

impl<S> Drop for End<'_, S> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        state.work.clear();
    }
}

impl<S: Sink> Shared<S> {
    fn run(&self, mut sink: S) {
        let _end = End(self);
        loop {
            match self.next() {
                Work::Commit(group) => self.commit(&mut sink, group),
                Work::Reset(partition, done) => {
                    let mut state = self.state.lock();
                    if !state.dead {
                        state.poisoned[usize::from(partition.0)] = false;
                        _ = done.send(()); // whoever asked may have gone
                    }
                }
                Work::Task(task) => task(&mut sink),
                Work::Bound(partition, task) => {
                    let poisoned = self.state.lock().poisoned[usize::from(partition.0)];
                    task(if poisoned { Err(StorageError::Poisoned(partition)) } else { Ok(&mut sink) });
                }
                Work::Stop => return,
            }
        }
    }

    fn next(&self) -> Work<S> {
        let mut state = self.state.lock();
        let mut lingered = self.config.linger.is_zero();
        loop {
            let alone = state.work.len() == 1 && matches!(state.work.front(), Some(Work::Commit(_)));
            if alone && !lingered {
                lingered = true;
                self.arrived.wait_for(&mut state, self.config.linger);
                continue;
            }
            if let Some(work) = state.work.pop_front() {
                return work;
            }
            self.arrived.wait(&mut state);
        }
    }

    fn commit(&self, sink: &mut S, mut group: Group) {
        let mut refused = Vec::new();
        {
            let state = self.state.lock();
            metrics::storage_pending_bytes(state.bytes);
            for partition in &group.active {
                let slot = &mut group.slots[usize::from(partition.0)];
                slot.refused = state.dead || state.poisoned[usize::from(partition.0)];
                if slot.refused {
                    refused.push((*partition, CommitError::Failed));
                }
            }
        }
        let watch = Stopwatch::start();
        let committed = sink.commit(&mut group);
        let failed = committed.is_err();
        match committed {
            Ok(fenced) => {
                metrics::storage_commit("journal", watch.elapsed());
                refused.extend(fenced.into_iter().map(|partition| (partition, CommitError::Fenced)));
            }
            Err(error) => {
                metrics::storage_commit_failure("journal");
                tracing::error!(error = %error.source, events = group.events, "journal commit failed");
                let mut state = self.state.lock();
                state.dead |= error.fatal;
                for partition in &group.active {
                    state.poisoned[usize::from(partition.0)] = true;
                }
            }
        }
        let mut state = self.state.lock();
        state.bytes -= group.bytes;
        state.events -= group.events;
        // Told when the room is free again, so that whoever waited finds it.
        group.outcome.send_replace(Some(Arc::new(Outcome { failed, refused })));
        if state.spare.len() < SPARE_MAX {
            group.reuse();
            state.spare.push(group);
        }
    }
}

impl<S: Sink> std::fmt::Debug for Queue<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}
