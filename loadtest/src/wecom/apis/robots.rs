//! `webhook/send` and `webhook/upload_media`: a group robot's key is all they ask for.

use super::{Auth, Basics, Route, Verb, media};
use crate::wecom::errcode;
use crate::wecom::machines::media::{Kind, Uploader};
use crate::wecom::machines::robots::{self, PER_KEY};
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

/// The basic limits are a corp's, and a key shows no corp.
pub(super) const ROUTES: &[Route] = &[
    Route { path: "webhook/send", verb: Verb::Post, auth: Auth::Own, basics: Basics::Exempt, handler: send },
    Route {
        path: "webhook/upload_media",
        verb: Verb::Post,
        auth: Auth::Own,
        basics: Basics::Exempt,
        handler: upload,
    },
];

fn send(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let robot = world.states.robots.speaker(request.param("key"))?.clone();
    // Counted before it is read: whether refused messages count is not told, counting them is the strict reading.
    let charged = world.limits.charge("robot", &robot.key, &PER_KEY, 1, caller.now_ms);
    charged.map_err(|_| Refusal::code(errcode::FREQUENCY))?;
    let message = request.value();
    let content = robots::check(&message, &world.states.media, caller.now_ms)?;
    let id = format!("call{}", caller.call);
    world.ledger.reached(caller.now_ms, "robot", &robot.group, &id, &content);
    world.keep_body(caller.now_ms, "robot", &robot.group, &message);
    Ok(Answer::ok().did(id))
}

fn upload(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    world.states.robots.speaker(request.param("key"))?;
    media::take(world, caller, request, Uploader::Robot, &[Kind::File, Kind::Voice])
}
