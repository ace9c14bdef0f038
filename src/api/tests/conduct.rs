//! What members did, and the word of a person that undoes it.

use serde_json::{Value, json};

use super::Gateway;

/// A gateway whose policies warn at once, then mute; a member has two strikes in the east and one in the west.
async fn punished() -> Gateway {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let ladder = json!({"steps": [{"at": 1, "do": "warn"}, {"at": 2, "do": "mute", "for": "1h"}, {"at": 3, "do": "remove"}]});
    let policy = json!({"ladder": ladder, "levels": {"high": "block"}});
    gateway.call("PUT", "/v1/policies/strict-shops", policy).await.expect(201);
    for (group, shop) in [("g-east", "s-east"), ("g-west", "s-west")] {
        let group_in = json!({"shop": shop, "policy": "strict-shops"});
        gateway.call("PUT", &format!("/v1/groups/demo/{group}"), group_in).await.expect(200);
    }
    for (n, group) in ["g-east", "g-east", "g-west"].into_iter().enumerate() {
        let verdict = json!({"account": "demo", "group": group, "of": format!("e-{n}"), "member": "u-9",
            "verdict": "block", "labels": ["advert"], "source": "ocr"});
        gateway.call("POST", "/v1/verdicts", verdict).await.expect(200);
    }
    gateway
}

async fn conduct(gateway: &Gateway, group: &str) -> Value {
    gateway.get(&format!("/v1/groups/demo/{group}/members/u-9/conduct")).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_on_record_and_a_pardon_undoes_it_in_all_groups() {
    let gateway = punished().await;
    let record = conduct(&gateway, "g-east").await;
    assert_eq!(record["strikes"], 2);
    assert!(record["muted_until"].is_string(), "{record}");
    let steps = record["steps"].as_array().unwrap();
    let steps: Vec<_> =
        steps.iter().map(|step| (step["action"].as_str().unwrap(), &step["came"], &step["by"])).collect();
    let (queued, policy) = (json!("queued"), json!("strict-shops"));
    assert_eq!(steps, [("warn", &queued, &policy), ("mute", &queued, &policy)]);

    let pardon = json!({"reason": "误判", "allow_phrase": "三黄鸡"});
    let done = gateway.call("POST", "/v1/members/demo/u-9/pardon", pardon).await.expect(200).json();
    let groups = json!([
        {"group": "g-east", "strikes": 2, "unmuted": true, "removed": false},
        {"group": "g-west", "strikes": 1, "unmuted": false, "removed": false},
    ]);
    assert_eq!(done["groups"], groups);
    assert_eq!(
        (&done["allow_phrase"]["phrase"], &done["allow_phrase"]["in_force"]),
        (&json!("三黄鸡"), &json!(true))
    );
    assert_eq!(done["hits"].as_array().unwrap().len(), 3, "{done}");
    for group in ["g-east", "g-west"] {
        let record = conduct(&gateway, group).await;
        assert_eq!((&record["strikes"], &record["muted_until"]), (&json!(0), &Value::Null), "{record}");
        let last = record["steps"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["action"], "pardon");
    }
    let audit = gateway.get("/v1/audit?limit=1000").await.expect(200).text;
    assert!(audit.contains("\"pardon\"") && audit.contains("误判"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pardon_stays_within_the_scope_and_says_what_is_missing() {
    let gateway = punished().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let path = "/v1/members/demo/u-9/pardon";
    let done = gateway.call_as(&western, "POST", path, json!({"reason": "好人"})).await.expect(200).json();
    assert_eq!(done["groups"].as_array().unwrap().len(), 1, "{done}");
    assert_eq!(conduct(&gateway, "g-east").await["strikes"], 2);
    let seen =
        gateway.call_as(&western, "GET", "/v1/groups/demo/g-east/members/u-9/conduct", Value::Null).await;
    seen.expect(404);
    let got = gateway.call("POST", path, json!({"reason": " "})).await.expect(422);
    assert_eq!(got.pointers(), ["/reason"]);
    let phrase = json!({"reason": "x", "allow_phrase": "三黄鸡"});
    gateway.call_as(&western, "POST", path, phrase).await.expect(403);
    gateway.call("POST", "/v1/members/demo/nobody/pardon", json!({"reason": "x"})).await.expect(404);
}

#[tokio::test]
async fn a_ladder_that_makes_no_sense_is_refused_with_the_remedy() {
    let gateway = Gateway::open().await;
    let put = async |step: Value| {
        let body = json!({"ladder": {"steps": [step]}});
        gateway.call("PUT", "/v1/policies/p", body).await.expect(422).text
    };
    let told = put(json!({"at": 1, "do": "mute"})).await;
    assert!(told.contains("steps[0]") && told.contains("10m"), "{told}");
    let told = put(json!({"at": 1, "do": "warn", "text": "{shop.nane}"})).await;
    assert!(told.contains("shop.name"), "{told}");
}
