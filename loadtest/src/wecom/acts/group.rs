//! Acts on groups.

use super::{Act, ActError, Deed};
use crate::wecom::clock::day_of;
use crate::wecom::events::Document;
use crate::wecom::groups::{GROUP_MEMBERS_MAX, GroupNo, GroupStatus, JoinScene, Membership};
use crate::wecom::people::{Person, StaffNo};
use crate::wecom::world::World;

/// How and by whom people come in.
#[derive(Debug, Clone, Copy)]
struct Entry {
    scene: JoinScene,
    inviter: Option<StaffNo>,
    state: u32,
}

impl World {
    pub(super) fn act_in_group(&mut self, act: Act, until_ms: u64) -> Result<Deed, ActError> {
        match act {
            Act::CreateGroup { owner, name, members, newcomers } => {
                self.create_group(&owner, name, &members, newcomers, until_ms)
            }
            Act::Join { chat_id, members, newcomers, scene, inviter, state } => {
                let group = self.live_group(&chat_id)?;
                let scene =
                    JoinScene::from_number(scene).ok_or_else(|| ActError::Value(scene.to_string()))?;
                let inviter = inviter.map(|userid| self.known_staff(&userid)).transpose()?;
                let state = self.people.states.number(&state);
                self.join(group, &members, newcomers, Entry { scene, inviter, state }, until_ms)
            }
            Act::Leave { chat_id, members, removed } => self.leave(&chat_id, &members, removed, until_ms),
            Act::ChangeOwner { chat_id, owner } => self.change_owner(&chat_id, &owner, until_ms),
            Act::ChangeName { chat_id, name } => {
                self.change(&chat_id, "change_name", until_ms, |state| state.name = name)
            }
            Act::ChangeNotice { chat_id, notice } => {
                self.change(&chat_id, "change_notice", until_ms, |state| state.notice = notice)
            }
            Act::SetAdmins { chat_id, admins } => {
                let group = self.live_group(&chat_id)?;
                let admins =
                    admins.iter().map(|userid| self.known_staff(userid)).collect::<Result<_, _>>()?;
                self.before(group, until_ms);
                self.groups.group_mut(group).now.admins = admins;
                Ok(Deed { chat_id: Some(chat_id), ..Deed::default() })
            }
            Act::Dismiss { chat_id } => self.dismiss_group(chat_id, until_ms),
            Act::Message { chat_id, from } => self.message(chat_id, &from),
            Act::NewCustomer { .. }
            | Act::AddContact { .. }
            | Act::EditContact { .. }
            | Act::DeleteContact { .. }
            | Act::DeleteFollow { .. }
            | Act::TransferFail { .. }
            | Act::AgreeToArchive { .. }
            | Act::StartChat { .. }
            | Act::ChangeTag { .. }
            | Act::OwnerLeaves { .. } => Err(ActError::Value("not an act on a group".to_owned())),
        }
    }

    fn create_group(
        &mut self,
        owner: &str,
        name: String,
        members: &[String],
        newcomers: usize,
        until_ms: u64,
    ) -> Result<Deed, ActError> {
        let owner = self.known_staff(owner)?;
        let mut people = self.known_people(members)?;
        people.retain(|person| *person != Person::Staff(owner));
        if people.len() + newcomers + 1 > GROUP_MEMBERS_MAX {
            return Err(ActError::Full(name));
        }
        people.extend((0..newcomers).map(|_| Person::Customer(self.people.new_customer())));
        let now_ms = self.now_ms();
        let group = self.groups.create(owner, name, now_ms / 1_000);
        let entry = Entry { scene: JoinScene::Invited, inviter: Some(owner), state: 0 };
        self.seat(group, &people, entry);
        // What came with the group is its first roster, not a change of it.
        self.groups.group_mut(group).now.change = 0;
        self.groups.group_mut(group).hide(now_ms, until_ms);
        self.groups.will_show(group, until_ms);
        let chat_id = self.groups.chat_id(group);
        let document = Document::new("change_external_chat", &chat_id)
            .text("ChatId", &chat_id)
            .kind("ChangeType", "create");
        let event = Some(self.emit(document));
        let members = people.iter().map(|person| self.people.id_of(*person)).collect();
        Ok(Deed { chat_id: Some(chat_id), members, event, welcome_code: None })
    }

