//! Rules about the examples that other programs read: Grafana's dashboard and Prometheus' alerts.
//!
//! Not for: whether expressions can be parsed, which `promtool check rules` says. A name or a label that does not exist is no
//! error to either program: the panel stays empty and the alarm silent, so it is looked for here.

use std::collections::{BTreeMap, BTreeSet};

use menshen::telemetry::metrics::Label;
use serde_json::Value;

use super::tree::File;

/// What Prometheus adds to every metric, and histograms to theirs.
const ANYWHERE: [&str; 3] = ["job", "instance", "le"];

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

/// Finds metrics in the examples that the tables of the manual do not have.
pub(crate) fn metrics(files: &[File]) -> Vec<String> {
    let tables: BTreeSet<&str> =
        manual(files).lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut findings = Vec::new();
    for file in examples(files) {
        for (name, _) in uses(file) {
            if !tables.contains(name.as_str()) && !tables.contains(family(&name)) {
                findings.push(format!("{}: the manual has no metric `{name}`", file.path));
            }
        }
    }
    findings
}

/// Finds labels, and values of them, that a metric never has. A label without values may have any.
pub(crate) fn labels(files: &[File], known: &BTreeMap<&str, Vec<Label>>) -> Vec<String> {
    let mut findings = Vec::new();
    for file in examples(files) {
        for (name, selector) in uses(file) {
            let labels = known.get(name.as_str()).or_else(|| known.get(family(&name)));
            for (label, value) in selector.split(',').filter_map(matcher) {
                let found = labels.and_then(|labels| labels.iter().find(|known| known.name == label));
                let Some(found) = found else {
                    if !ANYWHERE.contains(&label) {
                        findings.push(format!("{}: `{name}` has no label `{label}`", file.path));
                    }
                    continue;
                };
                let is_known = |value: &str| found.values.is_empty() || found.values.contains(&value);
                if let Some(value) = value.split('|').find(|value| !is_known(value)) {
                    findings.push(format!("{}: `{label}` of `{name}` is never `{value}`", file.path));
                }
            }
        }
    }
    findings
}

/// Finds alerts that do not say how bad it is, what is wrong and which section of the manual to read.
pub(crate) fn alerts(files: &[File]) -> Vec<String> {
    const SECTION: &str = "docs/OPERATING.md#";
    let anchors: BTreeSet<String> =
        manual(files).lines().filter(|line| line.starts_with("##")).map(anchor).collect();
    let mut findings = Vec::new();
    for file in examples(files).filter(|file| file.is("yml")) {
        for alert in file.text.split("- alert: ").skip(1) {
            let name = alert.lines().next().unwrap_or_default();
            for part in ["severity: ", "summary: ", "description: ", SECTION] {
                if !alert.contains(part) {
                    findings.push(format!("{}: `{name}` has no `{part}`", file.path));
                }
            }
            for section in alert.split(SECTION).skip(1) {
                let section = section.split(|c: char| !c.is_alphanumeric() && c != '-').next();
                let section = section.unwrap_or_default();
                if !anchors.contains(section) {
                    findings.push(format!("{}: `{name}` names no section: `{section}`", file.path));
                }
            }
        }
    }
    findings
}

/// Finds dashboards that Grafana would not draw as meant: panels with one id, panels on top of each other.
pub(crate) fn layout(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in examples(files).filter(|file| file.is("json")) {
        let board: Value = match serde_json::from_str(&file.text) {
            Ok(board) => board,
            Err(error) => {
                findings.push(format!("{}: {error}", file.path));
                continue;
            }
        };
        let mut ids = BTreeSet::new();
        let mut placed: Vec<(&str, [u64; 4])> = Vec::new();
        for panel in board["panels"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().unwrap_or_default();
            if !panel["id"].as_u64().is_some_and(|id| ids.insert(id)) {
                findings.push(format!("{}: `{title}` has no id of its own", file.path));
            }
            let place = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap_or(0));
            if place[2] == 0 || place[3] == 0 || place[0] + place[2] > COLUMNS {
                findings.push(format!("{}: `{title}` is not on the grid", file.path));
            }
            if let Some((other, _)) = placed.iter().find(|(_, other)| overlap(*other, place)) {
                findings.push(format!("{}: `{title}` lies on `{other}`", file.path));
            }
            placed.push((title, place));
        }
    }
    findings
}

/// Says whether two rectangles, `[x, y, width, height]`, have a field in common.
fn overlap(a: [u64; 4], b: [u64; 4]) -> bool {
    let meets = |at: usize| a[at] < b[at] + b[at + 2] && b[at] < a[at] + a[at + 2];
    meets(0) && meets(1)
}

fn examples(files: &[File]) -> impl Iterator<Item = &File> {
    let is_example = |file: &&File| file.path.starts_with("config/examples/");
    files.iter().filter(is_example).filter(|file| file.is("json") || file.is("yml"))
}

/// The operators' manual; the rows of its tables begin with a name.
fn manual(files: &[File]) -> &str {
    files.iter().find(|file| file.path == "docs/OPERATING.md").map_or("", |file| file.text.as_str())
}

/// Metrics in an example, each with what stands in its braces. YAML is read as text; of JSON, what a string says.
fn uses(file: &File) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if file.is("json") {
        let board = serde_json::from_str(&file.text).unwrap_or_default();
        uses_in_value(&board, &mut found);
    } else {
        uses_in_text(&file.text, &mut found);
    }
    found
}

fn uses_in_value(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => uses_in_text(text, found),
        Value::Array(values) => values.iter().for_each(|value| uses_in_value(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| uses_in_value(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn uses_in_text(text: &str, found: &mut Vec<(String, String)>) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = text;
    while let Some((before, from)) = rest.find("menshen_").map(|at| rest.split_at(at)) {
        let end = from.find(|c| !is_part(c)).unwrap_or(from.len());
        let (name, after) = from.split_at(end);
        if !before.ends_with(is_part) {
            let selector = after.strip_prefix('{').and_then(|braces| braces.split('}').next());
            found.push((name.to_owned(), selector.unwrap_or_default().to_owned()));
        }
        rest = after;
    }
}

/// The metric that a series of a histogram belongs to.
fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

/// Label and value of one matcher, like `state=~"open|half_open"`.
fn matcher(text: &str) -> Option<(&str, &str)> {
    let (label, value) = text.split_once('"')?;
    Some((label.trim().trim_end_matches(['=', '!', '~']), value.split('"').next()?))
}

/// What a heading is linked by, as code forges make it.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    words
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
