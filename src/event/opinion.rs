//! What somebody else says about a message: a program that reads pictures, a classifier, a person's tool.
//!
//! Not for: asking them, and for what follows. Invariant: one source says one thing about one event, so the id of a late
//! verdict is made of both, and a repeat is known as one, over restarts too.

use std::borrow::Cow;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::{GroupEvent, Message, Role, Verdict, What};

/// What somebody else says about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion<'a> {
    /// `pass`, `review` or `block`: what was said already cannot be masked.
    pub verdict: Verdict,
    /// Why, in their words; at most [`Opinion::LABELS_MAX`].
    pub labels: Vec<Cow<'a, str>>,
    /// How sure they are, in percent.
    pub confidence: u8,
    /// Who they are.
    pub source: Cow<'a, str>,
    /// How long it took from the message's arrival, in milliseconds; `None` where nobody knows.
    pub latency_ms: Option<u64>,
}

impl Opinion<'_> {
    /// The source that the verdict hook's opinions name.
    pub const HOOK: &'static str = "hook";
    /// Most labels.
    pub const LABELS_MAX: usize = 16;
    /// Longest label and longest source, in bytes.
    pub const NAME_BYTES_MAX: usize = 64;

    /// Says whether a text can be a label or a source: short, visible, of one word.
    pub fn is_name(text: &str) -> bool {
        let is_visible = |c: char| !c.is_whitespace() && !c.is_control();
        !text.is_empty() && text.len() <= Self::NAME_BYTES_MAX && text.chars().all(is_visible)
    }

    pub(super) fn into_owned(self) -> Opinion<'static> {
        Opinion {
            verdict: self.verdict,
            labels: self.labels.into_iter().map(|label| Cow::Owned(label.into_owned())).collect(),
            confidence: self.confidence,
            source: Cow::Owned(self.source.into_owned()),
            latency_ms: self.latency_ms,
        }
    }
}

/// A message that somebody else is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// Event id of the message, or of its edit.
    pub event: String,
    /// The platform's id of the message: what an action is about.
    pub message: String,
    /// Who said it.
    pub member: Option<String>,
    /// Their role.
    pub role: Role,
}

impl Asked {
    /// Takes what is needed of an event with a message; `None` for others.
    pub fn of<'e>(event: &'e GroupEvent<'_>) -> Option<(Self, &'e Message<'e>)> {
        let message = event.what.message()?;
        let message_id =
            if let What::MessageEdited { of: Some(of), .. } = &event.what { of } else { &event.id };
        let asked = Self {
            account: event.account.to_string(),
            group: event.group.to_string(),
            event: event.id.to_string(),
            message: message_id.to_string(),
            member: event.member.as_ref().map(ToString::to_string),
            role: event.role,
        };
        Some((asked, message))
    }

    /// Returns the id of what `source` says about the event: 37 letters, digits and hyphens.
    pub fn id(&self, source: &str) -> String {
        // Fixed keys: whoever can choose event ids only keeps verdicts from their own messages' twins.
        let mut hasher = SipHasher13::new_with_keys(0x6d65_6e73_6865_6e21, 0x6c61_7465_2d76_6572);
        hasher.write(source.as_bytes());
        hasher.write_u8(0xff);
        hasher.write(self.event.as_bytes());
        format!("late-{:032x}", hasher.finish128().as_u128())
    }

    /// Makes the event of an opinion that comes after the message's answer.
    pub fn late(self, opinion: Opinion<'static>) -> GroupEvent<'static> {
        GroupEvent {
            id: Cow::Owned(self.id(&opinion.source)),
            account: Cow::Owned(self.account),
            group: Cow::Owned(self.group),
            member: self.member.map(Cow::Owned),
            name: None,
            role: self.role,
            at_ms: None,
            step: None,
            what: What::LateVerdict {
                of: Cow::Owned(self.event),
                message: Cow::Owned(self.message),
                opinion,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_made_of_the_source_and_the_event_and_of_nothing_else() {
        let asked = |event: &str, group: &str| Asked {
            account: "demo".to_owned(),
            group: group.to_owned(),
            event: event.to_owned(),
            message: event.to_owned(),
            member: None,
            role: Role::Customer,
        };
        let id = asked("e-1", "g-1").id("hook");
        assert_eq!(id.len(), 37);
        assert_eq!(id, asked("e-1", "g-2").id("hook"), "the group is part of an event's identity anyway");
        assert_ne!(id, asked("e-2", "g-1").id("hook"));
        assert_ne!(id, asked("e-1", "g-1").id("ocr"));
    }
}
