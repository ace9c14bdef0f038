//! Menshen (门神), a group-chat moderation and messaging gateway: modules in reading order.

pub mod event;

pub mod interception;

pub mod outbox;
pub mod storage;

pub mod connectors;

pub mod app;

pub mod clock;
pub mod tasks;
pub mod telemetry;
