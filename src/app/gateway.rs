//! The gateway as a whole: what is connected to what, what runs in the background, and in which order it ends.
//!
//! Start: storage → people and places → platforms → rules → partitions → outbox → broadcasts → fleet → listeners.
//! Drain: not ready → wait `drain.delay` → stop accepting and finish requests → start no more calls and let those in
//! flight end → write the words heard → stop background work → close storage. All of it bounded by `drain.timeout`; what is
//! unknown then is uncertain at the next start, never sent again blindly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::control::ControlSocket;
use super::foundations::{Doors, Foundations, Keeping};
use super::house::Residence;
use super::reports;
use super::rules::{self, Rulebook};
use super::verdicts;
use crate::api;
use crate::clock::{Clock, Stopwatch};
use crate::config::{Config, Drain};
use crate::hook::Hook;
use crate::ingest::{self, Ingest};
use crate::outbox::Outbox;
use crate::statistics::listener;
use crate::storage::SharedStorage;
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
    listener: Arc<listener::Listener>,
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
    #[expect(
        clippy::too_many_lines,
        reason = "the composition root: every part is built here, in order, once"
    )]
    pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let (work_tasks, work) = tasks();
        let (serving_tasks, serving) = tasks();
        let health = Health::default();
        let storage_check = health.check("storage");
        let mut house = Foundations::lay(&config, &clock).await?;
        let rulebook =
            Rulebook::open(house.storage.clone(), config.clone(), clock.clone(), work_tasks.clone()).await?;
        let outbox = house.outbox(&config, &clock, &work_tasks).await?;
        let accounts = house.accounts(&outbox, &health).await;
        let (partitions, repair) = house.partitions(&rulebook, &clock).await?;
        let (hook, asker) = Hook::new(config.hook.clone(), clock.clone()).unzip();
        let kicks = house.kicks(&clock).await?;
        let ingest = Arc::new(Ingest::new(
            config.ingest.clone(),
            ingest::Parts {
                partitions: partitions.clone(),
                rules: rulebook.current(),
                access: house.access.clone(),
                directory: house.directory.clone(),
                connectors: house.connectors.clone(),
                outbox: outbox.clone(),
                evidence: house.evidence.clone(),
                hook,
                kicks: kicks.clone(),
                listener: house.listener.clone(),
                clock: clock.clone(),
                tasks: work_tasks.clone(),
            },
        ));
        let platforms = house.platforms(&config, &clock, &work_tasks, &health, ingest.clone());
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
        let (api_address, metrics_address) = (listener.local_addr()?, metrics.address()?);
        let duties = house.duties(&config, &clock, &rulebook);
        let residence = Residence { accounts, rulebook: rulebook.clone(), duties: duties.clone() };
        let cases = house.cases(&config, &clock, &outbox, &ingest).await?;
        let notices = house.notices(&config, &clock, &outbox, &rulebook);
        let alerts = house.alerts(&config, &clock).await?;
        let doors = Doors {
            ingest: ingest.clone(),
            cases: cases.clone(),
            kicks,
            notices: notices.clone(),
            serving: serving_tasks.clone(),
            alerts: alerts.clone(),
        };
        let app =
            house.api(&config, &clock, &work_tasks, &outbox, residence, platforms.clone(), doors).await?;
        let socket = ControlSocket::bind(&config.server.data_dir).context("bind the control socket")?;

        let repairing =
            repair.run(partitions.clone(), config.dedupe.clone(), storage_check.clone(), work_tasks.clone());
        work_tasks.spawn("repair", repairing);
        let keeping = Keeping { partitions, cases, notices, alerts, platforms: platforms.clone() };
        house.keep(&config, &clock, &work_tasks, keeping).await?;
        verdicts::start(asker, &ingest, &clock, &config.hook, &work_tasks);
        let due = ingest.clone();
        let stopping = work_tasks.clone();
        work_tasks.spawn("due", async move { due.watch_due(stopping).await });
        let segments = house.segments(&clock, &ingest, &rulebook);
        work_tasks.spawn("segments", segments.run(work_tasks.clone()));
        work_tasks.spawn("duties", duties.run(work_tasks.clone()));
        work_tasks.spawn("wordlist_files", rules::watch(rulebook.clone(), work_tasks.clone()));
        work_tasks.spawn("rollouts", rules::watch_rollouts(rulebook.clone(), work_tasks.clone()));
        work_tasks.spawn("platforms", platforms.run());
        let schedule = reports::Schedule {
            router: api::local_router(app.clone()),
            config: config.reports.clone(),
            data_dir: config.server.data_dir.clone(),
            zone: house.directory.time_zone().clone(),
            clock: clock.clone(),
        };
        work_tasks.spawn("reports", schedule.run(work_tasks.clone()));
        let (stopping, local) = (work_tasks.clone(), api::local_router(app.clone()));
        work_tasks.spawn("control", async move { socket.run(local, stopping.stopping()).await });
        let stopping = work_tasks.clone();
        work_tasks.spawn("metrics", async move { metrics.run(stopping.stopping()).await });
        let serve = ingest::server::serve(listener, ingest, api::router(app), serving_tasks.clone());
        let server = serving_tasks.spawn("server", serve);
        Ok(Self {
            api: api_address,
            metrics: metrics_address,
            admin_token: house.admin_token,
            drain: config.drain,
            health,
            storage_check,
            storage: house.storage,
            outbox,
            listener: house.listener,
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
        _ = self.rulebook.reload("SIGHUP").await; // said and counted there; the old rules stay in force
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
        // While storage is open: what was heard since the last writing is nowhere else.
        let heard = tokio::time::timeout(left(&watch), self.listener.flush()).await.is_ok();
        tracing::info!(in_time = heard, "draining: words are written");
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
