//! Our side of each platform: one folder a platform, all behind [`Connector`].

use async_trait::async_trait;

use crate::event::GroupEvent;
use crate::outbox::delivery::Deliver;

/// What a platform can do. A `false` is a promise the product does not make (and says so).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each flag is one documented fact about a platform")]
pub struct Capabilities {
    /// Our verdict comes before members see the message.
    pub can_block_before: bool,
    /// A message can be withdrawn.
    pub can_recall: bool,
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
    /// The raw body.
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
    /// In words; what to do next.
    pub detail: String,
}

/// One account on one platform.
#[async_trait]
pub trait Connector: Deliver {
    /// The platform's name, a metric label: `sandbox`, `webhook`, `wecom`, ….
    fn platform(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Limits that hold when the account names none, in the grammar of `outbox::limit` (`window:20/m`).
    fn limits_default(&self) -> &'static [&'static str];

    /// Verifies and decodes a callback. Pure but for the replay memory.
    fn open(&self, callback: Callback<'_>) -> Result<Opened, CallbackError>;
}
