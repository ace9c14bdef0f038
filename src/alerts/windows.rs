//! What happens in groups, counted by the minute over the last hours: leaves, hits, negative messages.
//!
//! Pure. Not for: what is usual (`baseline`, from storage's hourly counters). Bounded: at most [`GROUPS_MAX`] groups in which
//! something happened within [`HORIZON_MS`], 181 minutes of three 4-byte counts each at the very most; a group in which
//! nothing happened costs nothing. Invariant: the order of events does not matter.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Effects, EventType, Fact, Role, Status};

/// For so long minutes are remembered: the longest window, and time to catch up.
pub const HORIZON_MS: i64 = 3 * 3_600_000;
/// Groups that are counted at once.
pub const GROUPS_MAX: usize = 100_000;
const MINUTE_MS: i64 = 60_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watched {
    /// Customers who left, as far as it is known when.
    Leaves,
    /// Hits of rules.
    Hits,
    /// Messages of customers that a list of negative words hit.
    Negative,
}

type Counts = [u32; 3];

impl Watched {
    fn of(self, counts: Counts) -> u32 {
        let [leaves, hits, negative] = counts;
        match self {
            Watched::Leaves => leaves,
            Watched::Hits => hits,
            Watched::Negative => negative,
        }
    }
}

/// Minutes of one group.
#[derive(Clone, Debug, Default)]
struct Minutes(BTreeMap<i64, Counts>);

impl Minutes {
    fn add(&mut self, minute: i64, more: Counts) {
        let counts = self.0.entry(minute).or_default();
        for (count, more) in counts.iter_mut().zip(more) {
            *count = count.saturating_add(more);
        }
    }

    fn count(&self, watched: Watched, until: i64, window_min: u32) -> u64 {
        let from = until - i64::from(window_min);
        self.0.range(from + 1..=until).map(|(_, counts)| u64::from(watched.of(*counts))).sum()
    }
}

/// Something was counted in a group, in one minute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touched {
    /// The minute since the epoch.
    pub minute: i64,
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// What.
    pub watched: Watched,
}

/// All groups.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    groups: BTreeMap<(String, String), Minutes>,
    fleet: Minutes,
    /// With the latest event of the minute.
    touched: BTreeMap<Touched, i64>,
    /// What is older is left out.
    oldest_ms: i64,
    uncounted: u64,
}

/// Returns the minute that a time is in.
pub fn minute_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(MINUTE_MS)
}

impl Windows {
    /// Counts what an event caused.
    pub fn observe(&mut self, effects: &Effects<'_>, negative: &BTreeSet<String>) {
        let head = &effects.head;
        if head.status != Status::Counted || head.group.is_empty() {
            return;
        }
        let counts = counts_of(effects, negative);
        if counts == Counts::default() || head.at_ms < self.oldest_ms {
            return;
        }
        let minute = minute_of(head.at_ms);
        self.fleet.add(minute, counts);
        let name = (head.account.to_string(), head.group.to_string());
        if self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(&name) {
            self.uncounted += 1;
            return;
        }
        self.groups.entry(name).or_default().add(minute, counts);
        for watched in [Watched::Leaves, Watched::Hits, Watched::Negative] {
            if watched.of(counts) > 0 {
                let (account, group) = (head.account.to_string(), head.group.to_string());
                let at_ms = self.touched.entry(Touched { minute, account, group, watched }).or_default();
                *at_ms = (*at_ms).max(head.at_ms);
            }
        }
    }

    /// Returns where something was counted since [`Windows::clear_touched`], the earliest minute first, each with its latest
    /// event.
    pub fn touched(&self) -> &BTreeMap<Touched, i64> {
        &self.touched
    }

    /// All that was touched has been looked at.
    pub fn clear_touched(&mut self) {
        self.touched.clear();
    }

    /// Returns how much was left out since the last time, because too many groups are counted.
    pub fn take_uncounted(&mut self) -> u64 {
        std::mem::take(&mut self.uncounted)
    }

    /// Counts in a group over a window that ends with a minute.
    pub fn count(
        &self,
        (account, group): (&str, &str),
        watched: Watched,
        until: i64,
        window_min: u32,
    ) -> u64 {
        let minutes = self.groups.get(&(account.to_owned(), group.to_owned()));
        minutes.map_or(0, |minutes| minutes.count(watched, until, window_min))
    }

