//! What owners are like: prompt, late, or deaf to what the platform asks of them.
//!
//! Nothing is drawn once and stored: whom somebody is, and how long they take, follows from the seed, the person and what they
//! were asked. So the same seed gives the same day, and four thousand owners cost nothing.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::wecom::ids::mix;
use crate::wecom::people::StaffNo;

/// What somebody is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Temper {
    /// Does it soon.
    Prompt,
    /// Does it hours later.
    Late,
    /// Does not do it unless reminded, and perhaps not then.
    Never,
}

/// How many owners are of which kind, and how long they take.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OwnerConfig {
    /// Share of prompt ones.
    pub prompt: f64,
    /// Share of late ones; the rest never do it.
    pub late: f64,
    /// How long prompt ones take, from and to, in milliseconds.
    pub prompt_ms: (u64, u64),
    /// How long late ones take, from and to, in milliseconds.
    pub late_ms: (u64, u64),
    /// Share of those asked again who then do it within the prompt ones' time.
    pub reminded: f64,
}

impl Default for OwnerConfig {
    fn default() -> Self {
        Self {
            prompt: 0.7,
            late: 0.2,
            prompt_ms: (60_000, 30 * 60_000),
            late_ms: (2 * 3_600_000, 36 * 3_600_000),
            reminded: 0.5,
        }
    }
}

/// What they are asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Habit {
    /// Confirm a mass send.
    MassSend,
    /// Apply a group welcome template.
    Template,
    /// Answer to a reminder of such a number.
    Reminder(u32),
}

/// All of them.
#[derive(Debug, Clone, Copy)]
pub struct Owners<'w> {
    /// How many are like what.
    pub config: &'w OwnerConfig,
    /// Those whose kind was set by hand.
    pub tempers: &'w HashMap<StaffNo, Temper>,
    /// What everything follows from.
    pub seed: u64,
}

impl Owners<'_> {
    /// What somebody is like.
    pub fn temper(&self, who: StaffNo) -> Temper {
        if let Some(&temper) = self.tempers.get(&who) {
            return temper;
        }
        let draw = self.draw(&("temper", who));
        if draw < self.config.prompt {
            Temper::Prompt
        } else if draw < self.config.prompt + self.config.late {
            Temper::Late
        } else {
            Temper::Never
        }
    }

    /// How long somebody takes for something they were asked to; none: they never do it.
    pub fn wait_ms(&self, who: StaffNo, habit: Habit, what: &str) -> Option<u64> {
        let (from, to) = match (habit, self.temper(who)) {
            (Habit::Reminder(_), _) if self.draw(&("reminded", who, habit, what)) >= self.config.reminded => {
                return None;
            }
            (Habit::Reminder(_), _) | (_, Temper::Prompt) => self.config.prompt_ms,
            (_, Temper::Late) => self.config.late_ms,
            (_, Temper::Never) => return None,
        };
        let span = std::time::Duration::from_millis(to.saturating_sub(from));
        let extent = span.mul_f64(self.draw(&("wait", who, habit, what)));
        Some(from + crate::wecom::clock::millis(extent))
    }

    /// A number from 0 to 1, 1 excluded.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what a float holds")]
    fn draw(&self, of: &impl Hash) -> f64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, of).hash(&mut hasher);
        (mix(hasher.finish()) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_kept_and_the_same_seed_gives_the_same_people() {
        let (config, tempers) = (OwnerConfig::default(), HashMap::new());
        let count = |seed, wanted| {
            let owners = Owners { config: &config, tempers: &tempers, seed };
            (0..4_000).filter(|&number| owners.temper(StaffNo(number)) == wanted).count()
        };
        assert!((2_700..2_900).contains(&count(1, Temper::Prompt)), "{}", count(1, Temper::Prompt));
        assert!((700..900).contains(&count(1, Temper::Late)));
        assert_eq!(count(1, Temper::Never), count(1, Temper::Never));
        assert_ne!(count(1, Temper::Never), count(2, Temper::Never));
    }

    #[test]
    fn everybody_takes_the_time_of_their_kind_and_some_hear_a_reminder() {
        let config = OwnerConfig::default();
        let tempers = HashMap::from([
            (StaffNo(0), Temper::Prompt),
            (StaffNo(1), Temper::Late),
            (StaffNo(2), Temper::Never),
        ]);
        let owners = Owners { config: &config, tempers: &tempers, seed: 3 };
        let wait = |who| owners.wait_ms(StaffNo(who), Habit::MassSend, "msg1");
        let within = |(from, to), wait: Option<u64>| wait.is_some_and(|wait| (from..=to).contains(&wait));
        assert!(within(config.prompt_ms, wait(0)) && within(config.late_ms, wait(1)));
        assert_eq!(wait(2), None);
        let reminded = (0..1_000)
            .filter(|n| owners.wait_ms(StaffNo(2), Habit::Reminder(1), &format!("msg{n}")).is_some())
            .count();
        assert!((430..570).contains(&reminded), "{reminded}");
    }
}
