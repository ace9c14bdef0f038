//! What the rounds came to, for people and for scripts.

use std::time::Duration;

use serde::Serialize;

use crate::client::Hurdles;
use crate::latency::Quantiles;
use crate::table::{Table, median, spread, thousands};

/// Everything a run found out.
#[derive(Debug, Clone, Serialize)]
pub struct CallbacksReport {
    /// Customer groups.
    pub groups: usize,
    /// Connections, each with one request in flight.
    pub connections: usize,
    /// Joins of each kind in a round.
    pub joins: usize,
    /// Joins told in all, the first lap to warm up included; each was told both ways.
    pub sent: usize,
    /// The first few interfaces that the gateway called during the rounds: their cost is in the figures, so there must be
    /// none.
    pub calls_meanwhile: Vec<String>,
    /// One after the other.
    pub rounds: Vec<Round>,
    /// What the gateway says it counted.
    pub counted: Counted,
}

/// The same joins, told both ways.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// As callbacks.
    pub callback: Lap,
    /// As plain events.
    pub event: Lap,
}

impl Round {
    /// CPU time of a callback over that of an event; none when the kernel's clock was too coarse to see the event.
    pub fn ratio(&self) -> Option<f64> {
        (self.event.cpu_us > 0.0).then(|| self.callback.cpu_us / self.event.cpu_us)
    }
}

/// Joins told one way, without a pause.
#[derive(Debug, Clone, Serialize)]
pub struct Lap {
    /// Requests answered.
    pub requests: u64,
    /// Requests a second.
    pub per_s: f64,
    /// CPU time of the gateway's process for each request, in microseconds.
    pub cpu_us: f64,
    /// From the request to its answer.
    pub latency_ms: Quantiles,
    /// What stood in the way.
    pub hurdles: Hurdles,
    /// Answers that were not what they had to be.
    pub wrong: u64,
    /// The first few of them.
    pub examples: Vec<String>,
}

impl Lap {
    #[expect(clippy::cast_precision_loss, reason = "no lap sends 2^52 requests")]
    pub(super) fn new(
        requests: u64,
        took: Duration,
        cpu: Duration,
        latency_ms: Quantiles,
        hurdles: Hurdles,
        wrong: u64,
        examples: Vec<String>,
    ) -> Self {
        let each = requests.max(1) as f64;
        Self {
            requests,
            per_s: each / took.as_secs_f64(),
            cpu_us: cpu.as_secs_f64() * 1e6 / each,
            latency_ms,
            hurdles,
            wrong,
            examples,
        }
    }
}

/// The gateway's own counts beside ours.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counted {
    /// Joins told, in all groups.
    pub expected: u64,
    /// Joins counted for the account on WeCom.
    pub by_callback: u64,
    /// Joins counted for the account of the plain events.
    pub by_event: u64,
    /// Groups in which either differs.
    pub differing: usize,
    /// The first few of them, in words.
    pub examples: Vec<String>,
}

impl CallbacksReport {
    /// The median of the rounds' ratios; none when no round has one.
    pub fn ratio(&self) -> Option<f64> {
        median(self.rounds.iter().filter_map(Round::ratio).collect())
    }

    /// What is wrong with the run; a ratio above `ratio_max` is, where one is given.
    pub fn complaints(&self, ratio_max: Option<f64>) -> Vec<String> {
        let mut complaints = Vec::new();
        let wrong: u64 = self.rounds.iter().map(|round| round.callback.wrong + round.event.wrong).sum();
        if wrong > 0 {
            complaints.push(format!("{wrong} wrong answers"));
            let laps = self.rounds.iter().flat_map(|round| [&round.callback, &round.event]);
            complaints.extend(laps.flat_map(|lap| &lap.examples).cloned());
        }
        if self.counted.differing > 0 {
            complaints.push(format!("counts differ in {} groups", self.counted.differing));
            complaints.extend(self.counted.examples.iter().cloned());
        }
        if !self.calls_meanwhile.is_empty() {
            complaints.push(format!(
                "the gateway called the platform meanwhile ({}): configure it so that it does not",
                self.calls_meanwhile.join(", ")
            ));
        }
        match (self.ratio(), ratio_max) {
            (Some(ratio), Some(max)) if ratio > max => {
                complaints.push(format!("a callback costs {ratio:.2} times an event, more than {max}"));
            }
            (None, Some(_)) => complaints.push("too few requests to tell the ratio".to_owned()),
            (Some(_) | None, _) => {}
        }
        complaints
    }

    /// Lays the report out for people.
    pub fn table(&self) -> Table {
        let title = format!(
            "{} rounds of {} joins told both ways, {} groups, {} connections; median (lowest to highest); ratio = CPU \
             per callback / CPU per event in the same round",
            self.rounds.len(),
            thousands(self.joins as u64),
            thousands(self.groups as u64),
            self.connections,
        );
        let header =
            ["one request", "requests/s", "CPU us", "ratio", "p50 ms", "p99 ms", "sent again", "counted"];
        let mut table = Table::columns(title, &header);
        let ratio = spread(self.rounds.iter().filter_map(Round::ratio).collect(), 2);
        let Counted { by_callback, by_event, .. } = self.counted;
        let callbacks: Vec<&Lap> = self.rounds.iter().map(|round| &round.callback).collect();
        let events: Vec<&Lap> = self.rounds.iter().map(|round| &round.event).collect();
        table.row(row("WeCom callback", &callbacks, ratio, by_callback));
        table.row(row("JSON event", &events, "1".to_owned(), by_event));
        table
    }
}

fn row(name: &str, laps: &[&Lap], ratio: String, counted: u64) -> Vec<String> {
    let of = |figure: fn(&Lap) -> f64, digits| spread(laps.iter().map(|lap| figure(lap)).collect(), digits);
    let again: u64 =
        laps.iter().map(|lap| lap.hurdles.throttled + lap.hurdles.unavailable + lap.hurdles.broken).sum();
    vec![
        name.to_owned(),
        of(|lap| lap.per_s, 0),
        of(|lap| lap.cpu_us, 1),
        ratio,
        of(|lap| lap.latency_ms.p50, 2),
        of(|lap| lap.latency_ms.p99, 2),
        again.to_string(),
        thousands(counted),
    ]
}
