//! `externalcontact/groupchat/transfer` (the owner has left) and `…/onjob_transfer`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Route;
use super::groups::app_of;
use crate::wecom::acts::Act;
use crate::wecom::config::Family::CustomerContact;
use crate::wecom::errcode;
use crate::wecom::people::StaffNo;
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

pub(super) const ROUTES: &[Route] = &[
    Route::new("externalcontact/groupchat/transfer", CustomerContact, after_leaving),
    Route::new("externalcontact/groupchat/onjob_transfer", CustomerContact, on_the_job),
];

/// Groups of one call.
const GROUPS_MAX: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    AnOwnerWhoLeft,
    AnOwnerOnTheJob,
}

fn after_leaving(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    transfer(world, caller, request, From::AnOwnerWhoLeft)
}

fn on_the_job(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    transfer(world, caller, request, From::AnOwnerOnTheJob)
}

fn transfer(world: &mut World, caller: &Caller, request: &Request, from: From) -> Outcome {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        chat_id_list: Vec<String>,
        #[serde(default)]
        new_owner: String,
    }
    let body: Body = request.json()?;
    let app = app_of(caller)?;
    if body.chat_id_list.is_empty() || body.chat_id_list.len() > GROUPS_MAX {
        return Err(Refusal::new(errcode::BAD_PARAMETER, format!("chat_id_list needs 1 to {GROUPS_MAX}")));
    }
    let heir = world.people.staff_of(&body.new_owner).filter(|heir| !world.people.staff(*heir).has_left);
    let heir = heir.ok_or_else(|| Refusal::code(errcode::BAD_USERID))?;
    if !world.sees(app, heir) {
        return Err(Refusal::code(errcode::OUTSIDE_VISIBLE));
    }
    let mut failed: Vec<Value> = Vec::new();
    for chat_id in &body.chat_id_list {
        if let Err(code) = hand_over(world, chat_id, heir, from, caller.now_ms) {
            failed.push(json!({ "chat_id": chat_id, "errcode": code, "errmsg": errcode::text(code) }));
        }
    }
    Ok(Answer::ok().with("failed_chat_list", failed).did(body.new_owner))
}

/// Hands one group over, or says which code stands against it.
fn hand_over(world: &mut World, chat_id: &str, heir: StaffNo, from: From, now_ms: u64) -> Result<(), i64> {
    if world.other_chats.contains(chat_id) {
        return Err(errcode::NOT_CUSTOMER_GROUP);
    }
    let group = world.groups.group_of(chat_id).ok_or(world.config.unknown_chat_errcode)?;
    let state = &world.groups.group(group).now;
    if state.is_dismissed {
        return Err(errcode::GROUP_DISMISSED);
    }
    match (from, world.people.staff(state.owner).has_left) {
        (From::AnOwnerWhoLeft, false) => return Err(errcode::OWNER_NOT_LEFT),
        (From::AnOwnerOnTheJob, true) => return Err(errcode::OWNER_LEFT),
        (From::AnOwnerWhoLeft, true) | (From::AnOwnerOnTheJob, false) => {}
    }
    world.states.transfers.take(group, heir, from == From::AnOwnerOnTheJob, now_ms)?;
    let owner = world.people.staff(heir).userid.clone();
    // Fails only where an heir who is no member yet does not fit in.
    world.act(Act::ChangeOwner { chat_id: chat_id.to_owned(), owner }).map(drop).map_err(|_| errcode::BUSY)
}
