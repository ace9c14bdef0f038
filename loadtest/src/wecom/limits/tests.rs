//! Windows, penalties and the audit.

use proptest::prelude::*;

use super::*;

fn limits(windows: Windows) -> Limits {
    Limits::new(LimitConfig { windows, ..LimitConfig::default() })
}

const RULES: [Rule; 2] = [Rule::per_minute(3), Rule::per_hour(5)];
const T: u64 = 1_767_225_600_000;

#[test]
fn going_over_a_minute_limit_blocks_for_sixty_seconds_from_then() {
    let mut limits = limits(Windows::Sliding);
    for at in [0, 10_000, 20_000] {
        assert_eq!(limits.charge("corp", "a", &RULES, 1, T + at), Ok(()));
    }
    let until_ms = T + 30_000 + 60_000;
    let over = Exceeded { period: Period::Minute, until_ms, was_blocked: false };
    assert_eq!(limits.charge("corp", "a", &RULES, 1, T + 30_000), Err(over));
    // The window alone would have let this one through; the penalty does not.
    let blocked = Exceeded { was_blocked: true, ..over };
    assert_eq!(limits.charge("corp", "a", &RULES, 1, T + 85_000), Err(blocked));
    assert_eq!(limits.charge("corp", "b", &RULES, 1, T + 85_000), Ok(()));
    assert_eq!(limits.charge("corp", "a", &RULES, 1, until_ms), Ok(()));
    let report = limits.report();
    assert_eq!((report.exceeded, report.while_blocked), (1, 1));
    assert!(!report.is_kept(), "{report:?}");
}

#[test]
fn going_over_an_hour_limit_blocks_for_an_hour() {
    let mut limits = limits(Windows::Sliding);
    for minute in 0..5 {
        assert_eq!(limits.charge("corp", "a", &RULES, 1, T + minute * 61_000), Ok(()));
    }
    let now = T + 400_000;
    let over = limits.charge("corp", "a", &RULES, 1, now).expect_err("the sixth");
    assert_eq!((over.period, over.until_ms), (Period::Hour, now + 3_600_000));
}

#[test]
fn a_day_limit_blocks_until_midnight_in_china() {
    let mut limits = limits(Windows::Sliding);
    let rules = [Rule::per_day(1)];
    assert_eq!(limits.charge("corp", "a", &rules, 1, T), Ok(()));
    let over = limits.charge("corp", "a", &rules, 1, T + 1).expect_err("the second");
    // T is 08:00 in China.
    assert_eq!(over.until_ms, T + 16 * 3_600_000);
    assert_eq!(limits.charge("corp", "a", &rules, 1, over.until_ms), Ok(()));
}

#[test]
fn fixed_windows_allow_twice_the_count_around_their_border() {
    let rules = [Rule::per_minute(2)];
    for (windows, expected) in [(Windows::Fixed, 4), (Windows::Sliding, 2)] {
        let mut limits = limits(windows);
        let taken = [59_000, 59_500, 60_000, 60_500]
            .into_iter()
            .filter(|at| limits.fits("k", "s", &rules, 1, T + at))
            .count();
        assert_eq!(taken, expected, "{windows:?}");
    }
}

#[test]
fn what_somebody_else_ate_is_enforced_but_held_against_no_caller() {
    let mut limits = limits(Windows::Sliding);
    limits.eat("corp", "a", &RULES, 3, T);
    assert!(limits.charge("corp", "a", &RULES, 1, T + 1).is_err());
    assert!(limits.report().is_kept());
}

#[test]
fn costs_are_taken_whole_or_not_at_all_and_counts_can_be_scaled() {
    let config = LimitConfig { scale: 0.001, ..LimitConfig::default() };
    let mut limits = Limits::new(config);
    assert!(limits.fits("corp", "a", &PER_CORP, 7, T));
    assert!(!limits.fits("corp", "a", &PER_CORP, 4, T));
    assert!(limits.fits("corp", "a", &PER_CORP, 3, T));
}

proptest! {
    /// Whoever asks in whatever rhythm: what got through keeps the limit, and nothing gets through a penalty.
    #[test]
    fn what_gets_through_keeps_every_limit_and_no_penalty_is_cut_short(
        gaps in prop::collection::vec(0_u64..40_000, 1..120),
        counts in (1_u64..6, 3_u64..20),
    ) {
        let rules = [Rule::per_minute(counts.0), Rule::per_hour(counts.1)];
        let mut limits = limits(Windows::Sliding);
        let (mut now_ms, mut blocked_until_ms, mut accepted) = (T, 0, Vec::new());
        for gap in gaps {
            now_ms += gap;
            match limits.charge("k", "s", &rules, 1, now_ms) {
                Ok(()) => {
                    prop_assert!(now_ms >= blocked_until_ms);
                    accepted.push(now_ms);
                }
                Err(over) if over.was_blocked => prop_assert!(now_ms < over.until_ms),
                Err(over) => {
                    let length = over.period.length_ms();
                    let rule = rules.iter().find(|rule| rule.period == over.period).expect("one of them");
                    let inside = accepted.iter().filter(|&&then| now_ms - then < length).count();
                    prop_assert_eq!(inside as u64, rule.count, "refused only when full");
                    prop_assert_eq!(over.until_ms, now_ms + length);
                    blocked_until_ms = over.until_ms;
                }
            }
        }
        for rule in rules {
            let count = usize::try_from(rule.count).expect("small");
            for pair in accepted.windows(count + 1) {
                prop_assert!(pair[count] - pair[0] >= rule.period.length_ms());
            }
        }
    }
}
