//! The default storage: four SQLite files in the data directory, one writing connection each.
//!
//! `journal.db` and `ledger.db` have a thread each; the projection (`state.db`) is written by whoever calls
//! [`Storage::project`], one at a time. Readers have connections of their own and short transactions. An exclusive lock on
//! the directory keeps a second process out.
//!
//! Only one connection ever writes or checkpoints a file: SQLite before 3.51.3 could lose data otherwise, and the rule
//! costs nothing.

mod backup;
mod calls;
mod deliveries;
mod documents;
mod evidence;
mod heard;
mod journal;
mod ledger;
mod people;
mod place;
mod pool;
mod projection;
mod queries;
mod schema;
mod sealed;
mod status;
mod words;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::{Connection, params};

use super::queue::Queue;
use super::{
    Append, AttemptRow, AuditEntry, AuditFilter, BoxFuture, CallRow, CaseMessage, CasePlace, CaseRow, Change,
    Config, CountRow, CountsQuery, DayError, DeliveryFilter, DeliveryRow, DeliveryState, Document,
    DocumentKind, GroupRow, HitRow, IdempotencyRecord, Intent, JournalRow, LateRow, ListCountRow, MemberRow,
    OutcomeRow, PendingSend, Projected, Receipt, SealedHour, Seat, Settlement, SharedStorage, StateRow,
    StatusChange, StatusSpan, Storage, StorageError, Totals, View, WordsHeard, WordsShare, WordsVisit,
};
use crate::event::{EventKey, Partition};
use crate::telemetry::metrics;
use evidence::EvidenceFile;
use journal::{JournalSink, Range};
use ledger::Ledger;
use place::{lock, secret, sends_floor};
use pool::Pool;
use projection::Projector;

pub use backup::{Restored, restore};

/// Storage in a data directory. Dropping it commits what waits, ends the threads and frees the directory.
#[derive(Debug)]
pub struct Sqlite {
    // Fields are dropped in this order: the queue and the ledger end their threads before the lock goes.
    journal: Queue<JournalSink>,
    ledger: Ledger,
    readers: Arc<Readers>,
    projector: Arc<Mutex<Projector>>,
    evidence: Arc<Mutex<EvidenceFile>>,
    /// Held by what removes rows and by what copies files: a copy must not miss rows that another file still needs.
    maintenance: tokio::sync::Mutex<()>,
    secret: [u8; 16],
    /// Sends asked for up to here are not made: they are from before a restored backup.
    sends_floor: u64,
    dir: PathBuf,
    _lock: File,
}

#[derive(Debug)]
struct Readers {
    journal: Pool,
    ledger: Pool,
    state: Pool,
    evidence: Pool,
}

/// Opens a data directory, making it (mode 0700) and its files as needed.
///
/// # Errors
/// `Locked` when another process has it; `Unreadable` when a file is damaged, newer than this program, or does not
/// belong to the others.
pub fn open(dir: &Path, config: &Config) -> Result<SharedStorage, StorageError> {
    Ok(Arc::new(Sqlite::open(dir, config)?))
}

