//! The words of the project as types: what happens in a group, what we decide, what follows.
//!
//! Not for: behaviour. Nothing here does I/O, reads a clock or knows a platform.
//! Times are milliseconds since the Unix epoch (`*_ms: i64`), spans are half-open byte ranges of the original
//! UTF-8 text.

mod fact;
mod field;
mod ids;
pub mod json;
mod scope;
mod verdict;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use fact::{
    ActionFact, CaseFact, ConsentFact, ContactFact, Effects, EvidenceFact, Fact, FactKind, GroupFact, Head,
    HitFact, KickFact, MemberFact, OutcomeFact, ReviewFact, RevisionFact, SendFact, SilenceFact, StateFact,
    StateKind,
};
pub use field::{FieldError, pointer_part};
pub use ids::{
    AccountId, BrandId, BroadcastId, DeliveryId, EventKey, GroupId, IdError, OperatorId, PARTITION_FLEET,
    PARTITIONS, Partition, RegionId, ShopId, TokenId, partition_of,
};
pub use scope::{Actor, GroupName, Place, Places, Scope};
pub use verdict::{Action, ActionKind, Answer, Hit, Level, Status, Verdict, Via};

/// Milliseconds in one hour: the width of a statistics hour and of a dedupe bucket.
pub const HOUR_MS: i64 = 3_600_000;

/// Something that happened in a group (or, for `contact_added`, to a staff member), as authenticated input.
///
/// Borrows from the request body where JSON allows it; [`GroupEvent::into_owned`] detaches it.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupEvent<'a> {
    /// Unique within the group; at most [`GroupEvent::ID_BYTES_MAX`] bytes.
    pub id: Cow<'a, str>,
    /// The configured credential it came through.
    pub account: Cow<'a, str>,
    /// The platform's id of the group; empty only for `contact_added`.
    pub group: Cow<'a, str>,
    /// The member it is about: the sender, the one who joined or left, the contact.
    pub member: Option<Cow<'a, str>>,
    /// The display name of that member, where the platform gives it.
    pub name: Option<Cow<'a, str>>,
    /// The role of that member.
    pub role: Role,
    /// When it happened by the platform's clock; `None` means the arrival time counts.
    pub at_ms: Option<i64>,
    /// What happened.
    pub what: What<'a>,
}

impl GroupEvent<'_> {
    /// Longest event id, group id, member id or account name in bytes.
    pub const ID_BYTES_MAX: usize = 128;

    /// Detaches the event from the buffer it was read from.
    pub fn into_owned(self) -> GroupEvent<'static> {
        GroupEvent {
            id: Cow::Owned(self.id.into_owned()),
            account: Cow::Owned(self.account.into_owned()),
            group: Cow::Owned(self.group.into_owned()),
            member: self.member.map(|m| Cow::Owned(m.into_owned())),
            name: self.name.map(|n| Cow::Owned(n.into_owned())),
            role: self.role,
            at_ms: self.at_ms,
            what: self.what.into_owned(),
        }
    }
}

/// Who a member is to the brand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A customer (the default: the stricter treatment).
    #[default]
    Customer,
    /// An employee of the brand.
    Staff,
    /// A program; never answered, so that two programs cannot talk to each other for ever.
    Bot,
}

/// The kind of an event without its contents; the spelling is the API's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// A member said something.
    Message,
    /// A member changed an earlier message.
    MessageEdited,
    /// A member took a message back.
    MessageRecalled,
    /// Someone entered the group.
    MemberJoined,
    /// Someone left the group or was removed.
    MemberLeft,
    /// A person added a staff member one to one.
    ContactAdded,
    /// The group came into being.
    GroupCreated,
    /// Name, notice or another property of the group changed.
    GroupUpdated,
    /// The group has a new owner.
    OwnerChanged,
    /// The group is gone.
    GroupDismissed,
    /// A member agreed to, or withdrew from, having messages stored.
    ConsentChanged,
    /// A business result reported by the brand: click, order, visit.
    Outcome,
}

