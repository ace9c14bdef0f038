//! The command line of the binary: every flag, its default and its meaning.

mod callbacks;
mod sending;
mod wecom;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use loadtest::sink::{Fault, Secret};
use loadtest::units::{WindowLimit, parse_duration};

pub(crate) use self::callbacks::CallbacksArgs;
pub(crate) use self::sending::{Measure, SendingArgs};
pub(crate) use self::wecom::WecomArgs;

/// Loads a group-message gateway over HTTP and checks every answer.
///
/// It knows the gateway by its wire protocol only, counts on its own what it sent and received, and ends with a code other
/// than 0 when anything does not agree: an answer, an order, a count, a limit.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  # the hot path as fast as 64 connections go, counts compared at the end
  loadtest events --token $TOKEN --connections 64 --for 30s --verify

  # 20,000 events/s in batches, with listed terms, repeats and joins
  loadtest events --token $TOKEN --mode ndjson --rate 20000 --for 30s \\
      --lexicon words.txt --repeat-ratio 0.02 --joins-ratio 0.05 --verify

  # a receiver that fails 5 % of the time and checks 500 in any second
  loadtest sink --listen 127.0.0.1:9900 --secret whsec_... \\
      --fault 503@5% --fault delay=5ms..50ms --audit window:500/s

  # a broadcast to 5,000 groups, compared with what that receiver got
  loadtest broadcast --token $TOKEN --account shop --groups 5000 \\
      --sink-report-url http://127.0.0.1:9900/_sink/report

Exit codes: 0 all agrees, 1 something does not (the table says what), 2 it could not be run.";

const FAULTS: &str = "\
Faults, looked at in order; delays add up, the first other one that applies decides:
  503                         answers 503 to every delivery
  503@0.05, 503@5%            ... to a share of them
  429@first:20,retry_after=1  ... to the first 20, asks for a second's wait
  delay=50ms..200ms@0.5       answers half of them late
  slow=2s                     answers, but takes that long over the body
  reset@0.01                  takes it, starts to answer, resets
  hang@0.01                   takes it and never answers";

/// What there is to run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Events(Box<EventsArgs>),
    Sink(SinkArgs),
    Broadcast(BroadcastArgs),
    Callbacks(Box<CallbacksArgs>),
    Sending(SendingArgs),
    Simulate(SimulateArgs),
    Wecom(Box<WecomArgs>),
    Bare(BareArgs),
    Compare(CompareArgs),
}

/// Where the gateway is.
#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    /// Address of the gateway's API
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8180")]
    pub(crate) url: String,
    /// API token
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// Account the groups belong to
    #[arg(long, default_value = "demo")]
    pub(crate) account: String,
    /// How long one try of a request may take
    #[arg(long, value_parser = parse_duration, default_value = "30s")]
    pub(crate) timeout: Duration,
    /// How long a request is tried again after 429, 503 or a broken connection
    #[arg(long, value_parser = parse_duration, default_value = "60s")]
    pub(crate) give_up: Duration,
}

/// How events are put into requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// One JSON object a request
    Single,
    /// A JSON array of --batch events
    Array,
    /// --batch lines of NDJSON
    Ndjson,
}

/// Sends message events and checks every answer.
///
/// Closed loop by default: each connection sends when its last request was answered. With --rate the loop is open: requests
/// have intended starts that do not wait for the server, and latency is measured from there. Events refused with 429 or 503
/// are sent again after Retry-After, so none is lost. Each connection owns a part of the groups and keeps their order.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
    /// Groups the events are spread over
    #[arg(long, default_value_t = 2_000)]
    pub(crate) groups: usize,
    /// Groups are called this and a five-digit number
    #[arg(long, default_value = "g-")]
    pub(crate) group_prefix: String,
    /// Members who write in each group
    #[arg(long, default_value_t = 200)]
    pub(crate) members: u32,
    /// Message texts, one a line [default: lines of our own making]
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Listed terms to splice in, `term` or `term<TAB>category` a line
    #[arg(long, value_name = "FILE")]
    pub(crate) lexicon: Option<PathBuf>,
    /// Share of messages that get a listed term
    #[arg(long, value_parser = parse_share, default_value = "0.01", requires = "lexicon")]
    pub(crate) hit_ratio: f64,
    /// Share of events that are joins and leaves
    #[arg(long, value_parser = parse_share, default_value = "0")]
    pub(crate) joins_ratio: f64,
    /// Share of events that repeat one already answered, and must come back as duplicates
    #[arg(long, value_parser = parse_share, default_value = "0")]
    pub(crate) repeat_ratio: f64,
    /// How events are put into requests
    #[arg(long, value_enum, default_value_t = ModeArg::Single)]
    pub(crate) mode: ModeArg,
    /// Events a request, but for --mode single
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) batch: u64,
    /// Connections, each with one request in flight
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// Open loop: events a second [default: closed loop]
    #[arg(long, value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,
    /// Stop after so many events
    #[arg(long, conflicts_with = "length")]
    pub(crate) count: Option<u64>,
    /// Stop after so long [default: 10s]
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) length: Option<Duration>,
    /// The same seed sends the same events, but for their ids
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Prefix of the event ids [default: made from the time]
    #[arg(long)]
    pub(crate) run: Option<String>,
    /// Compare our counts with the gateway's statistics of every group and in total
    #[arg(long)]
    pub(crate) verify: bool,
    /// How long the statistics may take to catch up
    #[arg(long, value_parser = parse_duration, default_value = "30s")]
    pub(crate) catch_up: Duration,
    /// Look at status codes only: for a server that is no gateway, such as `loadtest bare`
    #[arg(long, conflicts_with = "verify")]
    pub(crate) status_only: bool,
    /// Charge the CPU time of this process to the requests
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// What the run is called in reports
    #[arg(long, default_value = "events")]
    pub(crate) label: String,
    /// The interleaved round it belongs to
    #[arg(long, default_value_t = 1)]
    pub(crate) round: u32,
    /// Print the report as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Append the report as a line of JSON to a file for `loadtest compare`
    #[arg(long, value_name = "FILE")]
    pub(crate) append: Option<PathBuf>,
}

