//! `gettoken`.

use super::{Auth, Basics, Route, Verb};
use crate::wecom::errcode;
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

pub(super) const ROUTES: &[Route] = &[Route {
    path: "gettoken",
    verb: Verb::Get,
    auth: Auth::Own,
    basics: Basics::Counted,
    handler: gettoken,
}];

fn gettoken(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let corpid = request.param("corpid").ok_or_else(|| Refusal::code(errcode::CORPID_MISSING))?;
    let secret = request.param("corpsecret").ok_or_else(|| Refusal::code(errcode::SECRET_MISSING))?;
    if corpid != world.config.corpid {
        return Err(Refusal::code(errcode::BAD_CORPID));
    }
    let Some(app) = world.apps.iter().position(|app| app.config.secret == secret) else {
        world.tokens.guessed(caller.ip, caller.now_ms);
        return Err(Refusal::code(errcode::BAD_SECRET));
    };
    if !world.apps[app].config.is_enabled {
        return Err(Refusal::code(errcode::BAD_SECRET));
    }
    let (token, expires_in) = world.tokens.give(app, caller.now_ms, &mut world.rng);
    Ok(Answer::ok().with("access_token", token).with("expires_in", expires_in))
}
