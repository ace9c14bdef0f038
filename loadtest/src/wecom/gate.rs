//! What stands between a request and its API function: ban, limits, token, app, address, family, escapes.
//!
//! The order is ours: a call must show whose it is before a corp's limits are charged, and whatever it showed, the address's
//! own limit is charged first. A refused call has counted all the same.

use std::net::IpAddr;

use hyper::Method;
use serde_json::{Map, Value};

use super::apis::{Auth, Basics, Route, Verb};
use super::config::Family;
use super::errcode;
use super::faults::Turn;
use super::ledger::CallRecord;
use super::limits::{DEBUG, PER_CORP, PER_IP, Rule};
use super::request::{Answer, Caller, Outcome, Refusal, Request};
use super::world::World;

/// Runs one call to its end and writes it down. `turn` is what the fault script has in store for it.
pub(crate) fn call(world: &mut World, route: &Route, ip: IpAddr, request: &Request, turn: Turn) -> Reply {
    world.tick();
    let mut caller = Caller { app: None, ip, now_ms: world.now_ms(), call: world.ledger.next_call() };
    let admitted = admit(world, route, &mut caller, request);
    let outcome = admitted.and_then(|()| match turn {
        Turn::Errcode(code) => Err(Refusal::code(code)),
        Turn::Answer | Turn::Status(_) | Turn::Hang | Turn::Reset | Turn::Cut => {
            (route.handler)(world, &caller, request)
        }
    });
    let end = match turn {
        Turn::Hang => "hang",
        Turn::Reset => "reset",
        Turn::Answer | Turn::Errcode(_) | Turn::Status(_) | Turn::Cut => "answered",
    };
    let errcode = Some(outcome.as_ref().map_or_else(|refusal| refusal.errcode, |_| 0));
    let effect = outcome.as_ref().ok().and_then(|answer| answer.effect.clone());
    write_down(world, route, &caller, errcode, end, effect);
    render(world, ip, outcome)
}

/// Writes down a call that never reached its function.
pub(crate) fn failed(world: &mut World, route: &Route, ip: IpAddr, end: &str) {
    let caller = Caller { app: None, ip, now_ms: world.now_ms(), call: world.ledger.next_call() };
    write_down(world, route, &caller, None, end, None);
}

/// Refuses a call for too many in flight.
pub(crate) fn crowded(world: &mut World, route: &Route, ip: IpAddr) -> Reply {
    let caller = Caller { app: None, ip, now_ms: world.now_ms(), call: world.ledger.next_call() };
    write_down(world, route, &caller, Some(errcode::CONCURRENCY), "answered", None);
    render(world, ip, Err(Refusal::code(errcode::CONCURRENCY)))
}

/// What goes back over the wire.
#[derive(Debug)]
pub(crate) enum Reply {
    Json(Vec<u8>),
    Bytes(&'static str, bytes::Bytes),
}

fn write_down(
    world: &mut World,
    route: &Route,
    caller: &Caller,
    errcode: Option<i64>,
    end: &str,
    effect: Option<String>,
) {
    let record = CallRecord {
        seq: 0,
        at_ms: caller.now_ms,
        api: route.path.to_owned(),
        app: caller.app.and_then(|app| world.apps.get(app)).map(|app| app.config.name.clone()),
        ip: caller.ip.to_string(),
        errcode,
        end: end.to_owned(),
        effect,
    };
    world.ledger.called(record);
}

fn admit(world: &mut World, route: &Route, caller: &mut Caller, request: &Request) -> Result<(), Refusal> {
    let (ip, now_ms) = (caller.ip, caller.now_ms);
    // The platform does not say what a banned address is told; the code of a frequency limit asks for the same patience.
    if world.tokens.is_banned(ip, now_ms) {
        return Err(Refusal::new(errcode::FREQUENCY, "too many invalid secrets, ip banned"));
    }
    match (route.verb, &request.method) {
        (Verb::Get, &Method::GET) | (Verb::Post, &Method::POST) => {}
        (Verb::Get, _) => return Err(Refusal::code(errcode::NEEDS_GET)),
        (Verb::Post, _) => return Err(Refusal::code(errcode::NEEDS_POST)),
    }
    if request.param("debug") == Some("1") {
        charge(world, "debug", route.path, &DEBUG, now_ms)?;
    }
    if route.basics == Basics::Counted {
        let scope = format!("{ip} {}", route.path);
        charge(world, "ip", &scope, &PER_IP, now_ms)?;
    }
    let Auth::Token(family) = route.auth else {
        return charge_corp(world, route, now_ms);
    };
    let token = request.param("access_token").ok_or_else(|| Refusal::code(errcode::TOKEN_MISSING))?;
    let index = world.tokens.app(token, now_ms)?;
    caller.app = Some(index);
    charge_corp(world, route, now_ms)?;
    let app = &world.apps[index];
    if !app.config.is_enabled {
        return Err(Refusal::code(errcode::APP_DISABLED));
    }
    if !app.trusts(ip, now_ms) {
        return Err(Refusal::code(errcode::UNTRUSTED_IP));
    }
    if !app.may_call(family) {
        return Err(Refusal::code(errcode::API_FORBIDDEN));
    }
    if family == Family::CustomerContact && world.config.refuses_json_escapes && has_escape(&request.body) {
        return Err(Refusal::code(errcode::BAD_JSON_ESCAPE));
    }
    Ok(())
}

fn charge_corp(world: &mut World, route: &Route, now_ms: u64) -> Result<(), Refusal> {
    match route.basics {
        Basics::Counted => charge(world, "corp", route.path, &PER_CORP, now_ms),
        Basics::Exempt => Ok(()),
    }
}

fn charge(world: &mut World, kind: &str, scope: &str, rules: &[Rule], now_ms: u64) -> Result<(), Refusal> {
    world.limits.charge(kind, scope, rules, 1, now_ms).map_err(|_| Refusal::code(errcode::FREQUENCY))
}

/// Whether JSON text spells a character that needs no escape, and so is not the raw UTF-8 the platform asks for.
fn has_escape(body: &[u8]) -> bool {
    let Ok(body) = std::str::from_utf8(body) else { return false };
    body.match_indices("\\u").any(|(at, _)| {
        let backslashes =
            body.get(..at).unwrap_or_default().bytes().rev().take_while(|&b| b == b'\\').count();
        let code = body.get(at + 2..at + 6).and_then(|code| u32::from_str_radix(code, 16).ok());
        backslashes % 2 == 0 && code.is_some_and(|code| code >= 0x80)
    })
}

fn render(world: &mut World, ip: IpAddr, outcome: Outcome) -> Reply {
    let (errcode, errmsg, fields) = match outcome {
        Ok(Answer { raw: Some((content_type, bytes)), .. }) => return Reply::Bytes(content_type, bytes),
        Ok(answer) => (0, "ok".to_owned(), answer.fields),
        Err(refusal) => (refusal.errcode, refusal.errmsg(&world.new_hint(), ip), Map::new()),
    };
    let mut document = Map::new();
    document.insert("errcode".to_owned(), Value::from(errcode));
    document.insert("errmsg".to_owned(), Value::from(errmsg));
    document.extend(fields);
    Reply::Json(serde_json::to_vec(&document).expect("JSON values can be encoded"))
}
