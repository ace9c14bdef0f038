//! What is counted, what each number means, and how events become numbers.
//!
//! Pure but for [`listener`]: [`definitions`] and [`fold`] take effects and return differences; `storage` keeps them.
//! [`platform`] sets a platform's own numbers beside ours. [`words`] says what a message is about without keeping it, and
//! [`listener`] counts that outside of deciding.

pub mod coverage;
pub mod days;
pub mod definitions;
pub mod figures;
pub mod fold;
pub mod listener;
pub mod platform;
pub mod words;
