//! What is usual (平时) at this hour of the week, and what is not: for alerts that have no fixed threshold.
//!
//! Counts are compared as 2√(n + 3/8) (Anscombe): on that scale a count that comes by chance alone (Poisson) strays by about
//! 1 whatever its size, so one measure of unrest serves quiet and busy hours alike. Expected is the median of earlier weeks,
//! the unrest their median deviation, never taken for less than chance. Where the same hour is known of too few weeks, all
//! hours of the series stand in; where these are too few, other groups like it.
//!
//! Not for: counts below the usual (a dead group has a rule of its own), nor for gathering the counts: hours that were not
//! covered are `None`, never 0.
//!
//! Invariants: the order of weeks does not matter; more is never less unusual; below [`OBSERVED_MIN`] and within the range
//! that is called usual nothing is unusual; half of the weeks less one may be freaks. Layer: pure core.

#[cfg(test)]
mod tests;
mod text;

use serde::{Deserialize, Serialize};

pub use text::{Counted, Unusual};
pub(super) use text::{minutes_en, minutes_zh};

/// Never unusual below it, whatever is usual.
pub const OBSERVED_MIN: u64 = 5;
/// Weeks in which an hour must have been covered to speak for itself; one of them may be a freak.
pub const WEEKS_MIN: usize = 4;
/// Covered hours of a series that speak for it while the weeks are too few: three days.
pub const HOURS_MIN: usize = 72;
/// Groups that speak for another.
pub const PEERS_MIN: usize = 10;

/// How far the range reaches that is called usual, in standard deviations.
const USUAL_Z: f64 = 2.0;
/// The mean of a Poisson count lies up to so much above its median.
const MEDIAN_BELOW_MEAN: f64 = 2.0 / 3.0;
/// Makes a median deviation a standard deviation.
const DEVIATION: f64 = 1.482_6;
/// What stands for the whole where hours or groups of all sorts are thrown together: nine of ten stay within it.
const BUSY: (usize, usize) = (9, 10);
/// Their unrest: the shape of a day cannot be told from it.
const BUSY_SPREAD: f64 = 1.5;

/// How soon a count is called unusual. Of a steady stream by chance alone, per look: with `low` fewer than 1 in 100,000, with
/// `normal` than 1 in 10,000, with `high` than 1 in 500. A stream whose rate itself wanders by 40 % from week to week: with
/// `normal` fewer than 1 in 50 while it rests on four weeks only.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertSensitivity)]
pub enum Sensitivity {
    /// Only what nobody could overlook.
    Low,
    /// What people would want to be told.
    #[default]
    Normal,
    /// Rather once too often.
    High,
}

impl Sensitivity {
    /// In standard deviations.
    fn z(self) -> f64 {
        match self {
            Sensitivity::Low => 5.0,
            Sensitivity::Normal => 3.5,
            Sensitivity::High => 2.5,
        }
    }

    /// Never unusual below so many times what is expected: chance is tiny beside a large count.
    fn ratio(self) -> f64 {
        match self {
            Sensitivity::Low => 2.5,
            Sensitivity::Normal => 2.0,
            Sensitivity::High => 1.5,
        }
    }
}

/// The same hour of the same weekday in an earlier week, with the hours around it. `None` where it was not covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Week {
    /// The hour before.
    pub before: Option<u64>,
    /// The hour itself.
    pub same: Option<u64>,
    /// The hour after.
    pub after: Option<u64>,
}

/// All that is known from earlier, as counts by whole hours. What is not known is empty. All is read, so the caller bounds it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Past<'a> {
    /// Earlier weeks, in any order.
    pub weeks: &'a [Week],
    /// Whatever hours of the same series.
    pub hours: &'a [Option<u64>],
    /// Other groups of the same kind and size: one count each, of the same hour of the week.
    pub peers: &'a [Option<u64>],
}

/// What a range rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "basis")]
pub enum Basis {
    /// The same hour of earlier weeks.
    SameHour {
        /// In which it was covered.
        weeks: usize,
        /// Of so many.
        of: usize,
    },
    /// All hours of the series: the weeks are too few.
    AnyHour {
        /// How many.
        hours: usize,
    },
    /// Other groups like it: its own past is too short.
    Peers {
        /// How many.
        groups: usize,
    },
}

/// What is usual within a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// What it rests on.
    #[serde(flatten)]
    pub basis: Basis,
    /// Length of the window in minutes.
    pub window_min: u32,
    /// Expected in a window: an upper estimate.
    pub expected: f64,
    /// How much more restless than chance alone, at least 1; the uncertainty of few weeks is in it.
    pub spread: f64,
    /// The least that is usual.
    pub low: u64,
    /// The most that is usual.
    pub high: u64,
}

