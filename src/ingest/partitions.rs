//! Owns the state of every partition and drives the pipeline: decide, append, apply under one lock, so that memory and
//! journal take events in the same order.
//!
//! Invariants: state is applied only after the journal's queue took the effects; a repeat waits for the commit of its
//! first copy; after a failed commit a partition answers nothing until its state was read again from storage.

use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::load;
use crate::clock::Clock;
use crate::dedupe::{self, Filter};
use crate::event::{EventKey, GroupEvent, HOUR_MS, PARTITIONS, Partition, partition_of};
use crate::pipeline::{self, Arrival, Decision, Limits, PartitionState, Recognised, Rules, Scratch, Setting};
use crate::storage::{Append, CommitError, Receipt, SharedStorage, StorageError, codec};
use crate::tasks::Tasks;
use crate::telemetry::health::Check;
use crate::telemetry::metrics;

/// All partitions of this node. Cheap to clone; lives as long as the gateway.
#[derive(Clone)]
pub struct Partitions(Arc<Shared>);

struct Shared {
    cells: Vec<Mutex<Cell>>,
    storage: SharedStorage,
    secret: [u8; 16],
    epoch: u64,
    clock: Clock,
    /// Partitions whose commit failed, to be read again. Bounded: at most one entry a partition waits in it.
    broken: mpsc::Sender<Partition>,
}

/// One partition: its state and the buffers that deciding needs.
#[derive(Default)]
struct Cell {
    state: PartitionState,
    scratch: Scratch,
    record: Vec<u8>,
    /// The commit of what was appended last: a repeat waits for it.
    last: Option<Receipt>,
    /// The commit failed; the state is not to be trusted.
    broken: bool,
    /// Everything that came before this hour is sealed: a start need not read it.
    sealed_before: u32,
}

/// An event that was decided; its effects may not be durable yet.
#[derive(Debug)]
pub struct Taken<'e> {
    /// What was decided.
    pub decision: Decision<'e>,
    /// Answer only when this is done.
    pub receipt: Option<Receipt>,
    /// Where it lies, to report a failed commit.
    pub partition: Partition,
}

/// Where a group's roster stands; perhaps not durable yet.
#[derive(Debug)]
pub(super) struct Standing {
    /// Marks of the versions it went through, newest first.
    pub(super) marks: Vec<u64>,
    /// Where they lie, to report a failed commit.
    pub(super) partition: Partition,
    /// The commit that makes them durable; none since the start when there is none.
    pub(super) commit: Option<Receipt>,
}

/// Why an event was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    /// Its time lies too far in the future.
    #[error("`at` lies in the future; check the sender's clock and time zone")]
    Future,
    /// Its roster step does not begin where the group's roster stands.
    #[error("the change does not follow from the roster as we know it; the roster must be read")]
    Gap,
    /// Storage cannot take it now.
    #[error("storage cannot take the event now; nothing was counted, send it again")]
    NotReady,
}

