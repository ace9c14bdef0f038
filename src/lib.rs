//! Menshen (门神), a group-chat moderation and messaging gateway: modules in reading order.

pub mod event;

pub mod outbox;
pub mod statistics;
pub mod storage;

pub mod connectors;

pub mod clock;
pub mod tasks;
pub mod telemetry;
pub mod units;
