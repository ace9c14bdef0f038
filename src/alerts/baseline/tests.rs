//! Properties over any past, and simulated weeks with a fixed seed.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ALL: [Sensitivity; 3] = [Sensitivity::Low, Sensitivity::Normal, Sensitivity::High];

fn week(count: u64) -> Week {
    Week { before: Some(count), same: Some(count), after: Some(count) }
}

fn of_weeks(weeks: &[Week], window_min: u32) -> Option<Usual> {
    Usual::of(&Past { weeks, ..Past::default() }, window_min)
}

/// Chance that can be repeated (`SplitMix64`).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap()) / 4_294_967_296.0
    }

    /// Knuth's method, in pieces so that the product does not vanish.
    fn poisson(&mut self, mean: f64) -> u64 {
        let (mut left, mut count) = (mean, 0);
        while left > 0.0 {
            let (bound, mut product) = ((-left.min(30.0)).exp(), self.next());
            while product > bound {
                count += 1;
                product *= self.next();
            }
            left -= 30.0;
        }
        count
    }

    fn weeks(&mut self, hourly: f64, many: usize) -> Vec<Week> {
        let mut one = || Some(self.poisson(hourly));
        (0..many).map(|_| Week { before: one(), same: one(), after: one() }).collect()
    }
}

/// How many of so many looks at a stream are unusual after steady weeks, by sensitivity.
fn fired(hourly: f64, times: f64, (weeks, window_min): (usize, u32), looks: u32) -> [u32; 3] {
    let mut chance = Chance(7);
    let mean = hourly * times * f64::from(window_min) / 60.0;
    let mut fired = [0; 3];
    for _ in 0..looks {
        let usual = of_weeks(&chance.weeks(hourly, weeks), window_min).unwrap();
        let observed = chance.poisson(mean);
        for (count, sensitivity) in fired.iter_mut().zip(ALL) {
            *count += u32::from(usual.is_unusual(observed, sensitivity));
        }
    }
    fired
}

#[test]
fn a_steady_stream_seldom_fires() {
    let looks = 4_000;
    let mut all = [0; 3];
    for hourly in [0.3, 2.0, 10.0, 40.0, 150.0] {
        for at in [(4, 60), (4, 10), (8, 60)] {
            let fired = fired(hourly, 1.0, at, looks);
            assert!(fired[2] <= looks / 500, "{hourly} an hour, {at:?}: {fired:?} of {looks}");
            all = [all[0] + fired[0], all[1] + fired[1], all[2] + fired[2]];
        }
    }
    assert!(all[0] == 0 && all[1] <= 15 * looks / 10_000, "{all:?}");
}

#[test]
fn a_tripled_stream_is_found() {
    for (hourly, nth, sensitivity) in [(15.0, 2, "high"), (25.0, 1, "normal"), (60.0, 0, "low")] {
        for weeks in [4, 8] {
            let found = fired(hourly, 3.0, (weeks, 60), 500)[nth];
            assert!(found >= 450, "{sensitivity}: {hourly} an hour, {weeks} weeks: {found} of 500");
        }
    }
}

#[test]
fn a_restless_stream_is_given_its_range() {
    let (mut chance, looks) = (Chance(3), 2_000);
    let mut fired = 0;
    for _ in 0..looks {
        // Every hour has a rate of its own: 40 % above or below is common.
        let mut one = || {
            let normal = (0..12).map(|_| chance.next()).sum::<f64>() - 6.0;
            chance.poisson(100.0 * (0.4 * normal).exp())
        };
        let mut week = || Week { before: Some(one()), same: Some(one()), after: Some(one()) };
        let weeks = [week(), week(), week(), week()];
        fired += u32::from(of_weeks(&weeks, 60).unwrap().is_unusual(one(), Sensitivity::Normal));
    }
    assert!(fired <= looks / 50, "{fired} of {looks}");
}

