//! Menshen (门神), a group-chat moderation and messaging gateway: modules in reading order.
//!
//! `event` has the words. The pure core decides (`pipeline` is its table of contents), the state modules remember, the
//! edges talk to platforms, `ingest` is the way in, `api` the way people see, `app` connects it all.

// 0 words
pub mod event;
pub mod hours;
pub mod near;
pub mod reach;

// 1 pure core
pub mod conduct;
pub mod dedupe;
pub mod interception;
pub mod journeys;
pub mod pipeline;
pub mod questions;
pub mod replies;
pub mod report;
pub mod template;
pub mod welcomes;

// 2 state
pub mod access;
pub mod alerts;
pub mod broadcasts;
pub mod directory;
pub mod duties;
pub mod evidence;
pub mod fleet;
pub mod notices;
pub mod outbox;
pub mod people;
pub mod reviews;
pub mod rulesets;
pub mod statistics;
pub mod storage;

// 3 edges
pub mod connectors;
pub mod hook;
pub mod subscriptions;
pub mod webhooks;

// 4 flow
pub mod ingest;

// 5 surfaces
pub mod api;
pub mod config;

// 6 entry
pub mod app;

// tools
pub mod clock;
pub mod tasks;
pub mod telemetry;
pub mod units;
