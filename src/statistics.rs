//! What is counted, what each number means, and how events become numbers.
//!
//! Pure: [`definitions`] and [`fold`] take effects and return differences; `storage` keeps them. [`platform`] sets a
//! platform's own numbers beside ours.

pub mod coverage;
pub mod days;
pub mod definitions;
pub mod figures;
pub mod fold;
pub mod platform;
