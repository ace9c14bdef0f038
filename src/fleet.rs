//! What spans groups: the same advert in many of them becomes one case.
//!
//! A second stage behind the commit: it follows the journal, so it sees exactly the acknowledged events, and writes
//! what it finds to a journal partition of its own. [`spread`] decides and is pure; [`runner`] reads and writes.

pub mod runner;
pub mod spread;

pub use spread::Config;
