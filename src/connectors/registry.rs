//! Which connector serves which account. The only place that knows all platforms.
//!
//! Accounts are swapped as a whole; whoever holds a connector keeps it until done. An account whose spec did not change
//! keeps its connector, with its open connections and its memory of callback ids.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::sandbox::{Sandbox, SandboxLog};
use super::webhook::Webhook;
use super::wecom::Wecom;
use super::{AccountSpec, Capabilities, Config, Connector, ConnectorStates, SpecError};
use crate::clock::Clock;
use crate::event::AccountId;
use crate::outbox::delivery::Deliver;
use crate::outbox::limit::{AccountLimits, Lane, Limit, SharedName};
use crate::outbox::{Deliverers, Route};

/// The platforms there are, for messages.
pub const PLATFORMS: [&str; 3] = [Sandbox::PLATFORM, Webhook::PLATFORM, Wecom::PLATFORM];

/// Account to connector. Owned by the composition root; everybody else holds an `Arc` of it and looks up each time.
pub struct Connectors {
    config: Config,
    clock: Clock,
    states: Arc<dyn ConnectorStates>,
    sandbox_log: Arc<SandboxLog>,
    entries: ArcSwap<HashMap<AccountId, Entry>>,
}

#[derive(Clone)]
struct Entry {
    spec: AccountSpec,
    limits: AccountLimits,
    connector: Arc<dyn Connector>,
}

impl Connectors {
    /// Makes a registry without accounts.
    pub fn new(config: Config, clock: Clock, states: Arc<dyn ConnectorStates>) -> Self {
        let sandbox_log = Arc::new(SandboxLog::new(config.sandbox_sends_max));
        Self { config, clock, states, sandbox_log, entries: ArcSwap::default() }
    }

    /// Connects an account without taking it in: also the check before an account is stored.
    ///
    /// # Errors
    /// Names the path of what is wrong; for an unknown platform, the known ones.
    pub fn build(&self, spec: &AccountSpec) -> Result<Arc<dyn Connector>, SpecError> {
        match spec.platform.as_str() {
            Sandbox::PLATFORM => Ok(Arc::new(Sandbox::build(spec, &self.clock, &self.sandbox_log)?)),
            Webhook::PLATFORM => Ok(Arc::new(Webhook::build(spec, &self.config, &self.clock)?)),
            Wecom::PLATFORM => {
                Ok(Arc::new(Wecom::build(spec, &self.config, &self.clock, self.states.of(&spec.id))?))
            }
            unknown => Err(SpecError::at(
                "platform",
                format!("`{unknown}` is not known; known are: {}", PLATFORMS.join(", ")),
            )),
        }
    }

    fn entry(&self, spec: AccountSpec) -> Result<Entry, SpecError> {
        let connector = self.build(&spec)?;
        let limits = spec.limits(connector.limits_default())?;
        Ok(Entry { spec, limits, connector })
    }

    /// Makes `specs` the accounts there are. One that cannot be connected keeps its old connector, if it had one, and is
    /// reported; the others are not held up by it.
    pub fn replace(&self, specs: Vec<AccountSpec>) -> Vec<(AccountId, SpecError)> {
        let old = self.entries.load();
        let mut entries = HashMap::with_capacity(specs.len());
        let mut errors = Vec::new();
        for spec in specs {
            let id = spec.id.clone();
            let kept = old.get(&id);
            if let Some(kept) = kept.filter(|kept| kept.spec == spec) {
                entries.insert(id, kept.clone());
                continue;
            }
            match self.entry(spec) {
                Ok(entry) => _ = entries.insert(id, entry),
                Err(error) => {
                    if let Some(kept) = kept {
                        entries.insert(id.clone(), kept.clone());
                    }
                    errors.push((id, error));
                }
            }
        }
        self.entries.store(Arc::new(entries));
        errors
    }

    /// Looks up an account's connector.
    pub fn get(&self, account: &str) -> Option<Arc<dyn Connector>> {
        self.with(account, |entry| Arc::clone(&entry.connector))
    }

    /// Returns what an account's platform can do.
    pub fn capabilities(&self, account: &str) -> Option<Capabilities> {
        self.with(account, |entry| entry.connector.capabilities())
    }

    /// Returns what an account's platform can do in a group.
    pub fn capabilities_of(&self, account: &str, group: &str) -> Option<Capabilities> {
        self.with(account, |entry| entry.connector.capabilities_of(group))
    }

    /// Returns how long a welcome code of an account can be used; `None` where there are none.
    pub fn welcome_code_life(&self, account: &str) -> Option<Duration> {
        self.with(account, |entry| entry.connector.welcome_code_life()).flatten()
    }

    /// Returns the limits that hold for an account in their grammar, those of each group after `group:`, those of a class
    /// after `@class `.
    pub fn limits(&self, account: &str) -> Option<Vec<String>> {
        self.with(account, |entry| entry.limits.texts())
    }

