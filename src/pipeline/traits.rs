//! By what a customer's message is known again in other groups: its sketch, its links, contacts and files, all keyed.

use std::borrow::Cow;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::{Arrival, Decision, Rules, Setting};
use crate::event::{Fact, GroupEvent, Hit, Mark, MarkKind, Message, Role, TraitsFact};
use crate::interception::content::DomainList;
use crate::interception::{self, DETECTORS, Policy};
use crate::near::Sketch;

/// Most marks of one message; the rest of a longer list is not looked at.
const MARKS_MAX: usize = 16;

/// What the detectors find that reaches somebody outside of the group.
const CONTACTS: [&str; 7] = ["invite", "qr", "wechat_id", "qq_id", "email", "mobile", "landline"];

impl<'e> Decision<'e> {
    /// Notes by what a message is known again, as it was said or as an edit leaves it: its text, its id, the text folded.
    pub(super) fn know_again(
        &mut self,
        rules: &Rules,
        setting: &Setting<'_>,
        event: &GroupEvent<'_>,
        (message, of, folded): (&Message<'_>, &'e str, &str),
        arrival: &Arrival,
    ) {
        self.fingerprinted(interception::fingerprint(folded, &arrival.secret));
        if rules.limits.traits && event.role == Role::Customer {
            self.traits(message, of, folded, (setting.policy, &arrival.secret));
        }
    }

    /// Notes the traits of a message; nothing of one that has none.
    fn traits(
        &mut self,
        message: &Message<'_>,
        of: &'e str,
        folded: &str,
        (policy, secret): (Option<&Policy>, &[u8; 16]),
    ) {
        let own = policy.and_then(|policy| policy.content.as_ref()).map(|content| &content.domains.allow);
        let traits = TraitsFact {
            of: Cow::Borrowed(of),
            sketch: Sketch::of(folded, secret),
            marks: marks(message, &self.answer.hits, own, secret),
        };
        if traits.sketch.is_some() || !traits.marks.is_empty() {
            self.fact(|| Fact::Traits(traits));
        }
    }
}

fn marks(message: &Message<'_>, hits: &[Hit], own: Option<&DomainList>, secret: &[u8; 16]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut folded = String::new();
    let mut mark = |kind: MarkKind, text: &str| {
        interception::fold_into(text, &mut folded);
        if folded.is_empty() || marks.len() == MARKS_MAX {
            return;
        }
        let mut hasher = SipHasher13::new_with_key(secret);
        hasher.write(format!("{kind:?}\u{1f}{folded}").as_bytes());
        let mark = Mark { kind, hash: hasher.finish() };
        if !marks.contains(&mark) {
            marks.push(mark);
        }
    };
    interception::content::each_link(&message.text, own, |link| mark(MarkKind::Link, link));
    for hit in hits.iter().filter(|hit| hit.wordlist == DETECTORS) {
        if CONTACTS.contains(&hit.category.as_str()) {
            mark(MarkKind::Contact, &hit.matched);
        }
    }
    for attachment in &message.attachments {
        if let Some(digest) = &attachment.sha256 {
            mark(MarkKind::File, digest);
        }
        if let Some(url) = attachment.url.as_ref().filter(|url| !interception::content::is_own(url, own)) {
            mark(MarkKind::Link, interception::content::without_query(url));
        }
    }
    marks
}
