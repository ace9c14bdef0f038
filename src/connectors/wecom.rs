//! WeCom (企业微信): callbacks of customer groups and contacts in, tasks, robots and app messages out.
//!
//! * In: `callback` verifies and decrypts (`crypto`, `envelope`), `decode` makes events of it, with the roster's steps by
//!   the platform's own versions. What does not follow from what we know goes to `gaps`.
//! * Rosters: `groups` reads, `roster` says what a reading means, `gaps`, `sync` and `probe` say when to read; `statistics`
//!   asks for the platform's own numbers.
//! * Out: `client` calls the platform's interfaces (`api`) with one shared `token`, under the limits of each (`quota`);
//!   `errcode` says what a refusal means. What we say and do there: `deliver` (which interface a delivery goes through),
//!   `content` (how it is written), `files` (what lies at an address), `mass`, `templates`, `intercept`, `life`, `appchat`, `check`.
//!
//! What the platform cannot do in customer groups (`capabilities`): show a message before others see it or at all, take
//! one back, mute or remove anybody, post without a person's confirmation.

mod agenda;
mod api;
mod appchat;
mod book;
mod callback;
mod capabilities;
mod check;
mod client;
#[cfg(test)]
mod conformance;
mod contacts;
mod content;
pub mod crypto;
mod decode;
mod deliver;
mod envelope;
mod errcode;
mod error;
mod files;
mod gaps;
mod groups;
mod intercept;
mod kind;
mod life;
mod mass;
mod media;
mod message;
mod probe;
mod quota;
mod robot;
mod roster;
mod send;
mod settings;
mod staff;
mod statistics;
mod sync;
mod templates;
#[cfg(test)]
pub(in crate::connectors) mod testing;
mod token;
mod welcome;
mod wire;
mod xml;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    AccountSpec, Callback, CallbackError, Capabilities, CapabilitySource, Config, Connector, ConnectorState,
    GroupLife, LimitPreset, MassSends, Numbers, Opened, OwnGroups, Rosters, SelfCheck, SpecError,
    StaffInterception, StateError, Trouble, WelcomeTemplates,
};
use crate::clock::Clock;
use crate::event::{AccountId, GroupEvent};
use crate::webhooks::address::AddressRules;
use crate::webhooks::client::{ClientConfig, HttpClient};
use callback::Inbound;
use client::Client;
use contacts::Contacts;
use deliver::Acts;
use files::Files;
use kind::GroupKind;
use quota::Quota;
use settings::{Secrets, Settings};
use staff::Staff;
use statistics::WecomNumbers;
use sync::WecomRosters;
use wire::Wire;

/// How long a reading waits for a limit of its interface.
const READ_PATIENCE: Duration = Duration::from_mins(2);

/// One account: an app of a corp, with its robots.
#[derive(Debug)]
pub struct Wecom {
    account: AccountId,
    clock: Clock,
    settings: Settings,
    client: Client,
    rosters: WecomRosters,
    numbers: WecomNumbers,
    staff: Arc<Staff>,
    acts: Acts,
    inbound: Inbound,
    /// When a callback was last believed, in milliseconds since the epoch; 0 for not since the start.
    callback_ms: AtomicI64,
}

impl Wecom {
    /// Its name as a platform.
    pub const PLATFORM: &str = "wecom";

