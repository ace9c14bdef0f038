//! The outcome of a run, for people and for scripts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::tally::Tally;
use super::verify::Verification;
use super::{EventsConfig, Mode};
use crate::client::Hurdles;
use crate::latency::Quantiles;
use crate::table::{Table, thousands};
use crate::wire::Counts;

/// Everything a run of `loadtest events` found out.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the names are the definition; they are the keys of the JSON report")]
pub struct EventsReport {
    pub label: String,
    pub round: u32,
    pub mode: Mode,
    pub batch: u64,
    pub connections: usize,
    pub groups: usize,
    /// Events a second asked for; null in the closed loop.
    pub rate: Option<f64>,
    /// Where the texts came from.
    pub lines: String,
    pub seconds: f64,
    pub requests: u64,
    pub events: u64,
    pub requests_per_s: f64,
    pub events_per_s: f64,
    /// From the intended start to the last answer, retries included.
    pub latency_ms: Quantiles,
    /// From the actual start.
    pub service_ms: Quantiles,
    pub verdicts: BTreeMap<&'static str, u64>,
    pub statuses: BTreeMap<&'static str, u64>,
    pub http: BTreeMap<u16, u64>,
    pub counted: Counts,
    pub repeats: u64,
    pub spliced: u64,
    pub spliced_caught: u64,
    pub hurdles: Hurdles,
    pub lines_retried: u64,
    pub connections_opened: u64,
    /// CPU of the server process per request and per event, in microseconds.
    pub cpu_us_per_request: Option<f64>,
    pub cpu_us_per_event: Option<f64>,
    pub verification: Option<Verification>,
    /// Answers that were not what they had to be.
    pub wrong: u64,
    pub examples: Vec<String>,
}

#[expect(clippy::cast_precision_loss, reason = "no run sends 2^52 events")]
impl EventsReport {
    pub(super) fn new(config: &EventsConfig, tally: Tally, took: Duration, cpu: Option<Duration>) -> Self {
        let seconds = took.as_secs_f64();
        let cpu_us = |count: u64| cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / count.max(1) as f64);
        Self {
            label: config.label.clone(),
            round: config.round,
            mode: config.mode,
            batch: config.batch,
            connections: config.connections,
            groups: tally.groups.len(),
            rate: config.rate,
            lines: config.plan.lines.origin().to_owned(),
            seconds,
            requests: tally.requests,
            events: tally.events,
            requests_per_s: tally.requests as f64 / seconds,
            events_per_s: tally.events as f64 / seconds,
            latency_ms: tally.latency.quantiles(),
            service_ms: tally.service.quantiles(),
            counted: tally.total(),
            verdicts: tally.verdicts,
            statuses: tally.statuses,
            http: tally.http,
            repeats: tally.repeats,
            spliced: tally.spliced,
            spliced_caught: tally.spliced_caught,
            hurdles: tally.hurdles,
            lines_retried: tally.lines_retried,
            connections_opened: tally.connections_opened,
            cpu_us_per_request: cpu_us(tally.requests),
            cpu_us_per_event: cpu_us(tally.events),
            verification: None,
            wrong: tally.wrong,
            examples: tally.examples,
        }
    }

    /// Whether every answer was right and, where it was asked for, both sides counted the same.
    pub fn is_good(&self) -> bool {
        self.wrong == 0 && self.verification.as_ref().is_none_or(Verification::agrees)
    }

    /// Lays the report out for people.
    pub fn table(&self) -> Table {
        let mut table = Table::facts(format!("events: {}", self.label));
        let pace = self
            .rate
            .map_or("closed loop".to_owned(), |rate| format!("open loop, {rate} events/s asked for"));
        table.fact(
            "traffic",
            format!("{:?}, {} a request, {} connections, {pace}", self.mode, self.batch, self.connections),
        );
        table.fact("lines", &self.lines);
        table.fact("groups", thousands(self.groups as u64));
        table.fact(
            "requests",
            format!("{} in {:.2} s, {:.0}/s", thousands(self.requests), self.seconds, self.requests_per_s),
        );
        table.fact("events", format!("{}, {:.0}/s", thousands(self.events), self.events_per_s));
        table.fact("latency ms", quantiles(&self.latency_ms));
        if self.rate.is_some() {
            table.fact("  from actual start", quantiles(&self.service_ms));
        }
        if let (Some(request), Some(event)) = (self.cpu_us_per_request, self.cpu_us_per_event) {
            table.fact("server CPU us", format!("{request:.1} a request, {event:.2} an event"));
        }
        table.fact("verdicts", counts(&self.verdicts));
        table.fact("status", counts(&self.statuses));
        table.fact("http", counts(&self.http));
        if self.spliced > 0 {
            table.fact(
                "listed terms",
                format!("{} spliced in, {} not passed", self.spliced, self.spliced_caught),
            );
        }
        let Hurdles { throttled, unavailable, broken } = self.hurdles;
        table.fact(
            "sent again",
            format!("429: {throttled}, 503: {unavailable}, broken: {broken}, lines: {}", self.lines_retried),
        );
        if let Some(verification) = &self.verification {
            let says = if verification.agrees() { "agree" } else { "DIFFER" };
            let (expected, groups) = (verification.expected, thousands(verification.groups as u64));
            table.fact("both sides' counts", format!("{says}: {expected} in {groups} groups"));
            verification.examples.iter().for_each(|example| table.fact("  differs", example));
            if !verification.agrees() {
                table.fact("  gateway's totals", verification.by_totals);
            }
        }
        table.fact("wrong answers", self.wrong);
        self.examples.iter().for_each(|example| table.fact("  wrong", example));
        table
    }
}

fn quantiles(figures: &Quantiles) -> String {
    let Quantiles { p50, p90, p99, p999, max } = figures;
    format!("p50 {p50:.2}  p90 {p90:.2}  p99 {p99:.2}  p99.9 {p999:.2}  max {max:.2}")
}

fn counts<K: std::fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    let parts: Vec<String> =
        counts.iter().map(|(name, count)| format!("{name} {}", thousands(*count))).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}
