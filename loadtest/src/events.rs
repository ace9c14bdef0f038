//! Sends events and checks every answer: the load test of the hot path.
//!
//! [`run`] drives a number of connections in the closed or open loop, counts on its own what it sent, and, when asked,
//! compares that with the gateway's statistics. Nothing is lost on 429 or 503: the same events are sent again.

mod check;
mod pace;
mod plan;
mod report;
mod tally;
#[cfg(test)]
mod tests;
mod verify;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

pub use self::check::Mode;
pub use self::pace::Until;
pub use self::plan::{Item, Plan, Planner};
pub use self::report::EventsReport;
pub use self::verify::Verification;
use crate::client::{ClientError, Target};
use crate::cpu::{CpuError, process_cpu};

/// A whole run.
#[derive(Debug, Clone)]
pub struct EventsConfig {
    /// Where to send.
    pub target: Target,
    /// What to send.
    pub plan: Plan,
    /// How events are put into requests.
    pub mode: Mode,
    /// Events a request; one in [`Mode::Single`].
    pub batch: u64,
    /// Connections, each with one request in flight.
    pub connections: usize,
    /// Events a second in the open loop; `None` is the closed loop.
    pub rate: Option<f64>,
    /// When to stop.
    pub until: Until,
    /// Whether answers are read, or only status codes: a bare server has nothing to say.
    pub reads_answers: bool,
    /// Whether the gateway's statistics are compared with our counts.
    pub verifies: bool,
    /// How long the statistics may take to catch up with the last answer.
    pub catch_up: Duration,
    /// The process whose CPU time is charged to the requests.
    pub server_pid: Option<u32>,
    /// What the run is called in reports.
    pub label: String,
    /// Which of several interleaved rounds this run belongs to.
    pub round: u32,
}

/// Says why a run could not be made; wrong answers are not errors but part of the report.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The gateway's statistics could not be read.
    #[error("read the gateway's statistics")]
    Statistics(#[source] ClientError),
    /// The server's CPU time is not known.
    #[error("measure the server's CPU time")]
    Cpu(#[from] CpuError),
}

/// Runs to the end.
///
/// # Errors
/// When statistics or CPU time cannot be read. Everything that goes wrong with events is in the report.
pub async fn run(config: EventsConfig) -> Result<EventsReport, EventsError> {
    let target = Arc::new(config.target.clone());
    let plan = Arc::new(config.plan.clone());
    let before = if config.verifies {
        Some(verify::read_figures(&target, &plan, (0..plan.groups).collect()).await)
    } else {
        None
    };
    let before = before.transpose().map_err(EventsError::Statistics)?;
    let cpu_before = config.server_pid.map(process_cpu).transpose()?;
    let start = Instant::now();
    let tally = drive(&config, &target, &plan).await;
    let took = start.elapsed();
    let cpu = match (config.server_pid.map(process_cpu).transpose()?, cpu_before) {
        (Some(after), Some(before)) => Some(after.saturating_sub(before)),
        _ => None,
    };
    let expected = tally.groups.clone();
    let mut report = EventsReport::new(&config, tally, took, cpu);
    if let Some(before) = before {
        let verified = verify::verify(&target, &plan, &before, &expected, config.catch_up).await;
        report.verification = Some(verified.map_err(EventsError::Statistics)?);
    }
    Ok(report)
}

async fn drive(config: &EventsConfig, target: &Arc<Target>, plan: &Arc<Plan>) -> tally::Tally {
    let batch = if config.mode == Mode::Single { 1 } else { config.batch.max(1) };
    let connections = config.connections.clamp(1, plan.groups.max(1));
    let pace = pace::Pace::start(config.rate, batch, config.until);
    let mut workers = JoinSet::new();
    for number in 0..connections {
        let worker = worker::Worker {
            pace: Arc::clone(&pace),
            planner: Planner::new(Arc::clone(plan), number, connections),
            connection: target.connection(),
            mode: config.mode,
            reads_answers: config.reads_answers,
            gives_up_after: target.give_up,
        };
        workers.spawn(worker.run());
    }
    let mut tally = tally::Tally::default();
    while let Some(done) = workers.join_next().await {
        match done {
            Ok(seen) => tally.merge(seen),
            Err(error) => tally.wrong(format!("a connection of the load client ended early: {error}")),
        }
    }
    tally
}
