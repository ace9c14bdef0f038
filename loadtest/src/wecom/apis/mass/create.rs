//! `externalcontact/add_msg_template`: who is to send to whom, and who cannot receive.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;
use serde_json::Value;

use crate::wecom::apis::groups::app_of;
use crate::wecom::errcode;
use crate::wecom::machines::content::{Content, Text};
use crate::wecom::machines::mass::{Audience, NewTask};
use crate::wecom::machines::owners::Habit;
use crate::wecom::people::{CustomerNo, Follow, StaffNo};
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

const GROUPS_MAX: usize = 2_000;
const CUSTOMERS_MAX: usize = 10_000;
const TAGS_MAX: usize = 100;

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    chat_type: String,
    #[serde(default)]
    external_userid: Vec<String>,
    #[serde(default)]
    chat_id_list: Vec<String>,
    #[serde(default)]
    sender: String,
    #[serde(default)]
    tag_filter: TagFilter,
    text: Option<Text>,
    #[serde(default)]
    attachments: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct TagFilter {
    #[serde(default)]
    group_list: Vec<TagGroup>,
}

#[derive(Deserialize)]
struct TagGroup {
    #[serde(default)]
    tag_list: Vec<String>,
}

impl TagFilter {
    /// Any of each group's tags, of all groups.
    fn admits(&self, follow: &Follow) -> bool {
        self.group_list.iter().all(|group| group.tag_list.iter().any(|tag| follow.tags.contains(tag)))
    }
}

/// Who sends to whom, and who cannot receive.
#[derive(Default)]
struct Plan {
    senders: BTreeMap<StaffNo, Vec<u32>>,
    failed: Vec<String>,
}

pub(super) fn add(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let body: Body = request.json()?;
    let app = app_of(caller)?;
    let (text, attachments) = (body.text.clone(), body.attachments.clone());
    let content = Content::check(text, attachments, &world.states.media, caller.now_ms)?;
    let sender = match body.sender.as_str() {
        "" => None,
        userid => Some(known_sender(world, app, userid)?),
    };
    let (audience, mut plan) = match body.chat_type.as_str() {
        "group" => (Audience::Group, for_groups(world, &body, sender)?),
        "" | "single" => (Audience::Single, for_customers(world, app, &body, sender)?),
        _ => return Err(Refusal::new(errcode::BAD_PARAMETER, "invalid chat_type")),
    };
    drop_capped(world, audience, &mut plan, caller.now_ms);
    let msgid = world.new_id("msg");
    let failed_count = plan.failed.len() as u64;
    let dispatched_ms = caller.now_ms + world.config.acting.dispatch_ms;
    let senders = plan.senders.into_iter().map(|(staff, targets)| {
        let wait_ms = world.owners().wait_ms(staff, Habit::MassSend, &msgid);
        (staff, targets, wait_ms.map(|wait_ms| dispatched_ms + wait_ms))
    });
    let senders = senders.collect();
    let task = NewTask { msgid: msgid.clone(), app, audience, content, senders };
    world.states.mass.report.failed_at_once += failed_count;
    world.states.mass.add(task, caller.now_ms)?;
    Ok(Answer::ok().with("fail_list", plan.failed).with("msgid", msgid.clone()).did(msgid))
}

fn known_sender(world: &World, app: usize, userid: &str) -> Result<StaffNo, Refusal> {
    let staff = world.people.staff_of(userid).filter(|staff| !world.people.staff(*staff).has_left);
    let staff = staff.ok_or_else(|| Refusal::code(errcode::BAD_USERID))?;
    if world.sees(app, staff) { Ok(staff) } else { Err(Refusal::code(errcode::OUTSIDE_VISIBLE)) }
}

fn for_groups(world: &World, body: &Body, sender: Option<StaffNo>) -> Result<Plan, Refusal> {
    let sender = sender.ok_or_else(|| Refusal::new(errcode::EMPTY_PARAMETER, "sender is empty"))?;
    if body.chat_id_list.len() > GROUPS_MAX {
        return Err(Refusal::new(
            errcode::BAD_PARAMETER,
            format!("chat_id_list exceed max size {GROUPS_MAX}"),
        ));
    }
    let mut plan = Plan::default();
    let targets = plan.senders.entry(sender).or_default();
    if body.chat_id_list.is_empty() {
        // The owner picks; this one picks all of theirs.
        let own =
            world.groups.all().filter(|(_, group)| group.now.owner == sender && !group.now.is_dismissed);
        targets.extend(own.map(|(number, _)| number.0));
        return Ok(plan);
    }
    let mut seen = HashSet::new();
    for chat_id in &body.chat_id_list {
        let own = world.groups.group_of(chat_id).filter(|number| {
            let state = &world.groups.group(*number).now;
            state.owner == sender && !state.is_dismissed
        });
        match own {
            Some(number) if seen.insert(number) => targets.push(number.0),
            Some(_) => {}
            None => plan.failed.push(chat_id.clone()),
        }
    }
    Ok(plan)
}

fn for_customers(world: &World, app: usize, body: &Body, sender: Option<StaffNo>) -> Result<Plan, Refusal> {
    if body.external_userid.len() > CUSTOMERS_MAX {
        return Err(Refusal::code(errcode::USERID_LIST_LENGTH));
    }
    if body.tag_filter.group_list.iter().any(|group| group.tag_list.len() > TAGS_MAX) {
        return Err(Refusal::new(errcode::BAD_PARAMETER, format!("tag_list exceed max size {TAGS_MAX}")));
    }
    if body.external_userid.is_empty() && sender.is_none() {
        return Err(Refusal::new(errcode::EMPTY_PARAMETER, "external_userid and sender are empty"));
    }
    let everybody = world.people.all_staff().filter(|(_, staff)| !staff.has_left);
    let visible = everybody.map(|(number, _)| number).filter(|number| world.sees(app, *number));
    let members: Vec<StaffNo> = sender.map_or_else(|| visible.collect(), |sender| vec![sender]);
    // Whose contact somebody is who has several: the one hired first sends.
    let mut theirs: HashMap<CustomerNo, StaffNo> = HashMap::new();
    for &staff in &members {
        let admitted = world.people.contacts_of(staff).filter(|customer| {
            world.people.follows(staff, *customer).is_some_and(|follow| body.tag_filter.admits(follow))
        });
        for customer in admitted {
            theirs.entry(customer).or_insert(staff);
        }
    }
    let mut plan = Plan::default();
    if body.external_userid.is_empty() {
        for (customer, staff) in theirs {
            plan.senders.entry(staff).or_default().push(customer.0);
        }
        plan.senders.values_mut().for_each(|targets| targets.sort_unstable());
        return Ok(plan);
    }
    for id in &body.external_userid {
        // Taken out when found, so that somebody named twice is one target.
        let customer = world.people.customer_of(id);
        match customer.and_then(|customer| theirs.remove_entry(&customer)) {
            Some((customer, staff)) => plan.senders.entry(staff).or_default().push(customer.0),
            None => plan.failed.push(id.clone()),
        }
    }
    Ok(plan)
}

fn drop_capped(world: &World, audience: Audience, plan: &mut Plan, now_ms: u64) {
    let cap = world.config.acting.cap;
    for targets in plan.senders.values_mut() {
        targets.retain(|&number| {
            let has_room = world.states.mass.has_room(audience, number, cap, now_ms);
            if !has_room {
                plan.failed.push(super::id_of(world, audience, number));
            }
            has_room
        });
    }
    plan.senders.retain(|_, targets| !targets.is_empty());
}
