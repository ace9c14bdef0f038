//! Facts about what staff are told of.

use super::labels::{ALERT_KIND, ALERT_STATE, Alert, Named, Value};
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

/// People were told something about an alert.
pub fn noticed(state: &str) {
    add(Metric::AlertNotices, Named::of(ALERT_STATE, state).place(), 1);
}

/// So many alerts of a kind are open.
pub fn open(kind: &str, count: usize) {
    set(Metric::AlertsOpen, Named::of(ALERT_KIND, kind).place(), as_f64(count));
}

/// So much was left out because of a limit, or because people could not be told.
pub fn left_out(count: u64) {
    if count > 0 {
        add(Metric::AlertsLeftOut, 0, count);
    }
}
