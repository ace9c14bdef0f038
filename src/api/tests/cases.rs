//! One advert in many groups: every message of it, and one decision.

use serde_json::{Value, json};

use super::{Gateway, NOW_MS};
use crate::event::{
    Alike, CaseFact, Effects, EventKey, EventType, Fact, Head, PARTITION_FLEET, Role, SightedFact, Status,
    Verdict,
};
use crate::fleet::runner::Copies;
use crate::storage::{Append, DeliveryFilter, codec};

const CASE: &str = "case_1";

fn sighted(
    group: &'static str,
    member: &'static str,
    of: Option<&'static str>,
    verdict: Verdict,
) -> SightedFact<'static> {
    SightedFact {
        case: CASE.into(),
        account: "demo".into(),
        group: group.into(),
        member: Some(member.into()),
        of: of.map(Into::into),
        at_ms: NOW_MS,
        by: Alike::Near,
        verdict,
    }
}

/// A gateway with a case in the east, the west and a region whose removals are used up.
async fn advertised() -> Gateway {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    gateway.directory.see("demo", "g-poor");
    let sightings = vec![
        sighted("g-east", "u-1", Some("e-1"), Verdict::Pass),
        sighted("g-east", "u-1", Some("e-2"), Verdict::Block),
        sighted("g-west", "u-2", Some("e-3"), Verdict::Review),
        sighted("g-poor", "u-3", None, Verdict::Pass),
        sighted("g-poor", "owner", Some("e-5"), Verdict::Pass),
    ];
    let groups = ["g-east", "g-west", "g-poor"].map(|group| ("demo".into(), group.into())).to_vec();
    let case = CaseFact { id: CASE.into(), fingerprint: 7, groups, first_ms: NOW_MS, last_ms: NOW_MS };
    let head = Head {
        key: EventKey(1),
        at_ms: NOW_MS,
        arrived_ms: NOW_MS,
        account: "".into(),
        group: "".into(),
        member: None,
        name: None,
        role: Role::Bot,
        what: EventType::Message,
        status: Status::Counted,
        verdict: Verdict::Review,
        revised: false,
        fingerprint: None,
    };
    let facts = std::iter::once(Fact::Case(case)).chain(sightings.into_iter().map(Fact::Sighted)).collect();
    let mut payload = Vec::new();
    codec::encode(&Effects { head, facts }, &mut payload);
    let append = Append {
        partition: PARTITION_FLEET,
        epoch: gateway.epoch,
        payload: &payload,
        events: 1,
        bucket_min: 0,
        bucket_max: 0,
    };
    gateway.storage.append(append).unwrap().wait().await.unwrap();
    gateway
}

/// What is to be sent, as (kind, group, member).
async fn deliveries(gateway: &Gateway) -> Vec<(String, String, String)> {
    let rows =
        gateway.storage.deliveries(DeliveryFilter { limit: 100, ..DeliveryFilter::default() }).await.unwrap();
    let of = |body: &str| {
        serde_json::from_str::<Value>(body).unwrap()["member"].as_str().unwrap_or_default().to_owned()
    };
    let mut all: Vec<_> = rows.into_iter().map(|row| (row.kind, row.group, of(&row.body))).collect();
    all.sort();
    all
}

fn row(kind: &str, group: &str, member: &str) -> (String, String, String) {
    (kind.to_owned(), group.to_owned(), member.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_shows_what_it_holds_within_the_scope() {
    let gateway = advertised().await;
    let case = gateway.get("/v1/cases/case_1").await.expect(200).json();
    assert_eq!((&case["state"], &case["messages"], &case["members"]), (&json!("open"), &json!(5), &json!(4)));
    assert_eq!(case["by"], json!({"near": 5}));
    assert_eq!(case["evidence"], Value::Null);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page =
            gateway.get(&format!("/v1/cases/case_1/messages?limit=2{cursor}")).await.expect(200).json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["event"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, [json!("e-1"), json!("e-2"), Value::Null, json!("e-5"), json!("e-3")]);
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let case = gateway.call_as(&western, "GET", "/v1/cases/case_1", Value::Null).await.expect(200).json();
    assert_eq!((&case["messages"], &case["groups"]), (&json!(1), &json!(["demo/g-west"])));
    let decision = json!({"act": "withdraw", "reason": "广告"});
    let refused =
        gateway.call_as(&western, "POST", "/v1/cases/case_1/decision", decision).await.expect(403).text;
    assert!(refused.contains("outside of your scope"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_decision_acts_in_all_groups_and_later_copies_follow() {
    let gateway = advertised().await;
    let path = "/v1/cases/case_1/decision";
    let unseen = json!({"act": "withdraw", "remove_members": true, "reason": "广告"});
    let told = gateway.call("POST", path, unseen).await.expect(422);
    assert_eq!(told.pointers(), ["/confirm_members"]);
    assert!(told.text.contains("\\\"confirm_members\\\": 4"), "{}", told.text);
    let decision = json!({"act": "withdraw", "remove_members": true, "confirm_members": 4, "reason": "广告"});
    let done = gateway.call("POST", path, decision.clone()).await.expect(200).json();
    let counts = ["withdrawn", "before", "not_withdrawn", "removed", "not_removed", "over_budget"];
    let counts = counts.map(|count| done[count].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 1, 1, 1, 1], "{done}");
    let expect = [
        row("recall", "g-east", "u-1"),
        row("recall", "g-poor", "owner"),
        row("recall", "g-west", "u-2"),
        row("remove", "g-east", "u-1"),
    ];
    assert_eq!(deliveries(&gateway).await, expect);
    gateway.call("POST", path, decision).await.expect(409);
    assert_eq!(gateway.get("/v1/cases/case_1").await.expect(200).json()["state"], "withdrawn");

    let copies = [
        sighted("g-new", "u-9", Some("e-9"), Verdict::Pass),
        sighted("g-east", "u-1", Some("e-1"), Verdict::Pass),
    ];
    for _ in 0..2 {
        gateway.app.parts().cases.seen(&copies).await.unwrap();
    }
    let after = deliveries(&gateway).await;
    assert_eq!(after.len(), expect.len() + 1, "each message once: {after:?}");
    assert!(after.contains(&row("recall", "g-new", "u-9")));
    let audit = gateway.get("/v1/audit?limit=1000").await.expect(200).text;
    assert!(audit.contains(CASE), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dismissed_is_left_alone() {
    let gateway = advertised().await;
    let path = "/v1/cases/case_1/decision";
    let both = json!({"act": "dismiss", "remove_members": true, "confirm_members": 4, "reason": "活动文案"});
    assert_eq!(gateway.call("POST", path, both).await.expect(422).pointers(), ["/remove_members"]);
    gateway.call("POST", path, json!({"act": "dismiss", "reason": "活动文案"})).await.expect(200);
    gateway.app.parts().cases.seen(&[sighted("g-new", "u-9", Some("e-9"), Verdict::Pass)]).await.unwrap();
    assert_eq!(deliveries(&gateway).await, []);
    let listed = gateway.get("/v1/cases").await.expect(200).json();
    assert_eq!(listed["items"][0]["state"], "dismissed");
}
