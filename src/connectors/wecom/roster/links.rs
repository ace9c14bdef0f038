//! Which of the changes that callbacks told came before what we know, and which after.
//!
//! A group's versions are one line; each change is a step from one version to the next. What is linked by its versions to
//! a version we know is placed by that; only what hangs in the air on both sides is placed by its time.

use std::collections::HashSet;

use super::pending::Pending;
use crate::event::RosterStep;

/// Whether a change came after the version that we stand at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// It did: nothing we know reflects it.
    Newer,
    /// It did not: what we know reflects it.
    Stale,
    /// It hangs in the air, and the times are too close to tell, since a reading may show what was a while ago. It counts as
    /// stale once nothing can be on its way that would link it.
    Unclear,
}

/// Returns, by index and in order, the changes that follow from `head` one after the other.
pub(crate) fn follow(head: u64, pending: &[Pending]) -> Vec<usize> {
    let mut chain = Vec::new();
    let mut at = head;
    let follows = |i: &usize, at: u64, chain: &[usize]| {
        // Of a change that names nobody, who came or went stands in a reading only.
        pending[*i].from == at && pending[*i].told().is_some() && !chain.contains(i)
    };
    while let Some(next) = (0..pending.len()).find(|i| follows(i, at, &chain)) {
        chain.push(next);
        at = pending[next].to;
    }
    chain
}

/// Most steps of one chain that are looked through to find out where a chain was to lead that was broken off.
const CHAIN_MAX: u32 = 4_096;

/// Returns the age of each change, seen from where we stand: at `last_ms` by the latest event, which may tell of a state
/// that is older by `lag_ms`. What was read does not say: it may lag behind a version that we never named.
pub(super) fn ages(marks: &[u64], last_ms: i64, lag_ms: i64, pending: &[Pending]) -> Vec<Age> {
    let Some((head, older)) = marks.split_first() else { return vec![Age::Newer; pending.len()] };
    let goal = goal(*head, pending);
    // Versions at or before the one we stand at, or are on the way to.
    let mut stale: HashSet<u64> = older.iter().copied().chain([*head, goal]).collect();
    let mut newer: HashSet<u64> = HashSet::new(); // versions behind it
    let mut ages: Vec<Option<Age>> = vec![None; pending.len()];
    // Each round places at least one more, or is the last.
    loop {
        let before = ages.iter().flatten().count();
        for (age, change) in ages.iter_mut().zip(pending).filter(|(age, _)| age.is_none()) {
            let goes_on = [*head, goal].contains(&change.from);
            let is_stale = stale.contains(&change.to) || stale.contains(&change.from);
            let is_newer = newer.contains(&change.from) || newer.contains(&change.to);
            if goes_on && change.from != change.to {
                newer.extend(Some(change.to).filter(|to| *to != goal));
                *age = Some(Age::Newer);
            } else if is_stale {
                stale.extend([change.from, change.to]);
                *age = Some(Age::Stale);
            } else if is_newer {
                newer.extend([change.from, change.to]);
                *age = Some(Age::Newer);
            }
        }
        if ages.iter().flatten().count() == before {
            break;
        }
    }
    let by_time = |change: &Pending| match change.at_ms {
        at_ms if at_ms > last_ms => Age::Newer,
        at_ms if at_ms > last_ms - lag_ms => Age::Unclear,
        _ => Age::Stale,
    };
    ages.into_iter().zip(pending).map(|(age, change)| age.unwrap_or_else(|| by_time(change))).collect()
}

/// Where a chain of steps leads that was broken off at `head`: its changes are taken in part. `head` itself when it is no
/// such place, or leads to a version that nobody named since.
fn goal(head: u64, pending: &[Pending]) -> u64 {
    if !RosterStep::is_between(head) {
        return head;
    }
    let named = pending.iter().flat_map(|change| [change.from, change.to]);
    let leads_to = |mark: &u64| {
        let nths = (1..CHAIN_MAX).chain(u32::MAX - CHAIN_MAX..=u32::MAX);
        !RosterStep::is_between(*mark) && nths.into_iter().any(|nth| RosterStep::between(*mark, nth) == head)
    };
    named.collect::<HashSet<u64>>().into_iter().find(leads_to).unwrap_or(head)
}

/// Orders changes as they happened: by time, and within one second by the versions they link.
pub(super) fn in_order(pending: &[Pending], among: &[usize]) -> Vec<usize> {
    let reached: HashSet<u64> = among.iter().map(|i| pending[*i].to).collect();
    let mut heads: Vec<usize> = among.to_vec();
    heads.sort_by_key(|i| (reached.contains(&pending[*i].from), pending[*i].at_ms, pending[*i].heard_ms));
    let mut order = Vec::with_capacity(among.len());
    for head in heads {
        let mut next = Some(head);
        while let Some(index) = next.filter(|index| !order.contains(index)) {
            order.push(index);
            next =
                among.iter().copied().find(|i| pending[*i].from == pending[index].to && !order.contains(i));
        }
    }
    order.sort_by_key(|i| pending[*i].at_ms); // stable
    order
}

#[cfg(test)]
mod tests {
    use super::super::pending::Change;
    use super::*;
    use crate::event::Role;

    fn step(from: u64, to: u64, at_ms: i64) -> Pending {
        let change = Change::Joined { member: format!("wm{to}"), role: Role::Customer, scene: None };
        Pending { id: format!("{from}-{to}"), at_ms, heard_ms: at_ms, from, to, change }
    }

    #[test]
    fn what_is_linked_is_placed_by_its_versions_and_the_rest_by_time() {
        use Age::{Newer, Stale, Unclear};
        let pending = [
            step(2, 4, 9_000),   // out of an older version, whatever its time
            step(4, 6, 9_000),   // and what follows from there
            step(10, 12, 1_000), // out of the head, whatever its time
            step(12, 14, 1_000),
            step(20, 22, 9_000), // behind everything we know, by its time
            step(30, 32, 5_000), // hangs in the air
            step(40, 42, 5_001),
            step(8, 10, 9_000), // leads to the head
            step(50, 52, 4_000),
        ];
        let told = ages(&[10, 2], 5_000, 1_000, &pending);
        assert_eq!(told, [Stale, Stale, Newer, Newer, Newer, Unclear, Newer, Stale, Stale]);
        assert_eq!(ages(&[], 0, 0, &pending), [Newer; 9]);
    }

    #[test]
    fn a_chain_is_followed_as_far_as_it_names_people() {
        let mut pending = vec![step(3, 4, 3), step(1, 2, 1), step(2, 3, 2), step(9, 10, 0)];
        assert_eq!(follow(1, &pending), [1, 2, 0]);
        pending[2].change = Change::Unnamed;
        assert_eq!(follow(1, &pending), [1]);
        assert_eq!(follow(7, &pending), [] as [usize; 0]);
        pending[1] = step(1, 1, 1);
        assert_eq!(follow(1, &pending), [1], "a version that leads to itself does not lead on for ever");
    }

    #[test]
    fn within_one_second_versions_say_the_order() {
        let pending = [step(3, 4, 1_000), step(2, 3, 1_000), step(1, 2, 1_000), step(0, 1, 0)];
        assert_eq!(in_order(&pending, &[0, 1, 2, 3]), [3, 2, 1, 0]);
    }
}
