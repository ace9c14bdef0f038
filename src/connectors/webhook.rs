//! The platform for whoever has none of the others: signed JSON over HTTP, both ways, by Standard Webhooks 1.0.0.
//!
//! In: `POST /hooks/{account}` with events as `POST /v1/events` spells them. Out: each send and action is one signed
//! POST to the account's URL. What the receiver can do with it is its own matter, so the account says it (`can`).
//!
//! Invariants: nothing is believed unsigned and nothing is sent unsigned; a callback is taken whole or not at all.

#[cfg(test)]
mod conformance;
mod inbound;
mod outbound;
#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use async_trait::async_trait;
use http::Uri;
use parking_lot::Mutex;
use serde::{Deserialize, Deserializer};

use super::{
    AccountSpec, Callback, CallbackError, Capabilities, CapabilitySource, Config, Connector, ContentType,
    Opened, Secret, SpecError,
};
use crate::clock::Clock;
use crate::event::AccountId;
use crate::event::json::ParseLimits;
use crate::outbox::delivery::{Deliver, Delivery, Outcome, Refusal, Rendering, Resolution};
use crate::webhooks::address::{AddressRules, parse_url};
use crate::webhooks::client::{ClientConfig, HttpClient};
use crate::webhooks::{KeyError, Memory, SignKey, VerifyKey};

/// One webhook account.
#[derive(Debug)]
pub struct Webhook {
    account: AccountId,
    clock: Clock,
    can: Vec<Ability>,
    text_bytes_max: usize,
    inbound: Inbound,
    outbound: Option<Outbound>,
}

#[derive(Debug)]
struct Inbound {
    keys: Vec<VerifyKey>,
    tolerance: Duration,
    events_max: usize,
    parse_limits: ParseLimits,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Outbound {
    url: Uri,
    keys: Vec<SignKey>,
    client: HttpClient,
    receiver_dedupes: bool,
}

/// What an account's receiver can do with what we send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ability {
    /// It waits for the verdict before it shows a message.
    BlockBefore,
    Recall,
    /// It changes what it showed before.
    Edit,
    Mute,
    Remove,
    /// It says something in the group.
    Send,
    /// It greets a new contact.
    WelcomeByCode,
}

/// The account's own settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where sends and actions go; without it the account only takes events.
    url: Option<String>,
    /// Whether the receiver takes one `webhook-id` only once: then an uncertain send may be repeated.
    #[serde(default)]
    receiver_dedupes: bool,
    can: Option<Vec<Ability>>,
    /// Longest text of one send, in bytes.
    #[serde(default, deserialize_with = "size")]
    text_bytes_max: Option<usize>,
    #[serde(default, deserialize_with = "duration")]
    connect_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    total_timeout: Option<Duration>,
}

/// Standard Webhooks asks senders to stay under about 20 kB a request.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// What a receiver is taken to do when its account does not say.
const ABILITIES: [Ability; 4] = [Ability::Recall, Ability::Mute, Ability::Remove, Ability::Send];

/// Only its operator knows the receiver.
const BY_ACCOUNT: &str = "the account's own `settings.can`";
/// It requires a member and a text.
const BY_FORMAT: &str = "the event format of POST /v1/events";

/// Whatever our own form of a content can say goes out in it; what a receiver makes of it is its own matter.
const CONTENT_TYPES: &[ContentType] = &[
    ContentType::Text,
    ContentType::Markdown,
    ContentType::Image,
    ContentType::Voice,
    ContentType::Video,
    ContentType::File,
    ContentType::Link,
    ContentType::Miniprogram,
    ContentType::Reference,
    ContentType::News,
    ContentType::Card,
];

const fn source(flag: &'static str, source: &'static str) -> CapabilitySource {
    CapabilitySource { flag, source }
}

