//! Questions, people who ask for a person, and leaves, over sockets: staff are told once, over kills, and never of what was
//! answered.

use http::Method;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::told::{Told, endpoint};

/// What staff should hear of so far, without what became of replies.
fn heard(told: &Told) -> Vec<Value> {
    let is_news = |change: &&Value| change["context"].is_object();
    told.lock().values().filter(is_news).cloned().collect()
}

async fn heard_of(told: &Told, kind: &str, group: &str) -> Value {
    eventually(&format!("{kind} of {group} is told"), || async {
        heard(told).into_iter().find(|change| change["type"] == kind && change["group"] == group)
    })
    .await
}

/// Something happens in a group, so many milliseconds after a moment.
async fn happens(
    gateway: &Gateway,
    group: &str,
    id: &str,
    event: Value,
    (since, after_ms): (Timestamp, i64),
) {
    let mut event = event;
    for (name, value) in [("account", "demo"), ("group", group), ("id", id)] {
        event[name] = value.into();
    }
    event["at"] = (since + after_ms.milliseconds()).to_string().into();
    gateway.client.expect(200, Method::POST, "/v1/events", &event).await;
}

fn said(member: &str, role: &str, text: &str) -> Value {
    json!({"type": "message", "member": member, "role": role, "text": text})
}

/// The notices to staff that were sent since the gateway started.
async fn notices(gateway: &Gateway) -> Vec<Value> {
    let sends = gateway.client.get("/v1/sandbox/sends").await;
    sends["items"].as_array().unwrap().iter().filter(|send| send["kind"] == "notice").cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_hear_once_of_what_nobody_answers_over_kills() {
    let mut gateway = Gateway::start(&[
        ("MENSHEN_QUESTIONS__WAIT", "1s"),
        ("MENSHEN_SUBSCRIPTIONS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#),
        ("MENSHEN_SUBSCRIPTIONS__LOOK", "50ms"),
        ("MENSHEN_ALERTS__NOTIFY_HAND_OVERS", "owner"),
        ("MENSHEN_ALERTS__QUIET", ""),
        // Nobody writes in disguise here; without it a gateway starts sooner.
        ("MENSHEN_INTERCEPTION__VARIANTS", "false"),
    ]);
    let told = Told::default();
    let url = endpoint(&told).await;
    gateway.client.expect(201, Method::PUT, "/v1/endpoints/ops", &json!({"url": url})).await;
    let human = json!({"id": "human", "keywords": ["转人工"], "text": "已为您转接", "hand_over": true});
    let hours = json!({"id": "hours", "keywords": ["几点关门"], "text": "十点", "cooldown_s": 0});
    let lines = format!("{human}\n{hours}\n");
    let form = [("content-type", "application/x-ndjson")];
    let taken = gateway.client.send(Method::POST, "/v1/replies", &form, lines).await.unwrap();
    assert_eq!(taken.status, 200, "{taken:?}");
    let group = json!({"name": "徐汇群", "owner": "wang"});
    gateway.client.expect(201, Method::PUT, "/v1/groups/demo/g-human", &group).await;
    let now = Timestamp::now();
    let asked = said("u-1", "customer", "有没有充电宝？");
    happens(&gateway, "g-open", "e-1", asked.clone(), (now, 0)).await;
    happens(&gateway, "g-staff", "e-2", asked, (now, 0)).await;
    happens(&gateway, "g-staff", "e-3", said("li", "staff", "有的"), (now, 900)).await;
    happens(&gateway, "g-rule", "e-4", said("u-4", "customer", "你们几点关门？"), (now, 0)).await;
    gateway.restart();
    let unanswered = heard_of(&told, "question.unanswered", "g-open").await;
    assert_eq!(
        (&unanswered["context"]["event"], &unanswered["state"]),
        (&json!("e-1"), &json!("unanswered"))
    );

    let now = Timestamp::now();
    happens(&gateway, "g-human", "e-5", said("u-5", "customer", "有没有充电宝呀"), (now, 0)).await;
    happens(&gateway, "g-human", "e-6", said("u-5", "customer", "转人工"), (now, 1)).await;
    let handed = heard_of(&told, "conversation.handed_over", "g-human").await;
    let messages = json!([{"event": "e-5", "text": null}, {"event": "e-6", "text": null}]);
    assert_eq!((&handed["context"]["rule"], &handed["context"]["messages"]), (&json!("human"), &messages));
    let notice = eventually("the owner has a notice", || async { notices(&gateway).await.pop() }).await;
    let text = "有 1 次请求人工服务，请尽快到群里回复\n· 徐汇群：1 次";
    assert_eq!((&notice["member"], &notice["text"]), (&json!("wang"), &json!(text)));
    gateway.restart();
    // No rule answers them now, so the question stays open.
    happens(&gateway, "g-human", "e-7", said("u-5", "customer", "几点关门？"), (now, 2)).await;
    let left = json!({"type": "member_left", "member": "u-1", "reason": "self"});
    happens(&gateway, "g-open", "e-8", left, (now, 3)).await;
    let left = heard_of(&told, "member.left", "g-open").await;
    assert_eq!((&left["context"]["member"], &left["context"]["left_last_day"]), (&json!("u-1"), &json!(1)));
    heard_of(&told, "question.unanswered", "g-human").await;
    let mut all: Vec<String> = heard(&told)
        .iter()
        .map(|one| format!("{} {}", one["type"].as_str().unwrap(), one["group"].as_str().unwrap()))
        .collect();
    all.sort();
    let expect = [
        "conversation.handed_over g-human",
        "member.left g-open",
        "question.unanswered g-human",
        "question.unanswered g-open",
    ];
    assert_eq!(all, expect);
    assert_eq!(notices(&gateway).await, [json!(null); 0], "the owner is not told again");
    let text = serde_json::to_string(&heard(&told)).unwrap();
    assert!(!text.contains("充电宝"), "ids and counts only: {text}");
    let report = gateway.client.get("/v1/questions").await;
    let events = report["clusters"].as_array().unwrap().iter().map(|one| one["latest"][0]["event"].clone());
    assert_eq!(events.collect::<Vec<_>>(), [json!("e-1"), json!("e-7")], "{report}");
}
