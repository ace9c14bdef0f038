//! A–B copies: which group gets which text, who gets none, and what can honestly be said of the difference. Layer: pure core.
//!
//! Groups are assigned one by one, so a group is what is counted: a difference is one between means over groups, with
//! Welch's interval. Nobody is asked twice: the same group of the same broadcast always gets the same text.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::{BroadcastId, GroupName};

/// A copy beside the broadcast's own text, which is the first one and gets the share that is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// For people; `a` is the broadcast's own text.
    #[schema(example = "b")]
    pub name: String,
    /// Its share of the groups, in percent.
    #[schema(minimum = 1, maximum = 99)]
    pub percent: u8,
    /// The text; may hold variables.
    pub text: String,
}

/// Copies make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariantError {
    /// Nothing is left for the first text.
    #[error(
        "the shares of variants and hold-out come to {0} %; at most 99 leave something for the text itself"
    )]
    Shares(u32),
    /// A share of nothing.
    #[error("variants/{0}/percent: write 1 to 99")]
    Percent(usize),
    /// Names tell them apart.
    #[error(
        "variants/{0}/name: write a name of its own of 1 to 32 characters, not `a`, which is the text itself, nor `hold_out`"
    )]
    Name(usize),
    /// Too many.
    #[error("{0} variants; at most {VARIANTS_MAX} can be told apart")]
    TooMany(usize),
}

/// Copies of one broadcast.
const VARIANTS_MAX: usize = 8;

/// The broadcast's own text.
pub const FIRST: &str = "a";

/// The name of those who get nothing.
pub const HOLD_OUT: &str = "hold_out";

/// What a group gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arm {
    /// The broadcast's own text.
    First,
    /// The copy at this place.
    Copy(usize),
    /// Nothing, to compare with.
    HoldOut,
}

/// Refuses copies that make no sense.
pub(super) fn check(variants: &[Variant], hold_out_percent: u8) -> Result<(), VariantError> {
    if variants.len() > VARIANTS_MAX {
        return Err(VariantError::TooMany(variants.len()));
    }
    for (at, variant) in variants.iter().enumerate() {
        if !(1..=99).contains(&variant.percent) {
            return Err(VariantError::Percent(at));
        }
        let name = variant.name.as_str();
        let taken =
            variants.iter().take(at).any(|other| other.name == name) || [FIRST, HOLD_OUT].contains(&name);
        if taken || !(1..=32).contains(&name.chars().count()) {
            return Err(VariantError::Name(at));
        }
    }
    let shares = variants.iter().map(|v| u32::from(v.percent)).sum::<u32>() + u32::from(hold_out_percent);
    if shares > 99 { Err(VariantError::Shares(shares)) } else { Ok(()) }
}

/// Returns what a group gets: by the hash of its name and the broadcast's, so that two broadcasts divide groups differently.
pub(super) fn arm_of(
    broadcast: &BroadcastId,
    group: &GroupName,
    variants: &[Variant],
    hold_out_percent: u8,
) -> Arm {
    if variants.is_empty() && hold_out_percent == 0 {
        return Arm::First;
    }
    let digest =
        Sha256::new().chain_update(broadcast.as_str()).chain_update([0]).chain_update(group.to_string());
    let [a, b, c, d, ..] = *digest.finalize().first_chunk::<8>().expect("a digest has 32 bytes");
    let mut place = u64::from(u32::from_be_bytes([a, b, c, d])) * 100;
    let mut takes = |percent: u8| {
        let share = u64::from(percent) << 32;
        let taken = place < share;
        place = place.saturating_sub(share);
        taken
    };
    if takes(hold_out_percent) {
        return Arm::HoldOut;
    }
    variants.iter().position(|variant| takes(variant.percent)).map_or(Arm::First, Arm::Copy)
}

/// What was counted for each group of an arm, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Groups.
    pub groups: u64,
    /// Sum over groups.
    pub sum: f64,
    /// Sum of squares.
    pub squares: f64,
}

impl Sample {
    /// Puts one group in.
    pub fn add(&mut self, value: f64) {
        self.groups += 1;
        self.sum += value;
        self.squares += value * value;
    }

    /// Returns the mean over groups.
    pub fn mean(&self) -> Option<f64> {
        (self.groups > 0).then(|| self.sum / size(self.groups))
    }

    /// Returns the square of the mean's standard error.
    fn error_squared(&self) -> Option<f64> {
        let n = size(self.groups);
        let mean = self.mean()?;
        (self.groups > 1).then(|| ((self.squares - n * mean * mean) / (n - 1.0)).max(0.0) / n)
    }
}

/// A difference of means over groups, with the interval that holds the true one in 95 of 100 such comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Difference {
    /// This arm's mean less the other's.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Fewer groups in an arm say nothing that an interval by the normal distribution could express.
const ARM_GROUPS_MIN: u64 = 30;

/// The normal distribution's 97.5th percentile.
const TWO_SIDED_95: f64 = 1.959_964;

