//! Alerts step by step; over any course of events, `tests/any`.

mod any;

use std::time::Duration;

use super::*;

const MINUTE_MS: i64 = 60_000;

/// From 21:00 until 9:00, by minutes since a midnight.
fn night(now_ms: i64) -> Option<i64> {
    let (day, minute) =
        (now_ms.div_euclid(1_440 * MINUTE_MS), now_ms.rem_euclid(1_440 * MINUTE_MS) / MINUTE_MS);
    let until = |day: i64| Some((day * 1_440 + 9 * 60) * MINUTE_MS);
    match minute {
        0..540 => until(day),
        540..1260 => None,
        _ => until(day + 1),
    }
}

fn never(_: i64) -> Option<i64> {
    None
}

fn look(kind: Kind, subject: &str, condition: Condition, value: u64, at_ms: i64) -> Observed {
    Observed {
        key: Key { kind, subject: subject.into() },
        condition,
        value,
        explanation: Explanation { zh: format!("{value} 人"), en: format!("{value} people") },
        place: Place {
            region: Some("east".into()),
            shop: Some(format!("shop of {subject}")),
            ..Place::default()
        },
        own: None,
        at_ms,
    }
}

/// With one kind alone that does not wait for the morning.
fn patient() -> Config {
    Config { urgent: [Kind::SilentCallback].into(), ..Config::default() }
}

/// Alerts by the minute: the timer is on time unless a test says otherwise.
struct Bench {
    episodes: Episodes,
    holds: fn(i64) -> Option<i64>,
    is_running: bool,
    now_ms: i64,
    told: Vec<Notice>,
}

impl Bench {
    fn new(config: Config) -> Self {
        let episodes = Episodes::resume(config, State::default()).unwrap();
        Self { episodes, holds: never, is_running: true, now_ms: 0, told: Vec::new() }
    }

    fn quiet_at_night() -> Self {
        Self { holds: night, ..Self::new(patient()) }
    }

    fn apply(&mut self, minute: i64, input: Input) {
        self.until(minute);
        self.at(minute * MINUTE_MS, input);
    }

    fn at(&mut self, now_ms: i64, input: Input) {
        self.now_ms = self.now_ms.max(now_ms);
        let told = self.episodes.apply(input, self.now_ms, &self.holds);
        self.told.extend(told);
    }

    fn until(&mut self, minute: i64) {
        while let Some(due_ms) = self.episodes.next_due_ms().filter(|due_ms| *due_ms <= minute * MINUTE_MS) {
            if !self.is_running {
                return;
            }
            self.at(due_ms, Input::Tick);
        }
    }

    fn raise(&mut self, minute: i64, subject: &str) {
        let seen = look(Kind::LeaveSurge, subject, Condition::Raised, 18, minute * MINUTE_MS);
        self.apply(minute, Input::Observed(seen));
    }

    fn clear(&mut self, minute: i64, subject: &str) {
        let seen = look(Kind::LeaveSurge, subject, Condition::Cleared, 0, minute * MINUTE_MS);
        self.apply(minute, Input::Observed(seen));
    }

    fn acknowledge(&mut self, minute: i64, number: u64) {
        self.apply(minute, Input::Acknowledge { number, by: "op_1".into(), at_ms: minute * MINUTE_MS });
    }

    /// What was told until a minute: when, of which, what.
    fn told(&mut self, minute: i64) -> Vec<String> {
        self.until(minute);
        self.told.drain(..).map(|notice| line(&notice)).collect()
    }
}

fn line(notice: &Notice) -> String {
    let what = match &notice.what {
        What::Opened => "opened".to_owned(),
        What::Escalated { step, to } => format!("{step} {}", to.as_str()),
        What::Assigned { to } => format!("to {to}"),
        What::Recovered => "recovered".to_owned(),
        What::Passed => "passed".to_owned(),
    };
    let of = match &notice.alert.about {
        About::One { key, .. } => key.subject.to_string(),
        About::Storm { alerts, open, .. } => format!("storm of {alerts}, {open} open"),
    };
    format!("{} {of}: {what}", notice.at_ms / MINUTE_MS)
}

