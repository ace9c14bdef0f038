//! `menshen backup`: copies everything durable to a new directory, also while a gateway runs.

use std::path::PathBuf;
use std::process::ExitCode;

use super::cli::Place;

/// What `backup` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// New directory for the copy
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
    anyhow::bail!("backup is not wired yet")
}
