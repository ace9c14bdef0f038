//! What is kept of a group's day (UTC): who spoke in which hour and how often, who came and went, what else was counted.
//!
//! Not for: adding up; see [`super::figures`]. One row a group and day, a few bytes a person, so that people can be
//! counted once over any groups and any time, cut at any zone's midnight. Invariant: a row is a function of the set of
//! events, in whatever order they came; [`Day::add`] of two rows is the row of both.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::event::{HOUR_MS, Role, Verdict};
use crate::statistics::definitions::{Counter, Counters};

/// Milliseconds of a UTC day.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Returns the UTC day of a time, counted from the epoch; a time before 1970 is in day 0.
pub fn day_of(at_ms: i64) -> u32 {
    u32::try_from(at_ms.div_euclid(DAY_MS).max(0)).unwrap_or(u32::MAX)
}

/// A person as rows name them: the account's dense number and what they were to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Person {
    /// Number within the account; over all accounts where it is marked with [`OVERALL`].
    pub number: u64,
    /// Role at that time.
    pub role: Role,
}

/// How often a person spoke in an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spoke {
    /// Messages.
    pub said: u32,
    /// Of these, taken back or never seen; less those found to be in order. Below 0 where only the latter is known.
    pub unsaid: i32,
}

impl Spoke {
    /// Says whether anything that counts as activity is left.
    pub fn is_active(self) -> bool {
        i64::from(self.said) > i64::from(self.unsaid)
    }

    /// Adds another's numbers.
    pub fn add(&mut self, other: Spoke) {
        self.said = self.said.saturating_add(other.said);
        self.unsaid = self.unsaid.saturating_add(other.unsaid);
    }
}

/// How a person's presence changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// Went, as the platform told.
    Left,
    /// Not on the platform's list any more; dated by the reading.
    Gone,
    /// On the platform's list; dated by their joining.
    Listed,
    /// Came, as the platform told.
    Joined,
}

impl Move {
    /// Says whether the person is in the group afterwards.
    pub fn is_in(self) -> bool {
        match self {
            Move::Joined | Move::Listed => true,
            Move::Left | Move::Gone => false,
        }
    }
}

/// A change of presence: when (milliseconds of the day), whose, how. Whoever is no longer listed has the role of a
/// customer: the list does not say what they were.
pub type Moved = (u32, Person, Move);

/// What is counted of a group in an hour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Facet {
    /// One of its counters.
    Counter(Counter),
    /// A late-arriving event changed the hour after it had ended; once.
    Revised,
    /// Messages that are not only text, by the platform's word for what they are.
    Content(Role, Box<str>),
    /// Judged texts that did not pass, by who wrote them.
    Verdict(Role, Verdict),
    /// Joins of customers, by channel code, else by how they came; in words where the platform has words.
    Came(Box<str>),
    /// Hits by category.
    Category(Box<str>),
    /// Hits by wordlist.
    Wordlist(Box<str>),
    /// Hits of a wordlist that a person found to be wrong.
    Overturned(Box<str>),
    /// Questions of customers that no rule answered.
    Question,
    /// Of these, questions that staff answered: asked while the shop was open, after how many seconds.
    Answered(bool, u32),
    /// Business results by kind.
    Outcome(Box<str>),
    /// What they are worth, in millionths.
    Gained(Box<str>),
    /// What is to be taken off again, such as a returned order, in millionths.
    Lost(Box<str>),
    /// Greetings by the welcome and its variant (`welcome#variant`), with the millisecond of the day: so it is known who was
    /// greeted by which.
    Greeted(Box<str>, u32),
}

/// What is kept of a group's day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Who spoke in which hour of the day (0 to 23).
    pub spoke: BTreeMap<(Person, u8), Spoke>,
    /// Who came and went, in order of time.
    pub moved: Vec<Moved>,
    /// What else was counted, by hour of the day.
    pub counted: BTreeMap<(Facet, u8), u64>,
}

