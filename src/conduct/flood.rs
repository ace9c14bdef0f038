//! A member who says too much in too short a time.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{EventType, Head, Role, Verdict};

/// What counts as a flood.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Messages a customer may send in one group within the window; 0 switches the limit off.
    pub flood_messages_max: usize,
    /// The window.
    #[serde(with = "crate::units::duration")]
    pub flood_window: Duration,
    /// The verdict of a message above the limit, if its text alone does not deserve a severer one.
    pub flood_verdict: Verdict,
}

impl Default for Config {
    fn default() -> Self {
        Self { flood_messages_max: 20, flood_window: Duration::from_mins(1), flood_verdict: Verdict::Review }
    }
}

impl Config {
    /// Returns the window in milliseconds.
    pub fn window_ms(&self) -> i64 {
        i64::try_from(self.flood_window.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Longest window that is remembered, in milliseconds: a longer setting would not survive a restart whole.
const KEEP_MS: i64 = 3_600_000;
/// Most times remembered of one member: a flood limit above it is refused by the configuration check.
pub(crate) const TIMES_MAX: usize = 256;

/// Recent message times of the members of one partition, by arrival.
#[derive(Debug, Default)]
pub struct Floods {
    // Keyed by a hash of (account, group, member): two members sharing one is a slightly stricter limit for both.
    times: HashMap<u64, VecDeque<i64>>,
    // Not random: the same events must give the same decisions. The map above it is.
    hasher: BuildHasherDefault<DefaultHasher>,
}

impl Floods {
    /// Says whether one more message now would be above the limit.
    pub fn is_flood(&self, config: &Config, account: &str, group: &str, member: &str, now_ms: i64) -> bool {
        if config.flood_messages_max == 0 {
            return false;
        }
        let since = now_ms - config.window_ms();
        let key = self.hasher.hash_one((account, group, member));
        let Some(times) = self.times.get(&key) else { return false };
        times.iter().rev().take_while(|at| **at > since).count() >= config.flood_messages_max
    }

    /// Takes in a message; other events and other roles than `customer` are none of our concern.
    pub fn observe(&mut self, head: &Head<'_>) {
        let Some(member) = head.member.as_deref() else { return };
        if head.what != EventType::Message || head.role != Role::Customer {
            return;
        }
        let key = self.hasher.hash_one((head.account.as_ref(), head.group.as_ref(), member));
        let times = self.times.entry(key).or_default();
        if times.len() == TIMES_MAX {
            times.pop_front();
        }
        times.push_back(head.arrived_ms);
    }

    /// Drops members who have been silent for an hour.
    pub fn sweep(&mut self, now_ms: i64) {
        self.times.retain(|_, times| times.back().is_some_and(|at| *at > now_ms - KEEP_MS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKey, Status};

    fn message(member: &str, at_ms: i64, role: Role) -> Head<'_> {
        Head {
            key: EventKey(0),
            at_ms,
            arrived_ms: at_ms,
            account: "a".into(),
            group: "g".into(),
            member: Some(member.into()),
            name: None,
            role,
            what: EventType::Message,
            status: Status::Counted,
            verdict: Verdict::Pass,
            revised: false,
            fingerprint: None,
        }
    }

    #[test]
    fn the_message_above_the_limit_is_a_flood_until_the_window_has_moved_on() {
        let config = Config { flood_messages_max: 3, ..Config::default() };
        let mut floods = Floods::default();
        let flood = |floods: &Floods, member, now| floods.is_flood(&config, "a", "g", member, now);
        for at in [0, 10_000, 20_000] {
            assert!(!flood(&floods, "m", at));
            floods.observe(&message("m", at, Role::Customer));
        }
        assert!(flood(&floods, "m", 59_999));
        assert!(!flood(&floods, "m", 60_000), "the first message has left the window");
        assert!(!flood(&floods, "other", 30_000));
        floods.sweep(20_000 + KEEP_MS);
        assert!(floods.times.is_empty());
    }

    #[test]
    fn staff_may_say_as_much_as_they_like() {
        let config = Config { flood_messages_max: 1, ..Config::default() };
        let mut floods = Floods::default();
        floods.observe(&message("s", 0, Role::Staff));
        assert!(!floods.is_flood(&config, "a", "g", "s", 1));
    }
}
