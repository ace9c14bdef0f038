//! Puts several interleaved rounds side by side: one row per kind of run, ratios taken within each round.
//!
//! A machine's mood changes from minute to minute and moves every run of a round alike. The median of the rounds' ratios,
//! with their whole range, says what a single pair of medians does not.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::latency::Quantiles;
use crate::table::{Table, spread};

/// One run's line of a results file, as `loadtest events --append` writes it; what is not needed is not read.
#[derive(Debug, Clone, Deserialize)]
struct Run {
    label: String,
    #[serde(default)]
    round: u32,
    events_per_s: f64,
    cpu_us_per_event: Option<f64>,
    latency_ms: Quantiles,
    wrong: u64,
    verification: Option<Verification>,
}

/// Where both sides counted differently.
#[derive(Debug, Clone, Deserialize)]
struct Verification {
    differing: u64,
}

/// Says why no table could be made.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A line is not a report.
    #[error("line {0} of the results is not a report")]
    Line(usize, #[source] serde_json::Error),
    /// No run carries the label of the reference.
    #[error("no run is called `{0}`")]
    NoReference(String),
}

/// Makes the table; the reference's CPU per event is what every other is divided by.
///
/// # Errors
/// When a line cannot be read, or the reference is missing.
pub fn compare(results: &str, reference: &str) -> Result<Table, CompareError> {
    let mut runs: Vec<Run> = Vec::new();
    for (index, line) in results.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        runs.push(serde_json::from_str(line).map_err(|error| CompareError::Line(index + 1, error))?);
    }
    let base: BTreeMap<u32, f64> = runs
        .iter()
        .filter(|run| run.label == reference)
        .filter_map(|run| Some((run.round, run.cpu_us_per_event?)))
        .collect();
    if !runs.iter().any(|run| run.label == reference) {
        return Err(CompareError::NoReference(reference.to_owned()));
    }
    let mut labels: Vec<&str> = Vec::new();
    for run in &runs {
        if !labels.contains(&run.label.as_str()) {
            labels.push(&run.label);
        }
    }
    let rounds = runs.iter().map(|run| run.round).collect::<std::collections::BTreeSet<_>>().len();
    let title =
        format!("{rounds} rounds; median (lowest to highest); ratio = CPU per event / that of `{reference}`");
    let header = ["run", "events/s", "CPU us/event", "ratio", "p50 ms", "p99 ms", "p99.9 ms", "defects"];
    let mut table = Table::columns(title, &header);
    for label in labels {
        let mine: Vec<&Run> = runs.iter().filter(|run| run.label == label).collect();
        table.row(row(label, &mine, &base));
    }
    Ok(table)
}

fn row(label: &str, runs: &[&Run], base: &BTreeMap<u32, f64>) -> Vec<String> {
    let of = |figure: fn(&Run) -> Option<f64>| runs.iter().filter_map(|run| figure(run)).collect::<Vec<_>>();
    let ratios = runs.iter().filter_map(|run| Some(run.cpu_us_per_event? / base.get(&run.round)?)).collect();
    let differing = |run: &Run| run.verification.as_ref().map_or(0, |verification| verification.differing);
    let defects: u64 = runs.iter().map(|run| run.wrong + differing(run)).sum();
    vec![
        label.to_owned(),
        spread(of(|run| Some(run.events_per_s)), 0),
        spread(of(|run| run.cpu_us_per_event), 1),
        spread(ratios, 2),
        spread(of(|run| Some(run.latency_ms.p50)), 2),
        spread(of(|run| Some(run.latency_ms.p99)), 1),
        spread(of(|run| Some(run.latency_ms.p999)), 1),
        defects.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(label: &str, round: u32, cpu: f64) -> String {
        format!(
            r#"{{"label":"{label}","round":{round},"events_per_s":1000.0,"cpu_us_per_request":{cpu},"cpu_us_per_event":{cpu},"latency_ms":{{"p50":1.0,"p90":1.0,"p99":2.0,"p999":3.0,"max":4.0}},"wrong":0}}"#
        )
    }

    #[test]
    fn ratios_are_taken_within_each_round() {
        let results =
            [line("bare", 1, 10.0), line("gate", 1, 20.0), line("gate", 2, 90.0), line("bare", 2, 30.0)];
        let table = compare(&results.join("\n"), "bare").expect("a table").to_string();
        assert!(table.contains("2.50 (2.00-3.00)"), "{table}");
        assert!(compare(&results.join("\n"), "nobody").is_err());
        assert!(compare("{}", "bare").is_err());
    }
}
