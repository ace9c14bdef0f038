//! Who may import whom, and which crates may be named where.

use super::tree::{self, File};

/// A module and what it may use besides itself.
struct Room {
    /// Path below `crate`; the longest one that fits a file counts.
    path: &'static str,
    /// Rooms it may use. A room's own subtree is always allowed, but not a pure room inside it from outside, nor from a
    /// pure room anything of its parents.
    may_use: &'static [&'static [&'static str]],
    /// Decides without I/O, clock or globals.
    pure: bool,
}

/// Layer 0: words, and what reads and writes them.
const WORDS: &[&str] = &["event", "hours", "near", "reach", "template", "units"];

/// Layer 1: the pure core.
const CORE: &[&str] = &[
    "pipeline",
    "dedupe",
    "interception",
    "conduct",
    "questions",
    "replies",
    "welcomes",
    "journeys",
    "statistics::coverage",
    "statistics::days",
    "statistics::definitions",
    "statistics::figures",
    "statistics::fold",
    "statistics::words",
    "report",
    "fleet::spread",
    "broadcasts::state",
    "outbox::delivery",
    "outbox::limit",
    "outbox::limiter",
    "outbox::pacer",
    "outbox::lanes",
    "alerts::baseline",
    "alerts::episode",
    "alerts::terms",
    "alerts::windows",
];

/// Tools that everybody above the core may use.
const TOOLS: &[&str] = &["telemetry", "tasks", "clock"];

/// Layer 2: state. They may not use each other, but for storage.
const STATE: &[&str] = &[
    "access",
    "alerts",
    "directory",
    "outbox",
    "statistics",
    "storage",
    "fleet",
    "broadcasts",
    "notices",
    "duties",
    "rulesets",
    "evidence",
    "people",
    "reviews",
];

/// Layer 3: edges.
const EDGES: &[&str] = &["connectors", "hook", "subscriptions", "webhooks"];

const fn pure(path: &'static str, may_use: &'static [&'static [&'static str]]) -> Room {
    Room { path, may_use, pure: true }
}

const fn room(path: &'static str, may_use: &'static [&'static [&'static str]]) -> Room {
    Room { path, may_use, pure: false }
}

