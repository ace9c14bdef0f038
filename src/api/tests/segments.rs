//! Segments that journeys and audiences rest on.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Gateway, NOW_MS};
use crate::app::segments::{Looking, Watch};
use crate::connectors::EventSink;
use crate::event::{EventType, GroupEvent, HOUR_MS, Message, Role, What};

impl Gateway {
    /// What watches segments in the whole gateway.
    fn watch(&self) -> Watch {
        let parts = self.app.parts();
        Watch {
            people: parts.people.clone(),
            directory: parts.directory.clone(),
            connectors: parts.connectors.clone(),
            ingest: parts.ingest.clone(),
            rules: parts.rules.clone(),
            storage: parts.storage.clone(),
            clock: parts.clock.clone(),
        }
    }

    async fn under_way(&self, group: &str) -> Vec<(String, Value)> {
        let rows = self.get(&format!("/v1/groups/{group}/journeys")).await.expect(200).json();
        let row = |row: &Value| (row["member"].as_str().unwrap().to_owned(), row["unable"].clone());
        rows["items"].as_array().unwrap().iter().map(row).collect()
    }
}

async fn look(watch: &Watch, looking: &mut Looking) {
    // No two looks are at the same moment.
    watch.clock.advance(Duration::from_millis(100));
    while watch.round(looking).await.unwrap() {}
}

