//! Takes texts apart and writes what is left of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use jiff::tz::TimeZone;
use tokio::sync::{mpsc, oneshot};

use super::{Config, Heard, Parts, Waiting, day_of};
use crate::clock::Clock;
use crate::interception;
use crate::statistics::words::{Own, Said, is_of_name, words_of};
use crate::storage::{SharedStorage, Storage, StorageError, WordsHeard, WordsShare};
use crate::tasks::Tasks;
use crate::telemetry::metrics::{self, WordsLoss};

/// Messages taken apart in one go.
const BATCH_MAX: usize = 256;
/// Groups that are written in one transaction: the projection waits for it.
const GROUPS_TOGETHER: usize = 200;
/// Words held in memory before they are written, whatever the time; some 20 MiB.
const HELD_MAX: usize = 200_000;

/// What was heard since the last writing.
#[derive(Debug, Default)]
struct Gathered {
    said: HashMap<(u32, Box<str>, Box<str>), Said>,
    shares: HashMap<u32, WordsShare>,
    /// Words with their people.
    held: usize,
}

impl Gathered {
    fn take(&mut self, heard: Vec<Heard>, own: &Own) {
        let mut words = BTreeSet::new();
        for Heard { account, group, day, person, text } in heard {
            words.clear();
            words_of(&text, own, &mut words);
            let said = self.said.entry((day, account, group)).or_default();
            said.messages += 1;
            said.speakers.insert(person);
            self.held += 1 + words.len();
            for word in std::mem::take(&mut words) {
                said.words.entry(word).or_default().insert(person);
            }
            self.shares.entry(day).or_default().counted += 1;
        }
    }
}

/// The worker; ends with its tasks, after what waits was written.
pub struct Worker {
    waiting: mpsc::Receiver<Waiting>,
    storage: SharedStorage,
    clock: Clock,
    zone: TimeZone,
    config: Config,
    own: Arc<Own>,
    missed: Arc<AtomicU64>,
    gathered: Gathered,
    swept: u32,
}

impl Worker {
    pub(super) fn new(parts: Parts, waiting: mpsc::Receiver<Waiting>, missed: Arc<AtomicU64>) -> Self {
        let Parts { storage, clock, zone, config } = parts;
        let own = Arc::new(Own::new(config.own_words.iter().map(String::as_str)));
        Self { waiting, storage, clock, zone, config, own, missed, gathered: Gathered::default(), swept: 0 }
    }

    /// Listens until the tasks stop.
    pub async fn run(mut self, tasks: Tasks) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut ticks = tokio::time::interval(self.config.words_write_every);
        loop {
            tokio::select! {
                read = self.waiting.recv_many(&mut batch, BATCH_MAX) => {
                    if read == 0 {
                        break;
                    }
                    self.take(&mut batch).await;
                }
                _ = ticks.tick() => self.write().await,
                () = tasks.stopping() => break,
            }
        }
        self.waiting.close();
        while self.waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
            self.take(&mut batch).await;
        }
        self.write().await;
    }

    async fn take(&mut self, batch: &mut Vec<Waiting>) {
        let (mut heard, mut flushed) = (Vec::with_capacity(batch.len()), Vec::new());
        for one in batch.drain(..) {
            match one {
                Waiting::Message(message) => heard.push(message),
                Waiting::Flush(done) => flushed.push(done),
            }
        }
        metrics::words::counted(heard.len() as u64);
        let (mut gathered, own) = (std::mem::take(&mut self.gathered), Arc::clone(&self.own));
        let taken = tokio::task::spawn_blocking(move || {
            gathered.take(heard, &own);
            gathered
        });
        // A panic is a bug: what was gathered is gone, and the task goes with it.
        self.gathered = taken.await.expect("a message that can be judged can be taken apart");
        if self.gathered.held > HELD_MAX || !flushed.is_empty() {
            self.write().await;
        }
        flushed.into_iter().for_each(answer);
    }

    /// Writes what was heard. What the disk does not take waits for the next time, as far as there is room.
    async fn write(&mut self) {
        let now_ms = self.clock.now_ms();
        let today = day_of(now_ms, &self.zone);
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            self.gathered.shares.entry(today).or_default().missed += missed;
        }
        let (gathered, storage) = (std::mem::take(&mut self.gathered), self.storage.clone());
        let words_max = self.config.words_of_group_max;
        let sweep = (today != self.swept)
            .then_some((today.saturating_sub(self.config.words_keep_days), self.config.words_bytes_max));
        let written = tokio::task::spawn_blocking(move || {
            let (left, error) = store(&*storage, gathered, words_max);
            let swept = match (sweep, &error) {
                (Some((first, bytes_max)), None) => storage.words_sweep(first, bytes_max as u64).map(Some),
                (_, _) => Ok(None),
            };
            (left, error, swept)
        });
        let Ok((left, error, swept)) = written.await else { return }; // the runtime is going down
        if let Some(error) = error {
            tracing::error!(%error, "write words; tried again");
        }
        self.gathered = left;
        if self.gathered.held > HELD_MAX {
            let gone = std::mem::take(&mut self.gathered);
            let messages = gone.said.values().map(|said| said.messages).sum();
            metrics::words::missed(WordsLoss::Storage, messages);
            self.missed.fetch_add(messages, Ordering::Relaxed);
        }
        match swept {
            Ok(Some(bytes)) => {
                metrics::words::held(bytes);
                self.swept = today;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "forget old words; tried again"),
        }
    }
}

/// Writes group by group; returns what is left, and why.
fn store(storage: &dyn Storage, gathered: Gathered, words_max: usize) -> (Gathered, Option<StorageError>) {
    let Gathered { said, shares, .. } = gathered;
    let mut left: Vec<_> = said.into_iter().collect();
    let mut shares: Vec<_> = shares.into_iter().collect();
    while !left.is_empty() || !shares.is_empty() {
        let some = left.split_off(left.len().saturating_sub(GROUPS_TOGETHER));
        let heard: Vec<_> =
            some.iter().map(|((day, account, group), said)| heard(account, group, *day, said)).collect();
        let written =
            without_names(storage, heard).and_then(|heard| storage.words_add(heard, &shares, words_max));
        match written {
            Ok(lost) => {
                metrics::words::dropped(lost);
                shares.clear();
            }
            Err(error) => {
                left.extend(some);
                let held = left.iter().map(|(_, said)| 1 + said.words.len()).sum();
                let left =
                    Gathered { said: left.into_iter().collect(), shares: shares.into_iter().collect(), held };
                return (left, Some(error));
            }
        }
    }
    (Gathered::default(), None)
}

fn heard(account: &str, group: &str, day: u32, said: &Said) -> WordsHeard {
    WordsHeard { account: account.to_owned(), group: group.to_owned(), day, said: said.clone() }
}

/// Takes out what members of the group are called, as far as the platform told it.
fn without_names(storage: &dyn Storage, mut heard: Vec<WordsHeard>) -> Result<Vec<WordsHeard>, StorageError> {
    let groups: Vec<_> = heard.iter().map(|one| (one.account.clone(), one.group.clone())).collect();
    let mut folded = String::new();
    storage.project()?;
    storage.rosters(&groups, &mut |nth, seat| {
        if let Some(name) = seat.name
            && let Some(one) = heard.get_mut(nth)
        {
            interception::fold_into(name, &mut folded);
            one.said.words.retain(|word, _| !is_of_name(word, &folded));
        }
    })?;
    Ok(heard)
}

fn answer(done: oneshot::Sender<()>) {
    _ = done.send(()); // whoever asked may have gone
}
