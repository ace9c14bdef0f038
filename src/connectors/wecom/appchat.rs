//! Groups that our app made (appchat): the only ones whose people an interface can change.
//!
//! WeCom counts a message to such a group once for each of its people ("person-times"), and drops what is over a member's
//! own limit without an error. So before a send we must know who is in the group: read from WeCom, remembered for a while,
//! and forgotten when we change it. A group whose people cannot be read is not written to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;

use super::api::Api;
use super::book::millis;
use super::client::Done;
use super::content::Message;
use super::deliver::Acts;
use super::error::{ApiError, not_asked};
use super::send::Way;
use crate::connectors::offers::{OwnGroups, PlatformError};
use crate::outbox::delivery::Outcome;

/// Most characters of a name. WeCom cuts longer ones without a word.
const NAME_CHARS_MAX: usize = 50;
/// Most characters of an id of ours.
const ID_CHARS_MAX: usize = 32;
/// Fewest people of a group.
const PEOPLE_MIN: usize = 2;
/// Most people of a group.
const PEOPLE_MAX: usize = 2_000;
/// How long we take a group's people to be what they were. The client lets them change too.
const PEOPLE_KNOWN: Duration = Duration::from_mins(10);
/// Most groups whose people are remembered.
const GROUPS_MAX: usize = 200;

/// Who is in which group of ours, as last read.
#[derive(Debug, Default)]
pub(super) struct OwnGroupsRead(Mutex<HashMap<String, Read>>);

#[derive(Debug)]
struct Read {
    people: Arc<[String]>,
    until_ms: i64,
}

impl OwnGroupsRead {
    fn find(&self, chat: &str, now_ms: i64) -> Option<Arc<[String]>> {
        let groups = self.0.lock();
        groups.get(chat).filter(|read| now_ms < read.until_ms).map(|read| Arc::clone(&read.people))
    }

    fn remember(&self, chat: &str, people: &Arc<[String]>, now_ms: i64) {
        let mut groups = self.0.lock();
        if groups.len() >= GROUPS_MAX {
            groups.retain(|_, read| now_ms < read.until_ms);
        }
        if groups.len() >= GROUPS_MAX {
            groups.clear();
        }
        let until_ms = now_ms.saturating_add(millis(PEOPLE_KNOWN));
        groups.insert(chat.to_owned(), Read { people: Arc::clone(people), until_ms });
    }

    fn forget(&self, chat: &str) {
        self.0.lock().remove(chat);
    }
}

#[derive(Deserialize)]
struct Got {
    chat_info: ChatInfo,
}

#[derive(Deserialize)]
struct ChatInfo {
    #[serde(default)]
    name: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    userlist: Vec<String>,
}

fn check_name(api: Api, name: &str) -> Result<(), PlatformError> {
    if (1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
        return Ok(());
    }
    let zh = format!("`name` 须为 1 到 {NAME_CHARS_MAX} 个字，超出的部分会被企业微信直接截断");
    let en = format!("`name` must have 1 to {NAME_CHARS_MAX} characters; WeCom would cut the rest off");
    Err(not_asked(api, "name", zh, en))
}

fn check_people(staff: &[String]) -> Result<(), PlatformError> {
    if (PEOPLE_MIN..=PEOPLE_MAX).contains(&staff.len()) {
        return Ok(());
    }
    let zh = format!("`staff` 须为 {PEOPLE_MIN} 到 {PEOPLE_MAX} 人，现有 {} 人", staff.len());
    let en = format!("`staff` has {}, {PEOPLE_MIN} to {PEOPLE_MAX} are taken", staff.len());
    Err(not_asked(Api::AppchatCreate, "staff", zh, en))
}

fn check_id(id: &str) -> Result<(), PlatformError> {
    if (1..=ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let zh = format!("`id` 须为 1 到 {ID_CHARS_MAX} 个字母或数字");
    let en = format!("`id` must have 1 to {ID_CHARS_MAX} letters or digits");
    Err(not_asked(Api::AppchatCreate, "id", zh, en))
}

impl Acts {
    async fn read_own_group(&self, chat: &str) -> Result<ChatInfo, ApiError> {
        let got: Got = self.client.get(Api::AppchatGet, &[("chatid", chat)]).await?;
        Ok(got.chat_info)
    }

    /// How many people a message to this group reaches, as far as it was read lately.
    pub(super) fn people_known(&self, chat: &str) -> Option<u32> {
        let people = self.own_groups.find(chat, self.clock.now_ms())?;
        u32::try_from(people.len()).ok()
    }

    async fn people_of(&self, chat: &str) -> Result<Arc<[String]>, ApiError> {
        let now_ms = self.clock.now_ms();
        if let Some(people) = self.own_groups.find(chat, now_ms) {
            return Ok(people);
        }
        let people: Arc<[String]> = self.read_own_group(chat).await?.userlist.into();
        self.own_groups.remember(chat, &people, now_ms);
        Ok(people)
    }

    pub(super) async fn say_in_own_group(&self, chat: &str, message: &Message) -> Outcome {
        let people = match self.people_of(chat).await {
            Ok(people) => people,
            Err(error) => return error.outcome(),
        };
        let members: Vec<&str> = people.iter().map(String::as_str).collect();
        match self.send(Way::OwnGroup { chat, people: &members }, message).await {
            Ok(_) => Outcome::Sent { platform_id: None },
            Err(outcome) => outcome,
        }
    }

    /// Takes a member out of a group of ours.
    pub(super) async fn take_out(&self, chat: &str, member: &str) -> Outcome {
        let body = json!({ "chatid": chat, "del_user_list": [member] });
        let called = self.client.call::<_, Done>(Api::AppchatUpdate, &body).await;
        self.own_groups.forget(chat);
        match called {
            Ok(Done {}) => Outcome::Sent { platform_id: None },
            Err(error) => error.outcome(),
        }
    }
}

#[async_trait]
impl OwnGroups for Acts {
    async fn create(
        &self,
        name: &str,
        owner: Option<&str>,
        staff: &[String],
        id: Option<&str>,
    ) -> Result<String, PlatformError> {
        #[derive(Deserialize)]
        struct Created {
            chatid: String,
        }
        check_name(Api::AppchatCreate, name)?;
        check_people(staff)?;
        let mut body = json!({ "name": name, "userlist": staff });
        if let Some(owner) = owner {
            body["owner"] = json!(owner);
        }
        if let Some(id) = id {
            check_id(id)?;
            body["chatid"] = json!(id);
        }
        let created: Created = self.client.call(Api::AppchatCreate, &body).await?;
        Ok(created.chatid)
    }

    async fn update(
        &self,
        id: &str,
        name: Option<&str>,
        owner: Option<&str>,
        add: &[String],
        remove: &[String],
    ) -> Result<(), PlatformError> {
        let mut body = json!({ "chatid": id });
        if let Some(name) = name {
            check_name(Api::AppchatUpdate, name)?;
            body["name"] = json!(name);
        }
        if let Some(owner) = owner {
            body["owner"] = json!(owner);
        }
        for (field, staff) in [("add_user_list", add), ("del_user_list", remove)] {
            if !staff.is_empty() {
                body[field] = json!(staff);
            }
        }
        let updated = self.client.call::<_, Done>(Api::AppchatUpdate, &body).await;
        self.own_groups.forget(id);
        let Done {} = updated?;
        Ok(())
    }

    async fn get(&self, id: &str) -> Result<(String, String, Vec<String>), PlatformError> {
        let got = self.read_own_group(id).await?;
        Ok((got.name, got.owner, got.userlist))
    }
}
