//! The log of state changes, found by comparing what was with what is.

use super::ledger::LedgerData;
use crate::storage::{
    DeliveryRow, DeliveryState, DocumentKind, MASS_SENDS_FROM, StatusChange, StatusSpan, Subject,
};

impl LedgerData {
    /// Writes down which deliveries stand elsewhere than before, and where broadcasts do.
    pub(super) fn tell(&mut self, before: &Self) {
        let moved = self.deliveries.values().filter(|row| {
            let was = before.deliveries.get(&row.id).map(|row| row.state);
            row.target < MASS_SENDS_FROM && is_told(was, row.state)
        });
        let kind = DocumentKind::Endpoint.as_str();
        let listens = self.documents.keys().any(|(of, _)| *of == kind);
        let mut changes: Vec<_> = moved.filter(|_| listens).map(change_of).collect();
        for change in std::mem::take(&mut self.telling) {
            let last = self.told.iter().rfind(|told| told.subject == change.subject && told.id == change.id);
            if !change.subject.stands() || last.is_none_or(|last| last.state != change.state) {
                changes.push(change);
            }
        }
        for change in changes {
            self.told_last += 1;
            self.told.push(StatusChange { seq: self.told_last, ..change });
        }
    }

    pub(super) fn status_changes(&self, after: u64, limit: usize) -> Vec<StatusChange> {
        let later = self.told.iter().filter(|change| change.seq > after);
        later.take(super::ledger::all_if_zero(limit)).cloned().collect()
    }

    pub(super) fn status_span(&self) -> StatusSpan {
        let first = self.told.first().map_or(self.told_last + 1, |change| change.seq);
        StatusSpan { first, last: self.told_last }
    }

    pub(super) fn status_since(&self, from_ms: i64) -> u64 {
        let first = self.told.iter().find(|change| change.at_ms >= from_ms);
        first.map_or(self.told_last + 1, |change| change.seq)
    }

    pub(super) fn status_forget(&mut self, through: u64) -> u64 {
        let count = self.told.len();
        self.told.retain(|change| change.seq > through);
        (count - self.told.len()) as u64
    }
}

fn is_told(was: Option<DeliveryState>, is: DeliveryState) -> bool {
    use DeliveryState::{Pending, Sending};
    match was {
        None => !matches!(is, Pending | Sending),
        Some(was) => was != is && is != Sending && (is != Pending || was != Sending),
    }
}

fn change_of(row: &DeliveryRow) -> StatusChange {
    StatusChange {
        seq: 0,
        at_ms: row.updated_ms,
        subject: Subject::Delivery,
        id: row.id.clone(),
        broadcast: row.broadcast.clone(),
        target: row.target,
        account: row.account.clone(),
        group: row.group.clone(),
        kind: row.kind.clone(),
        state: row.state.as_str().to_owned(),
        attempts: row.attempts,
        code: row.code.clone(),
        platform_id: row.platform_id.clone(),
        context: String::new(),
    }
}
