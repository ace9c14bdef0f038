//! Reads customer groups from WeCom: which there are, who is in one, who of the staff may own some.
//!
//! Not for: what a reading means (`roster`).

use std::borrow::Cow;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::client::Client;
use super::error::ApiError;
use super::roster::Reading;
use crate::event::{Role, RosterMember};

/// Most rows of one answer of `groupchat/list`.
const LIST_ROWS_MAX: u32 = 1_000;
/// Most owners that one call may name.
pub(super) const OWNERS_MAX: usize = 100;
/// `errcode`: more than the platform lists without a filter by owner.
const TOO_MANY: i64 = 81017;
/// `errcode`s of a group that is no customer group any more: dismissed, not a customer group, unknown (which of the two
/// codes for unknown this interface gives is not confirmed).
const GONE: [i64; 4] = [49008, 90501, 40050, 86003];
/// `errcode` of an owner filter that names nobody: an account without anybody who may own groups.
const NOBODY: i64 = 84074;

/// A page of the list of groups.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Ids of groups.
    pub(super) groups: Vec<String>,
    /// Where the next page begins; `None` at the end.
    pub(super) cursor: Option<String>,
}

/// What reading one group came to.
#[derive(Debug)]
pub(super) enum Read {
    /// Who is there.
    There(Reading),
    /// The group is no more.
    Gone,
}

#[derive(Serialize)]
struct ListAsk<'a> {
    status_filter: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_filter: Option<OwnerFilter<'a>>,
    cursor: &'a str,
    limit: u32,
}

/// Restricts a question to some owners.
#[derive(Clone, Copy, Serialize)]
pub(super) struct OwnerFilter<'a> {
    pub(super) userid_list: &'a [String],
}

#[derive(Deserialize)]
struct ListAnswer {
    #[serde(default)]
    group_chat_list: Vec<Listed>,
    #[serde(default)]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    chat_id: String,
}

#[derive(Serialize)]
struct GetAsk<'a> {
    chat_id: &'a str,
    need_name: u8,
}

#[derive(Deserialize)]
struct GetAnswer {
    group_chat: Chat,
}

#[derive(Deserialize)]
struct Chat {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    member_list: Vec<Member>,
    #[serde(default)]
    member_version: Option<String>,
}

#[derive(Deserialize)]
struct Member {
    userid: String,
    #[serde(rename = "type", default)]
    kind: u8,
    #[serde(default)]
    unionid: Option<String>,
    #[serde(default)]
    join_time: i64,
    #[serde(default)]
    join_scene: u8,
    #[serde(default)]
    invitor: Option<Inviter>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    group_nickname: Option<String>,
    #[serde(default)]
    state: Option<String>,
}

#[derive(Deserialize)]
struct Inviter {
    #[serde(default)]
    userid: Option<String>,
}

#[derive(Deserialize)]
struct FollowUsers {
    #[serde(default)]
    follow_user: Vec<String>,
}

/// `type` of a member of staff.
const STAFF: u8 = 1;

/// Where groups are read.
#[async_trait]
pub(super) trait Groups: Send + Sync + std::fmt::Debug {
    /// Returns a page of the groups of some owners, or of all; `None` when the platform wants to be asked by owner.
    async fn list(&self, owners: Option<&[String]>, cursor: Option<&str>) -> Result<Option<Page>, ApiError>;

    /// Returns everybody of the staff who may have customers, and so groups.
    async fn owners(&self) -> Result<Vec<String>, ApiError>;

    /// Reads one group.
    async fn read(&self, group: &str) -> Result<Read, ApiError>;
}

#[async_trait]
impl Groups for Client {
    async fn list(&self, owners: Option<&[String]>, cursor: Option<&str>) -> Result<Option<Page>, ApiError> {
        let owner_filter = owners.map(|userid_list| OwnerFilter { userid_list });
        let from = cursor.unwrap_or_default();
        let ask = ListAsk { status_filter: 0, owner_filter, cursor: from, limit: LIST_ROWS_MAX };
        let answer: ListAnswer = match self.call(Api::GroupChatList, &ask).await {
            Ok(answer) => answer,
            Err(error) if error.is(TOO_MANY) && owners.is_none() => return Ok(None),
            Err(error) => return Err(error),
        };
        let groups = answer.group_chat_list.into_iter().map(|listed| listed.chat_id).collect();
        // The end is said by an empty cursor or by none; one that leads to itself would lead nowhere for ever.
        let next = answer.next_cursor.filter(|next| !next.is_empty() && Some(next.as_str()) != cursor);
        Ok(Some(Page { groups, cursor: next }))
    }

