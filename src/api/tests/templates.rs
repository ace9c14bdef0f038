//! Welcome templates and what owners have to do, over the router.

use serde_json::{Value, json};

use super::Gateway;

async fn plan(gateway: &Gateway, id: &str, plan: Value) {
    let body = json!({"account": "demo", "text": "欢迎 %NICKNAME%", "plan": plan});
    gateway.call("PUT", &format!("/v1/welcome-templates/{id}"), body).await.expect(201);
}

/// Two regions whose groups have owners.
async fn furnish(gateway: &Gateway) {
    gateway.furnish().await;
    for (side, owner) in [("east", "li"), ("west", "wang")] {
        let group = json!({"name": format!("{side}群"), "shop": format!("s-{side}"), "owner": owner});
        gateway.call("PUT", &format!("/v1/groups/demo/g-{side}"), group).await.expect(200);
    }
}

#[tokio::test]
async fn the_hundred_and_first_template_is_refused_with_what_to_do() {
    let gateway = Gateway::open().await;
    for n in 0..100 {
        plan(&gateway, &format!("t-{n}"), json!({})).await;
    }
    let body = json!({"account": "demo", "text": "欢迎"});
    let refused = gateway.call("PUT", "/v1/welcome-templates/one-more", body.clone()).await.expect(409);
    assert_eq!(refused.code(), "limit_reached");
    assert!(refused.text.contains("最多 100 个") && refused.text.contains("remove one"), "{}", refused.text);
    gateway.call("PUT", "/v1/welcome-templates/t-7", body.clone()).await.expect(200);
    gateway.call("DELETE", "/v1/welcome-templates/t-8", Value::Null).await.expect(204);
    gateway.call("PUT", "/v1/welcome-templates/one-more", body).await.expect(201);
}

#[tokio::test]
async fn a_template_that_cannot_be_is_refused_by_field() {
    let gateway = Gateway::open().await;
    for (id, body, code, pointer) in [
        ("a*b", json!({"account": "demo", "text": "x"}), "invalid_fields", "/id"),
        ("a", json!({"account": "nobody", "text": "x"}), "invalid_fields", "/account"),
        ("a", json!({"account": "demo", "text": ""}), "invalid_fields", "/text"),
        (
            "a",
            json!({"account": "demo", "text": "x", "plan": {"shops": ["s-none"]}}),
            "invalid_fields",
            "/plan/shops",
        ),
        ("a", json!({"account": "demo", "text": "加微信 abc888 领优惠"}), "text_blocked", ""),
    ] {
        let got = gateway.call("PUT", &format!("/v1/welcome-templates/{id}"), body).await.expect(422);
        assert_eq!(got.code(), code);
        assert_eq!(got.pointers().first().map_or("", String::as_str), pointer, "{}", got.text);
    }
}

#[tokio::test]
async fn an_owner_has_something_to_do_until_somebody_says_it_is_done() {
    let gateway = Gateway::open().await;
    furnish(&gateway).await;
    plan(&gateway, "everyone", json!({})).await;
    plan(&gateway, "east", json!({"regions": ["east"]})).await;
    let todo = async |query: &str| {
        let list = gateway.get(&format!("/v1/welcome-templates/todo{query}")).await.expect(200).json();
        let rows = list["items"].as_array().unwrap().clone();
        let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
        rows.iter()
            .map(|row| (text(row, "group"), text(row, "template"), text(row, "standing")))
            .collect::<Vec<_>>()
    };
    let row = |group: &str, template: &str, standing: &str| {
        (group.to_owned(), template.to_owned(), standing.to_owned())
    };
    assert_eq!(todo("").await, [row("g-east", "east", "to_do"), row("g-west", "everyone", "to_do")]);
    assert_eq!(todo("?owner=wang").await, [row("g-west", "everyone", "to_do")]);

    let mark = "/v1/welcome-templates/todo/demo/g-east";
    let done = gateway.call("POST", mark, json!({"standing": "done"})).await.expect(200).json();
    assert!(done["zh"].as_str().unwrap().contains("平台不告诉我们"), "{done}");
    assert_eq!(todo("?standing=done").await, [row("g-east", "east", "done")]);
    let promises = gateway.get("/v1/groups/demo/g-east/promises").await.expect(200);
    assert!(
        promises.json()["items"].as_array().unwrap().iter().any(|item| item["promise"] == "group_welcome")
    );
    assert_eq!(gateway.get("/v1/audit?object=adoption").await.json()["items"][0]["verb"], "mark_done");

    // Another template is meant for it now: what was said about the old one says nothing about this one.
    plan(&gateway, "shop", json!({"shops": ["s-east"]})).await;
    assert_eq!(todo("?owner=li").await, [row("g-east", "shop", "to_do")]);
    gateway.call("POST", mark, json!({"standing": "done"})).await.expect(200);
    gateway.call("POST", mark, json!({"standing": "to_do"})).await.expect(200);
    assert_eq!(todo("?standing=done").await, []);
    for id in ["shop", "east", "everyone"] {
        gateway.call("DELETE", &format!("/v1/welcome-templates/{id}"), Value::Null).await.expect(204);
    }
    assert_eq!(gateway.call("POST", mark, json!({"standing": "done"})).await.expect(409).code(), "conflict");
}

#[tokio::test]
async fn an_owner_is_reminded_of_the_groups_that_the_caller_sees() {
    let gateway = Gateway::open().await;
    furnish(&gateway).await;
    plan(&gateway, "everyone", json!({})).await;
    let eastern = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    let remind = async |token: &str, owner: &str| {
        let body = json!({"account": "demo", "owner": owner});
        gateway.post_once(token, "/v1/welcome-templates/todo/remind", owner, body).await
    };
    assert_eq!(remind(&eastern, "wang").await.expect(409).code(), "conflict");
    let notice = remind(&eastern, "li").await.expect(202).json();
    assert_eq!(notice["deliveries"][0]["staff"], "li");
    let sent = async {
        loop {
            let sends = gateway.get("/v1/sandbox/sends").await.json();
            if let Some(send) = sends["items"].as_array().unwrap().first() {
                return send.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let sent = tokio::time::timeout(std::time::Duration::from_secs(30), sent).await.unwrap();
    let text = sent["text"].as_str().unwrap();
    assert!(text.contains("1 个群") && text.contains("east群") && text.contains("everyone"), "{text}");
}
