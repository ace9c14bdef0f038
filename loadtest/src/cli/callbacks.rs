//! The flags of `loadtest callbacks`.

use std::time::Duration;

use clap::Args;
use loadtest::units::parse_duration;

use super::{GatewayArgs, parse_rate};

/// Tells a gateway the same joins as encrypted WeCom callbacks and as plain JSON events, and compares what each costs it.
///
/// Starts a simulated WeCom, makes an account for it at the gateway, has all rosters read, and then runs interleaved rounds
/// over keep-alive connections. The gateway must be a fresh one on this machine, and must not look at the platform by
/// itself meanwhile (`connectors.rosters`: `quiet`, `quiet_max`, `probe_every`; `duties.tick`). Every answer is checked, and
/// the gateway's counts of every group are compared at the end.
#[derive(Debug, Args)]
pub(crate) struct CallbacksArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
    /// Account on WeCom to make; --account is the one of the plain events
    #[arg(long, default_value = "wecom")]
    pub(crate) wecom_account: String,
    /// Customer groups
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) groups: u64,
    /// Members of each group before anybody joins
    #[arg(long, default_value_t = 20)]
    pub(crate) members: usize,
    /// Joins of each kind in a round
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) joins: u64,
    /// Connections, each with one request in flight
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// Interleaved rounds
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rounds: u64,
    /// The gateway's process, whose CPU time is charged to the requests
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: u32,
    /// How long after the last answer the gateway's work is still charged to a lap
    #[arg(long, value_parser = parse_duration, default_value = "2s")]
    pub(crate) settle: Duration,
    /// How long reading the rosters, and the statistics in the end, may take
    #[arg(long, value_parser = parse_duration, default_value = "2m")]
    pub(crate) patience: Duration,
    /// Fail when a callback costs more than this times an event
    #[arg(long, value_parser = parse_rate)]
    pub(crate) max_ratio: Option<f64>,
    /// The same seed, the same people and groups
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Prefix of the plain events' ids [default: made from the time]
    #[arg(long)]
    pub(crate) run: Option<String>,
    /// Print the report as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}
