//! Policies from brand to group, wordlists for a part of the groups, and what is counted without effect.

use serde_json::{Value, json};

use super::{Gateway, NOW_MS};
use crate::event::{Fact, HitFact, Level};

/// Where a part of a group's policy comes from, as `layer policy`.
fn source(policy: &Value, part: &str) -> String {
    let found = policy["parts"].as_array().unwrap().iter().find(|found| found["part"] == part);
    let found = found.unwrap_or_else(|| panic!("no {part} in {policy}"));
    format!("{} {}", found["layer"].as_str().unwrap(), found["policy"].as_str().unwrap())
}

/// Two wordlists of which one is in shadow and one for customers of a region; a policy of a tag and one more: up to r-5.
async fn furnish_rules(gateway: &Gateway) {
    for (path, body) in [
        ("/v1/wordlists/try", json!({"life": "shadow", "terms": [{"text": "试行词"}]})),
        (
            "/v1/wordlists/regional",
            json!({"scope": {"regions": ["east"]}, "roles": ["customer"], "terms": [{"text": "只有东区"}]}),
        ),
        ("/v1/policies/night", json!({"tags": ["night"], "levels": {"low": "mask", "high": "review"}})),
        ("/v1/policies/quiet", json!({"levels": {"low": "pass"}})),
    ] {
        gateway.call("PUT", path, body).await.expect(201);
    }
}

#[tokio::test]
async fn a_group_shows_its_policy_and_who_said_so() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    furnish_rules(&gateway).await;
    let policy =
        async |group: &str| gateway.get(&format!("/v1/groups/demo/{group}/policy")).await.expect(200).json();
    let plain = policy("g-east").await;
    assert_eq!(
        (plain["policy"]["name"].clone(), plain["ruleset"].clone()),
        (json!("standard"), json!("r-5"))
    );
    assert_eq!(source(&plain, "/levels/high"), "default standard");
    assert_eq!(source(&plain, "/whole_words"), "built_in built-in");
    assert_eq!(plain["staff"], Value::Null);

    gateway.call("PUT", "/v1/brands/acme", json!({"name": "佳味", "policy": "strict"})).await.expect(200);
    gateway
        .call("PUT", "/v1/regions/east", json!({"name": "东", "brand": "acme", "policy": "relaxed"}))
        .await
        .expect(200);
    let group = json!({"shop": "s-west", "policy": "quiet", "tags": ["night"]});
    gateway.call("PUT", "/v1/groups/demo/g-own", group).await.expect(201);
    let shop = json!({"name": "店", "region": "west", "policy": "gone"});
    gateway.call("PUT", "/v1/shops/s-west", shop).await.expect(200);

    let east = policy("g-east").await;
    assert_eq!(source(&east, "/levels/high"), "region relaxed");
    assert_eq!(east["policy"]["levels"], json!({"low": "pass", "medium": "pass", "high": "mask"}));
    assert_eq!(gateway.get("/v1/groups/demo/g-east").await.expect(200).json()["policy"], "relaxed");
    let west = policy("g-west").await;
    assert_eq!(source(&west, "/strictness"), "brand strict");
    assert_eq!(west["missing"], json!([{"layer": "shop", "id": "s-west", "policy": "gone"}]));
    let own = policy("g-own").await;
    assert_eq!(source(&own, "/levels/low"), "group quiet");
    assert_eq!(source(&own, "/levels/high"), "tag night");
    assert_eq!(source(&own, "/levels/medium"), "brand strict");
    let layers: Vec<_> =
        own["layers"].as_array().unwrap().iter().map(|layer| layer["policy"].as_str().unwrap()).collect();
    assert_eq!(layers, ["built-in", "standard", "strict", "night", "quiet"]);

    let eastern = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    gateway.call_as(&eastern, "GET", "/v1/groups/demo/g-east/policy", Value::Null).await.expect(200);
    gateway.call_as(&eastern, "GET", "/v1/groups/demo/g-west/policy", Value::Null).await.expect(404);
    gateway.get("/v1/groups/demo/nobody/policy").await.expect(404);
}

