//! Reading files of wordlists and rules: the only place where they meet the file system.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::interception::{Config, Origin, ParseError, RuleParseError, RuleSource, WordlistSource, shipped};

/// Why files of wordlists or rules cannot be used.
#[derive(Debug, Error)]
#[error("{what} `{}`", path.display())]
pub struct FileError {
    what: &'static str,
    /// The directory, or the file whose fault it is.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub cause: Cause,
}

/// What is wrong with a file or directory.
#[derive(Debug)]
pub enum Cause {
    /// It cannot be read.
    Io(io::Error),
    /// A line cannot.
    Line(ParseError),
    /// A field of a rule.
    Rule(RuleParseError),
    /// A directory without lists.
    Empty,
}

impl std::error::Error for Cause {}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Io(error) => error.fmt(f),
            Cause::Line(error) => error.fmt(f),
            Cause::Rule(error) => error.fmt(f),
            Cause::Empty => f.write_str("it holds no `*.txt` file"),
        }
    }
}

/// Returns the lists that the configuration names: the files of its directory, or the shipped packs.
///
/// # Errors
/// When the directory or one of its `*.txt` files cannot be read, or it holds none.
pub fn configured(config: &Config) -> Result<Vec<WordlistSource>, FileError> {
    let directory = &config.wordlists_dir;
    if directory.as_os_str().is_empty() {
        return Ok(shipped());
    }
    let files = files_of(directory, "txt")?;
    if files.is_empty() {
        return Err(FileError { what: "read wordlists_dir", path: directory.clone(), cause: Cause::Empty });
    }
    files.iter().map(|path| from_file(path)).collect()
}

/// Returns the sets of rules that stand beside the lists: the directory's `*.toml` files.
///
/// # Errors
/// When the directory or one of the files cannot be read, with the field that is wrong.
pub fn configured_rules(config: &Config) -> Result<Vec<RuleSource>, FileError> {
    if config.wordlists_dir.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    files_of(&config.wordlists_dir, "toml")?.iter().map(|path| rules_from_file(path)).collect()
}

/// Directories are in no order; rulesets are compiled in one.
fn files_of(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, FileError> {
    let failed =
        |error| FileError { what: "read wordlists_dir", path: directory.to_owned(), cause: Cause::Io(error) };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|e| e == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads one file of rules; the set is named after it.
///
/// # Errors
/// When the file cannot be read, or has a field that is wrong.
pub fn rules_from_file(path: &Path) -> Result<RuleSource, FileError> {
    let failed = |cause| FileError { what: "read rules", path: path.to_owned(), cause };
    let text = std::fs::read_to_string(path).map_err(|error| failed(Cause::Io(error)))?;
    RuleSource::from_toml(&name_of(path), Origin::File, &text).map_err(|error| failed(Cause::Rule(error)))
}

fn name_of(path: &Path) -> String {
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    stem.split_whitespace().collect::<Vec<_>>().join("-")
}

/// Returns the lists of a command line: these files, or the shipped packs where none is given.
///
/// # Errors
/// As [`from_file`].
pub fn given(files: &[PathBuf]) -> anyhow::Result<Vec<WordlistSource>> {
    if files.is_empty() {
        return Ok(shipped());
    }
    let mut lists: Vec<WordlistSource> = Vec::new();
    for path in files {
        // What a list would do is to be seen, whomever it is for and whether or not it is live.
        let mut list = from_file(path)?.unrestricted();
        // Lists of different directories may have one name.
        let same = lists.iter().filter(|l| l.name == list.name).count();
        if same > 0 {
            list.name = format!("{}-{}", list.name, same + 1);
        }
        lists.push(list);
    }
    Ok(lists)
}

/// Reads one file; the list is named after it.
///
/// # Errors
/// When the file cannot be read, is not UTF-8, or has a line that can be read in no way.
pub fn from_file(path: &Path) -> Result<WordlistSource, FileError> {
    let failed = |cause| FileError { what: "read wordlist", path: path.to_owned(), cause };
    let bytes = std::fs::read(path).map_err(|error| failed(Cause::Io(error)))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count();
        let line = u32::try_from(before + 1).unwrap_or(u32::MAX);
        failed(Cause::Line(ParseError { line, reason: "not UTF-8: save the file as UTF-8".to_owned() }))
    })?;
    WordlistSource::parse(name_of(path), Origin::File, text).map_err(|error| failed(Cause::Line(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(error: FileError) -> String {
        format!("{:#}", anyhow::Error::new(error))
    }

    #[test]
    fn a_directory_replaces_the_shipped_packs() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        assert_eq!(configured(&config).unwrap(), shipped());
        config.wordlists_dir = directory.path().to_owned();
        assert!(said(configured(&config).unwrap_err()).contains("holds no `*.txt` file"));
        std::fs::write(directory.path().join("b list.txt"), "加微信\n").unwrap();
        std::fs::write(directory.path().join("a.txt"), "加微信\tx\n").unwrap();
        std::fs::write(directory.path().join("notes.md"), "no\tlist\tat all").unwrap();
        assert!(configured_rules(&config).unwrap().is_empty());
        std::fs::write(directory.path().join("c.toml"), "[[rule]]\nid = \"x\"\nall = [\"返现\"]\n").unwrap();
        let rules = configured_rules(&config).unwrap();
        assert_eq!((rules[0].name.as_str(), rules[0].rules.len()), ("c", 1));
        let names: Vec<_> = configured(&config).unwrap().into_iter().map(|l| l.name).collect();
        assert_eq!(names, ["a", "b-list"]);
        std::fs::write(directory.path().join("c.txt"), "\tx\n").unwrap();
        assert!(said(configured(&config).unwrap_err()).contains("line 1: no term"));
        std::fs::write(directory.path().join("c.txt"), b"a\nb\xFF\n").unwrap();
        assert!(said(configured(&config).unwrap_err()).contains("line 2: not UTF-8"));
    }
}
