//! The projection's rows: what a reader gets back.

use crate::event::{EventKey, EventType, Head, Partition, Role, StateKind, Via};
use crate::statistics::definitions::Counters;

/// How far the projection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Projected {
    /// Journal position up to which everything is folded in.
    pub position: u64,
    /// Events folded by this pass.
    pub events: u64,
}

/// A group as the journal shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRow {
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// Name, as the platform last told.
    pub name: Option<String>,
    /// Owner, as the platform last told.
    pub owner: Option<String>,
    /// First event.
    pub first_ms: i64,
    /// Latest event.
    pub last_ms: i64,
    /// Members in it now, as far as joins and leaves tell.
    pub members: u64,
    /// The platform said it is gone.
    pub dismissed: bool,
}

/// Counters of one group and hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountRow {
    /// Start of the hour.
    pub start_ms: i64,
    /// A late-arriving event changed it after it had ended.
    pub revised: bool,
    /// The numbers.
    pub counters: Counters,
}

/// Which counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountsQuery {
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// From, inclusive.
    pub from_ms: i64,
    /// Until, exclusive.
    pub until_ms: i64,
}

/// One group's sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// The numbers.
    pub counters: Counters,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    /// The platform's id.
    pub member: String,
    /// Dense number within the account, given once.
    pub number: u64,
    /// Display name, where told.
    pub name: Option<String>,
    /// Role.
    pub role: Role,
    /// In the group now.
    pub present: bool,
    /// First seen.
    pub first_ms: i64,
    /// Last seen.
    pub last_ms: i64,
    /// Messages said.
    pub messages: u64,
    /// Who invited them.
    pub inviter: Option<String>,
    /// How they came in.
    pub scene: Option<String>,
    /// Channel code.
    pub channel: Option<String>,
    /// The platform's id of the person over all groups, where told.
    pub union_id: Option<String>,
    /// When they came in, where told.
    pub joined_ms: Option<i64>,
}

/// A member of a group, looked at where their row lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat<'a> {
    /// The platform's id.
    pub member: &'a str,
    /// Display name, where told.
    pub name: Option<&'a str>,
    /// Their person's number within the account.
    pub number: u64,
    /// Role.
    pub role: Role,
    /// In the group now.
    pub present: bool,
    /// First seen.
    pub first_ms: i64,
    /// Last seen.
    pub last_ms: i64,
    /// Messages said.
    pub messages: u64,
    /// When they came in, where told.
    pub joined_ms: Option<i64>,
}

/// A hit without the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HitRow {
    /// When.
    pub at_ms: i64,
    /// Who.
    pub member: String,
    /// Wordlist.
    pub wordlist: String,
    /// Category.
    pub category: String,
    /// Stable term id.
    pub term: u64,
    /// Bytes of the original.
    pub span: (u32, u32),
    /// Foldings.
    pub via: Vec<Via>,
}

/// Hits of one wordlist over all groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListCountRow {
    /// Its name.
    pub wordlist: String,
    /// Hits that counted.
    pub hits: u64,
    /// Hits where it was not in force: in shadow, or outside its stage.
    pub shadow_hits: u64,
}

/// Business results of one kind in one group, credited to a broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeRow {
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// `click`, `order`, ….
    pub kind: String,
    /// How many.
    pub count: u64,
    /// Their values together, in millionths of the brand's unit.
    pub value_micros: i64,
}

/// An event that was too late to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateRow {
    /// Its identity.
    pub key: EventKey,
    /// When it happened.
    pub at_ms: i64,
    /// When it arrived.
    pub arrived_ms: i64,
    /// Who; empty when the platform did not say.
    pub member: String,
    /// What kind of event.
    pub what: EventType,
}

/// A case of the fleet stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseRow {
    /// Stable id.
    pub id: String,
    /// Fingerprint of the text.
    pub fingerprint: u64,
    /// Groups of its messages, as (account, group), in that order.
    pub groups: Vec<(String, String)>,
    /// First sighting.
    pub first_ms: i64,
    /// The last of all its messages.
    pub last_ms: i64,
}

/// Where a page of a case's messages begins: after this one, as (arrival, account, group, message).
pub type CasePlace = (i64, String, String, String);

/// A piece of small durable state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRow {
    /// Whose.
    pub partition: Partition,
    /// What for.
    pub kind: StateKind,
    /// Which one.
    pub key: String,
    /// Its value.
    pub value: Vec<u8>,
    /// When it may be forgotten.
    pub expires_ms: i64,
}

/// A send or action that an event asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingSend {
    /// The event.
    pub head: Head<'static>,
    /// The send or action.
    pub fact: crate::event::Fact<'static>,
}
