//! Several levels of limits as one decision: look at every level, then charge all of them or none.
//!
//! One pacer belongs to one account and has one owner, so nothing here waits or locks: the owner is told the earliest
//! time that can work, and which level it is for. No slot is ever charged and then wasted because another level said no.
//!
//! Not for: who goes next (`outbox::lanes`). Invariants: a call that was granted is ended with [`Pacer::complete`] or
//! [`Pacer::cancel`] exactly once; the times of wishes may come in any order, the latest one counts; ends come in order. Layer: pure core.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use hashbrown::HashMap;

use super::limit::{AccountLimits, ClassNo};
pub use super::limiter::Micros;
use super::limiter::{Limiter, Room};

/// Where a limit holds. A metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// On everything through the account.
    Account,
    /// On one group.
    Group,
}

impl Scope {
    /// Every scope, for metrics that exist from the start.
    pub const ALL: [Scope; 2] = [Scope::Account, Scope::Group];

    /// Returns the spelling in metrics and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Account => "account",
            Scope::Group => "group",
        }
    }
}

/// A group's number within its account, given out by the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupNo(pub u32);

impl GroupNo {
    const DIRECT: u32 = 1 << 31;

    /// Numbers what goes to a person and not to a group: limits of groups do not hold for it.
    pub fn direct(number: u32) -> Self {
        Self(number | Self::DIRECT)
    }

    fn is_direct(self) -> bool {
        self.0 & Self::DIRECT != 0
    }
}

/// The answer to a wish to call.
#[derive(Debug)]
pub enum Decision {
    /// Go: every level is charged.
    Granted(Permit),
    /// Not now: nothing is charged.
    Wait {
        /// The level that takes longest.
        scope: Scope,
        /// When to ask again; `None` for "when a call of that level has ended".
        until: Option<Micros>,
    },
    /// Not ever: it costs more than a limit of this level allows at once.
    Never {
        /// Whose limit.
        scope: Scope,
    },
}

/// The right to make one call; given back with [`Pacer::complete`] or [`Pacer::cancel`].
#[derive(Debug)]
#[must_use = "a permit that is dropped occupies its slots for ever"]
pub struct Permit {
    group: GroupNo,
    class: ClassNo,
    cost: NonZeroU32,
    from: Micros,
}

impl Permit {
    /// Returns the moment from which the call may be made: the latest that was ever asked about, since a slot that comes
    /// free in the future may have been asked for ahead of time.
    pub fn from(&self) -> Micros {
        self.from
    }

    /// Returns what the call costs.
    pub fn cost(&self) -> NonZeroU32 {
        self.cost
    }
}

/// A call of the past, as the ledger remembers it, on the pacer's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastCall {
    /// To which group.
    pub group: GroupNo,
    /// Of which class.
    pub class: ClassNo,
    /// Its start.
    pub started: Micros,
    /// Its end; for a call whose end nobody knows: now.
    pub ended: Micros,
    /// What it cost.
    pub cost: NonZeroU32,
}

/// All limits of one account.
#[derive(Clone, Debug)]
pub struct Pacer {
    limits: AccountLimits,
    account: Level,
    /// Of each class, in the order of `limits`.
    classes: Vec<Level>,
    /// Only groups that are not as good as new.
    groups: HashMap<GroupNo, Level>,
    latest: Micros,
}

/// The limits of one account or one group.
#[derive(Clone, Debug)]
struct Level {
    limiters: Vec<Limiter>,
    /// The platform asked for silence until then.
    not_before: Micros,
    in_flight: u32,
}

impl Pacer {
    /// Makes a pacer of which nothing is spent.
    pub fn new(limits: AccountLimits) -> Self {
        let account = Level::new(&limits.limits);
        let classes = limits.classes.iter().map(|class| Level::new(&class.limits)).collect();
        Self { limits, account, classes, groups: HashMap::new(), latest: Micros::MIN }
    }

    /// Returns the limits it keeps.
    pub fn limits(&self) -> &AccountLimits {
        &self.limits
    }

    /// Returns a copy that remembers the account's limits only: enough for [`Self::finish_of`], and small.
    #[must_use]
    pub fn without_groups(&self) -> Self {
        let limits = AccountLimits { limits: self.limits.limits.clone(), ..AccountLimits::default() };
        let account = self.account.clone();
        Self { limits, account, classes: Vec::new(), groups: HashMap::new(), latest: self.latest }
    }

    /// Puts calls of the past in, so that a restart gives no limit a fresh burst.
    pub fn restore(&mut self, mut calls: Vec<PastCall>) {
        calls.sort_by_key(|call| call.ended);
        for call in calls {
            self.account.restore(&call);
            if let Some(level) = self.class(call.class) {
                level.restore(&call);
            }
            self.group(call.group, call.class).restore(&call);
        }
    }

