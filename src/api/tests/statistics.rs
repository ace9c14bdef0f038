//! Numbers, members, hits.

use serde_json::{Value, json};

use super::{Gateway, NOW_MS};
use crate::event::HOUR_MS;

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
