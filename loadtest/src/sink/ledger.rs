//! Everything a sink has received, under one lock, so that arrival times never go backwards.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fault::{Outcome, Response, Script};
use super::{Fault, SinkConfig};
use crate::audit::{AuditReport, Auditor, Scope};
use crate::units::rfc3339;

/// One delivery as it came in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Receipt {
    /// Numbered from one, in order of arrival.
    pub seq: u64,
    /// Milliseconds since the sink was started.
    pub at_ms: f64,
    /// The `webhook-id`.
    pub id: String,
    /// Which arrival of this id it is, from one.
    pub attempt: u32,
    /// The account it was for.
    pub account: String,
    /// The group it was for.
    pub group: String,
    /// What it was: a broadcast, a reply, a welcome, an action.
    pub kind: String,
    /// The sender's own number for it.
    pub delivery: String,
    /// The text to be shown in the group; empty unless the sink keeps texts.
    pub text: String,
    /// A status code, `reset` or `hang`.
    pub outcome: String,
}

/// What a sink has to say.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SinkReport {
    /// Deliveries with a good signature and a readable body.
    pub received: u64,
    /// Of these, taken: answered 2xx, or reset or left hanging after they were read.
    pub accepted: u64,
    /// Different ids taken.
    pub distinct: u64,
    /// Different ids that the sender was told are taken.
    pub confirmed: u64,
    /// Groups that something was taken for.
    pub groups: u64,
    /// Repeats of an id that the sender had no confirmation for.
    pub retries: u64,
    /// Repeats of an id that had been confirmed: the sender should have stopped.
    pub duplicates: u64,
    /// The same text taken for the same group under different ids: a member saw it twice.
    pub repeated_content: u64,
    /// Requests refused for their signature.
    pub bad_signatures: u64,
    /// Requests that were not a readable webhook.
    pub malformed: u64,
    /// How they were answered.
    pub by_outcome: BTreeMap<String, u64>,
    /// What was taken, by kind.
    pub by_kind: BTreeMap<String, u64>,
    /// When the first was taken.
    pub first_at: Option<String>,
    /// When the last was taken.
    pub last_at: Option<String>,
    /// Time between the two, in seconds.
    pub span_s: f64,
    /// Taken deliveries a second, over that time.
    pub rate_per_s: f64,
    /// What the auditors found.
    pub audits: Vec<AuditReport>,
    /// The script in force.
    pub faults: Vec<String>,
    /// Receipts no longer kept; they are in all counts.
    pub receipts_forgotten: u64,
}

/// A delivery as read from the wire.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Delivery {
    #[serde(default)]
    pub(super) account: String,
    #[serde(default)]
    pub(super) group: String,
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    #[serde(rename = "delivery")]
    pub(super) number: serde_json::Value,
}

#[derive(Debug, Default)]
struct Seen {
    attempts: u32,
    taken: bool,
    confirmed: bool,
}

#[derive(Debug)]
pub(super) struct Ledger {
    started: Instant,
    started_at: SystemTime,
    report: SinkReport,
    seen: HashMap<String, Seen>,
    groups: HashSet<String>,
    /// First id that brought a text to a group; hashed, since texts are not kept unless asked for.
    contents: HashMap<[u8; 16], String>,
    /// Each with the class of groups it is for; none for all.
    auditors: Vec<(Option<String>, Auditor)>,
    script: Script,
    seed: u64,
    receipts: VecDeque<Receipt>,
    keep_receipts: usize,
    keep_text: bool,
    first: Option<Duration>,
    last: Option<Duration>,
}

impl Ledger {
    pub(super) fn new(config: &SinkConfig) -> Self {
        let whole = config.audit.iter().map(|limit| (None, Auditor::new(limit.clone(), Scope::Whole)));
        let classes = config
            .audit_class
            .iter()
            .map(|(name, limit)| (Some(format!("{name}:")), Auditor::new(limit.clone(), Scope::Class)));
        let each = config.audit_group.iter().map(|limit| (None, Auditor::new(limit.clone(), Scope::Group)));
        Self {
            started: Instant::now(),
            started_at: SystemTime::now(),
            report: SinkReport::default(),
            seen: HashMap::new(),
            groups: HashSet::new(),
            contents: HashMap::new(),
            auditors: whole.chain(classes).chain(each).collect(),
            script: Script::new(config.faults.clone(), config.seed),
            seed: config.seed,
            receipts: VecDeque::new(),
            keep_receipts: config.keep_receipts,
            keep_text: config.keep_text,
            first: None,
            last: None,
        }
    }

