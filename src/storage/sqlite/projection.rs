//! The projection's file: folding the journal into it.
//!
//! One transaction holds what a stretch of the journal changes and the position it reaches, so a pass that is cut off
//! has not happened. Invariant: rows are a function of the journal up to `progress.position`; only what has expired may
//! be gone earlier or later.

pub(super) mod days;
mod roster;
pub(super) mod settled;

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::pool::Pool;
use super::{fault, journal, signed, unsigned, words};
use crate::event::{HOUR_MS, Partition};
use crate::statistics::fold::{Delta, GroupRecord};
use crate::storage::config::ms;
use crate::storage::pass::{Kept, Pass};
use crate::storage::{Config, Projected, StorageError};

/// The writing side of the projection.
#[derive(Debug)]
pub(super) struct Projector {
    conn: Connection,
    config: Config,
    position: u64,
    arrived_ms: i64,
    /// Position known to be in the file itself, synced; not only in its log.
    durable: u64,
    pass: Pass,
}

impl Projector {
    /// Takes over the file.
    pub(super) fn open(conn: Connection, config: &Config) -> Result<Self, StorageError> {
        let kib = config.projection_cache / 1024;
        conn.execute_batch(&format!("PRAGMA cache_size = -{kib}")).map_err(fault("open the projection"))?;
        let (position, arrived_ms) = conn
            .query_row("SELECT position, arrived_ms FROM progress", [], |row| {
                Ok((row.get(0).map(unsigned)?, row.get(1)?))
            })
            .map_err(fault("open the projection"))?;
        Ok(Self { conn, config: config.clone(), position, arrived_ms, durable: 0, pass: Pass::default() })
    }

    /// Returns the position up to which everything is folded in.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Forgets what a member is called, in every group of an account.
    pub(super) fn forget_names(&mut self, account: &str, member: &str) -> Result<u64, StorageError> {
        let forgotten = self.conn.execute(
            "UPDATE member INDEXED BY member_by_id SET name = NULL WHERE member = ?2 AND name IS NOT NULL
             AND grp IN (SELECT no FROM grp WHERE account = ?1)",
            [account, member],
        );
        forgotten.map(|rows| rows as u64).map_err(fault("forget a name"))
    }

    /// Writes something beside what is folded, in one transaction.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let tx = self.conn.transaction().map_err(fault("write the projection"))?;
        let done = work(&tx)?;
        tx.commit().map_err(fault("write the projection"))?;
        Ok(done)
    }

    /// Tells who members are; says of each whether that is who they are.
    pub(super) fn identify(
        &mut self,
        account: &str,
        members: &[(String, String)],
    ) -> Result<Vec<bool>, StorageError> {
        let failed = fault("tell who members are");
        let tx = self.conn.transaction().map_err(&failed)?;
        let told = roster::tell(&tx, account, members).map_err(&failed)?;
        tx.commit().map_err(&failed)?;
        Ok(told)
    }

    /// Makes what was folded survive a power cut; returns the position that does.
    pub(super) fn checkpoint(&mut self) -> Result<u64, StorageError> {
        let busy: bool = self
            .conn
            .query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(0))
            .map_err(fault("checkpoint the projection"))?;
        // A reader in the way leaves the last durable position as it was.
        if !busy {
            self.durable = self.position;
        }
        Ok(self.durable)
    }

    /// Folds in everything up to `target`, a bounded stretch at a time.
    pub(super) fn advance(&mut self, rows: &Pool, target: u64) -> Result<Projected, StorageError> {
        let mut events = 0;
        while self.position < target {
            let mut pass = std::mem::take(&mut self.pass);
            let result = self.stretch(rows, &mut pass);
            events += pass.delta.events;
            let reached = pass.position;
            pass.clear();
            self.pass = pass;
            result?;
            if reached == 0 {
                break;
            }
        }
        settled::settle(&mut self.conn, self.arrived_ms)?;
        Ok(Projected { position: self.position, events })
    }

    fn stretch(&mut self, rows: &Pool, pass: &mut Pass) -> Result<(), StorageError> {
        let events_max = self.config.projection_events_max as u64;
        rows.read(|conn| {
            let mut query = conn
                .prepare_cached("SELECT pos, part, seq, payload FROM journal WHERE pos > ?1 ORDER BY pos")
                .map_err(fault("read the journal"))?;
            let mut found = query.query([signed(self.position)]).map_err(fault("read the journal"))?;
            while pass.delta.weight() < events_max
                && let Some(row) = found.next().map_err(fault("read the journal"))?
            {
                let read = |column| row.get(column).map(unsigned).map_err(fault("read the journal"));
                let partition = Partition(row.get(1).map_err(fault("read the journal"))?);
                let payload = row.get_ref(3).map_err(fault("read the journal"))?;
                let bytes = payload.as_blob().map_err(|e| StorageError::failed("read the journal", e))?;
                pass.add(read(0)?, partition, read(2)?, bytes)?;
            }
            Ok(())
        })?;
        if pass.position == 0 {
            return Ok(());
        }
        let arrived_ms = self.arrived_ms.max(pass.delta.arrived_ms_max);
        let tx = self.conn.transaction().map_err(fault("write the projection"))?;
        write(&tx, pass)?;
        sweep(&tx, &self.config, self.arrived_ms, arrived_ms).map_err(fault("write the projection"))?;
        tx.execute(
            "UPDATE progress SET position = ?1, arrived_ms = ?2",
            params![signed(pass.position), arrived_ms],
        )
        .map_err(fault("write the projection"))?;
        tx.commit().map_err(fault("write the projection"))?;
        self.position = pass.position;
        self.arrived_ms = arrived_ms;
        Ok(())
    }

    /// Folds the log into the file.
    pub(super) fn close(&mut self) -> Result<(), StorageError> {
        self.conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(fault("close the projection"))
    }
}

