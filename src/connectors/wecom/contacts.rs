//! Who became a contact of whom lately: the platform tells some of it twice.
//!
//! A customer who adds a member of staff and skips the confirmation is told as "half a contact", with the welcome code;
//! the confirmation is told later as a contact. Both are one contact, so the second gets the id and the time of the first:
//! then it is recognised as a repeat if the first was taken, and counts if it was not. A memory, not a record: after a
//! restart the second counts by itself, and greets nobody, because the code went with the first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hasher as _;

use parking_lot::Mutex;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// Most pairs remembered.
const PAIRS_MAX: usize = 20_000;
/// How long two tellings can belong together: within the window in which repeats are recognised.
const TOGETHER_MS: i64 = 72 * 3_600_000;

/// How a contact was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The customer skipped the confirmation.
    Half,
    /// The contact is there.
    Whole,
}

#[derive(Clone, Debug)]
struct Seen {
    told: Told,
    has_code: bool,
    id: String,
    at_ms: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Contacts(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    by_pair: HashMap<u128, Seen>,
    in_order: VecDeque<u128>,
}

impl Contacts {
    /// Returns the id and time to tell a new contact by: its own, or those of its other half.
    pub(super) fn added(
        &self,
        pair: (&str, &str),
        told: Told,
        has_code: bool,
        id: String,
        at_ms: i64,
    ) -> (String, i64) {
        let key = key(pair);
        let mut memory = self.0.lock();
        if let Some(first) = memory.by_pair.get(&key)
            && first.told != told
            && (at_ms - first.at_ms).abs() <= TOGETHER_MS
            // A code that nobody had before is worth a greeting.
            && (first.has_code || !has_code)
        {
            return (first.id.clone(), first.at_ms);
        }
        if memory.by_pair.insert(key, Seen { told, has_code, id: id.clone(), at_ms }).is_none() {
            memory.in_order.push_back(key);
        }
        while memory.in_order.len() > PAIRS_MAX {
            if let Some(oldest) = memory.in_order.pop_front() {
                memory.by_pair.remove(&oldest);
            }
        }
        (id, at_ms)
    }

    /// Notes that they are contacts no more: what is told next is a new beginning.
    pub(super) fn removed(&self, pair: (&str, &str)) {
        let key = key(pair);
        let mut memory = self.0.lock();
        if memory.by_pair.remove(&key).is_some() {
            memory.in_order.retain(|other| *other != key);
        }
    }
}

fn key((staff, member): (&str, &str)) -> u128 {
    let mut hasher = SipHasher13::new();
    for part in [staff, member] {
        hasher.write_usize(part.len());
        hasher.write(part.as_bytes());
    }
    hasher.finish128().as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_halves_are_one_contact_until_it_ends() {
        let contacts = Contacts::default();
        let added = |told, has_code, id: &str, at_ms| {
            contacts.added(("u1", "wmA"), told, has_code, id.to_owned(), at_ms)
        };
        assert_eq!(added(Told::Half, true, "half", 1_000), ("half".to_owned(), 1_000));
        assert_eq!(added(Told::Half, true, "half", 1_000), ("half".to_owned(), 1_000), "a repeat");
        assert_eq!(added(Told::Whole, false, "whole", 9_000), ("half".to_owned(), 1_000));
        contacts.removed(("u1", "wmB"));
        contacts.removed(("u1", "wmA"));
        assert_eq!(added(Told::Whole, false, "again", 9_500), ("again".to_owned(), 9_500));
        let late = 9_500 + TOGETHER_MS + 1;
        assert_eq!(added(Told::Half, true, "much later", late), ("much later".to_owned(), late));
    }

    #[test]
    fn a_code_that_comes_with_the_second_half_is_not_lost() {
        let contacts = Contacts::default();
        let added =
            |told, has_code, id: &str| contacts.added(("u1", "wmA"), told, has_code, id.to_owned(), 0).0;
        assert_eq!(added(Told::Half, false, "half"), "half");
        assert_eq!(added(Told::Whole, true, "whole"), "whole");
    }

    #[test]
    fn the_memory_is_bounded() {
        let contacts = Contacts::default();
        for n in 0..PAIRS_MAX + 10 {
            contacts.added(("u1", &format!("wm{n}")), Told::Half, true, String::new(), 0);
        }
        let memory = contacts.0.lock();
        assert_eq!((memory.by_pair.len(), memory.in_order.len()), (PAIRS_MAX, PAIRS_MAX));
    }
}
