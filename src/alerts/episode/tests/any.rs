//! Alerts over any course of events: repeats, looks out of order, late timers, restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::*;
use super::{look, never};

const SECOND_MS: i64 = 1_000;

#[derive(Clone, Debug)]
enum Act {
    /// A look at a key, so many seconds ago.
    Look {
        key: usize,
        condition: Condition,
        value: u64,
        ago: i64,
    },
    /// An earlier look once more.
    Repeat(Index),
    Acknowledge {
        of: Index,
        ago: i64,
    },
    Assign {
        of: Index,
        ago: i64,
    },
    Tick,
}

/// What happens, so many seconds after what happened before.
type Course = Vec<(i64, Act)>;

fn act(keys: usize) -> impl Strategy<Value = Act> {
    let condition = prop_oneof![3 => Just(Condition::Raised), 2 => Just(Condition::Cleared)];
    let ago = prop_oneof![4 => Just(0), 1 => 0_i64..40];
    let person = (any::<Index>(), 0_i64..20);
    prop_oneof![
        12 => (0..keys, condition, 0_u64..50, ago)
            .prop_map(|(key, condition, value, ago)| Act::Look { key, condition, value, ago }),
        2 => any::<Index>().prop_map(Act::Repeat),
        1 => person.clone().prop_map(|(of, ago)| Act::Acknowledge { of, ago }),
        1 => person.prop_map(|(of, ago)| Act::Assign { of, ago }),
        4 => Just(Act::Tick),
    ]
}

fn course(keys: usize, acts: usize) -> impl Strategy<Value = Course> {
    let wait = prop_oneof![3 => 0_i64..4, 2 => 0_i64..40, 1 => 0_i64..300];
    vec((wait, act(keys)), 1..acts)
}

/// The last 300 of every 1,000 seconds.
fn quiet(now_ms: i64) -> Option<i64> {
    let (from, lasts) = (now_ms.div_euclid(1_000 * SECOND_MS), 1_000 * SECOND_MS);
    (now_ms.rem_euclid(lasts) >= 700 * SECOND_MS).then(|| (from + 1) * lasts)
}

fn config(storm_size: usize) -> Config {
    let seconds = Duration::from_secs;
    let step = |after, to| Step { after: seconds(after), to };
    Config {
        recover_after: seconds(10),
        steps: vec![step(30, Level::ShopManager), step(60, Level::Region), step(120, Level::HeadOffice)],
        ack_lasts: seconds(100),
        storm_size,
        storm_window: seconds(20),
        urgent: [Kind::SilentCallback].into(),
        ..Config::default()
    }
}

/// Keys are of three kinds, one of them urgent, in two regions.
fn seen(key: usize, condition: Condition, value: u64, at_ms: i64) -> Observed {
    let kind = [Kind::LeaveSurge, Kind::SilentCallback, Kind::DeadGroup][key % 3];
    let mut seen = look(kind, &key.to_string(), condition, value, at_ms);
    seen.place.region = Some((key / 3 % 2).to_string());
    seen
}

/// Makes inputs of acts. The same acts give the same inputs whatever becomes of them.
#[derive(Default)]
struct Script {
    now_ms: i64,
    looks: Vec<Observed>,
}

impl Script {
    fn input(&mut self, (wait, act): &(i64, Act)) -> Input {
        self.now_ms += wait * SECOND_MS;
        let at_ms = |ago: i64| self.now_ms - ago * SECOND_MS;
        match act {
            Act::Look { key, condition, value, ago } => {
                let seen = seen(*key, *condition, *value, at_ms(*ago));
                self.looks.push(seen.clone());
                Input::Observed(seen)
            }
            Act::Repeat(_) if self.looks.is_empty() => Input::Tick,
            Act::Repeat(index) => Input::Observed(index.get(&self.looks).clone()),
            // Numbers are given out from 1 on.
            Act::Acknowledge { of, ago } => {
                Input::Acknowledge { number: of.index(9) as u64 + 1, by: "op".into(), at_ms: at_ms(*ago) }
            }
            Act::Assign { of, ago } => {
                let to = format!("p{}", of.index(2));
                Input::Assign { number: of.index(9) as u64 + 1, to, at_ms: at_ms(*ago) }
            }
            Act::Tick => Input::Tick,
        }
    }
}

