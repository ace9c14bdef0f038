//! Words that customers say (热词): counted by people, so that no text need be kept. Layer: pure core.
//!
//! [`words_of`] takes a message apart and forgets it; [`Said`] is what is kept of a group's day: each word with who said it, as
//! numbers that only this data directory can make and that mean nothing on another day; [`Tally`] puts groups together, each
//! person once, and [`rising`] says which words more people say than usual.
//!
//! Not for: reading messages or keeping rows. Invariants: a word is two characters or more without a digit in it, never a
//! link, an address, a number, somebody who is called with @, or a name of a member of the group; [`Said::add`] of the same
//! thing again changes nothing but the count of messages.

mod cut;
mod risen;
mod said;
#[cfg(test)]
mod tests;

pub use cut::{Own, is_of_name, words_of};
pub use risen::{DAYS_BEFORE, DAYS_MIN, Listed, Risen, Tally, rising};
pub use said::{PEOPLE_MAX, Said, WordsError};

use crate::event::EventKey;

/// Returns a person's number on a day: nobody can follow it to another day without the data directory's secret.
pub fn person_on(secret: &[u8; 16], account: &str, member: &str, day: u32) -> u32 {
    let key = EventKey::of(secret, account, &format!("words of day {day}"), member);
    u32::try_from(key.0 & u128::from(u32::MAX)).unwrap_or_default()
}
