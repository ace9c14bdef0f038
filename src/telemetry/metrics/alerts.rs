//! Facts about what staff are told of.

use super::labels::{Alert, Value};
use super::names::Metric;
use super::{add, set, wide};

/// Staff were told of something.
pub fn told(alert: Alert) {
    add(Metric::Alerts, alert.place(), 1);
}

/// The alerts are this many journal rows behind.
pub fn lag(rows: u64) {
    set(Metric::AlertsLag, 0, wide(rows));
}
