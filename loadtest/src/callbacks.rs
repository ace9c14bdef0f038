//! What an encrypted callback of WeCom costs the gateway, against the same event told in plain JSON.
//!
//! The same joins are told twice: as `change_external_chat` callbacks with one member each, sealed beforehand, and as
//! `member_joined` events through `POST /v1/events`, one a request. Rounds are interleaved, every join is a new one, and
//! the CPU time of the gateway's whole process is charged to each, with what it has left to do when the last answer came.
//!
//! The callbacks are the hot path and nothing else: the gateway has read all rosters before, so every callback follows from
//! what it knows and counts. The gateway must be set up not to look at the platform by itself meanwhile; the simulator
//! tells whether it did, and then the run is no good. So are wrong answers, and counts that differ at the end.
//!
//! Not for: callbacks that are repeated, lost or overtaken; the simulator sends those by itself.

mod account;
mod corp;
mod lap;
mod report;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub use self::report::{CallbacksReport, Counted, Lap, Round};
use crate::client::{ClientError, Connection, Target};
use crate::cpu::CpuError;
use crate::figures;
use crate::wecom::{ActError, VerifyError};
use corp::Corp;
use lap::{Lane, event_lanes};

/// How long to wait between two looks at something that is under way.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How many differing groups are spelled out.
const EXAMPLES: usize = 10;

/// A whole run.
#[derive(Debug, Clone)]
pub struct CallbacksConfig {
    /// The gateway's API; a gateway that has never been used, since the simulated people are the same for the same seed.
    pub target: Target,
    /// The same as a base for the callback's address, such as `http://127.0.0.1:8180`.
    pub url: String,
    /// The account on WeCom that is made at the gateway.
    pub account: String,
    /// The account that plain events belong to.
    pub events_account: String,
    /// Customer groups.
    pub groups: usize,
    /// Members of each before anybody joins.
    pub members: usize,
    /// Joins of each kind in a round.
    pub joins: usize,
    /// Connections, each with one request in flight.
    pub connections: usize,
    /// Interleaved rounds; every other one runs in reverse order.
    pub rounds: usize,
    /// The gateway's process.
    pub server_pid: u32,
    /// How long after the last answer the gateway's work is still charged: folding the journal goes on by itself.
    pub settle: Duration,
    /// How long the gateway may take to read all rosters, and its statistics to catch up.
    pub patience: Duration,
    /// The same seed, the same people and groups.
    pub seed: u64,
    /// Prefix of the plain events' ids.
    pub run: String,
}

