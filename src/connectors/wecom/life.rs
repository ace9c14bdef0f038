//! Groups that change hands, and ways into them.
//!
//! WeCom lets 300 groups change hands a day. `quota` counts them, durably and before the call; a list that is longer than
//! what is left of the day is given as far as it goes, and the rest is told with the time to go on.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::client::Done;
use super::deliver::Acts;
use super::error::{ApiError, Code, not_asked};
use super::quota::Charge;
use crate::connectors::offers::{GroupLife, JoinWay, PlatformError};

/// Most groups of one call.
const TRANSFER_GROUPS_MAX: usize = 100;
/// Most groups of one page of the list.
const LIST_PAGE: u32 = 1_000;
/// Most pages read of one list: a million groups.
const LIST_PAGES_MAX: usize = 1_000;
/// The owner left, and there is no heir yet.
const OWNER_LEFT: u8 = 1;
/// More than 1,000 members are visible: the list wants to be asked by owner.
const TOO_MANY_VISIBLE: i64 = 81017;
/// Most owners of one question.
const OWNERS_MAX: usize = 100;
/// One of the owners is unknown.
const UNKNOWN_OWNER: [i64; 2] = [40003, 60111];
/// Most groups of a way in.
const WAY_GROUPS_MAX: usize = 5;
/// Most characters of a channel code.
const CHANNEL_CHARS_MAX: usize = 30;
/// A way in by a QR code.
const SCENE_QR: u8 = 2;

#[derive(Deserialize)]
struct ListPage {
    #[serde(default)]
    group_chat_list: Vec<ListedGroup>,
    #[serde(default)]
    next_cursor: String,
}

#[derive(Deserialize)]
struct ListedGroup {
    chat_id: String,
}

#[derive(Deserialize)]
struct Owned {
    group_chat: OwnedGroup,
}

#[derive(Deserialize)]
struct OwnedGroup {
    #[serde(default)]
    owner: String,
}

#[derive(Deserialize)]
struct Transferred {
    #[serde(default)]
    failed_chat_list: Vec<FailedChat>,
}

#[derive(Deserialize)]
struct FailedChat {
    chat_id: String,
    errcode: i64,
    #[serde(default)]
    errmsg: String,
}

#[derive(Serialize)]
struct Way<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    config_id: Option<&'a str>,
    scene: u8,
    remark: &'a str,
    auto_create_room: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_base_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_base_id: Option<u32>,
    chat_id_list: &'a [String],
    state: &'a str,
}

impl<'a> Way<'a> {
    fn of(config_id: Option<&'a str>, way: &'a JoinWay) -> Self {
        Self {
            config_id,
            scene: SCENE_QR,
            remark: &way.remark,
            auto_create_room: u8::from(way.opens_next),
            room_base_name: way.opens_next.then_some(way.next_name.as_str()),
            room_base_id: way.opens_next.then_some(way.next_number),
            chat_id_list: &way.groups,
            state: &way.channel,
        }
    }
}

fn check_way(api: Api, way: &JoinWay) -> Result<(), PlatformError> {
    let (zh, en) = if !(1..=WAY_GROUPS_MAX).contains(&way.groups.len()) {
        (
            format!("`groups` 须为 1 到 {WAY_GROUPS_MAX} 个群，现有 {} 个", way.groups.len()),
            format!("`groups` has {}, 1 to {WAY_GROUPS_MAX} are taken", way.groups.len()),
        )
    } else if way.channel.chars().count() > CHANNEL_CHARS_MAX {
        (
            format!("`channel` 不超过 {CHANNEL_CHARS_MAX} 个字"),
            format!("`channel` may have {CHANNEL_CHARS_MAX} characters"),
        )
    } else if way.opens_next && way.next_name.is_empty() {
        (
            "`opens_next` 需要 `next_name`：新群叫什么".to_owned(),
            "`opens_next` needs `next_name`: what the new groups are called".to_owned(),
        )
    } else {
        return Ok(());
    };
    Err(not_asked(api, "join_way", zh, en))
}

impl Acts {
    /// Gives one call's worth of groups; returns those that were not given.
    async fn transfer_some(
        &self,
        api: Api,
        groups: &[String],
        heir: &str,
    ) -> Result<Vec<(String, PlatformError)>, ApiError> {
        let body = serde_json::json!({ "chat_id_list": groups, "new_owner": heir });
        let units = u32::try_from(groups.len()).unwrap_or(u32::MAX);
        let charge = Charge { units, ..Charge::default() };
        let transferred: Transferred = self.client.call_charged(api, &body, charge).await?;
        let failed = transferred.failed_chat_list.into_iter();
        Ok(failed
            .map(|chat| (chat.chat_id, ApiError::refused(api, chat.errcode, &chat.errmsg).into()))
            .collect())
    }

