//! What happens to whoever advertises again and again, over kills: each step once, a mute that ends, and nothing left to undo.

use std::collections::BTreeMap;

use http::Method;
use loadtest::sink::{Sink, SinkConfig};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::Gateway;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

async fn advertises(gateway: &Gateway, id: &str) -> Value {
    let event = json!({"id": id, "account": "shop", "group": "g-1", "type": "message", "member": "u-1", "name": "小王",
        "text": "加微信 abc888 领优惠"});
    gateway.client.expect(200, Method::POST, "/v1/events", &event).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warned_muted_and_removed_once_each_over_kills() {
    let sink = Sink::start(SinkConfig { keep_text: true, ..SinkConfig::default() }).await.unwrap();
    let mut gateway = Gateway::start(&[("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#)]);
    let account = json!({
        "platform": "webhook", "secrets": [{"value": SECRET}], "limits": ["window:600/s"],
        "settings": {"url": sink.url(), "receiver_dedupes": true, "can": ["send", "recall", "mute", "remove"]},
    });
    gateway.client.expect(201, Method::PUT, "/v1/accounts/shop", &account).await;
    let policy = json!({"levels": {"high": "block"}, "ladder": {"steps": [
        {"at": 1, "do": "warn", "text": "{member.name}，请勿发广告"}, {"at": 2, "do": "mute", "for": "1s"}, {"at": 3, "do": "remove"}]}});
    gateway.client.expect(201, Method::PUT, "/v1/policies/shops", &policy).await;
    gateway.client.expect(201, Method::PUT, "/v1/groups/shop/g-1", &json!({"policy": "shops"})).await;
    let done = || {
        // What a kill left uncertain is sent again under its id.
        let receipts = sink.receipts(0, 99).into_iter().filter(|receipt| receipt.kind != "recall");
        receipts.map(|receipt| (receipt.id, receipt.kind)).collect::<BTreeMap<_, _>>()
    };
    for id in ["a-1", "a-2"] {
        let answer = advertises(&gateway, id).await;
        assert_eq!(answer["verdict"], "block", "{answer}");
        gateway.restart();
        assert_eq!(advertises(&gateway, id).await["status"], "duplicate");
    }
    // Its end came while nobody ran, or comes now.
    let unmuted = || async { done().values().any(|kind| kind == "unmute").then_some(()) };
    eventually("the mute ends", unmuted).await;
    gateway.restart();
    advertises(&gateway, "a-3").await;
    eventually("they are removed", || async { (done().len() >= 4).then_some(()) }).await;
    let mut kinds: Vec<String> = done().into_values().collect();
    kinds.sort();
    assert_eq!(kinds, ["mute", "remove", "unmute", "warning"]);
    let record = gateway.client.get("/v1/groups/shop/g-1/members/u-1/conduct").await;
    let steps = record["steps"].as_array().unwrap().iter().map(|step| step["action"].as_str().unwrap());
    assert_eq!(steps.collect::<Vec<_>>(), ["warn", "mute", "unmute", "remove"], "{record}");
    let pardon = json!({"reason": "误判"});
    let done = gateway.client.expect(200, Method::POST, "/v1/members/shop/u-1/pardon", &pardon).await;
    assert_eq!(done["groups"], json!([{"group": "g-1", "strikes": 3, "unmuted": false, "removed": true}]));
    assert!(done["zh"].as_str().unwrap().contains("重新邀请"), "{done}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removals_that_people_spend_stay_spent_over_a_kill() {
    let sink = Sink::start(SinkConfig::default()).await.unwrap();
    let mut gateway = Gateway::start(&[
        ("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#),
        ("MENSHEN_CONDUCT__REMOVALS_PER_HOUR", "1"),
    ]);
    let account = json!({
        "platform": "webhook", "secrets": [{"value": SECRET}], "limits": ["window:600/s"],
        "settings": {"url": sink.url(), "receiver_dedupes": true, "can": ["send", "remove"]},
    });
    gateway.client.expect(201, Method::PUT, "/v1/accounts/shop", &account).await;
    gateway.client.expect(201, Method::PUT, "/v1/groups/shop/g-1", &json!({})).await;
    let hour = || jiff::Timestamp::now().as_second() / 3_600;
    let (began, mut done) = (hour(), Vec::new());
    for member in ["u-1", "u-2"] {
        let join = json!({"id": format!("join-{member}"), "account": "shop", "group": "g-1", "type": "member_joined",
            "member": member});
        gateway.client.expect(200, Method::POST, "/v1/events", &join).await;
        let kick = json!({"account": "shop", "members": [member], "until": "2099-01-01T00:00:00Z", "reason": "刷广告",
            "confirm": 1});
        let kicked = gateway.client.expect(200, Method::POST, "/v1/kicks", &kick).await;
        done.push((kicked["done"]["removed"].clone(), kicked["done"]["over_budget"].clone()));
        gateway.restart();
    }
    let is_same_hour = hour() == began; // a new hour has its own
    let second = if is_same_hour { (json!(0), json!(1)) } else { done[1].clone() };
    assert_eq!(done, [(json!(1), json!(0)), second]);
    let record = gateway.client.get("/v1/groups/shop/g-1/members/u-1/conduct").await;
    assert_eq!(
        (&record["steps"][0]["action"], &record["steps"][0]["came"]),
        (&json!("remove"), &json!("queued"))
    );
    if is_same_hour {
        let waiting = || async {
            let reviews = gateway.client.get("/v1/reviews").await;
            reviews["items"].as_array()?.first().cloned()
        };
        let review = eventually("a person is to decide", waiting).await;
        assert_eq!(review["member"], "u-2");
        assert!(review["because"][0].as_str().unwrap().ends_with(":remove:over_budget"), "{review}");
    }
    let pardon = json!({"reason": "误判"});
    let done = gateway.client.expect(200, Method::POST, "/v1/members/shop/u-1/pardon", &pardon).await;
    assert_eq!(done["groups"], json!([{"group": "g-1", "strikes": 0, "unmuted": false, "removed": true}]));
}
