//! What became of a journey's members, counted in memory: for whoever wonders whether it does any good.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What became of members on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// They began it.
    Started,
    /// They came back too soon to begin it.
    Rejoined,
    /// They came into its segment while they were under way on another one, or on it.
    UnderWay,
    /// They were told a step.
    Told,
    /// They passed its last step.
    Finished,
    /// It ended at a word of theirs.
    StoppedSpoke,
    /// It ended when they left, or the group was dismissed.
    StoppedLeft,
    /// It ended at an outcome.
    StoppedOutcome,
    /// It ended at a segment they are in, or not in.
    StoppedSegment,
    /// It ended because the journey was removed.
    StoppedRemoved,
    /// A step was not for them.
    SkippedCondition,
    /// A step's condition rests on what nobody knows, as the platform does not show it.
    SkippedUnseen,
    /// The platform lets nobody say a step.
    SkippedUnsupported,
    /// A step came due too long ago.
    SkippedExpired,
    /// The group had heard enough on that day.
    SkippedCapped,
    /// A variable of a step's text had no value.
    SkippedMissing,
    /// A step came due on trial.
    SkippedShadow,
    /// A step came due while the journey was switched off.
    SkippedOff,
}

const CAME: usize = 18;

impl Came {
    /// Returns the metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Came::Started => "started",
            Came::Rejoined => "rejoined",
            Came::UnderWay => "under_way",
            Came::Told => "told",
            Came::Finished => "finished",
            Came::StoppedSpoke => "stopped_spoke",
            Came::StoppedLeft => "stopped_left",
            Came::StoppedOutcome => "stopped_outcome",
            Came::StoppedSegment => "stopped_segment",
            Came::StoppedRemoved => "stopped_removed",
            Came::SkippedCondition => "skipped_condition",
            Came::SkippedUnseen => "skipped_unseen",
            Came::SkippedUnsupported => "skipped_unsupported",
            Came::SkippedExpired => "skipped_expired",
            Came::SkippedCapped => "skipped_capped",
            Came::SkippedMissing => "skipped_missing_variable",
            Came::SkippedShadow => "skipped_shadow",
            Came::SkippedOff => "skipped_off",
        }
    }
}

/// Shared by all sets of journeys that hold the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(Arc<[AtomicU64; CAME]>);

/// What became of a journey's members since the gateway started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Numbers {
    /// Began it.
    pub started: u64,
    /// Did not begin it: they had ended a journey, or left, a few days before.
    pub rejoined: u64,
    /// Did not begin it: they came into its segment while they were under way on a journey.
    pub under_way: u64,
    /// Were told a step; somebody who was told three counts three times.
    pub told: u64,
    /// Passed its last step.
    pub finished: u64,
    /// Ended it early.
    pub stopped: Stopped,
    /// Passed a step without being told.
    pub skipped: Skipped,
}

/// Why members ended a journey early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = JourneyStopped)]
pub struct Stopped {
    /// They said something.
    pub spoke: u64,
    /// They left, or the group was dismissed.
    pub left: u64,
    /// An outcome came.
    pub outcome: u64,
    /// They were in a segment that ends it, or not in one.
    pub segment: u64,
}

/// Why members passed a step without being told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = JourneySkipped)]
pub struct Skipped {
    /// Its condition did not hold.
    pub condition: u64,
    /// Its condition rests on what members say, which the platform does not show, or on a segment of which nobody knows whether
    /// they are in it.
    pub unseen: u64,
    /// The platform lets nobody say something in the group.
    pub unsupported: u64,
    /// It came due too long ago.
    pub expired: u64,
    /// The group had heard enough texts of journeys on that day.
    pub capped: u64,
    /// A variable of its text had no value.
    pub missing_variable: u64,
    /// The journey was on trial.
    pub shadow: u64,
    /// The journey was switched off.
    pub off: u64,
}

impl Counts {
    pub(super) fn count(&self, came: Came, members: u32) {
        self.0[came as usize].fetch_add(u64::from(members), Ordering::Relaxed);
    }

    pub(super) fn numbers(&self) -> Numbers {
        let of = |came: Came| self.0[came as usize].load(Ordering::Relaxed);
        Numbers {
            started: of(Came::Started),
            rejoined: of(Came::Rejoined),
            under_way: of(Came::UnderWay),
            told: of(Came::Told),
            finished: of(Came::Finished),
            stopped: Stopped {
                spoke: of(Came::StoppedSpoke),
                left: of(Came::StoppedLeft),
                outcome: of(Came::StoppedOutcome),
                segment: of(Came::StoppedSegment),
            },
            skipped: Skipped {
                condition: of(Came::SkippedCondition),
                unseen: of(Came::SkippedUnseen),
                unsupported: of(Came::SkippedUnsupported),
                expired: of(Came::SkippedExpired),
                capped: of(Came::SkippedCapped),
                missing_variable: of(Came::SkippedMissing),
                shadow: of(Came::SkippedShadow),
                off: of(Came::SkippedOff),
            },
        }
    }
}
