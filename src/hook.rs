//! The verdict hook (外部判定): shows messages to a program of the operator's own, which reads pictures, codes or moods, and
//! takes its verdict.
//!
//! [`Hook::ask`] puts a question into a bounded queue and never waits for it; [`Asker`] asks, a few at a time, behind a
//! circuit breaker. What is answered while somebody still waits is part of the message's own verdict; everything else
//! becomes a late verdict, an event of its own. `request.rs` says how a question looks and what an answer may be.
//!
//! Not for: deciding what a verdict means (`pipeline`), and for who waits how long (`ingest`).
//! Invariants: the text leaves the house only with `send_text`; a question is asked once; each ends as an answer that was
//! heard, as one late verdict, or (failing open only) as nothing, which is counted.

mod asker;
mod request;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Uri;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::event::{Asked, Attachment, GroupEvent, Message, Opinion, Verdict};
use crate::outbox::breaker::BreakerConfig;
use crate::telemetry::metrics::{self, HookDrop};
use crate::webhooks::SignKey;
use crate::webhooks::address::parse_url;

pub use asker::Asker;

/// Longest [`Config::wait`]: a platform gives up on a callback after some seconds, and a request may hold many events.
pub const WAIT_MAX: Duration = Duration::from_millis(800);

/// Whom to ask, about what, and for how long.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where questions go; empty: the hook is off.
    #[serde(deserialize_with = "de_url")]
    pub url: Option<Uri>,
    /// Signs questions (Standard Webhooks).
    #[serde(deserialize_with = "de_key")]
    pub secret: Option<SignKey>,
    /// Ranges that questions may go to although they are not public.
    pub allow_private: Vec<IpNet>,
    /// Which messages are asked about.
    pub when: When,
    /// The message's text goes along.
    pub send_text: bool,
    /// How long a request with messages waits for answers in all; at most [`WAIT_MAX`].
    #[serde(deserialize_with = "de_wait")]
    pub wait: Duration,
    /// Longest time for one question.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub timeout: Duration,
    /// A question that waited longer for its turn is not asked.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub expiry: Duration,
    /// What follows when there is no answer.
    pub fail: Fail,
    /// Questions under way at once.
    pub concurrency: NonZeroUsize,
    /// Questions that may wait for their turn.
    pub queue_max: NonZeroUsize,
    /// How much of an answer is read, in bytes.
    #[serde(deserialize_with = "crate::units::de_size")]
    pub reply_bytes_max: usize,
    /// When to stop asking.
    pub breaker: BreakerConfig,
}

impl Default for Config {
    fn default() -> Self {
        let number = |n| NonZeroUsize::new(n).expect("not zero");
        Self {
            url: None,
            secret: None,
            allow_private: Vec::new(),
            when: When::default(),
            send_text: false,
            wait: Duration::ZERO,
            timeout: Duration::from_secs(10),
            expiry: Duration::from_mins(5),
            fail: Fail::Open,
            concurrency: number(8),
            queue_max: number(10_000),
            reply_bytes_max: 8 * 1024,
            breaker: BreakerConfig::default(),
        }
    }
}

impl Config {
    /// Returns after how long a question without an answer was lost, in milliseconds: whatever could still come has come.
    pub fn lost_after_ms(&self) -> i64 {
        let longest = self.expiry + self.timeout + Duration::from_mins(1);
        i64::try_from(longest.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Which messages are asked about: those of a kind, and those with a verdict.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Content types of messages and kinds of their attachments; `*` for every message.
    pub kinds: Vec<String>,
    /// Verdicts of our own.
    pub verdicts: Vec<Verdict>,
}

impl Default for When {
    fn default() -> Self {
        let kinds = ["image", "video", "file", "link", "miniprogram", "card"];
        Self { kinds: kinds.map(str::to_owned).into(), verdicts: Vec::new() }
    }
}

impl When {
    /// Says whether a message is asked about whatever its verdict.
    pub fn by_kind(&self, message: &Message<'_>) -> bool {
        let own = message.content_type.as_deref().unwrap_or("text");
        let listed =
            |kind: &str| self.kinds.iter().any(|named| named == "*" || named.eq_ignore_ascii_case(kind));
        listed(own) || message.attachments.iter().any(|attachment| listed(&attachment.kind))
    }
}

/// What follows when there is no answer, for whatever reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fail {
    /// Our own verdict stands.
    #[default]
    Open,
    /// A person looks.
    Closed,
}

fn de_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uri>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    parse_url(&text).map(Some).map_err(de::Error::custom)
}

fn de_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SignKey>, D::Error> {
    let text = String::deserialize(deserializer)?;
    SignKey::parse(text.trim()).map(Some).map_err(de::Error::custom)
}

fn de_wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let wait = crate::units::de_duration(deserializer)?;
    if wait > WAIT_MAX {
        return Err(de::Error::custom("is more than 800ms: a request would hold up a platform's callback"));
    }
    Ok(wait)
}

/// A message as it is asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Which message.
    pub asked: Asked,
    /// Its content type.
    pub content_type: String,
    /// It was forwarded.
    pub forwarded: bool,
    /// What it carries.
    pub attachments: Vec<Attachment<'static>>,
    /// Its text, where that may leave the house.
    pub text: Option<String>,
    /// Our own verdict, where it is known.
    pub verdict: Option<Verdict>,
}

/// What a question came to while somebody waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A verdict; failing closed, also ours for want of one.
    Said(Opinion<'static>),
    /// Nothing, and nothing will come.
    Nothing,
}

/// Takes late verdicts in; defined here by whoever makes them.
#[async_trait]
pub trait LateVerdicts: Send + Sync + 'static {
    /// Takes one through the pipeline and the journal; a repeat has no effect.
    ///
    /// # Errors
    /// Says in words why it cannot be taken now; it may be brought again.
    async fn take(&self, event: GroupEvent<'static>) -> Result<(), String>;
}

