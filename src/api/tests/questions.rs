//! Questions without an answer over the router: who sees which, with which text, and a draft that catches them.

use serde_json::{Value, json};

use super::{Gateway, NOW_MS, reviews};
use crate::alerts::unanswered::Question;
use crate::event::EventKey;
use crate::near::Sketch;
use crate::questions::gist;
use crate::storage::{Change, DocumentKind, Write};

/// Writes a question down as the follower does.
pub(super) async fn ask(gateway: &Gateway, group: &str, event: &str, folded: &str, ago_ms: i64) {
    gateway.directory.see("demo", group);
    let secret = gateway.storage.dedupe_secret();
    let key = EventKey::of(&secret, "demo", group, event);
    let at_ms = NOW_MS - ago_ms;
    let question = Question {
        id: format!("qu_{at_ms:012x}{:016x}", key.0 >> 64),
        account: "demo".into(),
        group: group.into(),
        member: format!("m-{event}"),
        event: event.into(),
        at_ms,
        deadline_ms: at_ms + 600_000,
        evidence: key.evidence(),
        sketch: Sketch::of_short(&gist(folded), &secret).unwrap(),
    };
    let (kind, id) = (DocumentKind::Question, question.id.clone());
    let put = Write::Put { kind, id, body: serde_json::to_string(&question).unwrap(), expect: Some(0) };
    gateway.storage.apply(Change { writes: vec![put], ..Change::default() }).await.unwrap();
}

async fn list(gateway: &Gateway, token: &str, query: &str) -> Value {
    gateway.call_as(token, "GET", &format!("/v1/questions{query}"), Value::Null).await.expect(200).json()
}

fn sizes(report: &Value) -> Vec<(u64, u64, u64)> {
    let number = |cluster: &Value, name: &str| cluster[name].as_u64().unwrap();
    let clusters = report["clusters"].as_array().unwrap().iter();
    clusters.map(|one| (number(one, "questions"), number(one, "groups"), number(one, "members"))).collect()
}

#[tokio::test]
async fn questions_that_ask_the_same_are_one_cluster_of_what_the_scope_sees() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    for (event, group, asked, ago_ms) in [
        ("e-1", "g-east", "请问几点关门", 9_000),
        ("e-2", "g-west", "几点关门呀", 8_000),
        ("e-3", "g-west", "有没有充电宝", 7_000),
        ("e-4", "g-west", "你们几点关门", 6_000),
        ("e-5", "g-west", "几点关门", 8 * 24 * 3_600_000),
    ] {
        ask(&gateway, group, event, asked, ago_ms).await;
    }
    let all = list(&gateway, &gateway.admin, "").await;
    assert_eq!((sizes(&all), &all["complete"]), (vec![(3, 2, 3), (1, 1, 1)], &json!(true)));
    assert_eq!((&all["questions"], &all["coverage"]), (&json!(4), &json!("full")));
    assert_eq!(all["clusters"][0]["latest"][0]["event"], "e-4");
    assert_eq!(all["clusters"][0]["example"], Value::Null);
    assert!(all["clusters"][0]["example_missing"].as_str().unwrap().contains("examples=true"));
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    assert_eq!(sizes(&list(&gateway, &western, "").await), [(2, 1, 2), (1, 1, 1)]);
    assert_eq!(sizes(&list(&gateway, &western, "?region=east").await), []);
    assert_eq!(sizes(&list(&gateway, &gateway.admin, "?shop=s-east").await), [(1, 1, 1)]);
    assert_eq!(sizes(&list(&gateway, &gateway.admin, "?limit=1&group=g-west").await), [(2, 1, 2)]);
    assert_eq!(list(&gateway, &gateway.admin, "?since=2026-01-01").await["questions"], 5);
    gateway.get("/v1/questions?since=yesterday").await.expect(400);
    // Of an account that is not connected no text is seen, and nothing is known of its questions.
    let account = json!({"platform": "sandbox", "name": "off", "disabled": true});
    gateway.call("PUT", "/v1/accounts/blind", account).await.expect(201);
    gateway.directory.see("blind", "g-blind");
    let blind = list(&gateway, &gateway.admin, "?account=blind").await;
    assert_eq!((&blind["questions"], &blind["coverage"]), (&Value::Null, &json!("unavailable")));
    assert_eq!(list(&gateway, &gateway.admin, "").await["coverage"], "partial");
}

#[tokio::test]
async fn an_example_is_read_within_the_rights_and_audited_and_its_draft_catches_the_question() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    ask(&gateway, "g-east", "e-1", "请问今天几点关门", 9_000).await;
    ask(&gateway, "g-east", "e-2", "今天几点关门呀", 8_000).await;
    ask(&gateway, "g-west", "e-3", "有没有充电宝", 7_000).await;
    reviews::keep(&gateway, "g-east", "e-1", "请问今天几点关门？").await;
    let id = reviews::keep(&gateway, "g-east", "e-2", "今天几点关门呀").await;
    let report = list(&gateway, &gateway.admin, "?examples=true").await;
    let first = &report["clusters"][0];
    assert_eq!((&first["example"], &first["example_missing"]), (&json!("今天几点关门呀"), &Value::Null));
    assert_eq!(first["draft"]["keywords"], json!(["今天几点关门"]));
    let second = &report["clusters"][1];
    assert_eq!((&second["example"], &second["draft"]), (&Value::Null, &Value::Null));
    assert!(second["example_missing"].as_str().unwrap().contains("not kept"));
    let audit = gateway.get("/v1/audit?object=evidence").await.expect(200).json();
    let read = audit["items"].as_array().unwrap();
    assert_eq!(read.len(), 2, "two texts were read: {audit}");
    assert!(read.iter().any(|entry| entry["id"] == json!(id) && entry["verb"] == "read"));
    // Without the right nothing is opened.
    let only = json!({"name": "n", "rights": ["read"], "scope": {"all": true}});
    gateway.call("PUT", "/v1/operators/reader", only).await.expect(201);
    let made =
        gateway.call("POST", "/v1/tokens", json!({"name": "t", "operator": "reader"})).await.expect(201);
    let reader = made.json()["secret"].as_str().unwrap().to_owned();
    let report = list(&gateway, &reader, "?examples=true").await;
    assert_eq!(report["clusters"][0]["example"], Value::Null);
    assert!(report["clusters"][0]["example_missing"].as_str().unwrap().contains("evidence:read"));
    let audit = gateway.get("/v1/audit?object=evidence").await.expect(200).json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 2);
    // The draft is a line as it stands.
    let draft: crate::replies::Rule = {
        let mut draft = first["draft"].clone();
        draft.as_object_mut().unwrap().remove("id");
        serde_json::from_value(draft).unwrap()
    };
    let words = crate::interception::Config::default();
    let synonyms = crate::replies::Synonyms::default();
    let rules = [("draft".to_owned(), draft)];
    let rules = crate::replies::Rules::compile(&rules, &synonyms, &crate::replies::Config::default(), &words)
        .unwrap();
    let home = crate::pipeline::Home::unknown();
    let at = crate::replies::Circumstances {
        place: home.place,
        tags: &[],
        zone: home.zone,
        is_open: home.is_open,
        is_mentioned: false,
        now_ms: NOW_MS,
    };
    for asked in ["请问今天几点关门", "今天几点关门呀"] {
        assert_eq!(rules.asked(asked, &at).len(), 1, "{asked}");
    }
}
