//! Facts about endpoints that are told of state changes.

use super::{Metric, Success, Value as _, add, set, wide};

/// An endpoint was called with so many changes.
pub fn told(outcome: Success, changes: usize) {
    add(Metric::StatusCalls, outcome.place(), 1);
    if outcome == Success::Ok {
        add(Metric::StatusTold, 0, u64::try_from(changes).unwrap_or(u64::MAX));
    }
}

/// So many changes were forgotten before an endpoint could be told.
pub fn missed(changes: u64) {
    add(Metric::StatusMissed, 0, changes);
}

/// The slowest endpoint was not told of so many changes yet.
pub fn waiting(changes: u64) {
    set(Metric::StatusWaiting, 0, wide(changes));
}
