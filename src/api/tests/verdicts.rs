//! Verdicts that others bring.

use serde_json::{Value, json};

use super::Gateway;

#[expect(clippy::needless_pass_by_value, reason = "it is written where it is sent")]
fn verdict(more: Value) -> Value {
    let mut body = json!({
        "account": "demo", "group": "g-east", "of": "e-1", "member": "u-1", "verdict": "block",
        "labels": ["qr_code"], "source": "ocr",
    });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_verdict_is_taken_once_and_shows_where_hits_are() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let got = gateway.call("POST", "/v1/verdicts", verdict(json!({}))).await.expect(200).json();
    assert_eq!((&got["status"], &got["verdict"]), (&json!("counted"), &json!("block")), "{got}");
    assert_eq!(got["actions"], json!([{"kind": "recall", "state": "queued"}]));
    let again =
        gateway.call("POST", "/v1/verdicts", verdict(json!({"verdict": "review"}))).await.expect(200).json();
    assert_eq!(again["status"], "duplicate", "one source has one verdict on a message");
    let hits = gateway.get("/v1/groups/demo/g-east/hits").await.expect(200).json();
    let items = hits["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{hits}");
    let shown = (&items[0]["wordlist"], &items[0]["category"], &items[0]["member"]);
    assert_eq!(shown, (&json!("verdict"), &json!("qr_code"), &json!("u-1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_cannot_be_meant_is_refused_by_field() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let check = async |more: Value, pointer: &str| {
        let got = gateway.call("POST", "/v1/verdicts", verdict(more)).await.expect(422);
        assert_eq!(got.pointers(), [pointer], "{}", got.text);
    };
    check(json!({"source": "hook"}), "/source").await;
    check(json!({"source": "two words"}), "/source").await;
    check(json!({"labels": ["ok", "two words"]}), "/labels/1").await;
    check(json!({"labels": vec!["a"; 17]}), "/labels").await;
    check(json!({"confidence": 101}), "/confidence").await;
    check(json!({"of": ""}), "/of").await;
    gateway.call("POST", "/v1/verdicts", verdict(json!({"verdict": "mask"}))).await.expect(400);
    gateway.call("POST", "/v1/verdicts", verdict(json!({"account": "nobody"}))).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_a_right_and_a_scope_of_its_own() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    gateway.call_as(&western, "POST", "/v1/verdicts", verdict(json!({}))).await.expect(404);
    let operator = json!({"name": "bringer", "rights": ["events:write", "read"], "scope": {"all": true}});
    gateway.call("PUT", "/v1/operators/bringer", operator).await.expect(201);
    let made = json!({"name": "bringer", "operator": "bringer"});
    let made = gateway.call("POST", "/v1/tokens", made).await.expect(201).json();
    let bringer = made["secret"].as_str().unwrap();
    gateway.call_as(bringer, "POST", "/v1/verdicts", verdict(json!({}))).await.expect(403);
}
