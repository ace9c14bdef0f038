//! A receiver of callbacks: answers as told, keeps what came, and opens it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;

use super::*;

/// How one request is answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reaction {
    Status(u16),
    /// Never.
    Silence,
    /// The deciphered echo of a URL verification, with something behind it.
    Echo(&'static str),
    /// 200 to what opens, 401 to what does not, as a gateway must.
    Check,
}

/// One POST as it came.
#[derive(Debug, Clone)]
pub(super) struct Got {
    /// The path and query.
    pub(super) uri: String,
    pub(super) body: String,
}

#[derive(Debug)]
struct State {
    cipher: Cipher,
    reactions: VecDeque<Reaction>,
    got: Vec<Got>,
}

/// A running receiver.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<usize>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// One that answers [`Reaction::Check`] whenever nothing else was asked for, with the first app's keys.
    pub(super) async fn start(path: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}{path}", listener.local_addr().expect("an address"));
        let app = AppConfig::default();
        let cipher = Cipher::new(&app.token, &app.aes_key, &SimConfig::default().corpid).expect("a key");
        let state = State { cipher, reactions: VecDeque::new(), got: Vec::new() };
        let (state, (changed, _)) = (Arc::new(Mutex::new(state)), watch::channel(0));
        let server = tokio::spawn(serve(listener, Arc::clone(&state), changed.clone()));
        Self { url, state, changed, server }
    }

    pub(super) fn then(&self, reactions: impl IntoIterator<Item = Reaction>) {
        self.state.lock().expect("no panic").reactions.extend(reactions);
    }

    pub(super) fn got(&self) -> Vec<Got> {
        self.state.lock().expect("no panic").got.clone()
    }

    /// What came, opened.
    pub(super) fn documents(&self) -> Vec<String> {
        let state = self.state.lock().expect("no panic");
        state.got.iter().map(|got| open(&state.cipher, got).expect("a good callback")).collect()
    }

    pub(super) async fn wait_for(&self, count: usize) {
        let mut changes = self.changed.subscribe();
        in_time(changes.wait_for(|&seen| seen >= count)).await.expect("the receiver lives");
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>, changed: watch::Sender<usize>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (state, changed) = (Arc::clone(&state), changed.clone());
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&state), changed.clone()));
            _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await; // cut on purpose
        });
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<usize>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let got = Got { uri: parts.uri.to_string(), body: String::from_utf8(body.to_vec()).expect("text") };
    let (status, text) = {
        let mut state = state.lock().expect("no panic");
        let reaction = state.reactions.pop_front().unwrap_or(Reaction::Check);
        let opened = open(&state.cipher, &got);
        if parts.method == Method::POST {
            state.got.push(got);
        }
        match reaction {
            Reaction::Status(code) => (Some(code), String::new()),
            Reaction::Silence => (None, String::new()),
            Reaction::Echo(more) => (Some(200), opened.expect("an echo") + more),
            Reaction::Check => (Some(if opened.is_ok() { 200 } else { 401 }), String::new()),
        }
    };
    if parts.method == Method::POST {
        changed.send_modify(|count| *count += 1);
    }
    let Some(status) = status else { return std::future::pending().await };
    Ok(Response::builder().status(status).body(Full::new(text.into())).expect("a response"))
}

fn open(cipher: &Cipher, got: &Got) -> Result<String, CryptoError> {
    let (_, query) = got.uri.split_once('?').expect("a query");
    let param = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let part = |name| param(name).unwrap_or_else(|| panic!("{name} in {query}"));
    let encrypt = param("echostr").map_or_else(|| encrypted_part(&got.body), Ok)?;
    let message = cipher.open(&part("msg_signature"), &part("timestamp"), &part("nonce"), &encrypt)?;
    Ok(String::from_utf8(message).expect("text"))
}
