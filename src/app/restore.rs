//! `menshen restore`: puts a backup in place of an empty data directory; broadcasts stay paused.

use std::path::PathBuf;
use std::process::ExitCode;

use super::cli::{self, Place};
use crate::clock::Clock;
use crate::storage::sqlite;

/// What `restore` takes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
The data directory must be new or empty. What was waiting when the backup was made may
have been sent since: active broadcasts are paused, waiting replies and calls under way
are marked uncertain, and nothing is sent again by itself.")]
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
/// When the backup is damaged or newer, or the data directory holds something.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let data_dir = args.place.load()?.config.server.data_dir;
    let (from, to) = (args.dir.clone(), data_dir.clone());
    let now_ms = Clock::system().now_ms();
    let restored = tokio::task::spawn_blocking(move || sqlite::restore(&from, &to, now_ms)).await??;
    cli::print(&format!(
        "restored {} into {}: {} broadcasts paused, {} deliveries uncertain\n",
        args.dir.display(),
        data_dir.display(),
        restored.broadcasts_paused,
        restored.deliveries_uncertain
    ))?;
    Ok(ExitCode::SUCCESS)
}
