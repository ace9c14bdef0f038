//! Broadcasts, stops, dead letters, the sandbox.

use serde_json::{Value, json};

use super::{Gateway, Got};
use crate::storage::{DeliveryRow, DeliveryState};

/// Waits until a broadcast is in a state.
async fn eventually(gateway: &Gateway, path: &str, state: &str) -> Value {
    for _ in 0..2_000 {
        let got = gateway.get(path).await.expect(200).json();
        if got["state"] == state {
            return got;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{path} never became {state}")
}

async fn send(gateway: &Gateway, key: &str, body: Value) -> Got {
    gateway.post_once(&gateway.admin, "/v1/broadcasts", key, body).await
}

#[tokio::test]
async fn a_broadcast_reaches_its_groups_once() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let body = json!({"text": "{shop.name} 今日会员日", "audience": "all"});
    let first = send(&gateway, "k-1", body.clone()).await.expect(202);
    let path = first.header("location").to_owned();
    let again = send(&gateway, "k-1", body).await.expect(202);
    assert_eq!(
        (again.json()["id"].clone(), again.header("idempotency-replayed")),
        (first.json()["id"].clone(), "true")
    );
    let done = eventually(&gateway, &path, "finished").await;
    assert_eq!(done["counts"]["sent"], 2);
    let targets = gateway.get(&format!("{path}/targets?state=sent&limit=1")).await.expect(200).json();
    assert_eq!(targets["items"][0]["group"], "g-east");
    let next = targets["next_cursor"].as_str().unwrap();
    let rest = gateway.get(&format!("{path}/targets?cursor={next}")).await.expect(200).json();
    assert_eq!(rest["items"][0]["group"], "g-west");
    let sends = gateway.get("/v1/sandbox/sends").await.expect(200).json();
    let texts: Vec<_> = sends["items"].as_array().unwrap().iter().map(|send| send["text"].clone()).collect();
    assert!(texts.contains(&json!("east机密店 今日会员日")) && texts.len() == 2, "{texts:?}");
    assert_eq!(gateway.get("/v1/broadcasts").await.expect(200).json()["items"].as_array().unwrap().len(), 1);
    gateway.call("POST", &format!("{path}/pause"), Value::Null).await.expect(409);
    gateway.call("POST", &format!("{path}/replay"), Value::Null).await.expect(200);
}

#[tokio::test]
async fn a_broadcast_is_refused_with_the_reason() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let body = |text: &str, audience: Value| json!({"text": text, "audience": audience});
    let table = [
        (body("", json!("all")), "/text"),
        (body("{nobody.name}", json!("all")), "/text"),
        (body("好", json!({"tags": ["none"]})), "/audience"),
        (body("好", json!({"shops": ["s-none"]})), "/audience"),
        (json!({"text": "好", "audience": "all", "expires_at": "2020-01-01T00:00:00Z"}), "/expires_at"),
    ];
    for (number, (body, pointer)) in table.into_iter().enumerate() {
        let got = send(&gateway, &format!("k-{number}"), body.clone()).await;
        assert_eq!(got.expect(422).pointers(), [pointer], "{body}");
    }
    let blocked = send(&gateway, "k-b", body("加微信 abc888 领优惠", json!("all"))).await.expect(422);
    assert_eq!(blocked.code(), "text_blocked");
    assert_eq!(blocked.json()["hits"][0]["matched"], "加微信");
    let keyless = gateway.call("POST", "/v1/broadcasts", body("好", json!("all"))).await.expect(400);
    assert_eq!(keyless.code(), "idempotency_key_required");
    let count = gateway.call("POST", "/v1/broadcasts/preview", json!({"audience": {"tags": ["vip"]}})).await;
    assert_eq!(count.expect(200).json()["groups"], 2);
}

