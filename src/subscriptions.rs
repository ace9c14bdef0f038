//! Status webhooks (状态推送): who is told of the state changes of broadcasts and deliveries, and how.
//!
//! ```text
//! ledger ─ numbered changes, each in the commit that makes it ─┬─ after the endpoint's position ─ batch ─ signed POST ─ 2xx ─ position
//!                                                               └─ … one queue and one task an endpoint
//! ```
//!
//! Off the sending path: nothing that is sent waits for a subscriber. At least once, in the order of the commits, so also in
//! order within a broadcast; a change has a number (`seq`) by which a receiver knows repeats, and a call that is repeated has
//! the same `webhook-id` and body. What an endpoint could not be told within [`Config::keep`] or [`Config::rows_max`] is
//! forgotten, and `missed` says how much that was.
//!
//! Not for: what a message says (ids and counts only leave the house here), nor for the platform `webhook` (`connectors`).

mod batch;
mod sender;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::directory::{KeyError, Keyring, Sealed};
use crate::event::{Actor, FieldError};
use crate::outbox::retry::Chance;
use crate::storage::{
    AuditEntry, Change, DocumentKind, SharedStorage, StatusChange, StorageError, Subject, Write,
};
use crate::tasks::Tasks;
use crate::webhooks::SignKey;
use crate::webhooks::address::{AddressRules, parse_url};
use crate::webhooks::client::{ClientConfig, HttpClient};
use batch::Batch;

/// Limits of this module.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Endpoints there may be.
    pub endpoints_max: usize,
    /// Changes told in one call.
    pub batch_changes_max: usize,
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
    /// How long changes are kept for an endpoint that does not take them.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub keep: Duration,
    /// Most changes kept.
    pub rows_max: u64,
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
            batch_changes_max: 500,
            look: Duration::from_millis(500),
            timeout: Duration::from_secs(15),
            retry_delay: Duration::from_secs(2),
            retry_delay_max: Duration::from_mins(15),
            keep: Duration::from_hours(72),
            rows_max: 1_000_000,
            secret_grace: Duration::from_hours(24),
            allow_private: Vec::new(),
        }
    }
}

/// Somebody who is told, as the ledger has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// For people.
    pub name: String,
    /// Where calls go.
    pub url: String,
    /// What they want to hear of; empty: everything.
    pub subjects: BTreeSet<Subject>,
    /// Which states; empty: all.
    pub states: BTreeSet<String>,
    /// They are told.
    pub enabled: bool,
    /// Sign calls; the newest first.
    secrets: Vec<Secret>,
    /// Who made it.
    pub created_by: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Secret {
    sealed: Sealed,
    /// It signs until then; `None`: it is the current one.
    until_ms: Option<i64>,
}

impl Endpoint {
    fn wants(&self, change: &StatusChange) -> bool {
        (self.subjects.is_empty() || self.subjects.contains(&change.subject))
            && (self.states.is_empty() || self.states.contains(&change.state))
    }
}

/// What somebody wants to be told.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// For people.
    pub name: String,
    /// Where calls go.
    pub url: String,
    /// What they want to hear of; empty: everything.
    pub subjects: BTreeSet<Subject>,
    /// Which states; empty: all.
    pub states: BTreeSet<String>,
    /// They are told.
    pub enabled: bool,
    /// Signs calls; `None`: the one there is, or a fresh one.
    pub secret: Option<String>,
}

/// How far an endpoint is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Up to which change it was told.
    pub position: u64,
    /// Changes that were forgotten before it could be told.
    pub missed: u64,
    /// When a call last arrived.
    pub told_ms: Option<i64>,
    /// Since when none does.
    pub failing_since_ms: Option<i64>,
    /// What the last one that did not came to.
    pub error: Option<String>,
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
}

