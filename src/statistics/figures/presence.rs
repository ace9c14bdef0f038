//! Who was in a group when: worked out backwards from who is there now.
//!
//! Whoever came or went after a moment was, at that moment, what their first move after it changed; everybody else was what
//! they are now. So nothing needs to be known of the time before the first row.

use hashbrown::HashMap;

use crate::event::Role;
use crate::statistics::days::{DAY_MS, DayError, Move, View};

/// What is known of a member now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Their person's number.
    pub number: u64,
    /// What they are to us.
    pub role: Role,
    /// In the group now.
    pub present: bool,
    /// When they were first seen there.
    pub first_ms: i64,
}

/// The moves of a group's people, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Moves {
    by: HashMap<u64, Vec<(i64, Move)>>,
}

impl Moves {
    /// Adds a day's row; days come in order.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn add(&mut self, day: u32, row: &View<'_>) -> Result<(), DayError> {
        row.moved(&mut |(of_day, who, kind)| {
            let at_ms = i64::from(day) * DAY_MS + i64::from(of_day);
            self.by.entry(who.number).or_default().push((at_ms, kind));
        })
    }

    /// Says whether a member was in the group just before `at_ms`.
    pub fn was_in(&self, member: &Member, at_ms: i64) -> bool {
        let moves = self.by.get(&member.number).map_or(&[][..], Vec::as_slice);
        match moves.get(moves.partition_point(|(moved_ms, _)| *moved_ms < at_ms)) {
            Some((_, kind)) => !kind.is_in(),
            // Whoever was never told to come was there before they were first seen.
            None => member.present,
        }
    }

    /// Returns since when a member has been in the group without a break, as far as moves tell.
    pub fn in_since(&self, member: &Member, at_ms: i64) -> i64 {
        let moves = self.by.get(&member.number).map_or(&[][..], Vec::as_slice);
        let before = &moves[..moves.partition_point(|(moved_ms, _)| *moved_ms < at_ms)];
        let came = before.iter().rev().take_while(|(_, kind)| kind.is_in()).last();
        came.map_or(member.first_ms, |(moved_ms, _)| *moved_ms)
    }

    /// Returns everybody's moves, in no order of people.
    pub fn people(&self) -> impl Iterator<Item = (u64, &[(i64, Move)])> {
        self.by.iter().map(|(number, moves)| (*number, moves.as_slice()))
    }
}
