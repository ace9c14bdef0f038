//! Everything we say or do on a platform goes through here: lanes, pacer, sender, retries, dead letters, stops.
//!
//! ```text
//! replies, actions ─ submit ─┐                       ┌ holds ┐
//! broadcasts ─ ledger ─ feed ┼→ runner per account: lanes → pacer → intend → call → settle
//! dead letters ─ replay ─────┘                                  ledger   platform  ledger
//! ```
//!
//! Invariants: what is in memory is in the journal or the ledger; a call follows its committed intent; a crash in between
//! leaves the delivery uncertain, and uncertain is asked about, never sent again blindly; without the ledger nothing is
//! sent. Not for: what is said and to whom (`replies`, `welcomes`, `broadcasts`), how a platform is called (`connectors`).

mod book;
pub mod breaker;
mod caused;
mod content;
pub mod delivery;
pub mod gate;
pub mod holds;
pub mod lanes;
pub mod limit;
pub mod limiter;
pub mod pacer;
pub mod retry;
mod rows;
mod runner;
mod settings;
mod start;
pub mod why;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::event::{AccountId, BroadcastId};
use crate::storage::{
    Change, DeliveryFilter, DeliveryRow, DeliveryState, Kinds, MASS_SEND, MASS_TARGET, Moved, StorageError,
};
use delivery::{Deliver, Delivery};
use holds::{HoldError, HoldKind, Holds};
use limit::{AccountLimits, Limit, SharedName};
use runner::{Command, Handle, Shared};

pub use rows::row_of;
pub(crate) use rows::target_of;
pub use runner::{AccountStatus, UNRESOLVED};
pub use settings::Config;
pub use start::{Parts, pending_in_journal};

/// One account's way out, as its connector describes it.
#[derive(Clone)]
pub struct Route {
    /// Makes the calls.
    pub deliver: Arc<dyn Deliver>,
    /// The platform's name, a metric label.
    pub platform: &'static str,
    /// The account's own limits, or the platform's where it names none.
    pub limits: AccountLimits,
}

/// Knows the way out of each account; the registry of connectors does.
pub trait Deliverers: Send + Sync + 'static {
    /// Returns the account's way out; `None` while it does not exist or is disabled: what it is to send then waits.
    fn route(&self, account: &AccountId) -> Option<Route>;

    /// Returns every account that shares a level, in order, with what its limits say of it.
    fn sharing(&self, name: &SharedName) -> Vec<(AccountId, Vec<Limit>)>;
}

/// Why the outbox did not do as asked.
#[derive(Debug, Error)]
pub enum OutboxError {
    /// Holds could not be read: it is not known what may be sent.
    #[error("read holds")]
    Holds(#[from] HoldError),
    /// Storage failed.
    #[error("outbox {operation}")]
    Storage {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: StorageError,
    },
}

/// Which deliveries that people look after: dead letters, or uncertain ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Only this one.
    pub id: Option<String>,
    /// Of this account.
    pub account: Option<String>,
    /// Of this broadcast (`Some("")`: of none).
    pub broadcast: Option<String>,
    /// To this group.
    pub group: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// With this code.
    pub code: Option<String>,
    /// Changed then or later.
    pub from_ms: Option<i64>,
    /// Changed before then.
    pub until_ms: Option<i64>,
}

/// How a broadcast stops sending; see [`Outbox::halt`].
pub use runner::{Halt, Sending};

/// The way out of the house. Dropping it ends the runners after their current step; call [`Outbox::park`] first.
pub struct Outbox {
    shared: Arc<Shared>,
    runners: Mutex<BTreeMap<AccountId, Handle>>,
    seed: u64,
}