/// How long a connection waits for its next use; below the keep-alive of common servers.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// How much of an answer is read.
const REPLY_BYTES_MAX: usize = 1024;
/// Longest id, so that a call's id fits its header.
const ID_BYTES_MAX: usize = 20;

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
        let (live, writing) = (Mutex::default(), tokio::sync::Mutex::default());
        let all = Arc::new(Self { parts, client, live, writing, chance });
        for document in all.parts.storage.documents(DocumentKind::Endpoint, None, 0).await? {
            let endpoint = read(&document.id, &document.body)?;
            let standing = all.stored_standing(&document.id).await?;
            all.begin(document.id, endpoint, document.version, standing);
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
        check(id, &new)?;
        let _one_at_a_time = self.writing.lock().await;
        let former = self.live.lock().get(id).cloned();
        let count = self.live.lock().len();
        if former.is_none() && count >= self.parts.config.endpoints_max {
            return Err(SubscriptionError::TooMany(count));
        }
        let now_ms = self.parts.clock.now_ms();
        let (secrets, fresh) = self.secrets(id, former.as_deref(), new.secret, now_ms)?;
        let NewEndpoint { name, url, subjects, states, enabled, secret: _ } = new;
        let created_by = former
            .as_ref()
            .map_or_else(|| actor.operator.to_string(), |former| former.endpoint.created_by.clone());
        let endpoint = Endpoint { name, url, subjects, states, enabled, secrets, created_by };
        let body = serde_json::to_string(&endpoint).expect("an endpoint holds nothing that JSON cannot say");
        let mut writes = vec![Write::Put { kind: DocumentKind::Endpoint, id: id.to_owned(), body, expect }];
        let standing = if let Some(former) = &former {
            former.standing.lock().clone()
        } else {
            let position = self.parts.storage.status_span().await?.last;
            let standing = Standing { position, ..Standing::default() };
            writes.push(position_of(id, position));
            standing
        };
        let verb = if former.is_some() { "update" } else { "create" };
        let audit = AuditEntry::by(actor, now_ms, verb, "endpoint", id)
            .with(&serde_json::json!({"url": endpoint.url, "enabled": endpoint.enabled}));
        let change = Change { at_ms: now_ms, writes, audit: vec![audit], ..Change::default() };
        let version = self.parts.storage.apply(change).await?.first().copied().unwrap_or(0);
        if let Some(former) = former {
            former.closed.notify_one();
        }
        self.begin(id.to_owned(), endpoint, version, standing);
        Ok((version, fresh))
    }

    /// Removes an endpoint: it is told nothing more.
    ///
    /// # Errors
    /// When there is none, or storage cannot be changed.
    pub async fn delete(&self, actor: &Actor, id: &str) -> Result<(), SubscriptionError> {
        let _one_at_a_time = self.writing.lock().await;
        let live = self.live.lock().get(id).cloned().ok_or(SubscriptionError::NotFound)?;
        let delete = |kind, id: String| Write::Delete { kind, id };
        let change = Change {
            at_ms: self.parts.clock.now_ms(),
            writes: vec![
                delete(DocumentKind::Endpoint, id.to_owned()),
                delete(DocumentKind::Follower, position_id(id)),
            ],
            audit: vec![AuditEntry::by(actor, self.parts.clock.now_ms(), "delete", "endpoint", id)],
            ..Change::default()
        };
        self.parts.storage.apply(change).await?;
        live.closed.notify_one();
        self.live.lock().remove(id);
        Ok(())
    }

    fn begin(self: &Arc<Self>, id: String, endpoint: Endpoint, version: u64, standing: Standing) {
        let live = Arc::new(Live {
            id: id.clone(),
            endpoint,
            version,
            standing: Mutex::new(standing),
            pinned: Mutex::new(None),
            closed: Notify::new(),
        });
        self.live.lock().insert(id, Arc::clone(&live));
        if live.endpoint.enabled {
            self.parts.tasks.spawn("subscription", Arc::clone(self).serve(live));
        }
    }

    /// Returns the secrets that sign from now on, and the new one in the clear if we made it.
    fn secrets(
        &self,
        id: &str,
        former: Option<&Live>,
        given: Option<String>,
        now_ms: i64,
    ) -> Result<(Vec<Secret>, Option<String>), SubscriptionError> {
        let mut secrets = former.map(|former| former.endpoint.secrets.clone()).unwrap_or_default();
        let fresh = match (&given, secrets.is_empty()) {
            (Some(_), _) => None,
            (None, true) => Some(fresh_secret()?),
            (None, false) => return Ok((secrets, None)),
        };
        let grace_ms = i64::try_from(self.parts.config.secret_grace.as_millis()).unwrap_or(i64::MAX);
        for secret in &mut secrets {
            secret.until_ms.get_or_insert(now_ms.saturating_add(grace_ms));
        }
        secrets.retain(|secret| secret.until_ms.is_some_and(|until_ms| until_ms > now_ms));
        let plain = given.or_else(|| fresh.clone()).unwrap_or_default();
        let sealed = self.parts.keys.seal(&purpose(id), &plain)?;
        secrets.insert(0, Secret { sealed, until_ms: None });
        Ok((secrets, fresh))
    }

    fn sign_keys(&self, live: &Live) -> Result<Vec<SignKey>, SubscriptionError> {
        let now_ms = self.parts.clock.now_ms();
        let valid = |secret: &&Secret| secret.until_ms.is_none_or(|until_ms| until_ms > now_ms);
        let mut keys = Vec::new();
        for secret in live.endpoint.secrets.iter().filter(valid) {
            let plain = self.parts.keys.open(&purpose(&live.id), &secret.sealed)?;
            keys.extend(SignKey::parse(&plain));
        }
        Ok(keys)
    }

    async fn stored_standing(&self, id: &str) -> Result<Standing, StorageError> {
        let document = self.parts.storage.document(DocumentKind::Follower, &position_id(id)).await?;
        let stored: Position =
            document.and_then(|document| serde_json::from_str(&document.body).ok()).unwrap_or_default();
        Ok(Standing { position: stored.position, ..Standing::default() })
    }
}

