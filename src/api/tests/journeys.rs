//! Journeys: written, begun by a join, listed where they run, counted.

use serde_json::{Value, json};

use super::{Gateway, NOW_MS};
use crate::connectors::EventSink;
use crate::event::{GroupEvent, Role, What};

fn joins(member: &'static str) -> GroupEvent<'static> {
    GroupEvent {
        id: format!("j-{member}").into(),
        account: "demo".into(),
        group: "g-1".into(),
        member: Some(member.into()),
        name: Some(format!("小{member}").into()),
        role: Role::Customer,
        at_ms: Some(NOW_MS),
        step: None,
        what: What::joined(false),
    }
}

#[tokio::test]
async fn members_under_way_are_listed_and_counted() {
    let gateway = Gateway::open().await;
    gateway.call("PUT", "/v1/groups/demo/g-1", json!({"time_zone": "Asia/Shanghai"})).await.expect(201);
    let week = json!({"stop_when": ["spoke"], "steps": [
        {"id": "d1", "after": "1d", "at": "10:00", "text": "{member.name}"},
        {"id": "d3", "after": "3d", "only_if": "silent", "text": "{member.name}"},
    ]});
    let made = gateway.call("PUT", "/v1/journeys/week", week.clone()).await.expect(201).json();
    assert!(made["written_at"].is_string(), "{made}");
    let joined = vec![joins("b"), joins("a"), joins("b")];
    EventSink::take(&*gateway.ingest, joined).await.unwrap();
    let rows = gateway.get("/v1/groups/demo/g-1/journeys?limit=1").await.expect(200).json();
    let row = json!({"journey": "week", "member": "a", "started_at": "2026-11-22T02:00:00Z", "passed": [], "step": "d1",
        "due_at": "2026-11-23T02:00:00Z", "spoke": false, "unable": []});
    assert_eq!(rows["items"], json!([row]));
    let next = format!("/v1/groups/demo/g-1/journeys?cursor={}", rows["next_cursor"].as_str().unwrap());
    let rows = gateway.get(&next).await.expect(200).json();
    assert_eq!((&rows["items"][0]["member"], &rows["next_cursor"]), (&json!("b"), &Value::Null));
    let numbers = gateway.get("/v1/journeys/week/numbers").await.expect(200).json();
    assert_eq!(
        (&numbers["running"], &numbers["started"], &numbers["told"]),
        (&json!(2), &json!(2), &json!(0))
    );

    // Rewritten, the counts go on, and the list shows the new step at once.
    let shorter = json!({"steps": [{"id": "d2", "after": "2d", "text": "x"}]});
    gateway.call("PUT", "/v1/journeys/week", shorter).await.expect(200);
    let rows = gateway.get("/v1/groups/demo/g-1/journeys").await.expect(200).json();
    assert_eq!((&rows["items"][0]["step"], &rows["items"][0]["spoke"]), (&json!("d2"), &Value::Null));
    let numbers = gateway.get("/v1/journeys/week/numbers").await.expect(200).json();
    assert_eq!(numbers["started"], 2);
    gateway.call("DELETE", "/v1/journeys/week", Value::Null).await.expect(204);
    let rows = gateway.get("/v1/groups/demo/g-1/journeys").await.expect(200).json();
    assert_eq!((&rows["items"][0]["step"], &rows["items"][0]["due_at"]), (&Value::Null, &Value::Null));
    gateway.get("/v1/journeys/week/numbers").await.expect(404);
}

#[tokio::test]
async fn a_journey_whose_text_has_gaps_is_refused_and_names_the_groups() {
    let gateway = Gateway::open().await;
    gateway.call("PUT", "/v1/groups/demo/g-1", json!({"tags": ["new"]})).await.expect(201);
    let step = json!({"id": "d1", "after": "1d", "text": "{shop.address}"});
    let gappy = json!({"tags": ["new"], "steps": [step]});
    let refused = gateway.call("PUT", "/v1/journeys/gappy", gappy.clone()).await.expect(422);
    assert_eq!(refused.pointers(), ["/steps"]);
    let mut shadow = gappy.clone();
    shadow["mode"] = json!("shadow");
    gateway.call("PUT", "/v1/journeys/gappy", shadow).await.expect(201);
    gateway.call("PUT", "/v1/journeys/gappy?missing=allow", gappy).await.expect(200);
}
