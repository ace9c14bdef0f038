//! Merging differences into the rows that are kept, the same for every storage.

use hashbrown::HashMap;

use super::{GroupDelta, MemberDelta};
use crate::event::Role;
use crate::statistics::days::{OVERALL, Same};

/// "Never": before every time an event can have (none is older than the epoch), and one byte in a database row.
pub const NEVER_MS: i64 = -1;

/// What is kept of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// Name, and when it was told.
    pub name: Option<String>,
    /// See `name`.
    pub name_ms: i64,
    /// Owner, and when it was told.
    pub owner: Option<String>,
    /// See `owner`.
    pub owner_ms: i64,
    /// The platform said it is gone.
    pub dismissed: bool,
    /// When that, or the opposite, was told.
    pub dismissed_ms: i64,
    /// First and last event that counted; the first is after the last when none did (all were late).
    pub first_ms: i64,
    /// See `first_ms`.
    pub last_ms: i64,
    /// Earliest hour with a counter.
    pub hour_min: u32,
    /// Latest hour with a counter.
    pub hour_max: u32,
    /// Members present.
    pub members: u64,
}

impl GroupDelta {
    /// Merges the difference into the row, if there is one.
    pub fn merge(&self, record: Option<GroupRecord>) -> GroupRecord {
        let mut record = record.unwrap_or(GroupRecord {
            name: None,
            name_ms: NEVER_MS,
            owner: None,
            owner_ms: NEVER_MS,
            dismissed: false,
            dismissed_ms: NEVER_MS,
            first_ms: i64::MAX,
            last_ms: NEVER_MS,
            hour_min: u32::MAX,
            hour_max: 0,
            members: 0,
        });
        if let Some((first, last)) = self.seen {
            record.first_ms = record.first_ms.min(first);
            record.last_ms = record.last_ms.max(last);
        }
        record.hour_min = record.hour_min.min(self.hours.0);
        record.hour_max = record.hour_max.max(self.hours.1);
        told(&mut record.name, &mut record.name_ms, self.name.as_ref());
        told(&mut record.owner, &mut record.owner_ms, self.owner.as_ref());
        if let Some((at_ms, gone)) = self.dismissed
            && at_ms >= record.dismissed_ms
        {
            record.dismissed = gone;
            record.dismissed_ms = at_ms;
        }
        record
    }
}

/// What is kept of a member of a group, beside their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRecord {
    /// Display name, and when it was told.
    pub name: Option<String>,
    /// See `name`.
    pub name_ms: i64,
    /// Role at the last sighting.
    pub role: Role,
    /// In the group now.
    pub present: bool,
    /// When the latest join or leave was; far in the past when there was none.
    pub changed_ms: i64,
    /// First sighting; after the last when there was none (a list only said that they are away).
    pub first_ms: i64,
    /// Last sighting.
    pub last_ms: i64,
    /// Messages said.
    pub messages: u64,
    /// When the latest join was; far in the past when there was none.
    pub joined_ms: i64,
    /// Who invited them.
    pub inviter: Option<String>,
    /// How they came in.
    pub scene: Option<String>,
    /// Channel code.
    pub channel: Option<String>,
    /// The platform's id of the person over all groups, where told.
    pub union_id: Option<String>,
}

impl MemberDelta {
    /// Merges the difference into the row, if there is one.
    pub fn merge(&self, record: Option<MemberRecord>) -> MemberRecord {
        let mut record = record.unwrap_or(MemberRecord {
            name: None,
            name_ms: NEVER_MS,
            role: self.role,
            present: true,
            changed_ms: NEVER_MS,
            first_ms: self.seen.0,
            last_ms: self.seen.1,
            messages: 0,
            joined_ms: NEVER_MS,
            inviter: None,
            scene: None,
            channel: None,
            union_id: None,
        });
        if self.seen.1 >= record.last_ms {
            record.role = self.role;
        }
        record.first_ms = record.first_ms.min(self.seen.0);
        record.last_ms = record.last_ms.max(self.seen.1);
        record.messages += self.messages;
        told(&mut record.name, &mut record.name_ms, self.name.as_ref());
        if let Some((at_ms, present)) = self.change.over(record.changed_ms) {
            record.present = *present;
            record.changed_ms = *at_ms;
        }
        if self.union_id.is_some() {
            record.union_id.clone_from(&self.union_id);
        }
        if let Some((at_ms, join)) = self.join.over(record.joined_ms) {
            record.joined_ms = *at_ms;
            record.inviter.clone_from(&join.inviter);
            record.scene.clone_from(&join.scene);
            record.channel.clone_from(&join.channel);
        }
        record
    }
}

