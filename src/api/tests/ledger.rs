//! What people ask of the ledger: why something is not sent, what is uncertain, dead letters by filter, results as files,
//! stops of tags and broadcasts.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Gateway, NOW_MS};
use crate::event::{AccountId, DeliveryId};
use crate::outbox::delivery::{Delivery, Payload, Priority};
use crate::outbox::row_of;
use crate::storage::{DeliveryFilter, DeliveryRow, DeliveryState, MASS_SEND, MASS_TARGET};

/// Asks until an answer is as it should be.
async fn until(gateway: &Gateway, path: &str, what: impl Fn(&Value) -> bool) -> Value {
    let asked = async {
        loop {
            let got = gateway.get(path).await.expect(200).json();
            if what(&got) {
                return got;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), asked).await.expect(path)
}

/// A reply in the ledger.
fn reply(id: &str, group: &str, state: DeliveryState, code: &str) -> DeliveryRow {
    let delivery = Delivery {
        id: DeliveryId::parse(id).unwrap(),
        account: AccountId::parse("demo").unwrap(),
        group: group.into(),
        member: None,
        kind: "reply".into(),
        rule: "r-1".into(),
        priority: Priority::Normal,
        payload: Payload::text("在的"),
        broadcast: None,
        expires_ms: 0,
        cost: 1,
    };
    let row = row_of(&delivery, None, state, NOW_MS);
    DeliveryRow { attempts: 1, code: code.into(), ..row }
}

async fn broadcast(gateway: &Gateway, key: &str, body: Value) -> String {
    let made = gateway.post_once(&gateway.admin, "/v1/broadcasts", key, body).await.expect(202);
    made.json()["id"].as_str().unwrap().to_owned()
}

/// The delivery of a broadcast to a group, once it is there.
async fn target(gateway: &Gateway, id: &str, group: &str) -> String {
    let path = format!("/v1/broadcasts/{id}/targets");
    let of = |got: &Value| {
        let items = got["items"].as_array().unwrap().clone();
        items.into_iter().find(|item| item["group"] == group)
    };
    let got = until(gateway, &path, |got| of(got).is_some()).await;
    of(&got).unwrap()["delivery"].as_str().unwrap().to_owned()
}

fn whys(got: &Value) -> Vec<&str> {
    got["waits"].as_array().unwrap().iter().map(|wait| wait["why"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn why_one_is_not_sent_yet_is_one_question() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let stop = json!({"kind": "broadcast", "scope": "region:east", "reason": "核对活动", "for": "2h"});
    let hold = gateway.call("POST", "/v1/outbound/stop", stop).await.expect(201).json();
    let id = broadcast(&gateway, "k", json!({"text": "今日会员日", "audience": "all"})).await;
    let (east, west) = (target(&gateway, &id, "g-east").await, target(&gateway, &id, "g-west").await);
    let sent = until(&gateway, &format!("/v1/deliveries/{west}"), |got| got["state"] == "sent").await;
    assert_eq!((whys(&sent).len(), &sent["summary"]["zh"]), (0, &json!("已发送")));
    assert_eq!((&sent["calls"][0]["outcome"], &sent["calls"][0]["attempt"]), (&json!("sent"), &json!(1)));
    assert_eq!((&sent["priority"], &sent["broadcast"]), (&json!("bulk"), &json!(id)));

    let path = format!("/v1/deliveries/{east}");
    let held = gateway.get(&path).await.expect(200).json();
    let wait = &held["waits"][0];
    assert_eq!(
        (&wait["why"], &wait["hold"], &wait["scope"]),
        (&json!("held"), &hold["id"], &json!("region:east"))
    );
    assert_eq!((&wait["reason"], &wait["until"]), (&json!("核对活动"), &json!("2026-11-22T04:00:00Z")));
    let zh = held["summary"]["zh"].as_str().unwrap();
    assert!(zh.contains("停发了 region:east") && zh.contains("11-22 12:00:00"), "{zh}");
    assert_eq!(held["expected_at"], Value::Null, "somebody must do something first");

    let reason = "%E5%86%99%E9%94%99%E4%BA%86";
    gateway
        .call("POST", &format!("/v1/broadcasts/{id}/pause?reason={reason}"), Value::Null)
        .await
        .expect(200);
    let paused = gateway.get(&path).await.expect(200).json();
    assert_eq!(whys(&paused)[..2], ["held", "paused"], "{paused}");
    assert_eq!(
        (&paused["waits"][1]["reason"], &paused["waits"][1]["by"]),
        (&json!("写错了"), &json!("admin"))
    );

    gateway.call_as(&western, "GET", &path, Value::Null).await.expect(404);
    gateway.get("/v1/deliveries/dlv_none").await.expect(404);
}

#[tokio::test]
async fn a_target_that_waits_for_its_time_says_so() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let body = json!({"text": "今日会员日", "audience": "all", "starts_at": "2026-11-22T12:30:00+08:00"});
    let id = broadcast(&gateway, "k", body).await;
    let east = target(&gateway, &id, "g-east").await;
    let got = gateway.get(&format!("/v1/deliveries/{east}")).await.expect(200).json();
    assert_eq!(whys(&got), ["scheduled"], "{got}");
    assert_eq!(got["waits"][0]["until"], "2026-11-22T04:30:00Z");
    assert_eq!(got["summary"]["zh"], "群发定于 11-22 12:30:00 开始");
    gateway.call("POST", &format!("/v1/broadcasts/{id}/cancel"), Value::Null).await.expect(200);
    let got = gateway.get(&format!("/v1/deliveries/{east}")).await.expect(200).json();
    assert_eq!((got["state"].as_str(), whys(&got).len()), (Some("cancelled"), 0));
}

#[tokio::test]
async fn a_person_declares_what_became_of_an_uncertain_delivery() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let rows = vec![
        reply("dlv_a", "g-east", DeliveryState::Uncertain, "unresolved"),
        reply("dlv_b", "g-east", DeliveryState::Uncertain, "restored"),
        reply("dlv_c", "g-west", DeliveryState::Failed, "http_500"),
    ];
    gateway.storage.deliveries_add(rows).await.unwrap();
    let listed = gateway.get("/v1/uncertain").await.expect(200).json();
    let seen: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|row| (&row["id"], &row["needs_person"])).collect();
    assert_eq!(seen, [(&json!("dlv_a"), &json!(true)), (&json!("dlv_b"), &json!(false))]);
    let few = gateway.get("/v1/uncertain?needs_person=true&group=g-east").await.expect(200).json();
    assert_eq!(few["items"].as_array().unwrap().len(), 1);
    let own = gateway.call_as(&western, "GET", "/v1/uncertain", Value::Null).await.expect(200).json();
    assert_eq!(own["items"], json!([]));
    let person = gateway.get("/v1/deliveries/dlv_a").await.expect(200).json();
    assert_eq!(whys(&person), ["person"]);

    let declare =
        async |id: &str, body: Value| gateway.call("POST", &format!("/v1/uncertain/{id}"), body).await;
    let said = |outcome: &str| json!({"outcome": outcome, "reason": "群里看到了"});
    assert_eq!(
        declare("dlv_a", json!({"outcome": "sent", "reason": " "})).await.expect(422).pointers(),
        ["/reason"]
    );
    declare("dlv_c", said("sent")).await.expect(409);
    gateway.call_as(&western, "POST", "/v1/uncertain/dlv_a", said("sent")).await.expect(404);
    declare("dlv_a", said("sent")).await.expect(204);
    declare("dlv_a", said("not_sent")).await.expect(409);
    declare("dlv_b", said("not_sent")).await.expect(204);
    let again = until(&gateway, "/v1/deliveries/dlv_b", |got| got["state"] == "sent").await;
    assert_eq!(again["attempts"], 2);
    assert_eq!(gateway.get("/v1/deliveries/dlv_a").await.json()["state"], "sent");
    let sends = gateway.get("/v1/sandbox/sends").await.expect(200).json();
    assert_eq!(sends["items"].as_array().unwrap().len(), 1, "only what was not sent is sent again");
    let audit = gateway.get("/v1/audit?object=delivery").await.expect(200).json();
    let verbs: Vec<_> = audit["items"].as_array().unwrap().iter().map(|e| (&e["verb"], &e["id"])).collect();
    assert_eq!(verbs, [(&json!("declare"), &json!("dlv_b")), (&json!("declare"), &json!("dlv_a"))]);
}

