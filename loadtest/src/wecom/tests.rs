//! The simulator over real connections.

mod gate;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::client::{Call, Connection, Target};

/// 2026-01-01T08:00:00+08:00.
const START_S: u64 = 1_767_225_600;

async fn start(config: SimConfig) -> Simulator {
    let clock = Clock::manual(START_S);
    Simulator::start(SimConfig { clock, ..config }).await.expect("a free port")
}

fn connection(sim: &Simulator) -> Connection {
    let mut target = Target::new(sim.url(), None).expect("a target");
    target.timeout = Duration::from_secs(20);
    Arc::new(target).connection()
}

/// Calls an API without a token.
async fn bare(sim: &Simulator, path: &str) -> Value {
    let reply = connection(sim).try_once(&Call::get(format!("/cgi-bin/{path}"))).await.expect("an answer");
    assert_eq!(reply.status, 200);
    serde_json::from_slice(&reply.body).expect("JSON")
}

async fn token_of(sim: &Simulator, app: usize) -> String {
    let (corpid, secret) =
        sim.with(|world| (world.config.corpid.clone(), world.apps[app].config.secret.clone()));
    let answer = bare(sim, &format!("gettoken?corpid={corpid}&corpsecret={secret}")).await;
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}
