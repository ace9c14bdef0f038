//! What a run counted on its own, to hold the gateway's figures against.

use std::collections::{BTreeMap, HashMap};

use super::plan::Item;
use crate::client::Hurdles;
use crate::latency::Latency;
use crate::wire::{Answer, Counts, EventType, Status, Verdict};

/// How many defects a report spells out; all of them are counted.
const EXAMPLES: usize = 10;

/// Everything one connection, or all together, has seen.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) events: u64,
    pub(super) repeats: u64,
    pub(super) spliced: u64,
    pub(super) spliced_caught: u64,
    pub(super) hits: u64,
    pub(super) verdicts: BTreeMap<&'static str, u64>,
    pub(super) statuses: BTreeMap<&'static str, u64>,
    pub(super) http: BTreeMap<u16, u64>,
    pub(super) groups: HashMap<usize, Counts>,
    pub(super) hurdles: Hurdles,
    pub(super) lines_retried: u64,
    pub(super) connections_opened: u64,
    /// From the intended start to the last answer.
    pub(super) latency: Latency,
    /// From the actual start.
    pub(super) service: Latency,
    pub(super) wrong: u64,
    pub(super) examples: Vec<String>,
}

impl Tally {
    /// Books a proper answer. A group's counts grow once per event, however it was answered.
    pub(super) fn answered(&mut self, item: &Item, answer: &Answer<'_>) {
        self.events += 1;
        *self.verdicts.entry(answer.verdict.name()).or_default() += 1;
        let status = match answer.status {
            Status::Counted => "counted",
            Status::Duplicate => "duplicate",
            Status::Late => "late",
        };
        *self.statuses.entry(status).or_default() += 1;
        self.spliced += u64::from(item.spliced);
        self.spliced_caught += u64::from(item.spliced && answer.verdict != Verdict::Pass);
        if item.repeat {
            self.repeats += 1;
            return;
        }
        let hits = u64::try_from(answer.hits.len()).unwrap_or_default();
        self.hits += hits;
        let counts = self.groups.entry(item.group).or_default();
        counts.hits += hits;
        match item.kind {
            EventType::Message => counts.messages += 1,
            EventType::MemberJoined => counts.joins += 1,
            EventType::MemberLeft => counts.leaves += 1,
        }
    }

    /// Books a defect.
    pub(super) fn wrong(&mut self, what: String) {
        self.wrong += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(what);
        }
    }

    /// Adds what another connection has seen.
    pub(super) fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.events += other.events;
        self.repeats += other.repeats;
        self.spliced += other.spliced;
        self.spliced_caught += other.spliced_caught;
        self.hits += other.hits;
        other.verdicts.into_iter().for_each(|(name, count)| *self.verdicts.entry(name).or_default() += count);
        other.statuses.into_iter().for_each(|(name, count)| *self.statuses.entry(name).or_default() += count);
        other.http.into_iter().for_each(|(status, count)| *self.http.entry(status).or_default() += count);
        other
            .groups
            .into_iter()
            .for_each(|(group, counts)| self.groups.entry(group).or_default().add(counts));
        self.hurdles.add(other.hurdles);
        self.lines_retried += other.lines_retried;
        self.connections_opened += other.connections_opened;
        self.latency.merge(&other.latency);
        self.service.merge(&other.service);
        self.wrong += other.wrong;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }

    /// All groups together.
    pub(super) fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.groups.values().for_each(|&counts| total.add(counts));
        total
    }
}
