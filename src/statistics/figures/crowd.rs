//! Who people are to a set of groups: how many there are, who is new, lost, silent, and who came back to speak.
//!
//! Every set holds each person once, whatever groups they are in.

use roaring::RoaringTreemap;

use super::person;
use super::presence::{Member, Moves};
use crate::event::{HOUR_MS, Role};
use crate::statistics::days::{DAY_MS, DayError, View, day_of};

/// A group without a customer's message for so long is dormant.
pub const DORMANT_MS: i64 = 7 * DAY_MS;

/// Which time is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From, inclusive.
    pub from_ms: i64,
    /// Until, exclusive.
    pub until_ms: i64,
    /// Who is in a group for so long without saying anything is silent.
    pub silent_ms: i64,
}

impl Window {
    /// Returns the UTC days whose rows say who spoke when; who came and went after them matters, too.
    pub fn first_day(&self) -> u32 {
        let before_ms = self.from_ms - (self.until_ms - self.from_ms);
        day_of(before_ms.min(self.until_ms - self.silent_ms).min(self.until_ms - DORMANT_MS))
    }

    fn before_ms(&self) -> i64 {
        self.from_ms - (self.until_ms - self.from_ms)
    }
}

/// The people of a set of groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Crowd {
    /// Customers in a group at the beginning.
    pub at_from: RoaringTreemap,
    /// Customers in a group at the end.
    pub at_until: RoaringTreemap,
    /// Of these, customers in at least two.
    pub in_several: RoaringTreemap,
    /// Staff in a group at the end.
    pub staff: RoaringTreemap,
    /// Customers who spoke.
    pub active: RoaringTreemap,
    /// Customers who spoke in as long a time before.
    pub active_before: RoaringTreemap,
    /// Customers who spoke lately.
    spoke_lately: RoaringTreemap,
    /// Customers in a group for long.
    for_long: RoaringTreemap,
    /// Customers who appeared in a group in that time.
    appeared: RoaringTreemap,
    /// Customers who were in a group before.
    known: RoaringTreemap,
    /// Memberships of customers at the beginning.
    pub members_from: u64,
    /// Memberships of customers at the end.
    pub members_until: u64,
    /// Groups in which no customer spoke lately, of those where it can be seen.
    pub dormant: u64,
    /// Leaves of customers.
    pub went: u64,
}

impl Crowd {
    /// Returns who appeared in that time for the first time.
    pub fn new_people(&self) -> RoaringTreemap {
        &self.appeared - &self.known
    }

    /// Returns who was in a group and is in none any more.
    pub fn lost(&self) -> RoaringTreemap {
        &self.at_from - &self.at_until
    }

    /// Returns who is in a group for long and has said nothing in any for as long.
    pub fn silent(&self) -> RoaringTreemap {
        (&self.for_long & &self.at_until) - &self.spoke_lately
    }

    /// Returns leaves against the mean of memberships; nothing where there were none.
    pub fn churn(&self) -> Option<f64> {
        let members = self.members_from + self.members_until;
        #[expect(clippy::cast_precision_loss, reason = "a share of people")]
        (members > 0).then(|| 2.0 * self.went as f64 / members as f64)
    }
}

/// One group on its way through its days, oldest first, and then through its members.
#[derive(Debug)]
pub struct Group {
    window: Window,
    account: u32,
    moves: Moves,
    has_spoken: bool,
}

impl Group {
    /// Begins with a group of the account that has this place in the question.
    pub fn new(window: Window, account: u32) -> Self {
        Self { window, account, moves: Moves::default(), has_spoken: false }
    }

    /// Adds a day's row.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn add(&mut self, day: u32, row: &View<'_>, crowd: &mut Crowd) -> Result<(), DayError> {
        let window = self.window;
        row.spoke(&mut |who, hour, spoke| {
            if who.role != Role::Customer || !spoke.is_active() {
                return;
            }
            let at_ms = i64::from(day) * DAY_MS + i64::from(hour) * HOUR_MS;
            if at_ms >= window.until_ms {
                return;
            }
            let who = person(self.account, who.number);
            if at_ms >= window.from_ms {
                crowd.active.insert(who);
            } else if at_ms >= window.before_ms() {
                crowd.active_before.insert(who);
            }
            if at_ms >= window.until_ms - window.silent_ms {
                crowd.spoke_lately.insert(who);
            }
            self.has_spoken |= at_ms >= window.until_ms - DORMANT_MS;
        })?;
        row.moved(&mut |(of_day, who, kind)| {
            let at_ms = i64::from(day) * DAY_MS + i64::from(of_day);
            let is_leave = kind == crate::statistics::days::Move::Left && who.role == Role::Customer;
            crowd.went += u64::from(is_leave && (window.from_ms..window.until_ms).contains(&at_ms));
        })?;
        self.moves.add(day, row)
    }

    /// Adds a member.
    pub fn seat(&self, member: &Member, crowd: &mut Crowd) {
        let (window, who) = (self.window, person(self.account, member.number));
        let is_in = self.moves.was_in(member, window.until_ms);
        if member.role == Role::Staff && is_in {
            crowd.staff.insert(who);
        }
        if member.role != Role::Customer {
            return;
        }
        if self.moves.was_in(member, window.from_ms) {
            crowd.members_from += 1;
            crowd.at_from.insert(who);
        }
        if member.first_ms < window.from_ms {
            crowd.known.insert(who);
        } else if member.first_ms < window.until_ms {
            crowd.appeared.insert(who);
        }
        if is_in {
            crowd.members_until += 1;
            if !crowd.at_until.insert(who) {
                crowd.in_several.insert(who);
            }
            if self.moves.in_since(member, window.until_ms) <= window.until_ms - window.silent_ms {
                crowd.for_long.insert(who);
            }
        }
    }

    /// Ends with the group; `is_seen`: what is said there can be seen.
    pub fn end(self, is_seen: bool, crowd: &mut Crowd) {
        crowd.dormant += u64::from(is_seen && !self.has_spoken);
    }
}
