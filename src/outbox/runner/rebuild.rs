//! From the calls of the past to limits that know them: at start, and when limits change.
//!
//! What an account shares with others is built by whoever claims it first, of the calls of all its accounts; the others
//! add only what it cannot know of them. Until that is done nothing is sent through any of them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::learned::Learned;
use super::{Done, Runner};
use crate::event::AccountId;
use crate::outbox::limit::{AccountLimits, ClassNo, Limit, SharedName};
use crate::outbox::limiter::Micros;
use crate::outbox::pacer::{
    AccountNo, Claim, GroupNo, LevelNo, Pacer, PastCall, SharedCall, WallSteps, When,
};
use crate::storage::{AttemptRow, SharedStorage, StorageError};

/// A claim on one shared level.
pub(super) struct Claimed {
    name: SharedName,
    level: LevelNo,
    claim: Claim,
}

/// What was read.
#[derive(Default)]
pub(super) struct Past {
    own: Vec<AttemptRow>,
    others: BTreeMap<AccountNo, Vec<AttemptRow>>,
    learned: Option<Learned>,
}

/// A call that ended so little before a time may have ended after it: the ledger keeps whole milliseconds.
const ROUNDING: Micros = 2_000;

impl Runner {
    /// Takes new limits over, once nothing is under way under the old ones.
    pub(super) fn account_changed(&mut self) {
        self.look_up_route();
        if self.route.is_none() {
            // What was permitted and is not written yet waits with the others: a call without a connector costs an attempt.
            self.give_back_waiting();
        }
        let (Some(route), Some(pacer)) = (&self.route, &self.pacer) else { return };
        let stands = |shared: &crate::outbox::limit::SharedLimits| {
            let (limits, _) = self.of_all(&shared.name);
            self.shared.book.with(|commons| commons.is_current(&shared.name, &limits))
        };
        self.is_outdated |= *pacer.limits() != route.limits || !route.limits.shared.iter().all(stands);
    }

    /// Returns what all accounts together say of a shared level, and who they are.
    fn of_all(&self, name: &SharedName) -> (Vec<Limit>, Vec<AccountId>) {
        let mut limits: Vec<Limit> = Vec::new();
        let mut accounts = Vec::new();
        for (account, said) in self.shared.deliverers.sharing(name) {
            accounts.push(account);
            for limit in said {
                if !limits.contains(&limit) {
                    limits.push(limit);
                }
            }
        }
        (limits, accounts)
    }

    /// Reads the calls of the past, so that neither a restart nor a new limit means a fresh burst.
    pub(super) fn start_rebuild(&mut self) {
        let Some(route) = &self.route else { return };
        let has_pacer = self.pacer.is_some() && !self.is_outdated;
        if has_pacer || self.rebuilding || !self.is_still() || self.ledger.is_in_trouble() {
            return;
        }
        self.pacer = None;
        self.is_outdated = false;
        self.rebuilding = true;
        let limits = route.limits.clone();
        let claims = self.claim(&limits);
        let mut others = Vec::new();
        let mut memory = limits.memory();
        for claimed in &claims {
            memory = self.of_all(&claimed.name).0.iter().map(Limit::period).fold(memory, std::cmp::max);
            if let Claim::Build { accounts, .. } = &claimed.claim {
                others.extend(accounts.iter().copied().filter(|other| *other != self.number));
            }
        }
        others.sort_unstable();
        others.dedup();
        let others = self.shared.book.names(&others);
        let memory_ms = i64::try_from(memory.as_millis()).unwrap_or(i64::MAX);
        let since_ms = self.now_ms().saturating_sub(memory_ms).saturating_sub(1000);
        let (storage, account) = (self.shared.storage.clone(), self.account.clone());
        let is_first = self.learned.is_none();
        self.work.spawn(async move {
            let past = read(&storage, &account, &others, since_ms, is_first).await;
            Done::Rebuilt { claims, limits, past }
        });
    }

