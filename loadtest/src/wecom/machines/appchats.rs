//! Internal groups that an app made: the only kind whose members a call can change.

use std::collections::BTreeMap;

use crate::wecom::errcode;
use crate::wecom::limits::Rule;
use crate::wecom::people::StaffNo;
use crate::wecom::request::Refusal;

/// Groups that all apps of a corp may make.
pub const CREATES: [Rule; 1] = [Rule::per_day(1_000)];
/// Person-sends of a corp: one for each member of the group.
pub const PERSON_SENDS: [Rule; 2] = [Rule::per_minute(20_000), Rule::per_hour(300_000)];
/// What reaches one member; the rest is dropped without an error.
pub const PER_MEMBER: [Rule; 2] = [Rule::per_minute(200), Rule::per_day(10_000)];
/// Groups kept; a corp makes at most a thousand a day.
pub const CHATS_MAX: usize = 100_000;
const NAME_CHARS_MAX: usize = 50;
const CHATID_CHARS_MAX: usize = 32;
const MEMBERS_MIN: usize = 2;

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// The app that made it.
    pub app: usize,
    /// What it is called.
    pub name: String,
    /// Who owns it.
    pub owner: StaffNo,
    /// Who is in it, the owner too, in the order they came.
    pub members: Vec<StaffNo>,
    /// Messages sent; before the first one no member sees the group.
    pub messages: u64,
}

/// What a change asks for, with people who exist.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) name: Option<String>,
    pub(crate) owner: Option<StaffNo>,
    pub(crate) add: Vec<StaffNo>,
    pub(crate) remove: Vec<StaffNo>,
}

/// All groups that apps made, by their ids.
#[derive(Debug, Default)]
pub struct Appchats {
    chats: BTreeMap<String, Chat>,
    /// Person-sends dropped for a member's own limit.
    pub over_limit_dropped: u64,
}

/// Whether an id may be given to a group.
///
/// # Errors
/// 86001.
pub(crate) fn check_chatid(chatid: &str) -> Result<(), Refusal> {
    let is_good = (1..=CHATID_CHARS_MAX).contains(&chatid.len())
        && chatid.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_good { Ok(()) } else { Err(Refusal::code(errcode::CHATID_ILLEGAL)) }
}

fn check_count(members: &[StaffNo], members_max: usize) -> Result<(), Refusal> {
    Refusal::unless((MEMBERS_MIN..=members_max).contains(&members.len()), errcode::CHAT_MEMBER_COUNT)
}