#[tokio::test]
async fn a_task_is_declared_with_the_platforms_id_and_never_one_of_its_targets() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let id = broadcast(&gateway, "k", json!({"text": "x", "audience": "all", "draft": true})).await;
    let row = |target: u32, kind: &str, group: &str| DeliveryRow {
        id: format!("{id}_{target}"),
        broadcast: id.clone(),
        target,
        kind: kind.into(),
        body: String::new(),
        ..reply("dlv_x", group, DeliveryState::Uncertain, "unresolved")
    };
    let (task, carried) = (row(1 << 31, MASS_SEND, "mass:li"), row(0, MASS_TARGET, "g-east"));
    let (task_id, carried_id) = (task.id.clone(), carried.id.clone());
    gateway.storage.deliveries_add(vec![task, carried]).await.unwrap();
    let listed = gateway.get("/v1/uncertain").await.expect(200).json();
    let ids: Vec<_> = listed["items"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [json!(task_id)], "its targets follow it");
    let declare =
        async |id: &str, body: Value| gateway.call("POST", &format!("/v1/uncertain/{id}"), body).await;
    let sent = json!({"outcome": "sent", "reason": "后台可见"});
    declare(&carried_id, sent.clone()).await.expect(409);
    assert_eq!(declare(&task_id, sent).await.expect(422).pointers(), ["/platform_id"]);
    let named = json!({"outcome": "sent", "reason": "后台可见", "platform_id": "msg_1"});
    declare(&task_id, named).await.expect(204);
    let filter = DeliveryFilter { id: Some(task_id), limit: 1, ..DeliveryFilter::default() };
    let row = gateway.storage.deliveries(filter).await.unwrap().remove(0);
    assert_eq!((row.state, row.platform_id.as_str()), (DeliveryState::AwaitingConfirmation, "msg_1"));
}

