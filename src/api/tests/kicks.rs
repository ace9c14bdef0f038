//! Kick lists: shown first, then in force, then undone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Gateway, NOW_MS};
use crate::event::{GroupEvent, Message, Role, What};
use crate::ingest::events::Source;
use crate::reviews::follower::Follower;

fn join(group: &'static str, member: &'static str, n: usize) -> GroupEvent<'static> {
    GroupEvent {
        id: format!("j-{group}-{member}-{n}").into(),
        account: "demo".into(),
        group: group.into(),
        member: Some(member.into()),
        name: None,
        role: Role::Customer,
        at_ms: Some(NOW_MS),
        step: None,
        what: What::joined(false),
    }
}

fn says(group: &'static str, member: &'static str) -> GroupEvent<'static> {
    let what = What::Message(Message { text: "大家好".into(), ..Message::default() });
    GroupEvent { id: format!("s-{group}-{member}").into(), what, ..join(group, member, 0) }
}

/// Lets members join through the pipeline; returns what is asked of the platform for each.
async fn joins(gateway: &Gateway, events: Vec<GroupEvent<'static>>) -> Vec<Vec<String>> {
    let taken = gateway.app.parts().ingest.take(Source::Platform, events.into_iter().map(Ok)).await.unwrap();
    let actions = |answer: crate::event::Answer| {
        answer.actions.iter().map(|action| format!("{} {}", action.kind.as_str(), action.state)).collect()
    };
    taken.into_iter().map(|answer| actions(answer.unwrap())).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "it is written where it is sent")]