impl Partitions {
    /// Reads every partition's state from storage and starts the task that repairs and the one that tidies.
    /// Blocking: call it off the async workers.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub fn open(
        storage: SharedStorage,
        epoch: u64,
        limits: &Limits,
        clock: Clock,
    ) -> Result<(Self, Repair), StorageError> {
        let all: Vec<Partition> = (0..PARTITIONS).map(Partition).collect();
        let states = load::states(storage.as_ref(), &all, &limits.dedupe, clock.now_ms())?;
        let cells = states.into_iter().map(|state| Mutex::new(Cell { state, ..Cell::default() })).collect();
        let (broken, repair) = mpsc::channel(usize::from(PARTITIONS));
        let secret = storage.dedupe_secret();
        let this = Self(Arc::new(Shared { cells, storage, secret, epoch, clock, broken }));
        Ok((this, Repair(repair)))
    }

    /// Returns where a group's roster stands.
    ///
    /// # Errors
    /// When the partition is out of service.
    pub(super) fn standing(&self, account: &str, group: &str) -> Result<Standing, TakeError> {
        let partition = partition_of(account, group);
        let cell = self.0.cells[usize::from(partition.0)].lock();
        if cell.broken {
            return Err(TakeError::NotReady);
        }
        let marks = cell.state.roster_marks(account, group);
        Ok(Standing { marks, partition, commit: cell.last.clone() })
    }

    /// Looks at the state of each partition that is in service.
    pub(super) fn each_state<T>(&self, look: impl Fn(&PartitionState) -> T) -> Vec<T> {
        let cells = self.0.cells.iter().map(|cell| cell.lock());
        cells.filter(|cell| !cell.broken).map(|cell| look(&cell.state)).collect()
    }

    /// Looks at the state of one partition.
    ///
    /// # Errors
    /// When the partition is out of service.
    pub(super) fn with_state<T>(
        &self,
        partition: Partition,
        look: impl FnOnce(&PartitionState) -> T,
    ) -> Result<T, TakeError> {
        let cell = self.0.cells[usize::from(partition.0)].lock();
        if cell.broken { Err(TakeError::NotReady) } else { Ok(look(&cell.state)) }
    }

    /// Returns where effects become durable.
    pub(super) fn storage(&self) -> &SharedStorage {
        &self.0.storage
    }

    /// Decides one event and puts its effects in the journal's queue.
    ///
    /// # Errors
    /// See [`TakeError`]; nothing was counted.
    pub async fn take<'e>(
        &self,
        rules: &Rules,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
    ) -> Result<Taken<'e>, TakeError> {
        let group_or_contact = match (event.group.is_empty(), &event.member) {
            (true, Some(contact)) => contact,
            _ => &event.group,
        };
        let partition = partition_of(&event.account, group_or_contact);
        let key = EventKey::of(&self.0.secret, &event.account, group_or_contact, &event.id);
        let arrival = Arrival { now_ms: self.0.clock.now_ms(), key, secret: self.0.secret };
        match self.decide(partition, rules, setting, event, &arrival, None) {
            Ok(taken) => taken,
            Err(buckets) => {
                let on_disk = self.on_disk(partition, buckets, key).await?;
                let again = self.decide(partition, rules, setting, event, &arrival, Some(on_disk));
                again.unwrap_or(Err(TakeError::NotReady)) // asked once, answered once
            }
        }
    }

    /// The part under the lock. `Err` names sealed hours that must be looked into first.
    fn decide<'e>(
        &self,
        partition: Partition,
        rules: &Rules,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
        arrival: &Arrival,
        on_disk: Option<bool>,
    ) -> Result<Result<Taken<'e>, TakeError>, Vec<u32>> {
        let mut cell = self.0.cells[usize::from(partition.0)].lock();
        let cell = &mut *cell;
        if cell.broken {
            return Ok(Err(TakeError::NotReady));
        }
        let status = match pipeline::recognise(&cell.state, &rules.limits.dedupe, event, arrival, on_disk) {
            Recognised::As(status) => status,
            Recognised::Ask(buckets) => return Err(buckets),
            Recognised::Future => return Ok(Err(TakeError::Future)),
            Recognised::Gap => return Ok(Err(TakeError::Gap)),
        };
        let mut decision =
            pipeline::decide(&cell.state, rules, setting, event, status, arrival, &mut cell.scratch);
        if let Some(effects) = &decision.effects {
            cell.record.clear();
            codec::encode(effects, &mut cell.record);
            let (at, now) = (dedupe::bucket_of(effects.head.at_ms), dedupe::bucket_of(arrival.now_ms));
            let append = Append {
                partition,
                epoch: self.0.epoch,
                payload: &cell.record,
                events: 1,
                bucket_min: at.min(now),
                bucket_max: at.max(now),
            };
            match self.0.storage.append(append) {
                Ok(receipt) => cell.last = Some(receipt),
                Err(StorageError::Full) => return Ok(Err(TakeError::NotReady)),
                Err(error) => {
                    // An earlier commit failed and nobody waited for it any more.
                    tracing::debug!(%error, "append refused");
                    self.take_out(partition, cell);
                    return Ok(Err(TakeError::NotReady));
                }
            }
            cell.state.apply(effects);
        }
        if let Some((speaker, said)) = decision.said.take() {
            rules.words.note(&mut cell.state.recent, speaker, said, arrival.now_ms);
        }
        Ok(Ok(Taken { decision, receipt: cell.last.clone(), partition }))
    }

    async fn on_disk(
        &self,
        partition: Partition,
        buckets: Vec<u32>,
        key: EventKey,
    ) -> Result<bool, TakeError> {
        metrics::dedupe_disk_lookup();
        let storage = self.0.storage.clone();
        let look = move || {
            buckets.into_iter().try_fold(false, |seen, bucket| {
                Ok::<_, StorageError>(seen || storage.sealed_contains(partition, bucket, key)?)
            })
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(Ok(seen)) => Ok(seen),
            Ok(Err(error)) => {
                tracing::error!(%error, "look into a sealed dedupe hour");
                Err(TakeError::NotReady)
            }
            Err(_) => Err(TakeError::NotReady),
        }
    }

    /// Waits until what was taken is durable. A failed commit takes the partition out of service until it is repaired.
    ///
    /// # Errors
    /// When nothing of it was stored.
    pub async fn committed(&self, partition: Partition, receipt: Receipt) -> Result<(), CommitError> {
        let result = receipt.wait().await;
        if result.is_err() {
            self.take_out(partition, &mut self.0.cells[usize::from(partition.0)].lock());
        }
        result
    }

    /// Takes a partition out of service: its memory and the journal are apart.
    fn take_out(&self, partition: Partition, cell: &mut Cell) {
        if cell.broken {
            return;
        }
        cell.broken = true;
        cell.state = PartitionState::default();
        cell.last = None;
        // Cannot be full: it has room for every partition, and each is in it at most once.
        _ = self.0.broken.try_send(partition);
    }

    /// Seals finished hours, forgets expired ones and drops what has expired. Call it every minute.
    pub async fn tidy(&self, config: &dedupe::Config) {
        let now_ms = self.0.clock.now_ms();
        let oldest = dedupe::bucket_of(now_ms - i64::try_from(config.window.as_millis()).unwrap_or(i64::MAX));
        let recent = dedupe::bucket_of(now_ms - HOUR_MS);
        let mut exact_ids = 0;
        for index in 0..PARTITIONS {
            let partition = Partition(index);
            let sealing = {
                let mut cell = self.0.cells[usize::from(index)].lock();
                cell.state.sweep(now_ms, oldest);
                exact_ids += cell.state.dedupe.exact_ids();
                self.begin_seal(partition, &cell, recent, config)
            };
            if let Some(sealing) = sealing
                && let Err(error) = self.finish_seal(partition, sealing).await
            {
                tracing::warn!(partition = index, %error, "seal dedupe hours; tried again in a minute");
            }
        }
        metrics::dedupe_exact_ids(exact_ids);
    }

    /// Under the lock: the sealing is queued behind every append that put these ids into memory.
    fn begin_seal(
        &self,
        partition: Partition,
        cell: &Cell,
        recent: u32,
        config: &dedupe::Config,
    ) -> Option<Sealing<impl Future<Output = Result<(), StorageError>> + use<>>> {
        if cell.broken {
            return None;
        }
        let hours = cell.state.dedupe.begin_seal(recent, config);
        if hours.is_empty() && cell.sealed_before >= recent {
            return None;
        }
        let stored = self.0.storage.seal(partition, self.0.epoch, recent, hours.clone());
        Some(Sealing { before: recent, hours, stored })
    }

    async fn finish_seal(
        &self,
        partition: Partition,
        sealing: Sealing<impl Future<Output = Result<(), StorageError>>>,
    ) -> Result<(), StorageError> {
        sealing.stored.await?;
        let storage = self.0.storage.clone();
        let sealed = tokio::task::spawn_blocking(move || storage.sealed(partition)).await;
        let sealed = sealed.unwrap_or(Ok(Vec::new()))?;
        let mut cell = self.0.cells[usize::from(partition.0)].lock();
        if !cell.broken {
            cell.sealed_before = sealing.before;
            for (bucket, ids) in &sealing.hours {
                let Some(hour) = sealed.iter().find(|hour| hour.bucket == *bucket) else { continue };
                if let Ok(filter) = Filter::from_bytes(&hour.filter) {
                    cell.state.dedupe.finish_seal(*bucket, filter, ids);
                }
            }
        }
        Ok(())
    }
}