#[tokio::test]
async fn dead_letters_are_counted_and_then_tried_again_by_filter() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let id = broadcast(&gateway, "k", json!({"text": "今日会员日", "audience": "all"})).await;
    let path = format!("/v1/broadcasts/{id}");
    until(&gateway, &path, |got| got["state"] == "finished").await;
    let all = DeliveryFilter { broadcast: Some(id.clone()), ..DeliveryFilter::default() };
    gateway.storage.deliveries_move(all, DeliveryState::Failed, NOW_MS).await.unwrap();
    let rows = vec![
        reply("dlv_a", "g-east", DeliveryState::Failed, "http_500"),
        reply("dlv_b", "g-west", DeliveryState::Failed, "http_500"),
        reply("dlv_c", "g-west", DeliveryState::Failed, "gone"),
    ];
    gateway.storage.deliveries_add(rows).await.unwrap();
    let replay = async |token: &str, body: Value| {
        gateway.call_as(token, "POST", "/v1/dead-letters/replay", body).await.expect(200).json()
    };
    let count = replay(&gateway.admin, json!({"dry_run": true})).await;
    assert_eq!((&count["matched"], &count["replayed"]), (&json!(5), &json!(5)), "{count}");
    assert_eq!(count["by_code"], json!({"": 2, "gone": 1, "http_500": 2}));
    assert_eq!((&count["by_broadcast"][&id], &count["by_kind"]["reply"]), (&json!(2), &json!(3)));
    let late = json!({"dry_run": true, "from": "2026-11-22T03:00:00Z"});
    assert_eq!(replay(&gateway.admin, late).await["matched"], 0);
    let left = gateway.get("/v1/dead-letters").await.expect(200).json();
    assert_eq!(left["items"].as_array().unwrap().len(), 5, "counting changes nothing");

    let own = replay(&western, json!({"code": "http_500"})).await;
    assert_eq!((&own["matched"], &own["replayed"]), (&json!(1), &json!(1)), "within the scope only: {own}");
    until(&gateway, "/v1/deliveries/dlv_b", |got| got["state"] == "sent").await;
    let of_broadcast = replay(&gateway.admin, json!({"broadcast": id})).await;
    assert_eq!(of_broadcast["replayed"], 2);
    let done = until(&gateway, &path, |got| got["state"] == "finished").await;
    assert_eq!(done["counts"]["sent"], 2);
    let rest = replay(&gateway.admin, json!({"kind": "reply", "account": "demo"})).await;
    assert_eq!((&rest["matched"], &rest["by_code"]["gone"]), (&json!(2), &json!(1)));
    let audit = gateway.get("/v1/audit?object=dead_letters").await.expect(200).json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 3, "counting is not in the log");
}

