//! What each `webhook-id` stood for, for as long as a captured request stays valid.
//!
//! The standard asks receivers to keep seen ids for the tolerance window. Refusing a seen id outright would lose events:
//! a sender repeats with the same id exactly because our first answer was lost or was a 5xx, and our commit may have
//! failed. Counting twice is already impossible, because every event has an id of its own and a repeat is answered
//! `duplicate`. What is left for this memory is the other half of the promise: that one id means one thing. So a repeat
//! with the same contents goes through again, and an id that suddenly stands for other events is refused.
//!
//! Not durable, on purpose: losing it loses no protection against double counting.

use std::collections::VecDeque;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not seen, or long ago.
    New,
    /// Seen with the same contents: the sender tries again.
    Again,
    /// Seen with other contents.
    Reused,
}

/// A bounded map of ids to a digest of their contents. The oldest go first when it is full.
#[derive(Debug)]
pub struct Memory {
    window_ms: i64,
    ids_max: usize,
    digests: HashMap<u128, u128>,
    /// In order of arrival, which is the order of expiry, since all are kept equally long.
    order: VecDeque<(i64, u128)>,
    evicted: u64,
}

impl Memory {
    /// Makes an empty memory of `ids_max` ids, each kept for `window_ms`.
    pub fn new(window_ms: i64, ids_max: usize) -> Self {
        Self { window_ms, ids_max, digests: HashMap::new(), order: VecDeque::new(), evicted: 0 }
    }

    /// Looks an id up and remembers it. Both are digests: ids and contents of any length cost the same.
    pub fn see(&mut self, id: u128, contents: u128, now_ms: i64) -> Seen {
        self.forget(now_ms);
        match self.digests.entry(id) {
            Entry::Occupied(known) if *known.get() == contents => return Seen::Again,
            Entry::Occupied(_) => return Seen::Reused,
            Entry::Vacant(free) => _ = free.insert(contents),
        }
        self.order.push_back((now_ms.saturating_add(self.window_ms), id));
        if self.order.len() > self.ids_max
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.digests.remove(&oldest);
            self.evicted += 1;
        }
        Seen::New
    }

    /// Returns how many ids went before their time since the last call, because the memory was full.
    pub fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    fn forget(&mut self, now_ms: i64) {
        while let Some((until_ms, id)) = self.order.front().copied()
            && until_ms <= now_ms
        {
            self.order.pop_front();
            self.digests.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_passes_and_a_reused_id_does_not_until_the_window_is_over() {
        let mut memory = Memory::new(1_000, 10);
        assert_eq!(memory.see(1, 7, 0), Seen::New);
        assert_eq!(memory.see(1, 7, 999), Seen::Again);
        assert_eq!(memory.see(1, 8, 999), Seen::Reused);
        assert_eq!(memory.see(1, 7, 999), Seen::Again, "the attempt to reuse changed nothing");
        assert_eq!(memory.see(1, 8, 1_000), Seen::New);
    }

    #[test]
    fn a_full_memory_forgets_the_oldest_and_says_so() {
        let mut memory = Memory::new(1_000_000, 3);
        for id in 0..5 {
            assert_eq!(memory.see(id, 0, 0), Seen::New);
        }
        assert_eq!((memory.digests.len(), memory.order.len()), (3, 3));
        assert_eq!(memory.see(4, 1, 0), Seen::Reused);
        assert_eq!(memory.take_evicted(), 2);
        assert_eq!(memory.take_evicted(), 0);
        assert_eq!(memory.see(0, 1, 0), Seen::New);
    }
}