impl Outbox {
    /// Takes in what an event asked for, right after its commit. Never blocks. What does not fit in memory is still in
    /// the journal and is read again from there when there is room.
    pub fn submit(&self, deliveries: Vec<Delivery>) {
        let mut by_account: BTreeMap<AccountId, Vec<Delivery>> = BTreeMap::new();
        for delivery in deliveries {
            let kind = HoldKind::of(&delivery).counted_as();
            crate::telemetry::metrics::sends_queued(kind, 1);
            by_account.entry(delivery.account.clone()).or_default().push(delivery);
        }
        for (account, deliveries) in by_account {
            let runner = self.runner(&account);
            if runner.commands.try_send(Command::Submit(deliveries)).is_err() {
                runner.overflow.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Stops of outbound acts: to list, set and lift them.
    pub fn holds(&self) -> &Arc<Holds> {
        &self.shared.holds
    }

    /// Looks at an account's limits and connector again: it was declared, changed, disabled or removed. When this returns
    /// no call is permitted any more that they do not allow.
    pub async fn account_changed(&self, account: &AccountId) {
        let (done, answer) = oneshot::channel();
        self.tell(&self.runner(account), Command::AccountChanged(done)).await;
        _ = answer.await; // a runner that is gone calls nobody
    }

    /// Sends a broadcast's pending targets of these accounts as they are found in the ledger, or looks for more of them.
    /// What was held back is looked at again.
    pub async fn feed(&self, broadcast: &BroadcastId, accounts: &[AccountId], sending: &Sending) {
        for account in accounts {
            self.tell(&self.runner(account), Command::Feed(broadcast.clone(), sending.clone())).await;
        }
    }

    /// Sends what was added to the ledger for an account and belongs to no broadcast.
    pub async fn look_again(&self, account: &AccountId) {
        self.tell(&self.runner(account), Command::LookAgain).await;
    }

    /// Looks through the pending targets of these accounts from the first on again: some may have come back.
    pub async fn look_through(&self, accounts: impl IntoIterator<Item = &AccountId>) {
        for account in accounts {
            self.tell(&self.runner(account), Command::Rescan).await;
        }
    }

    /// Stops a broadcast on every account. When this returns nothing more of it is called but what is under way.
    pub async fn halt(&self, broadcast: &BroadcastId, halt: Halt) {
        let mut answers = Vec::new();
        for runner in self.running() {
            let (done, answer) = oneshot::channel();
            self.tell(&runner, Command::Halt(broadcast.clone(), halt, done)).await;
            answers.push(answer);
        }
        for answer in answers {
            _ = answer.await; // a runner that is gone calls nobody
        }
    }

    /// Returns dead letters in id order within their broadcast, after a cursor.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub async fn dead_letters(
        &self,
        filter: LetterFilter,
        after: Option<(String, u32, String)>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, OutboxError> {
        let filter = DeliveryFilter { after, limit, ..failed(filter) };
        self.shared.storage.deliveries(filter).await.map_err(storage_error("read dead letters"))
    }

    /// Returns deliveries of which nobody knows whether they were sent, in id order within their broadcast, after a cursor.
    /// What a mass send carries is left out: it is uncertain with it.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub async fn uncertain(
        &self,
        filter: LetterFilter,
        after: Option<(String, u32, String)>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, OutboxError> {
        let (states, kinds) = (vec![DeliveryState::Uncertain], Kinds::Not(MASS_TARGET));
        let filter = DeliveryFilter { states, kinds, after, limit, ..rows_of(filter) };
        self.shared.storage.deliveries(filter).await.map_err(storage_error("read uncertain deliveries"))
    }

    /// Gives chosen dead letters (id, account and code) that belong to no broadcast all their attempts again; returns how
    /// many. One that is not failed any more is left alone.
    ///
    /// # Errors
    /// When storage cannot be changed; some may have been by then.
    pub async fn replay_these(&self, letters: Vec<(String, AccountId, String)>) -> Result<u64, OutboxError> {
        let (mut replayed, mut accounts) = (0, std::collections::BTreeSet::new());
        for (id, account, code) in letters {
            let (from, to) = (DeliveryState::Failed, DeliveryState::Pending);
            let moved = Moved { id, from, to, code, detail: "tried again".to_owned(), platform_id: None };
            let at_ms = self.shared.clock.now_ms();
            let change = Change { at_ms, moved: vec![moved], ..Change::default() };
            match self.shared.storage.apply(change).await {
                Ok(_) => replayed += 1,
                Err(StorageError::Conflict { .. }) => continue,
                Err(source) => return Err(storage_error("replay dead letters")(source)),
            }
            accounts.insert(account);
        }
        self.look_through(&accounts).await;
        Ok(replayed)
    }

    /// Gives dead letters all their attempts again; returns how many. A finished broadcast must be fed again as well:
    /// `broadcasts` does both.
    ///
    /// # Errors
    /// When storage cannot be changed; then nothing was.
    pub async fn replay(&self, filter: LetterFilter) -> Result<u64, OutboxError> {
        let accounts = self.accounts_of(&filter).await?;
        let moved = self.shared.storage.deliveries_move(
            // Without a text there is nothing to send.
            DeliveryFilter { unsaid: Some(false), ..failed(filter.clone()) },
            DeliveryState::Pending,
            self.shared.clock.now_ms(),
        );
        let moved = moved.await.map_err(storage_error("replay dead letters"))?;
        self.look_through(&accounts).await;
        Ok(moved)
    }

    /// Returns the accounts that have dead letters, so that their runners exist to send them.
    async fn accounts_of(&self, filter: &LetterFilter) -> Result<Vec<AccountId>, OutboxError> {
        const PAGE: usize = 1000;
        let (mut accounts, mut after) = (std::collections::BTreeSet::new(), None);
        loop {
            let page = self.dead_letters(filter.clone(), after, PAGE).await?;
            accounts.extend(page.iter().filter_map(|row| AccountId::parse(&row.account).ok()));
            match page.last() {
                Some(last) if page.len() == PAGE => {
                    after = Some((last.broadcast.clone(), last.target, last.id.clone()));
                }
                Some(_) | None => return Ok(accounts.into_iter().collect()),
            }
        }
    }

    /// Says when an account would have made so many more calls, in milliseconds since the epoch, by running its limits in
    /// virtual time; `None` while they are not known, or when it never would.
    pub async fn finish_ms(&self, account: &AccountId, calls: u64) -> Option<i64> {
        let forecast = self.forecast(account).await?;
        tokio::task::spawn_blocking(move || forecast.finish_ms(calls)).await.ok()?
    }

    /// The same, if these were the limits for the account as a whole; those it shares with others stay.
    ///
    /// # Errors
    /// When the calls of the past cannot be read.
    pub async fn finish_if(
        &self,
        account: &AccountId,
        calls: u64,
        limits: Vec<Limit>,
    ) -> Result<Option<i64>, OutboxError> {
        let Some(forecast) = self.forecast(account).await else { return Ok(None) };
        let memory = limits.iter().map(Limit::period).max().unwrap_or_default();
        let since_ms = self.shared.clock.now_ms() - i64::try_from(memory.as_millis()).unwrap_or(i64::MAX);
        let past = self.shared.storage.attempts_since(account.as_str(), since_ms).await;
        let past = past.map_err(|source| OutboxError::Storage { operation: "read attempts", source })?;
        let reserve = self.shared.config.pacing.urgent_reserve_percent;
        let finish = move || forecast.under(&limits, reserve, &past).finish_ms(calls);
        Ok(tokio::task::spawn_blocking(finish).await.unwrap_or_default())
    }

    async fn forecast(&self, account: &AccountId) -> Option<runner::Forecast> {
        let (answer, forecast) = oneshot::channel();
        self.tell(&self.runner(account), Command::Forecast(answer)).await;
        forecast.await.ok()?
    }

    /// Returns every account's lane, as of a moment ago, in order of accounts.
    pub fn status(&self) -> Vec<AccountStatus> {
        self.running().into_iter().map(|runner| runner.status.lock().clone()).collect()
    }

    /// Starts nothing more and waits until nothing is under way, at most for `patience`; says whether that was enough.
    /// What is under way then is found uncertain at the next start.
    pub async fn park(&self, patience: Duration) -> bool {
        let parked = async {
            let mut answers = Vec::new();
            for runner in self.running() {
                let (done, answer) = oneshot::channel();
                self.tell(&runner, Command::Park(done)).await;
                answers.push(answer);
            }
            for answer in answers {
                _ = answer.await; // a runner that is gone has nothing under way
            }
        };
        tokio::time::timeout(patience, parked).await.is_ok()
    }

    fn runner(&self, account: &AccountId) -> Handle {
        let mut runners = self.runners.lock();
        if let Some(runner) = runners.get(account) {
            return runner.clone();
        }
        let number = u64::try_from(runners.len()).unwrap_or(0);
        let runner = runner::start(&self.shared, account.clone(), self.seed.wrapping_add(number));
        runners.insert(account.clone(), runner.clone());
        runner
    }

    fn running(&self) -> Vec<Handle> {
        self.runners.lock().values().cloned().collect()
    }

    async fn tell(&self, runner: &Handle, command: Command) {
        _ = runner.commands.send(command).await; // a runner that has parked does nothing any more: fine
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("accounts", &self.runners.lock().len()).finish_non_exhaustive()
    }
}

fn failed(filter: LetterFilter) -> DeliveryFilter {
    // What a mass send carried failed with it and is listed; it is carried anew.
    let (states, kinds) = (vec![DeliveryState::Failed], Kinds::Not(MASS_SEND));
    DeliveryFilter { states, kinds, ..rows_of(filter) }
}

fn rows_of(filter: LetterFilter) -> DeliveryFilter {
    let LetterFilter { id, account, broadcast, group, kind, code, from_ms, until_ms } = filter;
    DeliveryFilter {
        broadcast,
        id,
        account,
        group,
        kind,
        code,
        from_ms,
        until_ms,
        ..DeliveryFilter::default()
    }
}

fn storage_error(operation: &'static str) -> impl FnOnce(StorageError) -> OutboxError {
    move |source| OutboxError::Storage { operation, source }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
