//! One account's task: it owns the account's lanes, pacer and breaker, and nobody else touches them.
//!
//! ```text
//! lanes → dispatch (expiry, holds, breaker, pacer) → intend (one commit for all that wait) → call → settle (one commit)
//! ```
//!
//! Invariants. Nothing is called before its intent is committed. A delivery is offered again only after the outcome of
//! its last call is committed. While the ledger fails, nothing is sent: a limit that cannot be recorded is not spent.
//! What leaves memory is in the ledger (or, if it was never called, in the journal), so dropping the runner loses nothing.
//!
//! Not for: deciding anything that can be decided without it; see `lanes`, `pacer`, `breaker`, `retry`.

mod calls;
mod dispatch;
mod feed;
mod learned;
mod ledger;
mod rebuild;
mod resolve;
mod status;
mod why;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;

use super::book::Book;
use super::breaker::Breaker;
use super::delivery::{Delivery, Outcome, Resolution};
use super::gate::Gate;
use super::holds::Holds;
use super::lanes::{Lanes, QueueKey, Queued};
use super::limit::{AccountLimits, Limit};
use super::limiter::Micros;
use super::pacer::{AccountNo, Outlook, Pacer, Permit, WallSteps};
use super::retry::Chance;
use super::settings::Config;
use super::why::Wait;
use super::{Deliverers, Route};
use crate::clock::Clock;
use crate::event::{AccountId, BroadcastId, DeliveryId};
use crate::storage::{AttemptRow, DeliveryRow, SharedStorage, StorageError};
use crate::tasks::Tasks;
use dispatch::Waits;
use feed::Feed;
pub(super) use feed::is_in_ledger;
use learned::Learned;
use ledger::Ledger;
use rebuild::{Claimed, Past};
pub use resolve::UNRESOLVED;
use resolve::{Asked, Asking};
pub use status::AccountStatus;

/// What all runners have.
pub(super) struct Shared {
    pub(super) storage: SharedStorage,
    pub(super) deliverers: Arc<dyn Deliverers>,
    pub(super) holds: Arc<Holds>,
    /// What accounts share.
    pub(super) book: Book,
    /// When the wall clock was set.
    pub(super) wall_steps: parking_lot::Mutex<WallSteps>,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    pub(super) config: Config,
    pub(super) epoch: u64,
}

/// What a runner is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Take these in, if there is room; they are in the journal.
    Submit(Vec<Delivery>),
    /// Look through all pending rows from the start: some became pending again.
    Rescan,
    /// Look through the pending rows of no broadcast from the start: some were added.
    LookAgain,
    /// Find out about these.
    Resolve(Vec<Queued>),
    /// Send a broadcast's targets as they are found in the ledger; look again if they are being sent.
    Feed(BroadcastId, Sending),
    /// Send no more of a broadcast.
    Halt(BroadcastId, Halt, oneshot::Sender<()>),
    /// Look at the account's limits and connector again.
    AccountChanged(oneshot::Sender<()>),
    /// Hand out a copy of the limits as they stand.
    Forecast(oneshot::Sender<Option<Forecast>>),
    /// Say why a delivery has not left yet.
    Why(Arc<Delivery>, oneshot::Sender<Vec<Wait>>),
    /// Look for a delivery in memory.
    Find(DeliveryId, oneshot::Sender<Option<Arc<Delivery>>>),
    /// A person has decided what became of an uncertain delivery: ask no more about it.
    LetGo(DeliveryId, oneshot::Sender<()>),
    /// Start nothing more; answer when nothing is under way.
    Park(oneshot::Sender<()>),
}

/// How a broadcast's targets are sent.
#[derive(Clone)]
pub struct Sending {
    /// Its text as it was written.
    pub text: Arc<str>,
    /// What holds targets back; `None` when nothing does.
    pub gate: Option<Arc<dyn Gate>>,
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sending").field("gate", &self.gate.is_some()).finish_non_exhaustive()
    }
}

/// How a broadcast stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// What is refused now stays pending.
    Pause,
    /// What is refused now is called off.
    Cancel,
    /// There is nothing more to send.
    Finish,
}

/// How others reach a runner.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    /// Deliveries were left in the journal because the runner could not take them.
    pub(super) overflow: Arc<AtomicBool>,
    pub(super) status: Arc<parking_lot::Mutex<AccountStatus>>,
}

