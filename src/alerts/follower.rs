//! Follows the journal and writes down what staff should hear of.
//!
//! What is told, the notices that are gathered and the position up to which the journal was read are one commit. What could
//! not be written is kept and tried again; no more is read meanwhile. What waits for an answer is in memory only: a start
//! reads the journal's last stretch again, and a question that was told before has its document.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::episode::Input;
use super::leaves::Left;
use super::owners::Owners;
use super::watch::{Looking, Rounds};
use super::{Found, Notify, Parts, by_hand, cases, handovers, millis, unanswered};
use crate::dedupe;
use crate::event::{Effects, HOUR_MS, Head};
use crate::questions::{self, Lately, Limits, Talks};
use crate::storage::{Change, DocumentKind, StorageError, Write, visit_effects};
use crate::tasks::Tasks;
use crate::telemetry::metrics::{self, Alert};

/// Journal rows read at once.
const ROWS_MAX: usize = 1_000;
/// Questions told at once.
const QUESTIONS_MAX: usize = 1_000;
/// How long to wait when the journal's end is reached.
const PAUSE: Duration = Duration::from_millis(200);
/// The position is written at the latest after so many journal rows, so that a start reads no more again.
const UNWRITTEN_ROWS_MAX: u64 = 100_000;
/// How often old questions are forgotten, in milliseconds.
const TIDY_MS: i64 = HOUR_MS;
/// Id of the document that holds the position.
const POSITION: &str = "alerts";

/// What the position document says.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    position: u64,
}

/// What is remembered of the talk in groups, and of what happened in them lately.
pub(super) struct Memory {
    talks: Talks,
    lately: Lately,
    pub(super) looking: Looking,
    /// Up to which row it was counted: rows are read again after an error.
    counted: u64,
}

impl Memory {
    fn new(secret: [u8; 16], counted: u64) -> Self {
        let (lately, looking) = (Lately::default(), Looking::default());
        Self { talks: Talks::new(secret, Limits::default()), lately, looking, counted }
    }

    fn observe(&mut self, parts: &Parts, effects: &Effects<'_>, position: u64) {
        if position > self.counted {
            self.looking.windows.observe(effects, &parts.config.watch.negative_wordlists);
        }
        self.lately.observe(effects);
        if self.talks.observe(effects, &|head| deadline_ms(parts, head)) {
            metrics::alerts::unfollowed();
        }
    }
}

/// The follower of one node. Dropped when the gateway stops.
pub struct Follower {
    parts: Arc<Parts>,
    /// Held by one step at a time.
    memory: Arc<Mutex<Memory>>,
    owners: Owners,
    /// Up to where the journal was read.
    position: u64,
    /// The same as it was written last.
    written: u64,
    /// Found up to there and not yet written.
    unwritten: Option<(Change, Vec<Alert>)>,
    found: Vec<Found>,
    /// Looks at the same rows, for the same commit.
    looks: Vec<Input>,
    rounds: Rounds,
    tidied_ms: i64,
    passed: tokio::sync::watch::Sender<u64>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Follower(at {})", self.position)
    }
}

impl Follower {
    /// Goes on where the last run stopped; the first time with what happens from now on.
    ///
    /// # Errors
    /// When storage cannot be read or written.
    pub async fn open(parts: Parts) -> Result<Self, StorageError> {
        let head = parts.storage.head_position()?;
        let waiting = parts.storage.documents(DocumentKind::OwnerNotice, None, 0).await?;
        let document = parts.storage.document(DocumentKind::Follower, POSITION).await?;
        let position = match &document {
            // A restored backup may have a ledger that is a moment newer than its journal: what comes after is new.
            Some(document) => read(&document.body)?.min(head),
            None => head,
        };
        if document.is_none() {
            let writes = vec![write(position)];
            parts.storage.apply(Change { writes, ..Change::default() }).await?;
        }
        let parts = Arc::new(parts);
        let (passed, _) = tokio::sync::watch::channel(position);
        let owners = Owners::read(&waiting)?;
        let memory = blocking(Arc::clone(&parts), move |parts| remember(parts, position)).await?;
        let memory = Arc::new(Mutex::new(memory));
        let (written, unwritten, found, looks, tidied_ms) =
            (position, None, Vec::new(), Vec::new(), i64::MIN);
        let rounds = Rounds::new(parts.clock.now_ms());
        Ok(Self {
            parts,
            memory,
            owners,
            position,
            written,
            unwritten,
            found,
            looks,
            rounds,
            tidied_ms,
            passed,
        })
    }