    fn join(
        &mut self,
        group: GroupNo,
        members: &[String],
        newcomers: usize,
        entry: Entry,
        until_ms: u64,
    ) -> Result<Deed, ActError> {
        let mut people = self.known_people(members)?;
        people.retain(|person| !self.groups.group(group).has(*person));
        let chat_id = self.groups.chat_id(group);
        if self.groups.group(group).now.members.len() + people.len() + newcomers > GROUP_MEMBERS_MAX {
            return Err(ActError::Full(chat_id));
        }
        people.extend((0..newcomers).map(|_| Person::Customer(self.people.new_customer())));
        if people.is_empty() {
            return Ok(Deed { chat_id: Some(chat_id), ..Deed::default() });
        }
        self.before(group, until_ms);
        self.seat(group, &people, entry);
        let scene = u64::from(entry.scene.event_number());
        Ok(self.membership_changed(group, "add_member", &people, [scene, 0]))
    }

    fn leave(
        &mut self,
        chat_id: &str,
        members: &[String],
        removed: bool,
        until_ms: u64,
    ) -> Result<Deed, ActError> {
        let group = self.live_group(chat_id)?;
        let mut people = self.known_people(members)?;
        people.retain(|person| self.groups.group(group).has(*person));
        let owner = Person::Staff(self.groups.group(group).now.owner);
        if people.contains(&owner) {
            return Err(ActError::Owner(self.people.id_of(owner)));
        }
        if people.is_empty() {
            return Ok(Deed { chat_id: Some(chat_id.to_owned()), ..Deed::default() });
        }
        self.before(group, until_ms);
        let day = day_of(self.now_ms() / 1_000);
        let found = self.groups.group_mut(group);
        found.now.members.retain(|member| !people.contains(&member.person()));
        found.now.change += 1;
        found.days.left(day, u32::try_from(people.len()).unwrap_or(u32::MAX));
        Ok(self.membership_changed(group, "del_member", &people, [0, u64::from(removed)]))
    }

    /// Puts people into a group; those who are in it already must have been taken out of the list.
    fn seat(&mut self, group: GroupNo, people: &[Person], entry: Entry) {
        let now_s = self.now_ms() / 1_000;
        let found = self.groups.group_mut(group);
        let Entry { scene, inviter, state } = entry;
        // Exact growth with a little room: doubling would cost more than the memberships themselves.
        let room = found.now.members.capacity() - found.now.members.len();
        if room < people.len() {
            found.now.members.reserve_exact(people.len() + found.now.members.len() / 16);
        }
        let seats = people.iter().map(|person| Membership::new(*person, now_s, scene, inviter, state));
        found.now.members.extend(seats);
        found.now.change += 1;
        found.days.joined(day_of(now_s), u32::try_from(people.len()).unwrap_or(u32::MAX));
    }

    fn membership_changed(
        &mut self,
        group: GroupNo,
        detail: &str,
        people: &[Person],
        [join_scene, quit_scene]: [u64; 2],
    ) -> Deed {
        let chat_id = self.groups.chat_id(group);
        let change = self.groups.group(group).now.change;
        let last = self.groups.version(group, change.saturating_sub(1));
        let current = self.groups.version(group, change);
        let ids: Vec<String> = people.iter().map(|person| self.people.id_of(*person)).collect();
        let document = Document::new("change_external_chat", &chat_id)
            .text("ChatId", &chat_id)
            .kind("ChangeType", "update")
            .kind("UpdateDetail", detail)
            .number("JoinScene", join_scene)
            .number("QuitScene", quit_scene)
            .members(self.config.callbacks.member_list, &ids, [&last, &current]);
        let event = Some(self.emit(document));
        Deed { chat_id: Some(chat_id), members: ids, event, welcome_code: None }
    }

