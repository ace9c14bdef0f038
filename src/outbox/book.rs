//! The levels that accounts share, in one place for all runners, and how to wake the one whose turn it is.
//!
//! Not for: deciding whose turn it is (`pacer::Commons`). The lock is held for the arithmetic of one call and never over
//! anything that waits.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::pacer::{AccountNo, Commons, PacingConfig};
use crate::event::AccountId;

/// See the module.
pub(super) struct Book(Mutex<Inner>);

struct Inner {
    commons: Commons,
    numbers: HashMap<AccountId, AccountNo>,
    /// By number.
    accounts: Vec<(AccountId, Arc<Notify>)>,
}

impl Book {
    pub(super) fn new(config: &PacingConfig) -> Self {
        let commons = Commons::new(config.clone());
        Self(Mutex::new(Inner { commons, numbers: HashMap::new(), accounts: Vec::new() }))
    }

    /// Returns an account's number and what wakes its runner, giving it one if it has none.
    pub(super) fn enter(&self, account: &AccountId) -> (AccountNo, Arc<Notify>) {
        let mut inner = self.0.lock();
        if let Some(number) = inner.numbers.get(account).copied()
            && let Some((_, turn)) = usize::try_from(number.0).ok().and_then(|at| inner.accounts.get(at))
        {
            return (number, Arc::clone(turn));
        }
        let number = AccountNo(u32::try_from(inner.accounts.len()).unwrap_or(u32::MAX));
        let turn = Arc::new(Notify::new());
        inner.numbers.insert(account.clone(), number);
        inner.accounts.push((account.clone(), Arc::clone(&turn)));
        (number, turn)
    }

    /// Returns the accounts of these numbers.
    pub(super) fn names(&self, numbers: &[AccountNo]) -> Vec<(AccountNo, AccountId)> {
        let inner = self.0.lock();
        let name = |number: &AccountNo| {
            let (account, _) = inner.accounts.get(usize::try_from(number.0).ok()?)?;
            Some((*number, account.clone()))
        };
        numbers.iter().filter_map(name).collect()
    }

    /// Does something with the shared levels, then wakes those whose turn it became.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Commons) -> T) -> T {
        let (result, turns) = {
            let mut inner = self.0.lock();
            let result = act(&mut inner.commons);
            let wakes = inner.commons.take_wakes();
            let turn = |number: AccountNo| {
                let (_, turn) = inner.accounts.get(usize::try_from(number.0).ok()?)?;
                Some(Arc::clone(turn))
            };
            // Nearly always empty: then nothing is allocated.
            let turns: Vec<_> = wakes.into_iter().filter_map(turn).collect();
            (result, turns)
        };
        for turn in turns {
            turn.notify_one();
        }
        result
    }
}
