//! Menshen (门神), a group-chat moderation and messaging gateway: modules in reading order.

pub mod event;
pub mod dedupe;
pub mod template;

pub mod access;
pub mod directory;
pub mod outbox;
pub mod statistics;
pub mod storage;

pub mod webhooks;

pub mod connectors;

pub mod config;

pub mod clock;
pub mod tasks;
pub mod telemetry;
pub mod units;

pub mod app;