    fn claim(&self, limits: &AccountLimits) -> Vec<Claimed> {
        let book = &self.shared.book;
        let claim = |shared: &crate::outbox::limit::SharedLimits| {
            let (limits, accounts) = self.of_all(&shared.name);
            let mut numbers: Vec<_> = accounts.iter().map(|account| book.enter(account).0).collect();
            if !numbers.contains(&self.number) {
                numbers.push(self.number);
            }
            let now = self.now();
            let (level, claim) =
                book.with(|commons| commons.claim(now, &shared.name, self.number, &limits, numbers));
            Claimed { name: shared.name.clone(), level, claim }
        };
        limits.shared.iter().map(claim).collect()
    }

    pub(super) fn rebuilt(
        &mut self,
        claims: &[Claimed],
        limits: AccountLimits,
        past: Result<Past, StorageError>,
    ) {
        self.rebuilding = false;
        match past {
            Ok(past) => {
                self.build(claims, limits, past);
                self.account_changed(); // perhaps again, while the past was read
            }
            Err(error) => {
                for claimed in claims {
                    if let Claim::Build { build, .. } = claimed.claim {
                        self.shared.book.with(|commons| commons.not_built(claimed.level, build));
                    }
                }
                self.ledger_failed("read attempts", &error);
            }
        }
        self.answer_forecasts();
    }

    fn build(&mut self, claims: &[Claimed], limits: AccountLimits, past: Past) {
        let now = self.now();
        let then =
            Then { when: When { now, now_ms: self.now_ms() }, steps: self.shared.wall_steps.lock().clone() };
        self.learned.get_or_insert(past.learned.unwrap_or_default());
        let mut pacer = Pacer::new(limits, &self.shared.config.pacing);
        let calls = past.own.iter().map(|row| {
            let class = pacer.limits().class_of(&row.group);
            then.past_call(self.lanes.group_no(&row.group), class, row)
        });
        let calls = calls.collect();
        pacer.restore(calls);
        let number = self.number;
        let mut levels = Vec::with_capacity(claims.len());
        for Claimed { name, level, claim } in claims {
            let of = |row: &AttemptRow| name.covers(&row.group).then(|| then.shared_call(row));
            let own = past.own.iter().filter_map(of);
            self.shared.book.with(|commons| match claim {
                Claim::Build { build, accounts } => {
                    let others = past.others.iter().filter(|(other, _)| accounts.contains(other));
                    let others = others.flat_map(|(_, rows)| rows).filter_map(of);
                    commons.built(*level, number, *build, own.chain(others).collect());
                }
                Claim::Join { since } => {
                    let is_new = |call: &SharedCall| {
                        since.is_some_and(|since| call.ended >= since.saturating_sub(ROUNDING))
                    };
                    commons.joined(*level, number, own.filter(is_new).collect());
                }
            });
            levels.push((name.clone(), *level));
        }
        let numbers: Vec<_> = levels.iter().map(|(_, level)| *level).collect();
        self.shared.book.with(|commons| commons.keep_only(now, number, &numbers));
        pacer.share(number, &levels);
        self.resume_learned(&mut pacer);
        self.pacer = Some(pacer);
    }
}

async fn read(
    storage: &SharedStorage,
    account: &AccountId,
    others: &[(AccountNo, AccountId)],
    since_ms: i64,
    is_first: bool,
) -> Result<Past, StorageError> {
    let mut past = Past { own: storage.attempts_since(account.as_str(), since_ms).await?, ..Past::default() };
    for (number, other) in others {
        let rows = storage.attempts_since(other.as_str(), since_ms).await?;
        past.others.insert(*number, rows);
    }
    if is_first {
        past.learned = Learned::read(storage, account).await?;
    }
    Ok(past)
}

/// One moment on both clocks, and when the wall's was set.
struct Then {
    when: When,
    steps: WallSteps,
}

impl Then {
    fn past_call(&self, group: GroupNo, class: ClassNo, row: &AttemptRow) -> PastCall {
        let call = self.shared_call(row);
        PastCall { group, class, started: call.started, ended: call.ended, cost: call.weight }
    }

    fn shared_call(&self, row: &AttemptRow) -> SharedCall {
        let weight = NonZeroU32::new(row.cost).unwrap_or(NonZeroU32::MIN);
        let (started, ended) =
            (self.when.start(&self.steps, row.started_ms), self.when.end(&self.steps, row.ended_ms));
        SharedCall { started, ended, weight }
    }
}
