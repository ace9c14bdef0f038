//! The sink over real connections: signatures, faults as a sender meets them, and its account of both.

use std::time::Duration;

use super::*;
use crate::client::{Call, Hurdles, Target};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn start(faults: &[&str]) -> Sink {
    let config = SinkConfig {
        secrets: vec![SECRET.parse().expect("a secret")],
        faults: faults.iter().map(|fault| fault.parse().expect(fault)).collect(),
        audit: vec!["2/h".parse().expect("a limit")],
        audit_group: vec!["1/h".parse().expect("a limit")],
        keep_text: true,
        ..SinkConfig::default()
    };
    Sink::start(config).await.expect("a free port")
}

fn delivery(id: &str, group: &str, text: &str, secret: &str) -> Call {
    let secret: Secret = secret.parse().expect("a secret");
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let body = format!(
        r#"{{"type":"send.message","timestamp":"","data":{{"account":"a","group":"{group}","kind":"broadcast","text":"{text}","delivery":7}}}}"#
    );
    Call::post("/in", "application/json", body.clone())
        .header("webhook-id", id)
        .header("webhook-timestamp", &now.to_string())
        .header("webhook-signature", &secret.sign(id, now, body.as_bytes()))
}

fn target(sink: &Sink) -> Arc<Target> {
    let mut target = Target::new(sink.url(), None).expect("a target");
    target.give_up = Duration::ZERO;
    Arc::new(target)
}

/// Sends one delivery once.
async fn post(sink: &Sink, call: &Call) -> Option<u16> {
    post_within(sink, call, Duration::from_secs(20)).await
}

/// Sends one delivery once; `None` when no answer came in time.
async fn post_within(sink: &Sink, call: &Call, patience: Duration) -> Option<u16> {
    let mut hurdles = Hurdles::default();
    let mut target = Target::clone(&target(sink));
    target.timeout = patience;
    match Arc::new(target).connection().send(call, &mut hurdles).await {
        Ok(reply) => Some(reply.status),
        Err(_) if hurdles.throttled > 0 => Some(429),
        Err(_) if hurdles.unavailable > 0 => Some(503),
        Err(_) => None,
    }
}

#[tokio::test]
async fn the_auditor_of_a_class_sees_the_deliveries_to_its_groups() {
    let config = SinkConfig {
        audit_class: vec![("robot".to_owned(), "1/h".parse().expect("a limit"))],
        ..SinkConfig::default()
    };
    let sink = Sink::start(config).await.expect("a free port");
    for (id, group) in [("1", "robot:a"), ("2", "robot:b"), ("3", "robotic"), ("4", "g-1")] {
        assert_eq!(post(&sink, &delivery(id, group, "x", SECRET)).await, Some(200));
    }
    let audit = &sink.report().audits[0];
    assert_eq!((audit.arrivals, audit.violations), (2, 1), "{audit:?}");
}

#[tokio::test]
async fn only_signed_deliveries_are_taken() {
    let sink = start(&[]).await;
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(post(&sink, &delivery("m1", "g", "早", SECRET)).await, Some(200));
    assert_eq!(post(&sink, &delivery("m2", "g", "早", other)).await, Some(401));
    assert_eq!(post(&sink, &Call::post("/", "application/json", "{}")).await, Some(401));
    let report = sink.report();
    assert_eq!((report.received, report.distinct, report.bad_signatures), (1, 1, 2));
    let receipt = &sink.receipts(0, 10)[0];
    assert_eq!(
        (&*receipt.group, &*receipt.kind, &*receipt.text, &*receipt.delivery),
        ("g", "broadcast", "早", "7")
    );
}

#[tokio::test]
async fn repeats_are_told_apart_by_what_the_sender_knew() {
    let sink = start(&["503@first:1"]).await;
    let first = delivery("m1", "g1", "早", SECRET);
    assert_eq!(post(&sink, &first).await, Some(503));
    assert_eq!(post(&sink, &first).await, Some(200));
    let report = sink.report();
    assert_eq!((report.retries, report.duplicates, report.distinct, report.accepted), (1, 0, 1, 1));
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(post(&sink, &first).await, Some(200));
    assert_eq!(post(&sink, &delivery("m2", "g1", "早", SECRET)).await, Some(200));
    let report = sink.report();
    assert_eq!((report.duplicates, report.distinct, report.repeated_content), (1, 2, 1));
    assert!(report.audits.iter().all(|audit| audit.violations > 0), "{report:?}");
}

#[tokio::test]
async fn faults_look_to_a_sender_as_they_should() {
    let sink =
        start(&["reset@first:1", "hang@first:1", "slow=60s@first:1", "delay=20ms", "429,retry_after=0"])
            .await;
    // In the order of the script: an answer to the first and the last needs no hurry, the other two would never come.
    let (soon, patient) = (Duration::from_millis(100), Duration::from_secs(20));
    for (patience, expected) in [(patient, None), (soon, None), (soon, None), (patient, Some(429))] {
        let id = format!("m{}", sink.report().received);
        assert_eq!(post_within(&sink, &delivery(&id, &id, "早", SECRET), patience).await, expected, "{id}");
    }
    let report = sink.wait_for(|report| report.received == 4).await;
    assert_eq!((report.accepted, report.confirmed), (2, 0), "{report:?}");
    let outcomes: Vec<&str> = report.by_outcome.keys().map(String::as_str).collect();
    assert_eq!(outcomes, ["429", "hang", "reset"]);
}

#[tokio::test]
async fn the_control_routes_report_and_change_the_script() {
    let sink = start(&["500"]).await;
    let mut connection = target(&sink).connection();
    assert_eq!(post(&sink, &delivery("m1", "g", "早", SECRET)).await, Some(500));
    let call = Call::post("/_sink/faults", "application/json", r#"["410@first:1"]"#);
    connection.expect_success(&call).await.expect("a new script");
    assert_eq!(post(&sink, &delivery("m2", "g", "早", SECRET)).await, Some(410));
    assert_eq!(post(&sink, &delivery("m3", "g", "早", SECRET)).await, Some(200));
    let reply = connection.expect_success(&Call::get("/_sink/report")).await.expect("a report");
    let report: SinkReport = serde_json::from_slice(&reply.body).expect("a report");
    assert_eq!((report.received, report.accepted, &*report.faults[0]), (3, 1, "410@first:1"));
    let reply =
        connection.expect_success(&Call::get("/_sink/receipts?after=1&limit=1")).await.expect("receipts");
    let receipts: Vec<Receipt> = serde_json::from_slice(&reply.body).expect("receipts");
    assert_eq!((receipts.len(), receipts[0].seq, &*receipts[0].outcome), (1, 2, "410"));
    let bad = Call::post("/_sink/faults", "application/json", r#"["teapot"]"#);
    assert!(connection.expect_success(&bad).await.is_err());
}
