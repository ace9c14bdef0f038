//! Which questions of a group were answered in time.
//!
//! By the times of the events, whatever order they become known in: a question is answered by a member of staff who speaks
//! in the group, by a rule of ours that answers the same member, or by another member who names the asker by @ or quotes the
//! question, from the question's own time until its deadline. What becomes known once a question was given out as
//! unanswered changes nothing any more.
//!
//! Everything has a limit: see [`Limits`] and the constants.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::event::{Effects, EventKey, EventType, Fact, Head, Kin, Role, Status, TalkFact};
use crate::near::Sketch;

/// How long after its deadline a question is given out: what was said in time may be on its way.
const GRACE_MS: i64 = 2_000;
/// How long an answer is remembered for a question that becomes known after it, and that a question is settled.
const REMEMBERED_MS: i64 = 15 * 60_000;
/// Answers remembered of one group.
const ANSWERS_MAX: usize = 64;
/// Settled questions remembered of one group.
const SETTLED_MAX: usize = 256;
/// How often what is too old is dropped.
const SWEEP_MS: i64 = 60_000;

/// How much is followed at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open questions of all groups; a question beyond them is not followed.
    pub open_max: usize,
    /// Open questions of one group.
    pub group_open_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { open_max: 100_000, group_open_max: 500 }
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its identity.
    pub key: EventKey,
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// Who asked.
    pub member: String,
    /// The event's id as its sender gave it.
    pub event: String,
    /// When.
    pub at_ms: i64,
    /// Until when it could be answered.
    pub deadline_ms: i64,
    /// Of what it is about.
    pub sketch: Sketch,
    /// Keyed hash of its folded text.
    text: u64,
    due_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum To {
    Everybody,
    Member(Box<str>),
    Text(u64),
}

#[derive(Clone, Debug)]
struct Answer {
    at_ms: i64,
    arrived_ms: i64,
    by: Box<str>,
    to: To,
}

impl Answer {
    fn answers(&self, asked: &Asked) -> bool {
        let in_time = (asked.at_ms..=asked.deadline_ms).contains(&self.at_ms);
        in_time
            && match &self.to {
                To::Everybody => true,
                To::Member(member) => **member == *asked.member,
                // Asking again in the same words is no answer.
                To::Text(text) => *text == asked.text && *self.by != *asked.member,
            }
    }
}

#[derive(Debug, Default)]
struct Talk {
    open: HashMap<EventKey, Asked>,
    answers: VecDeque<Answer>,
    settled: VecDeque<(EventKey, i64)>,
}

impl Talk {
    fn settle(&mut self, key: EventKey, now_ms: i64) {
        if self.settled.len() == SETTLED_MAX {
            self.settled.pop_front();
        }
        self.settled.push_back((key, now_ms));
    }

    fn is_settled(&self, key: EventKey) -> bool {
        self.settled.iter().any(|(settled, _)| *settled == key)
    }
}

/// Account and group in one.
type Place = Box<str>;

/// The talk of all groups, as far as a question waits in it. A function of the effects it observed.
#[derive(Debug)]
pub struct Talks {
    secret: [u8; 16],
    limits: Limits,
    groups: HashMap<Place, Talk>,
    due: BTreeSet<(i64, EventKey, Place)>,
    swept_ms: i64,
}

impl Talks {
    /// Nothing is known yet; `secret` keys the ids of events.
    pub fn new(secret: [u8; 16], limits: Limits) -> Self {
        Self { secret, limits, groups: HashMap::new(), due: BTreeSet::new(), swept_ms: i64::MIN }
    }

    /// Returns how many questions wait.
    pub fn open(&self) -> usize {
        self.due.len()
    }

