//! Who may do what, where: operators (people), their tokens (programs), rights and scopes.
//!
//! Not for: what belongs where (that is `directory`), nor how a refusal looks over HTTP (that is `api`).
//!
//! Invariants: a token never does more than its operator may at this moment (rights and scope are cut together at every
//! change of either); of a secret only its SHA-256 is kept; nobody hands on more than they have; there is always one
//! operator left who may do everything.
//!
//! [`Access::authenticate`] is on the hot path: one load of an immutable table, one hash, no lock, no I/O.

mod records;
mod requests;
mod rights;
mod secret;
mod write;
mod write_token;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Deserialize;
use thiserror::Error;

use crate::clock::Clock;
use crate::event::{Actor, FieldError, OperatorId, Scope, TokenId};
use crate::storage::{DocumentKind, SharedStorage, StorageError};
use crate::tasks::Tasks;

pub use records::{Operator, OperatorSpec, Stored, Token, TokenSpec};
use requests::Requests;
pub use requests::{Admission, POLICY, RequestLimit};
pub use rights::{Right, Rights};
use secret::SecretHash;
pub use secret::{PREFIX, TokenSecret};
pub use write_token::NewToken;

/// The name that stands in the audit log for the command line on the data directory.
pub const LOCAL_OPERATOR: &str = "local";
/// The operator that the first start makes.
pub const FIRST_OPERATOR: &str = "admin";
/// Documents read in one go at start.
const LOAD_PAGE: usize = 500;

/// Limits of this module.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many requests each token may make.
    pub requests: RequestLimit,
    /// Most operators.
    pub operators_max: usize,
    /// Most tokens of all operators together.
    pub tokens_max: usize,
    /// Most names in one scope.
    pub scope_names_max: usize,
    /// How often "last used" of a token is written, at most.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub last_used_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            requests: RequestLimit::parse("pace:6000/m,max_burst=600").expect("a constant, tested"),
            operators_max: 1_000,
            tokens_max: 10_000,
            scope_names_max: 1_000,
            last_used_every: Duration::from_mins(1),
        }
    }
}

/// Why access was not given, or not changed.
#[derive(Debug, Error)]
pub enum AccessError {
    /// No `Authorization: Bearer …` header.
    #[error("send `Authorization: Bearer {PREFIX}<id>_<secret>`")]
    Missing,
    /// Not a token of ours, or one that was revoked; which of the two is not told.
    #[error("the token is unknown or was revoked")]
    Unknown,
    /// The right secret, too late.
    #[error("the token has expired")]
    Expired,
    /// The operator it belongs to may not sign in now.
    #[error("the operator of this token is disabled")]
    Disabled,
    /// No such operator or token, or outside the scope.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The caller would hand on more than they have.
    #[error("nobody can give what they do not have: {0}")]
    Beyond(String),
    /// It would leave nobody who may do everything.
    #[error("this is the last operator with the right `admin` and the whole scope; make another one first")]
    LastAdministrator,
    /// A field is wrong.
    #[error("the request has invalid fields")]
    Invalid(Vec<FieldError>),
    /// A limit of the configuration.
    #[error("there are {max} {what} already, the most that `{key}` allows")]
    TooMany {
        /// What there is too many of.
        what: &'static str,
        /// The limit.
        max: usize,
        /// Its configuration key.
        key: &'static str,
    },
    /// The system gave no randomness.
    #[error("draw a secret: the system gave no randomness")]
    Randomness,
    /// Storage failed, or somebody else's write came first.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Somebody who was let in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    actor: Arc<Actor>,
    rights: Rights,
}

impl Caller {
    /// Makes a caller by hand: for the control socket and tests.
    pub fn new(actor: Actor, rights: Rights) -> Self {
        Self { actor: Arc::new(actor), rights }
    }

    /// The command line on the data directory: whoever may open its files may do everything.
    pub fn local() -> Self {
        let operator = OperatorId::parse(LOCAL_OPERATOR).expect("a constant, tested");
        Self::new(Actor { operator, token: None, scope: Scope::everything() }, Rights::all())
    }

    /// Who they are and what they may see.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// What they may see and act on.
    pub fn scope(&self) -> &Scope {
        &self.actor.scope
    }

    /// What they may do.
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// Says whether they may do this.
    pub fn may(&self, right: Right) -> bool {
        self.rights.has(right)
    }
}

/// A token as the hot path needs it.
#[derive(Debug)]
struct Grant {
    hash: SecretHash,
    caller: Caller,
    disabled: bool,
    expires_ms: Option<i64>,
    used_ms: AtomicI64,
    stored: Stored<Token>,
}

/// Everything about operators and tokens at one moment; replaced whole.
#[derive(Debug, Default, Clone)]
struct Table {
    operators: HashMap<OperatorId, Arc<Stored<Operator>>>,
    grants: HashMap<Box<str>, Arc<Grant>>,
}