const ROOMS: &[Room] = &[
    // 0: words
    pure("units", &[]),
    pure("near", &[]),
    pure("event", &[&["near"]]),
    pure("hours", &[&["event"]]),
    pure("reach", &[&["event"]]),
    pure("template", &[&["event", "units"]]),
    // tools
    room("clock", &[]),
    // A panic is logged and counted where it is seen.
    room("tasks", &[WORDS, &["telemetry"]]),
    room("telemetry", &[WORDS]),
    // 1: the pure core. The pipeline is its table of contents and may use every stage; a stage uses no other, but that
    // keyword rules match over the same folding as wordlists.
    pure(
        "pipeline",
        &[
            WORDS,
            &[
                "dedupe",
                "interception",
                "conduct",
                "questions",
                "replies",
                "welcomes",
                "journeys",
                "outbox::delivery",
            ],
        ],
    ),
    pure("dedupe", &[WORDS]),
    // A policy says what follows from strikes, so it holds the ladder.
    pure("interception", &[WORDS, &["conduct::ladder"]]),
    pure("conduct", &[WORDS]),
    pure("questions", &[WORDS]),
    pure("replies", &[WORDS, &["interception"]]),
    pure("welcomes", &[WORDS, &["outbox::delivery"]]),
    pure("journeys", &[WORDS]),
    pure("statistics::coverage", &[WORDS]),
    pure("statistics::definitions", &[WORDS]),
    pure("statistics::days", &[WORDS, &["statistics::definitions"]]),
    pure("statistics::figures", &[WORDS, &["statistics::definitions", "statistics::days"]]),
    pure("statistics::fold", &[WORDS, &["statistics::definitions", "statistics::days"]]),
    // It takes texts apart as interception folds them, and says what is usual as alerts do.
    pure("statistics::words", &[WORDS, &["interception", "alerts::baseline"]]),
    pure("report", &[WORDS, &["statistics::definitions"]]),
    pure("fleet::spread", &[WORDS]),
    // It reads the record and the counts as plain values.
    pure("broadcasts::state", &[WORDS, &["broadcasts::record::Broadcast", "broadcasts::progress::Counts"]]),
    pure("outbox::delivery", &[WORDS]),
    pure("outbox::limit", &[WORDS]),
    pure("outbox::limiter", &[WORDS, &["outbox::limit"]]),
    pure("outbox::pacer", &[WORDS, &["outbox::limit", "outbox::limiter"]]),
    pure(
        "outbox::lanes",
        &[WORDS, &["outbox::delivery", "outbox::limit", "outbox::limiter", "outbox::pacer"]],
    ),
    pure("alerts::baseline", &[WORDS]),
    pure("alerts::episode", &[WORDS]),
    pure("alerts::terms", &[WORDS, &["alerts::baseline", "alerts::episode"]]),
    pure("alerts::windows", &[WORDS]),
    // 2: state
    room("storage", &[WORDS, CORE, TOOLS]),
    room("access", &[WORDS, CORE, TOOLS, &["storage"]]),
    room("directory", &[WORDS, CORE, TOOLS, &["storage"]]),
    room("statistics", &[WORDS, CORE, TOOLS, &["storage"]]),
    // What a person decides about a case is sent.
    room("fleet", &[WORDS, CORE, TOOLS, &["storage", "outbox"]]),
    room("outbox", &[WORDS, CORE, TOOLS, &["storage"]]),
    // A broadcast's targets are the outbox's deliveries.
    room("broadcasts", &[WORDS, CORE, TOOLS, &["storage", "outbox"]]),
    room("duties", &[WORDS, CORE, TOOLS, &["storage"]]),
    room("rulesets", &[WORDS, CORE, TOOLS, &["storage"]]),
    // Texts are sealed with the same keys as account secrets.
    room(
        "evidence",
        &[
            WORDS,
            CORE,
            TOOLS,
            &["storage", "directory::Keyring", "directory::KeyError", "directory::SealedBytes"],
        ],
    ),
    room("people", &[WORDS, CORE, TOOLS, &["storage"]]),
    pure("people::rule", &[WORDS]),
    pure("people::scores", &[WORDS, &["people::rule"]]),
    pure("people::segment", &[WORDS, &["people::rule", "people::scores"]]),
    room("reviews", &[WORDS, CORE, TOOLS, &["storage"]]),
    room("alerts", &[WORDS, CORE, TOOLS, &["storage"]]),
    // Judged as a broadcast is.
    room("notices", &[WORDS, CORE, TOOLS, &["storage", "outbox", "broadcasts::TextJudge"]]),
    // 3: edges see the traits they implement, not the state below. The `webhook` platform speaks Standard Webhooks.
    room("webhooks", &[WORDS, TOOLS, &["outbox::delivery"]]),
    room(
        "connectors",
        &[
            WORDS,
            TOOLS,
            &[
                "outbox::delivery",
                "outbox::limit",
                // The arithmetic of windows: a platform's interfaces have limits beside those of sends.
                "outbox::limiter",
                "outbox::Deliverers",
                "outbox::Route",
                "webhooks",
            ],
        ],
    ),
    // It asks behind the outbox's circuit breaker, whose times are the limiter's.
    room("hook", &[WORDS, TOOLS, &["outbox::breaker", "outbox::limiter::Micros", "webhooks"]]),
    // It follows the ledger, and its secrets are sealed with the same keys as those of accounts.
    room(
        "subscriptions",
        &[
            WORDS,
            TOOLS,
            &[
                "storage",
                "webhooks",
                "outbox::retry",
                "directory::Keyring",
                "directory::KeyError",
                "directory::Sealed",
            ],
        ],
    ),
    // 4: flow
    room("ingest", &[WORDS, CORE, TOOLS, STATE, EDGES]),
    // 5: surfaces
    room("api", &[WORDS, CORE, TOOLS, STATE, EDGES, &["ingest"]]),
    room("console", &[WORDS, CORE, TOOLS, STATE, EDGES, &["ingest", "api"]]),
    // What a stage cannot remember is no limit that can be configured.
    room("config", &[WORDS, &["conduct::PROBATION_MAX", "conduct::TIMES_MAX", "conduct::WINDOW_MAX"]]),
];

/// The entry may use everything and is used by nobody.
const ENTRY: &[&str] = &["app", "main", "lib"];

/// Finds imports that point up or sideways.
pub(crate) fn arrows(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let Some(module) = module_of(&file.path) else { continue };
        if ENTRY.contains(&top(&module)) {
            continue;
        }
        let Some(from) = room_of(&module) else {
            findings.push(format!(
                "{}: `{module}` is not in the table of rooms in tests/tidy/layers.rs",
                file.path
            ));
            continue;
        };
        let code = tree::code(file.without_tests());
        if code.contains("super::super") {
            findings.push(format!("{}: write `crate::…` for `super::super`", file.path));
        }
        for target in mentions(&code, &module) {
            if !allowed(from, &module, &target) {
                findings.push(format!("{}: {} may not use `{target}`", file.path, from.path));
            }
        }
    }
    findings
}

