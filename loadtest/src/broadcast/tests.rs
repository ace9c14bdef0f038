//! A broadcast from the stand-in to a sink, watched from both ends.

use super::*;
use crate::sink::{Sink, SinkConfig};
use crate::standin::{Defects, StandIn};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn broadcast(defects: Defects, faults: &[&str], audit: &str) -> BroadcastReport {
    let sink = SinkConfig {
        secrets: vec![SECRET.parse().expect("a secret")],
        faults: faults.iter().map(|fault| fault.parse().expect(fault)).collect(),
        audit: vec![audit.parse().expect("a limit")],
        ..SinkConfig::default()
    };
    let sink = Sink::start(sink).await.expect("a free port");
    let gateway = StandIn::start(defects).await;
    gateway.deliver_to(sink.url(), SECRET);
    let config = BroadcastConfig {
        target: Target::new(&gateway.url, Some("msh_test")).expect("a target"),
        sink_report: Target::new(&format!("{}/_sink/report", sink.url()), None).expect("a target"),
        account: "shop".to_owned(),
        groups: 50,
        group_prefix: "g-".to_owned(),
        declare: Declare::Bulk,
        rate: Some(1_000_000.0),
        text: "早上好".to_owned(),
        run: "r1".to_owned(),
        deadline: Duration::from_secs(20),
    };
    run(&config, |_, _| ()).await.expect("a report")
}

#[tokio::test]
async fn both_ends_agree_when_all_is_well() {
    let report = broadcast(Defects::default(), &["500@0.2", "reset@first:2"], "1000000/s").await;
    assert_eq!(report.complaints(), [""; 0], "{}", report.table());
    assert_eq!((report.received(), report.view.count("sent")), (50, 50));
    assert!(report.after.retries > 0 && report.estimate_off_s.is_some(), "{}", report.table());
}

#[tokio::test]
async fn a_group_left_out_or_reached_twice_is_found() {
    let report = broadcast(Defects { leaves_one_out: true, ..Defects::default() }, &[], "1000000/s").await;
    assert!(report.complaints()[0].contains("took only 49"), "{:?}", report.complaints());
    let report = broadcast(Defects { sends_twice: true, ..Defects::default() }, &[], "1000000/s").await;
    assert!(
        report.complaints().iter().any(|complaint| complaint.contains("twice")),
        "{:?}",
        report.complaints()
    );
}

#[tokio::test]
async fn a_limit_that_was_not_kept_is_found() {
    let report = broadcast(Defects::default(), &[], "10/h").await;
    assert!(
        report.complaints().iter().any(|complaint| complaint.contains("10/h broken 40 times")),
        "{:?}",
        report.complaints()
    );
}

#[test]
fn refused_lines_are_told_from_taken_ones() {
    for (line, refused) in [
        (r#"{"line":1,"status":"created"}"#, false),
        (r#"{"line":1,"error":null}"#, false),
        (r#"{"line":1,"status":400,"detail":"no"}"#, true),
        (r#"{"line":1,"error":{"detail":"no"}}"#, true),
        ("", false),
    ] {
        assert_eq!(is_refusal(line.as_bytes()), refused, "{line}");
    }
}
