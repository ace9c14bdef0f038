//! Judging, wordlists, replies.

use serde_json::{Value, json};

use super::{Gateway, Got};

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
        ("/v1/rule-sets/rebate", json!({"rules": [{"id": "scan", "all": ["返现", "扫码"]}]})),
        ("/v1/policies/mild", json!({"wordlists": ["own"]})),
        ("/v1/synonyms/open", json!({"words": ["开门", "营业"]})),
        ("/v1/replies/hours", json!({"keywords": ["营业时间"], "text": "十点到十点"})),
        ("/v1/welcomes/all", json!({"text": "欢迎 {member.name}"})),
        ("/v1/journeys/week", json!({"steps": [{"id": "d1", "after": "1d", "text": "{member.name}"}]})),
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

#[tokio::test]
async fn a_set_of_rules_is_in_force_versioned_and_listed() {
    let gateway = Gateway::open().await;
    let rules = json!({"rules": [
        {"id": "scan", "category": "lure", "level": "medium", "all": ["返现"], "any": ["扫码", "链接"], "near": {"chars": 8}},
        {"id": "code", "pattern": "暗语[a-z0-9]{6,}"},
    ]});
    let made = gateway.call("PUT", "/v1/rule-sets/rebate", rules.clone()).await.expect(201);
    assert_eq!(made.json()["rules"][0]["near"]["chars"], 8);
    let judged =
        gateway.call("POST", "/v1/moderate", json!({"text": "亲，返现请扫码哦"})).await.expect(200).json();
    assert_eq!((&judged["verdict"], &judged["ruleset"]), (&json!("review"), &json!("r-2")));
    let hit = &judged["hits"][0];
    assert_eq!(
        [&hit["wordlist"], &hit["term"], &hit["category"], &hit["matched"]],
        ["rebate", "scan", "lure", "返现请扫码"]
    );
    let version = gateway.get("/v1/rulesets/r-2").await.expect(200).json();
    let change = &version["changes"][0];
    assert_eq!([&change["kind"], &change["id"], &change["how"]], ["rule_set", "rebate", "created"]);
    assert_eq!(change["rules"]["added_first"], json!(["scan", "code"]));
    let listed = gateway.get("/v1/rulesets").await.expect(200).json();
    let kind_of = |name: &str| {
        let lists = listed["wordlists"].as_array().unwrap();
        lists
            .iter()
            .find(|list| list["name"] == name)
            .map(|list| (list["kind"].clone(), list["terms"].clone()))
    };
    assert_eq!(kind_of("rebate"), Some((json!("rule_set"), json!(2))));
    assert_eq!(kind_of("detectors"), Some((json!("detectors"), json!(11))));
    assert_eq!(kind_of("fraud").unwrap().0, "wordlist");
    // It stands among the names of wordlists, but has no life.
    let taken =
        gateway.call("PUT", "/v1/wordlists/rebate", json!({"terms": [{"text": "店庆"}]})).await.expect(422);
    assert!(taken.text.contains("given twice"), "{}", taken.text);
    gateway.get("/v1/wordlists/rebate/life").await.expect(404);
    let draft = json!({"draft": {"rule_set": {"name": "rebate", "rules": []}}});
    gateway.post_once(&gateway.admin, "/v1/replays", "k", draft).await.expect(200);
}

#[tokio::test]
async fn a_set_of_rules_that_cannot_be_used_names_the_fields() {
    let gateway = Gateway::open().await;
    let put = async |rules: Value| gateway.call("PUT", "/v1/rule-sets/own", json!({"rules": rules})).await;
    for (rules, pointers) in [
        (json!([{"id": "a", "all": ["返现"], "near": {"words": 3}}]), vec!["/rules/0/near/words"]),
        (json!([{"id": "a", "all": "返现"}]), vec!["/rules/0/all"]),
        (
            json!([{"id": "a"}, {"id": "b", "all": ["返现"]}, {"id": "b", "pattern": "("}, {"id": "c", "pattern": "("}]),
            vec!["/rules/0/all", "/rules/2/id", "/rules/3/pattern"],
        ),
        (
            json!([{"id": "a", "all": ["返现"], "across": {"messages": 99, "seconds": 9}}]),
            vec!["/rules/0/across"],
        ),
    ] {
        assert_eq!(put(rules.clone()).await.expect(422).pointers(), pointers, "{rules}");
    }
    let many: Vec<_> = (0..1_001).map(|n| json!({"id": format!("r-{n}"), "all": ["返现"]})).collect();
    let refused = put(json!(many)).await.expect(422);
    assert_eq!(refused.pointers(), ["/rules"]);
    assert!(refused.text.contains("interception.rules_max"), "{}", refused.text);
    gateway.get("/v1/rule-sets/own").await.expect(404);
    assert_eq!(
        gateway.get("/v1/rulesets").await.expect(200).json()["version"],
        "r-1",
        "refused ones make none"
    );
}