impl Sqlite {
    fn open(dir: &Path, config: &Config) -> Result<Self, StorageError> {
        let lock = lock(dir)?;
        let journal = schema::open(dir, &schema::JOURNAL, config)?;
        let ledger = schema::open(dir, &schema::LEDGER, config)?;
        let state = schema::open(dir, &schema::STATE, config)?;
        let evidence = schema::open(dir, &schema::EVIDENCE, config)?;
        let secret = secret(&journal)?;
        let sends_floor = sends_floor(&journal)?;
        let projector = Projector::open(state, config)?;
        projection::check_together(&projector, &journal)?;
        let pool = |schema: &schema::Schema| Pool::new(dir.join(schema.file), config.readers_max);
        let readers = Readers {
            journal: pool(&schema::JOURNAL),
            ledger: pool(&schema::LEDGER),
            state: pool(&schema::STATE),
            evidence: pool(&schema::EVIDENCE),
        };
        Ok(Self {
            journal: Queue::start(JournalSink::open(journal)?, config.clone())?,
            ledger: Ledger::start(ledger, config)?,
            readers: Arc::new(readers),
            projector: Arc::new(Mutex::new(projector)),
            evidence: Arc::new(Mutex::new(EvidenceFile::open(evidence)?)),
            maintenance: tokio::sync::Mutex::new(()),
            secret,
            sends_floor,
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    fn state<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        self.readers.state.read(work)
    }

    /// Reads the ledger off the async workers.
    async fn ledger_read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let readers = Arc::clone(&self.readers);
        blocking(move || readers.ledger.read(|conn| work(conn))).await
    }
}

#[async_trait]
impl Storage for Sqlite {
    async fn lease(&self, node: &str) -> Result<u64, StorageError> {
        let owner = node.to_owned();
        let epoch = self.journal.run(move |sink| sink.lease(&owner)).await??;
        let owner = node.to_owned();
        self.ledger
            .write(move |conn| {
                conn.execute(
                    "INSERT OR REPLACE INTO lease VALUES ('ledger', -1, ?1, ?2)",
                    params![owner, signed(epoch)],
                )
                .map_err(fault("lease"))
            })
            .await?;
        Ok(epoch)
    }

    fn dedupe_secret(&self) -> [u8; 16] {
        self.secret
    }

    fn append(&self, append: Append<'_>) -> Result<Receipt, StorageError> {
        self.journal.append(&append)
    }

    async fn reset(&self, partition: Partition) -> Result<(), StorageError> {
        self.journal.reset(partition).await
    }

    fn tail(
        &self,
        after: u64,
        rows_max: usize,
        visit: &mut dyn FnMut(JournalRow),
    ) -> Result<u64, StorageError> {
        let mut last = after;
        self.readers.journal.read(|conn| {
            journal::scan(conn, Range { after, rows_max, ..Range::ALL }, &mut |row, _| {
                last = row.position;
                visit(row);
                Ok(())
            })
        })?;
        Ok(last)
    }

    fn replay(
        &self,
        bucket_min: u32,
        visit: &mut dyn FnMut(JournalRow) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        self.readers.journal.read(|conn| journal::replay(conn, bucket_min, visit))
    }

    fn head_position(&self) -> Result<u64, StorageError> {
        self.readers.journal.read(|conn| journal::last_position(conn))
    }

    fn seal(
        &self,
        partition: Partition,
        epoch: u64,
        before: u32,
        hours: Vec<(u32, Vec<EventKey>)>,
    ) -> BoxFuture<Result<(), StorageError>> {
        self.journal
            .run_for(partition, move |sink| sealed::seal(sink.conn(), partition, epoch, before, &hours))
    }

    fn sealed(&self, partition: Partition) -> Result<Vec<SealedHour>, StorageError> {
        self.readers.journal.read(|conn| sealed::all(conn, partition))
    }

    fn sealed_before(&self, partition: Partition) -> Result<Option<u32>, StorageError> {
        self.readers.journal.read(|conn| sealed::before(conn, partition))
    }

    fn sealed_contains(
        &self,
        partition: Partition,
        bucket: u32,
        key: EventKey,
    ) -> Result<bool, StorageError> {
        self.readers.journal.read(|conn| sealed::contains(conn, partition, bucket, key))
    }

    async fn prune(&self, bucket: u32, position: u64) -> Result<u64, StorageError> {
        let _quiet = self.maintenance.lock().await;
        let projector = Arc::clone(&self.projector);
        let durable = blocking(move || projector.lock().checkpoint()).await?;
        let upto = position.min(durable);
        let (mut gone, mut after) = (0, 0);
        loop {
            // One block at a time, so that commits go on in between.
            let (rows, next) = self.journal.run(move |sink| sink.prune_step(bucket, upto, after)).await??;
            gone += rows;
            let Some(next) = next else { break };
            after = next;
        }
        self.journal.run(move |sink| sealed::prune(sink.conn(), bucket)).await??;
        Ok(gone)
    }

