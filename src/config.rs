//! The configuration: layers over the embedded `config/menshen.toml`, every problem reported at once.
//!
//! Order, later wins: embedded file < the operator's file < environment (`MENSHEN_SECTION__KEY`) < command line.
//! Each section's type is owned by the module it configures and holds values that were validated while they were read;
//! this module only fills them. Nobody but the entry (`main`, `app`) imports it.
//!
//! Not for: what operators add through the API (that lives in storage), reading files named by the configuration other
//! than secrets (`…_file`).
//!
//! Adding a section: one line in [`sections!`], a block with a comment for each key in `config/menshen.toml`, and the
//! module's `Config` with `#[serde(deny_unknown_fields)]` and a `Default` equal to the block. The tests hold all of that.

mod check;
mod layers;
mod problem;
mod schema;
mod show;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

pub use layers::{Flags, Layers};
pub use problem::{Problem, Problems, Source};
pub use show::{Setting, show};

/// The embedded file: defaults and documentation in one.
pub const DEFAULT_TOML: &str = include_str!("../config/menshen.toml");

macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident: $config:ty,)*) => {
        /// Everything that can be configured, one field a section of the file.
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Config {
            $($(#[$doc])* pub $name: $config,)*
        }
    };
}

sections! {
    /// Addresses and the data directory.
    server: Server,
    /// How the gateway stops.
    drain: Drain,
    /// What is logged.
    log: crate::telemetry::log::Config,
    /// Operators and tokens.
    access: crate::access::Config,
    /// Accounts, shops, groups.
    directory: crate::directory::Config,
    /// Repeats.
    dedupe: crate::dedupe::Config,
    /// Wordlists and matching.
    interception: crate::interception::Config,
    /// Versions of everything that decides.
    rulesets: crate::rulesets::Config,
    /// Floods.
    conduct: crate::conduct::Config,
    /// Keyword answers.
    replies: crate::replies::Config,
    /// Greetings.
    welcomes: crate::welcomes::Config,
    /// What members hear on the days after they joined.
    journeys: crate::journeys::Config,
    /// What spans groups.
    fleet: crate::fleet::Config,
    /// Journal, ledger, projection, retention.
    storage: crate::storage::Config,
    /// Calls to platforms and from them.
    connectors: crate::connectors::Config,
    /// Somebody else's verdict.
    hook: crate::hook::Config,
    /// Lanes, retries, circuit breakers.
    outbox: crate::outbox::Config,
    /// Texts to many groups.
    broadcasts: crate::broadcasts::Config,
    /// What is kept in order on platforms.
    duties: crate::duties::Config,
    /// How owners are told of what happens.
    alerts: crate::alerts::Config,
    /// Words that are counted, and from how many people on figures are told apart.
    statistics: crate::statistics::listener::Config,
    /// Questions without an answer.
    questions: crate::questions::Config,
    /// Members who leave.
    leaves: crate::alerts::leaves::Config,
    /// Things said to one group or some staff.
    notices: crate::notices::Config,
    /// Tags and segments of members.
    people: crate::people::Config,
    /// Who is told of state changes.
    subscriptions: crate::subscriptions::Config,
    /// Original text that is kept.
    evidence: crate::evidence::Config,
    /// What waits for a person.
    reviews: crate::reviews::Config,
    /// Daily reports as files.
    reports: crate::report::Config,
    /// The API for people's tools.
    api: crate::api::Config,
    /// The way in.
    ingest: crate::ingest::Config,
}

/// Addresses and the data directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where the API, callbacks and console listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where metrics and health listen.
    pub metrics_listen: SocketAddr,
    /// How far its clock runs ahead of the machine's: for rehearsals.
    #[serde(with = "crate::units::duration")]
    pub clock_ahead: Duration,
    /// Where everything durable lives.
    pub data_dir: PathBuf,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8180)),
            metrics_listen: SocketAddr::from(([127, 0, 0, 1], 8181)),
            clock_ahead: Duration::ZERO,
            data_dir: PathBuf::from("./data"),
        }
    }
}

/// How the gateway stops.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// How long to serve on after readiness was withdrawn.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub delay: Duration,
    /// How long what is in flight may take after that.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub timeout: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: Duration::from_secs(5), timeout: Duration::from_secs(25) }
    }
}

/// A configuration with where each value came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Every key of the embedded file, in its order, with the effective value.
    pub settings: Vec<Setting>,
}

/// Reads all layers, validates every value on its own and all together.
///
/// # Errors
/// With every problem there is, not only the first.
pub fn load(layers: &Layers) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let leaves = layers::read(layers, &mut problems);
    let mut effective = schema::schema().defaults().clone();
    let mut winners = Vec::new();
    for leaf in leaves {
        match layers::accept(&leaf) {
            Ok(()) => {
                schema::put(&mut effective, &leaf.path, leaf.value.clone());
                winners.push(leaf);
            }
            Err(problem) => problems.push(*problem),
        }
    }
    match layers::parse(&effective) {
        Ok(config) => {
            problems.extend(check::check(&config, &problems, &winners));
            if problems.is_empty() {
                return Ok(Loaded { config, settings: show::settings(&effective, &winners) });
            }
        }
        // Every value was accepted alone, so it is their combination that a section refuses.
        Err((key, detail)) => problems.push(Problem {
            remedy: "look at this section in `menshen config default`".to_owned(),
            source: layers::source_of(&winners, &key),
            value: None,
            key,
            detail,
        }),
    }
    Err(Problems(problems))
}
