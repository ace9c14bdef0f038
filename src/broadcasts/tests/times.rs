//! Hours, days and spreading, over restarts and in two zones.

use super::*;

const HOUR_MS: i64 = 3_600_000;

/// The bench's clock starts on 2023-11-14 at 22:13:20 UTC, 06:13:20 of the next day in Shanghai.
fn windows(json: &str) -> Schedule {
    serde_json::from_str(json).unwrap()
}

fn at(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

async fn begin(house: &House, schedule: Schedule) -> Broadcast {
    let new = NewBroadcast { schedule, ..new("早安", Audience::All) };
    house.broadcasts.create(&everybody(), new, |_| None).await.unwrap()
}

/// Starts of all calls to groups of one half, in order.
fn starts(house: &House, half: &str) -> Vec<i64> {
    let calls = house.bench.platform.calls();
    let mut starts: Vec<_> =
        calls.iter().filter(|call| call.group.starts_with(half)).map(|call| call.started_ms).collect();
    starts.sort_unstable();
    starts
}

#[tokio::test(start_paused = true)]
async fn each_group_waits_for_its_own_hours_over_a_restart() {
    let house = House::open(200, &["window:100/s"], |p| p).await;
    let own = r#"{"windows": [{"hours": "06:30-06:50"}, {"hours": "22:50-23:10"}]}"#;
    let broadcast = begin(&house, windows(own)).await;
    house.bench.pass(600 * SECOND).await;
    let progress = house.progress(&broadcast.id).await;
    let found = (progress.state, progress.counts.pending, house.bench.platform.count());
    assert_eq!(found, (State::Running, 200, 0));
    let house = house.restart(|p| p).await;
    house.bench.pass(1500 * SECOND).await;
    house.finished(&broadcast.id).await;
    house.sent_once(200);
    for (half, opens) in [("east", "2023-11-14T22:30:00Z"), ("west", "2023-11-14T22:50:00Z")] {
        let starts = starts(&house, half);
        let (first, last) = (starts[0] - at(opens), starts[99] - at(opens));
        assert!((0..1_000).contains(&first) && last < 5_000, "{half}: {first} to {last} ms after it opened");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_into_a_window_waits_for_the_next_and_is_not_dropped() {
    let house = House::open(200, &["window:60/m"], |p| p).await;
    let two = r#"{"time_zone": "UTC", "windows": [{"hours": "22:30-22:32"}, {"hours": "23:00-23:30"}]}"#;
    let broadcast = begin(&house, windows(two)).await;
    house.bench.pass(300 * SECOND).await;
    let foretold = house.progress(&broadcast.id).await.estimated_finish_ms.unwrap();
    house.bench.pass(2400 * SECOND).await;
    house.finished(&broadcast.id).await;
    house.sent_once(200);
    let calls = house.bench.platform.calls();
    let inside = |from: &str, until: &str| {
        calls.iter().filter(|call| (at(from)..at(until)).contains(&call.started_ms)).count()
    };
    let first = inside("2023-11-14T22:30:00Z", "2023-11-14T22:32:00Z");
    assert!((60..=121).contains(&first), "{first}");
    assert_eq!(first + inside("2023-11-14T23:00:00Z", "2023-11-14T23:30:00Z"), 200);
    let last = calls.iter().map(|call| call.started_ms).max().unwrap();
    let (real, foretold) = (last - START_MS, foretold - START_MS);
    assert!((real - foretold).abs() * 20 <= real, "foretold {foretold} ms, was {real} ms");
}

#[tokio::test(start_paused = true)]
async fn quiet_hours_and_closed_days_of_the_house_hold_every_broadcast() {
    let quiet_hours = QuietHours::try_from("06:00-07:00".to_owned()).unwrap();
    let closed_days = BTreeSet::from(["2023-11-14".parse().unwrap()]);
    let config = Config { quiet_hours, closed_days, ..Config::default() };
    let house = House::open_with(config, 100, &[], |p| p).await;
    let broadcast = begin(&house, Schedule::default()).await;
    house.bench.pass(6000 * SECOND).await;
    house.finished(&broadcast.id).await;
    house.sent_once(100);
    // In Shanghai it is quarter past six of the next day: quiet until seven. In UTC it is still the closed day.
    for (half, opens) in [("east", "2023-11-14T23:00:00Z"), ("west", "2023-11-15T00:00:00Z")] {
        let after = |at_ms: &i64| (0..60_000).contains(&(at_ms - at(opens)));
        assert!(starts(&house, half).iter().all(after), "{half}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_spread_broadcast_leaves_evenly_until_its_end() {
    let house = House::open(600, &[], |p| p).await;
    let spread_until_ms = START_MS + HOUR_MS;
    let broadcast = begin(&house, Schedule { spread_until_ms, ..Schedule::default() }).await;
    house.bench.pass(3000 * SECOND).await;
    house.finished(&broadcast.id).await;
    house.sent_once(600);
    let mut starts = starts(&house, "");
    assert!(*starts.last().unwrap() <= spread_until_ms + 1_000);
    let mut tenths = [0; 10];
    for at_ms in starts.drain(..) {
        tenths[usize::try_from((at_ms - START_MS) * 10 / (HOUR_MS + 1_000)).unwrap()] += 1;
    }
    assert!(tenths.iter().all(|sent| (54..=66).contains(sent)), "{tenths:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlasts_the_window_it_was_made_for() {
    let house = House::open(100, &[], |p| p).await;
    let two = r#"{"time_zone": "UTC", "windows": [{"hours": "23:00-23:30"}, {"hours": "23:40-23:50"}]}"#;
    let broadcast = begin(&house, windows(two)).await;
    house.bench.pass(60 * SECOND).await;
    house.command(&broadcast.id, Command::Pause).await.unwrap();
    house.bench.pass(5000 * SECOND).await;
    house.command(&broadcast.id, Command::Resume).await.unwrap();
    house.bench.pass(60 * SECOND).await;
    assert_eq!(house.bench.platform.count(), 0, "it is 23:38: between two windows");
    house.finished(&broadcast.id).await;
    house.sent_once(100);
    assert!(starts(&house, "").iter().all(|at_ms| *at_ms >= at("2023-11-14T23:40:00Z")));
}
