//! What another broadcast still brings, by how many a group has had lately (群发疲劳).
//!
//! Each send is compared with its own group: customers' messages and leaves in the hours after it, less what is usual there in
//! the same hours of the weeks before.

use std::collections::BTreeMap;

use crate::event::HOUR_MS;
use crate::statistics::days::DAY_MS;
use crate::statistics::definitions::Counters;

/// Broadcasts of so long before a send count as recent.
pub const RECENT_MS: i64 = 7 * DAY_MS;
/// Sends with more recent ones than this are put together with these.
pub const RECENT_MAX: usize = 5;
/// Weeks that say what is usual, and how many of them must be known.
const WEEKS: i64 = 4;
const WEEKS_MIN: usize = 2;

/// What followed a send, beyond what is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// Broadcasts that the group had in the week before, at most [`RECENT_MAX`].
    pub recent: usize,
    /// Customers' messages.
    pub messages: f64,
    /// Leaves.
    pub leaves: f64,
}

/// Works out what followed the sends of one group since `since_ms`. `sends` ascend; `hours` are its counters by the start of the hour, and
/// `known_ms` is when it was first heard of: weeks before it say nothing.
pub fn changes(
    sends: &[i64],
    hours: &[(i64, Counters)],
    since_ms: i64,
    window_ms: i64,
    known_ms: i64,
) -> Vec<Change> {
    let by_hour: BTreeMap<i64, &Counters> = hours.iter().map(|(start_ms, row)| (*start_ms, row)).collect();
    let sum = |from_ms: i64| {
        let rows = by_hour.range(from_ms..from_ms + window_ms);
        rows.fold((0, 0), |(messages, leaves), (_, counters)| {
            let said = counters.messages.saturating_sub(counters.staff_messages);
            (messages + said, leaves + counters.leaves)
        })
    };
    let mut found = Vec::new();
    for (nth, sent_ms) in sends.iter().enumerate().filter(|(_, sent_ms)| **sent_ms >= since_ms) {
        let start_ms = sent_ms.div_euclid(HOUR_MS) * HOUR_MS;
        let weeks: Vec<i64> = (1..=WEEKS)
            .map(|week| start_ms - week * 7 * DAY_MS)
            .filter(|from_ms| *from_ms >= known_ms)
            .collect();
        if weeks.len() < WEEKS_MIN {
            continue;
        }
        let usual = weeks.iter().map(|from_ms| sum(*from_ms)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        let after = sum(start_ms);
        let recent = sends[..nth].iter().rev().take_while(|before| sent_ms - **before < RECENT_MS).count();
        found.push(Change {
            recent: recent.min(RECENT_MAX),
            messages: float(after.0) - float(usual.0) / float(weeks.len() as u64),
            leaves: float(after.1) - float(usual.1) / float(weeks.len() as u64),
        });
    }
    found
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 100 * 7 * DAY_MS;

    fn hour(start_ms: i64, messages: u64, leaves: u64) -> (i64, Counters) {
        (start_ms, Counters { messages, leaves, ..Counters::default() })
    }

    #[test]
    fn a_send_is_compared_with_the_same_hours_of_the_weeks_before() {
        let weeks = (1..=4).map(|week| hour(START - week * 7 * DAY_MS, 4, 1));
        let hours: Vec<_> = weeks.chain([hour(START, 10, 1), hour(START + 30 * HOUR_MS, 99, 9)]).collect();
        let found = changes(&[START + 5], &hours, START, DAY_MS, 0);
        assert_eq!(found, [Change { recent: 0, messages: 6.0, leaves: 0.0 }]);
        // Only one week is known: nobody can say what is usual.
        assert_eq!(changes(&[START + 5], &hours, START, DAY_MS, START - 8 * DAY_MS), []);
    }

    #[test]
    fn sends_of_the_week_before_are_counted() {
        let sends: Vec<i64> = (-9..=0).map(|day| START + day * DAY_MS).collect();
        let recent = |since_ms| -> Vec<usize> {
            changes(&sends, &[], since_ms, DAY_MS, 0).iter().map(|change| change.recent).collect()
        };
        assert_eq!(recent(START), [RECENT_MAX]);
        assert_eq!(recent(START - 9 * DAY_MS)[..4], [0, 1, 2, 3]);
    }
}
