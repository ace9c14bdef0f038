//! Rules about what must be written down, and about what is written being true.

use std::collections::BTreeSet;

use super::tree::{self, File};

fn text<'a>(files: &'a [File], path: &str) -> &'a str {
    files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str())
}

/// Finds keys without a comment right above. `#key = …` without a space is a key that has no default.
pub(crate) fn configuration(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut described = false;
    for (number, line) in text(files, "config/menshen.toml").lines().enumerate() {
        let optional =
            line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        let is_key = line.contains(" = ") && (optional || !line.starts_with('#'));
        if is_key && !described {
            findings.push(format!("config/menshen.toml:{}: no comment above `{line}`", number + 1));
        }
        described = line.starts_with("# ") && line.len() > 10;
    }
    findings
}

/// Finds metrics that the manual does not explain, and names in any document that do not exist.
pub(crate) fn metrics(files: &[File], known: &[&str]) -> Vec<String> {
    let manual = names(text(files, "docs/OPERATING.md"));
    let mut findings: Vec<_> = known
        .iter()
        .filter(|name| name.starts_with("menshen_") && !manual.contains(**name))
        .map(|name| format!("docs/OPERATING.md: says nothing about `{name}`"))
        .collect();
    for file in files.iter().filter(|file| file.is("md")) {
        for name in names(&file.text) {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            if !known.contains(&name.as_str()) && !family.is_some_and(|family| known.contains(&family)) {
                findings.push(format!("{}: there is no metric `{name}`", file.path));
            }
        }
    }
    findings
}

/// Lists words that look like metrics of ours.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.strip_prefix("menshen_").is_some_and(|rest| !rest.is_empty()))
        .map(str::to_owned)
        .collect()
}

/// Finds top modules that the map of the code leaves out.
pub(crate) fn map(files: &[File]) -> Vec<String> {
    let map = text(files, "docs/ARCHITECTURE.md");
    let modules = text(files, "src/lib.rs").lines().filter_map(|line| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    modules
        .filter(|module| !map.contains(&format!("`{module}`")))
        .map(|module| format!("docs/ARCHITECTURE.md: says nothing about `{module}`"))
        .collect()
}

/// Finds links to files of ours that are not there.
pub(crate) fn links(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is("md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for part in file.text.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty()
                || target.contains("://")
                || target.starts_with("mailto:")
                || target.starts_with('/')
            {
                continue;
            }
            let path = resolve(folder, target);
            let is_there = files.iter().any(|file| file.path == path) || tree::root().join(&path).exists();
            if !is_there {
                findings.push(format!("{}: `{path}` is not there", file.path));
            }
        }
    }
    findings
}

fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Finds a difference between what the README tells people to run and what the gate runs.
pub(crate) fn test_command(files: &[File]) -> Vec<String> {
    let command = |path: &str| {
        let line = text(files, path).lines().find_map(|line| Some(line.split_at(line.find("cargo test")?).1));
        line.map(|line| line.split([';', '&', '#', '`', '|']).next().unwrap_or_default().trim().to_owned())
    };
    match (command("README.md"), command(".ci/run")) {
        (None, _) => vec!["README.md: no line with `cargo test`".to_owned()],
        (_, None) => vec![".ci/run: no line with `cargo test`".to_owned()],
        (Some(readme), Some(gate)) if readme != gate => {
            vec![format!("README.md says `{readme}`, .ci/run runs `{gate}`")]
        }
        (Some(_), Some(_)) => Vec::new(),
    }
}