/// What happened, with the fields that only this kind has.
#[derive(Clone, Debug, PartialEq)]
pub enum What<'a> {
    /// See [`EventType::Message`].
    Message(Message<'a>),
    /// The new text of message `of`.
    MessageEdited {
        /// Event id of the message that changed.
        of: Option<Cow<'a, str>>,
        /// Its new contents.
        message: Message<'a>,
    },
    /// Message `of` was taken back.
    MessageRecalled {
        /// Event id of the message.
        of: Option<Cow<'a, str>>,
    },
    /// See [`EventType::MemberJoined`].
    MemberJoined {
        /// Who invited them.
        inviter: Option<Cow<'a, str>>,
        /// How they came in, in the platform's words.
        scene: Option<Cow<'a, str>>,
        /// The channel code (渠道码) they came by.
        channel: Option<Cow<'a, str>>,
    },
    /// See [`EventType::MemberLeft`].
    MemberLeft {
        /// Why, in the platform's words.
        reason: Option<Cow<'a, str>>,
        /// Found by comparing rosters, not told by the platform.
        inferred: bool,
    },
    /// See [`EventType::ContactAdded`].
    ContactAdded {
        /// The staff member who was added.
        staff: Cow<'a, str>,
        /// The platform's one-time code for a welcome; it expires in seconds.
        welcome_code: Option<Cow<'a, str>>,
        /// The channel code (渠道码) they came by.
        channel: Option<Cow<'a, str>>,
    },
    /// See [`EventType::GroupCreated`].
    GroupCreated(GroupChange<'a>),
    /// See [`EventType::GroupUpdated`].
    GroupUpdated(GroupChange<'a>),
    /// See [`EventType::OwnerChanged`].
    OwnerChanged(GroupChange<'a>),
    /// See [`EventType::GroupDismissed`].
    GroupDismissed,
    /// See [`EventType::ConsentChanged`].
    ConsentChanged {
        /// Whether the member now agrees.
        granted: bool,
    },
    /// See [`EventType::Outcome`].
    Outcome {
        /// `click`, `order`, `visit`, or a word of the brand's own.
        kind: Cow<'a, str>,
        /// Its value in the brand's own unit (for an order: money).
        value: f64,
        /// The broadcast it is credited to.
        broadcast: Option<Cow<'a, str>>,
    },
}

impl What<'_> {
    /// Returns the kind alone.
    pub fn event_type(&self) -> EventType {
        match self {
            What::Message(_) => EventType::Message,
            What::MessageEdited { .. } => EventType::MessageEdited,
            What::MessageRecalled { .. } => EventType::MessageRecalled,
            What::MemberJoined { .. } => EventType::MemberJoined,
            What::MemberLeft { .. } => EventType::MemberLeft,
            What::ContactAdded { .. } => EventType::ContactAdded,
            What::GroupCreated(_) => EventType::GroupCreated,
            What::GroupUpdated(_) => EventType::GroupUpdated,
            What::OwnerChanged(_) => EventType::OwnerChanged,
            What::GroupDismissed => EventType::GroupDismissed,
            What::ConsentChanged { .. } => EventType::ConsentChanged,
            What::Outcome { .. } => EventType::Outcome,
        }
    }

    /// Returns the message, for the kinds that carry one.
    pub fn message(&self) -> Option<&Message<'_>> {
        match self {
            What::Message(message) | What::MessageEdited { message, .. } => Some(message),
            What::MessageRecalled { .. }
            | What::MemberJoined { .. }
            | What::MemberLeft { .. }
            | What::ContactAdded { .. }
            | What::GroupCreated(_)
            | What::GroupUpdated(_)
            | What::OwnerChanged(_)
            | What::GroupDismissed
            | What::ConsentChanged { .. }
            | What::Outcome { .. } => None,
        }
    }

    fn into_owned(self) -> What<'static> {
        match self {
            What::Message(m) => What::Message(m.into_owned()),
            What::MessageEdited { of, message } => {
                What::MessageEdited { of: owned(of), message: message.into_owned() }
            }
            What::MessageRecalled { of } => What::MessageRecalled { of: owned(of) },
            What::MemberJoined { inviter, scene, channel } => {
                What::MemberJoined { inviter: owned(inviter), scene: owned(scene), channel: owned(channel) }
            }
            What::MemberLeft { reason, inferred } => What::MemberLeft { reason: owned(reason), inferred },
            What::ContactAdded { staff, welcome_code, channel } => What::ContactAdded {
                staff: Cow::Owned(staff.into_owned()),
                welcome_code: owned(welcome_code),
                channel: owned(channel),
            },
            What::GroupCreated(c) => What::GroupCreated(c.into_owned()),
            What::GroupUpdated(c) => What::GroupUpdated(c.into_owned()),
            What::OwnerChanged(c) => What::OwnerChanged(c.into_owned()),
            What::GroupDismissed => What::GroupDismissed,
            What::ConsentChanged { granted } => What::ConsentChanged { granted },
            What::Outcome { kind, value, broadcast } => {
                What::Outcome { kind: Cow::Owned(kind.into_owned()), value, broadcast: owned(broadcast) }
            }
        }
    }
}

