//! The words of the project as types: what happens in a group, what we decide, what follows.
//!
//! Not for: behaviour. Nothing here does I/O, reads a clock or knows a platform.
//! Times are milliseconds since the Unix epoch (`*_ms: i64`), spans are half-open byte ranges of the original
//! UTF-8 text.

mod advert;
mod day;
mod evidence;
mod fact;
mod field;
mod ids;
pub mod json;
mod opinion;
mod owned;
mod people;
mod scope;
mod segment_read;
mod talk;
mod unsaid;
mod verdict;

use std::borrow::Cow;
use std::hash::Hasher as _;

use serde::{Deserialize, Serialize};

pub use advert::{Alike, CaseSizeFact, Mark, MarkKind, SightedFact, TraitsFact};
pub use day::Day;
pub use evidence::EvidenceKind;
pub use fact::{
    ActionFact, AttachFact, CarriedFact, CaseFact, ConsentFact, ContactEndFact, ContactFact, Effects,
    EvidenceFact, Fact, FactKind, GroupFact, Head, HeldFact, HitFact, JudgedFact, KickFact, LateVerdictFact,
    MemberFact, OutcomeFact, ReviewFact, RevisionFact, RosterFact, SendFact, SilenceFact, StateFact,
    StateKind, TagsFact,
};
pub use field::{FieldError, pointer_part};
pub(crate) use ids::check as check_id;
pub use ids::{
    AccountId, BrandId, BroadcastId, DeliveryId, EventKey, GroupId, IdError, OperatorId, PARTITION_FLEET,
    PARTITIONS, Partition, RegionId, ShopId, TokenId, partition_of,
};
pub use opinion::{Asked, Opinion};
pub use people::{ContactEnd, Kin, Role};
pub use scope::{Actor, GroupName, Place, Places, Scope};
pub use segment_read::{Newcomer, SegmentRead};
pub use talk::{AnsweredFact, ContentFact, HandOverFact, QuestionFact, TalkFact, Waited};
pub use unsaid::{OverturnedFact, UnsaidBy, UnsaidFact};
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
    /// The platform's id of the group; empty only where it is about a contact or the whole account.
    pub group: Cow<'a, str>,
    /// The member it is about: the sender, the one who joined or left, the contact.
    pub member: Option<Cow<'a, str>>,
    /// The display name of that member, where the platform gives it.
    pub name: Option<Cow<'a, str>>,
    /// The role of that member.
    pub role: Role,
    /// When it happened by the platform's clock; `None` means the arrival time counts.
    pub at_ms: Option<i64>,
    /// The step of the group's roster that it is, where the platform numbers its rosters.
    pub step: Option<RosterStep>,
    /// What happened.
    pub what: What<'a>,
}

/// From one version of a group's roster to the next. An event with a step counts only when the roster we know stands at
/// `from`: then a delta is a delta, whatever is lost, repeated or reordered on the way; otherwise the event is a *gap* and
/// the roster must be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RosterStep {
    /// What the roster must stand at; `None` for "was never read".
    pub from: Option<u64>,
    /// What it stands at afterwards.
    pub to: u64,
}

impl RosterStep {
    /// Versions of a group's roster that are remembered, the newest among them.
    pub const MARKS_MAX: usize = 8;

    /// Reduces a version, in the platform's own words (WeCom: `LastMemVer`, `CurMemVer`, `member_version`), to a mark.
    /// Equal versions have equal marks, over restarts too.
    pub fn mark(version: &str) -> u64 {
        Self::hash(version.as_bytes(), 0)
    }

    /// Makes the mark of a version that no platform names: after the first `nth` changes of several that lead to `version`
    /// together. 0 means all of them.
    pub fn mark_between(version: &str, nth: u32) -> u64 {
        Self::between(Self::mark(version), nth)
    }

    /// The same of a version whose mark is known and not its name.
    pub fn between(mark: u64, nth: u32) -> u64 {
        if nth == 0 { mark } else { Self::hash(&mark.to_le_bytes(), nth) }
    }

    fn hash(bytes: &[u8], nth: u32) -> u64 {
        // Fixed keys: nobody gains by making two versions look alike.
        let mut hasher =
            siphasher::sip::SipHasher13::new_with_keys(0x6d65_6e73_6865_6e21, 0x726f_7374_6572_7321);
        hasher.write(bytes);
        hasher.write_u32(nth);
        // The lowest bit tells the two kinds apart.
        hasher.finish() & !1 | u64::from(nth > 0)
    }

