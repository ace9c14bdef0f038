//! Turns what an event caused into deliveries: right after the commit, and again from the journal at start. Both give
//! the same ids, so nothing is sent twice.

use super::delivery::{Content, Delivery, Payload, Priority};
use crate::event::{AccountId, AttachFact, Fact, Head, SendFact};

impl Delivery {
    /// Returns the delivery that a fact asks for, if it asks for one.
    pub fn caused(head: &Head<'_>, fact: &Fact<'_>) -> Option<Self> {
        let (index, kind, rule, priority, payload, expires_ms) = match fact {
            Fact::Send(send) => {
                let (priority, payload) = said(send, Vec::new());
                (send.index, send.kind.to_string(), &send.rule, priority, payload, send.expires_ms)
            }
            Fact::Attach(AttachFact { send, contents }) => {
                let contents: Vec<Content> = serde_json::from_str(contents).ok()?;
                let (priority, payload) = if send.welcome_code.is_some() {
                    said(send, contents)
                } else {
                    (Priority::Normal, Payload::Content { content: contents.into_iter().next()? })
                };
                (send.index, send.kind.to_string(), &send.rule, priority, payload, send.expires_ms)
            }
            Fact::Action(action) => {
                let of = action.of.as_ref().map(ToString::to_string);
                let payload = Payload::Action { action: action.kind, of };
                let kind = action.kind.as_str().to_owned();
                (action.index, kind, &action.rule, Priority::Urgent, payload, action.expires_ms)
            }
            Fact::Member(_)
            | Fact::Group(_)
            | Fact::Hit(_)
            | Fact::State(_)
            | Fact::Contact(_)
            | Fact::Consent(_)
            | Fact::Outcome(_)
            | Fact::Revision(_)
            | Fact::Review(_)
            | Fact::Case(_)
            | Fact::Kick(_)
            | Fact::Silence(_)
            | Fact::Evidence(_)
            | Fact::Roster(_)
            | Fact::ContactEnd(_)
            | Fact::Tags(_)
            | Fact::ShadowHit(_)
            | Fact::Judged(_)
            | Fact::Held(_)
            | Fact::Content(_)
            | Fact::Answered(_)
            | Fact::Overturned(_)
            | Fact::Unsaid(_)
            | Fact::Carried(_)
            | Fact::Talk(_)
            | Fact::HandOver(_)
            | Fact::Traits(_)
            | Fact::Sighted(_)
            | Fact::CaseSize(_)
            | Fact::LateVerdict(_) => return None,
        };
        Some(Self {
            id: head.key.delivery(usize::from(index)),
            account: AccountId::parse(&head.account).ok()?,
            group: head.group.to_string(),
            member: head.member.as_ref().map(ToString::to_string),
            kind,
            rule: rule.to_string(),
            priority,
            payload,
            broadcast: None,
            expires_ms,
            cost: 1,
        })
    }
}

fn said(send: &SendFact<'_>, attachments: Vec<Content>) -> (Priority, Payload) {
    let welcome_code = send.welcome_code.as_ref().map(ToString::to_string);
    // A code lives for seconds.
    let priority = if welcome_code.is_some() { Priority::Urgent } else { Priority::Normal };
    (priority, Payload::Text { text: send.text.to_string(), welcome_code, attachments })
}
