//! When a broadcast will be done, as things are or as they might be.
//!
//! The finish is found by running the account's own limits in virtual time, from where they stand now, over what is left
//! of this broadcast and of the others that take turns with it; the time that takes is then laid over the hours in which
//! the broadcast is open. Not in it: replies that go before, retries, and limits of single groups (a broadcast sends each
//! group one message). What people must confirm has a range of its own (`mass`). What a stop with an end keeps back is
//! taken to leave from that end on; what one without an end keeps back makes the finish unknown, and the answer says so.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde::Serialize;

use super::mass::Confirmation;
use super::progress::Counts;
use super::schedule::{OpenTimes, Schedule};
use super::undoing::Undo;
use super::{Broadcast, BroadcastError, Broadcasts};
use crate::event::{AccountId, Actor, BroadcastId, GroupId, GroupName};
use crate::outbox::holds::{HoldKind, LetsGo, TargetHolds};
use crate::outbox::limit::Limit;
use crate::storage::{DeliveryState, MASS_TARGET};

/// What might be different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supposed {
    /// This account sends a share of it, with its own limits.
    pub other: Option<(AccountId, u8)>,
    /// Limits in place of those of each account as a whole; empty: as they are.
    pub limits: Vec<Limit>,
    /// When it starts; `None`: as it is written.
    pub starts_ms: Option<i64>,
    /// Its hours and days; `None`: as they are written.
    pub schedule: Option<Schedule>,
}

/// When it will be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foresight {
    /// Calls that are left.
    pub left: u64,
    /// By account.
    pub accounts: Vec<AccountForesight>,
    /// When the last account is done, within the hours; `None` when people must confirm it, or nobody can say.
    pub finish_ms: Option<i64>,
    /// Why nobody can say; `None` when somebody can, or no call is left.
    pub unknown: Option<NoFinish>,
    /// How far confirmations are, or would be; `None` when nobody must confirm, or nobody asked.
    pub confirmation: Option<Confirmation>,
}

/// Why nobody can say when it will be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoFinish {
    /// A stop without an end keeps some of it back: its id.
    Held(String),
    /// The account is not connected, or its limits or the calls of its past are not known yet.
    NoLimits(String),
    /// Its hours never open for as long as it takes.
    NoHours,
}

/// What is left for an account that leaves from a moment on, or never.
type Part = (LetsGo, u64);

/// When one account will be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountForesight {
    /// Which.
    pub account: AccountId,
    /// Calls that are left.
    pub left: u64,
    /// Calls of other broadcasts that take turns with them.
    pub others: u64,
    /// Of those that are left: how many a stop keeps back now.
    pub held: u64,
    /// When it is done if it may send all the time, but for stops; `None` when it never is, or its limits are not known yet.
    pub finish_ms: Option<i64>,
}

impl Broadcasts {
    /// Says when a broadcast will be done as things are, and if they were different.
    ///
    /// # Errors
    /// When the actor may not see it, the hours supposed leave no time, or the ledger cannot be read.
    pub async fn forecast(
        &self,
        actor: &Actor,
        id: &BroadcastId,
        supposed: &Supposed,
    ) -> Result<(Foresight, Foresight), BroadcastError> {
        let broadcast = self.get(actor, id).await?;
        let counts = self.counts(id).await?;
        if let Some(schedule) = &supposed.schedule {
            let begins_ms = supposed.starts_ms.unwrap_or(broadcast.starts_ms).max(self.parts.clock.now_ms());
            schedule.check(&self.house_rules(), &self.parts.book.default_time_zone(), begins_ms)?;
        }
        let nothing = Supposed::default();
        let mut is = self.foresee(&broadcast, &counts, &nothing).await?;
        is.confirmation = self.confirmation_foretold(&broadcast, &nothing).await?;
        let mut would = self.foresee(&broadcast, &counts, supposed).await?;
        would.confirmation = self.confirmation_foretold(&broadcast, supposed).await?;
        Ok((is, would))
    }

