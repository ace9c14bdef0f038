//! Kept texts, the review queue, offers and replays over the router.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Gateway, NOW_MS};
use crate::event::{
    Effects, EventKey, EventType, EvidenceKind, Fact, HOUR_MS, Head, HeldFact, JudgedFact, ReviewFact, Role,
    Status, Verdict, partition_of,
};
use crate::evidence::{Kept, Original};
use crate::reviews::follower::Follower;
use crate::storage::{Append, codec};

/// Keeps a text as an event of a group; returns its id once it is stored.
pub(super) async fn keep(gateway: &Gateway, group: &str, event: &str, text: &str) -> String {
    let key = EventKey::of(&gateway.storage.dedupe_secret(), "demo", group, event);
    gateway.directory.see("demo", group);
    gateway.evidence.keep(&Original {
        key,
        account: "demo",
        group,
        member: Some("m-1"),
        at_ms: NOW_MS - 1_000,
        kind: EvidenceKind::Reviewed,
        expires_ms: NOW_MS + HOUR_MS,
        kept: Kept {
            text: text.to_owned(),
            role: Role::Customer,
            verdict: Verdict::Review,
            ruleset: "r-1".to_owned(),
            hits: Vec::new(),
        },
    });
    gateway.evidence.flush().await;
    key.evidence()
}

/// Commits a message whose verdict is `review`, as the pipeline would.
async fn reviewed(gateway: &Gateway, group: &str, n: u128) {
    let at_ms = NOW_MS + i64::try_from(n).unwrap();
    let head = Head {
        key: EventKey(n << 64),
        at_ms,
        arrived_ms: at_ms,
        account: "demo".into(),
        group: group.to_owned().into(),
        member: Some("m-1".into()),
        name: None,
        role: Role::Customer,
        what: EventType::Message,
        status: Status::Counted,
        verdict: Verdict::Review,
        revised: false,
        fingerprint: None,
    };
    let judged = JudgedFact { ruleset: "r-1".into(), policy: "standard".into() };
    let held = HeldFact { of: format!("e-{n}").into() };
    let review = ReviewFact { rule: "ladder:remove:over_budget".into() };
    let facts = vec![Fact::Judged(judged), Fact::Review(review), Fact::Held(held)];
    let mut payload = Vec::new();
    codec::encode(&Effects { head, facts }, &mut payload);
    let bucket = u32::try_from(at_ms / HOUR_MS).unwrap();
    let append = Append {
        partition: partition_of("demo", group),
        epoch: gateway.epoch,
        payload: &payload,
        events: 1,
        bucket_min: bucket,
        bucket_max: bucket,
    };
    gateway.storage.append(append).unwrap().wait().await.unwrap();
    gateway.directory.see("demo", group);
}

async fn list(gateway: &Gateway, token: &str, query: &str) -> Vec<Value> {
    let got = gateway.call_as(token, "GET", &format!("/v1/reviews{query}"), Value::Null).await.expect(200);
    got.json()["items"].as_array().unwrap().clone()
}

/// Brings an appeal about an event; returns the review.
async fn appeal(gateway: &Gateway, group: &str, event: &str) -> String {
    let body = json!({"account": "demo", "group": group, "event": event, "reason": "误判"});
    let got = gateway.post_once(&gateway.admin, "/v1/appeals", &format!("{group}/{event}"), body).await;
    got.expect(201).json()["review"].as_str().unwrap().to_owned()
}

async fn audited(gateway: &Gateway, object: &str) -> Vec<String> {
    let got = gateway.get(&format!("/v1/audit?object={object}")).await.expect(200).json();
    let entries = got["items"].as_array().unwrap().clone();
    entries.iter().map(|entry| format!("{} {}", entry["verb"].as_str().unwrap(), entry["id"])).collect()
}

#[tokio::test]
async fn a_verdict_waits_in_the_queue_for_those_who_see_its_group() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    for (n, group) in [(1, "g-east"), (2, "g-west"), (3, "g-east")] {
        reviewed(&gateway, group, n).await;
    }
    let follower = Follower::open(gateway.reviews.clone()).await.unwrap();
    let mut passed = follower.passed();
    gateway.tasks.spawn("reviews", follower.run(gateway.tasks.clone()));
    let head = gateway.storage.head_position().unwrap();
    let read = passed.wait_for(|position| *position >= head);
    tokio::time::timeout(Duration::from_mins(1), read).await.unwrap().unwrap();
    let all = list(&gateway, &gateway.admin, "").await;
    assert_eq!(all.len(), 3);
    assert_eq!((&all[0]["ruleset"], &all[0]["verdict"]), (&json!("r-1"), &json!("review")));
    assert_eq!(all[0]["text"]["standing"], "not_asked");
    assert_eq!(
        (&all[0]["event"], &all[0]["because"][0]),
        (&json!("e-1"), &json!("ladder:remove:over_budget"))
    );
    assert_eq!(all[0]["zh"], "应移出群，但本小时的次数已用完，请人工处理");
    let eastern = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    assert_eq!(list(&gateway, &eastern, "").await.len(), 2);
    assert_eq!(list(&gateway, &gateway.admin, "?account=demo&group=g-west").await.len(), 1);
    assert!(list(&gateway, &gateway.admin, "?wordlist=diversion").await.is_empty());
    assert!(list(&gateway, &gateway.admin, "?state=approved").await.is_empty());
    let first = gateway.get("/v1/reviews?limit=2").await.expect(200).json();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = gateway.get(&format!("/v1/reviews?limit=2&cursor={cursor}")).await.expect(200).json();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
    let foreign = format!("/v1/reviews/{}", all[1]["id"].as_str().unwrap());
    gateway.call_as(&eastern, "GET", &foreign, Value::Null).await.expect(404);
}

