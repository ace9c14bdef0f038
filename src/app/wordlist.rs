//! `menshen wordlist lint`: what is wrong with a wordlist before it is used.

use std::path::PathBuf;
use std::process::ExitCode;

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
    Lint {
        /// The wordlist
        file: PathBuf,
        /// Ordinary messages, one a line, that should not be hit
        #[arg(long)]
        sample: Option<PathBuf>,
    },
}

/// Runs the command.
///
/// # Errors
/// Always, until it is wired.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let What::Lint { file, sample } = args.what;
    anyhow::bail!("wordlist lint is not wired yet ({} {})", file.display(), sample.is_some())
}