    pub(super) async fn foresee(
        &self,
        broadcast: &Broadcast,
        counts: &Counts,
        supposed: &Supposed,
    ) -> Result<Foresight, BroadcastError> {
        let now_ms = self.parts.clock.now_ms();
        let written = u64::from(broadcast.expansion.targets);
        let left = counts.pending + counts.sending + broadcast.expected.saturating_sub(written);
        let mut shares = shares(broadcast, left);
        let held = self.held_back(broadcast, &shares).await?;
        if let Some((other, percent)) = &supposed.other {
            move_share(&mut shares, other, *percent);
        }
        let mut foresight = Foresight { left: shares.values().sum(), ..Foresight::default() };
        let starts_ms = supposed.starts_ms.unwrap_or(broadcast.starts_ms);
        let schedule = supposed.schedule.as_ref().unwrap_or(&broadcast.schedule);
        let mut ends = Vec::new();
        for (account, left) in shares {
            let parts = self.parts_of(broadcast, &account, left, &held);
            let (view, steps) = self.account_finish(broadcast, account, parts, &supposed.limits).await?;
            match &steps {
                Ok(steps) => ends.extend(steps.iter().map(|(from_ms, needed_ms)| {
                    let begins_ms = starts_ms.max(now_ms).max(*from_ms);
                    self.within_hours(broadcast, schedule, begins_ms, *needed_ms)
                })),
                Err(unknown) => _ = foresight.unknown.get_or_insert(unknown.clone()),
            }
            foresight.accounts.push(view);
        }
        if ends.contains(&None) {
            foresight.unknown.get_or_insert(NoFinish::NoHours);
        }
        if foresight.unknown.is_none() {
            let last = ends.into_iter().flatten().max();
            foresight.finish_ms = last.map(|finish_ms| finish_ms + broadcast.watching_ms(now_ms));
        }
        Ok(foresight)
    }

    /// Says when an account will be done with its parts, and from when on how long each step of that takes: whatever leaves
    /// from a moment on, with all that leaves later, is not done sooner than its calls take from there.
    async fn account_finish(
        &self,
        broadcast: &Broadcast,
        account: AccountId,
        parts: Vec<Part>,
        limits: &[Limit],
    ) -> Result<(AccountForesight, Result<Vec<(i64, i64)>, NoFinish>), BroadcastError> {
        let now_ms = self.parts.clock.now_ms();
        let left: u64 = parts.iter().map(|(_, left)| left).sum();
        let held = parts.iter().filter(|(from, _)| *from != LetsGo::Now).map(|(_, left)| left).sum();
        // Broadcasts of one account take turns, so of each other one as much goes first as this one has left.
        let open: Vec<u64> = self.others_on(&account, &broadcast.id).collect();
        let others = |left: u64| -> u64 { open.iter().map(|open| (*open).min(left)).sum() };
        let mut view =
            AccountForesight { left, others: others(left), held, finish_ms: None, account: account.clone() };
        let mut steps = Vec::new();
        let mut rest = left;
        for (from, part) in &parts {
            let from_ms = match from {
                LetsGo::Now => now_ms,
                LetsGo::At(at_ms) => *at_ms,
                LetsGo::Never(hold) => return Ok((view, Err(NoFinish::Held(hold.clone())))),
            };
            let calls = rest + others(rest);
            let finish_ms = if limits.is_empty() {
                self.parts.outbox.finish_ms(&account, calls).await
            } else {
                self.parts.outbox.finish_if(&account, calls, limits.to_vec()).await?
            };
            let Some(finish_ms) = finish_ms else {
                return Ok((view, Err(NoFinish::NoLimits(account.to_string()))));
            };
            steps.push((from_ms, finish_ms - now_ms));
            rest -= part;
        }
        view.finish_ms = steps.iter().map(|(from_ms, needed_ms)| from_ms + needed_ms).max();
        Ok((view, Ok(steps)))
    }

