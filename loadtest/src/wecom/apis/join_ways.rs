//! Join ways of customer groups, people who come by them, and `opengid_to_chatid`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Route;
use super::groups::app_of;
use crate::wecom::acts::{Act, ActError, Deed};
use crate::wecom::config::Family::CustomerContact;
use crate::wecom::errcode;
use crate::wecom::groups::{GROUP_MEMBERS_MAX, GroupNo};
use crate::wecom::ids;
use crate::wecom::machines::join_ways::{JoinWay, JoinWays};
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

pub(super) const ROUTES: &[Route] = &[
    Route::new("externalcontact/groupchat/add_join_way", CustomerContact, add),
    Route::new("externalcontact/groupchat/get_join_way", CustomerContact, get),
    Route::new("externalcontact/groupchat/update_join_way", CustomerContact, update),
    Route::new("externalcontact/groupchat/del_join_way", CustomerContact, delete),
    Route::new("externalcontact/opengid_to_chatid", CustomerContact, chat_id_of),
];

/// A group as mini-programs name it.
const OPENGID: &str = "og";
/// The scene of a roster for those who scanned a code.
const SCANNED: u8 = 3;

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    config_id: String,
    #[serde(default)]
    scene: u64,
    #[serde(default)]
    remark: String,
    auto_create_room: Option<u8>,
    #[serde(default)]
    room_base_name: String,
    room_base_id: Option<u64>,
    #[serde(default)]
    chat_id_list: Vec<String>,
    #[serde(default)]
    state: String,
    mark_source: Option<bool>,
}

fn way(world: &World, body: &Body) -> Result<JoinWay, Refusal> {
    let mut groups = Vec::new();
    for chat_id in &body.chat_id_list {
        let unknown = || Refusal::code(world.config.unknown_chat_errcode);
        let group = world.groups.group_of(chat_id).ok_or_else(unknown)?;
        if world.groups.group(group).now.is_dismissed {
            return Err(Refusal::code(errcode::GROUP_DISMISSED));
        }
        groups.push(group);
    }
    Ok(JoinWay {
        scene: body.scene,
        remark: body.remark.clone(),
        // On unless it is turned off.
        auto_create_room: body.auto_create_room != Some(0),
        room_base_name: body.room_base_name.clone(),
        room_base_id: body.room_base_id.unwrap_or(1),
        groups,
        state: body.state.clone(),
        mark_source: body.mark_source,
        opened: 0,
    })
}

fn add(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    app_of(caller)?;
    let way = way(world, &request.json()?)?;
    let id = world.new_id("");
    world.states.join_ways.add(id.clone(), way)?;
    Ok(Answer::ok().with("config_id", id.clone()).did(id))
}

fn get(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    app_of(caller)?;
    let body: Body = request.json()?;
    let way = world.states.join_ways.get(&body.config_id)?;
    let chat_ids = way.groups.iter().map(|group| world.groups.chat_id(*group));
    let mut shown = json!({
        "config_id": body.config_id,
        "scene": way.scene,
        "remark": way.remark,
        "auto_create_room": u8::from(way.auto_create_room),
        "room_base_name": way.room_base_name,
        "room_base_id": way.room_base_id,
        "chat_id_list": chat_ids.collect::<Vec<_>>(),
        "qr_code": format!("https://wework.invalid/join/{}", body.config_id),
        "state": way.state,
    });
    if let Some(mark_source) = way.mark_source {
        shown["mark_source"] = Value::Bool(mark_source);
    }
    Ok(Answer::ok().with("join_way", shown))
}

fn update(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    app_of(caller)?;
    let body: Body = request.json()?;
    let opened = world.states.join_ways.get(&body.config_id)?.opened;
    let way = JoinWay { opened, ..way(world, &body)? };
    world.states.join_ways.update(&body.config_id, way)?;
    Ok(Answer::ok().did(body.config_id))
}

fn delete(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    app_of(caller)?;
    let body: Body = request.json()?;
    world.states.join_ways.delete(&body.config_id)?;
    Ok(Answer::ok().did(body.config_id))
}

fn chat_id_of(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    app_of(caller)?;
    let body = request.value();
    let number = ids::decode(world.config.seed, OPENGID, body["opengid"].as_str().unwrap_or_default());
    let group = number.and_then(|number| {
        let count = u32::try_from(world.groups.count()).unwrap_or(u32::MAX);
        (number < count).then_some(GroupNo(number))
    });
    let group = group.ok_or_else(|| Refusal::new(errcode::BAD_PARAMETER, "invalid opengid"))?;
    Ok(Answer::ok().with("chat_id", world.groups.chat_id(group)))
}

impl World {
    /// How mini-programs name a group.
    pub fn opengid(&self, group: GroupNo) -> String {
        ids::encode(self.config.seed, OPENGID, group.0)
    }

    /// Customers come by a join way, one after the other, each into the first of its groups that has room; when none has and
    /// the way opens groups by itself, the next one is opened for the owner of the last. One deed for each group entered.
    ///
    /// # Errors
    /// When there is no such way, or no room and none is opened; those who came before have come.
    pub fn join_by_way(&mut self, config_id: &str, members: &[String]) -> Result<Vec<Deed>, ActError> {
        let mut deeds = Vec::new();
        let mut rest = members;
        while !rest.is_empty() {
            let (group, room) = self.open_group(config_id)?;
            let (now, later) = rest.split_at(room.min(rest.len()));
            rest = later;
            deeds.push(self.act(Act::Join {
                chat_id: self.groups.chat_id(group),
                members: now.to_vec(),
                newcomers: 0,
                scene: SCANNED,
                inviter: None,
                state: self.way(config_id)?.state.clone(),
            })?);
        }
        Ok(deeds)
    }

    fn way(&self, config_id: &str) -> Result<&JoinWay, ActError> {
        self.states.join_ways.get(config_id).map_err(|_| ActError::Value(config_id.to_owned()))
    }

    /// The first group of a way that has room, and how much.
    fn open_group(&mut self, config_id: &str) -> Result<(GroupNo, usize), ActError> {
        let way = self.way(config_id)?;
        let room = |group: &GroupNo| {
            let state = &self.groups.group(*group).now;
            let room = GROUP_MEMBERS_MAX.saturating_sub(state.members.len());
            (!state.is_dismissed && room > 0).then_some((*group, room))
        };
        if let Some(found) = way.groups.iter().find_map(room) {
            return Ok(found);
        }
        let last = way.groups.last().copied().filter(|_| way.auto_create_room);
        let last = last.ok_or_else(|| ActError::Full(config_id.to_owned()))?;
        let owner = self.people.staff(self.groups.group(last).now.owner).userid.clone();
        let name = JoinWays::next_name(way);
        let deed = self.act(Act::CreateGroup { owner, name, members: Vec::new(), newcomers: 0 })?;
        let chat_id = deed.chat_id.unwrap_or_default();
        let group = self.groups.group_of(&chat_id).ok_or(ActError::Group(chat_id))?;
        self.states.join_ways.opened(config_id, group);
        Ok((group, GROUP_MEMBERS_MAX.saturating_sub(self.groups.group(group).now.members.len())))
    }
}