/// The number that an identity has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Dense within the account.
    pub number: u64,
    /// The platform told who the person is over all groups.
    pub is_bound: bool,
}

/// Where the dense numbers of an account's people are kept.
pub trait Register {
    /// What can go wrong.
    type Error;

    /// Returns the number of an identity.
    fn find(&mut self, account: &str, identity: &str) -> Result<Option<Numbered>, Self::Error>;

    /// Gives out the account's next number, from 0.
    fn next(&mut self, account: &str) -> Result<u64, Self::Error>;

    /// Gives an identity a number.
    fn set(&mut self, account: &str, identity: &str, numbered: Numbered) -> Result<(), Self::Error>;

    /// Notes that a number, never given again, was the same person as another's.
    fn same(&mut self, account: &str, number: u64, person: u64) -> Result<(), Self::Error>;

    /// Returns the account and number by which any other account knows an identity; of several, any one.
    fn elsewhere(&mut self, account: &str, identity: &str) -> Result<Option<(String, u64)>, Self::Error>;

    /// Returns the number over all accounts of an account's number.
    fn overall(&mut self, account: &str, number: u64) -> Result<Option<u64>, Self::Error>;

    /// Gives an account's number one over all accounts.
    fn set_overall(&mut self, account: &str, number: u64, overall: u64) -> Result<(), Self::Error>;
}

/// Under which numbers over all accounts are given: no account is called so.
const NO_ACCOUNT: &str = "";

/// Gives a member a number: that of the person where the platform tells who it is, else their own, else a new one.
///
/// Called in journal order. A person first met under two member ids keeps the number of the first; the other number is
/// never given again, and what was counted under it is theirs. Who a member id is told to be first holds.
pub fn introduce<R: Register>(
    register: &mut R,
    account: &str,
    member: &str,
    union_id: Option<&str>,
) -> Result<(), R::Error> {
    let by_member = format!("m:{member}");
    let own = register.find(account, &by_member)?;
    let Some(union_id) = union_id else {
        if own.is_none() {
            let number = register.next(account)?;
            register.set(account, &by_member, Numbered { number, is_bound: false })?;
        }
        return Ok(());
    };
    let by_union = format!("u:{union_id}");
    if own.is_some_and(|own| own.is_bound) {
        return Ok(());
    }
    let number = match (register.find(account, &by_union)?, own) {
        (Some(person), Some(own)) => {
            register.same(account, own.number, person.number)?;
            person.number
        }
        (Some(person), None) => person.number,
        (None, Some(own)) => own.number,
        (None, None) => register.next(account)?,
    };
    let bound = Numbered { number, is_bound: true };
    register.set(account, &by_union, bound)?;
    register.set(account, &by_member, bound)?;
    overall(register, account, &by_union, number)
}

/// Gives whom several accounts know one number over all of them. Who is known to one account only has none, so that
/// accounts with nobody in common cost nothing.
fn overall<R: Register>(
    register: &mut R,
    account: &str,
    identity: &str,
    number: u64,
) -> Result<(), R::Error> {
    let Some((other, others)) = register.elsewhere(account, identity)? else { return Ok(()) };
    let overall = if let Some(known) = register.overall(&other, others)? {
        known
    } else {
        let new = register.next(NO_ACCOUNT)?;
        register.set_overall(&other, others, new)?;
        new
    };
    register.set_overall(account, number, overall)
}

/// Tells a register who a member is, by an identity from outside; says whether that is who they are: who a member id was
/// told to be first holds.
///
/// # Errors
/// What the register says.
pub fn identify<R: Register>(
    register: &mut R,
    account: &str,
    member: &str,
    identity: &str,
) -> Result<bool, R::Error> {
    introduce(register, account, member, Some(identity))?;
    let number = |found: Option<Numbered>| found.map(|found| found.number);
    let by_union = number(register.find(account, &format!("u:{identity}"))?);
    Ok(by_union.is_some() && by_union == number(register.find(account, &format!("m:{member}"))?))
}

/// Puts together who is whom in an account: numbers that turned out to be another's, and numbers that other accounts know,
/// too. Whoever reads rows finds under either the number that stands for the person.
pub fn same(same: &mut Same, overall: impl IntoIterator<Item = (u64, u64)>) {
    let overall: HashMap<u64, u64> =
        overall.into_iter().map(|(number, overall)| (number, OVERALL | overall)).collect();
    for person in same.values_mut() {
        *person = overall.get(person).copied().unwrap_or(*person);
    }
    same.extend(overall);
}

fn told(value: &mut Option<String>, value_ms: &mut i64, news: Option<&(i64, String)>) {
    if let Some((at_ms, told)) = news
        && at_ms >= value_ms
    {
        *value = Some(told.clone());
        *value_ms = *at_ms;
    }
}