#[test]
fn a_fact_is_told_once_passed_up_on_time_and_over_once() {
    let mut bench = Bench::new(Config::default());
    for minute in 0..300 {
        bench.raise(minute, "g");
    }
    bench.clear(300, "g");
    bench.clear(305, "g");
    assert_eq!(
        bench.told(400),
        [
            "0 g: opened",
            "30 g: 0 shop_manager",
            "60 g: 1 deputy",
            "120 g: 2 region",
            "240 g: 3 head_office",
            "310 g: recovered"
        ]
    );
    assert_eq!((bench.episodes.next_due_ms(), bench.episodes.open().count()), (None, 0));
    bench.raise(500, "g");
    assert_eq!(bench.told(501), ["500 g: opened"]);
}

#[test]
fn what_comes_back_before_it_was_over_is_the_same_alert() {
    let mut bench = Bench::new(Config::default());
    bench.raise(0, "g");
    for minute in (1..100).step_by(9) {
        bench.clear(minute, "g");
        bench.raise(minute + 8, "g");
    }
    assert_eq!(
        bench.told(119),
        ["0 g: opened", "36 g: 0 shop_manager", "72 g: 1 deputy"],
        "while it is there"
    );
    let About::One { count, flaps, .. } = bench.episodes.get(1).unwrap().about else { panic!("one fact") };
    assert_eq!((count, flaps), (12, 11));
}

#[test]
fn the_worst_is_kept_with_its_reason_also_when_it_comes_late() {
    let mut bench = Bench::new(Config::default());
    for (at_ms, value) in [(1_000, 5), (9_000, 7), (5_000, 20), (5_000, 20), (10_000, 6), (500, 99)] {
        let seen = look(Kind::HitSpike, "g", Condition::Raised, value, at_ms);
        bench.apply(1, Input::Observed(seen));
    }
    let About::One { value, worst, count, explanation, .. } = bench.episodes.get(1).unwrap().about else {
        panic!("one fact")
    };
    assert_eq!((value, worst, count, &*explanation.zh), (6, 20, 3, "20 人"));
    assert_eq!((bench.episodes.counts().stale, bench.told(2).len()), (3, 1));
}

#[test]
fn an_acknowledgement_stops_the_clock() {
    let mut bench = Bench::new(Config::default());
    bench.raise(0, "g");
    bench.acknowledge(40, 1); // until 280: 20 minutes of the hour are left
    bench.acknowledge(100, 1); // until 340
    let again = Input::Acknowledge { number: 1, by: "op_2".into(), at_ms: 100 * MINUTE_MS };
    bench.apply(110, again);
    bench.acknowledge(120, 77);
    assert_eq!(bench.told(359), ["0 g: opened", "30 g: 0 shop_manager"]);
    let acknowledged = bench.episodes.get(1).unwrap().acknowledged.unwrap();
    assert_eq!((&*acknowledged.by, acknowledged.until_ms), ("op_1", 340 * MINUTE_MS));
    assert_eq!(bench.told(420), ["360 g: 1 deputy", "420 g: 2 region"]);
    assert_eq!(bench.episodes.counts().unknown, 1);
}

#[test]
fn an_alert_is_given_to_a_person_once() {
    let mut bench = Bench::new(Config::default());
    bench.raise(0, "g");
    for (minute, to) in [(1, "li"), (2, "li"), (1, "wang"), (3, "wang")] {
        bench.apply(4, Input::Assign { number: 1, to: to.into(), at_ms: minute * MINUTE_MS });
    }
    assert_eq!(bench.told(5), ["0 g: opened", "4 g: to li", "4 g: to wang"]);
    assert_eq!(bench.episodes.get(1).unwrap().assigned.unwrap().to, "wang");
}

#[test]
fn nobody_is_told_at_night_and_the_ladder_begins_in_the_morning() {
    let (evening, morning) = (22 * 60, 33 * 60);
    let mut bench = Bench::quiet_at_night();
    bench.raise(evening, "stays");
    bench.raise(evening + 1, "passes");
    bench.clear(evening + 5, "passes");
    bench.apply(evening + 9, Input::Assign { number: 1, to: "li".into(), at_ms: 0 });
    let seen = look(Kind::SilentCallback, "urgent", Condition::Raised, 1, (evening + 10) * MINUTE_MS);
    bench.apply(evening + 10, Input::Observed(seen));
    assert_eq!(bench.told(evening + 41), ["1330 urgent: opened", "1360 urgent: 0 shop_manager"]);
    bench.acknowledge(evening + 42, 3);
    assert_eq!(bench.told(morning - 1).len(), 3, "urgent again after four hours");
    assert_eq!(
        bench.told(morning + 60),
        [
            "1980 stays: opened",
            "1329 stays: to li",
            "1335 passes: passed",
            "2010 stays: 0 shop_manager",
            "2040 stays: 1 deputy",
        ]
    );
}

