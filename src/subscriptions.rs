//! Status webhooks (状态推送): who is told of the state changes of broadcasts and deliveries, and how.
//!
//! ```text
//! ledger ─ numbered changes, each in the commit that makes it ─┬─ after the endpoint's position ─ batch ─ signed POST ─ 2xx ─ position
//!                                                               └─ … one queue and one task an endpoint
//! ```
//!
//! Off the sending path: nothing that is sent waits for a subscriber. At least once, in the order of the commits, so also in
//! order within a broadcast; a change has a number (`seq`) by which a receiver knows repeats, a call that is repeated has the
//! same `webhook-id` and body, and each says after which change it follows. What an endpoint could not be told within
//! [`Config::keep`] or [`Config::rows_max`] is forgotten, and `missed` says how much that was.
//!
//! Not for: what a message says (ids and counts only leave the house here), nor for the platform `webhook` (`connectors`).

mod batch;
mod keeping;
mod record;
mod secrets;
mod sender;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use parking_lot::Mutex;
use serde::Deserialize;
use thiserror::Error;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::directory::{KeyError, Keyring};
use crate::event::{Actor, FieldError};
use crate::outbox::retry::Chance;
use crate::storage::{AuditEntry, Change, DocumentKind, SharedStorage, StorageError, Write};
use crate::tasks::Tasks;
use crate::webhooks::address::AddressRules;
use crate::webhooks::client::{ClientConfig, HttpClient};
use batch::Batch;
pub(crate) use batch::shown;
use keeping::Mark;
use record::position_id;
use secrets::fresh_secret;

pub use record::{Endpoint, NewEndpoint, Standing};

/// Limits of this module.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Endpoints there may be.
    pub endpoints_max: usize,
    /// Changes told in one call.
    pub batch_changes_max: NonZeroUsize,
    /// How often it is looked for changes; so long may the first of a batch wait.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub look: Duration,
    /// Longest time for one call.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub timeout: Duration,
    /// Wait after the first call that failed; doubles from there.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub retry_delay: Duration,
    /// Longest such wait.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub retry_delay_max: Duration,
    /// How long changes are kept, for endpoints that do not take them and for those that want to be told again.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub keep: Duration,
    /// Most changes kept.
    pub rows_max: NonZeroU64,
    /// How long the former secret signs as well after it was replaced.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub secret_grace: Duration,
    /// Ranges that calls may go to although they are not public.
    pub allow_private: Vec<IpNet>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoints_max: 20,
            batch_changes_max: NonZeroUsize::new(500).expect("not zero"),
            look: Duration::from_millis(500),
            timeout: Duration::from_secs(15),
            retry_delay: Duration::from_secs(2),
            retry_delay_max: Duration::from_mins(15),
            keep: Duration::from_hours(72),
            rows_max: NonZeroU64::new(1_000_000).expect("not zero"),
            secret_grace: Duration::from_hours(24),
            allow_private: Vec::new(),
        }
    }
}

/// Why an endpoint was not written.
#[derive(Debug, Error)]
pub enum SubscriptionError {
    /// A field cannot be as it is.
    #[error("{}", .0.detail)]
    Field(FieldError),
    /// There is no such endpoint.
    #[error("no such endpoint")]
    NotFound,
    /// Too many.
    #[error("there are {0} endpoints; remove one (`subscriptions.endpoints_max`)")]
    TooMany(usize),
    /// The secret could not be sealed or opened.
    #[error("seal the endpoint's secret")]
    Key(#[from] KeyError),
    /// Storage failed.
    #[error("store an endpoint")]
    Storage(#[from] StorageError),
}

/// An endpoint at work. A write replaces it: the one before is closed.
struct Live {
    id: String,
    endpoint: Endpoint,
    version: u64,
    standing: Mutex<Standing>,
    /// The call that is to be made again.
    pinned: Mutex<Option<Batch>>,
    closed: Notify,
    /// Held while it is being told.
    running: tokio::sync::Mutex<()>,
}

/// From where an endpoint is told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// From the first change since a time.
    Time(i64),
    /// From the change after a number.
    After(u64),
}

/// What is told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// From the change after this number.
    pub after: u64,
    /// So many changes, with those that are of no interest to it.
    pub changes: u64,
    /// What was asked for is kept from its beginning.
    pub complete: bool,
}

