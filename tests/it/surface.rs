//! The two hot routes as a stranger meets them: shapes, limits, refusals, repeats.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::client::{Answer, Client};
use crate::support::gateway::Gateway;

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");
const JSON: (&str, &str) = ("content-type", "application/json");

fn message(id: &str, text: &str) -> Value {
    json!({"id": id, "account": "demo", "group": "g-7", "type": "message", "member": "u-3", "text": text})
}

async fn post(client: &Client, headers: &[(&str, &str)], body: impl Into<bytes::Bytes>) -> Answer {
    client.send(Method::POST, "/v1/events", headers, body).await.unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn each_shape_is_answered_in_kind_and_order() {
    let gateway = Gateway::start(&[]);
    let client = &gateway.client;
    let one = post(client, &[JSON], message("e-1", "早上好").to_string()).await;
    assert_eq!((one.status.as_u16(), &one.json()["verdict"]), (200, &json!("pass")), "{one:?}");

    let array = json!([message("e-2", "有货吗"), message("e-3", "加微信 abc888 领优惠")]);
    let array = post(client, &[JSON], array.to_string()).await.json();
    assert_eq!((&array[0]["id"], &array[1]["id"]), (&json!("e-2"), &json!("e-3")));
    assert_eq!(array[1]["verdict"], "block", "{array}");
    let hit = &array[1]["hits"][0];
    assert_eq!((&hit["matched"], &hit["span"]), (&json!("加微信"), &json!([0, 9])), "{array}");

    let lines = format!("{}\n\n{}\n", message("e-4", "你好"), message("e-1", "早上好"));
    let body = gzip(lines.as_bytes());
    let lines = post(client, &[NDJSON, ("content-encoding", "gzip")], body).await.lines();
    assert_eq!((&lines[0]["status"], &lines[1]["status"]), (&json!("counted"), &json!("duplicate")));
}

#[tokio::test]
async fn a_bad_line_gets_its_own_error_and_the_others_count() {
    let gateway = Gateway::start(&[
        ("MENSHEN_INGEST__TEXT_BYTES_MAX", "60"),
        ("MENSHEN_INGEST__LINE_BYTES_MAX", "300"),
    ]);
    let long = message("e-6", &"长".repeat(100));
    let wordy = message("e-7", &"长".repeat(21));
    let unknown = json!({"id": "e-8", "account": "nowhere", "group": "g", "type": "message", "member": "u", "text": "a"});
    let mut extra = message("e-9", "a");
    extra["colour"] = "red".into();
    let lines = [
        message("e-5", "好").to_string(),
        "{\"id\":".into(),
        long.to_string(),
        wordy.to_string(),
        unknown.to_string(),
        extra.to_string(),
        message("e-10", "好").to_string(),
    ];
    let answers = post(&gateway.client, &[NDJSON], lines.join("\n")).await.lines();
    let codes: Vec<&str> = answers
        .iter()
        .map(|line| line["error"]["code"].as_str().or(line["status"].as_str()).unwrap())
        .collect();
    assert_eq!(
        codes,
        ["counted", "decode", "line_too_long", "text_too_long", "unknown_account", "decode", "counted"]
    );
    assert_eq!(answers[1]["line"], 2);
    assert!(answers[5]["error"].to_string().contains("colour"), "{}", answers[5]);
    let numbers = gateway.client.get("/v1/groups/demo/g-7/statistics?by=hour").await;
    assert_eq!(numbers["totals"]["messages"], 2);
}

#[tokio::test]
async fn what_is_too_much_is_refused_by_name_and_counted() {
    let gateway = Gateway::start(&[
        ("MENSHEN_INGEST__BODY_BYTES_MAX", "2KiB"),
        ("MENSHEN_INGEST__DECODED_BYTES_MAX", "4KiB"),
        ("MENSHEN_INGEST__LINE_BYTES_MAX", "2KiB"),
        ("MENSHEN_INGEST__TEXT_BYTES_MAX", "1KiB"),
        ("MENSHEN_INGEST__BATCH_EVENTS_MAX", "3"),
    ]);
    let client = &gateway.client;
    let big = post(client, &[JSON], message("e", &"a".repeat(3_000)).to_string()).await;
    let bomb = post(client, &[JSON, ("content-encoding", "gzip")], gzip(&vec![b' '; 100_000])).await;
    let batch = post(client, &[JSON], json!([1, 2, 3, 4]).to_string()).await;
    let kind = post(client, &[("content-type", "text/plain")], "hello").await;
    let table = [
        (&big, 413, "body_too_large", "body_too_large\"} 1"),
        (&bomb, 413, "decoded_too_large", "decoded_too_large\"} 1"),
        (&batch, 413, "batch_too_large", "batch_too_large\"} 1"),
        (&kind, 415, "content_type", "content_type\"} 1"),
    ];
    let metrics = Client::new(&gateway.metrics, "").send(Method::GET, "/metrics", &[], "").await.unwrap();
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    for (answer, status, code, counted) in table {
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (status, &json!(code)), "{answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        let counted = format!("menshen_ingest_rejected_total{{reason=\"{counted}");
        assert!(metrics.contains(&counted), "{counted} in\n{metrics}");
    }
}

#[tokio::test]
async fn nobody_comes_in_without_a_right() {
    let gateway = Gateway::start(&[("MENSHEN_ACCESS__REQUESTS", "pace:1/h,max_burst=4")]);
    let admin = &gateway.client;
    let stranger =
        post(&admin.with_token("msh_nobody_nothing"), &[JSON], message("e", "a").to_string()).await;
    assert_eq!((stranger.status.as_u16(), &stranger.json()["code"]), (401, &json!("unauthorized")));
    assert_eq!(stranger.headers["www-authenticate"], "Bearer");
    let mut last = None;
    for n in 0..6 {
        last = Some(post(admin, &[JSON], message(&format!("e-{n}"), "a").to_string()).await);
    }
    let last = last.unwrap();
    assert_eq!((last.status.as_u16(), &last.json()["code"]), (429, &json!("quota_exceeded")));
    assert!(last.headers.contains_key("retry-after"), "{last:?}");
}

#[tokio::test]
async fn age_decides_between_counted_late_and_refused() {
    let gateway = Gateway::start(&[]);
    let at = |hours: i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
        let mut event = message(&format!("age{hours}"), "早上好");
        event["at"] = at.to_string().into();
        event.to_string()
    };
    let lines = [at(0), at(71), at(73), at(-1)].join("\n");
    let answers = post(&gateway.client, &[NDJSON], lines).await.lines();
    let got: Vec<&str> = answers
        .iter()
        .map(|line| line["status"].as_str().or(line["error"]["code"].as_str()).unwrap())
        .collect();
    assert_eq!(got, ["counted", "counted", "late", "future"]);
}

#[tokio::test]
async fn stalled_clients_hold_no_worker() {
    let gateway = Gateway::start(&[("MENSHEN_INGEST__BODY_TIMEOUT", "1s")]);
    let address = gateway.client.base().trim_start_matches("http://").to_owned();
    let mut stalled = Vec::new();
    for n in 0..200 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let token = gateway.token();
        let part = if n % 2 == 0 {
            "POST /v1/ev".to_owned()
        } else {
            format!(
                "POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 100\r\n\r\n{{"
            )
        };
        stream.write_all(part.as_bytes()).await.unwrap();
        stalled.push(stream);
    }
    let answer = post(&gateway.client, &[JSON], message("e", "早上好").to_string()).await;
    assert_eq!(answer.status, 200);
    let mut reply = String::new();
    stalled.pop().unwrap().read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 408"), "{reply}");
}
