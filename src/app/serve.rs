//! `menshen serve`: runs the gateway.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{Flags, Layers};

/// What `serve` takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Configuration file; without it the embedded defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of API, callbacks and console, over the configuration; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Address of metrics and health, over the configuration
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<String>,
    /// Directory of everything durable, over the configuration
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
}

impl Args {
    /// Returns the layers of the configuration.
    pub fn layers(&self) -> Layers {
        let flags = Flags {
            listen: self.listen.clone(),
            metrics_listen: self.metrics_listen.clone(),
            data_dir: self.data_dir.clone(),
        };
        Layers::of_process(self.config.clone(), flags)
    }
}

/// Runs the command.
///
/// # Errors
/// With the problems of the configuration.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::config::load(&args.layers())?;
    anyhow::bail!("serve is not wired yet")
}
