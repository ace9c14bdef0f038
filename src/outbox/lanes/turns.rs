//! Whose turn it is among the queues that could send: priorities with guaranteed shares, broadcasts by deficit round robin.
//!
//! Not for: what is in a queue. Invariant: a queue is listed at most once. Layer: pure core.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::{Class, LanesConfig, QueueKey};

/// The queues that are ready, in turn.
#[derive(Debug)]
pub(super) struct Turns {
    normal_share_percent: u32,
    bulk_share_percent: u32,
    broadcast_turn_cost: u32,
    urgent: VecDeque<QueueKey>,
    normal: VecDeque<QueueKey>,
    bulk: HashMap<u64, Broadcast>,
    /// Broadcasts with a ready queue, in turn.
    broadcasts: VecDeque<u64>,
    /// What normal and bulk have earned by watching others go first; see [`Self::sent`].
    normal_credit: u32,
    bulk_credit: u32,
}

#[derive(Debug, Default)]
struct Broadcast {
    ready: VecDeque<QueueKey>,
    deficit: u32,
}

impl Turns {
    pub(super) fn new(config: &LanesConfig) -> Self {
        Self {
            normal_share_percent: config.normal_share_percent.min(100),
            bulk_share_percent: config.bulk_share_percent.min(100),
            broadcast_turn_cost: config.broadcast_turn_cost.max(1),
            urgent: VecDeque::new(),
            normal: VecDeque::new(),
            bulk: HashMap::new(),
            broadcasts: VecDeque::new(),
            normal_credit: 0,
            bulk_credit: 0,
        }
    }

    /// Lists a queue, at the end of its kind.
    pub(super) fn list(&mut self, key: QueueKey) {
        match key.class {
            Class::Urgent => self.urgent.push_back(key),
            Class::Normal => self.normal.push_back(key),
            Class::Bulk(number) => {
                let broadcast = self.bulk.entry(number).or_default();
                if broadcast.ready.is_empty() {
                    self.broadcasts.push_back(number);
                }
                broadcast.ready.push_back(key);
            }
        }
    }

    /// Takes a queue off its list.
    pub(super) fn unlist(&mut self, key: QueueKey) {
        match key.class {
            Class::Urgent => remove(&mut self.urgent, key),
            Class::Normal => remove(&mut self.normal, key),
            Class::Bulk(number) => {
                let Some(broadcast) = self.bulk.get_mut(&number) else { return };
                remove(&mut broadcast.ready, key);
                if broadcast.ready.is_empty() {
                    broadcast.deficit = 0; // a broadcast with nothing to send saves nothing up
                    self.broadcasts.retain(|other| *other != number);
                }
            }
        }
    }

    /// Returns the queues that take turns with this one, it among them, in turn.
    pub(super) fn listed_with(&self, key: QueueKey) -> impl Iterator<Item = &QueueKey> {
        let list = match key.class {
            Class::Urgent => Some(&self.urgent),
            Class::Normal => Some(&self.normal),
            Class::Bulk(number) => self.bulk.get(&number).map(|broadcast| &broadcast.ready),
        };
        list.into_iter().flatten()
    }

    /// Forgets a broadcast with all its queues.
    pub(super) fn drop_broadcast(&mut self, number: u64) {
        self.bulk.remove(&number);
        self.broadcasts.retain(|other| *other != number);
    }

    /// Returns the queue whose turn it is. `cost_of` is the cost of a listed queue's head.
    pub(super) fn pick(&mut self, cost_of: impl Fn(QueueKey) -> u32) -> Option<QueueKey> {
        let owed = |credit: u32, share: u32| share > 0 && credit >= 100 - share;
        if owed(self.bulk_credit, self.bulk_share_percent)
            && let Some(key) = self.pick_bulk(&cost_of)
        {
            return Some(key);
        }
        if owed(self.normal_credit, self.normal_share_percent)
            && let Some(key) = self.normal.front()
        {
            return Some(*key);
        }
        match self.urgent.front().or(self.normal.front()) {
            Some(key) => Some(*key),
            None => self.pick_bulk(&cost_of),
        }
    }

    /// Returns the urgent queue whose turn it is.
    pub(super) fn pick_urgent(&self) -> Option<QueueKey> {
        self.urgent.front().copied()
    }

    /// A broadcast's turn lasts until it has sent its share of cost.
    fn pick_bulk(&mut self, cost_of: &impl Fn(QueueKey) -> u32) -> Option<QueueKey> {
        loop {
            let broadcast = self.bulk.get_mut(self.broadcasts.front()?)?;
            let key = *broadcast.ready.front()?;
            if broadcast.deficit >= cost_of(key) {
                return Some(key);
            }
            broadcast.deficit = broadcast.deficit.saturating_add(self.broadcast_turn_cost);
            self.broadcasts.rotate_left(1);
        }
    }

    /// Notes that the head of a queue goes out, after the queue was taken off its list. Whoever has something ready and
    /// sees a higher priority go first earns its share in percent; it may go first for a hundred less its share: then it
    /// has had exactly its share of all.
    pub(super) fn sent(&mut self, key: QueueKey, cost: u32) {
        let (normal_share, bulk_share) = (self.normal_share_percent, self.bulk_share_percent);
        let normal_waits = !self.normal.is_empty();
        let bulk_waits = !self.broadcasts.is_empty();
        let earn = |credit: u32, share: u32, waits: bool| if waits { (credit + share).min(200) } else { 0 };
        match key.class {
            Class::Urgent => {
                self.normal_credit = earn(self.normal_credit, normal_share, normal_waits);
                self.bulk_credit = earn(self.bulk_credit, bulk_share, bulk_waits);
            }
            Class::Normal => {
                self.normal_credit = self.normal_credit.saturating_sub(100 - normal_share);
                self.bulk_credit = earn(self.bulk_credit, bulk_share, bulk_waits);
            }
            Class::Bulk(number) => {
                self.bulk_credit = self.bulk_credit.saturating_sub(100 - bulk_share);
                if let Some(broadcast) = self.bulk.get_mut(&number) {
                    broadcast.deficit = broadcast.deficit.saturating_sub(cost);
                }
            }
        }
    }
}

/// Nearly always the first.
fn remove(list: &mut VecDeque<QueueKey>, key: QueueKey) {
    if list.pop_front_if(|first| *first == key).is_none() {
        list.retain(|other| *other != key);
    }
}
