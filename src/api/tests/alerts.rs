//! Alerts over the API: who sees them, who takes them, when they are raised.

use serde_json::{Value, json};

use super::{Gateway, NOW_MS};
use crate::alerts::episode::{Condition, Explanation, Input, Key, Kind, Observed, Place};
use crate::alerts::terms::Spot;
use crate::storage::Change;

fn look(group: &str, words: &str, value: u64, condition: Condition, at_ms: i64) -> Input {
    let side = group.trim_start_matches("g-").to_owned();
    Input::Observed(Observed {
        key: Key { kind: Kind::LeaveSurge, subject: format!("demo/{group}").into() },
        condition,
        value,
        explanation: Explanation { zh: words.to_owned(), en: words.to_owned() },
        place: Place {
            account: Some("demo".to_owned()),
            group: Some(group.to_owned()),
            brand: Some("acme".to_owned()),
            region: Some(side.clone()),
            shop: Some(format!("s-{side}")),
        },
        own: None,
        at_ms,
    })
}

/// Raises an alert as a watcher would; returns its id.
pub(super) async fn raise(gateway: &Gateway, group: &str, words: &str, value: u64) -> String {
    let desk = &gateway.app.parts().alerts;
    let input = look(group, words, value, Condition::Raised, gateway.clock.now_ms());
    desk.turn(vec![input], Change::default()).await.unwrap();
    let open = desk.open_ones(|alert| alert.place.group.as_deref() == Some(group)).await;
    format!("al_{}", open.last().unwrap().number)
}

async fn pass(gateway: &Gateway, minutes: u64, inputs: Vec<Input>) {
    gateway.clock.advance(std::time::Duration::from_mins(minutes));
    gateway.app.parts().alerts.turn(inputs, Change::default()).await.unwrap();
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_alert_is_seen_taken_given_and_remembered() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let shop = json!({"name": "店", "region": "east", "manager": "wang", "deputy": "li"});
    gateway.call("PUT", "/v1/shops/s-east", shop).await.expect(200);
    let region = json!({"name": "东区", "brand": "acme", "manager": "zhao"});
    gateway.call("PUT", "/v1/regions/east", region).await.expect(200);
    let alert = raise(&gateway, "g-east", "18 leaves", 18).await;
    raise(&gateway, "g-west", "9 leaves", 9).await;
    let told = gateway.storage.status_changes(0, 1).await.unwrap();
    let context: Value = serde_json::from_str(&told[0].context).unwrap();
    assert_eq!(context["responsible"]["shop_manager"], "wang");

    let list = gateway.get("/v1/alerts").await.expect(200).json();
    assert_eq!(ids(&list), ["al_2", "al_1"]);
    assert_eq!(list["text_coverage"], "full");
    for (query, expect) in [
        ("region=east", &["al_1"][..]),
        ("shop=s-west", &["al_2"]),
        ("account=demo&limit=1", &["al_2"]),
        ("kind=hit_spike", &[]),
        ("state=acknowledged", &[]),
        ("state=ended", &[]),
    ] {
        let list = gateway.get(&format!("/v1/alerts?{query}")).await.expect(200).json();
        assert_eq!(ids(&list), expect, "{query}");
    }
    let first = gateway.get("/v1/alerts?limit=1").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = gateway.get(&format!("/v1/alerts?limit=1&cursor={cursor}")).await.json();
    assert_eq!((ids(&second), &second["next_cursor"]), (vec!["al_1"], &Value::Null));

    let path = format!("/v1/alerts/{alert}");
    let seen = gateway.get(&path).await.expect(200).json();
    assert_eq!(
        (&seen["state"], &seen["value"], &seen["why"]["en"]),
        (&json!("open"), &json!(18), &json!("18 leaves"))
    );
    assert_eq!(seen["responsible"], json!({"shop_manager": "wang", "deputy": "li", "region": "zhao"}));
    let taken = json!({"note": "我去看看"});
    let got = gateway.post_once(&gateway.admin, &format!("{path}/acknowledge"), "k", taken).await.expect(200);
    assert_eq!(got.json()["acknowledged"]["by"], "admin");
    let wrong = gateway.post_once(&gateway.admin, &format!("{path}/assign"), "w", json!({"to": ""})).await;
    assert_eq!(wrong.expect(422).pointers(), ["/to"]);
    let given = gateway.post_once(&gateway.admin, &format!("{path}/assign"), "g", json!({"to": "li"})).await;
    assert_eq!(given.expect(200).json()["assigned"]["to"], "li");
    let log = gateway.get("/v1/audit?object=alert").await.expect(200).json();
    let verbs: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| &entry["verb"]).collect();
    assert_eq!(verbs, ["assign", "acknowledge"]);

    pass(&gateway, 1, vec![look("g-east", "", 0, Condition::Cleared, NOW_MS + 60_000)]).await;
    assert_eq!(gateway.get(&path).await.json()["state"], "clearing");
    pass(&gateway, 10, vec![Input::Tick]).await;
    let ended = gateway.get(&path).await.expect(200).json();
    assert_eq!((&ended["state"], &ended["assigned"]["to"]), (&json!("ended"), &json!("li")));
    assert_eq!(ids(&gateway.get("/v1/alerts?state=ended").await.json()), ["al_1"]);
    assert_eq!(ids(&gateway.get("/v1/alerts").await.json()), ["al_2"]);
    let late = gateway.post_once(&gateway.admin, &format!("{path}/acknowledge"), "l", json!({})).await;
    assert_eq!(late.expect(409).code(), "conflict");
    gateway.get("/v1/alerts/al_77").await.expect(404);
}

