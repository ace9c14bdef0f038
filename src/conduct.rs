//! How members behave over several messages: the flood limit of one member in one group.
//!
//! Not for: what a message says (that is `interception`) or what spans groups (that is `fleet`).

mod flood;

pub use flood::{Config, Floods};
