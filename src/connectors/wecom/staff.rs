//! Who was seen to be staff: a callback names members by id alone, and ids do not tell who is who.
//!
//! A memory, not a record: it is filled by readings and callbacks, forgets the oldest when it is full, and is empty after
//! a start. Whoever is not in it is taken for a customer, and the next reading of the group corrects that.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::RwLock;

/// Most ids remembered: several times the staff of a brand with 4,000 shops.
const IDS_MAX: usize = 100_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Staff(RwLock<Memory>);

#[derive(Debug, Default)]
struct Memory {
    known: HashSet<Arc<str>>,
    in_order: VecDeque<Arc<str>>,
}

impl Staff {
    /// Remembers somebody as staff.
    pub(super) fn note(&self, member: &str) {
        if self.is_staff(member) {
            return;
        }
        let member: Arc<str> = Arc::from(member);
        let mut memory = self.0.write();
        if memory.known.insert(Arc::clone(&member)) {
            memory.in_order.push_back(member);
        }
        while memory.in_order.len() > IDS_MAX {
            if let Some(oldest) = memory.in_order.pop_front() {
                memory.known.remove(&oldest);
            }
        }
    }

    /// Returns everybody who was seen to be staff, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<str>> {
        self.0.read().in_order.iter().cloned().collect()
    }

    /// Says whether somebody was seen to be staff.
    pub(super) fn is_staff(&self, member: &str) -> bool {
        self.0.read().known.contains(member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_when_the_memory_is_full() {
        let staff = Staff::default();
        for n in 0..=IDS_MAX {
            staff.note(&format!("u{n}"));
            staff.note("u1");
        }
        assert!(!staff.is_staff("u0") && staff.is_staff("u1") && staff.is_staff(&format!("u{IDS_MAX}")));
        assert_eq!(staff.0.read().known.len(), IDS_MAX);
    }
}