    /// Returns the position up to which this follower has read.
    pub fn passed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.passed.subscribe()
    }

    /// Follows the journal until the tasks stop.
    pub async fn run(mut self, tasks: Tasks) {
        while !tasks.is_stopping() {
            let pause = match self.step().await {
                Ok(true) => continue,
                Ok(false) => PAUSE,
                Err(error) => {
                    tracing::error!(%error, "tell staff what happened; tried again in a second");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = tasks.stopping() => {}
            }
        }
    }

    /// Deals with some rows and with what is due; says whether there may be more.
    pub(super) async fn step(&mut self) -> Result<bool, StorageError> {
        let mut more = false;
        let is_written = self.unwritten.is_none() && self.looks.is_empty();
        if is_written && self.found.is_empty() {
            let (memory, from) = (Arc::clone(&self.memory), self.position);
            let look = move |parts: &Parts| look(parts, &mut memory.lock(), from);
            let looked = blocking(Arc::clone(&self.parts), look).await?;
            more = looked.last != self.position;
            (self.found, self.looks, self.position) = (looked.found, looked.looks, looked.last);
            metrics::alerts::lag(looked.head.saturating_sub(looked.last));
            metrics::alerts::questions_open(looked.open);
        }
        if self.unwritten.is_none()
            && (!self.found.is_empty()
                || !self.looks.is_empty()
                || self.position.saturating_sub(self.written) > UNWRITTEN_ROWS_MAX)
        {
            let news = self.news().await?;
            self.unwritten = Some(self.change(news).await);
        }
        self.write().await?;
        self.passed.send_replace(self.position);
        if self.parts.bell.take() {
            let waiting = self.parts.storage.documents(DocumentKind::OwnerNotice, None, 0).await;
            if waiting.is_err() {
                self.parts.bell.ring();
            }
            self.owners.adopt(&waiting?)?;
        }
        self.owners.tell(&self.parts).await?;
        if !more {
            // Whoever reads what is old must not let time run: what follows may say that it was otherwise.
            self.rounds.go(&self.parts, &self.memory).await?;
        }
        self.parts.desk.tell_people(&*self.parts.teller).await?;
        self.tidy().await?;
        Ok(more)
    }

    /// Returns what was not told by an earlier run: a question is found again after a start.
    async fn news(&mut self) -> Result<Vec<Found>, StorageError> {
        let mut known = Vec::with_capacity(self.found.len());
        for found in &self.found {
            known.push(match &found.document {
                Some(_) => self.parts.storage.document(DocumentKind::Question, &found.id).await?.is_some(),
                None => false,
            });
        }
        let found = std::mem::take(&mut self.found).into_iter().zip(known);
        Ok(found.filter(|(_, known)| !known).map(|(found, _)| found).collect())
    }

    /// Makes what is to be written, once: notices count what they gather.
    async fn change(&mut self, found: Vec<Found>) -> (Change, Vec<Alert>) {
        let now_ms = self.parts.clock.now_ms();
        let (mut writes, mut told, mut kinds) = (vec![write(self.position)], Vec::new(), Vec::new());
        for found in found {
            if self.parts.notify(found.kind) == Notify::Owner {
                let place = (&*found.account, &*found.group);
                let around = self.parts.around.group(place.0, place.1);
                if let Some(owner) = around.owner {
                    let todo = found.todo.as_ref();
                    let at = (now_ms, &self.parts.config);
                    writes.extend(self.owners.add(found.kind, place, &owner, todo, at));
                }
            }
            kinds.push(found.kind);
            writes.extend(found.document.clone());
            told.push(found.told(&*self.parts.texts).await);
        }
        (Change { at_ms: now_ms, writes, told, ..Change::default() }, kinds)
    }

    async fn write(&mut self) -> Result<(), StorageError> {
        let Some((change, kinds)) = &self.unwritten else { return Ok(()) };
        self.parts.desk.turn(self.looks.clone(), change.clone()).await?;
        self.looks.clear();
        kinds.iter().copied().for_each(metrics::alerts::told);
        self.unwritten = None;
        self.written = self.position;
        Ok(())
    }

    async fn tidy(&mut self) -> Result<(), StorageError> {
        let Parts { storage, clock, questions, .. } = &*self.parts;
        let now_ms = clock.now_ms();
        if now_ms >= self.tidied_ms.saturating_add(TIDY_MS) {
            unanswered::tidy(storage, clock, questions).await?;
            self.parts.desk.tidy().await?;
            self.tidied_ms = now_ms;
        }
        Ok(())
    }
}