fn says(account: &'static str, group: &'static str, member: &'static str, id: &str) -> GroupEvent<'static> {
    GroupEvent {
        id: id.to_owned().into(),
        account: account.into(),
        group: group.into(),
        member: Some(member.into()),
        name: Some(format!("小{member}").into()),
        role: Role::Customer,
        at_ms: Some(NOW_MS),
        step: None,
        what: What::Message(Message { text: "你好".into(), ..Message::default() }),
    }
}

#[tokio::test]
async fn a_journey_begins_for_who_comes_into_its_segment() {
    let gateway = Gateway::open().await;
    let (watch, mut looking) = (gateway.watch(), Looking::default());
    for (nth, member) in ["a", "b", "c"].into_iter().enumerate() {
        let said = vec![says("demo", "g-1", member, &format!("e-{nth}"))];
        EventSink::take(&*gateway.ingest, said).await.unwrap();
    }
    gateway.call("PUT", "/v1/members/demo/a/tags/vip", Value::Null).await.expect(204);
    let journey = json!({"start": {"segment": "vip"}, "stop_when": ["not_in_segment:vip"], "steps": [
        {"id": "d1", "after": "1d", "only_if": {"in_segment": "talks"}, "text": "{member.name}"}]});
    let refused = gateway.call("PUT", "/v1/journeys/vip", journey.clone()).await.expect(422);
    assert_eq!(refused.pointers(), ["/start/segment", "/steps/0/only_if", "/stop_when"]);
    gateway.call("PUT", "/v1/segments/vip", json!({"segment": {"tags": ["vip"]}})).await.expect(201);
    gateway.call("PUT", "/v1/segments/talks", json!({"segment": {"spoke_days": 7}})).await.expect(201);
    gateway.call("PUT", "/v1/journeys/vip", journey.clone()).await.expect(201);
    look(&watch, &mut looking).await;
    assert_eq!(gateway.under_way("demo/g-1").await, [], "who was in it before has not come in");

    gateway.call("PUT", "/v1/members/demo/b/tags/vip", Value::Null).await.expect(204);
    look(&watch, &mut looking).await;
    look(&watch, &mut Looking::default()).await; // as after a start
    let only = |rows: Vec<(String, Value)>| rows.into_iter().map(|(member, _)| member).collect::<Vec<_>>();
    assert_eq!(only(gateway.under_way("demo/g-1").await), ["b"]);
    let numbers = gateway.get("/v1/journeys/vip/numbers").await.expect(200).json();
    assert_eq!((&numbers["started"], &numbers["running"]), (&json!(1), &json!(1)));
    gateway.call("DELETE", "/v1/members/demo/b/tags/vip", Value::Null).await.expect(204);
    look(&watch, &mut looking).await;
    assert_eq!(gateway.under_way("demo/g-1").await, []);
    let numbers = gateway.get("/v1/journeys/vip/numbers").await.expect(200).json();
    assert_eq!(numbers["stopped"]["segment"], 1);

    // Nobody asks any more, and it is forgotten; a journey that asks again begins anew.
    gateway.call("DELETE", "/v1/journeys/vip", Value::Null).await.expect(204);
    look(&watch, &mut looking).await;
    assert_eq!(gateway.ingest.crowd("demo", "g-1", "vip").unwrap(), None);
    gateway.call("PUT", "/v1/members/demo/c/tags/vip", Value::Null).await.expect(204);
    gateway.call("PUT", "/v1/journeys/vip", journey).await.expect(201);
    look(&watch, &mut looking).await;
    assert_eq!(gateway.under_way("demo/g-1").await, []);
}

#[tokio::test]
async fn where_no_message_is_shown_nobody_comes_into_a_segment_of_silence() {
    let gateway = Gateway::open().await;
    let (watch, mut looking) = (gateway.watch(), Looking::default());
    gateway.call("PUT", "/v1/accounts/blind", json!({"platform": "sandbox"})).await.expect(201);
    gateway.call("PUT", "/v1/segments/silent", json!({"segment": {"silent_days": 7}})).await.expect(201);
    let journey =
        json!({"start": {"segment": "silent"}, "steps": [{"id": "d1", "after": "1d", "text": "x"}]});
    gateway.call("PUT", "/v1/journeys/wake", journey).await.expect(201);
    let rejoined =
        json!({"steps": [{"id": "d9", "after": "9d", "only_if": {"in_segment": "silent"}, "text": "x"}]});
    gateway.call("PUT", "/v1/journeys/week", rejoined).await.expect(201);
    let joins =
        |account: &'static str| GroupEvent { what: What::joined(false), ..says(account, "g-1", "a", "j") };
    EventSink::take(&*gateway.ingest, vec![joins("demo"), joins("blind")]).await.unwrap();
    look(&watch, &mut looking).await;
    gateway.clock.advance(Duration::from_hours(8 * 24));
    look(&watch, &mut looking).await;
    let of = |account: &str| gateway.ingest.crowd(account, "g-1", "silent").unwrap().unwrap();
    assert_eq!((of("demo").members.len(), of("demo").unknown.len()), (1, 0));
    assert_eq!((of("blind").members.len(), of("blind").unknown.len()), (0, 1));
    assert_eq!(gateway.under_way("demo/g-1").await, [("a".to_owned(), json!([]))]);
    let numbers = gateway.get("/v1/journeys/wake/numbers").await.expect(200).json();
    assert_eq!((&numbers["started"], &numbers["under_way"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn a_segment_in_use_is_not_removed_and_says_by_what() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    gateway.happen(EventType::Message, "g-1", ("m", Role::Customer), NOW_MS - HOUR_MS, Vec::new()).await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let vip = json!({"segment": {"tags": ["vip"]}});
    gateway.call_as(&western, "PUT", "/v1/segments/vip", vip.clone()).await.expect(201);
    let audience = json!({"audience": {"segment": {"id": "vip"}}});
    gateway.call("PUT", "/v1/audiences/all-vip", audience).await.expect(201);
    let journey = json!({"start": {"segment": "vip"}, "steps": [{"id": "d1", "after": "1d", "text": "x"}]});
    gateway.call("PUT", "/v1/journeys/vip", journey).await.expect(201);
    let later = json!({"text": "你好", "audience": {"any": [{"segment": {"id": "vip"}}, {"groups": ["demo/g-1"]}]},
        "draft": true});
    let made = gateway.post_once(&gateway.admin, "/v1/broadcasts", "k-1", later).await;
    assert!(made.status.is_success(), "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let refused = gateway.call("DELETE", "/v1/segments/vip", Value::Null).await.expect(409);
    for named in ["journey `vip`", "audience `all-vip`", &format!("broadcast `{id}`")] {
        assert!(refused.text.contains(named), "{named}: {}", refused.text);
    }
    let refused = gateway.call_as(&western, "DELETE", "/v1/segments/vip", Value::Null).await.expect(409);
    assert!(refused.text.contains("journey `vip`") && refused.text.contains("2 more"), "{}", refused.text);
    let scored = json!({"segment": {"recency": {"min": 4}}});
    let refused = gateway.call("PUT", "/v1/segments/vip", scored.clone()).await.expect(422);
    assert_eq!(refused.pointers(), ["/segment"]);
    gateway.call("PUT", "/v1/segments/best", scored).await.expect(201);
    let journey = json!({"start": {"segment": "best"}, "steps": [{"id": "d1", "after": "1d", "text": "x"}]});
    let refused = gateway.call("PUT", "/v1/journeys/best", journey).await.expect(422);
    assert_eq!(refused.pointers(), ["/start/segment"]);
    gateway.call("DELETE", "/v1/journeys/vip", Value::Null).await.expect(204);
    gateway.call("DELETE", "/v1/audiences/all-vip", Value::Null).await.expect(204);
    let path = format!("/v1/broadcasts/{id}/cancel");
    let cancelled = gateway.post_once(&gateway.admin, &path, "k-2", json!({})).await;
    assert!(cancelled.status.is_success(), "{}", cancelled.text);
    gateway.call("DELETE", "/v1/segments/vip", Value::Null).await.expect(204);
}
