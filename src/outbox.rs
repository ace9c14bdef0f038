//! Everything we say or do on a platform goes through here: lanes, pacer, sender, retries, dead letters.

pub mod breaker;
mod caused;
pub mod delivery;
pub mod lanes;
pub mod limit;
pub mod limiter;
pub mod pacer;
pub mod retry;