/// Returns the last row of the journal that was ever pruned.
pub(super) fn pruned_upto(journal: &Connection) -> Result<u64, StorageError> {
    journal
        .query_row("SELECT value FROM meta WHERE key = 'pruned'", [], |row| row.get(0).map(unsigned))
        .optional()
        .map(Option::unwrap_or_default)
        .map_err(fault("open the journal"))
}

/// Refuses a projection and a journal that do not belong together.
pub(super) fn check_together(projector: &Projector, journal: &Connection) -> Result<(), StorageError> {
    let (applied, pruned) = (projector.position(), pruned_upto(journal)?);
    let last = journal::last_position(journal)?;
    if applied < pruned {
        return Err(StorageError::unreadable(
            "state.db",
            format!(
                "it ends at journal row {applied}, but the journal was pruned up to row {pruned}: numbers between them \
                 would be lost; restore the latest backup into an empty data directory"
            ),
        ));
    }
    if applied > last {
        return Err(StorageError::unreadable(
            "journal.db",
            format!(
                "it ends at row {last}, but state.db has already folded row {applied}: these files are from \
                 different times; restore the latest backup into an empty data directory"
            ),
        ));
    }
    Ok(())
}

fn write(tx: &Transaction<'_>, pass: &Pass) -> Result<(), StorageError> {
    let failed = fault("write the projection");
    let mut groups = group_rows(tx, &pass.delta).map_err(&failed)?;
    let numbers = roster::merge(tx, &pass.delta, &mut groups).map_err(&failed)?;
    days::merge(tx, &pass.delta, &groups, &numbers)?;
    rows(tx, pass, &groups).map_err(&failed)
}

fn rows(tx: &Transaction<'_>, pass: &Pass, groups: &[(i64, GroupRecord)]) -> Result<(), rusqlite::Error> {
    let delta = &pass.delta;
    let mut update = tx.prepare_cached(
        "UPDATE grp SET name = ?2, name_ms = ?3, owner = ?4, owner_ms = ?5, dismissed = ?6, dismissed_ms = ?7,
         first_ms = ?8, last_ms = ?9, hour_min = ?10, hour_max = ?11, members = ?12 WHERE no = ?1",
    )?;
    for (no, g) in groups {
        update.execute(params![
            no,
            g.name,
            g.name_ms,
            g.owner,
            g.owner_ms,
            g.dismissed,
            g.dismissed_ms,
            g.first_ms,
            g.last_ms,
            g.hour_min,
            g.hour_max,
            signed(g.members)
        ])?;
    }
    lists(tx, delta)?;
    outcomes(tx, delta, groups)?;
    listings(tx, delta, groups)?;
    states(tx, delta)?;
    kept(tx, "INSERT OR REPLACE INTO pending VALUES (?1, ?2, ?3, ?4)", &pass.sends)?;
    kept(tx, "INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3, ?4)", &pass.records)?;
    let mut applied = tx.prepare_cached("INSERT OR REPLACE INTO applied VALUES (?1, ?2)")?;
    for (partition, seq) in &pass.seqs {
        applied.execute(params![partition.0, signed(*seq)])?;
    }
    Ok(())
}

