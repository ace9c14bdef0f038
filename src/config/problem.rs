//! What is wrong with a configuration, said so that it can be put right without asking anybody.
//!
//! Invariant: the value of a secret never gets into a [`Problem`].

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The embedded file.
    Default,
    /// The operator's file.
    File {
        /// Which.
        path: PathBuf,
        /// Line, from 1; 0 for the whole file.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A flag on the command line.
    Flag {
        /// Its name with dashes.
        flag: &'static str,
    },
    /// A file with a secret, named by a `…_file` key.
    SecretFile {
        /// Which.
        path: PathBuf,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File { path, line: 0 } => path.display().fmt(f),
            Source::File { path, line } => write!(f, "{}:{line}", path.display()),
            Source::Environment { variable } => write!(f, "environment {variable}"),
            Source::Flag { flag } => f.write_str(flag),
            Source::SecretFile { path } => write!(f, "secret in {}", path.display()),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Key path, like `server.listen`; empty when a whole file is unreadable.
    pub key: String,
    /// The value as written, unless it is a secret or has none.
    pub value: Option<String>,
    /// Where it was written.
    pub source: Source,
    /// What is wrong.
    pub detail: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            f.write_str(&self.key)?;
            if let Some(value) = &self.value {
                write!(f, " = {value}")?;
            }
            f.write_str(" ")?;
        }
        write!(f, "({})\n  {}\n  to do: {}", self.source, self.detail, self.remedy)
    }
}

/// Everything that is wrong; never empty when returned as an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} problem{}", if count == 1 { "" } else { "s" })?;
        for problem in &self.0 {
            write!(f, "\n\n{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