impl Usual {
    /// Works out what is usual in a window of so many minutes; `None` where too little is known to say anything.
    pub fn of(past: &Past<'_>, window_min: u32) -> Option<Self> {
        let share = f64::from(window_min) / 60.0;
        let (basis, hourly, spread) = same_hour(past.weeks)
            .or_else(|| of_all(past.hours, HOURS_MIN, |hours| Basis::AnyHour { hours }))
            .or_else(|| of_all(past.peers, PEERS_MIN, |groups| Basis::Peers { groups }))?;
        // Short numbers: people see them, and JSON gives them back as they were.
        let (expected, spread) = (thousandths(hourly * share), thousandths(spread));
        let low = below(expected, USUAL_Z * spread).ceil();
        let high = above(expected, USUAL_Z * spread).floor();
        Some(Self { basis, window_min, expected, spread, low: count(low), high: count(high) })
    }

    /// Returns the least count that is unusual.
    pub fn unusual_from(&self, sensitivity: Sensitivity) -> u64 {
        let by_chance = above(self.expected, sensitivity.z() * self.spread).floor() + 1.0;
        let by_ratio = (self.expected * sensitivity.ratio()).ceil();
        count(by_chance.max(by_ratio)).max(self.high.saturating_add(1)).max(OBSERVED_MIN)
    }

    /// Returns how far a count of such a window lies above what is expected, in standard deviations.
    pub fn strays(&self, observed: u64) -> f64 {
        (even(from_count(observed)) - even(self.expected)) / self.spread
    }

    /// Says whether a count of such a window is unusual.
    pub fn is_unusual(&self, observed: u64, sensitivity: Sensitivity) -> bool {
        observed >= self.unusual_from(sensitivity)
    }
}

/// Expected in an hour, and the spread, by the same hour of earlier weeks.
fn same_hour(weeks: &[Week]) -> Option<(Basis, f64, f64)> {
    let same = Column::of(weeks.iter().map(|week| week.same))?;
    let before = Column::of(weeks.iter().map(|week| week.before));
    let after = Column::of(weeks.iter().map(|week| week.after));
    let around = |column: &Option<Column>| column.as_ref().map_or(same.median, |column| column.median);
    // What comes at ten this week came at eleven the other: the hours around may raise what is expected, never lower it, so
    // that a peak is not levelled.
    let levelled = (around(&before) + 2.0 * same.median + around(&after)) / 4.0;
    let expected = same.median.max(levelled) + MEDIAN_BELOW_MEAN;

    let mut deviations: Vec<f64> = [Some(&same), before.as_ref(), after.as_ref()]
        .into_iter()
        .flatten()
        .flat_map(Column::deviations)
        .collect();
    deviations.sort_by(f64::total_cmp);
    let known = same.sorted.len();
    let weeks_known = from_count(known as u64);
    // Few values lie closer to their own median than to the true one, and the median of few is not exact itself.
    let unrest = (DEVIATION * median(&deviations) * weeks_known / (weeks_known - 0.8)).max(1.0);
    let spread = unrest * (1.0 + std::f64::consts::FRAC_PI_2 / weeks_known).sqrt();
    Some((Basis::SameHour { weeks: known, of: weeks.len() }, expected, spread))
}

/// The same by hours or groups of all sorts.
fn of_all(counts: &[Option<u64>], least: usize, basis: fn(usize) -> Basis) -> Option<(Basis, f64, f64)> {
    let mut known: Vec<u64> = counts.iter().copied().flatten().collect();
    if known.len() < least {
        return None;
    }
    known.sort_unstable();
    let (of, parts) = BUSY;
    let busy = known.get((known.len() * of).div_ceil(parts).saturating_sub(1))?;
    Some((basis(known.len()), from_count(*busy) + MEDIAN_BELOW_MEAN, BUSY_SPREAD))
}

/// One hour over the weeks in which it was covered.
struct Column {
    sorted: Vec<f64>,
    median: f64,
}

impl Column {
    /// `None` if it was covered in too few: one freak would rule it.
    fn of(counts: impl Iterator<Item = Option<u64>>) -> Option<Self> {
        let mut sorted: Vec<f64> = counts.flatten().map(from_count).collect();
        if sorted.len() < WEEKS_MIN {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        let median = median(&sorted);
        Some(Self { sorted, median })
    }

    /// How far each week lies from the median, on the even scale.
    fn deviations(&self) -> impl Iterator<Item = f64> {
        self.sorted.iter().map(|count| (even(*count) - even(self.median)).abs())
    }
}

/// Returns the middle of sorted values; 0 of none.
fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match (sorted.get(half.wrapping_sub(1)), sorted.get(half)) {
        (Some(left), Some(right)) if sorted.len().is_multiple_of(2) => f64::midpoint(*left, *right),
        (_, Some(middle)) => *middle,
        (_, None) => 0.0,
    }
}

/// The scale on which chance is the same everywhere.
fn even(count: f64) -> f64 {
    2.0 * (count + 0.375).sqrt()
}

fn above(expected: f64, by: f64) -> f64 {
    f64::midpoint(even(expected), by).powi(2) - 0.375
}

fn below(expected: f64, by: f64) -> f64 {
    (((even(expected) - by) / 2.0).max(0.0).powi(2) - 0.375).max(0.0)
}

fn thousandths(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// Four thousand million in an hour are as many as any more.
fn from_count(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and never below 0; `as` stops at the ends"
)]
fn count(whole: f64) -> u64 {
    whole as u64
}
