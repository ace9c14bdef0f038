//! What a decrypted callback says, as events of ours.
//!
//! * Groups (`change_external_chat`): joins and leaves one by one, each with the step of the roster that it is, by the
//!   platform's own versions of it. Where the platform does not say who or what changed, an event that asks for a reading
//!   of the group (see [`super::gaps`]).
//! * Contacts (`change_external_contact`): in [`contact`].
//!
//! An event's id is made of what the platform says, so that a repeat, encrypted anew or not, has the same id, and two
//! events in one second have different ones.
//!
//! Everything that was authentic is taken: what stands for no event is counted by kind. No input panics.

mod contact;
mod document;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::contacts::Contacts;
use super::gaps::{reached_step, read_step};
use super::staff::Staff;
use crate::event::{GroupChange, GroupEvent, Role, RosterStep, What};
use crate::telemetry::metrics::WecomIgnored;
use document::{Document, Name};

/// What a callback came to: events, or why there are none.
pub(super) type Decoded = Result<Vec<GroupEvent<'static>>, WecomIgnored>;

/// Decodes the callbacks of one account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoder<'d> {
    pub(super) account: &'d str,
    pub(super) staff: &'d Staff,
    pub(super) contacts: &'d Contacts,
    /// Most members of one change that are told one by one; of more, the group is read.
    pub(super) members_max: usize,
}

impl Decoder<'_> {
    /// Decodes one message.
    ///
    /// # Errors
    /// What it is instead of events.
    pub(super) fn decode(&self, message: &[u8]) -> Decoded {
        let text = std::str::from_utf8(message).map_err(|_| WecomIgnored::Malformed)?;
        if text.trim_start().starts_with('{') {
            // A robot's messages and events: it sees only what names it, so it is no source of a group's events.
            let json = serde_json::from_str::<serde::de::IgnoredAny>(text);
            return Err(json.map_or(WecomIgnored::Malformed, |_| WecomIgnored::Robot));
        }
        let document = Document::read(text).ok_or(WecomIgnored::Malformed)?;
        match document.event() {
            "change_external_chat" => self.chat(&document),
            "change_external_contact" => self.contact(&document),
            "change_external_tag" => self.tags(&document),
            "" if !document.get(Name::MsgType).is_empty() => Err(WecomIgnored::AppMessage),
            "subscribe"
            | "unsubscribe"
            | "enter_agent"
            | "LOCATION"
            | "click"
            | "view"
            | "template_card_event"
            | "batch_job_result"
            | "change_contact"
            | "msgaudit_notify"
            | "suite_ticket"
            | "change_auth"
            | "cancel_auth"
            | "create_auth" => Err(WecomIgnored::Known),
            _ => Err(WecomIgnored::Unknown),
        }
    }

    fn chat(&self, document: &Document<'_>) -> Decoded {
        let group = document.id(Name::ChatId).ok_or(WecomIgnored::Malformed)?;
        let told = |what, step, more: &[&str]| self.group_event(document, group, what, step, more);
        let read = |what| told(what, Some(read_step()), &["read"]);
        let change = GroupChange::default;
        match (document.get(Name::ChangeType), document.get(Name::UpdateDetail)) {
            // Who is in it, what it is called and whose it is, only a reading tells.
            ("create", _) => {
                Ok(vec![told(What::GroupCreated(change()), None, &[]), read(What::GroupUpdated(change()))])
            }
            ("dismiss", _) => Ok(vec![told(What::GroupDismissed, None, &[])]),
            ("update", "add_member" | "del_member") => Ok(self.members(document, group)),
            ("update", "change_owner" | "change_name" | "change_notice") => {
                Ok(vec![read(What::GroupUpdated(change()))])
            }
            // A change that came after us: a reading can do no harm.
            ("update", _) => Ok(vec![read(What::GroupUpdated(change()))]),
            (_, _) => Err(WecomIgnored::Unknown),
        }
    }

    /// Joins or leaves, one event a member.
    fn members(&self, document: &Document<'_>, group: &str) -> Vec<GroupEvent<'static>> {
        let (last, current) = (document.get(Name::LastMemVer), document.get(Name::CurMemVer));
        let members = self.changed(document);
        if let (Some(members), false, false) = (&members, last.is_empty(), current.is_empty()) {
            let steps = steps(last, current, members.len());
            return (members.iter().zip(steps))
                .map(|(member, step)| self.member_event(document, group, member, Some(step)))
                .collect();
        }
        let reading = |step| {
            self.group_event(
                document,
                group,
                What::GroupUpdated(GroupChange::default()),
                Some(step),
                &["read"],
            )
        };
        if !current.is_empty() {
            // Who it was is not said, or not of all: advancing by some would hide the others for ever.
            return vec![reading(reached_step(current))];
        }
        // An older form without versions: what is named counts at once, and a reading finds the rest.
        let mut events: Vec<_> = (members.unwrap_or_default().iter())
            .map(|member| self.member_event(document, group, member, None))
            .collect();
        events.push(reading(read_step()));
        events
    }

    /// Returns the members that changed, each once; `None` when not all of them are named.
    fn changed<'m>(&self, document: &'m Document<'_>) -> Option<Vec<&'m str>> {
        let mut seen = HashSet::with_capacity(document.members.len());
        let members: Vec<&str> =
            document.members.iter().map(AsRef::as_ref).filter(|member| seen.insert(*member)).collect();
        let are_ids = members.iter().all(|member| document::is_id(member));
        if members.is_empty() || members.len() > self.members_max || !are_ids {
            return None;
        }
        let count = document.get(Name::MemChangeCnt).parse::<usize>();
        if count.is_ok_and(|count| count > document.members.len()) { None } else { Some(members) }
    }

    fn member_event(
        &self,
        document: &Document<'_>,
        group: &str,
        member: &str,
        step: Option<RosterStep>,
    ) -> GroupEvent<'static> {
        let what = if document.get(Name::UpdateDetail) == "add_member" {
            What::MemberJoined {
                inviter: None,
                scene: join_scene(document.get(Name::JoinScene)),
                channel: None,
                union_id: None,
                profile: None,
                inferred: false,
            }
        } else {
            What::MemberLeft { reason: quit_scene(document.get(Name::QuitScene)), inferred: false }
        };
        let role = if self.staff.is_staff(member) { Role::Staff } else { Role::Customer };
        let event = self.group_event(document, group, what, step, &[member]);
        GroupEvent { member: Some(Cow::Owned(member.to_owned())), role, ..event }
    }

    /// Makes an event whose id is of what the document says and `more`.
    fn group_event(
        &self,
        document: &Document<'_>,
        group: &str,
        what: What<'static>,
        step: Option<RosterStep>,
        more: &[&str],
    ) -> GroupEvent<'static> {
        let version = document.get(Name::CurMemVer);
        let mut parts = vec![
            document.event(),
            document.get(Name::ChangeType),
            group,
            document.get(Name::UpdateDetail),
            document.time(),
            version,
        ];
        if version.is_empty() {
            parts.extend(document.members.iter().map(AsRef::as_ref));
        }
        parts.extend(more);
        GroupEvent {
            id: Cow::Owned(event_id(&parts)),
            account: Cow::Owned(self.account.to_owned()),
            group: Cow::Owned(group.to_owned()),
            member: None,
            name: None,
            role: Role::Customer,
            at_ms: document.at_ms(),
            step,
            what,
        }
    }
}

