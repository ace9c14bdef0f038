//! WeCom as strangers speak it: the vendor's published crypto package (Node) and a published client library (Python) sign
//! for our gateway, open what our simulator sends, and call our simulator. So neither side is only right about itself.
//!
//! They are installed from their registries below `target/peers`; where that cannot be done a visible line says so, unless
//! `MENSHEN_PEERS=required`, as in the gate.

use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use loadtest::wecom::{Act, AppConfig, Population, SimConfig, Simulator};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use crate::support::eventually;
use crate::support::gateway::Gateway;

const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers");
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");

/// Installs the strangers once; says why not.
fn installed() -> Result<(), String> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let install = || {
        let out = std::process::Command::new("bash").args([&format!("{SCRIPTS}/install.sh"), PLACE]).output();
        match out {
            Ok(out) if out.status.success() => Ok(()),
            Ok(out) => Err(String::from_utf8_lossy(&out.stderr).lines().last().unwrap_or("?").to_owned()),
            Err(error) => Err(error.to_string()),
        }
    };
    INSTALLED.get_or_init(install).clone()
}

/// Says whether the test can go on.
fn strangers_are_here(test: &str) -> bool {
    match installed() {
        Ok(()) => true,
        Err(why) => {
            let required = std::env::var_os("MENSHEN_PEERS").is_some_and(|value| value == "required");
            assert!(!required, "the peers cannot be installed: {why}");
            println!("SKIPPED {test}: the peers cannot be installed here: {why}");
            false
        }
    }
}

/// A stranger, asked one line at a time; ended on drop.
struct Peer {
    name: &'static str,
    _process: Child,
    asks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    fn node() -> Self {
        let mut command = Command::new("node");
        command.arg(format!("{SCRIPTS}/node.cjs"));
        Self::start("the vendor's package", command)
    }

    fn python() -> Self {
        let mut command = Command::new(format!("{PLACE}/python/bin/python"));
        command.arg(format!("{SCRIPTS}/python.py"));
        Self::start("the client library", command)
    }

    fn start(name: &'static str, mut command: Command) -> Self {
        command.current_dir(PLACE).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let (asks, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { name, _process: process, asks, answers: BufReader::new(answers).lines() }
    }

    async fn ask(&mut self, question: Value) -> Value {
        self.asks.write_all(format!("{question}\n").as_bytes()).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_mins(1), self.answers.next_line()).await;
        let answer = answer.expect("an answer in time").unwrap().expect("the peer is still there");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["error"].is_null(), "{}: {answer} for {question}", self.name);
        answer
    }
}