    /// Splits what an account has left by when stops let go of it, the earliest first.
    fn parts_of(
        &self,
        broadcast: &Broadcast,
        account: &AccountId,
        left: u64,
        held: &BTreeMap<AccountId, BTreeMap<LetsGo, u64>>,
    ) -> Vec<Part> {
        let whole = self.holds_on(broadcast, account).whole().clone();
        // Another account's groups are those of all: whose share it takes over nobody knows.
        let mut all = BTreeMap::new();
        for (from, groups) in held.values().flatten() {
            *all.entry(from.clone()).or_default() += groups;
        }
        let of_it = held.get(account).unwrap_or(&all);
        let groups: u64 = of_it.values().sum();
        let (mut parts, mut free): (BTreeMap<LetsGo, u64>, u64) = (BTreeMap::new(), left);
        for (from, part) in of_it {
            let part = (left * part).div_ceil(groups.max(1)).min(free);
            free -= part;
            *parts.entry(from.clone().max(whole.clone())).or_default() += part;
        }
        *parts.entry(whole).or_default() += free;
        parts.into_iter().filter(|(_, part)| *part > 0).collect()
    }

    pub(super) fn holds_on(&self, broadcast: &Broadcast, account: &AccountId) -> TargetHolds {
        let kind = match &broadcast.undoes {
            Some(undoing) if undoing.how == Undo::Recall => HoldKind::Action,
            Some(_) | None => HoldKind::Broadcast,
        };
        self.parts.outbox.holds().on_targets(kind, account, &broadcast.id)
    }

    /// Counts by account the groups that are left, by when stops let go of them; empty where that is the same for all of
    /// an account. Goes through the targets only while a stop of a region, a shop, a tag or the like is in force.
    async fn held_back(
        &self,
        broadcast: &Broadcast,
        shares: &BTreeMap<AccountId, u64>,
    ) -> Result<BTreeMap<AccountId, BTreeMap<LetsGo, u64>>, BroadcastError> {
        let mut held = BTreeMap::new();
        let holds: BTreeMap<&AccountId, TargetHolds> =
            shares.keys().map(|account| (account, self.holds_on(broadcast, account))).collect();
        if !holds.values().any(TargetHolds::depends_on_group) {
            return Ok(held);
        }
        let mut names = BTreeSet::new();
        if broadcast.expansion.done || broadcast.undoes.is_some() {
            let states = [DeliveryState::Pending, DeliveryState::Sending];
            let name = |row: &crate::storage::DeliveryRow| {
                let (account, group) =
                    (AccountId::parse(&row.account).ok()?, GroupId::parse(&row.group).ok()?);
                Some(GroupName { account, group })
            };
            let visit = |row: crate::storage::DeliveryRow| {
                names.extend(name(&row).filter(|_| row.kind != MASS_TARGET));
            };
            self.each_target(&broadcast.id, &states, visit).await?;
        } else {
            let Broadcast { audience, exclude, account, scopes, .. } = broadcast;
            names.extend(self.find(audience, exclude.as_ref(), account.as_ref(), scopes).await?.names);
        }
        for name in &names {
            let Some(holds) = holds.get(&name.account) else { continue };
            let from = holds.of_group(name, &*self.parts.places);
            *held.entry(name.account.clone()).or_insert_with(BTreeMap::new).entry(from).or_default() += 1;
        }
        Ok(held)
    }