/// Operators and tokens. One per process; owns the table, storage owns the truth.
pub struct Access {
    storage: SharedStorage,
    clock: Clock,
    config: Config,
    table: ArcSwap<Table>,
    /// One change at a time, so that the table is replaced in the order of the commits.
    changing: tokio::sync::Mutex<()>,
    requests: Requests,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let table = self.table.load();
        write!(f, "Access({} operators, {} tokens)", table.operators.len(), table.grants.len())
    }
}

impl Access {
    /// Reads operators and tokens.
    ///
    /// # Errors
    /// When storage fails, or holds what this version cannot read.
    pub async fn open(storage: SharedStorage, clock: Clock, config: Config) -> Result<Self, AccessError> {
        let mut table = Table::default();
        for document in all(&storage, DocumentKind::Operator).await? {
            let operator: Stored<Operator> = records::read(&document)?;
            table.operators.insert(records::operator_id(&document)?, Arc::new(operator));
        }
        for document in all(&storage, DocumentKind::Token).await? {
            let stored: Stored<Token> = records::read(&document)?;
            table.insert(&records::token_id(&document)?, stored)?;
        }
        let requests = Requests::new(config.requests);
        let changing = tokio::sync::Mutex::new(());
        Ok(Self { storage, clock, config, table: ArcSwap::from_pointee(table), changing, requests })
    }

    /// Finds out who presents an `Authorization` header. No I/O.
    ///
    /// # Errors
    /// `Missing`, `Unknown`, `Expired` or `Disabled`; the caller learns nothing about tokens they do not hold.
    pub fn authenticate(&self, authorization: &str) -> Result<Caller, AccessError> {
        let (scheme, token) = authorization.trim().split_once(' ').ok_or(AccessError::Missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AccessError::Missing);
        }
        let (id, secret) = secret::split(token.trim()).ok_or(AccessError::Unknown)?;
        let table = self.table.load();
        let grant = table.grants.get(id).ok_or(AccessError::Unknown)?;
        if !grant.hash.matches(secret) {
            return Err(AccessError::Unknown);
        }
        let now_ms = self.clock.now_ms();
        if grant.expires_ms.is_some_and(|expires_ms| now_ms >= expires_ms) {
            return Err(AccessError::Expired);
        }
        if grant.disabled {
            return Err(AccessError::Disabled);
        }
        grant.used_ms.store(now_ms, Ordering::Relaxed);
        Ok(grant.caller.clone())
    }

    /// Takes one request from the caller's budget; `None` for a caller without a token, who has no limit.
    pub fn admit(&self, caller: &Caller) -> Option<Admission> {
        caller.actor.token.as_ref().map(|token| self.requests.check(token))
    }

    /// Returns the value of the `RateLimit-Policy` header.
    pub fn request_policy(&self) -> String {
        self.requests.policy()
    }

    /// Writes "last used" every now and then until told to stop, and once more at the end.
    pub async fn run(self: Arc<Self>, tasks: Tasks) {
        let mut every = tokio::time::interval(self.config.last_used_every.max(Duration::from_secs(1)));
        loop {
            let stop = tokio::select! {
                _ = every.tick() => false,
                () = tasks.stopping() => true,
            };
            if let Err(error) = self.flush_last_used().await {
                tracing::warn!(error = %error, "write when tokens were last used; tried again later");
            }
            self.requests.forget_idle();
            if stop {
                return;
            }
        }
    }
}

impl Table {
    /// Puts a token in, cut to what its operator may. A token without operator gives nothing.
    fn insert(&mut self, id: &TokenId, stored: Stored<Token>) -> Result<(), AccessError> {
        let token = &stored.record;
        let hash = SecretHash::of_hex(&token.sha256).ok_or_else(|| StorageError::Unreadable {
            what: format!("token {id}"),
            detail: "its hash is damaged; revoke it".to_owned(),
        })?;
        let operator = self.operators.get(&token.operator);
        let rights = operator.map_or_else(Rights::default, |o| o.record.rights.and(token.rights));
        let outer = operator.map_or_else(Scope::default, |o| o.record.scope.clone());
        let scope = token.scope.clone().limited_to(Arc::new(outer));
        let actor = Actor { operator: token.operator.clone(), token: Some(id.clone()), scope };
        let grant = Grant {
            hash,
            caller: Caller::new(actor, rights),
            disabled: operator.is_none_or(|o| o.record.disabled),
            expires_ms: token.expires_ms,
            used_ms: AtomicI64::new(token.last_used_ms.unwrap_or(0)),
            stored,
        };
        if let Some(before) = self.grants.get(id.as_str()) {
            grant.used_ms.fetch_max(before.used_ms.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.grants.insert(Box::from(id.as_str()), Arc::new(grant));
        Ok(())
    }
}

/// Reads every document of a kind.
async fn all(
    storage: &SharedStorage,
    kind: DocumentKind,
) -> Result<Vec<crate::storage::Document>, StorageError> {
    let mut documents = Vec::new();
    loop {
        let after = documents.last().map(|d: &crate::storage::Document| d.id.clone());
        let page = storage.documents(kind, after, LOAD_PAGE).await?;
        let last = page.len() < LOAD_PAGE;
        documents.extend(page);
        if last {
            return Ok(documents);
        }
    }
}
