//! Our side of each platform: one folder a platform, all behind [`Connector`].
//!
//! A connector verifies and decodes what its platform tells us, and carries what we say. It never decides: verdicts,
//! limits, order and retries are others' work. What a platform cannot do it says in [`Capabilities`].
//!
//! Adding a platform touches its folder, [`registry`], the configuration and the documents, nothing else.

#[cfg(test)]
mod conformance;
pub mod offers;
pub mod promises;
pub mod registry;
pub mod rosters;
pub mod sandbox;
pub mod spec;
#[cfg(test)]
pub(crate) mod testing;
pub mod webhook;
pub mod wecom;

use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use serde::Deserialize;

use crate::event::GroupEvent;
use crate::event::json::ParseLimits;
use crate::outbox::delivery::{Content, Deliver};

pub use offers::{
    ConnectorState, ConnectorStates, EventSink, GroupLife, MassSends, Numbers, OwnGroups, PlatformError,
    PlatformNumbers, Retry, Rosters, SelfCheck, StaffInterception, StateError, SyncProgress,
    WelcomeTemplates,
};
pub use registry::Connectors;
pub use rosters::RosterConfig;
pub use spec::{AccountSpec, Secret, SpecError};

/// What a platform can do, in one kind of its groups. A `false` is a promise the product does not make (and says so).
///
/// Each connector's `capabilities` names the source of every flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each flag is one documented fact about a platform")]
pub struct Capabilities {
    /// Our verdict comes before members see the message.
    pub can_block_before: bool,
    /// A message can be withdrawn, a member's and our own.
    pub can_recall: bool,
    /// The text of what we said can be changed afterwards.
    pub can_edit: bool,
    /// A member can be kept from speaking.
    pub can_mute: bool,
    /// A member can be taken out.
    pub can_remove: bool,
    /// We can say something in a group without a person's help.
    pub can_post_into_group: bool,
    /// A new contact can be greeted with a one-time code.
    pub can_welcome_by_code: bool,
    /// A person must confirm each send.
    pub sends_need_confirmation: bool,
    /// Events name the member.
    pub gives_member_ids: bool,
    /// Events carry the message's text.
    pub gives_message_text: bool,
    /// Longest text of one send, in bytes of UTF-8.
    pub max_text_bytes: usize,
    /// What may be sent.
    pub content_types: &'static [ContentType],
    /// What may go with a new contact's greeting.
    pub welcome_content_types: &'static [ContentType],
}

/// Why a flag of [`Capabilities`] is what it is: the platform's page, a measurement, or who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct CapabilitySource {
    /// The flag's name.
    pub flag: &'static str,
    /// Where the fact is from.
    pub source: &'static str,
}

/// A limit of a platform, kept when the account names none of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct LimitPreset {
    /// What it holds for: an interface of the platform, or a level (`robot`, `member`, `corp`).
    pub of: &'static str,
    /// In the grammar of `outbox::limit`.
    pub limit: &'static str,
    /// Where the fact is from.
    pub source: &'static str,
}

/// A kind of content that can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentType {
    /// Plain text.
    Text,
    /// Text with marks.
    Markdown,
    /// A picture.
    Image,
    /// A film.
    Video,
    /// Any file.
    File,
    /// A link with title and picture.
    Link,
    /// A mini program's card.
    Miniprogram,
    /// A recording.
    Voice,
    /// Several links in one.
    News,
    /// A card with buttons.
    Card,
    /// A picture, recording, film or file by its address.
    Reference,
}

impl ContentType {
    /// Returns the kind of a content.
    pub fn of(content: &Content) -> Self {
        match content {
            Content::Text { .. } => ContentType::Text,
            Content::Markdown { .. } => ContentType::Markdown,
            Content::Image { .. } => ContentType::Image,
            Content::Voice { .. } => ContentType::Voice,
            Content::Video { .. } => ContentType::Video,
            Content::File { .. } => ContentType::File,
            Content::Link { .. } => ContentType::Link,
            Content::Miniprogram { .. } => ContentType::Miniprogram,
            Content::Reference { .. } => ContentType::Reference,
            Content::News { .. } => ContentType::News,
            Content::Card { .. } => ContentType::Card,
        }
    }
}

/// A platform's callback as it came in, before anything is believed.
#[derive(Clone, Copy, Debug)]
pub struct Callback<'a> {
    /// `GET`, `POST`, ….
    pub method: &'a http::Method,
    /// What follows `/hooks/{account}`.
    pub path: &'a str,
    /// The query string, without `?`.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a http::HeaderMap,
    /// The raw body, as it was on the wire: signatures are over these bytes.
    pub body: &'a [u8],
    /// Our time, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// What a callback came to.
#[derive(Debug)]
pub struct Opened {
    /// Authenticated events, in order; empty for a verification request.
    pub events: Vec<GroupEvent<'static>>,
    /// What to answer once the events are committed.
    pub reply: http::Response<bytes::Bytes>,
}

/// Why a callback was not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct CallbackError {
    /// HTTP status to answer with.
    pub status: http::StatusCode,
    /// Stable code: `bad_signature`, `too_old`, `missing_header`, ….
    pub code: &'static str,
    /// In words; what to do next. Never repeats what a member wrote.
    pub detail: String,
}

/// How long a one-time welcome code lives on the hastiest platform we know (WeCom, page 92137: 20 s).
const WELCOME_CODE_LIFE: Duration = Duration::from_secs(20);