fn allowed(from: &Room, module: &str, target: &str) -> bool {
    let within = |path: &str, room: &str| {
        path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    if within(target, from.path) {
        return true;
    }
    let listed = from.may_use.iter().copied().flatten().any(|room| within(target, room));
    // Configuration builds everybody's `Config`, and nothing else of theirs.
    let builds = from.path == "config" && target.ends_with("::Config");
    // A module may use its own pure rooms; a pure room may not use its parent.
    let own = !from.pure && top(target) == top(module);
    listed || builds || own
}

fn room_of(path: &str) -> Option<&'static Room> {
    let fits = |room: &&Room| {
        path.strip_prefix(room.path).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    ROOMS.iter().filter(fits).max_by_key(|room| room.path.len())
}

fn top(path: &str) -> &str {
    path.split("::").next().unwrap_or(path)
}

/// `src/a/b.rs` is `a::b`.
fn module_of(path: &str) -> Option<String> {
    Some(path.strip_prefix("src/")?.strip_suffix(".rs")?.replace('/', "::"))
}

/// Lists what a file names of our own crate, as paths below `crate`.
fn mentions(code: &str, module: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate` and `some_crate::` are something else.
        if code
            .get(..at)
            .is_some_and(|before| before.ends_with(|c: char| c == '$' || c == '_' || c.is_alphanumeric()))
        {
            continue;
        }
        use_tree(code.get(at + "crate::".len()..).unwrap_or_default(), "", &mut found);
    }
    // `super::` leaves the file's own module only in a `use` at its top level; deeper down it is an inline module's.
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    for line in code.lines() {
        for start in ["use super::", "pub use super::", "pub(crate) use super::", "pub(super) use super::"] {
            if let Some(rest) = line.strip_prefix(start) {
                let offset = line.as_ptr() as usize - code.as_ptr() as usize + line.len() - rest.len();
                use_tree(code.get(offset..).unwrap_or_default(), parent, &mut found);
            }
        }
    }
    found
}

/// Reads one path or `{…}` group after a `::`; returns what follows it.
fn use_tree<'a>(text: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = use_tree(rest, prefix, found).trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after,
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
            if let Some(after) = rest.trim_start().strip_prefix('}') {
                return after;
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = match (prefix, name) {
        (_, "self" | "") => prefix.to_owned(),
        ("", _) => name.to_owned(),
        _ => format!("{prefix}::{name}"),
    };
    if let Some(after) = rest.strip_prefix("::") {
        return use_tree(after, &path, found);
    }
    found.push(path);
    // `as name` belongs to the path.
    match rest.trim_start().strip_prefix("as ") {
        Some(alias) => alias.trim_start().trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'),
        None => rest,
    }
}

/// What only some may name: needle, modules that may, why.
const OWNED: &[(&str, &[&str], &str)] = &[
    ("rusqlite", &["storage"], "only storage names the database crate"),
    ("metrics::counter!", &[], "name metrics in telemetry::metrics::names"),
    ("metrics::gauge!", &[], "name metrics in telemetry::metrics::names"),
    ("metrics::histogram!", &[], "name metrics in telemetry::metrics::names"),
    ("metrics_exporter_prometheus", &["telemetry"], "only telemetry names metrics"),
    ("clap::", &["app", "main"], "only the entry knows the command line"),
    ("anyhow", &["app", "main"], "modules have errors that say what the caller may do"),
    ("crate::config", &["app", "config"], "each module owns its Config; config fills it"),
];

/// What the pure core may not name.
const IMPURE: &[&str] = &[
    "tokio",
    "hyper",
    "axum",
    "tracing",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "SystemTime",
    "Instant::",
    "Timestamp::now",
    "getrandom",
    "parking_lot",
    "dashmap",
];

/// Finds crates named outside their rooms.
pub(crate) fn crates(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let Some(module) = module_of(&file.path) else { continue };
        let code = tree::code(file.without_tests());
        for (needle, rooms, why) in OWNED {
            if names(&code, needle) && !rooms.contains(&top(&module)) {
                findings.push(format!("{}: names `{needle}`: {why}", file.path));
            }
        }
        if room_of(&module).is_some_and(|room| room.pure) {
            for needle in IMPURE.iter().filter(|needle| names(&code, needle)) {
                findings.push(format!("{}: the pure core may not name `{needle}`", file.path));
            }
        }
    }
    findings
}

/// Says whether a name stands in the code, not as the end of a longer one.
fn names(code: &str, needle: &str) -> bool {
    let longer = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(needle).any(|(at, _)| {
        let before = code.get(..at).is_some_and(|before| before.ends_with(longer));
        let after = code.get(at + needle.len()..).is_some_and(|after| after.starts_with(longer));
        let is_whole_word = needle.ends_with(longer);
        !(before || is_whole_word && after)
    })
}
