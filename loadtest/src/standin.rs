//! A small gateway for this crate's own tests: enough of the interface to be counted against, and defects on demand.
//!
//! It is written from the interface's description, like the client, and shares with it no more than the field names.

mod broadcasts;
mod hooks;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::RETRY_AFTER;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use hooks::Told;

/// What the stand-in does wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Defects {
    /// The first so many event requests are answered 429 with `Retry-After: 0`.
    pub(crate) throttle_first: usize,
    /// Every so many event requests are counted, and then the connection breaks without an answer.
    pub(crate) break_every: Option<usize>,
    /// Every so many lines are refused with a status of 503 of their own.
    pub(crate) refuse_line_every: Option<usize>,
    /// Batches are answered in reverse.
    pub(crate) reverses: bool,
    /// Every so many events are answered but not counted.
    pub(crate) forget_every: Option<usize>,
    /// Broadcasts reach one group twice, under different ids.
    pub(crate) sends_twice: bool,
    /// Broadcasts leave one group out and count it all the same.
    pub(crate) leaves_one_out: bool,
}

#[derive(Debug, Default)]
struct State {
    defects: Defects,
    requests: usize,
    lines: usize,
    seen: HashSet<(String, String)>,
    /// By account and group.
    counts: HashMap<(String, String), BTreeMap<&'static str, u64>>,
    hooks: hooks::Hooks,
    groups: Vec<(String, String)>,
    broadcasts: broadcasts::Broadcasts,
}

/// A running stand-in; dropping it stops it.
#[derive(Debug)]
pub(crate) struct StandIn {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl StandIn {
    pub(crate) async fn start(defects: Defects) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State { defects, ..State::default() }));
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("accept");
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, state, server }
    }

    /// Where broadcasts are delivered, and with which key they are signed.
    pub(crate) fn deliver_to(&self, url: &str, secret: &str) {
        self.state.lock().expect("no panic").broadcasts.deliver_to(url, secret);
    }

    /// Lets the sync of an account say that it has read so many groups.
    pub(crate) fn has_read(&self, groups: usize) {
        self.state.lock().expect("no panic").hooks.groups_read = groups;
    }

    /// How many groups were declared.
    pub(crate) fn groups(&self) -> usize {
        self.state.lock().expect("no panic").groups.len()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the connection breaks on purpose")]
struct Broken;

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Broken> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let (path, mut state) = (parts.uri.path().to_owned(), state.lock().expect("no panic"));
    let ndjson = parts.headers.get("content-type").is_some_and(|value| value == "application/x-ndjson");
    let segments: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    if let Some(account) = path.strip_prefix("/hooks/") {
        return Ok(state.callback(account, parts.uri.query().unwrap_or_default(), &body));
    }
    let (status, body) = match (&parts.method, segments.as_slice()) {
        (&Method::POST, ["events"]) => return state.events_request(&body, ndjson),
        (&Method::GET, ["groups", account, group, "statistics"]) => state.group_statistics(account, group),
        (&Method::PUT, ["accounts", _]) => state.hooks.account(&serde_json::from_slice(&body).expect("json")),
        (_, ["accounts", _, "sync"]) => state.hooks.sync(),
        (&Method::GET, ["statistics"]) => (StatusCode::OK, json!({"totals": state.totals()})),
        (&Method::POST, ["groups"]) => state.import(&body),
        (&Method::POST, ["broadcasts"]) => {
            let groups = state.groups.clone();
            let key = parts.headers.get("idempotency-key").cloned().expect("a key");
            let defects = state.defects.clone();
            state.broadcasts.create(&body, key.to_str().expect("ascii"), groups, &defects)
        }
        (&Method::GET, ["broadcasts", id]) => state.broadcasts.view(id),
        _ => (StatusCode::NOT_FOUND, json!({"status": 404})),
    };
    let mut response = Response::new(Full::new(body.to_string().into()));
    *response.status_mut() = status;
    Ok(response)
}

