//! What else is counted of a group: see [`Facet`].

use super::{Delta, hour_of};
use crate::event::{Effects, EventType, Fact, MemberFact, OutcomeFact, Role, Verdict};
use crate::statistics::days::{DAY_MS, Facet};

/// Longest word of a platform that is counted by itself, in bytes; what is longer counts as [`OTHER`].
const WORD_BYTES_MAX: usize = 64;

/// The same of a rule with its variant: both have names of at most 64 characters.
const RULE_BYTES_MAX: usize = 520;

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
            } else if let Fact::Send(send) = fact
                && send.kind == "welcome"
            {
                let at_ms = u32::try_from(head.at_ms.max(0).rem_euclid(DAY_MS)).unwrap_or_default();
                self.facet(group, hour, Facet::Greeted(clipped(&send.rule, RULE_BYTES_MAX), at_ms));
            } else if let Fact::Outcome(outcome) = fact {
                self.outcome(group, hour, outcome);
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
        self.facet_by(group, hour, facet, 1);
    }

    fn facet_by(&mut self, group: u32, hour: u32, facet: Facet, count: u64) {
        self.touch(group, hour);
        let sum = self.facets.entry((group, hour, facet)).or_default();
        *sum = sum.saturating_add(count);
    }

    /// Whole millionths add up to the same in every order.
    fn outcome(&mut self, group: u32, hour: u32, outcome: &OutcomeFact<'_>) {
        let kind = word(&outcome.kind);
        let micros = micros_of(outcome.value);
        self.facet(group, hour, Facet::Outcome(kind.clone()));
        if micros > 0 {
            self.facet_by(group, hour, Facet::Gained(kind), micros.unsigned_abs());
        } else if micros < 0 {
            self.facet_by(group, hour, Facet::Lost(kind), micros.unsigned_abs());
        }
    }
}

/// Returns the nearest whole number of millionths there is.
pub(super) fn micros_of(value: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest whole number there is")]
    let micros = (value * 1e6).round() as i64;
    micros
}

fn came(member: &MemberFact<'_>) -> Box<str> {
    word(member.channel.as_deref().or(member.scene.as_deref()).unwrap_or(OTHER))
}

fn word(word: &str) -> Box<str> {
    clipped(word, WORD_BYTES_MAX)
}

fn clipped(word: &str, bytes_max: usize) -> Box<str> {
    if word.is_empty() || word.len() > bytes_max { OTHER.into() } else { word.into() }
}
