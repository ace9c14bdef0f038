//! One limit being kept: how much room there is, and from when on there is enough.
//!
//! Looking and charging are apart, so that [`super::pacer`] can look at every level before it charges any.
//!
//! * A **window** of N per W: a call occupies its slots from its start until its end + W. Calls end in time order, so the
//!   slots come free in the order they were given back and a queue is enough. Whatever clock the platform counts by, no
//!   window of W on it holds more than N calls.
//! * A **pace** is governor's GCRA, asked with a state and an instant of our own.
//! * **Concurrency** counts calls under way, whatever they cost.
//!
//! What is kept back of a limit ([`Limit::usable`]) is never spent. A window or a pace can be slowed for a time
//! ([`Limiter::slow`]) without forgetting what was spent.
//!
//! Not for: deciding who goes next. Times are microseconds on any one clock that never goes back. Layer: pure core.

use std::cell::Cell;
use std::collections::VecDeque;
use std::num::NonZeroU32;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use super::limit::{Limit, LimitKind};

/// Microseconds on a clock that never goes back.
pub type Micros = i64;

/// Quantity from which a window groups slots that come free close together.
const EXACT_MAX: u32 = 4096;

/// Thousandths of a whole.
pub const WHOLE: u16 = 1000;

/// A group of slots spans at most this share of the window; it comes free as late as its last slot, so grouping only
/// ever errs towards sending less.
const GROUPS: i64 = 512;

/// From when on a charge fits, if nothing else happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// At this time or any later one.
    From(Micros),
    /// Only once a call under way has ended.
    AfterCompletion,
    /// Never: it costs more than the limit allows at once.
    Never,
}

/// One limit and what was spent of it.
#[derive(Clone, Debug)]
pub enum Limiter {
    /// See [`LimitKind::Window`].
    Window(Window),
    /// See [`LimitKind::Pace`].
    Pace(Pace),
    /// See [`LimitKind::Concurrency`].
    Concurrency(Concurrency),
}

impl Limiter {
    /// Makes an unspent limiter.
    pub fn new(limit: &Limit) -> Self {
        match limit.kind {
            LimitKind::Window { period, .. } => {
                Limiter::Window(Window::new(limit.quantity().get(), limit.usable().get(), micros(period)))
            }
            LimitKind::Pace { .. } => Limiter::Pace(Pace { quota: quota(limit, WHOLE), arrival_ns: None }),
            LimitKind::Concurrency { quantity } => {
                Limiter::Concurrency(Concurrency { quantity: quantity.get(), in_flight: 0 })
            }
        }
    }

    /// Lets only so many thousandths of what the limit leaves to use through from now on; `WHOLE` for all of it. Calls at
    /// the same time are no rate and stay as they are.
    pub fn slow(&mut self, limit: &Limit, thousandths: u16) {
        match self {
            Limiter::Window(window) => {
                window.quantity = limit.slowed_to(thousandths).quantity().get();
            }
            Limiter::Pace(pace) => pace.quota = quota(limit, thousandths),
            Limiter::Concurrency(_) => {}
        }
    }

    /// Says from when on `cost` fits. Changes nothing that can be seen.
    pub fn look(&mut self, now: Micros, cost: NonZeroU32) -> Room {
        match self {
            Limiter::Window(window) => window.look(now, cost.get()),
            Limiter::Pace(pace) => pace.ask(now, cost).map_or_else(|room| room, |_| Room::From(now)),
            Limiter::Concurrency(limit) => limit.look(now),
        }
    }

    /// Takes `cost`; only after [`Self::look`] allowed it at the same `now`.
    pub fn charge(&mut self, now: Micros, cost: NonZeroU32) {
        match self {
            Limiter::Window(window) => window.in_flight += cost.get(),
            Limiter::Pace(pace) => {
                if let Ok(arrival_ns) = pace.ask(now, cost) {
                    pace.arrival_ns = Some(arrival_ns);
                }
            }
            Limiter::Concurrency(limit) => limit.in_flight += 1,
        }
    }

