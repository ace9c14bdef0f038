//! Broadcasts (群发): one text to many groups, resumable, never twice, with an honest finish time.
//!
//! Accepting one is one commit: the document, its audit entry, the answer to repeat for the request's key. A task then
//! turns the audience into targets, chunk by chunk; each chunk and the place it got to are one commit, so a crash neither
//! loses nor doubles a target. The outbox sends them. Whether a broadcast is finished is computed from its targets, never
//! asserted.
//!
//! Not for: limits, retries, holds (`outbox`), nor who may do what (`access`; here the creator's scope is only kept to).

mod accept;
mod again;
mod audience;
mod book;
mod canary;
mod capping;
mod caps;
mod commands;
mod confirming;
mod coverage;
mod effect;
mod error;
mod expansion;
mod foresight;
pub mod mass;
mod preview;
mod progress;
mod reached;
mod record;
mod recurring;
mod repeat;
mod saved;
mod saying;
mod schedule;
mod script;
mod state;
mod telling;
mod times;
mod trial;
mod undoing;
mod variants;
mod watch;
mod why;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::event::{Actor, BroadcastId, GroupName, Places};
use crate::hours::QuietHours;
use crate::outbox::gate::Gate;
use crate::outbox::retry::Chance;
use crate::outbox::{Outbox, Sending};
use crate::storage::{
    AuditEntry, Change, DeliveryFilter, DeliveryRow, DeliveryState, DocumentKind, Kinds, MASS_SEND,
    MASS_TARGET, SharedStorage, StorageError, Write,
};
use crate::tasks::Tasks;

pub use accept::NewBroadcast;
pub use audience::{Audience, AudienceError};
pub use book::{Counted, Figures, GroupBook, GroupEntry, Speaking, TextJudge, Voice};
pub use canary::{Before, Canary, CanaryError, Phase, Seen, Trial};
pub use caps::Caps;
pub use confirming::{Confirming, ReceivingCap, TargetResult, TaskError, TaskProgress, Terms};
pub use coverage::{Covered, Extent};
pub use effect::{ArmEffect, Effect, Measure};
pub use error::BroadcastError;
pub use foresight::{AccountForesight, Foresight, NoFinish, Supposed};
pub use preview::{Asked, Checked, Example, Preview, Problems, Shown};
pub use progress::{Counts, Progress};
pub use reached::{LeftOut, Reached};
pub use record::{Broadcast, Expansion};
pub use repeat::{Repeat, RepeatError};
pub use saved::{ListMode, NewAudience, Saved, SavedAudience, SegmentUser};
pub use schedule::{HouseRules, Schedule, ScheduleError};
pub use state::{Command, Control, IllegalTransition, State};
pub use undoing::{Undo, Undoing};
pub use variants::{Arm, Difference, FIRST, HOLD_OUT, Sample, Variant, VariantError, change, difference};
pub use why::TargetWait;

/// Limits of this module.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Longest text, in bytes of UTF-8.
    #[serde(with = "crate::units::size")]
    pub text_bytes_max: usize,
    /// Targets written in one commit.
    pub chunk_targets: usize,
    /// Most groups, shops, regions or tags that one audience may list.
    pub audience_names_max: usize,
    /// Audiences that may be saved.
    pub audiences_max: usize,
    /// Most days that an audience may look back for who said nothing.
    pub activity_days_max: u16,
    /// Broadcasts that may wait, run or be paused at the same time, drafts aside.
    pub active_max: usize,
    /// Broadcasts to as many groups and more wait until somebody else approves them; 0 for none, 1 for all.
    pub approve_from_groups: u64,
    /// More groups than this of those a broadcast goes to cannot be told: then it is not submitted, in percent.
    pub unsayable_percent_max: u8,
    /// Drafts that may lie about.
    pub drafts_max: usize,
    /// Hours in which nothing of a broadcast is sent, in each group's own zone; empty for none.
    pub quiet_hours: QuietHours,
    /// Days on which nothing of a broadcast is sent, in each group's own zone.
    pub closed_days: BTreeSet<jiff::civil::Date>,
    /// How many broadcasts one group gets at most.
    pub caps: Caps,
    /// Wordlists whose hits count as complaints while a canary is watched.
    pub complaint_lists: Vec<String>,
    /// How often it is looked whether running broadcasts have finished.
    #[serde(with = "crate::units::duration")]
    pub watch: Duration,
    /// Sends that a person must confirm.
    pub confirmations: mass::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            text_bytes_max: 8 * 1024,
            chunk_targets: 500,
            audience_names_max: 50_000,
            audiences_max: 500,
            activity_days_max: 90,
            active_max: 200,
            approve_from_groups: 0,
            unsayable_percent_max: 100,
            drafts_max: 1_000,
            quiet_hours: QuietHours::default(),
            closed_days: BTreeSet::new(),
            caps: Caps::default(),
            complaint_lists: vec!["complaint".to_owned()],
            watch: Duration::from_secs(2),
            confirmations: mass::Config::default(),
        }
    }
}

