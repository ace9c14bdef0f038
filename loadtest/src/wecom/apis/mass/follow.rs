//! What a mass send came to: lists, senders, targets; reminders and cancelling.

use serde::Deserialize;
use serde_json::{Value, json};

use super::id_of;
use crate::wecom::apis::groups::app_of;
use crate::wecom::errcode;
use crate::wecom::machines::mass::{Audience, Status, Task};
use crate::wecom::machines::owners::Habit;
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

/// The longest span of a list, in seconds: the longest month.
const SPAN_S_MAX: u64 = 31 * 86_400;
const LIST_PAGE_MAX: usize = 100;
const LIST_PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 1_000;
const PAGE_DEFAULT: usize = 500;
/// What an app creates is the corp's, not a member's own.
const CORP: u8 = 0;
const PERSONAL: u8 = 1;
const ALL: u8 = 2;

fn wrong(text: &str) -> Refusal {
    Refusal::new(errcode::BAD_PARAMETER, text)
}

fn page_size(limit: Option<usize>, default: usize, most: usize) -> Result<usize, Refusal> {
    match limit.unwrap_or(default) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        _ => Err(wrong("invalid limit")),
    }
}

fn read_cursor(cursor: &str) -> Result<u64, Refusal> {
    match cursor {
        "" => Ok(0),
        _ => cursor.parse().map_err(|_| Refusal::code(errcode::BAD_CURSOR)),
    }
}

pub(super) fn list(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    #[derive(Deserialize)]
    struct Body {
        chat_type: String,
        start_time: u64,
        end_time: u64,
        #[serde(default)]
        creator: String,
        filter_type: Option<u8>,
        limit: Option<usize>,
        #[serde(default)]
        cursor: String,
    }
    let body: Body = request.json()?;
    app_of(caller)?;
    let audience = match body.chat_type.as_str() {
        "single" => Audience::Single,
        "group" => Audience::Group,
        _ => return Err(wrong("invalid chat_type")),
    };
    if body.end_time < body.start_time || body.end_time - body.start_time > SPAN_S_MAX {
        return Err(wrong("invalid start_time or end_time"));
    }
    let filter = body.filter_type.unwrap_or(ALL);
    if ![CORP, PERSONAL, ALL].contains(&filter) {
        return Err(wrong("invalid filter_type"));
    }
    let limit = page_size(body.limit, LIST_PAGE_DEFAULT, LIST_PAGE_MAX)?;
    let after = read_cursor(&body.cursor)?;
    let acting = &world.config.acting;
    let creator = |task: &Task| match task.senders.as_slice() {
        [only] if acting.shows_creator => Some(world.people.staff(only.staff).userid.clone()),
        _ => None,
    };
    let wanted = |task: &Task| {
        task.audience == audience
            && filter != PERSONAL
            && (body.start_time..=body.end_time).contains(&(task.created_ms / 1_000))
            && task.created_ms + acting.list_lag_ms <= caller.now_ms
            && (body.creator.is_empty()
                || creator(task).is_some_and(|creator| creator.eq_ignore_ascii_case(&body.creator)))
    };
    let mut found = world.states.mass.all().filter(|(number, task)| *number > after && wanted(task));
    let mut last = after;
    let page = found.by_ref().take(limit).map(|(number, task)| {
        last = number;
        let mut line = json!({
            "msgid": task.msgid,
            "create_time": task.created_ms / 1_000,
            "create_type": CORP,
            "text": { "content": task.content.text },
            "attachments": task.content.attachments,
        });
        if let Some(creator) = creator(task) {
            line["creator"] = creator.into();
        }
        line
    });
    let answer = Answer::ok().with("group_msg_list", page.collect::<Vec<_>>());
    Ok(if found.next().is_some() { answer.with("next_cursor", last.to_string()) } else { answer })
}

#[derive(Deserialize)]
struct About {
    #[serde(default)]
    msgid: String,
    #[serde(default)]
    userid: String,
    limit: Option<usize>,
    #[serde(default)]
    cursor: String,
}

/// A task that follow-up calls may ask about.
fn ready<'w>(world: &'w World, caller: &Caller, msgid: &str) -> Result<&'w Task, Refusal> {
    app_of(caller)?;
    let acting = &world.config.acting;
    let task = world.states.mass.task(msgid)?;
    task.ready(acting.dispatch_ms, acting.refuses_cancelled, caller.now_ms)?;
    Ok(task)
}

/// One page of lines: which list, and where it goes on.
fn paged(about: &About, name: &str, lines: impl Iterator<Item = Value>) -> Outcome {
    let limit = page_size(about.limit, PAGE_DEFAULT, PAGE_MAX)?;
    let from = usize::try_from(read_cursor(&about.cursor)?).unwrap_or(usize::MAX);
    let mut rest = lines.skip(from);
    let page: Vec<Value> = rest.by_ref().take(limit).collect();
    let next = from.saturating_add(page.len());
    let answer = Answer::ok().with(name, page);
    Ok(if rest.next().is_some() { answer.with("next_cursor", next.to_string()) } else { answer })
}

pub(super) fn tasks(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let about: About = request.json()?;
    let task = ready(world, caller, &about.msgid)?;
    let lines = task.senders.iter().map(|sender| {
        let userid = &world.people.staff(sender.staff).userid;
        match sender.sent_ms {
            Some(at_ms) => {
                json!({ "userid": userid, "status": world.config.acting.sent_status, "send_time": at_ms / 1_000 })
            }
            None => json!({ "userid": userid, "status": 0 }),
        }
    });
    paged(&about, "task_list", lines)
}

pub(super) fn results(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let about: About = request.json()?;
    let task = ready(world, caller, &about.msgid)?;
    let staff = world.people.staff_of(&about.userid).ok_or_else(|| Refusal::code(errcode::BAD_USERID))?;
    let sender = task.senders.iter().find(|sender| sender.staff == staff);
    let sender = sender.ok_or_else(|| Refusal::code(errcode::BAD_USERID))?;
    let lines = sender.targets.iter().map(|target| {
        let id = match task.audience {
            Audience::Group => "chat_id",
            Audience::Single => "external_userid",
        };
        let mut line = json!({
            id: id_of(world, task.audience, target.number),
            "userid": world.people.staff(staff).userid,
            "status": target.status as u8,
        });
        if let (Status::Sent, Some(at_ms)) = (target.status, sender.sent_ms) {
            line["send_time"] = (at_ms / 1_000).into();
        }
        line
    });
    paged(&about, "send_list", lines)
}

pub(super) fn remind(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let about: About = request.json()?;
    dispatched(world, caller, &about.msgid)?;
    let (waiting, number) = world.states.mass.remind(&about.msgid, caller.now_ms)?;
    for staff in waiting {
        let wait_ms = world.owners().wait_ms(staff, Habit::Reminder(number), &about.msgid);
        if let Some(wait_ms) = wait_ms {
            world.states.mass.schedule(&about.msgid, staff, caller.now_ms + wait_ms);
        }
    }
    Ok(Answer::ok().did(about.msgid))
}

pub(super) fn cancel(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let about: About = request.json()?;
    dispatched(world, caller, &about.msgid)?;
    world.states.mass.cancel(&about.msgid)?;
    Ok(Answer::ok().did(about.msgid))
}

/// Reminding and cancelling wait for the dispatch too; a cancelled task refuses them whatever results do.
fn dispatched(world: &World, caller: &Caller, msgid: &str) -> Result<(), Refusal> {
    app_of(caller)?;
    world.states.mass.task(msgid)?.ready(world.config.acting.dispatch_ms, true, caller.now_ms)
}