/// Makes a course happen.
fn run(
    episodes: &mut Episodes,
    course: &Course,
    holds: fn(i64) -> Option<i64>,
    mut each: impl FnMut(&mut Episodes, &Input, i64, Vec<Notice>),
) -> Script {
    let mut script = Script::default();
    for one in course {
        let input = script.input(one);
        let told = episodes.apply(input.clone(), script.now_ms, &holds);
        each(episodes, &input, script.now_ms, told);
    }
    script
}

fn new(config: &Config) -> Episodes {
    Episodes::resume(config.clone(), State::default()).unwrap()
}

/// What people know of one alert.
#[derive(Debug, Default)]
struct Known {
    opened: bool,
    over: bool,
    steps: usize,
    last_ms: i64,
    acknowledged_until_ms: i64,
}

/// Listens to all notices, and objects.
#[derive(Default)]
struct Judge {
    known: BTreeMap<u64, Known>,
    /// The alert that people think a fact has.
    by_key: BTreeMap<Key, u64>,
    seq: Vec<u64>,
}

impl Judge {
    fn acknowledged(&mut self, episodes: &Episodes, input: &Input) {
        if let Input::Acknowledge { number, .. } = input
            && let Some(acknowledged) = episodes.get(*number).and_then(|alert| alert.acknowledged)
        {
            self.known.entry(*number).or_default().acknowledged_until_ms = acknowledged.until_ms;
        }
    }

    fn hear(&mut self, config: &Config, notice: &Notice, now_ms: i64, holds: fn(i64) -> Option<i64>) {
        let Notice { seq, what, alert, .. } = notice;
        assert!(!self.seq.contains(seq), "a number given twice");
        self.seq.push(*seq);
        assert!(
            holds(now_ms).is_none() || config.urgent.contains(&alert.kind),
            "told in quiet hours: {notice:?}"
        );
        let known = self.known.entry(alert.number).or_default();
        assert!(!known.over || matches!(what, What::Assigned { .. }), "told after it was over: {notice:?}");
        match what {
            What::Opened => {
                assert!(!known.opened, "opened twice: {notice:?}");
                (known.opened, known.last_ms) = (true, now_ms);
                if let About::One { key, storm, .. } = &alert.about {
                    assert_eq!(*storm, None, "told beside its storm");
                    let before = self.by_key.insert(key.clone(), alert.number);
                    assert_eq!(before, None, "told twice of one fact: {notice:?}");
                }
            }
            What::Escalated { step, to } => {
                assert!(known.opened && known.steps == *step && config.steps[*step].to == *to, "{notice:?}");
                let before = step.checked_sub(1).map_or(Duration::ZERO, |before| config.steps[before].after);
                let gap = config.steps[*step].after.saturating_sub(before);
                assert!(now_ms - known.last_ms >= config::millis(gap), "too soon: {notice:?}");
                assert!(now_ms >= known.acknowledged_until_ms && alert.cleared_ms.is_none(), "{notice:?}");
                (known.steps, known.last_ms) = (step + 1, now_ms);
            }
            What::Assigned { .. } => {}
            What::Recovered | What::Passed => {
                assert_eq!(known.opened, *what == What::Recovered, "{notice:?}");
                known.over = true;
                if let About::One { key, .. } = &alert.about
                    && *what == What::Recovered
                {
                    assert_eq!(self.by_key.remove(key), Some(alert.number));
                }
            }
        }
    }
}

/// What becomes of one fact, told without quiet hours and storms: written down as people would.
#[derive(Default)]
struct Oracle {
    last_ms: Option<i64>,
    is_open: bool,
    cleared_ms: Option<i64>,
    told: Vec<&'static str>,
}

impl Oracle {
    fn recover(&mut self, at_ms: i64) {
        if self.is_open && self.cleared_ms.is_some_and(|cleared_ms| cleared_ms + 10 * SECOND_MS <= at_ms) {
            (self.is_open, self.cleared_ms) = (false, None);
            self.told.push("recovered");
        }
    }

