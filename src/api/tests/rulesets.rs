//! Versions of the rules: who, why, what, and back.

use http::Request;
use serde_json::{Value, json};

use super::{Gateway, Got};

/// Goes back, if this version is in force.
async fn roll_back(gateway: &Gateway, to: &str, if_match: &str) -> Got {
    let request = Request::post(format!("/v1/rulesets/{to}/rollback"))
        .header("authorization", format!("Bearer {}", gateway.admin))
        .header("content-type", "application/json")
        .header("if-match", if_match);
    gateway.request(request.body(json!({"reason": "误伤"}).to_string().into()).unwrap()).await
}

fn list(terms: &[&str]) -> Value {
    json!({"terms": terms.iter().map(|term| json!({"text": term})).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_change_makes_a_version_that_says_who_why_and_what() {
    let gateway = Gateway::open().await;
    gateway
        .call("PUT", "/v1/wordlists/own?reason=%E5%BA%97%E5%BA%86", list(&["加群", "返现"]))
        .await
        .expect(201);
    gateway.call("PUT", "/v1/wordlists/own", list(&["返现", "云雀暗号"])).await.expect(200);
    let versions = gateway.get("/v1/rulesets/versions").await.expect(200).json();
    let named: Vec<_> =
        versions["items"].as_array().unwrap().iter().map(|item| item["version"].clone()).collect();
    assert_eq!(named, ["r-3", "r-2", "r-1"]);
    let made = gateway.get("/v1/rulesets/r-2").await.expect(200).json();
    assert_eq!(
        (&made["reason"], &made["parent"], &made["in_force"]),
        (&json!("店庆"), &json!("r-1"), &json!(false))
    );
    assert_eq!(made["author"]["kind"], "operator");
    assert!(made["author"]["token"].is_string());
    let change = &made["changes"][0];
    assert_eq!(
        (&change["kind"], &change["id"], &change["how"]),
        (&json!("wordlist"), &json!("own"), &json!("created"))
    );
    let now = gateway.get("/v1/rulesets/r-3").await.expect(200).json();
    let terms = &now["changes"][0]["terms"];
    assert_eq!(terms["added_first"], json!(["云雀暗号"]));
    assert_eq!(terms["removed_first"], json!(["加群"]));
    let in_force = gateway.get("/v1/rulesets").await.expect(200);
    assert_eq!(in_force.header("etag"), "\"3\"");
    assert_eq!(in_force.json()["last_error"], Value::Null);
    gateway.get("/v1/rulesets/r-9").await.expect(404);
    gateway.get("/v1/rulesets/latest").await.expect(404);
    let audit = gateway.get("/v1/audit?limit=2").await.expect(200).text;
    assert!(audit.contains("店庆"), "{audit}");
}

#[tokio::test]
async fn versions_tell_terms_of_masked_lists_by_their_first_characters() {
    let gateway = Gateway::open().await;
    gateway.call("PUT", "/v1/wordlists/own", list(&["云雀暗号"])).await.expect(201);
    let mut masked = list(&["云雀暗号", "青鸟暗号"]);
    masked["masked"] = json!(true);
    masked["allow"] = json!([{"text": "青鸟暗号簿"}]);
    gateway.call("PUT", "/v1/wordlists/own", masked).await.expect(200);
    let first = gateway.get("/v1/rulesets/r-2").await.expect(200).json();
    assert_eq!(first["changes"][0]["terms"]["added_first"], json!(["云＊＊＊"]), "it is masked since");
    let second = gateway.get("/v1/rulesets/r-3").await.expect(200).json();
    assert_eq!(second["changes"][0]["terms"]["added_first"], json!(["青＊＊＊"]));
    assert_eq!(second["changes"][0]["allow"]["added_first"], json!(["青＊＊＊＊"]));
    gateway.call("DELETE", "/v1/wordlists/own", Value::Null).await.expect(204);
    let versions = gateway.get("/v1/rulesets/versions").await.expect(200);
    assert!(!versions.text.contains("青鸟暗号"), "{}", versions.text);
    assert_eq!(
        versions.json()["items"][0]["changes"][0]["terms"]["removed_first"],
        json!(["云＊＊＊", "青＊＊＊"])
    );
}

#[tokio::test]
async fn what_is_written_again_as_it_was_makes_no_version() {
    let gateway = Gateway::open().await;
    gateway.call("PUT", "/v1/wordlists/own", list(&["加群"])).await.expect(201);
    let again = gateway.call("PUT", "/v1/wordlists/own", list(&["加群"])).await.expect(200);
    assert_eq!(again.header("etag"), "\"2\"", "the document was written");
    assert_eq!(gateway.get("/v1/rulesets").await.expect(200).json()["version"], "r-2");
    gateway.call("POST", "/v1/admin/reload", Value::Null).await.expect(200);
    assert_eq!(gateway.get("/v1/rulesets").await.expect(200).json()["version"], "r-2");
}

#[tokio::test]
async fn going_back_is_one_call_and_a_version_of_its_own() {
    let gateway = Gateway::open().await;
    let judged = async || {
        let judged =
            gateway.call("POST", "/v1/moderate", json!({"text": "云雀暗号"})).await.expect(200).json();
        (judged["verdict"].clone(), judged["ruleset"].clone())
    };
    gateway.call("PUT", "/v1/wordlists/own", list(&["加群"])).await.expect(201);
    gateway.call("PUT", "/v1/wordlists/own", list(&["云雀暗号"])).await.expect(200);
    gateway
        .call("PUT", "/v1/replies/hours", json!({"keywords": ["营业时间"], "text": "十点到十点"}))
        .await
        .expect(201);
    assert_eq!(judged().await, (json!("block"), json!("r-4")));
    assert_eq!(roll_back(&gateway, "r-2", "\"3\"").await.expect(412).code(), "precondition_failed");
    let back = roll_back(&gateway, "r-2", "\"4\"").await.expect(200);
    assert_eq!(back.header("etag"), "\"5\"");
    let back = back.json();
    assert_eq!(
        (&back["version"], &back["restores"], &back["reason"]),
        (&json!("r-5"), &json!("r-2"), &json!("误伤"))
    );
    assert_eq!(judged().await, (json!("pass"), json!("r-5")));
    assert_eq!(gateway.get("/v1/wordlists/own").await.expect(200).json()["terms"][0]["text"], "加群");
    gateway.get("/v1/replies/hours").await.expect(404);
    let audit = gateway.get("/v1/audit?limit=1").await.expect(200).json();
    assert_eq!((&audit["items"][0]["verb"], &audit["items"][0]["id"]), (&json!("roll_back"), &json!("r-2")));
    // Nothing is different any more; and the way forward is a way back, too.
    let again = roll_back(&gateway, "r-2", "*").await.expect(200).json();
    assert_eq!(again["version"], "r-5");
    assert_eq!(roll_back(&gateway, "r-4", "*").await.expect(200).json()["version"], "r-6");
    assert_eq!(judged().await, (json!("block"), json!("r-6")));
    assert_eq!(gateway.get("/v1/replies/hours").await.expect(200).json()["text"], "十点到十点");
    roll_back(&gateway, "r-7", "*").await.expect(404);
}

#[tokio::test]
async fn versions_come_in_pages() {
    let gateway = Gateway::open().await;
    for term in ["一二三", "四五六", "七八九", "甲乙丙"] {
        gateway.call("PUT", "/v1/wordlists/own", list(&[term])).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/rulesets/versions?limit=2".to_owned());
    loop {
        let page = gateway.get(&path).await.expect(200).json();
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["version"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/rulesets/versions?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["r-5", "r-4", "r-3", "r-2", "r-1"]);
}

#[tokio::test]
async fn a_reason_is_words_on_one_line() {
    let gateway = Gateway::open().await;
    for reason in ["%0A".to_owned(), "x".repeat(501)] {
        let path = format!("/v1/wordlists/own?reason={reason}");
        assert_eq!(gateway.call("PUT", &path, list(&["加群"])).await.expect(422).pointers(), ["/reason"]);
    }
    gateway.call("PUT", "/v1/wordlists/own?raeson=x", list(&["加群"])).await.expect(400);
    gateway.get("/v1/wordlists/own").await.expect(404);
}

#[tokio::test]
async fn a_wordlist_is_tried_in_shadow_and_in_stages_before_it_is_live() {
    let gateway = Gateway::open().await;
    let mut draft = list(&["云雀暗号"]);
    draft["life"] = json!("draft");
    gateway.call("PUT", "/v1/wordlists/own", draft).await.expect(201);
    let path = "/v1/wordlists/own/life";
    let to = async |life: Value| gateway.call("POST", path, json!({"life": life, "reason": "试"})).await;
    let got = to(json!("live")).await.expect(409);
    assert!(got.text.contains("shadow"), "{}", got.text);
    let shadow = to(json!("shadow")).await.expect(200).json();
    assert_eq!((&shadow["state"], &shadow["reason"]), (&json!("shadow"), &json!("试")));
    assert_eq!(shadow["author"]["kind"], "operator");
    assert_eq!(shadow["counts"]["messages_apart"], 0);
    assert_eq!(to(json!({"staged": {"hits_per_10k_max": 5}})).await.expect(422).pointers(), ["/life"]);
    to(json!({"staged": {"share": 5}})).await.expect(400);
    let staged = to(json!({"staged": {"share_percent": 5, "hits_per_10k_max": 9}})).await.expect(200).json();
    assert_eq!((&staged["state"], &staged["expected"]["max"]), (&json!("staged"), &json!(9)));
    assert_eq!(to(json!("live")).await.expect(200).json()["state"], "live");
    let live = gateway.get("/v1/wordlists/own").await.expect(200).json();
    assert_eq!(live["life"], "live");
    // One that comes with the binary, without touching it.
    let moved =
        gateway.call("POST", "/v1/wordlists/fraud/life", json!({"life": "shadow"})).await.expect(200).json();
    assert_eq!((&moved["origin"], &moved["state"]), (&json!("shipped"), &json!("shadow")));
    gateway.get("/v1/wordlists/nobody/life").await.expect(404);
    let mut over = list(&["云雀暗号"]);
    over["valid_until"] = json!("2026-11-01");
    gateway.call("PUT", "/v1/wordlists/own", over).await.expect(200);
    assert_eq!(gateway.get(path).await.expect(200).json()["state"], "expired");
}
