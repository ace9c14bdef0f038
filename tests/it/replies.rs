//! Replies as a group hears them: once however many ask, never to an advert, and never for ever to another program.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use loadtest::sink::{Sink, SinkConfig};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::receiver;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn gateway() -> Gateway {
    Gateway::start(&[("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#)])
}

async fn account(gateway: &Gateway, url: &str) {
    let account = json!({
        "platform": "webhook", "secrets": [{"value": SECRET}], "limits": ["window:600/s"],
        "settings": {"url": url, "receiver_dedupes": true},
    });
    gateway.client.expect(201, Method::PUT, "/v1/accounts/shop", &account).await;
}

async fn rule(gateway: &Gateway, id: &str, rule: &Value) {
    gateway.client.expect(201, Method::PUT, &format!("/v1/replies/{id}"), rule).await;
}

async fn says(gateway: &Gateway, id: &str, member: &str, text: &str) -> Value {
    let event = json!({"id": id, "account": "shop", "group": "g-1", "type": "message", "member": member, "text": text});
    gateway.client.expect(200, Method::POST, "/v1/events", &event).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_people_ask_and_one_answer_is_said_over_a_kill() {
    let sink = Sink::start(SinkConfig { keep_text: true, ..SinkConfig::default() }).await.unwrap();
    let mut gateway = gateway();
    account(&gateway, sink.url()).await;
    rule(&gateway, "hours", &json!({"keywords": ["几点开门"], "text": "十点", "cooldown_s": 3600})).await;
    rule(&gateway, "bye", &json!({"keywords": ["再见"], "text": "下次再来", "cooldown_s": 0})).await;
    for (id, member) in [("e-1", "u-1"), ("e-2", "u-2")] {
        says(&gateway, id, member, "请问几点开门？").await;
    }
    gateway.restart();
    says(&gateway, "e-2", "u-2", "请问几点开门？").await;
    says(&gateway, "e-3", "u-3", "几点開門").await;
    let advert = says(&gateway, "e-4", "u-4", "几点开门？加微信 abc888 领优惠").await;
    assert_eq!(advert["verdict"], "block");
    let numbers = gateway.client.get("/v1/replies/hours/numbers").await;
    assert_eq!((&numbers["answered"], &numbers["cooldown"]), (&json!(0), &json!(1)), "{numbers}");
    says(&gateway, "e-5", "u-1", "再见").await;
    // Two answers, and the recall of the advert.
    sink.wait_for(|report| report.distinct >= 3).await;
    let answers = sink.receipts(0, 99).into_iter().filter(|receipt| receipt.kind == "reply");
    let said: BTreeMap<String, String> = answers.map(|answer| (answer.id, answer.text)).collect();
    let mut said: Vec<String> = said.into_values().collect();
    said.sort();
    assert_eq!(said, ["下次再来", "十点"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_that_answer_each_other_fall_silent() {
    let (left, right) = (gateway(), gateway());
    let said = Arc::new(Mutex::new(Vec::<(bool, String)>::new()));
    // What one says in the group, the other hears from a customer.
    for (is_left, says, hears) in [(true, &left, &right), (false, &right, &left)] {
        let (send, mut spoken) = mpsc::unbounded_channel::<String>();
        let (client, said) = (hears.client.clone(), Arc::clone(&said));
        tokio::spawn(async move {
            let mut number = 0;
            while let Some(text) = spoken.recv().await {
                number += 1;
                said.lock().push((is_left, text.clone()));
                let event = json!({"id": format!("relayed-{number}"), "account": "shop", "group": "g-1",
                    "type": "message", "member": "the-other", "text": text});
                client.expect(200, Method::POST, "/v1/events", &event).await;
            }
        });
        let url = receiver::serve("/", move |_, body| {
            let body: Value = serde_json::from_slice(body).unwrap();
            send.send(body["data"]["text"].as_str().unwrap().to_owned()).unwrap();
            StatusCode::OK
        });
        account(says, &url.await).await;
    }
    // Both answer whatever they hear, with ever other words and without any silence between.
    let ping = json!({"keywords": ["左"], "text": "右一", "variants": ["右二", "右三"], "cooldown_s": 0});
    let pong = json!({"keywords": ["右"], "text": "左一", "variants": ["左二", "左三"], "cooldown_s": 0});
    rule(&left, "ping", &ping).await;
    rule(&right, "pong", &pong).await;
    says(&left, "e-1", "u-1", "左").await;
    let silent = eventually("one of them falls silent", || async {
        let left = left.client.get("/v1/replies/ping/numbers").await;
        let right = right.client.get("/v1/replies/pong/numbers").await;
        (left["loops"].as_u64()? + right["loops"].as_u64()? > 0).then_some((left, right))
    })
    .await;
    // Whoever fell silent heard the last word, so nothing more can follow.
    let said = said.lock().clone();
    assert_eq!(said.len(), 13, "one answer to the person, six to each other: {silent:?} {said:?}");
    assert!(said.windows(2).all(|two| two[0].0 != two[1].0), "in turn: {said:?}");
    // A person is answered all the same.
    says(&left, "e-2", "u-2", "左").await;
    let numbers = left.client.get("/v1/replies/ping/numbers").await;
    assert_eq!(numbers["answered"], 8, "{numbers}");
}