const SOURCES: &[CapabilitySource] = &[
    source("can_block_before", BY_ACCOUNT),
    source("can_recall", BY_ACCOUNT),
    source("can_edit", BY_ACCOUNT),
    source("can_mute", BY_ACCOUNT),
    source("can_remove", BY_ACCOUNT),
    source("can_post_into_group", BY_ACCOUNT),
    source("can_welcome_by_code", BY_ACCOUNT),
    source("sends_need_confirmation", "Standard Webhooks 1.0.0: a 2xx is the receiver's final word"),
    source("gives_member_ids", BY_FORMAT),
    source("gives_message_text", BY_FORMAT),
    source(
        "max_text_bytes",
        "the account's own `settings.text_bytes_max`; else Standard Webhooks 1.0.0, payload size",
    ),
    source("content_types", BY_ACCOUNT),
    source("welcome_content_types", BY_ACCOUNT),
];

/// Secrets by this name verify callbacks.
const SECRET_INBOUND: &str = "inbound";
/// Secrets by this name sign what we send, the first one first.
const SECRET_OUTBOUND: &str = "outbound";

impl Webhook {
    /// Its name as a platform.
    pub const PLATFORM: &str = "webhook";

    /// Connects an account. A secret without a name serves both directions.
    ///
    /// # Errors
    /// Names the path of what is wrong.
    pub fn build(spec: &AccountSpec, config: &Config, clock: &Clock) -> Result<Self, SpecError> {
        let settings: Settings = spec.settings()?;
        check_secret_names(&spec.secrets)?;
        let inbound = Inbound {
            keys: keys(&spec.secrets, SECRET_INBOUND, VerifyKey::parse)?,
            tolerance: config.signature_tolerance,
            events_max: config.callback_events_max,
            parse_limits: config.parse_limits,
            memory: Mutex::new(Memory::new(
                i64::try_from(config.replay_window.as_millis()).unwrap_or(i64::MAX),
                config.replay_ids_max,
            )),
        };
        let sign_keys = keys(&spec.secrets, SECRET_OUTBOUND, SignKey::parse)?;
        let outbound = Outbound::build(&settings, sign_keys, config)?;
        let can = match settings.can {
            Some(can) => can,
            None if outbound.is_some() => ABILITIES.to_vec(),
            None => Vec::new(),
        };
        if outbound.is_none() && can.iter().any(|ability| *ability != Ability::BlockBefore) {
            return Err(SpecError::at("settings.can", "needs `settings.url`: without it nothing is sent"));
        }
        Ok(Self {
            account: spec.id.clone(),
            clock: clock.clone(),
            can,
            text_bytes_max: settings.text_bytes_max.unwrap_or(TEXT_BYTES_MAX),
            inbound,
            outbound,
        })
    }

    fn can(&self, ability: Ability) -> bool {
        self.can.contains(&ability)
    }
}

impl Outbound {
    fn build(settings: &Settings, keys: Vec<SignKey>, config: &Config) -> Result<Option<Self>, SpecError> {
        let Some(url) = &settings.url else { return Ok(None) };
        let url = parse_url(url).map_err(|error| SpecError::at("settings.url", error.to_string()))?;
        if keys.is_empty() {
            let reason = "needs one named `outbound`: what is sent to `settings.url` is always signed";
            return Err(SpecError::at("secrets", reason));
        }
        let connect_timeout = settings.connect_timeout.unwrap_or(config.connect_timeout);
        let total_timeout = settings.total_timeout.unwrap_or(config.total_timeout);
        if connect_timeout > total_timeout {
            let reason = format!("is shorter than the time to connect, {connect_timeout:?}");
            return Err(SpecError::at("settings.total_timeout", reason));
        }
        let client = HttpClient::new(&ClientConfig {
            connect_timeout,
            total_timeout,
            idle_timeout: config.idle_timeout,
            reply_bytes_max: config.reply_bytes_max,
            addresses: AddressRules::new(config.allow_private.clone()),
        });
        Ok(Some(Self { url, keys, client, receiver_dedupes: settings.receiver_dedupes }))
    }
}