#[tokio::test]
async fn a_text_is_judged_as_in_a_group() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    furnish_rules(&gateway).await;
    let relaxed = json!({"name": "东", "brand": "acme", "policy": "relaxed"});
    gateway.call("PUT", "/v1/regions/east", relaxed).await.expect(200);
    let judge = async |more: Value| {
        let mut body = json!({"text": "试行词 只有东区"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        gateway.call("POST", "/v1/moderate", body).await
    };
    let terms = |got: &Value, field: &str| -> Vec<String> {
        let hits = got[field].as_array().unwrap();
        hits.iter().map(|hit| hit["term"].as_str().unwrap().to_owned()).collect()
    };
    for (more, verdict, hits, policy) in [
        (json!({}), "pass", vec![], "standard"),
        (json!({"account": "demo", "group": "g-east"}), "mask", vec!["只有东区"], "relaxed"),
        (json!({"account": "demo", "group": "g-west"}), "pass", vec![], "standard"),
        (
            json!({"account": "demo", "group": "g-east", "policy": "strict"}),
            "block",
            vec!["只有东区"],
            "strict",
        ),
        (json!({"account": "demo", "group": "g-east", "role": "own"}), "pass", vec![], "relaxed"),
    ] {
        let got = judge(more.clone()).await.expect(200).json();
        assert_eq!(
            (got["verdict"].clone(), got["policy"].clone()),
            (json!(verdict), json!(policy)),
            "{more}"
        );
        assert_eq!(terms(&got, "hits"), hits, "{more}");
        assert_eq!(terms(&got, "shadow_hits"), ["试行词"], "{more}");
    }
    assert_eq!(judge(json!({"account": "demo"})).await.expect(422).pointers(), ["/group"]);
    assert_eq!(judge(json!({"group": "g-east"})).await.expect(422).pointers(), ["/account"]);
    judge(json!({"account": "demo", "group": "nobody"})).await.expect(404);
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let body = json!({"text": "a", "account": "demo", "group": "g-east"});
    gateway.call_as(&western, "POST", "/v1/moderate", body).await.expect(404);
}

#[tokio::test]
async fn a_wordlist_for_some_groups_is_seen_by_whoever_sees_one_of_them() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    for (name, scope) in [
        ("a-all", json!({})),
        ("b-brand", json!({"brands": ["acme"]})),
        ("c-east", json!({"regions": ["east"]})),
        ("d-group", json!({"groups": ["demo/g-east"]})),
        ("e-other", json!({"brands": ["other"]})),
    ] {
        let list = json!({"scope": scope, "terms": [{"text": "店庆"}]});
        gateway.call("PUT", &format!("/v1/wordlists/{name}"), list).await.expect(201);
    }
    let seen = async |scope: Value, who: &str| -> Vec<String> {
        let token = gateway.token_for(who, scope).await;
        let page =
            gateway.call_as(&token, "GET", "/v1/wordlists?limit=2", Value::Null).await.expect(200).json();
        let cursor = page["next_cursor"].as_str().map(str::to_owned);
        let mut items = page["items"].as_array().unwrap().clone();
        if let Some(cursor) = cursor {
            let path = format!("/v1/wordlists?limit=4&cursor={cursor}");
            let rest = gateway.call_as(&token, "GET", &path, Value::Null).await.expect(200).json();
            items.extend(rest["items"].as_array().unwrap().clone());
        }
        items.iter().map(|list| list["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        seen(json!({"all": true}), "op-all").await,
        ["a-all", "b-brand", "c-east", "d-group", "e-other"]
    );
    assert_eq!(
        seen(json!({"regions": ["east"]}), "op-east").await,
        ["a-all", "b-brand", "c-east", "d-group"]
    );
    assert_eq!(seen(json!({"regions": ["west"]}), "op-west").await, ["a-all", "b-brand"]);
    assert_eq!(seen(json!({"brands": ["acme"]}), "op-acme").await, ["a-all", "b-brand", "c-east", "d-group"]);
    let western = gateway.token_for("op-west-too", json!({"regions": ["west"]})).await;
    gateway.call_as(&western, "GET", "/v1/wordlists/c-east", Value::Null).await.expect(404);
}

#[tokio::test]
async fn what_wordlists_hit_is_counted_with_and_without_effect() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let hit = |wordlist: &'static str| HitFact {
        wordlist: wordlist.into(),
        term: 7,
        category: "c".into(),
        level: Level::High,
        span: (0, 9),
        via: Vec::new(),
    };
    let rules = json!({"rules": [{"id": "scan", "all": ["返现", "扫码"]}]});
    gateway.call("PUT", "/v1/rule-sets/rebate", rules).await.expect(201);
    let counted = ["diversion", "rebate", "detectors"].map(|list| Fact::Hit(hit(list)));
    let apart = ["try", "try"].map(|list| Fact::ShadowHit(hit(list)));
    let facts = counted.into_iter().chain(apart).collect();
    gateway.message_with("g-1", "m-1", NOW_MS - 1_000, facts).await;
    gateway.message("g-1", "m-2", NOW_MS - 1_000).await;
    let numbers = gateway.get("/v1/statistics/wordlists").await.expect(200).json();
    assert_eq!(numbers["messages"], 2);
    assert_eq!(
        numbers["wordlists"],
        json!([
            {"wordlist": "detectors", "kind": "detectors", "hits": 1, "shadow_hits": 0, "per_10k_messages": 5000.0},
            {"wordlist": "diversion", "kind": "wordlist", "hits": 1, "shadow_hits": 0, "per_10k_messages": 5000.0},
            {"wordlist": "rebate", "kind": "rule_set", "hits": 1, "shadow_hits": 0, "per_10k_messages": 5000.0},
            {"wordlist": "try", "kind": null, "hits": 0, "shadow_hits": 2, "per_10k_messages": 10000.0},
        ])
    );
    let hits = gateway.get("/v1/groups/demo/g-1/hits").await.expect(200).json();
    assert_eq!(hits["items"].as_array().unwrap().len(), 3);
    let eastern = gateway.token_for("op-easterner", json!({"regions": ["east"]})).await;
    gateway.call_as(&eastern, "GET", "/v1/statistics/wordlists", Value::Null).await.expect(404);
    let before =
        gateway.get("/v1/statistics/wordlists?from=2026-11-01&until=2026-11-02").await.expect(200).json();
    assert_eq!((before["messages"].clone(), before["wordlists"].clone()), (json!(0), json!([])));
}