    fn project(&self) -> Result<Projected, StorageError> {
        let target = self.head_position()?;
        // Whoever waits here finds the work done by the pass before, if that pass saw what they want to see.
        let mut projector = self.projector.lock();
        metrics::storage_projection_lag(target.saturating_sub(projector.position()));
        projector.advance(&self.readers.journal, target)
    }

    fn states(&self, now_ms: i64) -> Result<Vec<StateRow>, StorageError> {
        self.state(|conn| queries::states(conn, now_ms))
    }

    fn pending_sends(&self, now_ms: i64) -> Result<Vec<PendingSend>, StorageError> {
        self.state(|conn| queries::pending(conn, self.sends_floor, now_ms))
    }

    fn groups(&self, after: Option<(String, String)>, limit: usize) -> Result<Vec<GroupRow>, StorageError> {
        self.state(|conn| queries::groups(conn, after.as_ref(), limit))
    }

    fn group(&self, account: &str, group: &str) -> Result<Option<GroupRow>, StorageError> {
        self.state(|conn| queries::group(conn, account, group))
    }

    fn counts(&self, query: &CountsQuery) -> Result<Vec<CountRow>, StorageError> {
        self.state(|conn| people::counts(conn, query))
    }

    fn totals(&self, from_ms: i64, until_ms: i64) -> Result<Vec<Totals>, StorageError> {
        self.state(|conn| people::totals(conn, from_ms, until_ms))
    }