/// What background work came to.
enum Done {
    Rebuilt { claims: Vec<Claimed>, limits: AccountLimits, past: Result<Past, StorageError> },
    Intended(Result<(), StorageError>),
    Called { call: u64, outcome: Outcome, elapsed: Duration },
    Settled(Result<(), StorageError>),
    Resolved { queued: Queued, tries: Asked, resolution: Resolution },
    Loaded { feed: Option<BroadcastId>, scan: u64, rows: Result<(bool, Vec<DeliveryRow>), StorageError> },
    ReadJournal(Result<(bool, Vec<Delivery>), StorageError>),
    Written,
}

/// A call that was permitted: its intent waits, is being written, or is written and the call runs.
struct Call {
    queued: Queued,
    key: QueueKey,
    permit: Permit,
    canary: bool,
}

/// See the module.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one runner")]
pub(super) struct Runner {
    shared: Arc<Shared>,
    account: AccountId,
    /// In the book of what accounts share, and what says that it is its turn there.
    number: AccountNo,
    turn: Arc<Notify>,
    handle: Handle,
    route: Option<Route>,
    lanes: Lanes,
    /// `None` until the calls of the past are known, at start and after a change of limits.
    pacer: Option<Pacer>,
    /// Its limits are not those in force any more: it permits nothing and goes when nothing is under way.
    is_outdated: bool,
    rebuilding: bool,
    /// `None` until it was read.
    learned: Option<Learned>,
    /// What waits for its turn where accounts share a limit.
    waits: Waits,
    /// Who asked for a forecast meanwhile.
    asking: Vec<oneshot::Sender<Option<Forecast>>>,
    breaker: Breaker,
    chance: Chance,
    calls: HashMap<u64, Call>,
    serial: u64,
    ledger: Ledger,
    /// Stopped by holds; kept here until they are lifted.
    held: Vec<Queued>,
    /// How many were in force at the last tick.
    holds_seen: usize,
    /// When the next of them ends by itself.
    hold_ends: Option<Micros>,
    feeds: HashMap<Option<BroadcastId>, Feed>,
    /// Reads under way, and what left memory meanwhile: their rows are stale by then.
    reads: usize,
    left_meanwhile: HashSet<DeliveryId>,
    reading_journal: bool,
    resolving: BTreeMap<(Micros, u64), (Queued, Asked)>,
    /// About these the platform is being asked; a person may have decided meanwhile.
    resolving_now: HashMap<DeliveryId, Asking>,
    work: JoinSet<Done>,
    call_tasks: HashMap<tokio::task::Id, u64>,
    /// When dispatching may work again, if only time is needed.
    wake_at: Option<Micros>,
    /// Moving average of a call's time.
    round_trip: Micros,
    parked: Vec<oneshot::Sender<()>>,
    is_parking: bool,
}

/// A copy of an account's limits as they stand, to be run in virtual time by whoever asked.
#[derive(Debug)]
pub(super) struct Forecast {
    outlook: Outlook,
    now: Micros,
    now_ms: i64,
    round_trip: Micros,
    in_flight_max: usize,
}

impl Forecast {
    /// Supposes other limits of the account's own, with its calls of the past.
    pub(super) fn under(self, limits: &[Limit], reserve_percent: u8, past: &[AttemptRow]) -> Self {
        let at = |ms: i64| self.now.saturating_add(ms.saturating_sub(self.now_ms).saturating_mul(1000));
        let past = past.iter().map(|row| {
            let weight = NonZeroU32::new(row.cost).unwrap_or(NonZeroU32::MIN);
            (at(row.started_ms), row.ended_ms.map_or(self.now, at), weight)
        });
        let past: Vec<_> = past.collect();
        Self { outlook: self.outlook.under(limits, reserve_percent, past), ..self }
    }

    /// Returns when so many more calls would have ended, in milliseconds since the epoch. Some milliseconds of CPU.
    pub(super) fn finish_ms(self, calls: u64) -> Option<i64> {
        let at = self.outlook.finish_of(self.now, calls, self.round_trip, self.in_flight_max);
        (at != Micros::MAX).then(|| self.now_ms.saturating_add((at - self.now) / 1000))
    }
}

/// The steady clock starts at zero, but calls of the past lie before its start: longer ago than any limit's period.
const CLOCK_BASE: Micros = 100 * 86_400 * 1_000_000;

