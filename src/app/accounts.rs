//! Keeps platforms connected as accounts are: at start, and whenever one is written.

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
}

impl Accounts {
    /// Connects nothing yet.
    pub fn new(
        directory: Arc<Directory>,
        connectors: Arc<Connectors>,
        outbox: Arc<Outbox>,
        health: Health,
    ) -> Self {
        Self { directory, connectors, outbox, health }
    }

    /// Makes the connectors those of the accounts there are. An account that cannot be connected is reported as degraded;
    /// the others work.
    pub async fn connect_all(&self) {
        let mut specs = Vec::new();
        for account in self.directory.accounts().into_iter().filter(|account| !account.record.disabled) {
            match self.directory.account_spec(account.id.as_str()) {
                Ok(spec) => specs.push(connector_spec(&spec)),
                Err(error) => self.degrade(account.id.as_str(), &error.to_string()),
            }
            self.health.recover(account.id.as_str());
        }
        let ids: Vec<_> = specs.iter().map(|spec| spec.id.clone()).collect();
        for (account, error) in self.connectors.replace(specs) {
            self.degrade(account.as_str(), &error.to_string());
        }
        for account in ids {
            self.outbox.account_changed(&account).await;
        }
    }

    fn degrade(&self, account: &str, reason: &str) {
        tracing::error!(account.id = account, reason, "the account cannot be connected");
        self.health.degrade(account, reason.to_owned());
    }
}
