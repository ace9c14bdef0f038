//! Rules about the tree that fail the build: who may import whom, how long a file is, what must be documented.
//!
//! Not for: behaviour. Each check is a function from files to findings, run over the repository and over a bad sample
//! that it must complain about, since a check that cannot fail checks nothing.

#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/examples.rs"]
mod examples;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/tree.rs"]
mod tree;

use std::collections::BTreeMap;

use tree::File;

/// Fails with every finding at once.
fn clean(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// Checks that a bad sample is found, and that the finding says what is wrong.
fn found(findings: &[String], expect: &str) {
    assert!(
        findings.iter().any(|finding| finding.contains(expect)),
        "nothing about `{expect}` in {findings:?}"
    );
}

fn sample(path: &str, text: &str) -> Vec<File> {
    vec![File { path: path.to_owned(), text: text.to_owned() }]
}

#[test]
fn the_tree_is_read() {
    let files = tree::read();
    for path in
        ["src/lib.rs", "src/telemetry/metrics.rs", "tests/tidy.rs", "config/menshen.toml", "Cargo.toml"]
    {
        assert!(files.iter().any(|file| file.path == path), "{path} was not read");
    }
    assert!(!files.iter().any(|file| file.path.starts_with("target/")));
}

#[test]
fn comments_and_strings_are_no_code() {
    let text = "use crate::a; // crate::b\n/* crate::c /* nested */ */ let x = \"crate::d \\\" \"; r#\"crate::e\"#; 'x'; &'a str; '\"'; crate::f";
    let code = tree::code(text);
    for (part, is_code) in [("a", true), ("b", false), ("c", false), ("d", false), ("e", false), ("f", true)]
    {
        assert_eq!(code.contains(&format!("crate::{part}")), is_code, "crate::{part} in {code}");
    }
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn imports_point_down() {
    clean(&layers::arrows(&tree::read()));
    found(&layers::arrows(&sample("src/dedupe.rs", "use crate::storage::Storage;")), "storage");
    found(&layers::arrows(&sample("src/dedupe/seal.rs", "use super::super::storage;")), "super::super");
    found(
        &layers::arrows(&sample("src/access.rs", "use crate::{event::Role, directory::{Shop, Group}};")),
        "directory",
    );
    found(&layers::arrows(&sample("src/outbox.rs", "fn f() { crate::connectors::all() }")), "connectors");
    found(&layers::arrows(&sample("src/api/router.rs", "use crate::config::Config;")), "config");
    found(&layers::arrows(&sample("src/config.rs", "use crate::storage::Storage;")), "storage::Storage");
    found(&layers::arrows(&sample("src/statistics/fold.rs", "use super::Query;")), "statistics::Query");
    found(&layers::arrows(&sample("src/cellar.rs", "use crate::event::Role;")), "not in the table");
    clean(&layers::arrows(&sample("src/config.rs", "section: crate::storage::Config,")));
    clean(&layers::arrows(&sample(
        "src/event.rs",
        "#[cfg(test)]\nmod tests {\n use crate::storage::Storage;\n}",
    )));
}

#[test]
fn names_of_crates_stay_in_their_rooms() {
    clean(&layers::crates(&tree::read()));
    found(&layers::crates(&sample("src/api/groups.rs", "use rusqlite::Connection;")), "rusqlite");
    found(&layers::crates(&sample("src/ingest.rs", "metrics::counter!(\"x\")")), "metrics::counter!");
    found(&layers::crates(&sample("src/pipeline.rs", "use tokio::sync::Mutex;")), "tokio");
    found(&layers::crates(&sample("src/replies.rs", "let t = std::time::Instant::now();")), "Instant");
    found(&layers::crates(&sample("src/pipeline.rs", "tracing::info!(\"x\");")), "tracing");
}

#[test]
fn files_are_short() {
    clean(&sources::length(&tree::read()));
    let long = "fn f() {}\n".repeat(601);
    found(&sources::length(&sample("src/a.rs", &long)), "601 lines");
    found(&sources::length(&sample("src/a.rs", &format!("#[cfg(test)]\nmod tests;\n{long}"))), "603 lines");
    clean(&sources::length(&sample("src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}"))));
    clean(&sources::length(&sample("src/a/tests.rs", &long)));
}

#[test]
fn files_open_with_what_they_are_for() {
    clean(&sources::module_docs(&tree::read()));
    found(&sources::module_docs(&sample("benches/a.rs", "use std::fmt;\n")), "benches/a.rs");
    found(&sources::module_docs(&sample("src/a.rs", "//! x\n")), "src/a.rs");
}

#[test]
fn nothing_is_left_for_later_without_an_issue() {
    clean(&sources::left_for_later(&tree::read()));
    let word = ["TO", "DO"].concat();
    found(&sources::left_for_later(&sample("src/a.rs", &format!("// {word}: later\n"))), "src/a.rs:1");
    clean(&sources::left_for_later(&sample("src/a.rs", &format!("// {word}(#12): later\n"))));
}

#[test]
fn there_are_no_shortcuts() {
    clean(&sources::shortcuts(&tree::read()));
    found(&sources::shortcuts(&sample("src/a/mod.rs", "//! x\n")), "src/a.rs");
    for (text, expect) in [
        (["#[ign", "ore]\nfn f() {}"].concat(), "#[ign"),
        (["#[should", "_panic]"].concat(), "should"),
        (["#[all", "ow(dead_code)]"].concat(), "expect"),
        (["// see /wo", "rk/shared/x"].concat(), "path of one machine"),
    ] {
        found(&sources::shortcuts(&sample("tests/a.rs", &text)), expect);
    }
}

#[test]
fn wordlists_are_sorted_and_say_where_they_are_from() {
    clean(&sources::wordlists(&tree::read()));
    let header = "# intent: x\n# category: x high\n# origin: x\n# licence: x\n";
    let check = |text: &str| sources::wordlists(&sample("wordlists/a.txt", text));
    clean(&check(&format!("{header}!a\n!b\na\nb\n")));
    found(&check(&format!("{header}b\na\n")), "`a` stands after `b`");
    found(&check(&format!("{header}a\na\n")), "`a` stands after `a`");
    found(&check("# intent: x\n# origin: x\n# licence: x\na\n"), "category");
    found(&check(&format!("{header}a\n\nb\n")), "empty line");
}

#[test]
fn vectors_can_be_read() {
    clean(&sources::vectors(&tree::read()));
    found(&sources::vectors(&sample("tests/vectors/a.json", "{")), "tests/vectors/a.json");
}

#[test]
fn every_configuration_key_has_a_comment() {
    clean(&docs::configuration(&tree::read()));
    let check = |text: &str| docs::configuration(&sample("config/menshen.toml", text));
    clean(&check("[a]\n# What it is for.\nkey = 1\n# Another one.\n#other = 2\n"));
    found(&check("[a]\nkey = 1\n"), "`key = 1`");
    found(&check("[a]\n# What it is for.\nkey = 1\nother = 2\n"), "`other = 2`");
    found(&check("[a]\n#other = 2\n"), "`#other = 2`");
}

#[test]
fn dashboards_and_alerts_name_what_there_is() {
    let files = tree::read();
    for path in ["config/examples/grafana-dashboard.json", "config/examples/prometheus-alerts.yml"] {
        assert!(files.iter().any(|file| file.path == path), "{path} was not read");
    }
    clean(&examples::metrics(&files));
    let check = |path: &str, text: &str| {
        examples::metrics(
            &[sample(path, text), sample("docs/OPERATING.md", "| `menshen_a` | | x |\n`menshen_b`")].concat(),
        )
    };
    clean(&check("config/examples/a.yml", "expr: rate(menshen_a_bucket[5m]) + menshen_a"));
    found(&check("config/examples/a.yml", "expr: menshen_a_total > 0"), "menshen_a_total");
    found(&check("config/examples/a.json", r#"{"panels": [{"expr": "menshen_b > 0"}]}"#), "menshen_b");
}

#[test]
fn dashboards_and_alerts_ask_for_labels_there_are() {
    use menshen::telemetry::metrics::{DEFINITIONS, Label};
    let any = |name| Label { name, values: &[] };
    let mut known: BTreeMap<_, _> = DEFINITIONS.iter().map(|of| (of.name, of.labels.to_vec())).collect();
    known.insert("menshen_http_requests_total", ["route", "method", "status"].map(any).to_vec());
    known.insert("menshen_http_request_duration_seconds", ["route", "method"].map(any).to_vec());
    let kind =
        Label { name: "kind", values: &["messages", "joins", "leaves", "hits", "questions", "answered"] };
    known.insert("menshen_region_events_total", vec![any("region"), kind]);
    clean(&examples::labels(&tree::read(), &known));
    let known = BTreeMap::from([("menshen_a", vec![Label { name: "state", values: &["on", "off"] }])]);
    let check = |selector: &str| {
        let text = format!("expr: menshen_a{{{selector}}}");
        examples::labels(&sample("config/examples/a.yml", &text), &known)
    };
    clean(&check(r#"job="x",state=~"on|off""#));
    found(&check(r#"status="on""#), "no label `status`");
    found(&check(r#"state=~"on|of""#), "never `of`");
}

#[test]
fn alerts_say_what_to_do() {
    clean(&examples::alerts(&tree::read()));
    let check = |text: &str| {
        let manual = sample("docs/OPERATING.md", "## Stopping: the drain\n");
        examples::alerts(&[sample("config/examples/a.yml", text), manual].concat())
    };
    let whole =
        "- alert: A\n severity: critical\n summary: x\n description: docs/OPERATING.md#stopping-the-drain";
    clean(&check(whole));
    found(&check(&whole.replace("severity", "")), "severity");
    found(&check(&whole.replace("the-drain", "")), "names no section");
}

#[test]
fn dashboards_are_laid_out() {
    clean(&examples::layout(&tree::read()));
    let check = |second: &str| {
        let first = r#"{"id": 1, "title": "a", "gridPos": {"x": 0, "y": 0, "w": 12, "h": 2}}"#;
        examples::layout(&sample("config/examples/a.json", &format!(r#"{{"panels": [{first}, {second}]}}"#)))
    };
    clean(&check(r#"{"id": 2, "gridPos": {"x": 12, "y": 1, "w": 12, "h": 2}}"#));
    found(&check(r#"{"id": 1, "gridPos": {"x": 12, "y": 1, "w": 12, "h": 2}}"#), "no id of its own");
    found(
        &check(r#"{"id": 2, "title": "b", "gridPos": {"x": 6, "y": 1, "w": 12, "h": 2}}"#),
        "`b` lies on `a`",
    );
    found(&check(r#"{"id": 2, "gridPos": {"x": 20, "y": 2, "w": 12, "h": 2}}"#), "not on the grid");
    found(&check("{"), "a.json");
}

#[test]
fn every_metric_is_in_the_operators_manual() {
    let known = menshen::telemetry::metrics::all_names();
    clean(&docs::metrics(&tree::read(), &known));
    let check =
        |text: &str| docs::metrics(&sample("docs/OPERATING.md", text), &["menshen_a_total", "menshen_b"]);
    clean(&check("`menshen_a_total` `menshen_b{x}` menshen_b"));
    found(&check("`menshen_a_total`"), "menshen_b");
    found(&check("`menshen_a_total` `menshen_b` `menshen_c`"), "menshen_c");
    clean(&docs::metrics(
        &[sample("docs/OPERATING.md", "`menshen_h`"), sample("README.md", "`menshen_h_bucket`")].concat(),
        &["menshen_h"],
    ));
}

#[test]
fn every_fact_is_told_by_somebody() {
    clean(&sources::untold_facts(&tree::read()));
    let facts = sample(
        "src/telemetry/metrics.rs",
        "pub fn told(n: u64) {}\npub fn untold() {}\npub fn install() {}\n",
    );
    let caller = sample("src/ingest.rs", "metrics::told(1); // metrics::untold()");
    found(&sources::untold_facts(&[facts, caller].concat()), "untold");
}

#[test]
fn every_module_is_on_the_map() {
    clean(&docs::map(&tree::read()));
    let files =
        [sample("src/lib.rs", "pub mod event;\nmod cellar;\n"), sample("docs/ARCHITECTURE.md", "`event`")]
            .concat();
    found(&docs::map(&files), "cellar");
}

#[test]
fn links_lead_somewhere() {
    clean(&docs::links(&tree::read()));
    let check =
        |text: &str| docs::links(&[sample("docs/A.md", text), sample("README.md", "# A title")].concat());
    clean(&check("[r](../README.md#a-title) [w](https://example.org/x) [h](#here)"));
    found(&check("[r](README.md)"), "docs/README.md");
    found(&check("[r](../README.zh.md)"), "README.zh.md");
}

#[test]
fn the_readme_and_the_gate_run_the_same_tests() {
    clean(&docs::test_command(&tree::read()));
    let check = |readme: &str, gate: &str| {
        docs::test_command(&[sample("README.md", readme), sample(".ci/run", gate)].concat())
    };
    clean(&check(
        "```sh\ncargo test --workspace --locked\n```\n",
        "step tests cargo test --workspace --locked\n",
    ));
    found(&check("```sh\ncargo test\n```\n", "cargo test --workspace --locked\n"), "cargo test");
    found(&check("nothing", "cargo test --workspace --locked\n"), "README.md");
}
