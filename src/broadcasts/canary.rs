//! First a few groups, then the rest: whom a broadcast tries first, and what makes it stop by itself. Layer: pure core.
//!
//! A stop needs more than bad luck. What is seen after the sends is compared with the same groups' own past: the count of
//! a past of known length foretells that of the time after (negative binomial, Jeffreys' prior), and as many or more must
//! come by chance in fewer than one of a hundred trials.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::coverage::{Covered, Extent};
use super::schedule::share_of;
use crate::event::ShopId;

/// Whom a broadcast tries first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Canary {
    /// The groups of these shops; a share of all groups when empty.
    #[schema(value_type = Vec<String>)]
    pub shops: BTreeSet<ShopId>,
    /// How large that share is, in percent; at least one group.
    #[schema(minimum = 1, maximum = 50)]
    pub percent: u8,
    /// How long they are watched after the last of them was sent to.
    #[serde(with = "crate::units::duration")]
    #[schema(value_type = String, default = "30m", example = "30m")]
    pub wait: Duration,
    /// It stops when more of their sends than this fail, in percent.
    #[schema(maximum = 100)]
    pub failed_percent_max: u8,
    /// It stops when members leave or complain more than they did before.
    pub watches_members: bool,
}

impl Default for Canary {
    fn default() -> Self {
        Self {
            shops: BTreeSet::new(),
            percent: 1,
            wait: Duration::from_mins(30),
            failed_percent_max: 5,
            watches_members: true,
        }
    }
}

/// A canary makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanaryError {
    /// Not a share to try first.
    #[error("percent: write 1 to 50")]
    Percent,
    /// More than all.
    #[error("failed_percent_max: write 0 to 100")]
    Failed,
    /// Too short to see anything, or too long to be of use.
    #[error("wait: write 1m to 7d")]
    Wait,
}

impl Canary {
    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> Result<(), CanaryError> {
        if !(1..=50).contains(&self.percent) {
            Err(CanaryError::Percent)
        } else if self.failed_percent_max > 100 {
            Err(CanaryError::Failed)
        } else if !(Duration::from_mins(1)..=Duration::from_hours(7 * 24)).contains(&self.wait) {
            Err(CanaryError::Wait)
        } else {
            Ok(())
        }
    }

    /// Says whether a target is one of the first.
    pub(super) fn holds(&self, target: u32, shop: Option<&ShopId>) -> bool {
        if self.shops.is_empty() {
            share_of(target) * 100.0 < f64::from(self.percent)
        } else {
            shop.is_some_and(|shop| self.shops.contains(shop))
        }
    }
}

/// How a canary goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Where it stands.
    pub phase: Phase,
    /// When its first target could leave.
    pub began_ms: i64,
    /// When the last of its targets had its result.
    pub sent_ms: i64,
    /// How many groups it tries.
    pub targets: u64,
    /// What was known of them before.
    pub before: Before,
    /// What was seen since.
    pub seen: Seen,
    /// Why it stopped or went on, in words.
    pub why: Vec<String>,
}

/// Where a canary stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing of it was sent.
    #[default]
    Waiting,
    /// Its groups are being sent to.
    Sending,
    /// Its groups are being watched.
    Watching,
    /// The rest follows.
    Passed,
    /// The rest waits for a person.
    Stopped,
}

/// The past of the groups that are tried first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Before {
    /// How long it was, in hours: 14 days, or what is known of a group, on average.
    pub hours: u32,
    /// Members who left in it; null where the platform does not tell.
    pub leaves: Option<u64>,
    /// Complaints in it: hits of the lists that are watched; null where the platform shows no messages.
    pub complaints: Option<u64>,
    /// Members who left in the hour in which the trial began.
    pub leaves_in_hour: u64,
}

