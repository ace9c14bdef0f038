//! Which questions wait for staff, as the pipeline remembers them.
//!
//! A function of the effects it observed, like the rest of a partition's memory.

use std::collections::{HashMap, VecDeque};

use super::WAIT_MAX;
use crate::event::{
    AnsweredFact, Effects, EventKey, EventType, Fact, HOUR_MS, Head, Kin, Role, Status, Waited,
};

/// Questions of one group that are remembered at a time; of more, the newest. Answers to the others are not timed.
const GROUP_MAX: usize = 32;

/// Open questions by group.
#[derive(Debug, Default)]
pub struct Waits {
    groups: HashMap<Box<str>, VecDeque<(EventKey, i64)>>,
}

impl Waits {
    /// Takes in what an event caused.
    pub fn observe(&mut self, effects: &Effects<'_>) {
        let head = &effects.head;
        if head.status != Status::Counted || head.what != EventType::Message || head.group.is_empty() {
            return;
        }
        let talk =
            effects.facts.iter().find_map(|fact| if let Fact::Talk(talk) = fact { Some(talk) } else { None });
        if talk.is_some_and(|talk| talk.question.is_some()) {
            let waiting = self.groups.entry(place(&head.account, &head.group)).or_default();
            if waiting.iter().any(|(key, _)| *key == head.key) {
                return;
            }
            if waiting.len() == GROUP_MAX {
                waiting.pop_front();
            }
            waiting.push_back((head.key, head.at_ms));
        } else if is_staff(head, talk.map_or(Kin::Other, |talk| talk.kin))
            && let Some(waiting) = self.groups.get_mut(&place(&head.account, &head.group))
        {
            waiting.retain(|(_, asked_ms)| *asked_ms > head.at_ms);
        }
    }

    /// Returns what staff answer by speaking in a group; nothing where no question waits.
    pub fn answered(
        &self,
        account: &str,
        group: &str,
        at_ms: i64,
        is_open: &dyn Fn(i64) -> Option<bool>,
    ) -> Option<AnsweredFact> {
        let waiting = self.groups.get(&place(account, group))?;
        let questions: Vec<_> = waiting
            .iter()
            .filter(|(_, asked_ms)| (0..=wait_max_ms()).contains(&(at_ms - asked_ms)))
            .map(|(_, asked_ms)| Waited {
                hour: u32::try_from(asked_ms.div_euclid(HOUR_MS).max(0)).unwrap_or(u32::MAX),
                seconds: u32::try_from((at_ms - asked_ms) / 1_000).unwrap_or(u32::MAX),
                is_open: is_open(*asked_ms).unwrap_or(true),
            })
            .collect();
        (!questions.is_empty()).then_some(AnsweredFact { questions })
    }

    /// Drops what nobody waits for any more.
    pub fn sweep(&mut self, now_ms: i64) {
        for waiting in self.groups.values_mut() {
            waiting.retain(|(_, asked_ms)| now_ms - asked_ms <= wait_max_ms());
        }
        self.groups.retain(|_, waiting| !waiting.is_empty());
    }
}

/// Says whether staff speak: by the platform's word or by the directory's.
pub fn is_staff(head: &Head<'_>, kin: Kin) -> bool {
    kin != Kin::Ourselves && (kin == Kin::Staff || head.role == Role::Staff)
}

fn wait_max_ms() -> i64 {
    i64::try_from(WAIT_MAX.as_millis()).unwrap_or(i64::MAX)
}

fn place(account: &str, group: &str) -> Box<str> {
    format!("{account}\n{group}").into()
}
