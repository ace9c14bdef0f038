//! `menshen backup`: copies everything durable to a new directory, also while a gateway runs.
//!
//! A running gateway is asked to do it (it holds the directory); without one the files are copied from here.

use std::path::PathBuf;
use std::process::ExitCode;

use http::Method;
use serde_json::json;

use super::cli::{self, Place};
use super::control::{self, ControlError};
use crate::storage::sqlite;

/// What `backup` takes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
The copy is complete when it has a manifest.json. The key of account secrets (the file
`key` in the data directory, unless the configuration names another) is not in it: keep
it apart. A restored gateway needs both.")]
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
/// When the directory is not new or empty, or a file cannot be copied.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.place.load()?.config;
    let data_dir = config.server.data_dir;
    // The gateway has another working directory than this command.
    let dir = std::path::absolute(&args.dir)?;
    match control::call(&data_dir, Method::POST, "/v1/backup", &json!({ "dir": dir })).await {
        Ok(_) => {}
        Err(ControlError::NotRunning { .. }) => {
            anyhow::ensure!(data_dir.is_dir(), "there is no data directory {}", data_dir.display());
            let storage = sqlite::open(&data_dir, &config.storage)?;
            storage.backup(&dir).await?;
            storage.close().await?;
        }
        Err(error) => return Err(error.into()),
    }
    cli::print(&format!("backed up {} to {}\n", data_dir.display(), dir.display()))?;
    Ok(ExitCode::SUCCESS)
}
