//! Members of the corp, the app's own settings, and where callbacks come from.

use serde_json::{Value, json};

use super::Route;
use super::groups::app_of;
use crate::wecom::config::Family::{Basic, Directory};
use crate::wecom::errcode;
use crate::wecom::people::{ROOT_DEPARTMENT, Staff};
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

pub(super) const ROUTES: &[Route] = &[
    Route::get("getcallbackip", Basic, callback_ips),
    Route::get("agent/get", Basic, agent),
    Route::get("user/get", Directory, user),
    Route::get("user/simplelist", Directory, users),
    Route::get("department/simplelist", Directory, departments),
];

fn callback_ips(_: &mut World, caller: &Caller, _: &Request) -> Outcome {
    app_of(caller)?;
    Ok(Answer::ok().with("ip_list", vec!["127.0.0.0/8"]))
}

fn agent(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let app = app_of(caller)?;
    let config = &world.apps[app].config;
    let agentid = request.param("agentid").ok_or_else(|| Refusal::code(errcode::EMPTY_PARAMETER))?;
    let agentid: u32 = agentid.parse().map_err(|_| Refusal::code(errcode::BAD_AGENTID))?;
    if agentid != config.agentid {
        return Err(Refusal::code(errcode::BAD_AGENT_RIGHT));
    }
    // What an app sees by department is not listed by member.
    Ok(Answer::ok()
        .with("agentid", agentid)
        .with("name", config.name.clone())
        .with("description", "")
        .with("allow_userinfos", json!({ "user": [] }))
        .with("allow_partys", json!({ "partyid": config.visible_departments }))
        .with("allow_tags", json!({ "tagid": [] }))
        .with("close", u8::from(!config.is_enabled))
        .with("redirect_domain", "")
        .with("home_url", ""))
}

fn user(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let userid = request.param("userid").ok_or_else(|| Refusal::code(errcode::EMPTY_PARAMETER))?;
    let number = world.people.staff_of(userid).filter(|staff| !world.people.staff(*staff).has_left);
    let number = number.ok_or_else(|| Refusal::code(errcode::USERID_NOT_FOUND))?;
    if !world.sees(app_of(caller)?, number) {
        return Err(Refusal::code(errcode::OUTSIDE_VISIBLE));
    }
    let staff = world.people.staff(number);
    Ok(Answer::ok()
        .with("userid", staff.userid.clone())
        .with("name", staff.name.clone())
        .with("department", vec![staff.department])
        .with("status", 1))
}

fn users(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let app = app_of(caller)?;
    let department = request.param("department_id").ok_or_else(|| Refusal::code(errcode::EMPTY_PARAMETER))?;
    let department: u32 = department.parse().map_err(|_| Refusal::code(errcode::BAD_PARAMETER))?;
    let with_children = request.param("fetch_child") == Some("1");
    let is_in =
        |staff: &Staff| staff.department == department || (with_children && department == ROOT_DEPARTMENT);
    let found = world
        .people
        .all_staff()
        .filter(|(number, staff)| !staff.has_left && is_in(staff) && world.sees(app, *number));
    let list: Vec<Value> = found
        .map(|(_, staff)| {
            json!({ "userid": staff.userid, "name": staff.name, "department": [staff.department] })
        })
        .collect();
    Ok(Answer::ok().with("userlist", list))
}

fn departments(world: &mut World, caller: &Caller, _: &Request) -> Outcome {
    let visible = &world.apps[app_of(caller)?].config.visible_departments;
    let is_visible = |id: &u32| visible.contains(&ROOT_DEPARTMENT) || visible.contains(id);
    let line = |id: u32| json!({ "id": id, "parentid": u32::from(id != ROOT_DEPARTMENT), "order": id });
    let list: Vec<Value> = world.people.departments().filter(is_visible).map(line).collect();
    Ok(Answer::ok().with("department_id", list))
}
