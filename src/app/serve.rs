//! `menshen serve`: runs the gateway.

use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::cli::print;
use super::gateway::Gateway;
use crate::clock::Clock;
use crate::config::{Flags, Layers};
use crate::telemetry;

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

/// Runs the command: until a signal, or until a background task fails.
///
/// # Errors
/// With the problems of the configuration, or what could not be opened.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = crate::config::load(&args.layers())?.config;
    let clock = Clock::system_ahead(config.server.clock_ahead);
    let log_clock = clock.clone();
    telemetry::log::install(&config.log, move || log_clock.now_ms())?;
    telemetry::metrics::install();
    if !config.server.clock_ahead.is_zero() {
        tracing::warn!(
            ahead_s = config.server.clock_ahead.as_secs(),
            "the clock runs ahead (server.clock_ahead): a rehearsal"
        );
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut gateway = Box::pin(Gateway::build(config, clock)).await?;
    print(&format!("{}\n", gateway.ready()))?;
    let failed = loop {
        tokio::select! {
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
            _ = hang_up.recv() => gateway.reload().await,
            name = gateway.failure() => break Some(name),
        }
    };
    // A second signal ends at once, with the code a shell gives for it.
    let drained = tokio::select! {
        drained = gateway.drain() => drained,
        _ = terminate.recv() => return Ok(ExitCode::from(143)),
        _ = interrupt.recv() => return Ok(ExitCode::from(130)),
    };
    match failed {
        Some(name) => anyhow::bail!("the background task `{name}` panicked; its log line says where"),
        None if drained => Ok(ExitCode::SUCCESS),
        None => {
            anyhow::bail!("not everything ended within drain.timeout; the next start finds what was left")
        }
    }
}