#[tokio::test]
async fn whoever_sees_a_region_sees_and_rules_it_alone() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let (east, west) = (raise(&gateway, "g-east", "a", 9).await, raise(&gateway, "g-west", "b", 9).await);
    let list = gateway.call_as(&western, "GET", "/v1/alerts", Value::Null).await.expect(200).json();
    assert_eq!(ids(&list), [west.as_str()]);
    let path = format!("/v1/alerts/{east}/acknowledge");
    gateway.post_once(&western, &path, "k", json!({})).await.expect(404);
    gateway.post_once(&western, &format!("/v1/alerts/{west}/acknowledge"), "k", json!({})).await.expect(200);

    let put = async |id: &str, rule: Value| {
        gateway.call_as(&western, "PUT", &format!("/v1/alert-rules/{id}"), rule).await
    };
    for (rule, pointer) in [
        (json!({"threshold": 3}), "/where"),
        (json!({"where": {"tags": ["vip"]}}), "/where"),
        (json!({"where": {"regions": ["east"]}}), "/where"),
        (json!({"groups": ["demo/g-east"]}), "/where"),
        (json!({"groups": ["demo/g-west"], "where": {"tags": ["vip"]}}), "/where"),
        (json!({"groups": ["demo/g-west"], "tell": [{"account": "demo", "group": "g-east"}]}), "/where"),
        (json!({"groups": ["demo/g-west"], "window": "61s"}), "/window"),
        (json!({"groups": ["demo/g-west"], "tell": [{"account": "gone", "group": "g"}]}), "/tell/0/account"),
    ] {
        let got = put("w", rule.clone()).await.expect(422);
        assert!(got.pointers().contains(&pointer.to_owned()), "{rule}: {}", got.text);
    }
    let rule = json!({"where": {"regions": ["west"]}, "kinds": ["leave_surge"], "threshold": 3});
    let made = put("w", rule).await.expect(201);
    assert_eq!(made.json()["threshold"], 3);
    let everywhere = json!({"threshold": 50, "kinds": ["leave_surge"]});
    gateway.call("PUT", "/v1/alert-rules/all", everywhere).await.expect(201);
    let desk = &gateway.app.parts().alerts;
    let threshold = |group: &str| {
        let context = gateway.directory.context("demo", group).unwrap();
        let (account, group) = (Some("demo"), Some(group));
        let spot = Spot { account, group, place: &context.place, tags: context.tags() };
        desk.book().terms(Kind::LeaveSurge, &spot).threshold
    };
    assert_eq!((threshold("g-west"), threshold("g-east")), (3, 50));
    let terms = gateway.call_as(&western, "GET", "/v1/groups/demo/g-west/alert-terms", Value::Null).await;
    let terms = terms.expect(200).json()["items"][0].clone();
    assert_eq!((&terms["kind"], &terms["threshold"]), (&json!("leave_surge"), &json!(3)));
    let from = |terms: &Value, part: &str| {
        let all = terms["from"].as_array().unwrap().clone();
        let found = all.into_iter().find(|from| from["part"] == part).unwrap();
        (found["origin"].clone(), found["rule"].clone())
    };
    assert_eq!(from(&terms, "threshold"), (json!("rule"), json!("w")));
    assert_eq!(from(&terms, "window"), (json!("configuration"), Value::Null));
    gateway.call_as(&western, "GET", "/v1/groups/demo/g-east/alert-terms", Value::Null).await.expect(404);
    let terms =
        gateway.get("/v1/groups/demo/g-east/alert-terms").await.expect(200).json()["items"][0].clone();
    assert_eq!(from(&terms, "threshold"), (json!("rule"), json!("all")));
    let seen = gateway.call_as(&western, "GET", "/v1/alert-rules", Value::Null).await.json();
    assert_eq!(ids(&seen), ["w"]);
    gateway.call_as(&western, "DELETE", "/v1/alert-rules/all", Value::Null).await.expect(404);
    assert_eq!(put("all", json!({"groups": ["demo/g-west"]})).await.status.as_u16(), 404);
    gateway.call_as(&western, "DELETE", "/v1/alert-rules/w", Value::Null).await.expect(204);
    assert_eq!(threshold("g-west"), 50);
    // A rule of everybody's holds there, too; which it is, is not theirs to see.
    let terms = gateway.call_as(&western, "GET", "/v1/groups/demo/g-west/alert-terms", Value::Null).await;
    assert_eq!(from(&terms.expect(200).json()["items"][0], "threshold"), (json!("rule"), Value::Null));
}