    /// Notes that a call ended now.
    pub fn complete(&mut self, now: Micros, cost: u32) {
        match self {
            Limiter::Window(window) => {
                window.in_flight = window.in_flight.saturating_sub(cost);
                window.occupy(now + window.period, cost);
            }
            Limiter::Pace(_) => {}
            Limiter::Concurrency(limit) => limit.in_flight = limit.in_flight.saturating_sub(1),
        }
    }

    /// Gives back a charge whose call was never made. A pace cannot take it back; that errs towards sending less.
    pub fn cancel(&mut self, cost: u32) {
        match self {
            Limiter::Window(window) => window.in_flight = window.in_flight.saturating_sub(cost),
            Limiter::Pace(_) => {}
            Limiter::Concurrency(limit) => limit.in_flight = limit.in_flight.saturating_sub(1),
        }
    }

    /// Takes every call under way to have ended now; for estimates.
    pub fn complete_all(&mut self, now: Micros) {
        match self {
            Limiter::Window(window) => {
                let cost = std::mem::take(&mut window.in_flight);
                if cost > 0 {
                    window.occupy(now + window.period, cost);
                }
            }
            Limiter::Pace(_) => {}
            Limiter::Concurrency(limit) => limit.in_flight = 0,
        }
    }

    /// Puts in a call of the past. Calls must come in the order of their ends.
    pub fn restore(&mut self, started: Micros, ended: Micros, cost: NonZeroU32) {
        match self {
            Limiter::Window(window) => window.occupy(ended + window.period, cost.get()),
            Limiter::Pace(pace) => pace.restore(started, cost),
            Limiter::Concurrency(_) => {}
        }
    }

    /// Says whether it is as good as new.
    pub fn is_idle(&mut self, now: Micros) -> bool {
        match self {
            Limiter::Window(window) => {
                window.expire(now);
                window.in_flight == 0 && window.occupied == 0
            }
            Limiter::Pace(pace) => pace.arrival_ns.is_none_or(|arrival| arrival <= nanos(now)),
            Limiter::Concurrency(limit) => limit.in_flight == 0,
        }
    }

    /// Returns the spent share, 0 to 1.
    pub fn saturation(&mut self, now: Micros) -> f64 {
        match self {
            Limiter::Window(window) => {
                window.expire(now);
                ratio(u64::from(window.in_flight) + u64::from(window.occupied), window.quantity)
            }
            Limiter::Pace(pace) => match pace.ask(now, NonZeroU32::MIN) {
                Ok(_) => 0.0,
                Err(_) => 1.0,
            },
            Limiter::Concurrency(limit) => ratio(u64::from(limit.in_flight), limit.quantity),
        }
    }
}

fn quota(limit: &Limit, thousandths: u16) -> Quota {
    let burst = limit.burst().unwrap_or(NonZeroU32::MIN);
    let per_period = u128::from(limit.usable().get()) * u128::from(thousandths.max(1));
    // Rounded up: a pace a billionth too slow keeps its promise, one too fast does not.
    let nanos = (limit.period().as_nanos() * u128::from(WHOLE)).div_ceil(per_period);
    let nanos = u64::try_from(nanos).unwrap_or(u64::MAX).max(1);
    let quota = Quota::with_period(std::time::Duration::from_nanos(nanos));
    quota.expect("the period is at least a nanosecond").allow_burst(burst)
}

/// N per W, exact.
#[derive(Clone, Debug)]
pub struct Window {
    /// What the platform allows.
    full: u32,
    /// What is let through now: less by what is kept back, and while it is slowed.
    quantity: u32,
    period: Micros,
    /// Slots of calls under way.
    in_flight: u32,
    /// Slots of calls that ended less than `period` ago: the sum over `ended`.
    occupied: u32,
    /// In the order they come free.
    ended: VecDeque<Slots>,
}

/// Slots that come free together.
#[derive(Clone, Copy, Debug)]
struct Slots {
    /// When the first of them could have come free.
    first: Micros,
    /// When they do.
    free: Micros,
    count: u32,
}

impl Window {
    fn new(full: u32, quantity: u32, period: Micros) -> Self {
        Self { full, quantity, period, in_flight: 0, occupied: 0, ended: VecDeque::new() }
    }

