//! Reading into the lanes: targets of broadcasts and replayed deliveries from the ledger, what did not fit from the journal.
//!
//! Memory stays bounded: a chunk is read when there is room for it. What a read returns may be stale by the time it
//! arrives, so whatever left memory meanwhile is not taken in again; the next scan finds it if it is still pending.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Done, Halt, Runner, Sending};
use crate::event::{AccountId, BroadcastId, DeliveryId};
use crate::outbox::delivery::{Delivery, Priority};
use crate::outbox::gate::Opens;
use crate::outbox::lanes::Queued;
use crate::outbox::limiter::Micros;
use crate::outbox::rows::queued_of;
use crate::storage::{
    DeliveryFilter, DeliveryRow, DeliveryState, Kinds, MASS_TARGET, SharedStorage, StorageError,
};
use crate::telemetry::metrics;

/// Targets a broadcast that has none in memory may read although there is no room: others that wait for limits of their own
/// must not keep it from sending. Few, since any number of broadcasts may do so.
const FOOTHOLD: usize = 16;

/// Whether a broadcast may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Running,
    Paused,
    Cancelled,
}

/// A scan through the pending rows of one broadcast, or of none.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one scan")]
pub(super) struct Feed {
    standing: Standing,
    /// How its targets are sent; `None` for the rows of no broadcast, and for one that was only ever stopped.
    sending: Option<Sending>,
    /// When the first of those opens that the gate held back, in milliseconds since the epoch.
    opens_ms: Option<i64>,
    /// Rows up to this one were seen by the current scan.
    cursor: Option<(String, u32, String)>,
    at_end: bool,
    /// Rows were added since the read under way began.
    more: bool,
    /// Rows were left in the ledger because a hold stops them.
    skipped: bool,
    /// The number of the current scan; what an earlier one still reads is not taken.
    scan: u64,
    is_loading: bool,
}

impl Feed {
    /// The rows of no broadcast.
    pub(super) fn ledger() -> Self {
        Self {
            standing: Standing::Running,
            sending: None,
            opens_ms: None,
            cursor: None,
            at_end: false,
            more: false,
            skipped: false,
            scan: 0,
            is_loading: false,
        }
    }

    pub(super) fn skipped(&mut self) {
        self.skipped = true;
    }

    /// Notes that the gate held one back.
    pub(super) fn gated(&mut self, opens: Opens) {
        if let Opens::At(at_ms) = opens {
            self.opens_ms = Some(self.opens_ms.map_or(at_ms, |earlier| earlier.min(at_ms)));
        }
    }

    fn opens(&self, delivery: &Delivery, now_ms: i64) -> Opens {
        let gate = self.sending.as_ref().and_then(|sending| sending.gate.as_ref());
        gate.map_or(Opens::Now, |gate| gate.opens(delivery, now_ms))
    }

    pub(super) fn rescan_skipped(&mut self) {
        if self.skipped {
            self.rescan();
        }
    }

    fn rescan(&mut self) {
        self.cursor = None;
        self.at_end = false;
        self.skipped = false;
        self.opens_ms = None;
        self.scan += 1;
    }
}

impl Runner {
    /// Starts sending a broadcast's targets, or looks for more of them.
    pub(super) fn feed(&mut self, broadcast: BroadcastId, sending: Sending) {
        let feed = self.feeds.entry(Some(broadcast)).or_insert_with(Feed::ledger);
        let same_gate = match (feed.sending.as_ref().and_then(|old| old.gate.as_ref()), &sending.gate) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        feed.sending = Some(sending);
        if feed.standing == Standing::Running && same_gate {
            feed.at_end = false;
            feed.more = true;
        } else {
            feed.standing = Standing::Running;
            feed.rescan();
        }
    }

    /// Looks through all pending rows from the start again.
    pub(super) fn rescan(&mut self) {
        self.feeds.values_mut().for_each(Feed::rescan);
    }

    /// Looks through the pending rows of no broadcast from the start again.
    pub(super) fn look_again(&mut self) {
        if let Some(feed) = self.feeds.get_mut(&None) {
            feed.rescan();
        }
    }

    /// Stops a broadcast: what waits in memory is dropped, what is called goes on, what is refused stays or is called off.
    pub(super) fn halt(&mut self, broadcast: &BroadcastId, halt: Halt) {
        let key = Some(broadcast.clone());
        match halt {
            Halt::Finish => {
                self.feeds.remove(&key);
            }
            Halt::Pause | Halt::Cancel => {
                let feed = self.feeds.entry(key).or_insert_with(Feed::ledger);
                feed.standing = if halt == Halt::Pause { Standing::Paused } else { Standing::Cancelled };
                feed.scan += 1; // a read under way is not taken
            }
        }
        self.lanes.drop_broadcast(broadcast.as_str());
    }