#[tokio::test]
async fn a_text_is_read_within_the_scope_and_every_reading_is_audited() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let id = keep(&gateway, "g-east", "e-1", "加微信领优惠").await;
    let path = format!("/v1/evidence/{id}");
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    gateway.call_as(&western, "GET", &path, Value::Null).await.expect(404);
    assert!(audited(&gateway, "evidence").await.is_empty(), "what was not shown was not read");
    let eastern = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    for _ in 0..2 {
        let got = gateway.call_as(&eastern, "GET", &path, Value::Null).await.expect(200).json();
        assert_eq!((&got["text"], &got["member"]), (&json!("加微信领优惠"), &json!("m-1")));
    }
    assert_eq!(audited(&gateway, "evidence").await, vec![format!("read \"{id}\""); 2]);
    let entry = gateway.get("/v1/audit?object=evidence").await.json()["items"][0].clone();
    assert_eq!((&entry["operator"], &entry["place"]["region"]), (&json!("op-east"), &json!("east")));
    assert!(!entry.to_string().contains("微信"), "{entry}");
    gateway.clock.advance(Duration::from_hours(1));
    gateway.get(&path).await.expect(404);
}

#[tokio::test]
async fn a_members_texts_are_erased_where_one_may_see_them() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let east = keep(&gateway, "g-east", "e-1", "加微信").await;
    let west = keep(&gateway, "g-west", "e-1", "加微信").await;
    let review = appeal(&gateway, "g-east", "e-1").await;
    let got = gateway.get(&format!("/v1/reviews/{review}")).await.expect(200).json();
    assert_eq!((&got["text"]["standing"], &got["text"]["evidence"]), (&json!("kept"), &json!(east)));
    assert_eq!(
        (&got["kind"], &got["verdict"], &got["member"]),
        (&json!("appeal"), &json!("review"), &json!("m-1"))
    );
    let eastern = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    let erase =
        async |token: &str, body: Value| gateway.call_as(token, "POST", "/v1/evidence/erase", body).await;
    erase(&eastern, json!({"account": "demo", "group": "g-west"})).await.expect(404);
    let got = erase(&eastern, json!({"account": "demo"})).await.expect(422);
    assert_eq!(got.pointers(), ["/member"]);
    let got = erase(&eastern, json!({"account": "demo", "member": "m-1"})).await.expect(200).json();
    assert_eq!(got, json!({"rows": 1, "groups": 1}));
    gateway.get(&format!("/v1/evidence/{east}")).await.expect(404);
    gateway.get(&format!("/v1/evidence/{west}")).await.expect(200);
    assert!(audited(&gateway, "evidence").await.contains(&"erase \"demo/m-1\"".to_owned()));
    let got = gateway.get(&format!("/v1/reviews/{review}")).await.expect(200).json();
    assert_eq!(got["text"]["standing"], "not_kept");
    gateway.get(&format!("/v1/reviews/{review}/offer")).await.expect(409);
    let got = erase(&gateway.admin, json!({"account": "demo", "group": "g-west"})).await.expect(200).json();
    assert_eq!(got["rows"], 1);
}

#[tokio::test]
async fn a_review_is_decided_once_and_says_what_cannot_be_undone() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    keep(&gateway, "g-east", "e-1", "加微信").await;
    let id = appeal(&gateway, "g-east", "e-1").await;
    assert_eq!(appeal(&gateway, "g-east", "e-1").await, id, "the same request is the same appeal");
    let path = format!("/v1/reviews/{id}/decision");
    let got = gateway.call("POST", &path, json!({"decision": "approve", "reason": " "})).await.expect(422);
    assert_eq!(got.pointers(), ["/reason"]);
    let phrase = json!({"decision": "deny", "reason": "广告", "allow_phrase": "加微信吧"});
    gateway.call("POST", &path, phrase).await.expect(422);
    let eastern = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    let phrase = json!({"decision": "approve", "reason": "误判", "allow_phrase": "加微信吧"});
    gateway.call_as(&eastern, "POST", &path, phrase.clone()).await.expect(403);
    let deny = json!({"decision": "deny", "reason": "广告"});
    let got = gateway.call_as(&eastern, "POST", &path, deny.clone()).await.expect(200).json();
    assert_eq!(
        (&got["review"]["state"], &got["review"]["closed"]["by"]),
        (&json!("denied"), &json!("op-east"))
    );
    assert!(got["en"].as_str().unwrap().contains("does not withdraw"));
    let got = gateway.call("POST", &path, phrase).await.expect(409);
    assert!(got.text.contains("denied by op-east"), "{}", got.text);
    gateway.get("/v1/wordlists/allowed").await.expect(404);
    assert_eq!(audited(&gateway, "review").await, [format!("deny \"{id}\""), format!("appeal \"{id}\"")]);
    assert!(list(&gateway, &gateway.admin, "").await.is_empty());
    assert_eq!(list(&gateway, &gateway.admin, "?state=denied").await.len(), 1);
}

