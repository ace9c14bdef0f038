//! A circuit breaker for one account: when most calls fail, calls stop; then one canary goes ahead of the others.
//!
//! Refusals that are about one delivery say that the platform works; they are not failures here. Not for: limits and the
//! platform's own wishes (`Retry-After`), which the pacer keeps. Layer: pure core.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::limiter::{Micros, micros};

/// When to stop calling.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Share of failed calls that opens the circuit, in percent.
    pub failures_percent: u32,
    /// Fewer calls than this within the window decide nothing.
    pub calls_min: u32,
    /// So many failed calls within the window, one after the other, open the circuit whatever the share is.
    pub failures_in_a_row: u32,
    /// How far back calls count.
    #[serde(with = "crate::units::duration")]
    pub window: Duration,
    /// How long no call is made after the circuit opens; doubles with every canary that fails.
    #[serde(with = "crate::units::duration")]
    pub pause: Duration,
    /// Longest such time.
    #[serde(with = "crate::units::duration")]
    pub pause_max: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures_percent: 70,
            calls_min: 10,
            failures_in_a_row: 20,
            window: Duration::from_secs(30),
            pause: Duration::from_secs(10),
            pause_max: Duration::from_mins(5),
        }
    }
}

/// What a call's outcome says about the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Good,
    /// It does not answer, or answers that it is broken.
    Bad,
    /// Nothing.
    Neutral,
}

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Yes.
    Open,
    /// One only; its outcome decides.
    Canary,
    /// Not before this time; `None`: not before the canary's outcome.
    Shut(Option<Micros>),
}

/// The breaker's state, for people and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    /// Calls go through.
    #[default]
    Closed,
    /// One canary is let through.
    HalfOpen,
    /// No calls.
    Open,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    /// This half of the window and the one before.
    halves: [Half; 2],
    half_ends: Micros,
    /// Failed calls since the last that did not.
    row: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Half {
    calls: u32,
    failures: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open { until: Micros, pause: Duration },
    HalfOpen { pause: Duration, canary_out: bool },
}

