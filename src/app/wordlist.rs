//! `menshen wordlist`: work on wordlists before they are used.

use super::lint::{self, LintArgs};

/// What `wordlist` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Duplicates after folding, vanished terms, terms that would hit ordinary talk 检查词表
    Lint(LintArgs),
}

/// Runs the command.
///
/// # Errors
/// When the list has problems, or cannot be read.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.what {
        What::Lint(args) => lint::run(args),
    }
}
