//! Which field belongs to which type of event: one table, as bits.

use super::raw::RawEvent;
use crate::event::EventType;

/// A set of fields. The four every event may have (`id`, `account`, `type`, `at`) are not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields(u32);

macro_rules! fields {
    ($($bit:literal $constant:ident $field:ident $name:literal),* $(,)?) => {
        $(const $constant: u32 = 1 << $bit;)*

        impl Fields {
            /// Collects what an event has.
            #[inline]
            pub(super) fn of(raw: &RawEvent<'_>) -> Self {
                Self(0 $(| (u32::from(raw.$field.is_some()) << $bit))*)
            }

            /// Names the first field that is not in `allowed`.
            #[inline]
            pub(super) fn first_not_in(self, allowed: Self) -> Option<&'static str> {
                const NAMES: &[&str] = &[$($name),*];
                let stray = self.0 & !allowed.0;
                if stray == 0 { None } else { NAMES.get(stray.trailing_zeros() as usize).copied() }
            }
        }
    };
}

fields! {
    0 GROUP group "group",
    1 MEMBER member "member",
    2 NAME name "name",
    3 ROLE role "role",
    4 TEXT text "text",
    5 CONTENT_TYPE content_type "content_type",
    6 MENTIONS mentions "mentions",
    7 QUOTE quote "quote",
    8 ATTACHMENTS attachments "attachments",
    9 OF of "of",
    10 INVITER inviter "inviter",
    11 SCENE scene "scene",
    12 CHANNEL channel "channel",
    13 REASON reason "reason",
    14 INFERRED inferred "inferred",
    15 STAFF staff "staff",
    16 WELCOME_CODE welcome_code "welcome_code",
    17 OWNER owner "owner",
    18 KIND outcome "kind",
    19 VALUE value "value",
    20 BROADCAST broadcast "broadcast",
    21 GRANTED granted "granted",
    22 FORWARDED forwarded "forwarded",
    23 PROFILE profile "profile",
}

const WHO: u32 = MEMBER | NAME | ROLE;
const MESSAGE: u32 = TEXT | CONTENT_TYPE | MENTIONS | FORWARDED | QUOTE | ATTACHMENTS;

impl Fields {
    /// Says what a type of event may have. `name` is the member's, except where the group itself changed.
    #[inline]
    pub(super) fn allowed(kind: EventType) -> Self {
        Self(match kind {
            EventType::Message => GROUP | WHO | MESSAGE,
            EventType::MessageEdited => GROUP | WHO | MESSAGE | OF,
            EventType::MessageRecalled => GROUP | WHO | OF,
            EventType::MemberJoined => GROUP | WHO | PROFILE | INVITER | SCENE | CHANNEL,
            EventType::MemberLeft => GROUP | WHO | REASON | INFERRED,
            EventType::ContactAdded => WHO | STAFF | WELCOME_CODE | CHANNEL,
            EventType::GroupCreated | EventType::GroupUpdated | EventType::OwnerChanged => {
                GROUP | MEMBER | ROLE | NAME | OWNER
            }
            EventType::GroupDismissed => GROUP | MEMBER | ROLE,
            EventType::ConsentChanged => GROUP | WHO | GRANTED,
            EventType::Outcome => GROUP | WHO | KIND | VALUE | BROADCAST,
            EventType::RosterRead
            | EventType::Silence
            | EventType::ContactRemoved
            | EventType::TagsChanged
            | EventType::LateVerdict
            | EventType::Due
            | EventType::Pardoned
            | EventType::Expelled
            | EventType::Overturned => 0,
        })
    }

    /// Says whether `name` names the group.
    pub(super) fn renames_group(kind: EventType) -> bool {
        matches!(kind, EventType::GroupCreated | EventType::GroupUpdated | EventType::OwnerChanged)
    }
}

/// Which kinds are about one member, so that an event without would count for nobody.
pub(super) fn needs_member(kind: EventType) -> bool {
    match kind {
        EventType::Message
        | EventType::MemberJoined
        | EventType::MemberLeft
        | EventType::ContactAdded
        | EventType::ConsentChanged => true,
        EventType::MessageEdited
        | EventType::MessageRecalled
        | EventType::GroupCreated
        | EventType::GroupUpdated
        | EventType::OwnerChanged
        | EventType::GroupDismissed
        | EventType::Outcome
        | EventType::RosterRead
        | EventType::Silence
        | EventType::ContactRemoved
        | EventType::TagsChanged
        | EventType::LateVerdict
        | EventType::Due
        | EventType::Pardoned
        | EventType::Expelled
        | EventType::Overturned => false,
    }
}

/// Spells a type as the API does.
pub(super) fn name(kind: EventType) -> &'static str {
    match kind {
        EventType::Message => "message",
        EventType::MessageEdited => "message_edited",
        EventType::MessageRecalled => "message_recalled",
        EventType::MemberJoined => "member_joined",
        EventType::MemberLeft => "member_left",
        EventType::ContactAdded => "contact_added",
        EventType::GroupCreated => "group_created",
        EventType::GroupUpdated => "group_updated",
        EventType::OwnerChanged => "owner_changed",
        EventType::GroupDismissed => "group_dismissed",
        EventType::ConsentChanged => "consent_changed",
        EventType::Outcome => "outcome",
        EventType::RosterRead => "roster_read",
        EventType::Silence => "silence",
        EventType::ContactRemoved => "contact_removed",
        EventType::TagsChanged => "tags_changed",
        EventType::LateVerdict => "late_verdict",
        EventType::Due => "due",
        EventType::Pardoned => "pardoned",
        EventType::Expelled => "expelled",
        EventType::Overturned => "overturned",
    }
}
