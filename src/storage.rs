//! What must be remembered, in the words of the domain: journal, ledger, projection.
//!
//! [`Storage`] is what the rest of the house sees; [`sqlite`] is the default behind it, [`memory`] the one that fails
//! on purpose. Nothing above names a database.
//!
//! * **Journal**: what events caused, one packed row per partition and commit. An event is acknowledged only when its
//!   row is on the disk.
//! * **Ledger**: what people decided and what sending must never lose.
//! * **Projection**: counters, roster and hits, folded from the journal; rebuilt by replay.
//! * **Evidence**: sealed original texts with a short life, apart from all that.
//!
//! Invariants: every row carries its partition and its owner's epoch; the journal is never pruned past the last durable
//! checkpoint of the projection nor past the dedupe window; nothing orders events over partitions.

mod audit;
mod calls;
pub mod codec;
mod config;
#[cfg(test)]
mod conformance;
mod evidence;
mod heard;
mod ledger;
pub mod memory;
mod pass;
mod projection;
mod queue;
pub mod sqlite;
mod status;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;

use crate::event::{Effects, EventKey, Partition};

pub use calls::{CallRow, INTERRUPTED, INTERRUPTED_DETAIL, Moved};
pub use config::{Config, Durability};
pub use evidence::{
    EvidenceOf, EvidenceQuery, EvidenceRoom, EvidenceRow, EvidenceStore, EvidenceStored, EvidenceTotals,
    NONCE_BYTES,
};
pub use heard::{WordsHeard, WordsShare};
pub use ledger::{
    AttemptRow, AuditEntry, AuditFilter, CalledOff, Carried, Change, DeliveryFilter, DeliveryRow,
    DeliveryState, Document, DocumentKind, IdempotencyRecord, Intent, Kinds, MASS_SEND, MASS_SENDS_FROM,
    MASS_TARGET, Settlement, UNSAID, Write,
};
pub use projection::{
    CasePlace, CaseRow, CountRow, CountsQuery, GroupRow, HitRow, LateRow, ListCountRow, MemberRow,
    OutcomeRow, PendingSend, Projected, Seat, StateRow, Totals,
};
pub use status::{CASE_DECIDED, StatusChange, StatusSpan, Subject};

pub use crate::statistics::days::{DayError, View};
pub use crate::statistics::definitions::Counters;
pub use crate::statistics::fold::CaseMessage;
pub use crate::statistics::words::WordsError;

/// Why storage did not do as asked.
#[derive(Debug, Error)]
pub enum StorageError {
    /// Somebody else's write came first.
    #[error("{what} was changed by somebody else meanwhile")]
    Conflict {
        /// What, as kind and id.
        what: String,
    },
    /// The partition has another owner now.
    #[error("partition {0:?} has another owner now")]
    Fenced(Partition),
    /// The queue in front of the disk is full.
    #[error("the storage queue is full")]
    Full,
    /// The partition's last commit failed and it was not [reset](Storage::reset) since.
    #[error("partition {0:?} lost its last commit and must be loaded again first")]
    Poisoned(Partition),
    /// Storage was closed, or stopped after a fault it cannot mend while running.
    #[error("storage has stopped; restart menshen")]
    Closed,
    /// Data that this version cannot read.
    #[error("read {what}: {detail}")]
    Unreadable {
        /// Which file or row.
        what: String,
        /// Why, and what to do.
        detail: String,
    },
    /// The data directory is in use.
    #[error("the data directory {0} is in use by another menshen; stop it first, or use its API")]
    Locked(String),
    /// The disk or the database failed.
    #[error("storage {operation} failed")]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// What the engine said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StorageError {
    /// Wraps what the engine said.
    pub(crate) fn failed(
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Failed { operation, source: source.into() }
    }

    /// Says what cannot be read and what to do.
    pub(crate) fn unreadable(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Unreadable { what: what.into(), detail: detail.into() }
    }
}

