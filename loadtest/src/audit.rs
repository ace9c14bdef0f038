//! An independent check of window limits: it knows arrival times and the limit, and nothing of how the sender paces.
//!
//! The property, for sorted accepted arrival times `t`: `t[i + N] - t[i] >= W` for every `i`. It is the same as saying that
//! no half-open window of length `W`, wherever it is laid, holds more than `N` arrivals.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::WindowLimit;

/// How many violations a report spells out; all of them are counted.
const EXAMPLES: usize = 5;

/// Watches one limit, over everything or per key (a group).
#[derive(Debug)]
pub struct Auditor {
    limit: WindowLimit,
    scope: Scope,
    windows: HashMap<String, VecDeque<Duration>>,
    seen: u64,
    first: Option<Duration>,
    last: Duration,
    worst: usize,
    closest: Option<Duration>,
    violations: u64,
    examples: Vec<String>,
}

/// What one limit is counted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All arrivals together.
    Whole,
    /// All arrivals for groups of one class together.
    Class,
    /// Each group for itself.
    Group,
}

/// What an [`Auditor`] found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditReport {
    /// The limit as it was written.
    pub limit: String,
    /// What it was counted over.
    pub scope: Scope,
    /// How many fit into one window.
    pub allowed: usize,
    /// Window length in milliseconds.
    pub window_ms: f64,
    /// Arrivals looked at.
    pub arrivals: u64,
    /// From the first arrival to the last, in seconds.
    pub span_s: f64,
    /// Keys seen: groups, or one.
    pub keys: usize,
    /// The fullest window found.
    pub max_in_window: usize,
    /// The smallest `t[i + N] - t[i]` found, in milliseconds; below `window_ms` the limit was broken.
    pub closest_ms: Option<f64>,
    /// Arrivals that came too early.
    pub violations: u64,
    /// The first few of them, in words.
    pub examples: Vec<String>,
}

impl Auditor {
    /// An auditor that has seen nothing.
    pub fn new(limit: WindowLimit, scope: Scope) -> Self {
        Self {
            limit,
            scope,
            windows: HashMap::new(),
            seen: 0,
            first: None,
            last: Duration::ZERO,
            worst: 0,
            closest: None,
            violations: 0,
            examples: Vec::new(),
        }
    }

    /// Takes one accepted arrival. Times of one key must not go backwards; the caller stamps them under one lock.
    pub fn arrived(&mut self, group: &str, at: Duration) {
        let key = match self.scope {
            Scope::Whole | Scope::Class => "",
            Scope::Group => group,
        };
        if !self.windows.contains_key(key) {
            self.windows.insert(key.to_owned(), VecDeque::new());
        }
        let window = self.windows.get_mut(key).expect("inserted above");
        self.seen += 1;
        self.first.get_or_insert(at);
        self.last = at;
        // One arrival older than the window is kept as long as it can still be the N-th before the next one.
        while window.len() > self.limit.count
            && window.front().is_some_and(|&first| at.saturating_sub(first) >= self.limit.window)
        {
            window.pop_front();
        }
        if let Some(&before) = window.len().checked_sub(self.limit.count).and_then(|index| window.get(index))
        {
            let gap = at.saturating_sub(before);
            self.closest = Some(self.closest.map_or(gap, |closest| closest.min(gap)));
            if gap < self.limit.window {
                self.violations += 1;
                if self.examples.len() < EXAMPLES {
                    let (count, scope) = (self.limit.count, if key.is_empty() { "all" } else { key });
                    self.examples.push(format!("{scope}: {} arrivals within {gap:?}, at {at:?}", count + 1));
                }
            }
        }
        window.push_back(at);
        // Times only grow, so those still inside the window are the tail.
        let outside = window.partition_point(|&then| at.saturating_sub(then) >= self.limit.window);
        self.worst = self.worst.max(window.len() - outside);
    }

    /// Tells what was found so far.
    pub fn report(&self) -> AuditReport {
        AuditReport {
            limit: self.limit.to_string(),
            scope: self.scope,
            allowed: self.limit.count,
            window_ms: self.limit.window.as_secs_f64() * 1_000.0,
            arrivals: self.seen,
            span_s: self.last.saturating_sub(self.first.unwrap_or_default()).as_secs_f64(),
            keys: self.windows.len(),
            max_in_window: self.worst,
            closest_ms: self.closest.map(|gap| gap.as_secs_f64() * 1_000.0),
            violations: self.violations,
            examples: self.examples.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Says the property in the plainest way: every pair, every window, no state.
    fn oracle(times: &[Duration], limit: &WindowLimit) -> (u64, usize) {
        let early = |i: usize| {
            times.get(i + limit.count).is_some_and(|&later| later.saturating_sub(times[i]) < limit.window)
        };
        let violations = (0..times.len()).filter(|&i| early(i)).count();
        let inside = |end: usize| {
            times[..=end].iter().filter(|&&then| times[end].saturating_sub(then) < limit.window).count()
        };
        (violations as u64, (0..times.len()).map(inside).max().unwrap_or(0))
    }

    proptest! {
        #[test]
        fn agrees_with_a_look_at_every_window(
            gaps in prop::collection::vec((0_u64..40, 0_usize..3), 0..200),
            count in 1_usize..8,
            window in 1_u64..120,
        ) {
            let limit = WindowLimit::new(count, Duration::from_millis(window));
            let (mut whole, mut each) =
                (Auditor::new(limit.clone(), Scope::Whole), Auditor::new(limit.clone(), Scope::Group));
            let (mut now, mut all, mut groups) = (Duration::ZERO, Vec::new(), vec![Vec::new(); 3]);
            for (gap, group) in gaps {
                now += Duration::from_millis(gap);
                whole.arrived(&group.to_string(), now);
                each.arrived(&group.to_string(), now);
                all.push(now);
                groups[group].push(now);
            }
            let (violations, worst) = oracle(&all, &limit);
            prop_assert_eq!((whole.violations, whole.worst), (violations, worst));
            let per_group: Vec<_> = groups.iter().map(|times| oracle(times, &limit)).collect();
            let expected = per_group.iter().map(|found| found.0).sum::<u64>();
            prop_assert_eq!((each.violations, each.worst), (expected, per_group.iter().map(|found| found.1).max().unwrap_or(0)));
        }
    }

    #[test]
    fn an_arrival_exactly_one_window_later_is_allowed() {
        let limit: WindowLimit = "2/s".parse().expect("a limit");
        let mut auditor = Auditor::new(limit, Scope::Whole);
        for millis in [0, 10, 1_000, 1_009] {
            auditor.arrived("g", Duration::from_millis(millis));
        }
        let report = auditor.report();
        assert_eq!((report.violations, report.max_in_window), (1, 3), "{report:?}");
        assert_eq!(report.closest_ms, Some(999.0));
    }
}