/// What broadcasts are made of.
pub struct Parts {
    /// The ledger.
    pub storage: SharedStorage,
    /// The way out.
    pub outbox: Arc<Outbox>,
    /// Which groups there are.
    pub book: Arc<dyn GroupBook>,
    /// To whom regions and shops belong.
    pub places: Arc<dyn Places + Send + Sync>,
    /// What may be said.
    pub judge: Arc<dyn TextJudge>,
    /// Whose owners must confirm.
    pub confirming: Arc<dyn Confirming>,
    /// How platforms say things.
    pub speaking: Arc<dyn Speaking>,
    /// Where its task runs.
    pub tasks: Tasks,
    /// The time.
    pub clock: Clock,
    /// Limits.
    pub config: Config,
    /// Where chance starts, for ids.
    pub seed: u64,
}

/// A broadcast that is not closed, with its version in the ledger. Locked over a change, so that changes of one broadcast
/// come one after another.
type Slot = Arc<tokio::sync::Mutex<Active>>;

struct Active {
    broadcast: Broadcast,
    version: u64,
    /// Targets that were not finished when it was last looked, for other broadcasts' estimates.
    open: u64,
    /// What is still to be written of its mass sends; made anew after every command.
    plan: Option<VecDeque<mass::Step>>,
    /// How many commands it was given.
    commands: u64,
    /// The outbox knows of its targets.
    fed: bool,
    /// What endpoints were told of it since the start.
    told: Option<State>,
    /// The groups it goes to, while their targets are being written.
    names: Option<Arc<[GroupName]>>,
    /// What holds targets back.
    gate: Held,
    /// When the groups of its canary were last looked at.
    looked_ms: i64,
}

/// What holds a broadcast's targets back; asked when it is first fed, and again when that may have changed.
enum Held {
    Unasked,
    Free,
    By(Arc<dyn Gate>),
}

impl Active {
    fn new(broadcast: Broadcast, version: u64, open: u64) -> Self {
        Self {
            broadcast,
            version,
            open,
            plan: None,
            commands: 0,
            fed: false,
            told: None,
            names: None,
            gate: Held::Unasked,
            looked_ms: 0,
        }
    }

    /// Something was decided: what was planned may not hold any more.
    fn replan(&mut self) {
        self.plan = None;
        self.gate = Held::Unasked;
        self.commands += 1;
    }
}

/// Broadcasts read at once when all sends are looked at.
const SENDS_PAGE: usize = 50;

/// All broadcasts. One per gateway.
pub struct Broadcasts {
    parts: Parts,
    active: Mutex<BTreeMap<BroadcastId, Slot>>,
    /// The tasks of those that owners must confirm.
    desks: Mutex<BTreeMap<BroadcastId, mass::Desk>>,
    chance: Mutex<Chance>,
    /// Held while a saved audience is written.
    saving: tokio::sync::Mutex<()>,
    /// Something is to be expanded.
    expand: Notify,
}

