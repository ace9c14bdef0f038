//! How many broadcasts one group gets: by its own calendar's day, week and month. Layer: pure core.
//!
//! What waits counts as what was sent does, so that ten broadcasts for tomorrow are not all let in today. Of two that do not
//! both fit the more important one goes; of equals the one that was there first.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// Most broadcasts that one group gets; 0 for as many as there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Caps {
    /// In a day.
    pub per_day: u32,
    /// In a week, from Monday.
    pub per_week: u32,
    /// In a calendar month.
    pub per_month: u32,
}

/// Importance of a broadcast that says nothing.
pub(super) const IMPORTANCE_DEFAULT: u8 = 5;

/// The highest importance.
pub(super) const IMPORTANCE_MAX: u8 = 9;

/// A broadcast that a group got or is to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Other {
    /// The delivery's id.
    pub(super) delivery: String,
    /// Which broadcast.
    pub(super) broadcast: String,
    /// When it was sent, or is to be.
    pub(super) at_ms: i64,
    /// How important it is.
    pub(super) importance: u8,
    /// Nobody has begun to send it.
    pub(super) waits: bool,
}

/// What follows for one more broadcast to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It goes, once these deliveries are called off.
    Goes(BTreeSet<String>),
    /// It does not, for this reason.
    Capped(String),
}

/// Why a delivery was called off.
pub(super) const CAPPED: &str = "frequency_cap";

#[derive(Clone, Copy)]
enum Period {
    Day,
    Week,
    Month,
}

impl Period {
    /// Returns the first day of the period that a date is in.
    fn start(self, date: Date) -> Date {
        match self {
            Period::Day => date,
            Period::Week => date.saturating_sub(i64::from(date.weekday().to_monday_zero_offset()).days()),
            Period::Month => date.first_of_month(),
        }
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Period::Day => ("天", "day"),
            Period::Week => ("周", "week"),
            Period::Month => ("月", "month"),
        }
    }
}

impl Caps {
    /// Says whether there is any.
    pub(super) fn any(&self) -> bool {
        self.per_day > 0 || self.per_week > 0 || self.per_month > 0
    }

    /// Rules on one more broadcast to a group that lives by `zone`, to be sent at `at_ms`.
    pub(super) fn rule(&self, zone: &TimeZone, at_ms: i64, importance: u8, others: &[Other]) -> Ruling {
        let date =
            |at_ms: i64| Timestamp::from_millisecond(at_ms).unwrap_or_default().to_zoned(zone.clone()).date();
        let caps =
            [(Period::Day, self.per_day), (Period::Week, self.per_week), (Period::Month, self.per_month)];
        let mut displaced = BTreeSet::new();
        for (period, max) in caps.into_iter().filter(|(_, max)| *max > 0) {
            let start = period.start(date(at_ms));
            let mut same: Vec<&Other> = others
                .iter()
                .filter(|other| {
                    period.start(date(other.at_ms)) == start && !displaced.contains(&other.delivery)
                })
                .collect();
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            let Some(excess) = (same.len() + 1).checked_sub(max).filter(|excess| *excess > 0) else {
                continue;
            };
            // The least important goes first, of equals the latest.
            same.sort_by_key(|other| (other.importance, std::cmp::Reverse(other.at_ms)));
            let weaker = same.iter().filter(|other| other.waits && other.importance < importance);
            let gone: Vec<_> = weaker.take(excess).map(|other| other.delivery.clone()).collect();
            if gone.len() < excess {
                let (chinese, english) = period.names();
                let names: Vec<_> = same.iter().map(|other| other.broadcast.as_str()).collect();
                let (count, names) = (names.len(), names.join(", "));
                return Ruling::Capped(format!(
                    "该群这{chinese}已有 {count} 条群发（{names}），上限每{chinese} {max} 条 · \
                     {count} broadcasts for this {english} already ({names}), {max} a {english} are allowed"
                ));
            }
            displaced.extend(gone);
        }
        Ruling::Goes(displaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn other(name: &str, at_ms: i64, importance: u8, waits: bool) -> Other {
        Other { delivery: format!("{name}.1"), broadcast: name.to_owned(), at_ms, importance, waits }
    }

    fn shanghai() -> TimeZone {
        TimeZone::get("Asia/Shanghai").unwrap()
    }

    #[track_caller]
    fn goes(ruling: &Ruling, displaced: &[&str]) {
        let expect: BTreeSet<String> = displaced.iter().map(|name| format!("{name}.1")).collect();
        assert_eq!(*ruling, Ruling::Goes(expect));
    }

    #[test]
    fn days_are_those_of_the_group() {
        let caps = Caps { per_day: 1, ..Caps::default() };
        let sent = [other("bc_1", at("2026-11-27T15:59:59Z"), 5, false)]; // 23:59:59 in Shanghai
        goes(&caps.rule(&shanghai(), at("2026-11-27T16:00:00Z"), 5, &sent), &[]);
        let Ruling::Capped(why) = caps.rule(&TimeZone::UTC, at("2026-11-27T16:00:00Z"), 5, &sent) else {
            panic!("it is the same day in UTC")
        };
        assert!(why.contains("bc_1") && why.contains("1 a day are allowed"), "{why}");
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let friday = at("2026-11-27T04:00:00Z");
        let week = Caps { per_week: 2, ..Caps::default() };
        let mut sent =
            vec![other("a", friday - 4 * DAY_MS, 5, false), other("b", friday - 5 * DAY_MS, 5, false)];
        goes(&week.rule(&shanghai(), friday, 5, &sent), &[]);
        sent.push(other("c", friday + DAY_MS, 5, true));
        assert!(matches!(week.rule(&shanghai(), friday, 5, &sent), Ruling::Capped(_)), "what waits counts");
        let month = Caps { per_month: 3, ..Caps::default() };
        assert!(matches!(month.rule(&shanghai(), friday, 5, &sent), Ruling::Capped(_)));
        goes(&month.rule(&shanghai(), friday + 4 * DAY_MS, 5, &sent), &[]);
    }

    #[test]
    fn the_more_important_one_goes_and_of_equals_the_first() {
        let now = at("2026-11-27T04:00:00Z");
        let caps = Caps { per_day: 1, per_week: 2, per_month: 0 };
        let low = other("low", now, 3, true);
        goes(&caps.rule(&shanghai(), now, 5, std::slice::from_ref(&low)), &["low"]);
        assert!(matches!(caps.rule(&shanghai(), now, 3, std::slice::from_ref(&low)), Ruling::Capped(_)));
        let leaving = Other { waits: false, ..low.clone() };
        assert!(matches!(caps.rule(&shanghai(), now, 9, &[leaving]), Ruling::Capped(_)), "it is on its way");
        // One is displaced for the day; that makes room in the week as well.
        let monday = other("monday", now - 4 * DAY_MS, 9, false);
        goes(&caps.rule(&shanghai(), now, 5, &[low.clone(), monday.clone()]), &["low"]);
        let tuesday = other("tuesday", now - 3 * DAY_MS, 1, false);
        assert!(matches!(caps.rule(&shanghai(), now, 5, &[low, monday, tuesday]), Ruling::Capped(_)));
    }

    #[test]
    fn without_caps_everything_goes() {
        assert!(!Caps::default().any());
        let many: Vec<_> = (0..50).map(|n| other(&format!("bc_{n}"), 0, 5, false)).collect();
        goes(&Caps::default().rule(&TimeZone::UTC, 0, 5, &many), &[]);
    }
}
