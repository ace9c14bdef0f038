//! Reads partitions' states from storage: sealed hours, small state, then the journal's recent rows.

use crate::dedupe::{self, Filter};
use crate::event::{HOUR_MS, PARTITIONS, Partition};
use crate::pipeline::PartitionState;
use crate::storage::{Storage, StorageError, visit_effects};

/// Returns the states of the `wanted` partitions, in their order. Blocking.
///
/// Rows are replayed from the hour of the last complete sealing on: what arrived before is in the sealed hours. Rows
/// are filed by arrival or by the event's own hour, whichever is later, so a late arrival is among them.
///
/// # Errors
/// When storage cannot be read, or holds what this version does not know.
pub fn states(
    storage: &dyn Storage,
    wanted: &[Partition],
    config: &dedupe::Config,
    now_ms: i64,
) -> Result<Vec<PartitionState>, StorageError> {
    let mut slots: Vec<Option<PartitionState>> = (0..PARTITIONS).map(|_| None).collect();
    for partition in wanted {
        slots[usize::from(partition.0)] = Some(PartitionState::default());
    }
    let oldest = dedupe::bucket_of(now_ms - i64::try_from(config.window.as_millis()).unwrap_or(i64::MAX));
    let mut replay_from = dedupe::bucket_of(now_ms - HOUR_MS);
    for partition in wanted {
        let sealed_before = storage.sealed_before(*partition)?.unwrap_or(oldest);
        replay_from = replay_from.min(sealed_before);
        let Some(state) = slots.get_mut(usize::from(partition.0)).and_then(Option::as_mut) else { continue };
        for hour in storage.sealed(*partition)? {
            let filter = Filter::from_bytes(&hour.filter).map_err(|error| StorageError::Unreadable {
                what: format!("dedupe hour {} of partition {}", hour.bucket, partition.0),
                detail: error.to_string(),
            })?;
            state.dedupe.insert_sealed(hour.bucket, filter);
        }
    }
    for row in storage.states(now_ms)? {
        if let Some(state) = slots.get_mut(usize::from(row.partition.0)).and_then(Option::as_mut) {
            state.small.set(row.kind, &row.key, Some(&row.value), row.expires_ms);
        }
    }
    storage.replay(replay_from.max(oldest), &mut |row| {
        if let Some(state) = slots.get_mut(usize::from(row.partition.0)).and_then(Option::as_mut) {
            visit_effects(&row, |effects| state.apply(effects))?;
        }
        Ok(())
    })?;
    Ok(wanted.iter().map(|p| slots[usize::from(p.0)].take().unwrap_or_default()).collect())
}
