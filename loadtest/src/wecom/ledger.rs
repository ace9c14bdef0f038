//! What happened, for tests to question: every call, every delivery of a callback, every message that reached someone.
//!
//! Records are kept up to a number, oldest forgotten first; counts never are. Message text is not kept, its digest is.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

/// Contents at targets that are told apart; past this number new ones are counted as unchecked.
pub(crate) const REACHED_MAX: usize = 8_000_000;

/// One call of an API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Numbered from one.
    pub seq: u64,
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// Its path behind `/cgi-bin/`.
    pub api: String,
    /// Name of the app whose token it carried.
    pub app: Option<String>,
    /// Where it came from.
    pub ip: String,
    /// The answer's `errcode`; none when HTTP alone was answered.
    pub errcode: Option<i64>,
    /// How it ended for the caller: `answered`, an HTTP status, `hang`, `reset` or `cut`.
    pub end: String,
    /// An id of what it did.
    pub effect: Option<String>,
}

/// One event on its way to one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// Numbered from one, in the order of their ends.
    pub seq: u64,
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// Name of the app.
    pub app: String,
    /// The event's number; duplicates and other apps share it.
    pub event: u64,
    /// What it was, such as `change_external_chat/update/add_member`.
    pub kind: String,
    /// The group or customer it was about.
    pub subject: String,
    /// Tries made.
    pub tries: u32,
    /// How each ended: a status, `timeout` or `broken`.
    pub statuses: Vec<String>,
    /// How long the last try took, in milliseconds of real time.
    pub latency_ms: u64,
    /// How it ended.
    pub end: DeliveryEnd,
}

/// How the delivery of a callback ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryEnd {
    /// Answered 200.
    Delivered,
    /// Given up after the last try.
    Lost,
    /// Never tried: the queue was full.
    Overflowed,
    /// A broken one, refused as it must be.
    InjectedRefused,
    /// A broken one, answered 200: the receiver does not check.
    InjectedAccepted,
}

/// One message that reached a group or a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendRecord {
    /// Numbered from one.
    pub seq: u64,
    /// When it arrived, in milliseconds since 1970.
    pub at_ms: u64,
    /// The way it took: `mass`, `welcome`, `group_welcome`, `robot`, `appchat`, `app`.
    pub via: String,
    /// The group or person.
    pub target: String,
    /// The platform's id for it: a message id, a welcome code.
    pub message: String,
    /// Digest of the content.
    pub content: String,
}

/// Everything that happened.
#[derive(Debug)]
pub struct Ledger {
    keep: usize,
    calls: VecDeque<CallRecord>,
    call_count: u64,
    by_api: BTreeMap<String, BTreeMap<String, u64>>,
    deliveries: VecDeque<DeliveryRecord>,
    delivery_count: u64,
    by_end: BTreeMap<DeliveryEnd, u64>,
    retried: u64,
    slowest_ms: u64,
    sends: VecDeque<SendRecord>,
    send_count: u64,
    by_way: BTreeMap<String, WayCount>,
    /// How often a content reached a target, by the digest of way, target and content.
    reached: HashMap<u64, u32>,
}

