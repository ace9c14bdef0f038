//! What the API document says of the two hot routes, which `ingest` serves before a request gets to this router.

#![expect(dead_code, reason = "these are read by the document's macros only")]

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::event::json::SentIn;
use crate::event::{Answer, Attachment, EventType, FieldError, Role};

/// Something that happened in a group.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Event)]
pub(super) struct EventDocument {
    /// Unique within the group, at most 128 bytes: a repeat is recognised by it.
    #[schema(example = "e-1", max_length = 128)]
    id: String,
    /// The account it came through.
    #[schema(example = "demo", max_length = 128)]
    account: String,
    /// The platform's id of the group; left out for `contact_added`.
    #[schema(example = "g-7", max_length = 128)]
    group: Option<String>,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(value_type = SentIn)]
    kind: EventType,
    /// The member it is about.
    #[schema(example = "u-3", max_length = 128)]
    member: Option<String>,
    /// Their display name.
    name: Option<String>,
    /// Their role; `customer` when left out.
    role: Option<Role>,
    /// When it happened by the platform's clock (RFC 3339); the arrival time when left out.
    #[schema(example = "2026-11-22T10:00:00+08:00")]
    at: Option<String>,
    /// `message`, `message_edited`: the text.
    #[schema(example = "加薇·信领优惠")]
    text: Option<String>,
    /// `message`: `text`, `image`, ….
    content_type: Option<String>,
    /// `message`: members named with @.
    mentions: Option<Vec<String>>,
    /// `message`: it was forwarded from elsewhere.
    forwarded: Option<bool>,
    /// `message`: the quoted text; judged where the policy says so (`content.quoted`).
    quote: Option<String>,
    /// `message`: pictures, links, cards.
    attachments: Option<Vec<AttachmentDocument>>,
    /// `message_edited`, `message_recalled`: the event id of the message.
    of: Option<String>,
    /// `member_joined`: who invited them.
    inviter: Option<String>,
    /// `member_joined`: how they came in.
    scene: Option<String>,
    /// `member_joined`: what they say of themselves, judged as their name is.
    profile: Option<String>,
    /// `member_joined`, `contact_added`: the channel code they came by.
    channel: Option<String>,
    /// `member_left`: why.
    reason: Option<String>,
    /// `member_left`: found by comparing rosters.
    inferred: Option<bool>,
    /// `contact_added`: the staff member who was added.
    staff: Option<String>,
    /// `contact_added`: the platform's one-time code for a welcome.
    welcome_code: Option<String>,
    /// `group_created`, `group_updated`, `owner_changed`: the owner.
    owner: Option<String>,
    /// `consent_changed`: whether the member agrees.
    granted: Option<bool>,
    /// `outcome`: `click`, `order`, `visit`, ….
    #[serde(rename = "kind")]
    outcome: Option<String>,
    /// `outcome`: its value.
    value: Option<f64>,
    /// `outcome`: the broadcast it is credited to.
    broadcast: Option<String>,
}

/// One attachment of a message.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Attachment)]
pub(super) struct AttachmentDocument {
    /// `image`, `link`, `miniprogram`, `card`, `file`, ….
    kind: String,
    /// Address, for links.
    url: Option<String>,
    /// Application id, for mini programs.
    appid: Option<String>,
    /// Title shown to members; judged like text.
    title: Option<String>,
    /// SHA-256 of the contents, in hexadecimal.
    sha256: Option<String>,
}

impl AttachmentDocument {
    /// Returns it as an event has it.
    pub(super) fn into_attachment(self) -> Attachment<'static> {
        let Self { kind, url, appid, title, sha256 } = self;
        let owned = |text: Option<String>| text.map(Cow::Owned);
        Attachment {
            kind: Cow::Owned(kind),
            url: owned(url),
            appid: owned(appid),
            title: owned(title),
            sha256: owned(sha256),
        }
    }
}

/// What stands in the place of an answer when one event of many was refused.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct RefusedEvent {
    /// NDJSON: which line, from 1.
    line: Option<usize>,
    /// JSON array: which element, from 0.
    index: Option<usize>,
    /// Why.
    error: FieldError,
}

/// Brings events and gets verdicts 上报事件
///
/// One event, a JSON array, or NDJSON; gzip is welcome. The answer has the same shape and order and comes after the events
/// are durable. In a batch a wrong event gets an error of its own and the others count. A repeat answers
/// `"status": "duplicate"` and has no effect, so a request may be sent again until it is answered.
#[utoipa::path(
    post, path = "/v1/events", tag = "events", operation_id = "postEvents",
    security(("token" = [])),
    request_body(
        description = "An event, an array of events, or one event a line",
        content((EventDocument = "application/json"), (EventDocument = "application/x-ndjson")),
    ),
    responses((status = 200, description = "The verdict, or one for each event", body = Answer)),
)]
fn events() {}

/// Takes a platform's callback 平台回调
///
/// No token: the account's connector verifies the platform's signature over the raw body, and decides what is answered.
/// The platform `webhook` takes events as in `POST /v1/events`, signed by Standard Webhooks 1.0.
#[utoipa::path(
    post, path = "/hooks/{account}/{rest}", tag = "events", operation_id = "postHook",
    params(
        ("account" = String, Path, description = "The account"),
        ("rest" = String, Path, description = "Whatever the platform's addresses end in; may be empty"),
        ("webhook-id" = Option<String>, Header, description = "Standard Webhooks: the message's id"),
        ("webhook-timestamp" = Option<String>, Header, description = "Standard Webhooks: seconds since the epoch"),
        ("webhook-signature" = Option<String>, Header, description = "Standard Webhooks: `v1,<base64>`, several by spaces"),
    ),
    request_body(content = EventDocument, description = "As the platform sends it"),
    responses((status = 200, description = "What the platform expects, after the events are durable")),
)]
fn hook() {}

/// The two routes for the document, and the schemas they name.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(events, hook),
    components(schemas(EventDocument, AttachmentDocument, RefusedEvent, Answer, FieldError))
)]
pub(super) struct Intake;
