//! The rows of the ledger in memory.

use std::collections::BTreeMap;

use crate::storage::*;

pub(super) type DeliveryKey = (String, u32, String);

#[derive(Clone, Default)]
pub(super) struct Tables {
    pub(super) deliveries: BTreeMap<DeliveryKey, DeliveryRow>,
    pub(super) by_id: BTreeMap<String, DeliveryKey>,
    pub(super) attempts: BTreeMap<(String, u32), (String, AttemptRow)>,
    pub(super) outcomes: BTreeMap<(String, u32), Settlement>,
    pub(super) documents: BTreeMap<(&'static str, String), Document>,
    pub(super) idempotency: BTreeMap<String, IdempotencyRecord>,
    pub(super) audit: Vec<AuditEntry>,
    /// What was told of broadcasts.
    pub(super) told: Vec<StatusChange>,
    pub(super) journal: Vec<PendingSend>,
}

impl Tables {
    pub(super) fn add(&mut self, row: DeliveryRow) {
        self.by_id.insert(row.id.clone(), key(&row));
        self.deliveries.entry(key(&row)).or_insert(row);
    }

    pub(super) fn by_id(&mut self, id: &str) -> Option<&mut DeliveryRow> {
        self.deliveries.get_mut(self.by_id.get(id)?)
    }

    pub(super) fn carry(&mut self, one: Carried) {
        let Some(row) = self.by_id(&one.id) else { return };
        let changes = row.state != one.state || row.carrier != one.carrier;
        if changes && row.carrier == one.from && one.sources(&row.kind).contains(&row.state) {
            (row.state, row.carrier, row.updated_ms) = (one.state, one.carrier, one.at_ms);
            (row.code, row.detail, row.platform_id) = (one.code, one.detail, one.platform_id);
        }
    }

    /// Rows that may pass a filter: one by id, or those from its cursor or broadcast on.
    pub(super) fn rows<'a>(
        &'a self,
        filter: &'a DeliveryFilter,
    ) -> Box<dyn Iterator<Item = &'a DeliveryRow> + Send + 'a> {
        if let Some(id) = &filter.id {
            return Box::new(self.by_id.get(id).and_then(|key| self.deliveries.get(key)).into_iter());
        }
        let from = filter.after.clone().or_else(|| Some((filter.broadcast.clone()?, 0, String::new())));
        Box::new(self.deliveries.range(from.unwrap_or_default()..).map(|(_, row)| row))
    }
}

pub(super) fn key(row: &DeliveryRow) -> DeliveryKey {
    (row.broadcast.clone(), row.target, row.id.clone())
}

pub(super) fn passes(row: &DeliveryRow, filter: &DeliveryFilter) -> bool {
    filter.broadcast.as_ref().is_none_or(|broadcast| *broadcast == row.broadcast)
        && filter.account.as_ref().is_none_or(|account| *account == row.account)
        && filter.id.as_ref().is_none_or(|id| *id == row.id)
        && filter.group.as_ref().is_none_or(|group| *group == row.group)
        && filter.kinds.contains(&row.kind)
        && filter.kind.as_ref().is_none_or(|kind| *kind == row.kind)
        && filter.code.as_ref().is_none_or(|code| *code == row.code)
        && filter.from_ms.is_none_or(|from_ms| row.updated_ms >= from_ms)
        && filter.until_ms.is_none_or(|until_ms| row.updated_ms < until_ms)
        && filter.carrier.is_none_or(|carrier| carrier == row.carrier)
        && filter.unsaid.is_none_or(|unsaid| row.is_unsaid() == unsaid)
        && (filter.states.is_empty() || filter.states.contains(&row.state))
        && filter.after.as_ref().is_none_or(|after| key(row) > *after)
}
