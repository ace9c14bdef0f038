//! All state of the simulated corp. One lock is around it, so whatever happens is one thing after the other.
//!
//! Files of an API family keep their own state in [`super::apis::States`].

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::apis::{States, TICKS};
use super::clock::{Clock, millis};
use super::config::{AppConfig, Family, SimConfig};
use super::crypto::{Cipher, CryptoError};
use super::events::Queue;
use super::faults::Script;
use super::groups::{GroupNo, Groups};
use super::ledger::Ledger;
use super::limits::Limits;
use super::live::{self, Crowd};
use super::machines::owners::Owners;
use super::people::{People, Person, ROOT_DEPARTMENT, StaffNo};
use super::populate::populate;
use super::tokens::Tokens;
use super::welcome::WelcomeCodes;

/// How long a newly trusted address takes to work.
const TRUST_DELAY_MS: u64 = 60_000;

/// One app with what it needs to seal callbacks.
#[derive(Debug)]
pub struct App {
    /// As it was set up, with later changes.
    pub config: AppConfig,
    pub(crate) cipher: Cipher,
    /// Addresses trusted later, and from when on.
    trusted_later: Vec<(IpAddr, u64)>,
}

impl App {
    fn new(config: AppConfig, corpid: &str) -> Result<Self, CryptoError> {
        let cipher = Cipher::new(&config.token, &config.aes_key, corpid)?;
        Ok(Self { config, cipher, trusted_later: Vec::new() })
    }

    pub(crate) fn may_call(&self, family: Family) -> bool {
        family == Family::Basic || self.config.families.contains(&family)
    }

    pub(crate) fn trusts(&self, ip: IpAddr, now_ms: u64) -> bool {
        self.config.trusted_ips.is_empty()
            || self.config.trusted_ips.contains(&ip)
            || self.trusted_later.iter().any(|&(trusted, from_ms)| trusted == ip && now_ms >= from_ms)
    }

    /// Someone adds an address to the list; it works a minute later.
    pub fn trust(&mut self, ip: IpAddr, now_ms: u64) {
        self.trusted_later.push((ip, now_ms + TRUST_DELAY_MS));
    }
}

/// All state of the corp.
#[derive(Debug)]
pub struct World {
    /// What time it is.
    pub clock: Clock,
    /// As it was set up; what can change while it runs is changed here.
    pub config: SimConfig,
    /// The apps, in the order they were set up.
    pub apps: Vec<App>,
    /// Access tokens.
    pub tokens: Tokens,
    /// Frequency limits.
    pub limits: Limits,
    /// What happened.
    pub ledger: Ledger,
    /// Members of the corp and customers.
    pub people: People,
    /// Customer groups.
    pub groups: Groups,
    /// Codes that came with new contacts.
    pub welcome: WelcomeCodes,
    /// Callbacks that wait.
    pub queue: Queue,
    /// Ids that are chats but no customer groups: `groupchat/get` says 90501 of them.
    pub other_chats: HashSet<String>,
    /// Who has ever spoken where.
    pub(crate) spoken: HashSet<(GroupNo, Person)>,
    /// What the families of APIs keep for themselves.
    pub states: States,
    pub(crate) crowd: Option<Crowd>,
    pub(crate) faults: Script,
    pub(crate) rng: StdRng,
    /// For nonces, prefixes and hints: what the wire draws must not change what people get.
    pub(crate) wire_rng: StdRng,
    /// Calls in flight, by API.
    pub(crate) in_flight: HashMap<&'static str, usize>,
}

impl World {
    /// Makes the world as it is at the start.
    ///
    /// # Errors
    /// When an app's `EncodingAESKey` is none.
    pub(crate) fn new(config: SimConfig) -> Result<Self, CryptoError> {
        let now_ms = config.clock.now_ms();
        let (mut people, mut groups) = (People::new(config.seed), Groups::new(config.seed));
        populate(&mut people, &mut groups, &config.population, config.seed, now_ms / 1_000);
        let apps = config.apps.iter().map(|app| App::new(app.clone(), &config.corpid));
        Ok(Self {
            clock: config.clock.clone(),
            apps: apps.collect::<Result<_, _>>()?,
            tokens: Tokens::new(config.token_life, config.limits.wrong_secrets_max),
            limits: Limits::new(config.limits.clone()),
            ledger: Ledger::new(config.keep_records),
            people,
            groups,
            welcome: WelcomeCodes::new(millis(config.welcome_life)),
            queue: Queue::default(),
            other_chats: HashSet::new(),
            spoken: HashSet::new(),
            crowd: None,
            states: States::new(&config.acting),
            faults: Script::new(config.faults.clone(), config.seed, now_ms),
            rng: StdRng::seed_from_u64(config.seed),
            wire_rng: StdRng::seed_from_u64(config.seed ^ 1 << 63),
            in_flight: HashMap::new(),
            config,
        })
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Lets everything happen that was due by now. Every call and every tenth of a second do it.
    pub fn tick(&mut self) {
        live::tick(self);
        self.groups.tick(self.clock.now_ms());
        for tick in TICKS {
            tick(self);
        }
    }

    /// The app of a name.
    pub fn app_named(&self, name: &str) -> Option<usize> {
        self.apps.iter().position(|app| app.config.name == name)
    }

    /// Whether an app's visible range holds a member.
    pub fn sees(&self, app: usize, staff: StaffNo) -> bool {
        let visible = &self.apps[app].config.visible_departments;
        visible.contains(&ROOT_DEPARTMENT) || visible.contains(&self.people.staff(staff).department)
    }

    /// What owners are like.
    pub(crate) fn owners(&self) -> Owners<'_> {
        Owners { config: &self.config.acting.owners, tempers: &self.states.tempers, seed: self.config.seed }
    }

    /// Keeps a message whole, for questions about what people saw.
    pub(crate) fn keep_body(&mut self, at_ms: u64, via: &str, target: &str, message: &serde_json::Value) {
        self.states.inbox.put(at_ms, via, target, message, self.config.acting.keep_bodies);
    }

    /// An id with a prefix and 30 more letters and digits, different each time, the same for the same seed.
    pub fn new_id(&mut self, prefix: &str) -> String {
        const CHARS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let tail: String =
            (0..30).map(|_| char::from(CHARS[self.rng.random_range(0..CHARS.len())])).collect();
        format!("{prefix}{tail}")
    }

    /// The `hint` of an error text: digits and underscores.
    pub(crate) fn new_hint(&mut self) -> String {
        let now_s = self.now_ms() / 1_000;
        format!("{now_s}_{}_{:032}", self.wire_rng.random_range(1..999_u32), self.wire_rng.random::<u64>())
    }
}