    /// Says whether a mark is that of a version that no platform names.
    pub fn is_between(mark: u64) -> bool {
        mark & 1 == 1
    }

    /// Returns the marks, newest first, after a roster that went through `marks` has come to `to`. A version that no
    /// platform names is kept only while the roster stands at it: no reading can lag behind to it, and a burst of joins
    /// told together would push out what a reading can.
    pub fn marks_after(marks: &[u64], to: u64) -> Vec<u64> {
        let older = marks.iter().copied().filter(|mark| *mark != to && !Self::is_between(*mark));
        std::iter::once(to).chain(older).take(Self::MARKS_MAX).collect()
    }
}

impl GroupEvent<'_> {
    /// Longest event id, group id, member id or account name in bytes.
    pub const ID_BYTES_MAX: usize = 128;
}

/// The kind of an event without its contents; the spelling of those that may be sent in is the API's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// The platform's own list of a group's members was read; not part of the API.
    RosterRead,
    /// An account told us nothing for a time; not part of the API.
    Silence,
    /// A person and a staff member are no longer in contact; not part of the API.
    ContactRemoved,
    /// The account's tags for contacts changed; not part of the API.
    TagsChanged,
    /// A verdict on an earlier message that came after its answer; not part of the API's events.
    LateVerdict,
    /// The moment of something that was put off has come; not part of the API.
    Due,
    /// A person forgives a member; not part of the API's events.
    Pardoned,
    /// A person decided that a member is to be taken out of the group; not part of the API's events.
    Expelled,
    /// A person found that a verdict was wrong; not part of the API's events.
    Overturned,
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
        /// The platform's id of the person over all groups, where it gives one.
        union_id: Option<Cow<'a, str>>,
        /// What they say of themselves where others see it.
        profile: Option<Cow<'a, str>>,
        /// Found by comparing rosters, not told by the platform: counted, and never greeted.
        inferred: bool,
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
    /// See [`EventType::RosterRead`].
    RosterRead(RosterRead<'a>),
    /// See [`EventType::Silence`].
    Silence {
        /// From when on nothing was heard, in milliseconds since the epoch.
        since_ms: i64,
        /// Until when; `None` while it lasts.
        until_ms: Option<i64>,
    },
    /// See [`EventType::ContactRemoved`].
    ContactRemoved {
        /// The staff member.
        staff: Cow<'a, str>,
        /// Whose doing it was.
        by: ContactEnd,
    },
    /// See [`EventType::TagsChanged`].
    TagsChanged {
        /// What happened, in the platform's words: `create`, `update`, `delete`, `shuffle`.
        change: Cow<'a, str>,
        /// The platform's id of the tag or of the group of tags; all of them when left out.
        id: Option<Cow<'a, str>>,
        /// `tag` or `tag_group`, in the platform's words.
        tag_type: Option<Cow<'a, str>>,
    },
    /// See [`EventType::Due`]. What it is stands in the state of the group's partition.
    Due,
    /// It is due that journeys hear who is in a segment.
    SegmentRead(SegmentRead<'a>),
    /// See [`EventType::Pardoned`].
    Pardoned {
        /// The operator.
        by: Cow<'a, str>,
    },
    /// See [`EventType::Expelled`].
    Expelled {
        /// What is decided on, and whose budget is spent: `case` or `kick`.
        rule: Cow<'a, str>,
        /// The id of that case or kick list.
        asked: Cow<'a, str>,
    },
    /// See [`EventType::Overturned`].
    Overturned {
        /// When the message was said.
        said_ms: i64,
        /// It was blocked.
        blocked: bool,
        /// Wordlists whose hits were wrong.
        wordlists: Vec<Cow<'a, str>>,
    },
    /// See [`EventType::LateVerdict`].
    LateVerdict {
        /// Event id it is about: of a message, or of its edit.
        of: Cow<'a, str>,
        /// The platform's id of that message: what an action is about.
        message: Cow<'a, str>,
        /// What was said about it.
        opinion: Opinion<'a>,
    },
}

impl What<'_> {
    /// Makes a join of which nothing more is known.
    pub fn joined(inferred: bool) -> What<'static> {
        What::MemberJoined {
            inviter: None,
            scene: None,
            channel: None,
            union_id: None,
            profile: None,
            inferred,
        }
    }

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
            What::RosterRead(_) => EventType::RosterRead,
            What::Silence { .. } => EventType::Silence,
            What::ContactRemoved { .. } => EventType::ContactRemoved,
            What::TagsChanged { .. } => EventType::TagsChanged,
            What::LateVerdict { .. } => EventType::LateVerdict,
            What::Due | What::SegmentRead(_) => EventType::Due,
            What::Pardoned { .. } => EventType::Pardoned,
            What::Expelled { .. } => EventType::Expelled,
            What::Overturned { .. } => EventType::Overturned,
        }
    }

    /// Returns what is told of the group itself, for the kinds that do.
    pub fn group_change(&self) -> Option<&GroupChange<'_>> {
        match self {
            What::GroupCreated(change) | What::GroupUpdated(change) | What::OwnerChanged(change) => {
                Some(change)
            }
            What::RosterRead(read) => Some(&read.group),
            What::Message(_)
            | What::MessageEdited { .. }
            | What::MessageRecalled { .. }
            | What::MemberJoined { .. }
            | What::MemberLeft { .. }
            | What::ContactAdded { .. }
            | What::GroupDismissed
            | What::ConsentChanged { .. }
            | What::Outcome { .. }
            | What::Silence { .. }
            | What::ContactRemoved { .. }
            | What::TagsChanged { .. }
            | What::LateVerdict { .. }
            | What::Pardoned { .. }
            | What::Expelled { .. }
            | What::Overturned { .. }
            | What::Due
            | What::SegmentRead(_) => None,
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
            | What::Outcome { .. }
            | What::RosterRead(_)
            | What::Silence { .. }
            | What::ContactRemoved { .. }
            | What::TagsChanged { .. }
            | What::LateVerdict { .. }
            | What::Pardoned { .. }
            | What::Expelled { .. }
            | What::Overturned { .. }
            | What::Due
            | What::SegmentRead(_) => None,
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
    /// It was forwarded from elsewhere, where the platform says so.
    pub forwarded: bool,
    /// The quoted text. Judged only where the policy says so: it was when it was said, and quoting an advert is not
    /// advertising.
    pub quote: Option<Cow<'a, str>>,
    /// Pictures, links, cards, mini programs.
    pub attachments: Vec<Attachment<'a>>,
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

/// New properties of a group, each only where it changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupChange<'a> {
    /// New display name.
    pub name: Option<Cow<'a, str>>,
    /// New owner: the staff member who owns the group on the platform.
    pub owner: Option<Cow<'a, str>>,
}