impl Day {
    /// Takes in what else happened that day.
    pub fn add(&mut self, other: Day) {
        for (key, spoke) in other.spoke {
            self.spoke.entry(key).or_default().add(spoke);
        }
        self.moved.extend(other.moved);
        self.moved.sort_unstable();
        self.moved.dedup();
        for ((facet, hour), count) in other.counted {
            let is_once = facet == Facet::Revised;
            let sum = self.counted.entry((facet, hour)).or_default();
            *sum = if is_once { 1 } else { sum.saturating_add(count) };
        }
    }
}

/// A row as it is kept: the three parts of a [`Day`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Who spoke.
    pub spoke: Vec<u8>,
    /// Who came and went.
    pub moved: Vec<u8>,
    /// What else was counted.
    pub counted: Vec<u8>,
}

/// Marks a number that is a person's over all accounts; all others are numbers within one.
pub const OVERALL: u64 = 1 << 63;

/// Numbers that turned out to be a person's who had one before, or whom other accounts know, too.
pub type Same = HashMap<u64, u64>;

/// A row that is looked at where it lies. People stand under one number each, so that one may come up twice.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Who spoke.
    pub spoke: &'a [u8],
    /// Who came and went.
    pub moved: &'a [u8],
    /// What else was counted.
    pub counted: &'a [u8],
    /// Who is whom.
    pub same: Option<&'a Same>,
}

impl View<'_> {
    /// Visits who spoke in which hour of the day.
    ///
    /// # Errors
    /// When it is damaged or of a later version.
    pub fn spoke(&self, visit: &mut impl FnMut(Person, u8, Spoke)) -> Result<(), DayError> {
        read_spoke(self.spoke, &mut |person, hour, spoke| visit(self.known(person), hour, spoke))
    }

    /// Visits who came and went, in order of time.
    ///
    /// # Errors
    /// When it is damaged or of a later version.
    pub fn moved(&self, visit: &mut impl FnMut(Moved)) -> Result<(), DayError> {
        read_moved(self.moved, &mut |(at, person, kind)| visit((at, self.known(person), kind)))
    }

    /// Visits what else was counted, by hour of the day.
    ///
    /// # Errors
    /// When it is damaged or of a later version.
    pub fn counted(&self, visit: &mut impl FnMut(Facet, u8, u64)) -> Result<(), DayError> {
        read_counted(self.counted, visit)
    }

    /// Adds up the counters by hour of the day, where there are any, and says which hours were revised.
    ///
    /// # Errors
    /// When it is damaged or of a later version.
    pub fn counters(&self) -> Result<BTreeMap<u8, (Counters, bool)>, DayError> {
        let mut hours: BTreeMap<u8, (Counters, bool)> = BTreeMap::new();
        self.counted(&mut |facet, hour, count| {
            if let Facet::Counter(counter) = facet {
                *hours.entry(hour).or_default().0.part_mut(counter) += count;
            } else if facet == Facet::Revised {
                hours.entry(hour).or_default().1 = true;
            }
        })?;
        Ok(hours)
    }

    fn known(&self, person: Person) -> Person {
        let number = self.same.and_then(|same| same.get(&person.number)).copied();
        Person { number: number.unwrap_or(person.number), ..person }
    }
}

/// A row that cannot be read.
#[derive(Debug, Error)]
#[error("read a group's day: {0}")]
pub struct DayError(String);

/// Form of a row; a later one begins with another number.
const FORM: u8 = 1;

/// One entry of `spoke`: the step to the next person, the hour, and as few numbers as say it.
#[derive(Serialize, Deserialize)]
enum Entry {
    Once(u64, u8),
    Often(u64, u8, u32),
    Amended(u64, u8, u32, i32),
}

/// Writes a row.
pub fn encode(day: &Day) -> Row {
    let counted = if day.counted.is_empty() {
        Vec::new()
    } else {
        day.counted.iter().fold(vec![FORM], |row, ((facet, hour), count)| push(&(facet, hour, count), row))
    };
    Row { spoke: encode_spoke(&day.spoke), moved: encode_moved(&day.moved), counted }
}

