//! The limits of one level: one account, one class, one group, or what several accounts share.
//!
//! Not for: several levels at once (the parent module). Layer: pure core.

use std::num::NonZeroU32;

use super::learning::{Brake, Learning, Recent};
use crate::outbox::limit::Limit;
use crate::outbox::limiter::{Limiter, Micros, Room, WHOLE};

/// What one call is charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Charge {
    /// What it weighs.
    pub(super) weight: NonZeroU32,
    /// It may use what is reserved for urgent calls.
    pub(super) is_urgent: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    kept: Vec<Kept>,
    /// The platform asked for silence until then.
    not_before: Micros,
    in_flight: u32,
    brake: Option<Brake>,
    /// Thousandths at which the limiters stand now; 0 stands for "as made", so that a default is right.
    slowed_to: u16,
}

/// One limit being kept.
#[derive(Clone, Debug)]
struct Kept {
    limiter: Limiter,
    limit: Limit,
    whom: Whom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    Everything,
    /// The share of a window that urgent calls leave.
    AllButUrgent,
    /// Learned from a refusal where no rate was configured; goes away when the rate is regained.
    Learned,
}

impl Kept {
    fn new(limit: Limit, whom: Whom) -> Self {
        Self { limiter: Limiter::new(&limit), limit, whom }
    }

    fn holds(&self, is_urgent: bool) -> bool {
        !(is_urgent && self.whom == Whom::AllButUrgent)
    }
}

impl Level {
    /// Makes a level of which nothing is spent. Of its windows, urgent calls have so many in a hundred for themselves.
    pub(super) fn new(limits: &[Limit], reserve_percent: u8) -> Self {
        let mut kept = Vec::with_capacity(limits.len());
        for limit in limits {
            kept.push(Kept::new(*limit, Whom::Everything));
            kept.extend(limit.beside_urgent(reserve_percent).map(|beside| Kept {
                limiter: Limiter::new(&beside),
                limit: *limit,
                whom: Whom::AllButUrgent,
            }));
        }
        Self { kept, ..Self::default() }
    }

    /// Says from when on a call fits.
    pub(super) fn look(&mut self, now: Micros, charge: Charge, learning: &Learning) -> Room {
        self.regain(now, learning);
        let start = Room::From(now.max(self.not_before));
        let held = self.kept.iter_mut().filter(|kept| kept.holds(charge.is_urgent));
        held.map(|kept| kept.limiter.look(now, kept.limit.count(charge.weight))).fold(start, Room::max)
    }

    /// The same, and which limit it is; `None`: the platform asked for silence.
    pub(super) fn short(
        &mut self,
        now: Micros,
        charge: Charge,
        learning: &Learning,
    ) -> (Room, Option<Limit>) {
        self.regain(now, learning);
        let mut short = (Room::From(now.max(self.not_before)), None);
        for kept in self.kept.iter_mut().filter(|kept| kept.holds(charge.is_urgent)) {
            let room = kept.limiter.look(now, kept.limit.count(charge.weight));
            if room > short.0 {
                short = (room, Some(kept.limit));
            }
        }
        short
    }

    pub(super) fn charge(&mut self, now: Micros, charge: Charge) {
        self.in_flight += 1;
        for kept in self.kept.iter_mut().filter(|kept| kept.holds(charge.is_urgent)) {
            kept.limiter.charge(now, kept.limit.count(charge.weight));
        }
    }

    pub(super) fn complete(&mut self, now: Micros, charge: Charge) {
        self.in_flight = self.in_flight.saturating_sub(1);
        for kept in self.kept.iter_mut().filter(|kept| kept.holds(charge.is_urgent)) {
            kept.limiter.complete(now, kept.limit.count(charge.weight).get());
        }
    }

    pub(super) fn cancel(&mut self, charge: Charge) {
        self.in_flight = self.in_flight.saturating_sub(1);
        for kept in self.kept.iter_mut().filter(|kept| kept.holds(charge.is_urgent)) {
            kept.limiter.cancel(kept.limit.count(charge.weight).get());
        }
    }