    fn change_owner(&mut self, chat_id: &str, owner: &str, until_ms: u64) -> Result<Deed, ActError> {
        let group = self.live_group(chat_id)?;
        let owner = self.known_staff(owner)?;
        if !self.groups.group(group).has(Person::Staff(owner)) {
            let entry = Entry { scene: JoinScene::Invited, inviter: None, state: 0 };
            let userid = self.people.staff(owner).userid.clone();
            self.join(group, &[userid], 0, entry, until_ms)?;
        }
        self.change(chat_id, "change_owner", until_ms, |state| {
            state.owner = owner;
            if state.status != GroupStatus::Normal {
                state.status = GroupStatus::Inherited;
            }
        })
    }

    fn change(
        &mut self,
        chat_id: &str,
        detail: &str,
        until_ms: u64,
        change: impl FnOnce(&mut crate::wecom::groups::GroupState),
    ) -> Result<Deed, ActError> {
        let group = self.live_group(chat_id)?;
        self.before(group, until_ms);
        change(&mut self.groups.group_mut(group).now);
        let document = Document::new("change_external_chat", chat_id)
            .text("ChatId", chat_id)
            .kind("ChangeType", "update")
            .kind("UpdateDetail", detail)
            .number("JoinScene", 0)
            .number("QuitScene", 0)
            .number("MemChangeCnt", 0);
        let event = Some(self.emit(document));
        Ok(Deed { chat_id: Some(chat_id.to_owned()), event, ..Deed::default() })
    }

    fn dismiss_group(&mut self, chat_id: String, until_ms: u64) -> Result<Deed, ActError> {
        let group = self.live_group(&chat_id)?;
        self.before(group, until_ms);
        let day = day_of(self.now_ms() / 1_000);
        let found = self.groups.group_mut(group);
        let members = std::mem::take(&mut found.now.members);
        found.days.left(day, u32::try_from(members.len()).unwrap_or(u32::MAX));
        found.now.is_dismissed = true;
        found.dismissed_day = Some(day);
        let document = Document::new("change_external_chat", &chat_id)
            .text("ChatId", &chat_id)
            .kind("ChangeType", "dismiss");
        let event = Some(self.emit(document));
        Ok(Deed { chat_id: Some(chat_id), event, ..Deed::default() })
    }

    fn message(&mut self, chat_id: String, from: &str) -> Result<Deed, ActError> {
        let group = self.live_group(&chat_id)?;
        let person = self.people.person_of(from).filter(|person| self.groups.group(group).has(*person));
        let person = person.ok_or_else(|| ActError::Person(from.to_owned()))?;
        let is_first = self.spoken.insert((group, person));
        let day = day_of(self.now_ms() / 1_000);
        self.groups.group_mut(group).days.message(day, is_first);
        Ok(Deed { chat_id: Some(chat_id), ..Deed::default() })
    }

    /// Keeps what reads shall show until a moment.
    fn before(&mut self, group: GroupNo, until_ms: u64) {
        let now_ms = self.now_ms();
        if until_ms > now_ms {
            self.groups.group_mut(group).lag(now_ms, until_ms);
            self.groups.will_show(group, until_ms);
        }
    }

    fn live_group(&self, chat_id: &str) -> Result<GroupNo, ActError> {
        let group = self.groups.group_of(chat_id).ok_or_else(|| ActError::Group(chat_id.to_owned()))?;
        if self.groups.group(group).now.is_dismissed {
            return Err(ActError::Dismissed(chat_id.to_owned()));
        }
        Ok(group)
    }

    fn known_people(&self, ids: &[String]) -> Result<Vec<Person>, ActError> {
        let mut people = Vec::with_capacity(ids.len());
        for id in ids {
            let person = self.people.person_of(id).ok_or_else(|| ActError::Person(id.clone()))?;
            if !people.contains(&person) {
                people.push(person);
            }
        }
        Ok(people)
    }
}