#[tokio::test]
async fn another_token_of_the_same_operator_does_not_see_what_is_outside_its_scope() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let token = async |region: &str| {
        let body = json!({"name": region, "scope": {"regions": [region]}});
        let made = gateway.call("POST", "/v1/tokens", body).await.expect(201).json();
        made["secret"].as_str().unwrap().to_owned()
    };
    let (east, west) = (token("east").await, token("west").await);
    let body = json!({"text": "今日会员日", "audience": "all"});
    let made = gateway.post_once(&east, "/v1/broadcasts", "k", body).await.expect(202);
    assert_eq!(made.json()["expected"], 1);
    let path = made.header("location").to_owned();
    gateway.call_as(&east, "GET", &path, Value::Null).await.expect(200);
    gateway.call_as(&west, "GET", &path, Value::Null).await.expect(404);
    gateway.call_as(&west, "POST", &format!("{path}/cancel"), Value::Null).await.expect(404);
    let listed = gateway.call_as(&west, "GET", "/v1/broadcasts", Value::Null).await.expect(200).json();
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn a_stop_holds_until_it_is_lifted() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let stop = json!({"kind": "broadcast", "scope": "region:east", "reason": "核对活动"});
    let hold = gateway.post_once(&gateway.admin, "/v1/outbound/stop", "k", stop.clone()).await.expect(201);
    let again = gateway.post_once(&gateway.admin, "/v1/outbound/stop", "k", stop).await.expect(201);
    assert_eq!(hold.json()["id"], again.json()["id"], "a repeat made a second hold");
    let made = send(&gateway, "k-1", json!({"text": "今日会员日", "audience": "all"})).await.expect(202);
    let path = made.header("location").to_owned();
    for _ in 0..2_000 {
        if gateway.get(&path).await.json()["counts"]["sent"] == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let waiting = gateway.get(&path).await.expect(200).json();
    assert_eq!(
        (waiting["counts"]["sent"].clone(), waiting["counts"]["pending"].clone()),
        (json!(1), json!(1))
    );
    let status = gateway.get("/v1/outbound").await.expect(200).json();
    assert_eq!(status["holds"][0]["scope"], "region:east");
    assert_eq!(status["accounts"][0]["account"], "demo");
    gateway.call("DELETE", hold.header("location"), Value::Null).await.expect(204);
    eventually(&gateway, &path, "finished").await;
    gateway.call("DELETE", hold.header("location"), Value::Null).await.expect(404);
    gateway.call("POST", "/v1/outbound/stop", json!({"scope": "region:none"})).await.expect(422);
    gateway.call("POST", "/v1/outbound/stop", json!({"scope": "moon"})).await.expect(400);
}

#[tokio::test]
async fn everybody_sees_that_everything_is_stopped_and_only_some_may_lift_it() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let hold = gateway.call("POST", "/v1/outbound/stop", json!({})).await.expect(201);
    let seen = gateway.call_as(&western, "GET", "/v1/holds", Value::Null).await.expect(200).json();
    assert_eq!(seen["items"][0]["scope"], "all");
    gateway.call_as(&western, "DELETE", hold.header("location"), Value::Null).await.expect(404);
    gateway.call_as(&western, "POST", "/v1/outbound/stop", json!({})).await.expect(422);
    gateway.call_as(&western, "POST", "/v1/outbound/stop", json!({"scope": "shop:s-west"})).await.expect(201);
}

#[tokio::test]
async fn dead_letters_are_listed_and_tried_again_within_the_scope() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let row = |id: &str, group: &str| DeliveryRow {
        id: id.into(),
        broadcast: String::new(),
        target: 0,
        account: "demo".into(),
        group: group.into(),
        kind: "reply".into(),
        state: DeliveryState::Failed,
        attempts: 5,
        due_ms: 0,
        expires_ms: 0,
        body: "{}".into(),
        code: "http_500".into(),
        detail: "机密".into(),
        updated_ms: super::NOW_MS,
        platform_id: String::new(),
        carrier: 0,
    };
    gateway.storage.deliveries_add(vec![row("dlv_east", "g-east"), row("dlv_west", "g-west")]).await.unwrap();
    let all = gateway.get("/v1/dead-letters").await.expect(200).json();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let own = gateway.call_as(&western, "GET", "/v1/dead-letters", Value::Null).await.expect(200).json();
    assert_eq!(own["items"].as_array().unwrap().len(), 1);
    gateway.call_as(&western, "POST", "/v1/dead-letters/dlv_east/replay", Value::Null).await.expect(404);
    let done =
        gateway.call_as(&western, "POST", "/v1/dead-letters/dlv_west/replay", Value::Null).await.expect(200);
    assert_eq!(done.json()["replayed"], 1);
    let audit =
        gateway.call_as(&western, "GET", "/v1/audit?object=delivery", Value::Null).await.expect(200).json();
    assert_eq!(audit["items"][0]["id"], "dlv_west");
}