    pub(super) fn set_faults(&mut self, faults: Vec<Fault>) {
        self.script = Script::new(faults, self.seed);
    }

    pub(super) fn bad_signature(&mut self) {
        self.report.bad_signatures += 1;
    }

    pub(super) fn malformed(&mut self) {
        self.report.malformed += 1;
    }

    /// Books a delivery and decides how it is answered.
    pub(super) fn received(&mut self, id: &str, delivery: Delivery) -> Response {
        let at = self.started.elapsed();
        let seen = self.seen.entry(id.to_owned()).or_default();
        seen.attempts += 1;
        let attempt = seen.attempts;
        let response = self.script.respond(id, attempt);
        self.report.received += 1;
        *self.report.by_outcome.entry(response.outcome.to_string()).or_default() += 1;
        if attempt > 1 {
            *(if seen.confirmed { &mut self.report.duplicates } else { &mut self.report.retries }) += 1;
        }
        if response.outcome.is_taken() {
            self.report.distinct += u64::from(!seen.taken);
            self.report.confirmed += u64::from(response.outcome.is_confirmed() && !seen.confirmed);
            seen.taken = true;
            seen.confirmed |= response.outcome.is_confirmed();
            self.taken(id, &delivery, at);
        }
        self.keep(id, attempt, delivery, response.outcome, at);
        response
    }

    fn taken(&mut self, id: &str, delivery: &Delivery, at: Duration) {
        let group = format!("{}/{}", delivery.account, delivery.group);
        self.report.accepted += 1;
        *self.report.by_kind.entry(delivery.kind.clone()).or_default() += 1;
        for (class, auditor) in &mut self.auditors {
            if class.as_ref().is_none_or(|class| delivery.group.starts_with(class)) {
                auditor.arrived(&group, at);
            }
        }
        if let Some(text) = &delivery.text {
            let digest = Sha256::digest(format!("{group}\0{}\0{text}", delivery.kind));
            let key: [u8; 16] = std::array::from_fn(|index| digest[index]);
            let first = self.contents.entry(key).or_insert_with(|| id.to_owned());
            self.report.repeated_content += u64::from(first != id);
        }
        self.groups.insert(group);
        self.first.get_or_insert(at);
        self.last = Some(at);
    }

    fn keep(&mut self, id: &str, attempt: u32, delivery: Delivery, outcome: Outcome, at: Duration) {
        if self.receipts.len() >= self.keep_receipts {
            self.report.receipts_forgotten += 1;
            self.receipts.pop_front();
        }
        // The sender's own number may be a string or a number.
        let number = match delivery.number.as_str() {
            Some(text) => text.to_owned(),
            None if delivery.number.is_null() => String::new(),
            None => delivery.number.to_string(),
        };
        self.receipts.push_back(Receipt {
            seq: self.report.received,
            at_ms: at.as_secs_f64() * 1_000.0,
            id: id.to_owned(),
            attempt,
            account: delivery.account,
            group: delivery.group,
            kind: delivery.kind,
            delivery: number,
            text: if self.keep_text { delivery.text.unwrap_or_default() } else { String::new() },
            outcome: outcome.to_string(),
        });
    }

    /// Receipts after a number, oldest first.
    pub(super) fn receipts(&self, after: u64, limit: usize) -> Vec<Receipt> {
        let start = self.receipts.partition_point(|receipt| receipt.seq <= after);
        self.receipts.iter().skip(start).take(limit).cloned().collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "no sink receives 2^52 deliveries")]
    pub(super) fn report(&self) -> SinkReport {
        let mut report = self.report.clone();
        let time = |at: Duration| rfc3339(self.started_at + at);
        let span =
            self.last.zip(self.first).map_or(Duration::ZERO, |(last, first)| last.saturating_sub(first));
        report.groups = self.groups.len() as u64;
        report.first_at = self.first.map(time);
        report.last_at = self.last.map(time);
        report.span_s = span.as_secs_f64();
        if !span.is_zero() {
            report.rate_per_s = (report.accepted - 1) as f64 / report.span_s;
        }
        report.audits = self.auditors.iter().map(|(_, auditor)| auditor.report()).collect();
        report.faults = self.script.texts();
        report
    }
}

impl SinkReport {
    /// Whether every limit was kept and nothing reached a group twice.
    pub fn is_clean(&self) -> bool {
        self.audits.iter().all(|audit| audit.violations == 0)
            && self.duplicates == 0
            && self.repeated_content == 0
            && self.bad_signatures == 0
            && self.malformed == 0
    }
}
