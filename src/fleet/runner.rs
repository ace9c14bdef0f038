//! Follows the journal and writes the cases it finds to the fleet's own partition.
//!
//! Restart: cases found before are continued from the projection, sightings are replayed from the journal; what a crash
//! kept from being written is found again. A case written twice is the same case (its id is derived).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::spread::{Config, Found, Spread};
use crate::clock::Clock;
use crate::dedupe;
use crate::event::{
    CaseFact, Effects, EventKey, EventType, Fact, Head, PARTITION_FLEET, Role, SightedFact, Status, Verdict,
};
use crate::storage::{Append, CaseMessage, CaseRow, SharedStorage, StorageError, codec, visit_effects};
use crate::tasks::Tasks;
use crate::telemetry::metrics;

/// Rows read at once.
const ROWS_MAX: usize = 1_000;
/// How long to wait when the journal's end is reached.
const PAUSE: Duration = Duration::from_millis(200);
/// Open cases continued after a restart.
const CASES_RESUMED_MAX: usize = 10_000;

/// Facts written in one record at most.
const FACTS_MAX: usize = 1_000;

/// Hears of messages that belong to cases, after they are durable. May hear of one again.
#[async_trait]
pub trait Copies: Send + Sync {
    /// Does what a person has decided about their cases.
    ///
    /// # Errors
    /// When storage fails; it is told of them again.
    async fn seen(&self, sightings: &[SightedFact<'static>]) -> Result<(), StorageError>;

    /// Goes on with what was decided and could not be done yet.
    async fn go_on(&self);
}

/// The fleet stage of one node. Owns its memory; dropped when the gateway stops.
#[derive(Debug)]
pub struct Runner {
    storage: RunnerStorage,
    epoch: u64,
    clock: Clock,
    config: Config,
    spread: Spread,
    /// Found and not yet written.
    found: VecDeque<Found>,
    /// Written, and nobody heard of them yet.
    unheard: Vec<SightedFact<'static>>,
    /// Who acts on messages of cases that a person has decided.
    copies: Listener,
    position: u64,
    /// The position everything up to which was dealt with: the journal may be pruned up to here.
    passed: tokio::sync::watch::Sender<u64>,
}

struct RunnerStorage(SharedStorage);

struct Listener(Arc<dyn Copies>);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Copies")
    }
}

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
        copies: Arc<dyn Copies>,
    ) -> Result<Self, StorageError> {
        let since_ms = clock.now_ms() - config.window_ms();
        let mut spread = Spread::default();
        storage.project()?; // cases written just before the end are in the journal only
        for case in storage.cases(CASES_RESUMED_MAX)?.into_iter().filter(|case| case.last_ms >= since_ms) {
            let messages = storage.case_messages(&case.id, None, config.case_messages_max)?;
            spread.resume(&case_of(case), messages.into_iter().map(sighting_of), &config);
        }
        let head = storage.head_position()?;
        let (passed, _) = tokio::sync::watch::channel(0);
        let storage = RunnerStorage(storage);
        let (found, unheard) = (VecDeque::new(), Vec::new());
        let mut this = Self {
            storage,
            epoch,
            clock,
            config,
            spread,
            found,
            unheard,
            copies: Listener(copies),
            position: head,
            passed,
        };
        let (spread, found, config) = (&mut this.spread, &mut this.found, &this.config);
        this.storage.0.replay(dedupe::bucket_of(since_ms), &mut |row| {
            if row.partition != PARTITION_FLEET && row.position <= head {
                visit_effects(&row, |effects| keep(found, spread.observe(effects, config)))?;
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
            self.copies.0.go_on().await;
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
                let seen = visit_effects(&row, |effects| keep(found, spread.observe(effects, config)));
                unreadable = unreadable.take().or(seen.err());
            }
        })?;
        let more = last != self.position;
        self.position = last;
        unreadable.map_or(Ok(more), Err)
    }

    /// Writes what was found, in order; what cannot be written now is kept and tried again.
    async fn write(&mut self) -> Result<(), StorageError> {
        self.hand_on().await?;
        while !self.found.is_empty() {
            let (taken, facts) = self.front();
            let effects = self.effects(facts);
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
            // Durable: what goes wrong from here on writes nothing a second time.
            for found in self.found.drain(..taken) {
                self.unheard.extend(found.sightings);
                if let Some(size) = found.size {
                    tracing::info!(case.id = %size.case, groups = size.groups, "the same advert in many groups");
                    if size.is_new {
                        metrics::fleet_case();
                    }
                }
            }
            self.hand_on().await?;
        }
        self.passed.send_replace(self.position);
        metrics::fleet_lag(self.storage.0.head_position()?.saturating_sub(self.position));
        Ok(())
    }

    async fn hand_on(&mut self) -> Result<(), StorageError> {
        self.copies.0.seen(&self.unheard).await?;
        self.unheard.clear();
        Ok(())
    }

    /// Returns how many of what was found go into the next record, one at least, and their facts.
    fn front(&self) -> (usize, Vec<Fact<'static>>) {
        let (mut taken, mut facts) = (0, Vec::new());
        for found in &self.found {
            if taken > 0 && facts.len() + found.sightings.len() >= FACTS_MAX {
                break;
            }
            taken += 1;
            facts.extend(found.case.clone().map(Fact::Case));
            facts.extend(found.size.clone().map(Fact::CaseSize));
            facts.extend(found.sightings.iter().cloned().map(Fact::Sighted));
        }
        (taken, facts)
    }

    fn effects(&self, facts: Vec<Fact<'static>>) -> Effects<'static> {
        let (now_ms, number) = (self.clock.now_ms(), self.position);
        let secret = self.storage.0.dedupe_secret();
        let head = Head {
            key: EventKey::of(&secret, "", "", &format!("{now_ms}-{number}")),
            at_ms: now_ms,
            arrived_ms: now_ms,
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
        Effects { head, facts }
    }
}

fn case_of(case: CaseRow) -> CaseFact<'static> {
    let CaseRow { id, fingerprint, groups, first_ms, last_ms } = case;
    let groups = groups.into_iter().map(|(account, group)| (account.into(), group.into())).collect();
    CaseFact { id: id.into(), fingerprint, groups, first_ms, last_ms }
}

fn sighting_of(message: CaseMessage) -> SightedFact<'static> {
    let told = |text: String| Some(text).filter(|text| !text.is_empty()).map(Into::into);
    SightedFact {
        case: message.case.into(),
        account: message.account.into(),
        group: message.group.into(),
        member: told(message.member),
        of: told(message.of),
        at_ms: message.at_ms,
        by: message.by,
        verdict: message.verdict,
    }
}

fn keep(found: &mut VecDeque<Found>, more: Found) {
    if more.is_unlisted {
        metrics::fleet_unlisted();
    }
    if !more.is_empty() {
        found.push_back(more);
    }
}
