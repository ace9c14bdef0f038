//! Reads the layers into single values, each with its source, and tries each value on its own.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::Config;
use super::problem::{Problem, Source};
use super::schema::{self, Known, schema};

/// What lies over the embedded defaults.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The operator's file.
    pub file: Option<PathBuf>,
    /// The environment, as pairs; only `MENSHEN_…` is looked at.
    pub environment: Vec<(String, String)>,
    /// The command line.
    pub flags: Flags,
}

/// What `serve` takes over the configuration.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--listen`.
    pub listen: Option<String>,
    /// `--metrics-listen`.
    pub metrics_listen: Option<String>,
    /// `--data-dir`.
    pub data_dir: Option<String>,
}

impl Layers {
    /// Takes the process's environment.
    pub fn of_process(file: Option<PathBuf>, flags: Flags) -> Self {
        // A variable that is no text cannot be one of ours: names are ASCII, and a value that is not UTF-8 fits no key.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { file, environment, flags }
    }
}

/// One value somebody wrote.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) path: String,
    pub(super) value: Value,
    pub(super) source: Source,
}

/// Reads all layers, lowest first; unknown keys and unreadable files become problems.
pub(super) fn read(layers: &Layers, problems: &mut Vec<Problem>) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    if let Some(path) = &layers.file {
        let file = read_file(path, problems);
        leaves.extend(with_secrets(file, problems));
    }
    let environment = read_environment(&layers.environment, problems);
    leaves.extend(with_secrets(environment, problems));
    let flags = [
        ("server.listen", "--listen", &layers.flags.listen),
        ("server.metrics_listen", "--metrics-listen", &layers.flags.metrics_listen),
        ("server.data_dir", "--data-dir", &layers.flags.data_dir),
    ];
    for (path, flag, value) in flags {
        if let Some(value) = value {
            let (path, value) = (path.to_owned(), Value::String(value.clone()));
            leaves.push(Leaf { path, value, source: Source::Flag { flag } });
        }
    }
    leaves
}

/// Tries one value on top of the defaults, so that each wrong one is found, not only the first.
pub(super) fn accept(leaf: &Leaf) -> Result<(), Box<Problem>> {
    let mut alone = schema().defaults().clone();
    schema::put(&mut alone, &leaf.path, leaf.value.clone());
    let Err((_, detail)) = parse(&alone) else { return Ok(()) };
    let secret = schema().is_secret(&leaf.path);
    let remedy = match schema().example(&leaf.path) {
        Some(example) if !secret => format!("write it like the default: {example}"),
        Some(_) | None => "see its comment in `menshen config default`".to_owned(),
    };
    // What serde says may quote the value.
    let detail = if secret { "the value is not of the right form".to_owned() } else { detail };
    Err(Box::new(Problem {
        key: leaf.path.clone(),
        value: shown(&leaf.path, &leaf.value),
        source: leaf.source.clone(),
        detail,
        remedy,
    }))
}

/// Makes a [`Config`]; an error is a key path and what is wrong there.
pub(super) fn parse(table: &Table) -> Result<Config, (String, String)> {
    let mut track = serde_path_to_error::Track::new();
    let values = Value::Table(table.clone());
    let tracked = serde_path_to_error::Deserializer::new(values, &mut track);
    Config::deserialize(tracked)
        .map_err(|error| (track.path().to_string(), error.message().trim().to_owned()))
}

/// Returns where the last value at or below a key came from.
pub(super) fn source_of(leaves: &[Leaf], key: &str) -> Source {
    let below = |path: &str| path == key || path.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    leaves.iter().rev().find(|leaf| below(&leaf.path)).map_or(Source::Default, |leaf| leaf.source.clone())
}

/// Returns how a value is shown, unless it is a secret.
pub(super) fn shown(path: &str, value: &Value) -> Option<String> {
    (!schema().is_secret(path)).then(|| value.to_string())
}

fn read_file(path: &Path, problems: &mut Vec<Problem>) -> Vec<Leaf> {
    let whole = |line: usize, detail: String, remedy: &str| Problem {
        key: String::new(),
        value: None,
        source: Source::File { path: path.to_owned(), line },
        detail,
        remedy: remedy.to_owned(),
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let remedy = "name a file that exists and can be read, or leave --config away for the defaults";
            problems.push(whole(0, format!("read the file: {error}"), remedy));
            return Vec::new();
        }
    };
    let table: Table = match toml::from_str(&text) {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(&text, span.start));
            let detail = format!("not TOML: {}", error.message().trim());
            problems.push(whole(
                line,
                detail,
                "put this line right; `menshen config default` shows the form",
            ));
            return Vec::new();
        }
    };
    let source = |key: &str| Source::File {
        path: path.to_owned(),
        line: schema::offset(&text, key).map_or(1, |offset| line_of(&text, offset)),
    };
    let mut leaves = Vec::new();
    walk(&table, "", &source, &mut leaves, problems);
    leaves
}

