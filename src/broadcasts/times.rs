//! The gate that a broadcast puts before its targets: its hours and days, and how it is spread over them.

use std::sync::Arc;

use hashbrown::HashMap;
use jiff::tz::TimeZone;
use parking_lot::Mutex;

use super::schedule::{HouseRules, OpenTimes, Schedule, at_share, share_of};
use super::{Broadcast, GroupBook};
use crate::event::{GroupId, GroupName};
use crate::outbox::delivery::Delivery;
use crate::outbox::gate::{Gate, Opens};
use crate::storage::MASS_SEND;

/// See the module.
pub(super) struct Times {
    schedule: Schedule,
    rules: HouseRules,
    begins_ms: i64,
    book: Arc<dyn GroupBook>,
    /// What was found for each zone; there are few, and thousands of groups in each.
    known: Mutex<HashMap<TimeZoneName, Known>>,
}

/// Zones without a name (fixed offsets) share one place: they come from no directory.
type TimeZoneName = String;

#[derive(Default)]
struct Known {
    /// Nothing opens from the first until the second moment.
    shut: Option<(i64, i64)>,
    /// What is open until the end of the spread.
    spread: Option<Arc<[(i64, i64)]>>,
}

impl Times {
    /// Makes the gate of a broadcast, if the clock ever holds it back.
    pub(super) fn of(
        broadcast: &Broadcast,
        rules: &HouseRules,
        book: &Arc<dyn GroupBook>,
    ) -> Option<Arc<Self>> {
        let schedule = broadcast.schedule.clone();
        if (OpenTimes { schedule: &schedule, rules }).are_always() {
            return None;
        }
        let begins_ms = broadcast.starts_ms.max(broadcast.released_ms);
        let (rules, book) = (rules.clone(), Arc::clone(book));
        Some(Arc::new(Self { schedule, rules, begins_ms, book, known: Mutex::default() }))
    }

    fn zone_of(&self, delivery: &Delivery) -> TimeZone {
        let group = GroupId::parse(&delivery.group).ok();
        let name = group.map(|group| GroupName { account: delivery.account.clone(), group });
        let zone = name.and_then(|name| self.book.time_zone(&name));
        zone.unwrap_or_else(|| self.book.default_time_zone())
    }

    /// Returns when a target is to leave at the earliest, by its place among all.
    fn due(&self, known: &mut Known, zone: &TimeZone, target: u32) -> i64 {
        let times = OpenTimes { schedule: &self.schedule, rules: &self.rules };
        let until_ms = self.schedule.spread_until_ms;
        let spread =
            known.spread.get_or_insert_with(|| times.intervals(zone, self.begins_ms, until_ms).into());
        at_share(spread, share_of(target)).unwrap_or(self.begins_ms)
    }
}

impl Gate for Times {
    fn opens(&self, delivery: &Delivery, now_ms: i64) -> Opens {
        let zone = self.zone_of(delivery);
        let name = zone.iana_name().unwrap_or_default();
        let mut all = self.known.lock();
        let known = all.entry_ref(name).or_default();
        let mut from_ms = now_ms;
        // A mass send carries many targets and has no place among them.
        if self.schedule.spread_until_ms != 0
            && delivery.kind != MASS_SEND
            && let Some((_, target)) = delivery.broadcast
        {
            from_ms = from_ms.max(self.due(known, &zone, target));
        }
        if let Some((since, until)) = known.shut
            && (since..until).contains(&from_ms)
        {
            return Opens::At(until);
        }
        let times = OpenTimes { schedule: &self.schedule, rules: &self.rules };
        match times.opens(&zone, from_ms) {
            Some(at_ms) if at_ms <= now_ms => Opens::Now,
            Some(at_ms) => {
                if at_ms > from_ms {
                    known.shut = Some((from_ms, at_ms));
                }
                Opens::At(at_ms)
            }
            // Somebody must change the hours: it stays visible as waiting.
            None => Opens::Undecided,
        }
    }
}
