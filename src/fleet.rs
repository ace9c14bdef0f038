//! What spans groups: the same advert in many of them becomes one case, with all its messages; members are kept out
//! of all of them.
//!
//! A second stage behind the commit: it follows the journal, so it sees exactly the acknowledged events, and writes
//! what it finds to a journal partition of its own. [`spread`] decides and is pure; [`runner`] reads and writes.

pub mod cases;
pub mod kicks;
pub mod removals;
pub mod runner;
pub mod spread;

pub use spread::Config;