/// Finds or makes the rows of all groups of the stretch, merged; written back when their members are known.
fn group_rows(tx: &Transaction<'_>, delta: &Delta) -> Result<Vec<(i64, GroupRecord)>, rusqlite::Error> {
    let mut find = tx.prepare_cached(
        "SELECT no, name, name_ms, owner, owner_ms, dismissed, dismissed_ms, first_ms, last_ms, hour_min, hour_max,
         members FROM grp WHERE account = ?1 AND grp = ?2",
    )?;
    let mut make = tx.prepare_cached(
        "INSERT INTO grp (part, account, grp, name_ms, owner_ms, dismissed, dismissed_ms, first_ms, last_ms, hour_min,
         hour_max, members) VALUES (?1, ?2, ?3, 0, 0, 0, 0, 0, 0, 0, 0, 0) RETURNING no",
    )?;
    let mut rows = Vec::with_capacity(delta.groups.len());
    for group in &delta.groups {
        let known = find
            .query_row(params![group.account, group.group], |row| {
                let record = GroupRecord {
                    name: row.get(1)?,
                    name_ms: row.get(2)?,
                    owner: row.get(3)?,
                    owner_ms: row.get(4)?,
                    dismissed: row.get(5)?,
                    dismissed_ms: row.get(6)?,
                    first_ms: row.get(7)?,
                    last_ms: row.get(8)?,
                    hour_min: row.get(9)?,
                    hour_max: row.get(10)?,
                    members: row.get(11).map(unsigned)?,
                };
                Ok((row.get(0)?, record))
            })
            .optional()?;
        let (no, record) = if let Some((no, record)) = known {
            (no, Some(record))
        } else {
            let key = params![group.partition.0, group.account, group.group];
            (make.query_row(key, |row| row.get(0))?, None)
        };
        rows.push((no, group.merge(record)));
    }
    Ok(rows)
}

fn lists(tx: &Transaction<'_>, delta: &Delta) -> Result<(), rusqlite::Error> {
    let mut upsert = tx.prepare_cached(
        "INSERT INTO list_count VALUES (?1, ?2, ?3, ?4) ON CONFLICT (hour, wordlist) DO UPDATE SET
         hits = hits + excluded.hits, shadow_hits = shadow_hits + excluded.shadow_hits",
    )?;
    for ((wordlist, hour), count) in &delta.lists {
        upsert.execute(params![hour, wordlist, signed(count.hits), signed(count.shadow_hits)])?;
    }
    Ok(())
}

fn outcomes(
    tx: &Transaction<'_>,
    delta: &Delta,
    groups: &[(i64, GroupRecord)],
) -> Result<(), rusqlite::Error> {
    let mut upsert = tx.prepare_cached(
        "INSERT INTO outcome VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (broadcast, grp, kind) DO UPDATE SET
         count = count + excluded.count, value_micros = value_micros + excluded.value_micros,
         last_ms = MAX(last_ms, excluded.last_ms)",
    )?;
    for ((group, broadcast, kind), sum) in &delta.outcomes {
        let group = groups[*group as usize].0;
        upsert.execute(params![broadcast, group, kind, signed(sum.count), sum.value_micros, sum.last_ms])?;
    }
    Ok(())
}