fn merged(mut base: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

/// What a signer must know.
fn keys(app: &AppConfig, corpid: &str) -> Value {
    json!({"token": app.token, "key": app.aes_key, "id": corpid})
}

fn account(app: &AppConfig, config: &SimConfig, api_url: &str) -> Value {
    json!({
        "platform": "wecom",
        "settings": {"corp_id": config.corpid, "agent_id": app.agentid, "api_url": api_url},
        "secrets": [
            {"name": "app_secret", "value": app.secret},
            {"name": "callback_token", "value": app.token},
            {"name": "callback_key", "value": app.aes_key},
        ],
    })
}

fn created(corpid: &str, chat: &str, at: u64) -> String {
    format!(
        "<xml><ToUserName><![CDATA[{corpid}]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName>\
         <CreateTime>{at}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_external_chat]]></Event>\
         <ChatId><![CDATA[{chat}]]></ChatId><ChangeType><![CDATA[create]]></ChangeType></xml>"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_sign_and_our_gateway_believes_them() {
    if !strangers_are_here("strangers_sign_and_our_gateway_believes_them") {
        return;
    }
    let config = SimConfig::default();
    let app = config.apps[0].clone();
    let simulator = Simulator::start(config.clone()).await.unwrap();
    let gateway = Gateway::start(&[("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#)]);
    gateway
        .client
        .expect(201, Method::PUT, "/v1/accounts/wecom", &account(&app, &config, simulator.url()))
        .await;
    let hook = format!("{}/hooks/wecom", gateway.client.base());
    let now_s = simulator.report().now_ms / 1_000;
    for (nth, mut peer) in [Peer::node(), Peer::python()].into_iter().enumerate() {
        let sealed = |verb: &str, message: &str, nonce: &str| {
            let asked = json!({"do": verb, "url": hook, "timestamp": now_s.to_string(), "nonce": nonce, "message": message});
            merged(asked, &keys(&app, &config.corpid))
        };
        // A new address: the echo comes back to the byte.
        let echo = peer.ask(sealed("verify", "4382 你好 +/=", "n-verify")).await;
        assert_eq!((&echo["status"], &echo["body"]), (&json!(200), &json!("4382 你好 +/=")), "{}", peer.name);
        // An event: taken, answered with nothing.
        let chat = format!("wrPeer{nth}");
        let message = created(&config.corpid, &chat, now_s);
        for _ in 0..2 {
            let posted = peer.ask(sealed("post", &message, "n-post")).await;
            assert_eq!((&posted["status"], &posted["body"]), (&json!(200), &json!("")), "{}", peer.name);
        }
        eventually("the group is known", || async {
            let answer = gateway.client.send(Method::GET, &format!("/v1/groups/wecom/{chat}"), &[], "").await;
            answer.unwrap().status.is_success().then_some(())
        })
        .await;
        // Somebody else's token, another company's message, another key.
        for (field, other) in [
            ("token", "SomebodyElses1"),
            ("id", "ww0000000000000000"),
            ("key", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"),
        ] {
            let forged = merged(sealed("post", &message, "n-forged"), &json!({field: other}));
            let status = peer.ask(forged).await["status"].as_u64().unwrap();
            assert!((400..500).contains(&status), "{} got through with another {field}: {status}", peer.name);
        }
    }
}

/// Keeps what is posted to it, raw, and answers 200.
async fn receiver() -> (String, mpsc::Receiver<(String, String)>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/cb", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let sender = sender.clone();
                async move {
                    let query = request.uri().query().unwrap_or_default().to_owned();
                    let body = request.into_body().collect().await?.to_bytes();
                    _ = sender.send((query, String::from_utf8_lossy(&body).into_owned())).await;
                    Ok::<_, hyper::Error>(http::Response::new(String::new()))
                }
            });
            let stream = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(stream, service));
        }
    });
    (url, received)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_our_simulator_sends_strangers_open() {
    if !strangers_are_here("what_our_simulator_sends_strangers_open") {
        return;
    }
    let (url, mut received) = receiver().await;
    let mut config = SimConfig { population: small(), ..SimConfig::default() };
    config.apps[0].callback_url = Some(url);
    let (app, corpid) = (config.apps[0].clone(), config.corpid.clone());
    let simulator = Simulator::start(config).await.unwrap();
    let chat_id = first_chat(&simulator).await;
    simulator
        .act(Act::Join {
            chat_id: chat_id.clone(),
            members: Vec::new(),
            newcomers: 2,
            scene: 3,
            inviter: None,
            state: String::new(),
        })
        .unwrap();
    let (query, body) =
        tokio::time::timeout(Duration::from_secs(10), received.recv()).await.unwrap().unwrap();
    for mut peer in [Peer::node(), Peer::python()] {
        let asked = merged(json!({"do": "open", "query": query, "body": body}), &keys(&app, &corpid));
        let opened = peer.ask(asked).await;
        assert_eq!(opened["ok"], true, "{}: the signature", peer.name);
        let message = opened["message"].as_str().unwrap();
        for part in ["change_external_chat", "add_member", &chat_id, "<MemChangeCnt>2</MemChangeCnt>"] {
            assert!(message.contains(part), "{}: no {part} in {message}", peer.name);
        }
    }
}

fn small() -> Population {
    Population { owners: 3, groups: 7, members: 60, contacts: 5 }
}

async fn first_chat(simulator: &Simulator) -> String {
    let client = crate::support::client::Client::new(simulator.url(), "");
    let groups = client.get("/_sim/groups?limit=1").await;
    let text = groups.to_string();
    let at = text.find("\"chat_id\":\"").expect("a group") + "\"chat_id\":\"".len();
    text.split_at(at).1.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_client_finds_the_platform_it_knows() {
    if !strangers_are_here("a_published_client_finds_the_platform_it_knows") {
        return;
    }
    let config = SimConfig { population: small(), ..SimConfig::default() };
    let (app, corpid) = (config.apps[0].clone(), config.corpid.clone());
    let simulator = Simulator::start(config).await.unwrap();
    let mut peer = Peer::python();
    let client = json!({"do": "client", "api": simulator.url(), "corp": corpid, "secret": app.secret});
    assert_eq!(peer.ask(client).await["token"], true);
    let call =
        |of: &str, name: &str, with: Value| json!({"do": "call", "of": of, "name": name, "with": with});

    let chats = peer.ask(call("external_contact_group_chat", "list_all", json!({"limit": 3}))).await;
    let chats = chats["result"].as_array().unwrap().clone();
    assert_eq!(chats.len(), 7, "every page was walked: {chats:?}");
    let chat = chats[0]["chat_id"].as_str().unwrap().to_owned();
    let group = peer.ask(call("external_contact", "get_group_chat_info", json!({"chat_id": chat}))).await;
    let group = &group["result"]["group_chat"];
    assert_eq!(group["chat_id"], chat.as_str());
    assert!(group["member_list"].as_array().unwrap().len() > 1, "{group}");
    assert_eq!(group["member_version"].as_str().unwrap().len(), 32);
    let owner = group["owner"].as_str().unwrap().to_owned();

    let template = json!({"text": {"content": "欢迎 %NICKNAME%"}});
    let added =
        peer.ask(call("external_contact", "add_group_welcome_template", json!({"template": template}))).await;
    let id = added["result"]["template_id"].as_str().unwrap().to_owned();
    let read =
        peer.ask(call("external_contact", "get_group_welcome_template", json!({"template_id": id}))).await;
    assert_eq!(read["result"]["text"]["content"], "欢迎 %NICKNAME%");
    peer.ask(call("external_contact", "del_group_welcome_template", json!({"template_id": id}))).await;
    let gone =
        peer.ask(call("external_contact", "get_group_welcome_template", json!({"template_id": id}))).await;
    assert!(gone["errcode"].as_i64().is_some_and(|code| code != 0), "{gone}");

    let task = json!({"chat_type": "group", "sender": owner, "chat_id_list": [chat], "text": {"content": "周末八折"}});
    let sent = peer.ask(call("external_contact", "add_msg_template", json!({"template": task}))).await;
    assert!(!sent["result"]["msgid"].as_str().unwrap().is_empty(), "{sent}");

    let note = json!({"agent_id": app.agentid, "user_ids": [owner], "content": "请确认群发"});
    assert_eq!(peer.ask(call("message", "send_text", note)).await["result"]["errcode"], 0);
    let late = peer
        .ask(call(
            "external_contact",
            "send_welcome_msg",
            json!({"template": {
        "welcome_code": "never-given", "text": {"content": "你好"}}}),
        ))
        .await;
    assert_eq!(late["errcode"], 41050, "{late}");
    // Three pages and the end.
    assert!(simulator.with(|world| world.ledger.count("externalcontact/groupchat/list", "0")) >= 3);
}
