//! The newest messages by robots, apps and welcomes, whole, so that tests see what people saw.
//!
//! The ledger keeps digests of everything; this keeps texts of a few. What a mass send says its task tells.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One message as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Received {
    /// Numbered from one.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The way it took, as the ledger names it.
    pub via: String,
    /// The group or person.
    pub target: String,
    /// The call's body, or its text and attachments.
    pub message: Value,
}

/// The newest messages.
#[derive(Debug, Default)]
pub struct Inbox {
    messages: VecDeque<Received>,
    last: u64,
}

impl Inbox {
    /// Keeps a message; beyond `keep` the oldest go.
    pub(crate) fn put(&mut self, at_ms: u64, via: &str, target: &str, message: &Value, keep: usize) {
        self.last += 1;
        while self.messages.len() >= keep.max(1) {
            self.messages.pop_front();
        }
        let (via, target, message) = (via.to_owned(), target.to_owned(), message.clone());
        self.messages.push_back(Received { seq: self.last, at_ms, via, target, message });
    }

    /// The kept messages after a number, oldest first.
    pub fn after(&self, seq: u64) -> impl Iterator<Item = &Received> {
        self.messages.iter().filter(move |received| received.seq > seq)
    }

    /// The kept messages to somebody, oldest first.
    pub fn to<'i>(&'i self, target: &'i str) -> impl Iterator<Item = &'i Received> {
        self.messages.iter().filter(move |received| received.target == target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_are_kept() {
        let mut inbox = Inbox::default();
        for n in 0..5_u64 {
            inbox.put(n, "robot", if n == 4 { "b" } else { "a" }, &Value::from(n), 3);
        }
        assert_eq!(inbox.after(0).map(|received| received.seq).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(inbox.after(4).count(), 1);
        assert_eq!(inbox.to("a").count(), 2);
    }
}
