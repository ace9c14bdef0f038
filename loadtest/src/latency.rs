//! A histogram of latencies, and its figures in milliseconds.
//!
//! Resolution is one microsecond with three significant digits; anything over an hour is clamped rather than lost.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

const HIGHEST_US: u64 = 3_600_000_000;

/// Collects latencies; cheap to merge.
#[derive(Debug, Clone)]
pub struct Latency {
    histogram: Histogram<u64>,
}

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, HIGHEST_US, 3);
        Self { histogram: histogram.expect("the bounds are constants that hdrhistogram accepts") }
    }
}

impl Latency {
    /// Adds one latency.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(HIGHEST_US);
        self.histogram.saturating_record(micros.max(1));
    }

    /// Adds everything another histogram has seen.
    pub fn merge(&mut self, other: &Self) {
        let merged = self.histogram.add(&other.histogram);
        merged.expect("every histogram of this module has the same bounds");
    }

    /// Reads the figures that reports show.
    pub fn quantiles(&self) -> Quantiles {
        let at = |quantile: f64| millis(self.histogram.value_at_quantile(quantile));
        Quantiles {
            p50: at(0.50),
            p90: at(0.90),
            p99: at(0.99),
            p999: at(0.999),
            max: millis(self.histogram.max()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "values are clamped to an hour in microseconds")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// The figures of one histogram, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the definition")]
pub struct Quantiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_in_milliseconds_and_survive_a_merge() {
        let (mut fast, mut slow) = (Latency::default(), Latency::default());
        (0..99).for_each(|_| fast.record(Duration::from_millis(2)));
        slow.record(Duration::from_hours(3));
        fast.merge(&slow);
        let figures = fast.quantiles();
        assert!((figures.p50 - 2.0).abs() < 0.01, "{figures:?}");
        assert!(figures.max >= 3_600_000.0, "{figures:?}");
    }
}