/// What a member said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message<'a> {
    /// The text; empty for pure media.
    pub text: Cow<'a, str>,
    /// `text`, `image`, … in the platform's words; `None` means text.
    pub content_type: Option<Cow<'a, str>>,
    /// Members it names with @.
    pub mentions: Vec<Cow<'a, str>>,
    /// The quoted text. Not judged: it was when it was said, and quoting an advert is not advertising.
    pub quote: Option<Cow<'a, str>>,
    /// Pictures, links, cards, mini programs.
    pub attachments: Vec<Attachment<'a>>,
}

impl Message<'_> {
    fn into_owned(self) -> Message<'static> {
        Message {
            text: Cow::Owned(self.text.into_owned()),
            content_type: owned(self.content_type),
            mentions: self.mentions.into_iter().map(|m| Cow::Owned(m.into_owned())).collect(),
            quote: owned(self.quote),
            attachments: self.attachments.into_iter().map(Attachment::into_owned).collect(),
        }
    }
}

/// One attachment of a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment<'a> {
    /// `image`, `link`, `miniprogram`, `card`, `file`, …
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// Address, for links.
    #[serde(borrow, default)]
    pub url: Option<Cow<'a, str>>,
    /// Application id, for mini programs.
    #[serde(borrow, default)]
    pub appid: Option<Cow<'a, str>>,
    /// Title shown to members.
    #[serde(borrow, default)]
    pub title: Option<Cow<'a, str>>,
    /// Hex digest of the contents, for media.
    #[serde(borrow, default)]
    pub sha256: Option<Cow<'a, str>>,
}

impl Attachment<'_> {
    fn into_owned(self) -> Attachment<'static> {
        Attachment {
            kind: Cow::Owned(self.kind.into_owned()),
            url: owned(self.url),
            appid: owned(self.appid),
            title: owned(self.title),
            sha256: owned(self.sha256),
        }
    }
}

/// New properties of a group, each only where it changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupChange<'a> {
    /// New display name.
    pub name: Option<Cow<'a, str>>,
    /// New owner: the staff member who owns the group on the platform.
    pub owner: Option<Cow<'a, str>>,
}

impl GroupChange<'_> {
    fn into_owned(self) -> GroupChange<'static> {
        GroupChange { name: owned(self.name), owner: owned(self.owner) }
    }
}

fn owned(value: Option<Cow<'_, str>>) -> Option<Cow<'static, str>> {
    value.map(|v| Cow::Owned(v.into_owned()))
}
