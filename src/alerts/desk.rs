//! The desk where alerts lie while they are open: durable, told, seen and taken by people.
//!
//! ```text
//! looks, people, time ─► one turn ─► one commit { what changed of the state, notices, letters, history, the caller's own }
//! ```
//!
//! A turn is worked out on a copy and takes effect with its commit: after a failure nothing has happened, and the same turn is
//! tried again. So no notice is told under two numbers, and none is lost; the caller's change (how far the journal was read, an
//! audit entry) stands or falls with it. Written are only the pieces that changed.
//!
//! Not for: finding out what is wrong (`watch`), nor for when alerts open and end (`episode`).

mod kept;
mod letters;
mod told;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::episode::{Episodes, Input, Kind, Snapshot, State};
use super::terms::{Book, Rule, Spot, Terms};
use super::{Config, Surroundings, Teller};
use crate::clock::Clock;
use crate::event::Actor;
use crate::storage::{AuditEntry, Change, DocumentKind, SharedStorage, StorageError, Write};
use crate::telemetry::metrics;

pub use kept::{Ended, id_of, number_of};
pub use told::{People, STATES, why};

use letters::Letters;

/// Something about an alert, as it is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Its id: the same that endpoints are told.
    pub id: String,
    /// `opened`, `recovered`, …: one of [`STATES`].
    pub state: &'static str,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The alert as it was then.
    pub alert: Snapshot,
    /// What endpoints are told.
    pub context: serde_json::Value,
}

/// What the desk is made of.
pub struct Parts {
    /// The ledger.
    pub storage: SharedStorage,
    /// The time.
    pub clock: Clock,
    /// The directory.
    pub around: Arc<dyn Surroundings>,
    /// How alerts live and are told.
    pub config: Config,
}

/// All that a turn changes.
#[derive(Clone)]
struct Held {
    episodes: Episodes,
    /// Pieces as they are written: what stands in each, as a hash.
    written: HashMap<String, u64>,
    letters: Letters,
}

/// What became of what a person asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Taken {
    /// It is so now.
    Done(Box<Snapshot>),
    /// The alert is over, or there never was one.
    NotOpen,
}

/// The alerts of one gateway. Dropped when it stops; what is open is in the ledger.
pub struct Desk {
    parts: Arc<Parts>,
    /// One turn at a time.
    held: tokio::sync::Mutex<Arc<Held>>,
    book: ArcSwap<Book>,
    /// Rules are written one after the other.
    writing: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("config", &self.parts.config).finish_non_exhaustive()
    }
}

impl Desk {
    /// Reads what was open when the last run stopped, and the rules.
    ///
    /// # Errors
    /// When the ledger cannot be read, or says what cannot be.
    pub async fn open(parts: Parts) -> Result<Arc<Self>, StorageError> {
        let pieces = kept::all(&parts.storage, DocumentKind::AlertState).await?;
        let state = State::of_pieces(pieces.iter().map(|piece| (&*piece.id, &*piece.body)))
            .map_err(|detail| unreadable("the state of alerts", detail))?;
        let written = pieces.iter().map(|piece| (piece.id.clone(), kept::hash(&piece.body))).collect();
        let episodes = Episodes::resume(parts.config.life.clone(), state)
            .map_err(|detail| unreadable("`alerts.life`", detail))?;
        let letters = Letters::read(&kept::all(&parts.storage, DocumentKind::AlertLetter).await?)?;
        let held = Held { episodes, written, letters };
        let rules = kept::rules(&parts.storage).await?;
        let book = ArcSwap::from_pointee(parts.book(rules));
        held.report();
        let (held, writing) = (tokio::sync::Mutex::new(Arc::new(held)), tokio::sync::Mutex::default());
        Ok(Arc::new(Self { parts: Arc::new(parts), held, book, writing }))
    }

    /// Returns every open alert and storm that passes, in the order of their numbers.
    pub async fn open_ones(&self, passes: impl Fn(&Snapshot) -> bool) -> Vec<Snapshot> {
        let held = self.held.lock().await;
        let mut open: Vec<_> = held.episodes.open().filter(|alert| passes(alert)).collect();
        open.sort_by_key(|alert| alert.number);
        open
    }

    /// Returns one that is open.
    pub async fn get(&self, number: u64) -> Option<Snapshot> {
        self.held.lock().await.episodes.get(number)
    }

