//! Facts about what staff are told of.

use super::labels::{Alert, Value};
use super::names::Metric;
use super::{add, as_f64, set, wide};

/// Staff were told of something.
pub fn told(alert: Alert) {
    add(Metric::Alerts, alert.place(), 1);
}

/// The alerts are this many journal rows behind.
pub fn lag(rows: u64) {
    set(Metric::AlertsLag, 0, wide(rows));
}

/// So many questions wait for an answer.
pub fn questions_open(count: usize) {
    set(Metric::QuestionsOpen, 0, as_f64(count));
}

/// A question is not followed: too many wait.
pub fn unfollowed() {
    add(Metric::QuestionsUnfollowed, 0, 1);
}
