//! What handlers work with, and the only way to it: [`Cx`], which a request without a caller does not get.
//!
//! Everything below the API is private to this file. A handler asks [`Cx`]; whatever comes out has passed the caller's
//! scope, either in the directory (its `…_in` look-ups) or in [`super::scoped`] (rows of storage).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::FromRequestParts;
use http::request::Parts as RequestParts;
use parking_lot::Mutex;

use super::Config;
use super::error::{ApiError, ApiResult};
use super::ports::{House, Platforms};
use super::stream::Streams;
use crate::access::{Access, Caller};
use crate::alerts::desk::Desk;
use crate::broadcasts::Broadcasts;
use crate::clock::Clock;
use crate::connectors::Connectors;
use crate::directory::Directory;
use crate::event::{Actor, Scope};
use crate::evidence::Evidence;
use crate::fleet::cases::Cases;
use crate::fleet::kicks::Kicks;
use crate::ingest::Ingest;
use crate::notices::Notices;
use crate::outbox::Outbox;
use crate::people::People;
use crate::pipeline::Rules;
use crate::reviews::Reviews;
use crate::statistics::listener;
use crate::statistics::listener::Listener;
use crate::storage::{SharedStorage, Storage, StorageError};
use crate::subscriptions::Subscriptions;
use crate::tasks::Tasks;

/// What the composition root connects.
pub struct Parts {
    /// Limits.
    pub config: Config,
    /// Operators and tokens.
    pub access: Arc<Access>,
    /// Accounts, shops, groups.
    pub directory: Arc<Directory>,
    /// Everything durable.
    pub storage: SharedStorage,
    /// Platforms.
    pub connectors: Arc<Connectors>,
    /// Everything that is sent.
    pub outbox: Arc<Outbox>,
    /// The way in, for verdicts on what came in.
    pub ingest: Arc<Ingest>,
    /// Texts to many groups.
    pub broadcasts: Arc<Broadcasts>,
    /// One thing said to one group or some staff.
    pub notices: Arc<Notices>,
    /// What is not as it should be.
    pub alerts: Arc<Desk>,
    /// Who is told of state changes.
    pub subscriptions: Arc<Subscriptions>,
    /// Original texts that are kept.
    pub evidence: Arc<Evidence>,
    /// What waits for a person.
    pub reviews: Arc<Reviews>,
    /// What is decided about cases.
    pub cases: Arc<Cases>,
    /// Who is kept out of groups.
    pub kicks: Arc<Kicks>,
    /// Tags, values and segments of members.
    pub people: Arc<People>,
    /// Who counts words.
    pub listener: Arc<Listener>,
    /// Words, replies, welcomes: what decides.
    pub rules: Arc<ArcSwap<Rules>>,
    /// Rules, sending and the rest of the running gateway.
    pub house: Arc<dyn House>,
    /// What goes on by itself at accounts.
    pub platforms: Arc<dyn Platforms>,
    /// Time.
    pub clock: Clock,
    /// Serving; streams end when it does.
    pub serving: Tasks,
}

/// The state of the router. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    parts: Parts,
    /// Idempotency keys of requests that are running now.
    running: Mutex<HashSet<String>>,
    /// Streams that may still be opened.
    streams: Streams,
}

impl App {
    /// Connects the API.
    pub fn new(parts: Parts) -> Self {
        let streams = Arc::new(tokio::sync::Semaphore::new(parts.config.streams_max));
        Self(Arc::new(Inner { parts, running: Mutex::new(HashSet::new()), streams }))
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    pub(super) fn access(&self) -> &Access {
        &self.0.parts.access
    }

    pub(super) fn body_bytes_max(&self) -> usize {
        self.0.parts.config.body_bytes_max
    }

    pub(super) fn import_bytes_max(&self) -> usize {
        self.0.parts.config.import_bytes_max
    }

    pub(super) fn import_lines_max(&self) -> usize {
        self.0.parts.config.import_lines_max
    }

    pub(super) fn body_timeout(&self) -> Duration {
        self.0.parts.config.body_timeout
    }
}

/// A request of somebody: the caller, and what they may reach through it.
#[derive(Clone)]
pub(super) struct Cx {
    caller: Caller,
    app: App,
}

impl FromRequestParts<App> for Cx {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut RequestParts, app: &App) -> ApiResult<Self> {
        // Only `guard` puts a caller there, after it has checked the route's right.
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| ApiError::internal(&"a route is not guarded"))?;
        Ok(Self { caller, app: app.clone() })
    }
}

