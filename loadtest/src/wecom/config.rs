//! How a simulator is set up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::errcode;
use super::faults::Fault;
use super::limits::LimitConfig;
use super::machines::ActingConfig;

/// What an app of the corp may call; other families are refused with 48002.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// What every app may call: its own settings, addresses of callbacks.
    Basic,
    /// 客户联系: customers, customer groups, mass sends, welcomes, intercept rules.
    CustomerContact,
    /// 通讯录: members of the corp.
    Directory,
    /// Messages to members, and media.
    Message,
    /// Groups made by the app.
    Appchat,
    /// 会话存档.
    Archive,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Basic, Self::CustomerContact, Self::Directory, Self::Message, Self::Appchat, Self::Archive];
}

/// One app of the corp.
#[derive(Debug, Clone)]
pub struct AppConfig {
    /// What it is called in reports, and shown as by `agent/get`.
    pub name: String,
    /// Its number.
    pub agentid: u32,
    /// What `gettoken` asks for.
    pub secret: String,
    /// The callback's token.
    pub token: String,
    /// The callback's `EncodingAESKey`.
    pub aes_key: String,
    /// Where its events go; none yet, or none at all. Set here it is not verified, see `Simulator::register_callback`.
    pub callback_url: Option<String>,
    /// Addresses that may call; none: all.
    pub trusted_ips: Vec<IpAddr>,
    /// What it may call.
    pub families: Vec<Family>,
    /// A disabled app gets no token (40001), and 50003 with one it still has.
    pub is_enabled: bool,
    /// Departments it sees; the root, 1, is everybody.
    pub visible_departments: Vec<u32>,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            name: "gateway".to_owned(),
            agentid: 1_000_002,
            secret: "simulated-app-secret".to_owned(),
            token: "SimulatedToken1".to_owned(),
            aes_key: "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR".to_owned(),
            callback_url: None,
            trusted_ips: Vec::new(),
            families: Family::ALL.to_vec(),
            is_enabled: true,
            visible_departments: vec![1],
        }
    }
}

/// How many of everything there are at the start; all of it follows from the seed.
#[derive(Debug, Clone, Default)]
pub struct Population {
    /// Members of the corp who own groups, called `owner00000` and on.
    pub owners: usize,
    /// Customer groups, given to the owners in turn.
    pub groups: usize,
    /// Memberships of customers over all groups.
    pub members: usize,
    /// Customers who are contacts of an owner without being in a group.
    pub contacts: usize,
}

/// How a simulator is set up. One simulator is one corp; a second corp is a second simulator.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What time it is.
    pub clock: Clock,
    /// The same seed: the same people, ids, nonces and faults.
    pub seed: u64,
    /// The corp's id.
    pub corpid: String,
    /// Its apps.
    pub apps: Vec<AppConfig>,
    /// Who is there at the start.
    pub population: Population,
    /// Frequency limits.
    pub limits: LimitConfig,
    /// How long a token lives.
    pub token_life: Duration,
    /// How long a welcome code lives.
    pub welcome_life: Duration,
    /// How long reads show the state before an act, unless the act says otherwise.
    pub read_lag: Duration,
    /// How callbacks are sent.
    pub callbacks: CallbackConfig,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What an unknown chat gets: 40050 or 86003, the platform's pages do not agree.
    pub unknown_chat_errcode: i64,
    /// Whether customers come with a union id.
    pub has_unionid: bool,
    /// Whether bodies of 客户联系 calls with `\u` escapes are refused with 40033.
    pub refuses_json_escapes: bool,
    /// How long each call takes at least.
    pub latency: Duration,
    /// How the platform treats what apps do.
    pub acting: ActingConfig,
    /// How many records of each kind the ledger keeps.
    pub keep_records: usize,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Clock::real(),
            seed: 1,
            corpid: "ww1f2e3d4c5b6a7988".to_owned(),
            apps: vec![AppConfig::default()],
            population: Population::default(),
            limits: LimitConfig::default(),
            token_life: Duration::from_hours(2),
            welcome_life: Duration::from_secs(20),
            read_lag: Duration::ZERO,
            callbacks: CallbackConfig::default(),
            faults: Vec::new(),
            unknown_chat_errcode: errcode::BAD_CHATID,
            has_unionid: true,
            refuses_json_escapes: true,
            latency: Duration::ZERO,
            acting: ActingConfig::default(),
            keep_records: 200_000,
        }
    }
}

/// The forms in which an event lists the members it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberList {
    /// One `Item` for each.
    #[default]
    Items,
    /// One text, joined with commas.
    Joined,
    /// Not at all, but with the versions around the change.
    VersionsOnly,
    /// Neither list nor versions, as the platform had it before it told either.
    Absent,
}

/// How callbacks are sent. All of it can be changed while the simulator runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallbackConfig {
    /// What is around the ciphertext.
    pub envelope: super::envelope::Envelope,
    /// How members are listed.
    pub member_list: MemberList,
    /// How long one try may take, in real milliseconds.
    pub deadline_ms: u64,
    /// How long the answer to a URL verification may take, in real milliseconds.
    pub verify_deadline_ms: u64,
    /// Tries after the first.
    pub retries: u32,
    /// Real milliseconds between tries.
    pub retry_spacing_ms: u64,
    /// Whether a retry is the same ciphertext, time and nonce, or all of them new.
    pub retry_reencrypts: bool,
    /// Share of deliveries that come twice though they were answered.
    pub duplicate_share: f64,
    /// Share of deliveries that are held back, so that later ones overtake them.
    pub reorder_share: f64,
    /// For how long they are held back, in real milliseconds.
    pub reorder_hold_ms: u64,
    /// Tries in flight at once.
    pub concurrency: usize,
    /// Events waiting for their first try; more are dropped and counted.
    pub queue_max: usize,
    /// Whether anything is sent at all; while false, events wait in the queue.
    pub is_running: bool,
}

impl Default for CallbackConfig {
    fn default() -> Self {
        Self {
            envelope: super::envelope::Envelope::Xml,
            member_list: MemberList::Items,
            deadline_ms: 5_000,
            verify_deadline_ms: 1_000,
            retries: 3,
            retry_spacing_ms: 0,
            retry_reencrypts: false,
            duplicate_share: 0.0,
            reorder_share: 0.0,
            reorder_hold_ms: 200,
            concurrency: 32,
            queue_max: 100_000,
            is_running: true,
        }
    }
}
