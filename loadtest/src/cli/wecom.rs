//! The flags of `loadtest wecom`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use loadtest::units::parse_duration;
use loadtest::wecom::Fault;

const HELP: &str = "\
Faults, for one API or `*`, looked at in order; delays add up, the first other one that applies decides:
  groupchat/get:errcode=-1@10%       answers that errcode, without effect
  *:503@first:3                      answers that HTTP status, without effect
  gettoken:delay=50ms..2s@0.5        answers late
  add_msg_template:hang@first:1      takes effect and never answers
  add_msg_template:reset@first:1     takes effect, then resets the connection
  *:cut@1%                           resets the connection before it takes effect
  *:outage=10s..40s                  the same, between two moments

While it runs (the full list is in the documentation of the library's `wecom` module):
  curl $SIM/_sim/report
  curl $SIM/_sim/groups?limit=10
  curl $SIM/_sim/act -d '{\"act\":\"join\",\"chat_id\":\"wr…\",\"newcomers\":2,\"scene\":3}'
  curl $SIM/_sim/faults -d '[\"*:503@5%\"]'
  curl $SIM/_sim/tokens -d '{\"app\":\"gateway\",\"end\":\"void\"}'

Prints one JSON line when it can be called, another when the callback URL is verified, and a report at the end.";

/// A faithful WeCom (企业微信) of one corp: its API with limits and penalties, its callbacks, and a crowd if asked for.
///
/// Point a client at the printed address instead of the platform's own. Members are called owner00000 and on.
/// Ends with 1 when the caller went over a limit by itself, answered a forged callback with 200, or never verified the
/// callback URL.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct WecomArgs {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Members of the corp who own groups
    #[arg(long, default_value_t = 10)]
    pub(crate) owners: usize,
    /// Customer groups
    #[arg(long, default_value_t = 50)]
    pub(crate) groups: usize,
    /// Memberships of customers over all groups
    #[arg(long, default_value_t = 2_000)]
    pub(crate) members: usize,
    /// Customers who are contacts of an owner
    #[arg(long, default_value_t = 0)]
    pub(crate) contacts: usize,
    /// The corp's id
    #[arg(long, default_value = "ww1f2e3d4c5b6a7988")]
    pub(crate) corpid: String,
    /// The app's number
    #[arg(long, default_value_t = 1_000_002)]
    pub(crate) agentid: u32,
    /// The app's secret
    #[arg(long, default_value = "simulated-app-secret")]
    pub(crate) secret: String,
    /// The callback's token
    #[arg(long, default_value = "SimulatedToken1")]
    pub(crate) token: String,
    /// The callback's `EncodingAESKey`, 43 characters
    #[arg(long, default_value = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR")]
    pub(crate) aes_key: String,
    /// Where events go; verified as on saving the settings, tried again until it works
    #[arg(long, value_name = "URL")]
    pub(crate) callback_url: Option<String>,
    /// An address that may call; several times for several [default: all]
    #[arg(long, value_name = "IP")]
    pub(crate) trusted_ip: Vec<IpAddr>,
    /// How long an access token lives
    #[arg(long, value_parser = parse_duration, default_value = "2h")]
    pub(crate) token_life: Duration,
    /// How long reads show the state before an act
    #[arg(long, value_parser = parse_duration, default_value = "0s")]
    pub(crate) read_lag: Duration,
    /// Every real limit times this
    #[arg(long, value_parser = super::parse_rate, default_value = "1")]
    pub(crate) limit_scale: f64,
    /// Real time between the tries of a callback
    #[arg(long, value_parser = parse_duration, default_value = "0s")]
    pub(crate) retry_spacing: Duration,
    /// Something that goes wrong; may be given several times
    #[arg(long)]
    pub(crate) fault: Vec<Fault>,
    /// Joins a second over all groups
    #[arg(long, default_value_t = 0.0)]
    pub(crate) joins: f64,
    /// Leaves a second
    #[arg(long, default_value_t = 0.0)]
    pub(crate) leaves: f64,
    /// New contacts a second
    #[arg(long, default_value_t = 0.0)]
    pub(crate) new_contacts: f64,
    /// Messages in groups a second
    #[arg(long, default_value_t = 0.0)]
    pub(crate) messages: f64,
    /// How many simulated seconds pass in a real one [default: the wall's time]
    #[arg(long, value_parser = super::parse_rate)]
    pub(crate) speed: Option<f64>,
    /// The same seed: the same people, ids and deeds
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Stop after so long [default: on SIGINT or SIGTERM]
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) length: Option<Duration>,
    /// Write the report as JSON to a file at the end
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}
