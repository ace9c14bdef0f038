//! The composition root and the commands of the binary. Everything is wired here and nowhere else.
//!
//! Not for: behaviour of its own. Each command is one file under `app/` with its arguments and its body.

pub mod accounts;
pub(crate) mod alerts;
pub mod backup;
pub(crate) mod book;
mod case_powers;
pub mod cli;
pub mod config_command;
mod connector_state;
pub mod control;
pub mod demo;
mod duties;
pub mod eval;
mod first_token;
mod foundations;
pub mod gateway;
mod house;
pub(crate) mod judge;
pub mod lint;
mod people;
mod platforms;
pub mod reports;
pub mod restore;
pub mod rules;
pub mod scan;
pub(crate) mod segments;
pub mod serve;
pub mod stop_outbound;
pub mod token;
mod upkeep;
mod verdicts;
pub mod wecom;
pub mod wordlist;
pub mod wordlists;
