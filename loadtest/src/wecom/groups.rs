//! Customer groups: who is in them, since when and how, and what reads show of them a little later.
//!
//! 24,000 groups with five million memberships are held in memory, so a membership is 16 bytes ([`Membership`]) and ids are
//! computed ([`super::ids`]). A read inside the lag of an act gets the state before it, with the version before it.

use std::collections::{BTreeSet, VecDeque};

use md5::{Digest, Md5};

use super::clock::day_of;
use super::crypto::hex;
use super::days::DayLog;
use super::ids;
use super::people::{CustomerNo, Person, StaffNo, at};

/// How many may be in a group.
pub const GROUP_MEMBERS_MAX: usize = 500;

/// A group, by place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupNo(pub u32);

/// How someone came into a group, as `groupchat/get` numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinScene {
    /// Invited by a member.
    Invited = 1,
    /// Came by an invite link.
    Link = 2,
    /// Scanned the group's code.
    Scanned = 3,
}

impl JoinScene {
    /// The scene of a number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Invited),
            2 => Some(Self::Link),
            3 => Some(Self::Scanned),
            _ => None,
        }
    }

    /// What the change event calls it: other numbers than the roster's.
    pub(crate) fn event_number(self) -> u8 {
        match self {
            Self::Invited | Self::Link => 0,
            Self::Scanned => 3,
        }
    }
}

/// One person in one group, packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The number; the highest bit says that it is a member of the corp.
    person: u32,
    joined_s: u32,
    /// The scene in the highest two bits, the inviter's number plus one in the others.
    came: u32,
    /// The channel, as a number of the people's words.
    pub(crate) state: u32,
}

const STAFF_BIT: u32 = 1 << 31;
const INVITER_BITS: u32 = (1 << 30) - 1;

impl Membership {
    /// Packs a membership.
    pub fn new(
        person: Person,
        joined_s: u64,
        scene: JoinScene,
        inviter: Option<StaffNo>,
        state: u32,
    ) -> Self {
        let person = match person {
            Person::Staff(staff) => staff.0 | STAFF_BIT,
            Person::Customer(customer) => customer.0 & !STAFF_BIT,
        };
        let inviter = inviter.map_or(0, |staff| (staff.0 + 1) & INVITER_BITS);
        let joined_s = u32::try_from(joined_s).unwrap_or(u32::MAX);
        Self { person, joined_s, came: u32::from(scene as u8) << 30 | inviter, state }
    }

    /// Who it is.
    pub fn person(self) -> Person {
        if self.person & STAFF_BIT == 0 {
            Person::Customer(CustomerNo(self.person))
        } else {
            Person::Staff(StaffNo(self.person & !STAFF_BIT))
        }
    }

    /// Since when, in seconds since 1970.
    pub fn joined_s(self) -> u64 {
        u64::from(self.joined_s)
    }

    /// How they came.
    pub fn scene(self) -> JoinScene {
        match self.came >> 30 {
            2 => JoinScene::Link,
            3 => JoinScene::Scanned,
            _ => JoinScene::Invited,
        }
    }

    /// Who invited them.
    pub fn inviter(self) -> Option<StaffNo> {
        (self.came & INVITER_BITS).checked_sub(1).map(StaffNo)
    }
}

/// What becomes of a group whose owner has left, as lists number it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupStatus {
    /// As usual.
    #[default]
    Normal = 0,
    /// The owner has left, nobody has taken over.
    OwnerLeft = 1,
    /// Being taken over.
    Inheriting = 2,
    /// Taken over.
    Inherited = 3,
}

/// What a read can show of a group.
#[derive(Debug, Clone)]
pub struct GroupState {
    /// Its name; empty until one is given.
    pub name: String,
    /// Its notice.
    pub notice: String,
    /// Who owns it.
    pub owner: StaffNo,
    /// Who else may remove people.
    pub admins: BTreeSet<StaffNo>,
    /// What became of it.
    pub status: GroupStatus,
    /// Whether it is over.
    pub is_dismissed: bool,
    /// Counts changes of membership.
    pub change: u32,
    /// Who is in it, in the order they came.
    pub members: Vec<Membership>,
}

/// One group.
#[derive(Debug)]
pub struct Group {
    /// As it is.
    pub now: GroupState,
    /// When it was made, in seconds since 1970.
    pub created_s: u64,
    /// The day it ended.
    pub dismissed_day: Option<u32>,
    pub(crate) days: DayLog,
    /// As it was, and until when reads show that; none before it was made. The oldest first, ends never go back.
    past: VecDeque<(u64, Option<GroupState>)>,
}

impl Group {
    /// What a read at a moment gets; none when it does not know the group yet.
    pub(crate) fn seen(&self, now_ms: u64) -> Option<&GroupState> {
        match self.past.iter().find(|(until_ms, _)| now_ms < *until_ms) {
            Some((_, state)) => state.as_ref(),
            None => Some(&self.now),
        }
    }

    /// Keeps the present state for reads until a moment; call it before an act.
    pub(crate) fn lag(&mut self, now_ms: u64, until_ms: u64) {
        let state = Some(self.now.clone());
        self.remember(state, now_ms, until_ms);
    }

    /// Hides a new group from reads until a moment.
    pub(crate) fn hide(&mut self, now_ms: u64, until_ms: u64) {
        self.remember(None, now_ms, until_ms);
    }

    /// Lets go of what no read is shown any more.
    fn forget_past(&mut self, now_ms: u64) {
        self.past.retain(|(until_ms, _)| now_ms < *until_ms);
    }