/// Starts an account's runner.
pub(super) fn start(shared: &Arc<Shared>, account: AccountId, seed: u64) -> Handle {
    let (commands, inbox) = mpsc::channel(shared.config.commands_max.max(1));
    let handle = Handle { commands, overflow: Arc::default(), status: Arc::default() };
    let runner = Runner::new(Arc::clone(shared), account, handle.clone(), seed);
    shared.tasks.spawn("outbox.runner", runner.run(inbox));
    handle
}

impl Runner {
    fn new(shared: Arc<Shared>, account: AccountId, handle: Handle, seed: u64) -> Self {
        let config = &shared.config;
        let mut feeds = HashMap::new();
        feeds.insert(None, Feed::ledger());
        let (number, turn) = shared.book.enter(&account);
        Self {
            account,
            number,
            turn,
            handle,
            route: None,
            lanes: Lanes::new(config.lanes.clone()),
            pacer: None,
            is_outdated: false,
            rebuilding: false,
            learned: None,
            waits: Waits::default(),
            asking: Vec::new(),
            breaker: Breaker::new(config.breaker.clone()),
            chance: Chance::new(seed),
            calls: HashMap::new(),
            serial: 0,
            ledger: Ledger::default(),
            held: Vec::new(),
            holds_seen: 0,
            hold_ends: None,
            feeds,
            reads: 0,
            left_meanwhile: HashSet::new(),
            reading_journal: false,
            resolving: BTreeMap::new(),
            resolving_now: HashMap::new(),
            work: JoinSet::new(),
            call_tasks: HashMap::new(),
            wake_at: None,
            round_trip: 50_000,
            parked: Vec::new(),
            is_parking: false,
            shared,
        }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut holds = self.shared.holds.subscribe();
        let tasks = self.shared.tasks.clone();
        let turn = Arc::clone(&self.turn);
        let mut tick = tokio::time::interval(self.shared.config.tick);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.look_up_route();
        self.holds_changed();
        loop {
            self.step();
            if self.is_parking && self.is_still() {
                break;
            }
            let sleep = self.sleep_until_next();
            // Every branch is cancel safe: what is not taken now is taken in the next round.
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => self.command(command),
                    None => break, // the outbox is gone, and with it everybody who could ask
                },
                done = self.work.join_next_with_id(), if !self.work.is_empty() => {
                    if let Some(done) = done {
                        self.done(done);
                    }
                }
                () = sleep => {}
                () = turn.notified() => {}
                _ = tick.tick() => self.tick(),
                changed = holds.changed() => if changed.is_ok() { self.holds_changed() },
                () = tasks.stopping(), if !self.is_parking => self.is_parking = true,
            }
            // Take what is there at once: one commit then serves all of it.
            while let Ok(command) = inbox.try_recv() {
                self.command(command);
            }
            while let Some(done) = self.work.try_join_next_with_id() {
                self.done(done);
            }
        }
        self.rest(Waits::default());
        for parked in self.parked.drain(..) {
            _ = parked.send(()); // nobody waits any more: fine
        }
    }

    /// Starts everything that can be started now.
    fn step(&mut self) {
        let now = self.now();
        if self.hold_ends.is_some_and(|at| at <= now) {
            self.holds_changed();
        }
        self.lanes.wake(now);
        self.open_gates();
        self.ledger.hope(now);
        if self.is_parking {
            self.wake_at = None;
            self.give_back_waiting();
            self.rest(Waits::default());
        } else {
            self.dispatch(now);
            self.start_reads();
            self.start_resolving(now);
        }
        self.start_rebuild();
        self.start_intend();
        self.start_settle(now);
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Submit(deliveries) => self.submit(deliveries),
            Command::Rescan => self.rescan(),
            Command::LookAgain => self.look_again(),
            Command::Resolve(uncertain) => self.resolve_later(uncertain),
            Command::Feed(broadcast, sending) => self.feed(broadcast, sending),
            Command::Halt(broadcast, halt, done) => {
                self.halt(&broadcast, halt);
                _ = done.send(()); // who asked may have gone away: the halt holds all the same
            }
            Command::AccountChanged(done) => {
                self.account_changed();
                _ = done.send(()); // who asked may have gone away
            }
            Command::Forecast(answer) => {
                self.start_rebuild();
                self.asking.push(answer);
                if !self.rebuilding {
                    self.answer_forecasts();
                }
            }
            Command::Why(delivery, answer) => {
                _ = answer.send(self.why(&delivery)); // who asked may have gone away
            }
            Command::Find(id, answer) => {
                _ = answer.send(self.find(&id)); // who asked may have gone away
            }
            Command::LetGo(id, done) => {
                self.let_go(&id);
                _ = done.send(()); // who asked may have gone away
            }
            Command::Park(done) => {
                self.is_parking = true;
                self.parked.push(done);
            }
        }
    }

    fn done(&mut self, done: Result<(tokio::task::Id, Done), tokio::task::JoinError>) {
        let done = match done {
            Ok((id, done)) => {
                self.call_tasks.remove(&id);
                done
            }
            Err(error) => {
                // A connector that panics leaves its call uncertain. Any other panic is ours and ends the process.
                let Some(call) = self.call_tasks.remove(&error.id()) else {
                    std::panic::resume_unwind(error.into_panic());
                };
                let outcome = Outcome::Uncertain { detail: "the connector panicked".to_owned() };
                Done::Called { call, outcome, elapsed: Duration::ZERO }
            }
        };
        match done {
            Done::Rebuilt { claims, limits, past } => self.rebuilt(&claims, limits, past),
            Done::Intended(result) => self.intended(result),
            Done::Called { call, outcome, elapsed } => self.called(call, &outcome, elapsed),
            Done::Settled(result) => self.settled(result),
            Done::Resolved { queued, tries, resolution } => self.resolved(queued, tries, resolution),
            Done::Loaded { feed, scan, rows } => self.loaded(feed.as_ref(), scan, rows),
            Done::ReadJournal(deliveries) => self.journal_read(deliveries),
            Done::Written => {}
        }
    }

    fn tick(&mut self) {
        let now = self.now();
        if let Some(pacer) = &mut self.pacer {
            pacer.sweep(now);
            // Whoever was to read the past of a level that this account shares could not: somebody else must.
            let levels = pacer.shared_levels();
            self.is_outdated |=
                !levels.is_empty() && self.shared.book.with(|commons| commons.is_unknown(&levels));
        }
        if self.route.is_none() {
            self.look_up_route();
        }
        // A hold with an end lapses without anybody saying so, and a clock may be set.
        let active = self.shared.holds.active();
        if active != self.holds_seen || self.held.iter().any(|queued| self.is_expired(queued)) {
            self.holds_seen = active;
            self.holds_changed();
        }
        if self.handle.overflow.load(Ordering::Relaxed) && self.lanes.is_half_empty() {
            self.read_journal();
        }
        self.publish_status(now);
    }

    /// Takes in what events asked for. What does not fit stays in the journal and is read again from there.
    fn submit(&mut self, deliveries: Vec<Delivery>) {
        let now = self.now();
        for delivery in deliveries {
            if self.lanes.room(delivery.priority) == 0 {
                self.handle.overflow.store(true, Ordering::Relaxed);
                return;
            }
            let queued = Queued {
                delivery: Arc::new(delivery),
                attempts: 0,
                attempts_before: 0,
                refreshed: false,
                in_ledger: false,
                due: now,
            };
            self.lanes.push(now, queued);
        }
    }

    /// Notes that a delivery is no longer in memory.
    fn forget(&mut self, id: &DeliveryId) {
        self.lanes.forget(id);
        if self.reads > 0 {
            self.left_meanwhile.insert(id.clone());
        }
    }

    fn now(&self) -> Micros {
        self.shared.clock.steady_us() + CLOCK_BASE
    }

    fn now_ms(&self) -> i64 {
        self.shared.clock.now_ms()
    }

    /// Returns wall time for a moment on the runner's clock.
    fn wall_ms(&self, at: Micros) -> i64 {
        self.now_ms().saturating_add(at.saturating_sub(self.now()).div_euclid(1000))
    }

    fn is_still(&self) -> bool {
        self.calls.is_empty() && self.ledger.is_still()
    }

    fn sleep_until_next(&self) -> impl Future<Output = ()> + use<> {
        let resolve_at = self.resolve_at().filter(|_| !self.is_parking);
        let times = [
            self.wake_at,
            self.lanes.next_wake(),
            resolve_at,
            self.ledger.retry_at(),
            self.hold_ends,
            self.gate_at(),
        ];
        let wait = times
            .into_iter()
            .flatten()
            .min()
            .map(|at| Duration::from_micros(u64::try_from(at.saturating_sub(self.now())).unwrap_or(0)));
        async move {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        }
    }
}
