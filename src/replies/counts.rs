//! What became of rules that were asked, counted in memory: for whoever tries a rule or wonders at its silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What became of a rule that was the best one asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It answered.
    Answered,
    /// It, or every rule, was silent after an answer.
    Cooldown,
    /// The message came from ourselves, or from a program that answers us.
    Loop,
    /// A variable had no value.
    Missing,
    /// The platform does not let us say it.
    Unsupported,
    /// It would have been the best, but is on trial.
    Shadow,
    /// Staff look after the member.
    HandedOver,
    /// Interception refuses its text there.
    Blocked,
}

const CAME: usize = 8;

/// Shared by all sets of rules that hold the same rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(Arc<[AtomicU64; CAME]>);

/// What became of a rule since it was written or the gateway started, whichever is later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Numbers {
    /// It answered.
    pub answered: u64,
    /// It was asked during its silence after an answer, or during that of every rule.
    pub cooldown: u64,
    /// It would have answered ourselves, or a program that answers us.
    pub loops: u64,
    /// A variable of its text had no value in the group.
    pub missing_variable: u64,
    /// The platform does not let us say something in the group.
    pub unsupported: u64,
    /// On trial, it would have answered (its silences not considered).
    pub shadow: u64,
    /// It was asked by a member whose talk was handed over to staff a while ago.
    pub handed_over: u64,
    /// Interception refused its text, with the values filled in.
    pub blocked: u64,
}

impl Counts {
    pub(super) fn count(&self, came: Came) {
        self.0[came as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn numbers(&self) -> Numbers {
        let of = |came: Came| self.0[came as usize].load(Ordering::Relaxed);
        Numbers {
            answered: of(Came::Answered),
            cooldown: of(Came::Cooldown),
            loops: of(Came::Loop),
            missing_variable: of(Came::Missing),
            unsupported: of(Came::Unsupported),
            shadow: of(Came::Shadow),
            handed_over: of(Came::HandedOver),
            blocked: of(Came::Blocked),
        }
    }
}