    /// Asks for one call: charges every level, or none and says why. `now` may lie ahead of the clock, when something is
    /// to be done before the call that takes a while; then [`Permit::from`] says when the call may start.
    pub fn acquire(&mut self, now: Micros, group: GroupNo, cost: NonZeroU32) -> Decision {
        self.acquire_in(now, group, ClassNo::default(), cost)
    }

    /// The same for a group of a class. One of a class that is short of room waits as a group does: it holds up nobody
    /// outside.
    pub fn acquire_in(&mut self, now: Micros, group: GroupNo, class: ClassNo, cost: NonZeroU32) -> Decision {
        let now = self.at(now);
        let mut room = (self.account.look(now, cost), Scope::Account);
        if let Some(level) = self.class(class) {
            // Whose end frees a slot of a class is not known to whoever waits, so it looks again soon.
            let look = match level.look(now, cost) {
                Room::AfterCompletion => Room::From(now + CLASS_LOOK_AGAIN),
                look @ (Room::From(_) | Room::Never) => look,
            };
            room = room.max((look, Scope::Group));
        }
        if let Some(level) = self.groups.get_mut(&group) {
            room = room.max((level.look(now, cost), Scope::Group));
        } else if self.of_group(group, class).iter().any(|limit| limit.cost_max() < cost.get()) {
            room = room.max((Room::Never, Scope::Group));
        }
        match room {
            (Room::From(at), _) if at <= now => {
                self.account.charge(now, cost);
                if let Some(level) = self.class(class) {
                    level.charge(now, cost);
                }
                self.group(group, class).charge(now, cost);
                Decision::Granted(Permit { group, class, cost, from: now })
            }
            (Room::From(at), scope) => Decision::Wait { scope, until: Some(at) },
            (Room::AfterCompletion, scope) => Decision::Wait { scope, until: None },
            (Room::Never, scope) => Decision::Never { scope },
        }
    }

    /// Says from when on the account alone would let a call of cost 1 through; `None`: when a call has ended.
    pub fn account_room(&mut self, now: Micros) -> Option<Micros> {
        let now = self.at(now);
        match self.account.look(now, NonZeroU32::MIN) {
            Room::From(at) => Some(at),
            Room::AfterCompletion | Room::Never => None,
        }
    }

    /// Notes that the call ended, whatever came of it: its slots stay occupied for the windows' length.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is used up")]
    pub fn complete(&mut self, now: Micros, permit: Permit) {
        self.account.complete(now, permit.cost.get());
        if let Some(level) = self.class(permit.class) {
            level.complete(now, permit.cost.get());
        }
        self.group(permit.group, permit.class).complete(now, permit.cost.get());
    }

    /// Gives a permit back whose call was never made.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is used up")]
    pub fn cancel(&mut self, permit: Permit) {
        self.account.cancel(permit.cost.get());
        if let Some(level) = self.class(permit.class) {
            level.cancel(permit.cost.get());
        }
        self.group(permit.group, permit.class).cancel(permit.cost.get());
    }

    /// Keeps the account silent until `until`: the platform asked for it.
    pub fn delay_account(&mut self, until: Micros) {
        self.account.not_before = self.account.not_before.max(until);
    }

    /// Keeps one group silent until `until`: the platform asked for it.
    pub fn delay_group(&mut self, group: GroupNo, class: ClassNo, until: Micros) {
        let level = self.group(group, class);
        level.not_before = level.not_before.max(until);
    }

    /// Returns the spent share of the account's tightest limit, 0 to 1.
    pub fn account_saturation(&mut self, now: Micros) -> f64 {
        let now = self.at(now);
        self.account.saturation(now)
    }

    /// Returns the spent share of the tightest limit of the most busy group, 0 to 1. Looks at every busy group.
    pub fn group_saturation(&mut self, now: Micros) -> f64 {
        let now = self.at(now);
        self.groups.values_mut().map(|level| level.saturation(now)).fold(0.0, f64::max)
    }

    /// Forgets groups that are as good as new; memory then holds busy groups only.
    pub fn sweep(&mut self, now: Micros) {
        let now = self.at(now);
        self.groups.retain(|_, level| !level.is_idle(now));
    }

