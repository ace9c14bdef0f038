//! The registry is one for the process, so these tests look at differences, never at absolute numbers.

use super::*;

/// Returns the value of a sample by its full spelling.
fn value(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

/// Checks that `fact` adds `expect` to a sample.
fn check(sample: &str, expect: f64, fact: impl FnOnce()) {
    install();
    let before = value(&render(), sample).unwrap_or_else(|| panic!("{sample} must be there from the start"));
    fact();
    let after = value(&render(), sample).unwrap();
    assert!((after - before - expect).abs() < 1e-9, "{sample}: {before} -> {after}");
}

#[test]
fn facts_are_counted_under_their_labels() {
    check("menshen_events_total{status=\"late\"}", 1.0, || event_answered(Status::Late, Verdict::Pass));
    check("menshen_verdicts_total{verdict=\"block\"}", 1.0, || {
        event_answered(Status::Counted, Verdict::Block);
        event_answered(Status::Duplicate, Verdict::Block);
    });
    check("menshen_ingest_rejected_total{reason=\"too_old\"}", 2.0, || ingest_rejected("too_old", 2));
    check("menshen_ingest_rejected_total{reason=\"other\"}", 1.0, || ingest_rejected("bad_karma", 1));
    check("menshen_callback_events_total{platform=\"webhook\"}", 3.0, || callback("webhook", 3));
    check("menshen_sends_queued_total{kind=\"mute\"}", 1.0, || sends_queued("mute", 1));
    check("menshen_send_attempts_total{platform=\"other\",outcome=\"dead\"}", 1.0, || {
        send_attempt("carrier pigeon", SendOutcome::Dead, Duration::from_millis(1));
    });
    // One that no other test of this process observes meanwhile.
    check("menshen_roster_sync_seconds_bucket{le=\"60\"}", 1.0, || {
        roster_synced(Duration::from_secs(50), Success::Ok, 0);
    });
    check("menshen_ledger_commit_failures_total", 1.0, || storage_commit_failure("ledger"));
}

#[test]
fn a_request_in_flight_is_counted_until_it_is_dropped() {
    check("menshen_ingest_in_flight", 1.0, || {
        _ = std::mem::ManuallyDrop::new(InFlight::start());
    });
    check("menshen_ingest_in_flight", -1.0, || drop(InFlight(())));
}

#[test]
fn requests_are_counted_on_hot_and_other_routes() {
    install();
    let (post, get) = (http::Method::POST, http::Method::GET);
    let sample = |route: &str, method: &str, status: u16| {
        format!("menshen_http_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}}")
    };
    let took = Duration::from_micros(80);
    let hot = RouteMetrics::register("/test/hot", &post);
    check(&sample("/test/hot", "POST", 200), 1.0, || hot.finished(200, took));
    hot.finished(418, took);
    check(&sample("/test/hot", "POST", 418), 1.0, || hot.finished(418, took));
    request_finished("/test/cold", &get, 200, took);
    check(&sample("/test/cold", "GET", 200), 1.0, || request_finished("/test/cold", &get, 200, took));
    assert_eq!(method_label(&http::Method::from_bytes(b"BREW").unwrap()), "other");
}

#[test]
fn every_metric_is_rendered_from_the_start_with_help_and_type() {
    install();
    let text = render();
    for definition in DEFINITIONS {
        let name = definition.name;
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
        let kind = match definition.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind}");
    }
    assert!(text.contains("menshen_build_info{version="));
    if cfg!(target_os = "linux") {
        assert!(value(&text, "process_resident_memory_bytes").unwrap() > 1e6);
    }
}

#[test]
fn the_table_is_in_the_order_of_the_enum_and_names_follow_the_conventions() {
    let mut seen = std::collections::HashSet::new();
    for (place, definition) in DEFINITIONS.iter().enumerate() {
        assert_eq!(definition.metric as usize, place);
        let name = definition.name;
        assert!(seen.insert(name), "{name} twice");
        assert!(name.starts_with("menshen_"), "{name}");
        assert_eq!(definition.kind == Kind::Counter, name.ends_with("_total"), "{name}");
        let combinations: usize = definition.labels.iter().map(|label| label.values.len()).product();
        assert!(combinations <= 64, "{name} has {combinations} series");
        for label in definition.labels {
            assert!(!["lane", "group", "member", "rule"].contains(&label.name), "{name} {{{}}}", label.name);
        }
    }
}

#[test]
fn regions_beyond_the_limit_count_as_one() {
    use regions::{Happened, REGIONS_MAX, happened};

    install();
    let count =
        |region: Option<&str>| happened(region, &Happened { messages: 2, leaves: 1, ..Happened::default() });
    count(None);
    for nth in 0..REGIONS_MAX {
        count(Some(&format!("r-{nth}")));
    }
    count(Some("one-too-many"));
    let text = render();
    let sample = |region: &str, kind: &str| {
        value(&text, &format!("menshen_region_events_total{{region=\"{region}\",kind=\"{kind}\"}}"))
    };
    assert!(sample("none", "messages").is_some_and(|messages| messages >= 2.0));
    assert!(sample("other", "leaves").is_some_and(|leaves| leaves >= 1.0));
    assert_eq!(sample("one-too-many", "messages"), None);
    let regions: std::collections::BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("menshen_region_events_total{region=\"")?.split('"').next())
        .collect();
    assert!(regions.len() <= REGIONS_MAX + 2, "{regions:?}");
}
