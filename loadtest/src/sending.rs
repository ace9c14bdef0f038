//! What sending costs and how fast it obeys, with a receiver in this process: the figures of broadcasts that a report shows.
//!
//! Each measure makes accounts and groups of its own, so that they can follow one another against one gateway. Costs are
//! CPU, read from the kernel, and stated against a bare hyper connection that posts the same bytes to the same receiver in
//! the same rounds. The receiver's auditors judge limits; the gateway's own counts are only compared with its.

mod cost;
mod obeying;
mod report;
mod robots;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

pub use self::cost::{Cost, Round};
pub use self::obeying::{Pauses, Urgency};
pub use self::robots::{Part, Stress, StressConfig};
pub use self::waiting::Memory;
use crate::broadcast::{BroadcastError, import_groups};
use crate::client::{Call, ClientError, Connection, Target};
use crate::cpu::CpuError;
use crate::sink::{Sink, SinkConfig};
use crate::wire::{self, BroadcastView, GroupLine};

/// How often progress is asked for.
const POLL: Duration = Duration::from_millis(50);

/// Says why a measure came to no end; what does not fit is part of its figures.
#[derive(Debug, thiserror::Error)]
pub enum SendingError {
    /// The gateway did not take part.
    #[error("talk to the gateway")]
    Gateway(#[from] ClientError),
    /// Groups were not taken.
    #[error("declare groups")]
    Groups(#[from] BroadcastError),
    /// The receiver could not be started, or the bare connection broke.
    #[error("receive")]
    Receiver(#[from] std::io::Error),
    /// The bare connection broke.
    #[error("post without the gateway: {0}")]
    Bare(String),
    /// The gateway's CPU or memory is not known.
    #[error("look at the gateway's process")]
    Process(#[from] CpuError),
    /// Something did not happen in time.
    #[error("not within {0:?}: {1}")]
    Deadline(Duration, String),
}

/// A gateway, and a receiver for what it sends.
#[derive(Debug)]
pub struct House {
    gateway: Connection,
    sink: Sink,
    /// Distinguishes accounts, keys and texts of this run from those of others.
    run: String,
    /// The gateway's process.
    pid: u32,
    /// Within what one broadcast must come to its end.
    deadline: Duration,
}

impl House {
    /// Starts a receiver for a gateway's deliveries.
    ///
    /// # Errors
    /// When its address cannot be bound.
    pub async fn new(
        target: Target,
        pid: u32,
        run: &str,
        receiver: SinkConfig,
        deadline: Duration,
    ) -> Result<Self, SendingError> {
        let sink = Sink::start(receiver).await?;
        Ok(Self { gateway: Arc::new(target).connection(), sink, run: run.to_owned(), pid, deadline })
    }

    /// Makes an account that delivers to the receiver, under limits of its own.
    async fn account(&mut self, name: &str, limits: &[&str]) -> Result<String, SendingError> {
        let account = format!("{}-{name}", self.run);
        let settings = json!({"url": self.sink.url(), "receiver_dedupes": true, "can": ["send", "recall"]});
        // A fixed key: the receiver checks nothing here, and signing costs the same with any.
        let secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let body = json!({
            "platform": "webhook", "settings": settings, "secrets": [{"value": secret}], "limits": limits,
        });
        let path = format!("/v1/accounts/{account}");
        self.gateway.expect_success(&Call::post(path, wire::JSON, body.to_string()).put()).await?;
        Ok(account)
    }

    /// Declares groups of an account, with one tag.
    async fn groups(
        &mut self,
        account: &str,
        names: impl Iterator<Item = String>,
        tags: &[&str],
    ) -> Result<(), SendingError> {
        let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
        let line = |group: String| GroupLine {
            account: account.to_owned(),
            name: group.clone(),
            group,
            tags: tags.clone(),
        };
        let lines: Vec<GroupLine> = names.map(line).collect();
        Ok(import_groups(&mut self.gateway, &lines).await?)
    }

    async fn broadcast(
        &mut self,
        account: &str,
        key: &str,
        audience: &Value,
    ) -> Result<String, SendingError> {
        let text = format!("各位邻居早上好，今天的蔬菜水果已经到店（{} {key}）", self.run);
        let body = json!({"account": account, "text": text, "audience": audience}).to_string();
        let call = Call::post(wire::BROADCASTS, wire::JSON, body);
        let call = call.header("idempotency-key", &format!("\"{}-{account}-{key}\"", self.run));
        let view: BroadcastView = read(wire::BROADCASTS, &self.gateway.expect_success(&call).await?.body)?;
        Ok(view.id)
    }

    async fn view(&mut self, id: &str) -> Result<BroadcastView, SendingError> {
        let path = format!("{}/{id}", wire::BROADCASTS);
        let reply = self.gateway.expect_success(&Call::get(path.as_str())).await?;
        Ok(read(&path, &reply.body)?)
    }

    async fn command(&mut self, id: &str, verb: &str) -> Result<(), SendingError> {
        let path = format!("{}/{id}/{verb}", wire::BROADCASTS);
        self.gateway.expect_success(&Call::post(path, wire::JSON, "{}")).await?;
        Ok(())
    }

    /// Looks at a broadcast until it is as wanted.
    async fn until(
        &mut self,
        id: &str,
        what: &str,
        is_so: impl Fn(&BroadcastView) -> bool,
    ) -> Result<BroadcastView, SendingError> {
        let began = Instant::now();
        loop {
            let view = self.view(id).await?;
            if is_so(&view) {
                return Ok(view);
            }
            if began.elapsed() > self.deadline {
                return Err(SendingError::Deadline(self.deadline, format!("{what}, last seen {view:?}")));
            }
            sleep(POLL).await;
        }
    }

    /// Waits until the receiver has taken so many more than it had.
    async fn taken(&self, count: u64) -> Result<(), SendingError> {
        let arrived = self.sink.wait_for(|report| report.distinct >= count);
        let arrived = tokio::time::timeout(self.deadline, arrived).await;
        arrived
            .map(|_| ())
            .map_err(|_| SendingError::Deadline(self.deadline, format!("{count} deliveries have arrived")))
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|source| ClientError::Unreadable { path: path.to_owned(), source })
}

fn everybody() -> Value {
    json!("all")
}
