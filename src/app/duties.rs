//! The duties: what we keep in order on platforms by ourselves, one account after the other, on a tick and when woken.
//!
//! A duty reads what people want and what it last did, asks the platform, makes the calls that close the gap and writes down
//! what it did. It can be stopped between any two calls: the next pass finds the rest. A refusal is written down for people;
//! the next pass tries again.

mod join_ways;
mod own_groups;
mod staff_words;
mod templates;
mod transfers;

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::connectors::offers::PlatformError;
use crate::connectors::{Connector, Connectors};
use crate::duties::join_ways::JoinWay;
use crate::duties::own_groups::OwnGroup;
use crate::duties::templates::{Template, templates};
use crate::duties::transfers::Transfer;
use crate::duties::{Config, Failure, Stored, all};
use crate::event::AccountId;
use crate::pipeline::Rules;
use crate::storage::{Change, DocumentKind, SharedStorage, StorageError, Write};
use crate::tasks::Tasks;

/// What duties work with.
pub(crate) struct Duties {
    pub(crate) connectors: Arc<Connectors>,
    pub(crate) storage: SharedStorage,
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    /// By which days are counted.
    pub(crate) time_zone: TimeZone,
    /// Somebody wrote something that a duty is about.
    pub(crate) woken: Notify,
}

/// What people want, read once for all accounts.
struct Round {
    templates: Vec<Stored<Template>>,
    join_ways: Vec<Stored<JoinWay>>,
    transfers: Vec<Stored<Transfer>>,
    own_groups: Vec<Stored<OwnGroup>>,
}

/// One account's turn.
struct Turn<'t> {
    duties: &'t Duties,
    account: &'t AccountId,
    connector: &'t dyn Connector,
    now_ms: i64,
}

impl Duties {
    /// Looks at every account on each tick and whenever woken, until the house closes.
    pub(crate) async fn run(self: Arc<Self>, tasks: Tasks) {
        loop {
            let round = async {
                self.round().await;
                tokio::select! {
                    () = tokio::time::sleep(self.config.tick) => {}
                    () = self.woken.notified() => {}
                }
            };
            tokio::select! {
                () = round => {}
                () = tasks.stopping() => return,
            }
        }
    }

    /// Gives every account its turn.
    pub(crate) async fn round(&self) {
        let round = match self.read().await {
            Ok(round) => round,
            Err(error) => {
                tracing::error!(%error, "what duties are about cannot be read; tried again");
                return;
            }
        };
        for account in self.connectors.accounts() {
            let Some(connector) = self.connectors.get(account.as_str()) else { continue };
            let turn =
                Turn { duties: self, account: &account, connector: &*connector, now_ms: self.clock.now_ms() };
            turn.say("staff_words", turn.staff_words().await);
            turn.say("templates", turn.templates(&round).await);
            turn.say("join_ways", turn.join_ways(&round).await);
            turn.say("orphans", turn.orphans().await);
            turn.say("transfers", turn.transfers(&round).await);
            turn.say("own_groups", turn.own_groups(&round).await);
        }
    }

    async fn read(&self) -> Result<Round, StorageError> {
        let storage = &*self.storage;
        Ok(Round {
            templates: templates(storage).await?,
            join_ways: all(storage, DocumentKind::JoinWay, "").await?,
            transfers: all(storage, DocumentKind::Transfer, "").await?,
            own_groups: all(storage, DocumentKind::OwnGroup, "").await?,
        })
    }
}

impl Turn<'_> {
    fn say(&self, duty: &'static str, done: Result<(), StorageError>) {
        if let Err(error) = done {
            tracing::error!(account.id = %self.account, duty, %error, "a duty could not be looked after; tried again");
        }
    }

    /// Reads how something stands on the platform; as if nothing had been done when there is nothing.
    async fn state<T: DeserializeOwned + Default>(&self, id: &str) -> Result<T, StorageError> {
        let stored = crate::duties::read(&*self.duties.storage, DocumentKind::Pushed, id).await?;
        Ok(stored.map(|stored: Stored<T>| stored.value).unwrap_or_default())
    }

    /// Forgets how something stood.
    async fn forget(&self, id: String) -> Result<(), StorageError> {
        let writes = vec![Write::Delete { kind: DocumentKind::Pushed, id }];
        let change = Change { at_ms: self.now_ms, writes, ..Change::default() };
        self.duties.storage.apply(change).await.map(drop)
    }

    /// Writes how something stands on the platform.
    async fn save<T: Serialize + Sync>(&self, id: &str, state: &T) -> Result<(), StorageError> {
        let key = (DocumentKind::Pushed, id);
        let storage = &*self.duties.storage;
        crate::duties::write(storage, self.now_ms, key, state, None, Vec::new()).await.map(drop)
    }

    /// Says what a platform refused, for people.
    fn failure(&self, error: &PlatformError) -> Failure {
        Failure { at_ms: self.now_ms, code: error.code.clone(), zh: error.zh.clone(), en: error.en.clone() }
    }

    /// An addition has no answer. A person can look whether it is there; we cannot, and a second one would be found by
    /// customers.
    fn lost(&self) -> Failure {
        Failure {
            at_ms: self.now_ms,
            code: "lost".to_owned(),
            zh: "添加时没有收到平台的回答，可能已经加上。请到平台后台查看；要重新添加，再保存一次即可。".to_owned(),
            en: "The platform did not answer when it was added: it may be there. Look in the platform's console; save it \
                 once more to have it added again."
                .to_owned(),
        }
    }

    /// Says whether it is time to ask the platform again.
    fn is_due(&self, compared_ms: i64, has_failed: bool) -> bool {
        let config = &self.duties.config;
        let every = if has_failed { config.retry_every } else { config.compare_every };
        let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        self.now_ms.saturating_sub(compared_ms) >= every_ms
    }
}

/// Says whether the platform's answer means that somebody else removed what we put there.
fn is_gone(error: &PlatformError) -> bool {
    error.code == "not_found"
}

#[cfg(test)]
mod tests;
