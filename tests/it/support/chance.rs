//! A seeded stream of numbers.

use std::time::{SystemTime, UNIX_EPOCH};

/// Splitmix64: the same seed tells the same story.
pub(crate) struct Chance(u64);

impl Chance {
    /// Starts a stream.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws a number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Draws a number below another, which must not be zero.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.draw() % n
    }
}

/// The wall's time in milliseconds: also the seed of a story that is new each time, and printed to be told again.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
