//! `menshen restore`: puts a backup in place of an empty data directory; broadcasts stay paused.

use std::path::PathBuf;
use std::process::ExitCode;

use super::cli::Place;

/// What `restore` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Directory of the backup
    pub dir: PathBuf,
    /// Of which gateway.
    #[command(flatten)]
    pub place: Place,
}

/// Runs the command.
///
/// # Errors
/// Always, until it is wired.
pub async fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("restore is not wired yet")
}
