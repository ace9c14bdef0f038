//! The duties: what we keep in order on platforms by ourselves, one account after the other, on a tick and when woken.
//!
//! A duty reads what people want and what it last did, asks the platform, makes the calls that close the gap and writes down
//! what it did. It can be stopped between any two calls: the next pass finds the rest. A refusal is written down for people;
//! the next pass tries again.

mod staff_words;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::connectors::offers::PlatformError;
use crate::connectors::{Connector, Connectors};
use crate::duties::{Config, Failure};
use crate::event::AccountId;
use crate::pipeline::Rules;
use crate::storage::{SharedStorage, StorageError};
use crate::tasks::Tasks;

/// What duties work with.
pub(crate) struct Duties {
    pub(crate) connectors: Arc<Connectors>,
    pub(crate) storage: SharedStorage,
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    /// Somebody wrote something that a duty is about.
    pub(crate) woken: Notify,
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
        for account in self.connectors.accounts() {
            let Some(connector) = self.connectors.get(account.as_str()) else { continue };
            let turn =
                Turn { duties: self, account: &account, connector: &*connector, now_ms: self.clock.now_ms() };
            turn.say("staff_words", turn.staff_words().await);
        }
    }
}

impl Turn<'_> {
    fn say(&self, duty: &'static str, done: Result<(), StorageError>) {
        if let Err(error) = done {
            tracing::error!(account.id = %self.account, duty, %error, "a duty could not be looked after; tried again");
        }
    }

    /// Says what a platform refused, for people.
    fn failure(&self, error: &PlatformError) -> Failure {
        Failure { at_ms: self.now_ms, code: error.code.clone(), zh: error.zh.clone(), en: error.en.clone() }
    }

    /// Says whether it is time to ask the platform again.
    fn is_due(&self, compared_ms: i64, has_failed: bool) -> bool {
        let config = &self.duties.config;
        let every = if has_failed { config.retry_every } else { config.compare_every };
        let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        self.now_ms.saturating_sub(compared_ms) >= every_ms
    }
}

#[cfg(test)]
mod tests;