#[tokio::test]
async fn what_belongs_to_a_cancelled_broadcast_stays_dead() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let id = broadcast(&gateway, "k", json!({"text": "x", "audience": "all", "draft": true})).await;
    gateway.call("POST", &format!("/v1/broadcasts/{id}/cancel"), Value::Null).await.expect(200);
    let row = |target: u32, code: &str, attempts: u32| DeliveryRow {
        id: format!("{id}_{target}"),
        broadcast: id.clone(),
        target,
        kind: "broadcast".into(),
        attempts,
        ..reply("dlv_x", "g-east", DeliveryState::Failed, code)
    };
    gateway.storage.deliveries_add(vec![row(0, "http_500", 3), row(1, "missing_variable", 0)]).await.unwrap();
    for dry_run in [true, false] {
        let body = json!({"broadcast": id, "dry_run": dry_run});
        let got = gateway.call("POST", "/v1/dead-letters/replay", body).await.expect(200).json();
        let counts = ["matched", "replayed", "cancelled", "unsaid"].map(|name| got[name].as_u64().unwrap());
        assert_eq!(counts, [2, 0, 1, 1], "{got}");
    }
}

/// Names as people choose them, and some that would do harm in a spreadsheet.
const ODD: [&str; 8] = [
    "=HYPERLINK(\"http://evil.example\",\"点我\")",
    "+86 138",
    "-1+1",
    "@SUM(A1)",
    "＝1+1",
    "南京路, \"旗舰\" 店",
    "第一行\n第二行",
    "'quoted",
];

#[tokio::test]
async fn results_of_any_size_are_exported_whole_and_do_no_harm_in_a_spreadsheet() {
    const TARGETS: u32 = 10_000;
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let id = broadcast(&gateway, "k", json!({"text": "x", "audience": "all", "draft": true})).await;
    let row = |n: u32| DeliveryRow {
        id: format!("{id}_{n}"),
        broadcast: id.clone(),
        target: n,
        kind: "broadcast".into(),
        detail: ODD[n as usize % ODD.len()].into(),
        platform_id: format!("m-{n}"),
        attempts: n % 3,
        ..reply("dlv_x", if n == 7 { "g-east" } else { "g-far" }, DeliveryState::Failed, "http_500")
    };
    for start in (0..TARGETS).step_by(1_000) {
        gateway.storage.deliveries_add((start..start + 1_000).map(row).collect()).await.unwrap();
    }
    let path = format!("/v1/broadcasts/{id}/results");
    let got = gateway.get(&path).await.expect(200);
    assert_eq!(got.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(got.header("content-disposition"), format!("attachment; filename=\"{id}.csv\""));
    let text = got.text.strip_prefix('\u{feff}').expect("spreadsheets need the mark");
    assert!(!text.contains('\u{feff}') && text.ends_with("\r\n"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), TARGETS as usize);
    let numbers: BTreeSet<u32> = records.iter().map(|record| record[0].parse().unwrap()).collect();
    assert_eq!(numbers.len(), records.len(), "each once");
    let cell = |n: usize, name: &str| {
        let column = columns.iter().position(|column| column == name).unwrap();
        records[n][column].to_owned()
    };
    assert_eq!(
        (cell(7, "group"), cell(7, "group_name"), cell(7, "shop")),
        ("g-east".into(), "east机密群".into(), "s-east".into())
    );
    assert_eq!(
        (cell(7, "shop_name"), cell(7, "region"), cell(7, "brand")),
        ("east机密店".into(), "east".into(), "acme".into())
    );
    assert_eq!(
        (cell(9, "state"), cell(9, "code"), cell(9, "platform_id")),
        ("failed".into(), "http_500".into(), "m-9".into())
    );
    for record in &records {
        for value in record {
            assert!(!value.starts_with(['=', '+', '-', '@', '＝']), "a formula: {value}");
        }
    }
    for (n, name) in ODD.iter().enumerate() {
        assert_eq!(cell(n, "detail").trim_start_matches('\''), name.trim_start_matches('\''));
    }

    let lines = gateway.get(&format!("{path}?format=ndjson&state=failed")).await.expect(200);
    let rows: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), TARGETS as usize);
    assert_eq!((&rows[0]["detail"], &rows[1]["detail"]), (&json!(ODD[0]), &json!(ODD[1])), "as they are");
    assert!(gateway.get(&format!("{path}?format=ndjson&state=sent")).await.expect(200).text.is_empty());
    gateway.get(&format!("{path}?format=xlsx")).await.expect(400);
}

