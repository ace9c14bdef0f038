//! How members behave over several messages: the flood limits of one member in one group, stricter for new members.
//!
//! Not for: what a message says (that is `interception`) or what spans groups (that is `fleet`).

mod flood;

pub use flood::{Config, Exceeded, Floods, Limit, Newcomers, Subject};
pub(crate) use flood::{PROBATION_MAX, TIMES_MAX, WINDOW_MAX};