    /// Puts in a call of the past; nobody remembers how urgent it was, so it counts as not.
    pub(super) fn restore(&mut self, started: Micros, ended: Micros, weight: NonZeroU32) {
        for kept in &mut self.kept {
            kept.limiter.restore(started, ended, kept.limit.count(weight));
        }
    }

    /// For an estimate: calls under way are taken to end now.
    pub(super) fn forget_in_flight(&mut self, now: Micros) {
        for kept in &mut self.kept {
            kept.limiter.complete_all(now);
        }
        self.in_flight = 0;
    }

    pub(super) fn delay(&mut self, until: Micros) {
        self.not_before = self.not_before.max(until);
    }

    pub(super) fn is_idle(&mut self, now: Micros, learning: &Learning) -> bool {
        self.regain(now, learning);
        self.in_flight == 0
            && self.not_before <= now
            && self.brake.is_none()
            && self.kept.iter_mut().all(|kept| kept.limiter.is_idle(now))
    }

    pub(super) fn saturation(&mut self, now: Micros) -> f64 {
        if self.not_before > now {
            return 1.0;
        }
        let everything = self.kept.iter_mut().filter(|kept| kept.whom != Whom::AllButUrgent);
        everything.map(|kept| kept.limiter.saturation(now)).fold(0.0, f64::max)
    }

    // === what refusals taught ===

    /// The platform said "too often" to a call that began at `started`: half the rate from now on. Where no rate is
    /// configured, half of what was sent just now. Says whether anything changed.
    pub(super) fn refused(
        &mut self,
        now: Micros,
        started: Micros,
        recent: Option<&Recent>,
        learning: &Learning,
    ) -> bool {
        self.regain(now, learning);
        let Some(brake) = Brake::after_refusal(self.brake, now, started, learning) else { return false };
        if !self.has_rate() {
            let Some(limit) = recent.and_then(|recent| recent.as_limit(now)) else { return false };
            self.learn(limit);
        }
        self.brake = Some(brake);
        self.regain(now, learning);
        true
    }

    /// Goes on with what was learned before a restart.
    pub(super) fn resume(&mut self, now: Micros, brake: Brake, learned: Option<Limit>, learning: &Learning) {
        if !self.has_rate() {
            let Some(limit) = learned else { return };
            self.learn(limit);
        }
        self.brake = Some(brake);
        self.regain(now, learning);
    }

    /// Returns the brake and the limit that was learned where none was configured.
    pub(super) fn brake(&self) -> Option<(Brake, Option<Limit>)> {
        let learned = self.kept.iter().find(|kept| kept.whom == Whom::Learned).map(|kept| kept.limit);
        self.brake.map(|brake| (brake, learned))
    }

    /// Returns the share of the configured rate that is used now, in thousandths.
    pub(super) fn share(&mut self, now: Micros, learning: &Learning) -> u16 {
        self.regain(now, learning);
        self.brake.map_or(WHOLE, |brake| brake.at(now, learning))
    }

    /// Returns the limits it keeps, learned ones too.
    pub(super) fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.kept.iter().filter(|kept| kept.whom != Whom::AllButUrgent).map(|kept| &kept.limit)
    }

    /// For an estimate of calls that weigh 1 each: weights and calls are the same.
    pub(super) fn count_weights(&mut self) {
        for kept in &mut self.kept {
            kept.limit.calls = false;
        }
    }

    fn has_rate(&self) -> bool {
        self.kept.iter().any(|kept| !kept.limit.period().is_zero())
    }

    /// Calls under way are not known to the new limit, so it starts with their slots taken by nobody: they were counted
    /// when it was made.
    fn learn(&mut self, limit: Limit) {
        self.kept.push(Kept::new(limit, Whom::Learned));
    }

    fn regain(&mut self, now: Micros, learning: &Learning) {
        let Some(brake) = self.brake else { return };
        let share = brake.at(now, learning);
        if share != self.slowed_to {
            self.slowed_to = share;
            for kept in &mut self.kept {
                kept.limiter.slow(&kept.limit, share);
            }
        }
        if share == WHOLE {
            self.brake = None;
            self.slowed_to = 0;
            self.kept.retain(|kept| kept.whom != Whom::Learned);
        }
    }
}