/// What a call for trying came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// What the receiver answered, if it did.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// What subscriptions are made of.
pub struct Parts {
    /// The ledger.
    pub storage: SharedStorage,
    /// Seal secrets.
    pub keys: Keyring,
    /// The time.
    pub clock: Clock,
    /// Where endpoints are told.
    pub tasks: Tasks,
    /// Limits.
    pub config: Config,
    /// Where chance starts.
    pub seed: u64,
}

/// All endpoints. One per gateway.
pub struct Subscriptions {
    parts: Parts,
    client: HttpClient,
    live: Mutex<BTreeMap<String, Arc<Live>>>,
    /// Writes come one after another.
    writing: tokio::sync::Mutex<()>,
    chance: Mutex<Chance>,
    marks: Mutex<VecDeque<Mark>>,
}

/// How long a connection waits for its next use; below the keep-alive of common servers.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// How much of an answer is read.
const REPLY_BYTES_MAX: usize = 1024;
/// Most secrets that sign a call: its headers stay small.
const SECRETS_MAX: usize = 3;

impl Subscriptions {
    /// Reads the endpoints there are and begins to tell them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn open(parts: Parts) -> Result<Arc<Self>, SubscriptionError> {
        let client = HttpClient::new(&ClientConfig {
            connect_timeout: parts.config.timeout,
            total_timeout: parts.config.timeout,
            idle_timeout: IDLE_TIMEOUT,
            reply_bytes_max: REPLY_BYTES_MAX,
            addresses: AddressRules::new(parts.config.allow_private.clone()),
        });
        let chance = Mutex::new(Chance::new(parts.seed));
        let (live, writing, marks) = (Mutex::default(), tokio::sync::Mutex::default(), Mutex::default());
        let all = Arc::new(Self { parts, client, live, writing, chance, marks });
        all.read_marks().await?;
        for document in all.parts.storage.documents(DocumentKind::Endpoint, None, 0).await? {
            let mut endpoint = Endpoint::read(&document.id, &document.body)?;
            let version = all.seal_anew(&document.id, &mut endpoint, document.version).await?;
            let position =
                all.parts.storage.document(DocumentKind::Follower, &position_id(&document.id)).await?;
            let standing = position.map(|position| Standing::read(&position.body)).unwrap_or_default();
            all.begin(document.id, endpoint, version, standing);
        }
        let keeper = Arc::clone(&all);
        all.parts.tasks.spawn("subscriptions", keeper.keep());
        Ok(all)
    }

    /// Returns every endpoint with its version and how far it is, in order of ids.
    pub fn list(&self) -> Vec<(String, Endpoint, u64, Standing)> {
        let shown = |live: &Arc<Live>| {
            (live.id.clone(), live.endpoint.clone(), live.version, live.standing.lock().clone())
        };
        self.live.lock().values().map(shown).collect()
    }

    /// Returns the number of the last change there was.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn last(&self) -> Result<u64, StorageError> {
        Ok(self.parts.storage.status_span().await?.last)
    }

    /// Writes an endpoint; the second value is its secret, if it is a fresh one. A new one is told of what happens from now
    /// on.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub async fn put(
        self: &Arc<Self>,
        actor: &Actor,
        id: &str,
        new: NewEndpoint,
        expect: Option<u64>,
    ) -> Result<(u64, Option<String>), SubscriptionError> {
        new.check(id)?;
        let (this, actor, id) = (Arc::clone(self), actor.clone(), id.to_owned());
        self.finish(async move { this.put_now(&actor, id, new, expect).await }).await
    }

    async fn put_now(
        self: &Arc<Self>,
        actor: &Actor,
        id: String,
        new: NewEndpoint,
        expect: Option<u64>,
    ) -> Result<(u64, Option<String>), SubscriptionError> {
        let _one_at_a_time = self.writing.lock().await;
        let former = self.live.lock().get(&id).cloned();
        let count = self.live.lock().len();
        if former.is_none() && count >= self.parts.config.endpoints_max {
            return Err(SubscriptionError::TooMany(count));
        }
        let (secrets, fresh) = self.secrets(&id, former.as_deref(), new.secret)?;
        let NewEndpoint { name, url, subjects, states, enabled, secret: _ } = new;
        let created_by = former
            .as_ref()
            .map_or_else(|| actor.operator.to_string(), |former| former.endpoint.created_by.clone());
        let disabled_because = None;
        let endpoint =
            Endpoint { name, url, subjects, states, enabled, disabled_because, secrets, created_by };
        let mut writes = vec![endpoint.write(&id, expect)];
        let mut standing = Standing::default();
        if former.is_none() {
            standing = Standing::at(self.last().await?);
            writes.push(standing.write(&id));
        }
        let verb = if former.is_some() { "update" } else { "create" };
        let audit = self.audit(actor, verb, &id);
        let audit = audit.with(&serde_json::json!({"url": endpoint.url, "enabled": endpoint.enabled}));
        let version = self.commit(former.as_deref(), self.change(writes, audit)).await?;
        if let Some(former) = former {
            standing = former.standing.lock().clone();
        }
        self.begin(id, endpoint, version, standing);
        Ok((version, fresh))
    }

    /// Has calls signed with a fresh secret, which is returned; the former one signs as well for a while.
    ///
    /// # Errors
    /// When there is no such endpoint, or storage cannot be changed.
    pub async fn rotate(self: &Arc<Self>, actor: &Actor, id: &str) -> Result<String, SubscriptionError> {
        let (this, actor, id) = (Arc::clone(self), actor.clone(), id.to_owned());
        self.finish(async move {
            let _one_at_a_time = this.writing.lock().await;
            let former = this.find(&id)?;
            let fresh = fresh_secret()?;
            let (secrets, _) = this.secrets(&id, Some(&former), Some(fresh.clone()))?;
            let endpoint = Endpoint { secrets, ..former.endpoint.clone() };
            let change = this.change(vec![endpoint.write(&id, None)], this.audit(&actor, "rotate", &id));
            let version = this.commit(Some(&former), change).await?;
            let standing = former.standing.lock().clone();
            this.begin(id, endpoint, version, standing);
            Ok(fresh)
        })
        .await
    }

    /// Tells an endpoint again what it was told before, from a change on, as far as that is kept. Never leaves out what it
    /// was not told yet.
    ///
    /// # Errors
    /// When there is no such endpoint, or storage fails.
    pub async fn replay(
        self: &Arc<Self>,
        actor: &Actor,
        id: &str,
        from: From,
    ) -> Result<Again, SubscriptionError> {
        let (this, actor, id) = (Arc::clone(self), actor.clone(), id.to_owned());
        self.finish(async move { this.replay_now(&actor, &id, from).await }).await
    }

    async fn replay_now(
        self: &Arc<Self>,
        actor: &Actor,
        id: &str,
        from: From,
    ) -> Result<Again, SubscriptionError> {
        let _one_at_a_time = self.writing.lock().await;
        let former = self.find(id)?;
        let wanted = match from {
            From::After(seq) => seq,
            From::Time(from_ms) => self.parts.storage.status_since(from_ms).await?.saturating_sub(1),
        };
        let span = self.parts.storage.status_span().await?;
        former.stop().await; // it moves no further
        let mut standing = former.standing.lock().clone();
        let after = wanted.max(span.first.saturating_sub(1)).min(standing.position);
        (standing.position, standing.told, standing.saved) = (after, after, after);
        standing.round = standing.round.wrapping_add(1);
        let audit = self.audit(actor, "replay", id).with(&serde_json::json!({"after": after}));
        self.commit(Some(&former), self.change(vec![standing.write(id)], audit)).await?;
        self.begin(id.to_owned(), former.endpoint.clone(), former.version, standing);
        let complete = wanted.saturating_add(1) >= span.first;
        Ok(Again { after, changes: span.last.saturating_sub(after), complete })
    }

    /// Makes one call that tells nothing, whether the endpoint is told of changes or not.
    ///
    /// # Errors
    /// When there is no such endpoint, or storage cannot be changed.
    pub async fn test(&self, actor: &Actor, id: &str) -> Result<Tried, SubscriptionError> {
        let live = self.find(id)?;
        let change = self.change(Vec::new(), self.audit(actor, "test", id));
        self.parts.storage.apply(change).await?;
        let began_us = self.parts.clock.steady_us();
        let called = self.call(&live, &batch::test(id, self.parts.clock.now_ms())).await;
        let took_us = self.parts.clock.steady_us().saturating_sub(began_us);
        let took = Duration::from_micros(took_us.unsigned_abs());
        let status = |status: http::StatusCode| status.as_u16();
        Ok(match called {
            Ok(answered) => Tried { status: Some(status(answered)), error: None, took },
            Err(failure) => Tried { status: failure.status.map(status), error: Some(failure.why), took },
        })
    }

    /// Removes an endpoint: it is told nothing more.
    ///
    /// # Errors
    /// When there is none, or storage cannot be changed.
    pub async fn delete(self: &Arc<Self>, actor: &Actor, id: &str) -> Result<(), SubscriptionError> {
        let (this, actor, id) = (Arc::clone(self), actor.clone(), id.to_owned());
        self.finish(async move {
            let _one_at_a_time = this.writing.lock().await;
            let former = this.find(&id)?;
            let delete = |kind, id: String| Write::Delete { kind, id };
            let writes = vec![
                delete(DocumentKind::Endpoint, id.clone()),
                delete(DocumentKind::Follower, position_id(&id)),
            ];
            let change = this.change(writes, this.audit(&actor, "delete", &id));
            this.commit(Some(&former), change).await?;
            this.live.lock().remove(&id);
            Ok(())
        })
        .await
    }

    /// Does a write to its end although whoever asked may hang up: memory says what the ledger says.
    async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, SubscriptionError>> + Send + 'static,
    ) -> Result<T, SubscriptionError> {
        let (tell, told) = tokio::sync::oneshot::channel();
        self.parts.tasks.spawn("endpoint", async move {
            _ = tell.send(work.await); // nobody asks any more
        });
        told.await.unwrap_or(Err(SubscriptionError::Storage(StorageError::Closed)))
    }

    fn find(&self, id: &str) -> Result<Arc<Live>, SubscriptionError> {
        self.live.lock().get(id).cloned().ok_or(SubscriptionError::NotFound)
    }

    fn audit(&self, actor: &Actor, verb: &str, id: &str) -> AuditEntry {
        AuditEntry::by(actor, self.parts.clock.now_ms(), verb, "endpoint", id)
    }

    fn change(&self, writes: Vec<Write>, audit: AuditEntry) -> Change {
        Change { at_ms: self.parts.clock.now_ms(), writes, audit: vec![audit], ..Change::default() }
    }

    /// Ends what the former endpoint has under way, so that it writes nothing after this, and makes the change; returns the
    /// version of what it writes first. When that fails, the former one goes on.
    async fn commit(self: &Arc<Self>, former: Option<&Live>, change: Change) -> Result<u64, StorageError> {
        if let Some(former) = former {
            former.stop().await;
        }
        match self.parts.storage.apply(change).await {
            Ok(versions) => Ok(versions.first().copied().unwrap_or(0)),
            Err(error) => {
                if let Some(Live { id, endpoint, version, standing, .. }) = former {
                    let standing = standing.lock().clone();
                    self.begin(id.clone(), endpoint.clone(), *version, standing);
                }
                Err(error)
            }
        }
    }

    /// Tells an endpoint from now on, in place of a former one.
    fn begin(self: &Arc<Self>, id: String, endpoint: Endpoint, version: u64, standing: Standing) {
        let live = Arc::new(Live {
            id: id.clone(),
            endpoint,
            version,
            standing: Mutex::new(standing),
            pinned: Mutex::new(None),
            closed: Notify::new(),
            running: tokio::sync::Mutex::default(),
        });
        self.live.lock().insert(id, Arc::clone(&live));
        if live.endpoint.enabled {
            self.parts.tasks.spawn("subscription", Arc::clone(self).serve(live));
        }
    }

    /// Tells an endpoint nothing more because its receiver said so, and has people see it.
    async fn disable(self: &Arc<Self>, live: &Live, why: String) -> Result<(), StorageError> {
        let _one_at_a_time = self.writing.lock().await;
        let endpoint = Endpoint { enabled: false, disabled_because: Some(why), ..live.endpoint.clone() };
        let audit = AuditEntry::by_house(self.parts.clock.now_ms(), "disable", "endpoint", &live.id)
            .with(&serde_json::json!({"why": endpoint.disabled_because}));
        let change = self.change(vec![endpoint.write(&live.id, Some(live.version))], audit);
        let version = self.parts.storage.apply(change).await?.first().copied().unwrap_or(0);
        let standing = live.standing.lock().clone();
        self.begin(live.id.clone(), endpoint, version, standing);
        Ok(())
    }
}

impl Live {
    /// Ends what is under way, for good, and waits until it is over. One that was not begun yet ends as it begins.
    async fn stop(&self) {
        self.closed.notify_one();
        drop(self.running.lock().await);
    }
}

impl std::fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriptions").field("endpoints", &self.live.lock().len()).finish_non_exhaustive()
    }
}
