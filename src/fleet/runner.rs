//! Follows the journal and writes the cases it finds to the fleet's own partition.
//!
//! Restart: cases found before are continued from the projection, sightings are replayed from the journal; what a crash
//! kept from being written is found again. A case written twice is the same case (its id is derived).

use std::collections::VecDeque;
use std::time::Duration;

use super::spread::{Config, Spread};
use crate::clock::Clock;
use crate::dedupe;
use crate::event::{
    CaseFact, Effects, EventKey, EventType, Fact, Head, PARTITION_FLEET, Role, Status, Verdict,
};
use crate::storage::{Append, SharedStorage, StorageError, codec, visit_effects};
use crate::tasks::Tasks;
use crate::telemetry::metrics;

/// Rows read at once.
const ROWS_MAX: usize = 1_000;
/// How long to wait when the journal's end is reached.
const PAUSE: Duration = Duration::from_millis(200);
/// Open cases continued after a restart.
const CASES_RESUMED_MAX: usize = 10_000;

/// The fleet stage of one node. Owns its memory; dropped when the gateway stops.
#[derive(Debug)]
pub struct Runner {
    storage: RunnerStorage,
    epoch: u64,
    clock: Clock,
    config: Config,
    spread: Spread,
    /// Found and not yet written.
    found: VecDeque<CaseFact<'static>>,
    position: u64,
    /// The position everything up to which was dealt with: the journal may be pruned up to here.
    passed: tokio::sync::watch::Sender<u64>,
}

struct RunnerStorage(SharedStorage);

impl std::fmt::Debug for RunnerStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Storage")
    }
}

impl Runner {
    /// Rebuilds the memory from storage. Blocking.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub fn open(
        storage: SharedStorage,
        epoch: u64,
        clock: Clock,
        config: Config,
    ) -> Result<Self, StorageError> {
        let since_ms = clock.now_ms() - config.window_ms();
        let mut spread = Spread::default();
        storage.project()?; // cases written just before the end are in the journal only
        for case in storage.cases(CASES_RESUMED_MAX)?.into_iter().filter(|case| case.last_ms >= since_ms) {
            spread.resume(case.fingerprint, case.id, case.groups, case.first_ms, case.last_ms);
        }
        let head = storage.head_position()?;
        let (passed, _) = tokio::sync::watch::channel(0);
        let storage = RunnerStorage(storage);
        let found = VecDeque::new();
        let mut this = Self { storage, epoch, clock, config, spread, found, position: head, passed };
        let (spread, found, config) = (&mut this.spread, &mut this.found, &this.config);
        this.storage.0.replay(dedupe::bucket_of(since_ms), &mut |row| {
            if row.partition != PARTITION_FLEET && row.position <= head {
                visit_effects(&row, |effects| found.extend(spread.observe(&effects.head, config)))?;
            }
            Ok(())
        })?;
        Ok(this)
    }

    /// Returns the position up to which this follower has read.
    pub fn passed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.passed.subscribe()
    }

    /// Follows the journal until the tasks stop.
    pub async fn run(mut self, tasks: Tasks) {
        while !tasks.is_stopping() {
            let step = tokio::task::spawn_blocking(move || {
                let step = self.step();
                (self, step)
            });
            let Ok((this, step)) = step.await else { return }; // the runtime is going down
            self = this;
            let step = match (step, self.write().await) {
                (Ok(more), Ok(())) => Ok(more),
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
            let pause = match step {
                Ok(true) => continue,
                Ok(false) => PAUSE,
                Err(error) => {
                    tracing::error!(%error, "fleet stage: read or write the journal; tried again");
                    _ = self.storage.0.reset(PARTITION_FLEET).await; // not broken, or tried again with the rest
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = tasks.stopping() => {}
            }
        }
    }

    /// Reads some rows; says whether there may be more. Blocking.
    fn step(&mut self) -> Result<bool, StorageError> {
        let mut unreadable = None;
        let (spread, found, config) = (&mut self.spread, &mut self.found, &self.config);
        let last = self.storage.0.tail(self.position, ROWS_MAX, &mut |row| {
            if row.partition != PARTITION_FLEET {
                let seen = visit_effects(&row, |effects| found.extend(spread.observe(&effects.head, config)));
                unreadable = unreadable.take().or(seen.err());
            }
        })?;
        let more = last != self.position;
        self.position = last;
        unreadable.map_or(Ok(more), Err)
    }

    /// Writes what was found, in order; what cannot be written now is kept and tried again.
    async fn write(&mut self) -> Result<(), StorageError> {
        while let Some(case) = self.found.front() {
            let effects = self.effects(case.clone());
            let mut payload = Vec::new();
            codec::encode(&effects, &mut payload);
            let bucket = dedupe::bucket_of(effects.head.arrived_ms);
            let receipt = self.storage.0.append(Append {
                partition: PARTITION_FLEET,
                epoch: self.epoch,
                payload: &payload,
                events: 1,
                bucket_min: bucket,
                bucket_max: bucket,
            })?;
            receipt.wait().await.map_err(|error| StorageError::Failed {
                operation: "commit a case",
                source: Box::new(error),
            })?;
            tracing::info!(case.id = %case.id, groups = case.groups.len(), "the same text in many groups");
            metrics::fleet_case();
            self.found.pop_front();
        }
        self.passed.send_replace(self.position);
        metrics::fleet_lag(self.storage.0.head_position()?.saturating_sub(self.position));
        Ok(())
    }

    fn effects(&self, case: CaseFact<'static>) -> Effects<'static> {
        let secret = self.storage.0.dedupe_secret();
        let head = Head {
            key: EventKey::of(&secret, "", &case.id, &case.groups.len().to_string()),
            at_ms: case.last_ms,
            arrived_ms: self.clock.now_ms(),
            account: "".into(),
            group: "".into(),
            member: None,
            name: None,
            role: Role::Bot,
            what: EventType::Message,
            status: Status::Counted,
            verdict: Verdict::Review,
            revised: false,
            fingerprint: None,
        };
        Effects { head, facts: vec![Fact::Case(case)] }
    }
}