#[test]
fn a_freak_week_does_not_hide_a_tripled_stream() {
    let mut chance = Chance(11);
    for freak in [0, 2_000, u64::MAX] {
        let mut found = 0;
        for _ in 0..500 {
            let mut weeks = chance.weeks(60.0, 4);
            weeks[1] = week(freak);
            let usual = of_weeks(&weeks, 60).unwrap();
            found += u32::from(usual.is_unusual(chance.poisson(180.0), Sensitivity::Normal));
        }
        assert!(found >= 450, "a week of {freak}: {found} of 500");
    }
}

#[test]
fn a_day_with_an_evening_peak_is_known_after_three_days_and_a_few_freak_hours_do_not_blind() {
    // Four of 24 hours are busy.
    let hours: Vec<Option<u64>> = (0..96).map(|hour| Some(if hour % 24 >= 20 { 60 } else { 8 })).collect();
    let past = |hours| Usual::of(&Past { hours, ..Past::default() }, 60);
    let usual = past(&hours).unwrap();
    assert_eq!(usual.basis, Basis::AnyHour { hours: 96 });
    assert!(!usual.is_unusual(75, Sensitivity::High) && usual.is_unusual(180, Sensitivity::Normal));
    assert_eq!(past(&hours[..71]), None, "too few hours");
    let mut calm: Vec<Option<u64>> = vec![Some(8); 96];
    calm[..9].fill(Some(5_000));
    assert!(past(&calm).unwrap().is_unusual(60, Sensitivity::Normal));
}

#[test]
fn what_is_usual_rests_on_the_best_that_is_known() {
    let (weeks, hours, peers) = ([week(2); 4], [Some(3); 72], [Some(4); 10]);
    let basis = |weeks, hours, peers| Usual::of(&Past { weeks, hours, peers }, 60).map(|usual| usual.basis);
    assert_eq!(basis(&weeks, &hours, &peers), Some(Basis::SameHour { weeks: 4, of: 4 }));
    assert_eq!(basis(&weeks[..3], &hours, &peers), Some(Basis::AnyHour { hours: 72 }));
    assert_eq!(basis(&weeks[..3], &hours[..71], &peers), Some(Basis::Peers { groups: 10 }));
    assert_eq!(basis(&weeks[..3], &hours[..71], &peers[..9]), None);
    let uncovered = [Some(week(0)), None, Some(week(0)), None, Some(week(0)), Some(week(0))];
    let uncovered = uncovered.map(Option::unwrap_or_default);
    assert_eq!(
        basis(&uncovered, &[], &[]),
        Some(Basis::SameHour { weeks: 4, of: 6 }),
        "not covered is not 0"
    );
    assert_eq!(basis(&[Week::default(); 9], &[None; 99], &[None; 99]), None);
}

#[test]
fn a_moved_peak_is_not_unusual_and_a_peak_is_not_levelled() {
    let peak = [Week { before: Some(10), same: Some(100), after: Some(10) }; 6];
    assert!(!of_weeks(&peak, 60).unwrap().is_unusual(130, Sensitivity::High));
    let beside = [Week { before: Some(100), same: Some(10), after: Some(10) }; 6];
    assert!(!of_weeks(&beside, 60).unwrap().is_unusual(45, Sensitivity::High));
}

