//! From the disk to running lanes: what a crash left behind, what the journal still asks for, what holds are in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::book::Book;
use super::breaker::Circuit;
use super::delivery::{Delivery, Priority};
use super::holds::{Holds, SharedPlaces};
use super::lanes::Queued;
use super::pacer::WallSteps;
use super::rows::queued_of;
use super::runner::{AccountStatus, Command, Shared, is_in_ledger};
use super::{Config, Deliverers, Outbox, OutboxError, storage_error};
use crate::clock::Clock;
use crate::event::AccountId;
use crate::storage::{Change, DeliveryRow, DeliveryState, DocumentKind, SharedStorage, StorageError, Write};
use crate::tasks::Tasks;
use crate::telemetry::metrics::{self, CircuitState, LimitLevel, QueuePriority, QueueState};

/// What the outbox is made of.
pub struct Parts {
    /// Journal and ledger.
    pub storage: SharedStorage,
    /// The way out of each account.
    pub deliverers: Arc<dyn Deliverers>,
    /// To whom groups belong, for holds.
    pub places: SharedPlaces,
    /// Where its tasks run.
    pub tasks: Tasks,
    /// The time.
    pub clock: Clock,
    /// Limits.
    pub config: Config,
    /// The owner's epoch, as [`crate::storage::Storage::lease`] gave it.
    pub epoch: u64,
    /// Where chance starts.
    pub seed: u64,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("config", &self.config)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Outbox {
    /// Starts sending: reads holds, finds what a crash left uncertain, takes in what the journal asks for and the ledger
    /// does not know. To be called once, before anything else may send.
    ///
    /// # Errors
    /// When storage cannot be read: then nothing is sent.
    pub async fn start(parts: Parts) -> Result<Arc<Self>, OutboxError> {
        let Parts { storage, deliverers, places, tasks, clock, config, epoch, seed } = parts;
        let holds = Holds::open(Arc::clone(&storage), places, clock.clone()).await?;
        let book = Book::new(&config.pacing);
        let mut wall_steps = read_wall_steps(&storage).await?;
        wall_steps.watch(clock.steady_us(), clock.now_ms());
        let wall_steps = Mutex::new(wall_steps);
        let shared = Shared {
            storage,
            deliverers,
            holds: Arc::new(holds),
            book,
            wall_steps,
            clock,
            tasks,
            config,
            epoch,
        };
        let outbox = Arc::new(Self { shared: Arc::new(shared), runners: Mutex::default(), seed });
        outbox.recover().await?;
        outbox.count();
        Ok(outbox)
    }

    async fn recover(&self) -> Result<(), OutboxError> {
        let (storage, now_ms) = (&self.shared.storage, self.shared.clock.now_ms());
        let rows = storage.recover(now_ms).await.map_err(storage_error("recover deliveries"))?;
        let mut texts = Texts::default();
        let mut uncertain: BTreeMap<AccountId, Vec<Queued>> = BTreeMap::new();
        for row in rows {
            let Ok(account) = AccountId::parse(&row.account) else { continue };
            // Pending rows need no more than a runner: it reads them by itself.
            let found = uncertain.entry(account).or_default();
            if row.state == DeliveryState::Uncertain {
                match self.read_uncertain(&row, &mut texts).await {
                    Ok(queued) => found.push(queued),
                    Err(error) => {
                        tracing::error!(delivery.id = row.id, %error, "an uncertain delivery cannot be read");
                    }
                }
            }
        }
        for (account, uncertain) in uncertain {
            tracing::info!(account.id = %account, uncertain = uncertain.len(), "deliveries were left by the last run");
            let runner = self.runner(&account);
            self.tell(&runner, Command::Resolve(uncertain)).await;
        }
        let mut unknown = Vec::new();
        let pending = pending_in_journal(storage, now_ms).await;
        for delivery in pending.map_err(storage_error("read pending sends"))? {
            if !is_in_ledger(storage, &delivery.id).await.map_err(storage_error("look deliveries up"))? {
                unknown.push(delivery);
            }
        }
        self.submit(unknown);
        Ok(())
    }

    /// Notices that the wall clock was set forward, and writes it down: after a restart it is all there is to tell how old
    /// a call is.
    async fn watch_wall(&self) {
        let (clock, storage) = (&self.shared.clock, &self.shared.storage);
        let body = {
            let mut steps = self.shared.wall_steps.lock();
            if !steps.watch(clock.steady_us(), clock.now_ms()) {
                return;
            }
            serde_json::to_string(&*steps).unwrap_or_default() // our own record: it has string keys only
        };
        let write =
            Write::Put { kind: DocumentKind::WallSteps, id: WALL_STEPS.to_owned(), body, expect: None };
        let change = Change { at_ms: clock.now_ms(), writes: vec![write], ..Change::default() };
        match storage.apply(change).await {
            Ok(_) => tracing::warn!("the wall clock was set forward"),
            Err(error) => tracing::error!(%error, "write down that the wall clock was set forward"),
        }
    }

    async fn read_uncertain(&self, row: &DeliveryRow, texts: &mut Texts) -> Result<Queued, StorageError> {
        let text = if row.broadcast.is_empty() || !row.body.is_empty() {
            None
        } else {
            texts.of(&self.shared.storage, &row.broadcast).await?
        };
        let attempts_max = self.shared.config.retry.attempts_max;
        queued_of(row, text.as_deref(), attempts_max, 0, self.shared.clock.now_ms())
    }

    /// Keeps the gauges over all accounts.
    fn count(self: &Arc<Self>) {
        let outbox = Arc::downgrade(self);
        let tasks = self.shared.tasks.clone();
        let period = self.shared.config.tick;
        self.shared.tasks.spawn("outbox.gauges", async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(period) => {}
                    () = tasks.stopping() => return,
                }
                let Some(outbox) = outbox.upgrade() else { return };
                write_gauges(&outbox.status());
                outbox.watch_wall().await;
                outbox.holds().count();
            }
        });
    }
}

