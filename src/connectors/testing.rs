//! What connectors are given in tests: a state in memory, and a sink that remembers.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::offers::{ConnectorState, ConnectorStates, StateError};
use super::registry::PLATFORMS;
use super::wecom::{self, Wecom};
use super::{AccountSpec, Config, Connector, Connectors};
use crate::clock::Clock;
use crate::event::AccountId;

/// A connector of each platform, with settings that do nothing in particular.
pub(crate) fn one_of_each() -> Vec<(&'static str, Arc<dyn Connector>)> {
    let registry = Connectors::new(Config::default(), Clock::manual(0), Arc::new(MemoryStates::default()));
    let spec = |platform: &str| match platform {
        Wecom::PLATFORM => wecom::testing::spec(),
        _ => AccountSpec {
            id: AccountId::parse("a").unwrap(),
            platform: platform.to_owned(),
            settings: serde_json::Value::Null,
            secrets: Vec::new(),
            limits: Vec::new(),
            group_limits: Vec::new(),
        },
    };
    PLATFORMS.map(|platform| (platform, registry.build(&spec(platform)).unwrap())).to_vec()
}

/// A state that ends with the test; clones share it, as a restart shares a disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryState(Arc<Mutex<BTreeMap<String, String>>>);

#[async_trait]
impl ConnectorState for MemoryState {
    async fn get(&self, key: &str) -> Result<Option<String>, StateError> {
        Ok(self.0.lock().get(key).cloned())
    }

    async fn put(&self, writes: Vec<(String, Option<String>)>) -> Result<(), StateError> {
        let mut values = self.0.lock();
        for (key, value) in writes {
            match value {
                Some(value) => values.insert(key, value),
                None => values.remove(&key),
            };
        }
        Ok(())
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, String)>, StateError> {
        let values = self.0.lock();
        let found = values
            .iter()
            .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|a| key.as_str() > a));
        Ok(found.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

/// The states of all accounts.
#[derive(Debug, Default)]
pub(crate) struct MemoryStates(Mutex<BTreeMap<String, MemoryState>>);

impl ConnectorStates for MemoryStates {
    fn of(&self, account: &AccountId) -> Arc<dyn ConnectorState> {
        Arc::new(self.0.lock().entry(account.to_string()).or_default().clone())
    }
}