#[tokio::test]
async fn an_import_of_replies_is_one_version_with_an_answer_a_line() {
    let gateway = Gateway::open().await;
    let lines = [
        r#"{"id":"a","keywords":["几点"],"text":"十点"}"#,
        r#"{"id":"b","keywords":["……"],"text":"x"}"#,
        r#"{"id":"a","keywords":["两次"],"text":"x"}"#,
        r#"{"id":"c","keywords":["在哪"],"text":"人民路"}"#,
        r#"{"keywords":["x"],"text":"x"}"#,
    ];
    let status = |got: &Got| -> Vec<Value> {
        let lines = got.text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["status"].clone()).collect()
    };
    let path = "/v1/replies?reason=%E5%BC%80%E4%B8%9A";
    let answer = gateway.call("POST", path, json!(lines.join("\n"))).await.expect(200);
    assert_eq!(status(&answer), ["created", "error", "error", "created", "error"]);
    let version = gateway.get("/v1/rulesets/versions").await.expect(200).json()["items"][0].clone();
    assert_eq!(
        (&version["reason"], version["changes"].as_array().unwrap().len()),
        (&json!("开业"), 2),
        "{version}"
    );
    let answer = gateway.call("POST", "/v1/replies", json!(lines[0])).await.expect(200);
    assert_eq!(status(&answer), ["updated"]);
    let journeys = [
        r#"{"id":"week","steps":[{"id":"d1","after":"1d","text":"您好"}]}"#,
        r#"{"id":"week","steps":[{"id":"d1","after":"1d","text":"两次"}]}"#,
    ];
    let answer = gateway.call("POST", "/v1/journeys", json!(journeys.join("\n"))).await.expect(200);
    assert_eq!(status(&answer), ["created", "error"]);
    gateway.get("/v1/journeys/week").await.expect(200);
}

#[tokio::test]
async fn a_message_is_tried_and_says_which_rule_wins_and_why_the_others_do_not() {
    let gateway = Gateway::open().await;
    gateway.call("PUT", "/v1/shops/s-1", json!({"name": "南京路店"})).await.expect(201);
    gateway.call("PUT", "/v1/groups/demo/g-1", json!({"shop": "s-1"})).await.expect(201);
    let rules = [
        ("long", json!({"keywords": ["营业时间"], "text": "{shop.name}：{shop.hours|十点}"})),
        ("short", json!({"keywords": ["时间"], "text": "三点", "tags": ["vip"]})),
        ("trial", json!({"keywords": ["營業"], "text": "x", "mode": "shadow"})),
    ];
    for (id, rule) in rules {
        gateway.call("PUT", &format!("/v1/replies/{id}"), rule).await.expect(201);
    }
    let asked = json!({"account": "demo", "group": "g-1", "text": "请问营业 时间"});
    let got = gateway.call("POST", "/v1/replies/test", asked).await.expect(200).json();
    assert_eq!((&got["winner"], &got["text"]), (&json!("long"), &json!("南京路店：十点")), "{got}");
    let rules: Vec<_> = got["rules"].as_array().unwrap().iter().map(|r| (&r["rule"], &r["out"])).collect();
    assert_eq!(
        rules,
        [
            (&json!("long"), &Value::Null),
            (&json!("short"), &json!("elsewhere")),
            (&json!("trial"), &json!("shadow")),
        ]
    );
    let nowhere = json!({"account": "demo", "group": "nobody", "text": "x"});
    gateway.call("POST", "/v1/replies/test", nowhere).await.expect(404);
}

#[tokio::test]
async fn a_text_with_gaps_is_refused_with_the_groups() {
    let gateway = Gateway::open().await;
    gateway
        .call("PUT", "/v1/shops/s-1", json!({"name": "甲", "variables": {"address": "人民路"}}))
        .await
        .expect(201);
    gateway.call("PUT", "/v1/groups/demo/g-1", json!({"shop": "s-1"})).await.expect(201);
    gateway.call("PUT", "/v1/groups/demo/g-2", json!({"tags": ["new"]})).await.expect(201);
    let rule = json!({"keywords": ["在哪"], "text": "{shop.address}"});
    let refused = gateway.call("PUT", "/v1/replies/place", rule.clone()).await.expect(422);
    assert_eq!(refused.pointers(), ["/text"]);
    let detail = refused.json()["errors"][0]["detail"].to_string();
    assert!(
        detail.contains("1 groups") && detail.contains("demo/g-2") && detail.contains("shop.address"),
        "{detail}"
    );
    let welcome = json!({"text": "欢迎来 {shop.address}", "tags": ["new"]});
    assert_eq!(gateway.call("PUT", "/v1/welcomes/new", welcome).await.expect(422).pointers(), ["/text"]);
    gateway.call("PUT", "/v1/replies/place?missing=allow", rule).await.expect(201);
    let missing = gateway.get("/v1/replies/place/missing").await.expect(200).json();
    assert_eq!(missing["items"][0]["group"], "g-2");
    assert_eq!(missing["items"].as_array().unwrap().len(), 1);
    gateway.call("PUT", "/v1/groups/demo/g-2", json!({"shop": "s-1"})).await.expect(200);
    let missing = gateway.get("/v1/replies/place/missing").await.expect(200).json();
    assert_eq!(missing["items"], json!([]));
}

