//! The projection's rows: what a reader gets back.

use serde::{Deserialize, Serialize};

use crate::event::{Head, Partition, Role, StateKind, Via};

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

/// What is counted; the meaning of each word is in `statistics::definitions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Counters {
    /// Messages by customers and staff.
    pub messages: u64,
    /// Of these, by staff.
    pub staff_messages: u64,
    /// Joins.
    pub joins: u64,
    /// Leaves.
    pub leaves: u64,
    /// Hits that survived.
    pub hits: u64,
    /// Messages with the verdict `mask`.
    pub masked: u64,
    /// Messages with the verdict `review`.
    pub reviewed: u64,
    /// Messages with the verdict `block`.
    pub blocked: u64,
    /// Replies asked for.
    pub replies: u64,
    /// Welcomes asked for.
    pub welcomes: u64,
    /// Events too late to count.
    pub late: u64,
}

impl Counters {
    /// Adds another's numbers.
    pub fn add(&mut self, other: &Counters) {
        self.messages += other.messages;
        self.staff_messages += other.staff_messages;
        self.joins += other.joins;
        self.leaves += other.leaves;
        self.hits += other.hits;
        self.masked += other.masked;
        self.reviewed += other.reviewed;
        self.blocked += other.blocked;
        self.replies += other.replies;
        self.welcomes += other.welcomes;
        self.late += other.late;
    }
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

/// A case of the fleet stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseRow {
    /// Stable id.
    pub id: String,
    /// Fingerprint of the text.
    pub fingerprint: u64,
    /// Groups, as (account, group).
    pub groups: Vec<(String, String)>,
    /// First sighting.
    pub first_ms: i64,
    /// Last sighting.
    pub last_ms: i64,
}

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