#[tokio::test]
async fn a_backup_is_made_over_the_control_socket_only() {
    let gateway = Gateway::open().await;
    let target = tempfile::tempdir().unwrap();
    let dir = json!({"dir": target.path().join("copy")});
    gateway.call("POST", "/v1/backup", dir.clone()).await.expect(404);
    gateway.call("POST", "/v1/admin/reload", Value::Null).await.expect(200);
    let local = Gateway { router: crate::api::local_router(gateway.app.clone()), ..gateway };
    local.call("POST", "/v1/backup", json!({"dir": "copy"})).await.expect(422);
    local.call("POST", "/v1/backup", dir.clone()).await.expect(200);
    assert!(target.path().join("copy").is_dir());
    local.call("POST", "/v1/backup", dir).await.expect(409);
}

#[tokio::test]
async fn who_sends_in_a_region_stops_it_and_lifts_what_they_stopped() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let sender = async |operator: &str, region: &str| {
        let rights = json!(["read", "broadcasts:write"]);
        let body = json!({"name": operator, "rights": rights, "scope": {"regions": [region]}});
        gateway.call("PUT", &format!("/v1/operators/{operator}"), body).await.expect(201);
        let made = gateway.call("POST", "/v1/tokens", json!({"name": "p", "operator": operator})).await;
        made.expect(201).json()["secret"].as_str().unwrap().to_owned()
    };
    let (east, west) = (sender("op-1", "east").await, sender("op-2", "west").await);
    let colleague = sender("op-3", "east").await;
    let stop = async |token: &str, scope: &str| {
        let body = json!({"scope": scope, "reason": "核对"});
        gateway.call_as(token, "POST", "/v1/outbound/stop", body).await
    };
    for scope in ["all", "tag:vip"] {
        assert_eq!(stop(&east, scope).await.expect(403).code(), "forbidden", "{scope}");
    }
    for scope in ["region:west", "shop:s-west", "account:demo", "brand:acme", "group:demo/g-west"] {
        assert_eq!(stop(&east, scope).await.expect(422).pointers(), ["/scope"], "{scope}");
    }
    stop(&east, "shop:s-east").await.expect(201);
    let hold = stop(&east, "region:east").await.expect(201);
    let path = hold.header("location").to_owned();
    gateway.call_as(&west, "DELETE", &path, Value::Null).await.expect(404);
    assert_eq!(
        gateway.call_as(&colleague, "DELETE", &path, Value::Null).await.expect(403).code(),
        "forbidden"
    );
    let lift = format!("{path}?reason=%E6%A0%B8%E5%AF%B9%E5%AE%8C");
    gateway.call_as(&east, "DELETE", &lift, Value::Null).await.expect(204);
    let id = hold.json()["id"].as_str().unwrap().to_owned();
    let log = gateway.get(&format!("/v1/audit?id={id}")).await.expect(200).json();
    let verbs: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| entry["verb"].clone()).collect();
    assert_eq!(verbs, [json!("lift"), json!("stop")], "the object's own entries and no others");
    assert_eq!(log["items"][0]["detail"]["reason"], "核对完");
}

#[tokio::test]
async fn a_tag_that_no_group_has_is_no_stop() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let got = gateway.call("POST", "/v1/outbound/stop", json!({"scope": "tag:vpi"})).await.expect(422);
    assert_eq!(got.pointers(), ["/scope"]);
    assert!(got.text.contains("0 groups"), "{}", got.text);
    gateway.call("POST", "/v1/outbound/stop", json!({"scope": "tag:vip"})).await.expect(201);
}
