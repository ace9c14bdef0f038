//! The gateway as a whole: what is connected to what, what runs in the background, and in which order it ends.
//!
//! Start: storage → people and places → platforms → rules → partitions → outbox → broadcasts → fleet → listeners.
//! Drain: not ready → wait `drain.delay` → stop accepting and finish requests → start no more calls and let those in
//! flight end → stop background work → close storage. All of it bounded by `drain.timeout`; what is unknown then is
//! uncertain at the next start, never sent again blindly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::accounts::Accounts;
use super::book::{Book, Judge};
use super::control::ControlSocket;
use super::house::Residence;
use super::rules::Rulebook;
use super::{first_token, upkeep};
use crate::access::Access;
use crate::api;
use crate::broadcasts::{self, Broadcasts};
use crate::clock::{Clock, Stopwatch};
use crate::config::{Config, Drain};
use crate::connectors::Connectors;
use crate::directory::{Directory, Keyring};
use crate::fleet;
use crate::ingest::{self, Ingest, Partitions};
use crate::outbox::{self, Outbox};
use crate::storage::{SharedStorage, sqlite};
use crate::tasks::{TasksOwner, tasks};
use crate::telemetry::health::{Check, Health};
use crate::telemetry::listener::Listener;

/// A gateway that was built and listens.
pub struct Gateway {
    api: SocketAddr,
    metrics: SocketAddr,
    admin_token: Option<String>,
    drain: Drain,
    health: Health,
    storage_check: Check,
    storage: SharedStorage,
    outbox: Arc<Outbox>,
    rulebook: Arc<Rulebook>,
    /// Accepts connections: stopped first.
    serving: TasksOwner,
    server: JoinHandle<()>,
    /// Everything else: stopped last.
    work: TasksOwner,
}

impl Gateway {
    /// Reads everything from disk, connects it, and binds the listeners.
    ///
    /// # Errors
    /// Names what could not be read, connected or bound.
    pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let (work_tasks, work) = tasks();
        let (serving_tasks, serving) = tasks();
        let health = Health::default();
        let storage_check = health.check("storage");
        let (dir, storage_config) = (config.server.data_dir.clone(), config.storage.clone());
        let opened = tokio::task::spawn_blocking(move || sqlite::open(&dir, &storage_config)).await?;
        let storage = opened.with_context(|| format!("open {}", config.server.data_dir.display()))?;
        let epoch = storage.lease("local").await?;

        let access = Access::open(storage.clone(), clock.clone(), config.access.clone()).await?;
        let admin_token = first_token::make(&access, &config.server.data_dir).await?;
        let access = Arc::new(access);
        let keys = match &config.directory.key {
            Some(key) => Keyring::parse(key.expose()),
            None => Keyring::read_or_make(&config.server.data_dir.join("key")),
        };
        let keys = keys.context("the key of account secrets")?;
        let directory =
            Directory::open(storage.clone(), clock.clone(), config.directory.clone(), keys).await?;
        let directory = Arc::new(directory);
        let mut connectors_config = config.connectors.clone();
        connectors_config.parse_limits = ingest::parse_limits(&config.ingest);
        let connectors = Arc::new(Connectors::new(connectors_config, clock.clone()));
        let rulebook = Arc::new(Rulebook::open(storage.clone(), config.clone()).await?);
        let outbox = Outbox::start(outbox::Parts {
            storage: storage.clone(),
            deliverers: connectors.clone(),
            places: directory.clone(),
            tasks: work_tasks.clone(),
            clock: clock.clone(),
            config: config.outbox.clone(),
            epoch,
            seed: seed()?,
        })
        .await
        .context("start the outbox")?;
        let accounts =
            Arc::new(Accounts::new(directory.clone(), connectors.clone(), outbox.clone(), health.clone()));
        accounts.connect_all().await;

        let rules = rulebook.current();
        let limits = rules.load().limits.clone();
        let (open_storage, open_clock) = (storage.clone(), clock.clone());
        let opened =
            tokio::task::spawn_blocking(move || Partitions::open(open_storage, epoch, &limits, open_clock));
        let (partitions, repair) = opened.await?.context("read the journal")?;
        let ingest = Arc::new(Ingest::new(
            config.ingest.clone(),
            ingest::Parts {
                partitions: partitions.clone(),
                rules: rules.clone(),
                access: access.clone(),
                directory: directory.clone(),
                connectors: connectors.clone(),
                outbox: outbox.clone(),
                clock: clock.clone(),
                tasks: work_tasks.clone(),
            },
        ));
        let listener = TcpListener::bind(config.server.listen)
            .await
            .with_context(|| format!("listen on {} (server.listen)", config.server.listen))?;
        let metrics_clock = clock.clone();
        let metrics =
            Listener::bind(config.server.metrics_listen, health.clone(), move || metrics_clock.now_ms())
                .await
                .with_context(|| {
                    format!("listen on {} (server.metrics_listen)", config.server.metrics_listen)
                })?;
        let api = listener.local_addr()?;
        let metrics_address = metrics.address()?;
        let broadcasts = Broadcasts::start(broadcasts::Parts {
            storage: storage.clone(),
            outbox: outbox.clone(),
            book: Arc::new(Book(directory.clone())),
            places: directory.clone(),
            judge: Arc::new(Judge(rules.clone())),
            tasks: work_tasks.clone(),
            clock: clock.clone(),
            config: config.broadcasts.clone(),
            seed: seed()?,
        })
        .await
        .context("read broadcasts")?;
        let house = Arc::new(Residence { accounts, rulebook: rulebook.clone() });
        let app = api::App::new(api::Parts {
            config: config.api.clone(),
            access: access.clone(),
            directory,
            storage: storage.clone(),
            connectors,
            outbox: outbox.clone(),
            broadcasts,
            rules,
            house,
            clock: clock.clone(),
        });
        let socket = ControlSocket::bind(&config.server.data_dir).context("bind the control socket")?;

