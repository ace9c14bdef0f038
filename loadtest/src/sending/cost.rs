//! What a durable send costs: CPU of the gateway by thread, against a bare connection that posts the same to the same place.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{House, SendingError, everybody};
use crate::cpu::{Threads, thread_cpu};

/// Connections of the bare client: as many as the gateway has calls under way.
const CONNECTIONS: usize = 64;
/// The thread that writes what sending must never lose.
const LEDGER: &str = "ledger";

/// One round: a broadcast through the gateway, then as many posts without it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Round {
    /// Durable sends a second, from the first to the last arrival.
    pub sends_per_s: f64,
    /// CPU of a send in microseconds, but for the ledger's thread: HTTP, signing, pacing, reading targets.
    pub http_us: f64,
    /// CPU of a send on the ledger's thread: intent and outcome.
    pub ledger_us: f64,
    /// CPU of a post of the same length over a bare hyper connection.
    pub bare_us: f64,
}

/// What sending costs.
#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    /// Targets of a round.
    pub targets: usize,
    /// Length of a post's body.
    pub body_bytes: usize,
    /// The rounds, in order.
    pub rounds: Vec<Round>,
    /// What did not fit.
    pub complaints: Vec<String>,
}

impl House {
    /// Measures what a send costs without limits, in interleaved rounds.
    ///
    /// # Errors
    /// When one of the parties does not take part.
    pub async fn cost(&mut self, targets: usize, rounds: usize) -> Result<Cost, SendingError> {
        let account = self.account("cost", &[]).await?;
        self.groups(&account, (0..targets).map(|n| format!("g-{n:05}")), &[]).await?;
        let body = body_of(&account);
        let mut cost = Cost { targets, body_bytes: body.len(), rounds: Vec::new(), complaints: Vec::new() };
        for number in 0..rounds {
            let before = self.sink.report();
            let cpu = Threads::of(self.pid)?;
            let began = Instant::now();
            let id = self.broadcast(&account, &format!("round-{number}"), &everybody()).await?;
            self.taken(before.distinct + targets as u64).await?;
            let took = began.elapsed();
            self.until(&id, "the broadcast is finished", |view| view.count("sent") == targets as u64).await?;
            let spent = Threads::of(self.pid)?.since(&cpu);
            let ledger = spent.named(LEDGER);
            let after = self.sink.report();
            if (after.duplicates, after.repeated_content) != (before.duplicates, before.repeated_content) {
                cost.complaints.push(format!("round {number}: something was sent twice"));
            }
            let run = format!("{}-{number}", self.run);
            let bare = bare_posts(self.sink.url(), body.clone(), targets, &run).await?;
            cost.rounds.push(Round {
                sends_per_s: each(targets) / took.as_secs_f64(),
                http_us: micros(spent.whole.saturating_sub(ledger), targets),
                ledger_us: micros(ledger, targets),
                bare_us: micros(bare, targets),
            });
        }
        Ok(cost)
    }
}

/// As long as what the gateway posts for one target.
fn body_of(account: &str) -> Bytes {
    let body = serde_json::json!({
        "type": "message.send", "timestamp": "2026-11-28T00:00:00.000Z",
        "data": {
            "delivery": "bc_01993e5f0a1b2c3d4e5_12345", "account": account, "group": "g-12345", "kind": "broadcast",
            "text": format!("各位邻居早上好，今天的蔬菜水果已经到店（{account} round-0）"),
            "broadcast": "bc_01993e5f0a1b2c3d4e5", "attempt": 1,
        },
    });
    body.to_string().into()
}

/// Posts so many bodies over bare connections from a thread of its own, and returns that thread's CPU time.
async fn bare_posts(url: &str, body: Bytes, posts: usize, run: &str) -> Result<Duration, SendingError> {
    let (url, run) = (url.to_owned(), run.to_owned());
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let before = thread_cpu()?;
        runtime.block_on(async {
            let mut connections = tokio::task::JoinSet::new();
            for number in 0..CONNECTIONS {
                let share = posts / CONNECTIONS + usize::from(number < posts % CONNECTIONS);
                connections.spawn(connection(url.clone(), body.clone(), share, format!("{run}-{number}")));
            }
            while let Some(ended) = connections.join_next().await {
                ended.map_err(|error| SendingError::Bare(error.to_string()))??;
            }
            Ok::<_, SendingError>(())
        })?;
        Ok(thread_cpu()?.saturating_sub(before))
    };
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| SendingError::Bare(error.to_string()))?
}

async fn connection(url: String, body: Bytes, posts: usize, run: String) -> Result<(), SendingError> {
    let broken = |error: &dyn std::fmt::Display| SendingError::Bare(error.to_string());
    let authority = url.strip_prefix("http://").unwrap_or(&url).to_owned();
    let stream = TcpStream::connect(&authority).await?;
    stream.set_nodelay(true)?;
    let (mut sender, driver) = handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
    let driver = tokio::spawn(driver);
    for number in 0..posts {
        let request = Request::post("/")
            .header("host", &authority)
            .header("content-type", "application/json")
            .header("user-agent", "bare")
            .header("webhook-id", format!("{run}-{number}"))
            .header("webhook-timestamp", "1795822886")
            .header("webhook-signature", "v1,AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
            .body(Full::new(body.clone()))
            .map_err(|e| broken(&e))?;
        sender.ready().await.map_err(|e| broken(&e))?;
        let response = sender.send_request(request).await.map_err(|e| broken(&e))?;
        let status = response.status();
        response.into_body().collect().await.map_err(|e| broken(&e))?;
        if !status.is_success() {
            return Err(broken(&format!("answered {status}")));
        }
    }
    drop(sender);
    driver.await.map_err(|e| broken(&e))?.map_err(|e| broken(&e))
}

#[expect(clippy::cast_precision_loss, reason = "no broadcast has 2^52 targets")]
fn each(count: usize) -> f64 {
    count as f64
}

fn micros(spent: Duration, sends: usize) -> f64 {
    spent.as_secs_f64() * 1e6 / each(sends)
}
