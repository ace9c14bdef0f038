//! Callbacks about contacts: who added or removed a member of staff, who agreed to be archived, how people are tagged.

use std::borrow::Cow;

use super::document::{Document, Name};
use super::{Decoded, Decoder, event_id};
use crate::connectors::wecom::contacts::Told;
use crate::event::{ContactEnd, GroupEvent, Role, What};
use crate::telemetry::metrics::WecomIgnored;

impl Decoder<'_> {
    pub(super) fn contact(&self, document: &Document<'_>) -> Decoded {
        let staff = document.id(Name::UserId).ok_or(WecomIgnored::Malformed)?;
        let member = document.id(Name::ExternalUserId).ok_or(WecomIgnored::Malformed)?;
        self.staff.note(staff);
        match document.get(Name::ChangeType) {
            "add_external_contact" => Ok(vec![self.added(document, (staff, member), Told::Whole)]),
            "add_half_external_contact" => Ok(vec![self.added(document, (staff, member), Told::Half)]),
            "del_external_contact" | "del_follow_user" => {
                self.contacts.removed((staff, member));
                let what =
                    What::ContactRemoved { staff: Cow::Owned(staff.to_owned()), by: ended_by(document) };
                Ok(vec![self.contact_event(document, (staff, member), what)])
            }
            "msg_audit_approved" => {
                let what = What::ConsentChanged { granted: true };
                Ok(vec![self.contact_event(document, (staff, member), what)])
            }
            "edit_external_contact" | "transfer_fail" => Err(WecomIgnored::Known),
            _ => Err(WecomIgnored::Unknown),
        }
    }

    pub(super) fn tags(&self, document: &Document<'_>) -> Decoded {
        let change = document.text(Name::ChangeType).ok_or(WecomIgnored::Malformed)?;
        let (id, tag_type) = (document.text(Name::Id), document.text(Name::TagType));
        let parts = [
            document.event(),
            &change,
            document.time(),
            id.as_deref().unwrap_or_default(),
            tag_type.as_deref().unwrap_or_default(),
        ];
        let event = GroupEvent {
            id: Cow::Owned(event_id(&parts)),
            account: Cow::Owned(self.account.to_owned()),
            group: Cow::Borrowed(""),
            member: None,
            name: None,
            role: Role::Customer,
            at_ms: document.at_ms(),
            step: None,
            what: What::TagsChanged { change, id, tag_type },
        };
        Ok(vec![event])
    }

    fn added(&self, document: &Document<'_>, pair: (&str, &str), told: Told) -> GroupEvent<'static> {
        let welcome_code = document.text(Name::WelcomeCode);
        let has_code = welcome_code.is_some();
        let what = What::ContactAdded {
            staff: Cow::Owned(pair.0.to_owned()),
            welcome_code,
            channel: document.text(Name::State),
        };
        let event = self.contact_event(document, pair, what);
        let Some(at_ms) = event.at_ms else { return event };
        let (id, at_ms) = self.contacts.added(pair, told, has_code, event.id.clone().into_owned(), at_ms);
        GroupEvent { id: Cow::Owned(id), at_ms: Some(at_ms), ..event }
    }

    fn contact_event(
        &self,
        document: &Document<'_>,
        (staff, member): (&str, &str),
        what: What<'static>,
    ) -> GroupEvent<'static> {
        let parts = [document.event(), document.get(Name::ChangeType), staff, member, document.time()];
        GroupEvent {
            id: Cow::Owned(event_id(&parts)),
            account: Cow::Owned(self.account.to_owned()),
            group: Cow::Borrowed(""),
            member: Some(Cow::Owned(member.to_owned())),
            name: None,
            role: Role::Customer,
            at_ms: document.at_ms(),
            step: None,
            what,
        }
    }
}

/// Whose doing the end of a contact was. An inheritance ends it, too, and is told as the staff member's.
fn ended_by(document: &Document<'_>) -> ContactEnd {
    match (document.get(Name::ChangeType), document.get(Name::Source)) {
        ("del_follow_user", _) => ContactEnd::Customer,
        (_, "DELETE_BY_TRANSFER") => ContactEnd::Transfer,
        (_, _) => ContactEnd::Staff,
    }
}