    fn remember(&mut self, state: Option<GroupState>, now_ms: u64, until_ms: u64) {
        self.forget_past(now_ms);
        let last_ms = self.past.back().map_or(0, |(until_ms, _)| *until_ms);
        // An act with a shorter lag cannot show earlier than one before it: both show together.
        if until_ms > now_ms.max(last_ms) {
            self.past.push_back((until_ms, state));
        }
    }

    /// Whether someone is in it.
    pub fn has(&self, person: Person) -> bool {
        self.now.members.iter().any(|member| member.person() == person)
    }
}

/// All groups.
#[derive(Debug, Default)]
pub struct Groups {
    seed: u64,
    list: Vec<Group>,
    /// Groups with a past, and when it is over.
    lagging: BTreeSet<(u64, GroupNo)>,
}

impl Groups {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Makes a group of its owner alone.
    pub(crate) fn create(&mut self, owner: StaffNo, name: String, created_s: u64) -> GroupNo {
        let number = GroupNo(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        let mut days = DayLog::default();
        days.joined(day_of(created_s), 1);
        let now = GroupState {
            name,
            notice: String::new(),
            owner,
            admins: BTreeSet::new(),
            status: GroupStatus::Normal,
            is_dismissed: false,
            change: 0,
            members: vec![Membership::new(Person::Staff(owner), created_s, JoinScene::Invited, None, 0)],
        };
        self.list.push(Group { now, created_s, dismissed_day: None, days, past: VecDeque::new() });
        number
    }

    /// Notes when a group's past is over, so that it is let go.
    pub(crate) fn will_show(&mut self, number: GroupNo, until_ms: u64) {
        self.lagging.insert((until_ms, number));
    }

    /// Lets go of the pasts that are over.
    pub(crate) fn tick(&mut self, now_ms: u64) {
        while let Some(&(until_ms, number)) = self.lagging.first()
            && until_ms <= now_ms
        {
            self.lagging.pop_first();
            self.group_mut(number).forget_past(now_ms);
        }
    }

    /// A group. Numbers come from this list, so there is one.
    pub fn group(&self, number: GroupNo) -> &Group {
        &self.list[at(number.0)]
    }

    pub(crate) fn group_mut(&mut self, number: GroupNo) -> &mut Group {
        &mut self.list[at(number.0)]
    }

    /// All of them, dismissed ones too, in the order they were made.
    pub fn all(&self) -> impl Iterator<Item = (GroupNo, &Group)> {
        (0..).map(GroupNo).zip(&self.list)
    }

    /// How many were ever made.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// The id of a group.
    pub fn chat_id(&self, number: GroupNo) -> String {
        ids::encode(self.seed, ids::GROUP, number.0)
    }

    /// The group of an id.
    pub fn group_of(&self, chat_id: &str) -> Option<GroupNo> {
        let number = ids::decode(self.seed, ids::GROUP, chat_id)?;
        (at(number) < self.list.len()).then_some(GroupNo(number))
    }

    /// The version of a group's member list after so many changes.
    pub fn version(&self, number: GroupNo, change: u32) -> String {
        hex(&Md5::digest(format!("{}/{}/{change}", self.seed, number.0)))
    }

    /// Bytes held for memberships, room to grow included.
    pub fn membership_bytes(&self) -> usize {
        self.list.iter().map(|group| group.now.members.capacity() * size_of::<Membership>()).sum()
    }

    /// Memberships in all groups.
    pub fn membership_count(&self) -> usize {
        self.list.iter().map(|group| group.now.members.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships_are_sixteen_bytes_and_lose_nothing() {
        assert_eq!(size_of::<Membership>(), 16);
        for (person, inviter) in [
            (Person::Staff(StaffNo(0)), None),
            (Person::Customer(CustomerNo(5_000_000)), Some(StaffNo(0))),
            (Person::Customer(CustomerNo(0)), Some(StaffNo(3_999))),
        ] {
            for scene in [JoinScene::Invited, JoinScene::Link, JoinScene::Scanned] {
                let member = Membership::new(person, 1_767_225_600, scene, inviter, 9);
                assert_eq!((member.person(), member.scene(), member.inviter()), (person, scene, inviter));
                assert_eq!((member.joined_s(), member.state), (1_767_225_600, 9));
            }
        }
    }

    #[test]
    fn reads_inside_a_lag_get_the_state_before_each_act() {
        let mut groups = Groups::new(1);
        let number = groups.create(StaffNo(0), "a".to_owned(), 0);
        let group = groups.group_mut(number);
        group.lag(1_000, 1_500);
        group.now.name = "b".to_owned();
        group.lag(1_200, 1_700);
        group.now.name = "c".to_owned();
        let seen = |at| group.seen(at).map(|state| state.name.as_str());
        assert_eq!(
            (seen(1_499), seen(1_500), seen(1_699), seen(1_700)),
            (Some("a"), Some("b"), Some("b"), Some("c"))
        );
        let hidden = groups.create(StaffNo(0), "n".to_owned(), 0);
        let group = groups.group_mut(hidden);
        group.hide(1_000, 1_100);
        assert!(group.seen(1_099).is_none() && group.seen(1_100).is_some());
    }

    #[test]
    fn versions_are_32_hex_and_change_with_each_change() {
        let groups = Groups::new(1);
        let versions: Vec<String> = (0..3).map(|change| groups.version(GroupNo(0), change)).collect();
        assert!(versions.iter().all(|v| v.len() == 32 && v.bytes().all(|b| b.is_ascii_hexdigit())));
        assert!(versions[0] != versions[1] && versions[1] != versions[2]);
    }
}
