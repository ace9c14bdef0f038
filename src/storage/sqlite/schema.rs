//! The files: their tables, and how an older file becomes a current one.
//!
//! A file's `user_version` is the number of migrations it has seen. Migrations only ever go forward and are never edited
//! once released; a file that has seen more than we know is refused. Every table carries the partition where its rows
//! belong to one.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Transaction, params};

use super::{fault, unsigned};
use crate::statistics::days::{self, Day, Facet};
use crate::statistics::definitions::Counter;
use crate::storage::{Config, Durability, StorageError};

/// One of the files of a data directory.
#[derive(Debug)]
pub(super) struct Schema {
    /// File name.
    pub file: &'static str,
    /// How much a power cut may cost: `FULL` nothing, `NORMAL` the last transactions.
    synchronous: &'static str,
    /// All migrations, oldest first.
    migrations: &'static [&'static str],
    /// What SQL cannot say, each after the migration of this number and in its transaction.
    converts: &'static [(usize, Convert)],
}

/// Moves rows from older tables into newer ones.
type Convert = fn(&Transaction<'_>) -> Result<(), StorageError>;

impl Schema {
    /// The version this program writes.
    pub(super) fn version(&self) -> i64 {
        i64::try_from(self.migrations.len()).expect("there are few migrations")
    }
}

/// The journal, sealed dedupe hours, leases.
pub(super) const JOURNAL: Schema =
    Schema { file: "journal.db", synchronous: "FULL", migrations: &[JOURNAL_1, JOURNAL_2], converts: &[] };

/// What people decided and what sending must never lose.
pub(super) const LEDGER: Schema = Schema {
    file: "ledger.db",
    synchronous: "FULL",
    migrations: &[LEDGER_1, LEDGER_2, LEDGER_3, LEDGER_4, LEDGER_5, LEDGER_6, LEDGER_7],
    converts: &[],
};

/// The projection.
pub(super) const STATE: Schema = Schema {
    file: "state.db",
    synchronous: "NORMAL",
    migrations: &[
        STATE_1, STATE_2, STATE_3, STATE_4, STATE_5, STATE_6, STATE_7, STATE_8, STATE_9, STATE_10, STATE_11,
    ],
    converts: &[(7, counters_to_days)],
};

/// Sealed texts. Not in a backup: what is erased here must be gone.
pub(super) const EVIDENCE: Schema =
    Schema { file: "evidence.db", synchronous: "NORMAL", migrations: &[EVIDENCE_1], converts: &[] };

/// All that a backup holds.
pub(super) const ALL: [&Schema; 3] = [&STATE, &JOURNAL, &LEDGER];

/// The journal has no secondary index: its pages would be scattered, and each commit would write many of them.
const JOURNAL_1: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE lease (kind TEXT NOT NULL, part INTEGER NOT NULL, owner TEXT NOT NULL, epoch INTEGER NOT NULL,
  PRIMARY KEY (kind, part)) WITHOUT ROWID;
CREATE TABLE journal (pos INTEGER PRIMARY KEY, part INTEGER NOT NULL, seq INTEGER NOT NULL, epoch INTEGER NOT NULL,
  bucket_min INTEGER NOT NULL, bucket_max INTEGER NOT NULL, n INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE sealed_ids (hour_id INTEGER PRIMARY KEY, part INTEGER NOT NULL, bucket INTEGER NOT NULL,
  n INTEGER NOT NULL, filter BLOB NOT NULL, ids BLOB NOT NULL);
";

/// Which stretch of the journal holds which hours, and each partition's last number: so that neither opening nor
/// replaying reads rows that cannot matter. And up to which hour a partition's ids are sealed.
const JOURNAL_2: &str = "
CREATE TABLE block (first_pos INTEGER PRIMARY KEY, last_pos INTEGER NOT NULL, oldest INTEGER NOT NULL,
  newest INTEGER NOT NULL);
CREATE TABLE head (part INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE sealed_before (part INTEGER PRIMARY KEY, bucket INTEGER NOT NULL);
";

const LEDGER_1: &str = "
CREATE TABLE document (kind TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL,
  updated_ms INTEGER NOT NULL, PRIMARY KEY (kind, id));
CREATE TABLE audit (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, operator TEXT NOT NULL, token TEXT NOT NULL,
  verb TEXT NOT NULL, object TEXT NOT NULL, id TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE idempotency (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL,
  body TEXT NOT NULL, expires_ms INTEGER NOT NULL);
CREATE INDEX idempotency_expires ON idempotency (expires_ms);
CREATE TABLE delivery (id TEXT PRIMARY KEY, part INTEGER NOT NULL, broadcast TEXT NOT NULL, target INTEGER NOT NULL,
  account TEXT NOT NULL, grp TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
  due_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, body TEXT NOT NULL, code TEXT NOT NULL,
  detail TEXT NOT NULL, updated_ms INTEGER NOT NULL);
CREATE INDEX delivery_target ON delivery (broadcast, state, target, id) WHERE broadcast <> '';
CREATE INDEX delivery_unsettled ON delivery (broadcast, target, id) WHERE state IN ('sending', 'uncertain', 'failed');
CREATE INDEX delivery_single ON delivery (id) WHERE broadcast = '' AND state IN ('pending', 'awaiting_confirmation');
CREATE TABLE attempt (delivery TEXT NOT NULL, attempt INTEGER NOT NULL, part INTEGER NOT NULL, epoch INTEGER NOT NULL,
  account TEXT NOT NULL, grp TEXT NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER, cost INTEGER NOT NULL,
  PRIMARY KEY (delivery, attempt));
CREATE INDEX attempt_ended ON attempt (account, ended_ms);
";

/// Places for scope checks of the audit log, the owner's epoch for fencing, and what retention looks for.
const LEDGER_2: &str = "
ALTER TABLE audit ADD COLUMN place TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_object ON audit (object, seq);
CREATE TABLE lease (kind TEXT NOT NULL, part INTEGER NOT NULL, owner TEXT NOT NULL, epoch INTEGER NOT NULL,
  PRIMARY KEY (kind, part)) WITHOUT ROWID;
CREATE INDEX delivery_finished ON delivery (updated_ms)
  WHERE broadcast = '' AND state IN ('sent', 'cancelled', 'expired', 'failed');
";

/// Sends that a person must confirm: the platform's id of the task, which mass send carries which target, and how often a
/// group received one lately.
const LEDGER_3: &str = "
ALTER TABLE delivery ADD COLUMN platform_id TEXT NOT NULL DEFAULT '';
ALTER TABLE delivery ADD COLUMN carrier INTEGER NOT NULL DEFAULT 0;
CREATE INDEX delivery_received ON delivery (account, updated_ms, grp) WHERE kind = 'mass_target' AND state = 'sent';
";

/// Which broadcasts a group gets: how many there may be is limited.
const LEDGER_4: &str = "
CREATE INDEX delivery_group ON delivery (account, grp) WHERE broadcast <> '' AND target < 2147483648;
";

/// What each call came to, for people who ask about a delivery.
const LEDGER_5: &str = "
ALTER TABLE attempt ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
ALTER TABLE attempt ADD COLUMN code TEXT NOT NULL DEFAULT '';
ALTER TABLE attempt ADD COLUMN detail TEXT NOT NULL DEFAULT '';
ALTER TABLE attempt ADD COLUMN platform_id TEXT NOT NULL DEFAULT '';
";

/// State changes for endpoints. While there is one, triggers write them, see `status`.
const LEDGER_6: &str = "
CREATE TABLE status_change (seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, subject TEXT NOT NULL,
  id TEXT NOT NULL, broadcast TEXT NOT NULL, target INTEGER NOT NULL, account TEXT NOT NULL, grp TEXT NOT NULL,
  kind TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, code TEXT NOT NULL, platform_id TEXT NOT NULL);
CREATE INDEX status_broadcast ON status_change (id, seq) WHERE subject = 'broadcast';
";

/// What staff should know of what happened besides where something stands.
const LEDGER_7: &str = "
ALTER TABLE status_change ADD COLUMN context TEXT NOT NULL DEFAULT '';
";

const STATE_1: &str = "
CREATE TABLE progress (one INTEGER PRIMARY KEY, position INTEGER NOT NULL, arrived_ms INTEGER NOT NULL);
INSERT INTO progress VALUES (1, 0, 0);
CREATE TABLE applied (part INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE grp (no INTEGER PRIMARY KEY, part INTEGER NOT NULL, account TEXT NOT NULL, grp TEXT NOT NULL, name TEXT,
  name_ms INTEGER NOT NULL, owner TEXT, owner_ms INTEGER NOT NULL, dismissed INTEGER NOT NULL,
  dismissed_ms INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, hour_min INTEGER NOT NULL,
  hour_max INTEGER NOT NULL, members INTEGER NOT NULL, UNIQUE (account, grp));
CREATE TABLE account (account TEXT PRIMARY KEY, people INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE person (account TEXT NOT NULL, identity TEXT NOT NULL, number INTEGER NOT NULL,
  PRIMARY KEY (account, identity)) WITHOUT ROWID;
CREATE TABLE member (grp INTEGER NOT NULL, member TEXT NOT NULL, name TEXT,
  name_ms INTEGER NOT NULL, role INTEGER NOT NULL, present INTEGER NOT NULL, changed_ms INTEGER NOT NULL,
  first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, messages INTEGER NOT NULL, joined_ms INTEGER NOT NULL,
  inviter TEXT, scene TEXT, channel TEXT, PRIMARY KEY (grp, member)) WITHOUT ROWID;
CREATE TABLE counter (hour INTEGER NOT NULL, grp INTEGER NOT NULL, messages INTEGER NOT NULL,
  staff_messages INTEGER NOT NULL, joins INTEGER NOT NULL, leaves INTEGER NOT NULL, hits INTEGER NOT NULL,
  masked INTEGER NOT NULL, reviewed INTEGER NOT NULL, blocked INTEGER NOT NULL, replies INTEGER NOT NULL,
  welcomes INTEGER NOT NULL, late INTEGER NOT NULL, revised INTEGER NOT NULL, PRIMARY KEY (hour, grp)) WITHOUT ROWID;
CREATE TABLE hit (grp INTEGER NOT NULL, pos INTEGER NOT NULL, idx INTEGER NOT NULL, nth INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, member TEXT NOT NULL, wordlist TEXT NOT NULL, category TEXT NOT NULL, term INTEGER NOT NULL,
  span_from INTEGER NOT NULL, span_to INTEGER NOT NULL, via TEXT NOT NULL,
  PRIMARY KEY (grp, pos, idx, nth)) WITHOUT ROWID;
CREATE TABLE state (part INTEGER NOT NULL, kind INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
  expires_ms INTEGER NOT NULL, PRIMARY KEY (part, kind, key)) WITHOUT ROWID;
CREATE TABLE pending (pos INTEGER NOT NULL, nth INTEGER NOT NULL, expires_ms INTEGER NOT NULL, payload BLOB NOT NULL,
  PRIMARY KEY (pos, nth)) WITHOUT ROWID;
CREATE TABLE fleet_case (id TEXT PRIMARY KEY, fingerprint INTEGER NOT NULL, groups TEXT NOT NULL,
  first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL);
CREATE INDEX fleet_case_last ON fleet_case (last_ms);
CREATE TABLE record (pos INTEGER NOT NULL, nth INTEGER NOT NULL, at_ms INTEGER NOT NULL, payload BLOB NOT NULL,
  PRIMARY KEY (pos, nth)) WITHOUT ROWID;
";

/// Events that came too late are listed, not only counted.
const STATE_2: &str = "
CREATE TABLE late (grp INTEGER NOT NULL, pos INTEGER NOT NULL, idx INTEGER NOT NULL, key BLOB NOT NULL,
  at_ms INTEGER NOT NULL, arrived_ms INTEGER NOT NULL, member TEXT NOT NULL, what TEXT NOT NULL,
  PRIMARY KEY (grp, pos, idx)) WITHOUT ROWID;
";

/// The person over all groups is shown with the member: `person` has it only from the identity to the number.
const STATE_3: &str = "
ALTER TABLE member ADD COLUMN union_id TEXT;
";

/// Hits by wordlist, those without effect too: what a list would do, and does, before and after it is in force.
const STATE_4: &str = "
CREATE TABLE list_count (hour INTEGER NOT NULL, wordlist TEXT NOT NULL, hits INTEGER NOT NULL,
  shadow_hits INTEGER NOT NULL, PRIMARY KEY (hour, wordlist)) WITHOUT ROWID;
";

/// Business results credited to broadcasts.
const STATE_5: &str = "
CREATE TABLE outcome (broadcast TEXT NOT NULL, grp INTEGER NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL,
  value_micros INTEGER NOT NULL, last_ms INTEGER NOT NULL, PRIMARY KEY (broadcast, grp, kind)) WITHOUT ROWID;
";

/// Messages of cases. One without an id is told from others by its time.
const STATE_6: &str = "
CREATE TABLE case_message (fleet_case TEXT NOT NULL, at_ms INTEGER NOT NULL, account TEXT NOT NULL, grp TEXT NOT NULL,
  id TEXT NOT NULL, member TEXT NOT NULL, alike TEXT NOT NULL, verdict TEXT NOT NULL,
  PRIMARY KEY (fleet_case, at_ms, account, grp, id)) WITHOUT ROWID;
";

/// Who spoke, came and went on which day: people counted once. And which numbers turned out to be one person.
const STATE_7: &str = "
ALTER TABLE member ADD COLUMN number INTEGER;
UPDATE member SET number = (SELECT person.number FROM grp JOIN person ON person.account = grp.account
  AND person.identity = 'm:' || member.member WHERE grp.no = member.grp);
ALTER TABLE person ADD COLUMN bound INTEGER NOT NULL DEFAULT 0;
UPDATE person SET bound = 1 WHERE (account, number) IN
  (SELECT account, number FROM person WHERE identity >= 'u:' AND identity < 'u;');
CREATE TABLE same_person (account TEXT NOT NULL, number INTEGER NOT NULL, person INTEGER NOT NULL,
  PRIMARY KEY (account, number)) WITHOUT ROWID;
CREATE TABLE day (day INTEGER NOT NULL, grp INTEGER NOT NULL, spoke BLOB NOT NULL, moved BLOB NOT NULL,
  counted BLOB NOT NULL, PRIMARY KEY (day, grp)) WITHOUT ROWID;
";

/// Counters live in the rows of days.
const STATE_8: &str = "DROP TABLE counter;";

/// Days that are over, group by group; and which are.
const STATE_9: &str = "
CREATE TABLE past (grp INTEGER NOT NULL, day INTEGER NOT NULL, spoke BLOB NOT NULL, moved BLOB NOT NULL,
  counted BLOB NOT NULL, PRIMARY KEY (grp, day)) WITHOUT ROWID;
CREATE TABLE settled (first INTEGER NOT NULL, until INTEGER NOT NULL, next INTEGER NOT NULL, done INTEGER NOT NULL);
INSERT INTO settled VALUES (4294967295, 0, 0, 0);
";

/// Words of groups' days, and how many messages were looked at for them. Not of the journal: it has no text.
const STATE_10: &str = "
CREATE TABLE said (day INTEGER NOT NULL, grp INTEGER NOT NULL, words BLOB NOT NULL, PRIMARY KEY (day, grp)) WITHOUT ROWID;
CREATE TABLE said_day (day INTEGER PRIMARY KEY, counted INTEGER NOT NULL, missed INTEGER NOT NULL);
";

/// Whom several accounts know by one union id has a number over all of them; and members are found by their ids.
const STATE_11: &str = "
CREATE INDEX person_union ON person (identity) WHERE identity >= 'u:' AND identity < 'u;';
CREATE TABLE overall (account TEXT NOT NULL, number INTEGER NOT NULL, person INTEGER NOT NULL,
  PRIMARY KEY (account, number)) WITHOUT ROWID;
INSERT INTO overall SELECT account, number, DENSE_RANK() OVER (ORDER BY identity) - 1 FROM person
  WHERE identity >= 'u:' AND identity < 'u;' AND identity IN (SELECT identity FROM person
    WHERE identity >= 'u:' AND identity < 'u;' GROUP BY identity HAVING COUNT(*) > 1);
INSERT INTO account SELECT '', COUNT(DISTINCT person) FROM overall;
CREATE INDEX member_by_id ON member (member);
";

/// Moves counters by hour into groups' days.
fn counters_to_days(tx: &Transaction<'_>) -> Result<(), StorageError> {
    let failed = fault("migrate counters");
    let mut read = tx
        .prepare(
            "SELECT hour / 24, grp, hour % 24, messages, staff_messages, joins, leaves, hits, masked, reviewed, blocked,
             replies, welcomes, late, revised FROM counter ORDER BY hour / 24, grp",
        )
        .map_err(&failed)?;
    let mut write = tx.prepare("INSERT INTO day VALUES (?1, ?2, x'', x'', ?3)").map_err(&failed)?;
    let mut put = |place: (u32, i64), day: &Day| {
        write.execute(params![place.0, place.1, days::encode(day).counted]).map(|_| ())
    };
    let mut rows = read.query([]).map_err(&failed)?;
    let mut open: Option<((u32, i64), Day)> = None;
    while let Some(row) = rows.next().map_err(&failed)? {
        let place = (row.get(0).map_err(&failed)?, row.get(1).map_err(&failed)?);
        let hour: u8 = row.get(2).map_err(&failed)?;
        if let Some((before, day)) = open.take_if(|(before, _)| *before != place) {
            put(before, &day).map_err(&failed)?;
        }
        let (_, day) = open.get_or_insert_with(|| (place, Day::default()));
        for (nth, counter) in COUNTERS_BEFORE.into_iter().enumerate() {
            let count: i64 = row.get(3 + nth).map_err(&failed)?;
            if count > 0 {
                day.counted.insert((Facet::Counter(counter), hour), unsigned(count));
            }
        }
        if row.get(14).map_err(&failed)? {
            day.counted.insert((Facet::Revised, hour), 1);
        }
    }
    open.map_or(Ok(()), |(place, day)| put(place, &day)).map_err(&failed)
}

/// The columns of the table `counter`, in its order.
const COUNTERS_BEFORE: [Counter; 11] = [
    Counter::Messages,
    Counter::StaffMessages,
    Counter::Joins,
    Counter::Leaves,
    Counter::Hits,
    Counter::Masked,
    Counter::Reviewed,
    Counter::Blocked,
    Counter::Replies,
    Counter::Welcomes,
    Counter::Late,
];

const EVIDENCE_1: &str = "
CREATE TABLE evidence (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, part INTEGER NOT NULL,
  account TEXT NOT NULL, grp TEXT NOT NULL, member TEXT NOT NULL, at_ms INTEGER NOT NULL, kind TEXT NOT NULL,
  key_id TEXT NOT NULL, nonce BLOB NOT NULL, data BLOB NOT NULL, expires_ms INTEGER NOT NULL);
CREATE INDEX evidence_group ON evidence (account, grp, kind, at_ms);
CREATE INDEX evidence_member ON evidence (account, member);
CREATE INDEX evidence_expires ON evidence (expires_ms);
CREATE INDEX evidence_history ON evidence (seq) WHERE kind = 'history';
";

/// Opens a file for writing, making or migrating it as needed.
pub(super) fn open(dir: &Path, schema: &Schema, config: &Config) -> Result<Connection, StorageError> {
    let path = dir.join(schema.file);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let mut conn = Connection::open_with_flags(&path, flags).map_err(|e| cannot(schema, &e))?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.busy_timeout(std::time::Duration::from_secs(5)).map_err(|e| cannot(schema, &e))?;
    let pragmas = format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {}; PRAGMA wal_autocheckpoint = {};
         PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY;",
        match config.durability {
            Durability::Full => schema.synchronous,
            Durability::Off => "OFF",
        },
        config.checkpoint_pages
    );
    conn.execute_batch(&pragmas).map_err(|e| cannot(schema, &e))?;
    migrate(&mut conn, schema)?;
    Ok(conn)
}

/// Opens a file for reading only; the writer made it.
pub(super) fn open_reading(path: &PathBuf) -> Result<Connection, StorageError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let conn = Connection::open_with_flags(path, flags).map_err(fault("open a file for reading"))?;
    conn.set_prepared_statement_cache_capacity(32);
    conn.busy_timeout(std::time::Duration::from_secs(5)).map_err(fault("open a file for reading"))?;
    Ok(conn)
}

/// Refuses a version that is newer than ours.
pub(super) fn check_version(schema: &Schema, version: i64) -> Result<(), StorageError> {
    if version > schema.version() {
        return Err(StorageError::unreadable(
            schema.file,
            format!(
                "it was written by a newer menshen (schema {version}, this one knows {}); start that version again, \
                 or restore a backup made before the upgrade into an empty data directory",
                schema.version()
            ),
        ));
    }
    Ok(())
}

fn migrate(conn: &mut Connection, schema: &Schema) -> Result<(), StorageError> {
    let version: i64 =
        conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|e| cannot(schema, &e))?;
    check_version(schema, version)?;
    let seen = usize::try_from(version).unwrap_or(0);
    for (done, script) in schema.migrations.iter().enumerate().skip(seen) {
        let tx = conn.transaction().map_err(fault("migrate"))?;
        tx.execute_batch(script).map_err(fault("migrate"))?;
        for (_, convert) in schema.converts.iter().filter(|(after, _)| *after == done + 1) {
            convert(&tx)?;
        }
        tx.execute_batch(&format!("PRAGMA user_version = {}", done + 1)).map_err(fault("migrate"))?;
        tx.commit().map_err(fault("migrate"))?;
        if seen > 0 {
            tracing::info!(file = schema.file, from = done, to = done + 1, "schema migrated");
        }
    }
    Ok(())
}

/// A file that SQLite refuses to open is unreadable data rather than a failing disk.
fn cannot(schema: &Schema, error: &rusqlite::Error) -> StorageError {
    StorageError::unreadable(
        schema.file,
        format!("{error}; if it is damaged, restore the latest backup into an empty data directory"),
    )
}