    /// Returns alerts that are over, the latest number first, from before a number, at most so many that pass.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn ended(
        &self,
        before: Option<u64>,
        max: usize,
        passes: impl Fn(&Ended) -> bool,
    ) -> Result<Vec<Ended>, StorageError> {
        kept::ended(&self.parts.storage, before, max, passes).await
    }

    /// Returns one that is over, as long as it is remembered.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn ended_one(&self, number: u64) -> Result<Option<Ended>, StorageError> {
        kept::ended_one(&self.parts.storage, number).await
    }

    /// Returns whoever answers for an alert's place, as the directory knows them now.
    pub fn people(&self, alert: &Snapshot) -> People {
        told::people_of(alert, &*self.parts.around)
    }

    /// Returns when something falls due without anybody doing anything.
    pub(super) async fn next_due_ms(&self) -> Option<i64> {
        self.held.lock().await.episodes.next_due_ms()
    }

    /// Takes in what was seen, asked for or fell due, in one commit with a change of the caller's.
    ///
    /// # Errors
    /// When the ledger cannot be written: nothing has happened then.
    pub async fn turn(&self, inputs: Vec<Input>, change: Change) -> Result<(), StorageError> {
        let mut held = self.held.lock().await;
        self.turn_of(&mut held, inputs, change, Vec::new()).await
    }

    async fn turn_of(
        &self,
        held: &mut Arc<Held>,
        inputs: Vec<Input>,
        change: Change,
        published: Vec<Published>,
    ) -> Result<(), StorageError> {
        if inputs.is_empty() {
            return if change == Change::default() {
                Ok(())
            } else {
                self.parts.storage.apply(change).await.map(drop)
            };
        }
        // Thousands may be open: too long for a worker that others wait for.
        let turn = Turn { inputs, change, published, now_ms: self.parts.clock.now_ms() };
        let (parts, book, before) = (Arc::clone(&self.parts), self.book.load_full(), Arc::clone(held));
        let worked = tokio::task::spawn_blocking(move || turn.work(&parts, &book, &before)).await;
        let (next, turn) = worked.map_err(|error| StorageError::failed("make a turn of alerts", error))?;
        self.parts.storage.apply(turn.change).await?;
        for one in turn.published {
            metrics::alerts::noticed(one.state);
        }
        let (was, is) = (held.episodes.counts(), next.episodes.counts());
        metrics::alerts::left_out(
            is.unopened.saturating_sub(was.unopened)
                + is.unheld.saturating_sub(was.unheld)
                + is.unfolded.saturating_sub(was.unfolded),
        );
        next.report();
        *held = Arc::new(next);
        Ok(())
    }

    /// A person knows of an alert and sees to it.
    ///
    /// # Errors
    /// When the ledger cannot be written: nothing has happened then.
    pub async fn acknowledge(
        &self,
        actor: &Actor,
        number: u64,
        audit: AuditEntry,
    ) -> Result<Taken, StorageError> {
        let mut held = self.held.lock().await;
        let now_ms = self.parts.clock.now_ms();
        let Some(alert) = held.episodes.get(number) else { return Ok(Taken::NotOpen) };
        let input = Input::Acknowledge { number, by: actor.operator.to_string(), at_ms: now_ms };
        let told = told::acknowledged(alert, actor, now_ms, &*self.parts.around);
        let change = Change { audit: vec![audit], ..Change::default() };
        self.turn_of(&mut held, vec![input], change, vec![told]).await?;
        Ok(taken(&held.episodes, number))
    }

    /// A person is to see to an alert.
    ///
    /// # Errors
    /// When the ledger cannot be written: nothing has happened then.
    pub async fn assign(&self, to: String, number: u64, audit: AuditEntry) -> Result<Taken, StorageError> {
        let mut held = self.held.lock().await;
        let at_ms = self.parts.clock.now_ms();
        if held.episodes.get(number).is_none() {
            return Ok(Taken::NotOpen);
        }
        let change = Change { audit: vec![audit], ..Change::default() };
        let input = Input::Assign { number, to, at_ms };
        self.turn_of(&mut held, vec![input], change, Vec::new()).await?;
        Ok(taken(&held.episodes, number))
    }

    /// Tells people what is due to be told, through their platforms.
    ///
    /// # Errors
    /// When the ledger cannot be written: the rest is told at the next call, under the same ids.
    pub(super) async fn tell_people(&self, teller: &dyn Teller) -> Result<(), StorageError> {
        let now_ms = self.parts.clock.now_ms();
        loop {
            // Not held while platforms are asked: people must be able to acknowledge meanwhile.
            let Some(letter) = self.held.lock().await.letters.due(now_ms) else { return Ok(()) };
            let done = letters::tell(&letter, teller).await;
            let mut held = self.held.lock().await;
            match done {
                Ok(()) => {
                    let writes =
                        vec![Write::Delete { kind: DocumentKind::AlertLetter, id: letter.id.clone() }];
                    let change = Change { at_ms: now_ms, writes, ..Change::default() };
                    self.parts.storage.apply(change).await?;
                    Arc::make_mut(&mut held).letters.forget(&letter.id);
                }
                Err(()) => Arc::make_mut(&mut held).letters.later(&letter.id, now_ms),
            }
        }
    }

    /// Forgets alerts that have been over for long, and those beyond what is kept.
    ///
    /// # Errors
    /// When storage fails; the next call goes on.
    pub(super) async fn tidy(&self) -> Result<(), StorageError> {
        kept::tidy(&self.parts.storage, self.parts.clock.now_ms(), &self.parts.config.watch).await
    }
}

// === impl Desk: rules ===

impl Desk {
    /// Returns the rules that hold now.
    pub fn book(&self) -> Arc<Book> {
        self.book.load_full()
    }

