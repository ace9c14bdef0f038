//! At which version each group's roster stands: the newest few marks, newest first, as small durable state.
//!
//! Not for: what a version means on a platform. Invariant: an event whose [`RosterStep`] was taken leaves its mark in the
//! same effects, so event and mark are durable together or not at all. That mark also tells the fold that the change
//! follows the roster's own order, so it is written even when the roster stays where it stands.

use std::borrow::Cow;

use super::PartitionState;
use crate::event::{Fact, GroupEvent, RosterStep, StateFact, StateKind};

/// The mark of a version that is never forgotten: a group that is quiet for a year must not look unread.
const NEVER_EXPIRES_MS: i64 = i64::MAX;

const MARK_BYTES: usize = size_of::<u64>();

impl PartitionState {
    /// Returns the marks of the versions that a group's roster went through, newest first; empty when it was never read.
    pub fn roster_marks(&self, account: &str, group: &str) -> Vec<u64> {
        self.marks(&key(account, group)).filter_map(number).collect()
    }

    fn marks(&self, key: &str) -> impl Iterator<Item = &[u8]> {
        let value = self.small.get(StateKind::Roster, key, NEVER_EXPIRES_MS - 1).unwrap_or_default();
        value.chunks_exact(MARK_BYTES)
    }
}

/// Says whether a step begins where the group's roster stands.
pub(super) fn follows(state: &PartitionState, event: &GroupEvent<'_>, step: RosterStep) -> bool {
    state.marks(&key(&event.account, &event.group)).next().and_then(number) == step.from
}

/// Returns the change of state that taking a step is.
pub(super) fn taken<'e>(state: &PartitionState, event: &GroupEvent<'_>, step: RosterStep) -> Fact<'e> {
    let key = key(&event.account, &event.group);
    let mut marks = Vec::with_capacity(RosterStep::MARKS_MAX * MARK_BYTES);
    if step.from != Some(step.to) {
        marks.extend_from_slice(&step.to.to_le_bytes());
    }
    for mark in state.marks(&key) {
        if marks.len() < RosterStep::MARKS_MAX * MARK_BYTES {
            marks.extend_from_slice(mark);
        }
    }
    Fact::State(StateFact {
        kind: StateKind::Roster,
        key: Cow::Owned(key),
        value: Some(Cow::Owned(marks)),
        expires_ms: NEVER_EXPIRES_MS,
    })
}

fn key(account: &str, group: &str) -> String {
    [account, group].join("\u{1f}")
}

fn number(mark: &[u8]) -> Option<u64> {
    mark.try_into().ok().map(u64::from_le_bytes)
}