    /// Connects an account. Nothing is called yet.
    ///
    /// # Errors
    /// Names the path of what is wrong.
    pub fn build(
        spec: &AccountSpec,
        config: &Config,
        clock: &Clock,
        state: Arc<dyn ConnectorState>,
    ) -> Result<Self, SpecError> {
        let (settings, presets) = Settings::read(spec)?;
        let mut secrets = Secrets::read(spec)?;
        let inbound = Inbound {
            pairs: std::mem::take(&mut secrets.callback),
            receive_ids: settings.receive_ids.clone(),
            tolerance: settings.timestamp_tolerance,
            members_max: config.callback_events_max,
            contacts: Contacts::default(),
        };
        let ways = ClientConfig {
            connect_timeout: config.connect_timeout,
            total_timeout: config.total_timeout,
            idle_timeout: config.idle_timeout,
            reply_bytes_max: config.wecom_reply_bytes_max,
            addresses: AddressRules::new(config.allow_private.clone()),
        };
        let http = HttpClient::new(&ways);
        let wire = Wire::new(http, settings.api_url.clone(), clock.clone(), config.wecom_reply_bytes_max);
        let quota = Quota::new(presets, clock.clone(), Arc::clone(&state), config.total_timeout);
        let corp_id = settings.corp_id.clone();
        let client = Client::new(wire, corp_id, secrets, quota, clock.clone(), config.total_timeout);
        let staff: Arc<Staff> = Arc::default();
        let files = Files::new(ways);
        let acts = Acts::new(
            client.clone(),
            clock.clone(),
            Arc::clone(&state),
            &settings,
            Arc::clone(&staff),
            files,
        );
        // Nobody waits for a reading: it waits for the limits.
        let reader = client.patient(READ_PATIENCE);
        let numbers = WecomNumbers::new(reader.clone(), clock);
        let rosters = WecomRosters::new(
            spec.id.as_str(),
            Box::new(reader),
            state,
            Arc::clone(&staff),
            clock,
            &config.rosters,
        );
        Ok(Self {
            account: spec.id.clone(),
            clock: clock.clone(),
            settings,
            client,
            rosters,
            numbers,
            staff,
            acts,
            callback_ms: AtomicI64::new(0),
            inbound,
        })
    }
}

#[async_trait]
impl Connector for Wecom {
    fn platform(&self) -> &'static str {
        Self::PLATFORM
    }

    fn capabilities(&self) -> Capabilities {
        capabilities::of(GroupKind::Customer(""))
    }

    fn capabilities_of(&self, group: &str) -> Capabilities {
        capabilities::of(GroupKind::of(group))
    }

    fn robot_groups(&self) -> Vec<String> {
        self.client.robots().into_iter().map(|robot| format!("{}{robot}", settings::ROBOT)).collect()
    }

    fn sources(&self) -> &'static [CapabilitySource] {
        capabilities::SOURCES
    }

    fn limit_presets(&self) -> &'static [LimitPreset] {
        quota::PRESETS
    }

    /// A robot's own limit, so that broadcasts to robots know when they will be done. The limits of interfaces are kept by
    /// the client, reads included.
    fn limits_default(&self) -> &'static [&'static str] {
        &["concurrency:16", "@robot group:window:20/m"]
    }

    fn open(&self, callback: Callback<'_>) -> Result<Opened, CallbackError> {
        let opened = self.inbound.open(self.account.as_str(), &self.staff, callback)?;
        self.rosters.told(&opened.events);
        self.callback_ms.store(callback.now_ms, Ordering::Relaxed);
        Ok(opened)
    }

    async fn gap(&self, events: Vec<GroupEvent<'static>>) -> Result<(), StateError> {
        self.rosters.keep(&events).await
    }

    fn rosters(&self) -> Option<&dyn Rosters> {
        self.client.has_app().then_some(&self.rosters)
    }

    fn numbers(&self) -> Option<&dyn Numbers> {
        self.client.has_app().then_some(&self.numbers)
    }

    fn trouble(&self) -> Option<Trouble> {
        self.client.trouble()
    }

    fn mass_sends(&self) -> Option<&dyn MassSends> {
        Some(&self.acts)
    }

    fn welcome_templates(&self) -> Option<&dyn WelcomeTemplates> {
        Some(&self.acts)
    }

    fn staff_interception(&self) -> Option<&dyn StaffInterception> {
        Some(&self.acts)
    }

    fn group_life(&self) -> Option<&dyn GroupLife> {
        Some(&self.acts)
    }

    fn own_groups(&self) -> Option<&dyn OwnGroups> {
        Some(&self.acts)
    }

    fn self_check(&self) -> Option<&dyn SelfCheck> {
        Some(self)
    }
}
