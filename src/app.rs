//! The composition root and the commands of the binary. Everything is wired here and nowhere else.
//!
//! Not for: behaviour of its own. Each command is one file under `app/` with its arguments and its body.

pub mod backup;
pub mod cli;
pub mod config_command;
pub mod control;
pub mod demo;
pub mod restore;
pub mod scan;
pub mod serve;
pub mod stop_outbound;
pub mod token;
pub mod wordlist;