    /// Counts over all groups.
    pub fn count_fleet(&self, watched: Watched, until: i64, window_min: u32) -> u64 {
        self.fleet.count(watched, until, window_min)
    }

    /// Forgets what is older than the horizon.
    pub fn forget(&mut self, now_ms: i64) {
        self.oldest_ms = now_ms.saturating_sub(HORIZON_MS);
        let oldest = minute_of(self.oldest_ms);
        self.groups.retain(|_, minutes| {
            minutes.0 = minutes.0.split_off(&oldest);
            !minutes.0.is_empty()
        });
        self.fleet.0 = self.fleet.0.split_off(&oldest);
    }
}

/// Leaves and hits as the hourly counters count them, so that both can be compared.
fn counts_of(effects: &Effects<'_>, negative: &BTreeSet<String>) -> Counts {
    let head = &effects.head;
    let (mut leaves, mut hits, mut is_negative) = (0, 0_u32, false);
    if head.what == EventType::MemberLeft && head.role != Role::Bot {
        // Of a leave that was found by comparing rosters nobody knows when it happened.
        let is_known = !effects.facts.iter().any(|fact| matches!(fact, Fact::Member(fact) if fact.inferred));
        leaves = u32::from(is_known);
    }
    for fact in &effects.facts {
        if let Fact::Hit(hit) = fact {
            hits += 1;
            is_negative |= head.role == Role::Customer && negative.contains(&*hit.wordlist);
        }
    }
    [leaves, hits, u32::from(is_negative)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{EventKey, Head, MemberFact, Verdict};

    const NOW_MS: i64 = 1_795_312_800_000;

    fn left(group: &str, at_ms: i64, inferred: bool) -> Effects<'static> {
        let (inviter, scene, channel, reason, union_id) = (None, None, None, None, None);
        let fact = MemberFact { joined: false, inviter, scene, channel, reason, union_id, inferred };
        let head = Head {
            key: EventKey(1),
            at_ms,
            arrived_ms: at_ms,
            account: "demo".into(),
            group: group.to_owned().into(),
            member: None,
            name: None,
            role: Role::Customer,
            what: EventType::MemberLeft,
            status: Status::Counted,
            verdict: Verdict::Pass,
            revised: false,
            fingerprint: None,
        };
        Effects { head, facts: vec![Fact::Member(fact)] }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_window_counts_what_is_in_it(
            events in proptest::collection::vec((0_usize..3, 0_i64..150), 1..60),
            until in 0_i64..160,
            window in 1_u32..60,
        ) {
            let mut windows = Windows::default();
            for (group, minute) in &events {
                let at_ms = NOW_MS + minute * MINUTE_MS;
                windows.observe(&left(&format!("g-{group}"), at_ms, false), &BTreeSet::new());
            }
            let is_in = |minute: i64| minute <= until && minute > until - i64::from(window);
            let end = minute_of(NOW_MS) + until;
            for group in 0..3 {
                let expect = events.iter().filter(|(g, minute)| *g == group && is_in(*minute)).count() as u64;
                let name = format!("g-{group}");
                prop_assert_eq!(windows.count(("demo", &name), Watched::Leaves, end, window), expect);
            }
            let all = events.iter().filter(|(_, minute)| is_in(*minute)).count() as u64;
            prop_assert_eq!(windows.count_fleet(Watched::Leaves, end, window), all);
            let places: BTreeSet<_> = events.iter().collect();
            prop_assert_eq!(windows.touched().len(), places.len());
            windows.forget(NOW_MS + 200 * MINUTE_MS + HORIZON_MS);
            prop_assert!(windows.groups.is_empty() && windows.fleet.0.is_empty());
        }
    }

    #[test]
    fn a_leave_of_which_nobody_knows_when_it_was_is_left_out() {
        let mut windows = Windows::default();
        windows.observe(&left("g", NOW_MS, true), &BTreeSet::new());
        windows.observe(&left("", NOW_MS, false), &BTreeSet::new());
        assert!(windows.touched().is_empty());
    }
}