/// Receives deliveries as a platform would, and misbehaves as told.
///
/// Checks Standard Webhooks signatures, records every arrival, tells retries from duplicates, and audits limits on its own:
/// for accepted arrivals t, t[i+N] - t[i] >= W. Prints one JSON line when it can take deliveries. GET /_sink/report and
/// GET /_sink/receipts?after=N tell what came, POST /_sink/faults replaces the script.
#[derive(Debug, Args)]
#[command(after_help = FAULTS)]
pub(crate) struct SinkArgs {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Key to check signatures with; several during a rotation, none accepts everything
    #[arg(long, value_name = "whsec_…")]
    pub(crate) secret: Vec<Secret>,
    /// Something that goes wrong; may be given several times
    #[arg(long)]
    pub(crate) fault: Vec<Fault>,
    /// A limit over all deliveries, as in window:500/s
    #[arg(long, value_name = "LIMIT")]
    pub(crate) audit: Vec<WindowLimit>,
    /// A limit for each group, as in window:20/m
    #[arg(long, value_name = "LIMIT")]
    pub(crate) audit_group: Vec<WindowLimit>,
    /// The same seed, the same faults
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Stop after so long [default: on SIGINT or SIGTERM]
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) length: Option<Duration>,
    /// Write the report as JSON to a file at the end
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// Sends one broadcast to many groups and compares both ends.
///
/// Declares the groups, creates the broadcast twice with one idempotency key, follows it, and holds the gateway's counts
/// against the report of a `loadtest sink` that the account delivers to.
#[derive(Debug, Args)]
pub(crate) struct BroadcastArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
    /// Groups to reach
    #[arg(long, default_value_t = 5_000)]
    pub(crate) groups: usize,
    /// Groups are called this and a five-digit number
    #[arg(long, default_value = "g-")]
    pub(crate) group_prefix: String,
    /// How groups are made known
    #[arg(long, value_enum, default_value_t = DeclareArg::Bulk)]
    pub(crate) declare: DeclareArg,
    /// The account's configured limit, a second; to say how much of it was used
    #[arg(long, value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,
    /// Where the sink tells what it received
    #[arg(long, value_name = "URL")]
    pub(crate) sink_report_url: String,
    /// Text to send; the run's id is appended
    #[arg(long, default_value = "各位邻居早上好，今天的蔬菜水果已经到店")]
    pub(crate) text: String,
    /// Distinguishes this run from others [default: made from the time]
    #[arg(long)]
    pub(crate) run: Option<String>,
    /// When to stop waiting for the end
    #[arg(long, value_parser = parse_duration, default_value = "10m")]
    pub(crate) deadline: Duration,
    /// Print the report as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// How groups are made known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeclareArg {
    /// By NDJSON import
    Bulk,
    /// One PUT for each
    Each,
    /// They are known already
    Known,
}

/// Plays a fleet of shops: customers chat, ask, come, leave, and some advertise.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
    /// Shops
    #[arg(long, default_value_t = 24)]
    pub(crate) shops: usize,
    /// Groups of each shop
    #[arg(long, default_value_t = 6)]
    pub(crate) groups_per_shop: usize,
    /// Events a second in each shop
    #[arg(long, value_parser = parse_rate, default_value = "2")]
    pub(crate) events_per_second: f64,
    /// How long to play
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration, default_value = "60s")]
    pub(crate) length: Duration,
    /// The same seed, the same deeds
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// A server that reads the body, answers a fixed 164 bytes and does nothing else: the reference of ratios.
#[derive(Debug, Args)]
pub(crate) struct BareArgs {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
}

/// Puts runs of several interleaved rounds into one table, with ratios to a reference.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// What `loadtest events --append` wrote
    #[arg(value_name = "FILE")]
    pub(crate) results: PathBuf,
    /// Label of the reference runs
    #[arg(long, default_value = "bare")]
    pub(crate) reference: String,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is a number from 0 to 1".to_owned())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "a rate is a number above 0".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn faults_and_limits_are_read_from_the_command_line() {
        let line = [
            "loadtest",
            "sink",
            "--fault",
            "503@5%",
            "--fault",
            "reset@0.1",
            "--audit",
            "20/m",
            "--for",
            "5s",
        ];
        let Command::Sink(args) = Cli::parse_from(line).command else { panic!("another command") };
        assert_eq!((args.fault.len(), args.audit[0].count), (2, 20));
        assert!(Cli::try_parse_from(["loadtest", "sink", "--fault", "teapot"]).is_err());
        let line = ["loadtest", "wecom", "--fault", "groupchat/get:errcode=-1@10%", "--speed", "60"];
        let Command::Wecom(args) = Cli::parse_from(line).command else { panic!("another command") };
        assert_eq!((args.fault.len(), args.speed), (1, Some(60.0)));
        assert!(Cli::try_parse_from(["loadtest", "wecom", "--fault", "get:teapot"]).is_err());
        assert!(Cli::try_parse_from(["loadtest", "wecom", "--limit-scale", "0"]).is_err());
        assert!(Cli::try_parse_from(["loadtest", "events", "--repeat-ratio", "2"]).is_err());
    }
}
