//! What a message is in its group's talk: a question, an answer to one, words of staff. Ids and keyed hashes, never its text.

use std::borrow::Cow;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::{Decision, PartitionState, Rules, Setting};
use crate::event::{ContentFact, Fact, GroupEvent, Kin, QuestionFact, Role, TalkFact, Verdict, What};
use crate::interception::fold_into;
use crate::near::Sketch;
use crate::questions;

/// Members of one message who may be answered by it; the rest of a longer list is not looked at.
const TO_MAX: usize = 16;

impl<'e> Decision<'e> {
    /// Notes what a message is to questions and to staff who take a talk over; nothing of one that is neither.
    /// `is_answered`: a rule of ours has dealt with it.
    pub(super) fn talk(
        &mut self,
        rules: &Rules,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
        folded: &str,
        is_answered: bool,
        secret: &[u8; 16],
    ) {
        let (config, hands_over) = (&rules.limits.questions, rules.replies.hands_over());
        let Some(message) = event.what.message().filter(|_| config.enabled || hands_over) else { return };
        let kin = event.member.as_deref().map_or(Kin::Other, setting.home.kin);
        let mut talk =
            TalkFact { id: Cow::Borrowed(&event.id), kin, to: Vec::new(), quotes: None, question: None };
        let is_customer = event.role == Role::Customer && kin == Kin::Other;
        if is_customer && config.enabled {
            let to = message.mentions.iter().take(TO_MAX);
            talk.to = to.map(|member| Cow::Borrowed(&**member)).collect();
            talk.quotes = message.quote.as_deref().filter(|quote| !quote.is_empty()).map(|quote| {
                let mut folded = String::new();
                fold_into(quote, &mut folded);
                hash(&folded, secret)
            });
            let is_open = !is_answered && self.answer.verdict != Verdict::Block;
            if is_open && questions::looks_like(&message.text, folded, config) {
                let sketch = Sketch::of_short(&questions::gist(folded), secret);
                talk.question = sketch.map(|sketch| QuestionFact { text: hash(folded, secret), sketch });
            }
        }
        let speaks_up = talk.question.is_some() || talk.quotes.is_some() || !talk.to.is_empty();
        // The head says who is staff by the platform's word; who is by the directory's only, it does not.
        let is_kin = kin == Kin::Ourselves || (kin == Kin::Staff && event.role != Role::Staff);
        if speaks_up || is_kin || (is_customer && hands_over) {
            self.fact(|| Fact::Talk(talk));
        }
    }

    /// Notes what staff answer by speaking, and what a message is besides text.
    pub(super) fn count(&mut self, state: &PartitionState, setting: &Setting<'_>, event: &'e GroupEvent<'_>) {
        let What::Message(message) = &event.what else { return };
        if event.role == Role::Bot || event.group.is_empty() {
            return;
        }
        if let Some(kind) = message.content_type.as_deref().filter(|kind| *kind != "text") {
            self.fact(|| Fact::Content(ContentFact { kind: Cow::Borrowed(kind) }));
        }
        let Some(effects) = &self.effects else { return };
        let kin = event.member.as_deref().map_or(Kin::Other, setting.home.kin);
        if questions::is_staff(&effects.head, kin) {
            let (at_ms, is_open) = (effects.head.at_ms, setting.home.is_open);
            if let Some(fact) = state.waits.answered(&event.account, &event.group, at_ms, &is_open) {
                self.fact(|| Fact::Answered(fact));
            }
        }
    }

    /// Says whether it is a question without an answer of ours.
    pub(super) fn is_question(&self) -> bool {
        let is_one = |fact: &Fact<'_>| matches!(fact, Fact::Talk(talk) if talk.question.is_some());
        self.effects.as_ref().is_some_and(|effects| effects.facts.iter().any(is_one))
    }
}

fn hash(folded: &str, secret: &[u8; 16]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(secret);
    hasher.write(folded.as_bytes());
    hasher.finish()
}