    /// Says when it is over if it begins then and needs so long while it is open.
    pub(super) fn within_hours(
        &self,
        broadcast: &Broadcast,
        schedule: &Schedule,
        begins_ms: i64,
        needed_ms: i64,
    ) -> Option<i64> {
        let rules = self.house_rules();
        let times = OpenTimes { schedule, rules: &rules };
        if broadcast.undoes.is_some() || times.are_always() {
            return Some(begins_ms + needed_ms);
        }
        // Each group's own zone counts: the last one to open decides.
        let known = broadcast.expansion.zones.iter().filter_map(|name| TimeZone::get(name).ok());
        let zones: Vec<_> = known.chain([self.parts.book.default_time_zone()]).collect();
        let over =
            |zone: &TimeZone| Some(times.after(zone, begins_ms, needed_ms)?.max(schedule.spread_until_ms));
        let known = zones.len().saturating_sub(1).max(1); // the default counts where no group's is known yet
        zones.iter().take(known).map(over).try_fold(0, |latest, over| Some(latest.max(over?)))
    }

    /// Returns what other broadcasts have left on an account, as of a moment ago.
    fn others_on(&self, account: &AccountId, but: &BroadcastId) -> impl Iterator<Item = u64> + use<> {
        let slots: Vec<_> =
            self.active.lock().iter().filter(|(id, _)| *id != but).map(|(_, s)| s.clone()).collect();
        let (account, now_ms) = (account.clone(), self.parts.clock.now_ms());
        // One that is just being changed is left out: an estimate does not wait for it.
        slots.into_iter().filter_map(move |slot| {
            let active = slot.try_lock().ok()?;
            let running = active.broadcast.is_due(now_ms);
            running.then(|| shares(&active.broadcast, active.open).remove(&account).unwrap_or(0))
        })
    }
}

/// Splits what is left to be called over the accounts: as the targets written so far are split; before the first, as the
/// groups were when they were counted. What people must confirm is nobody's call.
fn shares(broadcast: &Broadcast, left: u64) -> BTreeMap<AccountId, u64> {
    let Broadcast { expansion, mass, account, .. } = broadcast;
    let written: u64 = expansion.accounts.values().map(|targets| u64::from(*targets)).sum();
    if mass.targets > 0 || written > 0 {
        // How many of those left go by themselves is not counted apart; more than were written it cannot be.
        let left = if mass.targets > 0 { left.min(written) } else { left };
        let targets =
            expansion.accounts.iter().map(|(account, targets)| (account.clone(), u64::from(*targets)));
        return split(targets, left, written);
    }
    let survey = &mass.survey;
    let left = left.saturating_sub(survey.need_confirmation);
    let groups = survey.reached.accounts.iter();
    let groups: Vec<_> =
        groups.filter_map(|(account, groups)| Some((AccountId::parse(account).ok()?, *groups))).collect();
    if groups.is_empty() {
        return account.iter().map(|account| (account.clone(), left)).collect();
    }
    let all = groups.iter().map(|(_, groups)| groups).sum();
    if left == 0 { BTreeMap::new() } else { split(groups.into_iter(), left, all) }
}

fn split(parts: impl Iterator<Item = (AccountId, u64)>, left: u64, whole: u64) -> BTreeMap<AccountId, u64> {
    parts.map(|(account, part)| (account, (left * part).div_ceil(whole.max(1)))).collect()
}

/// Lets another account send a share of what every account was to.
fn move_share(shares: &mut BTreeMap<AccountId, u64>, other: &AccountId, percent: u8) {
    let mut moved = 0;
    for (_, left) in shares.iter_mut().filter(|(account, _)| *account != other) {
        let part = *left * u64::from(percent.min(100)) / 100;
        *left -= part;
        moved += part;
    }
    *shares.entry(other.clone()).or_default() += moved;
    shares.retain(|_, left| *left > 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_moves_and_nothing_is_lost() {
        let named = |name: &str| AccountId::parse(name).unwrap();
        let mut shares = BTreeMap::from([(named("a"), 101), (named("b"), 9)]);
        move_share(&mut shares, &named("c"), 50);
        assert_eq!(shares, BTreeMap::from([(named("a"), 51), (named("b"), 5), (named("c"), 54)]));
        move_share(&mut shares, &named("b"), 100);
        assert_eq!(shares, BTreeMap::from([(named("b"), 110)]));
    }
}
