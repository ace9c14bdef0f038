//! What keeps us from talking to ourselves, or for ever to another program: what we said last in a group, and how often a
//! member was answered there.
//!
//! A function of the effects applied to it; kept for minutes.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use super::Config;
use super::matching::folded;
use crate::event::{Effects, Fact};

/// How long our own words are recognised in a group, in milliseconds.
const SAID_KEEP_MS: i64 = 10 * 60 * 1_000;
/// Sayings remembered of one group.
const SAID_MAX: usize = 16;
/// Answers remembered of one member.
pub(super) const ANSWERS_MAX: usize = 64;
/// Longest window of answers.
pub(super) const ANSWERS_WINDOW_MAX: Duration = Duration::from_hours(1);

/// A hash of a folded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaidHash(u64);

/// Hashes a text that is folded already.
pub fn said_hash(folded: &str) -> SaidHash {
    SaidHash(hash(folded))
}

// Not random: the same events must give the same decisions.
fn hash(of: impl std::hash::Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(of)
}

/// What one partition's groups were told lately.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answers {
    // Keyed by hashes: two groups or members sharing one are answered slightly less.
    said: HashMap<u64, VecDeque<(SaidHash, i64)>>,
    to: HashMap<u64, VecDeque<i64>>,
}

impl Answers {
    /// Takes in what was said because of an event.
    pub fn observe(&mut self, effects: &Effects<'_>) {
        let (head, at_ms) = (&effects.head, effects.head.arrived_ms);
        for fact in &effects.facts {
            let Fact::Send(send) = fact else { continue };
            let said = self.said.entry(hash((&*head.account, &*head.group))).or_default();
            push(said, SAID_MAX, (said_hash(&folded(&send.text)), at_ms));
            if let Some(member) = head.member.as_deref().filter(|_| send.kind == "reply") {
                let to = self.to.entry(hash((&*head.account, &*head.group, member))).or_default();
                push(to, ANSWERS_MAX, at_ms);
            }
        }
    }

    /// Says whether a message repeats what we said in its group: it comes from ourselves.
    pub fn is_ours(&self, account: &str, group: &str, text: SaidHash, now_ms: i64) -> bool {
        let said = self.said.get(&hash((account, group))).into_iter().flatten();
        said.into_iter().any(|(known, at_ms)| *known == text && *at_ms > now_ms - SAID_KEEP_MS)
    }

    /// Says whether a member was answered so often that another answer would only go on with a loop.
    pub fn is_loop(&self, config: &Config, account: &str, group: &str, member: &str, now_ms: i64) -> bool {
        if config.member_answers_max == 0 {
            return false;
        }
        let since = now_ms - millis(config.member_answers_window);
        let Some(times) = self.to.get(&hash((account, group, member))) else { return false };
        times.iter().rev().take_while(|at_ms| **at_ms > since).count() >= config.member_answers_max
    }

    /// Drops what is too old to matter.
    pub fn sweep(&mut self, now_ms: i64) {
        let is_recent = |at_ms: i64, keep_ms: i64| at_ms > now_ms - keep_ms;
        self.said.retain(|_, said| said.back().is_some_and(|(_, at_ms)| is_recent(*at_ms, SAID_KEEP_MS)));
        let keep_ms = millis(ANSWERS_WINDOW_MAX);
        self.to.retain(|_, times| times.back().is_some_and(|at_ms| is_recent(*at_ms, keep_ms)));
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn push<T>(queue: &mut VecDeque<T>, max: usize, item: T) {
    if queue.len() == max {
        queue.pop_front();
    }
    queue.push_back(item);
}
