//! A journey that begins when a member comes into a segment, over kills: each entry is heard of once.

use std::collections::BTreeMap;

use http::Method;
use loadtest::sink::{Sink, SinkConfig};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::gateway::Gateway;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const JOURNEY: &str = "/v1/journeys/vip";
const ROUNDS: usize = 4;

/// Waits until exactly these members are under way, and were told the first step.
async fn are_under_way(client: &Client, members: &[&str]) {
    eventually("those and no others are under way", || async {
        let rows = client.expect(200, Method::GET, "/v1/groups/shop/g-1/journeys", &Value::Null).await;
        let rows = rows["items"].as_array().unwrap().clone();
        let told = rows.iter().filter(|row| row["passed"] == json!(["now"]));
        let found: Vec<&str> = told.map(|row| row["member"].as_str().unwrap()).collect();
        (found == members && rows.len() == members.len()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_entry_into_a_segment_is_heard_of_once_over_kills() {
    let sink = Sink::start(SinkConfig { keep_text: true, ..SinkConfig::default() }).await.unwrap();
    let mut gateway = Gateway::start(&[
        ("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#),
        ("MENSHEN_JOURNEYS__TOGETHER_WINDOW", "0s"),
        ("MENSHEN_JOURNEYS__REJOIN_DAYS", "0"),
        ("MENSHEN_JOURNEYS__GROUP_DAY_MAX", "1000"),
        ("MENSHEN_PEOPLE__RULE_TAGS_EVERY", "100ms"),
    ]);
    let account = json!({
        "platform": "webhook", "secrets": [{"value": SECRET}], "limits": ["window:600/s"],
        "settings": {"url": sink.url(), "receiver_dedupes": true},
    });
    gateway.client.expect(201, Method::PUT, "/v1/accounts/shop", &account).await;
    let tell = async |client: &Client, what: &str, member: &str| {
        let mut event = json!({"id": format!("{what}-{member}"), "account": "shop", "group": "g-1", "type": what,
            "member": member, "name": format!("顾客{member}")});
        if what == "message" {
            event["text"] = "今天有活动吗".into();
        }
        client.expect(200, Method::POST, "/v1/events", &event).await;
    };
    tell(&gateway.client, "message", "a").await;
    let tag = |member: &str| format!("/v1/members/shop/{member}/tags/vip");
    gateway.client.expect(204, Method::PUT, &tag("a"), &Value::Null).await;
    gateway.client.expect(201, Method::PUT, "/v1/segments/vip", &json!({"segment": {"tags": ["vip"]}})).await;
    let journey = json!({"start": {"segment": "vip"}, "stop_when": ["left", "not_in_segment:vip"], "steps": [
        {"id": "now", "after": "0s", "text": "{member.name}"}, {"id": "later", "after": "30d", "text": "x"}]});
    gateway.client.expect(201, Method::PUT, JOURNEY, &journey).await;
    // They join after the segment was written, so whenever it is looked at first, they come in by their tag.
    for member in ["b", "c"] {
        tell(&gateway.client, "member_joined", member).await;
    }
    for round in 0..ROUNDS {
        for member in ["b", "c"] {
            gateway.client.expect(204, Method::PUT, &tag(member), &Value::Null).await;
        }
        if round % 2 == 0 {
            gateway.restart(); // killed while it looks, or before or after it
        }
        are_under_way(&gateway.client, &["b", "c"]).await;
        gateway.restart();
        for member in ["b", "c"] {
            gateway.client.expect(204, Method::DELETE, &tag(member), &Value::Null).await;
        }
        are_under_way(&gateway.client, &[]).await;
    }
    let told = || {
        // What a kill left uncertain is sent again under its id.
        let receipts = sink.receipts(0, 999).into_iter().filter(|receipt| receipt.kind == "journey");
        let texts: BTreeMap<_, _> = receipts.map(|receipt| (receipt.id, receipt.text)).collect();
        let names =
            texts.into_values().flat_map(|text| text.split('、').map(str::to_owned).collect::<Vec<_>>());
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        names.for_each(|name| *counts.entry(name).or_default() += 1);
        counts
    };
    let once_a_round = BTreeMap::from(["顾客b", "顾客c"].map(|name| (name.to_owned(), ROUNDS)));
    eventually("all is told", || async { (told().values().sum::<usize>() >= 2 * ROUNDS).then_some(()) })
        .await;
    assert_eq!(told(), once_a_round, "`a` was in it before, and each entry is told once");
    gateway.client.expect(409, Method::DELETE, "/v1/segments/vip", &Value::Null).await;
}