/// Says why a run could not be made; wrong answers and differing counts are not errors but part of the report.
#[derive(Debug, thiserror::Error)]
pub enum CallbacksError {
    /// The simulator did not start.
    #[error("start the simulated platform")]
    Simulator(#[source] std::io::Error),
    /// An address is none.
    #[error(transparent)]
    Address(ClientError),
    /// The account could not be made, or what the gateway has of it not be read.
    #[error("ask the gateway")]
    Gateway(#[from] ClientError),
    /// The gateway does not prove that the callback's address is its own.
    #[error("verify the callback's address")]
    Verify(#[from] VerifyError),
    /// The rosters were not read.
    #[error("the gateway did not read the rosters: {0}")]
    Sync(String),
    /// Nobody can join any more.
    #[error("let somebody join; use more groups or fewer rounds")]
    Join(#[from] ActError),
    /// The gateway's CPU time is not known.
    #[error("measure the gateway's CPU time")]
    Cpu(#[from] CpuError),
}

/// Runs to the end.
///
/// # Errors
/// When the gateway cannot be prepared or measured.
pub async fn run(
    config: &CallbacksConfig,
    mut tell: impl FnMut(&Round),
) -> Result<CallbacksReport, CallbacksError> {
    let api = Arc::new(config.target.clone());
    let hook = format!("{}/hooks/{}", config.url.trim_end_matches('/'), config.account);
    let mut corp = Corp::start(config, &hook).await?;
    let mut connection = api.connection();
    account::make(&mut connection, &config.account, &corp.account()).await?;
    corp.verify_hook(&hook).await?;
    account::sync(&mut connection, &config.account, config.groups, config.patience).await?;
    let before = read_joins(&mut connection, config, corp.chats()).await?;
    let hook = Arc::new(Target::new(&hook, None).map_err(CallbacksError::Address)?);
    let mut course = Course { config, api, hook, sent: 0 };
    // Each group once: connections, buffers and everything else that is made at first use is there afterwards.
    course.round(&mut corp, config.groups, false).await?;
    let calls_before = at_rest(&corp, config).await;
    let mut rounds = Vec::with_capacity(config.rounds);
    for number in 0..config.rounds {
        let round = course.round(&mut corp, config.joins, number % 2 == 1).await?;
        tell(&round);
        rounds.push(round);
    }
    let calls_meanwhile = corp.calls_after(calls_before);
    let expected = corp.joined();
    let counted = compare(&mut connection, config, corp.chats(), &before, &expected).await?;
    Ok(CallbacksReport {
        groups: config.groups,
        connections: config.connections,
        joins: config.joins,
        sent: course.sent,
        calls_meanwhile,
        rounds,
        counted,
    })
}

/// What the rounds have in common.
struct Course<'c> {
    config: &'c CallbacksConfig,
    api: Arc<Target>,
    hook: Arc<Target>,
    /// Joins told so far, each in both ways; numbers the plain events.
    sent: usize,
}

impl Course<'_> {
    /// Lets so many people join and tells each join both ways.
    async fn round(
        &mut self,
        corp: &mut Corp,
        joins: usize,
        events_first: bool,
    ) -> Result<Round, CallbacksError> {
        let lanes = self.config.connections.clamp(1, self.config.groups.max(1));
        let joins = corp.join(joins)?;
        let first = self.sent;
        self.sent += joins.len();
        let events = event_lanes(&joins, lanes, &self.config.events_account, &self.config.run, first);
        let callbacks = lap::callback_lanes(joins, lanes);
        if events_first {
            let event = self.lap(&self.api, events).await?;
            let callback = self.lap(&self.hook, callbacks).await?;
            return Ok(Round { callback, event });
        }
        let callback = self.lap(&self.hook, callbacks).await?;
        let event = self.lap(&self.api, events).await?;
        Ok(Round { callback, event })
    }

    async fn lap(&self, target: &Arc<Target>, lanes: Vec<Lane>) -> Result<Lap, CallbacksError> {
        lap::run(target, lanes, self.config.server_pid, self.config.settle).await.map_err(Into::into)
    }
}

/// Waits until the gateway leaves the platform alone, at most as long as patience lasts; gives the calls so far.
async fn at_rest(corp: &Corp, config: &CallbacksConfig) -> u64 {
    let start = Instant::now();
    let mut calls = corp.calls();
    loop {
        sleep(config.settle.max(LOOK_AGAIN)).await;
        let now = corp.calls();
        if now == calls || start.elapsed() > config.patience {
            return now;
        }
        calls = now;
    }
}

/// Joins of every group by the gateway's statistics: through callbacks and through plain events.
async fn read_joins(
    connection: &mut Connection,
    config: &CallbacksConfig,
    chats: &[String],
) -> Result<Vec<[u64; 2]>, ClientError> {
    let mut joins = Vec::with_capacity(chats.len());
    for chat in chats {
        let by_callback = figures::of_group(connection, &config.account, chat).await?.joins;
        let by_event = figures::of_group(connection, &config.events_account, chat).await?.joins;
        joins.push([by_callback, by_event]);
    }
    Ok(joins)
}

/// Holds the gateway's counts against what was told, until they agree or patience ends.
async fn compare(
    connection: &mut Connection,
    config: &CallbacksConfig,
    chats: &[String],
    before: &[[u64; 2]],
    expected: &[u64],
) -> Result<Counted, ClientError> {
    let start = Instant::now();
    loop {
        let now = read_joins(connection, config, chats).await?;
        let mut counted = Counted { expected: expected.iter().sum(), ..Counted::default() };
        for (((chat, now), before), &expected) in chats.iter().zip(&now).zip(before).zip(expected) {
            let grown = [now[0].saturating_sub(before[0]), now[1].saturating_sub(before[1])];
            counted.by_callback += grown[0];
            counted.by_event += grown[1];
            if grown == [expected; 2] {
                continue;
            }
            counted.differing += 1;
            if counted.examples.len() < EXAMPLES {
                let [by_callback, by_event] = grown;
                counted.examples.push(format!(
                    "{chat}: {expected} joined; gateway says {by_callback} by callbacks, {by_event} by events"
                ));
            }
        }
        if counted.differing == 0 || start.elapsed() > config.patience {
            return Ok(counted);
        }
        sleep(LOOK_AGAIN).await;
    }
}
