//! Saved audiences, lists of groups, and audiences by what was counted.

use serde_json::{Value, json};

use super::{Gateway, NOW_MS};

const DAY_MS: i64 = 24 * 3_600_000;

impl Gateway {
    async fn count(&self, audience: Value) -> Value {
        self.call("POST", "/v1/broadcasts/preview", json!({"audience": audience})).await.expect(200).json()
    }
}

#[tokio::test]
async fn a_saved_audience_is_a_document_like_others() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let body = json!({"title": "东区", "audience": {"regions": ["east"]}});
    let made = gateway.call("PUT", "/v1/audiences/east", body.clone()).await.expect(201);
    assert_eq!(made.header("etag"), "\"1\"");
    let again = gateway.call("PUT", "/v1/audiences/east", body).await.expect(200);
    assert_eq!(again.header("etag"), "\"2\"");
    let got = gateway.get("/v1/audiences/east").await.expect(200).json();
    assert_eq!((&got["title"], &got["place"]["region"]), (&json!("东区"), &json!("east")));
    let listed = gateway.get("/v1/audiences").await.expect(200).json();
    assert_eq!(listed["items"][0]["summary"], "1 regions");
    assert_eq!(gateway.count(json!({"saved": "east"})).await["groups"], 1);

    let back = json!({"audience": {"not": {"saved": "east"}}});
    let refused = gateway.call("PUT", "/v1/audiences/east", back.clone()).await.expect(422).json();
    assert_eq!(
        (&refused["errors"][0]["pointer"], &refused["errors"][0]["code"]),
        (&json!("/audience"), &json!("cycle"))
    );
    gateway.call("PUT", "/v1/audiences/rest", back).await.expect(201);
    gateway.call("DELETE", "/v1/audiences/east", Value::Null).await.expect(409);
    gateway.call("DELETE", "/v1/audiences/rest", Value::Null).await.expect(204);
    gateway.call("DELETE", "/v1/audiences/east", Value::Null).await.expect(204);
    gateway.get("/v1/audiences/east").await.expect(404);
    let bad = json!({"audience": {"size": {"min": 9, "max": 1}}});
    let refused = gateway.call("PUT", "/v1/audiences/x", bad).await.expect(422).json();
    assert_eq!(refused["errors"][0]["code"], "range");
}

#[tokio::test]
async fn a_sheet_becomes_an_audience_line_by_line() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let sheet = "\u{feff}account,group,店名\ndemo,g-east,东店\ndemo,g-none,无\n,g,坏\ndemo,g-west,西店\n";
    let answers = gateway.csv("PUT", "/v1/audiences/sheet/groups", sheet).await.expect(200);
    let lines: Vec<Value> = answers.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines.iter().map(|line| line["status"].as_str().unwrap()).collect();
    assert_eq!(told, ["created", "error", "error", "created"]);
    assert_eq!((&lines[1]["line"], &lines[1]["error"]["code"]), (&json!(3), &json!("not_found")));
    assert_eq!(lines[2]["error"]["errors"][0]["pointer"], "/account");
    assert_eq!(gateway.count(json!({"saved": "sheet"})).await["groups"], 2);

    let more = json!("{\"account\":\"demo\",\"group\":\"g-west\"}\n");
    let answers = gateway.call("PUT", "/v1/audiences/sheet/groups?mode=add", more.clone()).await.expect(200);
    assert!(answers.text.contains("\"updated\""), "{}", answers.text);
    assert_eq!(gateway.count(json!({"saved": "sheet"})).await["groups"], 2);
    gateway.call("PUT", "/v1/audiences/sheet/groups", more).await.expect(200);
    assert_eq!(gateway.count(json!({"saved": "sheet"})).await["groups"], 1);
    // A list of which nothing can be taken leaves what is there.
    gateway.csv("PUT", "/v1/audiences/sheet/groups", "account,group\ndemo,gone\n").await.expect(200);
    assert_eq!(gateway.count(json!({"saved": "sheet"})).await["groups"], 1);
    let refused =
        gateway.csv("PUT", "/v1/audiences/sheet/groups", "账号,群\ndemo,g-east\n").await.expect(400);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/account");
}

#[tokio::test]
async fn who_spoke_lately_is_counted_and_who_cannot_be_counted_is_in_neither() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    gateway.call("PUT", "/v1/groups/demo/g-mute", json!({})).await.expect(201);
    gateway.message("g-west", "m-1", NOW_MS - 10 * DAY_MS).await;
    gateway.message("g-east", "m-2", NOW_MS - DAY_MS).await;
    let active = gateway.count(json!({"active_days": 7})).await;
    // `g-mute` never had an event.
    assert_eq!(
        (&active["groups"], &active["reached"]["left_out"]["no_figure"]),
        (&json!(1), &json!(1)),
        "{active}"
    );
    assert_eq!(active["reached"]["regions"], json!({"east": 1}));
    let silent = gateway.count(json!({"silent_days": 7})).await;
    assert_eq!(silent["reached"]["regions"], json!({"west": 1}), "{silent}");
    let not = gateway.count(json!({"not": {"active_days": 7}})).await;
    assert_eq!(not["reached"]["regions"], json!({"west": 1}), "{not}");
    // Within thirty days both had a customer's message; of `g-mute` nobody knows.
    let long = gateway.count(json!({"silent_days": 30})).await;
    assert_eq!(
        (&long["groups"], &long["reached"]["left_out"]["no_figure"]),
        (&json!(0), &json!(1)),
        "{long}"
    );
    assert_eq!(gateway.count(json!({"size": {"min": 1}})).await["groups"], 2);
    assert_eq!(gateway.count(json!({"size": {"max": 0}})).await["groups"], 0);
    assert_eq!(gateway.count(json!({"platforms": ["sandbox"]})).await["groups"], 3);
}
