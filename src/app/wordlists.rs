//! Reading files of wordlists and rules: the only place where they meet the file system.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::interception::{Config, Origin, RuleSource, WordlistSource, shipped};

/// Returns the lists that the configuration names: the files of its directory, or the shipped packs.
///
/// # Errors
/// When the directory or one of its `*.txt` files cannot be read, or it holds none.
pub fn configured(config: &Config) -> anyhow::Result<Vec<WordlistSource>> {
    let directory = &config.wordlists_dir;
    if directory.as_os_str().is_empty() {
        return Ok(shipped());
    }
    let files = files_of(directory, "txt")?;
    ensure!(!files.is_empty(), "wordlists_dir `{}` holds no `*.txt` file", directory.display());
    files.iter().map(|path| from_file(path)).collect()
}

/// Returns the sets of rules that stand beside the lists: the directory's `*.toml` files.
///
/// # Errors
/// When the directory or one of the files cannot be read, with the field that is wrong.
pub fn configured_rules(config: &Config) -> anyhow::Result<Vec<RuleSource>> {
    if config.wordlists_dir.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    files_of(&config.wordlists_dir, "toml")?.iter().map(|path| rules_from_file(path)).collect()
}

/// Directories are in no order; rulesets are compiled in one.
fn files_of(directory: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(directory)
        .with_context(|| format!("read wordlists_dir `{}`", directory.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("read wordlists_dir `{}`", directory.display()))?.path();
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
pub fn rules_from_file(path: &Path) -> anyhow::Result<RuleSource> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read rules `{}`", path.display()))?;
    RuleSource::from_toml(&name_of(path), Origin::File, &text)
        .with_context(|| format!("read rules `{}`", path.display()))
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
pub fn from_file(path: &Path) -> anyhow::Result<WordlistSource> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("read wordlist `{}`", path.display()))?;
    WordlistSource::parse(name_of(path), Origin::File, &text)
        .with_context(|| format!("read wordlist `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_replaces_the_shipped_packs() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        assert_eq!(configured(&config).unwrap(), shipped());
        config.wordlists_dir = directory.path().to_owned();
        assert!(configured(&config).unwrap_err().to_string().contains("holds no `*.txt` file"));
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
        assert!(format!("{:#}", configured(&config).unwrap_err()).contains("line 1: no term"));
    }
}