/// One account on one platform.
#[async_trait]
pub trait Connector: Deliver {
    /// The platform's name, a metric label: `sandbox`, `webhook`, `wecom`, ….
    fn platform(&self) -> &'static str;

    /// What it can do in most of its groups.
    fn capabilities(&self) -> Capabilities;

    /// What it can do in this group, where a platform has groups of several kinds; the empty one stands for a member of
    /// staff, one to one.
    fn capabilities_of(&self, group: &str) -> Capabilities {
        _ = group; // one kind
        self.capabilities()
    }

    /// Groups that a robot of the account sits in.
    fn robot_groups(&self) -> Vec<String> {
        Vec::new()
    }

    /// How long a one-time welcome code can be used after its event; `None` where there are none. Where a platform does not
    /// say, it is taken to be as hasty as the hastiest.
    fn welcome_code_life(&self) -> Option<Duration> {
        self.capabilities().can_welcome_by_code.then_some(WELCOME_CODE_LIFE)
    }

    /// Where each flag of [`Self::capabilities`] is from.
    fn sources(&self) -> &'static [CapabilitySource];

    /// The platform's own limits, as far as they are known.
    fn limit_presets(&self) -> &'static [LimitPreset] {
        &[]
    }

    /// Limits that hold when the account names none, in the grammar of `outbox::limit` (`window:20/m`).
    fn limits_default(&self) -> &'static [&'static str];

    /// Verifies and decodes a callback. No I/O: what it needs to remember it remembers in memory.
    ///
    /// # Errors
    /// Says how to answer, and why.
    fn open(&self, callback: Callback<'_>) -> Result<Opened, CallbackError>;

    /// Takes events of a callback whose roster step does not follow from what we know, durably, before the platform gets
    /// its answer; [`Rosters::close_gaps`] finds out later what they mean.
    ///
    /// # Errors
    /// When they could not be kept: then the platform is told to send again.
    async fn gap(&self, events: Vec<GroupEvent<'static>>) -> Result<(), StateError> {
        _ = events; // no platform without versions has any
        Ok(())
    }

    /// Says what keeps the account from working at the moment, for people.
    fn trouble(&self) -> Option<Trouble> {
        None
    }

    /// Who is in which group.
    fn rosters(&self) -> Option<&dyn Rosters> {
        None
    }

    /// The platform's own numbers.
    fn numbers(&self) -> Option<&dyn Numbers> {
        None
    }

    /// Sends that wait for a person.
    fn mass_sends(&self) -> Option<&dyn MassSends> {
        None
    }

    /// The platform's library of welcome templates.
    fn welcome_templates(&self) -> Option<&dyn WelcomeTemplates> {
        None
    }

    /// The platform's own interception of what staff send.
    fn staff_interception(&self) -> Option<&dyn StaffInterception> {
        None
    }

    /// Groups that change hands, ways into them.
    fn group_life(&self) -> Option<&dyn GroupLife> {
        None
    }

    /// Groups we may make and change.
    fn own_groups(&self) -> Option<&dyn OwnGroups> {
        None
    }

    /// A walk through the account.
    fn self_check(&self) -> Option<&dyn SelfCheck> {
        None
    }
}

/// What keeps an account from working.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Trouble {
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
    /// The platform's code or ours.
    pub code: String,
    /// In plain Chinese: what is wrong and where to click.
    pub zh: String,
    /// The same in English.
    pub en: String,
}

/// What holds for every account, unless it says otherwise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Longest time to resolve a name, connect and agree on TLS.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub connect_timeout: Duration,
    /// Longest time for one call.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub total_timeout: Duration,
    /// How long a connection to a platform waits for its next use.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub idle_timeout: Duration,
    /// How much of a platform's reply is read, in bytes.
    #[serde(deserialize_with = "crate::units::de_size")]
    pub reply_bytes_max: usize,
    /// The same for WeCom, whose lists of a group's members are long.
    #[serde(deserialize_with = "crate::units::de_size")]
    pub wecom_reply_bytes_max: usize,
    /// Ranges that calls may go to although they are not public.
    pub allow_private: Vec<IpNet>,
    /// How far a callback's signed time may be from ours, either way, inclusive.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub signature_tolerance: Duration,
    /// How long a callback's id stands for what it stood for first.
    #[serde(deserialize_with = "crate::units::de_duration")]
    pub replay_window: Duration,
    /// Most callback ids remembered by each account.
    pub replay_ids_max: usize,
    /// Most events in one callback.
    pub callback_events_max: usize,
    /// Most sends that the sandbox shows.
    pub sandbox_sends_max: usize,
    /// How rosters are kept true.
    pub rosters: RosterConfig,
    /// How much of an event is accepted: the same as for `POST /v1/events`, so the composition root sets it.
    #[serde(skip)]
    pub parse_limits: ParseLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(4),
            reply_bytes_max: 8 * 1024,
            wecom_reply_bytes_max: 4 * 1024 * 1024,
            allow_private: Vec::new(),
            signature_tolerance: Duration::from_mins(5),
            replay_window: Duration::from_mins(10),
            replay_ids_max: 10_000,
            callback_events_max: 1_000,
            sandbox_sends_max: 10_000,
            rosters: RosterConfig::default(),
            parse_limits: ParseLimits::default(),
        }
    }
}