/// Encoded effects of one partition, to be committed together.
#[derive(Clone, Debug)]
pub struct Append<'a> {
    /// Whose.
    pub partition: Partition,
    /// The owner's epoch, as given by [`Storage::lease`].
    pub epoch: u64,
    /// Encoded with [`codec::encode`]; may hold several effects.
    pub payload: &'a [u8],
    /// How many events.
    pub events: u32,
    /// Hours since the epoch of the earliest event.
    pub bucket_min: u32,
    /// The later of the latest event's hour and the arrival hour: never below the hour it is written in.
    pub bucket_max: u32,
}

/// A future without a lifetime, for calls that take effect before they are awaited.
pub type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// What became of a commit.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CommitError {
    /// The commit failed: memory and disk are apart; the partition must be loaded again.
    #[error("the commit failed; the event was not counted, send it again")]
    Failed,
    /// The epoch is no longer the owner's.
    #[error("the partition has another owner now")]
    Fenced,
}

/// A promise of a commit; clones wait for the same one.
#[derive(Clone, Debug)]
pub struct Receipt {
    partition: Partition,
    outcome: tokio::sync::watch::Receiver<Option<Arc<queue::Outcome>>>,
}

impl Receipt {
    /// Waits until the commit is done. Cancel safe.
    ///
    /// # Errors
    /// When nothing of it was stored.
    pub async fn wait(mut self) -> Result<(), CommitError> {
        match self.outcome.wait_for(Option::is_some).await {
            Ok(done) => done.as_ref().map_or(Err(CommitError::Failed), |outcome| outcome.of(self.partition)),
            // The writing thread ended without a word: nothing was acknowledged.
            Err(_) => Err(CommitError::Failed),
        }
    }

    /// Returns what became of the commit, if it is done.
    pub fn done(&self) -> Option<Result<(), CommitError>> {
        let done = self.outcome.borrow();
        match done.as_ref() {
            Some(outcome) => Some(outcome.of(self.partition)),
            None => self.outcome.has_changed().is_err().then_some(Err(CommitError::Failed)),
        }
    }
}

/// One journal row, as followers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// Where it stands in this node's journal file: a reading position, not an order over partitions.
    pub position: u64,
    /// Whose.
    pub partition: Partition,
    /// The partition's own sequence number, without gaps.
    pub seq: u64,
    /// The epoch it was written under.
    pub epoch: u64,
    /// A row as [`codec`] describes it; [`visit_effects`] reads it.
    pub payload: Vec<u8>,
}

/// A dedupe hour that was closed: its ids lie sorted on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedHour {
    /// Whose.
    pub partition: Partition,
    /// Hours since the epoch.
    pub bucket: u32,
    /// How many ids.
    pub ids: u32,
    /// The filter in front of them, as `dedupe` encodes it.
    pub filter: Vec<u8>,
}

/// Everything durable. One implementation per database; `storage::tests` is the suite each must pass.
#[async_trait]
pub trait Storage: EvidenceStore {
    /// Takes ownership of all partitions for `node` and returns the new epoch; what the former owner still sends is refused.
    async fn lease(&self, node: &str) -> Result<u64, StorageError>;

    /// Returns the secret that keys event identities; made once per data directory.
    fn dedupe_secret(&self) -> [u8; 16];