impl std::fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriptions").field("endpoints", &self.live.lock().len()).finish_non_exhaustive()
    }
}

/// Up to which change an endpoint was told.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Position {
    position: u64,
}

fn position_id(id: &str) -> String {
    format!("endpoint:{id}")
}

fn position_of(id: &str, position: u64) -> Write {
    let body = serde_json::to_string(&Position { position }).unwrap_or_default(); // a number: cannot fail
    Write::Put { kind: DocumentKind::Follower, id: position_id(id), body, expect: None }
}

fn purpose(id: &str) -> String {
    format!("endpoint/{id}")
}

fn fresh_secret() -> Result<String, KeyError> {
    use base64::Engine as _;
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| KeyError::Randomness)?;
    Ok(format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(bytes)))
}

fn read(id: &str, body: &str) -> Result<Endpoint, StorageError> {
    serde_json::from_str(body).map_err(|error| StorageError::Unreadable {
        what: format!("endpoint `{id}`"),
        detail: error.to_string(),
    })
}

fn check(id: &str, new: &NewEndpoint) -> Result<(), SubscriptionError> {
    let field = |pointer: &str, code: &str, detail: String| {
        SubscriptionError::Field(FieldError::new(pointer, code, detail))
    };
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(is_plain) {
        return Err(SubscriptionError::NotFound);
    }
    if let Err(error) = parse_url(&new.url) {
        return Err(field("/url", "form", error.to_string()));
    }
    if new.name.chars().count() > 100 {
        return Err(field("/name", "too_long", "at most 100 characters".to_owned()));
    }
    if new.states.len() > 32 || new.states.iter().any(|state| state.len() > 32) {
        return Err(field("/states", "too_many", "at most 32 short words".to_owned()));
    }
    if let Some(Err(error)) = new.secret.as_deref().map(SignKey::parse) {
        return Err(field("/secret", "form", error.to_string()));
    }
    Ok(())
}
