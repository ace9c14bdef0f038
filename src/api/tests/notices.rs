//! Notices over the router: who may tell whom what, and what becomes of it.

use serde_json::{Value, json};

use super::Gateway;

fn text(to: &Value, text: &str) -> Value {
    json!({"account": "demo", "to": to, "content": {"type": "text", "text": text}})
}

/// Asks until every delivery has its result.
async fn settled(gateway: &Gateway, id: &str) -> Value {
    let asked = async {
        loop {
            let notice = gateway.get(&format!("/v1/notices/{id}")).await.expect(200).json();
            if notice["waiting"] == 0 {
                return notice;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), asked).await.unwrap()
}

#[tokio::test]
async fn a_notice_to_staff_is_sent_to_each_of_them_once() {
    let gateway = Gateway::open().await;
    let body = text(&json!({"staff": ["li", "wang"]}), "今天有 12 人退群");
    let got = gateway.post_once(&gateway.admin, "/v1/notices", "k-1", body.clone()).await.expect(202);
    let made = got.json();
    let id = made["id"].as_str().unwrap();
    assert_eq!(got.header("location"), format!("/v1/notices/{id}"));
    let again = gateway.post_once(&gateway.admin, "/v1/notices", "k-1", body).await.expect(202);
    assert_eq!((again.header("idempotency-replayed"), &again.json()["id"]), ("true", &made["id"]));

    let notice = settled(&gateway, id).await;
    let states: Vec<_> =
        notice["deliveries"].as_array().unwrap().iter().map(|d| (&d["staff"], &d["state"])).collect();
    assert_eq!(states, [(&json!("li"), &json!("sent")), (&json!("wang"), &json!("sent"))]);
    let sends = gateway.get("/v1/sandbox/sends").await.expect(200).json();
    let sends: Vec<_> =
        sends["items"].as_array().unwrap().iter().map(|s| (&s["member"], &s["kind"])).collect();
    assert_eq!(sends.len(), 2, "each once: {sends:?}");
    assert!(sends.iter().all(|(_, kind)| **kind == json!("notice")));
    let audit = gateway.get("/v1/audit?object=notice").await.expect(200);
    assert_eq!(audit.json()["items"][0]["id"], made["id"]);
    assert!(!audit.text.contains("12 人"), "the log holds no text");
}

#[tokio::test]
async fn what_may_not_be_said_or_shown_is_refused_before_anything_is_stored() {
    let gateway = Gateway::open().await;
    let post = async |body: Value| {
        let key = body.to_string().len().to_string();
        gateway.post_once(&gateway.admin, "/v1/notices", &key, body).await
    };
    gateway.call("PUT", "/v1/groups/demo/g-1", json!({})).await.expect(201);
    let blocked = post(text(&json!({"group": "g-1"}), "加微信 abc888 领优惠")).await.expect(422);
    assert_eq!(blocked.code(), "text_blocked");
    assert!(!blocked.json()["hits"].as_array().unwrap().is_empty());
    let hidden = json!({"account": "demo", "to": {"group": "g-1"},
        "content": {"type": "news", "articles": [{"title": "加微信领优惠", "url": "https://example.com"}]}});
    assert_eq!(post(hidden).await.expect(422).code(), "text_blocked", "words of links are judged, too");

    let nobody =
        json!({"account": "nobody", "to": {"group": "g-1"}, "content": {"type": "text", "text": "x"}});
    assert_eq!(post(nobody).await.expect(422).pointers(), ["/account"]);
    let empty = text(&json!({"staff": []}), "x");
    assert_eq!(post(empty).await.expect(422).pointers(), ["/to/staff"]);
    let keyless = gateway.call("POST", "/v1/notices", text(&json!({"group": "g-1"}), "x")).await.expect(400);
    assert_eq!(keyless.code(), "idempotency_key_required");

    // A receiver that takes text only.
    let hook = json!({"platform": "webhook", "settings": {"url": "https://example.com/"},
        "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]});
    gateway.call("PUT", "/v1/accounts/hook", hook).await.expect(201);
    assert!(gateway.get("/v1/sandbox/sends").await.json()["items"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_region_tells_its_own_groups_and_shop_managers_only() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let shop = json!({"name": "东店", "region": "east", "manager": "li", "deputy": "zhao"});
    gateway.call("PUT", "/v1/shops/s-east", shop).await.expect(200);
    let eastern = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    for (to, key, status) in [
        (json!({"group": "g-east"}), "1", 202),
        (json!({"staff": ["li", "zhao"]}), "2", 202),
        (json!({"group": "g-west"}), "3", 422),
        (json!({"group": "g-never"}), "4", 422),
        (json!({"staff": ["li", "stranger"]}), "5", 422),
    ] {
        let got = gateway.post_once(&eastern, "/v1/notices", key, text(&to, "请查收")).await.expect(status);
        if status == 202 {
            let path = format!("/v1/notices/{}", got.json()["id"].as_str().unwrap());
            gateway.call_as(&eastern, "GET", &path, Value::Null).await.expect(200);
            gateway.call_as(&western, "GET", &path, Value::Null).await.expect(404);
        }
    }
}