    fn look(&mut self, condition: Condition, at_ms: i64) {
        if self.last_ms.is_some_and(|last_ms| at_ms <= last_ms) {
            return;
        }
        match condition {
            Condition::Raised => {
                self.recover(at_ms);
                if !self.is_open {
                    self.told.push("opened");
                }
                (self.is_open, self.cleared_ms) = (true, None);
            }
            Condition::Cleared if self.is_open => self.cleared_ms = self.cleared_ms.or(Some(at_ms)),
            // Of what never was an alert nothing is remembered.
            Condition::Cleared if self.last_ms.is_none() => return,
            Condition::Cleared => {}
        }
        self.last_ms = Some(at_ms);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn people_hear_of_a_fact_once_until_it_is_over(course in course(9, 120), storm_size in 1_usize..4, at_night: bool) {
        let (config, holds) = (config(storm_size), if at_night { quiet } else { never });
        let (mut episodes, mut judge) = (new(&config), Judge::default());
        let mut singles: BTreeMap<(Kind, Option<String>), Vec<i64>> = BTreeMap::new();
        let script = run(&mut episodes, &course, holds, |episodes, input, now_ms, told| {
            judge.acknowledged(episodes, input);
            for notice in &told {
                judge.hear(&config, notice, now_ms, holds);
                if let (What::Opened, About::One { .. }) = (&notice.what, &notice.alert.about) {
                    let of = (notice.alert.kind, notice.alert.place.region.clone());
                    singles.entry(of).or_default().push(now_ms);
                }
            }
        });
        if !at_night {
            for times in singles.values() {
                for window in times.windows(storm_size + 1) {
                    assert!(window[storm_size] - window[0] > 20 * SECOND_MS, "more than may be told one by one");
                }
            }
        }
        // Whatever was told is over or still open, and the other way round.
        for (number, known) in &judge.known {
            let waits = |held: &Held| matches!(held, Held::Ready(notice) if notice.alert.number == *number);
            let is_there = episodes.get(*number).is_some() || episodes.state().held.values().any(waits);
            prop_assert!(!known.opened || known.over != is_there);
        }
        for alert in episodes.open() {
            let is_part = matches!(alert.about, About::One { storm: Some(_), .. });
            let known = judge.known.get(&alert.number).is_some_and(|known| known.opened);
            let waits = episodes.state().held.values().any(|held| *held == Held::Opening(alert.number));
            prop_assert!(known || is_part || waits);
        }
        // In the end all is over.
        let mut now_ms = script.now_ms + 1;
        for alert in episodes.open().collect::<Vec<_>>() {
            let About::One { key, .. } = alert.about else { continue };
            let clear = seen(key.subject.parse().unwrap(), Condition::Cleared, 0, now_ms);
            let told = episodes.apply(Input::Observed(clear), now_ms, &holds);
            for notice in &told {
                judge.hear(&config, notice, now_ms, holds);
            }
        }
        while let Some(due_ms) = episodes.next_due_ms() {
            now_ms = now_ms.max(due_ms);
            let told = episodes.apply(Input::Tick, now_ms, &holds);
            for notice in &told {
                judge.hear(&config, notice, now_ms, holds);
            }
        }
        prop_assert_eq!(episodes.open().count(), 0);
        prop_assert!(judge.by_key.is_empty() && judge.known.values().all(|known| known.opened == known.over || known.over));
    }

    #[test]
    fn facts_open_and_recover_as_people_would_write_it_down(course in course(4, 120)) {
        let mut episodes = new(&config(STORM_SIZE_MAX));
        let mut oracles: BTreeMap<Key, Oracle> = BTreeMap::new();
        let mut told: BTreeMap<Key, Vec<&'static str>> = BTreeMap::new();
        run(&mut episodes, &course, never, |_, input, now_ms, notices| {
            match input {
                Input::Observed(seen) => {
                    oracles.entry(seen.key.clone()).or_default().look(seen.condition, seen.at_ms);
                }
                Input::Tick => oracles.values_mut().for_each(|oracle| oracle.recover(now_ms)),
                Input::Acknowledge { .. } | Input::Assign { .. } => {}
            }
            for notice in notices {
                let About::One { key, .. } = notice.alert.about else { panic!("a storm") };
                let what = match notice.what {
                    What::Opened => "opened",
                    What::Recovered => "recovered",
                    What::Escalated { .. } | What::Assigned { .. } | What::Passed => continue,
                };
                told.entry(key).or_default().push(what);
            }
        });
        oracles.retain(|_, oracle| !oracle.told.is_empty());
        let expected: BTreeMap<Key, Vec<&'static str>> = oracles.into_iter().map(|(key, oracle)| (key, oracle.told)).collect();
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn the_same_look_again_changes_nothing(course in course(9, 100), storm_size in 1_usize..4) {
        let config = config(storm_size);
        let (mut once, mut twice) = (new(&config), new(&config));
        // Of what never was an alert nothing is remembered, so that it was clear is news the second time.
        let mut remembered = Vec::new();
        let script = run(&mut once, &course, quiet, |once, input, now_ms, told| {
            if let Input::Observed(seen) = input
                && (once.by_key.contains_key(&seen.key) || once.state.closed.contains_key(&seen.key))
            {
                remembered.push(seen.clone());
            }
            let again = twice.apply(input.clone(), now_ms, &quiet);
            assert_eq!(again, told);
            assert_eq!(twice.apply(input.clone(), now_ms, &quiet), []);
        });
        prop_assert_eq!(uncounted(&once), uncounted(&twice));
        // All of it once more, as after a restart.
        once.apply(Input::Tick, script.now_ms, &quiet);
        let before = uncounted(&once);
        for seen in remembered {
            let told = once.apply(Input::Observed(seen), script.now_ms, &quiet);
            prop_assert_eq!(told, []);
        }
        prop_assert_eq!(uncounted(&once), before);
    }

    #[test]
    fn a_restart_at_any_point_changes_nothing(course in course(9, 80), storm_size in 1_usize..4) {
        let config = config(storm_size);
        let (mut whole, mut cut) = (new(&config), new(&config));
        run(&mut whole, &course, quiet, |whole, input, now_ms, told| {
            let pieces = cut.state().pieces();
            let pieces = pieces.iter().map(|(name, body)| (name.as_str(), body.as_str()));
            cut = Episodes::resume(config.clone(), State::of_pieces(pieces).unwrap()).unwrap();
            assert_eq!(cut.apply(input.clone(), now_ms, &quiet), told);
            assert_eq!((cut.state(), cut.next_due_ms()), (whole.state(), whole.next_due_ms()));
            assert_eq!((&cut.due, &cut.closed_by_age, cut.ready), (&whole.due, &whole.closed_by_age, whole.ready));
        });
    }

    #[test]
    fn nothing_grows_beyond_its_limit(course in course(40, 200), storm_size in 1_usize..6) {
        let config = Config { open_max: 5, held_max: 3, closed_max: 4, ..config(storm_size) };
        let mut raised = 0;
        let mut episodes = new(&config);
        run(&mut episodes, &course, quiet, |episodes, input, _, _| {
            raised += u64::from(matches!(input, Input::Observed(seen) if seen.condition == Condition::Raised));
            let state = episodes.state();
            let storms = state.storms.len();
            assert!(state.alerts.len() <= 5 && state.closed.len() <= 4);
            assert!(state.held.len() <= 3 + state.alerts.len() + storms);
            assert!(state.waves.len() <= 6 && state.waves.values().all(|wave| wave.recent.len() <= storm_size));
            assert_eq!(episodes.by_key.len(), state.alerts.len());
            assert_eq!(episodes.due.len(), episodes.due_of.len());
            assert!(episodes.due.len() <= state.alerts.len() + storms);
            assert_eq!(episodes.closed_by_age.len(), state.closed.len());
            // A storm is there while a part of it is, and a window longer.
            assert!(storms <= state.alerts.len() + state.waves.len());
            for (number, storm) in &state.storms {
                let parts = state.alerts.values().filter(|alert| alert.storm == Some(*number)).count();
                assert_eq!(storm.open, parts as u64);
            }
        });
        let counts = episodes.counts();
        prop_assert!(counts.unopened + counts.stale <= raised + course.len() as u64);
    }

    #[test]
    fn nothing_is_told_before_the_timer_and_the_timer_moves_on(course in course(9, 80), storm_size in 1_usize..4) {
        let mut episodes = new(&config(storm_size));
        run(&mut episodes, &course, quiet, |episodes, _, now_ms, _| {
            let Some(due_ms) = episodes.next_due_ms() else { return };
            let mut early = episodes.clone();
            if due_ms > now_ms {
                assert_eq!(early.apply(Input::Tick, due_ms - 1, &quiet), []);
                assert_eq!(early.state(), episodes.state());
            }
            let at_ms = due_ms.max(now_ms);
            early.apply(Input::Tick, at_ms, &quiet);
            assert!(early.next_due_ms().is_none_or(|due_ms| due_ms > at_ms));
        });
    }
}

fn uncounted(episodes: &Episodes) -> State {
    State { counts: Counts::default(), ..episodes.state().clone() }
}
