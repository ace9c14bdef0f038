//! The simulator over real connections, questioned as a gateway would.

mod acting;
mod acts;
mod callbacks;
mod control;
mod deltas;
mod gate;
mod reads;
mod receiver;
mod statistics;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::client::{Call, Connection, Target};

/// 2026-01-01T08:00:00+08:00.
const START_S: u64 = 1_767_225_600;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

async fn start(config: SimConfig) -> Simulator {
    let clock = Clock::manual(START_S);
    Simulator::start(SimConfig { clock, ..config }).await.expect("a free port")
}

/// A corp of three owners with two groups each, ten customers in every one.
async fn small() -> Simulator {
    start(SimConfig {
        population: Population { owners: 3, groups: 6, members: 60, contacts: 3 },
        ..SimConfig::default()
    })
    .await
}

fn connection(sim: &Simulator) -> Connection {
    let mut target = Target::new(sim.url(), None).expect("a target");
    target.timeout = PATIENCE;
    Arc::new(target).connection()
}

/// Sends one request and reads the JSON of its answer.
async fn send(sim: &Simulator, call: Call) -> Value {
    let reply = connection(sim).try_once(&call).await.expect("an answer");
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    serde_json::from_slice(&reply.body).expect("JSON")
}

/// Calls an API without a token.
async fn bare(sim: &Simulator, path: &str) -> Value {
    send(sim, Call::get(format!("/cgi-bin/{path}"))).await
}

async fn token_of(sim: &Simulator, app: usize) -> String {
    let (corpid, secret) =
        sim.with(|world| (world.config.corpid.clone(), world.apps[app].config.secret.clone()));
    let answer = bare(sim, &format!("gettoken?corpid={corpid}&corpsecret={secret}")).await;
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Calls an API with a body as the first app.
async fn post(sim: &Simulator, api: &str, body: Value) -> Value {
    let token = token_of(sim, 0).await;
    let path = format!("/cgi-bin/{api}?access_token={token}");
    send(sim, Call::post(path, "application/json", body.to_string())).await
}

/// Calls an API with query parameters as the first app.
async fn get(sim: &Simulator, api: &str, query: &str) -> Value {
    let token = token_of(sim, 0).await;
    bare(sim, &format!("{api}?access_token={token}&{query}")).await
}

/// Calls a control route.
async fn control(sim: &Simulator, path: &str, body: Option<Value>) -> Value {
    let path = format!("/_sim/{path}");
    send(
        sim,
        match body {
            Some(body) => Call::post(path, "application/json", body.to_string()),
            None => Call::get(path),
        },
    )
    .await
}

fn code(answer: &Value) -> i64 {
    answer["errcode"].as_i64().unwrap_or_else(|| panic!("{answer}"))
}

fn chat(sim: &Simulator, number: u32) -> String {
    sim.with(|world| world.groups.chat_id(GroupNo(number)))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}