fn encode_spoke(spoke: &BTreeMap<(Person, u8), Spoke>) -> Vec<u8> {
    if spoke.is_empty() {
        return Vec::new();
    }
    let (mut row, mut last) = (vec![FORM], 0);
    for ((person, hour), spoke) in spoke {
        let key = key_of(*person);
        let step = key - last;
        last = key;
        let entry = match spoke {
            Spoke { said: 1, unsaid: 0 } => Entry::Once(step, *hour),
            Spoke { said, unsaid: 0 } => Entry::Often(step, *hour, *said),
            Spoke { said, unsaid } => Entry::Amended(step, *hour, *said, *unsaid),
        };
        row = push(&entry, row);
    }
    row
}

fn encode_moved(moved: &[Moved]) -> Vec<u8> {
    if moved.is_empty() {
        return Vec::new();
    }
    let (mut row, mut last) = (vec![FORM], 0);
    for (at_ms, person, kind) in moved {
        row = push(&(at_ms - last, key_of(*person), kind), row);
        last = *at_ms;
    }
    row
}

fn read_spoke(row: &[u8], visit: &mut impl FnMut(Person, u8, Spoke)) -> Result<(), DayError> {
    let (mut rest, mut key) = (rest_of(row)?, 0_u64);
    while !rest.is_empty() {
        let (entry, left) = postcard::take_from_bytes(rest).map_err(damaged)?;
        rest = left;
        let (step, hour, spoke) = match entry {
            Entry::Once(step, hour) => (step, hour, Spoke { said: 1, unsaid: 0 }),
            Entry::Often(step, hour, said) => (step, hour, Spoke { said, unsaid: 0 }),
            Entry::Amended(step, hour, said, unsaid) => (step, hour, Spoke { said, unsaid }),
        };
        key = key.checked_add(step).ok_or_else(|| DayError("a person's number is too large".into()))?;
        visit(person_of(key), hour, spoke);
    }
    Ok(())
}

fn read_moved(row: &[u8], visit: &mut impl FnMut(Moved)) -> Result<(), DayError> {
    let (mut rest, mut at_ms) = (rest_of(row)?, 0_u32);
    while !rest.is_empty() {
        let ((step, key, kind), left): ((u32, u64, Move), _) =
            postcard::take_from_bytes(rest).map_err(damaged)?;
        rest = left;
        at_ms = at_ms.saturating_add(step);
        visit((at_ms, person_of(key), kind));
    }
    Ok(())
}

fn read_counted(row: &[u8], visit: &mut impl FnMut(Facet, u8, u64)) -> Result<(), DayError> {
    let mut rest = rest_of(row)?;
    while !rest.is_empty() {
        let ((facet, hour, count), left) = postcard::take_from_bytes(rest).map_err(damaged)?;
        rest = left;
        visit(facet, hour, count);
    }
    Ok(())
}

/// Reads a row.
///
/// # Errors
/// When it is damaged or of a later version.
pub fn decode(row: &View<'_>) -> Result<Day, DayError> {
    let mut day = Day::default();
    row.spoke(&mut |person, hour, spoke| day.spoke.entry((person, hour)).or_default().add(spoke))?;
    row.moved(&mut |one| day.moved.push(one))?;
    day.moved.sort_unstable();
    day.moved.dedup();
    row.counted(&mut |facet, hour, count| {
        let sum = day.counted.entry((facet, hour)).or_default();
        *sum = sum.saturating_add(count);
    })?;
    Ok(day)
}

fn rest_of(row: &[u8]) -> Result<&[u8], DayError> {
    match row.split_first() {
        None => Ok(&[]),
        Some((&FORM, rest)) => Ok(rest),
        Some((form, _)) => {
            Err(DayError(format!("its form {form} is newer than this menshen; start that version")))
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn damaged(error: postcard::Error) -> DayError {
    DayError(error.to_string())
}

fn push(value: &impl Serialize, row: Vec<u8>) -> Vec<u8> {
    postcard::to_extend(value, row).expect("numbers go into memory")
}

/// Numbers are dense and start at 0; the role is in the two lowest bits.
fn key_of(person: Person) -> u64 {
    let role = match person.role {
        Role::Customer => 0,
        Role::Staff => 1,
        Role::Bot => 2,
    };
    person.number << 2 | role
}

fn person_of(key: u64) -> Person {
    let role = match key & 3 {
        0 => Role::Customer,
        1 => Role::Staff,
        _ => Role::Bot,
    };
    Person { number: key >> 2, role }
}