fn check_secret_names(secrets: &[Secret]) -> Result<(), SpecError> {
    match secrets.iter().position(|s| !matches!(s.name.as_str(), "" | SECRET_INBOUND | SECRET_OUTBOUND)) {
        Some(i) => {
            let reason = format!("is neither `{SECRET_INBOUND}` nor `{SECRET_OUTBOUND}`");
            Err(SpecError::at(format!("secrets[{i}].name"), reason))
        }
        None => Ok(()),
    }
}

fn keys<K>(
    secrets: &[Secret],
    name: &str,
    parse: impl Fn(&str) -> Result<K, KeyError>,
) -> Result<Vec<K>, SpecError> {
    let mut keys = Vec::new();
    for (i, secret) in secrets.iter().enumerate() {
        let key = match parse(secret.expose()) {
            Ok(key) => key,
            // A nameless half of a key pair serves the one direction it fits.
            Err(KeyError::SigningKeyToVerify | KeyError::PublicKeyToSign) if secret.name.is_empty() => {
                continue;
            }
            Err(error) if secret.name.is_empty() || secret.name == name => {
                return Err(SpecError::at(format!("secrets[{i}]"), error.to_string()));
            }
            Err(_) => continue, // of the other direction, and told there
        };
        if secret.name.is_empty() || secret.name == name {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    crate::units::de_duration(deserializer).map(Some)
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    crate::units::de_size(deserializer).map(Some)
}

#[async_trait]
impl Deliver for Webhook {
    async fn deliver(&self, delivery: &Delivery, attempt: u32) -> Outcome {
        let Some(outbound) = &self.outbound else { return outbound::no_url() };
        match outbound::unsupported(self, delivery) {
            Some(refused) => refused,
            None => outbound.deliver(delivery, attempt, self.clock.now_ms()).await,
        }
    }

    fn render(&self, delivery: &Delivery) -> Result<Rendering, Refusal> {
        let refused = match &self.outbound {
            Some(_) => outbound::unsupported(self, delivery),
            None => Some(outbound::no_url()),
        };
        if let Some(Outcome::Refused(refusal)) = refused {
            return Err(refusal);
        }
        Ok(Rendering { call: "POST", body: outbound::body(delivery, self.clock.now_ms()) })
    }

    async fn resolve(&self, _: &Delivery) -> Resolution {
        // There is no way to ask; Standard Webhooks leaves it to receivers to take an id once.
        match &self.outbound {
            Some(outbound) if outbound.receiver_dedupes => Resolution::SafeToRepeat,
            Some(_) | None => Resolution::Unknown,
        }
    }
}

#[async_trait]
impl Connector for Webhook {
    fn platform(&self) -> &'static str {
        Self::PLATFORM
    }

    fn sources(&self) -> &'static [CapabilitySource] {
        SOURCES
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            can_block_before: self.can(Ability::BlockBefore),
            can_recall: self.can(Ability::Recall),
            can_edit: self.can(Ability::Edit),
            can_mute: self.can(Ability::Mute),
            can_remove: self.can(Ability::Remove),
            can_post_into_group: self.can(Ability::Send),
            can_welcome_by_code: self.can(Ability::WelcomeByCode),
            sends_need_confirmation: false,
            gives_member_ids: true,
            gives_message_text: true,
            max_text_bytes: self.text_bytes_max,
            content_types: if self.can(Ability::Send) { CONTENT_TYPES } else { &[] },
            welcome_content_types: if self.can(Ability::WelcomeByCode) { CONTENT_TYPES } else { &[] },
        }
    }

    /// Only a bound on calls under way: what a receiver bears nobody knows, and it can say 429.
    fn limits_default(&self) -> &'static [&'static str] {
        &["concurrency:32"]
    }

    fn open(&self, callback: Callback<'_>) -> Result<Opened, CallbackError> {
        self.inbound.open(self.account.as_str(), callback)
    }
}
