//! How members behave over several messages: the flood limits of one member in one group, stricter for new members; what
//! follows from strikes, and how often it may; what a person has to do instead; waves of joins.
//!
//! Not for: what a message says (that is `interception`) or what spans groups (that is `fleet`).

pub mod budget;
pub mod by_hand;
mod flood;
pub mod ladder;
pub mod wave;

pub use flood::{Config, Exceeded, Floods, Limit, Newcomers, Subject};
pub(crate) use flood::{PROBATION_MAX, TIMES_MAX, WINDOW_MAX};
