//! Which groups are to be read, and when: a burst of callbacks of one group makes one reading, soon after it has ended.
//!
//! Not for: reading. Bounded: gaps by the number of groups (each lies in the connector's state too), readings for details
//! by a number of their own; what is beyond it waits for the next sync.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::connectors::rosters::RosterConfig;

/// What is to be done about a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// When.
    at_ms: i64,
    /// When it was noticed first.
    first_ms: i64,
    /// A callback did not follow from what we know, first at this time.
    pub(super) gap_since_ms: Option<i64>,
    /// Details of members who joined since are wanted.
    pub(super) details_since_ms: Option<i64>,
    /// Tries so far.
    tries: u32,
    /// Grows with each notice: what is noticed during a reading is not done by it.
    stamp: u64,
}

/// The groups to be read.
#[derive(Debug)]
pub(super) struct Agenda {
    config: RosterConfig,
    clock: Clock,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    groups: HashMap<String, Due>,
    /// When whoever waits looks again. What is due later wakes nobody: in a fleet that never rests each callback would
    /// else make a look at all groups.
    looks_ms: i64,
}

impl State {
    /// Returns what is known of a group, or a fresh entry that wants these details.
    fn entry(&mut self, group: &str, now_ms: i64, details_since_ms: Option<i64>) -> &mut Due {
        if !self.groups.contains_key(group) {
            let fresh = Due {
                at_ms: now_ms,
                first_ms: now_ms,
                gap_since_ms: None,
                details_since_ms,
                tries: 0,
                stamp: 0,
            };
            self.groups.insert(group.to_owned(), fresh);
        }
        self.groups.get_mut(group).expect("it was there or is now")
    }

    /// Says whether whoever waits must be woken for something due then.
    fn must_wake(&mut self, at_ms: i64) -> bool {
        let is_earlier = at_ms < self.looks_ms;
        self.looks_ms = self.looks_ms.min(at_ms);
        is_earlier
    }
}

/// Why a group is read once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The platform's answers lag behind.
    Lags,
    /// The platform, or storage, failed.
    Failed,
}

impl Agenda {
    pub(super) fn new(config: &RosterConfig, clock: &Clock) -> Self {
        Self {
            config: config.clone(),
            clock: clock.clone(),
            state: Mutex::new(State { looks_ms: i64::MAX, ..State::default() }),
            changed: Notify::new(),
        }
    }

    /// A callback of the group did not follow from what we know.
    pub(super) fn gap(&self, group: &str, since_ms: i64) {
        self.notice(&mut self.state.lock(), group, |due| {
            due.gap_since_ms = Some(due.gap_since_ms.map_or(since_ms, |since| since.min(since_ms)));
        });
    }

    /// Details of members who joined since are wanted. Says whether there was room.
    pub(super) fn details(&self, group: &str, since_ms: i64) -> bool {
        let mut state = self.state.lock();
        if state.groups.len() >= self.config.details_max && !state.groups.contains_key(group) {
            return false;
        }
        self.notice(&mut state, group, |due| {
            let since = due.details_since_ms.map_or(since_ms, |since| since.min(since_ms));
            due.details_since_ms = Some(since);
        });
        true
    }

    fn notice(&self, state: &mut State, group: &str, change: impl FnOnce(&mut Due)) {
        let now_ms = self.clock.now_ms();
        let due = state.entry(group, now_ms, None);
        change(due);
        due.stamp += 1;
        let (quiet_ms, quiet_max_ms) = (millis(self.config.quiet), millis(self.config.quiet_max));
        due.at_ms = (now_ms + quiet_ms).min((due.first_ms + quiet_max_ms).max(now_ms));
        let at_ms = due.at_ms;
        if state.must_wake(at_ms) {
            self.changed.notify_one();
        }
    }

    /// Returns what is due now.
    pub(super) fn due(&self) -> Vec<(String, Due)> {
        let now_ms = self.clock.now_ms();
        let state = self.state.lock();
        let mut due: Vec<_> = state
            .groups
            .iter()
            .filter(|(_, due)| due.at_ms <= now_ms)
            .map(|(group, due)| (group.clone(), due.clone()))
            .collect();
        due.sort_by(|(a_group, a), (b_group, b)| (a.at_ms, a_group).cmp(&(b.at_ms, b_group)));
        due
    }

    /// A group was read; what was noticed meanwhile stays.
    pub(super) fn done(&self, group: &str, of: &Due) {
        let groups = &mut self.state.lock().groups;
        if groups.get(group).is_some_and(|due| due.stamp == of.stamp) {
            groups.remove(group);
        } else if let Some(due) = groups.get_mut(group) {
            (due.first_ms, due.tries) = (self.clock.now_ms(), 0);
        }
    }

    /// A group is to be read again, with a growing delay.
    pub(super) fn again(&self, group: &str, why: Again) {
        let now_ms = self.clock.now_ms();
        let max = match why {
            Again::Lags => self.config.lag_patience,
            Again::Failed => self.config.retry_delay_max,
        };
        let mut state = self.state.lock();
        // One that nothing is known of is to be read for its details: else there would be nothing to do.
        let due = state.entry(group, now_ms, Some(now_ms));
        let delay = self.config.quiet.saturating_mul(1 << due.tries.min(20)).min(max);
        due.tries = due.tries.saturating_add(1);
        due.at_ms = now_ms + millis(delay).max(1);
        let at_ms = due.at_ms;
        if state.must_wake(at_ms) {
            self.changed.notify_one();
        }
    }

