//! The flags of `loadtest sending`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use loadtest::units::parse_duration;

use super::GatewayArgs;

/// One figure, or a few that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// CPU of a durable send without limits, against a bare connection; sends a second
    Cost,
    /// An urgent act in the middle of a broadcast: p99 from event to arrival
    Urgent,
    /// A pause in the middle of a broadcast
    Pause,
    /// Memory of targets that wait; leaves them there, for the next start to be timed
    Waiting,
    /// 1,200 robots, their app and the account at their limits, audited by the receiver
    Robots,
}

/// Measures what sending costs and how fast it obeys; receives the deliveries itself.
///
/// Makes accounts and groups of its own. Ends with 1 when something does not fit: a limit broken, something sent twice.
/// Figures are reported, not judged: they depend on the machine. Ratios are within one run.
#[derive(Debug, Args)]
pub(crate) struct SendingArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
    /// What is measured
    #[arg(long, value_enum)]
    pub(crate) measure: Measure,
    /// The gateway's process
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: u32,
    /// Targets of a broadcast; with `robots`: groups beside the robots, which share the account
    #[arg(long, default_value_t = 24_000)]
    pub(crate) targets: usize,
    /// Interleaved rounds; with `pause`: pauses; with `waiting`: broadcasts
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Limit of the account for `urgent` and `pause`
    #[arg(long, value_name = "LIMIT", default_value = "window:500/s")]
    pub(crate) limit: String,
    /// Urgent acts of a round
    #[arg(long, default_value_t = 200)]
    pub(crate) acts: usize,
    /// Calls that the gateway may have under way at once (`outbox.in_flight_max`)
    #[arg(long, default_value_t = 64)]
    pub(crate) in_flight_max: u64,
    /// With `robots`: seconds of a window; platforms have 60
    #[arg(long, default_value_t = 60)]
    pub(crate) window_s: u64,
    /// With `robots`: how many
    #[arg(long, default_value_t = 1_200)]
    pub(crate) robots: usize,
    /// With `robots`: broadcasts to all of them
    #[arg(long, default_value_t = 19)]
    pub(crate) broadcasts: usize,
    /// Distinguishes this run from others [default: made from the time]
    #[arg(long)]
    pub(crate) run: Option<String>,
    /// Within what a broadcast must come to its end
    #[arg(long, value_parser = parse_duration, default_value = "1h")]
    pub(crate) deadline: Duration,
    /// Print the figures as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}
