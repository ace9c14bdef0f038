//! Action budgets (处置额度): how often an act that cannot be taken back may follow, by rule, region and hour.
//!
//! One count for the whole gateway, so that a wrong rule that hits 24,000 groups at once removes a few members and not one of
//! each. What was spent is asked before an act is decided, and noted with it in the partition's durable state: a start adds
//! these up again. An act that is not written after all has still been spent: the error is on the safe side.

use std::collections::HashMap;

use crate::event::HOUR_MS;

/// What rules have spent, by region.
#[derive(Debug, Default)]
pub struct Spent {
    by: HashMap<String, Hour>,
}

/// What was spent within an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    /// Which: hours since the epoch.
    pub hour: i64,
    /// How often.
    pub count: u32,
}

impl Hour {
    /// Reads what [`Hour::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (hour, count) = bytes.split_first_chunk()?;
        Some(Self { hour: i64::from_le_bytes(*hour), count: u32::from_le_bytes(count.try_into().ok()?) })
    }

    /// Writes it.
    pub fn to_bytes(self) -> Vec<u8> {
        [&self.hour.to_le_bytes()[..], &self.count.to_le_bytes()].concat()
    }

    /// Returns it after one more act.
    #[must_use]
    pub fn and_one(self, now_ms: i64) -> Self {
        let hour = now_ms.div_euclid(HOUR_MS);
        let count = if self.hour == hour { self.count } else { 0 };
        Self { hour, count: count.saturating_add(1) }
    }

    /// Returns when it is over.
    pub fn end_ms(self) -> i64 {
        self.hour.saturating_add(1).saturating_mul(HOUR_MS)
    }
}

/// Names what has a budget of its own.
pub fn key(rule: &str, region: Option<&str>) -> String {
    [rule, region.unwrap_or_default()].join("\u{1f}")
}

impl Spent {
    /// Spends one, if less than `max` was spent in this hour.
    pub fn try_spend(&mut self, key: &str, max: u32, now_ms: i64) -> bool {
        let hour = now_ms.div_euclid(HOUR_MS);
        self.by.retain(|_, spent| spent.hour >= hour); // a few rules and regions
        let spent = self.by.get(key).copied().unwrap_or_default().and_one(now_ms);
        if spent.count > max {
            return false;
        }
        self.by.insert(key.to_owned(), spent);
        true
    }

    /// Returns how many are left of `max` in this hour.
    pub fn left(&self, key: &str, max: u32, now_ms: i64) -> u32 {
        let hour = now_ms.div_euclid(HOUR_MS);
        let spent = self.by.get(key).filter(|spent| spent.hour == hour).map_or(0, |spent| spent.count);
        max.saturating_sub(spent)
    }

    /// Adds what a partition has spent before a start.
    pub fn resume(&mut self, key: &str, part: Hour) {
        let spent = self.by.entry(key.to_owned()).or_default();
        if spent.hour == part.hour {
            spent.count = spent.count.saturating_add(part.count);
        } else if spent.hour < part.hour {
            *spent = part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_its_budget_and_a_start_goes_on_from_the_parts() {
        let mut spent = Spent::default();
        let spend = |spent: &mut Spent, key: &str, now_ms: i64| spent.try_spend(key, 2, now_ms);
        let (east, west) = (key("standard", Some("east")), key("standard", None));
        assert!(spend(&mut spent, &east, 0) && spend(&mut spent, &east, 1));
        assert!(!spend(&mut spent, &east, HOUR_MS - 1));
        assert!(spend(&mut spent, &west, 2), "each region has its own");
        assert_eq!(
            (spent.left(&east, 2, 3), spent.left(&west, 2, 3), spent.left(&west, 2, HOUR_MS)),
            (0, 1, 2)
        );
        assert!(spend(&mut spent, &east, HOUR_MS), "the next hour");
        let part = Hour::default().and_one(5).and_one(6);
        assert_eq!(Hour::from_bytes(&part.to_bytes()), Some(part));
        let mut resumed = Spent::default();
        resumed.resume(&east, Hour::default().and_one(3));
        resumed.resume(&east, Hour { hour: -1, count: 9 });
        assert!(spend(&mut resumed, &east, 7));
        assert!(!spend(&mut resumed, &east, 8));
        assert!(!Spent::default().try_spend(&east, 0, 0), "no budget, no act");
    }
}
