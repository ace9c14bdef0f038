//! What one partition remembers between events: ids seen, recent message times, small durable state.
//!
//! It is a function of the effects applied to it, in order, and of nothing else: applied when an event is decided,
//! applied again from the journal at start. Only what members said last is not: it lives in memory, for minutes.

use std::collections::{BTreeSet, HashMap};

use crate::conduct::Floods;
use crate::conduct::ladder::Record;
use crate::dedupe::{self, Dedupe};
use crate::event::{Effects, Fact, StateKind, Status};
use crate::interception::Recent;
use crate::replies::Answers;

/// One partition's memory.
#[derive(Debug, Default)]
pub struct PartitionState {
    /// Ids seen.
    pub dedupe: Dedupe,
    /// Recent message times of members.
    pub floods: Floods,
    /// What was said lately, and to whom.
    pub answers: Answers,
    /// Cooldowns and their kin.
    pub small: Small,
    /// What members said last, for rules over several messages: never written anywhere, empty after a start.
    pub recent: Recent,
}

impl PartitionState {
    /// Takes in what an event caused. Applying the same effects again changes nothing, but for the windows of floods and
    /// answers, which a start fills only once.
    pub fn apply(&mut self, effects: &Effects<'_>) {
        let head = &effects.head;
        if head.status == Status::Counted {
            self.dedupe.insert(head.key, dedupe::bucket_of(head.at_ms));
        }
        self.floods.observe(effects);
        self.answers.observe(effects);
        for fact in &effects.facts {
            if let Fact::State(state) = fact {
                self.small.set(state.kind, &state.key, state.value.as_deref(), state.expires_ms);
            }
        }
    }

    /// Drops what has expired.
    pub fn sweep(&mut self, now_ms: i64, oldest_bucket: u32) {
        self.dedupe.forget_before(oldest_bucket);
        self.floods.sweep(now_ms);
        self.answers.sweep(now_ms);
        self.small.sweep(now_ms);
        self.recent.sweep(now_ms);
    }
}

/// Small durable state by kind and key; an expired entry is as good as none.
///
/// Entries of some kinds wait for a moment, which their value begins with; these are also kept in the order of that moment,
/// so that nobody need look at all of them.
#[derive(Debug, Default)]
pub struct Small {
    entries: HashMap<StateKind, HashMap<Box<str>, Entry>>,
    waiting: BTreeSet<(i64, StateKind, Box<str>)>,
}

#[derive(Debug)]
struct Entry {
    value: Box<[u8]>,
    expires_ms: i64,
}

impl Entry {
    fn due(&self, kind: StateKind) -> Option<i64> {
        due_of(kind, &self.value)
    }
}

/// Returns the moment that a value waits for, in milliseconds since the epoch.
fn due_of(kind: StateKind, value: &[u8]) -> Option<i64> {
    match kind {
        StateKind::Burst => Some(i64::from_le_bytes(*value.first_chunk()?)),
        StateKind::Ladder => Record::due(value),
        StateKind::Cooldown
        | StateKind::Flood
        | StateKind::Journey
        | StateKind::Budget
        | StateKind::Case
        | StateKind::Roster
        | StateKind::Asked => None,
    }
}

impl Small {
    /// Returns the value that holds at `now_ms`.
    pub fn get(&self, kind: StateKind, key: &str, now_ms: i64) -> Option<&[u8]> {
        let entry = self.entries.get(&kind)?.get(key)?;
        (entry.expires_ms > now_ms).then_some(&entry.value)
    }

    /// Returns every entry of a kind, expired ones too.
    pub fn entries(&self, kind: StateKind) -> impl Iterator<Item = (&str, &[u8])> {
        let entries = self.entries.get(&kind).into_iter().flatten();
        entries.map(|(key, entry)| (&**key, &*entry.value))
    }

    /// Returns what waits for a moment that has come, the earliest first: its kind, its key and the moment.
    pub fn due(&self, now_ms: i64) -> impl Iterator<Item = (StateKind, &str, i64)> {
        let due = self.waiting.iter().take_while(move |(at_ms, ..)| *at_ms <= now_ms);
        due.map(|(at_ms, kind, key)| (*kind, &**key, *at_ms))
    }

    /// Writes a value; `None` removes it.
    pub fn set(&mut self, kind: StateKind, key: &str, value: Option<&[u8]>, expires_ms: i64) {
        let entries = self.entries.entry(kind).or_default();
        let entry = value.map(|value| Entry { value: value.into(), expires_ms });
        let due = entry.as_ref().and_then(|entry| entry.due(kind));
        let before = match entry {
            Some(entry) => entries.insert(key.into(), entry),
            None => entries.remove(key),
        };
        if let Some(at_ms) = before.and_then(|before| before.due(kind)) {
            self.waiting.remove(&(at_ms, kind, key.into()));
        }
        if let Some(at_ms) = due {
            self.waiting.insert((at_ms, kind, key.into()));
        }
    }

    /// Drops what has expired.
    pub fn sweep(&mut self, now_ms: i64) {
        let Self { entries, waiting } = self;
        for (kind, entries) in entries {
            entries.retain(|key, entry| {
                let stays = entry.expires_ms > now_ms;
                if let (false, Some(at_ms)) = (stays, entry.due(*kind)) {
                    waiting.remove(&(at_ms, *kind, key.clone()));
                }
                stays
            });
        }
    }
}
