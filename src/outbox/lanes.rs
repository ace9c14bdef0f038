//! Who goes next: one account's deliveries in memory, by priority, broadcast and group.
//!
//! ```text
//! urgent ─ queues of groups, in turn ─┐
//! normal ─ queues of groups, in turn ─┼─ offer() → the owner asks the pacer → take() or wait_…()
//! bulk ─┬─ broadcast 1 ─ queues of … ─┘
//!       └─ broadcast 2 ─ …              deficit round robin
//! ```
//!
//! Each (priority or broadcast, group) is one queue whose order is kept: it has at most one call under way, and only its
//! head is ever offered. A queue that must wait for its group's limit sleeps in one heap by the time the pacer named, so
//! nothing is asked twice and nothing wakes in herds. `urgent` goes before `normal` before `bulk`, except that normal and
//! bulk are guaranteed a share of the sends while they have any.
//!
//! Not for: limits, holds, storage, time-keeping. Invariant: what is in here is also in the journal or the ledger, so that
//! losing it loses nothing. Layer: pure core.

mod queue;
mod spot;
mod turns;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};

use super::delivery::{Delivery, Priority};
use super::limiter::Micros;
use super::pacer::GroupNo;
use crate::event::DeliveryId;
use queue::{Queue, Standing};
pub use spot::Spot;
use turns::Turns;

/// How sends are shared between priorities.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LanesConfig {
    /// Deliveries held in memory per account; what is beyond waits in the journal or the ledger.
    pub ready_max: usize,
    /// Share of the sends that replies get while moderation actions wait too, in percent.
    pub normal_share_percent: u32,
    /// Share of the sends that broadcasts get while anything else waits too, in percent.
    pub bulk_share_percent: u32,
    /// Cost that one broadcast may send before the next one's turn.
    pub broadcast_turn_cost: u32,
}

impl Default for LanesConfig {
    fn default() -> Self {
        Self { ready_max: 8192, normal_share_percent: 15, bulk_share_percent: 5, broadcast_turn_cost: 8 }
    }
}

/// A delivery with what its runner must know.
#[derive(Clone, Debug)]
pub struct Queued {
    /// What is to be sent.
    pub delivery: Arc<Delivery>,
    /// Calls made over its whole life.
    pub attempts: u32,
    /// Calls of these that do not count against the retries: it was replayed after them.
    pub attempts_before: u32,
    /// The last attempt asked for a fresh credential.
    pub refreshed: bool,
    /// The ledger has a row for it.
    pub in_ledger: bool,
    /// Since when it could have been sent, limits aside; for its age.
    pub due: Micros,
}

/// One queue's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueKey {
    class: Class,
    group: GroupNo,
}

