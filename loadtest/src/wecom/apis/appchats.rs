//! `appchat/create`, `…/update`, `…/get`, `…/send`: internal groups that an app makes and fills.

use rand::Rng as _;
use serde::Deserialize;
use serde_json::json;

use super::Route;
use super::groups::app_of;
use crate::wecom::config::Family::Appchat;
use crate::wecom::errcode;
use crate::wecom::limits::Rule;
use crate::wecom::machines::appchats::{CREATES, Change, PER_MEMBER, PERSON_SENDS, check_chatid};
use crate::wecom::machines::internal::{self, Way};
use crate::wecom::people::{ROOT_DEPARTMENT, StaffNo};
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

pub(super) const ROUTES: &[Route] = &[
    Route::new("appchat/create", Appchat, create),
    Route::new("appchat/update", Appchat, update),
    Route::get("appchat/get", Appchat, get),
    Route::new("appchat/send", Appchat, send),
];

/// The caller's app, when it sees everybody: no other may have such groups.
fn root_app(world: &World, caller: &Caller) -> Result<usize, Refusal> {
    let app = app_of(caller)?;
    if world.apps[app].config.visible_departments.contains(&ROOT_DEPARTMENT) {
        Ok(app)
    } else {
        Err(Refusal::code(errcode::API_FORBIDDEN))
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::new(errcode::CHAT_PARAMETER_MISSING, format!("missing {name}"))
}

fn present(world: &World, userid: &str) -> Option<StaffNo> {
    world.people.staff_of(userid).filter(|staff| !world.people.staff(*staff).has_left)
}

fn members(world: &World, userids: &[String]) -> Result<Vec<StaffNo>, Refusal> {
    let known = userids.iter().map(|userid| present(world, userid));
    known.collect::<Option<_>>().ok_or_else(|| Refusal::code(errcode::BAD_CHAT_MEMBER))
}

fn owner(world: &World, userid: &str) -> Result<StaffNo, Refusal> {
    present(world, userid).ok_or_else(|| Refusal::code(errcode::BAD_CHAT_OWNER))
}

fn create(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        name: String,
        #[serde(default)]
        owner: String,
        #[serde(default)]
        userlist: Vec<String>,
        #[serde(default)]
        chatid: String,
    }
    let body: Body = request.json()?;
    let app = root_app(world, caller)?;
    // All apps of the corp together.
    let charged = world.limits.charge("appchat creates", "", &CREATES, 1, caller.now_ms);
    charged.map_err(|_| Refusal::code(errcode::FREQUENCY))?;
    if body.userlist.is_empty() {
        return Err(missing("userlist"));
    }
    let chatid = match body.chatid.as_str() {
        "" => world.new_id("wr"),
        chatid => chatid.to_owned(),
    };
    check_chatid(&chatid)?;
    let members = members(world, &body.userlist)?;
    let owner = match body.owner.as_str() {
        "" => members[world.rng.random_range(0..members.len())],
        userid => owner(world, userid)?,
    };
    let most = world.config.acting.appchat_members_max;
    world.states.appchats.create(&chatid, app, &body.name, owner, members, most)?;
    Ok(Answer::ok().with("chatid", chatid.clone()).did(chatid))
}

fn update(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        chatid: String,
        name: Option<String>,
        owner: Option<String>,
        #[serde(default)]
        add_user_list: Vec<String>,
        #[serde(default)]
        del_user_list: Vec<String>,
    }
    let body: Body = request.json()?;
    let app = root_app(world, caller)?;
    let per_hour = [Rule::per_hour(world.config.acting.appchat_updates_per_hour)];
    let charged = world.limits.charge("appchat updates", "", &per_hour, 1, caller.now_ms);
    charged.map_err(|_| Refusal::code(errcode::FREQUENCY))?;
    if body.chatid.is_empty() {
        return Err(missing("chatid"));
    }
    let owner = match body.owner.as_deref() {
        None | Some("") => None,
        Some(userid) => Some(owner(world, userid)?),
    };
    // Who has left the corp can still be taken out.
    let remove = body.del_user_list.iter().map(|userid| world.people.staff_of(userid));
    let remove = remove.collect::<Option<Vec<_>>>().ok_or_else(|| Refusal::code(errcode::BAD_CHAT_MEMBER))?;
    let add = members(world, &body.add_user_list)?;
    let change = Change { name: body.name.filter(|name| !name.is_empty()), owner, add, remove };
    let most = world.config.acting.appchat_members_max;
    world.states.appchats.update(&body.chatid, app, change, most)?;
    Ok(Answer::ok().did(body.chatid))
}

fn get(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let app = root_app(world, caller)?;
    let chatid = request.param("chatid").ok_or_else(|| missing("chatid"))?;
    let chat = world.states.appchats.own(chatid, app)?;
    let userid = |staff: &StaffNo| world.people.staff(*staff).userid.clone();
    let info = json!({
        "chatid": chatid,
        "name": chat.name,
        "owner": userid(&chat.owner),
        "userlist": chat.members.iter().map(userid).collect::<Vec<_>>(),
        "chat_type": 0,
    });
    Ok(Answer::ok().with("chat_info", info))
}

fn send(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let app = root_app(world, caller)?;
    let message = request.value();
    let chatid = message["chatid"].as_str().filter(|chatid| !chatid.is_empty());
    let chatid = chatid.ok_or_else(|| missing("chatid"))?;
    let members = world.states.appchats.own(chatid, app)?.members.clone();
    let content = internal::check(&message, Way::Appchat, &world.states.media, caller.now_ms)?;
    let cost = members.len() as u64;
    let charged = world.limits.charge("appchat person-sends", "", &PERSON_SENDS, cost, caller.now_ms);
    charged.map_err(|_| Refusal::code(errcode::FREQUENCY))?;
    let mut reached = 0;
    for staff in members {
        let fits = world.limits.fits("appchat member", &staff.0.to_string(), &PER_MEMBER, 1, caller.now_ms);
        reached += u64::from(fits);
    }
    world.states.appchats.over_limit_dropped += cost - reached;
    world.states.appchats.spoke(chatid);
    let id = format!("call{}", caller.call);
    if reached > 0 {
        world.ledger.reached(caller.now_ms, "appchat", chatid, &id, &content);
        world.keep_body(caller.now_ms, "appchat", chatid, &message);
    }
    Ok(Answer::ok().did(id))
}
