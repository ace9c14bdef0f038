//! Keeps platforms connected as accounts are: at start, and whenever one is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::connector_spec;
use crate::connectors::Connectors;
use crate::directory::Directory;
use crate::outbox::Outbox;
use crate::telemetry::health::Health;

/// Turns what the directory knows of accounts into connectors.
pub struct Accounts {
    directory: Arc<Directory>,
    connectors: Arc<Connectors>,
    outbox: Arc<Outbox>,
    health: Health,
    /// Held while accounts are connected: who looked at the directory first must not have the last word.
    connecting: tokio::sync::Mutex<()>,
}

impl Accounts {
    /// Connects nothing yet.
    pub fn new(
        directory: Arc<Directory>,
        connectors: Arc<Connectors>,
        outbox: Arc<Outbox>,
        health: Health,
    ) -> Self {
        Self { directory, connectors, outbox, health, connecting: tokio::sync::Mutex::default() }
    }

    /// Makes the connectors those of the accounts there are. An account that cannot be connected is reported as degraded;
    /// the others work. One that is gone or disabled by now starts no call any more when this returns.
    pub async fn connect_all(&self) {
        let _one_at_a_time = self.connecting.lock().await;
        let mut changed: BTreeSet<_> = self.connectors.accounts().into_iter().collect();
        let mut specs = Vec::new();
        for account in self.directory.accounts().into_iter().filter(|account| !account.record.disabled) {
            self.health.recover(account.id.as_str());
            match self.directory.account_spec(account.id.as_str()) {
                Ok(spec) => specs.push(connector_spec(&spec)),
                Err(error) => self.degrade(account.id.as_str(), &error.to_string()),
            }
        }
        changed.extend(specs.iter().map(|spec| spec.id.clone()));
        for (account, error) in self.connectors.replace(specs) {
            self.degrade(account.as_str(), &error.to_string());
        }
        // Those that are not connected any more have to hear of it too: their lanes still hold the way out.
        let connected = self.connectors.accounts();
        for account in changed {
            if !connected.contains(&account)
                && self.directory.account(account.as_str()).is_none_or(|a| a.record.disabled)
            {
                self.health.recover(account.as_str());
            }
            self.outbox.account_changed(&account).await;
        }
    }

    fn degrade(&self, account: &str, reason: &str) {
        tracing::error!(account.id = account, reason, "the account cannot be connected");
        self.health.degrade(account, reason.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::clock::Clock;
    use crate::connectors::testing::MemoryStates;
    use crate::connectors::{self, Connectors};
    use crate::directory::{self, Keyring};
    use crate::event::{AccountId, Actor, OperatorId, Scope};
    use crate::outbox::testing::{delivery, reply};
    use crate::outbox::why::Wait;
    use crate::outbox::{self, row_of};
    use crate::storage::{self, DeliveryState, memory};
    use crate::tasks::{TasksOwner, detached};

    struct House {
        accounts: Accounts,
        actor: Actor,
        demo: AccountId,
        _tasks: Arc<TasksOwner>,
    }

    impl House {
        async fn open() -> Self {
            let clock = Clock::manual(1_795_759_380_000);
            let storage = memory::open(&memory::Disk::new([1; 16]), &storage::Config::default()).unwrap();
            let epoch = storage.lease("test").await.unwrap();
            let keys = Keyring::parse("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
            let directory =
                Directory::open(storage.clone(), clock.clone(), directory::Config::default(), keys);
            let directory = Arc::new(directory.await.unwrap());
            let states = Arc::new(MemoryStates::default());
            let connectors = Arc::new(Connectors::new(connectors::Config::default(), clock.clone(), states));
            let (tasks, owner) = detached();
            let outbox = Outbox::start(outbox::Parts {
                storage,
                deliverers: connectors.clone(),
                places: directory.clone(),
                tasks,
                clock,
                config: outbox::Config::default(),
                epoch,
                seed: 7,
            });
            let accounts = Accounts::new(directory, connectors, outbox.await.unwrap(), Health::default());
            let actor =
                Actor { operator: OperatorId::parse("op").unwrap(), token: None, scope: Scope::everything() };
            Self { accounts, actor, demo: AccountId::parse("demo").unwrap(), _tasks: owner }
        }

        /// Writes the account as `PUT /v1/accounts/demo` does.
        async fn write(&self, disabled: bool) {
            let spec = json!({"platform": "sandbox", "disabled": disabled});
            let spec = serde_json::from_value(spec).unwrap();
            let directory = &self.accounts.directory;
            directory.put_account(&self.actor, &self.demo, spec, None, |_| Ok(())).await.unwrap();
            self.accounts.connect_all().await;
        }

        async fn submit(&self, number: u32) -> Vec<Wait> {
            let delivery = delivery(&reply(number, "g-1", 0));
            let row = row_of(&delivery, None, DeliveryState::Pending, 0);
            self.accounts.outbox.submit(vec![delivery]);
            // The lane answers in order: when it has, it has seen the delivery too.
            self.accounts.outbox.why(&row).await
        }

        async fn sent(&self, count: u64) {
            for _ in 0..2_000 {
                if self.accounts.connectors.sandbox_log().recorded() == count {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            panic!("{} sent, not {count}", self.accounts.connectors.sandbox_log().recorded());
        }
    }

    #[tokio::test]
    async fn an_account_that_is_disabled_sends_and_takes_nothing_from_then_on() {
        let house = House::open().await;
        house.write(false).await;
        house.submit(1).await;
        house.sent(1).await;

        house.write(true).await;
        assert!(house.accounts.connectors.get("demo").is_none(), "its callbacks are refused");
        assert_eq!(house.submit(2).await.first(), Some(&Wait::NoConnector));
        assert_eq!(house.submit(3).await.first(), Some(&Wait::NoConnector));
        assert_eq!(house.accounts.connectors.sandbox_log().recorded(), 1);

        house.write(false).await;
        house.sent(3).await;
    }

    #[tokio::test]
    async fn an_account_that_is_deleted_sends_nothing_from_then_on() {
        let house = House::open().await;
        house.write(false).await;
        house.submit(1).await;
        house.sent(1).await;
        house.accounts.directory.delete_account(&house.actor, "demo").await.unwrap();
        house.accounts.connect_all().await;
        assert_eq!(house.submit(2).await.first(), Some(&Wait::NoConnector));
        assert_eq!(house.accounts.connectors.sandbox_log().recorded(), 1);
    }
}
