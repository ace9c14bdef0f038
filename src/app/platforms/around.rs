//! One account and what its duties share.

use std::sync::Arc;
use std::time::Duration;

use super::Parts;
use super::protection::{Cause, Lapse, Protection};
use super::syncing::Desk;
use crate::connectors::offers::{ConnectorState, Retry, SinkError, StateError};
use crate::connectors::{Connector, PlatformError};
use crate::event::AccountId;

/// What one account's duties share.
pub(super) struct Around {
    pub(super) account: AccountId,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) state: Arc<dyn ConnectorState>,
    pub(super) parts: Parts,
    pub(super) protection: Arc<Protection>,
    pub(super) desk: Arc<Desk>,
}

impl Around {
    pub(super) fn new(account: &AccountId, connector: Arc<dyn Connector>, parts: &Parts) -> Self {
        Self {
            account: account.clone(),
            connector,
            state: parts.states.of(account),
            parts: parts.clone(),
            protection: Arc::default(),
            desk: Arc::default(),
        }
    }

    /// The same account with a new connector.
    pub(super) fn connected_anew(&self, connector: Arc<dyn Connector>) -> Self {
        self.desk.broken_off();
        Self {
            account: self.account.clone(),
            connector,
            state: Arc::clone(&self.state),
            parts: self.parts.clone(),
            protection: Arc::clone(&self.protection),
            desk: Arc::clone(&self.desk),
        }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.parts.clock.now_ms()
    }

    /// A cause against the account's protection holds.
    pub(super) fn lapse(&self, cause: Cause, since_ms: i64, zh: &str, en: &str) {
        if self.protection.lapse(Lapse { cause, since_ms, zh: zh.to_owned(), en: en.to_owned() }) {
            tracing::warn!(account.id = %self.account, cause = cause.code(), since_ms, "the account is not protected");
            self.announce();
        }
    }

    /// A cause holds no more; returns since when it did.
    pub(super) fn lapse_ends(&self, cause: Cause) -> Option<i64> {
        let since_ms = self.protection.end(cause)?;
        tracing::info!(account.id = %self.account, cause = cause.code(), since_ms, "a lapse of protection is over");
        self.announce();
        Some(since_ms)
    }

    fn announce(&self) {
        let name = format!("{} protection", self.account);
        match self.protection.words(self.parts.directory.time_zone(), self.now_ms()) {
            Some(words) => self.parts.health.degrade(&name, words),
            None => self.parts.health.recover(&name),
        }
    }

    /// The account is gone.
    pub(super) fn forget(&self) {
        self.parts.health.recover(&format!("{} protection", self.account));
    }

    /// Notes what the connector says keeps it from working. When it is over, every group is read.
    pub(super) fn look_for_trouble(&self) {
        match self.connector.trouble() {
            Some(trouble) => self.lapse(Cause::Trouble, trouble.since_ms, &trouble.zh, &trouble.en),
            None => {
                if self.lapse_ends(Cause::Trouble).is_some() {
                    self.desk.ask();
                }
            }
        }
    }

    /// Says what went wrong, and how long to wait before the next try.
    pub(super) fn failed(&self, duty: &'static str, tries: u32, error: &DutyError) -> Duration {
        let (code, retry) = match error {
            DutyError::Platform(error) => (error.code.as_str(), error.retry),
            DutyError::Sink(_) => ("sink", Retry::Backoff),
            DutyError::State(_) => ("state", Retry::Backoff),
        };
        tracing::warn!(account.id = %self.account, duty, code, %error, "a duty failed; tried again later");
        let backoff = TRY_AGAIN.saturating_mul(1 << tries.min(10)).min(self.parts.config.retry_delay_max);
        match retry {
            Retry::After(wait) => wait.clamp(TRY_AGAIN, self.parts.config.retry_delay_max),
            Retry::Backoff => backoff,
            // Somebody has to do something first; they want to see that it helped.
            Retry::Never => self.parts.config.retry_delay_max.min(NEVER_AGAIN),
        }
    }
}

/// Delay before the second try; doubles from there.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Delay while a person has to do something.
const NEVER_AGAIN: Duration = Duration::from_mins(1);

/// Why a duty was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum DutyError {
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    State(#[from] StateError),
}
