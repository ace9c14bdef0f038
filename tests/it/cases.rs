//! One advert in ten groups, with another number each time: one case with every message, one decision for all, over kills.

use std::collections::BTreeSet;

use http::Method;
use loadtest::sink::{Sink, SinkConfig};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::told::{Told, endpoint};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

async fn advertises(gateway: &Gateway, group: usize) {
    let text = format!("招聘兼职打字员每天两百元当天结清有意者速来报名名额有限先到先得第{group}期");
    let event = json!({"id": format!("ad-{group}"), "account": "shop", "group": format!("g-{group}"), "type": "message",
        "member": format!("u-{group}"), "text": text});
    let answer = gateway.client.expect(200, Method::POST, "/v1/events", &event).await;
    assert_ne!(answer["verdict"], "block", "what is withdrawn already is not withdrawn again: {answer}");
}

/// Returns the only case once it holds so many messages.
async fn case(gateway: &Gateway, messages: u64) -> Value {
    eventually("the case holds them all", || async {
        let cases = gateway.client.get("/v1/cases").await;
        let cases = cases["items"].as_array().unwrap();
        assert!(cases.len() <= 1, "{cases:?}");
        let id = cases.first()?["id"].as_str()?;
        let case = gateway.client.get(&format!("/v1/cases/{id}")).await;
        (case["messages"].as_u64() == Some(messages)).then_some(case)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_groups_one_case_one_decision_over_kills() {
    let sink = Sink::start(SinkConfig { keep_text: true, ..SinkConfig::default() }).await.unwrap();
    let mut gateway = Gateway::start(&[
        ("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#),
        ("MENSHEN_SUBSCRIPTIONS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#),
        ("MENSHEN_SUBSCRIPTIONS__LOOK", "50ms"),
    ]);
    let account = json!({
        "platform": "webhook", "secrets": [{"value": SECRET}], "limits": ["window:600/s"],
        "settings": {"url": sink.url(), "receiver_dedupes": true, "can": ["send", "recall"]},
    });
    gateway.client.expect(201, Method::PUT, "/v1/accounts/shop", &account).await;
    let told = Told::default();
    let ops = json!({"url": endpoint(&told).await});
    gateway.client.expect(201, Method::PUT, "/v1/endpoints/ops", &ops).await;
    for group in 0..6 {
        advertises(&gateway, group).await;
    }
    let opened = case(&gateway, 6).await;
    let of_case = |state: &'static str| of_type(&told, &format!("case.{state}"));
    let heard = || async { of_case("opened").first().cloned() };
    let change = eventually("somebody hears of the case", heard).await;
    let context = &change["context"];
    assert_eq!(
        (&change["id"], &context["groups"], &context["members"]),
        (&opened["id"], &json!(5), &json!(5))
    );
    assert!(context["by"]["near"].as_u64() >= Some(3), "{change}");
    assert_eq!(change.get("group"), None, "{change}");
    gateway.restart();
    for group in 6..10 {
        advertises(&gateway, group).await;
    }
    let grown = case(&gateway, 10).await;
    assert_eq!(
        (&grown["id"], &grown["state"], &grown["members"]),
        (&opened["id"], &json!("open"), &json!(10))
    );
    assert!(grown["by"]["near"].as_u64() >= Some(8), "{grown}");
    assert_eq!(grown["removals"]["by_hand"], 10, "{grown}");
    let path = format!("/v1/cases/{}/decision", grown["id"].as_str().unwrap());
    let decision =
        json!({"act": "withdraw", "remove_members": true, "confirm_members": 10, "reason": "广告"});
    let done = gateway.client.expect(200, Method::POST, &path, &decision).await;
    assert_eq!((&done["withdrawn"], &done["not_removed"]), (&json!(10), &json!(10)), "{done}");
    gateway.restart();
    advertises(&gateway, 10).await;
    let withdrawn = || {
        // What a kill left uncertain is sent again under its id.
        let receipts = sink.receipts(0, 99).into_iter().filter(|receipt| receipt.kind == "recall");
        receipts.map(|receipt| receipt.id).collect::<BTreeSet<_>>()
    };
    eventually("all are withdrawn", || async { (withdrawn().len() == 11).then_some(()) }).await;
    let after = case(&gateway, 11).await;
    assert_eq!((&after["state"], &after["decision"]["reason"]), (&json!("withdrawn"), &json!("广告")));
    assert_eq!(after["group_count"], 11, "every group counts, not only at twice as many: {after}");
    assert_eq!(gateway.client.get("/v1/cases").await["items"][0]["last_at"], after["last_at"]);
    let decided = || async { of_case("decided").first().cloned() };
    let change = eventually("somebody hears of the decision", decided).await;
    assert_eq!((&change["id"], &change["context"]["act"]), (&grown["id"], &json!("withdraw")), "{change}");
    assert_eq!((of_case("opened").len(), of_case("decided").len()), (1, 1), "once each, over kills");
    people_are_asked(&told, &grown).await;
}

/// What endpoints were told of one type.
fn of_type(told: &Told, name: &str) -> Vec<Value> {
    let told = told.lock();
    told.values().filter(|change| change["type"] == name).cloned().collect()
}

/// The platform takes nobody out: people are asked to, once each.
async fn people_are_asked(told: &Told, case: &Value) {
    let by_hand = || async { Some(of_type(told, "member.by_hand")).filter(|of| of.len() >= 10) };
    let asked = eventually("people are asked", by_hand).await;
    let groups: BTreeSet<&str> = asked.iter().map(|change| change["group"].as_str().unwrap()).collect();
    assert_eq!((asked.len(), groups.len(), groups.contains("g-10")), (10, 10, false), "{groups:?}");
    for change in &asked {
        let context = &change["context"];
        let expect = (&json!("remove"), &json!("unsupported"), &case["id"]);
        assert_eq!((&context["action"], &context["because"], &context["asked_by"]), expect, "{change}");
    }
}