    fn expire(&mut self, now: Micros) {
        while let Some(slots) = self.ended.front()
            && slots.free <= now
        {
            self.occupied -= slots.count;
            self.ended.pop_front();
        }
    }

    fn look(&mut self, now: Micros, cost: u32) -> Room {
        if cost > self.full {
            return Room::Never;
        }
        self.expire(now);
        let spent = u64::from(self.in_flight) + u64::from(self.occupied) + u64::from(cost);
        // What weighs more than is let through at once, but not more than the platform allows, goes alone.
        let mut excess = spent.saturating_sub(u64::from(self.quantity.max(cost)));
        if excess == 0 {
            return Room::From(now);
        }
        for slots in &self.ended {
            excess = excess.saturating_sub(u64::from(slots.count));
            if excess == 0 {
                return Room::From(slots.free);
            }
        }
        Room::AfterCompletion
    }

    fn occupy(&mut self, free: Micros, count: u32) {
        self.occupied += count;
        let span = if self.full > EXACT_MAX { self.period / GROUPS } else { 0 };
        match self.ended.back_mut() {
            // An end that is told late (a restored call) may not make an earlier one come free later than it must, but
            // the queue stays in order.
            Some(last) if free <= last.free || free - last.first <= span => {
                last.free = last.free.max(free);
                last.count += count;
            }
            Some(_) | None => self.ended.push_back(Slots { first: free, free, count }),
        }
    }
}

/// Governor's GCRA with its state and clock in our hands.
#[derive(Clone, Debug)]
pub struct Pace {
    quota: Quota,
    /// Theoretical arrival time: what GCRA remembers.
    arrival_ns: Option<u64>,
}

impl Pace {
    /// Asks governor; `Ok` holds the state after the charge.
    fn ask(&self, now: Micros, cost: NonZeroU32) -> Result<u64, Room> {
        let state = Memory(Cell::new(self.arrival_ns));
        // The limiter takes its clock's reading at birth as time zero, hence the clock that is set afterwards. Building
        // one costs two comparisons.
        let limiter: RateLimiter<_, _, _, NoOpMiddleware<Nanos>> =
            RateLimiter::new(self.quota, state, Hand(Cell::new(0)));
        limiter.clock().0.set(nanos(now));
        match limiter.check_n(cost) {
            Ok(Ok(())) => Ok(limiter.into_state_store().0.get().unwrap_or_default()),
            Ok(Err(until)) => {
                let at = until.earliest_possible().as_u64().div_ceil(1000);
                Err(Room::From(Micros::try_from(at).unwrap_or(Micros::MAX)))
            }
            Err(_more_than_the_burst) => Err(Room::Never),
        }
    }

    /// Charges a call of the past, also one that the limit (perhaps a newer one) would not have allowed then.
    fn restore(&mut self, started: Micros, cost: NonZeroU32) {
        let step = u64::try_from(self.quota.replenish_interval().as_nanos()).unwrap_or(u64::MAX);
        let from = self.arrival_ns.unwrap_or(0).max(nanos(started));
        self.arrival_ns = Some(from.saturating_add(step.saturating_mul(u64::from(cost.get()))));
    }
}

struct Memory(Cell<Option<u64>>);

impl StateStore for Memory {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (answer, next) = decide(self.0.get().map(Nanos::new))?;
        self.0.set(Some(next.as_u64()));
        Ok(answer)
    }
}

struct Hand(Cell<u64>);

impl Clock for Hand {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.get())
    }
}

/// Calls under way; a call is one, whatever it costs.
#[derive(Clone, Debug)]
pub struct Concurrency {
    quantity: u32,
    in_flight: u32,
}

impl Concurrency {
    fn look(&self, now: Micros) -> Room {
        if self.in_flight < self.quantity { Room::From(now) } else { Room::AfterCompletion }
    }
}

/// Converts a configured duration.
pub fn micros(duration: std::time::Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

fn nanos(at: Micros) -> u64 {
    u64::try_from(at).unwrap_or(0).saturating_mul(1000)
}

fn ratio(spent: u64, quantity: u32) -> f64 {
    let spent = u32::try_from(spent).unwrap_or(u32::MAX);
    (f64::from(spent) / f64::from(quantity)).min(1.0)
}