#[tokio::test]
async fn a_tag_or_a_broadcast_is_stopped_for_a_time_and_later_arrivals_with_it() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let plain = json!({"name": "普通群", "shop": "s-west"});
    gateway.call("PUT", "/v1/groups/demo/g-plain", plain).await.expect(201);
    let stop =
        async |token: &str, body: Value| gateway.call_as(token, "POST", "/v1/outbound/stop", body).await;
    let tag =
        stop(&gateway.admin, json!({"scope": "tag:vip", "reason": "核对", "for": "1h"})).await.expect(201);
    assert_eq!(tag.json()["until"], "2026-11-22T03:00:00Z");
    assert_eq!(stop(&western, json!({"scope": "tag:vip"})).await.expect(422).pointers(), ["/scope"]);
    let both = json!({"scope": "all", "for": "1h", "until": "2026-11-22T04:00:00Z"});
    assert_eq!(stop(&gateway.admin, both).await.expect(422).pointers(), ["/for"]);
    assert_eq!(stop(&gateway.admin, json!({"for": "soon"})).await.expect(422).pointers(), ["/for"]);

    let id = broadcast(&gateway, "k-1", json!({"text": "今日会员日", "audience": "all"})).await;
    let path = format!("/v1/broadcasts/{id}");
    let some =
        until(&gateway, &path, |got| got["counts"]["sent"] == 1 && got["counts"]["pending"] == 2).await;
    assert_eq!(some["targets"], 3, "only the group without the tag is sent to");
    // Its end lets them go by itself, without anybody lifting it.
    gateway.clock.advance(std::time::Duration::from_secs(3_601));
    let done = until(&gateway, &path, |got| got["state"] == "finished").await;
    assert_eq!(done["counts"]["sent"], 3);
    assert_eq!(gateway.get("/v1/holds").await.expect(200).json()["items"], json!([]));

    let body = json!({"text": "明日会员日", "audience": "all", "starts_at": "2026-11-22T12:30:00+08:00"});
    let later = broadcast(&gateway, "k-2", body).await;
    let scope = json!({"scope": format!("broadcast:{later}"), "reason": "等通知"});
    let hold = stop(&gateway.admin, scope).await.expect(201);
    assert_eq!(
        stop(&gateway.admin, json!({"scope": "broadcast:bc_none"})).await.expect(422).pointers(),
        ["/scope"]
    );
    gateway.clock.advance(std::time::Duration::from_hours(4));
    let other = broadcast(&gateway, "k-3", json!({"text": "另一个群发", "audience": "all"})).await;
    until(&gateway, &format!("/v1/broadcasts/{other}"), |got| got["state"] == "finished").await;
    let held = gateway.get(&format!("/v1/broadcasts/{later}")).await.expect(200).json();
    assert_eq!(held["counts"]["sent"], 0, "{held}");
    gateway.call("DELETE", hold.header("location"), Value::Null).await.expect(204);
    until(&gateway, &format!("/v1/broadcasts/{later}"), |got| got["state"] == "finished").await;
}