/// What was seen since the sends began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Seen {
    /// Targets that arrived.
    pub sent: u64,
    /// Targets that the platform refused, or nobody knows of.
    pub failed: u64,
    /// Members who left; null where the platform does not tell.
    pub leaves: Option<u64>,
    /// Complaints; null where the platform shows no messages.
    pub complaints: Option<u64>,
    /// In how many of the groups `leaves` could be seen; null in what an older menshen wrote.
    #[serde(default)]
    pub leaves_coverage: Option<Covered>,
    /// In how many of the groups `complaints` could be seen; null in what an older menshen wrote.
    #[serde(default)]
    pub complaints_coverage: Option<Covered>,
    /// For how long, in seconds.
    pub seconds: u64,
}

/// Fewer than so many leaves or complaints are never a reason to stop.
const EVENTS_MIN: u64 = 3;

/// Fewer results than this say nothing of how many fail, unless there will be no more.
const RESULTS_MIN: u64 = 10;

/// Chance of as many by accident below which it stops.
const CHANCE_MAX: f64 = 0.01;

/// Returns why it should stop; empty when it may go on. `all_sent` says that every result is in. What cannot be seen is
/// no reason either way.
pub(super) fn reasons_to_stop(canary: &Canary, before: &Before, seen: &Seen, all_sent: bool) -> Vec<String> {
    let mut reasons = Vec::new();
    let results = seen.sent + seen.failed;
    let (failed, max) = (seen.failed, u64::from(canary.failed_percent_max));
    if failed * 100 > max * results && (all_sent || results >= RESULTS_MIN) {
        reasons.push(format!(
            "{results} 个试发结果中有 {failed} 个失败，超过 {max}% · {failed} of {results} sends failed, more than {max} %"
        ));
    }
    if canary.watches_members {
        let watched = [
            ("退群", "members left", before.leaves, seen.leaves),
            ("投诉", "complaints came", before.complaints, seen.complaints),
        ];
        for (chinese, english, past, now) in watched {
            let (Some(past), Some(now)) = (past, now) else { continue };
            let hours = seconds_as_hours(seen.seconds);
            let expected = expected(past, before.hours, hours);
            if now >= EVENTS_MIN && chance_of(now, past, before.hours, hours) < CHANCE_MAX {
                reasons.push(format!(
                    "{hours:.1} 小时内{chinese} {now} 次，这些群平时约 {expected:.1} 次 · \
                     {now} {english} in {hours:.1} hours, {expected:.1} would be usual for these groups"
                ));
            }
        }
    }
    reasons
}

/// Says why it goes on: what was seen, none of it unusual.
pub(super) fn passed(seen: &Seen) -> String {
    let Seen { sent, failed, leaves, complaints, .. } = seen;
    let mut zh = vec![format!("试发 {sent} 个群成功、{failed} 个失败")];
    let mut en = vec![format!("{sent} sent"), format!("{failed} failed")];
    for (chinese, english, number) in [("退群", "left", leaves), ("投诉", "complained", complaints)] {
        if let Some(number) = number {
            zh.push(format!("{chinese} {number} 次"));
            en.push(format!("{number} {english}"));
        }
    }
    format!("{}，均属平常 · {}: nothing unusual", zh.join("，"), en.join(", "))
}

/// Says what could not be seen, or not in all groups: neither a stop nor a going on says anything of it.
pub(super) fn unseen(canary: &Canary, seen: &Seen) -> Vec<String> {
    if !canary.watches_members {
        return Vec::new();
    }
    let watched = [
        ("退群", "leaves", "进出", "does not tell who leaves", seen.leaves_coverage),
        ("投诉", "complaints", "消息", "shows no messages", seen.complaints_coverage),
    ];
    let note = |(zh, en, zh_what, en_what, covered): (_, _, _, _, Option<Covered>)| {
        let Covered { coverage, groups, of, .. } = covered?;
        match coverage {
            Extent::Full => None,
            Extent::Partial => Some(format!(
                "只有 {groups}/{of} 个群能看到{zh_what}，{zh}只按这些群判断 · {en} could be seen in {groups} of {of} groups only"
            )),
            Extent::Unavailable => Some(format!(
                "平台不提供这些群的{zh_what}，看不到{zh}，未据此判断 · {en} could not be seen: the platform {en_what}"
            )),
        }
    };
    watched.into_iter().filter_map(note).collect()
}

