//! A receiver of the gateway's deliveries: a real server that checks signatures, keeps account, and misbehaves as scripted.
//!
//! It stands in for a platform. Deliveries are Standard Webhooks POSTs to any path; its own reports are under `/_sink/`:
//!
//! | route | does |
//! |---|---|
//! | `GET /_sink/report` | [`SinkReport`]: what came, how often, how fast, and what the auditors say |
//! | `GET /_sink/receipts?after=N&limit=M` | the deliveries one by one |
//! | `POST /_sink/faults` | replaces the script: a JSON array of faults as written in [`fault`] |
//!
//! A delivery counts as *taken* when it was read and answered 2xx, or reset or left hanging afterwards: the group has it,
//! whether the sender knows or not. Limits are audited over what was taken.

pub mod fault;
mod ledger;
mod serve;
pub mod signature;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::fault::{Fault, FaultError};
use self::ledger::Ledger;
pub use self::ledger::{Receipt, SinkReport};
pub use self::signature::{Secret, SignatureError};
use crate::units::WindowLimit;

/// How a sink is set up.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Keys of which one must match; none accepts everything.
    pub secrets: Vec<Secret>,
    /// What goes wrong, in order.
    pub faults: Vec<Fault>,
    /// Limits over all deliveries.
    pub audit: Vec<WindowLimit>,
    /// Limits over all groups of a class together: those whose id begins with its name and a colon.
    pub audit_class: Vec<(String, WindowLimit)>,
    /// Limits for each group.
    pub audit_group: Vec<WindowLimit>,
    /// The same seed, the same faults.
    pub seed: u64,
    /// How many receipts are kept; older ones are forgotten, their counts are not.
    pub keep_receipts: usize,
    /// Whether receipts hold the text.
    pub keep_text: bool,
}

impl Default for SinkConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            secrets: Vec::new(),
            faults: Vec::new(),
            audit: Vec::new(),
            audit_class: Vec::new(),
            audit_group: Vec::new(),
            seed: 1,
            keep_receipts: 200_000,
            keep_text: false,
        }
    }
}

/// A running sink. It owns the listener and all connections; dropping it closes them.
#[derive(Debug)]
pub struct Sink {
    url: String,
    shared: Arc<Shared>,
    changes: watch::Receiver<u64>,
    server: JoinHandle<()>,
}

/// What connections share.
#[derive(Debug)]
struct Shared {
    secrets: Vec<Secret>,
    ledger: Mutex<Ledger>,
    /// Counts requests, so that waiting for a condition needs no polling.
    changed: watch::Sender<u64>,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    /// Binds and starts to answer.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(config: SinkConfig) -> std::io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (changed, changes) = watch::channel(0);
        let ledger = Mutex::new(Ledger::new(&config));
        let shared = Arc::new(Shared { secrets: config.secrets, ledger, changed });
        let server = tokio::spawn(serve::serve(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, changes, server })
    }

    /// The address deliveries are sent to, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What was received so far.
    pub fn report(&self) -> SinkReport {
        self.shared.ledger().report()
    }

    /// The kept receipts after a number, oldest first, at most `limit`.
    pub fn receipts(&self, after: u64, limit: usize) -> Vec<Receipt> {
        self.shared.ledger().receipts(after, limit)
    }

    /// Replaces the script; counts of "the first so many" start again.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.shared.ledger().set_faults(faults);
    }

    /// Waits until the report satisfies a condition, and gives that report back. Put a time-out around it.
    pub async fn wait_for(&self, mut condition: impl FnMut(&SinkReport) -> bool) -> SinkReport {
        let mut changes = self.changes.clone();
        loop {
            let report = self.report();
            if condition(&report) || changes.changed().await.is_err() {
                return report;
            }
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}