    /// Says when `calls` more calls of cost 1, each to a group with room, would have ended: runs the account's limits on
    /// a copy in virtual time, with calls that take `round_trip` and at most `in_flight_max` of them at once.
    pub fn finish_of(&self, now: Micros, calls: u64, round_trip: Micros, in_flight_max: usize) -> Micros {
        let mut level = self.account.clone();
        level.forget_in_flight(now);
        let simulated = calls.min(CALLS_SIMULATED_MAX);
        let (mut at, mut at_half) = (now.max(self.latest), now);
        let mut ends = VecDeque::new();
        let mut last_end = now;
        // One call more than asked for: its start, against that of the call in the middle, is the steady rate.
        for call in 0..=simulated {
            let Some(start) = level.next_start(at, &mut ends, in_flight_max.max(1)) else {
                return Micros::MAX;
            };
            at = start;
            level.charge(at, NonZeroU32::MIN);
            ends.push_back(at + round_trip);
            if call < simulated {
                last_end = at + round_trip;
            }
            if call == simulated / 2 {
                at_half = at;
            }
        }
        let span = Micros::try_from((simulated - simulated / 2).max(1)).unwrap_or(Micros::MAX);
        let rest = Micros::try_from(calls - simulated).unwrap_or(Micros::MAX);
        last_end.saturating_add((at - at_half).saturating_mul(rest) / span)
    }

    fn at(&mut self, now: Micros) -> Micros {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// Returns the limits of a group. What goes to a person has none but those of its class.
    fn of_group(&self, group: GroupNo, class: ClassNo) -> &[super::limit::Limit] {
        if group.is_direct() && class == ClassNo::default() { &[] } else { self.limits.of_groups(class) }
    }

    fn class(&mut self, class: ClassNo) -> Option<&mut Level> {
        self.classes.get_mut(usize::from(class.0).checked_sub(1)?)
    }

    fn group(&mut self, group: GroupNo, class: ClassNo) -> &mut Level {
        if !self.groups.contains_key(&group) {
            let level = Level::new(self.of_group(group, class));
            self.groups.insert(group, level);
        }
        self.groups.get_mut(&group).expect("it was put in a line above")
    }
}

/// How soon a class of groups is looked at again whose slots are all taken by calls under way.
const CLASS_LOOK_AGAIN: Micros = 20_000;

/// Calls run one by one for an estimate (about 10 ms); what is beyond goes on at the rate found.
const CALLS_SIMULATED_MAX: u64 = 100_000;

impl Level {
    fn new(limits: &[super::limit::Limit]) -> Self {
        Self { limiters: limits.iter().map(Limiter::new).collect(), not_before: Micros::MIN, in_flight: 0 }
    }

    fn look(&mut self, now: Micros, cost: NonZeroU32) -> Room {
        let start = Room::From(now.max(self.not_before));
        self.limiters.iter_mut().map(|limiter| limiter.look(now, cost)).fold(start, Room::max)
    }

    fn charge(&mut self, now: Micros, cost: NonZeroU32) {
        self.in_flight += 1;
        for limiter in &mut self.limiters {
            limiter.charge(now, cost);
        }
    }

    fn complete(&mut self, now: Micros, cost: u32) {
        self.in_flight = self.in_flight.saturating_sub(1);
        for limiter in &mut self.limiters {
            limiter.complete(now, cost);
        }
    }

    fn cancel(&mut self, cost: u32) {
        self.in_flight = self.in_flight.saturating_sub(1);
        for limiter in &mut self.limiters {
            limiter.cancel(cost);
        }
    }

    fn restore(&mut self, call: &PastCall) {
        for limiter in &mut self.limiters {
            limiter.restore(call.started, call.ended, call.cost);
        }
    }

    /// For an estimate: goes on from `at` until the next call may start, ending calls on the way.
    fn next_start(
        &mut self,
        mut at: Micros,
        ends: &mut VecDeque<Micros>,
        in_flight_max: usize,
    ) -> Option<Micros> {
        loop {
            while ends.pop_front_if(|end| *end <= at).is_some() {
                self.complete(at, 1);
            }
            let next_end = ends.front().copied();
            at = match self.look(at, NonZeroU32::MIN) {
                Room::From(from) if from <= at && ends.len() < in_flight_max => return Some(at),
                Room::From(from) if from > at => next_end.map_or(from, |end| from.min(end)),
                Room::From(_) | Room::AfterCompletion => next_end?,
                Room::Never => return None,
            };
        }
    }

    /// For an estimate: calls under way are taken to end now.
    fn forget_in_flight(&mut self, now: Micros) {
        for limiter in &mut self.limiters {
            limiter.complete_all(now);
        }
        self.in_flight = 0;
    }

    fn is_idle(&mut self, now: Micros) -> bool {
        self.in_flight == 0
            && self.not_before <= now
            && self.limiters.iter_mut().all(|limiter| limiter.is_idle(now))
    }

    fn saturation(&mut self, now: Micros) -> f64 {
        if self.not_before > now {
            return 1.0;
        }
        self.limiters.iter_mut().map(|limiter| limiter.saturation(now)).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests;
