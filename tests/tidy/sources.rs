//! Rules about single files.

use super::tree::{self, File};

/// Most lines of a file without its unit tests. 400 asks why.
const LINES_MAX: usize = 600;

/// Finds files that should be several.
pub(crate) fn length(files: &[File]) -> Vec<String> {
    let of_product = |file: &&File| file.is_rust() && file.path.starts_with("src/");
    let long = |file: &File| {
        let lines = file.without_tests().lines().count();
        (lines > LINES_MAX)
            .then(|| format!("{}: {lines} lines without tests; {LINES_MAX} at most", file.path))
    };
    files.iter().filter(of_product).filter_map(long).collect()
}

/// Finds files that do not begin by saying what they are for.
pub(crate) fn module_docs(files: &[File]) -> Vec<String> {
    let silent = |file: &&File| {
        let says = file.text.lines().next().is_some_and(|line| line.starts_with("//! ") && line.len() > 10);
        file.is_rust() && !says
    };
    files
        .iter()
        .filter(silent)
        .map(|file| format!("{}: begin with `//!` and what it is for", file.path))
        .collect()
}

/// Finds notes about later work that no issue knows of.
pub(crate) fn left_for_later(files: &[File]) -> Vec<String> {
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat()];
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| !file.is("txt") && !file.is("json")) {
        for (number, line) in file.text.lines().enumerate() {
            for word in &words {
                let bare = line.split(|c: char| c.is_whitespace()).any(|part| {
                    part.trim_start_matches('/').strip_prefix(word.as_str()).is_some_and(|rest| {
                        !rest.starts_with("(#") && !rest.starts_with(|c: char| c.is_alphanumeric())
                    })
                });
                if bare {
                    findings.push(format!("{}:{}: {word} without an issue", file.path, number + 1));
                }
            }
        }
    }
    findings
}

/// Finds what we agreed not to do.
pub(crate) fn shortcuts(files: &[File]) -> Vec<String> {
    let banned = [
        (["#[ign", "ore"].concat(), "a test that does not run"),
        (["#[should", "_panic"].concat(), "assert on the error instead"),
        (["#[all", "ow("].concat(), "use #[expect(…, reason)]"),
        (["#![all", "ow("].concat(), "use #![expect(…, reason)]"),
    ];
    let machine =
        [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat(), ["/ho", "me/"].concat(), ["/tm", "p/h/"].concat()];
    let mut findings = Vec::new();
    for file in files {
        if let Some(module) = file.path.strip_suffix("/mod.rs").filter(|path| path.starts_with("src/")) {
            findings.push(format!("{}: name it {module}.rs", file.path));
        }
        let code = if file.is_rust() { tree::code(&file.text) } else { String::new() };
        for (needle, why) in banned.iter().filter(|(needle, _)| code.contains(needle.as_str())) {
            findings.push(format!("{}: `{needle}`: {why}", file.path));
        }
        if !file.path.starts_with("wordlists/") {
            for needle in machine.iter().filter(|needle| file.text.contains(needle.as_str())) {
                findings.push(format!("{}: `{needle}` is a path of one machine", file.path));
            }
        }
    }
    findings
}

/// Header lines that every wordlist has.
const HEADER: [&str; 4] = ["intent", "category", "origin", "licence"];

/// Finds wordlists that are unsorted or do not say what they are.
pub(crate) fn wordlists(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    let is_list = |file: &&File| {
        let name = file.path.strip_prefix("wordlists/").unwrap_or("/");
        file.is("txt") && !name.contains('/')
    };
    for file in files.iter().filter(is_list) {
        for key in HEADER {
            if !file.text.lines().any(|line| line.starts_with(&format!("# {key}: "))) {
                findings.push(format!("{}: no `# {key}: …` line", file.path));
            }
        }
        let lines: Vec<_> = file.text.lines().skip_while(|line| line.starts_with('#')).collect();
        if lines.iter().any(|line| line.trim().is_empty()) {
            findings.push(format!("{}: an empty line", file.path));
        }
        for pair in lines.windows(2) {
            let [before, after] = pair else { continue };
            if after <= before {
                findings.push(format!("{}: `{after}` stands after `{before}`", file.path));
            }
        }
    }
    findings
}

/// Finds test vectors that cannot be read.
pub(crate) fn vectors(files: &[File]) -> Vec<String> {
    let is_vector = |file: &&File| file.path.starts_with("tests/vectors/") && file.is("json");
    let broken = |file: &File| {
        let read = serde_json::from_str::<serde_json::Value>(&file.text);
        read.err().map(|error| format!("{}: {error}", file.path))
    };
    files.iter().filter(is_vector).filter_map(broken).collect()
}

/// Finds facts that are named and described but never counted: an operator would wait for them in vain.
pub(crate) fn untold_facts(files: &[File]) -> Vec<String> {
    let facts = files.iter().find(|file| file.path == "src/telemetry/metrics.rs");
    let facts = facts.map(|file| tree::code(&file.text)).unwrap_or_default();
    let names =
        facts.lines().filter_map(|line| line.strip_prefix("pub fn ")?.split('(').next().map(str::to_owned));
    // Called by the entry and the listener, or by everybody who only reads the table.
    let tools = ["install", "render", "upkeep", "all_names"];
    let outside = |file: &&File| {
        let path = &file.path;
        file.is_rust() && path.starts_with("src/") && !path.starts_with("src/telemetry/metrics")
    };
    let callers: Vec<_> = files.iter().filter(outside).map(|file| tree::code(file.without_tests())).collect();
    let told = |name: &str| callers.iter().any(|code| code.contains(&format!("metrics::{name}(")));
    names
        .filter(|name| !tools.contains(&name.as_str()) && !told(name))
        .map(|name| format!("src/telemetry/metrics.rs: nobody calls `{name}`"))
        .collect()
}
