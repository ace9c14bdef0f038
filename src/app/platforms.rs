//! What goes on by itself at each connected account: rosters are kept true, the platform's own numbers are imported, and it
//! is known since when nobody watched.
//!
//! One task an account; its duties (the table below) run side by side in it and end with it: when the gateway stops, when
//! the account is removed, and when it is connected anew. A duty never fails for good: it says what is wrong, waits, and
//! tries again.

mod around;
mod duties;
mod numbers;
mod port;
mod protection;
mod sight;
mod silence;
mod syncing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::connectors::{ConnectorStates, Connectors, EventSink, RosterConfig};
use crate::directory::Directory;
use crate::event::AccountId;
use crate::tasks::Tasks;
use crate::telemetry::health::Health;
use crate::telemetry::metrics;

use around::Around;

/// How often it is looked which accounts there are, and how each is.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// What the driver works with.
#[derive(Clone)]
pub(super) struct Parts {
    /// Platforms.
    pub(super) connectors: Arc<Connectors>,
    /// Time zones for people.
    pub(super) directory: Arc<Directory>,
    /// What must be remembered over restarts.
    pub(super) states: Arc<dyn ConnectorStates>,
    /// Where what connectors find out goes.
    pub(super) sink: Arc<dyn EventSink>,
    /// Who is told of accounts that nobody watches.
    pub(super) health: Health,
    /// Time.
    pub(super) clock: Clock,
    /// Background work.
    pub(super) tasks: Tasks,
    /// Limits and rhythms.
    pub(super) config: RosterConfig,
}

/// The accounts that are looked after. One per process.
pub(super) struct Platforms {
    parts: Parts,
    accounts: Mutex<BTreeMap<AccountId, Watched>>,
}

/// An account and the end of its task.
struct Watched {
    around: Arc<Around>,
    /// Dropped to end the task.
    _stop: watch::Sender<()>,
}

impl Platforms {
    /// Looks after nothing yet.
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self { parts, accounts: Mutex::default() })
    }

    /// Runs until the gateway stops.
    pub(super) async fn run(self: Arc<Self>) {
        let tasks = self.parts.tasks.clone();
        while !tasks.is_stopping() {
            self.look();
            tokio::select! {
                () = tokio::time::sleep(WATCH_EVERY) => {}
                () = tasks.stopping() => {}
            }
        }
    }

    /// Looks after the accounts there are now, and how each is.
    fn look(&self) {
        let mut accounts = self.accounts.lock();
        let there = self.parts.connectors.accounts();
        accounts.retain(|account, watched| {
            let stays = there.contains(account);
            if !stays {
                watched.around.forget();
                sight::end(Arc::clone(&watched.around));
            }
            stays
        });
        for account in there {
            let Some(connector) = self.parts.connectors.get(account.as_str()) else { continue };
            let known = accounts.get(&account);
            if known.is_some_and(|known| Arc::ptr_eq(&known.around.connector, &connector)) {
                continue;
            }
            let around = Arc::new(match known {
                Some(known) => known.around.connected_anew(connector),
                None => Around::new(&account, connector, &self.parts),
            });
            let (stop, stopped) = watch::channel(());
            self.parts.tasks.spawn("platform", duties::run(Arc::clone(&around), stopped));
            accounts.insert(account, Watched { around, _stop: stop });
        }
        for watched in accounts.values() {
            watched.around.look_for_trouble();
        }
        self.measure(&accounts);
    }

    fn measure(&self, accounts: &BTreeMap<AccountId, Watched>) {
        let now_ms = self.parts.clock.now_ms();
        let since: Vec<i64> = accounts.values().filter_map(|w| w.around.protection.since_ms()).collect();
        let oldest_ms = since.iter().min().map_or(0, |since| now_ms - since);
        let left = accounts.values().filter_map(|w| Some(w.around.connector.rosters()?.groups_left())).sum();
        let oldest = Duration::from_millis(u64::try_from(oldest_ms).unwrap_or(0));
        metrics::unprotected(since.len(), oldest);
        metrics::roster_groups_left(left);
    }

    /// Returns an account that is looked after; one that was connected a moment ago is from now on.
    fn account(&self, account: &str) -> Option<Arc<Around>> {
        let connector = self.parts.connectors.get(account)?;
        let find = || {
            let accounts = self.accounts.lock();
            accounts.iter().find(|(id, _)| id.as_str() == account).map(|(_, w)| Arc::clone(&w.around))
        };
        if let Some(around) = find().filter(|around| Arc::ptr_eq(&around.connector, &connector)) {
            return Some(around);
        }
        self.look();
        find()
    }
}