#[test]
fn a_step_that_falls_into_the_night_waits_and_those_after_it_too() {
    let mut bench = Bench::quiet_at_night();
    bench.raise(20 * 60 + 50, "g");
    assert_eq!(
        bench.told(34 * 60),
        ["1250 g: opened", "1980 g: 0 shop_manager", "2010 g: 1 deputy"],
        "by the morning's clock"
    );
}

#[test]
fn what_is_acknowledged_at_night_is_not_passed_up_in_the_morning() {
    let mut bench = Bench::quiet_at_night();
    bench.raise(1_300, "g");
    bench.acknowledge(1_970, 1); // until 2210
    assert_eq!(bench.told(2_240), ["1980 g: opened", "2240 g: 0 shop_manager"]);
}

#[test]
fn after_the_gateway_was_down_one_step_is_taken_not_all() {
    let mut bench = Bench::new(Config::default());
    bench.raise(0, "g");
    bench.is_running = false;
    bench.apply(500, Input::Tick);
    bench.is_running = true;
    assert_eq!(bench.told(530), ["0 g: opened", "500 g: 0 shop_manager", "530 g: 1 deputy"]);
}

#[test]
fn a_journal_that_is_read_late_opens_nothing_twice() {
    let mut bench = Bench { is_running: false, ..Bench::new(Config::default()) };
    let mut late = |minute: i64, condition| {
        let seen = look(Kind::LeaveSurge, "g", condition, 9, minute * MINUTE_MS);
        bench.apply(1_000, Input::Observed(seen));
        bench.told(1_000)
    };
    assert_eq!(late(0, Condition::Raised), ["1000 g: opened"]);
    assert!(late(5, Condition::Cleared).is_empty());
    assert!(late(14, Condition::Raised).is_empty(), "nine minutes are not quiet");
    assert!(late(20, Condition::Cleared).is_empty());
    assert_eq!(late(30, Condition::Raised), ["1000 g: recovered", "1000 g: opened"]);
}

#[test]
fn a_storm_is_told_of_as_one() {
    let mut bench = Bench::new(Config { storm_size: 3, ..Config::default() });
    for (minute, subject) in (0..).zip(["a", "b", "c", "d", "e"]) {
        bench.raise(minute, subject);
    }
    let mut other = look(Kind::LeaveSurge, "west", Condition::Raised, 9, 5 * MINUTE_MS);
    other.place = Place::default();
    bench.apply(5, Input::Observed(other));
    assert_eq!(
        bench.told(10),
        ["0 a: opened", "1 b: opened", "2 c: opened", "3 storm of 4, 4 open: opened", "5 west: opened"]
    );
    assert_eq!(
        bench.told(40),
        ["33 storm of 5, 5 open: 0 shop_manager", "35 west: 0 shop_manager"],
        "its parts are not passed up"
    );
    bench.raise(41, "late");
    for subject in ["a", "d", "e", "late", "west"] {
        bench.clear(42, subject);
    }
    assert_eq!(
        bench.told(60),
        ["41 late: opened", "52 a: recovered", "52 west: recovered", "52 late: recovered"],
        "who heard of it hears that it is over"
    );
    let storm = bench.episodes.open().last().unwrap();
    assert_eq!((storm.kind, storm.place.region.as_deref()), (Kind::LeaveSurge, Some("east")));
    let About::Storm { shops, elsewhere, .. } = storm.about else { panic!("a storm") };
    assert_eq!((shops.len(), &*shops[4].0, elsewhere), (5, "shop of e", 0));
    bench.acknowledge(61, storm.number);
    for subject in ["b", "c"] {
        bench.clear(62, subject);
    }
    assert_eq!(bench.told(500), ["72 b: recovered", "72 c: recovered", "72 storm of 5, 0 open: recovered"]);
    assert_eq!(bench.episodes.next_due_ms(), None);
}

#[test]
fn a_storm_at_night_is_one_notice_in_the_morning() {
    let mut bench = Bench::quiet_at_night();
    for nth in 0..50 {
        bench.raise(1_300 + nth / 10, &format!("g{nth}"));
    }
    assert_eq!(bench.told(1_980), ["1980 storm of 50, 50 open: opened"]);
    let mut bench = Bench::quiet_at_night();
    for nth in 0..50 {
        bench.raise(1_300, &format!("g{nth}"));
        bench.clear(1_301, &format!("g{nth}"));
    }
    assert_eq!(bench.told(1_980), ["1311 storm of 50, 0 open: passed"]);
}