    async fn owners(&self) -> Result<Vec<String>, ApiError> {
        match self.get::<FollowUsers>(Api::FollowUsers, &[]).await {
            Ok(answer) => Ok(answer.follow_user),
            Err(error) if error.is(NOBODY) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, group: &str) -> Result<Read, ApiError> {
        let ask = GetAsk { chat_id: group, need_name: 1 };
        match self.call::<_, GetAnswer>(Api::GroupChatGet, &ask).await {
            Ok(answer) => Ok(Read::There(answer.group_chat.into_reading())),
            Err(error) if GONE.iter().any(|code| error.is(*code)) => Ok(Read::Gone),
            Err(error) => Err(error),
        }
    }
}

impl Chat {
    fn into_reading(self) -> Reading {
        let members: Vec<_> = self.member_list.into_iter().map(Member::into_read).collect();
        let version = self.member_version.filter(|version| !version.is_empty());
        // A platform that names no version still has one: that of the members it lists.
        let version = version.unwrap_or_else(|| {
            let mut ids: Vec<&str> = members.iter().map(|member| member.member.as_ref()).collect();
            ids.sort_unstable();
            ids.join("\n")
        });
        Reading { version, members, owner: self.owner, name: self.name }
    }
}

impl Member {
    fn into_read(self) -> RosterMember<'static> {
        let text = |value: Option<String>| value.filter(|value| !value.is_empty()).map(Cow::Owned);
        RosterMember {
            role: if self.kind == STAFF { Role::Staff } else { Role::Customer },
            name: text(self.name).or_else(|| text(self.group_nickname)),
            joined_ms: self.join_time.saturating_mul(1_000),
            inviter: text(self.invitor.and_then(|inviter| inviter.userid)),
            scene: scene(self.join_scene).map(Cow::Borrowed),
            channel: text(self.state),
            union_id: text(self.unionid),
            member: Cow::Owned(self.userid),
        }
    }
}

/// `join_scene` of a reading in words: its numbers are not those of callbacks.
fn scene(number: u8) -> Option<&'static str> {
    match number {
        1 => Some("invited"),
        2 => Some("invite_link"),
        3 => Some("qr_code"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_keeps_what_the_platform_tells_of_a_member() {
        let text = r#"{"group_chat":{"chat_id":"wr1","name":"G","owner":"u1","create_time":1700000000,"notice":"…",
            "member_list":[{"userid":"u1","type":1,"join_time":1700000000,"join_scene":1,"invitor":{"userid":"u2"},
            "group_nickname":"","name":"U","state":""},{"userid":"wmA","type":2,"unionid":"oA","join_time":1700000001,
            "join_scene":3,"group_nickname":"阿明","state":"poster-3"}],"admin_list":[],"member_version":"v1"}}"#;
        let answer: GetAnswer = serde_json::from_str(text).unwrap();
        let reading = answer.group_chat.into_reading();
        assert_eq!((reading.version.as_str(), reading.owner.as_deref()), ("v1", Some("u1")));
        let [staff, customer] = reading.members.as_slice() else { panic!("two members") };
        assert_eq!((staff.role, staff.inviter.as_deref(), &staff.channel), (Role::Staff, Some("u2"), &None));
        assert_eq!((customer.role, customer.name.as_deref()), (Role::Customer, Some("阿明")));
        assert_eq!(
            (customer.scene.as_deref(), customer.channel.as_deref()),
            (Some("qr_code"), Some("poster-3"))
        );
        assert_eq!((customer.joined_ms, customer.union_id.as_deref()), (1_700_000_001_000, Some("oA")));
    }

    #[test]
    fn without_a_version_the_members_are_the_version() {
        let read =
            |text: &str| serde_json::from_str::<GetAnswer>(text).unwrap().group_chat.into_reading().version;
        let one = read(r#"{"group_chat":{"member_list":[{"userid":"b"},{"userid":"a"}]}}"#);
        assert_eq!(
            one,
            read(r#"{"group_chat":{"member_list":[{"userid":"a"},{"userid":"b"}],"member_version":""}}"#)
        );
        assert_ne!(one, read(r#"{"group_chat":{"member_list":[{"userid":"a"}]}}"#));
    }
}
