//! Detaching events from the buffer they were read from.
//!
//! Not for: what the parts mean; see [`super`].

use std::borrow::Cow;

use super::{Attachment, GroupChange, GroupEvent, Message, RosterMember, RosterRead, What};

impl GroupEvent<'_> {
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
            step: self.step,
            what: self.what.into_owned(),
        }
    }
}

impl What<'_> {
    fn into_owned(self) -> What<'static> {
        match self {
            What::Message(m) => What::Message(m.into_owned()),
            What::MessageEdited { of, message } => {
                What::MessageEdited { of: owned(of), message: message.into_owned() }
            }
            What::MessageRecalled { of } => What::MessageRecalled { of: owned(of) },
            What::MemberJoined { inviter, scene, channel, union_id, profile, inferred } => {
                What::MemberJoined {
                    inviter: owned(inviter),
                    profile: owned(profile),
                    scene: owned(scene),
                    channel: owned(channel),
                    union_id: owned(union_id),
                    inferred,
                }
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
            What::Due => What::Due,
            What::SegmentRead(read) => What::SegmentRead(read.into_owned()),
            What::Pardoned { by } => What::Pardoned { by: Cow::Owned(by.into_owned()) },
            What::Overturned { said_ms, blocked, wordlists } => What::Overturned {
                said_ms,
                blocked,
                wordlists: wordlists.into_iter().map(|list| Cow::Owned(list.into_owned())).collect(),
            },
            What::Expelled { rule, asked } => {
                What::Expelled { rule: Cow::Owned(rule.into_owned()), asked: Cow::Owned(asked.into_owned()) }
            }
            What::ConsentChanged { granted } => What::ConsentChanged { granted },
            What::Outcome { kind, value, broadcast } => {
                What::Outcome { kind: Cow::Owned(kind.into_owned()), value, broadcast: owned(broadcast) }
            }
            What::RosterRead(read) => What::RosterRead(read.into_owned()),
            What::Silence { since_ms, until_ms } => What::Silence { since_ms, until_ms },
            What::ContactRemoved { staff, by } => {
                What::ContactRemoved { staff: Cow::Owned(staff.into_owned()), by }
            }
            What::TagsChanged { change, id, tag_type } => What::TagsChanged {
                change: Cow::Owned(change.into_owned()),
                id: owned(id),
                tag_type: owned(tag_type),
            },
            What::LateVerdict { of, message, opinion } => What::LateVerdict {
                of: Cow::Owned(of.into_owned()),
                message: Cow::Owned(message.into_owned()),
                opinion: opinion.into_owned(),
            },
        }
    }
}

impl Message<'_> {
    fn into_owned(self) -> Message<'static> {
        Message {
            text: Cow::Owned(self.text.into_owned()),
            content_type: owned(self.content_type),
            mentions: self.mentions.into_iter().map(|m| Cow::Owned(m.into_owned())).collect(),
            forwarded: self.forwarded,
            quote: owned(self.quote),
            attachments: self.attachments.into_iter().map(Attachment::into_owned).collect(),
        }
    }
}

impl Attachment<'_> {
    /// Detaches the attachment from the buffer it was read from.
    pub fn into_owned(self) -> Attachment<'static> {
        Attachment {
            kind: Cow::Owned(self.kind.into_owned()),
            url: owned(self.url),
            appid: owned(self.appid),
            title: owned(self.title),
            sha256: owned(self.sha256),
        }
    }
}

impl GroupChange<'_> {
    fn into_owned(self) -> GroupChange<'static> {
        GroupChange { name: owned(self.name), owner: owned(self.owner) }
    }
}

impl RosterRead<'_> {
    fn into_owned(self) -> RosterRead<'static> {
        RosterRead {
            found: self.found.into_iter().map(RosterMember::into_owned).collect(),
            gone: self.gone.into_iter().map(|member| Cow::Owned(member.into_owned())).collect(),
            group: self.group.into_owned(),
        }
    }
}

impl RosterMember<'_> {
    fn into_owned(self) -> RosterMember<'static> {
        RosterMember {
            member: Cow::Owned(self.member.into_owned()),
            role: self.role,
            name: owned(self.name),
            joined_ms: self.joined_ms,
            inviter: owned(self.inviter),
            scene: owned(self.scene),
            channel: owned(self.channel),
            union_id: owned(self.union_id),
        }
    }
}

pub(super) fn owned(value: Option<Cow<'_, str>>) -> Option<Cow<'static, str>> {
    value.map(|v| Cow::Owned(v.into_owned()))
}