#[test]
fn what_is_full_is_counted_and_what_cannot_be_is_refused() {
    let config = Config { open_max: 2, held_max: 1, closed_max: 1, storm_size: 1_000, ..patient() };
    let mut bench = Bench { holds: night, ..Bench::new(config) };
    for subject in ["a", "b", "c"] {
        bench.raise(0, subject);
    }
    bench.clear(1, "a");
    bench.clear(2, "b");
    bench.raise(20, "d");
    assert_eq!(bench.told(599), ["11 a: passed", "540 d: opened", "570 d: 0 shop_manager"]);
    assert_eq!((bench.episodes.counts().unopened, bench.episodes.counts().unheld), (1, 1));
    // `a` and when it was seen last are forgotten; that nothing as old is news is not.
    let seen = look(Kind::LeaveSurge, "a", Condition::Raised, 18, 0);
    bench.apply(601, Input::Observed(seen));
    assert_eq!(bench.told(601), ["600 d: 1 deputy"]);
    assert_eq!(bench.episodes.state().closed.len(), 1);

    let mut ahead = look(Kind::HitSpike, "x", Condition::Raised, 1, 602 * MINUTE_MS + AHEAD_MS_MAX + 1);
    bench.apply(602, Input::Observed(ahead.clone()));
    ahead.at_ms = 0;
    ahead.place.shop = Some("x".repeat(NAME_BYTES_MAX + 1));
    bench.apply(602, Input::Observed(ahead));
    bench.apply(602, Input::Assign { number: 3, to: "x".repeat(NAME_BYTES_MAX + 1), at_ms: 0 });
    assert_eq!(bench.episodes.counts().refused, 3);
}

#[test]
fn more_regions_than_are_watched_are_told_of_one_by_one() {
    let mut bench = Bench::new(Config { storm_size: 1, ..Config::default() });
    for nth in 0..1_010 {
        let mut seen = look(Kind::HitSpike, &nth.to_string(), Condition::Raised, 1, nth);
        seen.place.region = Some(nth.to_string());
        bench.apply(1, Input::Observed(seen));
    }
    assert_eq!((bench.told.len(), bench.episodes.counts().unfolded), (1_010, 10));
    bench.raise(20, "g");
    assert_eq!(
        (bench.episodes.state().waves.len(), bench.episodes.counts().unfolded),
        (1, 10),
        "all is still"
    );
}

#[test]
fn a_text_is_cut_between_characters() {
    let mut seen = look(Kind::NegativeWords, "g", Condition::Raised, 1, 0);
    seen.explanation.zh = "坏".repeat(200);
    let mut bench = Bench::new(Config::default());
    bench.apply(0, Input::Observed(seen));
    let About::One { explanation, .. } = bench.episodes.get(1).unwrap().about else { panic!("one fact") };
    assert_eq!(explanation.zh, "坏".repeat(166));
}

#[test]
fn what_cannot_be_a_configuration_is_refused_with_the_remedy() {
    let wrong = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        Episodes::resume(config, State::default()).unwrap_err()
    };
    assert!(wrong(|c| c.recover_after = Duration::ZERO).contains("`recover_after` must be more than 0s"));
    assert!(wrong(|c| c.ack_lasts = Duration::from_hours(91 * 24)).contains("at most 90d"));
    assert!(wrong(|c| c.steps[0].after = Duration::ZERO).contains("`steps[0].after` must be longer than 0s"));
    assert!(
        wrong(|c| c.steps[2].after = c.steps[1].after)
            .contains("`steps[2].after` must be longer than the step")
    );
    assert!(wrong(|c| c.steps = vec![c.steps[0]; 17]).contains("17 `steps`, 16 at most"));
    assert!(wrong(|c| c.storm_size = 0).contains("between 1 and 1000"));
    assert!(wrong(|c| c.open_max = 0).contains("`open_max` must be at least 1"));
    assert_eq!(
        Config { steps: Vec::new(), ..Config::default() }.check(),
        Ok(()),
        "nobody further up is told"
    );
}

#[test]
fn the_configuration_and_its_words_are_read_as_they_are_written() {
    let text = toml::to_string(&Config::default()).unwrap();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default());
    for kind in Kind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    for level in [Level::ShopManager, Level::Deputy, Level::Region, Level::HeadOffice] {
        assert_eq!(serde_json::to_value(level).unwrap(), level.as_str());
    }
}