/// What a look at the journal brought.
struct Looked {
    found: Vec<Found>,
    looks: Vec<Input>,
    /// Up to where it was read.
    last: u64,
    /// Where it ends.
    head: u64,
    /// Questions that wait.
    open: usize,
}

/// Reads some rows and, at the journal's end, what nobody answered. Blocking. After an error the same rows are read again:
/// the memory knows what it has seen.
fn look(parts: &Parts, memory: &mut Memory, from: u64) -> Result<Looked, StorageError> {
    let (mut left, mut found, mut unreadable) = (Vec::new(), Vec::new(), None);
    let head = parts.storage.head_position()?;
    let around = |head: &Head<'_>| parts.around.group(&head.account, &head.group);
    let last = parts.storage.tail(from, ROWS_MAX, &mut |row| {
        let seen = visit_effects(&row, |effects| {
            memory.observe(parts, effects, row.position);
            left.extend(Left::of(effects, &parts.leaves));
            found.extend(handovers::of(effects, &memory.lately, &around));
            found.extend(by_hand::of(effects, &*parts.around));
            found.extend(cases::of(effects));
        });
        memory.counted = memory.counted.max(row.position);
        unreadable = unreadable.take().or(seen.err());
    })?;
    unreadable.map_or(Ok(()), Err)?;
    if !left.is_empty() {
        parts.storage.project()?; // the roster knows since when they were there
    }
    for left in &left {
        found.push(left.found(&parts.storage)?);
    }
    let looks = memory.looking.looks(parts)?;
    // All that was there when we came has been read. Nothing fails any more: what is given out here is given out once.
    if last >= head {
        let asked = memory.talks.unanswered(parts.clock.now_ms(), QUESTIONS_MAX);
        let tell = |asked: questions::Asked| {
            let around = parts.around.group(&asked.account, &asked.group);
            unanswered::of(asked, &around)
        };
        found.extend(asked.into_iter().map(tell));
    }
    memory.looking.windows.clear_touched();
    Ok(Looked { found, looks, last, head, open: memory.talks.open() })
}

/// Makes the memory anew from the journal's last stretch up to a position. Blocking.
fn remember(parts: &Parts, position: u64) -> Result<Memory, StorageError> {
    let mut memory = Memory::new(parts.storage.dedupe_secret(), 0);
    memory.looking.windows.forget(parts.clock.now_ms());
    let since_ms = parts.clock.now_ms().saturating_sub(longest_ms(parts));
    parts.storage.replay(dedupe::bucket_of(since_ms), &mut |row| {
        if row.position <= position {
            visit_effects(&row, |effects| memory.observe(parts, effects, row.position))?;
        }
        Ok(())
    })?;
    // What was counted before was looked at before.
    memory.looking.windows.clear_touched();
    memory.counted = position;
    Ok(memory)
}

fn deadline_ms(parts: &Parts, head: &Head<'_>) -> i64 {
    let is_open = parts.around.hours(&head.account, &head.group);
    questions::deadline_ms(head.at_ms, millis(parts.questions.wait), longest_ms(parts) / 2, &*is_open)
}

/// The journal holds what is younger than the window of repeats; one hour for what is late.
fn longest_ms(parts: &Parts) -> i64 {
    millis(parts.journal_window).saturating_sub(HOUR_MS).max(HOUR_MS)
}

pub(super) async fn blocking<T: Send + 'static>(
    parts: Arc<Parts>,
    work: impl FnOnce(&Parts) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    match tokio::task::spawn_blocking(move || work(&parts)).await {
        Ok(done) => done,
        Err(error) => Err(StorageError::Failed { operation: "follow the journal", source: Box::new(error) }),
    }
}

fn write(position: u64) -> Write {
    let body = serde_json::to_string(&Position { position }).expect("a number is always JSON");
    Write::Put { kind: DocumentKind::Follower, id: POSITION.to_owned(), body, expect: None }
}

fn read(body: &str) -> Result<u64, StorageError> {
    let stored: Result<Position, _> = serde_json::from_str(body);
    stored.map(|stored| stored.position).map_err(|error| StorageError::Unreadable {
        what: "the position of the alerts in the journal".to_owned(),
        detail: error.to_string(),
    })
}
