//! The whole tool against the stand-in: callbacks that follow on each other are counted, and every defect is found.

use super::*;
use crate::standin::{Defects, StandIn};

async fn measure(defects: Defects, says_read: usize) -> Result<CallbacksReport, CallbacksError> {
    let server = StandIn::start(defects).await;
    server.has_read(says_read);
    let config = CallbacksConfig {
        target: Target::new(&server.url, Some("msh_test")).expect("a target"),
        url: server.url.clone(),
        account: "wecom".to_owned(),
        events_account: "demo".to_owned(),
        groups: 5,
        members: 2,
        joins: 60,
        connections: 3,
        rounds: 3,
        server_pid: std::process::id(),
        settle: Duration::ZERO,
        patience: Duration::from_millis(300),
        seed: 1,
        run: "test".to_owned(),
    };
    let mut told = 0;
    let report = run(&config, |_| told += 1).await;
    assert_eq!(told, if report.is_ok() { 3 } else { 0 });
    report
}

#[tokio::test]
async fn the_same_joins_are_told_and_counted_both_ways() {
    let report = measure(Defects::default(), 5).await.expect("a report");
    assert_eq!(report.complaints(None), Vec::<String>::new());
    // One for each group to warm up, then the rounds.
    let told = 5 + 3 * 60;
    let Counted { expected, by_callback, by_event, differing, .. } = report.counted;
    assert_eq!((report.sent, expected, by_callback, by_event, differing), (185, told, told, told, 0));
    assert!(report.rounds.iter().all(|round| round.callback.requests == 60 && round.event.requests == 60));
}

#[tokio::test]
async fn a_gateway_that_forgets_is_found() {
    let report =
        measure(Defects { forget_every: Some(50), ..Defects::default() }, 5).await.expect("a report");
    assert!(report.counted.differing > 0);
    assert!(report.complaints(None)[0].contains("counts differ"), "{:?}", report.complaints(None));
}

#[tokio::test]
async fn rosters_that_were_not_read_end_the_run() {
    let error = measure(Defects::default(), 4).await.expect_err("one group is missing");
    assert!(error.to_string().contains("4 of 5 read"), "{error}");
}

fn lap(cpu_us: f64) -> Lap {
    Lap {
        requests: 10,
        per_s: 1.0,
        cpu_us,
        latency_ms: crate::latency::Quantiles::default(),
        hurdles: crate::client::Hurdles::default(),
        wrong: 0,
        examples: Vec::new(),
    }
}

fn report(pairs: &[(f64, f64)]) -> CallbacksReport {
    CallbacksReport {
        groups: 1,
        connections: 1,
        joins: 10,
        sent: 10,
        calls_meanwhile: Vec::new(),
        rounds: pairs
            .iter()
            .map(|&(callback, event)| Round { callback: lap(callback), event: lap(event) })
            .collect(),
        counted: Counted::default(),
    }
}

#[test]
fn the_ratio_is_the_median_of_the_rounds_and_can_be_held_to_a_limit() {
    let report = report(&[(20.0, 10.0), (30.0, 20.0), (90.0, 10.0), (7.0, 0.0)]);
    assert!((report.ratio().expect("a ratio") - 2.0).abs() < 1e-9);
    assert_eq!(report.complaints(Some(2.0)), Vec::<String>::new());
    assert!(report.complaints(Some(1.9))[0].contains("2.00 times"));
    let table = report.table().to_string();
    assert!(table.contains("2.00 (1.50-9.00)"), "{table}");
}

#[test]
fn a_run_that_cannot_be_trusted_is_refused() {
    let quiet = report(&[(1.0, 0.0)]);
    assert_eq!(quiet.complaints(None), Vec::<String>::new());
    assert!(quiet.complaints(Some(1.0))[0].contains("too few"), "no limit is kept by not measuring");
    let mut busy = report(&[(1.0, 1.0)]);
    busy.calls_meanwhile.push("gettoken".to_owned());
    busy.rounds[0].event.wrong = 1;
    busy.rounds[0].event.examples.push("status 500".to_owned());
    let complaints = busy.complaints(None);
    assert!(
        complaints.len() == 3 && complaints[1] == "status 500" && complaints[2].contains("(gettoken)"),
        "{complaints:?}"
    );
}
