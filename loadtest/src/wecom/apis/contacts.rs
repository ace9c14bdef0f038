//! `externalcontact/list`, `…/get` and `…/get_follow_user_list`: whose contact is whom.

use serde_json::{Value, json};

use super::Route;
use super::groups::app_of;
use crate::wecom::config::Family::CustomerContact;
use crate::wecom::errcode;
use crate::wecom::people::{Follow, StaffNo};
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

pub(super) const ROUTES: &[Route] = &[
    Route::get("externalcontact/list", CustomerContact, list),
    Route::get("externalcontact/get", CustomerContact, get),
    Route::get("externalcontact/get_follow_user_list", CustomerContact, follow_users),
];

fn list(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let userid = request.param("userid").ok_or_else(|| Refusal::code(errcode::EMPTY_PARAMETER))?;
    let staff = world.people.staff_of(userid).ok_or_else(|| Refusal::code(errcode::USERID_NOT_FOUND))?;
    if !world.sees(app_of(caller)?, staff) {
        return Err(Refusal::code(errcode::OUTSIDE_VISIBLE));
    }
    let people = &world.people;
    let ids: Vec<String> =
        people.contacts_of(staff).map(|customer| people.external_userid(customer)).collect();
    if ids.is_empty() {
        return Err(Refusal::code(errcode::NO_EXTERNAL_CONTACT));
    }
    Ok(Answer::ok().with("external_userid", ids))
}

fn get(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let app = app_of(caller)?;
    let id = request.param("external_userid").ok_or_else(|| Refusal::code(errcode::EMPTY_PARAMETER))?;
    let people = &world.people;
    let customer = people.customer_of(id).ok_or_else(|| Refusal::code(errcode::BAD_EXTERNAL_USERID))?;
    let follow = |(staff, follow): (StaffNo, &Follow)| -> Value {
        json!({
            "userid": people.staff(staff).userid,
            "remark": "",
            "createtime": follow.since_s,
            "state": people.states.text(follow.state),
            "tags": follow.tags.iter().map(|tag| json!({ "tag_id": tag })).collect::<Vec<_>>(),
        })
    };
    let followers: Vec<Value> =
        people.followers_of(customer).filter(|(staff, _)| world.sees(app, *staff)).map(follow).collect();
    if followers.is_empty() {
        return Err(Refusal::code(errcode::NO_EXTERNAL_CONTACT));
    }
    let unionid = people.unionid(customer);
    let mut contact = json!({
        "external_userid": id,
        "name": people.customer_name(customer),
        "type": if unionid.is_some() { 1 } else { 2 },
    });
    if let Some(unionid) = unionid.filter(|_| world.config.has_unionid) {
        contact["unionid"] = unionid.into();
    }
    Ok(Answer::ok().with("external_contact", contact).with("follow_user", followers))
}

fn follow_users(world: &mut World, caller: &Caller, _: &Request) -> Outcome {
    let app = app_of(caller)?;
    let users =
        world.people.all_staff().filter(|(number, staff)| !staff.has_left && world.sees(app, *number));
    let ids: Vec<Value> = users.map(|(_, staff)| staff.userid.clone().into()).collect();
    Ok(Answer::ok().with("follow_user", ids))
}