    /// Lists the groups without an owner, of these owners or of all.
    async fn orphans_of(&self, owners: &[Arc<str>]) -> Result<Vec<String>, ApiError> {
        let mut body = serde_json::json!({ "status_filter": OWNER_LEFT, "limit": LIST_PAGE });
        if !owners.is_empty() {
            body["owner_filter"] = serde_json::json!({ "userid_list": owners });
        }
        let (mut groups, mut cursor) = (Vec::new(), String::new());
        for _ in 0..LIST_PAGES_MAX {
            body["cursor"] = serde_json::json!(cursor);
            let page: ListPage = self.client.call(Api::GroupChatList, &body).await?;
            groups.extend(page.group_chat_list.into_iter().map(|group| group.chat_id));
            if page.next_cursor.is_empty() {
                return Ok(groups);
            }
            if page.next_cursor == cursor {
                break;
            }
            cursor = page.next_cursor;
        }
        Err(ApiError::new(Api::GroupChatList, Code::Unreadable).with_detail("the list does not end"))
    }

    /// Where more than 1,000 members are visible, WeCom lists by owner alone. Who has left is in no list of members, but
    /// was seen as staff when they were here; after a start this is complete once the first sync is.
    async fn orphans_of_known_staff(&self) -> Result<Vec<String>, ApiError> {
        let mut groups = Vec::new();
        let staff = self.staff.all();
        let mut portions: Vec<&[Arc<str>]> = staff.chunks(OWNERS_MAX).collect();
        while let Some(portion) = portions.pop() {
            match self.orphans_of(portion).await {
                Ok(more) => groups.extend(more),
                // Somebody in it is not in the directory any more: the others are asked about without them.
                Err(error) if UNKNOWN_OWNER.iter().any(|code| error.is(*code)) => {
                    if portion.len() > 1 {
                        let (left, right) = portion.split_at(portion.len() / 2);
                        portions.extend([left, right]);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        groups.sort_unstable();
        groups.dedup();
        Ok(groups)
    }

    async fn owner_of(&self, group: &str) -> Result<Option<String>, ApiError> {
        let body = serde_json::json!({ "chat_id": group, "need_name": 0 });
        let owned: Owned = self.client.call(Api::GroupChatGet, &body).await?;
        Ok(Some(owned.group_chat.owner).filter(|owner| !owner.is_empty()))
    }
}

#[async_trait]
impl GroupLife for Acts {
    async fn orphans(&self) -> Result<Vec<(String, Option<String>)>, PlatformError> {
        let groups = match self.orphans_of(&[]).await {
            Err(error) if error.is(TOO_MANY_VISIBLE) => self.orphans_of_known_staff().await?,
            groups => groups?,
        };
        let mut orphans = Vec::with_capacity(groups.len());
        for group in groups {
            // Whose it was is a comfort: a group that cannot be read now still needs an heir.
            let owner = self.owner_of(&group).await.unwrap_or_default();
            orphans.push((group, owner));
        }
        Ok(orphans)
    }

    async fn transfer(
        &self,
        groups: &[String],
        new_owner: &str,
        owner_left: bool,
    ) -> Result<Vec<(String, PlatformError)>, PlatformError> {
        let api = if owner_left { Api::Transfer } else { Api::OnjobTransfer };
        let (mut failed, mut rest, mut some) = (Vec::new(), groups, TRANSFER_GROUPS_MAX);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(some.min(rest.len()));
            match self.transfer_some(api, now, new_owner).await {
                Ok(more) => {
                    failed.extend(more);
                    rest = later;
                }
                // Less than this may be left of the day.
                Err(error) if error.code == Code::Quota && now.len() > 1 => some = now.len() / 2,
                Err(error) if now.len() == groups.len() => return Err(error.into()),
                // What came before is done and must be told as done; these failed with the reason, and the others were
                // not asked for at all.
                Err(error) => {
                    let told: PlatformError = error.into();
                    let not_asked = PlatformError { uncertain: false, ..told.clone() };
                    failed.extend(now.iter().map(|group| (group.clone(), told.clone())));
                    failed.extend(later.iter().map(|group| (group.clone(), not_asked.clone())));
                    break;
                }
            }
        }
        Ok(failed)
    }

    async fn add_join_way(&self, way: &JoinWay) -> Result<(String, Option<String>), PlatformError> {
        #[derive(Deserialize)]
        struct Added {
            config_id: String,
        }
        #[derive(Deserialize)]
        struct Got {
            join_way: GotWay,
        }
        #[derive(Deserialize)]
        struct GotWay {
            #[serde(default)]
            qr_code: Option<String>,
        }
        check_way(Api::AddJoinWay, way)?;
        let added: Added = self.client.call(Api::AddJoinWay, &Way::of(None, way)).await?;
        // The way exists from here on: that its code's address could not be read is no reason to make it twice.
        let body = serde_json::json!({ "config_id": added.config_id });
        let got = self.client.call::<_, Got>(Api::GetJoinWay, &body).await;
        Ok((added.config_id, got.ok().and_then(|got| got.join_way.qr_code)))
    }

    async fn update_join_way(&self, id: &str, way: &JoinWay) -> Result<(), PlatformError> {
        check_way(Api::UpdateJoinWay, way)?;
        let Done {} = self.client.call(Api::UpdateJoinWay, &Way::of(Some(id), way)).await?;
        Ok(())
    }

    async fn remove_join_way(&self, id: &str) -> Result<(), PlatformError> {
        let body = serde_json::json!({ "config_id": id });
        let Done {} = self.client.call(Api::DelJoinWay, &body).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
