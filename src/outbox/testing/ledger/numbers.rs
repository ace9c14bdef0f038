//! What events came to, as a test tells it.

use std::collections::BTreeMap;

use crate::storage::{CountRow, Counters, CountsQuery, HitRow, OutcomeRow, Totals};

/// What events came to, as a test tells it.
#[derive(Clone, Default)]
pub(crate) struct Numbers {
    /// When, in which group, what.
    pub(crate) counted: Vec<(i64, String, Counters)>,
    /// When every group was first heard of; a month before the test when left out.
    pub(crate) known_since_ms: Option<i64>,
    pub(crate) hits: Vec<(String, HitRow)>,
    pub(crate) outcomes: Vec<OutcomeRow>,
}

impl Numbers {
    pub(super) fn counts(&self, query: &CountsQuery) -> Vec<CountRow> {
        let hour = |at_ms: i64| at_ms - at_ms.rem_euclid(3_600_000);
        let mut hours: BTreeMap<i64, Counters> = BTreeMap::new();
        for (at_ms, group, counters) in &self.counted {
            if *group == query.group && (hour(query.from_ms)..query.until_ms).contains(&hour(*at_ms)) {
                hours.entry(hour(*at_ms)).or_default().add(counters);
            }
        }
        let row = |(start_ms, counters)| CountRow { start_ms, revised: false, counters };
        hours.into_iter().map(row).collect()
    }

    pub(super) fn totals(&self, from_ms: i64, until_ms: i64) -> Vec<Totals> {
        let mut groups: BTreeMap<String, Counters> = BTreeMap::new();
        for (at_ms, group, counters) in &self.counted {
            if (from_ms..until_ms).contains(at_ms) {
                groups.entry(group.clone()).or_default().add(counters);
            }
        }
        let total = |(group, counters)| Totals { account: "demo".to_owned(), group, counters };
        groups.into_iter().map(total).collect()
    }
}
