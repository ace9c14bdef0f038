//! `menshen demo`: a gateway with simulated shop groups talking to it.

use std::process::ExitCode;
use std::time::Duration;

use crate::units::parse_duration;

/// What `demo` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// End by itself after this long, like 60s or 5m
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// How many shops, with six groups each
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=4000))]
    pub shops: u32,
}

/// Runs the command.
///
/// # Errors
/// Always, until it is wired.
pub async fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("demo is not wired yet")
}