    /// Takes in what an event caused; `deadline` says until when a question may wait. Returns whether a question could not
    /// be followed because there are too many.
    pub fn observe(&mut self, effects: &Effects<'_>, deadline: &dyn Fn(&Head<'_>) -> i64) -> bool {
        let head = &effects.head;
        if head.status != Status::Counted || head.group.is_empty() {
            return false;
        }
        self.sweep(head.arrived_ms);
        if head.what == EventType::MessageRecalled {
            self.withdrawn(effects);
        }
        if head.what != EventType::Message || head.role == Role::Bot {
            return false;
        }
        let talk =
            effects.facts.iter().find_map(|fact| if let Fact::Talk(talk) = fact { Some(talk) } else { None });
        let kin = talk.map_or(Kin::Other, |talk| talk.kin);
        if kin == Kin::Ourselves {
            return false; // what we say comes back to us
        }
        let member = head.member.as_deref().unwrap_or_default();
        if kin == Kin::Staff || head.role == Role::Staff {
            self.answered(head, member, To::Everybody);
            return false;
        }
        if effects.facts.iter().any(|fact| matches!(fact, Fact::Send(send) if send.kind == "reply")) {
            self.answered(head, "", To::Member(member.into()));
        }
        let Some(talk) = talk else { return false };
        for to in talk.to.iter().filter(|to| **to != member) {
            self.answered(head, member, To::Member((&**to).into()));
        }
        if let Some(text) = talk.quotes {
            self.answered(head, member, To::Text(text));
        }
        self.asked(head, talk, member, deadline)
    }

    fn asked(
        &mut self,
        head: &Head<'_>,
        talk: &TalkFact<'_>,
        member: &str,
        deadline: &dyn Fn(&Head<'_>) -> i64,
    ) -> bool {
        let Some(question) = talk.question.filter(|_| !member.is_empty()) else { return false };
        let place = place(head);
        let group = self.groups.entry(place.clone()).or_default();
        if group.open.contains_key(&head.key) || group.is_settled(head.key) {
            return false;
        }
        let deadline_ms = deadline(head);
        let asked = Asked {
            key: head.key,
            account: head.account.to_string(),
            group: head.group.to_string(),
            member: member.to_owned(),
            event: talk.id.to_string(),
            at_ms: head.at_ms,
            deadline_ms,
            sketch: question.sketch,
            text: question.text,
            due_ms: deadline_ms.max(head.arrived_ms).saturating_add(GRACE_MS),
        };
        if group.answers.iter().any(|answer| answer.answers(&asked)) {
            group.settle(head.key, head.arrived_ms);
            return false;
        }
        if group.open.len() >= self.limits.group_open_max || self.due.len() >= self.limits.open_max {
            return true;
        }
        self.due.insert((asked.due_ms, head.key, place));
        group.open.insert(head.key, asked);
        false
    }

    fn answered(&mut self, head: &Head<'_>, by: &str, to: To) {
        let place = place(head);
        let talk = self.groups.entry(place.clone()).or_default();
        let answer = Answer { at_ms: head.at_ms, arrived_ms: head.arrived_ms, by: by.into(), to };
        let done: Vec<EventKey> =
            talk.open.values().filter(|asked| answer.answers(asked)).map(|asked| asked.key).collect();
        for key in done {
            if let Some(asked) = talk.open.remove(&key) {
                self.due.remove(&(asked.due_ms, key, place.clone()));
                talk.settle(key, head.arrived_ms);
            }
        }
        if talk.answers.len() == ANSWERS_MAX {
            talk.answers.pop_front();
        }
        talk.answers.push_back(answer);
    }

    /// Nobody need answer what was taken back.
    fn withdrawn(&mut self, effects: &Effects<'_>) {
        let head = &effects.head;
        let recalled = effects.facts.iter().find_map(|fact| {
            if let Fact::Revision(revision) = fact {
                revision.of.as_deref().filter(|_| revision.recalled)
            } else {
                None
            }
        });
        let Some(of) = recalled else { return };
        let (key, place) = (EventKey::of(&self.secret, &head.account, &head.group, of), place(head));
        let talk = self.groups.entry(place.clone()).or_default();
        if let Some(asked) = talk.open.remove(&key) {
            self.due.remove(&(asked.due_ms, key, place));
        }
        talk.settle(key, head.arrived_ms);
    }

    /// Gives out what nobody answered in time, in the order of the deadlines, so many at most. Each question is given out
    /// once.
    pub fn unanswered(&mut self, now_ms: i64, max: usize) -> Vec<Asked> {
        let mut given = Vec::new();
        while self.due.first().is_some_and(|(due_ms, ..)| *due_ms <= now_ms) && given.len() < max {
            let Some((_, key, place)) = self.due.pop_first() else { break };
            let Some(talk) = self.groups.get_mut(&place) else { continue };
            talk.settle(key, now_ms);
            given.extend(talk.open.remove(&key));
        }
        given
    }

    /// Drops what is too old to matter.
    fn sweep(&mut self, now_ms: i64) {
        if now_ms < self.swept_ms.saturating_add(SWEEP_MS) {
            return;
        }
        self.swept_ms = now_ms;
        let oldest_ms = now_ms - REMEMBERED_MS;
        self.groups.retain(|_, talk| {
            talk.answers.retain(|answer| answer.arrived_ms >= oldest_ms);
            talk.settled.retain(|(_, at_ms)| *at_ms >= oldest_ms);
            !(talk.open.is_empty() && talk.answers.is_empty() && talk.settled.is_empty())
        });
    }
}

fn place(head: &Head<'_>) -> Place {
    [&*head.account, &*head.group].join("\u{1f}").into()
}
