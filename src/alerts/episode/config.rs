//! How alerts live: what is waited for, who hears of them and when, and how many there may be.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Kind;

/// Most steps of the ladder.
pub const STEPS_MAX: usize = 16;
/// Most alerts of one kind and region that may open before they are a storm.
pub const STORM_SIZE_MAX: usize = 1_000;
/// Longest time that is waited for anything.
const WAIT_MAX: Duration = Duration::from_hours(90 * 24);

/// How alerts live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long what raised an alert must be gone before it counts as recovered.
    #[serde(with = "crate::units::duration")]
    pub recover_after: Duration,
    /// Who hears of it when nobody acknowledges it.
    pub steps: Vec<Step>,
    /// How long an acknowledgement keeps it from going further up.
    #[serde(with = "crate::units::duration")]
    pub ack_lasts: Duration,
    /// Kinds that do not wait for the end of quiet hours.
    pub urgent: BTreeSet<Kind>,
    /// Alerts of one kind and region that open one by one; with one more within the window they are a storm.
    pub storm_size: usize,
    /// The window; a storm takes in what opens within it after the last.
    #[serde(with = "crate::units::duration")]
    pub storm_window: Duration,
    /// Alerts that may be open; what is raised beyond is counted only.
    pub open_max: usize,
    /// Notices that may wait for the end of quiet hours, besides those of alerts that are open.
    pub held_max: usize,
    /// Alerts that are over and remembered, so that what is reported again does not open them again.
    pub closed_max: usize,
    /// For how long.
    #[serde(with = "crate::units::duration")]
    pub closed_keep: Duration,
}

/// How one alert lives, by the rules of its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    /// How long what raised it must be gone before it counts as recovered.
    #[serde(with = "crate::units::duration")]
    pub recover_after: Duration,
    /// Who hears of it when nobody acknowledges it.
    pub steps: Vec<Step>,
}

/// One step of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlertStep)]
pub struct Step {
    /// How long after people were told first; the time in which it is acknowledged, or nobody may be told, does not count.
    #[serde(with = "crate::units::duration")]
    #[schema(value_type = String, example = "30m")]
    pub after: Duration,
    /// Who is told.
    pub to: Level,
}

/// Who answers for a place.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertLevel)]
pub enum Level {
    /// The manager of the shop.
    ShopManager,
    /// Whoever stands in for the manager.
    Deputy,
    /// Whoever runs the region.
    Region,
    /// The head office.
    HeadOffice,
}

impl Level {
    /// Returns the word of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::ShopManager => "shop_manager",
            Level::Deputy => "deputy",
            Level::Region => "region",
            Level::HeadOffice => "head_office",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let step = |minutes, to| Step { after: Duration::from_mins(minutes), to };
        Self {
            recover_after: Duration::from_mins(10),
            steps: vec![
                step(30, Level::ShopManager),
                step(60, Level::Deputy),
                step(120, Level::Region),
                step(240, Level::HeadOffice),
            ],
            ack_lasts: Duration::from_hours(4),
            urgent: BTreeSet::from([
                Kind::LeaveSurge,
                Kind::HitSpike,
                Kind::NegativeWords,
                Kind::SilentCallback,
                Kind::SendFailures,
            ]),
            storm_size: 10,
            storm_window: Duration::from_mins(10),
            open_max: 10_000,
            held_max: 10_000,
            closed_max: 10_000,
            closed_keep: Duration::from_hours(24),
        }
    }
}

impl Config {
    /// Checks what types cannot; says what would be right.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        for (name, wait) in [
            ("recover_after", self.recover_after),
            ("ack_lasts", self.ack_lasts),
            ("storm_window", self.storm_window),
            ("closed_keep", self.closed_keep),
        ] {
            check_wait(wait).map_err(|problem| format!("`{name}` {problem}"))?;
        }
        check_steps(&self.steps)?;
        if self.storm_size == 0 || self.storm_size > STORM_SIZE_MAX {
            return Err(format!("`storm_size` must lie between 1 and {STORM_SIZE_MAX}"));
        }
        for (name, max) in
            [("open_max", self.open_max), ("held_max", self.held_max), ("closed_max", self.closed_max)]
        {
            if max == 0 {
                return Err(format!("`{name}` must be at least 1"));
            }
        }
        Ok(())
    }

    pub(super) fn storm_window_ms(&self) -> i64 {
        millis(self.storm_window)
    }
}

/// Says what is wrong with a time that is waited.
///
/// # Errors
/// In words.
pub fn check_wait(wait: Duration) -> Result<(), &'static str> {
    let fits = wait >= Duration::from_millis(1) && wait <= WAIT_MAX;
    if fits { Ok(()) } else { Err("must be more than 0s and at most 90d") }
}

/// Says what is wrong with a ladder.
///
/// # Errors
/// In words.
pub fn check_steps(steps: &[Step]) -> Result<(), String> {
    if steps.len() > STEPS_MAX {
        return Err(format!("has {} `steps`, {STEPS_MAX} at most", steps.len()));
    }
    let mut before_ms = 0;
    for (nth, step) in steps.iter().enumerate() {
        if millis(step.after) <= before_ms || step.after > WAIT_MAX {
            let than = if nth == 0 { "0s" } else { "the step before" };
            return Err(format!("`steps[{nth}].after` must be longer than {than} and at most 90d"));
        }
        before_ms = millis(step.after);
    }
    Ok(())
}

/// How long after the step before a step is due; the first, after people were told.
pub(super) fn gap_ms(steps: &[Step], nth: usize) -> i64 {
    let after_ms = |nth: usize| steps.get(nth).map_or(0, |step| millis(step.after));
    let before_ms = nth.checked_sub(1).map_or(0, after_ms);
    // At least something, also of a ladder that nobody has checked: a step must not fall due for ever.
    after_ms(nth).saturating_sub(before_ms).max(1)
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
