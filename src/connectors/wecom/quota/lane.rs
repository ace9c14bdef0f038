//! One lane of the quota: its limits, what was reserved of them on disk, and until when the platform has closed it.
//!
//! Decides without I/O: times are arguments, what is to be written is returned.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::outbox::limit::{Limit, LimitKind, PERIOD_MAX};
use crate::outbox::limiter::{Limiter, Micros, Room, micros};

/// Largest block, as a share of the smallest window: what a crash may waste.
const BLOCK_SHARE: u32 = 10;
/// The first block, as a share: a lane that is little used, or a process that starts again and again, wastes little.
const FIRST_SHARE: u32 = 1000;
/// Longest time in which the calls of a block begin.
const BLOCK_SPAN_MAX: Duration = Duration::from_secs(10);
/// Old blocks are kept together when they are closer than this share of the longest window.
const MERGE_SHARE: i64 = 64;

/// What the platform closes, at the least, when nothing is known of windows.
const PENALTY_MIN: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);
const DAY_MS: i64 = 86_400_000;
/// The platform's days are those of Beijing.
const BEIJING_MS: i64 = 8 * 3_600_000;

/// Calls that were reserved together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Block {
    /// When it was reserved, or the first of those that are kept together, in milliseconds since the epoch.
    from_ms: i64,
    /// The last of them began before this time.
    until_ms: i64,
    count: u32,
}

/// What is on disk of a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    blocks: VecDeque<Block>,
    /// The platform has closed the lane until then; 0 for "it has not".
    #[serde(default)]
    closed_until_ms: i64,
    #[serde(default)]
    strikes: usize,
}

impl Saved {
    /// Says whether it is too old for any limit there can be.
    pub(super) fn is_dead(&self, now_ms: i64) -> bool {
        let dead = now_ms.saturating_sub(millis(PERIOD_MAX + DAY));
        self.closed_until_ms < now_ms && self.blocks.iter().all(|block| block.until_ms < dead)
    }
}

/// The two clocks at one moment: limits count on the one that never goes back, the disk holds the one that all runs share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) us: Micros,
    pub(super) ms: i64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    limiters: Vec<Limiter>,
    /// Periods of the windows, shortest first; empty when nothing must be remembered.
    periods: Vec<Duration>,
    quantity_min: u32,
    /// How long a call may last.
    call_max: Duration,
    saved: Saved,
    /// What is left of the newest block, and until when on the steady clock its calls may begin.
    left: u32,
    left_until: Micros,
    /// Size of the next block: grows while blocks are used up.
    block: u32,
    closed_until: Micros,
}

impl Lane {
    /// Makes a lane of its limits and what was saved of it; every reserved call counts as made at the end of its block.
    pub(super) fn new(limits: &[Limit], saved: Option<Saved>, call_max: Duration, now: Now) -> Self {
        let windows = || {
            limits.iter().filter_map(|limit| match limit.kind {
                LimitKind::Window { quantity, period } | LimitKind::Pace { quantity, period, .. } => {
                    Some((quantity.get(), period))
                }
                LimitKind::Concurrency { .. } => None,
            })
        };
        let mut periods: Vec<Duration> = windows().map(|(_, period)| period).collect();
        periods.sort_unstable();
        periods.dedup();
        let mut lane = Self {
            limiters: limits.iter().map(Limiter::new).collect(),
            periods,
            quantity_min: windows().map(|(quantity, _)| quantity).min().unwrap_or(0),
            call_max,
            saved: saved.unwrap_or_default(),
            left: 0,
            left_until: now.us,
            block: 1,
            closed_until: now.us,
        };
        lane.block = lane.block_of(FIRST_SHARE);
        lane.restore(now);
        lane
    }

    fn restore(&mut self, now: Now) {
        self.forget(now.ms);
        let latest = now.us + micros(self.span() + self.call_max);
        for block in &self.saved.blocks {
            let Some(count) = NonZeroU32::new(block.count) else { continue };
            // A wall clock that was set may not close a lane for ever.
            let began = steady(block.until_ms, now).min(latest);
            let ended = began.saturating_add(micros(self.call_max)).min(latest);
            for limiter in &mut self.limiters {
                limiter.restore(began, ended, count);
            }
        }
        if self.saved.closed_until_ms > now.ms {
            self.closed_until = steady(self.saved.closed_until_ms, now);
        }
    }

    /// Says from when on `cost` fits.
    pub(super) fn look(&mut self, now: Micros, cost: NonZeroU32) -> Room {
        let closed = Room::From(self.closed_until.max(now));
        self.limiters.iter_mut().map(|limiter| limiter.look(now, cost)).fold(closed, Room::max)
    }

    /// Says whether `cost` may be charged without writing anything first.
    pub(super) fn is_reserved(&self, now: Micros, cost: NonZeroU32) -> bool {
        self.periods.is_empty() || (self.left >= cost.get() && now < self.left_until)
    }