/// The way to the hook; cheap to clone.
#[derive(Clone, Debug)]
pub struct Hook {
    config: Arc<Config>,
    queue: mpsc::Sender<Job>,
    clock: Clock,
}

/// A question on its way.
#[derive(Debug)]
struct Job {
    question: Question,
    /// When the message came, in milliseconds since the epoch.
    came_ms: i64,
    /// Who waits for the answer.
    waiter: Option<oneshot::Sender<Heard>>,
}

impl Hook {
    /// Makes the way to the hook and who asks behind it; `None` when there is no address or no key.
    pub fn new(config: Config, clock: Clock) -> Option<(Self, Asker)> {
        let (url, key) = (config.url.clone()?, config.secret.clone()?);
        let (queue, jobs) = mpsc::channel(config.queue_max.get());
        let asker = Asker::new(url, key, config.clone(), clock.clone(), jobs);
        Some((Self { config: Arc::new(config), queue, clock }, asker))
    }

    /// Returns how it was configured.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Says whether a message with this verdict is asked about.
    pub fn wants(&self, message: &Message<'_>, verdict: Verdict) -> bool {
        self.config.when.verdicts.contains(&verdict) || self.config.when.by_kind(message)
    }

    /// Says whether a message without an answer goes to review.
    pub fn must_answer(&self) -> bool {
        self.config.fail == Fail::Closed
    }

    /// Makes the question about a message, without its text where that stays here.
    pub fn question(&self, asked: Asked, message: &Message<'_>, verdict: Option<Verdict>) -> Question {
        Question {
            asked,
            content_type: message.content_type.as_deref().unwrap_or("text").to_owned(),
            forwarded: message.forwarded,
            attachments: message
                .attachments
                .iter()
                .map(|attachment| attachment.clone().into_owned())
                .collect(),
            text: self.config.send_text.then(|| message.text.to_string()),
            verdict,
        }
    }

    /// Asks, and waits for nothing: the answer becomes a late verdict. A question that finds the queue full is dropped;
    /// where an answer must come, the mark in the journal has it reviewed later.
    pub fn ask(&self, question: Question) {
        _ = self.put(question, None); // counted there
    }

    /// Asks for somebody who may wait. Dropping what is returned makes the answer a late verdict.
    pub fn ask_and_wait(&self, question: Question) -> oneshot::Receiver<Heard> {
        let (waiter, heard) = oneshot::channel();
        if let Err(job) = self.put(question, Some(waiter)) {
            job.missed(self.config.fail, self.clock.now_ms());
        }
        heard
    }

    fn put(&self, question: Question, waiter: Option<oneshot::Sender<Heard>>) -> Result<(), Box<Job>> {
        let job = Job { question, came_ms: self.clock.now_ms(), waiter };
        self.queue.try_send(job).map_err(|refused| {
            metrics::hook_dropped(HookDrop::QueueFull);
            Box::new(refused.into_inner())
        })
    }
}

impl Job {
    /// Tells who waits that no answer will come. Returns what is left to be told: a late verdict, failing closed.
    fn missed(self, fail: Fail, now_ms: i64) -> Option<GroupEvent<'static>> {
        let opinion = match fail {
            Fail::Closed => Some(unanswered(self.latency_ms(now_ms))),
            Fail::Open => None,
        };
        let Some(opinion) = opinion else {
            if let Some(waiter) = self.waiter {
                _ = waiter.send(Heard::Nothing); // nobody waits any more: our own verdict stands
            }
            return None;
        };
        self.told(opinion)
    }

    /// Tells who waits what was said; to nobody, it is returned as a late verdict.
    fn told(self, opinion: Opinion<'static>) -> Option<GroupEvent<'static>> {
        let opinion = match self.waiter {
            Some(waiter) => match waiter.send(Heard::Said(opinion)) {
                Err(Heard::Said(opinion)) => opinion,
                Ok(()) | Err(Heard::Nothing) => return None,
            },
            None => opinion,
        };
        Some(self.question.asked.late(opinion))
    }

    fn latency_ms(&self, now_ms: i64) -> u64 {
        u64::try_from(now_ms - self.came_ms).unwrap_or(0)
    }
}

/// The opinion for want of one: a person should look.
pub fn unanswered(latency_ms: u64) -> Opinion<'static> {
    Opinion {
        verdict: Verdict::Review,
        labels: vec!["unanswered".into()],
        confidence: 100,
        source: Opinion::HOOK.into(),
        latency_ms: Some(latency_ms),
    }
}

/// Waits for the answers to several questions, until `deadline` at most. What came by then is heard, exactly: anything
/// later becomes a late verdict.
pub async fn wait_all(
    waiting: &mut [Option<oneshot::Receiver<Heard>>],
    within: Duration,
) -> Vec<Option<Heard>> {
    let mut heard: Vec<Option<Heard>> = waiting.iter().map(|_| None).collect();
    // A time-out of nothing would still wait for the timer's next tick, in which an answer may come.
    if !within.is_zero() {
        let all = async {
            for (receiver, slot) in waiting.iter_mut().zip(&mut heard) {
                if let Some(receiver) = receiver {
                    *slot = receiver.await.ok();
                }
            }
        };
        _ = tokio::time::timeout(within, all).await; // whatever is missing is looked for below
    }
    for (receiver, slot) in waiting.iter_mut().zip(&mut heard) {
        if let (Some(receiver), None) = (receiver, &slot) {
            // Closed first: what was sent before is here, what was not will find nobody waiting.
            receiver.close();
            *slot = receiver.try_recv().ok();
        }
    }
    heard
}
