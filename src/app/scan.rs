//! `menshen scan`: judges messages from a file or standard input.

use std::path::PathBuf;
use std::process::ExitCode;

/// What `scan` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Messages, one a line: plain text or NDJSON {"id","text"}; standard input when left out
    pub file: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Always, until it is wired.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("scan is not wired yet")
}
