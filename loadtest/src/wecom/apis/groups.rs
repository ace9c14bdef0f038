//! `externalcontact/groupchat/list` and `…/get`: what an app reads of customer groups.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Route;
use crate::wecom::config::Family::CustomerContact;
use crate::wecom::errcode;
use crate::wecom::groups::{Group, GroupNo, GroupState, Membership};
use crate::wecom::people::{Person, StaffNo};
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

pub(super) const ROUTES: &[Route] = &[
    Route::new("externalcontact/groupchat/list", CustomerContact, list),
    Route::new("externalcontact/groupchat/get", CustomerContact, get),
];

/// Visible members above which a request without owners is refused.
const VISIBLE_MAX: usize = 1_000;
/// Owners one request may name.
const OWNERS_MAX: usize = 100;
/// Groups one page may have.
const PAGE_MAX: u64 = 1_000;

/// Which owners a request is about.
#[derive(Debug, Default, Deserialize)]
pub(super) struct OwnerFilter {
    #[serde(default)]
    userid_list: Vec<String>,
}

/// The owners a filter names, or all whom the app sees.
///
/// # Errors
/// 81017 without a filter when the app sees more than 1,000 members, 40032 above 100 owners, 60111 for unknown ones.
pub(super) fn owners(
    world: &World,
    app: usize,
    filter: Option<&OwnerFilter>,
) -> Result<HashSet<StaffNo>, Refusal> {
    let named = filter.map(|filter| filter.userid_list.as_slice()).unwrap_or_default();
    if named.is_empty() {
        let visible: HashSet<StaffNo> = world
            .people
            .all_staff()
            .map(|(number, _)| number)
            .filter(|&staff| world.sees(app, staff))
            .collect();
        let present = visible.iter().filter(|staff| !world.people.staff(**staff).has_left).count();
        if present > VISIBLE_MAX {
            return Err(Refusal::code(errcode::TOO_MANY_REQUESTED));
        }
        return Ok(visible);
    }
    if named.len() > OWNERS_MAX {
        return Err(Refusal::code(errcode::USERID_LIST_LENGTH));
    }
    let mut found = HashSet::new();
    for userid in named {
        let staff = world.people.staff_of(userid).ok_or_else(|| Refusal::code(errcode::USERID_NOT_FOUND))?;
        if world.sees(app, staff) {
            found.insert(staff);
        }
    }
    Ok(found)
}

/// The index of the caller's app; routes by token always have one.
pub(super) fn app_of(caller: &Caller) -> Result<usize, Refusal> {
    caller.app.ok_or_else(|| Refusal::code(errcode::TOKEN_MISSING))
}

fn list(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        status_filter: u8,
        owner_filter: Option<OwnerFilter>,
        #[serde(default)]
        cursor: String,
        limit: u64,
    }
    let body: Body = request.json()?;
    if body.status_filter > 3 || body.limit == 0 || body.limit > PAGE_MAX {
        return Err(Refusal::code(errcode::BAD_PARAMETER));
    }
    let owners = owners(world, app_of(caller)?, body.owner_filter.as_ref())?;
    let from = read_cursor(&body.cursor)?;
    let limit = usize::try_from(body.limit).unwrap_or(usize::MAX);
    let mut found = world
        .groups
        .all()
        .filter_map(|(number, group)| Some((number, group.seen(caller.now_ms)?)))
        .filter(|(number, state)| number.0 >= from && !state.is_dismissed && owners.contains(&state.owner))
        .filter(|(_, state)| body.status_filter == 0 || state.status as u8 == body.status_filter);
    let page: Vec<Value> = found
        .by_ref()
        .take(limit)
        .map(|(number, state)| json!({ "chat_id": world.groups.chat_id(number), "status": state.status as u8 }))
        .collect();
    let answer = Answer::ok().with("group_chat_list", page);
    Ok(match found.next() {
        Some((next, _)) => answer.with("next_cursor", write_cursor(next)),
        None => answer,
    })
}

fn write_cursor(next: GroupNo) -> String {
    URL_SAFE_NO_PAD.encode(next.0.to_be_bytes())
}

fn read_cursor(cursor: &str) -> Result<u32, Refusal> {
    if cursor.is_empty() {
        return Ok(0);
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_be_bytes).ok_or_else(|| Refusal::code(errcode::BAD_CURSOR))
}

fn get(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    #[derive(Deserialize)]
    struct Body {
        chat_id: String,
        #[serde(default)]
        need_name: u8,
    }
    let body: Body = request.json()?;
    let app = app_of(caller)?;
    if world.other_chats.contains(&body.chat_id) {
        return Err(Refusal::code(errcode::NOT_CUSTOMER_GROUP));
    }
    let unknown = || Refusal::code(world.config.unknown_chat_errcode);
    let number = world.groups.group_of(&body.chat_id).ok_or_else(unknown)?;
    let group = world.groups.group(number);
    let state = group.seen(caller.now_ms).ok_or_else(unknown)?;
    if state.is_dismissed {
        return Err(Refusal::code(errcode::GROUP_DISMISSED));
    }
    if !world.sees(app, state.owner) {
        return Err(Refusal::code(errcode::NO_PRIVILEGE));
    }
    Ok(Answer::ok().with("group_chat", describe(world, number, group, state, body.need_name == 1)))
}

/// A group as `groupchat/get` shows it.
pub(in crate::wecom) fn describe(
    world: &World,
    number: GroupNo,
    group: &Group,
    state: &GroupState,
    has_names: bool,
) -> Value {
    let members: Vec<Value> =
        state.members.iter().map(|member| roster_line(world, *member, has_names)).collect();
    let admins = state.admins.iter().map(|staff| json!({ "userid": world.people.staff(*staff).userid }));
    json!({
        "chat_id": world.groups.chat_id(number),
        "name": state.name,
        "owner": world.people.staff(state.owner).userid,
        "create_time": group.created_s,
        "notice": state.notice,
        "member_list": members,
        "admin_list": admins.collect::<Vec<_>>(),
        "member_version": world.groups.version(number, state.change),
    })
}

fn roster_line(world: &World, member: Membership, has_name: bool) -> Value {
    let people = &world.people;
    let person = member.person();
    let mut line = json!({
        "userid": people.id_of(person),
        "join_time": member.joined_s(),
        "join_scene": member.scene() as u8,
        "group_nickname": "",
    });
    let (kind, name, unionid) = match person {
        Person::Staff(staff) => (1, people.staff(staff).name.clone(), None),
        Person::Customer(customer) => {
            let unionid = people.unionid(customer).filter(|_| world.config.has_unionid);
            (2, people.customer_name(customer), unionid)
        }
    };
    line["type"] = kind.into();
    line["state"] = people.states.text(member.state).into();
    if has_name {
        line["name"] = name.into();
    }
    if let Some(unionid) = unionid {
        line["unionid"] = unionid.into();
    }
    if let Some(inviter) = member.inviter() {
        line["invitor"] = json!({ "userid": people.staff(inviter).userid });
    }
    line
}