impl State {
    fn events_request(&mut self, body: &[u8], ndjson: bool) -> Result<Response<Full<Bytes>>, Broken> {
        self.requests += 1;
        if self.requests <= self.defects.throttle_first {
            let response = Response::builder().status(429).header(RETRY_AFTER, "0").body(Full::default());
            return Ok(response.expect("a response"));
        }
        let text = std::str::from_utf8(body).expect("utf-8");
        let mut answers: Vec<Value>;
        let reply = if ndjson {
            answers =
                text.lines().map(|line| self.event(&serde_json::from_str(line).expect("json"))).collect();
            if self.defects.reverses {
                answers.reverse();
            }
            answers.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
        } else {
            let event: Value = serde_json::from_str(text).expect("json");
            match event.as_array() {
                Some(events) => events.iter().map(|event| self.event(event)).collect::<Value>().to_string(),
                None => self.event(&event).to_string(),
            }
        };
        if self.defects.break_every.is_some_and(|every| self.requests.is_multiple_of(every)) {
            return Err(Broken);
        }
        Ok(Response::new(Full::new(reply.into())))
    }

    fn event(&mut self, event: &Value) -> Value {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (id, place) = (text("id"), (text("account"), text("group")));
        self.lines += 1;
        let hits =
            |every: Option<usize>, lines: usize| every.is_some_and(|every| lines.is_multiple_of(every));
        if hits(self.defects.refuse_line_every, self.lines) {
            return json!({"line": 1, "status": 503});
        }
        let is_new = self.seen.insert((format!("{}/{}", place.0, place.1), id.clone()));
        if is_new && !hits(self.defects.forget_every, self.lines) {
            let field = match event["type"].as_str().expect("a type") {
                "message" => "messages",
                "member_joined" => "joins",
                _ => "leaves",
            };
            *self.counts.entry(place).or_default().entry(field).or_default() += 1;
        }
        let words = text("text");
        let found = words.find("加").map(|at| {
            let span = [at, at + "加".len()];
            json!({"wordlist": "diversion", "category": "contact", "term": "加", "matched": "加", "span": span})
        });
        json!({
            "id": id,
            "verdict": if found.is_some() { "block" } else { "pass" },
            "status": if is_new { "counted" } else { "duplicate" },
            "hits": found.into_iter().collect::<Vec<_>>(),
            "actions": [],
            "masked": null,
        })
    }

    /// Answers an authentic callback with an empty 200, whatever becomes of it.
    fn callback(&mut self, account: &str, query: &str, body: &[u8]) -> Response<Full<Bytes>> {
        let told = self.hooks.open(query, std::str::from_utf8(body).expect("utf-8"));
        let (status, body) = match told {
            None => (401, String::new()),
            Some(Told::Echo(echo)) => (200, echo),
            Some(Told::Gap) => (200, String::new()),
            Some(Told::Joined(group, member)) => {
                self.lines += 1;
                let forgets = self.defects.forget_every.is_some_and(|n| self.lines.is_multiple_of(n));
                if !forgets && self.seen.insert((format!("{account}/{group}"), member)) {
                    let counts = self.counts.entry((account.to_owned(), group)).or_default();
                    *counts.entry("joins").or_default() += 1;
                }
                (200, String::new())
            }
        };
        Response::builder().status(status).body(Full::new(body.into())).expect("a response")
    }

    fn group_statistics(&self, account: &str, group: &str) -> (StatusCode, Value) {
        match self.counts.get(&(account.to_owned(), group.to_owned())) {
            None => (StatusCode::NOT_FOUND, json!({"status": 404})),
            // Spread over two hours, so that adding up is tried.
            Some(counts) => (StatusCode::OK, json!({"rows": [{"start": "an hour"}, counts]})),
        }
    }

    fn totals(&self) -> BTreeMap<&'static str, u64> {
        let mut totals = BTreeMap::new();
        for (&field, count) in self.counts.values().flatten() {
            *totals.entry(field).or_default() += count;
        }
        totals
    }

    fn import(&mut self, body: &[u8]) -> (StatusCode, Value) {
        let lines = std::str::from_utf8(body).expect("utf-8").lines();
        let known = self.groups.len();
        for line in lines {
            let line: Value = serde_json::from_str(line).expect("json");
            let text = |name: &str| line[name].as_str().expect("text").to_owned();
            self.groups.push((text("account"), text("group")));
        }
        (StatusCode::OK, json!({"imported": self.groups.len() - known}))
    }
}