impl Cx {
    /// Returns who asks.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Returns who asks, as the audit log names them.
    pub(super) fn actor(&self) -> &Actor {
        self.caller.actor()
    }

    /// Returns what they may see and act on.
    pub(super) fn scope(&self) -> &Scope {
        self.caller.scope()
    }

    /// Returns the limits.
    pub(super) fn config(&self) -> &Config {
        &self.app.0.parts.config
    }

    /// Returns operators and tokens; each look-up takes the caller.
    pub(super) fn access(&self) -> &Access {
        &self.app.0.parts.access
    }

    /// Returns the directory; handlers use its look-ups within a scope.
    pub(super) fn directory(&self) -> &Arc<Directory> {
        &self.app.0.parts.directory
    }

    /// Returns the platforms.
    pub(super) fn connectors(&self) -> &Connectors {
        &self.app.0.parts.connectors
    }

    /// Returns everything that is sent.
    pub(super) fn outbox(&self) -> &Outbox {
        &self.app.0.parts.outbox
    }

    /// Returns the way in.
    pub(super) fn ingest(&self) -> &Ingest {
        &self.app.0.parts.ingest
    }

    /// Returns texts to many groups.
    pub(super) fn broadcasts(&self) -> &Broadcasts {
        &self.app.0.parts.broadcasts
    }

    /// Returns what is said to one group or some staff.
    pub(super) fn notices(&self) -> &Notices {
        &self.app.0.parts.notices
    }

    /// Returns what is not as it should be; handlers show it through [`super::alerts`], within the scope.
    pub(super) fn alerts(&self) -> &Desk {
        &self.app.0.parts.alerts
    }

    /// Returns who is told of state changes.
    pub(super) fn subscriptions(&self) -> &Arc<Subscriptions> {
        &self.app.0.parts.subscriptions
    }

    /// Returns original texts that are kept; handlers find and open them through [`super::evidence`].
    pub(super) fn evidence(&self) -> &Evidence {
        &self.app.0.parts.evidence
    }

    /// Returns who is kept out of groups.
    pub(super) fn kicks(&self) -> &Kicks {
        &self.app.0.parts.kicks
    }

    /// Returns what is decided about cases.
    pub(super) fn fleet(&self) -> &Cases {
        &self.app.0.parts.cases
    }

    /// Returns what waits for a person.
    pub(super) fn reviews(&self) -> &Reviews {
        &self.app.0.parts.reviews
    }

    /// Returns tags, values and segments; handlers name the groups they may ask about.
    pub(super) fn people(&self) -> &People {
        &self.app.0.parts.people
    }

    /// Returns how words are counted, and from how many people on figures may be shown apart.
    pub(super) fn statistics_config(&self) -> &listener::Config {
        self.app.0.parts.listener.config()
    }

    /// Returns what decides at this moment.
    pub(super) fn rules(&self) -> Arc<Rules> {
        self.app.0.parts.rules.load_full()
    }

    /// Returns rules, sending and the rest.
    pub(super) fn house(&self) -> &dyn House {
        &*self.app.0.parts.house
    }

    /// Returns what goes on by itself at accounts.
    pub(super) fn platforms(&self) -> &dyn Platforms {
        &*self.app.0.parts.platforms
    }

    /// Returns streams that may still be opened.
    pub(super) fn streams(&self) -> &Streams {
        &self.app.0.streams
    }

    /// Returns the task that serves.
    pub(super) fn serving(&self) -> &Tasks {
        &self.app.0.parts.serving
    }

    /// Returns the time.
    pub(super) fn now_ms(&self) -> i64 {
        self.app.0.parts.clock.now_ms()
    }

    /// Returns the rows of a page: as asked, the default, never more than the cap.
    pub(super) fn page_rows(&self, asked: Option<usize>) -> ApiResult<usize> {
        let (default, max) = (self.config().page_rows_default, self.config().page_rows_max);
        match asked.unwrap_or(default) {
            0 => Err(ApiError::unreadable("", "query", "the query: `limit` must be at least 1")),
            rows => Ok(rows.min(max)),
        }
    }

    pub(super) fn storage(&self) -> &SharedStorage {
        &self.app.0.parts.storage
    }

    /// Keys of requests that are running now.
    pub(super) fn running(&self) -> &Mutex<HashSet<String>> {
        &self.app.0.running
    }

    /// Asks storage off the async workers.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Storage) -> Result<T, StorageError> + Send + 'static,
    ) -> ApiResult<T> {
        let storage = Arc::clone(self.storage());
        let done = tokio::task::spawn_blocking(move || ask(&*storage)).await;
        Ok(done.map_err(|error| ApiError::internal(&error))??)
    }
}