    /// Returns since when a group has a gap.
    pub(super) fn gap_since(&self, group: &str) -> Option<i64> {
        self.state.lock().groups.get(group)?.gap_since_ms
    }

    /// Says whether anything is to be done about a group.
    pub(super) fn has(&self, group: &str) -> bool {
        self.state.lock().groups.contains_key(group)
    }

    /// Returns how many groups are still to be read.
    pub(super) fn left(&self) -> u64 {
        self.state.lock().groups.len() as u64
    }

    /// Waits until something is due. Cancel safe.
    pub(super) async fn wait(&self) {
        loop {
            let changed = self.changed.notified();
            let next_ms = {
                let mut state = self.state.lock();
                let next_ms = state.groups.values().map(|due| due.at_ms).min();
                state.looks_ms = next_ms.unwrap_or(i64::MAX);
                next_ms
            };
            let left_ms = next_ms.map(|next| next - self.clock.now_ms());
            match left_ms {
                Some(..=0) => return,
                Some(left) => {
                    let left = Duration::from_millis(u64::try_from(left).unwrap_or(1));
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep(left) => {}
                    }
                }
                None => changed.await,
            }
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn agenda(clock: &Clock) -> Agenda {
        Agenda::new(&RosterConfig { details_max: 2, ..RosterConfig::default() }, clock)
    }

    fn due(agenda: &Agenda) -> Vec<String> {
        agenda.due().into_iter().map(|(group, _)| group).collect()
    }

    #[test]
    fn a_burst_makes_one_reading_and_one_that_never_ends_does_not_wait_for_ever() {
        let clock = Clock::manual(1_000_000);
        let agenda = agenda(&clock);
        for _ in 0..5 {
            agenda.gap("wr1", clock.now_ms());
            assert!(due(&agenda).is_empty());
            clock.advance(Duration::from_secs(1));
        }
        clock.advance(Duration::from_secs(1));
        assert_eq!(due(&agenda), ["wr1"]);
        assert_eq!(agenda.gap_since("wr1"), Some(1_000_000));
        for _ in 0..13 {
            agenda.gap("wr1", clock.now_ms());
            clock.advance(Duration::from_secs(1));
        }
        assert!(due(&agenda).is_empty());
        agenda.gap("wr1", clock.now_ms());
        clock.advance(Duration::from_secs(1));
        assert_eq!(due(&agenda), ["wr1"], "twenty seconds after the first notice");
    }

    #[test]
    fn what_is_noticed_during_a_reading_is_not_done_by_it() {
        let clock = Clock::manual(0);
        let agenda = agenda(&clock);
        agenda.details("wr1", 7);
        clock.advance(Duration::from_secs(2));
        let (_, seen) = agenda.due().remove(0);
        agenda.gap("wr1", 9);
        agenda.done("wr1", &seen);
        assert_eq!(agenda.left(), 1);
        clock.advance(Duration::from_secs(2));
        let (_, seen) = agenda.due().remove(0);
        agenda.done("wr1", &seen);
        assert_eq!((agenda.left(), agenda.gap_since("wr1")), (0, None));
    }

    #[test]
    fn tries_come_at_growing_delays_up_to_the_patience() {
        let clock = Clock::manual(0);
        let agenda = agenda(&clock);
        let mut delays = Vec::new();
        for _ in 0..6 {
            agenda.again("wr1", Again::Lags);
            let from_ms = clock.now_ms();
            while agenda.due().is_empty() {
                clock.advance(Duration::from_secs(1));
            }
            delays.push((clock.now_ms() - from_ms) / 1_000);
        }
        assert_eq!(delays, [2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn details_are_bounded_and_gaps_are_not_refused() {
        let agenda = agenda(&Clock::manual(0));
        assert!(agenda.details("a", 1) && agenda.details("b", 1) && agenda.details("a", 0));
        assert!(!agenda.details("c", 1));
        agenda.gap("c", 1);
        assert_eq!(agenda.left(), 3);
    }

    #[test]
    fn a_group_that_could_not_be_read_is_read_for_its_details_and_one_with_a_gap_is_not() {
        let agenda = agenda(&Clock::manual(5));
        let details = |group: &str| agenda.state.lock().groups[group].details_since_ms;
        agenda.again("failed", Again::Failed);
        agenda.gap("gap", 1);
        assert_eq!((details("failed"), details("gap")), (Some(5), None));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_when_something_is_due() {
        let clock = Clock::tokio(0);
        let agenda = agenda(&clock);
        assert!(tokio::time::timeout(Duration::from_mins(1), agenda.wait()).await.is_err());
        agenda.gap("wr1", clock.now_ms());
        let before_ms = clock.now_ms();
        agenda.wait().await;
        assert_eq!(clock.now_ms() - before_ms, 2_000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_later_wakes_nobody() {
        let clock = Clock::tokio(0);
        let agenda = agenda(&clock);
        let looks_until = |at_ms: u64| tokio::time::timeout(Duration::from_millis(at_ms), agenda.wait());
        agenda.gap("wr1", 0);
        assert!(looks_until(1_000).await.is_err(), "due at 2,000; the notice was taken in");
        agenda.gap("wr2", 1_000);
        assert!(agenda.changed.notified().now_or_never().is_none(), "due at 3,000");
        assert!(looks_until(1_000).await.is_ok());
        for _ in 0..2 {
            let Some((group, seen)) = agenda.due().pop() else { break };
            agenda.done(&group, &seen);
        }
        assert!(looks_until(900).await.is_err() && looks_until(200).await.is_ok(), "the other one at 3,000");
    }
}