impl Breaker {
    /// Makes a closed circuit.
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, state: State::Closed, halves: [Half::default(); 2], half_ends: Micros::MIN, row: 0 }
    }

    /// Says whether a call may be made now; after [`Gate::Canary`] report the call with [`Self::canary_sent`].
    pub fn gate(&mut self, now: Micros) -> Gate {
        if let State::Open { until, pause } = self.state
            && until <= now
        {
            self.state = State::HalfOpen { pause, canary_out: false };
        }
        match self.state {
            State::Closed => Gate::Open,
            State::Open { until, .. } => Gate::Shut(Some(until)),
            State::HalfOpen { canary_out: true, .. } => Gate::Shut(None),
            State::HalfOpen { canary_out: false, .. } => Gate::Canary,
        }
    }

    /// Notes that the canary is under way.
    pub fn canary_sent(&mut self) {
        if let State::HalfOpen { canary_out, .. } = &mut self.state {
            *canary_out = true;
        }
    }

    /// Notes that the canary was never called; another one may go.
    pub fn canary_cancelled(&mut self) {
        if let State::HalfOpen { canary_out, .. } = &mut self.state {
            *canary_out = false;
        }
    }

    /// Notes what a call came to. Calls made before the circuit opened may end afterwards; they decide nothing then.
    pub fn record(&mut self, now: Micros, health: Health) {
        match (self.state, health) {
            (State::HalfOpen { canary_out: true, .. }, Health::Good | Health::Neutral) => {
                *self = Self::new(self.config.clone());
            }
            (State::HalfOpen { pause, canary_out: true }, Health::Bad) => {
                let pause = (pause * 2).min(self.config.pause_max);
                self.state = State::Open { until: now + micros(pause), pause };
            }
            (State::Closed, Health::Good | Health::Bad) => self.count(now, health),
            (State::Open { .. } | State::HalfOpen { canary_out: false, .. }, _)
            | (State::Closed, Health::Neutral) => {}
        }
    }

    /// Returns the state.
    pub fn circuit(&self) -> Circuit {
        match self.state {
            State::Closed => Circuit::Closed,
            State::Open { .. } => Circuit::Open,
            State::HalfOpen { .. } => Circuit::HalfOpen,
        }
    }

    fn count(&mut self, now: Micros, health: Health) {
        let half = micros(self.config.window) / 2;
        if now >= self.half_ends {
            let stale = now >= self.half_ends.saturating_add(half);
            let before = if stale { Half::default() } else { self.halves[0] };
            self.halves = [Half::default(), before];
            self.half_ends = now + half;
        }
        self.halves[0].calls += 1;
        self.halves[0].failures += u32::from(health == Health::Bad);
        self.row = if health == Health::Bad { self.row + 1 } else { 0 };
        let calls = self.halves[0].calls + self.halves[1].calls;
        let failures = self.halves[0].failures + self.halves[1].failures;
        let most = calls >= self.config.calls_min
            && u64::from(failures) * 100 >= u64::from(calls) * u64::from(self.config.failures_percent);
        // Of many calls a second the window remembers the good ones for long: an outage would have to last as long.
        if most || self.row.min(failures) >= self.config.failures_in_a_row.max(1) {
            let pause = self.config.pause;
            self.state = State::Open { until: now + micros(pause), pause };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(BreakerConfig::default());
        for n in 0..10 {
            assert_eq!(breaker.gate(n * SECOND), Gate::Open);
            breaker.record(n * SECOND, Health::Bad);
        }
        breaker
    }

    #[test]
    fn it_opens_when_most_calls_fail_and_lets_one_canary_through() {
        let mut breaker = opened();
        assert_eq!(breaker.gate(9 * SECOND), Gate::Shut(Some(19 * SECOND)));
        assert_eq!(breaker.gate(19 * SECOND), Gate::Canary);
        breaker.canary_sent();
        assert_eq!(breaker.gate(20 * SECOND), Gate::Shut(None));
        breaker.record(20 * SECOND, Health::Good);
        assert_eq!(breaker.gate(20 * SECOND), Gate::Open);
    }

    #[test]
    fn each_failed_canary_doubles_the_pause() {
        let mut breaker = opened();
        let mut now = 19 * SECOND;
        for pause in [20, 40, 80, 160, 300, 300] {
            assert_eq!(breaker.gate(now), Gate::Canary);
            breaker.canary_sent();
            breaker.record(now, Health::Bad);
            assert_eq!(breaker.gate(now), Gate::Shut(Some(now + pause * SECOND)));
            now += pause * SECOND;
        }
    }

    #[test]
    fn some_failures_are_normal() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        for n in 0..1000 {
            breaker.record(n * SECOND / 10, if n % 2 == 0 { Health::Bad } else { Health::Good });
        }
        assert_eq!(breaker.circuit(), Circuit::Closed);
    }

    #[test]
    fn an_outage_amid_many_good_calls_opens_after_a_row_of_failures() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        for n in 0..2_000 {
            breaker.record(n * SECOND / 150, Health::Good);
        }
        let mut failed = 0;
        while breaker.circuit() == Circuit::Closed {
            failed += 1;
            breaker.record(14 * SECOND + failed * SECOND / 150, Health::Bad);
        }
        assert_eq!(failed, 20);
    }

    #[test]
    fn old_failures_are_forgotten() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        for n in 0..30 {
            breaker.record(n * 20 * SECOND, Health::Bad); // one in 20 s: never ten within 30 s
        }
        assert_eq!(breaker.circuit(), Circuit::Closed);
    }

    #[test]
    fn a_canary_that_never_flew_gives_way_to_another() {
        let mut breaker = opened();
        assert_eq!(breaker.gate(60 * SECOND), Gate::Canary);
        breaker.canary_sent();
        breaker.canary_cancelled();
        assert_eq!(breaker.gate(60 * SECOND), Gate::Canary);
    }

    #[test]
    fn late_outcomes_of_old_calls_do_not_pass_for_the_canary() {
        let mut breaker = opened();
        breaker.record(12 * SECOND, Health::Good);
        assert_eq!(breaker.circuit(), Circuit::Open);
    }
}
