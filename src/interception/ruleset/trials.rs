//! Lists on trial: how often those in `shadow` or `staged` were asked, and how often they hit.
//!
//! Counted where a message is taken in, not where it is judged: a text that is only looked at counts nothing. Counters are
//! shared with the ruleset before as long as a list stays what it is, and are lost at a restart.
//! Not for: deciding whether a list goes on (`app` does), nor for numbers by group or day (the journal has each hit).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::Ruleset;
use super::standing::ListStanding;
use crate::interception::audience::Audience;
use crate::interception::life::Life;
use crate::interception::policy::Policy;

/// One list on trial.
#[derive(Debug)]
pub(super) struct Trial {
    list: u16,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    messages: AtomicU64,
    hit: AtomicU64,
    messages_apart: AtomicU64,
    hit_apart: AtomicU64,
}

/// What became of a list on trial so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TrialCounts {
    /// Messages that it was in force for.
    pub messages: u64,
    /// Those of them that it hit.
    pub hit: u64,
    /// Messages that it was asked about without effect.
    pub messages_apart: u64,
    /// Those of them that it would have hit.
    pub hit_apart: u64,
}

impl Counters {
    fn count(&self, in_force: bool, is_hit: bool) {
        let (messages, hit) =
            if in_force { (&self.messages, &self.hit) } else { (&self.messages_apart, &self.hit_apart) };
        messages.fetch_add(1, Ordering::Relaxed);
        hit.fetch_add(u64::from(is_hit), Ordering::Relaxed);
    }

    fn read(&self) -> TrialCounts {
        TrialCounts {
            messages: self.messages.load(Ordering::Relaxed),
            hit: self.hit.load(Ordering::Relaxed),
            messages_apart: self.messages_apart.load(Ordering::Relaxed),
            hit_apart: self.hit_apart.load(Ordering::Relaxed),
        }
    }
}

impl Ruleset {
    /// Begins the trials of a new ruleset.
    pub(super) fn begin_trials(&mut self) {
        let lists = (0..).zip(&self.lists);
        let on_trial = lists.filter(|(_, list)| matches!(list.life, Life::Shadow | Life::Staged(_)));
        self.trials = on_trial.map(|(list, _)| Trial { list, counters: Arc::default() }).collect();
    }

    /// Goes on counting where an earlier ruleset is, for each list that is still the same.
    pub fn continue_trials(&mut self, earlier: &Ruleset, is_same: impl Fn(&str) -> bool) {
        for trial in &mut self.trials {
            let Some(list) = self.lists.get(usize::from(trial.list)).filter(|list| is_same(&list.name))
            else {
                continue;
            };
            let before = earlier.trials.iter().find(|before| {
                let old = earlier.lists.get(usize::from(before.list));
                old.is_some_and(|old| old.name == list.name && old.life == list.life)
            });
            if let Some(before) = before {
                trial.counters = before.counters.clone();
            }
        }
    }

    /// Counts one message for every list on trial that reaches its audience; `is_hit` says of which lists it holds terms.
    pub fn count_trials(&self, policy: &Policy, audience: &Audience<'_>, is_hit: impl Fn(&str) -> bool) {
        for trial in &self.trials {
            let in_force = match self.stand(policy, audience, usize::from(trial.list)) {
                None | Some(ListStanding::Absent) => continue,
                Some(ListStanding::Shadow(_)) => false,
                Some(ListStanding::InForce(_)) => true,
            };
            let is_hit = self.lists.get(usize::from(trial.list)).is_some_and(|list| is_hit(&list.name));
            trial.counters.count(in_force, is_hit);
        }
    }

    /// Returns the lists on trial with what became of them so far.
    pub fn trials(&self) -> impl Iterator<Item = (&super::ListSummary, TrialCounts)> {
        self.trials
            .iter()
            .filter_map(|trial| Some((self.lists.get(usize::from(trial.list))?, trial.counters.read())))
    }
}