/// Who is in a group by the platform's own list: taken over, not counted as joins and leaves. For the first reading of a
/// group, and for changes longer ago than events are counted; all others come as events of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RosterRead<'a> {
    /// Members who are there and of whom we did not know.
    pub found: Vec<RosterMember<'a>>,
    /// Members we believed there who are not.
    pub gone: Vec<Cow<'a, str>>,
    /// The group's name and owner.
    pub group: GroupChange<'a>,
}

/// One member on a platform's list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RosterMember<'a> {
    /// The platform's id.
    #[serde(borrow)]
    pub member: Cow<'a, str>,
    /// The role.
    pub role: Role,
    /// Display name.
    #[serde(borrow)]
    pub name: Option<Cow<'a, str>>,
    /// When they joined, by the platform.
    pub joined_ms: i64,
    /// Who invited them.
    #[serde(borrow)]
    pub inviter: Option<Cow<'a, str>>,
    /// How they came in, in the platform's words.
    #[serde(borrow)]
    pub scene: Option<Cow<'a, str>>,
    /// Channel code they came by.
    #[serde(borrow)]
    pub channel: Option<Cow<'a, str>>,
    /// The platform's id of the person over all groups, where it gives one.
    #[serde(borrow)]
    pub union_id: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_joins_leaves_the_versions_that_a_reading_can_show() {
        let named: Vec<u64> = (0..3).map(|nth| RosterStep::mark(&format!("v{nth}"))).collect();
        let mut marks = vec![named[0]];
        for nth in 1..50 {
            marks = RosterStep::marks_after(&marks, RosterStep::mark_between("v1", nth));
            assert!(RosterStep::is_between(marks[0]));
        }
        marks = RosterStep::marks_after(&marks, named[1]);
        assert_eq!(marks, [named[1], named[0]]);
        assert_eq!(
            RosterStep::marks_after(&marks, named[0]),
            [named[0], named[1]],
            "back to an older version"
        );
        for nth in 2..20 {
            marks = RosterStep::marks_after(&marks, RosterStep::mark(&format!("v{nth}")));
        }
        assert_eq!(marks.len(), RosterStep::MARKS_MAX);
    }
}