fn list(more: Value) -> Value {
    let mut body = json!({"account": "demo", "members": ["u-1", "owner", "u-9"], "until": "2099-01-01T00:00:00Z", "reason": "刷广告"});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn who_would_be_hit_is_shown_before_anything_happens() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let there = vec![join("g-east", "u-1", 0), join("g-west", "u-1", 0), join("g-west", "u-2", 0)];
    assert_eq!(joins(&gateway, there).await, [[""; 0]; 3]);
    let east = json!({"where": {"regions": ["east"]}});
    let preview = gateway.call("POST", "/v1/kicks", list(east)).await.expect(200).json();
    assert_eq!((&preview["kick"], &preview["would_remove"]), (&Value::Null, &json!(1)), "{preview}");
    assert_eq!(preview["groups"], json!([{"account": "demo", "group": "g-east", "members": ["u-1"]}]));
    assert_eq!((&preview["budget_left"], &preview["over_budget"]), (&json!(20), &json!(0)), "{preview}");
    let zh = preview["zh"].as_str().unwrap();
    assert!(zh.contains("预览") && zh.contains("还剩 20 人次"), "{zh}");
    assert_eq!(gateway.get("/v1/kicks").await.expect(200).json()["items"], json!([]));

    let wrong = list(json!({"confirm": 3}));
    assert_eq!(gateway.call("POST", "/v1/kicks", wrong).await.expect(422).pointers(), ["/confirm"]);
    let made = gateway.call("POST", "/v1/kicks", list(json!({"confirm": 2}))).await.expect(200).json();
    assert_eq!((&made["done"]["removed"], &made["done"]["over_budget"]), (&json!(2), &json!(0)), "{made}");
    let speaks = says("g-east", "u-1");
    assert_eq!(joins(&gateway, vec![speaks]).await, [["recall queued"]], "asked for already");
    let record = gateway.get("/v1/groups/demo/g-west/members/u-1/conduct").await.expect(200).json();
    assert_eq!(record["steps"][0]["by"], made["kick"], "{record}");
    let pardon = json!({"reason": "误判"});
    let done = gateway.call("POST", "/v1/members/demo/u-1/pardon", pardon).await.expect(200).json();
    let groups: Vec<_> =
        done["groups"].as_array().unwrap().iter().map(|of| (&of["group"], &of["removed"])).collect();
    assert_eq!(groups, [(&json!("g-east"), &json!(true)), (&json!("g-west"), &json!(true))], "{done}");
    let again = vec![join("g-new", "u-9", 1), join("g-new", "u-2", 1)];
    assert_eq!(joins(&gateway, again).await, [vec!["remove queued".to_owned()], vec![]]);
    let record = gateway.get("/v1/groups/demo/g-new/members/u-9/conduct").await.expect(200).json();
    assert_eq!(record["steps"][0]["by"], made["kick"], "{record}");

    let path = format!("/v1/kicks/{}", made["kick"].as_str().unwrap());
    gateway.call("DELETE", &path, Value::Null).await.expect(204);
    gateway.call("DELETE", &path, Value::Null).await.expect(404);
    assert_eq!(joins(&gateway, vec![join("g-new", "u-9", 2)]).await, [[""; 0]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pardon_takes_a_member_off_and_an_end_is_an_end() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    gateway.call("POST", "/v1/kicks", list(json!({"confirm": 0}))).await.expect(200);
    assert_eq!(joins(&gateway, vec![join("g-east", "u-9", 0)]).await, [["remove queued".to_owned()]]);
    let done = gateway
        .call("POST", "/v1/members/demo/u-9/pardon", json!({"reason": "误判"}))
        .await
        .expect(200)
        .json();
    assert_eq!((&done["kick_lists"], &done["groups"][0]["removed"]), (&json!(1), &json!(true)), "{done}");
    assert_eq!(joins(&gateway, vec![join("g-east", "u-9", 1)]).await, [[""; 0]]);
    let left = gateway.get("/v1/kicks").await.expect(200).json();
    assert_eq!(left["items"][0]["members"], json!(["owner", "u-1"]), "{left}");
    gateway.clock.advance(Duration::from_hours(24 * 366 * 100));
    assert_eq!(gateway.get("/v1/kicks").await.expect(200).json()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_takes_the_whole_scope_and_names_its_mistakes() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    gateway.call("POST", "/v1/kicks", list(json!({"confirm": 0}))).await.expect(200);
    let refused = gateway.call_as(&western, "POST", "/v1/kicks", list(json!({}))).await.expect(422);
    assert_eq!(refused.pointers(), ["/where"]);
    let seen = gateway.call_as(&western, "GET", "/v1/kicks", Value::Null).await.expect(200).json();
    assert_eq!(seen["items"], json!([]));
    let wrong = list(json!({"account": "nobody", "members": [], "until": "2001-01-01T00:00:00Z"}));
    let told = gateway.call("POST", "/v1/kicks", wrong).await.expect(422);
    assert_eq!(told.pointers(), ["/account", "/members", "/until"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_budget_the_preview_says_so_and_a_review_waits_for_each() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let members: Vec<String> = (0..23).map(|n| format!("m-{n:02}")).collect();
    let there = members.iter().map(|member| {
        let id = format!("j-{member}").into();
        GroupEvent { id, member: Some(member.clone().into()), ..join("g-east", "", 0) }
    });
    joins(&gateway, there.collect()).await;
    let preview =
        gateway.call("POST", "/v1/kicks", list(json!({"members": members}))).await.expect(200).json();
    let counts = ["would_remove", "budget_left", "over_budget", "by_hand"];
    let counts = counts.map(|count| preview[count].as_u64().unwrap());
    assert_eq!(counts, [23, 20, 3, 0], "{preview}");
    assert!(preview["zh"].as_str().unwrap().contains("超出的 3 人次"), "{preview}");
    let confirmed = list(json!({"members": members, "confirm": 23}));
    let made = gateway.call("POST", "/v1/kicks", confirmed).await.expect(200).json();
    assert_eq!((&made["done"]["removed"], &made["done"]["over_budget"]), (&json!(20), &json!(3)), "{made}");
    assert!(made["zh"].as_str().unwrap().contains("转人工复核"), "{made}");
    let queue = Follower::open(Arc::clone(&gateway.reviews)).await.unwrap();
    let mut passed = queue.passed();
    gateway.tasks.spawn("reviews", queue.run(gateway.tasks.clone()));
    let head = gateway.storage.head_position().unwrap();
    let read = passed.wait_for(|position| *position >= head);
    tokio::time::timeout(Duration::from_mins(1), read).await.unwrap().unwrap();
    let rule = format!("{}:remove:over_budget", made["kick"].as_str().unwrap());
    let reviews = gateway.get("/v1/reviews").await.expect(200).json();
    let word = |review: &Value, field: &str| review[field].as_str().unwrap().to_owned();
    let reviews = reviews["items"].as_array().unwrap().iter();
    let waiting: BTreeSet<_> = reviews
        .map(|review| (word(review, "member"), review["because"][0].as_str().unwrap().to_owned()))
        .collect();
    let expect = ["m-20", "m-21", "m-22"].map(|member| (member.to_owned(), rule.clone()));
    assert_eq!(waiting, BTreeSet::from(expect));
}