/// Compares two arms; `None` with fewer than 30 groups groups in either.
pub fn difference(arm: &Sample, other: &Sample) -> Option<Difference> {
    if arm.groups.min(other.groups) < ARM_GROUPS_MIN {
        return None;
    }
    let mean = arm.mean()? - other.mean()?;
    let half = TWO_SIDED_95 * (arm.error_squared()? + other.error_squared()?).sqrt();
    Some(Difference { mean, low: mean - half, high: mean + half })
}

/// Compares each group with itself: `changes` are its number less what is usual for it. `None` with fewer than 30 groups.
pub fn change(changes: &Sample) -> Option<Difference> {
    if changes.groups < ARM_GROUPS_MIN {
        return None;
    }
    let mean = changes.mean()?;
    let half = TWO_SIDED_95 * changes.error_squared()?.sqrt();
    Some(Difference { mean, low: mean - half, high: mean + half })
}

#[expect(clippy::cast_precision_loss, reason = "counts of groups")]
fn size(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{AccountId, GroupId};

    fn variant(name: &str, percent: u8) -> Variant {
        Variant { name: name.into(), percent, text: "新品上架".into() }
    }

    fn group(n: u32) -> GroupName {
        GroupName {
            account: AccountId::parse("demo").unwrap(),
            group: GroupId::parse(&format!("g-{n}")).unwrap(),
        }
    }

    fn broadcast(n: u32) -> BroadcastId {
        BroadcastId::parse(&format!("bc_{n}")).unwrap()
    }

    #[test]
    fn shares_are_kept_and_a_group_keeps_its_arm() {
        let variants = [variant("b", 30), variant("c", 20)];
        let arms: Vec<_> = (0..20_000).map(|n| arm_of(&broadcast(1), &group(n), &variants, 10)).collect();
        let share = |arm: Arm| arms.iter().filter(|found| **found == arm).count();
        for (arm, expect) in
            [(Arm::First, 8_000), (Arm::Copy(0), 6_000), (Arm::Copy(1), 4_000), (Arm::HoldOut, 2_000)]
        {
            // Four standard deviations of a fair draw of 20,000.
            assert!(share(arm).abs_diff(expect) < 280, "{arm:?}: {}", share(arm));
        }
        assert_eq!(arms[7], arm_of(&broadcast(1), &group(7), &variants, 10));
        // Another broadcast divides them anew: of those without a text last time a tenth are again.
        let again = (0..20_000).filter(|n| {
            arms[*n as usize] == Arm::HoldOut
                && arm_of(&broadcast(2), &group(*n), &variants, 10) == Arm::HoldOut
        });
        assert!((140..=260).contains(&again.count()));
        assert_eq!(arm_of(&broadcast(1), &group(1), &[], 0), Arm::First);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_field() {
        assert_eq!(check(&[variant("b", 50)], 49), Ok(()));
        assert_eq!(check(&[variant("b", 50)], 50), Err(VariantError::Shares(100)));
        assert_eq!(check(&[variant("b", 0)], 0), Err(VariantError::Percent(0)));
        for name in ["a", "hold_out", ""] {
            assert_eq!(check(&[variant(name, 10)], 0), Err(VariantError::Name(0)), "{name}");
        }
        assert_eq!(check(&[variant("b", 10), variant("b", 10)], 0), Err(VariantError::Name(1)));
        let many: Vec<_> = (0..9).map(|n| variant(&format!("v{n}"), 5)).collect();
        assert_eq!(check(&many, 0), Err(VariantError::TooMany(9)));
    }

    #[test]
    fn an_interval_is_that_of_welch() {
        // By hand: a = 40 values 0,1,2,3 ten times each, b = 30 values 1,2,3 ten times each.
        let (mut a, mut b) = (Sample::default(), Sample::default());
        (0..40).for_each(|n| a.add(f64::from(n % 4)));
        (0..30).for_each(|n| b.add(f64::from(n % 3 + 1)));
        let found = difference(&a, &b).unwrap();
        let error = (1.282_051_f64 / 40.0 + 0.689_655 / 30.0).sqrt();
        assert!((found.mean + 0.5).abs() < 1e-12);
        assert!((found.high - found.low - 2.0 * 1.959_964 * error).abs() < 1e-5, "{found:?}");
        let few = Sample { groups: 29, sum: 10.0, squares: 20.0 };
        assert_eq!(difference(&a, &few), None, "29 groups are no sample");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        /// Two arms of the same stuff differ by nothing in about 95 of 100 draws; the seed decides which.
        #[test]
        fn no_difference_is_found_where_there_is_none(seed in any::<u64>()) {
            let mut chance = crate::outbox::retry::Chance::new(seed);
            let misses = (0..200).filter(|_| {
                let (mut a, mut b) = (Sample::default(), Sample::default());
                for n in 0..200 {
                    let value = f64::from(u8::from(chance.draw() < 0.1));
                    if n % 2 == 0 { a.add(value) } else { b.add(value) }
                }
                let found = difference(&a, &b).expect("a hundred groups each");
                found.low > 0.0 || found.high < 0.0
            });
            prop_assert!(misses.count() <= 30);
        }
    }
}
