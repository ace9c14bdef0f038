//! The effective configuration for people: each value with where it came from, secrets hidden.

use std::fmt::Write;

use toml::{Table, Value};

use super::layers::Leaf;
use super::problem::Source;
use super::schema::{self, schema};

/// One key with its effective value.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Key path, like `server.listen`.
    pub key: String,
    /// As TOML; `None` when it is not set.
    pub value: Option<String>,
    /// Where the value came from.
    pub source: Source,
}

/// Lists every key in the embedded file's order.
pub(super) fn settings(effective: &Table, leaves: &[Leaf]) -> Vec<Setting> {
    let setting = |key: &String| {
        let written = leaves.iter().rev().find(|leaf| leaf.path == *key);
        let source = written.map_or(Source::Default, |leaf| leaf.source.clone());
        let value = schema::get(effective, key).map(|value| display(key, value));
        Setting { key: key.clone(), value, source }
    };
    // The companion of a secret is shown as the secret's source.
    schema().keys().iter().filter(|key| schema().secret_of(key).is_none()).map(setting).collect()
}

/// Prints settings as a file that could be used again (but for hidden secrets).
pub fn show(settings: &[Setting]) -> String {
    let mut out = String::new();
    let mut section = "";
    for setting in settings {
        let (of, key) = setting.key.rsplit_once('.').unwrap_or(("", &setting.key));
        if of != section {
            let gap = if out.is_empty() { "" } else { "\n" };
            _ = writeln!(out, "{gap}[{of}]"); // writing to a String cannot fail
            section = of;
        }
        let line = match &setting.value {
            Some(value) => format!("{key} = {value}"),
            None => format!("#{key} is not set"),
        };
        _ = writeln!(out, "{line:<48} # {}", setting.source);
    }
    out
}

fn display(key: &str, value: &Value) -> String {
    if schema().is_secret(key) { "\"[hidden]\"".to_owned() } else { value.to_string() }
}
