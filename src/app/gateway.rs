//! The gateway as a whole: what is connected to what, what runs in the background, and in which order it ends.
//!
//! Start: storage → people and places → platforms → rules → partitions → outbox → broadcasts → fleet → listeners.
//! Drain: not ready → wait `drain.delay` → stop accepting and finish requests → let calls in flight end, start no more →
//! stop background work → close storage. Bounded by `drain.timeout`; a second signal ends at once.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::rules::Rulebook;
use super::upkeep;
use crate::access::Access;
use crate::api::{self, AppState};
use crate::broadcasts::Broadcasts;
use crate::clock::Clock;
use crate::config::{Config, Drain};
use crate::connectors::Connectors;
use crate::directory::{Directory, Keyring};
use crate::fleet;
use crate::ingest::{self, Ingest, Partitions};
use crate::outbox::{Outbox, delivery::Delivery};
use crate::pipeline::Limits;
use crate::storage::{SharedStorage, sqlite};
use crate::tasks::{Tasks, TasksOwner, tasks};
use crate::telemetry::health::{Check, Health};
use crate::telemetry::listener::Listener;

/// A gateway that was built and listens; nothing is answered before [`Gateway::run`].
pub struct Gateway {
    api: SocketAddr,
    metrics: SocketAddr,
    admin_token: Option<String>,
    drain: Drain,
    health: Health,
    storage_check: Check,
    storage: SharedStorage,
    outbox: Outbox,
    rulebook: Arc<Rulebook>,
    /// Accepts connections: stopped first.
    serving: TasksOwner,
    server: JoinHandle<()>,
    /// Everything else: stopped last.
    work: TasksOwner,
}

/// Why a gateway ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody asked it to.
    Asked,
    /// A background task panicked.
    Failed(&'static str),
}
