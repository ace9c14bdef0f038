//! The whole client against the stand-in: nothing lost, nothing wrongly blamed, and every defect found.

use std::time::Duration;

use super::*;
use crate::standin::{Defects, StandIn};
use crate::wire::Counts;

async fn send(mode: Mode, defects: Defects) -> EventsReport {
    send_paced(mode, defects, None).await
}

async fn send_paced(mode: Mode, defects: Defects, rate: Option<f64>) -> EventsReport {
    let server = StandIn::start(defects).await;
    let config = EventsConfig {
        target: Target::new(&server.url, Some("msh_test")).expect("a target"),
        plan: plan::tests::rich_plan(20),
        mode,
        batch: if mode == Mode::Single { 1 } else { 10 },
        connections: 4,
        rate,
        until: Until::Count(600),
        reads_answers: true,
        verifies: true,
        catch_up: Duration::from_millis(300),
        server_pid: Some(std::process::id()),
        label: "test".to_owned(),
        round: 1,
    };
    run(config).await.expect("a report")
}

fn assert_good(report: &EventsReport) {
    assert!(report.is_good(), "{}", report.table());
    assert_eq!(report.events, 600);
    let Counts { messages, joins, leaves, .. } = report.counted;
    assert_eq!(messages + joins + leaves + report.repeats, 600);
    assert!(joins > 0 && leaves > 0 && report.repeats > 0, "{}", report.table());
}

#[tokio::test]
async fn every_mode_counts_what_the_server_counts() {
    for mode in [Mode::Single, Mode::Array, Mode::Ndjson] {
        let report = send(mode, Defects::default()).await;
        assert_good(&report);
        assert!(
            report.statuses["duplicate"] == report.repeats && report.verdicts.contains_key("block"),
            "{}",
            report.table()
        );
    }
}

#[tokio::test]
async fn an_open_loop_sends_everything_too() {
    let report = send_paced(Mode::Ndjson, Defects::default(), Some(20_000.0)).await;
    assert_good(&report);
    assert!(report.seconds >= 0.029, "the last of 60 requests is due after 29.5 ms: {}", report.seconds);
}

#[tokio::test]
async fn throttled_events_are_sent_again_and_none_is_lost() {
    let report = send(Mode::Ndjson, Defects { throttle_first: 12, ..Defects::default() }).await;
    assert_good(&report);
    assert_eq!(report.hurdles.throttled, 12);
}

#[tokio::test]
async fn events_counted_before_a_break_may_come_back_as_duplicates() {
    let report = send(Mode::Single, Defects { break_every: Some(50), ..Defects::default() }).await;
    assert_good(&report);
    assert!(report.hurdles.broken >= 10, "{}", report.table());
    assert!(report.statuses["duplicate"] > report.repeats, "{}", report.table());
}

#[tokio::test]
async fn lines_refused_for_now_are_sent_again() {
    let report = send(Mode::Ndjson, Defects { refuse_line_every: Some(100), ..Defects::default() }).await;
    assert_good(&report);
    assert!(report.lines_retried >= 6, "{}", report.table());
}

#[tokio::test]
async fn answers_in_another_order_are_found() {
    let report = send(Mode::Ndjson, Defects { reverses: true, ..Defects::default() }).await;
    assert!(report.wrong > 0 && !report.is_good());
    assert!(report.examples[0].contains("wrong order"), "{:?}", report.examples);
}

#[tokio::test]
async fn events_answered_but_not_counted_are_found() {
    let report = send(Mode::Ndjson, Defects { forget_every: Some(97), ..Defects::default() }).await;
    let verification = report.verification.expect("verification was asked for");
    assert_eq!(report.wrong, 0);
    assert!(!verification.agrees() && verification.differing > 0, "{verification:?}");
}

#[tokio::test]
async fn a_server_that_is_gone_is_reported_and_not_waited_for_forever() {
    let server = StandIn::start(Defects::default()).await;
    let mut target = Target::new(&server.url, None).expect("a target");
    drop(server);
    target.give_up = Duration::ZERO;
    let config = EventsConfig {
        target,
        plan: plan::tests::rich_plan(2),
        mode: Mode::Single,
        batch: 1,
        connections: 1,
        rate: None,
        until: Until::Count(1),
        reads_answers: true,
        verifies: false,
        catch_up: Duration::ZERO,
        server_pid: None,
        label: "gone".to_owned(),
        round: 1,
    };
    let report = run(config).await.expect("a report");
    assert_eq!((report.wrong, report.events, report.is_good()), (1, 0, false));
    assert!(report.examples[0].contains("no answer"), "{:?}", report.examples);
}