#[tokio::test]
async fn approving_offers_the_phrase_that_prevents_the_hit_with_its_effect() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let text = "甲加微信乙";
    keep(&gateway, "g-east", "e-1", text).await;
    for n in 0..5 {
        keep(&gateway, "g-east", &format!("h-{n}"), "加微信领优惠").await;
    }
    keep(&gateway, "g-west", "h-9", "又甲加微信乙了").await;
    let id = appeal(&gateway, "g-east", "e-1").await;
    let offer = gateway.get(&format!("/v1/reviews/{id}/offer")).await.expect(200).json();
    assert_eq!(offer["hit"]["term"], "加微信");
    let phrases = offer["phrases"].as_array().unwrap();
    let names: Vec<_> = phrases.iter().map(|phrase| phrase["phrase"].as_str().unwrap()).collect();
    assert_eq!(names, ["甲加微信乙", "甲加微信", "加微信乙"]);
    for phrase in phrases {
        assert_eq!((&phrase["prevents"], &phrase["verdict"]), (&json!(true), &json!("pass")), "{phrase}");
        assert_eq!(phrase["history"], json!({"messages": 7, "changed": 2, "truncated": false}));
        assert_eq!(phrase["sample"]["changed"], 0);
    }
    let reads = audited(&gateway, "evidence").await;
    assert!(reads.len() >= 2 && reads.iter().all(|entry| entry.starts_with("read ")), "{reads:?}");
    let approve = json!({"decision": "approve", "reason": "误判", "allow_phrase": "甲加微信乙"});
    let got = gateway.call("POST", &format!("/v1/reviews/{id}/decision"), approve).await.expect(200).json();
    assert_eq!(got["allow_phrase"]["in_force"], true, "{got}");
    let list = gateway.get("/v1/wordlists/allowed").await.expect(200).json();
    assert_eq!(list["allow"], json!([{"text": "甲加微信乙"}]));
    assert_eq!(audited(&gateway, "wordlist").await, ["create \"allowed\""]);
}

#[tokio::test]
async fn a_draft_is_tried_on_the_history_of_visible_groups() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    for n in 0..4 {
        let group = if n == 3 { "g-west" } else { "g-east" };
        keep(&gateway, group, &format!("h-{n}"), "今日会员日").await;
    }
    let draft = json!({"wordlist": {"name": "own", "terms": [{"text": "会员日"}]}});
    let ask = async |token: &str, body: Value| gateway.call_as(token, "POST", "/v1/replays", body).await;
    let eastern = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    let mut got = ask(&eastern, json!({"draft": draft, "examples": 2})).await.json();
    let path = format!("/v1/replays/{}", got["id"].as_str().unwrap());
    for _ in 0..600 {
        if got["state"] != "running" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        got = gateway.call_as(&eastern, "GET", &path, Value::Null).await.expect(200).json();
    }
    let outcome = &got["outcome"];
    assert_eq!(
        (&outcome["messages"], &outcome["changed"], &outcome["newly_hit"]),
        (&json!(3), &json!(3), &json!(3))
    );
    assert_eq!(outcome["verdicts"], json!([{"from": "pass", "to": "block", "messages": 3}]));
    let group = json!({"account": "demo", "group": "g-east", "messages": 3, "changed": 3});
    assert_eq!(outcome["groups"], json!([group]));
    assert_eq!(outcome["examples"].as_array().unwrap().len(), 2);
    assert_eq!(outcome["examples"][0]["text"], "今日会员日");
    assert_eq!(audited(&gateway, "evidence").await.len(), 1, "one entry for all that was read");
    gateway.call("GET", &path, Value::Null).await.expect(404);
    let got = ask(&eastern, json!({"draft": draft, "groups": ["demo/g-west"]})).await.expect(422);
    assert_eq!(got.pointers(), ["/groups"]);
    assert_eq!(ask(&eastern, json!({"draft": {}})).await.expect(422).pointers(), ["/draft"]);
    assert_eq!(ask(&eastern, json!({"draft": draft, "hours": 0})).await.expect(422).pointers(), ["/hours"]);
    let unknown = json!({"draft": draft, "policy": "nobody"});
    assert_eq!(ask(&eastern, unknown).await.expect(422).pointers(), ["/policy"]);
}