/// Hours on their way to the disk.
struct Sealing<F> {
    before: u32,
    hours: Vec<(u32, Vec<EventKey>)>,
    stored: F,
}

/// Reads broken partitions again.
#[derive(Debug)]
pub struct Repair(mpsc::Receiver<Partition>);

impl Repair {
    /// Runs until the gateway stops. The gateway is not ready while a partition is broken.
    pub async fn run(mut self, partitions: Partitions, config: dedupe::Config, ready: Check, tasks: Tasks) {
        loop {
            let partition = tokio::select! {
                next = self.0.recv() => match next { Some(partition) => partition, None => return },
                () = tasks.stopping() => return,
            };
            let mut broken = vec![partition];
            while let Ok(partition) = self.0.try_recv() {
                broken.push(partition);
            }
            ready.fail("a commit failed; partitions are read again".to_owned());
            tracing::error!(partitions = broken.len(), "a commit failed; reading the partitions again");
            while let Err(error) = partitions.repair(&broken, &config).await {
                tracing::error!(%error, "read partitions again; tried again in a second");
                tokio::select! {
                    () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
                    () = tasks.stopping() => return,
                }
            }
            ready.pass();
            for _ in &broken {
                metrics::partition_reloaded();
            }
            tracing::info!(partitions = broken.len(), "partitions are back in service");
        }
    }
}

impl Partitions {
    async fn repair(&self, broken: &[Partition], config: &dedupe::Config) -> Result<(), StorageError> {
        for partition in broken {
            // Behind everything that was queued on the lost state: that is refused before new appends are let in.
            self.0.storage.reset(*partition).await?;
        }
        let (storage, config, wanted) = (self.0.storage.clone(), config.clone(), broken.to_vec());
        let now_ms = self.0.clock.now_ms();
        let read = move || load::states(storage.as_ref(), &wanted, &config, now_ms);
        let states = tokio::task::spawn_blocking(read).await.map_err(|error| StorageError::Failed {
            operation: "reload partitions",
            source: Box::new(error),
        })??;
        for (partition, state) in broken.iter().zip(states) {
            let mut cell = self.0.cells[usize::from(partition.0)].lock();
            cell.state = state;
            cell.last = None;
            cell.broken = false;
        }
        Ok(())
    }
}
