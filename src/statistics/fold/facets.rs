//! What else is counted of a group: see [`Facet`].

use super::{Delta, hour_of};
use crate::event::{Effects, EventType, Fact, MemberFact, Role, Verdict};
use crate::statistics::days::Facet;

/// Longest word of a platform that is counted by itself, in bytes; what is longer counts as [`OTHER`].
const WORD_BYTES_MAX: usize = 64;

/// What has no word, or too long a one.
pub const OTHER: &str = "other";

impl Delta {
    /// Folds in what an event is, beside a number of its hour.
    pub(super) fn facets(&mut self, group: u32, effects: &Effects<'_>) {
        let head = &effects.head;
        let hour = hour_of(head.at_ms);
        let is_said = matches!(head.what, EventType::Message | EventType::MessageEdited);
        if is_said && head.verdict != Verdict::Pass {
            self.facet(group, hour, Facet::Verdict(head.role, head.verdict));
        }
        for fact in &effects.facts {
            if let Fact::Content(content) = fact {
                self.facet(group, hour, Facet::Content(head.role, word(&content.kind)));
            } else if let Fact::Hit(hit) = fact {
                self.facet(group, hour, Facet::Category(word(&hit.category)));
                self.facet(group, hour, Facet::Wordlist(word(&hit.wordlist)));
            } else if let Fact::Member(member) = fact
                && member.joined
                && head.role == Role::Customer
            {
                self.facet(group, hour, Facet::Came(came(member)));
            } else if let Fact::Talk(talk) = fact
                && talk.question.is_some()
            {
                self.facet(group, hour, Facet::Question);
            } else if let Fact::Overturned(overturned) = fact {
                for wordlist in &overturned.wordlists {
                    self.facet(group, overturned.hour, Facet::Overturned(word(wordlist)));
                }
            } else if let Fact::Answered(answered) = fact {
                for question in &answered.questions {
                    let facet = Facet::Answered(question.is_open, question.seconds);
                    self.facet(group, question.hour, facet);
                    if question.hour < hour_of(head.arrived_ms) {
                        self.count_in(group, question.hour).revised = true;
                    }
                }
            }
        }
    }

    fn facet(&mut self, group: u32, hour: u32, facet: Facet) {
        self.touch(group, hour);
        *self.facets.entry((group, hour, facet)).or_default() += 1;
    }
}

fn came(member: &MemberFact<'_>) -> Box<str> {
    word(member.channel.as_deref().or(member.scene.as_deref()).unwrap_or(OTHER))
}

fn word(word: &str) -> Box<str> {
    if word.is_empty() || word.len() > WORD_BYTES_MAX { OTHER.into() } else { word.into() }
}