/// The one document of its kind.
const WALL_STEPS: &str = "all";

async fn read_wall_steps(storage: &SharedStorage) -> Result<WallSteps, OutboxError> {
    let document = storage.document(DocumentKind::WallSteps, WALL_STEPS).await;
    let document = document.map_err(storage_error("read when the clock was set"))?;
    // What cannot be read was written by a later version, and is only lost to this run.
    Ok(document.and_then(|document| serde_json::from_str(&document.body).ok()).unwrap_or_default())
}

/// Texts of broadcasts, each read once.
#[derive(Default)]
struct Texts(BTreeMap<String, Option<Arc<str>>>);

impl Texts {
    async fn of(
        &mut self,
        storage: &SharedStorage,
        broadcast: &str,
    ) -> Result<Option<Arc<str>>, StorageError> {
        /// A broadcast's document holds more; this is all that sending needs of it.
        #[derive(serde::Deserialize)]
        struct TextOnly {
            text: String,
        }
        if let Some(text) = self.0.get(broadcast) {
            return Ok(text.clone());
        }
        let document = storage.document(DocumentKind::Broadcast, broadcast).await?;
        let read = |body: &str| serde_json::from_str::<TextOnly>(body).ok();
        let text = document.and_then(|document| read(&document.body)).map(|only| Arc::from(only.text));
        self.0.insert(broadcast.to_owned(), text.clone());
        Ok(text)
    }
}

/// Returns what the journal asks to be sent and has not expired, oldest first, whatever became of it.
///
/// # Errors
/// When the journal cannot be read.
pub async fn pending_in_journal(storage: &SharedStorage, now_ms: i64) -> Result<Vec<Delivery>, StorageError> {
    let storage = Arc::clone(storage);
    let read = tokio::task::spawn_blocking(move || storage.pending_sends(now_ms)).await;
    let pending = read.map_err(|error| StorageError::Failed {
        operation: "read pending sends",
        source: Box::new(error),
    })??;
    Ok(pending.iter().filter_map(|pending| Delivery::caused(&pending.head, &pending.fact)).collect())
}

fn write_gauges(accounts: &[AccountStatus]) {
    let priorities = [
        (Priority::Urgent, QueuePriority::Urgent),
        (Priority::Normal, QueuePriority::Normal),
        (Priority::Bulk, QueuePriority::Bulk),
    ];
    for (priority, label) in priorities {
        let waiting = || accounts.iter().map(|account| account.waiting(priority));
        metrics::queue_depth(label, QueueState::Ready, waiting().map(|w| w.depth.ready).sum());
        metrics::queue_depth(label, QueueState::Delayed, waiting().map(|w| w.depth.delayed).sum());
        metrics::queue_depth(label, QueueState::Held, waiting().map(|w| w.held).sum());
        metrics::queue_depth(label, QueueState::InFlight, waiting().map(|w| w.in_flight).sum());
        metrics::oldest_due_age(label, waiting().map(|w| w.oldest_due()).max().unwrap_or_default());
    }
    let most = |of: fn(&AccountStatus) -> f64| accounts.iter().map(of).fold(0.0, f64::max);
    metrics::limiter_saturation(LimitLevel::Account, most(|a| a.account_saturation));
    metrics::limiter_saturation(LimitLevel::Group, most(|a| a.group_saturation));
    metrics::limiter_saturation(LimitLevel::App, most(|a| a.app_saturation));
    metrics::limiter_saturation(LimitLevel::Corp, most(|a| a.corp_saturation));
    let least = |level| accounts.iter().map(|account| account.least_share(level)).fold(1.0, f64::min);
    metrics::limiter_share(LimitLevel::Account, least("account"));
    metrics::limiter_share(LimitLevel::Group, least("group"));
    // Nobody tells which shared level was too fast, so none is ever slowed.
    metrics::limiter_share(LimitLevel::App, 1.0);
    metrics::limiter_share(LimitLevel::Corp, 1.0);
    let mut circuits: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for account in accounts {
        let counts = circuits.entry(account.platform.as_str()).or_default();
        match account.circuit {
            Circuit::Closed => counts[0] += 1,
            Circuit::HalfOpen => counts[1] += 1,
            Circuit::Open => counts[2] += 1,
        }
    }
    for (platform, [closed, half_open, open]) in circuits {
        metrics::circuits(platform, CircuitState::Closed, closed);
        metrics::circuits(platform, CircuitState::HalfOpen, half_open);
        metrics::circuits(platform, CircuitState::Open, open);
    }
}
