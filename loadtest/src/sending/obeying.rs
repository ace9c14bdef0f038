//! How fast a busy gateway does what it is told: an urgent act in the middle of a broadcast, and a pause.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{House, SendingError, everybody};
use crate::client::Call;
use crate::latency::{Latency, Quantiles};
use crate::wire;

/// Between two urgent acts: they are to be single ones, not a load of their own.
const BETWEEN: Duration = Duration::from_millis(20);
/// How long the receiver is watched after a pause.
const AFTER_PAUSE: Duration = Duration::from_secs(1);
/// Blocked by the lists that come with the gateway, so that it asks for a recall.
const ADVERT: &str = "加微信 abc888 领优惠";

/// From an event that must be recalled to the recall's arrival, while a broadcast runs.
#[derive(Debug, Clone, Serialize)]
pub struct Urgency {
    /// Targets of the broadcast.
    pub targets: usize,
    /// Acts of a round.
    pub acts: usize,
    /// In milliseconds, a round each.
    pub rounds: Vec<Quantiles>,
    /// What did not fit.
    pub complaints: Vec<String>,
}

/// How long a pause takes, and what still arrives after it.
#[derive(Debug, Clone, Serialize)]
pub struct Pauses {
    /// Targets of the broadcast.
    pub targets: usize,
    /// From the request to its answer, in milliseconds.
    pub answered_ms: Vec<f64>,
    /// Deliveries that arrived after the answer, each time.
    pub arrived_after: Vec<u64>,
    /// Calls that may be under way at once.
    pub in_flight_max: u64,
    /// What did not fit.
    pub complaints: Vec<String>,
}

impl House {
    /// Asks for urgent acts one after the other while a broadcast is sent under a limit.
    ///
    /// # Errors
    /// When one of the parties does not take part.
    pub async fn urgency(
        &mut self,
        targets: usize,
        limit: &str,
        acts: usize,
        rounds: usize,
    ) -> Result<Urgency, SendingError> {
        let account = self.account("urgent", &[limit]).await?;
        self.groups(&account, (0..targets).map(|n| format!("g-{n:05}")), &[]).await?;
        let mut told = Urgency { targets, acts, rounds: Vec::new(), complaints: Vec::new() };
        for round in 0..rounds {
            let id = self.broadcast(&account, &format!("round-{round}"), &everybody()).await?;
            self.until(&id, "it is under way", |view| view.count("sent") > 0).await?;
            let mut latency = Latency::default();
            for act in 0..acts {
                let recalled = self.recalls() + 1;
                let event = json!({
                    "id": format!("{}-{round}-{act}", self.run), "account": account, "group": format!("g-{act:05}"),
                    "type": "message", "member": "u-1", "text": ADVERT,
                });
                let began = Instant::now();
                self.gateway.expect_success(&Call::post(wire::EVENTS, wire::JSON, event.to_string())).await?;
                let arrived =
                    self.sink.wait_for(|report| report.by_kind.get("recall").is_some_and(|n| *n >= recalled));
                let arrived = tokio::time::timeout(self.deadline, arrived).await;
                arrived.map_err(|_| SendingError::Deadline(self.deadline, "a recall arrives".to_owned()))?;
                latency.record(began.elapsed());
                sleep(BETWEEN).await;
            }
            let view = self.view(&id).await?;
            if view.is_over() {
                told.complaints.push(format!("round {round}: the broadcast was over before the acts were"));
            }
            told.rounds.push(latency.quantiles());
            self.command(&id, "cancel").await?;
            self.until(&id, "it is cancelled", |view| view.is_over() && view.count("sending") == 0).await?;
        }
        Ok(told)
    }

    fn recalls(&self) -> u64 {
        self.sink.report().by_kind.get("recall").copied().unwrap_or(0)
    }

    /// Pauses a broadcast that is under way again and again.
    ///
    /// # Errors
    /// When one of the parties does not take part.
    pub async fn pauses(
        &mut self,
        targets: usize,
        limit: &str,
        times: usize,
        in_flight_max: u64,
    ) -> Result<Pauses, SendingError> {
        let account = self.account("pause", &[limit]).await?;
        self.groups(&account, (0..targets).map(|n| format!("g-{n:05}")), &[]).await?;
        let id = self.broadcast(&account, "paused", &everybody()).await?;
        let mut told = Pauses {
            targets,
            answered_ms: Vec::new(),
            arrived_after: Vec::new(),
            in_flight_max,
            complaints: Vec::new(),
        };
        for _ in 0..times {
            let moving = self.sink.report().distinct + 50;
            self.taken(moving).await?;
            let began = Instant::now();
            self.command(&id, "pause").await?;
            told.answered_ms.push(began.elapsed().as_secs_f64() * 1_000.0);
            let at_answer = self.sink.report().distinct;
            sleep(AFTER_PAUSE).await;
            let after = self.sink.report().distinct - at_answer;
            told.arrived_after.push(after);
            if after > in_flight_max {
                told.complaints
                    .push(format!("{after} arrived after a pause, {in_flight_max} may be under way"));
            }
            self.command(&id, "resume").await?;
        }
        self.command(&id, "cancel").await?;
        Ok(told)
    }
}
