//! Judging, wordlists, replies.

use serde_json::{Value, json};

use super::Gateway;

#[tokio::test]
async fn a_text_is_judged_without_effect() {
    let gateway = Gateway::open().await;
    let got = gateway
        .call("POST", "/v1/moderate", json!({"text": "加微信 abc888 领优惠"}))
        .await
        .expect(200)
        .json();
    assert_eq!((got["verdict"].clone(), got["ruleset"].clone()), (json!("block"), json!("r-1")));
    assert_eq!(got["hits"][0]["matched"], "加微信");
    assert!(got.get("explanation").is_none());
    let got = gateway
        .call("POST", "/v1/moderate", json!({"text": "早上好", "explain": true}))
        .await
        .expect(200)
        .json();
    assert_eq!(got["verdict"], "pass");
    assert_eq!(got["explanation"]["folded"], "早上好");
    let got =
        gateway.call("POST", "/v1/moderate", json!({"text": "a", "policy": "nobody"})).await.expect(422);
    assert_eq!(got.pointers(), ["/policy"]);
    let long = "长".repeat(30_000);
    let got = gateway.call("POST", "/v1/moderate", json!({"text": long})).await.expect(422);
    assert_eq!(got.pointers(), ["/text"]);
    let rules = gateway.get("/v1/rulesets").await.expect(200).json();
    assert_eq!(rules["version"], "r-1");
    assert!(rules["wordlists"].as_array().unwrap().len() >= 4);
}

#[tokio::test]
async fn rules_are_written_read_and_removed() {
    let gateway = Gateway::open().await;
    let table = [
        ("/v1/wordlists/own", json!({"terms": [{"text": "店庆"}]})),
        ("/v1/policies/mild", json!({"wordlists": ["own"]})),
        ("/v1/replies/hours", json!({"keywords": ["营业时间"], "text": "十点到十点"})),
        ("/v1/welcomes/all", json!({"text": "欢迎 {member.name}"})),
    ];
    for (path, body) in table {
        let made = gateway.call("PUT", path, body.clone()).await.expect(201);
        assert_eq!(made.header("etag"), "\"1\"", "{path}");
        gateway.call("PUT", path, body).await.expect(200);
        let read = gateway.get(path).await.expect(200);
        assert_eq!(read.header("etag"), "\"2\"");
        let list = path.rsplit_once('/').unwrap().0;
        assert_eq!(gateway.get(list).await.expect(200).json()["items"].as_array().unwrap().len(), 1);
        gateway.call("DELETE", path, Value::Null).await.expect(204);
        gateway.get(path).await.expect(404);
        gateway.call("DELETE", path, Value::Null).await.expect(404);
    }
}

#[tokio::test]
async fn a_rule_that_cannot_be_used_is_not_kept() {
    let gateway = Gateway::open().await;
    let got = gateway.call("PUT", "/v1/welcomes/all", json!({"text": "{nobody}"})).await.expect(422);
    assert_eq!(got.pointers(), ["/text"]);
    gateway.call("PUT", "/v1/policies/mild", json!({"name": "other"})).await.expect(422);
    let lost = json!({"staff": {"policy": "own"}});
    let got = gateway.call("PUT", "/v1/policies/shops", lost.clone()).await.expect(422);
    assert!(got.text.contains("does not exist"), "{}", got.text);
    gateway.get("/v1/policies/shops").await.expect(404);
    gateway.call("PUT", "/v1/policies/own", json!({"wordlists": ["fraud"]})).await.expect(201);
    gateway.call("PUT", "/v1/policies/shops", lost).await.expect(201);
    let other = json!({"staff": {"policy": "nobody"}});
    gateway.call("PUT", "/v1/policies/shops", other).await.expect(422);
    assert_eq!(gateway.get("/v1/policies/shops").await.expect(200).json()["staff"]["policy"], "own");
    let got = gateway.call("DELETE", "/v1/policies/own", Value::Null).await.expect(409);
    assert!(got.text.contains("cannot do without it"), "{}", got.text);
    assert_eq!(gateway.get("/v1/policies/own").await.expect(200).json()["wordlists"], json!(["fraud"]));
    assert_eq!(
        gateway.get("/v1/rulesets").await.expect(200).json()["version"],
        "r-3",
        "refused ones make none"
    );
}
