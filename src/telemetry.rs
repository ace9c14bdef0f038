//! Logs and metrics: JSON lines on standard error, numbers for Prometheus. Ids and counts only, never text.

pub mod metrics;
