//! Two hundred people scan a poster: one greeting, over kills. It is their number that ends the waiting here, so that no clock
//! decides how the test goes.

use std::collections::BTreeMap;

use http::Method;
use loadtest::sink::{Sink, SinkConfig};
use serde_json::json;

use crate::support::eventually;
use crate::support::gateway::Gateway;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEWCOMERS: usize = 200;

fn join(number: usize) -> String {
    let event = json!({"id": format!("j-{number}"), "account": "shop", "group": "g-1", "type": "member_joined",
        "member": format!("u-{number}"), "name": format!("顾客{number}")});
    event.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poster_brings_two_hundred_and_one_greeting() {
    let sink = Sink::start(SinkConfig { keep_text: true, ..SinkConfig::default() }).await.unwrap();
    let mut gateway = Gateway::start(&[
        ("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#),
        ("MENSHEN_WELCOMES__BURST_WINDOW", "1h"),
        ("MENSHEN_WELCOMES__BURST_MAX", "200"),
    ]);
    let account = json!({
        "platform": "webhook", "secrets": [{"value": SECRET}], "limits": ["window:600/s"],
        "settings": {"url": sink.url(), "receiver_dedupes": true},
    });
    gateway.client.expect(201, Method::PUT, "/v1/accounts/shop", &account).await;
    let card = json!({"type": "link", "link": {"title": "会员卡", "url": "https://shop.example/card"}});
    let welcome = json!({"text": "欢迎 {member.name}", "attachments": [card]});
    gateway.client.expect(201, Method::PUT, "/v1/welcomes/all", &welcome).await;
    let ndjson = [("content-type", "application/x-ndjson")];
    for half in [0..NEWCOMERS / 2, 0..NEWCOMERS] {
        // The first half comes again after the kill: repeats.
        let joins: Vec<String> = half.map(join).collect();
        gateway.client.send(Method::POST, "/v1/events", &ndjson, joins.join("\n")).await.unwrap();
        gateway.restart();
    }
    let greetings = || {
        // What a kill left uncertain is sent again under its id.
        let receipts = sink.receipts(0, 9).into_iter().filter(|receipt| receipt.kind == "welcome");
        receipts.map(|receipt| (receipt.id, receipt.text)).collect::<BTreeMap<_, _>>()
    };
    eventually("they are greeted", || async { (greetings().len() > 1).then_some(()) }).await;
    gateway.restart();
    // Whoever comes now waits for the gap between two greetings; the state says that nothing else is due.
    let late = json!({"id": "late", "account": "shop", "group": "g-1", "type": "message", "member": "u-1", "text": "大家好"});
    gateway.client.expect(200, Method::POST, "/v1/events", &late).await;
    let mut said: Vec<String> = greetings().into_values().collect();
    said.sort();
    // The card is no text, and there is one of it.
    assert_eq!(said, ["", "欢迎 顾客0、顾客1、顾客2 等 200 位"]);
}
