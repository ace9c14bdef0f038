//! What the people who run it rely on: drain, stops that outlast restarts, backup and restore, refusal of bad settings.

use http::Method;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::gateway::Gateway;

fn event(id: &str, text: &str) -> Value {
    json!({"id": id, "account": "demo", "group": "g-1", "type": "message", "member": "u-1", "text": text})
}

async fn messages(client: &Client) -> Value {
    client.get("/v1/groups/demo/g-1/statistics?by=hour").await["totals"]["messages"].clone()
}

#[tokio::test]
async fn a_drained_gateway_withdraws_readiness_ends_with_zero_and_keeps_everything() {
    let mut gateway = Gateway::start(&[("MENSHEN_DRAIN__DELAY", "500ms")]);
    gateway.client.expect(200, Method::POST, "/v1/events", &event("e-1", "好")).await;
    let probes = Client::new(&gateway.metrics, "");
    assert_eq!(probes.send(Method::GET, "/readyz", &[], "").await.unwrap().status, 200);
    let watcher = tokio::spawn(async move {
        eventually("not ready while draining", || async {
            let answer = probes.send(Method::GET, "/readyz", &[], "").await;
            answer.is_ok_and(|answer| answer.status == 503).then_some(())
        })
        .await;
    });
    let ended = tokio::task::spawn_blocking(move || (gateway.terminate(), gateway)).await.unwrap();
    let (status, mut gateway) = ended;
    assert!(status.success(), "{status}");
    watcher.await.unwrap();
    gateway.restart();
    assert_eq!(messages(&gateway.client).await, 1);
}

#[tokio::test]
async fn a_stop_holds_at_once_and_over_restarts_until_it_is_lifted() {
    let mut gateway = Gateway::start(&[]);
    let reply = json!({"keywords": ["营业时间"], "text": "十点", "cooldown_s": 0});
    gateway.client.expect(201, Method::PUT, "/v1/replies/hours", &reply).await;
    let (stopped, told) = gateway.command(&["stop-outbound", "--kind", "reply", "--reason", "test"]);
    assert!(stopped.success(), "{told}");
    gateway.restart();
    gateway.client.expect(200, Method::POST, "/v1/events", &event("e-1", "营业时间")).await;
    let outbound = gateway.client.get("/v1/holds").await;
    let hold = outbound["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(gateway.client.get("/v1/sandbox/sends").await["items"], json!([]));
    gateway.client.expect(204, Method::DELETE, &format!("/v1/holds/{hold}"), &Value::Null).await;
    eventually("the held reply is sent", || async {
        let sends = gateway.client.get("/v1/sandbox/sends").await;
        (sends["items"].as_array().map(Vec::len) == Some(1)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_backup_of_a_running_gateway_is_restored_elsewhere() {
    let gateway = Gateway::start(&[]);
    gateway.client.expect(200, Method::POST, "/v1/events", &event("e-1", "好")).await;
    let copy = gateway.home().join("copy");
    let (done, told) = gateway.command(&["backup", copy.to_str().unwrap()]);
    assert!(done.success(), "{told}");
    gateway.client.expect(200, Method::POST, "/v1/events", &event("e-2", "好")).await;

    let mut other = Gateway::unstarted();
    let (done, told) = other.command(&["restore", copy.to_str().unwrap()]);
    assert!(done.success(), "{told}");
    other.restart();
    other.use_token(gateway.token());
    assert_eq!(messages(&other.client).await, 1);
    assert_eq!(messages(&gateway.client).await, 2);
    let again = other.client.expect(200, Method::POST, "/v1/events", &event("e-1", "好")).await;
    assert_eq!(again["status"], "duplicate", "what was counted before the backup stays known");
}

#[test]
fn a_wrong_setting_ends_the_start_with_two_and_names_it() {
    let gateway = Gateway::unstarted_with(&[
        ("MENSHEN_INGEST__BODY_BYTES_MAXX", "1"),
        ("MENSHEN_DRAIN__DELAY", "soon"),
    ]);
    let (status, _) = gateway.command(&["serve"]);
    assert_eq!(status.code(), Some(2));
}