        let fleet = {
            let (storage, clock, config) = (storage.clone(), clock.clone(), config.fleet.clone());
            tokio::task::spawn_blocking(move || fleet::runner::Runner::open(storage, epoch, clock, config))
        };
        let fleet = fleet.await?.context("read the journal for the fleet stage")?;
        let dedupe = config.dedupe.clone();
        let (passed, tasks) = (fleet.passed(), &work_tasks);
        tasks.spawn(
            "repair",
            repair.run(partitions.clone(), dedupe.clone(), storage_check.clone(), tasks.clone()),
        );
        tasks.spawn("project", upkeep::project(storage.clone(), tasks.clone()));
        tasks.spawn("tidy", upkeep::tidy(partitions, dedupe.clone(), tasks.clone()));
        tasks.spawn("prune", upkeep::prune(storage.clone(), dedupe, passed, clock.clone(), tasks.clone()));
        tasks.spawn("fleet", fleet.run(tasks.clone()));
        tasks.spawn("access", access.clone().run(tasks.clone()));
        let stopping = tasks.clone();
        tasks.spawn("metrics", async move { metrics.run(stopping.stopping()).await });
        let stopping = tasks.clone();
        let local = api::local_router(app.clone());
        tasks.spawn("control", async move { socket.run(local, stopping.stopping()).await });
        let router = api::router(app);
        let serve = ingest::server::serve(listener, ingest, router, serving_tasks.clone());
        let server = serving_tasks.spawn("server", serve);
        Ok(Self {
            api,
            metrics: metrics_address,
            admin_token,
            drain: config.drain.clone(),
            health,
            storage_check,
            storage,
            outbox,
            rulebook,
            serving,
            server,
            work,
        })
    }

    /// Says that work is taken, and on which addresses; returns the line for standard output.
    pub fn ready(&self) -> String {
        self.storage_check.pass();
        self.health.started();
        let line = Ready {
            event: "ready",
            api: format!("http://{}", self.api),
            metrics: format!("http://{}", self.metrics),
            admin_token: self.admin_token.as_deref(),
        };
        serde_json::to_string(&line).unwrap_or_default() // texts: cannot fail
    }

    /// Reads rules and wordlists again.
    pub async fn reload(&self) {
        _ = self.rulebook.reload().await; // said and counted there; the old rules stay in force
    }

    /// Waits until a background task fails. Cancel safe.
    pub async fn failure(&mut self) -> &'static str {
        tokio::select! {
            name = self.work.failure() => name,
            name = self.serving.failure() => name,
        }
    }

    /// Ends in the order written above. Says whether everything ended in time.
    pub async fn drain(mut self) -> bool {
        self.health.draining();
        tracing::info!(delay_ms = millis(self.drain.delay), "draining: not ready any more");
        tokio::time::sleep(self.drain.delay).await;
        let watch = Stopwatch::start();
        let left = |watch: &Stopwatch| self.drain.timeout.saturating_sub(watch.elapsed());
        self.serving.stop();
        let served = tokio::time::timeout(left(&watch), &mut self.server).await.is_ok();
        tracing::info!(in_time = served, "draining: requests are finished");
        let parked = self.outbox.park(left(&watch)).await;
        tracing::info!(in_time = parked, "draining: calls in flight have ended");
        self.work.stop();
        let closed = tokio::time::timeout(left(&watch).max(CLOSE_MIN), self.storage.close()).await;
        match &closed {
            Ok(Ok(())) => tracing::info!("drained"),
            Ok(Err(error)) => tracing::error!(%error, "close storage; the next start replays the journal"),
            Err(_) => tracing::error!("storage did not close in time; the next start replays the journal"),
        }
        served && parked && matches!(closed, Ok(Ok(())))
    }
}

/// The line on standard output that says that work is taken.
#[derive(serde::Serialize)]
struct Ready<'a> {
    event: &'static str,
    api: String,
    metrics: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_token: Option<&'a str>,
}

/// Storage gets this long to close, whatever was left of the time.
const CLOSE_MIN: Duration = Duration::from_secs(2);

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where chance starts: jitter of retries only, nothing that is decided.
fn seed() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("draw a seed: {error}"))?;
    Ok(u64::from_le_bytes(bytes))
}
