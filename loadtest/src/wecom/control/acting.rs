//! The routes under `/_sim/` about what apps do: settings, owners, robots, and what people saw.

use serde::Deserialize;
use serde_json::{Value, json as value};

use super::{Page, read, records};
use crate::wecom::Shared;
use crate::wecom::machines::robots::{PER_KEY, Robot};
use crate::wecom::machines::{ActingConfig, Temper};
use crate::wecom::request::Request;
use crate::wecom::serve::json;

/// Answers a GET; none when there is no such route.
pub(super) fn get(path: &str, request: &Request, shared: &Shared) -> Option<Result<Page, String>> {
    let page = match path {
        "acting" => json(&shared.look(|world| world.config.acting.clone())),
        "mass" => records(request, |after, limit| json(&mass(shared, after, limit))),
        "received" => records(request, |after, limit| {
            let found = |world: &crate::wecom::World| {
                world.states.inbox.after(after).take(limit).cloned().collect::<Vec<_>>()
            };
            json(&shared.look(found))
        }),
        "greetings" => json(&shared.look(|world| {
            let found = world.states.templates.greetings(request.param("chat_id"));
            found.cloned().collect::<Vec<_>>()
        })),
        _ => return None,
    };
    Some(Ok(page))
}

/// Answers a POST; none when there is no such route.
pub(super) fn post(path: &str, request: &Request, shared: &Shared) -> Option<Result<Page, String>> {
    Some(match path {
        "acting" => configure(request, shared),
        "robot" => robot(request, shared),
        "robot_calls" => eat_robot(request, shared),
        "temper" => temper(request, shared),
        "confirm" => confirm(request, shared),
        "template" => template(request, shared),
        "say" => say(request, shared),
        "join_way" => join(request, shared),
        "occupy" => occupy(request, shared),
        _ => return None,
    })
}

fn done(is_done: bool, otherwise: &str) -> Result<Page, String> {
    if is_done { Ok(json(&value!({}))) } else { Err(otherwise.to_owned()) }
}

fn configure(request: &Request, shared: &Shared) -> Result<Page, String> {
    let config: ActingConfig = read(request)?;
    shared.with(|world| world.config.acting = config.clone());
    Ok(json(&config))
}

fn robot(request: &Request, shared: &Shared) -> Result<Page, String> {
    let robot: Robot = read(request)?;
    done(shared.with(|world| world.states.robots.put(robot)), "there are too many robots")
}

fn eat_robot(request: &Request, shared: &Shared) -> Result<Page, String> {
    #[derive(Deserialize)]
    struct Body {
        key: String,
        calls: u64,
    }
    let body: Body = read(request)?;
    shared.with(|world| {
        let now_ms = world.now_ms();
        world.limits.eat("robot", &body.key, &PER_KEY, body.calls, now_ms);
    });
    done(true, "")
}

fn temper(request: &Request, shared: &Shared) -> Result<Page, String> {
    #[derive(Deserialize)]
    struct Body {
        userid: String,
        temper: Temper,
    }
    let body: Body = read(request)?;
    done(shared.with(|world| world.set_temper(&body.userid, body.temper)), "no such member")
}

fn confirm(request: &Request, shared: &Shared) -> Result<Page, String> {
    #[derive(Deserialize)]
    struct Body {
        msgid: String,
        userid: String,
    }
    let body: Body = read(request)?;
    let confirmed = shared.with(|world| world.confirm_mass_send(&body.msgid, &body.userid));
    done(confirmed, "nothing waits for this member")
}

fn template(request: &Request, shared: &Shared) -> Result<Page, String> {
    #[derive(Deserialize)]
    struct Body {
        chat_id: String,
        template_id: Option<String>,
    }
    let body: Body = read(request)?;
    let chosen = shared.with(|world| world.choose_template(&body.chat_id, body.template_id.as_deref()));
    done(chosen, "no such group")
}

fn say(request: &Request, shared: &Shared) -> Result<Page, String> {
    #[derive(Deserialize)]
    struct Body {
        userid: String,
        #[serde(default)]
        text: String,
        #[serde(default)]
        red_packet: bool,
    }
    let body: Body = read(request)?;
    let verdict = shared.with(|world| world.member_says(&body.userid, &body.text, body.red_packet));
    verdict.map(|verdict| json(&value!({ "verdict": verdict }))).ok_or_else(|| "no such member".to_owned())
}

fn join(request: &Request, shared: &Shared) -> Result<Page, String> {
    #[derive(Deserialize)]
    struct Body {
        config_id: String,
        members: Vec<String>,
    }
    let body: Body = read(request)?;
    let deeds = shared.with(|world| world.join_by_way(&body.config_id, &body.members));
    deeds.map(|deeds| json(&deeds)).map_err(|error| error.to_string())
}

/// Another app is busy with a welcome code for a while; its attempt may fail.
fn occupy(request: &Request, shared: &Shared) -> Result<Page, String> {
    #[derive(Deserialize)]
    struct Body {
        welcome_code: String,
        for_ms: u64,
        succeeds: bool,
    }
    let body: Body = read(request)?;
    let occupied = shared.with(|world| {
        let until_ms = world.now_ms().saturating_add(body.for_ms);
        // None of the apps that were set up.
        world.welcome.occupy(&body.welcome_code, usize::MAX, until_ms, body.succeeds)
    });
    done(occupied, "no such welcome code")
}

/// Mass sends with what became of each sender's targets, as counts by status.
fn mass(shared: &Shared, after: u64, limit: usize) -> Vec<Value> {
    shared.look(|world| {
        let tasks = world.states.mass.all().filter(|(number, _)| *number > after).take(limit);
        let shown = tasks.map(|(number, task)| {
            let senders = task.senders.iter().map(|sender| {
                let mut by_status = [0_u64; 4];
                sender.targets.iter().for_each(|target| by_status[target.status as usize] += 1);
                let userid = &world.people.staff(sender.staff).userid;
                value!({ "userid": userid, "sent_ms": sender.sent_ms, "by_status": by_status })
            });
            value!({
                "seq": number,
                "msgid": task.msgid,
                "audience": task.audience,
                "created_ms": task.created_ms,
                "is_cancelled": task.is_cancelled,
                "senders": senders.collect::<Vec<_>>(),
            })
        });
        shown.collect()
    })
}
