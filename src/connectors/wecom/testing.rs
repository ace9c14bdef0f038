//! A platform for unit tests: a real HTTP server whose every answer a test decides, and accounts connected to it.
//!
//! Not for: what WeCom really does. That is the simulator's.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Wecom;
use crate::clock::Clock;
use crate::connectors::testing::MemoryState;
use crate::connectors::{AccountSpec, Config, Secret};
use crate::event::AccountId;
use crate::tasks::detached;

/// One request as it came.
#[derive(Clone, Debug)]
pub(in crate::connectors) struct Asked {
    /// What follows `/cgi-bin/`.
    pub(in crate::connectors) path: String,
    /// The query.
    pub(in crate::connectors) query: HashMap<String, String>,
    /// The raw body.
    pub(in crate::connectors) body: Bytes,
    /// Which request it is to this path, counted from 0.
    pub(in crate::connectors) nth: usize,
}

impl Asked {
    /// The body as JSON.
    pub(in crate::connectors) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub(in crate::connectors) enum Reply {
    /// 200 with this.
    Json(Value),
    /// This status with these bytes.
    Raw(u16, Bytes),
    /// Close the connection instead of an answer.
    Close,
    /// Never answer.
    Hang,
}

/// A refusal in the platform's form.
pub(in crate::connectors) fn refusal(errcode: i64) -> Reply {
    Reply::Json(
        json!({"errcode": errcode, "errmsg": format!("as told, hint: [1_2], from ip: 127.0.0.1, more info at https://open.work.weixin.qq.com/devtool/query?e={errcode}")}),
    )
}

/// `errcode` 0 and nothing else.
pub(in crate::connectors) fn done() -> Reply {
    Reply::Json(json!({"errcode": 0, "errmsg": "ok"}))
}

/// A token that lives for two hours.
pub(in crate::connectors) fn token(value: &str) -> Reply {
    Reply::Json(json!({"errcode": 0, "errmsg": "ok", "access_token": value, "expires_in": 7200}))
}

type Script = dyn Fn(&Asked) -> Reply + Send + Sync;

/// The server; it ends with the test's runtime.
pub(in crate::connectors) struct Platform {
    pub(in crate::connectors) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Platform {
    /// Answers `gettoken` with the token `t`, and everything else as `script` says.
    pub(in crate::connectors) async fn with_token(
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |asked| if asked.path == "gettoken" { token("t") } else { script(asked) }).await
    }

    /// Answers everything as `script` says.
    pub(in crate::connectors) async fn start(
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (all, script): (_, Arc<Script>) = (Arc::clone(&asked), Arc::new(script));
        let (tasks, owner) = detached();
        tasks.clone().spawn("platform", async move {
            let _owner = owner;
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (all, script) = (Arc::clone(&all), Arc::clone(&script));
                tasks.spawn("connection", async move {
                    let service = service_fn(|request| answer(request, &all, &script));
                    _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                    // `Close` ends it with an error
                });
            }
        });
        Self { address, asked }
    }

    /// Connects an account with an app and the robot `watch`.
    pub(in crate::connectors) fn connect(&self, clock: &Clock) -> Wecom {
        self.connect_with(clock, &MemoryState::default(), |_| {})
    }

    /// Connects one with a state of the test's and other settings.
    pub(in crate::connectors) fn connect_with(
        &self,
        clock: &Clock,
        state: &MemoryState,
        change: impl FnOnce(&mut AccountSpec),
    ) -> Wecom {
        let mut spec = spec();
        spec.settings["api_url"] = json!(format!("http://{}", self.address));
        change(&mut spec);
        let config = Config { allow_private: vec!["127.0.0.0/8".parse().unwrap()], ..Config::default() };
        Wecom::build(&spec, &config, clock, Arc::new(state.clone())).unwrap()
    }

    /// All requests so far, those for tokens aside.
    pub(in crate::connectors) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().iter().filter(|asked| asked.path != "gettoken").cloned().collect()
    }

    /// How often a path was asked for.
    pub(in crate::connectors) fn count(&self, path: &str) -> usize {
        self.asked.lock().iter().filter(|asked| asked.path == path).count()
    }
}

/// An account with the keys of the crypto vectors.
pub(in crate::connectors) fn spec() -> AccountSpec {
    AccountSpec {
        id: AccountId::parse("shops").unwrap(),
        platform: "wecom".to_owned(),
        settings: json!({"corp_id": "ww1f2e3d4c5b6a7988", "agent_id": 1_000_002}),
        secrets: vec![
            Secret::new("app_secret", "app-secret"),
            Secret::new("callback_token", "QmVhY29uVG9rZW4x"),
            Secret::new("callback_key", "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"),
            Secret::new("robot:watch", "robot-key"),
        ],
        limits: Vec::new(),
        group_limits: Vec::new(),
    }
}

async fn answer(
    request: Request<Incoming>,
    all: &Mutex<Vec<Asked>>,
    script: &Arc<Script>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let path = parts.uri.path().trim_start_matches("/cgi-bin/").to_owned();
    let query =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let asked = {
        let mut all = all.lock();
        let nth = all.iter().filter(|asked| asked.path == path).count();
        all.push(Asked { path, query, body, nth });
        all.last().cloned().unwrap()
    };
    match script(&asked) {
        Reply::Json(value) => Ok(Response::new(Full::new(Bytes::from(value.to_string())))),
        Reply::Raw(status, bytes) => Ok(Response::builder().status(status).body(Full::new(bytes)).unwrap()),
        Reply::Close => Err(std::io::Error::other("as told")),
        Reply::Hang => std::future::pending().await,
    }
}
