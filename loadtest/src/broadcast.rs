//! One broadcast to many groups, watched from both ends: what the gateway says it sent, and what a sink received.
//!
//! Declares the groups, creates the broadcast (twice, with the same idempotency key, which must give the same broadcast),
//! follows its progress, and holds the final counts against the sink's report and its auditors.

mod report;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::time::{Instant, sleep};

pub use self::report::BroadcastReport;
use crate::client::{Call, ClientError, Connection, Target};
use crate::sink::SinkReport;
use crate::units::{parse_rfc3339_utc, rfc3339};
use crate::wire::{self, BroadcastView, GroupLine};

/// Groups a request of the bulk import.
const IMPORT_BATCH: usize = 1_000;
/// How often progress is asked for.
const POLL: Duration = Duration::from_millis(250);
/// How many refused import lines are spelled out.
const EXAMPLES: usize = 3;

/// A whole run.
#[derive(Debug, Clone)]
pub struct BroadcastConfig {
    /// The gateway.
    pub target: Target,
    /// Where the sink tells what it received.
    pub sink_report: Target,
    /// The account that sends; its deliveries must go to the sink.
    pub account: String,
    /// How many groups are declared and reached.
    pub groups: usize,
    /// Groups are called this and a number.
    pub group_prefix: String,
    /// How groups are made known.
    pub declare: Declare,
    /// The limit the account is configured with, a second; only to say how much of it was used.
    pub rate: Option<f64>,
    /// The text; the run's id is appended, so that the sink can tell a repeat from another broadcast.
    pub text: String,
    /// Distinguishes this run from others against the same gateway.
    pub run: String,
    /// When to stop waiting for the end.
    pub deadline: Duration,
}

/// How groups are made known to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declare {
    /// By NDJSON import.
    Bulk,
    /// One `PUT` for each.
    Each,
    /// They are known already.
    Known,
}

