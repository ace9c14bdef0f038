//! Facts about WeCom: calls to its interfaces, tokens, limits, callbacks that are no events.

use std::time::Duration;

use super::labels::{WECOM_CALL, WecomCall, WecomFamily, WecomIgnored};
use super::{Metric, Success, Value as _, add, pair, record};

/// An interface was called, or was not because of a limit.
pub fn called(family: WecomFamily, outcome: WecomCall) {
    add(Metric::WecomCalls, pair(family, outcome, WECOM_CALL), 1);
}

/// An access token was asked for.
pub fn token_asked_for(outcome: Success) {
    add(Metric::WecomTokens, outcome.place(), 1);
}

/// A call waited for a limit.
pub fn quota_waited(wait: Duration) {
    record(Metric::WecomQuotaWait, 0, wait.as_secs_f64());
}

/// The platform closed an interface for the rest of a window.
pub fn penalised() {
    add(Metric::WecomPenalties, 0, 1);
}

/// An authentic callback stands for no event.
pub fn callback_ignored(kind: WecomIgnored) {
    add(Metric::WecomIgnored, kind.place(), 1);
}
