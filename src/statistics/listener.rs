//! Listens for words (热词): takes customers' messages from the way in and counts their words by people, outside of deciding.
//!
//! [`Listener::hear`] is all that the way in pays: a look at the clock's second and, where there is room, a copy of the text
//! into a bounded queue. [`Worker`] takes texts apart, forgets them at once, and adds the words to storage once a
//! `words_write_every`. What there is no room for is counted as missed and told with every answer.
//!
//! Not for: deciding who may see words (`api`), nor what a word is (`words`). Invariants: a text lives in the queue and in
//! nothing else; nobody waits for it. May be lost: what was said since the last writing, when the process is killed.

mod worker;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::words::person_on;
use crate::clock::Clock;
use crate::storage::SharedStorage;
use crate::telemetry::metrics::{self, WordsLoss};

pub use worker::Worker;

/// From how many people on figures are told apart, how words are listened for, and what is kept of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Figures that are told apart over groups are left out where fewer people stand behind them; 0 leaves out none.
    pub breakdown_minimum: u64,
    /// Words are counted.
    pub words: bool,
    /// So many different customers must have said a word before it is shown.
    pub words_people_min: u64,
    /// Words that are whole whatever the dictionary makes of them, such as names of products.
    pub own_words: Vec<String>,
    /// Days for which words are kept.
    pub words_keep_days: u32,
    /// Bytes of all words that are kept; beyond it the oldest days go.
    #[serde(with = "crate::units::size")]
    pub words_bytes_max: usize,
    /// Most words of a group and day.
    pub words_of_group_max: usize,
    /// Most messages a second that are looked at.
    pub words_messages_per_second_max: u64,
    /// Most messages that wait to be taken apart.
    pub words_queue_max: usize,
    /// How often what was heard is written: what a killed process loses at most.
    #[serde(with = "crate::units::duration")]
    pub words_write_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            breakdown_minimum: 0,
            words: true,
            words_people_min: 5,
            own_words: Vec::new(),
            words_keep_days: 35,
            words_bytes_max: 2 << 30,
            words_of_group_max: 1_000,
            words_messages_per_second_max: 200,
            words_queue_max: 2_000,
            words_write_every: Duration::from_mins(1),
        }
    }
}

/// A message on its way to the worker.
#[derive(Debug)]
struct Heard {
    account: Box<str>,
    group: Box<str>,
    day: u32,
    person: u32,
    text: Box<str>,
}

#[derive(Debug)]
enum Waiting {
    Message(Heard),
    /// Everything before it is written when this is answered.
    Flush(oneshot::Sender<()>),
}

/// Where and when something was said.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Account.
    pub account: &'a str,
    /// Group.
    pub group: &'a str,
    /// Its zone.
    pub zone: &'a TimeZone,
    /// Who said it.
    pub member: &'a str,
    /// When.
    pub at_ms: i64,
}

/// What the way in holds. Dropping it ends the worker's queue.
#[derive(Debug)]
pub struct Listener {
    queue: Option<mpsc::Sender<Waiting>>,
    config: Config,
    secret: [u8; 16],
    clock: Clock,
    /// The second that is counted, and messages taken in it. A race lets a few more in, which harms nobody.
    second: AtomicI64,
    taken: AtomicU64,
    missed: Arc<AtomicU64>,
}

/// What [`Listener::new`] connects.
pub struct Parts {
    /// Where words are kept.
    pub storage: SharedStorage,
    /// Time.
    pub clock: Clock,
    /// The zone in which a day of all groups is counted.
    pub zone: TimeZone,
    /// Limits.
    pub config: Config,
}

impl Listener {
    /// Makes the listener, and its worker where words are counted.
    pub fn new(parts: Parts) -> (Arc<Self>, Option<Worker>) {
        let missed = Arc::new(AtomicU64::new(0));
        let (sender, waiting) = mpsc::channel(parts.config.words_queue_max.max(1));
        let listener = Self {
            queue: parts.config.words.then_some(sender),
            config: parts.config.clone(),
            secret: parts.storage.dedupe_secret(),
            clock: parts.clock.clone(),
            second: AtomicI64::new(i64::MIN),
            taken: AtomicU64::new(0),
            missed: Arc::clone(&missed),
        };
        let worker = parts.config.words.then(|| Worker::new(parts, waiting, missed));
        (Arc::new(listener), worker)
    }

    /// Returns the limits.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes a customer's message that members see. Never waits: what there is no room for is counted as missed.
    pub fn hear(&self, place: &Place<'_>, text: &str) {
        let Some(queue) = &self.queue else { return };
        if text.is_empty() {
            return;
        }
        if !self.admits(self.clock.now_ms()) {
            return self.miss(WordsLoss::Rate);
        }
        let Ok(permit) = queue.try_reserve() else { return self.miss(WordsLoss::Queue) };
        let day = day_of(place.at_ms, place.zone);
        permit.send(Waiting::Message(Heard {
            account: place.account.into(),
            group: place.group.into(),
            day,
            person: person_on(&self.secret, place.account, place.member, day),
            text: text.into(),
        }));
    }

    /// Waits until what was heard before is written.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if let Some(queue) = &self.queue
            && queue.send(Waiting::Flush(done)).await.is_ok()
        {
            _ = wait.await; // the worker has ended: nothing waits any more
        }
    }

    fn admits(&self, now_ms: i64) -> bool {
        let second = now_ms.div_euclid(1_000);
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.taken.store(0, Ordering::Relaxed);
        }
        self.taken.fetch_add(1, Ordering::Relaxed) < self.config.words_messages_per_second_max
    }

    fn miss(&self, why: WordsLoss) {
        self.missed.fetch_add(1, Ordering::Relaxed);
        metrics::words::missed(why, 1);
    }
}

/// Returns the day of a moment in a zone, counted from the epoch.
fn day_of(at_ms: i64, zone: &TimeZone) -> u32 {
    number_of(Timestamp::from_millisecond(at_ms).unwrap_or_default().to_zoned(zone.clone()).date())
}

/// Returns the number of a day, counted from the epoch; days before it are day 0.
pub fn number_of(date: Date) -> u32 {
    let days = date.since(Date::constant(1970, 1, 1)).map_or(0, |span| span.get_days());
    u32::try_from(days).unwrap_or_default()
}