    /// Returns at which levels a call of an account to a group counts; `None` when it is not connected.
    pub fn lane(&self, account: &str, group: &str) -> Option<Lane> {
        self.with(account, |entry| entry.limits.lane_of(group))
    }

    /// Lists the accounts, in order.
    pub fn accounts(&self) -> Vec<AccountId> {
        let mut accounts: Vec<AccountId> = self.entries.load().keys().cloned().collect();
        accounts.sort_unstable();
        accounts
    }

    /// What the sandbox was asked to do, over all its accounts.
    pub fn sandbox_log(&self) -> &Arc<SandboxLog> {
        &self.sandbox_log
    }

    fn with<T>(&self, account: &str, read: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.entries.load().get(account).map(read)
    }
}

impl Deliverers for Connectors {
    fn route(&self, account: &AccountId) -> Option<Route> {
        self.with(account.as_str(), |entry| {
            let deliver: Arc<dyn Deliver> = Arc::<dyn Connector>::clone(&entry.connector);
            Route { deliver, platform: entry.connector.platform(), limits: entry.limits.clone() }
        })
    }

    fn sharing(&self, name: &SharedName) -> Vec<(AccountId, Vec<Limit>)> {
        let entries = self.entries.load();
        let said = |(account, entry): (&AccountId, &Entry)| {
            let shared = entry.limits.shared.iter().find(|shared| shared.name == *name)?;
            Some((account.clone(), shared.limits.clone()))
        };
        let mut accounts: Vec<_> = entries.iter().filter_map(said).collect();
        accounts.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        accounts
    }
}

impl fmt::Debug for Connectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connectors").field("accounts", &self.accounts()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connectors::Secret;
    use crate::connectors::testing::MemoryStates;

    fn registry() -> Connectors {
        Connectors::new(Config::default(), Clock::manual(0), Arc::new(MemoryStates::default()))
    }

    fn spec(id: &str, platform: &str) -> AccountSpec {
        AccountSpec {
            id: AccountId::parse(id).unwrap(),
            platform: platform.to_owned(),
            settings: json!({}),
            secrets: Vec::new(),
            limits: Vec::new(),
            group_limits: Vec::new(),
        }
    }

    fn webhook(id: &str, url: &str) -> AccountSpec {
        AccountSpec {
            settings: json!({"url": url}),
            secrets: vec![Secret::new("", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
            ..spec(id, "webhook")
        }
    }

    #[test]
    fn an_unknown_platform_lists_the_known_ones() {
        let error = registry().build(&spec("a", "wechat")).err().unwrap();
        assert_eq!(error.to_string(), "`platform` `wechat` is not known; known are: sandbox, webhook, wecom");
    }

    #[test]
    fn every_listed_platform_can_be_built_and_names_itself() {
        for platform in PLATFORMS {
            let account = match platform {
                "webhook" => webhook("a", "https://example.com/"),
                "wecom" => crate::connectors::wecom::testing::spec(),
                _ => spec("a", platform),
            };
            assert_eq!(registry().build(&account).unwrap().platform(), platform);
        }
    }

    #[test]
    fn an_unchanged_account_keeps_its_connector_and_a_bad_one_its_old() {
        let registry = registry();
        assert!(
            registry.replace(vec![spec("demo", "sandbox"), webhook("w", "https://example.com/")]).is_empty()
        );
        let (demo, first) = (registry.get("demo").unwrap(), registry.get("w").unwrap());
        assert!(registry.get("other").is_none());

        let errors =
            registry.replace(vec![webhook("w", "nowhere"), spec("demo", "sandbox"), spec("new", "x")]);
        let paths: Vec<_> = errors.iter().map(|(id, error)| (id.as_str(), error.path.as_str())).collect();
        assert_eq!(paths, [("w", "settings.url"), ("new", "platform")]);
        assert!(Arc::ptr_eq(&first, &registry.get("w").unwrap()));
        assert!(Arc::ptr_eq(&demo, &registry.get("demo").unwrap()));

        assert!(registry.replace(vec![webhook("w", "https://example.com/2")]).is_empty());
        assert!(!Arc::ptr_eq(&first, &registry.get("w").unwrap()));
        assert_eq!(registry.accounts().len(), 1);
    }

    #[test]
    fn an_account_without_limits_has_its_platforms() {
        let registry = registry();
        let own = AccountSpec { limits: vec!["20/m".to_owned()], ..webhook("own", "https://example.com/") };
        registry.replace(vec![own, webhook("w", "https://example.com/")]);
        let limits = |account: &str| {
            let route = registry.route(&AccountId::parse(account).unwrap())?;
            Some(route.limits.limits.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(limits("own").unwrap(), ["window:20/m"]);
        assert_eq!(limits("w").unwrap(), ["concurrency:32"]);
        assert_eq!(limits("none"), None);
    }
}
