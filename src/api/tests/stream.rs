//! What is told as it happens.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Config, Gateway, NOW_MS};
use crate::event::{EventType, Fact, Level, Role};
use crate::storage::{Change, StatusChange, Subject};

/// An open stream.
struct Heard {
    body: Body,
    text: String,
}

impl Heard {
    async fn open(gateway: &Gateway, token: &str, path: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(path).header("authorization", format!("Bearer {token}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = gateway.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), text: String::new() }
    }

    /// Waits for the next event; comments are passed over.
    async fn next(&mut self) -> (String, String, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim().to_owned()
                };
                if !field("event:").is_empty() {
                    return (field("event:"), field("id:"), serde_json::from_str(&field("data:")).unwrap());
                }
                continue;
            }
            let frame = self.body.frame().await.expect("the stream goes on").unwrap();
            if let Ok(bytes) = frame.into_data() {
                self.text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        }
    }
}

fn hit() -> Vec<Fact<'static>> {
    vec![Fact::Hit(crate::event::HitFact {
        wordlist: "diversion".into(),
        term: 7,
        category: "contact".into(),
        level: Level::High,
        span: (0, 3),
        via: Vec::new(),
    })]
}

async fn happened(gateway: &Gateway, id: &str, group: &str) {
    let told =
        StatusChange::happened(Subject::Member, "left", id.into(), NOW_MS, ("demo", group), &json!({}));
    gateway.storage.apply(Change { told: vec![told], ..Change::default() }).await.unwrap();
}

#[tokio::test]
async fn verdicts_and_changes_are_told_within_the_scope_and_gone_on_with() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let mut all = Heard::open(&gateway, &gateway.admin, "/v1/stream?all_verdicts=true", None).await;
    let mut west =
        Heard::open(&gateway, &western, "/v1/stream?all_verdicts=true&topics=verdict,status", None).await;
    let customer = |member| (member, Role::Customer);
    gateway.happen(EventType::Message, "g-east", customer("u-1"), NOW_MS, hit()).await;
    let (event, first, data) = all.next().await;
    assert_eq!(
        (event.as_str(), &data["group"], &data["member"]),
        ("verdict", &json!("g-east"), &json!("u-1"))
    );
    assert_eq!(data["hits"][0]["wordlist"], "diversion");
    gateway.happen(EventType::Message, "g-west", customer("u-2"), NOW_MS, Vec::new()).await;
    assert_eq!(west.next().await.2["group"], "g-west", "nothing of the east comes before it");
    assert_eq!(all.next().await.2["group"], "g-west");
    happened(&gateway, "lv-1", "g-east").await;
    happened(&gateway, "lv-2", "g-west").await;
    let (event, last, data) = all.next().await;
    assert_eq!(
        (event.as_str(), &data["id"], &data["type"]),
        ("status", &json!("lv-1"), &json!("member.left"))
    );
    assert_eq!(west.next().await.2["id"], "lv-2");
    // Whoever comes again hears what came after.
    let mut again = Heard::open(&gateway, &gateway.admin, "/v1/stream?topics=status", Some(&last)).await;
    assert_eq!(again.next().await.2["id"], "lv-2");
    let mut again = Heard::open(&gateway, &gateway.admin, "/v1/stream?all_verdicts=true", Some(&first)).await;
    assert_eq!(again.next().await.2["group"], "g-east");
}

#[tokio::test]
async fn what_is_lost_is_said_and_streams_are_bounded() {
    let gateway =
        Gateway::open_with(crate::access::Config::default(), Config { streams_max: 1, ..Config::default() })
            .await;
    for nth in 0..3 {
        happened(&gateway, &format!("lv-{nth}"), "g-1").await;
    }
    gateway.storage.status_forget(2).await.unwrap();
    let mut stream = Heard::open(&gateway, &gateway.admin, "/v1/stream?topics=status", Some("0.0")).await;
    let (event, _, data) = stream.next().await;
    assert_eq!((event.as_str(), data), ("lost", json!({"status_changes": 2})));
    assert_eq!(stream.next().await.2["id"], "lv-2");
    let refused = gateway.get("/v1/stream").await.expect(409);
    assert!(refused.text.contains("api.streams_max"), "{}", refused.text);
    drop(stream);
    Heard::open(&gateway, &gateway.admin, "/v1/stream", None).await;
    gateway.get("/v1/stream?topics=weather").await.expect(400);
}
