//! What a stretch of the journal changes: the difference as plain values.

use std::hash::{Hash, Hasher};

use hashbrown::{Equivalent, HashMap};

use super::latest::Latest;
use crate::event::{Alike, EventKey, EventType, Partition, Role, StateKind, Verdict, Via};
use crate::statistics::days::{Facet, Move, Spoke};
use crate::statistics::definitions::Counters;

/// Where effects stand in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose.
    pub partition: Partition,
    /// The row.
    pub position: u64,
    /// Which effects of the row, from 0.
    pub index: u32,
}

/// What a stretch of the journal changes. Groups are named by their index in `groups`.
#[derive(Debug, Default)]
pub struct Delta {
    /// Groups that had an event.
    pub groups: Vec<GroupDelta>,
    /// Members who were seen.
    pub members: Vec<MemberDelta>,
    /// First sightings in this stretch and told union ids, in journal order: numbers are given in this order.
    pub sightings: Vec<Sighting>,
    /// How often members spoke, by member index, hour and role.
    pub spoke: HashMap<(u32, u32, Role), Spoke>,
    /// Who came and went, in journal order.
    pub moved: Vec<MoveDelta>,
    /// What else is counted, by group index and hour.
    pub facets: HashMap<(u32, u32, Facet), u64>,
    /// Counters by group index and hour.
    pub counts: HashMap<(u32, u32), CountDelta>,
    /// Hits, in journal order.
    pub hits: Vec<HitDelta>,
    /// Hits by wordlist and hour, in groups or not.
    pub lists: HashMap<(String, u32), ListCount>,
    /// Business results credited to broadcasts, by group index, broadcast and kind.
    pub outcomes: HashMap<(u32, String, String), OutcomeSum>,
    /// The last write of each piece of small state.
    pub states: HashMap<(Partition, StateKind, String), StateDelta>,
    /// The last sighting of each case.
    pub cases: HashMap<String, CaseDelta>,
    /// Messages of cases.
    pub case_messages: Vec<CaseMessage>,
    /// Events too late to count, in journal order.
    pub lates: Vec<LateDelta>,
    /// How many events.
    pub events: u64,
    /// The latest arrival, a lower bound of "now"; 0 when there was no event.
    pub arrived_ms_max: i64,
    pub(super) group_index: HashMap<GroupName, u32>,
    pub(super) member_index: HashMap<MemberName, u32>,
}

/// What changed about a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDelta {
    /// Its partition.
    pub partition: Partition,
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// Earliest and latest event that counted; `None` when all were late.
    pub seen: Option<(i64, i64)>,
    /// The latest name told, with its time.
    pub name: Option<(i64, String)>,
    /// The latest owner told, with its time.
    pub owner: Option<(i64, String)>,
    /// Whether the group is gone, with the time that was told.
    pub dismissed: Option<(i64, bool)>,
    /// Earliest and latest hour with a counter.
    pub hours: (u32, u32),
}

/// What changed about a member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDelta {
    /// Index of the group.
    pub group: u32,
    /// The platform's id.
    pub member: String,
    /// Earliest and latest sighting; the first is after the last when there was none.
    pub seen: (i64, i64),
    /// The latest name told, with its time.
    pub name: Option<(i64, String)>,
    /// The role at the latest sighting.
    pub role: Role,
    /// Messages said.
    pub messages: u64,
    /// The latest join or leave: whether it left the member in the group.
    pub change: Latest<bool>,
    /// The latest join.
    pub join: Latest<Join>,
    /// The platform's id of the person over all groups, as last told.
    pub union_id: Option<String>,
    /// Seen or listed; not only named by somebody else's event.
    pub is_sighted: bool,
}

/// A member's presence changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveDelta {
    /// Index of the member.
    pub member: u32,
    /// When.
    pub at_ms: i64,
    /// What they were to us.
    pub role: Role,
    /// How.
    pub kind: Move,
}

/// A member showed up, or the platform told who they are over all groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Index of the member.
    pub member: u32,
    /// The platform's id of the person, where told.
    pub union_id: Option<String>,
}

/// How a member came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Join {
    /// Who invited them.
    pub inviter: Option<String>,
    /// How, in the platform's words.
    pub scene: Option<String>,
    /// Channel code.
    pub channel: Option<String>,
}

/// Counters to be added to a group's hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountDelta {
    /// The numbers.
    pub counters: Counters,
    /// A late-arriving event changed an ended hour.
    pub revised: bool,
}

/// Hits of one wordlist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListCount {
    /// Those that counted.
    pub hits: u64,
    /// Those where the list was not in force.
    pub shadow_hits: u64,
}

impl ListCount {
    /// Adds another's numbers.
    pub fn add(&mut self, other: ListCount) {
        self.hits += other.hits;
        self.shadow_hits += other.shadow_hits;
    }
}

/// Business results of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeSum {
    /// How many.
    pub count: u64,
    /// Their values together, in millionths: whole numbers add up to the same in every order.
    pub value_micros: i64,
    /// When the latest came.
    pub last_ms: i64,
}

impl OutcomeSum {
    /// Adds another's numbers.
    pub fn add(&mut self, other: OutcomeSum) {
        self.count += other.count;
        self.value_micros = self.value_micros.saturating_add(other.value_micros);
        self.last_ms = self.last_ms.max(other.last_ms);
    }
}

/// A hit to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HitDelta {
    /// Index of the group.
    pub group: u32,
    /// Where it stands.
    pub place: Place,
    /// Which hit of its event, from 0.
    pub nth: u32,
    /// When.
    pub at_ms: i64,
    /// Who; empty when the platform did not say.
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

/// A new value of small state, or its removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDelta {
    /// `None` removes.
    pub value: Option<Vec<u8>>,
    /// When it may be forgotten.
    pub expires_ms: i64,
}

/// A case of the fleet stage, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseDelta {
    /// Fingerprint of the text.
    pub fingerprint: u64,
    /// Groups, as (account, group).
    pub groups: Vec<(String, String)>,
    /// First sighting.
    pub first_ms: i64,
    /// Last sighting.
    pub last_ms: i64,
}

/// A message of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseMessage {
    /// The case.
    pub case: String,
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// Who said it; empty when the platform did not say.
    pub member: String,
    /// The platform's id of it; empty where it was not noted.
    pub of: String,
    /// When it arrived.
    pub at_ms: i64,
    /// By what it belongs to the case.
    pub by: Alike,
    /// What was decided about it.
    pub verdict: Verdict,
}

/// An event that was too late to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateDelta {
    /// Index of the group.
    pub group: u32,
    /// Where it stands.
    pub place: Place,
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

// === keys that are looked up without being built ===

#[derive(Debug, PartialEq, Eq)]
pub(super) struct GroupName(pub(super) String, pub(super) String);

pub(super) struct GroupRef<'a>(pub(super) &'a str, pub(super) &'a str);

impl Hash for GroupName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        GroupRef(&self.0, &self.1).hash(state);
    }
}

impl Hash for GroupRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.hash(state);
    }
}

impl Equivalent<GroupName> for GroupRef<'_> {
    fn equivalent(&self, key: &GroupName) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct MemberName(pub(super) u32, pub(super) String);

pub(super) struct MemberRef<'a>(pub(super) u32, pub(super) &'a str);

impl Hash for MemberName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        MemberRef(self.0, &self.1).hash(state);
    }
}

impl Hash for MemberRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.hash(state);
    }
}

impl Equivalent<MemberName> for MemberRef<'_> {
    fn equivalent(&self, key: &MemberName) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}