    fn days(
        &self,
        groups: &[(String, String)],
        days: std::ops::Range<u32>,
        visit: &mut dyn FnMut(usize, u32, &View<'_>) -> Result<(), DayError>,
    ) -> Result<(), StorageError> {
        self.state(|conn| people::days(conn, groups, days, visit))
    }

    fn days_held(&self) -> Result<std::ops::Range<u32>, StorageError> {
        self.state(|conn| people::held(conn, 0..u32::MAX))
    }

    fn rosters(
        &self,
        groups: &[(String, String)],
        visit: &mut dyn FnMut(usize, Seat<'_>),
    ) -> Result<(), StorageError> {
        self.state(|conn| people::rosters(conn, groups, visit))
    }

    fn received(
        &self,
        groups: &[(String, String)],
        from_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<(usize, i64)>, StorageError> {
        self.readers.ledger.read(|conn| deliveries::received(conn, groups, from_ms, until_ms))
    }

    fn words_add(
        &self,
        heard: Vec<WordsHeard>,
        shares: &[(u32, WordsShare)],
        words_max: usize,
    ) -> Result<u64, StorageError> {
        self.project()?; // groups that were just met have their numbers
        self.projector.lock().write(|tx| heard::add(tx, heard, shares, words_max))
    }

    fn words(
        &self,
        groups: &[(String, String)],
        day: u32,
        visit: &mut WordsVisit<'_>,
    ) -> Result<(), StorageError> {
        self.state(|conn| heard::visit(conn, groups, day, visit))
    }

    fn words_share(&self, day: u32) -> Result<WordsShare, StorageError> {
        self.state(|conn| heard::share(conn, day))
    }

    fn words_sweep(&self, first: u32, bytes_max: u64) -> Result<u64, StorageError> {
        self.projector.lock().write(|tx| heard::sweep(tx, first, bytes_max))
    }

    fn list_counts(&self, from_ms: i64, until_ms: i64) -> Result<Vec<ListCountRow>, StorageError> {
        self.state(|conn| queries::list_counts(conn, from_ms, until_ms))
    }

    fn outcomes(&self, broadcast: &str) -> Result<Vec<OutcomeRow>, StorageError> {
        self.state(|conn| queries::outcomes(conn, broadcast))
    }

    fn members(
        &self,
        account: &str,
        group: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<MemberRow>, StorageError> {
        self.state(|conn| queries::members(conn, account, group, after.as_deref(), limit))
    }

    fn member(&self, account: &str, group: &str, member: &str) -> Result<Option<MemberRow>, StorageError> {
        self.state(|conn| queries::member(conn, account, group, member))
    }

    fn hits(&self, account: &str, group: &str, limit: usize) -> Result<Vec<HitRow>, StorageError> {
        self.state(|conn| queries::hits(conn, account, group, limit))
    }

    fn lates(&self, account: &str, group: &str, limit: usize) -> Result<Vec<LateRow>, StorageError> {
        self.state(|conn| queries::lates(conn, account, group, limit))
    }

    fn forget_names(&self, account: &str, member: &str) -> Result<u64, StorageError> {
        self.project()?; // a name that waits would come back
        self.projector.lock().forget_names(account, member)
    }

    fn groups_of(&self, account: &str, member: &str) -> Result<Vec<String>, StorageError> {
        self.state(|conn| queries::groups_of(conn, account, member))
    }

    fn identify(&self, account: &str, members: &[(String, String)]) -> Result<Vec<bool>, StorageError> {
        self.project()?; // who a platform told earlier holds
        self.projector.lock().identify(account, members)
    }

    fn memberships(&self, account: &str, members: &[String]) -> Result<Vec<(String, String)>, StorageError> {
        self.state(|conn| queries::memberships(conn, account, members))
    }

    fn case_messages(
        &self,
        case: &str,
        after: Option<CasePlace>,
        limit: usize,
    ) -> Result<Vec<CaseMessage>, StorageError> {
        self.state(|conn| queries::case_messages(conn, case, after, limit))
    }

    fn cases(&self, limit: usize) -> Result<Vec<CaseRow>, StorageError> {
        self.state(|conn| queries::cases(conn, limit))
    }

    fn case(&self, id: &str) -> Result<Option<CaseRow>, StorageError> {
        self.state(|conn| queries::case(conn, id))
    }

    async fn apply(&self, change: Change) -> Result<Vec<u64>, StorageError> {
        self.ledger.seen(change.at_ms);
        self.ledger.write(move |conn| documents::apply(conn, &change)).await
    }

    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>, StorageError> {
        let id = id.to_owned();
        self.ledger_read(move |conn| documents::document(conn, kind, &id)).await
    }

    async fn documents(
        &self,
        kind: DocumentKind,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Document>, StorageError> {
        self.ledger_read(move |conn| documents::documents(conn, kind, after.as_deref(), limit)).await
    }

    async fn idempotency(&self, key: &str) -> Result<Option<IdempotencyRecord>, StorageError> {
        let key = key.to_owned();
        self.ledger_read(move |conn| documents::idempotency(conn, &key)).await
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditEntry>, StorageError> {
        self.ledger_read(move |conn| documents::audit(conn, &filter)).await
    }

    async fn deliveries_add(&self, rows: Vec<DeliveryRow>) -> Result<(), StorageError> {
        self.ledger.write(move |conn| deliveries::add(conn, &rows)).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliveryRow>, StorageError> {
        self.ledger_read(move |conn| deliveries::find(conn, &filter)).await
    }

    async fn deliveries_move(
        &self,
        filter: DeliveryFilter,
        to: DeliveryState,
        now_ms: i64,
    ) -> Result<u64, StorageError> {
        self.ledger.seen(now_ms);
        self.ledger.write(move |conn| deliveries::change_state(conn, &filter, to, now_ms)).await
    }

    async fn delivery_counts(&self, broadcast: &str) -> Result<Vec<(DeliveryState, u64)>, StorageError> {
        let broadcast = broadcast.to_owned();
        self.ledger_read(move |conn| deliveries::counts(conn, &broadcast)).await
    }

    async fn intend(&self, intents: Vec<Intent>) -> Result<(), StorageError> {
        self.ledger.write(move |conn| deliveries::intend(conn, &intents)).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StorageError> {
        for settled in &settlements {
            self.ledger.seen(settled.at_ms);
        }
        self.ledger.write(move |conn| deliveries::settle(conn, &settlements)).await
    }

    async fn recover(&self, now_ms: i64) -> Result<Vec<DeliveryRow>, StorageError> {
        self.ledger.write(move |conn| deliveries::recover(conn, now_ms)).await
    }

    async fn mass_received(&self, account: &str, since_ms: i64) -> Result<Vec<(String, u64)>, StorageError> {
        let account = account.to_owned();
        self.ledger_read(move |conn| deliveries::mass_received(conn, &account, since_ms)).await
    }

    async fn targets_of_groups(
        &self,
        account: &str,
        groups: Vec<String>,
        since_ms: i64,
    ) -> Result<Vec<DeliveryRow>, StorageError> {
        let account = account.to_owned();
        self.ledger_read(move |conn| deliveries::targets_of_groups(conn, &account, &groups, since_ms)).await
    }

    async fn attempts_since(&self, account: &str, since_ms: i64) -> Result<Vec<AttemptRow>, StorageError> {
        let account = account.to_owned();
        self.ledger_read(move |conn| deliveries::attempts_since(conn, &account, since_ms)).await
    }

    async fn calls(&self, delivery: &str) -> Result<Vec<CallRow>, StorageError> {
        let delivery = delivery.to_owned();
        self.ledger_read(move |conn| calls::of(conn, &delivery)).await
    }

    async fn targets_before(&self, broadcast: &str, account: &str, target: u32) -> Result<u64, StorageError> {
        let (broadcast, account) = (broadcast.to_owned(), account.to_owned());
        self.ledger_read(move |conn| calls::targets_before(conn, &broadcast, &account, target)).await
    }

    async fn status_changes(&self, after: u64, limit: usize) -> Result<Vec<StatusChange>, StorageError> {
        self.ledger_read(move |conn| status::after(conn, after, limit)).await
    }

    async fn status_span(&self) -> Result<StatusSpan, StorageError> {
        self.ledger_read(status::span).await
    }

    async fn status_since(&self, from_ms: i64) -> Result<u64, StorageError> {
        self.ledger_read(move |conn| status::since(conn, from_ms)).await
    }

    async fn status_forget(&self, through: u64) -> Result<u64, StorageError> {
        self.ledger.write(move |conn| status::forget(conn, through)).await
    }

    async fn backup(&self, to: &Path) -> Result<(), StorageError> {
        let _quiet = self.maintenance.lock().await;
        let (from, to) = (self.dir.clone(), to.to_owned());
        blocking(move || backup::backup(&from, &to)).await
    }

    async fn close(&self) -> Result<(), StorageError> {
        let checkpoint = |sink: &mut JournalSink| {
            sink.conn()
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                .map_err(fault("close the journal"))
        };
        self.readers.journal.close();
        match self.journal.run(checkpoint).await {
            Ok(done) => done?,
            Err(StorageError::Closed) => return Ok(()), // closed before
            Err(error) => return Err(error),
        }
        self.journal.stop();
        self.ledger.stop();
        self.readers.ledger.close();
        self.readers.state.close();
        self.readers.evidence.close();
        let projector = Arc::clone(&self.projector);
        blocking(move || projector.lock().close()).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StorageError::failed("run a query", error)),
    }
}

/// Wraps what SQLite said.
fn fault(operation: &'static str) -> impl Fn(rusqlite::Error) -> StorageError {
    move |error| StorageError::failed(operation, error)
}

/// SQLite knows only signed numbers; ours fit, or keep their bits.
fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

/// The `LIMIT` of a query; 0 means all.
fn limit(limit: usize) -> i64 {
    if limit == 0 { -1 } else { i64::try_from(limit).unwrap_or(i64::MAX) }
}
