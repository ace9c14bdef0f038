//! Where one delivery stands in the lanes, for people who ask. Looks at everything, changes nothing. Layer: pure core.

use super::queue::Standing;
use super::{Lanes, QueueKey, Queued};
use crate::event::DeliveryId;
use crate::outbox::limiter::Micros;
use crate::outbox::pacer::GroupNo;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// It may go when its turn comes; so many of its priority, or of its broadcast, go first.
    Ready {
        /// How many.
        ahead: usize,
    },
    /// Its group's limit is short.
    Asleep,
    /// A call to its group, or what it is called with, must end first.
    BehindCall,
    /// Something before it in its group is tried again first.
    BehindRetry,
    /// Not due before.
    Later(Micros),
    /// Lent out: it is called, or its outcome is being written.
    Lent,
}

impl Lanes {
    /// Returns where a delivery stands; `None` when it is not in here.
    pub fn spot(&self, id: &DeliveryId) -> Option<Spot> {
        if !self.ids.contains(id) {
            return None;
        }
        let mut later = self.later.iter();
        if let Some(((due, _), _)) = later.find(|(_, later)| later.queued.delivery.id == *id) {
            return Some(Spot::Later(*due));
        }
        let found = self.queues.iter().find_map(|(key, queue)| {
            let place = queue.items.iter().position(|queued| queued.delivery.id == *id)?;
            Some((*key, queue.standing, place))
        });
        let Some((key, standing, place)) = found else { return Some(Spot::Lent) };
        Some(match standing {
            Standing::Ready => Spot::Ready { ahead: self.ahead_of(key, place) },
            Standing::Asleep(_) => Spot::Asleep,
            Standing::AtGroup | Standing::Calling => Spot::BehindCall,
            Standing::Idle => Spot::BehindRetry,
        })
    }

    /// Returns everything that waits, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Queued> {
        let queued = self.queues.values().flat_map(|queue| &queue.items);
        queued.chain(self.later.values().map(|later| &later.queued))
    }

    /// Returns a group's number, if it has one.
    pub fn known_group(&self, group: &str) -> Option<GroupNo> {
        self.group_numbers.get(group).copied()
    }

    /// Queues of one list take turns, one delivery each.
    fn ahead_of(&self, key: QueueKey, place: usize) -> usize {
        let mut ahead = place;
        let mut turns_before = place + 1;
        for other in self.turns.listed_with(key) {
            if *other == key {
                turns_before = place; // whoever stands behind has had one turn less when this one's comes
            } else {
                let waiting = self.queues.get(other).map_or(0, |queue| queue.items.len());
                ahead += waiting.min(turns_before);
            }
        }
        ahead
    }
}