#[tokio::test]
async fn our_own_words_are_refused_when_they_are_written() {
    let gateway = Gateway::open().await;
    let list = json!({"terms": [{"text": "国家级", "level": "high"}], "roles": ["own"]});
    gateway.call("PUT", "/v1/wordlists/law", list).await.expect(201);
    for (path, body) in [
        ("/v1/welcomes/w", json!({"text": "欢迎来国家级好店"})),
        ("/v1/welcomes/w", json!({"text": "欢迎来国家级好店", "on": "contact_added"})),
        ("/v1/replies/r", json!({"keywords": ["店"], "text": "好", "variants": ["国家级好店"]})),
        ("/v1/journeys/j", json!({"steps": [{"id": "d1", "after": "1d", "text": "国家级好店"}]})),
    ] {
        let refused = gateway.call("PUT", path, body).await.expect(422);
        assert_eq!(refused.code(), "text_blocked", "{path}");
        assert_eq!(refused.json()["hits"][0]["term"], "国家级");
    }
    gateway.call("PUT", "/v1/welcomes/w", json!({"text": "欢迎来好店"})).await.expect(201);
}

#[tokio::test]
async fn a_list_for_our_own_sends_holds_in_its_place_only() {
    let gateway = Gateway::open().await;
    gateway.call("PUT", "/v1/regions/east", json!({"name": "东区"})).await.expect(201);
    gateway.call("PUT", "/v1/shops/s-1", json!({"name": "甲", "region": "east"})).await.expect(201);
    gateway.call("PUT", "/v1/groups/demo/g-1", json!({"shop": "s-1"})).await.expect(201);
    gateway.call("PUT", "/v1/groups/demo/g-2", json!({"tags": []})).await.expect(201);
    let list = json!({
        "terms": [{"text": "清仓", "level": "high"}], "roles": ["own"], "scope": {"regions": ["east"]},
    });
    gateway.call("PUT", "/v1/wordlists/east", list).await.expect(201);
    let made = json!({"text": "清仓八折", "audience": "all"});
    let made = gateway.call("POST", "/v1/broadcasts/preview", made).await.expect(200).json();
    assert_eq!(made["checked"]["can_be_told"], 1, "{made}");
    assert_eq!(made["checked"]["problems"][0]["code"], "blocked", "{made}");
}

#[tokio::test]
async fn what_goes_with_a_message_is_explained_as_it_is_judged() {
    let gateway = Gateway::open().await;
    let policy = json!({"levels": {"high": "block"}, "content": {
        "domains": {"block": ["evil.com"]}, "types": {"verdicts": {"miniprogram": "review"}}, "quoted": "same",
    }});
    gateway.call("PUT", "/v1/policies/careful", policy).await.expect(201);
    for (message, verdict, term) in [
        (json!({"text": "看 http://evil.com/x"}), "block", "evil.com"),
        (
            json!({"text": "看", "attachments": [{"kind": "link", "url": "http://evil.com/x"}]}),
            "block",
            "evil.com",
        ),
        (json!({"text": "看", "attachments": [{"kind": "miniprogram"}]}), "review", "miniprogram"),
        (json!({"text": "看", "quote": "加微信 abc888 领优惠"}), "block", "加微信"),
        (json!({"text": "大家好"}), "pass", ""),
    ] {
        let mut asked = message.clone();
        asked["policy"] = json!("careful");
        asked["explain"] = json!(true);
        let judged = gateway.call("POST", "/v1/moderate", asked).await.expect(200).json();
        assert_eq!(judged["verdict"], verdict, "{judged}");
        assert_eq!(judged["explanation"]["verdict"], verdict, "{judged}");
        let hits = judged["explanation"]["hits"].as_array().unwrap();
        let named = hits.iter().any(|hit| hit["term"] == term && hit["verdict"] == verdict);
        assert!(named || term.is_empty(), "{judged}");
    }
    let many = vec![json!({"kind": "image"}); 21];
    let refused =
        gateway.call("POST", "/v1/moderate", json!({"text": "看", "attachments": many})).await.expect(422);
    assert_eq!(refused.pointers(), ["/attachments"]);
}

#[tokio::test]
async fn a_tried_reply_says_when_nobody_would_hear_it() {
    let gateway = Gateway::open().await;
    gateway.call("PUT", "/v1/groups/demo/g-1", json!({"tags": []})).await.expect(201);
    let rule = json!({"keywords": ["营业时间"], "text": "十点"});
    gateway.call("PUT", "/v1/replies/hours", rule).await.expect(201);
    let ask = async |text: &str| {
        let asked = json!({"account": "demo", "group": "g-1", "text": text});
        gateway.call("POST", "/v1/replies/test", asked).await.expect(200).json()
    };
    let (good, bad) = (ask("营业时间").await, ask("加微信 abc888 领优惠，营业时间").await);
    assert_eq!((&good["verdict"], &good["silent"]), (&json!("pass"), &Value::Null));
    assert_eq!((&bad["verdict"], &bad["winner"]), (&json!("block"), &json!("hours")));
    assert!(bad["silent"].as_str().unwrap().contains("消息被拦截"), "{bad}");
}
