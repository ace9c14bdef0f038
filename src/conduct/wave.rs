//! A wave of joins: many people enter one group at once, as before a raid. Counted over a sliding window of two halves: the
//! share of the one before that the window still covers, and the one that runs.

use super::Config;

/// What is remembered of a group's joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wave {
    /// Since when the window runs.
    start_ms: i64,
    /// Joins of the window before.
    before: u32,
    /// Joins of this one.
    now: u32,
    /// From when on whoever joined came with the wave.
    pub since_ms: i64,
    /// Until when it lasts; in the past when there is none.
    pub until_ms: i64,
}

impl Wave {
    /// Reads what [`Wave::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (start_ms, since_ms, until_ms, before, now) = postcard::from_bytes(bytes).ok()?;
        Some(Self { start_ms, before, now, since_ms, until_ms })
    }

    /// Writes it.
    pub fn to_bytes(self) -> Vec<u8> {
        let Self { start_ms, before, now, since_ms, until_ms } = self;
        postcard::to_extend(&(start_ms, since_ms, until_ms, before, now), Vec::new())
            .expect("plain data goes into memory")
    }

    /// Counts a join; says whether a wave begins with it.
    pub fn join(&mut self, config: &Config, now_ms: i64) -> bool {
        let window_ms = config.join_wave_window_ms().max(1);
        let windows = now_ms.saturating_sub(self.start_ms).div_euclid(window_ms);
        if windows != 0 {
            self.before = if windows == 1 { self.now } else { 0 };
            self.start_ms = now_ms - now_ms.saturating_sub(self.start_ms).rem_euclid(window_ms);
            self.now = 0;
        }
        self.now = self.now.saturating_add(1);
        let left_ms = window_ms - (now_ms - self.start_ms).min(window_ms);
        let joins = i64::from(self.before) * left_ms / window_ms + i64::from(self.now);
        if joins <= i64::from(config.join_wave_max) {
            return false;
        }
        let begins = self.until_ms <= now_ms;
        if begins {
            self.since_ms = now_ms.saturating_sub(window_ms);
        }
        self.until_ms = now_ms.saturating_add(config.join_wave_hold_ms());
        begins
    }

    /// Says whether somebody who joined then came with a wave that lasts.
    pub fn brought(&self, joined_ms: i64, now_ms: i64) -> bool {
        now_ms < self.until_ms && joined_ms >= self.since_ms
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn config(max: u32) -> Config {
        Config {
            join_wave_max: max,
            join_wave_window: Duration::from_millis(100),
            join_wave_hold: Duration::from_millis(300),
            ..Config::default()
        }
    }

    #[test]
    fn a_wave_begins_once_and_lasts_while_people_come() {
        let (config, mut wave) = (config(3), Wave::default());
        let begun: Vec<bool> = (0..6).map(|n| wave.join(&config, 1_000 + n)).collect();
        assert_eq!(begun, [false, false, false, true, false, false]);
        assert_eq!(Wave::from_bytes(&wave.to_bytes()), Some(wave));
        assert!(wave.brought(1_000, 1_304) && !wave.brought(900, 1_304) && !wave.brought(1_000, 1_305));
        assert!(!wave.join(&config, 2_000), "an hour later one comes");
    }

    proptest! {
        /// The estimate is never further from the true count of the window than one whole window before it.
        #[test]
        fn no_wave_without_so_many_in_two_windows_and_always_with_so_many_in_one(gaps in vec(0_i64..60, 1..80), max in 1_u32..12) {
            let (config, mut wave) = (config(max), Wave::default());
            let (mut now, mut joined) = (10_000, Vec::new());
            for gap in gaps {
                now += gap;
                joined.push(now);
                wave.join(&config, now);
                let within = |span: i64| {
                    u32::try_from(joined.iter().filter(|at| now - **at < span).count()).unwrap()
                };
                let is_above = wave.until_ms == now + 300;
                prop_assert!(!is_above || within(200) > max);
                prop_assert!(is_above || within(now - wave.start_ms + 1) <= max);
            }
        }
    }
}