/// The steps of `count` changes that lead from one version to another together: a crash half-way goes on where it was.
fn steps(last: &str, current: &str, count: usize) -> impl Iterator<Item = RosterStep> {
    let after = move |nth: usize| {
        // After all of them the roster stands at what the platform calls it.
        let nth = if nth == count { 0 } else { u32::try_from(nth).unwrap_or(u32::MAX) };
        RosterStep::mark_between(current, nth)
    };
    let first = RosterStep::mark(last);
    (0..count).map(move |nth| RosterStep {
        from: Some(if nth == 0 { first } else { after(nth) }),
        to: after(nth + 1),
    })
}

/// How a member came in, by the callback's numbers, which are not those of a reading.
fn join_scene(number: &str) -> Option<Cow<'static, str>> {
    match number {
        "0" => Some(Cow::Borrowed("invited")),
        "3" => Some(Cow::Borrowed("qr_code")),
        other => other_scene(other),
    }
}

/// Why a member is gone.
fn quit_scene(number: &str) -> Option<Cow<'static, str>> {
    match number {
        "0" => Some(Cow::Borrowed("left")),
        "1" => Some(Cow::Borrowed("removed")),
        other => other_scene(other),
    }
}

/// A number that came after us is kept as it is; anything else is not.
fn other_scene(number: &str) -> Option<Cow<'static, str>> {
    let number: u8 = number.parse().ok()?;
    Some(Cow::Owned(format!("scene_{number}")))
}

/// 128 bits over parts whose borders count. Fixed keys: the same over restarts, and nobody but the platform chooses what
/// goes in.
fn event_id(parts: &[&str]) -> String {
    let mut hasher = SipHasher13::new_with_keys(0x6d65_6e73_6865_6e21, 0x7765_636f_6d2d_6964);
    for part in parts {
        hasher.write_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
        hasher.write(part.as_bytes());
    }
    format!("wc-{:032x}", hasher.finish128().as_u128())
}