impl QueueKey {
    /// Returns the group.
    pub fn group(&self) -> GroupNo {
        self.group
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Class {
    Urgent,
    Normal,
    Bulk(u64),
}

/// How many deliveries wait, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Depth {
    /// May go as soon as the account's limits let them.
    pub ready: usize,
    /// Wait for a group's limit, for a call to the same group to end, or for a retry.
    pub delayed: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Lanes {
    config: LanesConfig,
    /// Everything queued, delayed or lent out ([`Self::take`]); guards against queueing twice.
    ids: HashSet<DeliveryId>,
    /// Of these, not lent out.
    waiting: usize,
    group_numbers: HashMap<Arc<str>, GroupNo>,
    broadcast_numbers: HashMap<Arc<str>, u64>,
    queues: HashMap<QueueKey, Queue>,
    turns: Turns,
    /// Waiting deliveries of each broadcast, ready or not.
    waiting_of: HashMap<u64, usize>,
    /// When sleeping queues wake; entries whose queue has moved on meanwhile are stale.
    sleeping: BinaryHeap<Reverse<(Micros, u64, QueueKeyOrd)>>,
    /// Queues that wait for any call to their group to end.
    at_group: HashMap<GroupNo, Vec<QueueKey>>,
    /// Retries and what is not due yet.
    later: BTreeMap<(Micros, u64), Later>,
    serial: u64,
}

/// A delivery that is not due yet.
#[derive(Debug)]
struct Later {
    key: QueueKey,
    queued: Queued,
    /// Its queue waits for it.
    blocks: bool,
}

/// A key inside a heap: the order of equal times does not matter, but a heap wants one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct QueueKeyOrd(QueueKey);

impl PartialOrd for QueueKeyOrd {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for QueueKeyOrd {
    fn cmp(&self, _other: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal // the serial number before it in the tuple has decided already
    }
}

impl Lanes {
    /// Makes empty lanes.
    pub fn new(config: LanesConfig) -> Self {
        Self {
            ids: HashSet::new(),
            waiting: 0,
            group_numbers: HashMap::new(),
            broadcast_numbers: HashMap::new(),
            queues: HashMap::new(),
            turns: Turns::new(&config),
            config,
            waiting_of: HashMap::new(),
            sleeping: BinaryHeap::new(),
            at_group: HashMap::new(),
            later: BTreeMap::new(),
            serial: 0,
        }
    }

    /// Returns how many more deliveries fit. Broadcasts leave a quarter of the room to everything else.
    pub fn room(&self, priority: Priority) -> usize {
        let max = match priority {
            Priority::Urgent | Priority::Normal => self.config.ready_max,
            Priority::Bulk => self.config.ready_max - self.config.ready_max / 4,
        };
        max.saturating_sub(self.ids.len())
    }

    /// Says whether half of the room is free.
    pub fn is_half_empty(&self) -> bool {
        self.ids.len() <= self.config.ready_max / 2
    }

    /// Says whether a delivery is in here, or lent out.
    pub fn contains(&self, id: &DeliveryId) -> bool {
        self.ids.contains(id)
    }

    /// Returns a group's number, giving it one if it has none. Numbers last as long as the lanes.
    pub fn group_no(&mut self, group: &str) -> GroupNo {
        if let Some(number) = self.group_numbers.get(group) {
            return *number;
        }
        let number = GroupNo(u32::try_from(self.group_numbers.len()).unwrap_or(u32::MAX));
        self.group_numbers.insert(Arc::from(group), number);
        number
    }

    /// Takes a delivery in, to be sent from `queued.due` on; one that is here already is left alone. The caller has
    /// looked at [`Self::room`].
    pub fn push(&mut self, now: Micros, queued: Queued) {
        if !self.ids.insert(queued.delivery.id.clone()) {
            return;
        }
        self.put(now, queued, false);
    }

    /// Takes a delivery back that was lent out, to be tried again from `queued.due` on, before what came after it.
    pub fn put_back(&mut self, now: Micros, queued: Queued) {
        self.put(now, queued, true);
    }

    /// Forgets a delivery that was lent out: it is finished, or waits in the ledger.
    pub fn forget(&mut self, id: &DeliveryId) {
        self.ids.remove(id);
    }

    fn put(&mut self, now: Micros, queued: Queued, front: bool) {
        let key = self.key_of(&queued.delivery);
        self.waiting += 1;
        if let Class::Bulk(broadcast) = key.class {
            *self.waiting_of.entry(broadcast).or_default() += 1;
        }
        if queued.due > now {
            // Replies keep their order: the ones behind a retry wait for it. Actions and targets need none.
            let blocks = front && key.class == Class::Normal;
            if blocks {
                self.queues.entry(key).or_default().retries += 1;
            }
            self.serial += 1;
            self.later.insert((queued.due, self.serial), Later { key, queued, blocks });
            return;
        }
        let queue = self.queues.entry(key).or_default();
        if front {
            queue.items.push_front(queued);
        } else {
            queue.items.push_back(queued);
        }
        self.make_ready(key);
    }

    /// Wakes everything whose time has come.
    pub fn wake(&mut self, now: Micros) {
        while let Some(Reverse((at, _, _))) = self.sleeping.peek()
            && *at <= now
        {
            let Some(Reverse((at, _, QueueKeyOrd(key)))) = self.sleeping.pop() else { break };
            if let Some(queue) = self.queues.get_mut(&key)
                && queue.standing == Standing::Asleep(at)
            {
                queue.standing = Standing::Idle;
                self.make_ready(key);
            }
        }
        while let Some(entry) = self.later.first_entry()
            && entry.key().0 <= now
        {
            let Later { key, queued, blocks } = entry.remove();
            let queue = self.queues.entry(key).or_default();
            queue.retries -= u32::from(blocks);
            queue.items.push_front(queued);
            self.make_ready(key);
        }
    }

    /// Returns when [`Self::wake`] has something to do.
    pub fn next_wake(&self) -> Option<Micros> {
        let sleeping = self.sleeping.peek().map(|Reverse((at, _, _))| *at);
        let later = self.later.first_key_value().map(|((at, _), _)| *at);
        sleeping.into_iter().chain(later).min()
    }

    /// Offers the delivery whose turn it is. The caller answers with [`Self::take`], [`Self::wait_until`] or
    /// [`Self::wait_for_group`], or leaves it: then the next call offers by the same rules again.
    pub fn offer(&mut self) -> Option<(QueueKey, &Queued)> {
        let Self { turns, queues, .. } = self;
        let head = |key: QueueKey| queues.get(&key).and_then(|queue| queue.items.front());
        let key = turns.pick(|key| head(key).map_or(0, |queued| queued.delivery.cost))?;
        Some((key, head(key)?))
    }

    /// Offers the urgent delivery whose turn it is, when nothing else may go.
    pub fn offer_urgent(&mut self) -> Option<(QueueKey, &Queued)> {
        let key = self.turns.pick_urgent()?;
        Some((key, self.queues.get(&key)?.items.front()?))
    }

    /// Lends out the head of a queue that [`Self::offer`] offered. Its queue waits for [`Self::call_ended`].
    pub fn take(&mut self, key: QueueKey) -> Option<Queued> {
        self.leave_ready(key);
        let queue = self.queues.get_mut(&key)?;
        queue.standing = Standing::Calling;
        let queued = queue.items.pop_front()?;
        self.waiting -= 1;
        if let Class::Bulk(broadcast) = key.class
            && let Some(waiting) = self.waiting_of.get_mut(&broadcast)
        {
            *waiting = waiting.saturating_sub(1);
        }
        self.turns.sent(key, queued.delivery.cost);
        Some(queued)
    }

    /// Lets a queue sleep until its group's limit has room.
    pub fn wait_until(&mut self, key: QueueKey, at: Micros) {
        self.leave_ready(key);
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.standing = Standing::Asleep(at);
            self.serial += 1;
            self.sleeping.push(Reverse((at, self.serial, QueueKeyOrd(key))));
        }
    }

    /// Lets a queue wait until any call to its group has ended.
    pub fn wait_for_group(&mut self, key: QueueKey) {
        self.leave_ready(key);
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.standing = Standing::AtGroup;
            self.at_group.entry(key.group).or_default().push(key);
        }
    }

    /// Notes that the call of a delivery that was lent out has ended (or was not made).
    pub fn call_ended(&mut self, key: QueueKey) {
        if let Some(queue) = self.queues.get_mut(&key)
            && queue.standing == Standing::Calling
        {
            queue.standing = Standing::Idle;
            self.make_ready(key);
        }
        for waiting in self.at_group.remove(&key.group).unwrap_or_default() {
            if let Some(queue) = self.queues.get_mut(&waiting)
                && queue.standing == Standing::AtGroup
            {
                queue.standing = Standing::Idle;
                self.make_ready(waiting);
            }
        }
    }

    /// Drops a broadcast's waiting deliveries from memory (the ledger has them) and returns how many.
    pub fn drop_broadcast(&mut self, broadcast: &str) -> usize {
        let Some(number) = self.broadcast_numbers.remove(broadcast) else { return 0 };
        let class = Class::Bulk(number);
        let mut dropped = Vec::new();
        self.later.retain(|_, later| {
            let keep = later.key.class != class;
            if !keep {
                dropped.push(later.queued.delivery.id.clone());
            }
            keep
        });
        self.queues.retain(|key, queue| {
            if key.class != class {
                return true;
            }
            dropped.extend(queue.items.drain(..).map(|queued| queued.delivery.id.clone()));
            queue.standing == Standing::Calling
        });
        self.turns.drop_broadcast(number);
        self.waiting_of.remove(&number);
        for id in &dropped {
            self.ids.remove(id);
        }
        self.waiting -= dropped.len();
        dropped.len()
    }

    /// Returns how many of a broadcast's deliveries wait in memory.
    pub fn waiting_of(&self, broadcast: &str) -> usize {
        let number = self.broadcast_numbers.get(broadcast);
        number.and_then(|number| self.waiting_of.get(number)).copied().unwrap_or_default()
    }

    /// Returns how many deliveries wait.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Says whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Returns depth and the time since when the oldest due delivery waits, by priority. Looks at everything.
    pub fn survey(&self) -> [(Depth, Option<Micros>); 3] {
        let mut all = [(Depth::default(), None::<Micros>); 3];
        let place = |class: Class| match class {
            Class::Urgent => 0,
            Class::Normal => 1,
            Class::Bulk(_) => 2,
        };
        for (key, queue) in &self.queues {
            let (depth, oldest) = &mut all[place(key.class)];
            match queue.standing {
                Standing::Ready => depth.ready += queue.items.len(),
                Standing::Idle | Standing::Asleep(_) | Standing::AtGroup | Standing::Calling => {
                    depth.delayed += queue.items.len();
                }
            }
            let dues = queue.items.iter().map(|queued| queued.due);
            *oldest = dues.chain(*oldest).min();
        }
        for later in self.later.values() {
            all[place(later.key.class)].0.delayed += 1; // not due, so it has no age
        }
        all
    }

    fn key_of(&mut self, delivery: &Delivery) -> QueueKey {
        let group = if delivery.group.is_empty() {
            direct_no(delivery.member.as_deref().unwrap_or(""))
        } else {
            self.group_no(&delivery.group)
        };
        let class = match delivery.priority {
            Priority::Urgent => Class::Urgent,
            Priority::Normal => Class::Normal,
            Priority::Bulk => {
                let name = delivery.broadcast.as_ref().map_or("", |(broadcast, _)| broadcast.as_str());
                Class::Bulk(self.broadcast_no(name))
            }
        };
        QueueKey { class, group }
    }

    fn broadcast_no(&mut self, name: &str) -> u64 {
        if let Some(number) = self.broadcast_numbers.get(name) {
            return *number;
        }
        // Numbers are not used again: a call of a dropped broadcast may still be under way under the old one.
        self.serial += 1;
        self.broadcast_numbers.insert(Arc::from(name), self.serial);
        self.serial
    }

    /// Lists a queue as ready if its head may be offered; drops it when there is nothing to remember of it.
    fn make_ready(&mut self, key: QueueKey) {
        let Some(queue) = self.queues.get_mut(&key) else { return };
        if queue.standing != Standing::Idle || queue.retries > 0 {
            return;
        }
        if queue.items.is_empty() {
            self.queues.remove(&key);
            return;
        }
        queue.standing = Standing::Ready;
        self.turns.list(key);
    }

    /// Takes a queue that was just offered off its list: it is the first there.
    fn leave_ready(&mut self, key: QueueKey) {
        self.turns.unlist(key);
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.standing = Standing::Idle;
        }
    }
}

/// Spreads people over a few queues: none waits long for another, and none is remembered.
fn direct_no(member: &str) -> GroupNo {
    const QUEUES: u32 = 64;
    let sum = member.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    GroupNo::direct(sum % QUEUES)
}

#[cfg(test)]
mod tests;
