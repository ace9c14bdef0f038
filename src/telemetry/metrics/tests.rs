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
    check("menshen_events_total{status=\"late\"}", 3.0, || event_ingested(Status::Late, 3));
    check("menshen_verdicts_total{verdict=\"block\"}", 1.0, || verdict(Verdict::Block));
    check("menshen_ingest_rejected_total{reason=\"draining\"}", 1.0, || ingest_rejected(Rejection::Draining));
    check("menshen_callbacks_total{platform=\"webhook\",outcome=\"refused\"}", 1.0, || {
        callback("webhook", CallbackOutcome::Refused);
    });
    check("menshen_actions_total{kind=\"mute\",outcome=\"over_budget\"}", 1.0, || {
        action(ActionKind::Mute, ActionOutcome::OverBudget);
    });
    check("menshen_send_attempts_total{platform=\"other\",outcome=\"dead\"}", 1.0, || {
        send_attempt("carrier pigeon", SendOutcome::Dead, Duration::from_millis(1));
    });
    check("menshen_journal_commit_seconds_bucket{le=\"0.002\"}", 1.0, || {
        journal_committed(Duration::from_micros(1500), 7);
    });
}

#[test]
fn a_request_in_flight_is_counted_until_it_is_dropped() {
    install();
    let guard = ingest_started();
    let during = value(&render(), "menshen_ingest_in_flight").unwrap();
    drop(guard);
    let after = value(&render(), "menshen_ingest_in_flight").unwrap();
    assert!((during - after - 1.0).abs() < 1e-9);
}

#[test]
fn hot_routes_count_expected_and_unexpected_statuses() {
    install();
    let route = RouteMetrics::register("/test/hot", &http::Method::POST);
    let expected = "menshen_http_requests_total{route=\"/test/hot\",method=\"POST\",status=\"200\"}";
    check(expected, 1.0, || route.finished(200, Duration::from_micros(80)));
    route.finished(418, Duration::from_micros(80));
    request_finished("/test/hot", &http::Method::POST, 418, Duration::ZERO);
    let strange = "menshen_http_requests_total{route=\"/test/hot\",method=\"POST\",status=\"418\"}";
    assert_eq!(value(&render(), strange), Some(2.0));
    let brew = http::Method::from_bytes(b"BREW").unwrap();
    assert_eq!(method_label(&brew), "other");
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
