//! What a member said last, as ids: the context for staff whom a conversation is handed to.

use std::collections::{HashMap, VecDeque};

use crate::event::{Effects, EventKey, Fact, Role, Status};

/// Messages remembered of one member.
const MESSAGES_MAX: usize = 5;
/// For how long.
const REMEMBERED_MS: i64 = 60 * 60_000;
/// Members remembered; of those beyond them nothing is.
const MEMBERS_MAX: usize = 50_000;
/// How often what is too old is dropped.
const SWEEP_MS: i64 = 60_000;

/// An earlier message of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidBefore {
    /// The event's id as its sender gave it.
    pub event: String,
    /// Its identity, by which a kept text is found.
    pub key: EventKey,
    at_ms: i64,
}

/// The last messages of members, where a rule hands over. A function of the effects it observed.
#[derive(Debug, Default)]
pub struct Lately {
    said: HashMap<Box<str>, VecDeque<SaidBefore>>,
    swept_ms: i64,
}

impl Lately {
    /// Takes in what an event caused.
    pub fn observe(&mut self, effects: &Effects<'_>) {
        let head = &effects.head;
        let Some(member) = head.member.as_deref() else { return };
        if head.status != Status::Counted || head.role != Role::Customer {
            return;
        }
        let talk =
            effects.facts.iter().find_map(|fact| if let Fact::Talk(talk) = fact { Some(talk) } else { None });
        let Some(talk) = talk else { return };
        self.sweep(head.arrived_ms);
        let is_full = self.said.len() >= MEMBERS_MAX;
        let place: Box<str> = place(&head.account, &head.group, member);
        if is_full && !self.said.contains_key(&place) {
            return;
        }
        let said = self.said.entry(place).or_default();
        if said.iter().any(|before| before.key == head.key) {
            return;
        }
        if said.len() == MESSAGES_MAX {
            said.pop_front();
        }
        said.push_back(SaidBefore { event: talk.id.to_string(), key: head.key, at_ms: head.arrived_ms });
    }

    /// Returns what a member said last in a group, the latest last.
    pub fn of(&self, account: &str, group: &str, member: &str) -> Vec<SaidBefore> {
        self.said.get(&place(account, group, member)).into_iter().flatten().cloned().collect()
    }

    fn sweep(&mut self, now_ms: i64) {
        if now_ms < self.swept_ms.saturating_add(SWEEP_MS) {
            return;
        }
        self.swept_ms = now_ms;
        let is_recent =
            |said: &VecDeque<SaidBefore>| said.back().is_some_and(|last| last.at_ms > now_ms - REMEMBERED_MS);
        self.said.retain(|_, said| is_recent(said));
    }
}

fn place(account: &str, group: &str, member: &str) -> Box<str> {
    [account, group, member].join("\u{1f}").into()
}
