//! Logs, metrics and health: JSON lines on standard error, numbers for Prometheus, answers for probes.
//!
//! Not for: deciding anything. Invariants: ids and counts only, never message text, names of people or secrets; no metric
//! label that grows with groups; a fact is counted and logged in one place, by the function named for it.
//! A tool: imports nothing of ours but `event`; the time comes in as an argument.

pub mod health;
pub mod listener;
pub mod log;
pub mod metrics;