impl Ledger {
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            keep: keep.max(1),
            calls: VecDeque::new(),
            call_count: 0,
            by_api: BTreeMap::new(),
            deliveries: VecDeque::new(),
            delivery_count: 0,
            by_end: BTreeMap::new(),
            retried: 0,
            slowest_ms: 0,
            sends: VecDeque::new(),
            send_count: 0,
            by_way: BTreeMap::new(),
            reached: HashMap::new(),
        }
    }

    /// The number the next call gets.
    pub(crate) fn next_call(&self) -> u64 {
        self.call_count + 1
    }

    pub(crate) fn called(&mut self, mut record: CallRecord) {
        self.call_count += 1;
        record.seq = self.call_count;
        let end = record.errcode.map_or_else(|| record.end.clone(), |code| code.to_string());
        *self.by_api.entry(record.api.clone()).or_default().entry(end).or_insert(0) += 1;
        keep(&mut self.calls, record, self.keep);
    }

    pub(crate) fn delivered(&mut self, mut record: DeliveryRecord) {
        self.delivery_count += 1;
        record.seq = self.delivery_count;
        *self.by_end.entry(record.end).or_insert(0) += 1;
        if record.end == DeliveryEnd::Delivered {
            self.retried += u64::from(record.tries > 1);
            self.slowest_ms = self.slowest_ms.max(record.latency_ms);
        }
        keep(&mut self.deliveries, record, self.keep);
    }

    /// A message has arrived. `content` is digested, never kept.
    pub fn reached(&mut self, at_ms: u64, via: &str, target: &str, message: &str, content: &str) {
        self.send_count += 1;
        let key = digest(&(via, target, content));
        let way = self.by_way.entry(via.to_owned()).or_default();
        way.sends += 1;
        if let Some(times) = self.reached.get_mut(&key) {
            *times += 1;
            way.repeated += 1;
        } else if self.reached.len() < REACHED_MAX {
            self.reached.insert(key, 1);
        } else {
            way.unchecked += 1;
        }
        let content = format!("{:016x}", digest(content));
        let (via, target, message) = (via.to_owned(), target.to_owned(), message.to_owned());
        let record = SendRecord { seq: self.send_count, at_ms, via, target, message, content };
        keep(&mut self.sends, record, self.keep);
    }

    /// The kept calls after a number, oldest first.
    pub fn calls(&self, after: u64, limit: usize) -> Vec<CallRecord> {
        self.calls.iter().filter(|record| record.seq > after).take(limit).cloned().collect()
    }

    /// The kept deliveries after a number, oldest first.
    pub fn deliveries(&self, after: u64, limit: usize) -> Vec<DeliveryRecord> {
        self.deliveries.iter().filter(|record| record.seq > after).take(limit).cloned().collect()
    }

    /// The kept deliveries that ended in a way, oldest first: which events were lost.
    pub fn deliveries_that(&self, end: DeliveryEnd) -> Vec<DeliveryRecord> {
        self.deliveries.iter().filter(|record| record.end == end).cloned().collect()
    }

    /// The kept messages after a number, oldest first.
    pub fn sends(&self, after: u64, limit: usize) -> Vec<SendRecord> {
        self.sends.iter().filter(|record| record.seq > after).take(limit).cloned().collect()
    }

    /// How often one content has reached one target by one way.
    pub fn times_reached(&self, via: &str, target: &str, content: &str) -> u32 {
        self.reached.get(&digest(&(via, target, content))).copied().unwrap_or(0)
    }

    /// How often an API ended with a code (`"0"`, `"45009"`, `"hang"`).
    pub fn count(&self, api: &str, end: &str) -> u64 {
        self.by_api.get(api).and_then(|ends| ends.get(end)).copied().unwrap_or(0)
    }

    /// How many deliveries ended in a way.
    pub fn deliveries_ended(&self, end: DeliveryEnd) -> u64 {
        self.by_end.get(&end).copied().unwrap_or(0)
    }

    /// The counts.
    pub fn summary(&self) -> LedgerSummary {
        LedgerSummary {
            calls: self.call_count,
            by_api: self.by_api.clone(),
            deliveries: self.delivery_count,
            deliveries_by_end: self.by_end.clone(),
            deliveries_retried: self.retried,
            slowest_answer_ms: self.slowest_ms,
            sends: self.send_count,
            sends_repeated: self.by_way.values().map(|way| way.repeated).sum(),
            sends_by_way: self.by_way.clone(),
        }
    }
}

/// The counts of a [`Ledger`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LedgerSummary {
    /// Calls of all APIs.
    pub calls: u64,
    /// By API, then by `errcode` or other end.
    pub by_api: BTreeMap<String, BTreeMap<String, u64>>,
    /// Deliveries of callbacks that have ended.
    pub deliveries: u64,
    /// By how they ended.
    pub deliveries_by_end: BTreeMap<DeliveryEnd, u64>,
    /// Of the delivered ones, those that took more than one try.
    pub deliveries_retried: u64,
    /// The longest that a receiver took over an answer of 200, in milliseconds of real time.
    pub slowest_answer_ms: u64,
    /// Messages that reached someone.
    pub sends: u64,
    /// Of these, the ones that had reached the same target by the same way before.
    pub sends_repeated: u64,
    /// The same by the way they took.
    pub sends_by_way: BTreeMap<String, WayCount>,
}

/// Messages that took one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayCount {
    /// All of them.
    pub sends: u64,
    /// Those whose content had reached the same target by this way before.
    pub repeated: u64,
    /// Those of which that is not known: there were more contents at targets than are told apart.
    pub unchecked: u64,
}

fn keep<R>(records: &mut VecDeque<R>, record: R, count: usize) {
    if records.len() >= count {
        records.pop_front();
    }
    records.push_back(record);
}

pub(crate) fn digest(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_outlive_the_records() {
        let mut ledger = Ledger::new(2);
        for at_ms in 0..5 {
            ledger.reached(at_ms, "mass", "wr1", "msg1", "早");
        }
        ledger.reached(5, "mass", "wr2", "msg1", "早");
        assert_eq!(ledger.times_reached("mass", "wr1", "早"), 5);
        assert_eq!(ledger.times_reached("robot", "wr1", "早"), 0);
        let summary = ledger.summary();
        assert_eq!((summary.sends, summary.sends_repeated), (6, 4));
        let mass = WayCount { sends: 6, repeated: 4, unchecked: 0 };
        assert_eq!(summary.sends_by_way, BTreeMap::from([("mass".to_owned(), mass)]));
        let kept: Vec<u64> = ledger.sends(0, 10).iter().map(|record| record.seq).collect();
        assert_eq!(kept, [5, 6]);
        assert_eq!(ledger.sends(5, 10)[0].target, "wr2");
    }
}