fn seconds_as_hours(seconds: u64) -> f64 {
    Duration::from_secs(seconds).as_secs_f64() / 3600.0
}

/// Returns how many are to be expected in some hours after a past.
fn expected(past: u64, past_hours: u32, hours: f64) -> f64 {
    (count(past) + 0.5) * hours / f64::from(past_hours.max(1))
}

/// Returns the chance of `now` or more in `hours`, when there were `past` in `past_hours`.
fn chance_of(now: u64, past: u64, past_hours: u32, hours: f64) -> f64 {
    let (r, length) = (count(past) + 0.5, f64::from(past_hours.max(1)));
    let (stays, comes) = (length / (length + hours), hours / (length + hours));
    // The chance of exactly none, one, two, …; in logarithms, since a long past makes the first one tiny.
    let mut log = r * stays.ln();
    let mut below = 0.0;
    for already in 0..now {
        below += log.exp();
        log += ((r + count(already)) / (count(already) + 1.0) * comes).ln();
    }
    (1.0 - below).max(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts of people")]
fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(sent: u64, failed: u64, leaves: u64, complaints: u64) -> Seen {
        let (leaves, complaints) = (Some(leaves), Some(complaints));
        Seen { sent, failed, leaves, complaints, seconds: 1800, ..Seen::default() }
    }

    const BEFORE: Before = Before { hours: 336, leaves: Some(672), complaints: Some(10), leaves_in_hour: 0 };

    #[test]
    fn chances_are_those_of_the_tables() {
        // A long past: Poisson. P(X >= 4 | 1) = 0.018988, P(X >= 5 | 1) = 0.003660 (any table of it).
        for (now, expect) in [(0, 1.0), (1, 0.632_121), (4, 0.018_988), (5, 0.003_660)] {
            let found = chance_of(now, 1_000_000, 1_000_000, 1.0);
            assert!((found - expect).abs() < 1e-5, "{now}: {found}");
        }
        // One event in one hour foretells the next hour badly: NB(1.5, 1/2), P(X >= 2) = 1 - (1 + 0.75) / 2^1.5.
        let found = chance_of(2, 1, 1, 1.0);
        assert!((found - (1.0 - 1.75 / 2.0_f64.powf(1.5))).abs() < 1e-12, "{found}");
    }

    #[test]
    fn it_stops_for_refusals_leaves_and_complaints_and_says_why() {
        let canary = Canary::default();
        let reasons = |seen: Seen, all| reasons_to_stop(&canary, &BEFORE, &seen, all);
        assert!(
            reasons(seen(95, 5, 2, 1), true).is_empty(),
            "five percent is what it may be, two leaves are usual"
        );
        assert!(reasons(seen(94, 6, 0, 0), true)[0].contains("6 of 100 sends failed"));
        assert!(reasons(seen(5, 4, 0, 0), false).is_empty(), "too early to say");
        assert!(reasons(seen(6, 4, 0, 0), false)[0].contains("4 of 10"), "it does not wait for the others");
        assert!(
            reasons(seen(100, 0, 6, 0), true)[0].contains("6 members left in 0.5 hours, 1.0 would be usual")
        );
        assert_eq!(reasons(seen(90, 10, 9, 9), true).len(), 3);
        let blind = Canary { watches_members: false, ..canary.clone() };
        assert!(reasons_to_stop(&blind, &BEFORE, &seen(100, 0, 60, 60), true).is_empty());
        let quiet = Before { leaves: Some(0), complaints: Some(0), ..BEFORE };
        assert!(reasons_to_stop(&canary, &quiet, &seen(100, 0, 2, 0), true).is_empty(), "two are no pattern");
        assert_eq!(reasons_to_stop(&canary, &quiet, &seen(100, 0, 3, 0), true).len(), 1);
    }

    #[test]
    fn what_cannot_be_seen_neither_stops_it_nor_counts_as_nothing() {
        let canary = Canary::default();
        let unavailable = Some(Covered::new(0, 100));
        let blind = Seen { complaints: None, complaints_coverage: unavailable, ..seen(100, 0, 1, 0) };
        let before = Before { complaints: None, ..BEFORE };
        assert!(reasons_to_stop(&canary, &before, &blind, true).is_empty());
        let words = passed(&blind);
        assert!(words.contains("1 left: nothing unusual") && !words.contains("complained"), "{words}");
        let notes = unseen(&canary, &blind);
        assert!(notes[0].contains("complaints could not be seen") && notes.len() == 1, "{notes:?}");
        // What can be seen is judged as ever.
        let left = Seen { leaves: Some(9), ..blind };
        assert_eq!(reasons_to_stop(&canary, &before, &left, true).len(), 1);
        let some = Seen { complaints: Some(0), complaints_coverage: Some(Covered::new(40, 100)), ..blind };
        assert!(unseen(&canary, &some)[0].contains("in 40 of 100 groups only"));
        let deaf = Seen { leaves: None, leaves_coverage: unavailable, ..blind };
        assert_eq!(unseen(&canary, &deaf).len(), 2);
        assert!(passed(&deaf).contains("100 sent, 0 failed: nothing unusual"));
        let unwatched = Canary { watches_members: false, ..canary };
        assert!(unseen(&unwatched, &deaf).is_empty(), "nobody asked");
    }

    #[test]
    fn what_an_older_menshen_wrote_is_read() {
        let old = r#"{"sent": 9, "failed": 1, "leaves": 2, "complaints": 0, "seconds": 60}"#;
        let seen: Seen = serde_json::from_str(old).unwrap();
        assert_eq!((seen.leaves, seen.complaints, seen.complaints_coverage), (Some(2), Some(0), None));
        let old = r#"{"hours": 336, "leaves": 14, "complaints": 0, "leaves_in_hour": 1}"#;
        assert_eq!(serde_json::from_str::<Before>(old).unwrap().leaves, Some(14));
    }

    #[test]
    fn the_first_are_a_share_of_all_or_the_named_shops() {
        let of_all = |percent: u8| {
            let canary = Canary { percent, ..Canary::default() };
            (0..24_000).filter(|target| canary.holds(*target, None)).count()
        };
        assert!((238..=242).contains(&of_all(1)), "{}", of_all(1));
        assert!((2_395..=2_405).contains(&of_all(10)));
        assert!(Canary::default().holds(0, None), "one group at least");
        let shop = ShopId::parse("s-1").unwrap();
        let named = Canary { shops: BTreeSet::from([shop.clone()]), ..Canary::default() };
        assert!(named.holds(7, Some(&shop)) && !named.holds(0, None));
        assert!(!named.holds(0, Some(&ShopId::parse("s-2").unwrap())));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |json: &str| serde_json::from_str::<Canary>(json).unwrap().check();
        assert_eq!(check(r#"{"wait": "30m"}"#), Ok(()));
        assert_eq!(check(r#"{"percent": 0}"#), Err(CanaryError::Percent));
        assert_eq!(check(r#"{"percent": 51}"#), Err(CanaryError::Percent));
        assert_eq!(check(r#"{"failed_percent_max": 101}"#), Err(CanaryError::Failed));
        assert_eq!(check(r#"{"wait": "10s"}"#), Err(CanaryError::Wait));
        assert!(serde_json::from_str::<Canary>(r#"{"share": 1}"#).is_err());
    }
}
