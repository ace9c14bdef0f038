//! Reads the repository's own text files.

use std::path::{Path, PathBuf};

/// One text file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    /// Everything in it.
    pub(crate) text: String,
}

impl File {
    /// Says whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.is("rs")
    }

    /// Says whether its name has this ending.
    pub(crate) fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// Returns the part before the unit tests at its end; nothing of a file that holds only tests or help for them.
    pub(crate) fn without_tests(&self) -> &str {
        let only_tests = ["/tests.rs", "/testing.rs"].iter().any(|name| self.path.ends_with(name));
        if only_tests || self.path.contains("/tests/") {
            return "";
        }
        let mut offset = 0;
        let mut lines = self.text.split_inclusive('\n').peekable();
        while let Some(line) = lines.next() {
            let next = lines.peek().copied().unwrap_or_default();
            if line.trim() == "#[cfg(test)]" && next.trim_end().ends_with('{') && next.contains("mod ") {
                return self.text.get(..offset).unwrap_or_default();
            }
            offset += line.len();
        }
        &self.text
    }
}

/// Folders that are not the repository's own text.
const SKIPPED: [&str; 4] = ["target", ".git", "data", "node_modules"];

/// Endings of text files.
const TEXT: [&str; 8] = [".rs", ".md", ".toml", ".txt", ".json", ".sh", ".yml", "justfile"];

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Reads every text file, sorted by path.
pub(crate) fn read() -> Vec<File> {
    let mut files = Vec::new();
    walk(&root(), "", &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn walk(dir: &Path, prefix: &str, files: &mut Vec<File>) {
    let unreadable = |error: std::io::Error| -> ! { panic!("read {}: {error}", dir.display()) };
    for entry in std::fs::read_dir(dir).unwrap_or_else(|error| unreadable(error)) {
        let entry = entry.unwrap_or_else(|error| unreadable(error));
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        if entry.path().is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                walk(&entry.path(), &path, files);
            }
        } else if TEXT.iter().any(|ending| name.ends_with(ending)) || path == ".ci/run" {
            let text = std::fs::read_to_string(entry.path()).unwrap_or_else(|error| unreadable(error));
            files.push(File { path, text });
        }
    }
}

/// Blanks out comments and the contents of strings; lines stay where they are.
pub(crate) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let opaque = comment(rest).or_else(|| string(rest)).or_else(|| character(rest));
        let length = opaque.unwrap_or(first.len_utf8());
        let (part, after) = rest.split_at(length);
        match opaque {
            Some(_) => out.extend(part.chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
            None => out.push(first),
        }
        rest = after;
    }
    out
}

/// Length of the comment that starts here.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let mut depth = 0_usize;
    for (at, _) in text.char_indices() {
        let rest = text.get(at..).unwrap_or_default();
        if rest.starts_with("/*") {
            depth += 1;
        } else if rest.starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return Some(at + 2);
            }
        }
    }
    Some(text.len())
}

/// Length of the string, raw or not, that starts here.
fn string(text: &str) -> Option<usize> {
    if let Some(raw) = text.strip_prefix('r') {
        let hashes = raw.chars().take_while(|c| *c == '#').count();
        let body = raw.get(hashes..).unwrap_or_default().strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(body.find(&end).map_or(text.len(), |at| at + 2 + hashes + end.len()));
    }
    let body = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            '"' if !escaped => return Some(at + 2),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    Some(text.len())
}

/// Length of a character literal that could be taken for the start of a string; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    ["'\"'", "'\\''", "'\\\"'", "'\\\\'"].into_iter().find(|literal| text.starts_with(literal)).map(str::len)
}