#[test]
fn it_is_explained_in_both_languages() {
    let check = |past: Past<'_>, window_min: u32, zh: &str, en: &str| {
        let usual = Usual::of(&past, window_min).unwrap();
        let unusual = Unusual { counted: Counted::Leaves, observed: 18, usual };
        assert!(usual.is_unusual(18, Sensitivity::Normal));
        assert_eq!((unusual.zh().to_string().as_str(), unusual.en().to_string().as_str()), (zh, en));
        let json = serde_json::to_string(&unusual).unwrap();
        assert_eq!(serde_json::from_str::<Unusual>(&json).unwrap(), unusual);
    };
    let weeks = [week(1); 4];
    check(
        Past { weeks: &weeks, ..Past::default() },
        10,
        "10 分钟退群 18 人；这里这个时段平时 0–3 人（近 4 周）",
        "18 leaves in 10 min; usual here at this hour: 0–3 (last 4 weeks)",
    );
    let weeks = [week(1), week(1), Week::default(), week(1), week(1)];
    check(
        Past { weeks: &weeks, ..Past::default() },
        60,
        "1 小时退群 18 人；这里这个时段平时 0–6 人（近 5 周中有数据的 4 周）",
        "18 leaves in 1 h; usual here at this hour: 0–6 (4 of the last 5 weeks)",
    );
    check(
        Past { hours: &[Some(1); 80], ..Past::default() },
        10,
        "10 分钟退群 18 人；这里平时 0–4 人（不分时段，80 小时）",
        "18 leaves in 10 min; usual here: 0–4 (at any hour, 80 hours seen)",
    );
    check(
        Past { peers: &[Some(1); 12], ..Past::default() },
        10,
        "10 分钟退群 18 人；同类群这个时段平时 0–4 人（12 个群）",
        "18 leaves in 10 min; usual in groups like this at this hour: 0–4 (12 groups)",
    );
}

fn weeks() -> impl Strategy<Value = Vec<Week>> {
    let one =
        || prop_oneof![4 => (0_u64..60).prop_map(Some), 1 => Just(None), 1 => any::<u64>().prop_map(Some)];
    vec((one(), one(), one()).prop_map(|(before, same, after)| Week { before, same, after }), 0..12)
}

proptest! {
    #[test]
    fn more_is_never_less_unusual(weeks in weeks(), window_min in 1_u32..=60, observed in any::<u64>(), more in any::<u64>()) {
        let Some(usual) = of_weeks(&weeks, window_min) else { return Ok(()) };
        for sensitivity in ALL {
            let before = usual.is_unusual(observed, sensitivity);
            prop_assert!(!before || usual.is_unusual(observed.saturating_add(more), sensitivity));
        }
        // A higher sensitivity calls no less unusual.
        let from = ALL.map(|sensitivity| usual.unusual_from(sensitivity));
        prop_assert!(from[0] >= from[1] && from[1] >= from[2] && from[2] >= OBSERVED_MIN);
        prop_assert!(usual.low <= usual.high && usual.high < from[2] && usual.spread >= 1.0);
    }

    #[test]
    fn the_order_of_weeks_does_not_matter(weeks in weeks().prop_shuffle(), window_min in 1_u32..=60) {
        let mut sorted = weeks.clone();
        sorted.sort_by_key(|week| (week.same, week.before, week.after));
        prop_assert_eq!(of_weeks(&weeks, window_min), of_weeks(&sorted, window_min));
    }

    #[test]
    fn a_freak_week_counts_no_more_than_the_worst_of_the_others_would_allow(
        counts in vec(0_u64..60, 4..12), at in any::<prop::sample::Index>(), freak in any::<u64>()
    ) {
        let mut weeks: Vec<Week> = counts.iter().map(|count| week(*count)).collect();
        *at.get_mut(&mut weeks) = week(freak);
        let usual = of_weeks(&weeks, 60).unwrap();
        prop_assert!(usual.expected <= 60.0);
        // Not even the others spread over the whole range could hide so many.
        prop_assert!(usual.is_unusual(10_000, Sensitivity::Low), "{:?}", usual);
    }

    #[test]
    fn a_shorter_window_expects_less(weeks in weeks(), window_min in 1_u32..60) {
        let (short, long) = (of_weeks(&weeks, window_min), of_weeks(&weeks, 60));
        let (Some(short), Some(long)) = (short, long) else { return Ok(()) };
        prop_assert!(short.high <= long.high && short.low <= long.low);
        prop_assert!(short.unusual_from(Sensitivity::Normal) <= long.unusual_from(Sensitivity::Normal));
    }
}