/// Walks an operator's table beside the embedded one.
fn walk(
    table: &Table,
    prefix: &str,
    source: &dyn Fn(&str) -> Source,
    leaves: &mut Vec<Leaf>,
    problems: &mut Vec<Problem>,
) {
    for (key, value) in table {
        let path = schema::join(prefix, key);
        match (schema().known(&path), value) {
            (Known::Section, Value::Table(inner)) => walk(inner, &path, source, leaves, problems),
            (Known::Leaf, _) => {
                leaves.push(Leaf { source: source(&path), path, value: value.clone() });
            }
            (Known::Section, _) => problems.push(section_expected(path.clone(), value, source(&path))),
            (Known::No, _) => problems.push(unknown(path.clone(), value, source(&path))),
        }
    }
}

fn section_expected(path: String, value: &Value, source: Source) -> Problem {
    let remedy = format!("write `[{path}]` and the keys below it");
    Problem {
        value: Some(value.to_string()),
        source,
        detail: "this is a section".to_owned(),
        remedy,
        key: path,
    }
}

fn unknown(path: String, value: &Value, source: Source) -> Problem {
    let nearest = schema().nearest(&path);
    let remedy = match nearest {
        Some(near) => format!("did you mean `{near}`?"),
        None => "remove it; `menshen config default` lists every key".to_owned(),
    };
    // The value of a misspelt secret is a secret too.
    let harmless = !nearest.is_some_and(|near| schema().is_secret(near)) && !value.is_table();
    let value = harmless.then(|| value.to_string());
    Problem { value, source, detail: "no such key".to_owned(), remedy, key: path }
}

/// Reads `MENSHEN_SECTION__KEY` variables.
///
/// A name without `__` is left alone: clusters inject `MENSHEN_SERVICE_HOST` and kin into every pod beside a service of
/// that name. Only one that spells a key of ours with single underscores is reported, since it was surely meant.
fn read_environment(variables: &[(String, String)], problems: &mut Vec<Problem>) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let mut ours: Vec<_> = variables
        .iter()
        .filter_map(|(name, text)| Some((name, name.strip_prefix("MENSHEN_")?, text)))
        .collect();
    ours.sort();
    for (name, rest, text) in ours {
        let source = Source::Environment { variable: name.clone() };
        if !rest.contains("__") {
            if let Some(key) = schema().keys().iter().find(|key| key.replace('.', "_").to_uppercase() == rest)
            {
                problems.push(Problem {
                    key: key.clone(),
                    value: None,
                    source,
                    detail: "the section and the key are parted by one underscore".to_owned(),
                    remedy: format!("write `MENSHEN_{}`", key.replace('.', "__").to_uppercase()),
                });
            }
            continue;
        }
        let path = rest.replace("__", ".").to_lowercase();
        let value = environment_value(&path, text);
        match schema().known(&path) {
            Known::Leaf => leaves.push(Leaf { path, value, source }),
            Known::Section => problems.push(section_expected(path, &value, source)),
            Known::No => problems.push(unknown(path, &value, source)),
        }
    }
    leaves
}

/// Reads a variable's text as TOML, else as JSON, else takes it as it is. Where the default is text, text stays text:
/// `MENSHEN_SERVER__DATA_DIR=2026` is a directory.
fn environment_value(path: &str, text: &str) -> Value {
    let toml = toml::from_str::<Table>(&format!("value = {text}")).ok().and_then(|mut t| t.remove("value"));
    let json = || {
        let compound = text.trim_start().starts_with(['[', '{']);
        compound.then(|| serde_json::from_str::<Value>(text).ok()).flatten()
    };
    let read = toml.or_else(json);
    let wants_text = schema().example(path).is_some_and(Value::is_str);
    match read {
        Some(value) if value.is_str() || !wants_text => value,
        Some(_) | None => Value::String(text.to_owned()),
    }
}

/// Replaces each `…_file` of a secret by what the file holds, so that the modules know nothing of files.
fn with_secrets(leaves: Vec<Leaf>, problems: &mut Vec<Problem>) -> Vec<Leaf> {
    let named: Vec<String> = leaves.iter().map(|leaf| leaf.path.clone()).collect();
    let mut out = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        let Some(secret) = schema().secret_of(&leaf.path) else {
            out.push(leaf);
            continue;
        };
        let problem = |detail: String, remedy: &str| Problem {
            key: leaf.path.clone(),
            value: Some(leaf.value.to_string()),
            source: leaf.source.clone(),
            detail,
            remedy: remedy.to_owned(),
        };
        if named.iter().any(|path| path == secret) {
            problems.push(problem(format!("`{secret}` is given too"), "keep one of the two"));
            continue;
        }
        let Some(path) = leaf.value.as_str().map(PathBuf::from) else {
            problems.push(problem("the name of a file is text".to_owned(), "write it in quotes"));
            continue;
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => out.push(Leaf {
                path: secret.to_owned(),
                value: Value::String(text.trim_end_matches(['\r', '\n']).to_owned()),
                source: Source::SecretFile { path },
            }),
            Err(error) => {
                let remedy = "name a file with the secret that this user can read";
                problems.push(problem(format!("read the secret: {error}"), remedy));
            }
        }
    }
    out
}

/// Returns the line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
