//! The composition root and the commands.

pub mod lint;
pub mod scan;
pub mod wordlists;