    /// Puts effects in the queue of the next commit. Never blocks; `Full` leaves nothing behind.
    ///
    /// After a failed commit every append of its partitions is refused until [`Storage::reset`].
    fn append(&self, append: Append<'_>) -> Result<Receipt, StorageError>;

    /// Lets a partition append again after a failed commit. Called by its owner, who holds the partition and has thrown
    /// its memory away; what was queued before is refused first.
    async fn reset(&self, partition: Partition) -> Result<(), StorageError>;

    /// Calls `visit` for every journal row after `after` in writing order, at most `rows_max`; returns the last position.
    /// Blocking: call it off the async workers.
    fn tail(
        &self,
        after: u64,
        rows_max: usize,
        visit: &mut dyn FnMut(JournalRow),
    ) -> Result<u64, StorageError>;

    /// Calls `visit` in writing order for every row of every partition with `bucket_max >= bucket_min` (older rows may
    /// come too). Stretches that cannot hold such a row are not read. Stops at the first error of `visit`. Blocking.
    fn replay(
        &self,
        bucket_min: u32,
        visit: &mut dyn FnMut(JournalRow) -> Result<(), StorageError>,
    ) -> Result<(), StorageError>;

    /// Returns the last position written.
    fn head_position(&self) -> Result<u64, StorageError>;

    /// Files the ids of closed hours, sorted, merged with what is there, and notes that everything the partition took in
    /// before hour `before` is now in sealed hours. Queued at once, behind every append made so far (the caller holds
    /// the partition); refused when one of those appends fails. The filter is `dedupe::Filter::build` over the union.
    fn seal(
        &self,
        partition: Partition,
        epoch: u64,
        before: u32,
        hours: Vec<(u32, Vec<EventKey>)>,
    ) -> BoxFuture<Result<(), StorageError>>;

    /// Returns the sealed hours of a partition (without their ids). Blocking.
    fn sealed(&self, partition: Partition) -> Result<Vec<SealedHour>, StorageError>;

    /// Returns the hour noted by the last [`Storage::seal`] of a partition. Blocking.
    fn sealed_before(&self, partition: Partition) -> Result<Option<u32>, StorageError>;

    /// Says whether a sealed hour holds an id. Blocking, about one page read.
    fn sealed_contains(&self, partition: Partition, bucket: u32, key: EventKey)
    -> Result<bool, StorageError>;

    /// Removes journal rows and sealed hours older than `bucket` that the projection has durably applied and every
    /// follower has passed (`position`). Returns how many rows went.
    async fn prune(&self, bucket: u32, position: u64) -> Result<u64, StorageError>;

    /// Folds what was committed since the last time into the projection. Concurrent calls share one pass. Blocking.
    fn project(&self) -> Result<Projected, StorageError>;

    /// Returns the small durable state of all partitions that has not expired. Blocking.
    fn states(&self, now_ms: i64) -> Result<Vec<StateRow>, StorageError>;

    /// Returns sends and actions asked for by events that have not expired, oldest first. Blocking.
    fn pending_sends(&self, now_ms: i64) -> Result<Vec<PendingSend>, StorageError>;

    /// Returns known groups after a cursor, in (account, group) order. Blocking, like all queries below.
    fn groups(&self, after: Option<(String, String)>, limit: usize) -> Result<Vec<GroupRow>, StorageError>;

    /// Returns one group.
    fn group(&self, account: &str, group: &str) -> Result<Option<GroupRow>, StorageError>;

    /// Returns counters of one group by hour, in time order.
    fn counts(&self, query: &CountsQuery) -> Result<Vec<CountRow>, StorageError>;

    /// Returns every group's counters summed over `[from_ms, until_ms)`, in no order.
    fn totals(&self, from_ms: i64, until_ms: i64) -> Result<Vec<Totals>, StorageError>;

    /// Calls `visit` for each of these groups' days (UTC) in `[from, until)` that has anything, with the group's index in
    /// `groups`; each group's days in order. People stand under one number each, also those who were taken for two at first. What `visit`
    /// cannot read ends it.
    fn days(
        &self,
        groups: &[(String, String)],
        days: std::ops::Range<u32>,
        visit: &mut dyn FnMut(usize, u32, &View<'_>) -> Result<(), DayError>,
    ) -> Result<(), StorageError>;

    /// Returns which days (UTC) can have rows of groups; empty while none has.
    fn days_held(&self) -> Result<std::ops::Range<u32>, StorageError>;

    /// Calls `visit` for each member of these groups, with the group's index in `groups`.
    fn rosters(
        &self,
        groups: &[(String, String)],
        visit: &mut dyn FnMut(usize, Seat<'_>),
    ) -> Result<(), StorageError>;

    /// Adds words to groups' days, at most so many of a group and day, and messages to the shares of days; all or nothing.
    /// Returns how many words there was no room for. Groups that the projection does not know are left out. Blocking.
    fn words_add(
        &self,
        heard: Vec<WordsHeard>,
        shares: &[(u32, WordsShare)],
        words_max: usize,
    ) -> Result<u64, StorageError>;

    /// Calls `visit` for each of these groups that has words of that day, with its index in `groups` and the row as
    /// [`Said::encode`](crate::statistics::words::Said::encode) wrote it.
    fn words(
        &self,
        groups: &[(String, String)],
        day: u32,
        visit: &mut WordsVisit<'_>,
    ) -> Result<(), StorageError>;

    /// Returns how many messages of a day were looked at for words.
    fn words_share(&self, day: u32) -> Result<WordsShare, StorageError>;

    /// Forgets the words of days before `first`, and of the oldest days beyond so many bytes; returns how many bytes are left.
    /// Blocking.
    fn words_sweep(&self, first: u32, bytes_max: u64) -> Result<u64, StorageError>;

    /// Returns every wordlist's hits over `[from_ms, until_ms)`, by its name; those without any are left out.
    fn list_counts(&self, from_ms: i64, until_ms: i64) -> Result<Vec<ListCountRow>, StorageError>;

    /// Returns the business results credited to a broadcast, by group and kind.
    fn outcomes(&self, broadcast: &str) -> Result<Vec<OutcomeRow>, StorageError>;

    /// Returns members of a group after a cursor, in member order.
    fn members(
        &self,
        account: &str,
        group: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<MemberRow>, StorageError>;

    /// Returns in which groups of an account some members are now, as (group, member), in that order.
    fn memberships(&self, account: &str, members: &[String]) -> Result<Vec<(String, String)>, StorageError>;

    /// Returns the groups of an account that a member is or was in, in order.
    fn groups_of(&self, account: &str, member: &str) -> Result<Vec<String>, StorageError>;

    /// Tells who members of an account are, by identities that may hold over several accounts (member, identity), and says of
    /// each whether that is who they are: what was told of a member first holds. Blocking.
    fn identify(&self, account: &str, members: &[(String, String)]) -> Result<Vec<bool>, StorageError>;

    /// Forgets what a member of an account is called, in every group; returns in how many they had a name. Counts and
    /// numbers stay. What the platform tells later is remembered again. Blocking.
    fn forget_names(&self, account: &str, member: &str) -> Result<u64, StorageError>;

    /// Returns one member of a group.
    fn member(&self, account: &str, group: &str, member: &str) -> Result<Option<MemberRow>, StorageError>;

    /// Returns the latest hits of a group, newest first.
    fn hits(&self, account: &str, group: &str, limit: usize) -> Result<Vec<HitRow>, StorageError>;

    /// Returns the latest events of a group that were too late to count, newest first.
    fn lates(&self, account: &str, group: &str, limit: usize) -> Result<Vec<LateRow>, StorageError>;

    /// Returns cases of the fleet stage, those with the latest sighting first.
    fn cases(&self, limit: usize) -> Result<Vec<CaseRow>, StorageError>;

    /// Returns one of them.
    fn case(&self, id: &str) -> Result<Option<CaseRow>, StorageError>;

    /// Returns messages of a case after a place, in the order of their arrival.
    fn case_messages(
        &self,
        case: &str,
        after: Option<CasePlace>,
        limit: usize,
    ) -> Result<Vec<CaseMessage>, StorageError>;

    /// Makes a change and its audit entries in one commit; returns the new version of each written document.
    async fn apply(&self, change: Change) -> Result<Vec<u64>, StorageError>;

    /// Returns one document.
    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>, StorageError>;

    /// Returns documents of a kind after a cursor, in id order.
    async fn documents(
        &self,
        kind: DocumentKind,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Document>, StorageError>;

    /// Returns a stored answer.
    async fn idempotency(&self, key: &str) -> Result<Option<IdempotencyRecord>, StorageError>;

    /// Returns audit entries, newest first.
    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditEntry>, StorageError>;

    /// Adds deliveries; those already there are left alone (expansion can be repeated).
    async fn deliveries_add(&self, rows: Vec<DeliveryRow>) -> Result<(), StorageError>;

    /// Returns when each of these groups received broadcasts in `[from_ms, until_ms)`, as (index in `groups`, time), as far as
    /// their deliveries are remembered. Blocking.
    fn received(
        &self,
        groups: &[(String, String)],
        from_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<(usize, i64)>, StorageError>;

    /// Returns deliveries in id order within their broadcast.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliveryRow>, StorageError>;

    /// Moves every matching delivery to a state; returns how many. What is pending again is carried by no mass send.
    async fn deliveries_move(
        &self,
        filter: DeliveryFilter,
        to: DeliveryState,
        now_ms: i64,
    ) -> Result<u64, StorageError>;

    /// Returns the number of targets of a broadcast by state: mass sends are left out.
    async fn delivery_counts(&self, broadcast: &str) -> Result<Vec<(DeliveryState, u64)>, StorageError>;

    /// Commits the intent to call, before the call: state `sending` and an attempt row. All or nothing.
    async fn intend(&self, intents: Vec<Intent>) -> Result<(), StorageError>;

    /// Commits what became of calls. A delivery that has its result, or waits for a person on the platform, is left alone.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StorageError>;

    /// Returns how often each group of an account received a mass send since a time, in order of groups; those that
    /// received none are left out.
    async fn mass_received(&self, account: &str, since_ms: i64) -> Result<Vec<(String, u64)>, StorageError>;

    /// Returns the targets of broadcasts to these groups of an account that were sent or may still be, as far as they
    /// changed since a time, by group.
    async fn targets_of_groups(
        &self,
        account: &str,
        groups: Vec<String>,
        since_ms: i64,
    ) -> Result<Vec<DeliveryRow>, StorageError>;

    /// At start: turns every `sending` into `uncertain` and returns all deliveries that are not finished and belong to
    /// no broadcast, and all uncertain ones but those that a mass send carries: it is asked about in their place.
    async fn recover(&self, now_ms: i64) -> Result<Vec<DeliveryRow>, StorageError>;

    /// Returns attempts of an account that started or ended after `since_ms`, oldest first.
    async fn attempts_since(&self, account: &str, since_ms: i64) -> Result<Vec<AttemptRow>, StorageError>;

    /// Returns the calls made for a delivery that are remembered (`storage.attempts_keep`), in order.
    async fn calls(&self, delivery: &str) -> Result<Vec<CallRow>, StorageError>;

    /// Returns how many pending targets of an account come before a target of their broadcast.
    async fn targets_before(&self, broadcast: &str, account: &str, target: u32) -> Result<u64, StorageError>;

    /// Returns state changes after a number, in order; of deliveries only while there are endpoints to be told.
    async fn status_changes(&self, after: u64, limit: usize) -> Result<Vec<StatusChange>, StorageError>;

    /// Returns which state changes are kept.
    async fn status_span(&self) -> Result<StatusSpan, StorageError>;

    /// Returns the number of the first kept state change since a time; one more than the last when there is none.
    async fn status_since(&self, from_ms: i64) -> Result<u64, StorageError>;

    /// Removes some of the state changes up to a number, the oldest first; returns how many, 0 when none is left.
    async fn status_forget(&self, through: u64) -> Result<u64, StorageError>;

    /// Writes a consistent copy of everything to a new directory while running.
    async fn backup(&self, to: &Path) -> Result<(), StorageError>;

    /// Makes the projection and journal durable and stops the writing threads.
    async fn close(&self) -> Result<(), StorageError>;
}

/// Looks at words of groups: the group's index, and its row.
pub type WordsVisit<'a> = dyn FnMut(usize, &[u8]) -> Result<(), WordsError> + 'a;

/// A shared storage.
pub type SharedStorage = Arc<dyn Storage>;

/// Calls `visit` for each effect of a journal row's payload.
///
/// # Errors
/// When the payload is damaged or of a newer format.
pub fn visit_effects(row: &JournalRow, mut visit: impl FnMut(&Effects<'_>)) -> Result<(), StorageError> {
    codec::decode(&row.payload, &mut visit).map_err(|e| StorageError::Unreadable {
        what: format!("journal row {} of partition {}", row.position, row.partition.0),
        detail: e.to_string(),
    })
}
