//! Menshen (门神), a group-chat moderation and messaging gateway: modules in reading order.

pub mod event;
pub mod template;

pub mod access;
pub mod broadcasts;
pub mod directory;
pub mod outbox;
pub mod storage;

pub mod connectors;

pub mod config;

pub mod clock;
pub mod tasks;
pub mod telemetry;
pub mod units;

pub mod app;