    pub(super) fn standing_of(&self, queued: &Queued) -> Standing {
        let Some((broadcast, _)) = &queued.delivery.broadcast else { return Standing::Running };
        // A broadcast that nobody feeds (an old uncertain target was resolved): the row waits for the next scan.
        self.feeds.get(&Some(broadcast.clone())).map_or(Standing::Paused, |feed| feed.standing)
    }

    pub(super) fn text_of(&self, queued: &Queued) -> Option<Arc<str>> {
        let (broadcast, _) = queued.delivery.broadcast.as_ref()?;
        Some(Arc::clone(&self.feeds.get(&Some(broadcast.clone()))?.sending.as_ref()?.text))
    }

    /// Says whether the gate of its broadcast lets one leave.
    pub(super) fn gate(&self, delivery: &Delivery) -> Opens {
        let Some((broadcast, _)) = &delivery.broadcast else { return Opens::Now };
        let feed = self.feeds.get(&Some(broadcast.clone()));
        feed.map_or(Opens::Now, |feed| feed.opens(delivery, self.now_ms()))
    }

    /// Leaves a target whose gate has shut meanwhile to the ledger.
    pub(super) fn shut_out(&mut self, delivery: &Delivery) {
        let opens = self.gate(delivery);
        let feed = delivery.broadcast.as_ref().and_then(|(id, _)| self.feeds.get_mut(&Some(id.clone())));
        if let Some(feed) = feed {
            feed.gated(opens);
        }
        self.forget(&delivery.id);
    }

    /// Looks through the rows again of every broadcast whose gate has opened for some.
    pub(super) fn open_gates(&mut self) {
        let now_ms = self.now_ms();
        for feed in self.feeds.values_mut() {
            if feed.opens_ms.is_some_and(|at_ms| at_ms <= now_ms) {
                feed.rescan();
            }
        }
    }

    /// Returns when the next gate opens.
    pub(super) fn gate_at(&self) -> Option<Micros> {
        let running = self.feeds.values().filter(|feed| feed.standing == Standing::Running);
        let opens_ms = running.filter_map(|feed| feed.opens_ms).min()?;
        Some(self.now().saturating_add(opens_ms.saturating_sub(self.now_ms()).max(0).saturating_mul(1000)))
    }

    /// Starts a read for every scan that has room and more to read.
    pub(super) fn start_reads(&mut self) {
        let chunk = self.shared.config.load_rows.max(1);
        let mut room = self.lanes.room(Priority::Bulk);
        let is_held = |broadcast: &BroadcastId| self.shared.holds.stops_targets(&self.account, broadcast);
        for (broadcast, feed) in &mut self.feeds {
            let waiting =
                broadcast.as_ref().map_or_else(|| self.lanes.len(), |b| self.lanes.waiting_of(b.as_str()));
            let wanted = feed.standing == Standing::Running && !feed.at_end && !feed.is_loading;
            let foothold = if broadcast.is_some() && waiting == 0 { FOOTHOLD } else { 0 };
            let limit = chunk.min(room.max(foothold));
            if !wanted || waiting > chunk / 2 || limit == 0 || broadcast.as_ref().is_some_and(is_held) {
                continue;
            }
            room = room.saturating_sub(limit);
            feed.is_loading = true;
            feed.more = false;
            self.reads += 1;
            let filter = DeliveryFilter {
                broadcast: Some(broadcast.as_ref().map_or_else(String::new, ToString::to_string)),
                states: vec![DeliveryState::Pending],
                account: Some(self.account.as_str().to_owned()),
                // A mass send carries them.
                kinds: Kinds::Not(MASS_TARGET),
                after: feed.cursor.clone(),
                limit,
                ..DeliveryFilter::default()
            };
            let (storage, broadcast, scan) = (Arc::clone(&self.shared.storage), broadcast.clone(), feed.scan);
            self.work.spawn(async move {
                let rows = storage.deliveries(filter).await.map(|rows| (rows.len() < limit, rows));
                Done::Loaded { feed: broadcast, scan, rows }
            });
        }
    }

    pub(super) fn loaded(
        &mut self,
        broadcast: Option<&BroadcastId>,
        scan: u64,
        rows: Result<(bool, Vec<DeliveryRow>), StorageError>,
    ) {
        let key = broadcast.cloned();
        // It is taken out while its rows go into the lanes.
        if let Some(mut feed) = self.feeds.remove(&key) {
            feed.is_loading = false;
            match rows {
                Ok((was_last, rows)) if feed.scan == scan && feed.standing == Standing::Running => {
                    feed.at_end = was_last && !feed.more;
                    self.take_in(&mut feed, rows, key.is_some());
                }
                Ok(_stale) => {}
                Err(error) => self.ledger_failed("read deliveries", &error),
            }
            self.feeds.insert(key, feed);
        }
        self.read_ended();
    }