impl Broadcasts {
    /// Reads the broadcasts that are not closed and goes on with them.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn start(parts: Parts) -> Result<Arc<Self>, BroadcastError> {
        let chance = Mutex::new(Chance::new(parts.seed));
        let broadcasts = Arc::new(Self {
            parts,
            active: Mutex::default(),
            desks: Mutex::default(),
            chance,
            saving: tokio::sync::Mutex::default(),
            expand: Notify::new(),
        });
        broadcasts.load().await?;
        let worker = Arc::clone(&broadcasts);
        broadcasts.parts.tasks.spawn("broadcasts", async move { worker.run().await });
        let worker = Arc::clone(&broadcasts);
        broadcasts.parts.tasks.spawn("confirmations", worker.confirm());
        Ok(broadcasts)
    }

    /// Returns a broadcast that the actor may see.
    ///
    /// # Errors
    /// When there is none.
    pub async fn get(&self, actor: &Actor, id: &BroadcastId) -> Result<Broadcast, BroadcastError> {
        let slot = self.active.lock().get(id).cloned();
        let broadcast = match slot {
            Some(slot) => slot.lock().await.broadcast.clone(),
            None => self.read(id).await?.0,
        };
        if broadcast.is_visible_to(actor) { Ok(broadcast) } else { Err(BroadcastError::NotFound) }
    }

    /// Returns when each group received broadcasts since a time, of those that the actor may see.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn sends(
        &self,
        actor: &Actor,
        since_ms: i64,
    ) -> Result<BTreeMap<(String, String), Vec<i64>>, BroadcastError> {
        let mut sends: BTreeMap<(String, String), Vec<i64>> = BTreeMap::new();
        let mut after = None;
        loop {
            let (found, next) = self.list(actor, after, SENDS_PAGE).await?;
            for broadcast in found {
                self.each_target(&broadcast.id, &[DeliveryState::Sent], |row| {
                    if row.updated_ms >= since_ms {
                        sends.entry((row.account, row.group)).or_default().push(row.updated_ms);
                    }
                })
                .await?;
            }
            after = next;
            if after.is_none() {
                return Ok(sends);
            }
        }
    }

    /// Returns the broadcasts under way that the actor may see.
    pub async fn under_way(&self, actor: &Actor) -> Vec<Broadcast> {
        let slots: Vec<Slot> = self.active.lock().values().cloned().collect();
        let mut found = Vec::new();
        for slot in slots {
            let broadcast = slot.lock().await.broadcast.clone();
            if broadcast.control == Control::Running && broadcast.is_visible_to(actor) {
                found.push(broadcast);
            }
        }
        found
    }

    /// Returns broadcasts that the actor may see, oldest first, after a cursor; the second value is the next cursor.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn list(
        &self,
        actor: &Actor,
        mut after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Broadcast>, Option<String>), BroadcastError> {
        const PAGE: usize = 200;
        let mut found = Vec::new();
        loop {
            let page = self.parts.storage.documents(DocumentKind::Broadcast, after.clone(), PAGE).await;
            let page = page.map_err(storage_error("list"))?;
            let full = page.len() == PAGE;
            for document in page {
                if found.len() == limit {
                    return Ok((found, after));
                }
                let broadcast = record::read(&document.id, &document.body).map_err(storage_error("list"))?;
                after = Some(document.id);
                if broadcast.is_visible_to(actor) {
                    found.push(broadcast);
                }
            }
            if !full {
                return Ok((found, None));
            }
        }
    }

    /// Returns a page of a broadcast's targets in order, in these states (empty: any).
    ///
    /// # Errors
    /// When the actor may not see the broadcast, or the ledger cannot be read.
    pub async fn targets(
        &self,
        actor: &Actor,
        id: &BroadcastId,
        states: Vec<DeliveryState>,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, BroadcastError> {
        self.get(actor, id).await?;
        let after =
            after.map(|target| (id.as_str().to_owned(), target, id.delivery(target).as_str().to_owned()));
        let broadcast = Some(id.as_str().to_owned());
        let kinds = Kinds::Not(MASS_SEND);
        let filter = DeliveryFilter { broadcast, states, kinds, after, limit, ..DeliveryFilter::default() };
        self.parts.storage.deliveries(filter).await.map_err(storage_error("read targets"))
    }

    /// Goes through the targets of a broadcast in these states (none: in all), in order.
    async fn each_target(
        &self,
        id: &BroadcastId,
        states: &[DeliveryState],
        mut visit: impl FnMut(DeliveryRow),
    ) -> Result<(), BroadcastError> {
        let limit = self.parts.config.chunk_targets.max(1);
        let mut after = None;
        loop {
            let filter = DeliveryFilter {
                broadcast: Some(id.as_str().to_owned()),
                states: states.to_vec(),
                kinds: Kinds::Not(MASS_SEND),
                after,
                limit,
                ..DeliveryFilter::default()
            };
            let rows = self.parts.storage.deliveries(filter).await.map_err(storage_error("read targets"))?;
            let full = rows.len() == limit;
            after = rows.last().map(|row| (row.broadcast.clone(), row.target, row.id.clone()));
            rows.into_iter().for_each(&mut visit);
            if !full {
                return Ok(());
            }
        }
    }

    /// Returns the slot of a broadcast that the actor may see, reading it when it is closed.
    async fn slot(&self, actor: &Actor, id: &BroadcastId) -> Result<Slot, BroadcastError> {
        let slot = self.active.lock().get(id).cloned();
        let slot = if let Some(slot) = slot {
            slot
        } else {
            let (broadcast, version) = self.read(id).await?;
            let slot = Arc::new(tokio::sync::Mutex::new(Active::new(broadcast, version, 0)));
            // Somebody else may have read it meanwhile: the first one counts.
            Arc::clone(self.active.lock().entry(id.clone()).or_insert(slot))
        };
        let visible = slot.lock().await.broadcast.is_visible_to(actor);
        if visible { Ok(slot) } else { Err(BroadcastError::NotFound) }
    }

    async fn read(&self, id: &BroadcastId) -> Result<(Broadcast, u64), BroadcastError> {
        let document = self.parts.storage.document(DocumentKind::Broadcast, id.as_str()).await;
        let document = document.map_err(storage_error("read"))?.ok_or(BroadcastError::NotFound)?;
        let broadcast = record::read(&document.id, &document.body).map_err(storage_error("read"))?;
        Ok((broadcast, document.version))
    }

    /// Writes a changed broadcast with what belongs to the change, and only then changes memory.
    async fn store(
        &self,
        active: &mut Active,
        broadcast: Broadcast,
        audit: Vec<AuditEntry>,
        deliveries: Vec<DeliveryRow>,
    ) -> Result<(), BroadcastError> {
        let change = Change {
            at_ms: self.parts.clock.now_ms(),
            writes: vec![put(&broadcast, Some(active.version))],
            audit,
            deliveries,
            ..Change::default()
        };
        self.commit(active, broadcast, change).await
    }

    /// Makes a change that writes the broadcast first, and only then changes memory.
    async fn commit(
        &self,
        active: &mut Active,
        broadcast: Broadcast,
        change: Change,
    ) -> Result<(), BroadcastError> {
        let versions = self.parts.storage.apply(change).await.map_err(storage_error("store"))?;
        active.version = versions.first().copied().unwrap_or(active.version + 1);
        active.broadcast = broadcast;
        Ok(())
    }

    /// Tells the outbox to send what is pending, if the time has come.
    async fn feed_due(&self, active: &mut Active) {
        if active.broadcast.is_due(self.parts.clock.now_ms()) {
            self.feed(active).await;
            active.fed = true;
        }
    }

    /// Tells the outbox to send what is pending.
    async fn feed(&self, active: &mut Active) {
        let Active { broadcast, gate, .. } = active;
        let accounts: Vec<_> = broadcast.expansion.all_accounts().cloned().collect();
        if matches!(gate, Held::Unasked) {
            *gate = self.gate_of(broadcast).map_or(Held::Free, Held::By);
        }
        let gate = if let Held::By(gate) = gate { Some(Arc::clone(gate)) } else { None };
        let sending = Sending { text: Arc::from(broadcast.text.as_str()), gate };
        self.parts.outbox.feed(&broadcast.id, &accounts, &sending).await;
    }

    fn gate_of(&self, broadcast: &Broadcast) -> Option<Arc<dyn Gate>> {
        trial::FirstOnly::before(broadcast, &self.parts.book, self.times_of(broadcast))
    }

    fn times_of(&self, broadcast: &Broadcast) -> Option<Arc<dyn Gate>> {
        // What takes back or puts right waits for no hours.
        let says = broadcast.undoes.is_none();
        let times = says.then(|| times::Times::of(broadcast, &self.house_rules(), &self.parts.book));
        times.flatten().map(|times| times as Arc<dyn Gate>)
    }

    fn house_rules(&self) -> HouseRules {
        let Config { quiet_hours, closed_days, .. } = &self.parts.config;
        HouseRules { quiet: *quiet_hours, closed: closed_days.clone() }
    }

    /// Calls off what is still pending of a cancelled broadcast. What a mass send carries follows that.
    async fn call_off(&self, id: &BroadcastId) -> Result<(), BroadcastError> {
        let pending = DeliveryFilter {
            broadcast: Some(id.as_str().to_owned()),
            states: vec![DeliveryState::Pending],
            kinds: Kinds::Not(MASS_TARGET),
            ..DeliveryFilter::default()
        };
        let loose = DeliveryFilter { kinds: Kinds::Only(MASS_TARGET), carrier: Some(0), ..pending.clone() };
        for filter in [pending, loose] {
            let now_ms = self.parts.clock.now_ms();
            let moved = self.parts.storage.deliveries_move(filter, DeliveryState::Cancelled, now_ms);
            moved.await.map_err(storage_error("cancel targets"))?;
        }
        Ok(())
    }

    fn insert(&self, broadcast: Broadcast, version: u64, names: Option<Arc<[GroupName]>>) {
        let sends = broadcast.control != Control::Draft && broadcast.repeat.is_none();
        let open = if sends { broadcast.expected } else { 0 };
        let id = broadcast.id.clone();
        let active = Active { names, ..Active::new(broadcast, version, open) };
        self.active.lock().insert(id, Arc::new(tokio::sync::Mutex::new(active)));
    }
}

impl std::fmt::Debug for Broadcasts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broadcasts").field("active", &self.active.lock().len()).finish_non_exhaustive()
    }
}

fn put(broadcast: &Broadcast, expect: Option<u64>) -> Write {
    let body = serde_json::to_string(broadcast).expect("a broadcast holds nothing that JSON cannot say");
    Write::Put { kind: DocumentKind::Broadcast, id: broadcast.id.as_str().to_owned(), body, expect }
}

fn storage_error(operation: &'static str) -> impl FnOnce(StorageError) -> BroadcastError {
    move |source| BroadcastError::Storage { operation, source }
}

#[cfg(test)]
mod tests;