fn listings(
    tx: &Transaction<'_>,
    delta: &Delta,
    groups: &[(i64, GroupRecord)],
) -> Result<(), rusqlite::Error> {
    let mut hit = tx.prepare_cached(
        "INSERT OR REPLACE INTO hit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    for h in &delta.hits {
        hit.execute(params![
            groups[h.group as usize].0,
            signed(h.place.position),
            h.place.index,
            h.nth,
            h.at_ms,
            h.member,
            h.wordlist,
            h.category,
            signed(h.term),
            h.span.0,
            h.span.1,
            words::via(&h.via)
        ])?;
    }
    let mut late =
        tx.prepare_cached("INSERT OR REPLACE INTO late VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for l in &delta.lates {
        late.execute(params![
            groups[l.group as usize].0,
            signed(l.place.position),
            l.place.index,
            l.key.0.to_be_bytes(),
            l.at_ms,
            l.arrived_ms,
            l.member,
            words::event_type(l.what)
        ])?;
    }
    let mut message =
        tx.prepare_cached("INSERT OR REPLACE INTO case_message VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for m in &delta.case_messages {
        let (by, verdict) = (words::word(&m.by), words::word(&m.verdict));
        message.execute(params![m.case, m.at_ms, m.account, m.group, m.of, m.member, by, verdict])?;
    }
    let mut case = tx.prepare_cached(
        "INSERT INTO fleet_case VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET
         fingerprint = excluded.fingerprint, groups = excluded.groups, first_ms = excluded.first_ms,
         last_ms = MAX(last_ms, excluded.last_ms)",
    )?;
    for (id, c) in &delta.cases {
        case.execute(params![id, signed(c.fingerprint), words::groups(&c.groups), c.first_ms, c.last_ms])?;
    }
    // Of all its messages, in whichever stretch they came.
    let mut seen = tx.prepare_cached(
        "UPDATE fleet_case SET last_ms = MAX(last_ms, coalesce(
         (SELECT MAX(at_ms) FROM case_message WHERE fleet_case = ?1), last_ms)) WHERE id = ?1",
    )?;
    let sighted = delta.case_messages.iter().map(|message| &message.case);
    for id in delta.cases.keys().chain(sighted).collect::<BTreeSet<_>>() {
        seen.execute([id])?;
    }
    Ok(())
}

fn states(tx: &Transaction<'_>, delta: &Delta) -> Result<(), rusqlite::Error> {
    let mut write = tx.prepare_cached("INSERT OR REPLACE INTO state VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut remove = tx.prepare_cached("DELETE FROM state WHERE part = ?1 AND kind = ?2 AND key = ?3")?;
    for ((partition, kind, key), state) in &delta.states {
        let kind = words::state_kind(*kind);
        match &state.value {
            Some(value) => write.execute(params![partition.0, kind, key, value, state.expires_ms])?,
            None => remove.execute(params![partition.0, kind, key])?,
        };
    }
    Ok(())
}

fn kept(tx: &Transaction<'_>, sql: &str, rows: &[Kept]) -> Result<(), rusqlite::Error> {
    let mut insert = tx.prepare_cached(sql)?;
    for row in rows {
        insert.execute(params![signed(row.position), row.nth, row.time_ms, row.row])?;
    }
    Ok(())
}

/// Removes what has expired, once an hour (and lists once a day) of the events' own arrival times: no clock is read.
fn sweep(tx: &Transaction<'_>, config: &Config, before_ms: i64, now_ms: i64) -> Result<(), rusqlite::Error> {
    if now_ms / HOUR_MS == before_ms / HOUR_MS {
        return Ok(());
    }
    tx.execute("DELETE FROM state WHERE expires_ms <= ?1", [now_ms])?;
    tx.execute("DELETE FROM pending WHERE expires_ms <= ?1", [now_ms])?;
    if now_ms / (24 * HOUR_MS) == before_ms / (24 * HOUR_MS) {
        return Ok(());
    }
    let hits_ms = now_ms.saturating_sub(ms(config.hits_keep));
    tx.execute("DELETE FROM hit WHERE at_ms < ?1", [hits_ms])?;
    tx.execute("DELETE FROM list_count WHERE hour < ?1", [hits_ms.div_euclid(HOUR_MS)])?;
    tx.execute("DELETE FROM outcome WHERE last_ms < ?1", [hits_ms])?;
    tx.execute("DELETE FROM case_message WHERE at_ms < ?1", [hits_ms])?;
    tx.execute("DELETE FROM fleet_case WHERE last_ms < ?1", [hits_ms])?;
    tx.execute("DELETE FROM late WHERE arrived_ms < ?1", [hits_ms])?;
    tx.execute("DELETE FROM record WHERE at_ms < ?1", [now_ms.saturating_sub(ms(config.records_keep))])?;
    Ok(())
}