    fn take_in(&mut self, feed: &mut Feed, rows: Vec<DeliveryRow>, is_broadcast: bool) {
        let (now, now_ms) = (self.now(), self.now_ms());
        let attempts_max = self.shared.config.retry.attempts_max;
        let text = feed.sending.as_ref().map(|sending| Arc::clone(&sending.text));
        let mut taken = 0_usize;
        for row in rows {
            let mut queued = match queued_of(&row, text.as_deref(), attempts_max, now, now_ms) {
                Ok(queued) => queued,
                Err(error) => {
                    tracing::error!(delivery.id = row.id, %error, "a delivery cannot be read and is left where it is");
                    feed.cursor = Some((row.broadcast, row.target, row.id));
                    continue;
                }
            };
            let id = &queued.delivery.id;
            if !self.lanes.contains(id) && !self.left_meanwhile.contains(id) {
                if self.lanes.room(queued.delivery.priority) == 0 && !(is_broadcast && taken < FOOTHOLD) {
                    feed.at_end = false;
                    break;
                }
                let opens = feed.opens(&queued.delivery, now_ms);
                if is_broadcast && self.shared.holds.stopping(&queued.delivery).is_some() {
                    feed.skipped = true;
                } else if let Some(wait_ms) = soon(opens, now_ms) {
                    queued.due = queued.due.max(now.saturating_add(wait_ms.saturating_mul(1000)));
                    self.lanes.push(now, queued);
                    taken += 1;
                } else {
                    feed.gated(opens);
                }
            }
            feed.cursor = Some((row.broadcast, row.target, row.id));
        }
        if is_broadcast {
            metrics::sends_queued("broadcast", taken as u64);
        }
    }

    /// Reads what did not fit from the journal, now that there is room.
    pub(super) fn read_journal(&mut self) {
        if self.reading_journal {
            return;
        }
        self.reading_journal = true;
        self.reads += 1;
        self.handle.overflow.store(false, Ordering::Relaxed);
        let (storage, account) = (Arc::clone(&self.shared.storage), self.account.clone());
        let now_ms = self.now_ms();
        let room = self.lanes.room(Priority::Normal);
        self.work.spawn(async move { Done::ReadJournal(unfinished(storage, account, now_ms, room).await) });
    }

    pub(super) fn journal_read(&mut self, deliveries: Result<(bool, Vec<Delivery>), StorageError>) {
        self.reading_journal = false;
        let overflow = match deliveries {
            Ok((has_more, deliveries)) => {
                let fresh =
                    |d: &Delivery| !self.lanes.contains(&d.id) && !self.left_meanwhile.contains(&d.id);
                let fresh = deliveries.into_iter().filter(fresh).collect();
                self.submit(fresh);
                has_more
            }
            Err(error) => {
                tracing::error!(account.id = %self.account, %error, "what waits in the journal could not be read");
                true
            }
        };
        if overflow {
            self.handle.overflow.store(true, Ordering::Relaxed);
        }
        self.read_ended();
    }

    fn read_ended(&mut self) {
        self.reads -= 1;
        if self.reads == 0 {
            self.left_meanwhile.clear();
        }
    }
}

/// What opens within so many milliseconds is taken in and waits in memory: targets that are spread over hours then cost
/// one scan in so long, not one each.
const OPENS_SOON_MS: i64 = 60_000;

/// Returns in how many milliseconds it opens, if that is soon.
fn soon(opens: Opens, now_ms: i64) -> Option<i64> {
    match opens {
        Opens::Now => Some(0),
        // A millisecond more: the clock that tells milliseconds may show one less than there is.
        Opens::At(at_ms) => {
            Some(at_ms.saturating_sub(now_ms) + 1).filter(|wait_ms| *wait_ms <= OPENS_SOON_MS)
        }
        Opens::Undecided => None,
    }
}

/// Returns what the journal asks an account to send and the ledger has never heard of, at most `limit`, and whether
/// there is more.
async fn unfinished(
    storage: SharedStorage,
    account: AccountId,
    now_ms: i64,
    limit: usize,
) -> Result<(bool, Vec<Delivery>), StorageError> {
    let pending = crate::outbox::pending_in_journal(&storage, now_ms).await?;
    let mut found = Vec::new();
    for delivery in pending.into_iter().filter(|delivery| delivery.account == account) {
        if found.len() == limit {
            return Ok((true, found));
        }
        if !is_in_ledger(&storage, &delivery.id).await? {
            found.push(delivery);
        }
    }
    Ok((false, found))
}

/// Says whether the ledger knows a delivery.
pub(in crate::outbox) async fn is_in_ledger(
    storage: &SharedStorage,
    id: &DeliveryId,
) -> Result<bool, StorageError> {
    let filter = DeliveryFilter { id: Some(id.as_str().to_owned()), limit: 1, ..DeliveryFilter::default() };
    Ok(!storage.deliveries(filter).await?.is_empty())
}
