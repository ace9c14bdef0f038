//! What is open when, over midnights, daylight saving and zones.

use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn schedule(json: &str) -> Schedule {
    serde_json::from_str(json).unwrap()
}

fn rules(quiet: &str, closed: &[&str]) -> HouseRules {
    HouseRules {
        quiet: QuietHours::try_from(quiet.to_owned()).unwrap(),
        closed: closed.iter().map(|date| date.parse().unwrap()).collect(),
    }
}

#[track_caller]
fn opens(schedule: &Schedule, rules: &HouseRules, zone_name: &str, from: &str, expect: &str) {
    let times = OpenTimes { schedule, rules };
    let found = times.opens(&zone(zone_name), at(from)).expect("it opens");
    assert_eq!(moment(found).to_string(), expect, "{schedule:?} {rules:?} from {from}");
}

#[test]
fn windows_and_quiet_hours_hold_until_they_open() {
    let shop_hours = schedule(r#"{"windows": [{"hours": "09:00-21:30"}]}"#);
    let none = HouseRules::default();
    opens(&shop_hours, &none, "Asia/Shanghai", "2026-11-27T02:00:00Z", "2026-11-27T02:00:00Z");
    opens(&shop_hours, &none, "Asia/Shanghai", "2026-11-27T13:29:59Z", "2026-11-27T13:29:59Z");
    opens(&shop_hours, &none, "Asia/Shanghai", "2026-11-27T13:30:00Z", "2026-11-28T01:00:00Z");
    // A group in another zone has its own morning.
    opens(&shop_hours, &none, "Asia/Tokyo", "2026-11-27T13:30:00Z", "2026-11-28T00:00:00Z");
    let for_all = schedule(r#"{"time_zone": "Asia/Shanghai", "windows": [{"hours": "09:00-21:30"}]}"#);
    opens(&for_all, &none, "Asia/Tokyo", "2026-11-27T13:30:00Z", "2026-11-28T01:00:00Z");
    // Quiet hours are those where the group is, whatever zone the broadcast names.
    opens(&for_all, &rules("21:00-12:00", &[]), "Asia/Tokyo", "2026-11-27T13:30:00Z", "2026-11-28T03:00:00Z");
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_it_opens_on() {
    let friday_night = schedule(r#"{"windows": [{"days": ["fri"], "hours": "22:00-02:00"}]}"#);
    let none = HouseRules::default();
    // 2026-11-27 is a Friday; one in the morning of Saturday is still its window, one in the morning of Friday is not.
    opens(&friday_night, &none, "UTC", "2026-11-28T01:59:59Z", "2026-11-28T01:59:59Z");
    opens(&friday_night, &none, "UTC", "2026-11-27T01:00:00Z", "2026-11-27T22:00:00Z");
    opens(&friday_night, &none, "UTC", "2026-11-28T02:00:00Z", "2026-12-04T22:00:00Z");
}

#[test]
fn closed_days_are_skipped_whole() {
    let mut national = schedule(r#"{"windows": [{"hours": "09:00-18:00"}], "not_on": ["2026-10-01"]}"#);
    opens(&national, &HouseRules::default(), "Asia/Shanghai", "2026-09-30T10:00:00Z", "2026-10-02T01:00:00Z");
    let house = rules("", &["2026-10-02", "2026-10-03"]);
    opens(&national, &house, "Asia/Shanghai", "2026-09-30T10:00:00Z", "2026-10-04T01:00:00Z");
    national.windows.clear();
    opens(&national, &house, "Asia/Shanghai", "2026-09-30T16:00:00Z", "2026-10-03T16:00:00Z");
}

#[test]
fn daylight_saving_moves_with_the_wall_clock() {
    let none = HouseRules::default();
    // Berlin: on 2026-03-29 two o'clock is jumped over, on 2026-10-25 it comes twice.
    let jumped = schedule(r#"{"windows": [{"hours": "02:30-02:45"}]}"#);
    opens(&jumped, &none, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z");
    let over_the_jump = schedule(r#"{"windows": [{"hours": "02:30-05:00"}]}"#);
    opens(&over_the_jump, &none, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z");
    opens(&jumped, &none, "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z");
    opens(&jumped, &none, "Europe/Berlin", "2026-10-25T00:45:00Z", "2026-10-25T01:30:00Z");
    // Nine o'clock is nine o'clock on both sides of the change.
    let morning = schedule(r#"{"windows": [{"hours": "09:00-10:00"}]}"#);
    opens(&morning, &none, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T07:00:00Z");
    opens(&morning, &none, "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T08:00:00Z");
    // A night of quiet that the clock is set back in lasts an hour longer.
    let night = rules("21:00-09:00", &[]);
    let always = Schedule::default();
    opens(&always, &night, "Europe/Berlin", "2026-10-24T19:00:00Z", "2026-10-25T08:00:00Z");
    let times = OpenTimes { schedule: &always, rules: &night };
    let days =
        times.intervals(&zone("Europe/Berlin"), at("2026-10-24T12:00:00Z"), at("2026-10-26T00:00:00Z"));
    let hours: Vec<i64> = days.windows(2).map(|pair| (pair[1].0 - pair[0].1) / HOUR).collect();
    assert_eq!(hours, [13]);
}

#[test]
fn what_makes_no_sense_is_refused_by_field() {
    let shanghai = zone("Asia/Shanghai");
    let check = |json: &str, rules: &HouseRules| {
        schedule(json).check(rules, &shanghai, at("2026-11-27T00:00:00Z")).unwrap_err().to_string()
    };
    let none = HouseRules::default();
    assert!(check(r#"{"time_zone": "Asia/Nowhere"}"#, &none).starts_with("time_zone:"));
    assert!(
        check(r#"{"windows": [{"days": [], "hours": "09:00-10:00"}]}"#, &none).starts_with("windows/0/days")
    );
    let night = rules("21:00-09:00", &[]);
    assert!(check(r#"{"windows": [{"hours": "22:00-23:00"}]}"#, &night).contains("never open"));
    assert!(check(r#"{"spread_until_ms": 5}"#, &none).starts_with("spread_until:"));
    for json in [r#"{"windows": [{"hours": "9 to 5"}]}"#, r#"{"not_on": ["2026-02-30"]}"#] {
        assert!(serde_json::from_str::<Schedule>(json).is_err(), "{json}");
    }
}

#[test]
fn targets_spread_evenly_over_what_is_open() {
    let hours = schedule(r#"{"windows": [{"hours": "09:00-12:00"}, {"hours": "14:00-15:00"}]}"#);
    let none = HouseRules::default();
    let times = OpenTimes { schedule: &hours, rules: &none };
    let (begin, end) = (at("2026-11-27T00:00:00Z"), at("2026-11-28T00:00:00Z"));
    let open = times.intervals(&zone("UTC"), begin, end);
    assert_eq!(open.len(), 2);
    // Any run of targets: 400 of them from the 7,000th on put a hundred into every open hour, give or take a few.
    let mut by_hour = std::collections::BTreeMap::<i64, u32>::new();
    for target in 7000..7400 {
        let due = at_share(&open, share_of(target)).unwrap();
        assert_eq!(times.opens(&zone("UTC"), due), Some(due), "it falls into an open hour");
        *by_hour.entry((due - begin) / HOUR).or_default() += 1;
    }
    assert_eq!(by_hour.keys().copied().collect::<Vec<_>>(), [9, 10, 11, 14]);
    assert!(by_hour.values().all(|count| (97..=103).contains(count)), "{by_hour:?}");
    assert_eq!(at_share(&[], 0.5), None);
    assert_eq!(at_share(&[(10, 20)], 1.0), Some(19));
}

fn some_hours() -> impl Strategy<Value = String> {
    (0..24_u32, 0..4_u32, 1..96_u32).prop_map(|(hour, quarter, length)| {
        let from = hour * 60 + quarter * 15;
        let until = (from + length * 15) % 1440;
        let until = if until == from { (from + 15) % 1440 } else { until };
        let clock = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        format!("{}-{}", clock(from), clock(until))
    })
}

fn day_names() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"], 1..=7)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Against a clock that is read every five minutes.
    #[test]
    fn the_next_opening_is_what_a_patient_watcher_sees(
        hours in proptest::collection::vec((day_names(), some_hours()), 0..3),
        quiet in proptest::option::of(some_hours()),
        own in proptest::sample::select(vec!["Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"]),
        named in proptest::option::of(Just("America/New_York")),
        start in proptest::sample::select(vec!["2026-03-27T00:00:00Z", "2026-10-23T00:00:00Z", "2026-04-03T00:00:00Z"]),
        offset in 0..(4 * 288_i64),
    ) {
        let windows: Vec<_> =
            hours.iter().map(|(days, hours)| serde_json::json!({"days": days, "hours": hours})).collect();
        let schedule: Schedule =
            serde_json::from_value(serde_json::json!({"time_zone": named, "windows": windows})).unwrap();
        let rules = rules(quiet.as_deref().unwrap_or_default(), &["2026-03-30"]);
        let times = OpenTimes { schedule: &schedule, rules: &rules };
        let own = zone(own);
        let here = named.map_or_else(|| own.clone(), zone);
        let from = at(start) + offset * 5 * MINUTE;
        let watched = (0..8 * 288).map(|step| from + step * 5 * MINUTE).find(|at| times.is_open(&here, &own, *at));
        let found = times.opens(&own, from);
        if let Some(watched) = watched {
            prop_assert_eq!(found, Some(watched));
        } else {
            prop_assert!(found.is_none_or(|found| found >= from + 8 * 288 * 5 * MINUTE));
        }
    }
}