fn short(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

fn without_repeats(list: Vec<StaffNo>) -> Vec<StaffNo> {
    let mut seen = std::collections::HashSet::new();
    list.into_iter().filter(|member| seen.insert(*member)).collect()
}

impl Appchats {
    /// Makes a group of people who exist. `owner` has been chosen already when the call named none.
    ///
    /// # Errors
    /// 86215 for an id that is taken, 86006 for too few or too many, 86207 for an owner who is not in the list.
    pub(crate) fn create(
        &mut self,
        chatid: &str,
        app: usize,
        name: &str,
        owner: StaffNo,
        members: Vec<StaffNo>,
        members_max: usize,
    ) -> Result<(), Refusal> {
        if self.chats.contains_key(chatid) {
            return Err(Refusal::code(errcode::CHAT_EXISTS));
        }
        if self.chats.len() >= CHATS_MAX {
            return Err(Refusal::code(errcode::FREQUENCY));
        }
        let members = without_repeats(members);
        check_count(&members, members_max)?;
        if !members.contains(&owner) {
            return Err(Refusal::code(errcode::OWNER_NOT_IN_LIST));
        }
        let chat = Chat { app, name: short(name), owner, members, messages: 0 };
        self.chats.insert(chatid.to_owned(), chat);
        Ok(())
    }

    /// A group, for the app that made it.
    ///
    /// # Errors
    /// 86003 for an unknown id, 86008 for another app's group.
    pub(crate) fn own(&self, chatid: &str, app: usize) -> Result<&Chat, Refusal> {
        let chat = self.chats.get(chatid).ok_or_else(|| Refusal::code(errcode::CHATID_UNKNOWN))?;
        if chat.app == app { Ok(chat) } else { Err(Refusal::code(errcode::NOT_OWN_CHAT)) }
    }

    /// Changes a group, wholly or not at all.
    ///
    /// # Errors
    /// As [`Self::own`]; 86006 when too few or too many would be left, 86207 when the owner would not be among them.
    /// What becomes of a group whose owner is taken out without a new one is not told; refusing is the strict reading.
    pub(crate) fn update(
        &mut self,
        chatid: &str,
        app: usize,
        change: Change,
        members_max: usize,
    ) -> Result<(), Refusal> {
        let chat = self.own(chatid, app)?;
        let mut members = without_repeats([chat.members.clone(), change.add].concat());
        members.retain(|member| !change.remove.contains(member));
        check_count(&members, members_max)?;
        let owner = change.owner.unwrap_or(chat.owner);
        if !members.contains(&owner) {
            return Err(Refusal::code(errcode::OWNER_NOT_IN_LIST));
        }
        if let Some(chat) = self.chats.get_mut(chatid) {
            (chat.members, chat.owner) = (members, owner);
            if let Some(name) = change.name {
                chat.name = short(&name);
            }
        }
        Ok(())
    }

    /// A message has gone into a group.
    pub(crate) fn spoke(&mut self, chatid: &str) {
        if let Some(chat) = self.chats.get_mut(chatid) {
            chat.messages += 1;
        }
    }

    /// A group, whoever made it.
    pub fn chat(&self, chatid: &str) -> Option<&Chat> {
        self.chats.get(chatid)
    }

    /// All of them, with their ids.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Chat)> {
        self.chats.iter().map(|(chatid, chat)| (chatid.as_str(), chat))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(range: std::ops::Range<u32>) -> Vec<StaffNo> {
        range.map(StaffNo).collect()
    }

    fn create(chats: &mut Appchats, chatid: &str, owner: u32, members: Vec<StaffNo>) -> i64 {
        let made = chats.create(chatid, 0, "n", StaffNo(owner), members, 2_000);
        made.map_or_else(|refusal| refusal.errcode, |()| 0)
    }

    #[test]
    fn a_group_has_two_to_two_thousand_members_and_its_owner_is_one() {
        let mut chats = Appchats::default();
        assert_eq!(create(&mut chats, "a", 0, people(0..1)), 86_006);
        assert_eq!(create(&mut chats, "a", 0, vec![StaffNo(0), StaffNo(0)]), 86_006);
        assert_eq!(create(&mut chats, "a", 0, people(0..2_001)), 86_006);
        assert_eq!(create(&mut chats, "a", 7, people(0..2)), 86_207);
        assert_eq!(create(&mut chats, "a", 0, people(0..2_000)), 0);
        assert_eq!(create(&mut chats, "a", 0, people(0..2)), 86_215);
    }

    #[test]
    fn ids_are_up_to_32_letters_and_digits() {
        for (chatid, is_good) in [
            ("a", true),
            (&"x".repeat(32), true),
            (&"x".repeat(33), false),
            ("", false),
            ("a-b", false),
            ("群", false),
        ] {
            assert_eq!(check_chatid(chatid).is_ok(), is_good, "{chatid}");
        }
    }

    #[test]
    fn names_are_cut_off_at_fifty_characters() {
        let mut chats = Appchats::default();
        chats.create("a", 0, &"群".repeat(60), StaffNo(0), people(0..2), 2_000).expect("a group");
        assert_eq!(chats.own("a", 0).expect("a group").name, "群".repeat(50));
    }

    #[test]
    fn changes_are_whole_or_not_at_all() {
        let mut chats = Appchats::default();
        assert_eq!(create(&mut chats, "a", 0, people(0..3)), 0);
        let before = chats.own("a", 0).expect("a group").clone();
        for (change, code) in [
            (Change { remove: people(0..1), ..Change::default() }, 86_207),
            (Change { remove: people(1..3), ..Change::default() }, 86_006),
            (Change { owner: Some(StaffNo(9)), ..Change::default() }, 86_207),
            (Change { add: people(3..2_001), ..Change::default() }, 86_006),
        ] {
            let refused = chats.update("a", 0, change, 2_000).expect_err("refused");
            assert_eq!(refused.errcode, code);
            assert_eq!(chats.own("a", 0).expect("a group"), &before);
        }
        let (add, remove) = (people(9..10), people(0..1));
        let change = Change { name: Some("m".to_owned()), owner: Some(StaffNo(9)), add, remove };
        chats.update("a", 0, change, 2_000).expect("a change");
        let after = chats.own("a", 0).expect("a group");
        assert_eq!((after.name.as_str(), after.owner), ("m", StaffNo(9)));
        assert_eq!(after.members, [StaffNo(1), StaffNo(2), StaffNo(9)]);
    }

    #[test]
    fn groups_of_other_apps_are_out_of_reach() {
        let mut chats = Appchats::default();
        assert_eq!(create(&mut chats, "a", 0, people(0..2)), 0);
        let code = |chatid, app| chats.own(chatid, app).map_or_else(|refusal| refusal.errcode, |_| 0);
        assert_eq!((code("a", 0), code("a", 1), code("b", 0)), (0, 86_008, 86_003));
    }
}
