//! A journey over a kill and two rewritings. The members joined a day ago, as their events say, so that what is due on the first
//! days is due now and no clock decides how the test goes.

use std::collections::BTreeMap;

use http::Method;
use loadtest::sink::{Sink, SinkConfig};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::Gateway;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PATH: &str = "/v1/journeys/week";

fn happens(id: &str, member: &str, what: &Value) -> String {
    let joined_at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(30);
    let mut event = json!({"id": id, "account": "shop", "group": "g-1", "member": member});
    let fields = event.as_object_mut().unwrap();
    fields.extend(what.as_object().unwrap().clone());
    if what["type"] == "member_joined" {
        fields.insert("at".to_owned(), json!(joined_at.to_string()));
        fields.insert("name".to_owned(), json!(format!("顾客{member}")));
    }
    event.to_string()
}

fn week(later: &str) -> Value {
    json!({"stop_when": ["left", "outcome:order"], "steps": [
        {"id": "d1", "after": "1d", "text": "d1 {member.name}"},
        {"id": "later", "after": later, "text": "later {member.name}"},
    ]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_is_said_once_over_a_kill_and_to_nobody_who_bought() {
    let sink = Sink::start(SinkConfig { keep_text: true, ..SinkConfig::default() }).await.unwrap();
    let mut gateway = Gateway::start(&[
        ("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#),
        ("MENSHEN_JOURNEYS__TOGETHER_WINDOW", "0s"),
        ("MENSHEN_JOURNEYS__LATE_MAX", "7d"),
    ]);
    let account = json!({
        "platform": "webhook", "secrets": [{"value": SECRET}], "limits": ["window:600/s"],
        "settings": {"url": sink.url(), "receiver_dedupes": true},
    });
    gateway.client.expect(201, Method::PUT, "/v1/accounts/shop", &account).await;
    gateway
        .client
        .expect(201, Method::PUT, PATH, &json!({"steps": [{"id": "d9", "after": "9d", "text": "never"}]}))
        .await;
    let joined = json!({"type": "member_joined"});
    let ndjson = [("content-type", "application/x-ndjson")];
    let events = [
        happens("1", "a", &joined),
        happens("2", "b", &joined),
        happens("3", "c", &joined),
        happens("4", "b", &json!({"type": "outcome", "kind": "order", "value": 1})),
    ];
    gateway.client.send(Method::POST, "/v1/events", &ndjson, events.join("\n")).await.unwrap();
    // `b` began the journey before orders ended it.
    let under_way = "/v1/groups/shop/g-1/journeys";
    let rows = gateway.client.expect(200, Method::GET, under_way, &Value::Null).await;
    assert_eq!((rows["items"].as_array().unwrap().len(), &rows["items"][0]["step"]), (3, &json!("d9")));

    // Written anew: the first step is hours old, and due at once for all three.
    gateway.client.expect(200, Method::PUT, PATH, &week("9d")).await;
    let texts = || {
        // What a kill left uncertain is sent again under its id.
        let receipts = sink.receipts(0, 99).into_iter().filter(|receipt| receipt.kind == "journey");
        receipts.map(|receipt| (receipt.id, receipt.text)).collect::<BTreeMap<_, _>>()
    };
    eventually("the first step is said", || async { (texts().len() == 1).then_some(()) }).await;
    gateway.restart();
    let bought = happens("5", "b", &json!({"type": "outcome", "kind": "order", "value": 1}));
    gateway.client.send(Method::POST, "/v1/events", &ndjson, bought).await.unwrap();
    gateway.client.expect(200, Method::PUT, PATH, &week("29h")).await;
    eventually("the second step is said", || async { (texts().len() == 2).then_some(()) }).await;
    let rows = gateway.client.expect(200, Method::GET, under_way, &Value::Null).await;
    assert_eq!(rows["items"], json!([]), "nobody is under way any more, so nothing can follow");
    let mut said: Vec<String> = texts().into_values().collect();
    said.sort();
    assert_eq!(said, ["d1 顾客a、顾客b、顾客c", "later 顾客a、顾客c"]);
    let numbers = gateway.client.expect(200, Method::GET, "/v1/journeys/week/numbers", &Value::Null).await;
    assert_eq!(
        (&numbers["running"], &numbers["told"], &numbers["stopped"]["outcome"]),
        (&json!(0), &json!(2), &json!(1))
    );
}
