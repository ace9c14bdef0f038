//! Reading wordlist files: the only place where a list meets the file system.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::interception::{Config, Origin, ParseError, WordlistSource, shipped};

/// Why files of wordlists cannot be used.
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
    /// A directory without lists.
    Empty,
}

impl std::error::Error for Cause {}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Io(error) => error.fmt(f),
            Cause::Line(error) => error.fmt(f),
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
    let failed = |cause| FileError { what: "read wordlists_dir", path: directory.clone(), cause };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| failed(Cause::Io(error)))? {
        let path = entry.map_err(|error| failed(Cause::Io(error)))?.path();
        if path.extension().is_some_and(|e| e == "txt") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(failed(Cause::Empty));
    }
    // Directories are in no order; rulesets are compiled in one.
    files.sort();
    files.iter().map(|path| from_file(path)).collect()
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
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let name = stem.split_whitespace().collect::<Vec<_>>().join("-");
    WordlistSource::parse(name, Origin::File, text).map_err(|error| failed(Cause::Line(error)))
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
        assert!(configured(&config).unwrap().len() >= 4);
        config.wordlists_dir = directory.path().to_owned();
        assert!(said(configured(&config).unwrap_err()).contains("holds no `*.txt` file"));
        std::fs::write(directory.path().join("b list.txt"), "加微信\n").unwrap();
        std::fs::write(directory.path().join("a.txt"), "加微信\tx\n").unwrap();
        std::fs::write(directory.path().join("notes.md"), "no\tlist\tat all").unwrap();
        let names: Vec<_> = configured(&config).unwrap().into_iter().map(|l| l.name).collect();
        assert_eq!(names, ["a", "b-list"]);
        std::fs::write(directory.path().join("c.txt"), "\tx\n").unwrap();
        assert!(said(configured(&config).unwrap_err()).contains("line 1: no term"));
        std::fs::write(directory.path().join("c.txt"), b"a\nb\xFF\n").unwrap();
        assert!(said(configured(&config).unwrap_err()).contains("line 2: not UTF-8"));
    }
}