    /// Returns what holds for a kind somewhere.
    pub(super) fn terms(&self, kind: Kind, account: Option<&str>, group: Option<&str>) -> Terms {
        self.parts.terms(&self.book.load(), kind, account, group)
    }

    /// Returns a rule with its version.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn rule(&self, id: &str) -> Result<Option<(Rule, u64)>, StorageError> {
        let document = self.parts.storage.document(DocumentKind::AlertRule, id).await?;
        document.map(|document| Ok((kept::rule(&document)?, document.version))).transpose()
    }

    /// Writes a rule, or removes it; returns its new version.
    ///
    /// # Errors
    /// When the ledger cannot be written, or the version is another.
    pub async fn write_rule(
        &self,
        id: &str,
        rule: Option<&Rule>,
        expect: Option<u64>,
        audit: AuditEntry,
    ) -> Result<u64, StorageError> {
        let _one_at_a_time = self.writing.lock().await;
        let (kind, id) = (DocumentKind::AlertRule, id.to_owned());
        let write = match rule {
            Some(rule) => Write::Put {
                kind,
                id,
                body: serde_json::to_string(rule).expect("strings and numbers are always JSON"),
                expect,
            },
            None => Write::Delete { kind, id },
        };
        let at_ms = self.parts.clock.now_ms();
        let change = Change { at_ms, writes: vec![write], audit: vec![audit], ..Change::default() };
        let versions = self.parts.storage.apply(change).await?;
        let rules = kept::rules(&self.parts.storage).await?;
        self.book.store(Arc::new(self.parts.book(rules)));
        Ok(versions.first().copied().unwrap_or_default())
    }
}

/// One turn: what is taken in, and what is to be committed and told of it.
struct Turn {
    inputs: Vec<Input>,
    change: Change,
    published: Vec<Published>,
    now_ms: i64,
}

impl Turn {
    /// Works it out on a copy.
    fn work(mut self, parts: &Parts, book: &Book, before: &Held) -> (Held, Self) {
        let (mut next, now_ms) = (before.clone(), self.now_ms);
        let holds = |at_ms| parts.quiet_until(at_ms);
        let mut notices = Vec::new();
        for input in std::mem::take(&mut self.inputs) {
            notices.extend(next.episodes.apply(input, now_ms, &holds));
        }
        let Change { writes, told, at_ms, .. } = &mut self.change;
        *at_ms = now_ms;
        writes.extend(kept::difference(&mut next.written, next.episodes.state().pieces()));
        for alert in before.episodes.open() {
            if next.episodes.get(alert.number).is_none() {
                writes.push(Ended { alert, ended_ms: now_ms }.write());
            }
        }
        for notice in notices {
            let terms = parts.terms_of(book, &notice.alert);
            writes.extend(next.letters.write(&notice, &terms, &*parts.around, &parts.config));
            self.published.push(told::published(notice, &*parts.around));
        }
        told.extend(self.published.iter().map(told::change));
        (next, self)
    }
}

impl Held {
    fn report(&self) {
        let mut open = [0_usize; Kind::ALL.len()];
        for kind in self.episodes.open_kinds() {
            for (count, known) in open.iter_mut().zip(Kind::ALL) {
                *count += usize::from(kind == known);
            }
        }
        for (count, kind) in open.into_iter().zip(Kind::ALL) {
            metrics::alerts::open(kind.as_str(), count);
        }
    }
}

impl Parts {
    /// Says until when nobody is told.
    fn quiet_until(&self, now_ms: i64) -> Option<i64> {
        let zone = self.around.zone();
        let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(zone.clone());
        let end = self.config.quiet.end_after(now.datetime())?;
        Some(end.to_zoned(zone).ok()?.timestamp().as_millisecond())
    }

    /// Returns what holds for a kind somewhere.
    fn terms(&self, book: &Book, kind: Kind, account: Option<&str>, group: Option<&str>) -> Terms {
        let around = account.zip(group).map(|(account, group)| self.around.group(account, group));
        let around = around.unwrap_or_default();
        book.terms(kind, &Spot { account, group, place: &around.place, tags: &around.tags })
    }

    fn terms_of(&self, book: &Book, alert: &Snapshot) -> Terms {
        let (account, group) = (alert.place.account.as_deref(), alert.place.group.as_deref());
        if group.is_some() {
            return self.terms(book, alert.kind, account, group);
        }
        let place = told::place_of(&alert.place);
        book.terms(alert.kind, &Spot { account, group, place: &place, tags: &[] })
    }

    fn book(&self, rules: Vec<(String, Rule)>) -> Book {
        let Config { kinds, life, watch, .. } = &self.config;
        Book::new(kinds.clone(), life.clone(), watch.people, rules)
    }
}

fn taken(episodes: &Episodes, number: u64) -> Taken {
    episodes.get(number).map_or(Taken::NotOpen, |alert| Taken::Done(Box::new(alert)))
}

fn unreadable(what: &str, detail: String) -> StorageError {
    StorageError::Unreadable { what: what.to_owned(), detail }
}
