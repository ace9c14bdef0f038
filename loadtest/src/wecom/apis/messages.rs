//! `message/send` and `message/recall`: app messages to members.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::groups::app_of;
use super::{Auth, Basics, Route, Verb};
use crate::wecom::config::Family::Message;
use crate::wecom::errcode;
use crate::wecom::ledger::digest;
use crate::wecom::limits::Rule;
use crate::wecom::machines::internal::{self, Way};
use crate::wecom::machines::messages::{
    DUPLICATE_S_DEFAULT, DUPLICATE_S_MAX, PER_ACCOUNT_AND_DAY, PER_MEMBER, split_targets,
};
use crate::wecom::people::{ROOT_DEPARTMENT, StaffNo};
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

/// App messages are not counted in the basic limits; they have their own.
pub(super) const ROUTES: &[Route] = &[
    Route {
        path: "message/send",
        verb: Verb::Post,
        auth: Auth::Token(Message),
        basics: Basics::Exempt,
        handler: send,
    },
    Route::new("message/recall", Message, recall),
];

const USERS_MAX: usize = 1_000;
const PARTIES_MAX: usize = 100;
const EVERYBODY: &str = "@all";

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    touser: String,
    #[serde(default)]
    toparty: String,
    #[serde(default)]
    totag: String,
    #[serde(default)]
    agentid: Value,
    #[serde(default)]
    msgtype: String,
    #[serde(default)]
    enable_duplicate_check: u8,
    duplicate_check_interval: Option<u64>,
}

/// Who gets a message, and who could not be found.
#[derive(Default)]
struct Targets {
    people: BTreeSet<StaffNo>,
    invalid: [String; 3],
}

fn send(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let body: Body = request.json()?;
    let app = app_of(caller)?;
    check_agent(world, app, &body.agentid)?;
    let interval_s = body.duplicate_check_interval.unwrap_or(DUPLICATE_S_DEFAULT);
    if interval_s > DUPLICATE_S_MAX {
        return Err(Refusal::new(errcode::BAD_PARAMETER, "duplicate_check_interval exceed max 14400"));
    }
    let message = request.value();
    let content = internal::check(&message, Way::Message, &world.states.media, caller.now_ms)?;
    let targets = targets(world, app, &body)?;
    if targets.people.is_empty() {
        return Err(Refusal::code(world.config.acting.all_bad_errcode));
    }
    let per_day = [Rule::per_day(world.config.acting.accounts * PER_ACCOUNT_AND_DAY)];
    let agentid = world.apps[app].config.agentid.to_string();
    let charged = world.limits.charge(
        "app person-sends",
        &agentid,
        &per_day,
        targets.people.len() as u64,
        caller.now_ms,
    );
    charged.map_err(|_| Refusal::code(errcode::FREQUENCY))?;
    let msgid = world.new_id("");
    let checked = (body.enable_duplicate_check == 1).then_some(interval_s);
    for staff in targets.people {
        let userid = world.people.staff(staff).userid.clone();
        if arrives(world, app, staff, &format!("{}\0{content}", body.msgtype), checked, caller.now_ms) {
            world.ledger.reached(caller.now_ms, "app", &userid, &msgid, &content);
            world.keep_body(caller.now_ms, "app", &userid, &message);
        }
    }
    world.states.messages.sent(msgid.clone(), app, caller.now_ms);
    let [user, party, tag] = targets.invalid;
    let answer = Answer::ok()
        .with("invaliduser", user)
        .with("invalidparty", party)
        .with("invalidtag", tag)
        .with("msgid", msgid.clone())
        .did(msgid);
    Ok(match body.msgtype.as_str() {
        "template_card" => answer.with("response_code", world.new_id("RC")),
        _ => answer,
    })
}

fn check_agent(world: &World, app: usize, agentid: &Value) -> Result<(), Refusal> {
    let number = agentid.as_u64().or_else(|| agentid.as_str().and_then(|text| text.parse().ok()));
    match number {
        None => Err(Refusal::code(errcode::BAD_AGENTID)),
        Some(number) if number != u64::from(world.apps[app].config.agentid) => {
            Err(Refusal::code(errcode::BAD_AGENT_RIGHT))
        }
        Some(_) => Ok(()),
    }
}

/// Whether a message gets to one member: not a duplicate, and within their limits; nobody is told when it does not.
fn arrives(
    world: &mut World,
    app: usize,
    staff: StaffNo,
    content: &str,
    checked: Option<u64>,
    now_ms: u64,
) -> bool {
    if let Some(interval_s) = checked
        && world.states.messages.is_duplicate(digest(&(app, staff, content)), interval_s, now_ms)
    {
        return false;
    }
    let rules: &[Rule] =
        if world.config.acting.has_hourly_member_limit { &PER_MEMBER } else { &PER_MEMBER[..1] };
    let fits = world.limits.fits("app member", &format!("{app} {}", staff.0), rules, 1, now_ms);
    world.states.messages.over_limit_dropped += u64::from(!fits);
    fits
}

fn targets(world: &World, app: usize, body: &Body) -> Result<Targets, Refusal> {
    let reachable = |staff: &StaffNo| !world.people.staff(*staff).has_left && world.sees(app, *staff);
    let everybody = || world.people.all_staff().map(|(number, _)| number).filter(reachable);
    let mut found = Targets::default();
    if body.touser == EVERYBODY {
        found.people.extend(everybody());
        return Ok(found);
    }
    let of_user = |userid: &str| world.people.staff_of(userid).filter(reachable);
    let (users, invalid_users) = split_targets(&body.touser, USERS_MAX, |id| of_user(id).is_some())?;
    let departments: BTreeSet<u32> = world.people.departments().collect();
    let of_party = |id: &str| id.parse::<u32>().ok().filter(|id| departments.contains(id));
    let (parties, invalid_parties) = split_targets(&body.toparty, PARTIES_MAX, |id| of_party(id).is_some())?;
    // The simulated corp has no tags for members.
    let (_, invalid_tags) = split_targets(&body.totag, PARTIES_MAX, |_| false)?;
    found.people.extend(users.iter().filter_map(|id| of_user(id)));
    let parties: BTreeSet<u32> = parties.iter().filter_map(|id| of_party(id)).collect();
    if !parties.is_empty() {
        found.people.extend(everybody().filter(|staff| {
            parties.contains(&ROOT_DEPARTMENT) || parties.contains(&world.people.staff(*staff).department)
        }));
    }
    found.invalid = [invalid_users, invalid_parties, invalid_tags];
    Ok(found)
}

fn recall(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        msgid: String,
    }
    let named: Named = request.json()?;
    world.states.messages.recall(&named.msgid, app_of(caller)?, caller.now_ms)?;
    Ok(Answer::ok().did(named.msgid))
}
