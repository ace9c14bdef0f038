//! Sealed texts as a list.

use async_trait::async_trait;

use super::Memory;
use super::disk::Data;
use super::ledger::all_if_zero;
use crate::event::EvidenceKind;
use crate::storage::{
    EvidenceOf, EvidenceQuery, EvidenceRoom, EvidenceRow, EvidenceStore, EvidenceStored, EvidenceTotals,
    StorageError,
};

/// Everything kept, in the order it came in.
#[derive(Debug, Default)]
pub(super) struct EvidenceData {
    rows: Vec<EvidenceRow>,
    last_seq: u64,
}

impl EvidenceData {
    fn totals(&self) -> EvidenceTotals {
        EvidenceTotals { rows: self.rows.len() as u64, bytes: self.rows.iter().map(EvidenceRow::bytes).sum() }
    }

    fn keep(&mut self, rows: Vec<EvidenceRow>, room: EvidenceRoom) -> EvidenceStored {
        let mut refused = 0;
        for row in rows {
            if self.rows.iter().any(|known| known.id == row.id) {
                continue;
            }
            if !self.make_room(row.bytes(), room) {
                refused += 1;
                continue;
            }
            self.last_seq += 1;
            let row = EvidenceRow { seq: self.last_seq, ..row };
            let is_history_of_group = |other: &EvidenceRow| {
                other.kind == EvidenceKind::History
                    && other.account == row.account
                    && other.group == row.group
            };
            let mut times: Vec<_> =
                self.rows.iter().chain([&row]).filter(|r| is_history_of_group(r)).collect();
            times.sort_by_key(|r| std::cmp::Reverse((r.at_ms, r.seq)));
            let over: Vec<u64> = times.iter().skip(room.group_history_max as usize).map(|r| r.seq).collect();
            self.rows.push(row);
            self.rows.retain(|r| !over.contains(&r.seq));
        }
        EvidenceStored { refused, totals: self.totals() }
    }

    fn make_room(&mut self, bytes: u64, room: EvidenceRoom) -> bool {
        loop {
            let now = self.totals();
            if now.rows < room.rows_max && now.bytes.saturating_add(bytes) <= room.bytes_max {
                return true;
            }
            let Some(oldest) = self.rows.iter().position(|row| row.kind == EvidenceKind::History) else {
                return false;
            };
            self.rows.remove(oldest);
        }
    }
}

impl Memory {
    /// Changes what is kept; fails when the ledger is told to fail: they share the disk.
    fn evidence_write<T>(&self, work: impl FnOnce(&mut Data) -> T) -> Result<T, StorageError> {
        if self.disk.faults.ledger_fails() {
            return Err(StorageError::failed("keep evidence", "the disk was told to fail"));
        }
        Ok(work(&mut self.disk.data.lock()))
    }
}

#[async_trait]
impl EvidenceStore for Memory {
    async fn evidence_keep(
        &self,
        rows: Vec<EvidenceRow>,
        room: EvidenceRoom,
    ) -> Result<EvidenceStored, StorageError> {
        self.evidence_write(|data| data.evidence.keep(rows, room))
    }

    fn evidence_row(&self, id: &str, now_ms: i64) -> Result<Option<EvidenceRow>, StorageError> {
        let data = self.disk.data.lock();
        Ok(data.evidence.rows.iter().find(|row| row.id == id && row.expires_ms > now_ms).cloned())
    }

    fn evidence_page(&self, query: &EvidenceQuery) -> Result<Vec<EvidenceRow>, StorageError> {
        let data = self.disk.data.lock();
        let matching = |row: &&EvidenceRow| {
            row.seq > query.after
                && row.at_ms >= query.since_ms
                && row.expires_ms > query.now_ms
                && query
                    .group
                    .as_ref()
                    .is_none_or(|(account, group)| row.account == *account && row.group == *group)
        };
        Ok(data.evidence.rows.iter().filter(matching).take(all_if_zero(query.limit)).cloned().collect())
    }

    fn evidence_groups(&self, account: &str, member: Option<&str>) -> Result<Vec<String>, StorageError> {
        let data = self.disk.data.lock();
        let of_member =
            |row: &&EvidenceRow| row.account == account && member.is_none_or(|member| row.member == member);
        let mut groups: Vec<_> =
            data.evidence.rows.iter().filter(of_member).map(|row| row.group.clone()).collect();
        groups.sort_unstable();
        groups.dedup();
        Ok(groups)
    }

    async fn evidence_erase(&self, what: Vec<EvidenceOf>) -> Result<u64, StorageError> {
        self.evidence_write(|data| {
            let before = data.evidence.rows.len();
            data.evidence.rows.retain(|row| {
                !what.iter().any(|of| {
                    of.account == row.account
                        && of.group == row.group
                        && of.member.as_ref().is_none_or(|member| *member == row.member)
                })
            });
            (before - data.evidence.rows.len()) as u64
        })
    }

    async fn evidence_prune(&self, now_ms: i64) -> Result<(u64, EvidenceTotals), StorageError> {
        self.evidence_write(|data| {
            let before = data.evidence.rows.len();
            data.evidence.rows.retain(|row| row.expires_ms > now_ms);
            ((before - data.evidence.rows.len()) as u64, data.evidence.totals())
        })
    }
}
