//! A leave surge over sockets: told signed and once over kills, into a group as well, acknowledged, recovered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use jiff::{Timestamp, ToSpan};
use menshen::webhooks::{VerifyKey, verify};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::chance::now_ms;
use crate::support::gateway::Gateway;
use crate::support::{eventually, receiver};

/// What an endpoint was told of alerts, by number.
#[derive(Default)]
struct Told {
    key: Option<VerifyKey>,
    alerts: BTreeMap<u64, Value>,
}

async fn endpoint(told: &Arc<Mutex<Told>>) -> String {
    let told = Arc::clone(told);
    receiver::serve("/", move |headers, body| {
        let mut told = told.lock();
        let Some(key) = told.key.clone() else { return StatusCode::SERVICE_UNAVAILABLE };
        let now_ms = i64::try_from(now_ms()).unwrap();
        verify(&[key], headers, body, now_ms, Duration::from_mins(5)).expect("signed");
        let body: Value = serde_json::from_slice(body).unwrap();
        for change in body["data"]["changes"].as_array().into_iter().flatten() {
            told.alerts.insert(change["seq"].as_u64().unwrap(), change.clone());
        }
        StatusCode::OK
    })
    .await
}

/// `count` customers leave a group, from member `first` on.
async fn leave(gateway: &Gateway, group: &str, first: usize, count: usize) {
    let now = Timestamp::now();
    let events: Vec<_> = (first..first + count)
        .map(|n| {
            let at = (now - i64::try_from(count - (n - first)).unwrap().milliseconds()).to_string();
            json!({"account": "demo", "group": group, "id": format!("e-{n}"), "type": "member_left",
                   "member": format!("u-{n}"), "role": "customer", "reason": "self", "at": at})
        })
        .collect();
    gateway.client.expect(200, Method::POST, "/v1/events", &Value::Array(events)).await;
}

async fn sends(gateway: &Gateway) -> Vec<String> {
    let sends = gateway.client.get("/v1/sandbox/sends").await;
    let to_ops = |send: &&Value| send["group"] == "g-ops";
    let all = sends["items"].as_array().unwrap().iter().filter(to_ops);
    all.map(|send| send["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leave_surge_is_told_signed_acknowledged_and_recovered_over_kills() {
    let mut gateway = Gateway::start(&[
        ("MENSHEN_SUBSCRIPTIONS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#),
        ("MENSHEN_SUBSCRIPTIONS__LOOK", "50ms"),
        ("MENSHEN_ALERTS__WATCH__LOOK", "100ms"),
        ("MENSHEN_ALERTS__LIFE__RECOVER_AFTER", "1s"),
        ("MENSHEN_INTERCEPTION__VARIANTS", "false"),
    ]);
    let told = Arc::new(Mutex::new(Told::default()));
    let ops = json!({"url": endpoint(&told).await, "subjects": ["alert"]});
    let made = gateway.client.expect(201, Method::PUT, "/v1/endpoints/ops", &ops).await;
    told.lock().key = Some(VerifyKey::parse(made["secret"].as_str().unwrap()).unwrap());
    let shop = json!({"name": "徐汇店", "manager": "wang", "deputy": "li"});
    gateway.client.expect(201, Method::PUT, "/v1/shops/s-1", &shop).await;
    let group = json!({"name": "徐汇群", "shop": "s-1"});
    gateway.client.expect(201, Method::PUT, "/v1/groups/demo/g-1", &group).await;
    let rule = json!({"kinds": ["leave_surge"], "where": {"shops": ["s-1"]}, "threshold": 6,
                      "tell": [{"account": "demo", "group": "g-ops"}]});
    gateway.client.expect(201, Method::PUT, "/v1/alert-rules/xuhui", &rule).await;

    leave(&gateway, "g-1", 0, 5).await;
    gateway.restart();
    leave(&gateway, "g-1", 5, 4).await;
    leave(&gateway, "g-2", 0, 9).await;
    let of = |state: &str| {
        let told = told.lock();
        told.alerts.values().find(|change| change["type"] == format!("alert.{state}")).cloned()
    };
    let opened = eventually("the alert is told", || async { of("opened") }).await;
    let context = &opened["context"];
    assert_eq!((&opened["group"], &context["kind"]), (&json!("g-1"), &json!("leave_surge")));
    assert_eq!(context["responsible"], json!({"shop_manager": "wang", "deputy": "li", "region": null}));
    let why = context["why"]["en"].as_str().unwrap();
    assert!(why.contains(" leaves in 10 min; what is usual here is not known yet"), "{why}");
    let said = eventually("the group is told", || async { sends(&gateway).await.pop() }).await;
    assert!(said.starts_with("【预警】退群激增：徐汇群\n10 分钟退群 "), "{said}");

    gateway.restart();
    let path = context["url"].as_str().unwrap().to_owned();
    let headers = [("content-type", "application/json"), ("idempotency-key", "ack")];
    let acknowledge = format!("{path}/acknowledge");
    let taken = gateway.client.send(Method::POST, &acknowledge, &headers, "{}".to_owned()).await.unwrap();
    assert_eq!(taken.status, 200, "{taken:?}");
    eventually("that it is taken is told", || async { of("acknowledged") }).await;
    assert_eq!(
        gateway.client.get("/v1/alerts?state=acknowledged").await["items"].as_array().unwrap().len(),
        1
    );
    let calmer = json!({"kinds": ["leave_surge"], "where": {"shops": ["s-1"]}, "threshold": 600});
    gateway.client.expect(200, Method::PUT, "/v1/alert-rules/xuhui", &calmer).await;
    let recovered = eventually("that it is over is told", || async { of("recovered") }).await;
    assert_eq!(recovered["context"]["alert"], context["alert"]);
    let shown = gateway.client.get(&path).await;
    assert_eq!((&shown["state"], &shown["acknowledged"]["by"]), (&json!("ended"), &json!("admin")));
    let types: Vec<_> = told.lock().alerts.values().map(|change| change["type"].clone()).collect();
    assert_eq!(types, ["alert.opened", "alert.acknowledged", "alert.recovered"], "each once");
}