/// Says why a run could not be made to its end; differing counts are part of the report.
#[derive(Debug, thiserror::Error)]
pub enum BroadcastError {
    /// The gateway did not take part.
    #[error("talk to the gateway")]
    Gateway(#[source] ClientError),
    /// The sink did not take part.
    #[error("read the sink's report")]
    Sink(#[source] ClientError),
    /// Some groups were not taken.
    #[error("import groups: {count} refused, first: {examples:?}")]
    Import {
        /// How many lines were refused.
        count: usize,
        /// The first few answers.
        examples: Vec<String>,
    },
    /// The deadline passed.
    #[error("the broadcast was not over after {0:?}, last seen {1:?}")]
    Deadline(Duration, Box<BroadcastView>),
}

/// Runs to the end, calling `on_progress` at each look.
///
/// # Errors
/// When one of the parties does not answer, groups are refused, or the deadline passes.
pub async fn run(
    config: &BroadcastConfig,
    mut on_progress: impl FnMut(&BroadcastView, Duration),
) -> Result<BroadcastReport, BroadcastError> {
    let mut gateway = Arc::new(config.target.clone()).connection();
    let mut sink = Arc::new(config.sink_report.clone()).connection();
    let declared_in = declare(config, &mut gateway).await?;
    let before = read_sink(&mut sink).await?;

    let began = Instant::now();
    let created = create(config, &mut gateway).await?;
    let accepted_in = began.elapsed();
    let repeated = create(config, &mut gateway).await?;
    let mut estimate = created.estimated_finish_at.clone();
    let view = loop {
        let view: BroadcastView = get(&mut gateway, format!("{}/{}", wire::BROADCASTS, created.id)).await?;
        on_progress(&view, began.elapsed());
        estimate = estimate.or_else(|| view.estimated_finish_at.clone());
        let targets: u64 = view.counts.values().sum();
        if view.is_over() || (targets > 0 && view.settled() == targets) {
            break view;
        }
        if began.elapsed() > config.deadline {
            return Err(BroadcastError::Deadline(config.deadline, Box::new(view)));
        }
        sleep(POLL).await;
    };
    let finished_s = parse_rfc3339_utc(&rfc3339(SystemTime::now()));
    let estimate_off_s =
        finished_s.zip(estimate.as_deref().and_then(parse_rfc3339_utc)).map(|(at, said)| said - at);
    let after = read_sink(&mut sink).await?;
    Ok(BroadcastReport {
        groups: config.groups as u64,
        declared_ms: millis(declared_in),
        accepted_ms: millis(accepted_in),
        same_for_same_key: created.id == repeated.id,
        seconds: began.elapsed().as_secs_f64(),
        rate: config.rate,
        estimate_off_s,
        view,
        before,
        after,
    })
}

async fn declare(config: &BroadcastConfig, gateway: &mut Connection) -> Result<Duration, BroadcastError> {
    let began = Instant::now();
    let lines: Vec<GroupLine> = (0..config.groups).map(|number| group_line(config, number)).collect();
    match config.declare {
        Declare::Known => {}
        Declare::Bulk => import_groups(gateway, &lines).await?,
        Declare::Each => {
            for line in &lines {
                let body = json!({"name": line.name, "tags": line.tags}).to_string();
                let path = format!("{}/{}/{}", wire::GROUPS, line.account, line.group);
                let call = Call::post(path, wire::JSON, body).put();
                gateway.expect_success(&call).await.map_err(BroadcastError::Gateway)?;
            }
        }
    }
    Ok(began.elapsed())
}

fn group_line(config: &BroadcastConfig, number: usize) -> GroupLine {
    GroupLine {
        account: config.account.clone(),
        group: format!("{}{number:05}", config.group_prefix),
        name: format!("压测 {} 群", number + 1),
        tags: vec!["loadtest".to_owned()],
    }
}

/// Imports groups by NDJSON, in requests of a thousand lines.
///
/// # Errors
/// When the gateway does not answer, or refuses a line.
pub async fn import_groups(gateway: &mut Connection, groups: &[GroupLine]) -> Result<(), BroadcastError> {
    let (mut count, mut examples) = (0, Vec::new());
    for batch in groups.chunks(IMPORT_BATCH) {
        let mut body = Vec::new();
        for line in batch {
            serde_json::to_writer(&mut body, line).expect("strings always encode, and a vector takes them");
            body.push(b'\n');
        }
        let call = Call::post(wire::GROUPS, wire::NDJSON, body);
        let reply = gateway.expect_success(&call).await.map_err(BroadcastError::Gateway)?;
        for refused in reply.body.split(|&byte| byte == b'\n').filter(|line| is_refusal(line)) {
            count += 1;
            if examples.len() < EXAMPLES {
                examples.push(String::from_utf8_lossy(refused).chars().take(200).collect());
            }
        }
    }
    if count > 0 { Err(BroadcastError::Import { count, examples }) } else { Ok(()) }
}

/// A per-line result that says what was wrong: it carries an error, or a status code of one.
fn is_refusal(line: &[u8]) -> bool {
    let Ok(result) = serde_json::from_slice::<serde_json::Value>(line) else { return false };
    let has = |name: &str| result.get(name).is_some_and(|value| !value.is_null());
    has("error") || has("errors") || result["status"].as_u64().is_some_and(|status| status >= 400)
}

async fn create(config: &BroadcastConfig, gateway: &mut Connection) -> Result<BroadcastView, BroadcastError> {
    let text = format!("{}（{}）", config.text, config.run);
    let body = json!({"account": config.account, "text": text, "audience": "all"}).to_string();
    let call = Call::post(wire::BROADCASTS, wire::JSON, body);
    let call = call.header("idempotency-key", &format!("\"loadtest-{}\"", config.run));
    let reply = gateway.expect_success(&call).await.map_err(BroadcastError::Gateway)?;
    read(wire::BROADCASTS, &reply.body).map_err(BroadcastError::Gateway)
}

async fn get(gateway: &mut Connection, path: String) -> Result<BroadcastView, BroadcastError> {
    let reply = gateway.expect_success(&Call::get(path.as_str())).await.map_err(BroadcastError::Gateway)?;
    read(&path, &reply.body).map_err(BroadcastError::Gateway)
}

async fn read_sink(sink: &mut Connection) -> Result<SinkReport, BroadcastError> {
    let reply = sink.expect_success(&Call::get("")).await.map_err(BroadcastError::Sink)?;
    read("the sink's report", &reply.body).map_err(BroadcastError::Sink)
}

fn read<T: serde::de::DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|source| ClientError::Unreadable { path: path.to_owned(), source })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