    /// Returns what must be on disk before [`Self::reserved`] may be called with it. Nothing is left of the block before.
    pub(super) fn reserve(&mut self, now_ms: i64, cost: NonZeroU32) -> Saved {
        let left = std::mem::take(&mut self.left);
        if left == 0 && !self.saved.blocks.is_empty() {
            self.block = self.block.saturating_mul(2).min(self.block_of(BLOCK_SHARE));
        }
        if let Some(newest) = self.saved.blocks.back_mut() {
            // What was not used of it was never a call.
            newest.count -= left.min(newest.count);
            newest.until_ms = newest.until_ms.min(now_ms);
        }
        let mut saved = self.saved.clone();
        let until_ms = now_ms.saturating_add(millis(self.span()));
        saved.blocks.push_back(Block { from_ms: now_ms, until_ms, count: self.block.max(cost.get()) });
        saved
    }

    /// Takes over what is on disk now. A penalty that came in the meantime stays.
    pub(super) fn reserved(&mut self, saved: Saved, now: Now) {
        let newest = saved.blocks.back().copied();
        self.left = newest.map_or(0, |block| block.count);
        self.left_until = newest.map_or(now.us, |block| steady(block.until_ms, now));
        self.saved.blocks = saved.blocks;
        self.forget(now.ms);
    }

    /// Takes `cost`; only after [`Self::look`] and [`Self::is_reserved`] allowed it at the same time.
    pub(super) fn charge(&mut self, now: Micros, cost: NonZeroU32) {
        self.left = self.left.saturating_sub(cost.get());
        for limiter in &mut self.limiters {
            limiter.charge(now, cost);
        }
    }

    /// Notes that a call ended.
    pub(super) fn complete(&mut self, now: Micros, cost: NonZeroU32) {
        for limiter in &mut self.limiters {
            limiter.complete(now, cost.get());
        }
    }

    /// Gives back the charge of a call that was never made.
    pub(super) fn cancel(&mut self, cost: NonZeroU32) {
        for limiter in &mut self.limiters {
            limiter.cancel(cost.get());
        }
    }

    /// Closes the lane because the platform has, and returns for how long.
    ///
    /// The platform does not say which of its windows was exceeded. It is the shortest, unless the lane was closed for
    /// that just now and to no avail: then the next longer one.
    pub(super) fn penalise(&mut self, now: Now) -> Duration {
        let again = now.ms.saturating_sub(self.saved.closed_until_ms);
        let last = self.period(self.saved.strikes.saturating_sub(1));
        self.saved.strikes = match self.saved.strikes {
            0 => 1,
            _ if again < 0 => self.saved.strikes, // calls that were under way when it closed
            strikes if again <= millis(last) => strikes + 1,
            _ => 1,
        };
        let wait = rest_of(self.period(self.saved.strikes - 1), now.ms);
        self.saved.closed_until_ms = self.saved.closed_until_ms.max(now.ms.saturating_add(millis(wait)));
        self.closed_until = steady(self.saved.closed_until_ms, now);
        Duration::from_micros(u64::try_from(self.closed_until - now.us).unwrap_or(0))
    }

    /// What is to be on disk of the lane as it is.
    pub(super) fn saved(&self) -> &Saved {
        &self.saved
    }

    /// Says whether nothing is lost when the lane is forgotten.
    pub(super) fn is_idle(&mut self, now: Now) -> bool {
        self.closed_until <= now.us && self.limiters.iter_mut().all(|limiter| limiter.is_idle(now.us))
    }

    fn period(&self, nth: usize) -> Duration {
        self.periods.get(nth).or(self.periods.last()).copied().unwrap_or_default().max(PENALTY_MIN)
    }

    fn block_of(&self, share: u32) -> u32 {
        (self.quantity_min / share).max(1)
    }

    fn span(&self) -> Duration {
        self.periods.first().map_or(Duration::ZERO, |period| (*period / 4).min(BLOCK_SPAN_MAX))
    }

    /// Drops blocks that weigh nothing any more, and keeps those together that are too old for any but the longest
    /// window. Kept together they count as late as the last of them: that errs towards sending less.
    fn forget(&mut self, now_ms: i64) {
        let (Some(shortest), Some(longest)) = (self.periods.first(), self.periods.last()) else {
            self.saved.blocks.clear();
            return;
        };
        let bound = millis(self.call_max);
        let dead = now_ms - millis(*longest) - bound;
        let old = now_ms - millis(*shortest) - bound;
        let apart = millis(*longest) / MERGE_SHARE;
        let mut kept: VecDeque<Block> = VecDeque::with_capacity(self.saved.blocks.len());
        for block in self.saved.blocks.iter().filter(|block| block.until_ms > dead && block.count > 0) {
            match kept.back_mut() {
                Some(last) if block.until_ms <= old && block.until_ms - last.from_ms <= apart => {
                    last.until_ms = block.until_ms;
                    last.count = last.count.saturating_add(block.count);
                }
                Some(_) | None => kept.push_back(*block),
            }
        }
        self.saved.blocks = kept;
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn steady(at_ms: i64, now: Now) -> Micros {
    now.us.saturating_add(at_ms.saturating_sub(now.ms).saturating_mul(1000))
}

/// Minutes and hours are closed for their whole length, a day until its end (page 90454).
fn rest_of(period: Duration, now_ms: i64) -> Duration {
    let Some(more) = period.checked_sub(DAY) else { return period };
    let since_midnight = (now_ms + BEIJING_MS).rem_euclid(DAY_MS);
    let rest = Duration::from_millis(u64::try_from(DAY_MS - since_midnight).unwrap_or(0));
    rest + more
}
