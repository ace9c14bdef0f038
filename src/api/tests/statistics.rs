//! Numbers, members, hits.

use serde_json::{Value, json};

use super::{Config, Gateway, NOW_MS, access, listener};
use crate::event::{
    AnsweredFact, ContentFact, EventType, Fact, HOUR_MS, MemberFact, OutcomeFact, Role, Waited,
};
use crate::storage::{DeliveryRow, DeliveryState};

const DAY_MS: i64 = 24 * HOUR_MS;

fn joined(channel: &'static str) -> Vec<Fact<'static>> {
    vec![Fact::Member(MemberFact {
        joined: true,
        inviter: None,
        scene: None,
        channel: Some(channel.into()),
        reason: None,
        union_id: None,
        inferred: false,
    })]
}

/// Three customers of the east, one of them in the west, too; two join, one of these leaves within a day.
async fn populate(gateway: &Gateway) {
    gateway.furnish().await;
    let customer = |member| (member, Role::Customer);
    for (group, member, days) in [("g-east", "u-1", 1), ("g-east", "u-2", 9), ("g-west", "u-1", 0)] {
        gateway.message(group, member, NOW_MS - days * DAY_MS - HOUR_MS).await;
    }
    let at_ms = NOW_MS - 3 * DAY_MS;
    gateway.happen(EventType::MemberJoined, "g-east", customer("u-3"), at_ms, joined("poster")).await;
    gateway.happen(EventType::MemberJoined, "g-east", customer("u-4"), at_ms, joined("poster")).await;
    gateway.happen(EventType::MemberLeft, "g-east", customer("u-4"), at_ms + HOUR_MS, Vec::new()).await;
    gateway.message("g-east", "u-3", at_ms + DAY_MS).await;
    let picture = vec![Fact::Content(ContentFact { kind: "image".into() })];
    gateway.message_with("g-east", "u-1", NOW_MS - 2 * HOUR_MS, picture).await;
    let hour = u32::try_from(NOW_MS / HOUR_MS).unwrap() - 2;
    let questions = [30, 60, 600].map(|seconds| Waited { hour, seconds, is_open: true }).to_vec();
    let answered = vec![Fact::Answered(AnsweredFact { questions })];
    let staff = ("s-1", Role::Staff);
    gateway.happen(EventType::Message, "g-east", staff, NOW_MS - HOUR_MS, answered).await;
}

#[tokio::test]
async fn figures_are_told_by_week_and_apart_and_people_once() {
    let gateway = Gateway::open().await;
    populate(&gateway).await;
    let path = "/v1/statistics?by=day&from=2026-11-16&until=2026-11-23&split=region&members=true";
    let got = gateway.get(path).await.expect(200).json();
    let totals = &got["totals"];
    assert_eq!((&totals["messages"], &totals["staff_messages"]), (&json!(5), &json!(1)));
    assert_eq!((&totals["active_members"], &totals["active_staff"]), (&json!(2), &json!(1)));
    assert_eq!(
        (&totals["customer_joins"], &totals["net"], &totals["early_leaves"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!((&totals["members"], &got["people"]), (&json!(4), &json!(3)));
    assert_eq!(totals["contents"], json!({"customer": {"image": 1}}));
    assert_eq!(totals["joined_by"], json!({"poster": 2}));
    assert_eq!(totals["first_reply"], json!({"answers": 3, "median_seconds": 60, "p90_seconds": 600}));
    assert_eq!(totals["coverage"]["coverage"], "full");
    assert_eq!(got["rows"].as_array().unwrap().len(), 7);
    let (east, west) = (&got["split"]["east"], &got["split"]["west"]);
    assert_eq!(
        (&east["totals"]["active_members"], &west["totals"]["active_members"]),
        (&json!(2), &json!(1))
    );
    assert_eq!((&east["people"], &west["people"]), (&json!(3), &json!(1)));
    let weeks =
        gateway.get("/v1/groups/demo/g-east/statistics?by=week&from=2026-11-10").await.expect(200).json();
    let starts: Vec<_> = weeks["rows"].as_array().unwrap().iter().map(|row| row["start"].clone()).collect();
    assert_eq!(starts, ["2026-11-08T16:00:00Z", "2026-11-15T16:00:00Z"]);
    assert_eq!(weeks["rows"][1]["members"], 3);
    gateway.get("/v1/statistics?split=planet").await.expect(400);
    assert_eq!(gateway.get("/v1/statistics?platform=matrix").await.expect(200).json()["groups"], 0);
}

#[tokio::test]
async fn people_are_counted_once_with_who_is_new_silent_and_lost() {
    let gateway = Gateway::open().await;
    populate(&gateway).await;
    let path = "/v1/statistics/people?from=2026-11-16&silent_days=5";
    let got = gateway.get(path).await.expect(200).json();
    assert_eq!(
        (&got["people"], &got["members"], &got["in_several_groups"]),
        (&json!(3), &json!(4), &json!(1))
    );
    assert_eq!((&got["staff"], &got["active_members"]), (&json!(1), &json!(2)));
    // u-2 spoke nine days ago and is there: silent. u-1 was first seen a day ago.
    assert_eq!((&got["silent_members"], &got["new_people"]), (&json!(1), &json!(3)));
    assert_eq!((&got["active_before"], &got["overlap"]), (&json!(1), &json!(0)));
    assert_eq!(got["dormant_groups"], 0);
    gateway.get("/v1/statistics/people?silent_days=0").await.expect(400);
    let kept = gateway.get("/v1/statistics/retention?by=week&from=2026-11-16").await.expect(200).json();
    assert_eq!(kept["cohorts"][0]["people"], 2);
    assert_eq!(kept["cohorts"][0]["after"][0], json!({"days": 1, "of": 2, "there": 1, "speaking": 1}));
    assert_eq!(kept["cohorts"][0]["after"][1]["of"], 0);
    let heat = gateway.get("/v1/statistics/heatmap?from=2026-11-16").await.expect(200).json();
    let said: u64 = heat["messages"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|day| day.as_array().unwrap())
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(said, 4);
    // Sunday, 09:00 in Shanghai.
    assert_eq!(heat["messages"][6][9], 1);
}

#[tokio::test]
async fn what_cannot_be_seen_is_null_and_never_0() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let account = json!({"platform": "sandbox", "name": "off", "disabled": true});
    gateway.call("PUT", "/v1/accounts/blind", account).await.expect(201);
    gateway.directory.see("blind", "g-blind");
    let got = gateway.get("/v1/statistics?account=blind&members=true").await.expect(200).json();
    assert_eq!(
        got["totals"]["coverage"],
        json!({"coverage": "unavailable", "groups": 0, "partly": 0, "of": 1})
    );
    for field in ["messages", "active_members", "hits", "blocked", "questions", "contents", "categories"] {
        assert_eq!(got["totals"][field], Value::Null, "{field}");
    }
    assert_eq!((&got["totals"]["joins"], &got["totals"]["members"]), (&json!(0), &json!(0)));
    let people = gateway.get("/v1/statistics/people?account=blind").await.expect(200).json();
    assert_eq!((&people["silent_members"], &people["dormant_groups"]), (&Value::Null, &Value::Null));
    assert_eq!(
        gateway.get("/v1/statistics/heatmap?account=blind").await.expect(200).json()["messages"],
        Value::Null
    );
    assert_eq!(
        gateway.get("/v1/statistics").await.expect(200).json()["totals"]["coverage"]["coverage"],
        "partial"
    );
}

#[tokio::test]
async fn every_figure_has_a_definition_in_both_languages() {
    let gateway = Gateway::open().await;
    populate(&gateway).await;
    let defined = gateway.get("/v1/statistics/definitions").await.expect(200).json();
    let defined = defined["items"].as_array().unwrap();
    for item in defined {
        for field in ["field", "zh", "en", "meaning_zh", "meaning_en"] {
            assert!(!item[field].as_str().unwrap().is_empty(), "{item}");
        }
    }
    let got = gateway.get("/v1/statistics").await.expect(200).json();
    for field in got["totals"].as_object().unwrap().keys() {
        assert!(defined.iter().any(|item| item["field"] == *field), "{field} has no definition");
    }
}

#[tokio::test]
async fn a_group_is_compared_with_its_past_and_its_kind() {
    let gateway = Gateway::open().await;
    populate(&gateway).await;
    let path = "/v1/groups/demo/g-east/statistics/comparison?among=brand";
    let got = gateway.get(path).await.expect(200).json();
    assert_eq!(got["peers"], 2);
    let measure = |name: &str| {
        let all = got["measures"].as_array().unwrap();
        all.iter().find(|measure| measure["measure"] == name).unwrap().clone()
    };
    let messages = measure("messages");
    assert_eq!((&messages["value"], &messages["before"]), (&json!(4.0), &json!(1.0)));
    assert_eq!((&messages["change_percent"], &messages["percentile"]), (&json!(300.0), &json!(75.0)));
    // Whoever sees the east only is not told of the west.
    let eastern = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    let own = gateway.call_as(&eastern, "GET", path, Value::Null).await.expect(200).json();
    assert_eq!((&own["peers"], &own["measures"][0]["percentile"]), (&json!(1), &Value::Null));
    gateway.get("/v1/groups/demo/g-nowhere/statistics/comparison").await.expect(404);
    gateway.get("/v1/groups/demo/g-east/statistics/comparison?days=0").await.expect(400);
}

#[tokio::test]
async fn every_groups_numbers_are_a_file_that_can_be_gone_on_with() {
    let gateway = Gateway::open().await;
    populate(&gateway).await;
    let got = gateway.get("/v1/statistics/export?from=2026-11-20&until=2026-11-22").await.expect(200);
    assert_eq!(got.header("content-type"), "text/csv; charset=utf-8");
    let text = &got.text;
    let lines: Vec<_> = text.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(lines.len(), 1 + 2 * 2);
    assert!(
        lines[1].starts_with("demo,g-east,east机密群,s-east,east,acme,2026-11-19T16:00:00Z,1,0,"),
        "{}",
        lines[1]
    );
    let rest =
        gateway.get("/v1/statistics/export?from=2026-11-20&until=2026-11-22&format=ndjson&after=demo/g-east");
    let rest = rest.await.expect(200).text;
    assert_eq!(rest.lines().count(), 2);
    let first: Value = serde_json::from_str(rest.lines().next().unwrap()).unwrap();
    assert_eq!(first["group"], "g-west");
    gateway.get("/v1/statistics/export?after=nonsense").await.expect(400);
}

#[tokio::test]
async fn an_acknowledged_event_is_in_the_numbers_one_reads() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    for n in 0..5 {
        gateway.message("g-east", &format!("m-{n}"), NOW_MS - HOUR_MS * n).await;
    }
    let got = gateway.get("/v1/groups/demo/g-east/statistics?by=hour").await.expect(200).json();
    assert_eq!(got["totals"]["messages"], 5);
    assert_eq!(got["rows"].as_array().unwrap().len(), 24);
    assert_eq!(got["time_zone"], "Asia/Shanghai");
    // 10:00 in Shanghai: four hours back are still the same day.
    let got =
        gateway.get("/v1/groups/demo/g-east/statistics?by=day&from=2026-11-22").await.expect(200).json();
    assert_eq!(got["rows"].as_array().unwrap().len(), 1);
    assert_eq!(got["rows"][0]["start"], "2026-11-21T16:00:00Z");
    assert_eq!(got["rows"][0]["messages"], 5);
    let query = "by=hour&from=2026-11-22T09:00:00%2B08:00&until=2026-11-22T11:00:00+08:00";
    let got = gateway.get(&format!("/v1/groups/demo/g-east/statistics?{query}")).await.expect(200).json();
    let rows: Vec<_> = got["rows"].as_array().unwrap().iter().map(|row| row["messages"].clone()).collect();
    assert_eq!(rows, [json!(1), json!(1)]);
    gateway.get("/v1/groups/demo/g-east/statistics?by=year").await.expect(400);
    gateway.get("/v1/groups/demo/g-east/statistics?by=hour&from=2020-01-01").await.expect(400);
}

#[tokio::test]
async fn totals_are_those_of_the_scope() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    for (group, count) in [("g-east", 3), ("g-west", 2), ("g-nowhere", 1)] {
        for n in 0..count {
            gateway.message(group, &format!("m-{n}"), NOW_MS).await;
        }
    }
    let all = gateway.get("/v1/statistics?top=2").await.expect(200).json();
    assert_eq!((all["groups"].clone(), all["totals"]["messages"].clone()), (json!(3), json!(6)));
    let top: Vec<_> = all["top"].as_array().unwrap().iter().map(|g| g["group"].clone()).collect();
    assert_eq!(top, ["g-east", "g-west"]);
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let own = gateway.call_as(&western, "GET", "/v1/statistics", Value::Null).await.expect(200).json();
    assert_eq!((own["groups"].clone(), own["totals"]["messages"].clone()), (json!(1), json!(2)));
    let filtered = gateway.get("/v1/statistics?region=east").await.expect(200).json();
    assert_eq!(filtered["totals"]["messages"], 3);
}

#[tokio::test]
async fn members_are_listed_with_what_they_did() {
    let gateway = Gateway::open().await;
    for n in 0..3 {
        gateway.message("g-1", &format!("m-{n}"), NOW_MS + n).await;
    }
    let page = gateway.get("/v1/groups/demo/g-1/members?limit=2").await.expect(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(page["items"][0]["messages"], 1);
    let next = page["next_cursor"].as_str().unwrap();
    let rest = gateway.get(&format!("/v1/groups/demo/g-1/members?cursor={next}")).await.expect(200).json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert_eq!(gateway.get("/v1/groups/demo/g-1/hits").await.expect(200).json(), json!({"items": []}));
}

#[tokio::test]
async fn broadcasts_that_arrived_and_what_came_of_business_are_figures_of_a_group() {
    let gateway = Gateway::open().await;
    populate(&gateway).await;
    let outcome = |kind: &'static str, value| {
        vec![Fact::Outcome(OutcomeFact { kind: kind.into(), value, broadcast: None })]
    };
    for (nth, (kind, value)) in [("order", 99.5), ("order", -9.0), ("click", 0.0)].into_iter().enumerate() {
        let at_ms = NOW_MS - HOUR_MS + i64::try_from(nth).unwrap();
        gateway
            .happen(EventType::Outcome, "g-east", ("u-1", Role::Customer), at_ms, outcome(kind, value))
            .await;
    }
    let target = |number: u32, group: &str, state, updated_ms| DeliveryRow {
        id: format!("b_{number}"),
        broadcast: "b".to_owned(),
        target: number,
        account: "demo".to_owned(),
        group: group.to_owned(),
        kind: "broadcast".to_owned(),
        state,
        attempts: 1,
        due_ms: updated_ms,
        expires_ms: updated_ms,
        body: String::new(),
        code: String::new(),
        detail: String::new(),
        updated_ms,
        platform_id: String::new(),
        carrier: 0,
    };
    let (sent, failed) = (DeliveryState::Sent, DeliveryState::Failed);
    let rows = vec![
        target(1, "g-east", sent, NOW_MS - DAY_MS),
        target(2, "g-east", sent, NOW_MS - HOUR_MS),
        target(3, "g-west", failed, NOW_MS - HOUR_MS),
        target(4, "g-west", sent, NOW_MS - 30 * DAY_MS),
    ];
    gateway.storage.deliveries_add(rows).await.unwrap();
    let path = "/v1/groups/demo/g-east/statistics?by=day&from=2026-11-21&until=2026-11-23";
    let got = gateway.get(path).await.expect(200).json();
    let told: Vec<_> = got["rows"].as_array().unwrap().iter().map(|row| row["broadcasts"].clone()).collect();
    assert_eq!((told, &got["totals"]["broadcasts"]), (vec![json!(1), json!(1)], &json!(2)));
    let expect = json!({"click": {"count": 1, "value": 0.0}, "order": {"count": 2, "value": 90.5}});
    assert_eq!(got["rows"][1]["outcomes"], expect);
    let all = gateway.get("/v1/statistics?split=region").await.expect(200).json();
    assert_eq!((&all["totals"]["broadcasts"], &all["totals"]["outcomes"]), (&json!(1), &expect));
    assert_eq!(all["split"]["east"]["totals"]["outcomes"], expect);
    let text = gateway.get("/v1/statistics/export?from=2026-11-22&until=2026-11-23").await.expect(200).text;
    assert!(text.lines().nth(1).unwrap().contains(",1,click=1; order=2,click=0; order=90.5,"), "{text}");
    let page = gateway.get("/v1/reports/daily?date=2026-11-22").await.expect(200).text;
    assert!(page.contains("<td>order</td><td>2</td><td>90.5</td>"), "{page}");
}

#[tokio::test]
async fn parts_behind_which_few_stand_are_left_out_with_a_reason_and_cannot_be_worked_out() {
    let few = listener::Config { breakdown_minimum: 3, ..listener::Config::default() };
    let gateway = Gateway::open_listening(access::Config::default(), Config::default(), few).await;
    gateway.furnish().await;
    for (group, people) in [("g-east", 5), ("g-west", 2), ("g-north", 4)] {
        gateway.call("PUT", &format!("/v1/groups/demo/{group}"), json!({"tags": [group]})).await;
        for n in 0..people {
            gateway.message(group, &format!("{group}-{n}"), NOW_MS - HOUR_MS).await;
        }
    }
    let got = gateway.get("/v1/statistics?split=group&by=day&from=2026-11-21").await.expect(200).json();
    assert_eq!(got["totals"]["messages"], 11, "the whole is right");
    let part = |name: &str| got["split"][format!("demo/{name}")].clone();
    for name in ["g-west", "g-north"] {
        assert_eq!(
            (&part(name)["withheld_for_privacy"], &part(name)["totals"]),
            (&json!(true), &Value::Null),
            "{name}"
        );
        assert_eq!(part(name)["rows"][1]["withheld_for_privacy"], true);
        assert_eq!(part(name)["rows"][1]["messages"], Value::Null);
    }
    assert_eq!(part("g-east")["totals"]["messages"], 5);
    assert_eq!(part("g-east")["rows"][1]["messages"], 5);
    let top: Vec<_> = got["top"].as_array().unwrap().iter().map(|group| group["group"].clone()).collect();
    assert_eq!(top, ["g-east"]);
    let heat = gateway.get("/v1/statistics/heatmap").await.expect(200).json();
    assert_eq!(heat["withheld_for_privacy"], false, "eleven people talk in one hour");
    let heat = gateway.get("/v1/statistics/heatmap?tag=g-west").await.expect(200).json();
    assert_eq!(heat["withheld_for_privacy"], true);
    // A group's own figures are its own.
    let own = gateway.get("/v1/groups/demo/g-west/statistics").await.expect(200).json();
    assert_eq!(own["totals"]["messages"], 2);
}
